"""An accelerator that is none: tensors that say they are on another device, and compute here.

What they are asked runs on the CPU with the same values. As on a real one, a tensor that stayed
behind does not mix with them, unless it is a single number. The device is torch's "meta", which
needs no driver; without the wrapper it holds no values at all, so nothing goes unnoticed.
"""

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

CARD = torch.device("meta")
PRODUCTS = ("mm", "linear", "embedding", "attention", "conv")
COPY = torch.ops.aten.copy_.default
READS = (torch.ops.aten._local_scalar_dense.default, torch.ops.aten.nonzero.default)


class OnCard(Tensor):
    """A tensor on the card."""

    @staticmethod
    def __new__(cls, held: Tensor) -> "OnCard":
        assert held.device != CARD, "no values"
        made = Tensor._make_wrapper_subclass(
            cls,
            held.shape,
            strides=held.stride(),
            storage_offset=held.storage_offset(),
            dtype=held.dtype,
            device=CARD,
        )
        made.held = held
        return made

    def tolist(self):
        return self.held.tolist()

    def __tensor_flatten__(self):
        return ["held"], None

    @staticmethod
    def __tensor_unflatten__(inner, context, size, stride):
        return OnCard(inner["held"])

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        return run(func, args, kwargs or {})


class Card(TorchDispatchMode):
    """Within, what is made on the card is made there; counts the matrix products of each place."""

    def __init__(self) -> None:
        super().__init__()
        self.products: Counter[str] = Counter()
        self.reads = 0  # that the host waits for: values, and shapes that follow from values

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        tensors = [x for x in tree_leaves((args, kwargs)) if isinstance(x, Tensor)]
        on_card = any(isinstance(x, OnCard) for x in tensors)
        self.reads += on_card and func in READS
        if any(name in str(func) for name in PRODUCTS):
            self.products["card" if on_card else "cpu"] += 1
        return run(func, args, kwargs or {})


class Literals(TorchFunctionMode):
    """Within, numbers that are written out for the card get there: torch gives "meta" none."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        if func not in (torch.tensor, torch.as_tensor) or kwargs.get("device") is None:
            return func(*args, **kwargs)
        device = torch.device(kwargs.pop("device"))
        return func(*args, **kwargs).to(device)


def run(func, args, kwargs):
    """Compute on the CPU, and put the result where it belongs."""
    tensors = [x for x in tree_leaves((args, kwargs)) if isinstance(x, Tensor)]
    on_card = [x for x in tensors if isinstance(x, OnCard)]
    devices = [x for x in tree_leaves((args, kwargs)) if isinstance(x, torch.device)]
    empty = [x for x in tensors if not isinstance(x, OnCard) and x.device == CARD]
    assert not empty, f"{func} got a tensor without values, made by what the card does not know"
    if on_card and not devices and func is not COPY:
        left = [x for x in tensors if not isinstance(x, OnCard) and x.dim()]
        if left and "index" not in str(func):  # as on a GPU, which takes indices from the host
            raise RuntimeError(
                f"Expected all tensors to be on the same device, but {func} got one of shape "
                f"{tuple(left[0].shape)} on cpu"
            )
    to_card = devices[0] == CARD if devices else bool(on_card)
    if func is COPY:
        to_card = isinstance(args[0], OnCard)
    inner = {id(x.held): x for x in on_card}
    result = func(*tree_map(_held, args), **tree_map(_held, kwargs))
    if func is COPY:
        return args[0]
    return tree_map(lambda x: _shown(x, inner), result) if to_card else result


def _held(value):
    """What stands for a value on the CPU."""
    if isinstance(value, torch.device):
        return torch.device("cpu")
    return value.held if isinstance(value, OnCard) else value


def _shown(value, inner):
    """What stands for a value on the card; one that was written into is itself."""
    if not isinstance(value, Tensor):
        return value
    return inner[id(value)] if id(value) in inner else OnCard(value)


@contextmanager
def accelerator(monkeypatch: pytest.MonkeyPatch) -> Iterator[Card]:
    """A machine with one card."""
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: True)
    monkeypatch.setattr(
        torch.accelerator, "current_accelerator", lambda check_available=False: CARD
    )
    monkeypatch.setattr(torch.accelerator, "device_count", lambda: 1)
    module = SimpleNamespace(
        device_count=lambda: 1,
        is_available=lambda: True,
        get_rng_state=lambda device: torch.get_rng_state(),
        set_rng_state=lambda state, device: torch.set_rng_state(state),
    )
    monkeypatch.setattr(torch, CARD.type, module, raising=False)
    # torch makes no views of wrapped tensors in inference mode
    monkeypatch.setattr(torch, "inference_mode", lambda mode=True: torch.no_grad())
    name = "_get_fused_kernels_supported_devices"  # an optimizer's fused step asks for the device
    for module in ("torch.optim.optimizer", "torch.utils._foreach_utils"):
        monkeypatch.setattr(sys.modules[module], name, lambda: ["cpu", CARD.type])
    with Literals(), Card() as card:
        yield card
