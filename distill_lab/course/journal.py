"""What a reader has done, one line an event, in `journal.jsonl` beside the reader's own copy.

A line is handed to the system by one write under a lock, so a kernel may be killed at any moment
and two tabs may write at once. A line that was cut short (a full disk, a power failure) is closed
by the next write, left out by readers, and counted. Nothing is ever changed or removed.

The events, each with `time` and `lesson`:

    opened, closed      a lesson
    choice              a button of a prediction: id, choice
    prediction          its outcome: id, question, choice, answer, right, misjudged, why
    attempt             at an exercise: exercise, state, mistake
    recalled            a question on an earlier lesson: id, right
    start-again         the lesson's predictions are asked afresh
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from distill_lab._util.jsonl import is_object, line_of
from distill_lab.course.records import in_kernel

__all__ = ["COPY", "Log", "append", "headless", "journal_path", "note", "read"]

Event = dict[str, Any]
COPY = ".distill-lab.json"  # lies in a reader's own copy, and says what it was made from
NAME = "journal.jsonl"
LOCK_SECONDS = 10.0


def headless() -> bool:
    """Whether nobody is there to answer: `DISTILL_LAB_HEADLESS=1`, or no kernel."""
    return os.environ.get("DISTILL_LAB_HEADLESS") == "1" or not in_kernel()


def journal_path() -> Path | None:
    """Name the journal: $DISTILL_LAB_JOURNAL, else in the own copy that the notebook lies in."""
    if named := os.environ.get("DISTILL_LAB_JOURNAL"):
        return Path(named)
    here = Path.cwd()
    return next((at / NAME for at in (here, *here.parents) if (at / COPY).is_file()), None)


def note(event: str, lesson: str, **facts: Any) -> None:
    """Write an event into the reader's journal; where nobody reads or no journal is, nothing.

    A lesson never stops because of its journal: what the disk refuses is said once, on stderr.
    """
    path = None if headless() else journal_path()
    if path is None:
        return
    try:
        append(path, {"event": event, "lesson": lesson, **facts})
    except (OSError, Timeout) as error:
        print(f"The journal {path} could not be written ({error}).", file=sys.stderr)


def append(path: Path, event: Event) -> None:
    """Append one event, stamped with the time.

    Args:
        path: The journal; it is made where there is none.
        event: What happened: plain numbers and texts.

    Raises:
        OSError: If the disk refuses, or writes a part of the line only.
        Timeout: If another process held the lock for too long.
    """
    stamped = {"time": datetime.now(UTC).isoformat(timespec="seconds"), **event}
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_name(f".{path.name}.lock"), timeout=LOCK_SECONDS):
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0))
        try:
            size = os.lseek(file, 0, os.SEEK_END)
            if size:
                os.lseek(file, size - 1, os.SEEK_SET)
            torn = size > 0 and os.read(file, 1) != b"\n"
            line = (b"\n" if torn else b"") + line_of(stamped)
            if os.write(file, line) < len(line):
                raise OSError(f"the disk took only a part of a line of {len(line)} bytes")
        finally:
            os.close(file)


@dataclass(frozen=True)
class Log:
    """The events of a journal in their order, and how many lines were cut short."""

    events: tuple[Event, ...] = ()
    torn: int = 0

    def answer(self, id: str) -> tuple[str, bool] | None:
        """Find the choice of a prediction, and whether its outcome was shown.

        >>> choice = {"event": "choice", "lesson": "11", "id": "11.a", "choice": "falls"}
        >>> Log((choice,)).answer("11.a")
        ('falls', False)
        """
        chosen: tuple[str, bool] | None = None
        for event in self.events:
            if event["event"] == "start-again" and event["lesson"] == id[:2]:
                chosen = None
            elif event.get("id") == id and "choice" in event and not (chosen and chosen[1]):
                chosen = str(event["choice"]), event["event"] == "prediction"
        return chosen


def read(path: Path | None) -> Log:
    """Read a journal; no file is an empty one."""
    if path is None or not path.is_file():
        return Log()
    lines = [line for line in path.read_bytes().split(b"\n") if line.strip()]
    complete = [json.loads(line) for line in lines if is_object(line)]
    events = [event for event in complete if {"event", "lesson"} <= event.keys()]
    return Log(tuple(events), len(lines) - len(events))
