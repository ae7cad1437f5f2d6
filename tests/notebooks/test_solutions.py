"""Every hidden solution is right by the lesson's own check, and every stub is blank."""

from pathlib import Path
from typing import Any

import nbformat
import pytest

from distill_lab.course import Lesson
from distill_lab.course.lint.anatomy import Exercise, exercises, tagged
from distill_lab.course.records import collect

LESSONS = sorted((Path(__file__).resolve().parents[2] / "notebooks").glob("*.ipynb"))
READ = {path.stem: nbformat.read(path, as_version=4) for path in LESSONS}
ALL = [
    pytest.param(name, exercise, id=f"{name}: {exercise.title}")
    for name, nb in READ.items()
    for exercise in exercises(nb)
]


def imported(nb: Any) -> dict[str, Any]:
    """A namespace with what the lesson's parameters and imports cells bring in."""
    namespace: dict[str, Any] = {}
    for tag in ("parameters", "imports"):
        for i in tagged(nb, tag):
            exec(nb.cells[i].source, namespace)
    return namespace


def state(name: str, code: str) -> tuple[str, list[str]]:
    """What the check says after this code in this lesson; the last record is the check's."""
    with collect() as records:
        Lesson(name)
        exec(code, imported(READ.get(name, MADE)))
    assert records and records[-1]["kind"] == "check", "no check was made"
    return records[-1]["state"], records[-1]["findings"]


@pytest.fixture(autouse=True)
def headless(monkeypatch):
    monkeypatch.setenv("DISTILL_LAB_HEADLESS", "1")


@pytest.mark.parametrize(("name", "exercise"), ALL)
def test_the_solution_is_right(name: str, exercise: Exercise) -> None:
    result, findings = state(name, f"{exercise.solution}\n{exercise.check_line}")
    assert result == "right", findings


@pytest.mark.parametrize(("name", "exercise"), ALL)
def test_the_stub_is_not_attempted_yet(name: str, exercise: Exercise) -> None:
    assert state(name, exercise.stub)[0] == "not attempted"


MADE = nbformat.v4.new_notebook(
    cells=[
        nbformat.v4.new_code_cell(
            "import torch\nfrom distill_lab.course import check", metadata={"tags": ["imports"]}
        )
    ]
)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("return torch.softmax(logits / T, -1)", "right"),
        ("return torch.softmax(logits * T, -1)", "wrong"),
        ("return np.exp(logits)", "wrong"),  # NameError: np is not in the imports cell
        ("...", "not attempted"),
    ],
)
def test_this_test_can_fail(body: str, expected: str) -> None:
    code = f"def my_soften(logits, T):\n    {body}\n\ncheck.soften(my_soften)"
    assert state("99_none", code)[0] == expected
