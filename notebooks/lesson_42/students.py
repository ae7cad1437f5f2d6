"""The students of lesson 42: tables of next tokens made by a small network, all seeds at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from lesson_42.grid import CELLS, LONGEST, VOCABULARY, Outcome, Walks, outcome, write

__all__ = ["Figures", "Students", "demonstrations", "figures_of"]


class Students(nn.Module):
    """S students: a vector a goal plus a vector a last cell, a ReLU, and one linear layer.

    Args:
        seeds: of the first weights, one a student.
        width: of the hidden layer.
    """

    def __init__(self, seeds: Sequence[int], width: int = 16) -> None:
        super().__init__()
        self.seeds, self.width = tuple(seeds), width
        shapes = {
            "goal": (CELLS, width),
            "cell": (CELLS, width),
            "out": (width, VOCABULARY),
            "bias": (1, VOCABULARY),
        }
        scales = {"goal": 1.0, "cell": 1.0, "out": width**-0.5, "bias": 0.0}
        draws = [torch.Generator().manual_seed(42_000 + seed) for seed in seeds]
        for name, shape in shapes.items():
            first = torch.stack([torch.randn(shape, generator=draw) for draw in draws])
            self.register_parameter(name, nn.Parameter(scales[name] * first))

    def forward(self) -> Tensor:
        """Logits of the next token for each goal and cell, (S, CELLS, CELLS, VOCABULARY)."""
        hidden = (self.goal[:, :, None] + self.cell[:, None]).relu().flatten(1, 2)
        return torch.baddbmm(self.bias, hidden, self.out).unflatten(1, (CELLS, CELLS))

    def copy(self, first: int | None = None) -> Students:
        """Students with the same weights, that share none: all, or the first few."""
        twin = Students(self.seeds[:first], self.width)
        twin.load_state_dict({name: w[:first] for name, w in self.state_dict().items()})
        return twin


class Figures(NamedTuple):
    """What was measured of S students, exactly: each (S,).

    Args:
        arrived: share of walks that end at their goal, in percent.
        own: KL(student || teacher) on the student's own walks, in nats a token.
        given: the same on the teacher's walks.
        length: tokens a walk.
        entropy: of the student on its own walks, in nats a token.
        ended: share of walks that end, in percent.
    """

    arrived: Tensor
    own: Tensor
    given: Tensor
    length: Tensor
    entropy: Tensor
    ended: Tensor


@torch.no_grad()
def figures_of(students: Students, teacher: Tensor) -> Figures:
    """Measure students exactly, over all walks that they can write.

    Args:
        students: S of them.
        teacher: probabilities (CELLS, CELLS, VOCABULARY).
    """
    log_q = students().log_softmax(-1)
    q = log_q.exp()
    on_own, on_given = outcome(q), outcome(teacher[None])
    kl = (q * (log_q - teacher.log())).sum(-1)
    return Figures(
        on_own.arrived,
        _mean(kl, on_own),
        _mean(kl, on_given),
        on_own.length,
        _mean(torch.special.entr(q).sum(-1), on_own),
        on_own.ended,
    )


def demonstrations(teacher: Tensor, seeds: Sequence[int], n: int) -> Walks:
    """Let the teacher write n walks for each seed, to goals drawn at random."""
    draws = [torch.Generator().manual_seed(7_000 + seed) for seed in seeds]
    goals = torch.stack([torch.randint(CELLS, (n,), generator=g) for g in draws])
    u = torch.stack([torch.rand(LONGEST, n, generator=g) for g in draws], 1)
    return write(teacher.expand(len(seeds), -1, -1, -1), goals, u)


def _mean(values: Tensor, walked: Outcome) -> Tensor:
    """The mean of a value a state over the tokens of the walks, (S,)."""
    return (values * walked.visits).sum((1, 2)) / walked.length
