"""How alike two layers are, whatever their width: linear centred kernel alignment."""

import torch
from torch import Tensor

__all__ = ["linear_cka"]


def linear_cka(features: Tensor, other: Tensor) -> Tensor:
    """Linear CKA of two layers' features of the same examples: 1 alike, 0 nothing in common.

    Formula: |Y^T X|_F^2 / (|X^T X|_F |Y^T Y|_F), columns centred over the examples. It does not
    change where either side is turned, mirrored, moved, or scaled as a whole; it does where single
    directions are stretched. With few examples for many features it is too high. Features that do
    not vary give 0, since nothing can be in common with them. Computed in float64.

    Args:
        features: of one layer, (..., N, D); flatten maps and tokens first.
        other: of the other layer, (..., N, E); the leading axes broadcast, as for seeds.

    Returns:
        Similarities (...) from 0 to 1, in float32.

    Raises:
        TypeError: for anything but floating-point tensors.
        ValueError: for numbers of examples that differ, fewer than two, or values that are not
            finite.

    Source: Kornblith et al. 2019, arXiv:1905.00414, section 3.

    >>> x = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]])
    >>> turned = x @ torch.tensor([[0.6, 0.8], [-0.8, 0.6]])
    >>> round(linear_cka(x, 7 * turned + 5).item(), 6), round(linear_cka(x, x[:, :1]).item(), 4)
    (1.0, 0.7071)
    """
    x, y = (_centred(f, name) for f, name in ((features, "features"), (other, "other")))
    if x.shape[-2] != y.shape[-2]:
        raise ValueError(
            f"features hold {x.shape[-2]} examples and other {y.shape[-2]}: expected the same "
            "examples in the same order, (..., N, D) and (..., N, E)."
        )
    shared = _inner(x, y)
    own = (_inner(x, x) * _inner(y, y)).sqrt()
    return torch.where(own > 0, shared / torch.where(own > 0, own, 1.0), 0.0).float()


def _centred(features: Tensor, name: str) -> Tensor:
    if not isinstance(features, Tensor) or not features.is_floating_point():
        kind = features.dtype if isinstance(features, Tensor) else type(features).__name__
        raise TypeError(f"{name} must be a floating-point tensor (..., N, D), not {kind}.")
    if features.dim() < 2 or features.shape[-2] < 2 or features.shape[-1] < 1:
        raise ValueError(
            f"{name} have shape {tuple(features.shape)}: expected (..., N, D) with at least two "
            "examples N. Flatten maps with features.flatten(1) first."
        )
    if not features.isfinite().all():
        raise ValueError(f"{name} hold NaN or infinite values: look for a run that diverged.")
    wide = features.detach().double()
    return wide - wide.mean(-2, keepdim=True)


def _inner(x: Tensor, y: Tensor) -> Tensor:
    """|Y^T X|_F^2, by way of the smaller matrix: features by features, or examples by examples."""
    n = x.shape[-2]
    if x.shape[-1] * y.shape[-1] <= n * n:
        return (y.mT @ x).square().sum((-2, -1))
    return ((x @ x.mT) * (y @ y.mT)).sum((-2, -1))
