"""Every lesson runs through the course runner in `quick`, and its claims rest on enough seeds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from distill_lab.course.claim import CANNOT, FAILS, HOLDS, SEEDS
from distill_lab.course.runner import run_lessons

LESSONS = sorted((Path(__file__).resolve().parents[2] / "notebooks").glob("*.ipynb"))
NAMES = [path.stem for path in LESSONS]


@pytest.fixture(scope="session")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The claims ledger of one run of the whole course; failures are told lesson by lesson."""
    out = tmp_path_factory.mktemp("course")
    run_lessons([str(path) for path in LESSONS], profile="quick", out=out, force=True)
    return json.loads((out / "claims.json").read_text(encoding="utf-8"))


@pytest.mark.timeout(1500)  # the first test waits for the run of all lessons
@pytest.mark.parametrize("name", NAMES)
def test_the_lesson_passes(ledger: dict[str, Any], name: str) -> None:
    entry = ledger["lessons"][name]
    assert entry["findings"] == []
    assert (entry["status"], entry["profile"]) == ("passed", "quick")


@pytest.mark.timeout(1500)
@pytest.mark.parametrize("name", NAMES)
def test_its_claims_rest_on_enough_seeds(ledger: dict[str, Any], name: str) -> None:
    for claim in (c for c in ledger["claims"] if c["lesson"] == name):
        assert claim["verdict"] in (HOLDS, FAILS, CANNOT)
        assert claim["interval_kind"] == "exact" or claim["n"] >= SEEDS, claim["id"]
