"""A recipe for quantities: one number or several an example, with or without a variance."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from distill_lab._util.checks import fraction, one_of
from distill_lab._util.tensors import Batch, readable
from distill_lab.losses._checks import kept_by
from distill_lab.losses.quantities import gaussian_kl, gaussian_nll, squared_error
from distill_lab.methods.answers import check_no_mean_of_softmaxes, labels_of
from distill_lab.methods.method import Method, Student, TeacherFn, Terms
from distill_lab.methods.positions import ByTeacher, Mask, attended, positions
from distill_lab.models.networks import logits_of, output_of

LOSSES = {"mse": "mse", "gaussian_nll": "nll"}
MASKS = ("auto", "attention_mask", None)


def regression(
    loss: str = "mse", alpha: float = 0.5, *, log_variance: bool = True, mask: Mask = "auto"
) -> Method:
    """Learn quantities from a teacher's predictions, beside the labels.

    Formula: "mse": alpha (f_s - f_t)^2 + (1 - alpha) (f_s - y)^2, means over all known numbers.
    "gaussian_nll": alpha KL(N_t || N_s) + (1 - alpha) (log v_s + (y - m_s)^2 / v_s) / 2. A student
    that gives means alone is scored with the teacher's variance: v_s = v_t.

    Args:
        loss: "mse" or "gaussian_nll".
        alpha: what the teacher weighs; with 1 no labels are needed, with 0 no teacher.
        log_variance: what the second half of a (B, 2 D) answer is: the logarithm of the variance,
            or with False the variance. A pair (mean, variance) says it by itself.
        mask: "auto" or "attention_mask" leave padding out where there is a number for each token.

    Returns:
        A method with the terms "kd" and "mse" or "nll", but for one that weighs nothing. Its labels
        are floats (B,) or (B, D), NaN where there is none.

    Raises:
        ValueError: for another loss, alpha outside [0, 1] or an unknown mask; when it runs, for
            shapes that do not fit, or a variance that is not positive.

    Source: Hinton, Vinyals & Dean 2015, section 2.1, for the squared error; Nix & Weigend 1994;
        Kendall & Gal 2017, eq. 5.

    >>> regression("mse", alpha=0.25).weights
    {'kd': 0.25, 'mse': 0.75}
    """
    one_of("loss", loss, LOSSES)
    alpha = fraction("alpha", alpha, why=": it mixes two terms.")
    one_of("mask", mask, MASKS)
    term = LOSSES[loss]
    by_teacher = ByTeacher()
    by_token: list[bool] = []  # whether an answer has a number for each token; seen at work

    def see(batch: Batch, shape: torch.Size) -> None:
        given = attended(batch)
        by_token[:] = [given is not None and given.shape == shape[:2]]

    def weighed(batch: Batch, shape: torch.Size) -> Tensor | None:
        """Which positions of numbers (..., D) count: tokens by their mask, else examples."""
        see(batch, shape)
        kept = positions(batch, shape[: 1 + by_token[0]], mask)
        if kept is None:
            return None
        return kept.reshape(*kept.shape, *(1,) * (len(shape) - kept.dim())).expand(shape)

    def squared(batch: Batch, answer: Any, answered: Any) -> Terms:
        student = _numbers("student", answer)
        given = attended(batch)
        if given is not None and student.dim() == 2 and given.shape == student.shape:
            student = student.unsqueeze(-1)  # one number a token
        kept = weighed(batch, student.shape[:-1])
        result: Terms = {}
        if alpha > 0:
            target = _beside("teacher", _numbers("teacher", answered), student)
            # NaN says of a label that there is none; of a teacher that something is wrong
            target = torch.where(target.isnan(), torch.inf, target)
            result["kd"] = squared_error(student, target, mask=by_teacher(answered, kept))
        if alpha < 1:
            labels = _beside("labels", _quantities(batch), student)
            result[term] = _hard(squared_error, student, labels, kept)
        return result

    def gaussian(batch: Batch, answer: Any, answered: Any) -> Terms:
        result: Terms = {}
        target = _gaussian("teacher", answered, log_variance) if alpha > 0 else None
        student = _with_variance(answer, target, log_variance)
        kept = weighed(batch, student.shape[:-1])
        if target is not None:
            both = by_teacher(answered, kept)
            result["kd"] = gaussian_kl(student, _beside("teacher", target, student), mask=both)
        if alpha < 1:
            means = student[..., : student.shape[-1] // 2]
            labels = _beside("labels", _quantities(batch), means)
            result[term] = _hard(gaussian_nll, student, labels, kept)
        return result

    def terms(batch: Batch, student: Student, teacher: TeacherFn) -> Terms:
        answered = None
        if alpha > 0:
            check_no_mean_of_softmaxes(teacher)  # asked first: see `methods.response`
            answered = teacher(batch) if loss == "mse" else _output(teacher, batch)
        if loss == "mse":
            return squared(batch, logits_of(student, batch.inputs), answered)
        return gaussian(batch, _scores(output_of(student, batch.inputs)), answered)

    def look(batch: Batch, student: Student, teacher: TeacherFn) -> None:
        if attended(batch) is not None:  # else there are no tokens
            answer = _scores(output_of(student, batch.inputs))
            answer = _numbers("student", answer[0] if isinstance(answer, (tuple, list)) else answer)
            see(batch, answer.shape if loss == "mse" else answer.shape[:-1])

    def count(batch: Batch) -> dict[str, float]:
        given, labels = attended(batch), batch.labels
        tokens = mask == "attention_mask"
        if labels is not None:
            tokens = given is not None and given.shape == labels.shape[:2]
        tokens = by_token[0] if by_token and given is not None else tokens
        shape = given.shape if tokens and given is not None else torch.Size([len(batch.ids)])
        kept = positions(batch, shape, mask)
        counts = {"kd": shape.numel() if kept is None else float(kept.sum())}
        if labels is not None:
            known = ~labels.isnan()
            if kept is not None and kept.shape == known.shape[: kept.dim()]:
                more = (1,) * (known.dim() - kept.dim())
                known = known * kept.reshape(*kept.shape, *more)
            counts[term] = float(known.sum())
        return {name: counts.get(name, 0.0) for name in used}

    weights = {"kd": alpha, term: 1.0 - alpha}
    used = {name: weight for name, weight in weights.items() if weight > 0}
    name = f"regression({loss}, alpha={alpha}, log_variance={log_variance}, mask={mask})"
    each = ("kd",) if alpha > 0 and loss == "mse" else ()
    return Method(name, terms, used, alpha > 0, count=count, each_teacher=each, look=look)


def _scores(output: Any) -> Any:
    """A pair as it is, and of any other output its scores."""
    if isinstance(output, Mapping):
        return output.get("logits", output)
    return getattr(output, "logits", output)


def _output(teacher: Any, batch: Batch) -> Any:
    """What a teacher answers; of a live one, that is not told how to read, a pair as well."""
    if hasattr(teacher, "output") and getattr(teacher, "read", None) is None:
        return _scores(teacher.output(batch))
    return teacher(batch)


def _numbers(who: str, output: Any) -> Tensor:
    """An answer as numbers (B, ..., D): one number an example has an axis of its own."""
    output = output if isinstance(output, Tensor) else getattr(output, "logits", output)
    if not isinstance(output, Tensor):
        raise TypeError(
            f"the {who} gives a {type(output).__name__}, and regression('mse') takes one tensor of "
            "numbers. For a pair (mean, variance) use regression('gaussian_nll')."
        )
    return output.unsqueeze(-1) if output.dim() == 1 else output


def _gaussian(who: str, output: Any, log_variance: bool) -> Tensor:
    """An answer as means and log-variances beside each other: (B, ..., 2 D)."""
    if isinstance(output, (tuple, list)) and len(output) == 2:
        mean, variance = (_numbers(who, part) for part in output)
        if mean.shape != variance.shape:
            raise ValueError(
                f"the {who} gives means {tuple(mean.shape)} and variances {tuple(variance.shape)}: "
                "expected one variance a mean."
            )
        log_variance = False
    else:
        both = _numbers(who, output)
        if both.shape[-1] % 2:
            raise ValueError(
                f"the {who} gives {tuple(both.shape)}: regression('gaussian_nll') takes a pair "
                "(mean, variance), or means and log-variances beside each other, (B, 2 D). For "
                "means alone use regression('mse')."
            )
        mean, variance = both.chunk(2, -1)
    if log_variance:
        return torch.cat((mean, variance), -1)
    if readable(variance) and not bool((variance > 0).all()):
        raise ValueError(
            f"the {who}'s variances must be above 0, got {variance.min().item():.3g}: give "
            "softplus(raw) + 1e-6, or logarithms with log_variance=True."
        )
    return torch.cat((mean, variance.log()), -1)


def _with_variance(answer: Any, target: Tensor | None, log_variance: bool) -> Tensor:
    """The student's means and log-variances; for means alone the variances are the teacher's."""
    if target is None or isinstance(answer, (tuple, list)):
        return _gaussian("student", answer, log_variance)
    means = _numbers("student", answer)
    if 2 * means.shape[-1] != target.shape[-1]:
        return _gaussian("student", answer, log_variance)
    return torch.cat((means, target.chunk(2, -1)[1].to(means.dtype)), -1)


def _quantities(batch: Batch) -> Tensor:
    labels = labels_of(batch, "regression(alpha=1.0)")
    if not labels.is_floating_point():
        raise ValueError(
            f"the labels are {labels.dtype}: regression takes floats, NaN where there is none. "
            "For class numbers use kd(), for quantities labels.float()."
        )
    return labels


def _beside(who: str, other: Tensor, student: Tensor) -> Tensor:
    """The same numbers in the student's shape, refusing shapes that would only broadcast."""
    if other.shape == student.shape:
        return other
    ours, theirs = ([n for n in t.shape[1:] if n != 1] for t in (student, other))
    if other.shape[0] != student.shape[0] or ours != theirs:
        raise ValueError(
            f"the student gives numbers {tuple(student.shape)} and the {who} "
            f"{tuple(other.shape)}: expected as many for each example. Shapes that broadcast would "
            "compare each example with every other."
        )
    return other.reshape(student.shape)


def _hard(loss: Any, student: Tensor, labels: Tensor, kept: Tensor | None) -> Tensor:
    """A loss against the labels that are known; 0 where none is."""
    if readable(labels):
        known = ~labels.isnan()
        if kept is not None:
            known = known & kept_by(kept).unsqueeze(-1)
        if not known.any():
            return torch.zeros((), device=student.device)
    value: Tensor = loss(student, labels, mask=kept)
    return value
