"""What surrounds a run: its own randomness, threads and modes, memory, one progress line."""

import ctypes
import os
import random
import struct
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from tqdm.std import tqdm

Values = dict[str, float]
Progress = bool | Callable[[Values, int, int], None] | None
LINE_AFTER = 1.0  # seconds after which a line appears that nobody asked for
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # as malloc.h of glibc numbers them
FILE_EVERY = 10.0  # seconds between two lines in a file, where none can be written over
Show = Callable[[Callable[[], Values], int, int], None]  # the values are read where they are shown


@contextmanager
def own_randomness(seed: int, device: torch.device | str = "cpu") -> Iterator[None]:
    """Seed the generators for a block and give the caller's state back afterwards.

    Torch's, and those of Python and NumPy, from which data are often augmented.

    Args:
        seed: of the block.
        device: whose generator is seeded as well, where it is a GPU.

    Yields:
        Nothing; what draws stands in the block.

    >>> before = torch.get_rng_state()
    >>> with own_randomness(0):
    ...     _ = torch.rand(3)
    >>> torch.equal(before, torch.get_rng_state())
    True
    """
    device = torch.device(device)
    cuda = [device] if device.type == "cuda" else []
    python, numpy = random.getstate(), _numpy().get_state() if "numpy" in sys.modules else None
    with torch.random.fork_rng(devices=cuda):
        if device.type == "cpu":
            torch.default_generator.manual_seed(seed)  # manual_seed would seed every GPU as well
        else:
            torch.manual_seed(seed)
        random.seed(f"distill_lab {seed}")  # of a number it would drop the sign
        if numpy is not None:
            _numpy().seed(seed % 2**32)
        try:
            yield
        finally:
            random.setstate(python)
            if numpy is not None:
                _numpy().set_state(numpy)


def generator_states() -> dict[str, Tensor]:
    """The states of Python's generator and NumPy's, as whole numbers: (n,) int64 by name.

    Tensors, so that a checkpoint can hold them. NumPy's only where the process has imported it,
    and it is the Mersenne Twister, as it is by default.
    """
    _, words, spare = random.getstate()
    states = {"python": torch.tensor([*words, spare is not None, _bits(spare or 0.0)])}
    if "numpy" in sys.modules:
        about = _numpy().get_state(legacy=False)
        if about["bit_generator"] == "MT19937":
            key, place = about["state"]["key"].tolist(), about["state"]["pos"]
            numbers = [*key, place, about["has_gauss"], _bits(about["gauss"])]
            states["numpy"] = torch.tensor(numbers)
    return states


def restore_generator_states(states: dict[str, Tensor]) -> None:
    """Put back what `generator_states` gave, as far as it is there."""
    if "python" in states:
        *words, has, spare = states["python"].tolist()
        random.setstate((3, tuple(words), _number(spare) if has else None))
    if "numpy" in states and "numpy" in sys.modules:
        *key, place, has, spare = states["numpy"].tolist()
        _numpy().set_state(("MT19937", key, place, has, _number(spare)))


def _numpy() -> Any:
    return sys.modules["numpy"].random


def _bits(number: float) -> int:
    return int.from_bytes(struct.pack("<d", number), "little", signed=True)


def _number(bits: int) -> float:
    number: float = struct.unpack("<d", bits.to_bytes(8, "little", signed=True))[0]
    return number


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
    parts = (part for module in modules if module is not None for part in module.modules())
    modes = {part: part.training for part in parts}
    try:
        yield
    finally:
        for part, mode in modes.items():
            if part.training != mode and type(part).train is not nn.Module.train:
                part.train(mode)  # where LeViT forgets what it computed of its weights in eval mode
            part.training = mode


@contextmanager
def memory_kept(device: torch.device) -> Iterator[None]:
    """Let the C library keep memory that a step frees for the step after it.

    All that a step on the CPU made is freed before the next begins. glibc gives what is free at the
    top of the heap back to the system, and has it filled with zeros again a moment later: a quarter
    of the time of a small ResNet's step. Holding the last step's tensors a little longer did not
    prevent it (125,000 to 230,000 page faults an epoch before and after; 2 with the thresholds).
    So in the block nothing is given back. Then the thresholds are those that glibc arrives at by
    itself in any process that frees a block of 32 MB. Its thresholds cannot be read; where the
    environment sets them, it decides.

    Args:
        device: that of the run; only on the CPU is there something to do.

    Yields:
        Nothing; the run stands in the block.
    """
    libc = ctypes.CDLL(None) if sys.platform == "linux" and device.type == "cpu" else None
    own = any("MALLOC_" in name or name == "GLIBC_TUNABLES" for name in os.environ)
    if libc is None or own or not hasattr(libc, "gnu_get_libc_version"):
        yield
        return
    libc.mallopt(_MMAP_THRESHOLD, 32 << 20)
    libc.mallopt(_TRIM_THRESHOLD, 2**31 - 1)
    try:
        yield
    finally:
        libc.mallopt(_TRIM_THRESHOLD, 64 << 20)


@contextmanager
def progress_line(
    progress: Progress, title: str, every: float = 0.2, unit: str = "step"
) -> Iterator[Show]:
    """Show values on one line of standard output, or hand them to a function, or stay quiet.

    Args:
        progress: True for the line, False for nothing, `progress(values, step, steps)`, or None
            for the line where somebody watches: a terminal or a notebook at work. It then appears
            after a second; one within another writes on the other's. In a file, which keeps all
            that is written, True gives a plain line every ten seconds, and one at the end.
        title: what the line begins with.
        every: seconds between two writings.
        unit: what is counted.

    Returns:
        A context that gives `show(read, step, steps)`; `read()` is called only where its values
        are shown.
    """
    if callable(progress):
        yield lambda read, step, steps: progress(read(), step, steps)
        return
    if progress is None and _watched():
        with _late_line(title, every, unit) as show_late:
            yield show_late
        return
    if not progress:
        yield lambda read, step, steps: None
        return
    if not _overwrites():
        yield _plain_lines(title, unit)
        return
    line = tqdm(desc=title, unit=unit, file=sys.stdout, mininterval=every, dynamic_ncols=True)
    written = 0.0

    def show(read: Callable[[], Values], step: int, steps: int) -> None:
        nonlocal written
        now = time.monotonic()
        if now - written < every and step != steps:
            return
        written, line.total = now, steps
        line.set_postfix_str(_as_text(read()), refresh=False)
        line.update(step - line.n)

    try:
        yield show
    finally:
        line.close()


def _watched() -> bool:
    """Whether somebody may be looking at standard output: a terminal, or a notebook at work.

    Not a file, not an arm whose output is kept for later, not a notebook that runs by itself.
    """
    if os.environ.get("DISTILL_LAB_HEADLESS") == "1":
        return False
    return _overwrites()


def _overwrites() -> bool:
    """Whether standard output goes where a line can be written over: a terminal or a notebook."""
    in_notebook = type(sys.stdout).__module__.startswith("ipykernel.")
    return in_notebook or sys.stdout.isatty()


def _plain_lines(title: str, unit: str) -> Show:
    began = time.monotonic()
    due = began + FILE_EVERY

    def show(read: Callable[[], Values], step: int, steps: int) -> None:
        nonlocal due
        now = time.monotonic()
        if now < due and step != steps:
            return
        due = now + FILE_EVERY
        parts = (f"{title}: {step}/{steps} {unit}s", f"{now - began:.0f} s", _as_text(read()))
        sys.stdout.write(", ".join(filter(None, parts)) + "\n")
        sys.stdout.flush()  # a file that is followed shows it at once

    return show


class _Line(tqdm):  # type: ignore[misc]
    """A line without tqdm's thread: a process that forks must not copy a lock that it holds."""

    monitor_interval = 0


_outer: list[Callable[[str], None]] = []  # the line that is open, if one is


@contextmanager
def _late_line(title: str, every: float, unit: str) -> Iterator[Show]:
    began = time.monotonic()
    due = began + LINE_AFTER
    line: _Line | None = None
    counted = (0, 0)

    def write(text: str) -> None:
        nonlocal line
        if line is None:
            line = _Line(desc=title, unit=unit, file=sys.stdout, dynamic_ncols=True, delay=1e9)
            line.delay, line.start_t = 0, line.start_t - (time.monotonic() - began)
        line.n, line.total = counted
        line.set_postfix_str(text, refresh=False)
        line.refresh()

    def show(read: Callable[[], Values], step: int, steps: int) -> None:
        nonlocal counted, due
        now, counted = time.monotonic(), (step, steps)
        if now < due and (line is None or step != steps):
            return
        due = now + every
        if _outer[:1] == [write]:
            write(_as_text(read()))
        else:
            _outer[0](f"{title} {step}/{steps}")

    _outer.append(write)
    try:
        yield show
    finally:
        _outer.remove(write)
        if line is not None:
            line.close()


def _as_text(values: Values) -> str:
    return ", ".join(f"{name} {value:.4f}" for name, value in values.items())
