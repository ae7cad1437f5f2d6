"""How the students of lesson 42 learn: text, loss and step; all seeds at once, no loss by autograd.

The students are tables, so the gradient of each loss with respect to their logits is written down;
the tests hold it against the package's losses.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lesson_42.grid import CELLS, LONGEST, VOCABULARY, Walks, write
from lesson_42.students import Figures, Students, demonstrations, figures_of

__all__ = ["RATES", "TUNED", "Recipe", "choose_rates", "logit_gradient", "train"]


@dataclass(frozen=True)
class Recipe:
    """One way to train: which divergence, on whose text, how it is estimated.

    Args:
        kind: "reverse_kl", "forward_kl", "jsd", or "labels": the next token alone.
        share: lambda, the share of batches on the student's own text.
        estimator: "exact", or "sampled": one sampled token a place, reverse KL.
        batch: walks a step.
        steps: how many.
        rate: of Adam; it falls to zero on a line.
        discount: how much of the later tokens a sampled token answers for.
        reuse: steps on the same walks.
        clip: the largest importance weight where walks are reused; 0: no weights.
    """

    kind: str = "reverse_kl"
    share: float = 1.0
    estimator: str = "exact"
    batch: int = 16
    steps: int = 100
    rate: float = 0.02
    discount: float = 0.0
    reuse: int = 1
    clip: float = 0.0


TUNED = Recipe("labels", share=0.0, steps=150, rate=0.03)  # fine-tuning on demonstrations
TUNING = range(900, 905)  # seeds on which rates are chosen, and nothing else
TRIED = (0.01, 0.03, 0.1, 0.3)


@torch.no_grad()
def train(
    students: Students,
    teacher: Tensor | Students,
    recipe: Recipe,
    *,
    seed: int = 0,
    few: Walks | None = None,
    every: int = 0,
    each: Callable[[int], None] | None = None,
) -> list[tuple[int, Figures]]:
    """Train S students in place, each as if alone.

    Args:
        students: who learn.
        teacher: probabilities (CELLS, CELLS, VOCABULARY), or other students, one for each.
        recipe: how.
        seed: of goals and draws; two runs of one seed draw the same uniform numbers.
        few: the teacher's walks to learn from; None: new ones at each step.
        every: steps between two measurements against a teacher of all; 0: none.
        each: is given the number of steps done, before each step and at the end.

    Returns:
        Steps done and what was measured.
    """
    coin = torch.Generator().manual_seed(seed)  # whose text: one draw a step for all students
    generators = [torch.Generator().manual_seed(1_000_003 * seed + s) for s in students.seeds]
    log_p = teacher().log_softmax(-1) if isinstance(teacher, Students) else teacher.log()
    log_p = log_p.expand(len(students.seeds), -1, -1, -1)
    moments = [[torch.zeros_like(w), torch.zeros_like(w)] for w in students.parameters()]
    history: list[tuple[int, Figures]] = []
    for step in range(recipe.steps + 1):
        if each is not None:
            each(step)
        if every and step % every == 0:
            history.append((step, figures_of(students, log_p[0].exp())))
        if step == recipe.steps:
            return history
        log_q = students().log_softmax(-1)
        if step % recipe.reuse == 0:
            own = torch.rand((), generator=coin).item() < recipe.share
            goals, u = _draws(generators, recipe.batch)
            writer = (log_q if own else log_p).exp()
            walks = write(writer, goals, u) if own or few is None else _some(few, u)
            log_old = log_q
        gradient = logit_gradient(log_q, log_p, walks, recipe, log_old)
        rate = recipe.rate * (1 - step / recipe.steps)
        _adam(students, _through(students, gradient), moments, rate, step)
    return history


def logit_gradient(
    log_q: Tensor, log_p: Tensor, walks: Walks, recipe: Recipe, log_old: Tensor
) -> Tensor:
    """Give the gradient of one loss a student, a mean over its tokens, at each logit.

    Args:
        log_q: the students', (S, CELLS, CELLS, VOCABULARY).
        log_p: the teachers', the same shape.
        walks: the text.
        recipe: the loss.
        log_old: those of the students that wrote it.

    Returns:
        A table of the same shape.
    """
    weights = walks.mask / walks.mask.sum((1, 2), keepdim=True)  # of a token in the mean
    if recipe.estimator == "exact" and recipe.kind != "labels":
        at = _spread(weights, walks.states, CELLS * CELLS).view_as(log_q[..., :1])
        return at * _divergence_gradient(recipe.kind, log_q, log_p)
    push = weights  # what raises the written token
    if recipe.kind != "labels":
        push = weights * _advantage(log_q, log_p, walks, recipe, log_old)
    at = _spread(push, walks.states, CELLS * CELLS).view_as(log_q[..., :1])
    written = _spread(push, walks.states * VOCABULARY + walks.tokens, log_q[0].numel())
    return at * log_q.exp() - written.view_as(log_q)


def _advantage(
    log_q: Tensor, log_p: Tensor, walks: Walks, recipe: Recipe, log_old: Tensor
) -> Tensor:
    """How much more the teacher likes each written token, and later ones by the discount."""
    chosen = _chosen(log_q, walks)
    advantage = (_chosen(log_p, walks) - chosen) * walks.mask
    if recipe.discount:
        total, columns = torch.zeros_like(advantage[..., 0]), []
        for column in reversed(advantage.unbind(-1)):
            total = column + recipe.discount * total
            columns.append(total)
        advantage = torch.stack(columns[::-1], -1)
    if recipe.clip:
        advantage = advantage * (chosen - _chosen(log_old, walks)).exp().clamp_max(recipe.clip)
    return advantage


def _divergence_gradient(kind: str, log_q: Tensor, log_p: Tensor) -> Tensor:
    """The gradient of a divergence with respect to the student's logits, at each state."""
    q = log_q.exp()
    if kind == "forward_kl":
        return q - log_p.exp()
    if kind == "reverse_kl":
        slope = log_q - log_p
    elif kind == "jsd":  # beta = 1/2
        slope = 0.5 * (log_q - ((q + log_p.exp()) / 2).log())
    else:
        raise ValueError(f'expected "reverse_kl", "forward_kl" or "jsd", got {kind!r}.')
    return q * (slope - (q * slope).sum(-1, keepdim=True))


def _through(students: Students, gradient: Tensor) -> list[Tensor]:
    """The gradient of each weight from that of the logits."""
    at_logits = gradient.flatten(1, 2)
    hidden = (students.goal[:, :, None] + students.cell[:, None]).relu().flatten(1, 2)
    back = at_logits @ students.out.mT * (hidden > 0)
    back = back.unflatten(1, (CELLS, CELLS))
    return [back.sum(2), back.sum(1), hidden.mT @ at_logits, at_logits.sum(1, keepdim=True)]


def _adam(
    students: Students,
    gradients: Sequence[Tensor],
    moments: list[list[Tensor]],
    rate: float,
    step: int,
) -> None:
    """Adam with its usual constants; it works number by number, so no student sees another."""
    for weight, gradient, pair in zip(students.parameters(), gradients, moments, strict=True):
        pair[0].lerp_(gradient, 0.1)
        pair[1].lerp_(gradient**2, 0.001)
        mean, square = pair[0] / (1 - 0.9 ** (step + 1)), pair[1] / (1 - 0.999 ** (step + 1))
        weight -= rate * mean / (square.sqrt() + 1e-8)


def _draws(generators: Sequence[torch.Generator], n: int) -> tuple[Tensor, Tensor]:
    """Goals (S, N) and uniform numbers (LONGEST, S, N), from each student's own generator."""
    goals = torch.stack([torch.randint(CELLS, (n,), generator=g) for g in generators])
    return goals, torch.stack([torch.rand(LONGEST, n, generator=g) for g in generators], 1)


def _some(few: Walks, u: Tensor) -> Walks:
    """Some of a few walks, drawn with replacement."""
    n = few.mask.shape[1]
    rows = (u[0] * n).long()[..., None].expand(-1, -1, LONGEST)
    return Walks(*(part.gather(1, rows) for part in few))


def _chosen(log_table: Tensor, walks: Walks) -> Tensor:
    at = walks.states * VOCABULARY + walks.tokens
    return log_table.flatten(1).gather(1, at.flatten(1)).view(walks.mask.shape)


def _spread(values: Tensor, places: Tensor, n: int) -> Tensor:
    """Add up values (S, N, L) by their places, (S, n)."""
    return values.new_zeros(len(values), n).scatter_add_(1, places.flatten(1), values.flatten(1))


# chosen by `choose_rates(teacher_table(), (4, 16, 64, 256), 2048)`
RATES: dict[tuple[str, int], float] = {
    ("exact", 4): 0.03,
    ("exact", 16): 0.1,
    ("exact", 64): 0.1,
    ("exact", 256): 0.1,
    ("sampled", 4): 0.03,
    ("sampled", 16): 0.03,
    ("sampled", 64): 0.03,
    ("sampled", 256): 0.1,
}


def choose_rates(
    teacher: Tensor, batches: Sequence[int], walks: int, tried: Sequence[float] = TRIED
) -> dict[tuple[str, int], float]:
    """Choose the rate of each estimator and batch by the KL on own text, on seeds of their own.

    Args:
        teacher: probabilities (CELLS, CELLS, VOCABULARY).
        batches: walks a step, several.
        walks: in all, of each run.
        tried: rates.

    Returns:
        The best rate of each.
    """
    start = Students(TUNING)
    train(start, teacher, TUNED, few=demonstrations(teacher, TUNING, 40))
    best = {}
    for estimator in ("exact", "sampled"):
        for size in batches:
            distance = {}
            for rate in tried:
                students = start.copy()
                steps = max(1, walks // size)
                recipe = Recipe(estimator=estimator, batch=size, steps=steps, rate=rate)
                train(students, teacher, recipe)
                distance[rate] = figures_of(students, teacher).own.mean().item()
            best[estimator, size] = min(distance, key=distance.__getitem__)
    return best
