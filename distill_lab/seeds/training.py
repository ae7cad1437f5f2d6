"""The loop of many seeds: every step is one step of all of them."""

import copy
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from distill_lab._util.checks import plain_number, whole_number
from distill_lab._util.runtime import (
    Progress,
    memory_kept,
    modes_kept,
    own_randomness,
    progress_line,
)
from distill_lab._util.tensors import IGNORE, SoftBatch, like_soft_labels
from distill_lab.data.batches import Batch, Data, TensorSource, drawn, epoch_order
from distill_lab.losses import MemoryBank
from distill_lab.methods import Method, kd, supervised
from distill_lab.seeds.cached_targets import CachedTargets, precompute_targets
from distill_lab.seeds.runs import SeedRuns
from distill_lab.seeds.stacked import (
    Stacked,
    StackedRows,
    is_shared,
    padding_rows_kept,
    stacked_data,
)
from distill_lab.seeds.standing_still import Steps, may_stand_still
from distill_lab.teachers import Teacher
from distill_lab.training.config import TrainingConfig, takes_settings
from distill_lab.training.gradients import GradFiniteCheck, name_other_dtype
from distill_lab.training.lookups import check_lookups
from distill_lab.training.loop import NO_LABELS
from distill_lab.training.nonfinite import SPARED
from distill_lab.training.optim import make_optimizer, trainable_parameters
from distill_lab.training.places import check_places

_FEW = 8  # examples looked at beforehand


@takes_settings(
    *("epochs", "steps", "batch_size", "drop_last", "sampler", "lr", "weight_decay"),
    *("schedule", "warmup", "clip", "read_every"),
)
def distill_seeds(
    make_student: Callable[[int], nn.Module],
    data: Data,
    *,
    seeds: Iterable[int],
    teacher: SeedRuns | nn.Module | Teacher | Tensor | None = None,
    method: Method | None = None,
    weights: Mapping[str, Sequence[float]] | None = None,
    progress: Progress = None,
    **settings: Any,
) -> SeedRuns:
    """Train one student a seed, all at once; each run is what `distill(seed=s)` would do.

    The teacher is asked once about every example; of a method that looks inside it, what its
    tapped modules return is kept as well, S x N x features x 4 bytes. A method whose shapes follow
    from values, as where it compares those tokens that have a label, has its seeds in turn, no
    faster than alone. Each seed trains a copy of
    the method's projections, and the originals stay as they were. Batch norm keeps the running
    statistics of each seed apart. One thing differs: a layer that no counted term reaches in a
    step, as a head in a batch without labels, stays as it is in `distill`, and AdamW carries it
    on here, as after a gradient of 0.

    Args:
        make_student: builds the network of a seed, torch's or a language model of Hugging Face.
        data: a pair (inputs, labels) of shape (S, N, ...) with each seed's own examples, or
            (N, ...) shared by all; where labels are None, the inputs carry the seed axis. Labels
            are one an example, or one a token, of the shape of the inputs; or in place of each as
            many floats, such as the probabilities of the classes.
        seeds: the S seeds.
        teacher: the result of another `distill_seeds` (seed by seed), one frozen network for all,
            logits (S, N, ...), or for shared data any teacher, whatever signal it gives.
        method: what is minimised; without it `kd()` where there is a teacher, else `supervised()`.
        weights: gives each seed a weight of its own for some terms: a sweep of S weights at once.
        progress: as in `TrainingConfig`; without it the line where somebody watches.
        settings: those of `TrainingConfig` in the signature, by name; `clip` holds for each seed by
            itself.

    Returns:
        The students, and each term at each step.

    Raises:
        ValueError: as `distill` does, for networks, data or weights that cannot be stacked, and for
            what has to be done a seed at a time: a teacher that follows its student, a student that
            writes its own texts.
        TypeError: for a setting that there is not, or one number for seeds.
        FloatingPointError: when a term stops being finite, naming the seed.

    >>> from distill_lab.models import MLP
    >>> data = (torch.randn(32, 4), torch.zeros(32, dtype=torch.long))
    >>> runs = distill_seeds(lambda seed: MLP(4, 2, seed=seed), data, seeds=range(3), epochs=2)
    >>> runs.terms["ce"].shape  # (steps, seeds)
    torch.Size([2, 3])
    """
    config = TrainingConfig.of(distill_seeds, settings | {"progress": progress})
    if not isinstance(config.lr, float | int):
        raise ValueError("lr must be one number for many seeds at once, which move together.")
    if isinstance(plain_number(seeds), int):
        raise TypeError(f"seeds must be a list of numbers, as range({seeds}), not one number.")
    seeds = [whole_number("a seed", seed) for seed in seeds]
    networks = [make_student(seed) for seed in seeds]
    method = method or (supervised() if teacher is None else kd())
    for network in networks:
        trainable_parameters(network, method)  # refuses what cannot learn
    students = Stacked(networks)
    method.check_teacher(teacher)
    if method.prepare is not None:
        raise ValueError(
            f"method {method.name} has the student make its own batches, which many seeds at once "
            "cannot: use distill, a seed at a time."
        )
    if method.projections is not None and any(
        isinstance(part, MemoryBank) for part in method.projections.modules()
    ):
        raise ValueError(
            f"method {method.name} keeps a memory of every example, which many seeds at once "
            "cannot share: use distill, a seed at a time."
        )
    inputs, labels, example_dims = stacked_data(data, students.seeds)
    one_teacher = teacher is None or isinstance(getattr(teacher, "model", None), nn.Module)
    once = len(set(seeds)) == len({id(network) for network in networks}) == len(seeds)
    if not once and weights is None and is_shared(inputs) and one_teacher:
        raise ValueError(
            f"the seeds {seeds} give one and the same student twice, which would count as two "
            "runs: give each seed once, and make a new network of each, as lambda seed: MLP(4, 3, "
            "seed=seed). Seeds may come again with weights, data or teachers of their own."
        )
    seed_weights = _seed_weights(method, weights, len(seeds))
    runs = SeedRuns(students, example_dims)
    stacks = {"student": students}
    if method.projections is not None:
        runs.projections = Stacked([copy.deepcopy(method.projections) for _ in seeds])
        stacks["projections"] = runs.projections
    parameters = [p for stack in stacks.values() for p in stack.parameters() if p.requires_grad]
    targets = None if teacher is None else precompute_targets(teacher, inputs, labels, method)
    one_seed = _OneSeed(method, stacks, targets, kind := _kind_of(labels))
    axes = (0, 0, None if labels is None else 0, None if targets is None else 0)
    every_seed = torch.vmap(one_seed.terms, in_dims=axes, randomness="different")
    finite = GradFiniteCheck(parameters)
    read_every = config.reading_interval(parameters[0].device)
    found_inf = finite.found_inf if read_every > 1 else None
    optimizer = make_optimizer(config, students, parameters, found_inf)
    seen = inputs.shape[1]
    if config.sampler is not None:
        seen = len(epoch_order(seen, seeds[0], 0, config.sampler))
    steps_per_epoch, steps = config.length(seen)
    rates = config.learning_rates(optimizer, steps_per_epoch, steps)
    of_one = TensorSource(inputs[0], None if labels is None else labels[0])
    config.check_pieces(of_one, students.recipe, method, 1, seen)
    if config.sampler is None and seen <= config.batch_size:
        check_places(of_one, networks[0], None)
    each = of_one.inputs if is_shared(inputs) else inputs.flatten(0, 1)
    check_lookups(TensorSource(each, None), networks[0], None)
    sources = [StackedRows(inputs), None if labels is None else StackedRows(labels), targets]
    _look(method, networks[0], inputs, labels, targets, kind)
    if not _runs_as_one(every_seed, one_seed, sources, min(_FEW, inputs.shape[1])):
        every_seed = _InTurn(one_seed)
    counting = may_stand_still(method, inputs, labels)
    step = Steps(optimizer, parameters, len(seeds))
    idle_steps = [0] * len(seeds)  # in a row, in which nothing of a seed counted
    buffers = [b for stack in stacks.values() for b in stack.state()[1].values()]
    values = _StepLog(steps)  # (terms, S) a step
    norms = _StepLog(steps)  # (S,) a step, where they are clipped
    began = time.perf_counter()
    students.train()
    with (
        memory_kept(parameters[0].device),
        own_randomness(seeds[0]),
        progress_line(config.progress, f"{method.name} x{len(seeds)}") as show,
    ):
        orders = [
            drawn(
                inputs.shape[1],
                config.batch_size,
                seed,
                first=0,
                last=steps,
                drop_last=config.drop_last,
                sampler=config.sampler,
            )
            for seed in seeds
        ]
        for numbered in zip(*orders, strict=True):
            index = torch.stack([part for _, part in numbered])
            batch = [None if rows is None else rows.at(index) for rows in sources]
            learns = [True] * len(seeds)
            if counting:
                parts = zip(*batch[:2], index, strict=True)  # type: ignore[arg-type]
                learns = [any(method.counts(kind(*part)).values()) for part in parts]
                idle_steps = [0 if on else n + 1 for n, on in zip(idle_steps, learns, strict=True)]
                if max(idle_steps) == steps_per_epoch:
                    raise ValueError(NO_LABELS)
            if not any(learns):
                values.add(parameters[0].new_zeros(len(method.weights), len(seeds)))
                if config.clip is not None:
                    norms.add(parameters[0].new_zeros(len(seeds)))
                continue
            still = [i for i, moves in enumerate(learns) if not moves]
            before = [buffer[still].clone() for buffer in buffers] if still else []
            try:
                terms = every_seed(one_seed.state(), *batch)  # type: ignore[arg-type]
            except RuntimeError as error:
                _name_labels(error, labels)
                name_other_dtype(error, networks[0], None, of_one.batch(torch.tensor([0])))
                raise
            method.check(terms)
            optimizer.zero_grad()
            weighted = [seed_weights[name] * term for name, term in terms.items()]
            torch.stack(weighted).sum().backward()
            values.add(torch.stack([terms[name].detach() for name in method.weights]))
            if still:
                values.last[:, still] = 0.0
                for tensor in (p.grad for p in parameters):
                    if tensor is not None:
                        tensor[still] = 0.0
                for buffer, kept in zip(buffers, before, strict=True):
                    buffer[still] = kept
            if config.clip is not None:
                norms.add(_clip(parameters, config.clip))
            finite.update([log.last for log in (values, norms) if log.done])
            if values.done % read_every == 0:
                _refuse_nonfinite(finite, method, seeds, values, norms)
            rates.set(values.done - 1)
            step(learns)
            show(
                lambda: dict(zip(method.weights, values.last.mean(1).tolist(), strict=True)),
                values.done,
                steps,
            )
    _refuse_nonfinite(finite, method, seeds, values, norms)
    students.eval()
    by_term = values.all().movedim(0, 1).contiguous()  # (terms, steps, S)
    runs.terms = dict(zip(method.weights, by_term, strict=True))
    runs.seconds = time.perf_counter() - began
    return runs


def _look(
    method: Method,
    network: nn.Module,
    inputs: Tensor,
    labels: Tensor | None,
    targets: CachedTargets | None,
    kind: type[Batch],
) -> None:
    """Hold data and answers against the method before the first step.

    In a vmap no value can be read: so labels are counted here, and some examples of the first seed
    are scored, the first that count.

    Raises:
        ValueError: for a seed without a label to learn from, and for whatever the method finds.
    """
    examples = torch.arange(inputs.shape[1])
    if labels is not None:
        for seed in range(1 if is_shared(labels) else len(labels)):
            if not any(method.counts(kind(inputs[seed], labels[seed], examples)).values()):
                raise ValueError(NO_LABELS)
    for few in examples.split(_FEW):
        batch = kind(inputs[0][few], None if labels is None else labels[0][few], few)
        if labels is None or any(method.counts(batch).values()):
            break
    fields = {} if targets is None else targets.at(few.expand(len(inputs), -1))
    first = {name: rows[0] for name, rows in fields.items()}
    teacher = (lambda _: None) if targets is None else targets.teacher(first)
    student = copy.deepcopy(network).eval()
    # with a graph: it says how the student's answers end, and which matched layers have none
    with own_randomness(0), modes_kept(method.projections):
        if method.projections is not None:
            method.projections.eval()
        try:
            method.terms(batch, student, teacher)
        except RuntimeError as error:
            name_other_dtype(error, network, None, batch)
            raise


def _kind_of(labels: Tensor | None) -> type[Batch]:
    """The kind of batch that says of labels that they are probabilities: in a vmap nobody reads."""
    if labels is None:
        return Batch
    rows = labels[0] if is_shared(labels) else labels.flatten(0, 1)
    return SoftBatch if like_soft_labels(rows) else Batch


def _runs_as_one(
    every_seed: Callable[..., Any], one_seed: "_OneSeed", sources: Sequence[Any], few: int
) -> bool:
    """Whether a vmap takes method and network: not where shapes of something follow from values."""
    state = {name: tensor.detach().clone() for name, tensor in one_seed.state().items()}
    index = torch.arange(few).expand(len(next(iter(state.values()))), -1)
    batch = [None if rows is None else rows.at(index) for rows in sources]
    try:
        with torch.no_grad(), own_randomness(0):
            every_seed(state, *batch)
    except RuntimeError as error:
        # also of a function of the network's own, as in Bloom; recurrent layers have no rule
        return not any(word in str(error) for word in ("vmap", "Batching rule"))
    except ValueError:  # of the few examples, or of all: the run will say it
        pass
    return True


def _name_labels(error: RuntimeError, labels: Tensor | None) -> None:
    """Say which labels there are, where one is no class of the student."""
    if labels is None or labels.is_floating_point() or "out of bounds" not in str(error):
        return
    known = labels[labels != IGNORE]
    raise ValueError(
        f"labels go from {known.min()} to {known.max()}, and the student has fewer classes "
        f"({error}): expected class numbers from 0, and -100 where there is none."
    ) from error


class _StepLog:
    """A small tensor a step, kept in one large one.

    Small tensors that stay between large ones that go leave holes in the heap, too small for what
    comes next: so a run whose tensors need 0.8 GB together came to hold 20.
    """

    def __init__(self, steps: int) -> None:
        self.steps, self.done = steps, 0
        self.rows: Tensor | None = None

    def add(self, value: Tensor) -> None:
        if self.rows is None:
            self.rows = value.new_empty(self.steps, *value.shape)
        self.rows[self.done] = value
        self.done += 1

    @property
    def last(self) -> Tensor:
        return self.all()[-1]

    def all(self) -> Tensor:
        assert self.rows is not None  # who asks has added
        return self.rows[: self.done]


class _OneSeed(nn.Module):
    """One seed's student and projections as modules that take given parameters.

    So a method finds an ordinary network inside the vmap, which it may tap, with the parameters of
    the seed at hand.
    """

    def __init__(
        self,
        method: Method,
        stacks: dict[str, Stacked],
        targets: CachedTargets | None,
        kind: type[Batch],
    ) -> None:
        super().__init__()
        self.method, self.targets, self.kind = method, targets, kind
        self.stacks = (stacks,)  # in a tuple: only their recipes are modules of this one
        self.student = stacks["student"].recipe.train()
        self.projections = method.projections  # the very modules that the method calls

    def state(self) -> dict[str, Tensor]:
        """Everything that has a seed axis, by the names it has in this module."""
        return {
            f"{part}.{name}": tensor
            for part, stack in self.stacks[0].items()
            for tensors in stack.state()
            for name, tensor in tensors.items()
        }

    def terms(
        self,
        state: dict[str, Tensor],
        inputs: Tensor,
        labels: Tensor | None,
        fields: dict[str, Tensor] | None,
    ) -> dict[str, Tensor]:
        """One seed's terms, as torch.vmap needs them."""
        batch = self.kind(inputs, labels, torch.empty(0, dtype=torch.long))
        with padding_rows_kept(self.student):
            terms: dict[str, Tensor] = functional_call(self, state, (batch, fields))
        return terms

    def forward(self, batch: Batch, fields: dict[str, Tensor] | None) -> dict[str, Tensor]:
        if self.targets is None or fields is None:
            return self.method.terms(batch, self.student, lambda _: None)
        return self.method.terms(batch, self.student, self.targets.teacher(fields))


class _InTurn:
    """All seeds one after the other, as slow as they are alone, for what no vmap takes.

    Args:
        one_seed: gives one seed's terms.
    """

    def __init__(self, one_seed: _OneSeed) -> None:
        self.one_seed, self.method = one_seed, one_seed.method

    def __call__(
        self,
        state: dict[str, Tensor],
        inputs: Tensor,
        labels: Tensor | None,
        fields: dict[str, Tensor] | None,
    ) -> dict[str, Tensor]:
        """The terms of every seed (S,); what counts nothing is 0, as in `distill`."""
        nothing = next(iter(state.values())).new_zeros((), dtype=torch.float32)
        each = []
        for seed, own in enumerate(inputs):
            own_labels = None if labels is None else labels[seed]
            batch = self.one_seed.kind(own, own_labels, torch.arange(len(own)))
            counts = self.method.counts(batch)
            terms: dict[str, Tensor] = {}
            if any(counts.values()):
                its = {name: tensor[seed] for name, tensor in state.items()}
                answer = None if fields is None else {n: rows[seed] for n, rows in fields.items()}
                terms = self.one_seed.terms(its, own, own_labels, answer)
            each.append({n: terms[n] if counts[n] else nothing for n in self.method.weights})
        return {name: torch.stack([t[name] for t in each]) for name in self.method.weights}


def _seed_weights(
    method: Method, weights: Mapping[str, Sequence[float]] | None, seeds: int
) -> dict[str, float | Tensor]:
    """What each term weighs: one number for all seeds, or one for each."""
    result: dict[str, float | Tensor] = dict(method.weights)
    for name, given in (weights or {}).items():
        each = torch.as_tensor(given, dtype=torch.float32)
        good = each.shape == (seeds,) and bool((each.isfinite() & (each >= 0)).all())
        if name not in result or not good:
            raise ValueError(
                f"weights must give a term of {sorted(result)} one number of at least 0 for each "
                f"of the {seeds} seeds, got {given!r} for {name!r}."
            )
        result[name] = each
    return result


def _clip(parameters: Sequence[Tensor], max_norm: float) -> Tensor:
    """Shorten each seed's gradient, over all its parameters, to this norm at most; the norms."""
    grads = [p.grad for p in parameters if p.grad is not None]
    norms: Tensor = torch.stack([grad.flatten(1).norm(dim=1) for grad in grads]).norm(dim=0)
    factors = (max_norm / (norms + 1e-6)).clamp(max=1.0)  # as torch's clip_grad_norm_
    for grad in grads:
        grad.mul_(factors.view(-1, *[1] * (grad.dim() - 1)))
    return norms


def _refuse_nonfinite(
    finite: GradFiniteCheck, method: Method, seeds: list[int], values: _StepLog, norms: _StepLog
) -> None:
    """Stop where something was not finite since the beginning, naming the seed and the step."""
    if finite.found_inf.item() == 0:
        return
    for step, row in enumerate(values.all()):
        for name, of_term in zip(method.weights, row, strict=True):
            if (broken := _first_nonfinite(of_term)) is not None:
                raise FloatingPointError(
                    f"the term {name!r} became {of_term[broken].item()} for seed {seeds[broken]} "
                    f"at step {step + 1}. Look for NaN or inf in the inputs or the teacher's "
                    "logits, or lower the learning rate."
                )
        if norms.done and (broken := _first_nonfinite(norms.all()[step])) is not None:
            raise FloatingPointError(
                f"the gradient's norm became {norms.all()[step][broken].item()} for seed "
                f"{seeds[broken]} at step {step + 1} {SPARED}"
            )


def _first_nonfinite(of_seeds: Tensor) -> int | None:
    broken = (~of_seeds.isfinite()).nonzero()
    return int(broken[0]) if len(broken) else None
