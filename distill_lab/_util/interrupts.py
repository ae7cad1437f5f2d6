"""Ctrl-C and SIGTERM, which Slurm, Kubernetes and `kill` send: a wish to stop, and nothing torn."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Stop:
    """Whether somebody asked the run to end, and whether that was an interruption."""

    def __init__(self) -> None:
        self.asked = False
        self.interrupted = False

    def interrupt(self, signum: int, frame: FrameType | None) -> None:
        """First Ctrl-C or SIGTERM: end after the step at hand. Second: now."""
        if self.interrupted:
            raise KeyboardInterrupt
        self.asked = self.interrupted = True


@contextmanager
def stop_on_interrupt() -> Iterator[Stop]:
    """Turn Ctrl-C and SIGTERM into a wish to stop, so that no optimizer step is torn in half.

    SIGTERM is what Slurm, Kubernetes and `kill` send some time before they end a process.
    """
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop  # signals only ever reach the main thread
        return
    signals = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, stop.interrupt) for number in signals}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            # None: a handler that was not set from Python, and cannot be set again from here
            signal.signal(number, signal.SIG_DFL if handler is None else handler)


@contextmanager
def terminated_as_interrupted() -> Iterator[None]:
    """Let SIGTERM interrupt a block as Ctrl-C does, where nobody saves a step in hand meanwhile."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL if before is None else before)
