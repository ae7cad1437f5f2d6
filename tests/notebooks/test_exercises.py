"""What holds for every exercise of every lesson: a blank, each known mistake, each promise."""

import re
from pathlib import Path

import nbformat
import pytest
import torch

from distill_lab.course.check import lesson_exercises, shared
from distill_lab.course.check.examine import examine

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
FOLDERS = sorted(NOTEBOOKS.glob("lesson_*"))
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


@pytest.mark.parametrize("path", sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda path: path.stem)
def test_a_mistake_that_a_lesson_quotes_is_one_that_check_names(path):
    exercises = shared.EXERCISES | lesson_exercises(NOTEBOOKS / f"lesson_{path.stem[:2]}")
    names = [
        name
        for exercise in exercises.values()
        for name in (
            *(mistake.sentence for mistake in exercise.mistakes),
            *(promise.mistake for promise in exercise.invariances),
        )
    ]
    cells = nbformat.read(path, as_version=4).cells
    text = " ".join(cell.source for cell in cells if cell.cell_type == "markdown")
    for quoted in re.findall(r'\*"([^"*]+)"\??\*', " ".join(text.split())):
        assert any(quoted.casefold() in name.casefold() for name in names), quoted
