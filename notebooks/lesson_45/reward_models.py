"""Rewards in lesson 45: networks that learn them from pairs, and policies that follow them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from distill_lab.data import Batch
from distill_lab.methods import Method
from distill_lab.models import MLP
from distill_lab.seeds import Stacked, distill_seeds
from lesson_45 import shop
from lesson_45.experiments import Pairs, Shop

__all__ = ["best_of_n", "best_samples", "optimum", "reward_model", "rewards_of"]

STEPS = 300


def optimum(reference: Tensor, rewards: Tensor, beta: float) -> Tensor:
    """Return the best policy under a KL penalty, as log-probabilities of all answers.

    Formula: log p = log p_ref + r / beta - log Z, along the last axis.
    """
    return (reference + rewards / beta).log_softmax(-1)


def reward_model(
    pairs: Pairs, seeds: Sequence[int], *, steps: int = STEPS, hidden: int = 32
) -> Stacked:
    """Train a reward model a seed by Bradley-Terry, on pairs with the chosen answer first."""

    def terms(batch: Batch, student: Any, teacher: Any) -> dict[str, Tensor]:
        chosen, rejected = student(batch.inputs.flatten(0, 1)).view(-1, 2).unbind(1)
        return {"bt": -F.logsigmoid(chosen - rejected).mean()}

    return distill_seeds(
        lambda seed: MLP(13, hidden, 1, seed=500 + seed),
        (pairs.features, None),
        seeds=list(seeds),
        method=Method("bradley_terry", terms, {"bt": 1.0}, needs_teacher=False),
        steps=steps,
        batch_size=min(64, pairs.requests.shape[1]),
        lr=3e-3,
    ).students


@torch.no_grad()
def rewards_of(models: Stacked, requests: Tensor) -> Tensor:
    """Return the rewards that S models give to all answers of R requests: (S, R, 2800)."""
    count, each = len(requests), len(shop.ANSWERS)
    read = shop.features(requests.repeat_interleave(each), torch.arange(each).repeat(count))
    return models.eval()(read, shared=True).view(models.seeds, count, each)


def best_of_n(p: Tensor, rewards: Tensor, n: int) -> Tensor:
    """Return the distribution of the best of n samples, ties broken at random: (..., A).

    Formula: p_a / p(r = r_a) times (p(r <= r_a)^n - p(r < r_a)^n).

    Args:
        p: probabilities of A answers (..., A).
        rewards: of the same shape.
        n: how many samples.
    """
    flat = zip(p.double().reshape(-1, p.shape[-1]), rewards.reshape(-1, p.shape[-1]), strict=True)
    rows = []
    for row, reward in flat:
        levels, level = reward.unique(return_inverse=True)
        of_level = torch.zeros(len(levels), dtype=torch.double).index_add(0, level, row)
        up_to = of_level.cumsum(0).clamp(max=1)
        best = up_to**n - F.pad(up_to[:-1], (1, 0)) ** n
        rows.append(row * (best / of_level.clamp_min(1e-300))[level])
    return torch.stack(rows).view(p.shape).float()


def best_samples(start: Shop, pairs: Pairs, rewards: Tensor, n: int, *, seed: int = 0) -> Pairs:
    """Draw n answers to each request of the pairs, and keep the best by a reward (S, 41, 2800)."""
    kept = []
    for i, own in enumerate(start.seeds):
        draw = torch.Generator().manual_seed(7000 + 1000 * own + seed)
        request = pairs.requests[i]
        drawn = torch.multinomial(start.log_probs[i, request].exp(), n, True, generator=draw)
        best = rewards[i, request].gather(1, drawn).argmax(1, keepdim=True)
        kept.append(drawn.gather(1, best).expand(-1, 2))
    return Pairs(pairs.requests, torch.stack(kept))
