"""How good logits are, alone and beside a teacher's.

`logits` are (N, C) with `labels` (N,), giving a float; or (S, N, C), one row a seed, with labels
(S, N) or (N,), giving a tensor (S,). Everything is worked out in float64 on the CPU.
"""

import torch
from torch import Tensor

__all__ = [
    "accuracy",
    "agreement",
    "ece",
    "kl_to_teacher",
    "nll",
    "per_class_accuracy",
    "worst_class",
]


def accuracy(logits: Tensor, labels: Tensor) -> float | Tensor:
    """Percent of examples whose largest logit is the label's.

    Args:
        logits: scores (N, C), or (S, N, C) of S seeds.
        labels: classes (N,), or (S, N).

    Returns:
        Percent: a float for (N, C), a tensor (S,) for (S, N, C).

    Raises:
        ValueError: for labels that do not fit the logits.

    >>> accuracy(torch.tensor([[2.0, 1.0], [0.0, 1.0]]), torch.tensor([0, 0]))
    50.0
    """
    logits, labels = check(logits, labels)
    return plain(_correct(logits, labels).mean(-1) * 100)


def nll(logits: Tensor, labels: Tensor) -> float | Tensor:
    """Mean negative log-likelihood of the labels at T = 1: -mean log p(label).

    Args:
        logits: scores (N, C), or (S, N, C) of S seeds.
        labels: classes (N,), or (S, N).

    Returns:
        Nats: a float for (N, C), a tensor (S,) for (S, N, C).

    Raises:
        ValueError: for labels that do not fit the logits.

    >>> round(nll(torch.zeros(3, 10), torch.tensor([1, 2, 3])), 4)  # log 10
    2.3026
    """
    logits, labels = check(logits, labels)
    log_p = logits.log_softmax(-1).gather(-1, labels[..., None]).squeeze(-1)
    return plain(-log_p.mean(-1))


def ece(logits: Tensor, labels: Tensor, bins: int = 15) -> float | Tensor:
    """Expected calibration error: how far confidence is from accuracy.

    Formula: sum_b n_b / N * |accuracy_b - confidence_b| over equal bins (low, high] of the largest
    probability.

    Args:
        logits: scores (N, C), or (S, N, C) of S seeds.
        labels: classes (N,), or (S, N).
        bins: how many, of equal width.

    Returns:
        Percentage points: a float for (N, C), a tensor (S,) for (S, N, C).

    Raises:
        ValueError: for labels that do not fit the logits, or fewer than one bin.

    Source: Guo et al. 2017, arXiv:1706.04599, equation 3; 15 bins as there.

    >>> ece(torch.tensor([[0.0, 0.0], [0.0, 0.0]]), torch.tensor([0, 1]))  # 50 % sure, 50 % right
    0.0
    """
    if bins < 1:
        raise ValueError(f"bins must be 1 or more; got {bins}.")
    logits, labels = check(logits, labels)
    confidence = logits.softmax(-1).amax(-1)
    edges = torch.linspace(0, 1, bins + 1, dtype=torch.float64)[1:-1]
    which = torch.bucketize(confidence, edges)
    gap = torch.zeros(*confidence.shape[:-1], bins, dtype=torch.float64)
    # n_b * |accuracy_b - confidence_b| is the size of the summed differences in the bin.
    gap = gap.scatter_add(-1, which, _correct(logits, labels) - confidence)
    return plain(gap.abs().sum(-1) / confidence.shape[-1] * 100)


def per_class_accuracy(logits: Tensor, labels: Tensor) -> Tensor:
    """Percent right within each class.

    Args:
        logits: scores (N, C), or (S, N, C) of S seeds.
        labels: classes (N,), or (S, N).

    Returns:
        Percent (C,) or (S, C); NaN where a class has no example.

    Raises:
        ValueError: for labels that do not fit the logits.

    >>> per_class_accuracy(torch.eye(3)[[0, 1, 1]], torch.tensor([0, 0, 1])).tolist()
    [50.0, 100.0, nan]
    """
    logits, labels = check(logits, labels)
    of_class = torch.nn.functional.one_hot(labels, logits.shape[-1]).double()
    right = (of_class * _correct(logits, labels)[..., None]).sum(-2)
    return right / of_class.sum(-2) * 100


def worst_class(logits: Tensor, labels: Tensor) -> tuple[int, float] | tuple[Tensor, Tensor]:
    """The class with the lowest accuracy and its percent; averages hide a collapse, this does not.

    Classes without examples are left out; of equals the first is named.

    Args:
        logits: scores (N, C), or (S, N, C) of S seeds.
        labels: classes (N,), or (S, N).

    Returns:
        The class and its percent: numbers for (N, C), two tensors (S,) for (S, N, C).

    Raises:
        ValueError: for labels that do not fit the logits.

    >>> worst_class(torch.eye(3)[[0, 1, 1]], torch.tensor([0, 0, 1]))
    (0, 50.0)
    """
    per_class = per_class_accuracy(logits, labels)
    percent, which = per_class.nan_to_num(nan=torch.inf).min(-1)
    return (int(which), percent.item()) if per_class.ndim == 1 else (which, percent)


def agreement(student_logits: Tensor, teacher_logits: Tensor) -> float | Tensor:
    """Percent of examples on which student and teacher name the same class, right or wrong.

    Args:
        student_logits: scores (N, C), or (S, N, C) of S seeds.
        teacher_logits: scores (N, C), or (S, N, C).

    Returns:
        Percent: a float for (N, C), a tensor (S,) for (S, N, C).

    Raises:
        ValueError: for shapes that do not fit each other.

    >>> agreement(torch.tensor([[2.0, 1.0], [2.0, 1.0]]), torch.tensor([[9.0, 1.0], [0.0, 1.0]]))
    50.0
    """
    student, teacher = _pair(student_logits, teacher_logits)
    return plain((student.argmax(-1) == teacher.argmax(-1)).double().mean(-1) * 100)


def kl_to_teacher(student_logits: Tensor, teacher_logits: Tensor) -> float | Tensor:
    """Mean over examples of KL(teacher || student) at T = 1.

    Formula: sum_c p_t log(p_t / p_s).

    Args:
        student_logits: scores (N, C), or (S, N, C) of S seeds.
        teacher_logits: scores (N, C), or (S, N, C).

    Returns:
        Nats: a float for (N, C), a tensor (S,) for (S, N, C).

    Raises:
        ValueError: for shapes that do not fit each other.

    >>> kl_to_teacher(torch.tensor([[0.0, 0.0]]), torch.tensor([[0.0, 0.0]]))
    0.0
    """
    student, teacher = (x.log_softmax(-1) for x in _pair(student_logits, teacher_logits))
    p = teacher.exp()
    # A class the teacher rules out costs nothing, also where both logarithms are -inf.
    cost = torch.where(p > 0, p * (teacher - student), 0.0)
    return plain(cost.sum(-1).mean(-1).clamp_min(0))  # rounding may leave -1e-18


def check(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Float64 logits (..., N, C) and labels (..., N) that fit each other, or an error in words."""
    logits, labels = _readable(logits, "logits"), labels.detach().cpu()
    if labels.dtype.is_floating_point or labels.shape not in (
        logits.shape[:-1],
        logits.shape[-2:-1],
    ):
        raise ValueError(
            f"logits {tuple(logits.shape)} need one whole-number label an example, of shape "
            f"{tuple(logits.shape[:-1])}; got {labels.dtype} of shape {tuple(labels.shape)}."
        )
    low, high = labels.min().item(), labels.max().item()
    if low < 0 or high >= logits.shape[-1]:
        raise ValueError(
            f"labels must lie between 0 and {logits.shape[-1] - 1}, the classes the logits speak "
            f"of; got {low} to {high}."
        )
    return logits, labels.long().expand(logits.shape[:-1])


def plain(value: Tensor) -> float | Tensor:
    """A Python float for one model; the tensor (S,) for many seeds."""
    return value.item() if value.ndim == 0 else value


def _readable(logits: Tensor, name: str) -> Tensor:
    if logits.ndim not in (2, 3) or 0 in logits.shape:
        raise ValueError(
            f"{name} must be (N, classes), or (S, N, classes) for S seeds, with something in "
            f"them; got {tuple(logits.shape)}."
        )
    logits = logits.detach().cpu().double()
    if logits.isnan().any():
        where = logits.isnan().nonzero()[0].tolist()
        raise ValueError(
            f"{name} hold NaN (first at {where}): that model diverged. Train it again with a "
            "smaller learning rate."
        )
    return logits


def _pair(student_logits: Tensor, teacher_logits: Tensor) -> tuple[Tensor, Tensor]:
    student = _readable(student_logits, "student_logits")
    teacher = _readable(teacher_logits, "teacher_logits")
    seeds = {x.shape[0] for x in (student, teacher) if x.ndim == 3}
    if student.shape[-2:] != teacher.shape[-2:] or len(seeds) > 1:
        raise ValueError(
            "student and teacher must be asked about the same examples and classes; got "
            f"{tuple(student.shape)} and {tuple(teacher.shape)}."
        )
    return student, teacher


def _correct(logits: Tensor, labels: Tensor) -> Tensor:
    return (logits.argmax(-1) == labels).double()
