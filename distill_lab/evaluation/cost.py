"""What a model costs to keep and to ask: parameters, bytes, milliseconds, memory, arithmetic."""

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn
from torch.autograd.profiler import profile
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from distill_lab.evaluation.predictions import as_module, evaluating

__all__ = [
    "Latency",
    "PeakMemory",
    "SpeedUp",
    "TrainingFlops",
    "count_flops",
    "count_parameters",
    "measure_latency",
    "measure_peak_memory",
    "size_on_disk",
    "training_flops",
]

BLOCKS = 5  # stretches of the run in which two models are held against each other


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
        if not isinstance(value, Tensor):  # extra state, which safetensors does not hold
            continue
        place = (value.data_ptr(), value.dtype, value.shape, value.stride())
        if value.numel() == 0 or place not in seen:
            seen.add(place)
            tensors[name] = value.contiguous().cpu()
    return len(safetensors.torch.save(tensors))


def measure_latency(model: Any, inputs: Tensor, runs: int = 200, warmup: int = 20) -> Latency:
    """Time calls of a model in eval mode.

    On a GPU each call is timed until it is done. Compare models by `compare`, which asks them in
    turn.

    Args:
        model: the network.
        inputs: examples (N, ...), all of which go into every call: `x[:1]` gives the time of one.
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
    times = time_in_turn({"model": as_module(model)}, inputs, runs=runs, warmup=warmup)
    return as_latency(times["model"], len(inputs))


def time_in_turn(
    models: Mapping[str, nn.Module], inputs: Tensor, *, runs: int, warmup: int
) -> dict[str, Tensor]:
    """Time calls of several models in turn; a round calls every model once.

    In turn, so that a machine that slows down slows all of them. Who begins changes from round to
    round, so that none always follows the same one into its caches.

    Args:
        models: name -> network.
        inputs: examples (N, ...), all of which go into every call.
        runs: how many rounds are timed.
        warmup: how many untimed rounds come before them.

    Returns:
        name -> milliseconds (runs,).

    Raises:
        ValueError: for no inputs, or fewer than two runs.
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
    blocks = max(1, min(BLOCKS, len(times) // 2))
    pairs = zip(reference.tensor_split(blocks), times.tensor_split(blocks), strict=True)
    ratios = torch.stack([a.quantile(0.5) / b.quantile(0.5) for a, b in pairs])
    low, median, high = (ratios.quantile(q).item() for q in (0.0, 0.5, 1.0))
    return SpeedUp(low, median, high, blocks)


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


def measure_peak_memory(model: Any, inputs: Tensor) -> PeakMemory:
    """The memory of one call of a model on all of `inputs`, in eval mode, without gradients.

    Counted, not sampled. On the CPU every allocation and release that torch makes during the call
    is added up in order, and the highest sum is the peak; libraries that bring an allocator of
    their own are not seen. On CUDA it is `torch.cuda.max_memory_allocated`, whose peak is reset,
    less what was allocated before. A first call, not measured, fills the caches.

    Args:
        model: the network.
        inputs: examples (N, ...), all of which go into the call.

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
    if kind == "cpu" and torch.autograd._profiler_enabled():  # type: ignore[attr-defined]
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
    # A dispatch mode would see what operations return, and not what fused ones hold inside.
    with _quiet_profiler(), profile(use_kineto=False, profile_memory=True) as profiler:
        module(inputs)
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


def _working_on_cuda(module: nn.Module, inputs: Tensor) -> int:
    torch.cuda.synchronize(inputs.device)
    torch.cuda.reset_peak_memory_stats(inputs.device)
    before = torch.cuda.memory_allocated(inputs.device)
    module(inputs)
    torch.cuda.synchronize(inputs.device)
    return torch.cuda.max_memory_allocated(inputs.device) - before


@dataclass(frozen=True)
class TrainingFlops:
    """The arithmetic that one training took.

    Args:
        student: the student's own floating-point operations.
        teacher: those that asking the teacher took.

    >>> spent = TrainingFlops(student=3e9, teacher=1e9)
    >>> spent.total, str(spent)
    (4000000000.0, '4.00e+09 FLOPs, 25 % of them the teacher')
    """

    student: float
    teacher: float

    @property
    def total(self) -> float:
        """Student and teacher together."""
        return self.student + self.teacher

    def __str__(self) -> str:
        share = 100 * self.teacher / self.total if self.total else 0.0
        return f"{self.total:.2e} FLOPs, {share:.0f} % of them the teacher"


def count_flops(model: Any, inputs: Tensor) -> int:
    """Floating-point operations of one forward call, for one example, in eval mode.

    A multiplication with its addition counts two. Counted are matrix products, convolutions,
    attention and recurrent layers, as `torch.utils.flop_counter` knows them: element by element
    operations, norms and look-ups in a table are not.

    Args:
        model: the network.
        inputs: examples (N, ...), the first of which is used.

    Returns:
        Operations an example.

    Raises:
        ValueError: for no inputs.
        TypeError: for what is no network.

    >>> count_flops(torch.nn.Linear(64, 10), torch.rand(5, 64)) == 2 * 64 * 10
    True
    """
    if len(inputs) == 0:
        raise ValueError("there are no inputs: expected at least one example.")
    module = as_module(model)
    one = on_its_device(module, inputs[:1])
    with evaluating(module), _in_single_steps(), FlopCounterMode(display=False) as counter:
        module(one)
    return int(counter.get_total_flops())


def training_flops(
    student: Any,
    inputs: Tensor,
    *,
    examples: int,
    epochs: float,
    teacher: Any = None,
    cached: bool = False,
) -> TrainingFlops:
    """The arithmetic of training a student on `examples` examples for so many epochs.

    Formula: examples x epochs x 3 F_student + examples x asked x F_teacher, where F is
    `count_flops` on one of `inputs`, and asked is 1 with a `cached` teacher, else the epochs.

    A backward pass counts two forwards, one for the weights' gradients and one for the inputs'.
    That is a little too much, for the first layer needs no gradient of its input; losses, optimiser
    and evaluation are left out, and so is training the teacher.

    Args:
        student: the network that is trained.
        inputs: examples (N, ...), the first of which is used.
        examples: how many there are to train on.
        epochs: how often each is seen.
        teacher: the network that is asked; None costs nothing.
        cached: whether it is asked once an example, not once an epoch.

    Returns:
        Floating-point operations of the student, and of the teacher.

    Raises:
        ValueError: for sizes that are not positive, or a cache without a teacher.

    Source: Kaplan et al. 2020, arXiv:2001.08361, section 2.1.

    >>> net, big = torch.nn.Linear(4, 2), torch.nn.Linear(4, 20)  # 16 and 160 a forward
    >>> training_flops(net, torch.rand(1, 4), examples=100, epochs=5, teacher=big, cached=True)
    TrainingFlops(student=24000.0, teacher=16000.0)
    """
    for name, size in (("examples", examples), ("epochs", epochs)):
        if not size > 0:
            raise ValueError(f"{name} must be a positive number; got {size}.")
    if cached and teacher is None:
        raise ValueError("cached=True says how a teacher was asked: pass the teacher too.")
    steps = float(examples * epochs)
    asked = 0.0 if teacher is None else float(examples) if cached else steps
    return TrainingFlops(
        student=3 * steps * count_flops(student, inputs),
        teacher=asked * count_flops(teacher, inputs) if asked else 0.0,
    )


@contextmanager
def _in_single_steps() -> Iterator[None]:
    """Fused layers off: the counter does not know them, and would count 0 for all they do."""
    fused: list[Any] = [torch.backends.cudnn, torch.backends.mkldnn]  # recurrent layers
    were = [backend.enabled for backend in fused]
    fast = torch.backends.mha.get_fastpath_enabled()  # attention and encoder layers
    try:
        for backend in fused:
            backend.enabled = False
        torch.backends.mha.set_fastpath_enabled(False)
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
        for backend, was in zip(fused, were, strict=True):
            backend.enabled = was


def on_its_device(model: nn.Module, inputs: Tensor) -> Tensor:
    """The inputs, where the model is."""
    held = next(model.parameters(), None)
    return inputs if held is None else inputs.to(held.device)
