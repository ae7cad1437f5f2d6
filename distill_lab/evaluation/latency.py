"""How long an answer takes: each model alone, and several in turn."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from distill_lab.evaluation.runnable import Runnable, example_count

__all__ = [
    "Latency",
    "SpeedUp",
    "as_latency",
    "measure_latency",
    "speed_up",
    "time_in_blocks",
    "time_in_turn",
]

STRETCHES = 5  # of the run, in which two models are held against each other
BLOCK = 15  # timed calls of one model in a row
# The first calls of a block are not counted: they fetch back what another model drove from the
# caches. Two megabytes of weights took 30 calls of 0.06 ms until each call took the same.
REFILL, REFILL_MS = 5, 3.0  # calls, and milliseconds: whichever lasts longer

Calls = dict[str, tuple[Callable[[], Any], torch.device | None]]


@dataclass(frozen=True)
class Latency:
    """How long a call takes, and how many examples a second that makes.

    Args:
        p50_ms: the median call, in milliseconds.
        p95_ms: the 95th percentile, in milliseconds.
        throughput: examples a second: batch / median.
        batch: examples a call.
        runs: how many calls were timed.
    """

    p50_ms: float
    p95_ms: float
    throughput: float
    batch: int
    runs: int

    def __str__(self) -> str:
        return f"{self.p50_ms:.3f} ms (p95 {self.p95_ms:.3f} ms), {self.throughput:,.0f} a second"


@dataclass(frozen=True)
class SpeedUp:
    """How many times faster than a reference: the middle, smallest and largest of some ratios.

    One ratio for each of `blocks` stretches of the run: the reference's median latency over this
    model's, both measured in turn in that stretch. Far apart, they say that the clock was not calm.

    Args:
        low: the smallest ratio.
        median: the middle one.
        high: the largest.
        blocks: how many ratios there are.

    >>> print(SpeedUp(1.4, 1.5, 1.7, blocks=5))
    1.50x (1.40-1.70)
    """

    low: float
    median: float
    high: float
    blocks: int

    def __str__(self) -> str:
        return f"{self.median:.2f}x ({self.low:.2f}-{self.high:.2f})"


def measure_latency(model: Any, inputs: Any, runs: int = 200, warmup: int = 20) -> Latency:
    """Time calls of a model in eval mode.

    On a GPU each call is timed until it is done. Compare models by `compare`, which lets their
    blocks of calls alternate.

    Args:
        model: the network, or a function, a `torch.export`ed program, an ONNX session.
        inputs: examples (N, ...), or a dict of them, all of which go into every call: `x[:1]` gives
            the time of one.
        runs: how many calls are timed.
        warmup: how many untimed calls come before them.

    Returns:
        Median and 95th percentile in milliseconds, and examples a second.

    Raises:
        TypeError: for what is no network.
        ValueError: for no inputs, or fewer than two runs.

    >>> measure_latency(torch.nn.Linear(4, 3), torch.rand(8, 4), runs=5, warmup=1).batch
    8
    """
    times = time_in_turn({"model": model}, inputs, runs=runs, warmup=warmup)
    return as_latency(times["model"], example_count(inputs))


def time_in_turn(
    models: Mapping[str, Any], inputs: Any, *, runs: int, warmup: int
) -> dict[str, Tensor]:
    """Time calls of several models in turn; a round calls every model once.

    In turn, so that a machine that slows down slows all of them. Who begins changes from round to
    round, so that none always follows the same one into its caches. A small model then finds the
    caches as the large one left them: `time_in_blocks` gives the time that it takes alone.

    Args:
        models: name -> model, in any form that `Runnable` takes.
        inputs: examples (N, ...), or a dict of them, all of which go into every call.
        runs: how many rounds are timed.
        warmup: how many untimed rounds come before them.

    Returns:
        name -> milliseconds (runs,).

    Raises:
        ValueError: for no inputs, or fewer than two runs.
    """
    with _ready(models, inputs, runs, warmup) as calls:
        times: dict[str, list[float]] = {name: [] for name in calls}
        for number in range(warmup + runs):
            for name, call in _rotated(calls, number):
                times[name].append(_timed(*call))
    return {name: torch.tensor(t[warmup:], dtype=torch.float64) for name, t in times.items()}


def time_in_blocks(
    models: Mapping[str, Any], inputs: Any, *, runs: int, warmup: int
) -> dict[str, Tensor]:
    """Time calls of several models in interleaved blocks, so that each has its caches to itself.

    A block is `BLOCK` counted calls of one model in a row, and before them at least `REFILL` calls
    and `REFILL_MS` that are not. The blocks of the models alternate, so that a machine that slows
    down slows all of them; who begins changes from round to round.

    Args:
        models: name -> model, in any form that `Runnable` takes.
        inputs: examples (N, ...), or a dict of them, all of which go into every call.
        runs: how many calls of each model are timed.
        warmup: how many untimed calls of each come before the first block.

    Returns:
        name -> milliseconds (runs,).

    Raises:
        ValueError: for no inputs, or fewer than two runs.
    """
    with _ready(models, inputs, runs, warmup) as calls:
        times: dict[str, list[float]] = {name: [] for name in calls}
        for call in calls.values():
            for _ in range(warmup):
                _timed(*call)
        for number, first in enumerate(range(0, runs, BLOCK)):
            counted = min(BLOCK, runs - first)
            for name, call in _rotated(calls, number):
                if len(calls) > 1:
                    _refill(*call)
                times[name] += [_timed(*call) for _ in range(counted)]
    return {name: torch.tensor(t, dtype=torch.float64) for name, t in times.items()}


def _refill(call: Callable[[], Any], gpu: torch.device | None) -> None:
    """Call until the caches are the model's own."""
    count, spent = 0, 0.0
    while count < REFILL or spent < REFILL_MS:
        spent += _timed(call, gpu)
        count += 1


@contextmanager
def _ready(models: Mapping[str, Any], inputs: Any, runs: int, warmup: int) -> Iterator[Calls]:
    if runs < 2 or warmup < 0:
        raise ValueError(f"expected runs >= 2 and warmup >= 0; got {runs} and {warmup}.")
    if example_count(inputs) == 0:
        raise ValueError("there are no inputs: expected at least one example.")
    with ExitStack() as modes:
        calls: Calls = {}
        for name, model in models.items():
            runnable = model if isinstance(model, Runnable) else Runnable(model)
            modes.enter_context(runnable.evaluating())
            gpu = runnable.device if runnable.device and runnable.device.type == "cuda" else None
            calls[name] = (runnable.prepared(inputs), gpu)
        yield calls


def _rotated(calls: Calls, number: int) -> list[tuple[str, Any]]:
    """The calls in their order, each the first once in as many rounds as there are."""
    items = list(calls.items())
    # Of two, the one that began second would begin the next round: behind itself, caches full.
    first = number % len(items) if len(items) > 2 else 0
    return items[first:] + items[:first]


def _timed(call: Callable[[], Any], gpu: torch.device | None) -> float:
    """Milliseconds of one call; on a GPU until it is done."""
    start = time.perf_counter()
    call()
    if gpu is not None:
        torch.cuda.synchronize(gpu)
    return 1000 * (time.perf_counter() - start)


def as_latency(times: Tensor, batch: int) -> Latency:
    """What a row of milliseconds (runs,) amounts to."""
    p50, p95 = times.quantile(torch.tensor([0.5, 0.95], dtype=times.dtype)).tolist()
    return Latency(p50, p95, 1000 * batch / p50, batch=batch, runs=len(times))


def speed_up(reference: Tensor, times: Tensor) -> SpeedUp:
    """How many times faster than the reference, from two rows of calls made in turn.

    Args:
        reference: milliseconds (runs,) of the reference's calls.
        times: milliseconds (runs,) of this model's.

    Returns:
        The ratio of the medians in each stretch of the run: smallest, middle and largest.

    >>> speed_up(torch.tensor([6.0, 6, 9, 9]), torch.tensor([3.0, 3, 3, 3]))
    SpeedUp(low=2.0, median=2.5, high=3.0, blocks=2)
    """
    # Two calls a block at least; single calls would let one hiccup set the extremes.
    blocks = max(1, min(STRETCHES, len(times) // 2))
    pairs = zip(reference.tensor_split(blocks), times.tensor_split(blocks), strict=True)
    ratios = torch.stack([a.quantile(0.5) / b.quantile(0.5) for a, b in pairs])
    low, median, high = (ratios.quantile(q).item() for q in (0.0, 0.5, 1.0))
    return SpeedUp(low, median, high, blocks)
