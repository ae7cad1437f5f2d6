"""The rules of a lesson's form: stripped, with its parameters, its exercises and its metadata."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Any

from distill_lab.course.lint.anatomy import (
    LADDER,
    about,
    all_calls,
    called,
    exercises,
    literal,
    tagged,
    tree,
)

METADATA = ("title", "part", "part_name", "needs", "minutes", "can_do", "data", "lang")


def unreadable(nb: Any) -> Iterator[str]:
    """Find code cells that are not Python."""
    for i, cell in enumerate(nb.cells):
        if cell.cell_type == "code":
            try:
                tree(cell.source)
            except SyntaxError as error:
                yield f"cell {i} is not Python: {error.msg} (its line {error.lineno})."


def stripped(nb: Any, name: str) -> Iterator[str]:
    """Find outputs, foreign metadata and other leftovers."""
    if nb.metadata.get("kernelspec", {}).get("name") != "python3":
        yield "the kernelspec must be python3, so that it opens on any machine."
    extra = set(nb.metadata) - {"kernelspec", "language_info", "distill_lab"}
    if extra:
        yield f"the notebook's metadata holds {', '.join(sorted(extra))}: strip it."
    if "version" in nb.metadata.get("language_info", {}):
        yield "language_info.version is one machine's: strip it."
    for i, cell in enumerate(nb.cells):
        if cell.cell_type == "code" and (cell.get("outputs") or cell.get("execution_count")):
            yield f"cell {i} has outputs or an execution count: strip the notebook."
        extra = set(cell.metadata) - {"tags"}
        if extra:
            yield f"cell {i} has metadata beyond its tags ({', '.join(sorted(extra))}): strip it."


def ids(nb: Any, name: str) -> Iterator[str]:
    """Find cells without an id of their own."""
    ids = [cell.get("id") for cell in nb.cells]
    if not all(ids) or (nb.nbformat, nb.nbformat_minor) < (4, 5):
        yield "every cell needs an id (notebook format 4.5)."
        return
    twice = sorted({i for i in ids if ids.count(i) > 1})
    if twice:
        yield f"cell ids must be unique; {', '.join(twice)} comes twice."
    if len(ids) > 1 and all(re.fullmatch(r"(cell-?)?\d+", i) for i in ids):
        yield "the cell ids are mere numbers: a tool renumbered them; keep the original ones."


def parameters(nb: Any, name: str) -> Iterator[str]:
    """Check the cells tagged `parameters` and `imports`."""
    at = tagged(nb, "parameters")
    if len(at) != 1:
        yield f"exactly one cell is tagged `parameters`; here {len(at)} are."
        return
    lines = [ast.unparse(line) for line in tree(nb.cells[at[0]].source).body]
    if lines != ["PROFILE = 'quick'", "SEED = 0"]:
        yield f'the parameters cell is PROFILE = "quick" and SEED = 0, no more; it is {lines}.'
    if len(tagged(nb, "imports")) != 1:
        yield "exactly one cell is tagged `imports`: all the imports that solutions rely on."


def opening(nb: Any, name: str) -> Iterator[str]:
    """Check title, minutes and goals in the first cell."""
    facts = about(nb)
    first = nb.cells[0].source if nb.cells else ""
    if not re.match(r"# \S", first):
        yield "the first cell opens with the title, as a heading of the first level."
    if facts.get("minutes") and not re.search(rf"\b{facts['minutes']} minutes\b", first):
        yield f"the first cell says how long the lesson takes: “{facts['minutes']} minutes”."
    if "able to" not in first.lower():
        yield "the first cell says what you will be able to do."


def well_formed_exercises(nb: Any, name: str) -> Iterator[str]:
    """Check the form of each exercise, and what they take in minutes."""
    asked = exercises(nb)
    if len(tagged(nb, "exercise")) != 2 * len(asked):
        yield "cells tagged `exercise` come in pairs: markdown, then the code cell with the stub."
    for exercise in asked:
        at = f"exercise “{exercise.title}”"
        for figure in ("title", "difficulty", "importance", "minutes"):
            if not getattr(exercise, figure):
                yield f"{at} does not say its {figure}."
        if tuple(summary for summary, _ in exercise.ladder) != LADDER:
            yield f"{at} needs three <details>, in this order: {', '.join(LADDER)}."
        if any(not re.match(r"[ \t]*\n[ \t]*\n", body) for _, body in exercise.ladder):
            yield f"{at}: a blank line after each </summary>, or Jupyter does not render it."
        if "def " not in exercise.solution:
            yield f"{at}: the solution defines the function in a ```python block."
        yield from (f"{at}: {fault}" for fault in _stub(exercise.stub))
    minutes = sum(exercise.minutes or 0 for exercise in asked)
    stated = about(nb).get("minutes")
    if isinstance(stated, int) and minutes > stated:
        yield f"the exercises take {minutes} minutes, the lesson states {stated} in all."


def _stub(source: str) -> Iterator[str]:
    body = tree(source).body
    checks = called(ast.unparse(body[-1])) if body else []
    if not checks or not re.match(r"check(\.\w+)?$", checks[0][0]):
        yield "the last line of its code cell is check.<name>(my_function)."
    functions = [node for node in body if isinstance(node, ast.FunctionDef)]
    if not functions:
        yield "its code cell defines the function, left blank."
    for function in functions:
        ends = function.body[-1]
        if not (isinstance(ends, ast.Expr) and isinstance(ends.value, ast.Constant)):
            yield f"the stub of {function.name} is not blank: its body is `...`."


def metadata(nb: Any, name: str) -> Iterator[str]:
    """Check the lesson's own metadata."""
    facts = about(nb)
    for key, kind in (("title", str), ("minutes", int), ("can_do", list)):
        if not isinstance(facts.get(key), kind) or not facts[key]:
            yield f"metadata.distill_lab.{key} is missing, or is no {kind.__name__}."
    needs, number = facts.get("needs"), name.split("_")[0]
    wrong = not isinstance(needs, list) or any(not "" < str(need) < number for need in needs)
    if wrong and number != "00":
        yield (
            "metadata.distill_lab.needs lists the numbers of the lessons to do before this one, "
            f'such as ["00"]; here {needs!r}.'
        )
    if unknown := sorted(facts.keys() - set(METADATA)):
        yield (
            f"metadata.distill_lab knows no {', '.join(unknown)}; it holds {', '.join(METADATA)}. "
            "Claims stand in claims.toml."
        )


def claims(nb: Any, registered: list[str]) -> Iterator[str]:
    """Compare the claims that the cells make with those of the file."""
    claims = [literal(call) for dotted, call in all_calls(nb) if dotted.endswith(".claim")]
    if None in claims:
        yield "the id of a claim is written out, not computed, so that it can be found."
    if sorted(map(str, claims)) != sorted(registered):
        yield f"claims.toml registers the claims {registered}; the cells make {claims}."
