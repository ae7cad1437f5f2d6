"""What surrounds the loop: its own randomness, a clean stop on Ctrl-C, one progress line."""

import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

import torch
from torch import nn
from tqdm.std import tqdm

from distill_lab._util.randomness import other_generators_seeded

Show = Callable[[dict[str, float], int, int], None]
Progress = bool | Callable[[dict[str, float], int, int], None]


@contextmanager
def own_randomness(seed: int, device: torch.device | str = "cpu") -> Iterator[None]:
    """Seed the generators for a block and give the caller's state back afterwards.

    Torch's, and those of Python and NumPy, from which data are often augmented.

    >>> before = torch.get_rng_state()
    >>> with own_randomness(0):
    ...     _ = torch.rand(3)
    >>> torch.equal(before, torch.get_rng_state())
    True
    """
    device = torch.device(device)
    cuda = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=cuda), other_generators_seeded(seed):
        torch.manual_seed(seed)
        yield


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Let torch use so many threads in a block, and threads that begin in it as well.

    >>> before = torch.get_num_threads()
    >>> with torch_threads(1):
    ...     torch.get_num_threads()
    1
    >>> torch.get_num_threads() == before
    True
    """
    usual = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(usual)


@contextmanager
def modes_kept(*modules: nn.Module | None) -> Iterator[None]:
    """Give every submodule its training or eval mode back after a block.

    >>> net = nn.Sequential(nn.Linear(2, 2), nn.Dropout()).train()
    >>> with modes_kept(net):
    ...     _ = net.eval()
    >>> net[1].training
    True
    """
    modes = {part: part.training for module in modules if module for part in module.modules()}
    try:
        yield
    finally:
        for part, mode in modes.items():
            part.training = mode


class Stop:
    """Whether somebody asked the run to end, and whether that was an interruption."""

    def __init__(self) -> None:
        self.asked = False
        self.interrupted = False

    def interrupt(self, signum: int, frame: FrameType | None) -> None:
        """First Ctrl-C: end after the step at hand. Second: now."""
        if self.interrupted:
            raise KeyboardInterrupt
        self.asked = self.interrupted = True


@contextmanager
def stop_on_interrupt() -> Iterator[Stop]:
    """Turn Ctrl-C into a wish to stop, so that no optimiser step is torn in half."""
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop  # signals only ever reach the main thread
        return
    before = signal.signal(signal.SIGINT, stop.interrupt)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def progress_line(
    progress: Progress, title: str, every: float = 0.2, unit: str = "step"
) -> Iterator[Show]:
    """Show the terms on one line of standard output, or hand them to a callable, or stay quiet."""
    if callable(progress):
        yield progress
        return
    if not progress:
        yield lambda values, step, steps: None
        return
    line = tqdm(desc=title, unit=unit, file=sys.stdout, mininterval=every, dynamic_ncols=True)
    written = 0.0

    def show(values: dict[str, float], step: int, steps: int) -> None:
        nonlocal written
        now = time.monotonic()
        if now - written < every and step != steps:
            return
        written, line.total = now, steps
        line.set_postfix_str(", ".join(f"{k} {v:.4f}" for k, v in values.items()), refresh=False)
        line.update(step - line.n)

    try:
        yield show
    finally:
        line.close()
