"""Ask a network for its logits without training it."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import torch
from torch import Tensor, nn

from distill_lab._util.checks import positive_int
from distill_lab._util.runtime import modes_kept

__all__ = ["as_module", "evaluating", "predict_logits"]


def as_module(model: Any) -> nn.Module:
    """The torch module itself, also out of a frozen teacher; TypeError for anything else."""
    inner = model if isinstance(model, nn.Module) else getattr(model, "model", None)
    if not isinstance(inner, nn.Module):
        raise TypeError(
            f"expected a torch module, or a teacher that holds one; got {type(model).__name__}."
        )
    return inner


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Eval mode and no gradients inside; afterwards every submodule is in the mode it was in."""
    with modes_kept(model), torch.inference_mode():
        with suppress(NotImplementedError):  # of an exported graph, which has one mode
            model.eval()
        yield


def predict_logits(model: Any, inputs: Tensor, batch_size: int = 1024) -> Tensor:
    """A model's logits in eval mode and without a graph.

    It runs on the model's device and answers on the inputs'; the model's modes are restored.

    Args:
        model: the network.
        inputs: examples (N, ...).
        batch_size: examples a call.

    Returns:
        Scores (N, C).

    Raises:
        TypeError: where the model answers with anything but one tensor.
        ValueError: for no inputs, or where it answers with another number of rows.

    >>> predict_logits(nn.Linear(4, 3), torch.rand(5, 4)).shape
    torch.Size([5, 3])
    """
    batch_size = positive_int("batch_size", batch_size)
    if len(inputs) == 0:
        raise ValueError("there are no inputs: expected at least one example.")
    module = as_module(model)
    held = next(module.parameters(), None)
    parts = []
    with evaluating(module):
        for batch in inputs.split(batch_size):
            part = module(batch if held is None else batch.to(held.device))
            if not isinstance(part, Tensor):
                raise TypeError(
                    f"the model must answer with logits as one tensor; got {type(part).__name__}. "
                    "Wrap it in a module that returns them."
                )
            if part.ndim != 2 or len(part) != len(batch):
                raise ValueError(
                    f"{len(batch)} inputs must give logits ({len(batch)}, classes); "
                    f"got {tuple(part.shape)}."
                )
            parts.append(part.to(inputs.device))
    # Joined outside inference mode, the result may take part in a later loss.
    return torch.cat(parts)
