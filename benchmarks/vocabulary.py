"""Divergences over large vocabularies: ours beside torch's, TRL's and Liger's, in one run.

    python benchmarks/vocabulary.py [--rounds 7] [--quick] [--json FILE] [--device cpu]

Each contender computes the same loss and its gradient from the same tensors, on two threads; in
the first round, which is not counted, the values and gradients are compared. Rounds alternate, and
ratios are taken round by round.

Memory, each contender in a fresh process, beyond the inputs and what one small warm-up loads:
    kept   resident memory after the forward pass, which waits for the backward pass
    peak   the most it reached until the gradients were there, these included
On a GPU both are what torch's allocator has handed out. Without one, those rows are not measured.

Inputs there are bfloat16, and contenders round differently on the way: how far the gradient of the
weight is from the one in float32 is shown too, with so many classes that all of it fits.
"""

import argparse
import gc
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import torch
from contenders import LIGER, OURS, TORCH, Loss, Shape, contenders
from table import Row, finish, machine, show, versions
from torch import Tensor


class Work(NamedTuple):
    """A divergence, how large, and what ours is held to."""

    name: str
    shape: Shape
    times: dict[str, float]  # our time over that contender's, at most
    kept: float | None = None  # in arrays of N x V float32
    peak: dict[str, float] = {}  # noqa: RUF012 - our peak over that contender's, at most
    device: str = "cpu"

    @property
    def title(self) -> str:
        tokens, classes, student, teacher = self.shape
        sizes = f"{self.name}, N={tokens:,}, V={classes:,}"
        if not student:
            return f"{sizes}, from logits"
        widths = f"{student:,}" if student == teacher else f"{teacher:,}/{student:,}"
        return f"{sizes}, from heads, H={widths}" + ", bf16, on a GPU" * (self.device == "cuda")


LOGITS, HEADS = Shape(384, 32_000), Shape(2048, 128_256, 256, 256)
SMALL_HEADS = Shape(384, 32_000, 256, 256)
FASTEST = {TORCH: 1.0, "TRL chunked": 1.0, LIGER: 1.0}
WORKS = [
    Work("JSD beta=0.5", LOGITS, {"TRL": 0.30}, kept=1.1),
    Work("JSD beta=0.5", SMALL_HEADS, {}),  # the same tokens for Liger, which begins with heads
    Work("forward KL", LOGITS, {"F.kl_div": 0.9, "TRL": 0.9}, kept=1.1),
    Work("reverse KL", LOGITS, {"F.kl_div": 0.75, "TRL": 0.75}, kept=1.1),
    Work("forward KL", HEADS, FASTEST, peak={TORCH: 1 / 8}),
    Work("JSD beta=0.5", HEADS, FASTEST, peak={TORCH: 1 / 8}),
]
FASTEST_GPU = FASTEST | {"Liger Triton": 1.0}
SMALLEST_GPU = dict.fromkeys(("TRL chunked", LIGER, "Liger Triton"), 1.1)
ON_A_GPU = [
    Work(name, Shape(8192, 128_256, 2048, 4096), FASTEST_GPU, peak=SMALLEST_GPU, device="cuda")
    for name in ("forward KL", "JSD beta=0.5")
]
ROUNDED_CLASSES = 16_032
QUICK = {LOGITS: Shape(96, 8000), HEADS: Shape(256, 16_000, 64, 64)}
QUICK[SMALL_HEADS] = Shape(96, 8000, 64, 64)


def step(loss: Loss, tensors: Sequence[Tensor]) -> tuple[float, list[float]]:
    """Seconds of a forward and a backward pass; the value and the norm of each gradient."""
    for tensor in tensors:
        tensor.grad = None
    wait(tensors[0])
    began = time.perf_counter()
    value = loss(*tensors)
    value.backward()
    wait(tensors[0])
    seconds = time.perf_counter() - began
    norms = [t.grad.float().norm().item() for t in tensors if t.grad is not None]
    return seconds, [value.item(), *norms]


def wait(tensor: Tensor) -> None:
    """A GPU works on while Python goes on."""
    if tensor.is_cuda:
        torch.cuda.synchronize()


def timed(work: Work, rounds: int) -> dict[str, list[float]]:
    """Seconds of each contender in each round but the first, which compares them."""
    tensors = work.shape.tensors(work.device)
    invited = contenders(work.name, work.shape, work.device)
    running = {name: loss for name, loss in invited.items() if loss is not None}
    seconds: dict[str, list[float]] = {name: [] for name in running}
    expected: list[float] = []
    for turn in range(rounds + 1):
        for name, loss in running.items():
            taken, numbers = step(loss, tensors)
            if turn:
                seconds[name].append(taken)
                continue
            expected = expected or numbers
            allowed = 0.05 if work.device == "cuda" else 0.005
            if any(abs(a - b) > allowed * abs(a) for a, b in zip(expected, numbers, strict=True)):
                print(f"{work.title}: {name} says {numbers}, and we say {expected}")
    return seconds


def remembered(work: Work, name: str) -> tuple[int, int]:
    """Bytes kept and peak bytes of one contender, beyond its inputs, in this fresh process."""
    small = Shape(16, 64, *(width and 8 for width in work.shape[2:]))
    warm_up, loss = (contenders(work.name, x, work.device)[name] for x in (small, work.shape))
    assert warm_up is not None and loss is not None
    step(warm_up, small.tensors(work.device))
    tensors = work.shape.tensors(work.device)
    gc.collect()
    now: Callable[[], int] = lambda: resident("VmRSS")  # noqa: E731
    highest: Callable[[], int] = lambda: resident("VmHWM")  # noqa: E731
    if work.device == "cuda":
        torch.cuda.reset_peak_memory_stats()
        now, highest = torch.cuda.memory_allocated, torch.cuda.max_memory_allocated
    else:
        Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
    before = now()
    value = loss(*tensors)
    kept = now() - before
    value.backward()
    wait(value)
    return kept, highest() - before


def resident(field: str) -> int:
    """A line of Linux's own account of this process, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(field)).split()[1]) * 1024


def in_a_fresh_process(work: Work, name: str) -> tuple[int, int] | None:
    """``remembered``, or None where that cannot be known."""
    arguments = json.dumps([work.name, work.shape, work.device, name])
    command = [sys.executable, __file__, "--memory-of", arguments]
    # glibc gives back at once what it did not take from its heap: what is freed is not counted
    given_back = os.environ | {"MALLOC_MMAP_THRESHOLD_": str(2**18)}
    done = subprocess.run(command, capture_output=True, text=True, env=given_back)
    if done.returncode:
        print(f"memory of {name} not measured: {''.join(done.stderr.splitlines()[-1:])}")
        return None
    kept, peak = json.loads(done.stdout.splitlines()[-1])
    return kept, peak


def errors(work: Work) -> list[Row]:
    """How far the gradient of the student's weight is from that of plain PyTorch in float32."""
    small = work._replace(shape=work.shape._replace(classes=ROUNDED_CLASSES))
    tensors = small.shape.tensors(work.device)
    exact = [t.detach().float().requires_grad_(t.requires_grad) for t in tensors]
    invited = contenders(work.name, small.shape, work.device)
    running = {name: loss for name, loss in invited.items() if loss is not None}
    step(running[TORCH], exact)
    wanted, apart = exact[1].grad, {}
    for name, loss in running.items():
        step(loss, tensors)
        assert wanted is not None and tensors[1].grad is not None
        apart[name] = 100 * ((tensors[1].grad.float() - wanted).norm() / wanted.norm()).item()
    ours = apart.pop(OURS)
    title, unit = f"{small.title}: error of the weight's gradient", "% of its norm"
    return [
        Row(title, name, ours, theirs, unit, ratio_median=ours / theirs)
        for name, theirs in apart.items()
    ]


def measured(work: Work, rounds: int) -> list[Row]:
    """Time and memory of every contender."""
    array = work.shape.tokens * work.shape.classes * 4
    seconds = timed(work, rounds)
    # what torch's allocator counts on a GPU is each process's own; a processor's memory is shared
    at_once = len(seconds) if work.device == "cuda" else 1
    torch.cuda.empty_cache()
    with ThreadPoolExecutor(at_once) as pool:
        results = pool.map(lambda name: in_a_fresh_process(work, name), seconds)
        memory = dict(zip(seconds, results, strict=True))
    rows = []
    for name, loss in contenders(work.name, work.shape, work.device).items():
        if name == OURS:
            continue
        if loss is None:
            rows.append(Row(work.title, name, None, None, "ms", note=f"{name}: cannot be imported"))
            continue
        ms = ([1e3 * s for s in seconds[who]] for who in (OURS, name))
        row = Row.of_times(f"{work.title}: time", name, *ms, unit="ms", target=work.times.get(name))
        rows.append(row)
    ours = memory[OURS]
    others = {name: results for name, results in memory.items() if results and name != OURS}
    for name, theirs in others.items() if ours else ():
        kept = [results[0] / array for results in (ours, theirs)]
        met = None if work.kept is None else kept[0] <= work.kept
        unit = "x N V 4 bytes"
        rows.append(Row(f"{work.title}: kept", name, *kept, unit, target=work.kept, met=met))
        peaks = [results[1] / 2**20 for results in (ours, theirs)]
        ratio, bound = peaks[0] / peaks[1], work.peak.get(name)
        rows.append(
            Row(
                f"{work.title}: peak",
                name,
                *peaks,
                "MiB",
                ratio_median=ratio,
                target=bound,
                met=None if bound is None else ratio <= bound,
            )
        )
    return rows


def main() -> None:
    """Measure, print the tables, leave the rows."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--rounds", type=int, default=7, help="from heads a third as many")
    options.add_argument("--quick", action="store_true", help="small shapes, held to nothing")
    options.add_argument("--json", help="write the rows there")
    options.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    options.add_argument("--memory-of", help=argparse.SUPPRESS)
    arguments = options.parse_args()
    torch.set_num_threads(2)
    if arguments.memory_of:
        name, shape, device, contender = json.loads(arguments.memory_of)
        print(json.dumps(remembered(Work(name, Shape(*shape), {}, device=device), contender)))
        return
    print(f"{machine()}, 2 threads in use; {versions()}")
    rows: list[Row] = []
    for work in [*WORKS, *ON_A_GPU]:
        if arguments.device != work.device:
            continue
        rounds = 3 if arguments.quick else arguments.rounds
        if arguments.quick and work.shape in QUICK:
            work = Work(work.name, QUICK[work.shape], {})
        results = measured(work, -(-rounds // 3) if work.shape.student else rounds)
        show(results, f"\n{work.title}")
        rows += results
    # last: another number of classes makes compiled kernels more general, and slower
    results = [row for work in ON_A_GPU if arguments.device == work.device for row in errors(work)]
    if results:
        show(results, "\nGradients")
    finish(rows + results, arguments.json)


if __name__ == "__main__":
    main()
