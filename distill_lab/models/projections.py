"""Modules that carry a student's features into the teacher's space while it learns.

They belong to the training alone: give their parameters to the optimiser and to gradient
clipping beside the student's, and leave them out of the model that is exported.
"""

from collections.abc import Callable, Sequence
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from distill_lab._util.checks import plain_number
from distill_lab._util.runtime import modes_kept
from distill_lab._util.tensors import Batch
from distill_lab.models.hooks import Tap
from distill_lab.models.networks import he_normal_, output_of

KINDS = ("linear", "conv1x1")


class Regressor(nn.Module):
    """A learned linear map from the student's features to the teacher's size (FitNets).

    Weights are He-normal from the seed, biases zero; features are brought to the weights' dtype.
    `Regressor.between` looks at two models and chooses all of this.

    Args:
        in_features: the student's channels.
        out_features: the teacher's.
        kind: "linear" maps the last axis, (..., in) -> (..., out); "conv1x1" the channels of a map,
            (B, in, H, W) -> (B, out, H, W). None is "linear", but for four axes, where it has to be
            said: a map's last axis is its width.
        size: the teacher's (H, W), to which "conv1x1" first brings maps of another size by adaptive
            averages; None leaves them.
        seed: of the weights.

    Raises:
        ValueError: for sizes that are not positive integers, another kind, or features whose
            channels are not `in_features`.

    Source: Romero et al. 2014, section 2.2.

    >>> Regressor(16, 64, kind="conv1x1", seed=0)(torch.zeros(2, 16, 8, 8)).shape
    torch.Size([2, 64, 8, 8])
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        kind: str | None = None,
        size: tuple[int, int] | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        in_features, out_features = plain_number(in_features), plain_number(out_features)
        sizes = (in_features, out_features)
        if any(not isinstance(n, int) or isinstance(n, bool) or n < 1 for n in sizes):
            raise ValueError(
                f"a projection needs two positive integers, the student's and the teacher's "
                f"channels, got {in_features!r} and {out_features!r}."
            )
        if kind not in (*KINDS, None):
            raise ValueError(f"kind must be one of {KINDS}, got {kind!r}: which axis is mapped.")
        if size is not None and kind != "conv1x1":
            raise ValueError(
                f"size={size!r} is that of maps (B, C, H, W): use kind='conv1x1' beside it."
            )
        self.kind, self.size = kind or "linear", size
        self.axis_is_said = kind is not None
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
        if self.size is not None and features.shape[2:] != self.size:
            features = F.adaptive_avg_pool2d(features, self.size)
        return F.conv2d(features, self.weight[:, :, None, None], self.bias)

    def check(self, features: Tensor) -> None:
        """Refuse features whose channels are not those the map was made for."""
        if features.dim() == 4 and not self.axis_is_said:
            raise ValueError(
                f"features of shape {tuple(features.shape)} have four axes, and which of them are "
                "the channels has to be said: kind='conv1x1' for maps (B, C, H, W), "
                "kind='linear' where the channels are last."
            )
        axis, layout = (-1, "(..., in)") if self.kind == "linear" else (1, "(B, in, H, W)")
        enough = features.dim() == 4 if self.kind == "conv1x1" else features.dim() >= 1
        if not enough or features.shape[axis] != self.weight.shape[1]:
            raise ValueError(
                f"this projection maps {self.weight.shape[1]} channels, shape {layout}, and got "
                f"{tuple(features.shape)}: make one for these features, or choose the other kind."
            )

    def extra_repr(self) -> str:
        """Show the settings in the module's `repr`."""
        size = "" if self.size is None else f", size={tuple(self.size)}"
        return f"{self.weight.shape[1]}, {self.weight.shape[0]}, kind={self.kind!r}{size}"

    @classmethod
    def between(
        cls,
        student: nn.Module,
        teacher: Any,
        pairs: Sequence[tuple[str, str]],
        example: Any,
        *,
        kind: str | None = None,
        read: Callable[[Any], Any] | None = None,
        seed: int = 0,
        **settings: Any,
    ) -> list[Self]:
        """Make one regressor for each pair of layers, as the features of one batch ask for it.

        Both models run once in eval mode without a graph, so nothing in them changes. Features
        (B, D) and (B, L, D) get a linear map, maps (B, C, H, W) a 1x1 convolution and, where their
        sizes differ, the teacher's size. Where the sizes divide, averaging the larger map and
        repeating the smaller one have the same gradient.

        Args:
            student: the network, wrapped or not.
            teacher: the other one, or what `freeze` returned.
            pairs: names of modules, the student's first, as for `match_features`.
            example: inputs of one batch, or a `Batch`; two examples are enough.
            kind: where four axes do not tell: "linear" for channels that are last.
            read: takes the tensor out of a module that returns more than one.
            seed: of the first regressor; each next one has the next.
            settings: others, as of `VariationalRegressor`.

        Returns:
            A regressor for each pair, for `match_features(regressors=...)`.

        Raises:
            ValueError: for features that no map can bring together, in words.

        Source: Romero et al. 2014, section 2.2.

        >>> narrow, wide = (nn.Sequential(nn.Conv2d(1, c, 3, stride=c // 4)) for c in (4, 8))
        >>> Regressor.between(narrow, wide, [("0", "0")], torch.zeros(2, 1, 9, 9))
        [Regressor(4, 8, kind='conv1x1', size=(4, 4))]
        """
        inputs = example.inputs if isinstance(example, Batch) else example
        networks = (student, getattr(teacher, "model", teacher))
        if isinstance(pairs, str) or any(not isinstance(path, str) for p in pairs for path in p):
            raise ValueError(
                f'pairs must name one module of each model, as [("student.path", "teacher.path")], '
                f"got {pairs!r}."
            )
        both_sides: list[list[Tensor]] = []
        for i, network in enumerate(networks):
            with torch.no_grad(), modes_kept(network):
                network.eval()
                with Tap(network, list(dict.fromkeys(pair[i] for pair in pairs))) as tap:
                    output_of(network, inputs)
                both_sides.append([_tensor(tap[pair[i]], read) for pair in pairs])
        made = []
        for i, (pair, s, t) in enumerate(zip(pairs, *both_sides, strict=True)):
            options = dict(settings, kind=_kind_for(s, t, pair, kind), seed=seed + i)
            if options["kind"] == "conv1x1" and s.shape[2:] != t.shape[2:]:
                options["size"] = tuple(t.shape[2:])
            axis = 1 if options["kind"] == "conv1x1" else -1
            made.append(cls(s.shape[axis], t.shape[axis], **options))
        return made


def _tensor(output: Any, read: Callable[[Any], Any] | None) -> Tensor:
    taken = output if read is None else read(output)
    if isinstance(taken, Tensor):
        return taken
    what = "a module returned" if read is None else "read= made of a module's output"
    raise ValueError(
        f"{what} a {type(taken).__name__} and not one tensor: say which of its outputs is meant, "
        "for example read=lambda output: output[0]."
    )


def _kind_for(s: Tensor, t: Tensor, pair: tuple[str, str], kind: str | None) -> str:
    """Which axis the channels of two features are on, refused where it cannot be known."""
    shapes = tuple(s.shape), tuple(t.shape)
    shown = f"{pair[0]!r} gives {shapes[0]} and {pair[1]!r} {shapes[1]}"
    if s.dim() != t.dim() or not 2 <= s.dim() <= 4:
        raise ValueError(
            f"{shown}: expected both (B, D), both (B, L, D) or both maps (B, C, H, W). Tap layers "
            "of one layout, or pool one with read=."
        )
    if s.dim() < 4:
        if s.shape[:-1] != t.shape[:-1]:
            raise ValueError(
                f"{shown}: a linear map changes the last axis alone, so both need the same tokens. "
                "Give both models one tokenizer, or pool with read=."
            )
        return "linear"
    last = any(a == b != c for _, a, b, c in shapes)  # as (B, 7, 7, 96)
    front = any(b == c != a for _, a, b, c in shapes)
    if kind is None and last and not front:
        raise ValueError(
            f"{shown}: the channels seem to be last. Say kind='linear' if they are, and "
            "kind='conv1x1' for maps (B, C, H, W)."
        )
    if kind == "linear" and s.shape[:-1] != t.shape[:-1]:
        raise ValueError(
            f"{shown}: with channels last both need one height and width. Bring them there with "
            "read=, as features.movedim(-1, 1) and kind='conv1x1'."
        )
    return kind or "conv1x1"


class VariationalRegressor(Regressor):
    """A regressor that also learns how far each teacher channel can be predicted (VID).

    Returns the mean, as `Regressor`, and a variance for each channel, shaped to broadcast
    against it: var = softplus(scale) + eps.

    Args:
        in_features: the student's channels.
        out_features: the teacher's.
        kind: as in `Regressor`.
        size: as in `Regressor`.
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
        kind: str | None = None,
        size: tuple[int, int] | None = None,
        variance: float = 5.0,
        eps: float = 1e-5,
        seed: int = 0,
    ) -> None:
        super().__init__(in_features, out_features, kind=kind, size=size, seed=seed)
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
