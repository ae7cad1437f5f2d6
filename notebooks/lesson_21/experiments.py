"""Lesson 21's experiments: what a layer knows, a film of a student, and a fair ranking."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from distill_lab import losses
from distill_lab.data.batches import Batch
from distill_lab.data.datasets import Examples
from distill_lab.evaluation import linear_cka
from distill_lab.methods import Method, match_features, supervised
from distill_lab.models.hooks import Tap
from distill_lab.models.projections import Regressor, VariationalRegressor
from distill_lab.seeds import SeedRuns, Stacked, distill_seeds
from distill_lab.teachers import freeze
from distill_lab.training import TrainStep

__all__ = [
    "FEATURE_LOSSES",
    "Bench",
    "Film",
    "Frame",
    "balanced_weight",
    "extract_features",
    "feature_method",
    "layout",
    "pick",
    "probe",
    "rows",
    "same_digit",
    "untrained",
]

FEATURE_LOSSES: dict[str, tuple[Callable[..., Tensor], type[Regressor] | None]] = {
    "hint": (losses.hint_loss, Regressor),
    "VID": (losses.vid_loss, VariationalRegressor),
    "SP": (losses.similarity_preserving_loss, None),
    "RKD": (losses.rkd_distance_loss, None),
    "CC": (losses.correlation_congruence_loss, None),
    "PKT": (losses.pkt_loss, None),
}


def pick(runs: SeedRuns, index: Sequence[int]) -> SeedRuns:
    """Some of the runs by number, in that order; a number may come more than once."""
    return SeedRuns(runs.students.pick(index), runs.example_dims)


def rows(data: Examples, index: Sequence[int]) -> Examples:
    """The seeds of stacked examples by number, as `pick` does with runs."""
    return Examples(data.inputs[list(index)], data.labels[list(index)])


def untrained(make: Callable[[int], nn.Module], seeds: Sequence[int], dims: int = 3) -> SeedRuns:
    """The students before they learn; `dims` are the axes of one example."""
    return SeedRuns(Stacked([make(seed) for seed in seeds]), dims)


def extract_features(runs: SeedRuns, inputs: Tensor, paths: Sequence[str]) -> list[Tensor]:
    """Return the outputs of some layers for every seed's inputs.

    Args:
        runs: One network a seed.
        inputs: Each seed's own, (S, N, ...).
        paths: The layers, by name.

    Returns:
        One tensor a path, (S, N, D).
    """
    _, features = runs.tapped(inputs, paths)
    return [features[path].flatten(2) for path in paths]


def probe(features: Tensor, labels: Tensor, test: Tensor, answers: Tensor) -> Tensor:
    """Measure how well a linear classifier reads features, seed by seed.

    Ridge regression on one-hot labels, in closed form; features standardised on the training rows,
    the ridge a hundredth of their number.

    Args:
        features: Of the training examples, (S, N, D).
        labels: Of the training examples, (S, N).
        test: Features of the test examples, (S, M, D).
        answers: Labels of the test examples, (S, M).

    Returns:
        Test accuracy in percent, (S,).
    """
    centre, spread = features.mean(1, keepdim=True), features.std(1, keepdim=True)
    x, z = ((f - centre) / (spread + 1e-6) for f in (features, test))
    targets = torch.nn.functional.one_hot(labels, int(labels.max()) + 1).to(x) - 0.1
    inside = x.mT @ x + 0.01 * x.shape[1] * torch.eye(x.shape[2])
    weights = torch.linalg.solve(inside, x.mT @ targets)
    return 100 * ((z @ weights).argmax(-1) == answers).double().mean(-1)


def feature_method(
    name: str,
    pair: tuple[str, str],
    sizes: tuple[int, int],
    *,
    weight: float = 1.0,
    base_method: Method | None = None,
) -> Method:
    """Build the method of one feature loss on one pair of layers.

    Args:
        name: One of `FEATURE_LOSSES`.
        pair: Student layer and teacher layer.
        sizes: Their widths, for a regressor where the loss has one.
        weight: The weight of the feature loss.
        base_method: The method whose terms stand beside it.

    Returns:
        The method.
    """
    loss, kind = FEATURE_LOSSES[name]
    regressors = None if kind is None else [kind(*sizes)]
    return match_features(
        name, loss, [pair], weight=weight, base_method=base_method, regressors=regressors
    )


def balanced_weight(
    method: Method, student: nn.Module, teacher: nn.Module, data: Examples
) -> float:
    """Find the weight at which a method's feature term has the gradient norm of its labels term.

    Args:
        method: With the terms "ce" and one feature loss.
        student: As it is before training.
        teacher: The trained teacher.
        data: The examples to measure on.

    Returns:
        Norm of the gradient of "ce" over that of the other term, for the student's parameters.
    """
    batch = Batch(data.inputs, data.labels, torch.arange(len(data)))
    parameters = list(student.parameters())
    norms = {}
    for name, term in method.terms(batch, student, freeze(teacher)).items():
        grads = torch.autograd.grad(
            term, parameters, retain_graph=True, allow_unused=True, materialize_grads=True
        )
        norms[name] = torch.cat([grad.flatten() for grad in grads]).norm().item()
    (feature,) = set(norms) - {"ce"}
    return norms["ce"] / norms[feature]


@dataclass(frozen=True)
class Bench:
    """A fair comparison on one pair of layers: every loss, every seed, has the same tuning budget.

    Each seed tries every loss at the same multiples of the weight at which its gradient is as large
    as that of the labels, without and with the terms of `soft`, and keeps the one that is best on
    its own `valid`: a seed is a complete replication, with its own tuning. `soft` has a term "ce";
    without the others "ce" remains, at weight 1.
    """

    make: Callable[[int], nn.Module]
    few: Examples
    valid: Examples
    test: Examples
    teachers: SeedRuns
    seeds: Sequence[int]
    pair: tuple[str, str]
    sizes: tuple[int, int]
    soft: Method
    settings: dict[str, Any]
    multiples: Sequence[float] = (1.0, 4.0, 16.0)

    def run(self, name: str) -> tuple[Tensor, Tensor]:
        """Chosen multiples, and test accuracies with them, without and with `soft`: (2, S)."""
        valid, test = self.tries(name)
        best = valid.argmax(1, keepdim=True)  # the smallest weight, where several are as good
        return torch.tensor(self.multiples)[best[:, 0]], test.gather(1, best)[:, 0]

    def tries(self, name: str) -> tuple[Tensor, Tensor]:
        """Validation and test accuracy of every try: (2, multiples, S) each, all in one stack."""
        count, scale = len(self.seeds), self.scale(name)
        labels = dict.fromkeys(self.soft.weights, 0.0) | {"ce": 1.0}
        shares = [
            terms | {name: scale * multiple}
            for terms in (labels, dict(self.soft.weights))
            for multiple in self.multiples
            for _ in range(count)
        ]
        every = list(range(count)) * (len(shares) // count)
        runs = distill_seeds(  # a term at weight 0 costs time, and one large stack saves more
            self.make,
            rows(self.few, every),
            seeds=[self.seeds[i] for i in every],
            teacher=pick(self.teachers, every),
            weights={term: [share[term] for share in shares] for term in shares[0]},
            method=feature_method(name, self.pair, self.sizes, base_method=self.soft),
            **self.settings,
        )
        shape = (2, len(self.multiples), count)
        valid, test = (
            runs.accuracy(rows(data, every)).reshape(shape) for data in (self.valid, self.test)
        )
        return valid, test

    def scale(self, name: str, count: int = 3) -> float:
        """The balanced weight of a loss, mean over the first seeds."""
        method = feature_method(name, self.pair, self.sizes, base_method=supervised())
        weights = [
            balanced_weight(method, self.make(seed), self.teachers.model(i), self.few.at(i))
            for i, seed in enumerate(self.seeds[:count])
        ]
        return sum(weights) / len(weights)


def layout(features: Tensor, reference: Tensor | None = None) -> Tensor:
    """Place examples in two dimensions: the two directions in which a layer varies most.

    Args:
        features: One row an example, (N, D).
        reference: Another layout of the same examples, (N, 2): the new one is rotated or mirrored
            to lie as close to it as it can, which changes no distance within it.

    Returns:
        Two coordinates an example, (N, 2), with mean 0 and mean squared length 1.
    """
    centred = features - features.mean(0)
    left, sizes, _ = torch.linalg.svd(centred, full_matrices=False)
    spots = left[:, :2] * sizes[:2]
    spots = spots / (spots.norm() / len(spots) ** 0.5).clamp_min(1e-12)
    if reference is not None:
        left, _, right = torch.linalg.svd(spots.T @ reference)
        spots = spots @ left @ right
    return spots


def same_digit(features: Tensor, labels: Tensor) -> float:
    """Count the examples whose nearest other example has the same label.

    Args:
        features: One row an example, (N, D).
        labels: Of the examples, (N,).

    Returns:
        Their share in percent.
    """
    distances = torch.cdist(features, features).fill_diagonal_(float("inf"))
    return 100 * (labels[distances.argmin(1)] == labels).double().mean().item()


@dataclass(frozen=True)
class Frame:
    """A student at one step: CKA of its layers with the teacher's (L, M), accuracy in percent.

    `layer` holds the features of the layer that the film keeps, (N, D).
    """

    step: int
    cka: Tensor
    accuracy: float
    layer: Tensor | None = None


@dataclass
class Film:
    """Frames of a student while it learns: a callback for `distill`, which trains as before.

    `before` counts the steps of earlier stages.
    """

    test: Examples
    paths: Sequence[str]  # the student's layers
    teacher_layers: Sequence[Tensor]  # the teacher's on the test examples, (N, D) each
    every: int
    before: int = 0
    keep: str | None = None  # the student's layer whose features every frame keeps
    frames: list[Frame] = field(default_factory=list)

    def __call__(self, step: TrainStep) -> None:
        if step.step % self.every == 0:
            self.record(step.student, step.step)

    def record(self, student: nn.Module, step: int = 0) -> None:
        """Take one frame."""
        with torch.no_grad(), Tap(student, self.paths) as tap:
            right = student(self.test.inputs).argmax(-1) == self.test.labels
        matrix = torch.stack(
            [
                torch.stack([linear_cka(tap[path], layer) for layer in self.teacher_layers])
                for path in self.paths
            ]
        )
        kept = None if self.keep is None else tap[self.keep].clone()
        accuracy = 100 * right.double().mean().item()
        self.frames.append(Frame(self.before + step, matrix, accuracy, kept))
