"""What lesson 32 promises: its pictures and texts are what their names say."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from distill_lab.course import stored
from distill_lab.data import datasets
from distill_lab.evaluation.statistics import paired_interval
from distill_lab.models import MLP
from distill_lab.seeds import distill_seeds
from lesson_32 import drawings, experiments
from lesson_32.figures import render_kept
from lesson_32.make import FILE, Recipe, make, rounds_of_width

NOTEBOOK = Path(__file__).resolve().parents[1] / "32_unlabelled.ipynb"


@pytest.fixture(scope="module")
def digits():
    train, _ = datasets.load("digits").split(train=1000, seeds=range(2))
    return train


def test_a_disturbed_picture_is_the_picture_moved_by_at_most_a_pixel(digits) -> None:
    x = digits.inputs[:, :50]
    moved = experiments.disturb(x, seed=1, noise=0.0)
    ways = torch.stack([x.roll(way, dims=(-2, -1)) for way in experiments.MOVES])
    assert (moved == ways).flatten(3).all(-1).any(0).all()
    assert not torch.equal(moved, x)
    noisy = experiments.disturb(x, seed=1)
    assert noisy.min() >= 0 and noisy.max() <= 1
    assert torch.equal(noisy, experiments.disturb(x, seed=1))
    assert not torch.equal(noisy, experiments.disturb(x, seed=2))


def test_half_of_the_digits_holds_no_digit_above_four(digits) -> None:
    x, y = digits.inputs, digits.labels
    half = experiments.half_of_the_digits(x, y, 200)
    assert half.shape == (2, 200, 1, 8, 8)
    for s in range(2):
        low = {row.numpy().tobytes() for row in x[s][y[s] <= 4]}
        assert all(row.numpy().tobytes() in low for row in half[s])


def test_copies_are_of_few_pictures(digits) -> None:
    copies = experiments.few_moved(digits.inputs, 40, few=20)
    assert copies.shape == (2, 40, 1, 8, 8)
    assert not torch.equal(copies[:, :20], copies[:, 20:])
    with pytest.raises(ValueError, match="few must divide count"):
        experiments.few_moved(digits.inputs, 50, few=20)


def test_patches_are_small_grey_pictures_and_differ_by_seed() -> None:
    patches = experiments.photo_patches(3, 10)
    assert patches.shape == (3, 10, 1, 8, 8)
    assert patches.min() >= 0 and patches.max() <= 1
    assert len({row.numpy().tobytes() for row in patches.flatten(0, 1)}) == 30
    assert torch.equal(patches, experiments.photo_patches(3, 10))


def test_texts_are_rows_of_length_one_with_their_class() -> None:
    texts = experiments.texts("quick")
    assert texts.rows.shape == (4000, 256) and len(texts.classes) == 7
    torch.testing.assert_close(texts.rows.norm(dim=1), torch.ones(4000))
    assert sorted(set(texts.labels.tolist())) == list(range(7))
    assert "counted words" in texts.source


def test_the_live_picture_has_one_size_and_says_its_numbers() -> None:
    few = render_kept([1] * 10, [0] * 10, threshold=0.9, n=20, teacher=60.0, rows={})
    rows = {"the 600": (51.0, 93.4), "in-sample": (0.0, float("nan"))}
    many = render_kept([0] * 9 + [40], [9] * 10, threshold=0.5, n=600, teacher=97.0, rows=rows)
    assert few.size == many.size if hasattr(few, "size") else True
    assert "keeps 51 %, 93.4 % of them right" in many.alt
    assert "keeps 0 %, none right or wrong" in many.alt


def test_each_drawing_can_be_drawn() -> None:
    for draw in (drawings.labelling, drawings.folds, drawings.rounds):
        assert draw().alt


def test_what_the_text_says_of_the_stored_rounds() -> None:
    """Three widths, two rounds, twelve seeds, none of the lesson's; the sign turns."""
    data = stored.load(FILE)
    settings, widths = data["settings"], data["widths"]
    assert list(widths) == ["64", "96", "128"] and settings["rounds"] == 2
    assert settings["seeds"] == 12 and settings["first_seed"] >= 12
    for runs in widths.values():
        assert [len(runs[name]) for name in ("plain", "noisy", "control")] == [3, 3, 1]
        assert {len(row) for rows in runs.values() for row in rows} == {12}
        assert runs["plain"][0] == runs["noisy"][0]
    gain = {
        int(width): torch.tensor(runs["noisy"][-1]) - torch.tensor(runs["plain"][-1])
        for width, runs in widths.items()
    }
    assert gain[64].mean() < gain[96].mean() < gain[128].mean()
    assert paired_interval(gain[128], gain[64]).low > 0
    assert paired_interval(gain[64], 0).high < 0 < paired_interval(gain[128], 0).low


def test_the_stored_rounds_follow_the_cells_of_the_notebook() -> None:
    """The lesson's own cells, with two seeds and few steps, give what the making gives."""
    cells = {c["id"]: "".join(c["source"]) for c in json.loads(NOTEBOOK.read_text())["cells"]}
    lesson = SimpleNamespace(pick=lambda quick, full: quick)
    names = {"torch": torch, "experiments": experiments, "lesson": lesson, "SEED": 0}
    names["MLP"], names["distill_seeds"] = MLP, distill_seeds
    exec(cells["data"].replace("quick=8", "quick=2"), names)
    names["STEPS"] = 26
    exec(cells["one-round"], names)
    exec(cells["self-training"], names)
    made = rounds_of_width(128, Recipe(first_seed=0, seeds=2, steps=26))
    for name in ("plain", "noisy"):
        lesson_rounds = [accuracy.tolist() for accuracy, _ in names["self_train"](name == "noisy")]
        ours, theirs = torch.tensor(lesson_rounds), torch.tensor(made[name])
        torch.testing.assert_close(ours, theirs, atol=1e-3, rtol=0)  # stored with 4 digits


@pytest.mark.slow
def test_the_making_gives_the_stored_rounds(tmp_path) -> None:
    """One width; rounding may differ on another processor."""
    torch.set_num_threads(1)
    made = make(Recipe(widths=(64,)), tmp_path / FILE)["widths"]["64"]
    kept = stored.load(FILE)["widths"]["64"]
    for name in ("plain", "noisy", "control"):
        ours, theirs = torch.tensor(made[name]).mean(1), torch.tensor(kept[name]).mean(1)
        torch.testing.assert_close(ours, theirs, atol=1.0, rtol=0)
