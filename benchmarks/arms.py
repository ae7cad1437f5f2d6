"""Arms of an experiment side by side against the same arms in turn, in one run.

    python benchmarks/arms.py [--rounds 7] [--json FILE]

Both give the same bits. Four arms, each a batched network of `seeds.py` at a learning rate of its
own: ten MLPs on a hint and soft targets, or five small Llamas. One thread an arm, as many arms at
once as there are cores; rounds alternate, and the ratio is taken round by round.
"""

import argparse
import time
from functools import partial

import torch
from seeds import at_once, llamas, mlps
from table import Row, finish, show

from distill_lab.course.machine import cores
from distill_lab.course.side_by_side import side_by_side
from distill_lab.seeds import SeedRuns

RATES = (1e-3, 3e-3, 1e-2, 3e-2)


def check(results: dict[float, SeedRuns], in_turn: dict[float, SeedRuns]) -> None:
    """The same bits, or no benchmark."""
    for lr, runs in results.items():
        for a, b in zip(runs.students.stacked, in_turn[lr].students.stacked, strict=True):
            if not torch.equal(a, b):
                raise SystemExit(f"the arm {lr} differs between at once and in turn")


def main() -> None:
    """Run the rounds and print the table."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--rounds", type=int, default=7)
    options.add_argument("--quick", action="store_true", help="three short rounds")
    options.add_argument("--json", help="write the rows here as well")
    arguments = options.parse_args()
    rounds, epochs = (3, 5) if arguments.quick else (arguments.rounds, 25)
    rows = []
    for work, job, seeds in (
        ("four arms of ten MLPs, hint and soft targets", mlps(), range(10)),
        ("four arms of five small Llamas, token by token", llamas(), range(5)),
    ):
        arms = {lr: partial(at_once, job, seeds, epochs, lr) for lr in RATES}
        seconds: dict[str, list[float]] = {"at once": [], "in turn": []}
        for turn in range(rounds + 1):
            results = {}
            for way, most in (("at once", cores()), ("in turn", 1)):
                began = time.perf_counter()
                results[way] = side_by_side(arms, at_once=most)
                if turn:  # the first round warms up
                    seconds[way].append(time.perf_counter() - began)
            check(results["at once"], results["in turn"])
        rows.append(Row.of_times(work, "in turn", *seconds.values(), unit="s"))
    show(rows, f"{cores()} cores, {rounds} rounds of {epochs} epochs of 4 steps")
    finish(rows, arguments.json)


if __name__ == "__main__":
    main()
