"""The claims ledger on a terminal: each claim, the paper's figure, ours, and the verdict."""

from __future__ import annotations

import json
import re
import shutil
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from distill_lab._util.io import to_json
from distill_lab.course.ledger import load
from distill_lab.course.lessons import DEFAULT_OUT, RunnerError, find_root, resolve_out
from distill_lab.course.runner.progress import say
from distill_lab.course.wording import count_words, duration, interval, wins

GAP = "  "


def print_claims(
    out: str | Path = DEFAULT_OUT, as_json: bool = False, *, stream: TextIO | None = None
) -> int:
    """Print the ledger as a table or as JSON; 1, with a sentence, when there is none yet."""
    try:
        root = find_root()
    except RunnerError:
        root = None
    stream = stream or sys.stdout
    folder = resolve_out(out, root)
    ledger = load(folder)
    if not ledger["lessons"]:
        say(
            sys.stderr,
            f"Expected a claims ledger in {folder}, but there is none yet: run `make course`, or "
            "`distill-lab run`, and ask again.",
        )
        return 1
    if as_json:
        encoding = (getattr(stream, "encoding", None) or "utf-8").lower()
        stream.write(to_json(ledger) if "utf" in encoding else json.dumps(ledger, indent=1) + "\n")
        return 0
    width = min(max(shutil.get_terminal_size((100, 24)).columns, 76), 150)
    for name, entry in ledger["lessons"].items():
        claims = [claim for claim in ledger["claims"] if claim["lesson"] == name]
        for line in _lesson(name, entry, claims, width):
            say(stream, line)
    say(stream, count_words(ledger["claims"]) or "No lesson has made a claim yet.")
    return 0


def _lesson(
    name: str, entry: dict[str, Any], claims: list[dict[str, Any]], width: int
) -> Iterator[str]:
    title = f"{entry.get('number') or ''} {entry['title']}".strip()
    how = f"({entry['profile']}, seed {entry['seed']}, {entry['when']})"
    yield from textwrap.wrap(f"{title}  {how}", width)
    yield "=" * width
    if entry["status"] != "passed":
        caution = f"{name} did not pass: take what it measured with that caution."
        yield from textwrap.wrap(caution, width)
    if not claims:
        yield "no claims\n"
        return
    rest = width - 12 - 8 - 4 * len(GAP)
    part = rest // 3
    widths = [12, rest - 2 * part, part, part, 8]
    yield from _row(["VERDICT", "FOUND", "IN THE PAPER", "HERE", "SEEDS"], widths)
    for claim in claims:
        yield "-" * width
        mark = " [a limit]" if claim.get("limit") else ""
        cells = [
            str(claim.get("verdict")),
            f"{claim.get('finding') or claim.get('says')}{mark}\n"
            f"{claim.get('id')} {duration(claim.get('seconds'))}",
            f"{claim.get('published')}\n{claim.get('paper')}, {claim.get('where')}",
            f"{claim.get('ours')}\n{_unbroken(interval(claim))}\n{_unbroken(claim.get('interval_kind'))}",
            wins(claim),
        ]
        yield from _row(cells, widths)
    yield ""


def _row(cells: list[str], widths: list[int]) -> Iterator[str]:
    """Lines of one row; every piece of a cell begins on a line of its own."""
    columns = [
        [
            line
            for piece in cell.split("\n")
            for line in textwrap.wrap(piece, width, break_on_hyphens=False) or [""]
        ]
        for cell, width in zip(cells, widths, strict=True)
    ]
    for i in range(max(len(column) for column in columns)):
        line = [
            (column[i] if i < len(column) else "").ljust(width)
            for column, width in zip(columns, widths, strict=True)
        ]
        yield GAP.join(line).rstrip().replace("\xa0", " ")


def _unbroken(text: Any) -> str:
    """Keep `[low, high]` and `95 %` on one line: textwrap does not break at a no-break space."""
    return re.sub(
        r",\s(?=[-\d.n/a]+\])|\s(?=%)", lambda gap: gap[0].replace(" ", "\xa0"), str(text)
    )
