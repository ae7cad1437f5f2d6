"""Many seeds as one network against the same seeds one after the other, side by side in one run.

    python benchmarks/seeds.py [--rounds 7] [--json FILE]

Both train the same students to the same weights: ten MLPs of lesson 21 (eight hidden layers of 32)
on a hint and soft targets, and five small Llamas of lesson 41 (one block of width 24) on what their
teacher held possible at each token. One thread; rounds alternate, and the ratio is taken round by
round.
"""

import argparse
import time
from collections.abc import Callable

import torch
from table import Row, finish, show
from torch import Tensor, nn

from distill_lab import losses, methods
from distill_lab.methods import Method
from distill_lab.models import MLP
from distill_lab.models.projections import Regressor
from distill_lab.seeds import SeedRuns, distill_seeds
from distill_lab.teachers import freeze
from distill_lab.training import distill
from lesson_41 import experiments

Job = tuple[Callable[[int], nn.Module], tuple[Tensor, Tensor], nn.Module, Callable[[], Method], int]


def mlps() -> Job:
    """Students that match a hint beside soft targets, batch 50."""
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(200, 64, generator=generator)
    y = torch.randint(10, (200,), generator=generator)
    teacher = freeze(MLP(64, 64, 64, 64, 10, seed=100)).model

    def method() -> Method:
        return methods.match_features(
            "hint",
            losses.hint_loss,
            [("hidden.4", "hidden.2")],
            weight=1.0,
            base_method=methods.kd(),
            regressors=[Regressor(32, 64)],
        )

    return lambda seed: MLP(64, *[32] * 8, 10, seed=seed), (x, y), teacher, method, 50


def llamas() -> Job:
    """Students of a small Llama, batch 16, 22 tokens of 38."""
    ids = torch.randint(38, (64, 22), generator=torch.Generator().manual_seed(0))
    teacher = freeze(experiments.network(38, 64, 1, 4, seed=100)).model
    return (
        lambda seed: experiments.network(38, 24, 1, 4, seed=seed),
        (ids, ids),
        teacher,
        methods.tokens,
        16,
    )


def at_once(job: Job, seeds: range, epochs: int, lr: float = 1e-3) -> SeedRuns:
    make, data, teacher, method, batch_size = job
    return distill_seeds(
        make,
        data,
        seeds=seeds,
        teacher=teacher,
        method=method(),
        epochs=epochs,
        batch_size=batch_size,
        lr=lr,
    )


def in_turn(job: Job, seeds: range, epochs: int) -> None:
    make, data, teacher, method, batch_size = job
    for seed in seeds:
        distill(
            make(seed),
            data,
            teacher=teacher,
            method=method(),
            epochs=epochs,
            batch_size=batch_size,
            seed=seed,
            progress=False,
            shares_every=0,
        )


def main() -> None:
    """Run the rounds and print the table."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--rounds", type=int, default=7)
    options.add_argument("--quick", action="store_true", help="three short rounds")
    options.add_argument("--json", help="write the rows here as well")
    arguments = options.parse_args()
    rounds, epochs = (3, 5) if arguments.quick else (arguments.rounds, 25)
    torch.set_num_threads(1)
    rows = []
    for work, job, seeds in (
        ("a step of ten MLPs, hint and soft targets", mlps(), range(10)),
        ("a step of five small Llamas, token by token", llamas(), range(5)),
    ):
        steps = 4 * epochs
        milliseconds: dict[str, list[float]] = {"at once": [], "in turn": []}
        for turn in range(rounds + 1):
            for name, way in (("at once", at_once), ("in turn", in_turn)):
                began = time.perf_counter()
                way(job, seeds, epochs)
                if turn:  # the first round warms up
                    milliseconds[name].append(1e3 * (time.perf_counter() - began) / steps)
        rows.append(
            Row.of_times(
                work,
                "one after the other",
                milliseconds["at once"],
                milliseconds["in turn"],
                unit="ms",
            )
        )
    show(rows, f"1 thread, {rounds} rounds of {epochs} epochs of 4 steps")
    finish(rows, arguments.json)


if __name__ == "__main__":
    main()
