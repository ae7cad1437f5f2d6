"""A small ledger for the tests of ledger and pages."""

from pathlib import Path
from typing import Any

from distill_lab.course import ledger

ENTRY = {
    "title": "Soft targets",
    "number": "11",
    "minutes": 45,
    "can_do": [],
    "course": True,
    "status": "passed",
    "when": "2026-01-02 03:04",
    "seconds": 9.0,
    "profile": "quick",
    "seed": 0,
    "fingerprint": "f",
    "findings": [],
}


def record(name: str, verdict: str = "holds", **more: Any) -> dict[str, Any]:
    return {
        "kind": "claim",
        "id": name,
        "says": f"what {name} says, in a sentence that is long enough to need a second line",
        "paper": "Hinton, Vinyals & Dean 2015",
        "where": "section 3",
        "published": "13.2 %",
        "ours": "11.9 %",
        "unit": "points",
        "mean": -2.5,
        "low": -4.0,
        "high": -1.0,
        "interval_kind": "paired Student-t, 95 %",
        "n": 10,
        "wins": 9,
        "verdict": verdict,
        "expected": "above",
        "threshold": 0.0,
        "finding": f"what {name} says, in a sentence that is long enough to need a second line",
        "limit": False,
        "negative": False,
        "seconds": 3.0,
        **more,
    }


def fill(out: Path) -> None:
    ledger.store(out, "11_soft", ENTRY, [record("11.a"), record("11.b", "cannot be resolved here")])
    entry = {**ENTRY, "title": "Temperature", "number": "12", "status": "failed"}
    ledger.store(out, "12_temp", entry, [record("12.a", "does not hold here", limit=True)])
