"""The lint of a lesson: size, order, exercises, metadata, and that it was stripped.

    python -m distill_lab.course.lint.shape notebooks/11_soft_targets.ipynb

prints one sentence a fault. `faults` is all of it; the rules are the functions below.
"""

from __future__ import annotations

import ast
import math
import re
import statistics
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from distill_lab.course import quick_start  # noqa: F401  # isort: skip
import nbformat

from distill_lab.course.lessons import read_lesson
from distill_lab.course.lint import form, language, results
from distill_lab.course.lint.anatomy import (
    all_calls,
    called,
    code_cells,
    code_lines,
    exercises,
    literal,
    tagged,
    text_cells,
    tree,
    words,
)
from distill_lab.course.lint.names import names

__all__ = ["faults"]

LINE = 88
MEDIAN, NINE_IN_TEN, LONGEST = 6, 12, 30  # lines of a code cell
CEREMONY = 0.15  # of a notebook's code lines: statements that predict, reveal or claim
QUESTION = re.compile(r"(?=(\S+ ){5})[A-Z0-9].*(\?|\.\.\.)( \(.*\))?")  # six words or more
SECTIONS = 6  # numbered ones
MARKDOWN_LINE = 100
WIDGETS = 3  # the one that teaches most, and two beside it
FIRST_FIGURE = 5  # its position, the title cell being 0
# cells, words and exercises of an ordinary lesson, and of the shorter opening one
SIZES = {"cells": (40, 100), "words": (1500, 2500), "exercises": (3, 6)}
OPENING = {"cells": (25, 100), "words": (900, 2500), "exercises": (1, 6)}


def faults(nb: Any, name: str, registered: Iterable[str] = ()) -> list[str]:
    """Find every rule that a notebook breaks, in words.

    Args:
        nb: The notebook.
        name: Its file name without ending.
        registered: The ids of the claims in its `claims.toml`.

    Returns:
        A sentence a fault.
    """
    unreadable = list(form.unreadable(nb))
    if unreadable:
        return unreadable
    broken = [fault for rule in RULES for fault in rule(nb, name)]
    return [*broken, *form.claims(nb, list(registered))]


def _size(nb: Any, name: str) -> Iterator[str]:
    sizes = OPENING if name.startswith("00") else SIZES
    counts = {
        "cells": len(nb.cells),
        "words": sum(words(cell.source) for cell in text_cells(nb)),
        "exercises": len(exercises(nb)),
    }
    for what, count in counts.items():
        minimum, maximum = sizes[what]
        if not minimum <= count <= maximum:
            yield f"a lesson has {minimum} to {maximum} {what}; this one has {count}."
    lengths = [len(code_lines(cell.source)) for cell in code_cells(nb)]
    if lengths and statistics.median(lengths) > MEDIAN:
        yield f"the median code cell has {statistics.median(lengths)} lines; {MEDIAN} at most."
    for i, cell in enumerate(nb.cells):
        if cell.cell_type != "code":
            continue
        if len(code_lines(cell.source)) > LONGEST:
            yield f"cell {i} has {len(code_lines(cell.source))} lines; {LONGEST} at most."
        wide = [n for n, line in enumerate(cell.source.splitlines(), 1) if len(line) > LINE]
        if wide:
            yield f"cell {i}, line {wide[0]}: longer than {LINE} characters."


def _economy(nb: Any, name: str) -> Iterator[str]:
    lengths = [len(code_lines(cell.source)) for cell in code_cells(nb)]
    if lengths and (long := sorted(lengths)[math.ceil(0.9 * len(lengths)) - 1]) > NINE_IN_TEN:
        yield f"of ten code cells one has more than {long - 1} lines; {NINE_IN_TEN} at most."
    share = ceremony(nb)
    if share > CEREMONY:
        yield (
            f"{100 * share:.0f} % of the code lines predict, reveal or claim; {100 * CEREMONY:.0f} "
            "% at most: constants belong in claims.toml, options are bins."
        )


def ceremony(nb: Any) -> float:
    """The share of a notebook's code lines that stand in a statement that predicts or claims."""
    lines = ceremonial = 0
    for cell in code_cells(nb):
        filled = {n for n, line in enumerate(cell.source.splitlines(), 1) if line.strip()}
        lines += len(filled)
        inside: set[int] = set()
        for statement in tree(cell.source).body:
            asks = {dotted.rsplit(".", 1)[-1] for dotted, _ in called(ast.unparse(statement))}
            if asks & {"predict", "reveal", "claim"}:
                inside |= set(range(statement.lineno, (statement.end_lineno or 0) + 1))
        ceremonial += len(filled & inside)
    return ceremonial / lines if lines else 0.0


def _sections(nb: Any, name: str) -> Iterator[str]:
    numbered = [heading for _, heading in _headings(nb) if re.match(r"\d+\b", heading)]
    if len(numbered) > SECTIONS:
        yield f"a lesson has {SECTIONS} numbered sections at most; this one has {len(numbered)}."


def _wrapped(nb: Any, name: str) -> Iterator[str]:
    for i, cell in enumerate(nb.cells):
        if cell.cell_type == "markdown":
            prose = re.sub(r"```.*?```", "", cell.source, flags=re.DOTALL)
            if any(len(line) > MARKDOWN_LINE for line in prose.splitlines()):
                yield f"cell {i}: Markdown is wrapped at {MARKDOWN_LINE} characters."


def _headings(nb: Any) -> list[tuple[int, str]]:
    """Every heading with the position of its cell, in small letters."""
    return [
        (i, line.lstrip("# ").strip().lower())
        for i, cell in enumerate(nb.cells)
        if cell.cell_type == "markdown"
        for line in re.sub(r"```.*?```", "", cell.source, flags=re.DOTALL).splitlines()
        if re.match(r"#+ ", line)
    ]


def _order(nb: Any, name: str) -> Iterator[str]:
    headings = _headings(nb)
    wanted = ["what people get wrong", "recap", "references"]
    if not name.startswith("00"):
        wanted.insert(0, "recall")
    for want in wanted:
        if not any(want in heading for _, heading in headings):
            yield f"a heading with “{want}” is missing."
    recall = [i for i, heading in headings if "recall" in heading]
    calls_recall = any(c.cell_type == "code" and "lesson.recall(" in c.source for c in nb.cells)
    if recall and not calls_recall and nb.cells[recall[0]].source.count("?") < 2:
        yield "the recall cell asks two questions or more on earlier lessons: lesson.recall()."
    figures = tagged(nb, "figure")
    if not figures or figures[0] > FIRST_FIGURE:
        yield f"a cell tagged `figure` is among the first {FIRST_FIGURE} after the title."
    for i, cell in enumerate(nb.cells):
        if cell.cell_type == "markdown" and re.search(r"!\[\s*\]\(", cell.source):
            yield f"cell {i} has an image without alt text."


def _predictions(calls: list[tuple[str, ast.Call]], name: str) -> Iterator[str]:
    lines = [
        (kind, literal(call))
        for dotted, call in calls
        for kind in ("predict", "reveal")
        if dotted == f"lesson.{kind}"
    ]
    predicted = [id for kind, id in lines if kind == "predict"]
    shown = [id for kind, id in lines if kind == "reveal"]
    for call in (call for dotted, call in calls if dotted == "lesson.predict"):
        question = literal(call, 1)
        if isinstance(question, str) and not QUESTION.fullmatch(question):
            yield (
                "a prediction asks in a whole sentence, which is clear on the page of progress, "
                f"too: six words or more, and “?” or “...” at its end; here {question!r}."
            )
    if len(predicted) < 2:
        yield f"two predictions or more, one before each main result; here {len(predicted)}."
    if len(shown) != len(predicted):
        yield f"every prediction is revealed; here {len(predicted)} and {len(shown)}."
    for id in predicted:
        if not re.fullmatch(rf"{name[:2]}\.[a-z0-9-]+", str(id)):
            yield f"the id of a prediction is written out, such as {name[:2]}.gain; here {id}."
        if predicted.count(id) > 1:
            yield f"a prediction has an id of its own; {id} is asked twice."
    for at, (kind, id) in enumerate(lines):
        if kind == "reveal" and ("predict", id) not in lines[:at]:
            yield f"the outcome of {id} is shown before its question is asked."


def _calls(nb: Any, name: str) -> Iterator[str]:
    calls = all_calls(nb)
    names = [dotted for dotted, _ in calls]
    opened = [literal(call) for dotted, call in calls if dotted == "Lesson"]
    if opened != [name]:
        yield f'the lesson is opened once, as Lesson("{name}", ...); here {opened}.'
    yield from _predictions(calls, name)
    asks = [n.rsplit(".", 1)[-1] for n in names]
    if "claim" in asks and "predict" not in asks[: asks.index("claim")]:
        yield "the first claim comes before the first prediction."
    live = [n for n in names if "explore" in n.lower() or "workbench" in n.lower()]
    if len(live) > WIDGETS:
        yield f"at most {WIDGETS} live widgets; here {len(live)}: {', '.join(live)}."
    last = code_cells(nb)[-1].source if code_cells(nb) else ""
    if "lesson.close()" not in last:
        yield "the last code cell is lesson.close()."
    for dotted, call in calls:
        if dotted.endswith("plt.show"):
            yield "plt.show() loses the alt text: plots.show(fig, alt=...)."
        if dotted == "plots.show" and "alt" not in {k.arg for k in call.keywords}:
            yield "plots.show(...) without alt=."


RULES = (
    form.stripped,
    form.ids,
    form.parameters,
    _size,
    _economy,
    _order,
    form.opening,
    _calls,
    form.well_formed_exercises,
    form.metadata,
    names,
    _sections,
    _wrapped,
    language.plain,
    results.stated_results,
    results.constant_alts,
)


def main(arguments: list[str]) -> int:
    """Print the faults of each notebook; 1 if there are any."""
    count = 0
    for path in map(Path, arguments):
        nb = nbformat.read(path, as_version=nbformat.NO_CONVERT)
        for fault in faults(nb, path.stem, read_lesson(path).claims):
            print(f"{path.name}: {fault}")
            count += 1
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
