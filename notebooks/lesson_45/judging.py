"""Who chooses in lesson 45: a judge that was trained, and labellers whose errors we set."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from distill_lab.models import MLP
from distill_lab.seeds import Stacked, distill_seeds
from lesson_45 import shop
from lesson_45.experiments import Pairs, Shop

__all__ = [
    "Judge",
    "agreement",
    "careful_teacher",
    "longer_of_equals",
    "random_errors",
    "train_judge",
    "with_taste",
]

FIRST_BETTER = 0.7  # of the judge's training pairs: the better answer stands first
TASTE = 0.8  # points that its annotators give to a word
EXAMPLES, STEPS = 1500, 300


@dataclass(frozen=True)
class Judge:
    """S networks that read a request and two answers, and say how surely the first is better."""

    models: Stacked

    @torch.no_grad()
    def __call__(self, pairs: Pairs, *, swapped: bool = False) -> Tensor:
        """Return the probability that the *first answer of the pair* is better (S, N).

        Args:
            pairs: of the same S seeds.
            swapped: whether the judge reads the second answer first.
        """
        p = self.models.eval()(_read(pairs, swapped)).softmax(-1)
        return p[..., 1 if swapped else 0]


def _read(pairs: Pairs, swapped: bool = False) -> Tensor:
    """What the judge reads (S, N, 20): the request, the answer in place A, the one in place B."""
    words = shop.COUNTS[pairs.answers]
    return torch.cat([shop.WANTED[pairs.requests], *words.unbind(2)[:: -1 if swapped else 1]], -1)


def train_judge(start: Shop, *, steps: int = STEPS) -> Judge:
    """Train a judge a seed on pairs of annotators who like words, the better answer mostly first.

    Nobody knows where the biases of a large judge come from. We put in two on purpose.
    """
    pairs = start.pairs(EXAMPLES, seed=3)
    draw = torch.Generator().manual_seed(33)
    gap = pairs.gold[..., 0] - pairs.gold[..., 1]
    gap = gap + TASTE * (pairs.lengths[..., 0] - pairs.lengths[..., 1])
    chosen = pairs.ordered(torch.rand(gap.shape, generator=draw) < gap.sigmoid())
    in_place = torch.rand(gap.shape, generator=draw) < FIRST_BETTER
    shown = chosen.ordered(in_place)  # the chosen answer in place A, or in place B
    runs = distill_seeds(
        lambda seed: MLP(20, 64, 2, seed=700 + seed),
        (_read(shown), (~in_place).long()),
        seeds=start.seeds,
        steps=steps,
        batch_size=64,
        lr=3e-3,
    )
    return Judge(runs.students)


def agreement(verdicts: Tensor, pairs: Pairs) -> Tensor:
    """Percent of the pairs of unequal worth whose better answer wins (S,).

    Args:
        verdicts: (S, N), the probability that the first is better, or whether it wins.
        pairs: what was judged.
    """
    gap = pairs.gold[..., 0] - pairs.gold[..., 1]
    right = ((verdicts.float() > 0.5) == (gap > 0)).float()
    return 100 * (right * (gap != 0)).sum(1) / (gap != 0).sum(1)


def longer_of_equals(verdicts: Tensor, pairs: Pairs) -> Tensor:
    """Percent of the pairs of equal worth, not of equal length, whose longer answer wins (S,)."""
    longer = pairs.lengths[..., 0] - pairs.lengths[..., 1]
    counts = (pairs.gold[..., 0] == pairs.gold[..., 1]) & (longer != 0)
    right = ((verdicts.float() > 0.5) == (longer > 0)).float()
    return 100 * (right * counts).sum(1) / counts.sum(1)


def with_taste(pairs: Pairs, taste: float, *, seed: int = 0) -> Tensor:
    """Choose by gold reward plus `taste` points a word, ties by a coin: first wins (S, N)."""
    draw = torch.Generator().manual_seed(55 + seed)
    worth = pairs.gold + taste * pairs.lengths
    coin = 1e-3 * torch.rand(pairs.requests.shape, generator=draw) - 5e-4
    return worth[..., 0] - worth[..., 1] + coin > 0


def random_errors(pairs: Pairs, percent: Tensor, *, seed: int = 0) -> Tensor:
    """Choose by gold reward, and err at random until this percent (S,) agrees: first wins."""
    draw = torch.Generator().manual_seed(66 + seed)
    right = with_taste(pairs, 0.0, seed=seed)
    wrong = torch.rand(pairs.requests.shape, generator=draw) >= percent.view(-1, 1) / 100
    return right ^ wrong


def careful_teacher(start: Shop, pairs: Pairs, beta: float = 1.0) -> tuple[Tensor, Tensor]:
    """Return how probable a careful language model finds both answers (S, N, 2), and their lengths.

    The teacher is the best policy under a KL penalty: the reference, tilted to the gold reward.
    """
    log_p = (start.log_probs + shop.GOLD / beta).log_softmax(-1)
    seeds = torch.arange(len(start.seeds)).view(-1, 1, 1)
    return log_p[seeds, pairs.requests.unsqueeze(-1), pairs.answers], pairs.lengths
