"""What a network's batch-norm layers remember of its training data, against what reaches them."""

from types import TracebackType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


class BatchNormTap:
    """Compare the inputs of every batch-norm layer with the statistics that the layer keeps.

    In training, a batch-norm layer keeps a running mean and variance of each of its channels. So a
    frozen network remembers two numbers a channel of data that nobody has any more, and pictures
    can be made that have them too. Inside the `with` block, run the model once, then `gap()`.

    Formula: gap = sum over layers l of ||mean_l(x) - mean_l||_2 + ||var_l(x) - var_l||_2.

    Args:
        model: the network, its batch-norm layers in eval mode.

    Raises:
        ValueError: for a model without a batch-norm layer that keeps statistics, and for a layer in
            training mode, which would replace what it remembers.
        RuntimeError: for a layer that did not run, or ran more than once since the last `clear()`.

    Source: Yin et al. 2020 (DeepInversion), equation 4.

    >>> net = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3)).eval()
    >>> with BatchNormTap(net) as tap:
    ...     _ = net(torch.randn(5, 4))
    ...     gap = tap.gap()
    >>> list(tap.gaps()), gap.shape
    (['1'], torch.Size([]))
    """

    def __init__(self, model: nn.Module) -> None:
        self._layers = {
            path: module
            for path, module in model.named_modules()
            if isinstance(module, _BatchNorm) and module.running_mean is not None
        }
        if not self._layers:
            raise ValueError(
                f"{type(model).__name__} has no batch-norm layer that keeps running statistics: "
                "it remembers nothing to compare with. Use a network that was trained with some."
            )
        self._inputs: dict[str, list[Tensor]] = {path: [] for path in self._layers}
        self._handles: list[Any] = []
        self._check()

    def __enter__(self) -> "BatchNormTap":
        self.clear()
        self._check()
        for path, layer in self._layers.items():
            keep = self._inputs[path]
            hook = lambda _module, inputs, keep=keep: keep.append(inputs[0])  # noqa: E731
            self._handles.append(layer.register_forward_pre_hook(hook))
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

    def gaps(self) -> dict[str, Tensor]:
        """How far each layer's inputs are from what it remembers: path -> number with its graph.

        Both variances divide by the count less one, as torch's layers do when they keep theirs.

        Raises:
            RuntimeError: for a layer that did not run once.
        """
        result = {}
        for path, layer in self._layers.items():
            if len(self._inputs[path]) != 1:
                raise RuntimeError(
                    f"the batch-norm layer {path!r} ran {len(self._inputs[path])} times inside "
                    "this tap: run the model once inside the with block, and call tap.clear() "
                    "before another pass."
                )
            channels = self._inputs[path][0].transpose(0, 1).flatten(1)  # (C, all the rest)
            mean, var = layer.running_mean, layer.running_var
            assert isinstance(mean, Tensor) and isinstance(var, Tensor)  # as __init__ looked
            result[path] = (channels.mean(1) - mean).norm() + (channels.var(1) - var).norm()
        return result

    def gap(self) -> Tensor:
        """The sum of all layers' gaps: 0 where all have the mean and variance they remember."""
        return torch.stack(list(self.gaps().values())).sum()

    def clear(self) -> None:
        """Forget what was recorded, before the next forward pass."""
        for inputs in self._inputs.values():
            inputs.clear()

    def _check(self) -> None:
        learning = [path for path, layer in self._layers.items() if layer.training]
        if learning:
            raise ValueError(
                f"the batch-norm layer {learning[0]!r} is in training mode: made inputs would "
                "replace the statistics it remembers. Use freeze(model), or model.eval()."
            )
