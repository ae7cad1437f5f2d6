"""Pieces of lesson 11's experiments: a control for dark knowledge, and Hinton's moved pictures."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional as F

from distill_lab.data.batches import Batch
from distill_lab.data.datasets import Examples
from distill_lab.methods import Method, Student, TeacherFn, Terms

__all__ = ["jitter", "leave_each_out", "permute_others", "pick_confident", "shift_inputs"]


def permute_others(logits: Tensor, seed: int = 0) -> Tensor:
    """Keep each row's largest logit where it is and permute the others among the other classes.

    The softmax stays as soft as it was, at any T; what resembles what is gone.

    Args:
        logits: (..., C).
        seed: Seed of the permutations, one a row.

    Returns:
        The permuted logits, (..., C).

    Source:
        Furlanello et al. 2018 (Born-Again Networks): dark knowledge with permuted predictions.

    >>> z = torch.tensor([[9.0, 1.0, 2.0, 3.0]])
    >>> permuted_logits = permute_others(z)
    >>> permuted_logits[0, 0].item(), permuted_logits.sort(-1).values.equal(z.sort(-1).values)
    (9.0, True)
    """
    values, classes = logits.sort(-1, descending=True)
    others = values[..., 1:]
    generator = torch.Generator().manual_seed(seed)
    order = torch.rand(others.shape, generator=generator).argsort(-1).to(others.device)
    permuted = torch.cat((values[..., :1], others.gather(-1, order)), -1)
    return torch.zeros_like(logits).scatter(-1, classes, permuted)


def jitter(images: Tensor, max_shift: int = 2) -> Tensor:
    """Move each picture along both axes by a random number of pixels; what is left free is blank.

    Draws from torch's global generator, which the training loop seeds.

    Args:
        images: Grey pictures, (B, 1, H, W).
        max_shift: The largest shift along an axis, in pixels.

    Returns:
        The moved pictures, (B, 1, H, W).

    Raises:
        ValueError: For another shape, or a negative `max_shift`.

    >>> jitter(torch.ones(2, 1, 8, 8), max_shift=0).sum().item()
    128.0
    """
    if images.dim() != 4 or images.shape[1] != 1 or max_shift < 0:
        raise ValueError(
            "jitter expects grey pictures (B, 1, H, W) and max_shift >= 0; got "
            f"{tuple(images.shape)} and {max_shift}."
        )
    count, _, height, width = images.shape
    padded = F.pad(images, (max_shift,) * 4)[:, 0]
    shift = torch.randint(2 * max_shift + 1, (2, count, 1), device=images.device)
    rows = shift[0] + torch.arange(height, device=images.device)  # (B, H)
    columns = shift[1] + torch.arange(width, device=images.device)  # (B, W)
    each = torch.arange(count, device=images.device)[:, None, None]
    return padded[each, rows[:, :, None], columns[:, None, :]].unsqueeze(1)


def shift_inputs(method: Method, max_shift: int = 2) -> Method:
    """Let a method see its pictures moved anew in each batch, the student as the teacher.

    Args:
        method: Any method on batches of grey pictures.
        max_shift: The largest shift along an axis, in pixels.

    Returns:
        The same method, on moved pictures.
    """

    def terms(batch: Batch, student: Student, teacher: TeacherFn) -> Terms:
        moved = batch._replace(inputs=jitter(batch.inputs, max_shift))
        return method.terms(moved, student, teacher)

    name = f"{method.name} on pictures moved by up to {max_shift} px"
    return replace(method, name=name, terms=terms)


def pick_confident(logits: Tensor, labels: Tensor, digit: int, *, count: int = 3) -> list[int]:
    """Pick examples of a digit that the teacher is sure of and that resemble different classes.

    For each second choice it is the example where that is strongest, of those at 90 % or more at
    T = 1; the `count` strongest, ordered by their second choice.

    Args:
        logits: The teacher's, (N, C).
        labels: (N,).
        digit: The class to pick from.
        count: How many examples to pick.

    Returns:
        The numbers of their rows.

    Raises:
        ValueError: If there are fewer second choices than `count`.

    >>> z = torch.tensor([[9.0, 6.0, 0.0], [9.0, 5.0, 0.0], [9.0, 0.0, 5.5], [0.0, 9.0, 5.0]])
    >>> pick_confident(z, torch.tensor([0, 0, 0, 1]), digit=0, count=2)
    [0, 2]
    """
    best = logits.topk(2)
    sure = (labels == digit) & (best.indices[:, 0] == digit)
    sure &= logits.softmax(-1).amax(-1) >= 0.9
    lead = (best.values[:, 0] - best.values[:, 1]).masked_fill(~sure, torch.inf)
    picks: dict[int, int] = {}  # second choice -> row
    for row in lead.argsort().tolist():
        if sure[row]:
            picks.setdefault(int(best.indices[row, 1]), row)
    if len(picks) < count:
        raise ValueError(
            f"expected {count} different second choices for {digit}, got {len(picks)}: "
            "ask for fewer, or look at more examples."
        )
    return [row for _, row in sorted(list(picks.items())[:count])]


def leave_each_out(examples: Examples, classes: int = 10) -> Examples:
    """Stack one set a class, each without the examples of that class, cut to equal length.

    >>> rows = Examples(torch.rand(4, 1), torch.tensor([0, 1, 1, 0]))
    >>> leave_each_out(rows, classes=2).labels.tolist()
    [[1, 1], [0, 0]]
    """
    parts = [examples.without(digit) for digit in range(classes)]
    size = min(len(part) for part in parts)
    return Examples(
        torch.stack([part.inputs[:size] for part in parts]),
        torch.stack([part.labels[:size] for part in parts]),
    )
