"""Networks of one architecture, run as one, and their data: all gain a leading seed axis S."""

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state

from distill_lab.data.batches import Data
from distill_lab.models.hooks import Tap
from distill_lab.models.networks import logits_of


class Stacked(nn.Module):
    """S networks of one architecture, run as one: (S, B, ...) or (B, ...) -> (S, B, classes).

    Args:
        models: networks that differ in their weights only.

    Raises:
        ValueError: for no network, or for networks whose parameters differ in shape.
    """

    def __init__(self, models: list[nn.Module]) -> None:
        super().__init__()
        if not models:
            raise ValueError("there are no seeds: give at least one, for example seeds=range(5).")
        models = [_alone(model) for model in models]
        shapes = [[(n, p.shape, p.requires_grad) for n, p in m.named_parameters()] for m in models]
        if any(other != shapes[0] for other in shapes):
            raise ValueError(
                "the networks differ in their parameters, so they cannot run as one: make them "
                "from one recipe that uses the seed for the initial weights only."
            )
        params, buffers = stack_module_state(models)
        self.seeds = len(models)
        # the recipe is kept out of parameters(): only its structure is used
        self._recipe = (copy.deepcopy(models[0]).requires_grad_(False),)
        self._names = list(params)
        self.stacked = nn.ParameterList(  # what was frozen stays so
            [nn.Parameter(p.detach(), p.requires_grad) for p in params.values()]
        )
        self._buffers_by_name = buffers

    @property
    def recipe(self) -> nn.Module:
        """The network whose structure they share; its own parameters stand for nothing."""
        return self._recipe[0]

    def state(self) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Parameters and buffers by the single network's names, each with a leading S."""
        return dict(zip(self._names, self.stacked, strict=True)), self._buffers_by_name

    def one(self, params: dict[str, Tensor], inputs: Tensor) -> Tensor:
        """Run the single network with given parameters, as torch.vmap needs it.

        Args:
            params: one seed's parameters, by name.
            inputs: (B, ...).

        Returns:
            Scores (B, C).
        """
        recipe = self._recipe[0].train(self.training)
        return logits_of(lambda x: functional_call(recipe, params, (x,)), inputs)

    def forward(self, inputs: Tensor, *, shared: bool = False) -> Tensor:
        """All networks' answers; `shared` gives every seed the same inputs (B, ...)."""
        return self.tapped(inputs, (), shared=shared)[0]

    def tapped(
        self, inputs: Tensor, paths: Sequence[str], *, shared: bool = False
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """All networks' answers, and what their modules of these paths return.

        Args:
            inputs: (S, B, ...), or (B, ...) where they are shared.
            paths: names of modules, as `Tap` takes them.
            shared: whether every seed gets the same inputs.

        Returns:
            Logits (S, B, C), and path -> (S, B, ...).

        Raises:
            KeyError: for a path they do not have.
            TypeError: for a module that returns more than one tensor.
        """

        def one(params: dict[str, Tensor], x: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
            return extract_features(self.recipe, paths, lambda: self.one(params, x))

        params, buffers = self.state()
        run = torch.vmap(one, in_dims=(0, None if shared else 0), randomness="different")
        return run({**params, **buffers}, inputs)

    def pick(self, index: Sequence[int]) -> "Stacked":
        """Some of the networks by number, in that order; a number may come more than once."""
        some, rows = copy.deepcopy(self), list(index)
        some.seeds = len(rows)
        some.stacked = nn.ParameterList(
            [nn.Parameter(p.detach()[rows], p.requires_grad) for p in self.stacked]
        )
        some._buffers_by_name = {name: b[rows] for name, b in self._buffers_by_name.items()}
        return some

    def model(self, i: int) -> nn.Module:
        """Seed number i as an ordinary network of its own."""
        params, buffers = self.state()
        single = copy.deepcopy(self._recipe[0])
        every = {**params, **buffers}
        # tied weights have one name here, and a buffer that is not saved is the recipe's own
        own = dict((*single.named_parameters(), *single.named_buffers()))
        named = {id(tensor): name for name, tensor in own.items()}
        saved = single.state_dict(keep_vars=True).items()
        state = {k: every[named[id(v)]][i].detach().clone() for k, v in saved if id(v) in named}
        single.load_state_dict(state)
        for name, parameter in single.named_parameters():
            parameter.requires_grad_(params[name].requires_grad)
        return single


def _alone(model: nn.Module) -> nn.Module:
    """A network without what would spread it over devices: torch.func runs no such wrapper."""
    while isinstance(model, nn.DataParallel | nn.parallel.DistributedDataParallel):
        model = model.module
    return model


@contextmanager
def padding_rows_kept(model: nn.Module) -> Iterator[None]:
    """Within, the row of padding gets no gradient from its embedding, in a vmap either.

    There torch leaves out that row of the first seed alone, and the others would learn it.

    Args:
        model: the network that runs.

    Yields:
        Nothing; what runs stands in the block.
    """
    tables = [m for m in model.modules() if isinstance(m, nn.Embedding)]
    padded = {table: row for table in tables if (row := table.padding_idx) is not None}
    handles = [t.register_forward_hook(partial(_blocked, row)) for t, row in padded.items()]
    try:
        for table in padded:
            table.padding_idx = None
        yield
    finally:
        for table, row in padded.items():
            table.padding_idx = row
        for handle in handles:
            handle.remove()


def _blocked(row: int, _table: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> Tensor:
    return torch.where((inputs[0] == row).unsqueeze(-1), output.detach(), output)


def extract_features(
    model: nn.Module | None, paths: Sequence[str], run: Callable[[], Any]
) -> tuple[Any, dict[str, Tensor]]:
    """Run something, and keep what modules of the model return meanwhile.

    Args:
        model: the network that runs; None: nothing is tapped.
        paths: names of its modules, as `Tap` takes them.
        run: runs the model and gives its answer.

    Returns:
        The answer, and path -> tensor.

    Raises:
        KeyError: for a path it does not have.
        TypeError: for a module that returns more than one tensor.
    """
    if model is None or not paths:
        return run(), {}
    with Tap(model, paths) as tap:
        answer = run()
    for path in paths:
        if not isinstance(tap[path], Tensor):
            raise TypeError(
                f"the module {path!r} returns {type(tap[path]).__name__}, and many seeds at once "
                "keep one tensor of each tapped module: tap one inside it that returns a tensor."
            )
    return answer, {path: tap[path] for path in paths}


class StackedRows:
    """Batches out of a stacked tensor (S, N, ...), row by row; shared rows are held once."""

    def __init__(self, tensor: Tensor) -> None:
        self.shape = tensor.shape[:2]
        seeds, examples = self.shape
        shared = is_shared(tensor)
        self.rows = tensor[0] if shared else tensor.contiguous().flatten(0, 1)
        self.first = torch.arange(seeds).unsqueeze(1) * (0 if shared else examples)

    def at(self, index: Tensor) -> Tensor:
        """The examples numbered (S, B), each seed's own: (S, B, ...)."""
        rows = self.rows.index_select(0, (index + self.first).flatten())
        return rows.reshape(*index.shape, *rows.shape[1:])


def stacked_data(data: Data, seeds: int) -> tuple[Tensor, Tensor | None, int]:
    """Inputs and labels with a seed axis, and the number of axes one example has.

    Labels are one an example, (N,) or (S, N), or one a token, of the shape of the inputs; or in
    place of each several floats, on an axis behind these.

    Raises:
        TypeError: for data that are no two tensors.
        ValueError: for labels of another shape, or data of another number of seeds.
    """
    parts = tuple(data) if isinstance(data, Iterable) and not isinstance(data, Mapping) else ()
    two = len(parts) == 2 and isinstance(parts[0], Tensor)
    if not two or not isinstance(parts[1], Tensor | None):
        raise TypeError(
            "many seeds at once learn from two tensors, (inputs, labels): use distill, a seed at a "
            "time, for other forms of data, and for weights of examples."
        )
    inputs, labels = parts
    shape = None if labels is None else labels.shape
    if labels is not None and labels.is_floating_point() and shape != inputs.shape[: labels.dim()]:
        shape = labels.shape[:-1]
    if labels is not None and (not shape or shape != inputs.shape[: len(shape)]):
        raise ValueError(
            f"labels have shape {tuple(labels.shape)} and inputs {tuple(inputs.shape)}: expected "
            "one label an input, (N,) shared by all seeds or (seeds, N); or one a token; or in "
            "place of each several floats, such as probabilities."
        )
    own = shape is None or len(shape) == (3 if shape == inputs.shape else 2)
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
