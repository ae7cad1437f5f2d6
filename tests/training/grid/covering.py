"""Few cases in which every two values meet that can: a covering array, chosen greedily."""

import random
from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from typing import Any

Case = dict[str, Any]
Rule = tuple[tuple[str, ...], Callable[..., bool]]  # names of axes, and whether these values fit
Pair = tuple[tuple[str, Any], tuple[str, Any]]


def fits(case: Mapping[str, Any], rules: Sequence[Rule], last: str | None = None) -> bool:
    """Whether a case, perhaps of some axes alone, keeps all rules that are about them."""
    return all(
        rule(*(case[name] for name in names))
        for names, rule in rules
        if (last is None or last in names) and all(name in case for name in names)
    )


def pairs_of(case: Mapping[str, Any]) -> set[Pair]:
    """Every two values of a case, each with its axis, in the order of the axes."""
    return set(combinations(case.items(), 2))


def completed(
    start: Case,
    axes: Mapping[str, Sequence[Any]],
    rules: Sequence[Rule],
    rng: random.Random,
    wanted: set[Pair] | None = None,
    tries: int = 8,
) -> Case | None:
    """A case that begins with some values; the others by chance, or as many new pairs as may be."""
    order = {name: i for i, name in enumerate(axes)}
    bound = {name: sum(name in names for names, _ in rules) for name in axes}
    for _ in range(tries):
        case = dict(start)
        for name in sorted(axes, key=lambda name: bound[name] + 3 * rng.random(), reverse=True):
            if name in case:
                continue
            values = rng.sample(list(axes[name]), len(axes[name]))
            values = [v for v in values if fits(case | {name: v}, rules, name)]
            if not values:
                break

            def new(value: Any, name: str = name, case: Case = case) -> int:
                own = (name, value)
                return sum(
                    ((own, other) if order[name] < order[other[0]] else (other, own)) in wanted
                    for other in case.items()
                )

            case[name] = values[0] if wanted is None else max(values, key=new)
        else:
            return {name: case[name] for name in axes}
    return None


def covering(
    axes: Mapping[str, Sequence[Any]], rules: Sequence[Rule], seed: int = 0
) -> tuple[list[Case], set[Pair]]:
    """Cases in which every two values meet, and the pairs for which no case was to be had."""
    rng = random.Random(seed)
    every = {name: list(values) for name, values in axes.items()}
    left = [
        ((a, x), (b, y))
        for a, b in combinations(every, 2)
        for x in every[a]
        for y in every[b]
        if fits({a: x, b: y}, rules)
    ]
    rng.shuffle(left)
    wanted, cases, alone = set(left), [], set()
    for pair in left:
        if pair in wanted:
            wanted.discard(pair)
            case = completed(dict(pair), every, rules, rng, wanted)
            case = case or completed(dict(pair), every, rules, rng, tries=25)
            if case is None:
                alone.add(pair)
            else:
                wanted -= pairs_of(case)
                cases.append(case)
    return cases, alone.difference(*map(pairs_of, cases))


def drawn(
    axes: Mapping[str, Sequence[Any]], rules: Sequence[Rule], seed: int, many: int
) -> list[Case]:
    """So many cases by chance."""
    rng = random.Random(seed)
    cases: list[Case] = []
    while len(cases) < many:
        case = completed({}, axes, rules, rng)
        if case is not None:
            cases.append(case)
    return cases
