"""Many seeds at once: one batched model in place of a Python loop over runs.

Every tensor gains a leading seed dimension S. The students' parameters are stacked, one
``torch.vmap`` runs all of them, and because the seeds share nothing, the gradient of the summed
loss is each seed's own gradient.
"""

import copy
import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state

from distill_lab.batches import Batch, Data, epoch_order
from distill_lab.evaluation import accuracy
from distill_lab.methods import Method, kd, supervised
from distill_lab.running import Progress, own_randomness, progress_line
from distill_lab.teachers import Live
from distill_lab.training.settings import check_settings


class Stacked(nn.Module):
    """S networks of one architecture, run as one: (S, B, ...) or (B, ...) -> (S, B, classes).

    Raises ValueError for no network, or for networks whose parameters differ in shape.
    """

    def __init__(self, models: list[nn.Module]) -> None:
        super().__init__()
        if not models:
            raise ValueError("there are no seeds: give at least one, for example seeds=range(5).")
        shapes = [[(n, p.shape) for n, p in m.named_parameters()] for m in models]
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
        self.stacked = nn.ParameterList([nn.Parameter(p.detach()) for p in params.values()])
        self._buffers_by_name = buffers

    def state(self) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Parameters and buffers by the single network's names, each with a leading S."""
        return dict(zip(self._names, self.stacked, strict=True)), self._buffers_by_name

    def one(self, params: dict[str, Tensor], inputs: Tensor) -> Tensor:
        """Run the single network with given parameters, as torch.vmap needs it."""
        recipe = self._recipe[0].train(self.training)
        return functional_call(recipe, params, (inputs,))

    def forward(self, inputs: Tensor, *, shared: bool = False) -> Tensor:
        """All networks' answers; ``shared`` gives every seed the same inputs (B, ...)."""
        params, buffers = self.state()
        run = torch.vmap(self.one, in_dims=(0, None if shared else 0), randomness="different")
        return run({**params, **buffers}, inputs)

    def model(self, i: int) -> nn.Module:
        """Seed number i as an ordinary network of its own."""
        params, buffers = self.state()
        single = copy.deepcopy(self._recipe[0])
        single.load_state_dict({k: v[i].detach().clone() for k, v in {**params, **buffers}.items()})
        return single.requires_grad_(True)


@dataclass
class SeedRuns:
    """S trained students, and each term at each step as a (steps, S) tensor."""

    students: Stacked
    example_dims: int  # axes of one example, to tell (N, ...) from (S, N, ...)
    terms: dict[str, Tensor] = field(default_factory=dict)
    seconds: float = 0.0

    def logits(self, inputs: Tensor, *, chunk: int = 2048) -> Tensor:
        """Every student's logits in eval mode, without a graph.

        Shapes: (S, N, ...) gives each seed its own examples, (N, ...) all the same -> (S, N, C).
        Raises ValueError for a seed dimension of another size.
        """
        own = inputs.dim() == self.example_dims + 2
        if not own and inputs.dim() != self.example_dims + 1:
            raise ValueError(
                f"inputs have shape {tuple(inputs.shape)}: expected examples of "
                f"{self.example_dims} axes behind (N,) or (seeds, N)."
            )
        if own and inputs.shape[0] != self.students.seeds:
            raise ValueError(
                f"inputs hold {inputs.shape[0]} seeds but there are {self.students.seeds} "
                "students: give each its own examples, or one set for all without a seed axis."
            )
        self.students.eval()
        with torch.no_grad():
            parts = inputs.split(chunk, dim=1 if own else 0)
            return torch.cat([self.students(part, shared=not own) for part in parts], dim=1)

    def accuracy(self, data: Data) -> Tensor:
        """Percent of examples each student gets right, shape (S,)."""
        inputs, labels = data
        return torch.as_tensor(accuracy(self.logits(inputs), labels))

    def model(self, i: int) -> nn.Module:
        """Seed number i as an ordinary network."""
        return self.students.model(i)


def distill_seeds(
    make_student: Callable[[int], nn.Module],
    data: Data,
    *,
    seeds: Iterable[int],
    teacher: SeedRuns | nn.Module | Tensor | None = None,
    method: Method | None = None,
    epochs: int = 10,
    batch_size: int = 64,
    lr: float = 1e-3,
    weight_decay: float = 0.0,
    progress: Progress = False,
) -> SeedRuns:
    """Train one student a seed, all at once; each run is what ``distill(seed=s)`` would do.

    ``make_student(seed)`` builds a network. ``data`` is a pair (inputs, labels) of shape
    (S, N, ...) with each seed's own examples, or (N, ...) shared by all; where labels are None,
    the inputs carry the seed axis. The teacher is the result of another ``distill_seeds`` (seed by
    seed), one frozen network for all, or logits (S, N, C); it is asked once about every example.
    Batch norm is not supported.

    Raises ValueError as ``distill`` does, and for networks or data that cannot be stacked;
    FloatingPointError when a term stops being finite, naming the seed.

    >>> from distill_lab.models import MLP
    >>> data = (torch.randn(32, 4), torch.zeros(32, dtype=torch.long))
    >>> runs = distill_seeds(lambda seed: MLP(4, 2, seed=seed), data, seeds=range(3), epochs=2)
    >>> runs.terms["ce"].shape  # (steps, seeds)
    torch.Size([2, 3])
    """
    seeds = list(seeds)
    students = Stacked([make_student(seed) for seed in seeds])
    method = method or (supervised() if teacher is None else kd())
    check_settings(method, teacher=teacher, epochs=epochs, batch_size=batch_size, lr=lr)
    inputs, labels, example_dims = _stacked_data(data, students)
    runs = SeedRuns(students, example_dims)
    heard = None if teacher is None else _recorded(teacher, inputs)

    def one_seed(
        params: dict[str, Tensor], x: Tensor, y: Tensor | None, said: Tensor | None
    ) -> dict[str, Tensor]:
        batch = Batch(x, y, torch.empty(0, dtype=torch.long))

        def teacher(_: Batch) -> Tensor:
            assert said is not None  # check_settings saw to it
            return said

        return method.terms(batch, lambda z: students.one(params, z), teacher)

    has = (0, 0, None if labels is None else 0, None if heard is None else 0)
    every_seed = torch.vmap(one_seed, in_dims=has, randomness="different")
    optimizer = torch.optim.AdamW(
        students.parameters(), lr=lr, weight_decay=weight_decay, fused=True
    )
    steps = epochs * math.ceil(inputs.shape[1] / batch_size)
    sources = [None if t is None else _Rows(t) for t in (inputs, labels, heard)]
    log: list[dict[str, Tensor]] = []
    began = time.perf_counter()
    students.train()
    with own_randomness(seeds[0]), progress_line(progress, f"{method.name} x{len(seeds)}") as show:
        for epoch in range(epochs):
            order = torch.stack([epoch_order(inputs.shape[1], seed, epoch) for seed in seeds])
            for index in order.split(batch_size, dim=1):
                picked = (None if rows is None else rows.at(index) for rows in sources)
                params, buffers = students.state()
                terms = every_seed({**params, **buffers}, *picked)  # type: ignore[arg-type]
                _refuse_not_finite(terms, seeds, len(log))
                optimizer.zero_grad()
                method.total(terms).sum().backward()
                optimizer.step()
                log.append({name: term.detach() for name, term in terms.items()})
                show({k: v.mean().item() for k, v in log[-1].items()}, len(log), steps)
    students.eval()
    runs.terms = {name: torch.stack([row[name] for row in log]) for name in log[0]}
    runs.seconds = time.perf_counter() - began
    return runs


class _Rows:
    """Batches out of a stacked tensor (S, N, ...), whole rows at a time; shared rows stay one."""

    def __init__(self, tensor: Tensor) -> None:
        seeds, examples = tensor.shape[:2]
        shared = seeds > 1 and tensor.stride(0) == 0
        self.rows = tensor[0] if shared else tensor.contiguous().flatten(0, 1)
        self.first = torch.arange(seeds).unsqueeze(1) * (0 if shared else examples)

    def at(self, index: Tensor) -> Tensor:
        """The examples numbered (S, B), each seed's own: (S, B, ...)."""
        return self.rows.index_select(0, (index + self.first).flatten()).unflatten(0, index.shape)


def _stacked_data(data: Data, students: Stacked) -> tuple[Tensor, Tensor | None, int]:
    """Inputs and labels with a seed axis, and the number of axes one example has."""
    inputs, labels = data
    own = labels is None or labels.dim() == 2
    if labels is not None and labels.shape != inputs.shape[: labels.dim()]:
        raise ValueError(
            f"labels have shape {tuple(labels.shape)} and inputs {tuple(inputs.shape)}: expected "
            "one label an input, (N,) shared by all seeds or (seeds, N)."
        )
    if own and inputs.shape[0] != students.seeds:
        raise ValueError(
            f"data holds {inputs.shape[0]} seeds but {students.seeds} were asked for: split it "
            "with the same seeds, or pass one labelled set (N, ...) for all."
        )
    if not own:
        inputs = inputs.expand(students.seeds, *inputs.shape)
        labels = labels.expand(students.seeds, *labels.shape)
    return inputs, labels, inputs.dim() - 2


def _recorded(teacher: SeedRuns | nn.Module | Tensor, inputs: Tensor) -> Tensor:
    """What each seed's teacher says about each of that seed's examples: (S, N, C)."""
    if isinstance(teacher, nn.Module):
        with torch.no_grad():
            flat = Live(teacher).model(inputs.flatten(0, 1))
        heard = flat.unflatten(0, inputs.shape[:2])
    else:
        heard = teacher.logits(inputs) if isinstance(teacher, SeedRuns) else teacher.detach()
    if heard.shape[:2] != inputs.shape[:2]:
        raise ValueError(
            f"the teacher spoke about {tuple(heard.shape[:2])} (seeds, examples), the data holds "
            f"{tuple(inputs.shape[:2])}: ask it about the same examples."
        )
    return heard


def _refuse_not_finite(terms: dict[str, Tensor], seeds: list[int], step: int) -> None:
    for name, values in terms.items():
        finite = values.isfinite()
        if not finite.all():
            broken = int((~finite).nonzero()[0])
            raise FloatingPointError(
                f"the term {name!r} became {values[broken].item()} for seed {seeds[broken]} at "
                f"step {step + 1}. Look for NaN or inf in the inputs or the teacher's logits, or "
                "lower the learning rate."
            )
