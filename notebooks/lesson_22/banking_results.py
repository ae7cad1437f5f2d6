"""What a run on BANKING77 is set to, and what it found: accuracy kept, latency, size."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor, nn

from distill_lab.evaluation.latency import speed_up, time_in_turn


@dataclass(frozen=True)
class Settings:
    """Fixed before the test questions were looked at."""

    teacher_epochs: int = 4
    student_epochs: int = 8
    teacher_lr: float = 3e-4
    student_lr: float = 6e-4
    size: int = 32
    held_out: int = 1000
    layers: int = 2
    seeds: tuple[int, ...] = (0, 1)
    questions: int | None = None  # fewer training and test questions, to see that it works
    threads: int = 2
    calls: int = 100  # timed calls of each model


@dataclass
class Results:
    """What one run found. Accuracies in percent of the test questions; times in milliseconds."""

    settings: Settings
    layers: tuple[int, ...] = ()
    teacher: float = 0.0
    students: dict[str, list[float]] = field(default_factory=dict)  # a seed each
    retained: dict[str, tuple[float, float, float]] = field(default_factory=dict)
    p: dict[str, float] = field(default_factory=dict)  # McNemar, against the teacher
    between: float | None = None  # the same for two variants, one against the other
    latency: dict[str, tuple[float, float]] = field(default_factory=dict)  # batch: both medians
    faster: dict[str, tuple[float, float, float]] = field(default_factory=dict)
    parameters: tuple[int, int] = (0, 0)
    bytes: tuple[int, int] = (0, 0)
    seconds: float = 0.0

    def __str__(self) -> str:
        lines = [f"teacher: {self.teacher:.2f} %"]
        for name, values in self.students.items():
            low, middle, high = self.retained[name]
            each = ", ".join(f"{value:.2f}" for value in values)
            lines.append(
                f"{name}: {each} % (a seed each); keeps {middle:.1f} % [{low:.1f}, {high:.1f}], "
                f"McNemar p = {self.p[name]:.1g}"
            )
        if self.between is not None:
            lines.append(f"{' against '.join(self.students)}: McNemar p = {self.between:.1g}")
        for batch, (theirs, ours) in self.latency.items():
            low, middle, high = self.faster[batch]
            lines.append(
                f"{batch}: {theirs:.1f} → {ours:.1f} ms, {middle:.2f} x [{low:.2f}, {high:.2f}]"
            )
        lines.append(
            f"parameters {self.parameters[0] / 1e6:.1f} → {self.parameters[1] / 1e6:.1f} million, "
            f"{self.bytes[0] / 1e6:.0f} → {self.bytes[1] / 1e6:.0f} MB; layers kept {self.layers}"
        )
        return "\n".join(lines)


class Tokenised(Protocol):
    """Anything with its questions' tokens, a row each."""

    tokens: list[Tensor]


def kept_share(student: Tensor, teacher: Tensor, draws: int = 2000) -> tuple[float, float, float]:
    """Return the accuracy kept, in percent of the teacher's, with a 95 % bootstrap interval.

    Args:
        student: right or wrong by question, (N,); may be a mean over seeds.
        teacher: the same, (N,).
        draws: of the questions.

    Returns:
        Low, share and high.
    """
    generator = torch.Generator().manual_seed(0)
    n = len(teacher)
    picks = torch.randint(n, (draws, n), generator=generator)
    ratios = student.double()[picks].mean(-1) / teacher.double()[picks].mean(-1)
    low, high = (100 * ratios.quantile(q).item() for q in (0.025, 0.975))
    return low, 100 * (student.double().mean() / teacher.double().mean()).item(), high


class _IdsOnly(nn.Module):
    """A classifier asked about questions of one length, without padding: for the clock."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, ids: Tensor) -> Tensor:
        return self.model(ids, torch.ones_like(ids))


def clock(
    results: Results, teacher: nn.Module, student: nn.Module, buckets: Tokenised, calls: int
) -> None:
    """Time both in turn on one question and on 32, of median length."""
    lengths = torch.tensor([len(row) for row in buckets.tokens])
    middle = int(lengths.median())
    rows = torch.stack([row for row in buckets.tokens if len(row) == middle])
    both = {"teacher": _IdsOnly(teacher), "student": _IdsOnly(student)}
    for name, ids in (("one question", rows[:1]), (f"{len(rows[:32])} questions", rows[:32])):
        times = time_in_turn(both, ids, runs=calls, warmup=10)
        medians = [times[model].median().item() for model in both]
        ratio = speed_up(times["teacher"], times["student"])
        results.latency[name] = (medians[0], medians[1])
        results.faster[name] = (ratio.low, ratio.median, ratio.high)
