"""Cells can be run again in any order: from the bottom up, figures and verdicts stay the same."""

import json
import os
import re
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from distill_lab.course.records import MIME
from tests.notebooks.small_lesson import code, small_lesson

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
LESSONS = sorted(path.stem for path in NOTEBOOKS.glob("*.ipynb"))
# What a record found, without the times in it, which no two runs share.
TIMES = re.compile(r"[\d.,]+(?= (?:times as fast|× as fast|ms\b|s\b|seconds?\b))")
FOUND = ("id", "text", "ok", "seen", "ours", "verdict", "interval", "answer", "why", "state")


def findings(cell: Any) -> Any:
    """What the records of a run cell found; an error is a finding, too."""
    facts = []
    for output in cell.outputs:
        if output.output_type == "error":
            facts.append({"error": f"{output.ename}: {output.evalue}"})
        record = output.get("data", {}).get(MIME, {})
        facts.append({key: record[key] for key in FOUND if key in record})
    return json.loads(
        TIMES.sub("…", json.dumps([fact for fact in facts if fact], ensure_ascii=False))
    )


def both_ways(nb: Any, folder: Path) -> dict[str, tuple[Any, Any]]:
    """Run every cell from the top, then once more from the bottom up, as a reader may in Lab.

    Returns:
        By cell id, what differs: the findings of the first run and of the second.
    """
    cells = [(i, cell) for i, cell in enumerate(nb.cells) if cell.cell_type == "code"]
    client = NotebookClient(
        nb,
        timeout=300,
        kernel_name="python3",
        allow_errors=True,
        resources={"metadata": {"path": str(folder)}},
    )
    with client.setup_kernel(env={**os.environ, "DISTILL_LAB_HEADLESS": "0"}):
        first = {cell.id: findings(client.execute_cell(cell, i)) for i, cell in cells}
        client.reset_execution_trackers()  # it would update displays that are there no more
        again = {cell.id: findings(client.execute_cell(cell, i)) for i, cell in cells[::-1]}
    return {id: (first[id], again[id]) for id in first if first[id] != again[id]}


# Each runs a lesson twice: `make test` tries the first lesson so, `make test-all` every one.
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.exhaustive if i else pytest.mark.lesson)
        for i, name in enumerate(LESSONS)
    ],
)
def test_from_the_bottom_up_a_lesson_finds_the_same(name: str) -> None:
    nb = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)
    assert both_ways(nb, NOTEBOOKS) == {}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("first", "later", "fault"),
    [
        ("x = T + 1\nlesson.expect('two', x == 2)", "for T in (1, 4):\n    pass", "'ok': False"),
        ("x = T + 1\nlesson.expect('two', x == 2)", "T = None", "TypeError"),
    ],
)
def test_a_name_that_is_used_twice_is_found(
    tmp_path: Path, first: str, later: str, fault: str
) -> None:
    nb = small_lesson()
    nb.cells = [*nb.cells[:4], code("T = 1"), code(first), code(later)]
    (changed,) = both_ways(nb, tmp_path).values()
    assert fault not in str(changed[0]) and fault in str(changed[1])
