"""What holds for every exercise of every lesson: a blank, each known mistake, each promise."""

from pathlib import Path

import pytest
import torch

from distill_lab.course.check import lesson_exercises, shared
from distill_lab.course.check.examine import examine

FOLDERS = sorted((Path(__file__).resolve().parents[2] / "notebooks").glob("lesson_*"))
EXERCISES = {
    f"{folder.name}: {name}": exercise
    for folder in FOLDERS
    for name, exercise in lesson_exercises(folder).items()
} | shared.EXERCISES


@pytest.mark.parametrize("name", EXERCISES)
def test_a_blank_is_not_attempted(name):
    def raising(*args):
        raise NotImplementedError

    def dots(*args): ...

    def documented(*args):
        """Say what it does."""

    def half_done(*args):
        return ... + 1

    for blank in (dots, documented, raising, half_done, lambda *args: ..., None, ...):
        assert examine(EXERCISES[name], blank).state == "not attempted"


@pytest.mark.parametrize("name", EXERCISES)
def test_five_plausible_mistakes_or_more_are_known(name):
    assert len(EXERCISES[name].mistakes) >= 5


@pytest.mark.parametrize(
    ("name", "i"), [(name, i) for name, e in EXERCISES.items() for i in range(len(e.mistakes))]
)
def test_a_known_mistake_is_named(name, i):
    """By its own name: where two wrong versions share a name, the sentence may be either's."""
    mistake = EXERCISES[name].mistakes[i]
    report = examine(EXERCISES[name], lambda *args: mistake.variant(*args))
    assert report.state == "wrong"
    assert report.mistake == mistake.name
    assert report.findings[0].startswith(f"Likely: {mistake.name}")


@pytest.mark.parametrize(
    ("name", "i"), [(name, i) for name, e in EXERCISES.items() for i in range(len(e.invariances))]
)
def test_every_invariance_can_break(name, i):
    """A function that gives back noise of the right shape keeps no promise that compares values."""
    exercise = EXERCISES[name]
    generator = torch.Generator().manual_seed(0)

    def noise(*args):
        like = torch.as_tensor(exercise.reference(*args)).float()
        return (
            like * torch.nan if "finite" in words else torch.rand(like.shape, generator=generator)
        )

    words = exercise.invariances[i].words
    assert not exercise.invariances[i].kept(noise)
