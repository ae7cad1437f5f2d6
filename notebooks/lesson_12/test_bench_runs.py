"""The function behind the workbench: paired, repeatable, and clear about a wrong teacher."""

from __future__ import annotations

import pytest
import torch

from distill_lab.data import datasets
from distill_lab.models import MLP
from distill_lab.seeds import distill_seeds
from lesson_12.bench_runs import EPOCHS, STEPS_AN_EPOCH, trainer
from lesson_12.scoreboard import Settings


@pytest.fixture(scope="module")
def train_once():
    train, test = datasets.load("digits").split(train=200, seeds=range(2))
    teachers = distill_seeds(
        lambda seed: MLP(64, 32, 10, seed=100 + seed), train, seeds=range(2), epochs=5
    )
    return trainer({"quick": teachers.logits(train.inputs)}, train, test)


def quiet(terms, step, steps):
    pass


def test_a_run_and_its_twin(train_once):
    heard = []
    run = train_once(Settings("quick", 8, 4.0, 0.9, 50), lambda *words: heard.append(words[1:]))
    assert len(run.curve) == len(run.baseline_curve) == EPOCHS
    assert run.curve[-1] == run.accuracy != run.baseline == run.baseline_curve[-1]
    steps = 2 * EPOCHS * STEPS_AN_EPOCH
    assert heard[0] == (1, steps) and heard[-1] == (steps, steps)


def test_the_twin_is_the_student_without_a_teacher(train_once):
    run = train_once(Settings("quick", 8, 4.0, 0.0, 50), quiet)
    assert run.curve == run.baseline_curve


@pytest.mark.slow
def test_the_same_settings_give_the_same_run_and_the_next_seed_another(train_once):
    first, again, other = (
        train_once(Settings("quick", 8, 4.0, 0.9, 50, seed=seed), quiet) for seed in (0, 0, 2)
    )
    assert first.curve == again.curve != other.curve


def test_an_unknown_teacher_and_answers_about_other_images_are_refused(train_once):
    with pytest.raises(ValueError, match="no teacher 'slow'; there are quick"):
        train_once(Settings("slow", 8, 4.0, 0.9, 50), quiet)
    train, test = datasets.load("digits").split(train=50, seeds=range(2))
    with pytest.raises(ValueError, match="got one of another shape"):
        trainer({"one": torch.zeros(1, 50, 10)}, train, test)
    with pytest.raises(ValueError, match="at least one teacher"):
        trainer({}, train, test)
