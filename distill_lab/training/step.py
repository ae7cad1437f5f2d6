"""One step of learning: ask, score, differentiate, add up, clip, move."""

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from distill_lab.data.batches import Batch
from distill_lab.methods.method import Method, Terms
from distill_lab.teachers import Teacher
from distill_lab.training.crew import Crew
from distill_lab.training.gauge import first_wild, gauges_of

TOO_SMALL = 0.01  # a term with a smaller share of the gradient teaches next to nothing
SPARED = (
    "while every term is finite: the student still has the weights from before this step. Lower "
    "the learning rate, or look for a loss with an infinite slope, as a root has at 0."
)


@dataclass
class Learner:
    """Everything a step needs. What learns is the student, and the method's projections."""

    student: nn.Module
    teacher: Teacher | None
    method: Method
    crew: Crew
    optimizer: torch.optim.Optimizer
    learning: list[nn.Parameter]
    clip: float | None
    slopes: dict[str, Tensor] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self.gauges = gauges_of(self.learning)

    def train(self) -> None:
        """Training mode; where the student is in it already, its submodules keep theirs."""
        for module in (self.student, self.method.projections):
            if module is not None and not module.training:
                module.train()

    def set_lr(self, lr: float) -> float:
        """Give every parameter group this learning rate."""
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        return lr

    def step(
        self, pieces: Sequence[Batch], *, measure: bool = False
    ) -> tuple[dict[str, float], dict[str, float]]:
        """Learn from one batch, given in pieces: the terms' values, and if measured their shares.

        A term is a mean over the n_i examples (or tokens) of piece i. Weighing it by n_i / n, with
        n counted over all pieces of all processes, gives the mean over the batch: however it is
        cut, the step is the same. Terms that compare examples with each other see one piece only,
        and shares of the gradient are those of the first piece.
        Where a value or a gradient is not finite nothing moves: a step along a NaN would destroy
        the weights.
        """
        if self.method.prepare is not None:
            pieces = [self.method.prepare(piece, self.student) for piece in pieces]
        counts = [self.method.count(piece) for piece in pieces]
        (whole,) = self.crew.sum([sum(counts)])
        if whole == 0:
            raise ValueError(
                "a batch has nothing to learn from: every label in it is ignored. Leave such "
                "examples out, or look at how the labels were made."
            )
        for parameter in self.learning:  # as zero_grad() does, without its bookkeeping
            parameter.grad = None
        heard: list[tuple[float, Terms]] = []
        shares: dict[str, float] = {}
        for piece, count in zip(pieces, counts, strict=True):
            if count:
                terms = self._terms(piece)
                if measure and not heard:
                    shares = gradient_shares(terms, self.method.weights, self.learning)
                self._differentiate(terms, count / whole)
                heard.append((count / whole, terms))
        values = self._values(heard)
        if math.isfinite(values["total"]):  # weights are never negative: then every term is
            self._move()
        return values, shares

    def _terms(self, piece: Batch) -> Terms:
        with self.crew.autocast():
            terms = self.method.terms(piece, self.student, self.teacher)  # type: ignore[arg-type]
        self.method.check(terms)
        return terms

    def _differentiate(self, terms: Terms, share: float) -> None:
        # backward from every term at once, each with its weight: the gradient of the weighted
        # sum, without the multiplications and additions that would spell the sum out
        roots = [(name, term) for name, term in terms.items() if term.requires_grad]
        if not roots:
            raise ValueError(
                f"no term of method {self.method.name} depends on the student: does it detach the "
                "logits, or run the student under no_grad?"
            )
        slopes = [self._slope(name, term, share) for name, term in roots]
        torch.autograd.backward([term for _, term in roots], slopes)

    def _slope(self, name: str, term: Tensor, share: float) -> Tensor:
        """What a term's gradient is multiplied by, as a tensor; the usual one is made once."""
        weight, scaler = self.method.weights[name], self.crew.scaler
        if share != 1 or scaler.is_enabled():
            return scaler.scale(torch.full_like(term, weight * share))
        if name not in self.slopes:
            self.slopes[name] = torch.full_like(term, weight)
        return self.slopes[name]

    def _values(self, heard: list[tuple[float, Terms]]) -> dict[str, float]:
        values, total = {}, 0.0
        for name in self.method.weights:
            values[name] = sum([share * terms[name].item() for share, terms in heard])
        if self.crew.size > 1:
            values = dict(zip(values, self.crew.sum(list(values.values())), strict=True))
        for name, weight in self.method.weights.items():
            total += weight * values[name]
        values["total"] = total
        return values

    def _move(self) -> None:
        self.crew.sum_gradients(self.learning)
        scaler = self.crew.scaler
        if self.clip is not None:
            scaler.unscale_(self.optimizer)
            norm = nn.utils.clip_grad_norm_(self.learning, self.clip).item()
            if not math.isfinite(norm) and not scaler.is_enabled():  # a scaler skips such a step
                raise FloatingPointError(f"the gradient's norm became {norm} {SPARED}")
        elif not scaler.is_enabled() and not all(gauge.finite() for gauge in self.gauges):
            name = first_wild(self.student, self.method.projections)
            raise FloatingPointError(f"the gradient of {name} is not finite {SPARED}")
        scaler.step(self.optimizer)
        scaler.update()
        self.crew.average_buffers(self.student, self.method.projections)


def gradient_shares(
    terms: Terms, weights: Mapping[str, float], learning: Sequence[Tensor]
) -> dict[str, float]:
    """How much each weighted term pulls: ||w_i grad L_i|| / sum_j ||w_j grad L_j||.

    Two terms may pull against each other, so these are shares of the effort, not of the way gone.
    Shapes: terms are scalars, ``learning`` the parameters -> a share in [0, 1] for each name.

    >>> w = torch.ones(4, requires_grad=True)
    >>> gradient_shares({"a": w.sum(), "b": 3 * w.sum()}, {"a": 1.0, "b": 1.0}, [w])
    {'a': 0.25, 'b': 0.75}
    """
    pulls = {}
    for name, term in terms.items():
        found: tuple[Tensor | None, ...] = ()
        if term.requires_grad:
            found = torch.autograd.grad(term, learning, retain_graph=True, allow_unused=True)
        squares = [grad.double().square().sum().item() for grad in found if grad is not None]
        pulls[name] = weights[name] * math.sqrt(sum(squares))
    whole = sum(pulls.values())
    return {name: pull / whole if whole else 0.0 for name, pull in pulls.items()}


def warn_of_idle_terms(shares: dict[str, float], step: int) -> None:
    """Say which terms contribute next to nothing to the gradient; the loop looks once, early."""
    for name, share in shares.items():
        if share < TOO_SMALL:
            warnings.warn(
                f"the term {name!r} gives {share:.2%} of the gradient at step {step}, under "
                f"{TOO_SMALL:.0%}: raise its weight, or leave the term out.",
                stacklevel=3,
            )
