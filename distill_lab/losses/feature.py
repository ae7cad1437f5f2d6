"""Feature distillation: the student's hidden layers against the teacher's.

Values are means over the features of each position, so that one weight serves layers of any
width. A mask covers leading axes: (B,) keeps examples, (B, L) keeps tokens.

Factor transfer (Kim et al. 2018) and the margin form (Heo et al. 2019) are left out: the one trains
a paraphraser of the teacher first, the other needs features from before the ReLU and each channel's
mean in the teacher, and neither is a function of two tensors as all in here are.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from distill_lab._util.tensors import in_float32, readable
from distill_lab.losses._checks import (
    blank_features,
    check_features,
    check_leading_mask,
    check_mask_shape,
    mean_of_features,
    mean_over,
    unit,
)


def hint_loss(
    student: Tensor,
    teacher: Tensor,
    *,
    regressor: Callable[[Tensor], Tensor] | None = None,
    mask: Tensor | None = None,
) -> Tensor:
    """FitNets' hint: squared distance to the teacher's features, after a regressor if they differ.

    Formula: mean (r(f_s) - f_t)^2 over the features of each position, then over positions. The
    paper's half is left to the weight.

    Args:
        student: features (B, ...) of the student.
        teacher: features (B, ...) of the teacher, of the shape that the regressor returns.
        regressor: maps the student's features to the teacher's; None where they agree.
        mask: True (B,) at the examples that count, or (B, L) at the tokens; None for all.

    Returns:
        A scalar in squared units of the features.

    Raises:
        ValueError: for shapes that differ after the regressor or a mask that keeps nothing.

    Source: Romero et al. 2014, section 2.2.

    >>> hint_loss(torch.tensor([[1.0, 3.0]]), torch.tensor([[1.0, 1.0]]))
    tensor(2.)
    """
    mend = _map_between(student, teacher, "regressor=projections.Regressor")
    mask = _mask_for_both(student, teacher, mask, mend)
    # before the regressor: a NaN in padding would reach its weights through a zero gradient
    student, teacher = blank_features(student, mask), blank_features(teacher, mask)
    mapped = student if regressor is None else regressor(student)
    check_features(mapped, teacher, "B ...", mend=mend)
    return mean_of_features((in_float32(mapped) - in_float32(teacher)).square(), mask)


def cosine_loss(student: Tensor, teacher: Tensor, *, mask: Tensor | None = None) -> Tensor:
    """One minus the cosine between the student's and the teacher's vectors, mean over positions.

    Formula: 1 - f_s . f_t / (|f_s| |f_t|) over the last axis. A vector of zeros has no direction
    and costs 1, or nothing where both are zero; it gets no gradient.

    Args:
        student: vectors (..., D) of the student.
        teacher: vectors (..., D) of the teacher.
        mask: True (...) at the positions that count, or (B,) at the examples; None for all.

    Returns:
        A scalar from 0 to 2, the mean over positions.

    Raises:
        ValueError: for shapes that differ or a mask that keeps nothing.

    Source: Sanh et al. 2019 (DistilBERT), section 2.

    >>> round(cosine_loss(torch.tensor([[1.0, 0.0]]), torch.tensor([[1.0, 1.0]])).item(), 4)
    0.2929
    """
    check_features(student, teacher, "D ...", mend="Project the student's features first.")
    if mask is not None:
        beside = f"the features have shape {tuple(student.shape)}"
        if mask.dim() == 1 and mask.shape == student.shape[:1]:  # what a whole example weighs
            mask = mask.reshape(-1, *(1,) * (student.dim() - 2)).expand(student.shape[:-1])
        mask = check_mask_shape(mask, student.shape[:-1], beside, weights=True)
    a, b = (unit(in_float32(blank_features(f, mask))) for f in (student, teacher))
    # half the squared distance of unit vectors is 1 - cosine, and exactly 0 where they are equal
    half = (a - b).square().sum(-1) / 2
    only_one = _only_one(a, b)
    if readable(only_one) and not only_one.any():  # as nearly always: nothing to add
        return mean_over(half, mask)
    return mean_over(half + only_one.to(half.dtype) / 2, mask)


def nst_loss(student: Tensor, teacher: Tensor, *, mask: Tensor | None = None) -> Tensor:
    """Neuron selectivity transfer: where the channels look, matched as two distributions.

    Formula: MMD^2 = mean k(s_i, s_j) + mean k(t_i, t_j) - 2 mean k(s_i, t_j) over pairs of
    channels, each channel scaled to length 1 over space, k(a, b) = (a . b)^2; mean over examples.
    The products are matrix products, so no (B, C_s, C_t, H W) tensor is ever made.

    Args:
        student: maps (B, C_s, H, ...).
        teacher: maps (B, C_t, H, ...); C_t may differ from C_s.
        mask: True (B,) at the examples that count; None for all.

    Returns:
        A scalar without unit, the mean over examples.

    Raises:
        ValueError: for other shapes or a mask that keeps nothing.

    Source: Huang & Wang 2017.

    >>> nst_loss(torch.tensor([[[1.0, 0.0]]]), torch.tensor([[[0.0, 2.0]]]))
    tensor(2.)
    """
    check_features(
        student, teacher, "B C H ...", free="C", mend="Resize one map, as with adaptive_avg_pool2d."
    )
    mask = check_leading_mask(mask, student, 1)
    s, t = (unit(in_float32(blank_features(f, mask)).flatten(2)) for f in (student, teacher))
    return mean_over(_poly_kernel(s, s) + _poly_kernel(t, t) - 2 * _poly_kernel(s, t), mask)


def vid_loss(
    student: Tensor,
    teacher: Tensor,
    regressor: Callable[[Tensor], tuple[Tensor, Tensor]],
    *,
    mask: Tensor | None = None,
) -> Tensor:
    """Variational information distillation: predict the teacher's features and own up to the error.

    Formula: mean ((f_t - m)^2 / v + log v) / 2 over the features of each position, then over
    positions: a Gaussian's negative log-likelihood without its constant, so it may fall below 0.

    Args:
        student: features (B, ...) of the student.
        teacher: features (B, ...) of the teacher.
        regressor: maps the student's features to a mean like the teacher's, and a variance that
            broadcasts against it.
        mask: True (B,) at the examples that count, or (B, L) at the tokens; None for all.

    Returns:
        A scalar in nats a feature, up to a constant.

    Raises:
        TypeError: if the regressor does not return a pair.
        ValueError: for shapes that differ.

    Source: Ahn et al. 2019 (VID), arXiv:1904.05835.

    >>> vid_loss(torch.ones(1, 2), torch.zeros(1, 2), lambda f: (f, torch.ones(2)))
    tensor(0.5000)
    """
    mend = _map_between(student, teacher, "projections.VariationalRegressor")
    mask = _mask_for_both(student, teacher, mask, mend)
    student, teacher = blank_features(student, mask), blank_features(teacher, mask)
    predicted = regressor(student)
    if not isinstance(predicted, tuple) or len(predicted) != 2:
        raise TypeError(
            f"the regressor of vid_loss must return (mean, variance), not "
            f"{type(predicted).__name__}. {mend}"
        )
    mean, variance = predicted
    check_features(mean, teacher, "B ...", mend=mend)
    variance = in_float32(variance)
    distance = (in_float32(teacher) - in_float32(mean)).square()
    return mean_of_features((distance / variance + variance.log()) / 2, mask)


def _map_between(student: object, teacher: object, name: str) -> str:
    """How features are brought together, from what they are: the call that works."""
    if not isinstance(student, Tensor) or not isinstance(teacher, Tensor):
        return ""
    s, t = tuple(student.shape), tuple(teacher.shape)
    if s[:1] != t[:1]:
        return "Give both models the same batch."
    if len(s) != len(t) or not 2 <= len(s) <= 4:
        return "Bring both to the same axes first, as features.mean((-2, -1)) does with maps."
    if len(s) == 4:
        size = "" if s[2:] == t[2:] else f", size={t[2:]}"
        return (
            f'Pass {name}({s[1]}, {t[1]}, kind="conv1x1"{size}) for maps (B, C, H, W), or let '
            "Regressor.between(student, teacher, pairs, example) choose."
        )
    if s[:-1] != t[:-1]:
        return "Give both models the same tokens, or pool them: a map changes the last axis alone."
    return f"Pass {name}({s[-1]}, {t[-1]})."


def _mask_for_both(
    student: Tensor, teacher: Tensor, mask: Tensor | None, mend: str
) -> Tensor | None:
    """The mask as booleans, if it fits the features before and after a regressor."""
    check_features(student, teacher, "B ...", free="...", mend=mend)
    check_leading_mask(mask, student, max(student.dim() - 1, 1))
    return check_leading_mask(mask, teacher, max(teacher.dim() - 1, 1))


def _poly_kernel(a: Tensor, b: Tensor) -> Tensor:
    """Mean of (a_i . b_j)^2 over pairs of channels: (B, C_a, N), (B, C_b, N) -> (B,)."""
    return torch.bmm(a, b.transpose(1, 2)).square().mean((1, 2))


def _only_one(a: Tensor, b: Tensor) -> Tensor:
    """Where exactly one of two unit vectors is zero: its half squared distance is half short."""
    empty_a, empty_b = (~f.any(-1) for f in (a, b))
    return empty_a ^ empty_b
