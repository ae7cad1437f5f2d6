"""Pieces of lesson 11's experiments: a control for dark knowledge, and Hinton's moved pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor
from torch.nn import functional as F

from distill_lab.course.figures import plots
from distill_lab.data.batches import Batch
from distill_lab.methods import Method, Student, TeacherFn, Terms

__all__ = ["beliefs", "jitter", "on_moved_pictures", "shares", "shuffle_the_rest", "telling"]


def shuffle_the_rest(logits: Tensor, seed: int = 0) -> Tensor:
    """Keep each row's largest logit where it is and deal the others out to the other classes.

    The softmax stays as soft as it was, at any T; what resembles what is gone. Shapes:
    (..., C) -> (..., C). Furlanello et al. 2018 (Born-Again Networks): permuted predictions.

    >>> z = torch.tensor([[9.0, 1.0, 2.0, 3.0]])
    >>> dealt = shuffle_the_rest(z)
    >>> dealt[0, 0].item(), dealt.sort(-1).values.equal(z.sort(-1).values)
    (9.0, True)
    """
    values, classes = logits.sort(-1, descending=True)
    rest = values[..., 1:]
    generator = torch.Generator().manual_seed(seed)
    order = torch.rand(rest.shape, generator=generator).argsort(-1).to(rest.device)
    dealt = torch.cat((values[..., :1], rest.gather(-1, order)), -1)
    return torch.zeros_like(logits).scatter(-1, classes, dealt)


def jitter(images: Tensor, most: int = 2) -> Tensor:
    """Move each picture by up to `most` pixels along both axes; what is left free is blank.

    Shapes: (B, 1, H, W) -> (B, 1, H, W). Draws from torch's global generator, which the training
    loop seeds. Raises ValueError for another shape or a negative `most`.

    >>> jitter(torch.ones(2, 1, 8, 8), most=0).sum().item()
    128.0
    """
    if images.dim() != 4 or images.shape[1] != 1 or most < 0:
        raise ValueError(
            "jitter expects grey pictures (B, 1, H, W) and most >= 0; got "
            f"{tuple(images.shape)} and {most}."
        )
    count, _, height, width = images.shape
    padded = F.pad(images, (most,) * 4)[:, 0]
    by = torch.randint(2 * most + 1, (2, count, 1), device=images.device)
    rows = by[0] + torch.arange(height, device=images.device)  # (B, H)
    columns = by[1] + torch.arange(width, device=images.device)  # (B, W)
    each = torch.arange(count, device=images.device)[:, None, None]
    return padded[each, rows[:, :, None], columns[:, None, :]].unsqueeze(1)


def on_moved_pictures(method: Method, most: int = 2) -> Method:
    """The same method on pictures moved anew in each batch; student and teacher see the same."""

    def terms(batch: Batch, student: Student, teacher: TeacherFn) -> Terms:
        return method.terms(batch._replace(inputs=jitter(batch.inputs, most)), student, teacher)

    name = f"{method.name} on pictures moved by up to {most} px"
    return replace(method, name=name, terms=terms)


def telling(logits: Tensor, labels: Tensor, digit: int, *, count: int = 3) -> list[int]:
    """Examples of `digit` that the teacher is sure of and that resemble different other classes.

    For each second choice the example where it is strongest, of those at 90 % or more at T = 1;
    the `count` strongest, ordered by their second choice. Shapes: (N, C), (N,) -> numbers of rows.
    Raises ValueError if there are not as many second choices.

    >>> z = torch.tensor([[9.0, 6.0, 0.0], [9.0, 5.0, 0.0], [9.0, 0.0, 5.5], [0.0, 9.0, 5.0]])
    >>> telling(z, torch.tensor([0, 0, 0, 1]), digit=0, count=2)
    [0, 2]
    """
    best = logits.topk(2)
    sure = (labels == digit) & (best.indices[:, 0] == digit)
    sure &= logits.softmax(-1).amax(-1) >= 0.9
    lead = (best.values[:, 0] - best.values[:, 1]).masked_fill(~sure, torch.inf)
    found: dict[int, int] = {}
    for row in lead.argsort().tolist():
        if sure[row]:
            found.setdefault(int(best.indices[row, 1]), row)
    if len(found) < count:
        raise ValueError(
            f"expected {count} different second choices for {digit}, got {len(found)}: "
            "ask for fewer, or look at more examples."
        )
    return [row for _, row in sorted(list(found.items())[:count])]


def beliefs(pictures: Tensor, usual: Tensor, soft: Tensor, T: float) -> Figure:
    """Pictures (N, 1, H, W) above what a teacher says of each: (N, C) at T = 1 and at T."""
    columns, classes = usual.shape
    figure, axes = plots.new_figure(2.8 * columns, 3.8, rows=2, columns=columns)
    for i, (top, below) in enumerate(axes.T):
        top.imshow(pictures[i, 0], cmap="gray_r", vmin=0, vmax=1)
        top.set_axis_off()
        first, second = usual[i].topk(2).indices.tolist()
        top.set_title(f"{first}, and something of {second}", fontsize=10, loc="center")
        below.bar(range(classes), soft[i], 0.8, color=plots.TEACHER["color"], label=f"T = {T:g}")
        below.bar(
            range(classes),
            usual[i],
            0.8,
            facecolor="none",
            edgecolor=plots.HARD["color"],
            linewidth=1.2,
            label="T = 1",
        )
        below.set(xticks=range(classes), ylim=(0, 1.02), yticks=(0, 0.5, 1))
    plots.finish(axes[1, 0], "class", "probability")
    axes[1, 0].get_legend().remove()
    for below in axes[1, 1:]:
        plots.finish(below, "class", "")
        below.get_legend().remove()
    axes[1, -1].legend(loc="upper right", frameon=False, fontsize=9)
    return figure


def shares(found: dict[str, Tensor], looks: Sequence[dict[str, Any]], ylabel: str) -> Figure:
    """One bar a run with its mean over the seeds, and each seed (S,) as a dot; looks as roles."""
    figure, axes = plots.new_figure(6.4, 3.2)
    for i, ((name, values), look) in enumerate(zip(found.items(), looks, strict=True)):
        colour, taught = look["color"], look is plots.STUDENT
        axes.bar(
            name,
            values.mean(),
            0.7,
            color="#CFE5F2" if taught else colour,
            edgecolor=colour,
            hatch="|||" if taught else None,
        )
        dots = torch.linspace(i - 0.2, i + 0.2, len(values))
        axes.plot(dots, values, "o", color="black", markersize=3.5)
        axes.text(i, values.max() + 3, f"{values.mean():.1f}", ha="center")
    axes.set_ylim(0, 110)
    axes.tick_params(axis="x", length=0)
    plots.finish(axes, "", ylabel)
    return figure
