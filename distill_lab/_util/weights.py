"""What a network's weights must be before anything is asked of it: there, and of one kind."""

from itertools import chain

import torch
from torch import nn
from torch.nn.parameter import is_lazy

OWN = (torch.Tensor, nn.Parameter, nn.Buffer)  # another class may hold its values elsewhere


def check_weights(who: str, model: nn.Module, *, learns: bool = False) -> None:
    """Refuse weights without values, and what learns by sparse gradients.

    Args:
        who: whose they are, for the message.
        model: the network.
        learns: whether a gradient of it is wanted.

    Raises:
        ValueError: naming the first such weight or layer.

    >>> check_weights("student", nn.Linear(4, 2, device="meta"))
    Traceback (most recent call last):
    ValueError: the student's weight is on the meta device, which holds shapes and no values: ...
    """
    if learns and isinstance(model, torch.fx.GraphModule) and "train" in vars(model):
        raise ValueError(
            f"the {who} is a program of torch.export, which has no training mode: train the "
            "network that it was made of, and export that again."
        )
    for name, tensor in chain(model.named_parameters(), model.named_buffers()):
        if is_lazy(tensor):
            if learns:
                continue  # its first batch makes it
            raise ValueError(
                f"the {who}'s {name} has no shape yet, since the layer is lazy: run the model on a "
                "batch, and load its weights, before it is frozen."
            )
        if learns and tensor.is_inference():
            raise ValueError(
                f"the {who}'s {name} was made inside torch.inference_mode(), and nothing learns "
                "through it: make or load the network outside of that block."
            )
        if tensor.is_meta and type(tensor) in OWN:
            raise ValueError(
                f"the {who}'s {name} is on the meta device, which holds shapes and no values: give "
                "it some, as model.to_empty(device='cpu') and load_state_dict, or build it outside "
                "torch.device('meta')."
            )
    for name, module in model.named_modules() if learns else ():
        if isinstance(module, nn.Embedding | nn.EmbeddingBag) and module.sparse:
            raise ValueError(
                f"the {who}'s {name or type(module).__name__} has sparse=True, and sparse "
                "gradients can be neither clipped nor looked at: make it with sparse=False, whose "
                "gradient is the same with zeros in it."
            )


def dtypes_in_words(model: nn.Module) -> str:
    """The floating types of a network's weights, each with the first weight that has it.

    >>> dtypes_in_words(nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2).half()))
    'torch.float32 (0.weight) and torch.float16 (1.weight)'
    """
    first: dict[torch.dtype, str] = {}
    for name, parameter in model.named_parameters():
        if parameter.is_floating_point():
            first.setdefault(parameter.dtype, name)
    return " and ".join(f"{dtype} ({name})" for dtype, name in first.items())
