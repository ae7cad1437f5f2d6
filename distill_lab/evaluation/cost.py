"""What a model costs: parameters, bytes, milliseconds."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from distill_lab.evaluation.predictions import as_module, evaluating

__all__ = ["Latency", "count_parameters", "measure_latency", "size_on_disk"]


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
    call is timed until it is done. Compare models measured in one run on one machine only.

    >>> measure_latency(torch.nn.Linear(4, 3), torch.rand(8, 4), runs=5, warmup=1).batch
    8
    """
    if runs < 2 or warmup < 0:
        raise ValueError(f"expected runs >= 2 and warmup >= 0; got {runs} and {warmup}.")
    if len(inputs) == 0:
        raise ValueError("there are no inputs: expected at least one example.")
    module = as_module(model)
    held = next(module.parameters(), None)
    inputs = inputs if held is None else inputs.to(held.device)
    times = []
    with evaluating(module):
        for _ in range(warmup + runs):
            start = time.perf_counter()
            module(inputs)
            if inputs.is_cuda:
                torch.cuda.synchronize(inputs.device)
            times.append(time.perf_counter() - start)
    kept = torch.tensor(times[warmup:], dtype=torch.float64) * 1000
    p50, p95 = kept.quantile(torch.tensor([0.5, 0.95], dtype=torch.float64)).tolist()
    return Latency(p50, p95, 1000 * len(inputs) / p50, batch=len(inputs), runs=runs)
