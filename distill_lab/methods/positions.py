"""Which positions of a batch count: one notion for every term.

A batch of B examples has one position each; one of B texts has (B, L), and dense answers more. A
label of -100 says that a position has none, and an attention mask of 0 that it is padding.

In (B, L, ...) a position without a label is no position: it is padding, a prompt, the second piece
of a word. It is left out of every term, and so is what the attention mask leaves out. In (B,) a
label of -100 is an example without a label, which still learns from its teacher.
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from distill_lab._util.checks import one_of
from distill_lab._util.tensors import IGNORE, Batch, readable

MASKS = ("auto", "labels", "attention_mask", None)
Mask = str | None


def check_mask_name(mask: Mask) -> None:
    """Refuse another name than those that say which positions count."""
    one_of("mask", mask, MASKS)


def positions(batch: Batch, shape: torch.Size, mask: Mask = "auto") -> Tensor | None:
    """Which positions count, out of those that an answer or a feature has.

    Args:
        batch: with its labels, and perhaps an attention mask among its inputs.
        shape: of the positions, such as (B,) or (B, L).
        mask: "labels" leaves out what is labelled -100; "attention_mask" what is padding; "auto"
            both in (B, L, ...), and nothing in (B,); None nothing.

    Returns:
        True where a position counts, of that shape; None where all are known to.

    Raises:
        ValueError: for a mask that is named and is not there, or of another shape.

    >>> batch = Batch(torch.zeros(1, 3), torch.tensor([[4, -100, 2]]), torch.arange(1))
    >>> positions(batch, torch.Size([1, 3]))
    tensor([[ True, False,  True]])
    >>> positions(Batch(torch.zeros(2, 3), torch.tensor([4, -100]), None), torch.Size([2]))
    """
    if mask is None or (mask == "auto" and len(shape) < 2):
        return None
    kept: Tensor | None = None
    for name, given in (("labels", labelled(batch)), ("attention_mask", attended(batch))):
        if mask == name and (given is None or given.shape != shape):
            has = "there is none" if given is None else f"it has shape {tuple(given.shape)}"
            raise ValueError(
                f"mask={name!r} says which of the positions {tuple(shape)} count, and {has}: give "
                "data with one, or another mask."
            )
        if mask in (name, "auto") and given is not None and given.shape == shape:
            kept = given if kept is None else kept & given
    if kept is not None and readable(kept) and kept.all():
        return None  # nothing to leave out
    return kept


def counts_of(
    mask: Mask, weights: Mapping[str, float], by_label: tuple[str, ...] = ("ce",)
) -> Callable[[Batch], dict[str, int]]:
    """A function that says over how many positions of a batch each term is a mean.

    Args:
        mask: which positions count, as in `positions`.
        weights: the terms.
        by_label: those that need a label as well.

    Returns:
        A function of a batch, for `Method(count=...)`.

    >>> count = counts_of("auto", {"kd": 0.9, "ce": 0.1})
    >>> count(Batch(torch.zeros(3, 4), torch.tensor([1, -100, 2]), torch.arange(3)))
    {'kd': 3, 'ce': 2}
    """

    def count(batch: Batch) -> dict[str, int]:
        labels = batch.labels
        if labels is not None and labels.dim() == 1 and mask in ("auto", None) and len(labels):
            every = len(labels)
            # as numbers, a short list is read faster
            none = labels.tolist().count(IGNORE) if every <= 256 else int((labels == IGNORE).sum())
            hard = every - none
            return {name: hard if name in by_label else every for name in weights}
        has_label = labelled(batch)
        given = attended(batch) if has_label is None and mask == "attention_mask" else has_label
        shape = torch.Size([len(batch.ids)]) if given is None else given.shape
        kept = positions(batch, shape, mask)
        every = shape.numel() if kept is None else int(kept.sum())
        if has_label is None:
            return dict.fromkeys(weights, every)
        hard = int((has_label if kept is None else has_label & kept).sum())
        return {name: hard if name in by_label else every for name in weights}

    return count


def labelled(batch: Batch) -> Tensor | None:
    """Where a batch has a label (B, ...); None where its labels are no classes."""
    labels = batch.labels
    class_labels = isinstance(labels, Tensor) and not labels.is_floating_point()
    return labels != IGNORE if class_labels else None  # type: ignore[return-value]


def attended(batch: Batch) -> Tensor | None:
    """Where a batch has text and no padding (B, L); None where its inputs do not say."""
    inputs = batch.inputs
    given = inputs.get("attention_mask") if isinstance(inputs, Mapping) else None
    return given.bool() if isinstance(given, Tensor) else None
