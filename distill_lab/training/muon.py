"""Muon for the matrices inside a network, AdamW for everything else."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

QUINTIC = (3.4445, -4.775, 2.0315)  # coefficients of the Muon post, for five rounds
ROUNDS = 5


class Muon(torch.optim.AdamW):
    """Muon for the weight matrices between embedding and output, AdamW for everything else.

    The factor gives a step the size of one of AdamW, so that both halves go by one learning rate.
    torch.optim.Muon works in bfloat16, which processors without it only imitate: there it took more
    time than the network itself.

    Formula: M <- beta M + (1 - beta) G, then W <- (1 - lr decay) W - 0.2 lr sqrt(max(rows,
    columns)) orthogonal((1 - beta) G + beta M).

    Args:
        model: the network whose matrices it turns.
        extra: parameters beside the network's own, left to AdamW.
        lr: the learning rate.
        weight_decay: what a step takes off the weights, times the learning rate.
        momentum: beta.
        fused: as in `torch.optim.AdamW`, for its half.

    Source: Jordan et al. 2024 (the Muon post); Liu et al. 2025 (2502.16982), section 2.2, on the
    factor.

    >>> layer = nn.Linear(4, 4)
    >>> optimizer = Muon(layer, lr=1e-2)
    >>> layer(torch.ones(1, 4)).sum().backward()
    >>> optimizer.step()
    """

    found_inf: Tensor | None = None  # as in `optim.make_optimizer`

    def __init__(
        self,
        model: nn.Module,
        *extra: nn.Parameter,
        lr: float,
        weight_decay: float = 0.0,
        momentum: float = 0.95,
        fused: bool = False,
    ) -> None:
        hidden = hidden_matrices(model)
        in_hidden = {id(parameter) for parameter in hidden}
        others = [p for p in (*model.parameters(), *extra) if p.requires_grad]
        others = [p for p in others if id(p) not in in_hidden]
        groups = [
            {"params": some, "momentum": momentum, "orthogonal": some is hidden}
            for some in (hidden, others)
            if some
        ]
        super().__init__(
            groups, lr=lr, betas=(0.9, 0.95), weight_decay=weight_decay, fused=fused or None
        )

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Take one step; the gradients of the matrices are used up."""
        if closure is not None:
            raise ValueError("Muon takes no closure: call backward() first, then step().")
        for group in self.param_groups:
            if group["orthogonal"]:
                by_shape: dict[tuple[int, ...], list[Tensor]] = {}
                for weight in group["params"]:
                    if weight.grad is not None:
                        by_shape.setdefault(weight.shape, []).append(weight)
                for weights in by_shape.values():  # matrices of one shape in one product
                    self._step_matrices(weights, group)
        return super().step()

    def _step_matrices(self, weights: list[Tensor], group: dict[str, Any]) -> None:
        beta, directions = group["momentum"], []
        for weight in weights:
            state, grad = self.state[weight], weight.grad
            assert grad is not None
            if "momentum" not in state:  # AdamW looks for a count of steps when a state is loaded
                state |= {"step": torch.zeros(()), "momentum": torch.zeros_like(weight)}
            state["step"] += 1
            momentum = state["momentum"].lerp(grad, 1 - beta)
            directions.append(grad.lerp(momentum, beta))
            self._update(state["momentum"], momentum)
            weight.grad = None  # AdamW passes over what has none
        size = group["lr"] * 0.2 * max(weights[0].shape) ** 0.5
        for weight, direction in zip(weights, orthogonal(torch.stack(directions)), strict=True):
            kept = weight * (1 - group["lr"] * group["weight_decay"])
            self._update(weight, kept.add_(direction, alpha=-size))

    def _update(self, old: Tensor, new: Tensor) -> None:
        old.copy_(new if self.found_inf is None else torch.where(self.found_inf > 0, old, new))


def orthogonal(matrix: Tensor) -> Tensor:
    """A matrix with the same singular vectors and all singular values near 1 (0.7 to 1.2).

    Formula: X <- a X + (b A + c A A) X with A = X X', five rounds from X = matrix / |matrix|.

    Args:
        matrix: (..., N, M).

    Returns:
        (..., N, M).

    >>> stretched = torch.diag(torch.tensor([9.0, 4.0, 1.0]))
    >>> lengths = torch.linalg.svdvals(orthogonal(stretched))
    >>> bool(lengths.min() > 0.6), bool(lengths.max() < 1.3)
    (True, True)
    """
    a, b, c = QUINTIC
    tall = matrix.shape[-2] > matrix.shape[-1]
    x: Tensor = matrix.mT if tall else matrix
    x = x / x.norm(dim=(-2, -1), keepdim=True).clamp_min(1e-30)
    for _ in range(ROUNDS):
        square = x @ x.mT
        x = a * x + (b * square + c * (square @ square)) @ x
    return x.mT if tall else x


def hidden_matrices(model: nn.Module) -> list[Tensor]:
    """The weights of the linear layers, but for those that read or write a vocabulary.

    A layer that shares its weight with an embedding is out, and so is the one that a Hugging Face
    model names as its output.

    >>> model = nn.Sequential(nn.Embedding(9, 4), nn.Linear(4, 8), nn.Linear(8, 4))
    >>> [tuple(weight.shape) for weight in hidden_matrices(model)]
    [(8, 4), (4, 8)]
    """
    output = getattr(model, "get_output_embeddings", lambda: None)()
    outside = {id(m.weight) for m in model.modules() if isinstance(m, nn.Embedding)}
    outside |= {id(output.weight)} if output is not None else set()
    linear = {id(m.weight): m.weight for m in model.modules() if isinstance(m, nn.Linear)}
    return [w for key, w in linear.items() if key not in outside and w.requires_grad]
