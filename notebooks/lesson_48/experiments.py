"""Exact drafts of lesson 48: tables of distributions, and drafts of a low rank fitted to them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = [
    "CONTEXTS",
    "RATES",
    "WORDS",
    "Drafts",
    "Draw",
    "acceptance",
    "best_rate",
    "draw_targets",
    "first_weights",
    "fit_drafts",
    "fit_with_best_rate",
    "forward_kl_of",
    "speed",
    "tables",
]

CONTEXTS, WORDS = 40, 12
RATES = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
PLAIN_RATES = (0.1, 0.2, 0.3, 0.5, 1.0, 2.0)  # of plain gradient descent
TUNING = 3  # targets on which the rate of a loss is chosen; none of them is used again
_DRAW_SEED, _TUNING_SEED = 4_800, 9_000
_FIRST, _SECOND, _SMALL = 0.9, 0.999, 1e-8  # of Adam, as in torch

Loss = Callable[[Tensor, Tensor], Tensor]  # draft's and target's logits (..., C) -> a mean
Prefix = tuple[int, ...]


def tables(words: int, length: int, *, seed: int, scale: float = 1.5) -> dict[Prefix, Tensor]:
    """Draw a language model small enough to be a table: a distribution for each prefix.

    Args:
        words: size of the vocabulary.
        length: tokens of a sequence.
        seed: of the drawing.
        scale: standard deviation of the logits.

    Returns:
        Prefix of 0 to length - 1 tokens -> probabilities (words,), in float64.

    >>> len(tables(3, 4, seed=0))  # 1 + 3 + 9 + 27
    40
    """
    generator = torch.Generator().manual_seed(seed)
    prefixes = [
        prefix for n in range(length) for prefix in itertools.product(range(words), repeat=n)
    ]
    logits = scale * torch.randn(len(prefixes), words, generator=generator, dtype=torch.float64)
    return dict(zip(prefixes, logits.softmax(-1), strict=True))


class Draw:
    """Draw tokens and uniform numbers, the same for the same seed."""

    def __init__(self, seed: int) -> None:
        self._generator = torch.Generator().manual_seed(seed)

    def __call__(self, weights: Tensor) -> int:
        """Draw a token with probability weights / their sum: (C,) -> 0 to C - 1."""
        return int(torch.multinomial(weights, 1, generator=self._generator))

    def uniform(self) -> float:
        """Draw a number from 0 to 1."""
        return float(torch.rand((), generator=self._generator))


def draw_targets(n: int, *, seed: int) -> Tensor:
    """Draw `n` targets: logits N(0, 2²) of `WORDS` tokens in `CONTEXTS` contexts, (n, 40, 12)."""
    generator = torch.Generator().manual_seed(_DRAW_SEED + seed)
    return 2 * torch.randn(n, CONTEXTS, WORDS, generator=generator)


def first_weights(problems: int, rank: int, *, seed: int, scale: float = 0.3) -> list[Tensor]:
    """Draw the first weights of drafts: a row for each context, a column for each token, a bias.

    Draft i of a lower rank has the first of the numbers that draft i of a higher rank has.

    Args:
        problems: how many drafts, S.
        rank: numbers for each context, R, at most 11.
        seed: of the drawing.
        scale: standard deviation of rows and columns.

    Returns:
        Rows (S, 40, R), columns (S, R, 12) and bias (S, 1, 12).
    """
    rows, columns = [], []
    for i in range(problems):
        generator = torch.Generator().manual_seed(100_000 * seed + i)
        rows.append(scale * torch.randn(CONTEXTS, WORDS - 1, generator=generator)[:, :rank])
        columns.append(scale * torch.randn(WORDS - 1, WORDS, generator=generator)[:rank])
    return [torch.stack(rows), torch.stack(columns), torch.zeros(problems, 1, WORDS)]


def fit_drafts(
    targets: Tensor,
    loss: Loss,
    *,
    settings: Sequence[tuple[int, float]],
    steps: int,
    seed: int = 0,
    scale: float = 0.3,
    plain: bool = False,
) -> Tensor:
    """Fit a draft to each target in each setting, all at once, by Adam with a falling rate.

    Adam treats each number by itself, so the drafts have no effect on each other. Drafts of one
    target start from the same first weights, whatever the loss: differences of losses are paired.

    Args:
        targets: logits (S, 40, 12).
        loss: such as `losses.total_variation`.
        settings: N pairs of a rank (the bias comes on top) and a first rate, which falls to zero
            by half a cosine.
        steps: of Adam.
        seed: of the first weights.
        scale: their standard deviation; with 3 a draft begins confident and wrong.
        plain: gradient descent without Adam, on the sum over contexts.

    Returns:
        The drafts' logits (N, S, 40, 12).
    """
    n, s = len(settings), len(targets)
    widest = max(rank for rank, _ in settings)
    first = first_weights(s, widest, seed=seed, scale=scale)
    parameters = [weight.repeat(n, 1, 1).requires_grad_() for weight in first]
    ranks, rates = (
        torch.tensor(column).repeat_interleave(s) for column in zip(*settings, strict=True)
    )
    used = (torch.arange(widest) < ranks[:, None]).float()[:, None]  # (n s, 1, R)
    all_targets = targets.repeat(n, 1, 1)
    means = [torch.zeros_like(weight) for weight in parameters]
    squares = [torch.zeros_like(weight) for weight in parameters]
    for step in range(steps):
        rows, columns, bias = parameters
        # the loss is a mean over all contexts of all drafts; times n s it is a sum of their losses
        value = n * s * loss((rows * used) @ columns + bias, all_targets)
        gradients = torch.autograd.grad(value, parameters)
        size = rates[:, None, None] * 0.5 * (1 + math.cos(math.pi * step / steps))
        with torch.no_grad():
            for weight, g, m, v in zip(parameters, gradients, means, squares, strict=True):
                if plain:
                    weight -= size * CONTEXTS * g
                    continue
                m.lerp_(g, 1 - _FIRST)
                v.mul_(_SECOND).addcmul_(g, g, value=1 - _SECOND)
                right_m = m / (1 - _FIRST ** (step + 1))
                right_v = v / (1 - _SECOND ** (step + 1))
                weight -= size * right_m / (right_v.sqrt() + _SMALL)
    rows, columns, bias = parameters
    return ((rows * used) @ columns + bias).detach().view(n, s, CONTEXTS, WORDS)


def acceptance(draft_logits: Tensor, target_logits: Tensor) -> Tensor:
    """Return the mean over contexts of sum min(p, q), in percent: (..., 40, 12) -> (...)."""
    p, q = target_logits.softmax(-1), draft_logits.softmax(-1)
    return 100 * torch.minimum(p, q).sum(-1).mean(-1)


def forward_kl_of(draft_logits: Tensor, target_logits: Tensor) -> Tensor:
    """Return KL(target || draft) in nats, the mean over contexts: (..., 40, 12) -> (...)."""
    log_p, log_q = target_logits.log_softmax(-1), draft_logits.log_softmax(-1)
    return (log_p.exp() * (log_p - log_q)).sum(-1).mean(-1)


def best_rate(
    loss: Loss, *, steps: int, seed: int = 0, scale: float = 0.3, plain: bool = False
) -> float:
    """Choose the rate of a loss: the one most accepted at rank 2, over targets of their own."""
    targets = draw_targets(TUNING, seed=_TUNING_SEED + seed)
    options = {"steps": steps, "seed": _TUNING_SEED + seed, "scale": scale, "plain": plain}
    means = {}
    for rates in [(rate,) for rate in PLAIN_RATES] if plain else [RATES]:
        try:
            drafts = fit_drafts(targets, loss, settings=[(2, rate) for rate in rates], **options)
        except ValueError:  # plain descent, too large a rate: the loss is infinite
            continue
        means |= dict(zip(rates, acceptance(drafts, targets).mean(1).tolist(), strict=True))
    return max(means, key=lambda rate: means[rate])


@dataclass(frozen=True)
class Drafts:
    """Drafts of one loss: the rate that was chosen, and logits (ranks, targets, 40, 12)."""

    rate: float
    logits: Tensor


def fit_with_best_rate(
    targets: Tensor,
    loss: Loss,
    *,
    ranks: Sequence[int],
    steps: int,
    seed: int = 0,
    scale: float = 0.3,
    plain: bool = False,
) -> Drafts:
    """Choose the rate of a loss, and fit a draft of each rank to each target.

    The arguments are those of `fit_drafts`, with R ranks in place of the settings; the choice takes
    as many steps. Returns the rate and the drafts' logits (R, S, 40, 12).
    """
    rate = best_rate(loss, steps=steps, seed=seed, scale=scale, plain=plain)
    settings = [(rank, rate) for rank in ranks]
    return Drafts(
        rate,
        fit_drafts(
            targets, loss, settings=settings, steps=steps, seed=seed, scale=scale, plain=plain
        ),
    )


def speed(acceptance: float, cost: float, drafts: int) -> float:
    """How many times as fast the target writes with a draft, if tokens are independent.

    Formula: (1 + a + ... + a^n) / (n c + 1): tokens a pass over the cost of a pass.

    Args:
        acceptance: a, from 0 to 1.
        cost: c, a call of the draft over a call of the target.
        drafts: n, tokens drafted for a pass.

    Returns:
        The factor; above 1 the draft saves time.

    Source: Leviathan et al. 2023, theorem 3.8.

    >>> speed(0.8, 0.0, 1), speed(1.0, 1.0, 4)
    (1.8, 1.0)
    """
    return float(sum(acceptance**i for i in range(drafts + 1))) / (drafts * cost + 1)
