"""The most memory that one call holds, counted."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.autograd.profiler import profile

from distill_lab.evaluation.cost import packed_tensors
from distill_lab.evaluation.predictions import as_module
from distill_lab.evaluation.runnable import Runnable, example_count

__all__ = ["PeakMemory", "measure_peak_memory"]


@dataclass(frozen=True)
class PeakMemory:
    """Bytes a model holds at most during one call: its own, and those the call takes for a time.

    The inputs are the caller's and not counted.

    Args:
        weights: bytes of parameters and buffers, shared ones once.
        working: the most bytes that the call had allocated at one moment: activations, the answer,
            and what an operation takes for itself.
        batch: examples a call.
    """

    weights: int
    working: int
    batch: int

    @property
    def total(self) -> int:
        """Weights and working memory together."""
        return self.weights + self.working

    def __str__(self) -> str:
        return f"{self.total:,} bytes ({self.weights:,} weights, {self.working:,} working)"


def measure_peak_memory(model: Any, inputs: Any) -> PeakMemory:
    """The memory of one call of a model on all of `inputs`, in eval mode, without gradients.

    Counted, not sampled. On the CPU every allocation and release that torch makes during the call
    is added up in order, and the highest sum is the peak; libraries that bring an allocator of
    their own are not seen. On CUDA it is `torch.cuda.max_memory_allocated`, whose peak is reset,
    less what was allocated before. A first call, not measured, fills the caches.

    Args:
        model: the network.
        inputs: examples (N, ...), or a dict of them, all of which go into the call.

    Returns:
        Bytes of the weights and of the call's working memory.

    Raises:
        ValueError: for no inputs.
        TypeError: for what is no network.
        RuntimeError: for other devices than the CPU and CUDA, or while a profiler is running.

    >>> net = nn.Sequential(nn.Linear(4, 100), nn.ReLU(), nn.Linear(100, 3))
    >>> measure_peak_memory(net, torch.rand(10, 4))  # the layer, and its ReLU: 2 x 10 x 100 x 4
    PeakMemory(weights=3212, working=8000, batch=10)
    """
    count = example_count(inputs)
    if count == 0:
        raise ValueError("there are no inputs: expected at least one example.")
    module = as_module(model)
    runnable = Runnable(module)
    kind = runnable.device.type if runnable.device else "cpu"
    if kind not in ("cpu", "cuda"):
        raise RuntimeError(
            f"peak memory can be measured on the CPU and on CUDA; the model is on {kind}. Leave "
            "the column peak_memory out, or move the model."
        )
    if kind == "cpu" and torch.autograd._profiler_enabled():  # type: ignore[attr-defined]
        raise RuntimeError(
            "peak memory is read from torch's profiler, and one is running already: leave its "
            "block first."
        )
    with runnable.evaluating():
        call = runnable.prepared(inputs)
        call()
        working = (
            _working_on_cpu(call) if kind == "cpu" else _working_on_cuda(call, runnable.device)
        )
        return PeakMemory(_weights(module), working, count)


def _weights(module: nn.Module) -> int:
    held = {}
    for tensor in [*module.parameters(), *module.buffers(), *packed_tensors(module).values()]:
        storage = tensor.untyped_storage()
        held[storage.data_ptr()] = storage.nbytes()
    return sum(held.values())


def _working_on_cpu(call: Callable[[], Any]) -> int:
    # A dispatch mode would see what operations return, and not what fused ones hold inside.
    with _quiet_profiler(), profile(use_kineto=False, profile_memory=True) as profiler:
        call()
    events = [event for event in profiler.kineto_results.events() if event.name() == "[memory]"]
    now = peak = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        now += event.nbytes()  # of a release it is negative
        peak = max(peak, now)
    return peak


@contextmanager
def _quiet_profiler() -> Iterator[None]:
    """Torch's tracer writes lines of its own to stderr, unless its first use is told not to."""
    level = os.environ.get("KINETO_LOG_LEVEL")
    os.environ["KINETO_LOG_LEVEL"] = level or "6"
    try:
        yield
    finally:
        if level is None:
            del os.environ["KINETO_LOG_LEVEL"]


def _working_on_cuda(call: Callable[[], Any], device: torch.device | None) -> int:
    torch.cuda.synchronize(device)
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    call()
    torch.cuda.synchronize(device)
    return torch.cuda.max_memory_allocated(device) - before
