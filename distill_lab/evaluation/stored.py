"""A report as strict JSON, and back."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from typing import Any

from distill_lab.evaluation.cost import Latency, SpeedUp
from distill_lab.evaluation.flops import TrainingFlops
from distill_lab.evaluation.memory import PeakMemory
from distill_lab.evaluation.paired import Difference
from distill_lab.evaluation.rows import Row
from distill_lab.evaluation.statistics import Interval

__all__ = ["dump", "load"]

FORMAT = "distill-lab report 1"
PARTS: dict[str, Any] = {
    "latency": Latency,
    "speed_up": SpeedUp,
    "peak_memory": PeakMemory,
    "training_flops": TrainingFlops,
}
NOT_FINITE = {"Infinity": math.inf, "-Infinity": -math.inf, "NaN": math.nan}


def dump(report: Any) -> str:
    """A report's fields; figures that are not finite become strings."""
    return json.dumps({"format": FORMAT, **_finite(asdict(report))}, allow_nan=False, indent=1)


def load(text: str) -> dict[str, Any]:
    """The fields that `dump` wrote. Raises ValueError for any other text."""
    try:
        found = json.loads(text)
        if found.pop("format") != FORMAT:
            raise ValueError(f"it is not of the format {FORMAT!r}")
        return {
            **found,
            "rows": tuple(_row(row) for row in found["rows"]),
            "differences": tuple(_difference(d) for d in found["differences"]),
            "notes": tuple(found["notes"]),
            "columns": tuple(found["columns"]),
            "splits": found["splits"] and tuple(found["splits"]),
        }
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(
            f"this is not a report: {error!s}. Report.from_json reads what Report.to_json wrote."
        ) from error


def _row(fields: dict[str, Any]) -> Row:
    parts = {
        key: None if fields[key] is None else kind(**_figures(fields[key]))
        for key, kind in PARTS.items()
    }
    by_seed = {key: tuple(map(_figure, values)) for key, values in fields["by_seed"].items()}
    plain = {**_figures(fields), "extra": _figures(fields["extra"]), "by_seed": by_seed}
    # What people named is taken as it stands, even if it is called "NaN".
    named = {key: fields[key] for key in ("name", "worst_class_name")}
    return Row(**{**plain, **parts, **named})


def _difference(fields: dict[str, Any]) -> Difference:
    return Difference(**{**fields, "interval": Interval(**fields["interval"])})


def _figures(fields: dict[str, Any]) -> dict[str, Any]:
    return {key: _figure(value) for key, value in fields.items()}


def _figure(value: Any) -> Any:
    return NOT_FINITE.get(value, value) if isinstance(value, str) else value


def _finite(value: Any) -> Any:
    """The same with a word in place of every number JSON cannot hold."""
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else f"{'-' * (value < 0)}Infinity"
    return value
