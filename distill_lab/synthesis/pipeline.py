"""Filters one after the other, and a table of what each took out."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from html import escape
from itertools import islice
from typing import Any

from distill_lab._util.jsonl import Row, as_sequence

EXAMPLES = 3
HEADS = ("filter", "in", "removed", "kept", "most often because")


@dataclass(frozen=True)
class FilterStep:
    """What one filter did: how many rows went in, how many it removed, why, and some of them."""

    name: str
    n_in: int
    n_removed: int
    reasons: dict[str, int]
    examples: tuple[tuple[str, str, str], ...]  # id, answer, why it was removed

    @classmethod
    def of(cls, name: str, rows: Sequence[Row], reasons: Sequence[str]) -> "FilterStep":
        """Sum up what was removed.

        Figures and quotes are left out of the kinds of reason; the examples come from as many
        different kinds as there are.

        Args:
            name: The filter's.
            rows: Those that went in.
            reasons: Why each was removed; "" for those that were kept.
        """
        removed = [number for number, why in enumerate(reasons) if why]
        kinds = [_kind(reasons[number]) for number in removed]
        firsts: dict[str, int] = {}
        for i, kind in enumerate(kinds):
            firsts.setdefault(kind, i)
        others = (i for i in range(len(kinds)) if i not in firsts.values())
        chosen = [*firsts.values(), *islice(others, EXAMPLES)]
        examples = tuple(
            (str(row.get("id", "?")), _short(str(row.get("answer", ""))), why)
            for row, why in ((rows[removed[i]], reasons[removed[i]]) for i in chosen[:EXAMPLES])
        )
        return cls(name, len(rows), len(removed), dict(Counter(kinds).most_common()), examples)

    @property
    def n_kept(self) -> int:
        """How many rows it kept."""
        return self.n_in - self.n_removed

    @property
    def share(self) -> float:
        """The share of its rows that it removed."""
        return self.n_removed / self.n_in if self.n_in else 0.0

    def facts(self) -> dict[str, Any]:
        """As plain values, for a card."""
        return {
            "filter": self.name,
            "n_in": self.n_in,
            "n_removed": self.n_removed,
            "n_kept": self.n_kept,
            "share removed": round(self.share, 4),
            "reasons": self.reasons,
            "examples": [
                {"id": name, "answer": text, "reason": why} for name, text, why in self.examples
            ],
        }

    def cells(self) -> tuple[str, ...]:
        """Its line of the table, under `HEADS`."""
        why = "; ".join(f"{kind}: {n:,}" for kind, n in list(self.reasons.items())[:2])
        removed = f"{self.n_removed:,} ({self.share:.1%})"
        return self.name, f"{self.n_in:,}", removed, f"{self.n_kept:,}", why


@dataclass(frozen=True)
class FilterResult:
    """What a pipeline kept, and what each of its filters did. Shows itself in a notebook."""

    rows: Sequence[Row]
    steps: tuple[FilterStep, ...]

    @property
    def title(self) -> str:
        """How many rows were kept, in words."""
        n_in = self.steps[0].n_in if self.steps else len(self.rows)
        return f"{len(self.rows):,} of {n_in:,} rows kept"

    def facts(self) -> list[dict[str, Any]]:
        """Every step as plain values, for a card."""
        return [step.facts() for step in self.steps]

    def __str__(self) -> str:
        table = [HEADS, *(step.cells() for step in self.steps)]
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        lines = [self.title]
        for name, *figures, why in table:
            aligned = (f"{text:>{w}}" for text, w in zip(figures, widths[1:], strict=False))
            lines.append("  ".join((f"{name:<{widths[0]}}", *aligned, why)).rstrip())
        for step in self.steps:
            if step.examples:
                lines.append(f"\nremoved by {step.name}, for example:")
                lines += [f"  {text!r}: {why}" for _, text, why in step.examples]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        head = "".join(f'<th scope="col">{name}</th>' for name in HEADS)
        lines = []
        for step in self.steps:
            name, *cells = map(escape, step.cells())
            data = "".join(f"<td>{cell}</td>" for cell in cells)
            lines.append(f'<tr><th scope="row">{name}</th>{data}</tr>')
        parts = [
            f"<table><caption>{self.title}</caption><thead><tr>{head}</tr></thead>"
            f"<tbody>{''.join(lines)}</tbody></table>"
        ]
        for step in self.steps:
            items = "".join(
                f"<li><q>{escape(text)}</q>: {escape(why)}</li>" for _, text, why in step.examples
            )
            if items:
                parts.append(
                    f"<details><summary>removed by {escape(step.name)}, for example</summary>"
                    f"<ul>{items}</ul></details>"
                )
        return "\n".join(parts)


class FilterPipeline:
    """Filters in their order. Cheap ones first; balance last, or it is undone.

    `FilterPipeline([...])(rows)` is a `FilterResult`: rows and a table.

    Args:
        filters: Such as those of `distill_lab.synthesis.filters`.

    Raises:
        ValueError: Without filters.
        TypeError: For one that cannot be called.
    """

    def __init__(
        self, filters: Iterable[Callable[[Iterable[Row]], tuple[Sequence[Row], FilterStep]]]
    ) -> None:
        self.filters = list(filters)
        if not self.filters:
            raise ValueError("a pipeline needs at least one filter, such as distinct().")
        for one in self.filters:
            if not callable(one):
                raise TypeError(f"{one!r} is no filter: expected one such as length(least=5).")

    def __call__(self, rows: Iterable[Row]) -> FilterResult:
        """Run the filters in turn and count what each removes."""
        kept: Sequence[Row] = as_sequence(rows)
        steps = []
        for one in self.filters:
            kept, step = one(kept)
            steps.append(step)
        return FilterResult(kept, tuple(steps))


def _kind(why: str) -> str:
    """What kind of reason it is, in words: without quotations, figures and what follows a colon.

    >>> _kind("is too long: 31 words"), _kind("the answer is 7, not 'eight: 8'")
    ('is too long', 'the answer is …, not …')
    """
    without = re.sub(r"'(?:[^'\\]|\\.)*'|\"[^\"]*\"|\b[0-9a-f]{16}\b", "…", why)
    return re.sub(r"\d[\d.,]*\d|\d", "…", without.partition(": ")[0])


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= 80 else text[:77] + "..."
