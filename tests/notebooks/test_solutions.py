"""Every hidden solution is right by the lesson's own check, and every stub is blank."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
import pytest

from distill_lab.course.lint.anatomy import Exercise, exercises, tagged
from distill_lab.course.records import collect

LESSONS = sorted((Path(__file__).resolve().parents[2] / "notebooks").glob("*.ipynb"))
READ = {path: nbformat.read(path, as_version=4) for path in LESSONS}
ALL = [
    pytest.param(nb, exercise, id=f"{path.stem}: {exercise.title}")
    for path, nb in READ.items()
    for exercise in exercises(nb)
]


def imported(nb: Any) -> dict[str, Any]:
    """A namespace with what the lesson's parameters and imports cells bring in."""
    namespace: dict[str, Any] = {}
    for tag in ("parameters", "imports"):
        for i in tagged(nb, tag):
            exec(nb.cells[i].source, namespace)
    return namespace


def state(nb: Any, code: str) -> tuple[str, list[str]]:
    """What the check says after this code; the last record is the check's."""
    with collect() as records:
        exec(code, imported(nb))
    assert records and records[-1]["kind"] == "check", "no check was made"
    return records[-1]["state"], records[-1]["findings"]


@pytest.fixture(autouse=True)
def headless(monkeypatch):
    monkeypatch.setenv("DISTILL_LAB_HEADLESS", "1")


@pytest.mark.parametrize(("nb", "exercise"), ALL)
def test_the_solution_is_right(nb: Any, exercise: Exercise) -> None:
    said, findings = state(nb, f"{exercise.solution}\n{exercise.check_line}")
    assert said == "right", findings


@pytest.mark.parametrize(("nb", "exercise"), ALL)
def test_the_stub_is_not_attempted_yet(nb: Any, exercise: Exercise) -> None:
    assert state(nb, exercise.stub)[0] == "not attempted"


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
    assert state(MADE, code)[0] == expected
