"""Which positions of a batch count, and how much: one notion for every term.

A batch of B examples has one position each; one of B texts has (B, L), and dense answers more. A
label of -100 says that a position has none, and an attention mask of 0 that it is padding.

In (B, L, ...) a position without a label is no position: it is padding, a prompt, the second piece
of a word. It is left out of every term, and so is what the attention mask leaves out. In (B,) a
label of -100 is an example without a label, which still learns from its teacher.

Where a batch has weights, every position of an example weighs what it does, and a mean divides by
the sum of weights. Terms that compare examples with each other take each once.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch import Tensor

from distill_lab._util.checks import one_of
from distill_lab._util.tensors import IGNORE, Batch, attention_of, readable
from distill_lab.losses._checks import kept_by, narrowed
from distill_lab.losses.response import weighed_by_class
from distill_lab.signals import Dense

ClassWeights = Tensor | Sequence[float] | None
_CUT: ContextVar[bool] = ContextVar("cut", default=False)
MASKS = ("auto", "labels", "attention_mask", None)
Mask = str | None


def check_mask_name(mask: Mask) -> None:
    """Refuse another name than those that say which positions count."""
    one_of("mask", mask, MASKS)


def as_class_weights(name: str, weights: ClassWeights) -> Tensor | None:
    """Weights of classes as a tensor (C,), refusing what is not one number of at least 0 each.

    Args:
        name: the argument's, as the caller wrote it.
        weights: the numbers, or None.

    Returns:
        A tensor in float32, or None.

    Raises:
        TypeError: for a mapping, and for what is no numbers.
        ValueError: for other shapes or numbers, or weights that are all 0.

    >>> as_class_weights("class_weights", [1, 2.5])
    tensor([1.0000, 2.5000])
    """
    if weights is None:
        return None
    if isinstance(weights, Mapping):
        raise TypeError(
            f"{name} is a mapping: expected one number a class, in the order of the classes, as "
            f"[weights[c] for c in range({len(weights)})]."
        )
    try:
        tensor = torch.as_tensor(weights, dtype=torch.float32).detach()
    except (TypeError, ValueError, RuntimeError) as error:
        raise TypeError(
            f"{name} must be one number for each class, got {weights!r}. What scikit-learn calls "
            "balanced is len(labels) / (len(counts) * counts), with counts = labels.bincount()."
        ) from error
    valid = bool(((tensor >= 0) & tensor.isfinite()).all())
    if tensor.dim() != 1 or not valid or not tensor.any():
        raise ValueError(
            f"{name} must be one finite number of at least 0 for each class, not all of them 0; "
            f"got {tensor.tolist()}."
        )
    return tensor


def positions(
    batch: Batch,
    shape: torch.Size,
    mask: Mask = "auto",
    *,
    has_label: Tensor | None = None,
    weighed: bool = True,
) -> Tensor | None:
    """Which positions count, out of those that an answer or a feature has.

    Args:
        batch: with its labels, perhaps an attention mask among its inputs, perhaps weights.
        shape: of the positions, such as (B,) or (B, L).
        mask: "labels" leaves out what is labelled -100; "attention_mask" what is padding; "auto"
            both in (B, L, ...), and nothing in (B,); None nothing.
        has_label: where there is a label, if the labels are no classes.
        weighed: whether the batch's weights are looked at.

    Returns:
        True where a position counts, of that shape, or what it weighs; None where all are known to
        count alike.

    Raises:
        ValueError: for a mask that is named and is not there, or of another shape.

    >>> batch = Batch(torch.zeros(1, 3), torch.tensor([[4, -100, 2]]), torch.arange(1))
    >>> positions(batch, torch.Size([1, 3]))
    tensor([[ True, False,  True]])
    >>> positions(Batch(torch.zeros(2, 3), torch.tensor([4, -100]), None), torch.Size([2]))
    """
    kept: Tensor | None = None
    if mask is not None and (mask != "auto" or len(shape) >= 2):
        kept = _kept(batch, shape, mask, labelled(batch) if has_label is None else has_label)
    if batch.weights is None or not weighed:
        return kept
    weights = batch.weights
    if weights.shape != shape[:1]:
        raise ValueError(
            f"the batch has weights of shape {tuple(weights.shape)} for {shape[0]} examples: "
            "expected one an example."
        )
    weights = weights.float().reshape(-1, *(1,) * (len(shape) - 1)).expand(shape)
    return weights if kept is None else narrowed(weights, kept)


def _kept(batch: Batch, shape: torch.Size, mask: str, has_label: Tensor | None) -> Tensor | None:
    kept: Tensor | None = None
    attention = attended(batch)
    by_label = has_label is not None and has_label.shape == shape
    if mask == "auto" and not by_label and attention is not None and attention.dim() > 2:
        raise ValueError(
            f"attention_mask has shape {tuple(attention.shape)}, which says who looks at whom and "
            f"not which of the positions {tuple(shape)} are padding: give one of shape (B, L), or "
            "labels with -100 at padding; mask=None learns from every position."
        )
    for name, given in (("labels", has_label), ("attention_mask", attention)):
        if mask == name and (given is None or given.shape != shape):
            has = "there is none" if given is None else f"it has shape {tuple(given.shape)}"
            raise ValueError(
                f"mask={name!r} says which of the positions {tuple(shape)} count, and {has}: give "
                "data with one, or another mask."
            )
        if mask in (name, "auto") and given is not None and given.shape == shape:
            kept = given if kept is None else kept & given
    if kept is None and mask == "auto":
        refuse_other_padding(batch, shape)
    if kept is not None and readable(kept) and kept.all():
        return None  # nothing to leave out
    return kept


def refuse_other_padding(batch: Batch, shape: torch.Size) -> None:
    """Refuse to learn from what may be padding, said in words that are not known here.

    Args:
        batch: of which neither labels nor an attention mask say it.
        shape: of the positions.

    Raises:
        ValueError: naming the input that may say it.
    """
    if name := _perhaps_padding(batch, shape):
        raise ValueError(
            f"{name} among the inputs seems to say which of the positions {tuple(shape)} are "
            "padding, and it is read off an attention_mask, a key_padding_mask or labels of that "
            "shape: name it so, or give labels with -100 at padding; mask=None learns from every "
            "position."
        )


def _perhaps_padding(batch: Batch, shape: torch.Size) -> str:
    """The name of an input that may say where texts end, in words that are not known here."""
    inputs = batch.at_hand.inputs  # on a device they would be waited for
    named = isinstance(inputs, Mapping)
    if not isinstance(inputs, Mapping | tuple):
        return ""
    pairs = inputs.items() if isinstance(inputs, Mapping) else enumerate(inputs)
    for key, part in pairs:
        if not isinstance(part, Tensor) or not readable(part):
            continue
        word = str(key).lower()
        called = any(each in word for each in ("mask", "pad", "valid"))
        # what a picture's "masked" patches are is another thing
        masks = called and "masked" not in word if named else part.dtype == torch.bool
        if masks and part.shape == shape and part.any() and not part.all():
            return f"{key!r}" if named else f"the bool tensor at place {key}"
        counts = named and "length" in word and part.shape == shape[:1]
        if counts and not part.is_floating_point() and 0 < part.min() < part.max() <= shape[1]:
            return f"{key!r}"
    return ""


class Answered:
    """Which part of a batch has the positions of the answers: its labels, its attention mask.

    A batch alone does not always say it: a text without labels may have one answer, or one a token.
    `look` sees it on an answer. Before that, positions are taken to be those of the labels.
    """

    def __init__(self) -> None:
        # by what batches are made of, so that of other data nothing is taken for known
        self.parts: dict[tuple[tuple[str, int], ...], str] = {}

    def look(self, batch: Batch, answered: Callable[[], torch.Size]) -> None:
        """See which part it is.

        Args:
            batch: of the data that are learned from.
            answered: gives the positions of its answers; asked only where there is a choice.
        """
        shapes = _shapes_in(batch)
        if any(len(shape) > 1 for shape in shapes.values()):
            shape = answered()
            parts = [name for name, given in shapes.items() if given == shape]
            self.parts[_axes(shapes)] = parts[0] if parts else "examples"

    def shape(self, batch: Batch, mask: Mask) -> torch.Size:
        """The positions of a batch; (B,) where as many of each example count.

        Args:
            batch: of the data that are learned from.
            mask: which positions count.

        Returns:
            A shape, such as (B,) or (B, L).
        """
        shapes = _shapes_in(batch)
        usual = "labels" if "labels" in shapes or mask != "attention_mask" else mask
        part = self.parts.get(_axes(shapes), usual)
        return shapes.get(part, torch.Size([len(batch.ids)]))


@contextmanager
def cutting(cut: bool) -> Iterator[None]:
    """A run within which batches are cut into pieces, or are not; the next one has its own.

    Args:
        cut: whether they are.
    """
    before = _CUT.set(cut)
    try:
        yield
    finally:
        _CUT.reset(before)


class ByTeacher:
    """Which of the positions that count a teacher answers, whose signal may leave some out."""

    def __call__(self, answer: object, kept: Tensor | None) -> Tensor | None:
        """Leave out what the teacher leaves out, such as padding that a cache does not keep.

        Args:
            answer: the teacher's.
            kept: which positions (...) count, or what each weighs; None for all.

        Returns:
            The same; of a `Dense`, whose logits alone are handed on, those that are answered.

        Raises:
            ValueError: where some are not, and the pieces of a batch would be weighed wrongly.
        """
        mask = getattr(answer, "mask", None)
        if not isinstance(mask, Tensor):
            return kept
        if _CUT.get() and readable(mask):  # `count` sees the batch alone
            every = torch.ones_like(mask) if kept is None else kept_by(kept)
            if missing := int((every & ~mask).sum()):
                raise ValueError(
                    f"the teacher has no answer at {missing} of {int(every.sum())} positions that "
                    "count, and the pieces of a batch are weighed by how many count: leave them "
                    "out, as mask='attention_mask' leaves out padding, or say accumulate=1."
                )
        # the others leave it out themselves, and where all is answered to the very bits
        return narrowed(kept, mask) if isinstance(answer, Dense) else kept


def _shapes_in(batch: Batch) -> dict[str, torch.Size]:
    """The shapes that positions may have, by the part of a batch that has them."""
    labels, attention = batch.labels, attended(batch)
    shapes = {}
    if isinstance(labels, Tensor):
        soft = labels.is_floating_point() and labels.dim() > 1  # a probability of each class
        shapes["labels"] = labels.shape[:-1] if soft else labels.shape
    if attention is not None:
        shapes["attention_mask"] = attention.shape
    return shapes


def _axes(shapes: Mapping[str, torch.Size]) -> tuple[tuple[str, int], ...]:
    return tuple((name, len(shape)) for name, shape in shapes.items())


def counts_of(
    mask: Mask,
    weights: Mapping[str, float],
    by_label: Sequence[str] = ("ce",),
    *,
    by_class: Sequence[str] = ("ce",),
    ignore: int = IGNORE,
    class_weights: Tensor | None = None,
    answered: Answered | None = None,
) -> Callable[[Batch], dict[str, float]]:
    """A function that says over how many positions of a batch each term is a mean.

    Args:
        mask: which positions count, as in `positions`.
        weights: the terms.
        by_label: those that need a label as well.
        by_class: those of them whose labels weigh as their classes do.
        ignore: the label of a position that has none, beside -100.
        class_weights: what the labels of each class weigh (C,).
        answered: knows which part of a batch has the positions; None for its labels.

    Returns:
        A function of a batch, for `Method(count=...)`; where something weighs, a sum of weights.

    >>> count = counts_of("auto", {"kd": 0.9, "ce": 0.1})
    >>> count(Batch(torch.zeros(3, 4), torch.tensor([1, -100, 2]), torch.arange(3)))
    {'kd': 3, 'ce': 2}
    """
    answered = answered or Answered()

    def plain(batch: Batch) -> dict[str, float]:
        labels, shape = batch.labels, answered.shape(batch, mask)
        by_example = labels is not None and labels.shape == shape and len(shape) == 1
        if labels is not None and by_example and mask in ("auto", None) and len(labels):
            every = len(labels)
            # as numbers, a short list is read faster
            none = labels.tolist().count(IGNORE) if every <= 256 else int((labels == IGNORE).sum())
            hard = every - none
            return {name: hard if name in by_label else every for name in weights}
        has_label = labelled(batch)
        kept = positions(batch, shape, mask)
        every = shape.numel() if kept is None else int(kept.sum())
        if has_label is None or has_label.shape != shape:
            return dict.fromkeys(weights, every)
        hard = int((has_label if kept is None else has_label & kept).sum())
        return {name: hard if name in by_label else every for name in weights}

    def count(batch: Batch) -> dict[str, float]:
        batch = with_ignored(batch, ignore)
        if batch.weights is None and class_weights is None:
            return plain(batch)
        shape = answered.shape(batch, mask)
        kept = positions(batch, shape, mask)
        every = float(shape.numel() if kept is None else kept.sum())
        has_label = labelled(batch)
        if has_label is None or has_label.shape != shape:
            return dict.fromkeys(weights, every)
        hard = classed = float(narrowed(kept, has_label).sum())
        if class_weights is not None and batch.labels is not None:
            per_class = class_weights.to(batch.labels.device)
            classed = float(weighed_by_class(batch.labels, kept, per_class).sum())
        each = {name: classed if name in by_class else hard for name in by_label}
        return {name: each.get(name, every) for name in weights}

    return count


def with_ignored(batch: Batch, ignore: int) -> Batch:
    """A batch whose label `ignore` is -100, as everywhere here.

    >>> with_ignored(Batch(None, torch.tensor([255, 3], dtype=torch.uint8), None), 255).labels
    tensor([-100,    3])
    """
    labels = batch.labels
    if ignore == IGNORE or labels is None or labels.is_floating_point():
        return batch
    return batch._replace(labels=labels.long().masked_fill(labels == ignore, IGNORE))


def labelled(batch: Batch) -> Tensor | None:
    """Where a batch has a label (B, ...); None where its labels are no classes."""
    labels = batch.labels
    class_labels = isinstance(labels, Tensor) and not labels.is_floating_point()
    return labels != IGNORE if class_labels else None  # type: ignore[return-value]


def attended(batch: Batch) -> Tensor | None:
    """Where a batch has text and no padding (B, L); None where its inputs do not say."""
    return attention_of(batch.inputs)
