"""What stands around a network, compilation, data parallelism, a reader, and how to look through.

A wrapper renames everything in it (`_orig_mod.`, `module.`) and computes the same. So layers,
checkpoints and fingerprints go by the names that the network has without it.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from distill_lab._util.tensors import map_tensors


def refuse_one_example(model: object, output: Any, scores: Tensor) -> None:
    """Refuse a `read` that took an example in place of a part: of a tensor, which has no parts.

    Models with a second head return a tuple in training and a tensor elsewhere.

    Args:
        model: whose output it is.
        output: what it returned.
        scores: what `read` made of it.

    Raises:
        ValueError: for one row of the output.
    """
    if not isinstance(output, Tensor) or output.dim() < 2 or len(output) < 2:
        return
    same = scores.untyped_storage().data_ptr() == output.untyped_storage().data_ptr()
    if same and scores.shape == output.shape[1:] and scores.stride() == output.stride()[1:]:
        name = type(unwrapped(model)).__name__ if isinstance(model, nn.Module) else "the model"
        raise ValueError(
            f"{name} returned a tensor {tuple(output.shape)}, of which read= took one example: it "
            "may return a tuple in training alone. Write read=lambda out: out[0] if "
            "isinstance(out, tuple) else out."
        )


class OutputReader(nn.Module):
    """A network whose output is read, and whose inputs are cast, on the way.

    It has the attributes of the network, and its names are those of the network.

    Args:
        module: the network.
        read: what becomes of its output; None: it stays.
        dtype: the type of its floating inputs; None: they stay.

    >>> first = OutputReader(nn.LSTM(2, 3), read=lambda out: out[0])
    >>> first(torch.zeros(5, 1, 2)).shape, first.input_size
    (torch.Size([5, 1, 3]), 2)
    """

    def __init__(
        self,
        module: nn.Module,
        read: Callable[[Any], Any] | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.module, self.read, self.dtype = module, read, dtype

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Ask the network."""
        if self.dtype is not None:
            args, kwargs = map_tensors(self._cast, args), map_tensors(self._cast, kwargs)
        output = self.module(*args, **kwargs)
        if self.read is None:
            return output
        scores = self.read(output)
        if not isinstance(scores, Tensor):
            raise TypeError(
                f"{type(unwrapped(self)).__name__} returned a {type(output).__name__}, of which "
                f"read= made a {type(scores).__name__}: expected one tensor of scores."
            )
        refuse_one_example(self, output, scores)
        return scores

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("module"), name)

    def _cast(self, tensor: Tensor) -> Tensor:
        return tensor.to(self.dtype) if tensor.is_floating_point() else tensor


_AROUND = (nn.DataParallel, nn.parallel.DistributedDataParallel, AveragedModel)


def unwrapped(model: nn.Module) -> nn.Module:
    """The network itself, without what stands around it.

    Args:
        model: a network, wrapped or not.

    Returns:
        What the wrappers call.

    >>> net = nn.Linear(4, 2)
    >>> unwrapped(nn.DataParallel(net)) is net
    True
    """
    while name := _inside(model):
        model = getattr(model, name)
    return model


def modules_of(model: nn.Module) -> dict[str, nn.Module]:
    """Every module by the path that it has without wrappers, at the root or further down.

    Args:
        model: a network, wrapped or not.

    Returns:
        Path to module, in the order of `named_modules`.

    >>> list(modules_of(nn.DataParallel(nn.Sequential(nn.ReLU()))))
    ['', '0']
    """
    return dict(_walk(model, ""))


def is_compiled(model: nn.Module) -> bool:
    """Whether any part of a network is compiled: itself, in place, or its method `forward`."""
    return any(
        hasattr(m, "_orig_mod")
        or getattr(m, "_compiled_call_impl", None) is not None
        or hasattr(m.__dict__.get("forward"), "_torchdynamo_orig_callable")
        for m in model.modules()
    )


def eager(*models: nn.Module | None, when: bool = True) -> AbstractContextManager[object]:
    """Run what is compiled as it was written: for hooks, and for graphs that are used twice.

    A compiled graph runs no hook that came after it, and gives its buffers away in backward.

    Args:
        models: networks; None are skipped.
        when: whether to do so at all.

    Returns:
        A block in which the networks run so, to be entered at once.
    """
    needed = when and any(is_compiled(model) for model in models if model is not None)
    stance: AbstractContextManager[object] = nullcontext()
    return torch.compiler.set_stance("force_eager") if needed else stance


def state_of(model: nn.Module) -> dict[str, Tensor]:
    """All that a run may change of a network's answers, by names without wrappers.

    More than `state_dict()`: buffers that are not saved with a model are part of a run. And less
    where it wears adapters: see `base_state`.

    Args:
        model: the network.

    Returns:
        Tensors by name, not copied.

    Raises:
        ValueError: for a state that is no tensor, or has no size yet.

    >>> sorted(state_of(nn.Linear(4, 2)))
    ['bias', 'weight']
    """
    check_kept(model)
    model = unwrapped(model)  # what a wrapper counts is no part of the network
    state = dict(model.named_buffers(remove_duplicate=False)) | model.state_dict()
    for name, value in state.items():
        if nn.parameter.is_lazy(value):
            raise ValueError(
                f"{name} of {type(unwrapped(model)).__name__} has no size yet: run one batch "
                "through the network before distill()."
            )
    prefixes, base = _prefixes(model), base_state(model)
    plain = {_plain(name, prefixes): value for name, value in state.items()}
    return {name: value for name, value in plain.items() if name not in base}


def check_kept(model: nn.Module, *, dense: bool = False) -> None:
    """Refuse a network of whose state a file cannot hold a part.

    Args:
        model: the network.
        dense: whether the file holds dense tensors alone.

    Raises:
        ValueError: naming that part.
    """
    for name, value in model.state_dict().items():
        if not isinstance(value, Tensor):
            kind = f"a {type(value).__name__} and no tensor"
            instead = "let get_extra_state() return a tensor"
        elif value.is_quantized:
            kind, instead = "quantised", "quantise the network after the run"
        elif dense and value.layout != torch.strided:
            kind, instead = "sparse", "register the buffer with persistent=False"
        else:
            continue
        raise ValueError(
            f"{name} of {type(unwrapped(model)).__name__} is {kind}, so a checkpoint cannot hold "
            f"it: {instead}, or leave out checkpoint=, best= and what keeps the best weights, as "
            "EarlyStopping(restore_best=False) does."
        )


def base_state(model: nn.Module) -> dict[str, Tensor]:
    """What stands still under PEFT's adapters: weights that are kept elsewhere, by plain names.

    Args:
        model: a network, wrapped or not.

    Returns:
        Tensors by name; none for a network without adapters.
    """
    inner = unwrapped(model)
    if not hasattr(inner, "peft_config"):
        return {}
    own = getattr(inner.base_model, "prefix", "lora_")  # in the names of an adapter's weights
    prefixes = _prefixes(model)
    return {
        _plain(name, prefixes): parameter.detach()
        for name, parameter in model.named_parameters(remove_duplicate=False)
        if not parameter.requires_grad and own not in name
    }


def plain_state(model: nn.Module) -> dict[str, Any]:
    """A network's `state_dict`, by names without wrappers: what a saved model holds."""
    model = unwrapped(model)
    prefixes = _prefixes(model)
    return {_plain(name, prefixes): value for name, value in model.state_dict().items()}


def differing_state(model: nn.Module, state: dict[str, Tensor]) -> list[str]:
    """Which parts of a kept state a network has no place for, and which of its own are not there.

    A buffer may have another size, or none yet: some get theirs from the first batch.

    Args:
        model: the network.
        state: what `state_of` returned.

    Returns:
        Names.
    """
    own, slots = state_of(model), _buffer_slots(model)
    base = base_state(model)
    own |= {name: value for name, value in base.items() if name in state}
    missing = [name for name in plain_state(model) if name not in state and name not in base]
    wrong = [
        name
        for name, value in state.items()
        if name not in slots
        and (name not in own or (own[name].shape != value.shape and not _is_extra(name)))
    ]
    return missing + wrong


def load_state(model: nn.Module, state: dict[str, Tensor]) -> None:
    """Put back what `state_of` returned, buffers of another size and unsaved ones included.

    Args:
        model: the network.
        state: its tensors by name.
    """
    model = unwrapped(model)
    slots = _buffer_slots(model)
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    with torch.no_grad():
        for name, value in state.items():
            if name not in slots:
                continue
            owner, leaf = slots[name]
            buffer = owner._buffers[leaf]
            if buffer is None or buffer.shape != value.shape or not _writable(buffer):
                owner._buffers[leaf] = value.to(device if buffer is None else buffer.device).clone()
            else:
                buffer.copy_(value)
    prefixes = _prefixes(model)
    names = {name: _plain(name, prefixes) for name in model.state_dict()}
    base = base_state(model).keys() - state.keys()  # which stands still
    held = {name: state[plain] for name, plain in names.items() if plain not in base}
    model.load_state_dict(held, strict=not base)


def _is_extra(name: str) -> bool:
    """Whether a part of a state is what `get_extra_state` returned, of whatever size today."""
    return name.rpartition(".")[2] == "_extra_state"


def _writable(buffer: Tensor) -> bool:
    """Whether every number of a buffer has a place of its own, as in an expanded one it has not."""
    if buffer.layout != torch.strided:
        return False
    return all(step > 0 for step, n in zip(buffer.stride(), buffer.shape, strict=True) if n > 1)


def _inside(model: nn.Module) -> str | None:
    """The attribute under which a wrapper keeps its network; None for what is no wrapper."""
    if isinstance(getattr(model, "_orig_mod", None), nn.Module):  # torch.compile's class is private
        return "_orig_mod"
    return "module" if isinstance(model, (*_AROUND, OutputReader)) else None


def _walk(model: nn.Module, path: str) -> Iterator[tuple[str, nn.Module]]:
    model = unwrapped(model)
    yield path, model
    for name, child in model.named_children():
        yield from _walk(child, f"{path}.{name}" if path else name)


def _prefixes(model: nn.Module) -> list[tuple[str, str]]:
    """What wrappers put into names, the innermost first, each with what stands before it."""
    pairs = [
        (f"{path}.{name}." if path else f"{name}.", f"{path}." if path else "")
        for path, module in model.named_modules()
        if (name := _inside(module))
    ]
    return sorted(pairs, key=lambda pair: -len(pair[0]))


def _plain(name: str, prefixes: list[tuple[str, str]]) -> str:
    for long, short in prefixes:
        if name.startswith(long):
            name = short + name[len(long) :]
    return name


def _buffer_slots(model: nn.Module) -> dict[str, tuple[nn.Module, str]]:
    """Every buffer's place, those without a tensor too: name -> module and attribute."""
    return {
        f"{path}.{leaf}" if path else leaf: (module, leaf)
        for path, module in modules_of(model).items()
        for leaf in module._buffers.keys()  # noqa: SIM118 - a scripted module has no other way
    }
