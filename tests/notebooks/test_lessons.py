"""Every lesson runs once through the course runner in `quick`: a test each, spread over workers."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from distill_lab.course import machine
from distill_lab.course.claim import CANNOT, FAILS, HOLDS, SEEDS
from distill_lab.course.command import run_course
from distill_lab.course.lab import browser
from tests.browser.barriers import in_another_process

LESSONS = sorted((Path(__file__).resolve().parents[2] / "notebooks").glob("*.ipynb"))


@pytest.fixture
def share_of_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many cores as each worker of these tests has to itself."""
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    monkeypatch.setenv(machine.CORES, str(max(1, machine.cores() // workers)))


@pytest.fixture(scope="module")
def barriers(root: Path) -> Iterator[Callable[[Path], list[str]]]:
    """What bars the way on a page; where no browser is, nothing that could be found."""
    if browser.missing():
        yield lambda page: []
    else:
        with in_another_process(root) as faults:
            yield faults


@pytest.mark.lesson
@pytest.mark.timeout(900)  # a lesson takes a minute, and several times that on a busy machine
@pytest.mark.usefixtures("share_of_the_cores")
@pytest.mark.parametrize("name", [path.stem for path in LESSONS])
def test_the_lesson_passes_and_its_claims_rest_on_enough_seeds(
    name: str, root: Path, tmp_path: Path, barriers: Callable[[Path], list[str]]
) -> None:
    path = root / "notebooks" / f"{name}.ipynb"
    run_course([str(path)], profile="quick", out=tmp_path, force=True)
    ledger = json.loads((tmp_path / "claims.json").read_text(encoding="utf-8"))
    entry = ledger["lessons"][name]
    assert entry["findings"] == []
    assert (entry["status"], entry["profile"]) == ("passed", "quick")
    for claim in ledger["claims"]:
        assert claim["verdict"] in (HOLDS, FAILS, CANNOT)
        assert claim["interval_kind"] == "exact" or claim["n"] >= SEEDS, claim["id"]
    assert barriers(tmp_path / f"{name}.html") == []
