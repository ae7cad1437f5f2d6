"""What the numbers of an answer are: looked at before they are scored, and brought into one form.

Each of these mistakes trains without an error and teaches something else. Shapes are looked at in
every step, since that costs nothing; values once.
"""

import weakref
from collections.abc import Callable
from typing import Any

from torch import Tensor

from distill_lab._util.axes import check_axis, classes_last
from distill_lab._util.tensors import (
    Batch,
    SoftBatch,
    check_temperature_of,
    like_probabilities,
    readable,
)
from distill_lab.signals import Dense

PROBABILITIES = (
    "the teacher's answers lie between 0 and 1 and every row sums to 1: they look like "
    "probabilities, and a method takes logits. Give teachers.probabilities(P) of a table, or "
    'teachers.function(f, says="probabilities").'
)
SIGMOIDS = (
    "the teacher's answers all lie between 0 and 1: they look like probabilities of independent "
    "labels, and a method takes logits. Give torch.logit(P, eps=1e-6), or leave out the sigmoid."
)
OWN_SOFTMAX = (
    "the student's answers lie between 0 and 1 and every row sums to 1: they look like "
    "probabilities, and a method makes a softmax of its own. Leave out the one at the student's "
    "end, or let its logarithms be read, as read=lambda p: p.clamp_min(1e-9).log()."
)
OWN_SQUASHING = (
    "the student's answers come out of a {}, and a method takes logits: leave it out at the "
    "student's end, or let its input be read, as read=lambda p: torch.logit(p, eps=1e-6)."
)
SQUASHING = {"Sigmoid": "sigmoid", "Hardsigmoid": "sigmoid", "Softmax": "softmax"}
ONLY_MOVE = {  # numbers, and change none; as torch calls their steps backward
    *("View", "UnsafeView", "Reshape", "ReshapeAlias", "Squeeze", "Unsqueeze", "Transpose", "T"),
    *("Permute", "Select", "Slice", "Index", "IndexSelect", "Clone", "Alias", "ToCopy"),
}
ONE_NUMBER = (
    "a softmax over one class is 1 whatever it says, so nothing is learned. For yes or no use "
    "methods.binary_kd(), a sigmoid; for a quantity methods.regression()."
)


def squashed_by(answer: Tensor) -> str:
    """Which function an answer comes straight out of, where that leaves no logits.

    It is read off the graph, not off the numbers: nothing is waited for, and nothing is guessed.

    Args:
        answer: of a student that learns.

    Returns:
        "sigmoid", "softmax", or nothing.

    >>> import torch
    >>> z = torch.zeros(2, 3, requires_grad=True)
    >>> squashed_by(z.sigmoid()[:, 0]), squashed_by(z.log_softmax(-1))
    ('sigmoid', '')
    """
    step = answer.grad_fn
    while step is not None:
        name = step.name().rstrip("0123456789").removesuffix("Backward")
        if name not in ONLY_MOVE or not step.next_functions:
            return SQUASHING.get(name, "")
        step = step.next_functions[0][0]
    return ""


def check_logits(student: object, teacher: object = None) -> None:
    """Refuse probabilities where the scores of tokens are expected, in any step.

    Args:
        student: the student's scores (n, C), or what is no tensor and passes unseen.
        teacher: the teacher's, likewise.

    Raises:
        ValueError: saying whose they are.
    """
    for scores, words in ((student, OWN_SOFTMAX), (teacher, PROBABILITIES)):
        if not isinstance(scores, Tensor) or scores.dim() < 2:
            continue
        # the first row says no at once of nearly all logits
        by_row = like_probabilities(scores[:1].detach()) and like_probabilities(scores.detach())
        if by_row or squashed_by(scores) == "softmax":
            raise ValueError(words)


def check_one_softmax(batch: Batch, logits: Tensor, axis: int | None = None) -> None:
    """Refuse logits whose last axis is not the classes of one softmax.

    Args:
        batch: with its inputs and labels, which tell what the axes are.
        logits: the student's scores, classes last.
        axis: where the caller said that the classes were; None where nothing was said.

    Raises:
        ValueError: for one class, independent labels, or maps with the classes in front.
    """
    shape, labels = tuple(logits.shape), batch.labels
    if len(shape) < 2 or shape[-1] == 1:
        raise ValueError(f"the student gives one number a position, shape {shape}: {ONE_NUMBER}")
    alike = labels is not None and labels.dim() > 1 and tuple(labels.shape) == shape
    if alike and not are_soft_labels(batch, logits):
        raise ValueError(
            f"the labels have the logits' own shape {shape}, as independent labels have, of which "
            "several may hold at once: a softmax would make them exclude each other. Use "
            "methods.binary_kd() or supervised(loss='bce'), which take "
            "binary_cross_entropy_with_logits on both sides. Of classes in one-hot rows, give "
            "labels.argmax(-1). Rows of probabilities, as of Mixup, are read as they are once a "
            "batch holds one that is no decision; where the first may hold none, give "
            f"labels.lerp(torch.full_like(labels, 1 / {shape[-1]}), 1e-6)."
        )
    if axis is None:
        check_axis(batch, shape)
    elif not alike and labels is not None and tuple(labels.shape) != shape[:-1]:
        raise ValueError(
            f"with the classes on axis {axis} the positions are {shape[:-1]}, and the labels have "
            f"shape {tuple(labels.shape)}: expected one label a position. Bring the labels, or the "
            "logits, to the other's size."
        )


def are_soft_labels(batch: Batch, logits: Tensor) -> bool:
    """Whether labels are a probability of each class, as Mixup makes them; one-hot rows are not.

    Args:
        batch: with its labels.
        logits: the student's scores (..., C).

    Returns:
        Whether every row lies between 0 and 1 and sums to 1, and some are no decision, here or in
        the data that the batch is of.

    >>> import torch
    >>> mixed = Batch(None, torch.tensor([[0.3, 0.7], [1.0, 0.0]]), torch.arange(2))
    >>> are_soft_labels(mixed, torch.zeros(2, 2))
    True
    """
    labels = batch.at_hand.labels  # on a device they would be waited for
    if labels is None or labels.shape != logits.shape or not labels.is_floating_point():
        return False
    if batch.soft and not readable(labels):
        return True
    if not like_probabilities(labels):
        return False
    return batch.soft or not bool(((labels == 0) | (labels == 1)).all())


def check_no_mean_of_softmaxes(teacher: object) -> None:
    """Refuse a teacher whose numbers are those of one softmax, where a method takes others.

    Args:
        teacher: with an attribute `scored_at`, where its answer is of one softmax at that T.

    Raises:
        ValueError: naming the mean that independent numbers have.
    """
    if getattr(teacher, "scored_at", None) is not None:
        raise ValueError(
            "the teacher's numbers are logarithms of one softmax, a mean of probabilities say, or "
            "weighed by how sure one softmax is, and this method takes each number by itself: use "
            "Ensemble(..., mean='logits') with weights=None or numbers, or "
            "teachers.function(f, says='binary_probabilities') for independent labels."
        )


def remembered(thing: object) -> Callable[[], object]:
    """A way back to an object that does not keep it alive.

    Its `id` would not do: the next object may get it when this one is gone, and pass unseen.

    Args:
        thing: such as a model.

    Returns:
        A function that gives the object, or None where it is gone.

    >>> remembered(Batch)() is Batch
    True
    """
    try:
        return weakref.ref(thing)
    except TypeError:  # of some kinds there is none
        return lambda: thing


def _nothing() -> None:
    return None


class FirstLook:
    """Hold a teacher's first answer against what a method takes it for; later ones pass unseen.

    Args:
        T: the method's temperature, where it has one.
        sigmoid: whether each number is an independent label's logit.
    """

    def __init__(self, T: float | None = None, *, sigmoid: bool = False) -> None:
        self.T, self.sigmoid = T, sigmoid
        self.seen: Callable[[], object] = _nothing

    def __call__(self, teacher: object, output: object) -> None:
        """Refuse probabilities, and a mean that was taken at another temperature."""
        if self.seen() is teacher:
            return
        self.seen = remembered(teacher)
        if self.T is not None and not self.sigmoid:
            check_temperature_of(teacher, self.T)
        if self.sigmoid:
            check_no_mean_of_softmaxes(teacher)
            if isinstance(output, Tensor) and output.numel() >= 8 and readable(output):
                low, high = (end.item() for end in output.aminmax())
                if 0 <= low < high <= 1:
                    raise ValueError(SIGMOIDS)
        elif isinstance(output, Tensor) and output.dim() < 2:
            raise ValueError(
                f"the teacher gives one number an example, shape {tuple(output.shape)}: "
                f"{ONE_NUMBER}"
            )
        elif like_probabilities(output):
            raise ValueError(PROBABILITIES)


def moved_axis(output: Any, axis: int | None) -> Any:
    """An answer with its classes last.

    Args:
        output: logits, or a signal.
        axis: where the classes are; None for last.

    Returns:
        The same numbers, classes last.

    Raises:
        ValueError: for a signal whose classes cannot be told from its positions.

    >>> import torch
    >>> moved_axis(torch.zeros(2, 5, 3, 4), 1).shape
    torch.Size([2, 3, 4, 5])
    """
    if axis is None or axis == -1:
        return output
    if isinstance(output, Dense) and output.mask is None:
        output = output.logits
    if isinstance(output, Tensor):
        return classes_last(output, axis)
    return output


def relabelled(
    batch: Batch, change: Callable[[Tensor], Tensor] | None = None, *, soft: bool = False
) -> Batch:
    """A batch with its labels in another form, and as it was before it was moved as well.

    Args:
        batch: with labels.
        change: makes the new labels of the old; None leaves them.
        soft: whether they are known to be probabilities; else that stays as it is.

    Returns:
        The new batch.

    >>> import torch
    >>> relabelled(Batch(None, torch.zeros(2), torch.arange(2)), lambda y: y + 1).labels
    tensor([1., 1.])
    """
    origin = batch.at_hand
    labels = batch.labels if change is None or batch.labels is None else change(batch.labels)
    new = batch._replace(labels=labels)
    if origin is batch:
        return SoftBatch(*new) if soft else new
    new.origin = relabelled(origin, change, soft=soft)  # type: ignore[attr-defined]
    return new


def with_labels_moved(batch: Batch, output: Tensor, axis: int | None) -> Batch:
    """A batch whose soft labels have their classes last, where they have the answer's own axes.

    Args:
        batch: perhaps with probabilities (B, C, ...), as torch's cross_entropy takes them.
        output: the student's answer, as it gave it.
        axis: where its classes are; None for last.

    Returns:
        The batch, with labels (B, ..., C); as it is where they are of another form.

    >>> import torch
    >>> maps = Batch(None, torch.full((2, 5, 3, 4), 0.2), torch.arange(2))
    >>> with_labels_moved(maps, torch.zeros(2, 5, 3, 4), 1).labels.shape
    torch.Size([2, 3, 4, 5])
    """
    labels = batch.labels
    if axis in (None, -1) or labels is None or not labels.is_floating_point():
        return batch
    if labels.shape != output.shape:
        return batch
    moved = labels.movedim(axis, -1)
    if moved.shape == labels.shape and like_probabilities(batch.at_hand.labels):
        return batch  # a cube, whose rows say that the classes are last
    return relabelled(batch, lambda labels: labels.movedim(axis, -1))


def check_signal_axis(signal: Any, logits: Tensor, axis: int) -> None:
    """Refuse a signal of few classes where nothing tells its classes from its positions.

    Args:
        signal: as a cache gives it: of each position the classes that were kept.
        logits: the student's, classes last.
        axis: where its classes were.

    Raises:
        ValueError: for another shape, or one that holds for several axes.
    """
    ids = getattr(signal, "ids", None)
    shape = tuple(logits.shape)
    right = isinstance(ids, Tensor) and tuple(ids.shape[:-1]) == shape[:-1]
    if not right or len(set(shape[1:])) == 1:
        raise ValueError(
            f"the student's classes are on axis {axis}, and the teacher's "
            f"{type(signal).__name__} names classes of positions that are not certain to be "
            f"{shape[:-1]}. Cache it with keep.dense(), which keeps every axis."
        )


def labels_of(batch: Batch, without: str = "kd(alpha=1.0)") -> Tensor:
    """The labels of a batch, which a method needs that has a term on them.

    Args:
        batch: with or without labels.
        without: a method of the same kind of answers that needs none.

    Returns:
        Its labels.

    Raises:
        ValueError: where there are none.
    """
    if batch.labels is None:
        raise ValueError(
            "this method learns from labels and the data has none: give labels, or use a method "
            f"without them, for example {without}."
        )
    return batch.labels
