"""Figures that follow from counts: F1 of classes, labels and spans, and overlap of areas.

Counts are true positives, false positives and false negatives, (..., 3, C). They add up over
examples, so that a bootstrap may draw examples and add again.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

__all__ = ["class_counts", "f1", "label_counts", "macro", "overlap", "span_counts"]

OPENING, CLOSING = ("B", "S", "U"), ("E", "L", "S", "U")  # of a span, in BIO, BIOES and BILOU
PREFIXES = {*OPENING, *CLOSING, "I"}


def class_counts(chosen: Tensor, labels: Tensor, classes: int) -> Tensor:
    """Counts of each class among positions with one class each.

    Args:
        chosen: the class named at each position (P,).
        labels: the right one (P,).
        classes: how many there are, C.

    Returns:
        Counts (3, C).

    >>> class_counts(torch.tensor([0, 0, 1]), torch.tensor([0, 1, 1]), 2).tolist()
    [[1.0, 1.0], [1.0, 0.0], [0.0, 1.0]]
    """
    table = torch.bincount(labels * classes + chosen, minlength=classes**2)
    table = table.reshape(classes, classes).double()
    right = table.diagonal()
    return torch.stack([right, table.sum(0) - right, table.sum(1) - right])


def label_counts(chosen: Tensor, labels: Tensor) -> Tensor:
    """Counts of each of several independent labels, example by example.

    Args:
        chosen: truth values (N, C): which labels the model gives.
        labels: truth values (N, C): which are right.

    Returns:
        Counts (N, 3, C).
    """
    parts = (chosen & labels, chosen & ~labels, ~chosen & labels)
    return torch.stack(parts, 1).double()


def f1(counts: Tensor) -> Tensor:
    """F1 in percent, 200 tp / (2 tp + fp + fn); NaN where nothing is there to find or was found.

    Args:
        counts: (..., 3, C).

    Returns:
        Percent (..., C).
    """
    right, wrong, missed = counts.unbind(-2)
    return 200 * right / (2 * right + wrong + missed)


def overlap(counts: Tensor) -> Tensor:
    """Intersection over union in percent, 100 tp / (tp + fp + fn), as `f1`."""
    return 100 * counts.select(-2, 0) / counts.sum(-2)


def macro(values: Tensor) -> Tensor:
    """The mean over the classes that occur, in the labels or in the answers: (..., C) -> (...)."""
    return values.nanmean(-1)


def span_counts(chosen: Tensor, labels: Tensor, names: Sequence[str]) -> Tensor:
    """Counts of whole spans, text by text: right where type, first and last token are.

    A span begins at a tag B-type, and at an I-type that no span of its type comes before. Names
    without prefixes make a span of every run of one tag. "O" is outside.

    Args:
        chosen: the tag named at each position (N, L), -1 where none is.
        labels: the right tag (N, L), negative where there is none: left out as if it were not
            there, so that the pieces of a word behind its first may go unlabelled.
        names: of the tags, such as ["O", "B-place", "I-place"].

    Returns:
        Counts (N, 3).

    Source: the rules of the CoNLL-2000 evaluation, Tjong Kim Sang & Buchholz 2000.

    >>> names = ["O", "B-x", "I-x"]
    >>> span_counts(torch.tensor([[1, 0, 1]]), torch.tensor([[1, 2, 1]]), names).tolist()
    [[1.0, 1.0, 1.0]]
    """
    kept = labels >= 0
    text = torch.arange(len(labels))[:, None].expand_as(labels)[kept]
    chosen_spans, true_spans = (_spans(tags[kept], text, names) for tags in (chosen, labels))
    right = torch.isin(chosen_spans, true_spans)
    size = len(names) * max(len(text), 1)

    def per_text(spans: Tensor) -> Tensor:
        first = (spans // size).long()
        return torch.bincount(text[first], minlength=len(labels)).double()

    right_count = per_text(chosen_spans[right])
    parts = (right_count, per_text(chosen_spans) - right_count, per_text(true_spans) - right_count)
    return torch.stack(parts, 1)


def _spans(tags: Tensor, text: Tensor, names: Sequence[str]) -> Tensor:
    """Every span as one number, made of its first token, its last one and its type."""
    split = [name.partition("-") for name in names]
    marked = any(dash and mark in PREFIXES for mark, dash, _ in split)
    kinds = [
        rest if marked and dash else name
        for name, (_, dash, rest) in zip(names, split, strict=True)
    ]
    number = {kind: i for i, kind in enumerate(dict.fromkeys(kinds))}

    def look_up(values: list[int]) -> Tensor:
        return torch.tensor([*values, 0])[tags]  # where none is named, the last one: outside

    kind = look_up([number[k] for k in kinds])
    inside = look_up([int(name.upper() != "O") for name in names]).bool()
    opens = look_up([int(marked and mark in OPENING) for mark, _, _ in split]).bool()
    closes = look_up([int(marked and mark in CLOSING) for mark, _, _ in split]).bool()
    if len(tags) == 0:
        return tags
    joined = torch.zeros_like(inside)  # to the position before
    joined[1:] = (text[1:] == text[:-1]) & inside[1:] & inside[:-1] & (kind[1:] == kind[:-1])
    joined[1:] &= ~opens[1:] & ~closes[:-1]
    begins = inside & ~joined
    ends = inside.clone()
    ends[:-1] &= ~joined[1:]
    first, last = begins.nonzero()[:, 0], ends.nonzero()[:, 0]
    return (first * len(tags) + last) * len(names) + kind[first]
