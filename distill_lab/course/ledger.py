"""The ledger on disk: one JSON file with every lesson's last run and every claim it measured.

`claims.json` is `{"version": 1, "lessons": {name: entry}, "claims": [record, …]}`. A run of one
lesson replaces that lesson's part and leaves the others alone.
"""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

from distill_lab._util.io import locked, to_json, write_whole

VERSION = 1


def load(out: Path) -> dict[str, Any]:
    """The ledger in `out`; an absent or damaged one counts as empty, since a run can rebuild it."""
    with contextlib.suppress(OSError, ValueError):
        ledger = json.loads((out / "claims.json").read_text(encoding="utf-8"))
        if isinstance(ledger, dict) and ledger.get("version") == VERSION:
            return ledger
    return {"version": VERSION, "lessons": {}, "claims": []}


def store(out: Path, lesson: str, entry: dict[str, Any], claims: list[dict[str, Any]]) -> None:
    """Replace one lesson's entry and claims in the ledger of `out`."""
    with locked(out):
        ledger = load(out)
        ledger["lessons"] = dict(sorted({**ledger["lessons"], lesson: entry}.items()))
        others = [claim for claim in ledger["claims"] if claim.get("lesson") != lesson]
        own = [{**claim, "lesson": lesson} for claim in claims]
        ledger["claims"] = sorted([*others, *own], key=lambda claim: str(claim["lesson"]))
        write_whole(out / "claims.json", to_json(ledger).encode())


def prune(out: Path, keep: set[str]) -> None:
    """Forget lessons whose notebook is gone: `keep` are those of the course and those just run."""
    with locked(out):
        ledger = load(out)
        removed = {
            name
            for name, entry in ledger["lessons"].items()
            if name not in keep and entry.get("course", False)
        }
        if removed:
            ledger["lessons"] = {n: e for n, e in ledger["lessons"].items() if n not in removed}
            ledger["claims"] = [c for c in ledger["claims"] if c["lesson"] not in removed]
            write_whole(out / "claims.json", to_json(ledger).encode())
