"""What the numbers of an answer are, looked at before they are scored as one softmax.

Each of these mistakes trains without an error and teaches something else. Shapes are looked at in
every step, since that costs nothing; values once.
"""

import math

from torch import Tensor

from distill_lab._util.tensors import Batch

PROBABILITIES = (
    "the teacher's answers lie between 0 and 1 and every row sums to 1: they look like "
    "probabilities, and a method takes logits. Give teachers.probabilities(P) of a table, or "
    'teachers.function(f, says="probabilities").'
)


def check_one_softmax(batch: Batch, logits: Tensor) -> None:
    """Refuse logits whose last axis is not the classes of one softmax.

    Args:
        batch: with its inputs and labels, which tell what the axes are.
        logits: the student's scores.

    Raises:
        ValueError: for one class, independent labels, or maps with the classes in front.
    """
    shape, labels = tuple(logits.shape), batch.labels
    if shape and shape[-1] == 1:
        raise ValueError(
            f"the student gives one number a position, shape {shape}: a softmax over one class is "
            "1 whatever it says, so nothing is learned. For yes or no give two logits, 0 and z; "
            "for a quantity write a Method of your own with a squared distance."
        )
    if labels is not None and labels.dim() > 1 and tuple(labels.shape) == shape:
        raise ValueError(
            f"the labels have the logits' own shape {shape}, as independent labels have, of which "
            "several may hold at once: a softmax would make them exclude each other. Write a "
            "Method of your own with binary_cross_entropy_with_logits on both sides."
        )
    if len(shape) != 4:
        return
    inputs = batch.inputs
    as_pictures = isinstance(inputs, Tensor) and inputs.dim() == 4
    by_inputs = as_pictures and shape[2:] == tuple(inputs.shape[2:])
    front = (shape[0], *shape[2:])
    by_labels = labels is not None and tuple(labels.shape) == front != shape[:-1]
    if by_inputs or by_labels:
        raise ValueError(
            f"the logits have shape {shape}, with the classes in front, and the softmax would run "
            "over the width: expected (B, H, W, C). Let student and teacher return "
            "logits.movedim(1, -1)."
        )


def check_temperature_of(teacher: object, T: float) -> None:
    """Refuse a teacher whose answer holds at another temperature than the method's.

    Args:
        teacher: with an attribute `scored_at`, where its answer holds at one temperature alone.
        T: the method's.

    Raises:
        ValueError: where the two differ.
    """
    at = getattr(teacher, "scored_at", None)
    if at is not None and not math.isclose(at, T, rel_tol=1e-6):
        raise ValueError(
            f"the teacher's answers are probabilities at T = {at} (a mean, say), and the method "
            f"softens them at T = {T}, where they do not hold: make both the same, as "
            f"Ensemble(..., T={T}) or kd(T={at})."
        )
