"""Lesson 31's experiments: committees of networks, two halves, and two data sets in one student."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from distill_lab import methods
from distill_lab.data import datasets
from distill_lab.data.datasets import Examples
from distill_lab.models import MLP
from distill_lab.seeds import SeedRuns, distill_seeds
from distill_lab.teachers import freeze, route
from distill_lab.training import distill

__all__ = ["Committee", "bootstrap", "by_half", "committee", "pick_rows", "strangers", "two_sets"]


def bootstrap(n: int, members: int, seeds: Iterable[int]) -> Tensor:
    """Draw one bootstrap sample a member and seed: n of n examples, with replacement.

    Args:
        n: How many examples there are, and are drawn.
        members: Samples a seed.
        seeds: Each draws its own.

    Returns:
        Numbers of examples, (S, M, n).
    """
    return torch.stack(
        [
            torch.randint(n, (members, n), generator=torch.Generator().manual_seed(9000 + seed))
            for seed in seeds
        ]
    )


@dataclass(frozen=True)
class Committee:
    """M networks a seed, trained side by side: run s * M + m is member m of seed s."""

    runs: SeedRuns
    members: int

    def logits(self, inputs: Tensor) -> Tensor:
        """Return every member's logits for its seed's examples: (S, N, ...) -> (M, S, N, C)."""
        every = self.runs.logits(inputs.repeat_interleave(self.members, 0))
        return every.unflatten(0, (-1, self.members)).movedim(1, 0)

    def models(self, seed: int) -> list[nn.Module]:
        """Return the members of a seed, counted from 0, as ordinary networks."""
        return [self.runs.model(seed * self.members + m) for m in range(self.members)]


def committee(
    make: Callable[[int], nn.Module],
    data: Examples,
    seeds: Sequence[int],
    samples: Tensor | None = None,
    *,
    members: int = 8,
    epochs: int = 40,
) -> Committee:
    """Train several networks a seed, from other first weights and in other orders.

    Args:
        make: Builds a network from its seed.
        data: Labelled examples, stacked (S, N, ...).
        seeds: As many as `data` has.
        samples: Which examples each member learns from, (S, M, n); None for all of them.
        members: Networks a seed, where `samples` does not say it.
        epochs: Passes over the examples.

    Returns:
        The committee.
    """
    if samples is None:
        samples = torch.arange(len(data)).expand(len(seeds), members, -1)
    members = samples.shape[1]
    own = Examples(
        torch.cat([data.inputs[s][samples[s]] for s in range(len(seeds))]),
        torch.cat([data.labels[s][samples[s]] for s in range(len(seeds))]),
    )
    runs = distill_seeds(
        make,
        own,
        seeds=[1000 + 100 * seed + m for seed in seeds for m in range(members)],
        method=methods.supervised(),
        epochs=epochs,
        batch_size=50,
        lr=3e-3,
    )
    return Committee(runs, members)


def by_half(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Measure accuracy on the classes 0 to 4, and on 5 to 9.

    Args:
        logits: (S, N, 10).
        labels: (S, N).

    Returns:
        Percent a seed, (S,), for each half.
    """
    right = (logits.argmax(-1) == labels).double()
    high = labels >= 5
    low_right = torch.stack([100 * r[~h].mean() for r, h in zip(right, high, strict=True)])
    return low_right, torch.stack([100 * r[h].mean() for r, h in zip(right, high, strict=True)])


def strangers(low_logits: Tensor, high_logits: Tensor, labels: Tensor) -> list[int]:
    """Find, for each digit, the picture on which the specialist of the other half is surest.

    Only pictures that the digit's own specialist classifies right are looked at.

    Args:
        low_logits: Of the specialist for 0 to 4, (N, 10).
        high_logits: Of the specialist for 5 to 9, (N, 10).
        labels: The right classes, (N,).

    Returns:
        The index of one picture a digit, in their order.
    """
    chosen = []
    for digit in range(10):
        own, other = (low_logits, high_logits) if digit < 5 else (high_logits, low_logits)
        known = (labels == digit) & (own.argmax(-1) == digit)
        sure = other.softmax(-1).amax(-1).masked_fill(~known, -1.0)
        chosen.append(int(sure.argmax()))
    return chosen


def pick_rows(data: Examples, index: Tensor) -> Examples:
    """Return each seed's own choice of examples.

    Args:
        data: Stacked, (S, N, ...).
        index: Numbers of examples, (S, n).

    Returns:
        (S, n, ...).
    """
    rows = range(len(index))
    inputs = torch.stack([data.inputs[s][index[s]] for s in rows])
    return Examples(inputs, data.labels.gather(1, index))


def two_sets(profile: str, seeds: Sequence[int]) -> dict[str, tuple[Tensor, Tensor]] | None:
    """Teach one student digits and clothes, from a teacher of MNIST and one of Fashion-MNIST.

    Args:
        profile: "quick" skips it, "full" needs both on this machine, "hub" downloads them.
        seeds: Of the students.

    Returns:
        Accuracy in percent on the digits and on the clothes, (S,) each: of the two teachers (one
        number for all seeds), the student of their mean, and the routed student. None where it was
        skipped, with a printed reason.
    """
    if profile == "quick":
        print("Two data sets are skipped in quick; to run them: distill-lab run 31 --profile full")
        return None
    try:
        sets = [datasets.load(n, download=profile == "hub") for n in ("mnist", "fashion_mnist")]  # type: ignore[call-overload]
    except FileNotFoundError as why:
        print("Skipped:", why)
        return None
    teachers, pictures, tests = {}, [], []
    for i, (name, data) in enumerate(zip(("digits", "clothes"), sets, strict=True)):
        labelled, rest = data.train.split(6000, 0)
        own = Examples(labelled.inputs, labelled.labels + 10 * i)
        model = MLP(784, 128, 20, seed=1000 + i)
        distill(model, own, epochs=10, batch_size=100, seed=0, progress=False)
        teachers[name] = freeze(model)
        pictures.append(rest.take(2000).inputs)
        exam = data.test.split(2000, 0)[0]
        tests.append(Examples(exam.inputs, exam.labels + 10 * i))
    column = ["digits"] * 2000 + ["clothes"] * 2000
    routed = route(teachers, by=column)
    both = torch.cat(pictures)
    every = torch.stack([t.model(both) for t in teachers.values()])
    targets = {
        "mean of probabilities": 2.0 * (every / 2.0).softmax(-1).mean(0).log(),
        "routed": routed,
    }
    result: dict[str, tuple[Tensor, Tensor]] = {
        "own teacher": tuple(
            100 * (t.model(e.inputs).argmax(-1) == e.labels).double().mean().expand(len(seeds))
            for t, e in zip(teachers.values(), tests, strict=True)
        )  # type: ignore[dict-item]
    }
    for name, target in targets.items():
        if isinstance(target, Tensor):
            target = target.expand(len(seeds), *target.shape)
        runs = distill_seeds(
            lambda seed: MLP(784, 128, 20, seed=seed),
            (both, torch.zeros(len(both), dtype=torch.long)),
            seeds=seeds,
            teacher=target,
            method=methods.kd(2.0, 1.0),
            epochs=15,
            batch_size=100,
        )
        digits, clothes = (runs.accuracy(exam) for exam in tests)
        result[name] = (digits, clothes)
    return result
