"""The report: models side by side, in what they get right and in what they cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from distill_lab.evaluation import rendering, stored
from distill_lab.evaluation.paired import Difference, between_seeds
from distill_lab.evaluation.rendering import Cell, Grid, Head
from distill_lab.evaluation.rows import (
    COLUMNS,
    DEFAULT_COLUMNS,
    NOT_MEASURED,
    POINTS,
    Row,
    extra_column,
    line_of,
)

__all__ = ["Report", "check_columns"]


@dataclass(frozen=True, repr=False)
class Report:
    """What `compare` found: a row a model, and the differences between them.

    `report["student"].accuracy` reads one figure, `report.difference("a", "b")` one difference; a
    notebook shows the whole as a table, and `str(report)` as text. `caption` says what was measured
    on how many examples, `notes` how. `columns` are the measures shown, in that order.
    """

    rows: tuple[Row, ...]
    caption: str
    notes: tuple[str, ...] = ()
    columns: tuple[str, ...] = DEFAULT_COLUMNS
    differences: tuple[Difference, ...] = ()
    teacher: str | None = None
    baseline: str | None = None
    splits: tuple[int, int] | None = None

    def __getitem__(self, name: str) -> Row:
        for row in self.rows:
            if row.name == name:
                return row
        raise KeyError(f"{name!r} was not compared; these were: {[row.name for row in self.rows]}.")

    def __str__(self) -> str:
        return self.to_text()

    __repr__ = __str__

    def difference(self, model: str, against: str, measure: str = "accuracy") -> Difference:
        """`model` minus `against` in one measure, paired seed by seed.

        For two single networks only what `compare` tested is known: their accuracies, where one
        of them is the teacher or the baseline. Raises KeyError for a model that was not compared,
        ValueError for a measure without seeds.
        """
        for known in self.differences:
            if (known.model, known.against, known.measure) == (model, against, measure):
                return known
        a, b = (self[name].by_seed.get(measure, ()) for name in (model, against))
        if not a or not b or len(a) == len(b) == 1:
            known_pairs = [f"{d.model} minus {d.against}" for d in self.differences]
            raise ValueError(
                f"the difference of {model!r} and {against!r} in {measure!r} needs its value for "
                f"several seeds. Known without them is the accuracy of: {known_pairs}; name "
                "another baseline=, or compare several seeds."
            )
        unit = "points" if measure in POINTS else ""
        names = (model, against)
        return between_seeds(a, b, names=names, measure=measure, unit=unit, splits=self.splits)

    def select(self, *columns: str) -> Report:
        """The same report, showing these measures in this order.

        Raises ValueError for a measure no report has. One that was not measured says so.
        """
        return replace(self, columns=check_columns(columns, self._extras()))

    def to_text(self, *, models_in_rows: bool = False) -> str:
        """The tables as plain text: a line a measure, or a line a model."""
        return rendering.to_text(self._grids(models_in_rows))

    def to_html(self, *, models_in_rows: bool = False) -> str:
        """The tables for a page: captions, scopes, and roles in words beside their colours."""
        return rendering.to_html(self._grids(models_in_rows))

    def to_latex(self, *, models_in_rows: bool = False, label: str = "") -> str:
        """The tables for a paper; the document must load booktabs."""
        return rendering.to_latex(self._grids(models_in_rows), label)

    def to_markdown(self, *, models_in_rows: bool = False) -> str:
        """The tables with pipes."""
        return rendering.to_markdown(self._grids(models_in_rows))

    def to_json(self) -> str:
        """Every figure, unrounded, as strict JSON that `from_json` reads.

        What was not measured is null. JSON has no word for what is not finite: such a figure is
        one of the strings "Infinity", "-Infinity" and "NaN".
        """
        return stored.dump(self)

    @classmethod
    def from_json(cls, text: str) -> Report:
        """The report that `to_json` wrote. Raises ValueError for any other text."""
        fields = stored.load(text)
        return cls(**fields)

    def _repr_html_(self) -> str:
        return self.to_html()

    def _extras(self) -> list[str]:
        return list(dict.fromkeys(name for row in self.rows for name in row.extra))

    def _role(self, name: str) -> str:
        if name in (self.teacher, self.baseline):
            return "teacher" if name == self.teacher else "baseline"
        return "student" if self.teacher else ""

    def _grids(self, models_in_rows: bool) -> list[Grid]:
        """The models' table, and that of their differences where there are any."""
        lines = []
        for key in self.columns:
            column = COLUMNS.get(key) or extra_column(key)
            title, cells = line_of(key, column, self.rows)
            if self.columns != DEFAULT_COLUMNS or {c.figure for c in cells} != {NOT_MEASURED}:
                lines.append((Head(title), tuple(cells)))
        heads = tuple(Head(row.name, self._role(row.name)) for row in self.rows)
        grid = Grid(self.caption, "measure", heads, tuple(lines), self.notes)
        grid = grid.turned("model") if models_in_rows else grid
        return [grid, *([_differences(self.differences)] if self.differences else [])]


def check_columns(columns: Sequence[str], extras: Sequence[str]) -> tuple[str, ...]:
    """The names of the measures to show; ValueError for one that does not exist."""
    known = [*COLUMNS, *extras]
    unknown = columns if isinstance(columns, str) else [n for n in columns if n not in known]
    if unknown or not columns:
        raise ValueError(
            f'columns must be "all", or name some of {known}; got {unknown or columns!r}.'
        )
    return tuple(dict.fromkeys(columns))


def _differences(differences: Sequence[Difference]) -> Grid:
    lines = []
    for d in differences:
        i = d.interval
        words = (
            f"{i.mean:+z.2f}",
            f"[{i.low:z.2f}, {i.high:z.2f}]",
            f"{i.n:,} {d.of}",
            f"{d.above}/{d.below}",
            "< 0.001" if d.p < 0.001 else f"{d.p:.3f}",
            f"{i.kind.rsplit(',', 1)[0]}; {d.test}",
        )
        lines.append((Head(f"{d.model} minus {d.against}"), tuple(map(Cell, words))))
    level = f"{100 * differences[0].interval.level:g} % interval"
    heads = ("points", level, "n", "above/below", "p", "interval; test")
    notes = []
    if any(d.of == "examples" for d in differences):
        notes.append(
            "Of two single networks, above and below count the examples that only the first, or "
            "only the second, gets right; the interval speaks of new examples, not of new seeds."
        )
    if len(differences) > 1:
        notes.append(f"p is that of each difference alone, not corrected for {len(differences)}.")
    caption = "Differences in accuracy"
    return Grid(caption, "difference", tuple(map(Head, heads)), tuple(lines), tuple(notes))
