"""What papermill lets through, found in the executed notebook and said in words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nbformat import NotebookNode

from distill_lab.course import executed
from distill_lab.course.shadows import WORDS, files_in_the_way
from distill_lab.course.wording import VERDICTS

ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


@dataclass(frozen=True)
class Finding:
    """One reason why a lesson did not pass: a short kind, and a sentence with cell and remedy."""

    kind: str
    sentence: str


@dataclass(frozen=True)
class Ending:
    """How the lesson's process ended, and in which cell (its index in the executed notebook).

    `how`: `completed`, `raised`, `cell time limit`, `lesson time limit`, `kernel died` or `broke`.
    """

    how: str
    index: int | None = None
    remark: str = ""
    limit: float | None = None


def place(nb: NotebookNode, cell: NotebookNode | None) -> str:
    """`cell 4 of 12 (id 3fa2, `loss = …`)`, counted in the author's notebook from 1."""
    if cell is None:
        return "a widget that no cell displays"
    own = executed.own_cells(nb)
    lines = [line.strip() for line in cell.source.splitlines() if line.strip()]
    first = lines[0] if lines else "empty"
    first = first if len(first) <= 60 else first[:59] + "…"
    numbers = [i for i, other in enumerate(own, 1) if other is cell]
    number = f"cell {numbers[0]} of {len(own)}" if numbers else "the injected parameters cell"
    return f"{number} (id {cell.get('id', 'none')}, `{first}`)"


def examine(
    nb: NotebookNode, ending: Ending, *, registered: list[str], profile: str, seed: int
) -> list[Finding]:
    """Every reason why this executed notebook does not pass; an empty list means that it does."""
    findings = [*_ended(nb, ending), *_cells(nb), *_widgets(nb), *_records(nb)]
    if ending.how == "completed" and not any(f.kind == "cell raised" for f in findings):
        # A lesson that stopped half-way misses its claims of course: one cause is enough.
        findings += [*_not_run(nb), *_claims(nb, registered)]
        findings += _opened_and_closed(nb, profile, seed)
    return list(dict.fromkeys(findings))


def explained(findings: list[Finding], folder: Path) -> list[Finding]:
    """Put before all others a file beside the lesson that hides a module; memory is then innocent.

    Args:
        findings: Why the lesson did not pass.
        folder: Where the lesson lies.
    """
    broken = {"cell raised", "kernel died", "process failed"}
    if not broken & {f.kind for f in findings} or not (names := files_in_the_way(folder)):
        return findings
    cause = Finding("file in the way", f"{', '.join(names)} beside the lesson {WORDS}.")
    blamed = "; most often memory ran out: close other programs, "
    rest = [
        Finding(f.kind, f.sentence.split(blamed)[0] + ", most likely for that.")
        if blamed in f.sentence
        else f
        for f in findings
    ]
    return [cause, *rest]


def _ended(nb: NotebookNode, ending: Ending) -> Iterator[Finding]:
    cell = nb.cells[ending.index] if ending.index is not None and nb.cells else None
    at = place(nb, cell) if cell is not None else "before the first cell"
    if ending.how == "cell time limit":
        yield Finding(
            ending.how,
            f"{at} did not finish within {ending.limit:g} s (papermill calls it completed): "
            "make the cell smaller for this profile, or move the long run behind a stored result.",
        )
    elif ending.how == "lesson time limit":
        yield Finding(
            ending.how,
            f"the lesson was stopped after {ending.limit:g} s in {at}: make it smaller for this "
            "profile, or give it longer with --timeout.",
        )
    elif ending.how == "kernel died":
        remark = f" Its last words: {ending.remark}" if ending.remark else ""
        yield Finding(
            ending.how,
            f"the kernel died in {at}; most often memory ran out: close other programs, "
            f"run fewer lessons at once with --jobs 1, or make the cell smaller.{remark}",
        )
    elif ending.how == "broke":
        yield Finding(
            "process failed",
            f"the process of the lesson ended badly in {at} ({ending.remark or 'no message'}): "
            "run `distill-lab doctor`, then this lesson again.",
        )


def _cells(nb: NotebookNode) -> Iterator[Finding]:
    for cell in nb.cells:
        tags = cell.metadata.get("tags", [])
        for output in cell.get("outputs", []):
            if output.output_type == "error" and "raises-exception" not in tags:
                yield Finding(
                    "cell raised",
                    f"{place(nb, cell)} raised {_error(output)}: mend the cell, or tag it "
                    "`raises-exception` if the error is what it teaches.",
                )
            text = output.get("text", "")
            if output.get("name") == "stderr" and text.strip() and "shows-warning" not in tags:
                yield Finding(
                    "warning",
                    f"{place(nb, cell)} wrote to stderr: “{_short(text)}”; remove the cause, "
                    "or tag the cell `shows-warning` if the warning is what it teaches.",
                )


def _widgets(nb: NotebookNode) -> Iterator[Finding]:
    for cell, output in executed.widget_outputs(nb):
        if output.get("output_type") == "error":
            yield Finding(
                "error in a widget callback",
                f"a callback of the widget in {place(nb, cell)} raised {_error(output)}; papermill "
                "passes over it: call the callback's function by hand in a cell to see it fail.",
            )
        elif output.get("name") == "stderr" and str(output.get("text", "")).strip():
            yield Finding(
                "warning",
                f"the widget in {place(nb, cell)} wrote to stderr: "
                f"“{_short(str(output['text']))}”; remove the cause.",
            )


def _records(nb: NotebookNode) -> Iterator[Finding]:
    for cell, record in executed.records(nb):
        kind, at = record.get("kind"), place(nb, cell)
        if kind == "expect" and record.get("ok") is not True:
            seen = f" (seen: {record['seen']})" if record.get("seen") not in (None, "") else ""
            yield Finding(
                "expect failed",
                f"“{record.get('text')}” is not so in {at}{seen}: mend the cell, or the sentence.",
            )
        elif kind == "check" and record.get("state") not in ("not attempted", "right"):
            why = (
                "; ".join(str(line) for line in record.get("findings", [])) or "no reason was given"
            )
            yield Finding(
                "exercise wrong",
                f"exercise “{record.get('exercise')}” in {at} is {record.get('state')} ({why}): "
                "leave it blank in the committed notebook, or put a right answer there.",
            )
        elif kind == "claim" and record.get("verdict") not in VERDICTS:
            yield Finding(
                "unknown verdict",
                f"claim {record.get('id')} in {at} says {record.get('verdict')!r}: expected one of "
                f"{', '.join(repr(verdict) for verdict in VERDICTS)}; let lesson.claim decide.",
            )


def _claims(nb: NotebookNode, registered: list[str]) -> Iterator[Finding]:
    shown = [str(record.get("id")) for record in executed.claims(nb)]
    for name in registered:
        if name not in shown:
            yield Finding(
                "claim missing",
                f"claim {name} is registered in the lesson's claims.toml, but no cell made it: "
                "end its cell with lesson.claim(…), or take it out of the file.",
            )
    for name in dict.fromkeys(shown):
        if name not in registered:
            yield Finding(
                "claim unregistered",
                f"claim {name} was shown, but the lesson's claims.toml does not register it: "
                "write its constants down there, before the run.",
            )
        if shown.count(name) > 1:
            yield Finding(
                "claim repeated",
                f"claim {name} was shown {shown.count(name)} times: give each an id of its own.",
            )


def _opened_and_closed(nb: NotebookNode, profile: str, seed: int) -> Iterator[Finding]:
    shown: list[dict[str, Any]] = [record for _, record in executed.records(nb)]
    opened = [record for record in shown if record.get("kind") == "lesson"]
    if not opened:
        yield Finding(
            "lesson not opened",
            "no cell made a Lesson: begin with lesson = Lesson(…, profile=PROFILE, seed=SEED).",
        )
    for record in opened:
        if (record.get("profile"), record.get("seed")) != (profile, seed):
            yield Finding(
                "wrong profile",
                f"expected profile {profile!r} and seed {seed}, but the lesson opened with "
                f"{record.get('profile')!r} and {record.get('seed')}: pass profile=PROFILE, "
                "seed=SEED to Lesson.",
            )
    if not any(record.get("kind") == "close" for record in shown):
        yield Finding(
            "lesson not closed",
            "no cell called lesson.close(): make it the last cell, to sum the claims up.",
        )


def _not_run(nb: NotebookNode) -> Iterator[Finding]:
    for cell in nb.cells:
        if cell.cell_type == "code" and cell.source.strip() and cell.execution_count is None:
            yield Finding(
                "cell not run",
                f"{place(nb, cell)} was never executed though the run completed: run it again.",
            )


def _error(output: Any) -> str:
    return f"{output.get('ename', 'an error')}: {_short(str(output.get('evalue', '')))}"


def _short(text: str, limit: int = 160) -> str:
    line = " ".join(ANSI.sub("", text).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"
