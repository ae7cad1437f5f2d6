"""What is shown while lessons run: live lines on a terminal, a few plain ones elsewhere."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TextIO

PLAIN_EVERY = 20.0  # seconds between two plain lines of one lesson
REDRAW_EVERY = 0.1


@dataclass
class _Line:
    began: float
    cell: str = "starting"
    heading: str = ""
    printed: float = 0.0


class Progress:
    """One line for each running lesson: name, time so far, the cell and the heading above it."""

    def __init__(
        self, stream: TextIO, names: list[str], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.stream = stream
        self.live = stream.isatty()
        self.clock = clock
        self.width = max((len(name) for name in names), default=0)
        self.lines: dict[str, _Line] = {}
        self._drawn = 0
        self._last_draw = -1.0

    def started(self, name: str) -> None:
        """A lesson's process starts."""
        self.lines[name] = _Line(self.clock(), printed=self.clock())
        if not self.live:
            self._print(f"{name:{self.width}}  started")
        self.draw(force=True)

    def cell(self, name: str, number: int, of: int, heading: str) -> None:
        """A lesson begins a cell."""
        line = self.lines[name]
        line.cell, line.heading = f"cell {number}/{of}", heading
        self.draw()

    def finished(self, name: str, text: str) -> None:
        """A lesson is done; its line stays."""
        self.lines.pop(name, None)
        self._erase()
        self._print(f"{name:{self.width}}  {text}")
        self.draw(force=True)

    def draw(self, *, force: bool = False) -> None:
        """Bring the shown lines up to date, not more often than an eye can follow."""
        now = self.clock()
        if not self.live:
            for name, line in self.lines.items():
                if now - line.printed >= PLAIN_EVERY:
                    line.printed = now
                    self._print(self._text(name, line, now))
            return
        if not force and now - self._last_draw < REDRAW_EVERY:
            return
        self._last_draw = now
        self._erase()
        width = shutil.get_terminal_size().columns - 1
        for name, line in self.lines.items():
            self._print(self._text(name, line, now)[:width])
        self._drawn = len(self.lines)

    def close(self) -> None:
        """Take the live lines away."""
        self._erase()
        self.lines.clear()

    def _text(self, name: str, line: _Line, now: float) -> str:
        text = f"{name:{self.width}}  {now - line.began:4.0f} s  {line.cell:<12} {line.heading}"
        return text.rstrip()

    def _erase(self) -> None:
        if self._drawn:
            self.stream.write(f"\x1b[{self._drawn}A\x1b[J")
            self._drawn = 0

    def _print(self, text: str) -> None:
        say(self.stream, text)


# What terminals without Unicode get instead; a minus that became `?` would be a wrong figure.
PLAIN_SIGNS = str.maketrans(
    {"−": "-", "–": "-", "→": "->", "±": "+/-", "×": "x", "²": "^2", "…": "...", "“": '"', "”": '"'}
)


def say(stream: TextIO, text: str) -> None:
    """Print a line; a sign that the terminal's encoding lacks becomes `?` instead of an error."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        text = text.translate(PLAIN_SIGNS).encode(encoding, "replace").decode(encoding)
    stream.write(text + "\n")
    stream.flush()
