"""The filters as a machine: switches, an order, and the students that were trained on the result.

Nothing here trains. A setting runs the filters on answers that the lesson has sampled. Students
exist for three settings only (`TRAINED`), all of them at temperature 1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from distill_lab.synthesis.pipeline import FilterPipeline, FilterResult

Filter = Callable[[Iterable[Any]], tuple[list[Any], Any]]

NAMES = ("leakage", "verified", "near-duplicates", "balance")
ORDERS = {
    "as above": NAMES,
    "duplicates first": ("near-duplicates", "leakage", "verified", "balance"),
    "balance first": ("balance", "leakage", "verified", "near-duplicates"),
}
# The filters behind each variant of stored students. No prompt of theirs is a test question, so
# that the leakage filter had nothing to do and was left out.
TRAINED = {
    (): "raw",
    ("verified",): "verified",
    ("verified", "near-duplicates", "balance"): "filtered",
}


def chosen(order: str, switches: Sequence[bool]) -> tuple[str, ...]:
    """List the filters that are switched on, in their order.

    Args:
        order: One of `ORDERS`.
        switches: Whether each of `NAMES` is on.

    Returns:
        Names.

    >>> chosen("balance first", (True, False, False, True))
    ('balance', 'leakage')
    """
    on = dict(zip(NAMES, switches, strict=True))
    return tuple(name for name in ORDERS[order] if on[name])


def run(rows: Sequence[Any], filters: Mapping[str, Filter], names: Sequence[str]) -> FilterResult:
    """Run the filters of these names, in this order; none keeps every row."""
    if not names:
        return FilterResult(list(rows), ())
    return FilterPipeline([filters[name] for name in names])(rows)


def score(T: float, names: Sequence[str], scores: Mapping[str, float]) -> float | None:
    """Percent right of the students that were trained on this setting; None where none were.

    Args:
        T: The temperature of the answers.
        names: The filters, in their order.
        scores: The result of each variant of stored students.

    Returns:
        The variant's result.

    >>> scores = {"raw": 69.0, "verified": 70.0, "filtered": 71.0}
    >>> score(1.0, ("leakage", "verified"), scores) is None, score(1.0, ("verified",), scores)
    (True, 70.0)
    """
    arm = TRAINED.get(tuple(names)) if T == 1 else None
    return None if arm is None else scores[arm]
