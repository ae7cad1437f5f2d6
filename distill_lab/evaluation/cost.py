"""What a model costs to keep and to ask: parameters, bytes, milliseconds."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn

from distill_lab.evaluation.predictions import as_module, evaluating

__all__ = ["Latency", "SpeedUp", "count_parameters", "measure_latency", "size_on_disk"]

BLOCKS = 5  # stretches of the run in which two models are held against each other


@dataclass(frozen=True)
class Latency:
    """Milliseconds a call takes (median, and the 95th percentile), and examples a second.

    `batch` examples a call; `throughput` = batch / median.
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

    >>> print(SpeedUp(1.4, 1.5, 1.7, blocks=5))
    1.50x (1.40-1.70)
    """

    low: float
    median: float
    high: float
    blocks: int

    def __str__(self) -> str:
        return f"{self.median:.2f}x ({self.low:.2f}-{self.high:.2f})"


def count_parameters(model: Any) -> int:
    """How many numbers training can set; a tensor that two layers share counts once.

    >>> count_parameters(torch.nn.Linear(64, 10))
    650
    """
    return sum(p.numel() for p in as_module(model).parameters())


def size_on_disk(model: Any) -> int:
    """Bytes of the model as a safetensors file: parameters, buffers and header, shared ones once.

    >>> 4 * 650 < size_on_disk(torch.nn.Linear(64, 10)) < 4 * 650 + 200
    True
    """
    seen, tensors = set(), {}
    for name, value in as_module(model).state_dict().items():
        place = (value.data_ptr(), value.dtype, value.shape, value.stride())
        if value.numel() == 0 or place not in seen:
            seen.add(place)
            tensors[name] = value.contiguous().cpu()
    return len(safetensors.torch.save(tensors))


def measure_latency(model: Any, inputs: Tensor, runs: int = 200, warmup: int = 20) -> Latency:
    """Time `runs` calls of the model on `inputs`, in eval mode, after `warmup` calls untimed.

    All of `inputs` goes into every call: pass `x[:1]` for the latency of one example. On a GPU each
    call is timed until it is done. Compare models by `compare`, which asks them in turn.

    >>> measure_latency(torch.nn.Linear(4, 3), torch.rand(8, 4), runs=5, warmup=1).batch
    8
    """
    times = time_in_turn({"model": as_module(model)}, inputs, runs=runs, warmup=warmup)
    return as_latency(times["model"], len(inputs))


def time_in_turn(
    models: Mapping[str, nn.Module], inputs: Tensor, *, runs: int, warmup: int
) -> dict[str, Tensor]:
    """Milliseconds of each call, (runs,) a model; a round asks every model once.

    In turn, so that a machine that slows down slows all of them. Who begins changes from round to
    round, so that none always follows the same one into its caches.
    """
    if runs < 2 or warmup < 0:
        raise ValueError(f"expected runs >= 2 and warmup >= 0; got {runs} and {warmup}.")
    if len(inputs) == 0:
        raise ValueError("there are no inputs: expected at least one example.")
    ready = [(name, model, on_its_device(model, inputs)) for name, model in models.items()]
    times: dict[str, list[float]] = {name: [] for name in models}
    with ExitStack() as modes:
        for model in models.values():
            modes.enter_context(evaluating(model))
        for number in range(warmup + runs):
            first = number % max(len(ready), 1)
            for name, model, x in ready[first:] + ready[:first]:
                start = time.perf_counter()
                model(x)
                if x.is_cuda:
                    torch.cuda.synchronize(x.device)
                times[name].append(1000 * (time.perf_counter() - start))
    return {name: torch.tensor(t[warmup:], dtype=torch.float64) for name, t in times.items()}


def as_latency(times: Tensor, batch: int) -> Latency:
    """What a row of milliseconds (runs,) amounts to."""
    p50, p95 = times.quantile(torch.tensor([0.5, 0.95], dtype=times.dtype)).tolist()
    return Latency(p50, p95, 1000 * batch / p50, batch=batch, runs=len(times))


def speed_up(reference: Tensor, times: Tensor) -> SpeedUp:
    """How many times faster than the reference, from two rows of calls made in turn, (runs,) each.

    >>> speed_up(torch.tensor([6.0, 6, 9, 9]), torch.tensor([3.0, 3, 3, 3]))
    SpeedUp(low=2.0, median=2.5, high=3.0, blocks=2)
    """
    # Two calls a block at least; single calls would let one hiccup set the extremes.
    blocks = max(1, min(BLOCKS, len(times) // 2))
    pairs = zip(reference.tensor_split(blocks), times.tensor_split(blocks), strict=True)
    ratios = torch.stack([a.quantile(0.5) / b.quantile(0.5) for a, b in pairs])
    low, median, high = (ratios.quantile(q).item() for q in (0.0, 0.5, 1.0))
    return SpeedUp(low, median, high, blocks)


def on_its_device(model: nn.Module, inputs: Tensor) -> Tensor:
    """The inputs, where the model is."""
    held = next(model.parameters(), None)
    return inputs if held is None else inputs.to(held.device)
