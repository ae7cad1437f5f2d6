"""What may be kept of an answer: no softmax where there is none, and no number that is not one."""

import torch
from torch import Tensor

from distill_lab._util.axes import classes_in_front
from distill_lab._util.tensors import check_temperature_of, like_soft_labels
from distill_lab.data.batches import Batch
from distill_lab.teachers.cached.keep import Records, SampledRecords, TopKRecords
from distill_lab.teachers.live import Teacher, says_values


def check_signal(teacher: Teacher, signal: Records) -> None:
    """Refuse to keep a softmax at another temperature than the answers hold at."""
    if (T := getattr(signal, "T", None)) is not None:
        mend = "keep.top_k(..., T={at})"
        check_temperature_of(teacher, T, who=f"{signal} keeps their softmax", mend=mend)


def check_distribution(signal: Records, teacher: Teacher, answer: Tensor, batch: Batch) -> None:
    """Refuse to keep a few classes of what is no softmax over the last axis."""
    if not isinstance(signal, (TopKRecords, SampledRecords)):
        return
    shape, labels = tuple(answer.shape), batch.labels
    if batch.soft or like_soft_labels(labels):  # probabilities of one softmax, as Mixup makes them
        labels = None
    what = None
    if says_values(teacher):
        what = "the teacher says that its numbers are no logits of one softmax"
    elif answer.dim() < 2 or shape[-1] == 1:
        what = f"the answers have shape {shape}, one number each"
    elif labels is not None and labels.is_floating_point() and tuple(labels.shape) == shape:
        what = "the labels have the answers' own shape, so several may hold at once"
    elif len(shape) == 4 and classes_in_front(batch, shape):
        what = (
            f"the answers have shape {shape} with the classes in front (for the classes last, "
            "freeze(model, read=lambda out: out.movedim(1, -1)))"
        )
    if what is not None:
        raise ValueError(
            f"the top k, and draws, are of the classes of one softmax on the last axis, and "
            f"{what}: use keep.dense(), which keeps any numbers."
        )


def refuse_not_finite(logits: Tensor, ids: Tensor, mask: Tensor | None, values: bool) -> None:
    """A class may be impossible (-inf), a value not; NaN, inf, or only -inf, is no answer."""
    top = logits.detach().amax(-1)  # NaN wherever there is one
    wrong = ~top.isfinite()
    if values:
        wrong |= logits.detach().amin(-1) == -torch.inf
    if mask is not None:
        wrong &= mask.to(wrong.device)
    if wrong.any():
        where = wrong.nonzero()[0].tolist()
        raise FloatingPointError(
            f"the teacher's logits for example {int(ids[where[0]])} are not finite (the largest "
            f"is {top[tuple(where)].item()}): nothing of this batch was written. Look at its "
            "input, or run the teacher in float32."
        )
