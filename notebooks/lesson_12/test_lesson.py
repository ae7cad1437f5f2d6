"""Lesson 12's stored sweep, made again by the same code; and one *Train* on its workbench."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from distill_lab.course import stored
from distill_lab.data import datasets
from distill_lab.evaluation import accuracy, predict_logits
from distill_lab.models import MLP
from distill_lab.seeds import distill_seeds
from distill_lab.training import distill
from lesson_12 import experiments as runs
from lesson_12 import make
from lesson_12.experiments import BLOCK, EPOCHS, STEPS_AN_EPOCH, SweepSettings, trainer
from lesson_12.figures import Settings
from lesson_12.sweep_slice import render_sweep

TINY = SweepSettings(
    widths=(4,),
    temperatures=(1.0, 4.0),
    alphas=(0.9,),
    seeds=2 * BLOCK,
    train=60,
    teacher_width=8,
    teacher_epochs=1,
    epochs=1,
)


@pytest.fixture(scope="module")
def sweep() -> dict[str, Any]:
    return stored.load("temperature_sweep.json")


def test_every_stored_file_has_its_checksum() -> None:
    checksums = stored.checksums(stored.DATA)
    files = {f.name for f in stored.DATA.iterdir() if f.is_file()} - {"README.md", "SHA256SUMS"}
    assert files == set(checksums)
    for name, digest in checksums.items():
        assert hashlib.sha256((stored.DATA / name).read_bytes()).hexdigest() == digest, name


def test_the_sweep_is_whole(sweep: dict[str, Any]) -> None:
    grid = tuple(len(sweep[key]) for key in ("widths", "temperatures", "alphas"))
    seeds = sweep["settings"]["seeds"]
    assert seeds >= 10
    for tail, high in (("", 100.0), ("_nll", 10.0), ("_ece", 100.0)):
        for name, shape in (("teacher", ()), ("hard", grid[:1]), ("kd", grid)):
            values = np.asarray(sweep[name + tail])
            assert values.shape == (*shape, seeds), name + tail
            assert ((values > 0) & (values < high)).all(), name + tail
    assert "Gain of distillation" in render_sweep(sweep, width=8, T=4, alpha=0.9).alt


def test_the_sweep_says_how_it_was_made(sweep: dict[str, Any]) -> None:
    made = sweep["made"]
    assert set(made) == {"command", "date", "commit", "machine", "seconds"}
    assert made["seconds"] > 0 and "torch" in made["machine"]
    assert "/" not in made["machine"].replace("x86/", "") and "\\" not in made["machine"]
    # the file was made with today's defaults, so that running the command again repeats it
    today = json.loads(json.dumps(asdict(SweepSettings())))
    assert sweep["settings"] == today


@pytest.mark.slow
def test_one_cell_trained_again_equals_the_stored_one(sweep: dict[str, Any]) -> None:
    settings = SweepSettings()
    logits = stored.load("temperature_teachers.safetensors")["plain"][:BLOCK, : settings.train]
    again = runs.train_cell(settings, 0, logits, width=8, T=20.0, alpha=0.9)
    _, test = runs.data(settings, 0)
    place = (0, settings.temperatures.index(20.0), settings.alphas.index(0.9))
    kept = np.asarray(sweep["kd"])[place][:BLOCK]
    # Another processor rounds differently, and training amplifies it; other cells lie points away.
    assert np.abs(np.asarray(runs.measure(again, test)["accuracy"]) - kept).mean() < 1.0


def test_the_stored_answers_are_those_of_the_sweeps_teachers(sweep: dict[str, Any]) -> None:
    kept = stored.load("temperature_teachers.safetensors")
    assert set(kept) == set(make.SMOOTHING)
    settings = SweepSettings()
    for block in range(settings.seeds // BLOCK):
        parts = runs.data(settings, block)
        rows = slice(BLOCK * block, BLOCK * (block + 1))
        train_logits, test_logits = kept["plain"][rows].split([len(part) for part in parts], dim=1)
        measured = accuracy(test_logits, parts[1].labels)
        assert np.abs(np.asarray(measured) - np.asarray(sweep["teacher"])[rows]).max() < 0.5
        assert (accuracy(train_logits, parts[0].labels) > 99).all()
    plain, smoothed = (kept[name].softmax(-1).amax(-1).mean() for name in ("plain", "smoothed"))
    assert plain > smoothed + 0.05


def test_the_teachers_are_made_again(tmp_path: Path) -> None:
    file = tmp_path / "t.safetensors"
    make.make_teachers(TINY, file, show=len)
    kept = stored.load(file.name, folder=tmp_path)
    images = len(runs.data(TINY, 0)[0]) + len(runs.data(TINY, 0)[1])
    assert {tuple(t.shape) for t in kept.values()} == {(TINY.seeds, images, 10)}
    first = runs.teachers(TINY, 1, smoothing=0.1).logits(runs.data(TINY, 1)[0].inputs)
    assert torch.equal(kept["smoothed"][BLOCK:, : TINY.train], first)


@pytest.mark.slow
def test_making_resumes_where_it_stopped(tmp_path: Path) -> None:
    at_once = make.make_sweep(TINY, tmp_path / "a.json", partial=tmp_path / "p.json", show=len)

    class Stopped(Exception):
        pass

    shown: list[str] = []

    def stop_after_three(line: str) -> None:
        shown.append(line)
        if len(shown) == 3:
            raise Stopped

    partial = tmp_path / "q.json"
    with pytest.raises(Stopped):
        make.make_sweep(TINY, tmp_path / "b.json", partial=partial, show=stop_after_three)
    assert not (tmp_path / "b.json").exists()
    assert len(json.loads(partial.read_text())["cells"]) == 3

    rest: list[str] = []
    resumed = make.make_sweep(TINY, tmp_path / "b.json", partial=partial, show=rest.append)
    assert len(rest) == 2 * 4 - 3  # two blocks of a teacher, hard labels and two temperatures
    assert not partial.exists()
    for key in ("teacher", "hard", "kd", "kd_nll", "kd_ece"):
        assert resumed[key] == at_once[key], key
    assert stored.load("b.json", folder=tmp_path)["kd"] == at_once["kd"]


def test_other_settings_begin_anew(tmp_path: Path) -> None:
    partial = tmp_path / "p.json"
    label = {"settings": {**asdict(TINY), "lr": 5.0}, "commit": "x"}
    partial.write_text(json.dumps({**label, "cells": {"seeds 0-4, teacher": {}}, "seconds": 9}))
    shown: list[str] = []
    make.make_sweep(TINY, tmp_path / "a.json", partial=partial, show=shown.append)
    assert len(shown) == 8


def test_seeds_come_in_blocks() -> None:
    with pytest.raises(ValueError, match="blocks of 5; got 7"):
        SweepSettings(seeds=7)


def test_a_missing_or_changed_file_is_told_in_words(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"data/temperature_sweep\.json is missing"):
        stored.load("temperature_sweep.json", folder=tmp_path)
    for name in ("temperature_sweep.json", "SHA256SUMS"):
        shutil.copy(stored.DATA / name, tmp_path)
    file = tmp_path / "temperature_sweep.json"
    file.write_bytes(file.read_bytes().replace(b"9", b"8", 1))
    with pytest.raises(ValueError, match="is not the file that was stored"):
        stored.load("temperature_sweep.json", folder=tmp_path)
    (tmp_path / "SHA256SUMS").unlink()
    with pytest.raises(FileNotFoundError, match=r"its checksum.* with `python -m lesson_12\.make`"):
        stored.load("temperature_sweep.json", folder=tmp_path, remake=make.COMMAND)


@pytest.fixture(scope="module")
def train_once():
    train, test = datasets.load("digits").split(train=200, seeds=range(2))
    teachers = distill_seeds(
        lambda seed: MLP(64, 32, 10, seed=100 + seed), train, seeds=range(2), epochs=5
    )
    return trainer({"quick": teachers.logits(train.inputs)}, train, test, range(2))


def quiet(terms, step, steps):
    pass


def test_a_run_and_its_twins(train_once):
    progress = []
    run = train_once(Settings("quick", 8, 4.0, 0.9, 50), lambda *args: progress.append(args[1:]))
    assert len(run.accuracy) == len(run.baseline) == 2
    assert run.accuracy != run.baseline
    steps = 2 * EPOCHS * STEPS_AN_EPOCH
    assert progress[0] == (1, steps) and progress[-1] == (steps, steps)
    train_once(Settings("quick", 8, 2.0, 0.9, 50), lambda *args: progress.append(args[1:]))
    assert progress[-1] == (steps // 2, steps // 2), "the twins are not trained again"


def test_the_twin_is_the_student_without_a_teacher(train_once):
    run = train_once(Settings("quick", 8, 4.0, 0.0, 50), quiet)
    assert run.accuracy == run.baseline


@pytest.mark.slow
def test_each_seed_is_the_run_that_distill_would_do(train_once):
    train, test = datasets.load("digits").split(train=200, seeds=range(2))
    run = train_once(Settings("quick", 8, 4.0, 0.9, 50), quiet)
    alone = MLP(64, 8, 8, 10, seed=1)
    few = train.at(1).take(50)
    distill(alone, few, epochs=EPOCHS, batch_size=5, seed=1, progress=False)
    inputs, labels = test.at(1)
    assert float(accuracy(predict_logits(alone, inputs), labels)) == pytest.approx(
        run.baseline[1], abs=0.6
    )


def test_an_unknown_teacher_and_answers_about_other_images_are_refused(train_once):
    with pytest.raises(ValueError, match="no teacher 'slow'; there are quick"):
        train_once(Settings("slow", 8, 4.0, 0.9, 50), quiet)
    train, test = datasets.load("digits").split(train=50, seeds=range(2))
    with pytest.raises(ValueError, match="got one of another shape"):
        trainer({"one": torch.zeros(1, 50, 10)}, train, test, range(2))
    with pytest.raises(ValueError, match="at least one teacher"):
        trainer({}, train, test, range(2))
