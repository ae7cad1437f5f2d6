"""What a model is asked, and which of its answers are the logits: torch or Hugging Face."""

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor


def logits_of(model: Callable[..., Any], inputs: Any) -> Tensor:
    """Ask a model: a dict of inputs goes in by name, and of an output object the logits come back.

    Args:
        model: the network.
        inputs: (B, ...), or a dict of them.

    Returns:
        Scores (B, ..., C).

    >>> import torch
    >>> logits_of(torch.nn.Linear(4, 2), torch.zeros(3, 4)).shape
    torch.Size([3, 2])
    """
    answer = model(**inputs) if isinstance(inputs, Mapping) else model(inputs)
    if isinstance(answer, Tensor):
        return answer
    logits: Tensor = getattr(answer, "logits", answer)  # what is none, the loss refuses in words
    return logits
