"""The report: models side by side, in what they get right and in what they cost."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from distill_lab.evaluation import rendering
from distill_lab.evaluation.differences import Difference, between_seeds
from distill_lab.evaluation.measures import (
    COLUMNS,
    DEFAULT_COLUMNS,
    NOT_MEASURED,
    POINTS,
    Column,
    ModelResult,
    default_columns,
    extra_column,
    line_of,
)
from distill_lab.evaluation.rendering import Cell, Grid, Head

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = ["Report", "check_columns"]


@dataclass(frozen=True, repr=False)
class Report:
    """What `compare` measured: a row a model, and the differences between them.

    `report["student"].accuracy` reads one figure, `report.difference("a", "b")` one difference, and
    `report.to_frame()` gives the table to pandas; a notebook shows it as a table, and `str(report)`
    as text.

    Args:
        rows: a result for each model.
        caption: what was measured, on how many examples.
        notes: how it was measured.
        columns: the measures shown, in that order.
        differences: the tested ones.
        teacher: its name among the models.
        baseline: the name of the model the others were tested against.
        splits: (n_train, n_test) where every seed drew its own split.
        task: the kind of task.
        main: the measure in which differences were tested.
    """

    rows: tuple[ModelResult, ...]
    caption: str
    notes: tuple[str, ...] = ()
    columns: tuple[str, ...] = DEFAULT_COLUMNS
    differences: tuple[Difference, ...] = ()
    teacher: str | None = None
    baseline: str | None = None
    splits: tuple[int, int] | None = None
    task: str = "classification"
    main: str = "accuracy"

    def __getitem__(self, name: str) -> ModelResult:
        for row in self.rows:
            if row.name == name:
                return row
        raise KeyError(f"{name!r} was not compared; these were: {[row.name for row in self.rows]}.")

    def __str__(self) -> str:
        return self.to_text()

    __repr__ = __str__

    def difference(self, model: str, against: str, measure: str | None = None) -> Difference:
        """`model` minus `against` in one measure, paired seed by seed.

        For two single networks only what `compare` tested is there: the main measure of the task,
        where one of them is the teacher or the baseline.

        Args:
            model: the name of the one.
            against: the name of the other.
            measure: a column, such as "accuracy"; the main one of the task without it.

        Returns:
            The difference in the measure's unit, its interval and its test.

        Raises:
            KeyError: for a model that was not compared.
            ValueError: for a measure without seeds.
        """
        measure = measure or self.main
        title = self._column(measure).title
        for tested in self.differences:
            if (tested.model, tested.against, tested.measure) == (model, against, title):
                return tested
        a, b = (self[name].by_seed.get(measure, ()) for name in (model, against))
        if not a or not b or len(a) == len(b) == 1:
            pairs = [f"{d.model} minus {d.against}" for d in self.differences]
            raise ValueError(
                f"the difference of {model!r} and {against!r} in {measure!r} needs its value for "
                f"several seeds. Tested without them is the main measure of: {pairs}; name "
                "another baseline=, or compare several seeds."
            )
        unit = "points" if measure in POINTS else ""
        names = (model, against)
        return between_seeds(a, b, names=names, measure=measure, unit=unit, splits=self.splits)

    def select(self, *columns: str) -> "Report":
        """The same report, showing these measures in this order.

        Args:
            columns: their names. One that was not measured says so.

        Returns:
            A new report.

        Raises:
            ValueError: for a measure no report has.
        """
        return replace(self, columns=check_columns(columns, self._extras()))

    def plain(self, *columns: str) -> "Report":
        """The table of these measures alone: no tests and no notes, for a first look.

        Raises ValueError for a measure no report has.
        """
        return replace(self.select(*columns), differences=(), notes=())

    def to_text(self) -> str:
        """The tables as plain text, a line a measure."""
        return rendering.to_text(self._grids())

    def to_html(self) -> str:
        """The tables for a page: captions, scopes, and roles in words beside their colours."""
        return rendering.to_html(self._grids())

    def to_frame(self) -> "DataFrame":
        """The figures as a pandas frame, unrounded: a row a model, a column a measure shown.

        Pandas writes it on: `.T`, `.to_markdown()`, `.to_latex()`, `.to_csv()`. Not measured is
        NaN. Bytes and FLOPs are whole, in one unit each; `frame.attrs` has the caption, the notes,
        and the unit of each measure. The worst class stands beside its accuracy by name, and the
        seeds' own figures are in `report["student"].by_seed`.

        Returns:
            A frame (models, measures), indexed by the models' names.

        Raises:
            ImportError: pandas is not installed; the engine needs it for nothing else.
        """
        try:
            from pandas import DataFrame, Index
        except ImportError as error:
            raise ImportError(
                "a report becomes a frame with pandas, which is not installed: pip install pandas. "
                "print(report) shows the same figures without it."
            ) from error
        columns = {key: self._column(key) for key in self.columns}
        table: dict[str, list[float | str | None]] = {}
        for key, column in columns.items():
            if key == "worst_class":
                table["worst_class_name"] = [row.worst_class_name for row in self.rows]
            table[key] = [column.read(row) for row in self.rows]
        frame = DataFrame(table, index=Index([row.name for row in self.rows], name="model"))
        figures = list(columns)
        frame[figures] = frame[figures].astype(float)
        units = {key: column.unit for key, column in columns.items()}
        frame.attrs = {"caption": self.caption, "notes": self.notes, "units": units}
        return frame

    def _repr_html_(self) -> str:
        return self.to_html()

    def _extras(self) -> list[str]:
        return list(dict.fromkeys(name for row in self.rows for name in row.extra))

    def _role(self, name: str) -> str:
        if name in (self.teacher, self.baseline):
            return "teacher" if name == self.teacher else "baseline"
        return "student" if self.teacher else ""

    def _column(self, key: str) -> Column:
        return COLUMNS.get(key) or extra_column(key)

    def _grids(self) -> list[Grid]:
        """The models' table, and that of their differences where there are any."""
        lines = []
        for key in self.columns:
            title, cells = line_of(key, self._column(key), self.rows)
            untaken = {c.figure for c in cells} == {NOT_MEASURED}
            if not (untaken and self.columns == default_columns(self.task)):
                lines.append((Head(title), tuple(cells)))
        heads = tuple(Head(row.name, self._role(row.name)) for row in self.rows)
        grid = Grid(self.caption, "measure", heads, tuple(lines), self.notes)
        return [grid, *([_differences(self.differences)] if self.differences else [])]


def check_columns(columns: Sequence[str], extras: Sequence[str]) -> tuple[str, ...]:
    """The names of the measures to show; ValueError for one that does not exist."""
    names = [*COLUMNS, *extras]
    unknown = columns if isinstance(columns, str) else [n for n in columns if n not in names]
    if unknown or not columns:
        raise ValueError(
            f'columns must be "all", or name some of {names}; got {unknown or columns!r}.'
        )
    return tuple(dict.fromkeys(columns))


def _differences(differences: Sequence[Difference]) -> Grid:
    lines = []
    points = all(d.unit == "points" for d in differences)
    digits = "z.2f" if points else "z.4f"
    for d in differences:
        i = d.interval
        texts = (
            "not a number" if math.isnan(i.mean) else f"{i.mean:+{digits}}",
            "none" if math.isnan(i.low) else f"[{i.low:{digits}}, {i.high:{digits}}]",
            f"{i.n:,} {d.of}",
            f"{d.above}/{d.below}",
            "< 0.001" if d.p < 0.001 else f"{d.p:.3f}",
            f"{i.kind.rsplit(',', 1)[0]}; {d.test}",
        )
        lines.append((Head(f"{d.model} minus {d.against}"), tuple(map(Cell, texts))))
    level = f"{100 * differences[0].interval.level:g} % interval"
    unit = "points" if points else (differences[0].unit or "difference")
    heads = (unit, level, "n", "above/below", "p", "interval; test")
    measure = differences[0].measure
    notes = []
    if any(d.of == "examples" for d in differences):
        notes.append(
            "Of two single networks, above and below count the examples that only the first, or "
            "only the second, gets right; the interval speaks of new examples, not of new seeds."
            if measure == "accuracy"
            else "Of two single networks, above and below count the examples on which the first "
            "has the larger figure, or the smaller; the interval speaks of new examples, not of "
            "new seeds."
        )
    if any(d.of == "resamples" for d in differences):
        notes.append(
            f"{measure} is no mean over the examples: they are drawn again, with replacement and "
            "the same for both, and above and below count these samples."
        )
    if len(differences) > 1:
        notes.append(f"p is that of each difference alone, not corrected for {len(differences)}.")
    caption = f"Differences in {measure}"
    return Grid(caption, "difference", tuple(map(Head, heads)), tuple(lines), tuple(notes))
