"""Look inside any model: one context manager on forward hooks, nothing left behind."""

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from difflib import get_close_matches
from functools import partial
from types import TracebackType
from typing import Any

import torch
from torch import Tensor, nn

from distill_lab._util.runtime import modes_kept
from distill_lab._util.wrappers import eager, modules_of


class Tap:
    """Record what named modules return while the `with` block runs.

    Inside the block, or after it, `tap["path"]` is the output of the last forward pass; a module
    that ran twice since the last `clear()` is refused, because the reader could not know which pass
    is meant. Outputs keep their graph.

    Args:
        model: the network.
        paths: names of its modules, as in `model.named_modules()`.

    Raises:
        KeyError: for a path the model does not have.
        ValueError: for no path.
        TypeError: for one string in place of a list, and for a traced or scripted module.
        RuntimeError: for a module that never ran or ran more than once, and for an output that was
            changed in place by code that no module stands for.

    >>> import torch
    >>> net = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
    >>> with Tap(net, ["0", "1"]) as tap:
    ...     _ = net(torch.zeros(5, 4))
    >>> tap["1"].shape
    torch.Size([5, 3])
    """

    def __init__(self, model: nn.Module, paths: Iterable[str]) -> None:
        if isinstance(paths, str):
            raise TypeError(f'paths must be a list of module paths; write ["{paths}"].')
        # by their own paths, or as the wrapper around the model names them
        modules = dict(model.named_modules()) | modules_of(model)
        self._modules: dict[str, nn.Module] = {}
        for path in paths:
            if path not in modules:
                raise KeyError(_unknown(path, list(modules)))
            if isinstance(modules[path], torch.jit.ScriptModule):
                raise TypeError(
                    f"{path!r} is traced or scripted, and torch runs no hooks in it: tap the "
                    "network that it was made from."
                )
            self._modules[path] = modules[path]
        if not self._modules:
            raise ValueError("paths is empty: name at least one module of the model to tap.")
        self._seen: dict[str, list[Any]] = {path: [] for path in self._modules}
        self._versions: dict[str, list[int]] = {path: [] for path in self._modules}
        self._in_place = any(getattr(module, "inplace", False) for module in model.modules())
        self._handles: list[Any] = []
        self._model, self._as_written = model, ExitStack()

    def __enter__(self) -> "Tap":
        self.clear()
        self._as_written.enter_context(eager(self._model))
        # torch's fused attention runs no module inside it, and returns no padding
        fused = torch.backends.mha
        self._as_written.callback(fused.set_fastpath_enabled, fused.get_fastpath_enabled())
        fused.set_fastpath_enabled(False)
        for path, module in self._modules.items():
            self._handles.append(module.register_forward_hook(partial(self._keep, path)))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        self._as_written.close()

    def _keep(self, path: str, _module: nn.Module, _inputs: Any, output: Any) -> Any:
        """Keep an output; where later modules work in place, they get a copy to work on."""
        self._seen[path].append(output)
        if self._in_place and isinstance(output, Tensor):
            return output.clone()
        self._versions[path].append(_version(output))
        return None

    def __getitem__(self, path: str) -> Any:
        outputs = self.all(path)
        if not outputs:
            raise RuntimeError(
                f"the module {path!r} never ran inside this tap: {self._why_not(path)}"
            )
        if len(outputs) > 1:
            raise RuntimeError(
                f"the module {path!r} ran {len(outputs)} times inside this tap: call tap.clear() "
                f"before each forward pass, or read every output with tap.all({path!r})."
            )
        if self._versions[path] and _version(outputs[0]) != self._versions[path][0]:
            raise RuntimeError(
                f"the output of {path!r} was changed in place after the module returned it, as "
                "relu_() or += do: write that operation without the underscore, or tap the module "
                "that ends with it."
            )
        return outputs[0]

    def __iter__(self) -> Iterator[str]:
        return iter(self._modules)

    def __len__(self) -> int:
        return len(self._modules)

    def all(self, path: str) -> list[Any]:
        """Every output of one module since the block began or was last cleared.

        Args:
            path: the module's name.

        Returns:
            Its outputs, in the order of the passes.

        Raises:
            KeyError: for a path the model does not have.
        """
        if path not in self._seen:
            raise KeyError(_unknown(path, list(self._modules)))
        return self._seen[path]

    def _why_not(self, path: str) -> str:
        """What to do about a module that never ran."""
        parent, _, name = path.rpartition(".")
        owner = modules_of(self._model).get(parent)
        if name == "out_proj" and isinstance(owner, nn.MultiheadAttention):
            return (
                "torch's attention takes its weights and never calls it. Tap "
                f"{parent!r}, which returns what it makes, with read=lambda output: output[0]."
            )
        return (
            "run the model inside the with block, and check that its forward pass reaches that "
            "module."
        )

    def clear(self) -> None:
        """Forget what was recorded, before the next forward pass."""
        for outputs in (*self._seen.values(), *self._versions.values()):
            outputs.clear()


def _version(output: Any) -> int:
    """How often an output was written to; what is no tensor of memory of its own counts as 0."""
    try:
        return output._version if isinstance(output, Tensor) else 0
    except RuntimeError:  # in inference mode torch does not count
        return 0


def _unknown(path: str, known: list[str]) -> str:
    near = get_close_matches(path, known, n=3)
    hint = f"did you mean {' or '.join(map(repr, near))}?" if near else f"known: {known[:12]}."
    return f"no module {path!r} here; {hint} List them with `dict(model.named_modules())`."


@contextmanager
def unwatched(model: nn.Module) -> Iterator[None]:
    """Within, nobody's hook, such as a tap, sees what the modules of a model return.

    >>> seen, net = [], nn.Linear(1, 1)
    >>> handle = net.register_forward_hook(lambda *_: seen.append(1))
    >>> with unwatched(net):
    ...     _ = net(torch.zeros(1))
    >>> seen
    []
    """
    hooks = {module: module._forward_hooks for module in model.modules()}
    for module in hooks:
        module._forward_hooks = OrderedDict()
    try:
        yield
    finally:
        for module, own in hooks.items():
            module._forward_hooks = own


@contextmanager
def undisturbed(model: nn.Module, device: torch.device) -> Iterator[None]:
    """Within, a model answers as in eval mode, without a graph, and leaves no trace of it.

    Modes and the random state are afterwards what they were, and no tap sees what is answered.

    Args:
        model: the network.
        device: where it draws.

    Returns:
        A block in which to ask it.
    """
    drawn = torch.random.fork_rng([device] if device.type == "cuda" else [])
    with torch.inference_mode(False), torch.no_grad(), drawn, modes_kept(model), unwatched(model):
        model.eval()
        yield
