"""Cases of many axes: a covering array, in which each pair of two axes' values comes once or more.

Faults that no single feature shows are shown by two or three of them together. Of sixteen axes of
four values there are four thousand million cases, and some forty hold every pair.
"""

import itertools
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

TRIES = 12  # cases that are drawn for one that is taken
OF_A_RUN = {  # axes that every kind of job has, one beside the other
    "measured": ("validation", "held out", "training"),
    "while": (None, "best", "last", "patience"),
    "seeds": (None, 2),
    "optimizer": ("adamw", "muon"),
    "schedule": ("constant", "linear", "cosine"),
    "warmup": (0, 2),
    "clip": (None, 0.5),
    "dropout": (0.0, 0.0, 0.2),
}
SHAPE = {
    "hidden_size": 8,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 16,
}
ENDS = ("through", "killed", "again", "other word", "other setting", "other held-out word")


def of_a_run(case):
    """The settings of what is measured on held-out rows, and while it learns."""
    given = {"held_out": 0.3} if case["measured"] == "held out" else {}
    if case["while"]:
        given |= {"validate_every": 2, "keep": "last" if case["while"] == "last" else "best"}
    if case["while"] == "patience":
        given["patience"] = 1
    return given


def drawn(axes, allowed, draw, fixed=None, tries=400):
    """A case of these axes by chance, one that may be; None where there seems to be none."""
    for _ in range(tries):
        case = {name: draw.choice(values) for name, values in axes.items()} | (fixed or {})
        if allowed(case):
            return case
    return None


def pairs_of(case):
    """Each two values of a case, with the names of their axes."""
    return set(itertools.combinations(case.items(), 2))


def covering(axes, allowed, seed=0):
    """Cases that hold each pair of values that may be at all.

    Args:
        axes: name -> values.
        allowed: whether a case may be.
        seed: of the draws: the same seed gives the same cases.
    """
    draw = random.Random(seed)
    every = [[(name, value) for value in values] for name, values in axes.items()]
    open_pairs = {
        pair
        for one, two in itertools.combinations(every, 2)
        for pair in itertools.product(one, two)
    }
    cases = []
    for pair in sorted(open_pairs, key=repr):
        if pair not in open_pairs:
            continue
        if (first := drawn(axes, allowed, draw, dict(pair))) is None:
            open_pairs.discard(pair)  # the two values exclude each other
            continue
        some = [first, *(drawn(axes, allowed, draw, dict(pair)) or first for _ in range(TRIES))]
        best = max(some, key=lambda case: len(pairs_of(case) & open_pairs))
        open_pairs -= pairs_of(best)
        cases.append(best)
    return by_news(cases)


def by_news(cases):
    """The same cases, those first that hold most pairs which none before them holds."""
    rest, ordered = [(case, pairs_of(case)) for case in cases], []
    while rest:
        number = max(range(len(rest)), key=lambda n: len(rest[n][1]))
        case, new = rest.pop(number)
        ordered.append(case)
        rest = [(other, pairs - new) for other, pairs in rest]
    return ordered


def at_random(axes, allowed, seed):
    """A case by chance, of three and more values that meet nowhere else."""
    return drawn(axes, allowed, random.Random(seed), tries=100_000)


@dataclass(frozen=True)
class Grid:
    """The cases of one kind of job.

    Args:
        axes: name -> values.
        allowed: whether a case may be.
    """

    axes: Mapping[str, Sequence[Any]]
    allowed: Callable[[Mapping[str, Any]], bool]

    @cached_property
    def cases(self):
        """Those in which every two values meet."""
        return covering(self.axes, self.allowed)

    def share(self, first):
        """How many of all pairs the first of the cases hold."""
        some, every = (
            set().union(*map(pairs_of, each)) for each in (self.cases[:first], self.cases)
        )
        return len(some) / len(every)

    def at_random(self, seed):
        """One more, by chance."""
        return at_random(self.axes, self.allowed, seed)
