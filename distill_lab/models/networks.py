"""How any network is asked, and small ones whose initial weights come from a seed alone."""

from collections.abc import Callable, Mapping
from inspect import signature
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from distill_lab._util.checks import plain_number, positive_int, whole_number
from distill_lab._util.wrappers import refuse_one_example, unwrapped
from distill_lab.models.padding import in_place
from distill_lab.models.positions import name_small_table

Read = Callable[[Any], Tensor]  # takes the scores out of what a model returns


def logits_of(model: Callable[..., Any], inputs: Any, read: Read | None = None) -> Tensor:
    """Ask a model: a dict of inputs goes in by name, and of what it returns the logits come back.

    Args:
        model: the network.
        inputs: (B, ...), or a dict of them.
        read: how to take the scores out of what the model returns, as `lambda out: out["out"]`.
            Without it: a tensor as it is, an object's `.logits`, a dict's "logits", or the
            "sentence_embedding" of sentence-transformers.

    Returns:
        Scores (B, ..., C).

    Raises:
        TypeError: for any other output, naming `read`.
        IndexError: for numbers that an embedding of the model has no row for.
        ValueError: for an encoder-decoder that is not given what its decoder reads.

    >>> import torch
    >>> logits_of(torch.nn.Linear(4, 2), torch.zeros(3, 4)).shape
    torch.Size([3, 2])
    >>> logits_of(lambda x: (x, x + 1), torch.zeros(1), read=lambda out: out[1])
    tensor([1.])
    """
    _check_decoder(model, inputs)
    output = output_of(model, inputs)
    if read is not None:
        logits = read(output)
        if isinstance(logits, Tensor):
            refuse_one_example(model, output, logits)
    elif isinstance(output, Mapping) and (output.keys() & {"logits", "sentence_embedding"}):
        logits = output["logits" if "logits" in output else "sentence_embedding"]
    else:
        logits = getattr(output, "logits", output)
    if isinstance(logits, Tensor):
        return logits
    kind = f"{type(model).__name__} returned a {_kind(output)}"
    if read is not None:
        raise TypeError(
            f"{kind}, of which read= made a {_kind(logits)}: expected one tensor of scores."
        )
    raise TypeError(
        f"{kind}, and which part of it is the scores is not known: expected a tensor, `.logits`, "
        f'or a dict with "logits". Name the part, as read=lambda out: {_example(output)}.'
    )


def _kind(output: object) -> str:
    """What an output is, in a few words."""
    if isinstance(output, Mapping):
        return f"{type(output).__name__} with {[str(key) for key in output]}"
    size = f" of {len(output)}" if isinstance(output, (tuple, list)) else ""
    return f"{type(output).__name__}{size}"


def _example(output: object) -> str:
    if isinstance(output, Mapping) and output:
        return f"out[{next(iter(output))!r}]"
    return "out[0]" if isinstance(output, (tuple, list)) else "out.scores"


def output_of(model: Callable[..., Any], inputs: Any) -> Any:
    """Ask a model: a dict of inputs goes in by name, and what it returns comes back as it is.

    Where texts are padded on the left, a model that counts places is told those without padding.

    Args:
        model: the network.
        inputs: (B, ...), or a dict of them.

    Returns:
        The model's output.

    Raises:
        IndexError: as `logits_of`.
        TypeError: where the model's arguments have other names than the inputs, or are more.
        ValueError: for texts padded on the left, and a model that reads them otherwise so.

    >>> import torch
    >>> output_of(torch.nn.Linear(4, 2), torch.zeros(3, 4)).shape
    torch.Size([3, 2])
    """
    if isinstance(inputs, Mapping):
        inputs = in_place(model, inputs)
    try:
        if not isinstance(inputs, Mapping):
            return model(inputs)
        if isinstance(_network(model), nn.Sequential) and set(inputs) != {"input"}:
            return model(dict(inputs))  # one argument: sentence-transformers, which writes into it
        return model(**inputs)
    except (IndexError, RuntimeError) as error:
        name_small_table(model, inputs, error)
        raise
    except TypeError as error:
        advice = _arguments_that_differ(model, inputs)
        if advice is None:  # the mistake is inside the model
            raise
        raise TypeError(f"{advice} ({error})") from error


def _arguments_that_differ(model: object, inputs: Any) -> str | None:
    """How the inputs are to be given, where the model's arguments are others: torch says half."""
    network = _network(model)
    if not isinstance(network, nn.Module):
        return None
    name = type(network).__name__
    if isinstance(network, nn.Sequential):
        torchs = type(next(iter(network), None)).__module__.startswith("torch.")
        if not isinstance(inputs, Mapping) or (len(inputs) != 1 and not torchs):
            return None
        return (
            f"a {name} reads one argument, and got a mapping with {list(inputs)}: give a tensor, "
            "as (inputs, labels), or call that column 'input', and what is no input 'labels' or "
            "'weights'"
        )
    reads = signature(network.forward)
    named = isinstance(inputs, Mapping)
    try:
        reads.bind(**inputs) if named else reads.bind(inputs)
    except TypeError:
        takes = f"{name} reads the arguments {list(reads.parameters)}"
        if named:
            more = "" if len(inputs) <= len(reads.parameters) else ", and labels the name 'labels'"
            return f"{takes}, and the inputs are named {list(inputs)}: give them those names{more}"
        return f"{takes}, and got one: give a mapping of them, as ({{'name': tensor}}, labels)"
    return None


def _network(model: object) -> object:
    return unwrapped(model) if isinstance(model, nn.Module) else model


def _check_decoder(model: object, inputs: Any) -> None:
    """Refuse to let a model that writes beside what it reads write about nothing.

    Some of transformers' would take the text that is read for the one that is written.
    """
    network = _network(model)
    if not isinstance(inputs, Mapping) or any("decoder_" in name for name in inputs):
        return
    if hasattr(network, "prepare_decoder_input_ids_from_labels") and "labels" not in inputs:
        raise ValueError(
            f"a {type(network).__name__} scores what its decoder reads, and the inputs are "
            f"{list(inputs)}: put decoder_input_ids beside them, as "
            "model.prepare_decoder_input_ids_from_labels(labels=labels)."
        )


class MLP(nn.Module):
    """Fully connected ReLU network: flatten, hidden layers with optional dropout, class scores.

    Shapes: (B, ...) -> (B, classes). Modules: `hidden.0`, `hidden.1`, ... (after the ReLU) and
    `head`. Of a hidden layer, `hidden.0.0` is linear and `hidden.0.1` the batch norm, if there is
    one: then the linear map has no bias of its own.

    Args:
        sizes: every layer's, from the input to the classes.
        dropout: the chance of a hidden unit to be left out, in [0, 1).
        batch_norm: whether each hidden layer normalises its units before the ReLU.
        seed: of the first weights.

    Raises:
        ValueError: for fewer than two sizes or another dropout.

    >>> import torch
    >>> MLP(64, 32, 10, seed=0)(torch.zeros(5, 1, 8, 8)).shape
    torch.Size([5, 10])
    """

    def __init__(
        self, *sizes: int, dropout: float = 0.0, batch_norm: bool = False, seed: int = 0
    ) -> None:
        super().__init__()
        sizes = tuple(map(plain_number, sizes))
        dropout = plain_number(dropout)
        if len(sizes) < 2 or any(not isinstance(n, int) or n < 1 for n in sizes):
            raise ValueError(
                "MLP needs at least an input and an output size, each a positive integer, "
                f"for example MLP(64, 32, 10); got {sizes}."
            )
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout must lie in [0, 1), got {dropout!r}: 0 switches it off.")
        self.sizes = sizes
        self.hidden = nn.Sequential(
            *(
                nn.Sequential(
                    Linear(fan_in, fan_out, bias=not batch_norm),  # batch norm has its own
                    *([nn.BatchNorm1d(fan_out)] if batch_norm else []),
                    nn.ReLU(),
                    *([nn.Dropout(dropout)] if dropout else []),
                )
                for fan_in, fan_out in pairwise(sizes[:-1])
            )
        )
        self.head = Linear(sizes[-2], sizes[-1])
        he_normal_(self, seed)

    def forward(self, inputs: Tensor) -> Tensor:
        """Compute the logits."""
        logits: Tensor = self.head(self.hidden(inputs.flatten(1)))
        return logits


class SmallCNN(nn.Module):
    """Three 3x3 convolutions (the last two halve the picture), a mean over space, class scores.

    No batch statistics, so a frozen teacher says the same whatever else is in the batch.
    Shapes: (B, channels, H, W) -> (B, classes). Modules: `stages.0` .. `stages.2` and `head`.

    Args:
        width: channels of the first stage; the others have twice and four times as many.
        classes: how many scores.
        channels: of the picture.
        seed: of the first weights.

    Raises:
        ValueError: for sizes that are not positive integers.

    >>> import torch
    >>> SmallCNN(width=8, seed=0)(torch.zeros(5, 1, 28, 28)).shape
    torch.Size([5, 10])
    """

    def __init__(
        self, width: int = 16, *, classes: int = 10, channels: int = 1, seed: int = 0
    ) -> None:
        super().__init__()
        width = positive_int("width", width)
        classes, channels = positive_int("classes", classes), positive_int("channels", channels)
        widths = (channels, width, 2 * width, 4 * width)
        self.stages = nn.Sequential(
            *(
                nn.Sequential(Conv2d(fan_in, fan_out, 3, stride=stride, padding=1), nn.ReLU())
                for fan_in, fan_out, stride in zip(widths[:-1], widths[1:], (1, 2, 2), strict=True)
            )
        )
        self.head = Linear(widths[-1], classes)
        he_normal_(self, seed)

    def forward(self, inputs: Tensor) -> Tensor:
        """Compute the logits."""
        logits: Tensor = self.head(self.stages(inputs).mean((-2, -1)))
        return logits


class Linear(nn.Linear):
    """Torch's linear layer without first weights: those it would draw move the global generator."""

    def reset_parameters(self) -> None:
        """Leave the memory as it is: the model fills it from its own seed."""


class Conv2d(nn.Conv2d):
    """Torch's convolution without first weights, as `Linear`."""

    def reset_parameters(self) -> None:
        """Leave the memory as it is: the model fills it from its own seed."""


def he_normal_(model: nn.Module, seed: int) -> None:
    """Fill weights with He-normal values, biases with 0 and batch norm's scales with 1, in place.

    Formula: w ~ N(0, 2 / fan_in).

    Args:
        model: the network.
        seed: of its own generator; the global one stays where it is.

    Source: He et al. 2015, section 2.2.
    """
    generator = torch.Generator().manual_seed(whole_number("seed", seed))
    for parameter in model.parameters():
        if parameter.dim() > 1:
            nn.init.kaiming_normal_(parameter, nonlinearity="relu", generator=generator)
        else:
            nn.init.zeros_(parameter)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d):
            nn.init.ones_(module.weight)  # of 0 it would let nothing through
