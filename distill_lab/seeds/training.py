"""The loop: every step is one step of all seeds."""

import copy
import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call

from distill_lab._util.runtime import Progress, own_randomness, progress_line
from distill_lab.data.batches import Batch, Data, epoch_order
from distill_lab.methods import Method, kd, supervised
from distill_lab.seeds.data import Rows, stacked_data
from distill_lab.seeds.heard import Heard, hear
from distill_lab.seeds.runs import SeedRuns
from distill_lab.seeds.stacked import Stacked
from distill_lab.teachers import Teacher
from distill_lab.training.schedule import lr_at
from distill_lab.training.settings import check_settings
from distill_lab.training.step import SPARED


def distill_seeds(
    make_student: Callable[[int], nn.Module],
    data: Data,
    *,
    seeds: Iterable[int],
    teacher: SeedRuns | nn.Module | Teacher | Tensor | None = None,
    method: Method | None = None,
    epochs: int = 10,
    batch_size: int = 64,
    lr: float = 1e-3,
    weight_decay: float = 0.0,
    schedule: str = "constant",
    warmup: int = 0,
    clip: float | None = None,
    weights: Mapping[str, Sequence[float]] | None = None,
    progress: Progress = False,
) -> SeedRuns:
    """Train one student a seed, all at once; each run is what ``distill(seed=s)`` would do.

    ``make_student(seed)`` builds a network, torch's or a language model of Hugging Face. ``data``
    is a pair (inputs, labels) of shape (S, N, ...) with each seed's own examples, or (N, ...)
    shared by all; where labels are None, the inputs carry the seed axis. Labels are one an example,
    or one a token: of the shape of the inputs. The teacher is the result of another
    ``distill_seeds`` (seed by seed), one frozen network for all, logits (S, N, ...), or for shared
    data any teacher, whatever signal it gives. It is asked once about every example; of a method
    that looks inside it what its tapped modules return is kept as well, S x N x features x 4 bytes.
    Each seed trains a copy of the method's projections, and the originals stay as they were. Batch
    norm is not supported.

    ``schedule`` and ``warmup`` are those of ``distill``, and ``clip`` holds for each seed by
    itself. ``weights`` gives each seed a weight of its own for some terms: a sweep of S weights in
    one go.

    Raises ValueError as ``distill`` does, for networks, data or weights that cannot be stacked, and
    for what has to be done a seed at a time: a teacher that follows its student, a student that
    writes its own texts; FloatingPointError when a term stops being finite, naming the seed.

    >>> from distill_lab.models import MLP
    >>> data = (torch.randn(32, 4), torch.zeros(32, dtype=torch.long))
    >>> runs = distill_seeds(lambda seed: MLP(4, 2, seed=seed), data, seeds=range(3), epochs=2)
    >>> runs.terms["ce"].shape  # (steps, seeds)
    torch.Size([2, 3])
    """
    seeds = list(seeds)
    students = Stacked([make_student(seed) for seed in seeds])
    method = method or (supervised() if teacher is None else kd())
    check_settings(
        method,
        teacher=teacher,
        epochs=epochs,
        batch_size=batch_size,
        lr=lr,
        schedule=schedule,
        warmup=warmup,
        clip=clip,
    )
    if method.prepare is not None:
        raise ValueError(
            f"method {method.name} has the student make its own batches, which many seeds at once "
            "cannot: use distill, a seed at a time."
        )
    inputs, labels, example_dims = stacked_data(data, students.seeds)
    share = _shares(method, weights, len(seeds))
    runs = SeedRuns(students, example_dims)
    stacks = {"student": students}
    if method.projections is not None:
        runs.projections = Stacked([copy.deepcopy(method.projections) for _ in seeds])
        stacks["projections"] = runs.projections
    learned = [p for stack in stacks.values() for p in stack.parameters()]
    heard = None if teacher is None else hear(teacher, inputs, labels, method)
    scored = _Scored(method, stacks, heard)
    has = (0, 0, None if labels is None else 0, None if heard is None else 0)
    every_seed = torch.vmap(scored.one, in_dims=has, randomness="different")
    optimizer = torch.optim.AdamW(learned, lr=lr, weight_decay=weight_decay, fused=True)
    steps = epochs * math.ceil(inputs.shape[1] / batch_size)
    sources = [Rows(inputs), None if labels is None else Rows(labels), heard]
    log: list[dict[str, Tensor]] = []
    began = time.perf_counter()
    students.train()
    with own_randomness(seeds[0]), progress_line(progress, f"{method.name} x{len(seeds)}") as show:
        for epoch in range(epochs):
            order = torch.stack([epoch_order(inputs.shape[1], seed, epoch) for seed in seeds])
            for index in order.split(batch_size, dim=1):
                picked = (None if rows is None else rows.at(index) for rows in sources)
                terms = every_seed(scored.state(), *picked)  # type: ignore[arg-type]
                _refuse_not_finite(terms, seeds, len(log))
                method.check(terms)
                optimizer.zero_grad()
                torch.stack([share[name] * term for name, term in terms.items()]).sum().backward()
                if clip is not None:
                    _clip(learned, clip, seeds, len(log))
                rate = lr_at(len(log), steps, lr, schedule=schedule, warmup=warmup)
                optimizer.param_groups[0]["lr"] = rate
                optimizer.step()
                log.append({name: term.detach() for name, term in terms.items()})
                show({k: v.mean().item() for k, v in log[-1].items()}, len(log), steps)
    students.eval()
    runs.terms = {name: torch.stack([row[name] for row in log]) for name in log[0]}
    runs.seconds = time.perf_counter() - began
    return runs


class _Scored(nn.Module):
    """One seed's student and projections as modules that take given parameters.

    So a method finds an ordinary network inside the vmap, which it may tap, with the parameters of
    the seed at hand.
    """

    def __init__(self, method: Method, stacks: dict[str, Stacked], heard: Heard | None) -> None:
        super().__init__()
        self.method, self.heard = method, heard
        self.stacks = (stacks,)  # in a tuple: only their recipes are modules of this one
        self.student = stacks["student"].recipe.train()
        self.projections = method.projections  # the very modules that the method calls

    def state(self) -> dict[str, Tensor]:
        """Everything that has a seed axis, by the names it has in this module."""
        found: dict[str, Tensor] = {}
        for part, stack in self.stacks[0].items():
            for tensors in stack.state():
                found |= {f"{part}.{name}": tensor for name, tensor in tensors.items()}
        return found

    def one(
        self, state: dict[str, Tensor], x: Tensor, y: Tensor | None, said: dict[str, Tensor] | None
    ) -> dict[str, Tensor]:
        """One seed's terms, as torch.vmap needs them."""
        return functional_call(self, state, (Batch(x, y, torch.empty(0, dtype=torch.long)), said))

    def forward(self, batch: Batch, said: dict[str, Tensor] | None) -> dict[str, Tensor]:
        ask = (lambda _: None) if self.heard is None or said is None else self.heard.again(said)
        return self.method.terms(batch, self.student, ask)


def _shares(
    method: Method, weights: Mapping[str, Sequence[float]] | None, seeds: int
) -> dict[str, float | Tensor]:
    """What each term weighs: one number for all seeds, or one for each."""
    found: dict[str, float | Tensor] = dict(method.weights)
    for name, given in (weights or {}).items():
        each = torch.as_tensor(given, dtype=torch.float32)
        good = each.shape == (seeds,) and bool((each.isfinite() & (each >= 0)).all())
        if name not in found or not good:
            raise ValueError(
                f"weights must give a term of {sorted(found)} one number of at least 0 for each "
                f"of the {seeds} seeds, got {given!r} for {name!r}."
            )
        found[name] = each
    return found


def _clip(parameters: Sequence[Tensor], largest: float, seeds: list[int], step: int) -> None:
    """Shorten each seed's gradient, over all its parameters, to this norm at most."""
    slopes = [p.grad for p in parameters if p.grad is not None]
    norms = torch.stack([slope.flatten(1).norm(dim=1) for slope in slopes]).norm(dim=0)
    if not norms.isfinite().all():
        broken = int((~norms.isfinite()).nonzero()[0])
        raise FloatingPointError(
            f"the gradient's norm became {norms[broken].item()} for seed {seeds[broken]} at step "
            f"{step + 1} {SPARED}"
        )
    shorter = (largest / (norms + 1e-6)).clamp(max=1.0)  # as torch's clip_grad_norm_
    for slope in slopes:
        slope.mul_(shorter.view(-1, *[1] * (slope.dim() - 1)))


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
