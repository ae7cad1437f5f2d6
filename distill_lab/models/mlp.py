"""A multilayer perceptron that takes images as they come."""

from itertools import pairwise

from torch import Tensor, nn

from distill_lab.models.init import Linear, he_normal_


class MLP(nn.Module):
    """Fully connected ReLU network: flatten, hidden layers with optional dropout, class scores.

    Sizes name every layer from the input to the classes. Shapes: (B, ...) -> (B, classes).
    Modules: ``hidden.0``, ``hidden.1``, ... (after the ReLU) and ``head``.
    Raises ValueError for fewer than two sizes or a dropout outside [0, 1).

    >>> import torch
    >>> MLP(64, 32, 10, seed=0)(torch.zeros(5, 1, 8, 8)).shape
    torch.Size([5, 10])
    """

    def __init__(self, *sizes: int, dropout: float = 0.0, seed: int = 0) -> None:
        super().__init__()
        if len(sizes) < 2 or any(not isinstance(n, int) or n < 1 for n in sizes):
            raise ValueError(
                "MLP needs at least an input and an output size, each a positive integer, "
                f"for example MLP(64, 32, 10); got {sizes}."
            )
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout must lie in [0, 1), got {dropout!r}: 0 switches it off.")
        self.sizes = sizes
        drop = [nn.Dropout(dropout)] if dropout else []
        self.hidden = nn.Sequential(
            *(
                nn.Sequential(Linear(fan_in, fan_out), nn.ReLU(), *drop)
                for fan_in, fan_out in pairwise(sizes[:-1])
            )
        )
        self.head = Linear(sizes[-2], sizes[-1])
        he_normal_(self, seed)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.head(self.hidden(inputs.flatten(1)))
