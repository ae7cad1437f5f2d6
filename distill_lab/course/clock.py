"""The time a kernel was at work: what a reader spends between the cells does not count."""

from __future__ import annotations

import time
from typing import Any

__all__ = ["busy_seconds"]


class Clock:
    """Adds up the seconds in which cells ran; without a kernel, all seconds.

    >>> clock = Clock()
    >>> clock.begin(100.0), clock.end(103.0), clock.begin(500.0)
    (None, None, None)
    >>> clock.read(501.5)
    4.5
    """

    def __init__(self) -> None:
        self._total = 0.0
        self._since: float | None = None

    def begin(self, now: float) -> None:
        """A cell starts."""
        self._since = now

    def end(self, now: float) -> None:
        """A cell ends."""
        if self._since is not None:
            self._total += now - self._since
        self._since = None

    def read(self, now: float) -> float:
        """The seconds so far, with those of the cell that runs."""
        return self._total + (0.0 if self._since is None else now - self._since)


_clock: Clock | None = None


def busy_seconds() -> float:
    """Read the seconds in which cells ran since this was first called.

    >>> busy_seconds() <= busy_seconds()
    True
    """
    global _clock
    now = time.perf_counter()
    if _clock is None:
        _clock = Clock()
        _clock.begin(now)
        _listen(_clock)
    return _clock.read(now)


def _listen(clock: Clock) -> None:
    try:
        from IPython import get_ipython
    except ImportError:
        return
    shell: Any = get_ipython()
    if shell is not None:
        shell.events.register("pre_run_cell", lambda info: clock.begin(time.perf_counter()))
        shell.events.register("post_run_cell", lambda result: clock.end(time.perf_counter()))
