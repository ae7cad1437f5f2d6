"""Which task some answers and labels belong to, and both laid out as its figures read them."""

from math import nan

from torch import Tensor

from distill_lab._util.tensors import IGNORE, like_probabilities
from distill_lab.evaluation.next_tokens import TokenFigures
from distill_lab.evaluation.tasks import TASKS

__all__ = [
    "are_pixels",
    "check_classes",
    "guessed_task",
    "labelled",
    "laid_out",
    "refuse_nonfinite",
    "refuse_other_axes",
    "refuse_other_than_logits",
    "task_labels",
]

COSTS = TokenFigures._fields.index("nll")
NAMED = f"Name it: task= one of {', '.join(TASKS)}."


def guessed_task(answers: Tensor, labels: Tensor | None, ignore: int = IGNORE) -> tuple[str, str]:
    """The task that answers (N, ...) and labels have the shape of, and why, in words.

    Whole-number labels (N,) beside answers (N, C): classification. (N, L) beside (N, L, C):
    tagging. (N, H, W) beside (N, C, H, W): segmentation. Labels of the answers' own shape (N, C),
    all 0 or 1: several independent labels. Any other labels of the answers' own shape with a point:
    regression. Embeddings and rankings look like others and have to be named; so have rows with
    exactly one 1, which may be classes or labels, and rows that sum to 1.

    Args:
        answers: of one model.
        labels: of the examples; None where there are none.
        ignore: what marks one that is unknown, beside -100 and NaN.

    Returns:
        The name, and the reason.

    Raises:
        ValueError: where the shapes fit no task, or two.

    >>> import torch
    >>> guessed_task(torch.zeros(5, 4), torch.zeros(5, dtype=torch.long))[0]
    'classification'
    """
    shapes = f"answers {tuple(answers.shape)}"
    if labels is None:
        raise ValueError(f"the task of {shapes} without labels cannot be guessed. {NAMED}")
    shapes += f" and labels {tuple(labels.shape)} of {labels.dtype}"
    integral = not labels.is_floating_point()
    if integral and labels.shape == answers.shape[:-1] and labels.ndim in (1, 2):
        name = "classification" if labels.ndim == 1 else "tagging"
        return name, f"{shapes}: a class for each {'example' if labels.ndim == 1 else 'position'}"
    if are_pixels(answers, labels):
        return "segmentation", f"{shapes}: a class for each pixel"
    known = labels[~labels.isnan() & (labels != IGNORE) & (labels != ignore)]
    yes_or_no = len(known) > 0 and bool(((known == 0) | (known == 1)).all())
    if labels.shape == answers.shape and answers.ndim == 2 and answers.shape[1] > 1:
        binary = yes_or_no
        sums = labels.double().sum(1)
        if binary and bool((sums == 1).all()) and len(labels) > 1:
            raise ValueError(
                f"{shapes}: each row has exactly one 1, so this may be one class of several or "
                'several labels. Pass labels.argmax(1) for classes, or say task="multilabel".'
            )
        if not binary and like_probabilities(labels.double()):
            raise ValueError(
                f"{shapes}: the rows of labels are probabilities. Pass labels.argmax(1) for "
                'classes, or say task="regression".'
            )
        if binary:
            return "multilabel", f"{shapes}: 0 or 1 for each of several labels"
    if not integral and _numbers(answers, labels):
        if yes_or_no:
            raise ValueError(
                f"{shapes}, all 0 or 1: one yes or no, or numbers? Say task="
                '"multilabel" or task="regression".'
            )
        return "regression", f"{shapes}: numbers of one shape"
    raise ValueError(f"{shapes} fit no task by their shapes alone. {NAMED}")


def are_pixels(answers: Tensor, labels: Tensor) -> bool:
    """Whether answers (N, C, H, W) stand beside a class for each pixel, (N, H, W).

    Args:
        answers: of one model.
        labels: of the same examples.

    Returns:
        Whether they do, by type and shape.
    """
    if answers.ndim != 4 or labels.is_floating_point():
        return False
    return labels.shape == answers[:, 0].shape


def task_labels(
    task: str, labels: Tensor | None, ignore: int, by_row: bool = False
) -> Tensor | None:
    """Labels as the figures of a task read them; ValueError for what can be none.

    Args:
        task: its name.
        labels: (N, ...), or None.
        ignore: what marks a position without a label, beside -100.
        by_row: whether classes (S, N) are those of S seeds.

    Returns:
        Whole numbers for classes, truth as numbers for several labels, and relevance: -100 where
        there is none; float64 for other numbers, (N, D), NaN where there is none.
    """
    if labels is None:
        if task != "embedding":
            raise ValueError(
                f"the data have no labels, and {task} is measured against them. Only "
                'task="embedding" can be held against a teacher alone.'
            )
        return None
    if task in ("classification", "tagging", "language", "segmentation", "embedding"):
        if labels.is_floating_point():
            raise ValueError(f"{task} wants classes as whole numbers; got {labels.dtype}.")
        if task == "classification" and labels.ndim > 1 and not by_row:
            raise ValueError(
                f"classification wants one class an example, (N,); got {tuple(labels.shape)}: give "
                "labels.squeeze(1), or name the task of several."
            )
        labels = labels.long()
        labels = labels.masked_fill(labels == ignore, IGNORE)
        if task == "embedding":
            check_classes(labels, int(labels.max()) + 1)
        return labels
    labels = labels.double()
    if ignore != IGNORE:  # which may be a number like another
        labels = labels.masked_fill(labels == ignore, nan)
    if bool(labels.isinf().any()):
        raise ValueError("labels hold infinite values: give NaN where there is none.")
    if bool(labels.isnan().all()):
        none = "NaN" if ignore == IGNORE else f"NaN or {ignore}"
        raise ValueError(f"all labels are {none}: there is nothing to measure.")
    if task == "regression":
        return labels[:, None] if labels.ndim == 1 else labels.flatten(1)
    if task == "ranking" and labels.ndim == 1:
        return labels  # -100 may be how good one is
    labels = labels.masked_fill(labels.isnan(), IGNORE)
    if task == "multilabel":
        labels = labels[:, None] if labels.ndim == 1 else labels
        known = labels[labels != IGNORE]
        if labels.ndim != 2 or not bool(((known == 0) | (known == 1)).all()):
            raise ValueError(
                f"multilabel wants labels (N, C) of 0 and 1, NaN or {IGNORE} where one is unknown; "
                f"got {tuple(labels.shape)} from {known.min():g} to {known.max():g}."
            )
    if not bool((labels != IGNORE).any()):
        raise ValueError(f"all labels are {IGNORE}: there is nothing to measure.")
    return labels


def labelled(task: str, labels: Tensor | None) -> Tensor | None:
    """Which examples (N,) have a label at all; None for all of them.

    Args:
        task: its name. Embeddings are measured beside the teacher without labels too, and positions
            of a text or a picture are left out one by one.
        labels: as `task_labels` gives them.

    Returns:
        Booleans, or None.

    Raises:
        ValueError: where no example has one.

    >>> import torch
    >>> labelled("classification", torch.tensor([1, -100, 0]))
    tensor([ True, False,  True])
    """
    if labels is None or task not in ("classification", "multilabel", "regression", "ranking"):
        return None
    known = labels != IGNORE if task in ("classification", "multilabel") else ~labels.isnan()
    if task == "classification" and labels.ndim == 2:  # a row for each seed
        if not bool((known == known[0]).all()):
            raise ValueError(
                f"the seeds have other examples without a label ({IGNORE}): give each the same "
                "ones, or compare them one by one."
            )
        known = known[0]
    kept = known.flatten(1).any(1) if labels.ndim > 1 and task != "classification" else known
    if not bool(kept.any()):
        raise ValueError(f"all labels are {IGNORE}: there is nothing to measure.")
    return None if bool(kept.all()) else kept


def laid_out(
    task: str, name: str, answers: Tensor, labels: Tensor | None, says_logits: bool = False
) -> Tensor:
    """A model's answers (S, N, ...) as the figures of a task read them, float64 or classes.

    Args:
        task: its name.
        name: the model's, for the message.
        answers: the model's own.
        labels: as `task_labels` gives them.
        says_logits: whether scores are known to be logits.

    Returns:
        (S, N, C), (S, N, L, C), classes (S, N, H, W), or numbers of the labels' shape.

    Raises:
        ValueError: for another shape, probabilities, or values that are not finite.
    """
    if task == "segmentation":
        refuse_nonfinite(name, answers)
        answers = answers.argmax(2) if answers.is_floating_point() else answers.long()
        if int(answers.min()) < 0:
            raise ValueError(
                f"{name!r} names class {int(answers.min())}: expected a class from 0 for every "
                f"pixel. Where none counts, give the label {IGNORE}."
            )
    else:
        answers = answers.double()
    if labels is not None and task in ("multilabel", "regression", "ranking"):
        each = labels.shape[1:]
        if answers.shape[2:] != each and answers[0, 0].numel() == labels[0].numel():
            answers = answers.reshape(*answers.shape[:2], *each)  # (N, 1) beside (N,), say
        wanted: tuple[int, ...] = tuple(each)
    elif task in ("tagging", "language") and labels is not None:
        wanted = (labels.shape[1], answers.shape[-1])
    elif task == "segmentation" and labels is not None:
        wanted = tuple(labels.shape[1:])
    else:
        wanted = (answers[0, 0].numel(),)
    if tuple(answers.shape[2:]) != wanted:
        raise ValueError(
            f"{name!r} gives {tuple(answers.shape[2:])} an example where {task} has {wanted}: say "
            "which part of the answer counts by read=, such as read=lambda out: out[0]."
        )
    if labels is not None and labels.ndim == 2 and task in ("tagging", "ranking"):
        none = labels == IGNORE  # whatever is answered there, such as -inf for no candidate
        answers = answers.masked_fill(none if task == "ranking" else none[..., None], 0)
    # of a language the costs, beside what there is without a teacher
    refuse_nonfinite(name, answers[..., COSTS] if task == "language" else answers)
    given = answers
    if task == "tagging" and labels is not None:
        check_classes(labels, answers.shape[-1])
        given = answers[:, labels != IGNORE]
    refuse_other_than_logits(task, name, given, says_logits)
    return answers


def refuse_other_axes(task: str, name: str, answers: Tensor, labels: Tensor | None) -> None:
    """Refuse numbers whose axes are not the labels': they would be paired with others'.

    Args:
        task: its name.
        name: the model's, for the message.
        answers: the model's own (S, N, ...).
        labels: as they are given (N, ...).

    Raises:
        ValueError: for another order of axes of more than one number.
    """
    if task != "regression" or labels is None:
        return
    one, other = ([n for n in x if n > 1] for x in (answers.shape[2:], labels.shape[1:]))
    if len(one) > 1 and len(other) > 1 and one != other:
        raise ValueError(
            f"{name!r} gives {tuple(answers.shape[2:])} an example, and its labels are "
            f"{tuple(labels.shape[1:])}: expected the same axes in one order. Turn them by read=, "
            "such as read=lambda out: out.mT."
        )


def refuse_nonfinite(name: str, answers: Tensor, first: int = 0) -> None:
    """ValueError for a NaN or an infinite answer (S, N, ...), with its place.

    Args:
        name: the model's, for the message.
        answers: the model's own.
        first: the number of the first example.
    """
    if bool(answers.isfinite().all()):
        return
    seed, example, *at = (~answers.isfinite()).nonzero()[0].tolist()
    value, place = answers[seed, example][tuple(at)].item(), ""
    if answers[0, 0].numel() > 1:
        place = f", at {at}"
    raise ValueError(
        f"{name!r} answers {value} to example {first + example}{place}: that model diverged. Where "
        f"there is nothing to answer, such as no candidate, give the label {IGNORE}."
    )


def refuse_other_than_logits(
    task: str, name: str, answers: Tensor, says_logits: bool = False
) -> None:
    """ValueError for probabilities, or one logit: every figure here takes one logit a class."""
    classes = task in ("classification", "tagging", "tokens")
    if classes and answers.shape[-1] < 2:
        raise ValueError(
            f"{name!r} gives one logit, of which every softmax is 1: {task} takes one a class. One "
            'yes or no is task="multilabel".'
        )
    inside = task == "multilabel" and answers.numel() > 1
    inside = inside and bool(answers.min() >= 0) and bool(answers.max() <= 1)
    if says_logits or not (inside or (classes and like_probabilities(answers))):
        return
    if bool(((answers == 0) | (answers == 1)).all()):
        return  # decisions
    if classes:
        raise ValueError(
            f"the answers of {name!r} lie between 0 and 1 and sum to 1: probabilities, where "
            "logits are expected. Pass their logarithms: read=lambda p: p.clamp_min(1e-9).log()."
        )
    raise ValueError(
        f"the answers of {name!r} all lie between 0 and 1: probabilities, where logits are "
        "expected. Pass them as logits: read=lambda p: p.logit(1e-6)."
    )


def check_classes(labels: Tensor, classes: int, hint: str = "") -> None:
    """ValueError for labels that are no classes of the answers, or none at all."""
    known = labels[labels != IGNORE]
    if len(known) == 0:
        raise ValueError(f"all labels are {IGNORE}: there is nothing to measure.")
    low, high = int(known.min()), int(known.max())
    if low < 0 or high >= classes:
        raise ValueError(
            f"labels reach from {low} to {high}, and the models tell {classes} classes apart: what "
            f"has no label is {IGNORE}, or say ignore={high if high >= classes else low}.{hint}"
        )


def _numbers(answers: Tensor, labels: Tensor) -> bool:
    return answers.shape == labels.shape or (labels.ndim == 1 and answers.shape == (len(labels), 1))
