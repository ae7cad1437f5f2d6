"""Modules that carry a student's features into the teacher's space while it learns.

They belong to the training alone: give their parameters to the optimiser and to gradient
clipping beside the student's, and leave them out of the model that is exported.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from distill_lab.models.networks import he_normal_

KINDS = ("linear", "conv1x1")


class Regressor(nn.Module):
    """A learned linear map from the student's features to the teacher's size (FitNets).

    Weights are He-normal from the seed, biases zero; features are brought to the weights' dtype.

    Args:
        in_features: the student's channels.
        out_features: the teacher's.
        kind: "linear" maps the last axis, (..., in) -> (..., out); "conv1x1" the channels of a map,
            (B, in, H, W) -> (B, out, H, W).
        seed: of the weights.

    Raises:
        ValueError: for sizes that are not positive integers, another kind, or features whose
            channels are not `in_features`.

    Source: Romero et al. 2014, section 2.2.

    >>> Regressor(16, 64, kind="conv1x1", seed=0)(torch.zeros(2, 16, 8, 8)).shape
    torch.Size([2, 64, 8, 8])
    """

    def __init__(
        self, in_features: int, out_features: int, *, kind: str = "linear", seed: int = 0
    ) -> None:
        super().__init__()
        sizes = (in_features, out_features)
        if any(not isinstance(n, int) or isinstance(n, bool) or n < 1 for n in sizes):
            raise ValueError(
                f"a projection needs two positive integers, the student's and the teacher's "
                f"channels, got {in_features!r} and {out_features!r}."
            )
        if kind not in KINDS:
            raise ValueError(f"kind must be one of {KINDS}, got {kind!r}: which axis is mapped.")
        self.kind = kind
        # empty, then filled by its own generator: the global one is not touched
        self.weight = nn.Parameter(torch.empty(out_features, in_features))
        self.bias = nn.Parameter(torch.empty(out_features))
        he_normal_(self, seed)

    def forward(self, features: Tensor) -> Tensor:
        """Map the channels: (..., in) -> (..., out), or (B, in, H, W) -> (B, out, H, W)."""
        self.check(features)
        features = features.to(self.weight.dtype)
        if self.kind == "linear":
            return F.linear(features, self.weight, self.bias)
        return F.conv2d(features, self.weight[:, :, None, None], self.bias)

    def check(self, features: Tensor) -> None:
        """Refuse features whose channels are not those the map was made for."""
        axis, layout = (-1, "(..., in)") if self.kind == "linear" else (1, "(B, in, H, W)")
        enough = features.dim() == 4 if self.kind == "conv1x1" else features.dim() >= 1
        if not enough or features.shape[axis] != self.weight.shape[1]:
            raise ValueError(
                f"this projection maps {self.weight.shape[1]} channels, shape {layout}, and got "
                f"{tuple(features.shape)}: make one for these features, or choose the other kind."
            )

    def extra_repr(self) -> str:
        """Show the settings in the module's `repr`."""
        return f"{self.weight.shape[1]}, {self.weight.shape[0]}, kind={self.kind!r}"


class VariationalRegressor(Regressor):
    """A regressor that also learns how far each teacher channel can be predicted (VID).

    Returns the mean, as `Regressor`, and a variance for each channel, shaped to broadcast
    against it: var = softplus(scale) + eps.

    Args:
        in_features: the student's channels.
        out_features: the teacher's.
        kind: as in `Regressor`.
        variance: where each channel's begins, in the features' unit squared.
        eps: what it can never fall below.
        seed: of the weights.

    Raises:
        ValueError: as `Regressor`, and for a variance not above eps.

    Source: Ahn et al. 2019, arXiv:1904.05835.

    >>> mean, variance = VariationalRegressor(4, 6, seed=0)(torch.zeros(2, 5, 4))
    >>> mean.shape, variance.shape, round(variance[0].item(), 4)
    (torch.Size([2, 5, 6]), torch.Size([6]), 5.0)
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        kind: str = "linear",
        variance: float = 5.0,
        eps: float = 1e-5,
        seed: int = 0,
    ) -> None:
        super().__init__(in_features, out_features, kind=kind, seed=seed)
        if not 0 < eps < variance < float("inf"):
            raise ValueError(
                f"variance must be finite and above eps = {eps!r}, got {variance!r}: it is where "
                "each channel's learned variance starts."
            )
        self.eps = eps
        start = torch.expm1(torch.tensor(variance - eps, dtype=torch.float64)).log()
        self.scale = nn.Parameter(torch.full((out_features,), start.item()))

    def extra_repr(self) -> str:
        """Show the settings in the module's `repr`."""
        return f"{super().extra_repr()}, eps={self.eps}"

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        """The predicted mean, and the variance of each channel."""
        variance = F.softplus(self.scale) + self.eps
        mean = super().forward(features)
        return mean, variance if self.kind == "linear" else variance[:, None, None]
