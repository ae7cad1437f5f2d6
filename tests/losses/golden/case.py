"""What one golden case holds, and how it becomes a line of JSON."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.losses.golden.inputs import build

Tensors = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """One value of a peer, and how it maps to ours: factor theirs^power + offset.

    ``call`` gets the inputs and returns the peer's scalar. Where the peer is wrong, ``wrong`` says
    so in words and ``right`` computes what it should have been, from the float64 oracles.
    """

    id: str
    loss: str  # ours
    inputs: dict[str, dict[str, Any]]
    function: str  # theirs
    convention: str
    call: Callable[[Tensors], Any]
    keywords: dict[str, Any] = field(default_factory=dict)  # ours; "@name" is an input
    factor: float = 1.0
    power: float = 1.0
    offset: Callable[[Tensors], float] | None = None
    tolerance: float = 1e-9  # relative, between theirs in `dtype` and ours in float64
    dtype: str = "float64"
    gradient: bool = True  # whether theirs, too, is that of ours
    digits: int = 0  # how many to keep, where the default would keep rounding errors
    wrong: str = ""
    right: Callable[[Tensors], float] | None = None

    def arrays(self) -> Tensors:
        return {name: build(recipe) for name, recipe in self.inputs.items()}


def line(case: Case, peer: str, theirs: float | str, gradient: float | None) -> dict[str, Any]:
    """The case as JSON: what was asked, what the peer said, and what it means for ours."""
    arrays = case.arrays()
    offset = case.offset(arrays) if case.offset else 0.0
    found: dict[str, Any] = {
        "id": case.id,
        "loss": case.loss,
        "keywords": case.keywords,
        "inputs": case.inputs,
        "peer": peer,
        "function": case.function,
        "convention": case.convention,
        "theirs": _rounded(theirs, case),
    }
    if case.dtype != "float64":
        found["dtype"] = case.dtype
    if case.right is not None:
        right = float(case.right(arrays))
        found |= {"wrong": case.wrong, "ours": _rounded(right)}
        if isinstance(theirs, float) and math.isfinite(theirs) and right:
            found["ratio"] = float(f"{theirs / right:.{case.digits or 4}g}")
        return found
    assert isinstance(theirs, float) and math.isfinite(theirs), (case.id, theirs)
    ours = case.factor * theirs**case.power + offset
    slope = case.factor * case.power * theirs ** (case.power - 1)
    found |= {
        "factor": case.factor,
        "power": case.power,
        "offset": _rounded(offset),
        "tolerance": case.tolerance,
        "ours": _rounded(ours, case),
    }
    if gradient is not None:
        found["gradient"] = _rounded(abs(slope) * gradient, case)
    return found


def _rounded(value: float | str, case: Case | None = None) -> float | str:
    """As many digits as machines agree on; JSON has no infinity, so that becomes a word."""
    if isinstance(value, str) or not math.isfinite(value):
        return str(value)
    digits = 11 if case is None or case.dtype == "float64" else 6
    return float(f"{value:.{(case and case.digits) or digits}g}")
