"""Filters one after the other, and a table of what each took out."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from distill_lab.evaluation.rendering import Grid

Row = dict[str, Any]
EXAMPLES = 3


@dataclass(frozen=True)
class Step:
    """What one filter did: how many rows came, how many went, why, and some of them."""

    name: str
    came: int
    went: int
    reasons: dict[str, int]
    examples: tuple[tuple[str, str, str], ...]  # id, what was answered, why it went

    @classmethod
    def of(cls, name: str, came: int, gone: Sequence[tuple[Row, str]]) -> Step:
        """From the rows that went, each with its reason; figures and quotes are left out of kinds.

        The examples come from as many different kinds of reason as there are.
        """
        kinds = [_kind(why) for _, why in gone]
        firsts: dict[str, int] = {}
        for i, kind in enumerate(kinds):
            firsts.setdefault(kind, i)
        chosen = [*firsts.values(), *(i for i in range(len(gone)) if i not in firsts.values())]
        examples = tuple(
            (str(gone[i][0].get("id", "?")), _short(str(gone[i][0].get("answer", ""))), gone[i][1])
            for i in chosen[:EXAMPLES]
        )
        return cls(name, came, len(gone), dict(Counter(kinds).most_common()), examples)

    @property
    def stayed(self) -> int:
        """How many rows stayed."""
        return self.came - self.went

    @property
    def share(self) -> float:
        """The share of its rows that it took out."""
        return self.went / self.came if self.came else 0.0

    def facts(self) -> dict[str, Any]:
        """As plain values, for a card."""
        return {
            "filter": self.name,
            "came": self.came,
            "removed": self.went,
            "kept": self.stayed,
            "share removed": round(self.share, 4),
            "reasons": self.reasons,
            "examples": [
                {"id": name, "answer": said, "reason": why} for name, said, why in self.examples
            ],
        }


@dataclass(frozen=True)
class Sieved:
    """What a pipeline left, and what each of its filters did. Shows itself in a notebook."""

    rows: list[Row]
    steps: tuple[Step, ...]

    def facts(self) -> list[dict[str, Any]]:
        """Every step as plain values, for a card."""
        return [step.facts() for step in self.steps]

    def __str__(self) -> str:
        from distill_lab.evaluation import rendering

        lines = [rendering.to_text([self._grid()])]
        for step in self.steps:
            if step.examples:
                lines.append(f"\nremoved by {step.name}, for example:")
                lines += [f"  {said!r}: {why}" for _, said, why in step.examples]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        from html import escape

        from distill_lab.evaluation import rendering

        parts = [rendering.to_html([self._grid()])]
        for step in self.steps:
            items = "".join(
                f"<li><q>{escape(said)}</q>: {escape(why)}</li>" for _, said, why in step.examples
            )
            if items:
                parts.append(
                    f"<details><summary>removed by {escape(step.name)}, for example</summary>"
                    f"<ul>{items}</ul></details>"
                )
        return "\n".join(parts)

    def _grid(self) -> Grid:
        from distill_lab.evaluation.rendering import Cell, Grid, Head

        lines = tuple(
            (
                Head(step.name),
                (
                    Cell(f"{step.came:,}"),
                    Cell(f"{step.went:,}", f"({step.share:.1%})"),
                    Cell(f"{step.stayed:,}"),
                    Cell("; ".join(f"{why}: {n:,}" for why, n in list(step.reasons.items())[:2])),
                ),
            )
            for step in self.steps
        )
        heads = (Head("came"), Head("removed"), Head("kept"), Head("most often because"))
        came = self.steps[0].came if self.steps else len(self.rows)
        return Grid(f"{len(self.rows):,} of {came:,} rows kept", "filter", heads, lines)


class Pipeline:
    """Filters in their order. Cheap ones first; balance last, or it is undone.

    ``Pipeline([...])(rows)`` is a ``Sieved``: rows and a table. Raises ValueError without filters,
    TypeError for one that cannot be called.
    """

    def __init__(
        self, filters: Iterable[Callable[[Iterable[Row]], tuple[list[Row], Step]]]
    ) -> None:
        self.filters = list(filters)
        if not self.filters:
            raise ValueError("a pipeline needs at least one filter, such as distinct().")
        for one in self.filters:
            if not callable(one):
                raise TypeError(f"{one!r} is no filter: expected one such as length(least=5).")

    def __call__(self, rows: Iterable[Row]) -> Sieved:
        kept, steps = list(rows), []
        for one in self.filters:
            kept, step = one(kept)
            steps.append(step)
        return Sieved(kept, tuple(steps))


def _kind(why: str) -> str:
    """A reason without its figures and quotations, so that like ones are counted together."""
    without = re.sub(r"'[^']*'|\"[^\"]*\"", "…", why)
    without = re.sub(r"\b[0-9a-f]{16}\b", "…", without)
    return re.sub(r"\d[\d.,]*", "n", without)


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= 80 else text[:77] + "..."
