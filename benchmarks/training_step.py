"""One step of our loop against the same step written by hand, side by side in one run.

    python benchmarks/training_step.py [--rounds 9] [--steps 1500]

A 64-64-10 MLP learns from a recorded teacher, batch 64. Both sides gather the batch, compute
alpha T^2 KL + (1 - alpha) CE, differentiate and take an AdamW step; rounds alternate, and the
ratio is taken round by round. Two hand-written loops: one with the same fused AdamW (what our
loop adds), one with AdamW as it comes (what most people write).
"""

import argparse
import platform
import statistics
import time

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from distill_lab import methods
from distill_lab.models import MLP
from distill_lab.teachers import Recorded
from distill_lab.training import distill

T, ALPHA, BATCH = 4.0, 0.9, 64


def by_hand(
    student: nn.Module, x: Tensor, y: Tensor, said: Tensor, steps: int, fused: bool
) -> None:
    """The loop a careful person writes, with nothing around it."""
    optimizer = torch.optim.AdamW(student.parameters(), lr=1e-3, weight_decay=0.0, fused=fused)
    losses, done = [], 0
    while done < steps:
        for index in torch.randperm(len(x)).split(BATCH):
            logits, target = student(x[index]), said[index]
            log_q, log_p = F.log_softmax(logits / T, -1), F.log_softmax(target / T, -1)
            soft = F.kl_div(log_q, log_p, reduction="batchmean", log_target=True)
            loss = ALPHA * T**2 * soft + (1 - ALPHA) * F.cross_entropy(logits, y[index])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
            done += 1
            if done == steps:
                return


def ours(student: nn.Module, x: Tensor, y: Tensor, said: Tensor, steps: int) -> None:
    """The same through the engine."""
    distill(
        student, (x, y), teacher=Recorded(said), method=methods.kd(T, ALPHA),
        epochs=steps * BATCH // len(x), batch_size=BATCH, progress=False,
    )  # fmt: skip


def main() -> None:
    """Run the rounds and print the table."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--rounds", type=int, default=9)
    options.add_argument("--steps", type=int, default=1600)
    asked = options.parse_args()
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(1024, 64, generator=generator)
    y = torch.randint(10, (1024,), generator=generator)
    said = torch.randn(1024, 10, generator=generator) * 3

    loops = {
        "by hand, fused AdamW": lambda: by_hand(MLP(64, 64, 10), x, y, said, asked.steps, True),
        "by hand, default AdamW": lambda: by_hand(MLP(64, 64, 10), x, y, said, asked.steps, False),
        "distill(...)": lambda: ours(MLP(64, 64, 10), x, y, said, asked.steps),
    }
    seconds: dict[str, list[float]] = {name: [] for name in loops}
    for turn in range(asked.rounds + 1):
        for name, loop in loops.items():
            began = time.perf_counter()
            loop()
            if turn:  # the first round warms up
                seconds[name].append(time.perf_counter() - began)

    print(f"{platform.machine()}, torch {torch.__version__}, 1 thread, {asked.rounds} rounds")
    print(f"{'loop':26}{'us a step: min':>16}{'median':>9}{'max':>9}", end="   ")
    print("ours / this: median [min, max]")
    for name, taken in seconds.items():
        micro = [1e6 * s / asked.steps for s in taken]
        ratios = [a / b for a, b in zip(seconds["distill(...)"], taken, strict=True)]
        print(
            f"{name:26}{min(micro):>16.0f}{statistics.median(micro):>9.0f}{max(micro):>9.0f}"
            f"   {statistics.median(ratios):.2f} [{min(ratios):.2f}, {max(ratios):.2f}]"
        )


if __name__ == "__main__":
    main()
