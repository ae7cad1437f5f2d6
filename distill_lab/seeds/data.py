"""What each seed reads: examples with a leading seed axis S."""

import torch
from torch import Tensor

from distill_lab.data.batches import Data


class Rows:
    """Batches out of a stacked tensor (S, N, ...), whole rows at a time; shared rows stay one."""

    def __init__(self, tensor: Tensor) -> None:
        self.of = tensor.shape[:2]
        seeds, examples = self.of
        shared = is_shared(tensor)
        self.rows = tensor[0] if shared else tensor.contiguous().flatten(0, 1)
        self.first = torch.arange(seeds).unsqueeze(1) * (0 if shared else examples)

    def at(self, index: Tensor) -> Tensor:
        """The examples numbered (S, B), each seed's own: (S, B, ...)."""
        return self.rows.index_select(0, (index + self.first).flatten()).unflatten(0, index.shape)


def stacked_data(data: Data, seeds: int) -> tuple[Tensor, Tensor | None, int]:
    """Inputs and labels with a seed axis, and the number of axes one example has.

    Labels are one an example, (N,) or (S, N), or one a token, of the shape of the inputs. Raises
    ValueError for labels of another shape, or data of another number of seeds.
    """
    inputs, labels = data
    if labels is not None and labels.shape != inputs.shape[: labels.dim()]:
        raise ValueError(
            f"labels have shape {tuple(labels.shape)} and inputs {tuple(inputs.shape)}: expected "
            "one label an input, (N,) shared by all seeds or (seeds, N); or one a token."
        )
    a_token = labels is not None and labels.shape == inputs.shape
    own = labels is None or labels.dim() == (3 if a_token else 2)
    if own and inputs.shape[0] != seeds:
        raise ValueError(
            f"data holds {inputs.shape[0]} seeds but {seeds} were asked for: split it with the "
            "same seeds, or pass one labelled set (N, ...) for all."
        )
    if not own:
        inputs = inputs.expand(seeds, *inputs.shape)
        labels = labels.expand(seeds, *labels.shape)
    return inputs, labels, inputs.dim() - 2


def is_shared(tensor: Tensor) -> bool:
    """Whether a stacked tensor holds the same for all seeds, as `stacked_data` expands it."""
    return len(tensor) == 1 or tensor.stride(0) == 0
