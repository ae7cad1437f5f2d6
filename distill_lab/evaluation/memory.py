"""What a model needs in memory while it answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from distill_lab.evaluation.cost import on_its_device
from distill_lab.evaluation.predictions import as_module, evaluating

__all__ = ["PeakMemory", "measure_peak_memory"]


@dataclass(frozen=True)
class PeakMemory:
    """Bytes a model holds at most during one call: its own, and those the call takes for a time.

    `weights`: parameters and buffers, shared ones once. `working`: the most that the call had
    allocated at one moment: activations, the answer, and what an operation takes for itself. The
    inputs are the caller's and not counted. `batch` examples a call.
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


def measure_peak_memory(model: Any, inputs: Tensor) -> PeakMemory:
    """The memory of one call of the model on all of `inputs`, in eval mode, without gradients.

    Counted, not sampled. On the CPU every allocation and release that torch makes during the call
    is added up in order, and the highest sum is the peak; libraries that bring an allocator of
    their own are not seen. On CUDA it is `torch.cuda.max_memory_allocated`, whose peak is reset,
    less what was allocated before. A first call, not measured, fills the caches.

    Raises ValueError for no inputs, RuntimeError for other devices or while a profiler is running.

    >>> net = nn.Sequential(nn.Linear(4, 100), nn.ReLU(), nn.Linear(100, 3))
    >>> measure_peak_memory(net, torch.rand(10, 4))  # the layer, and its ReLU: 2 x 10 x 100 x 4
    PeakMemory(weights=3212, working=8000, batch=10)
    """
    if len(inputs) == 0:
        raise ValueError("there are no inputs: expected at least one example.")
    module = as_module(model)
    inputs = on_its_device(module, inputs)
    kind = inputs.device.type
    if kind not in ("cpu", "cuda"):
        raise RuntimeError(
            f"peak memory can be measured on the CPU and on CUDA; the model is on {kind}. Leave "
            "the column peak_memory out, or move the model."
        )
    if kind == "cpu" and torch.autograd._profiler_enabled():
        raise RuntimeError(
            "peak memory is read from torch's profiler, and one is running already: leave its "
            "block first."
        )
    with evaluating(module):
        module(inputs)
        measure = _working_on_cpu if kind == "cpu" else _working_on_cuda
        return PeakMemory(_weights(module), measure(module, inputs), len(inputs))


def _weights(module: nn.Module) -> int:
    held = {}
    for tensor in [*module.parameters(), *module.buffers()]:
        storage = tensor.untyped_storage()
        held[storage.data_ptr()] = storage.nbytes()
    return sum(held.values())


def _working_on_cpu(module: nn.Module, inputs: Tensor) -> int:
    # torch.profiler sees the same events, but its tracer writes lines of its own to stderr. Read
    # here and not above: should a later torch drop it, only this measure is lost.
    from torch.autograd import profiler_legacy

    settings = profiler_legacy.profile(profile_memory=True).config()
    profiler_legacy._enable_profiler_legacy(settings)
    try:
        module(inputs)
    finally:
        threads = profiler_legacy._disable_profiler_legacy()
    now = peak = 0
    for event in (event for thread in threads for event in thread):
        if str(event.kind()) == "memory_alloc":  # releases too: they are negative
            now += event.cpu_memory_usage()
            peak = max(peak, now)
    return peak


def _working_on_cuda(module: nn.Module, inputs: Tensor) -> int:
    torch.cuda.synchronize(inputs.device)
    torch.cuda.reset_peak_memory_stats(inputs.device)
    before = torch.cuda.memory_allocated(inputs.device)
    module(inputs)
    torch.cuda.synchronize(inputs.device)
    return torch.cuda.max_memory_allocated(inputs.device) - before
