"""The parts of a lesson: cells by tag, words, and exercises.

The form of an exercise, two cells that stand together, both tagged `exercise`:

A markdown cell with a heading, three figures, and a ladder of help in this order. The blank line
after each `</summary>` matters: without it Jupyter does not render what is inside.

    ### Exercise 1: the loss by hand

    *difficulty* 2/5 · *importance* 5/5 · *minutes* 10

    What to do, in two or three sentences.

    <details><summary>Hint</summary>

    Where to look.
    </details>
    <details><summary>Help</summary>

    What to do when a certain thing goes wrong.
    </details>
    <details><summary>Solution</summary>

    ```python
    def my_kd_loss(student_logits, teacher_logits, labels, T, alpha):
        ...the whole function...
    ```
    </details>

A code cell with the same function left blank, and the check as its last line:

    def my_kd_loss(student_logits, teacher_logits, labels, T, alpha):
        ...

    check.kd_loss(my_kd_loss)

The solution may use what the cell tagged `imports` brings in, and nothing else. No later cell uses
the learner's function.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from typing import Any

__all__ = [
    "LADDER",
    "Exercise",
    "about",
    "all_calls",
    "called",
    "code_cells",
    "code_lines",
    "exercises",
    "literal",
    "tagged",
    "text_cells",
    "tree",
    "words",
]

LADDER = ("Hint", "Help", "Solution")
_DETAILS = re.compile(
    r"<details>\s*<summary>\s*(.*?)\s*</summary>(.*?)</details>", re.DOTALL | re.IGNORECASE
)
_PYTHON = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Exercise:
    """One exercise as found in a notebook; what is missing is empty or None."""

    title: str
    difficulty: str
    importance: str
    minutes: int | None
    ladder: tuple[tuple[str, str], ...]  # summary and body, in order
    stub: str  # the code cell

    @property
    def solution(self) -> str:
        """The Python of the last rung."""
        body = dict(self.ladder).get("Solution", "")
        return "\n".join(_PYTHON.findall(body))

    @property
    def check_line(self) -> str:
        """The last line of the code cell."""
        return code_lines(self.stub)[-1] if code_lines(self.stub) else ""


def tagged(nb: Any, tag: str) -> list[int]:
    """Positions of the cells with this tag."""
    return [i for i, cell in enumerate(nb.cells) if tag in cell.metadata.get("tags", [])]


def exercises(nb: Any) -> list[Exercise]:
    """Every exercise: a markdown cell tagged `exercise`, with the code cell after it."""
    pairs = []
    for i in tagged(nb, "exercise"):
        cell = nb.cells[i]
        if cell.cell_type != "markdown":
            continue
        follows = nb.cells[i + 1] if i + 1 < len(nb.cells) else None
        is_stub = (
            follows is not None
            and follows.cell_type == "code"
            and "exercise" in follows.metadata.get("tags", [])
        )
        heading = re.search(r"^#+\s*(.+)$", cell.source, re.MULTILINE)
        minutes = _figure(cell.source, "minutes")
        pairs.append(
            Exercise(
                title=heading.group(1).strip() if heading else "",
                difficulty=_figure(cell.source, "difficulty"),
                importance=_figure(cell.source, "importance"),
                minutes=int(minutes) if minutes.isdigit() else None,
                ladder=tuple(_DETAILS.findall(cell.source)),
                stub=follows.source if is_stub and follows is not None else "",
            )
        )
    return pairs


def _figure(source: str, name: str) -> str:
    match = re.search(rf"\*{name}\*\s*:?\s*([^\s·|,]+)", source)
    return match.group(1) if match else ""


def words(markdown: str) -> int:
    """Words a reader reads: without code blocks, formulas, tags, link targets and comments."""
    text = re.sub(r"```.*?```", " ", markdown, flags=re.DOTALL)
    text = re.sub(r"\$\$.*?\$\$|\$[^$\n]*\$", " ", text, flags=re.DOTALL)
    text = re.sub(r"<!--.*?-->|<[^>]+>", " ", text, flags=re.DOTALL)
    text = re.sub(r"\]\([^)]*\)", "]", text)
    return len(re.findall(r"[^\W_][\w'’.,%-]*", text))


def code_lines(source: str) -> list[str]:
    """The lines of a code cell that are not blank."""
    return [line for line in source.splitlines() if line.strip()]


def tree(source: str) -> ast.Module:
    """The syntax tree of a code cell, its `%` lines left out."""
    kept = ["" if line.lstrip().startswith("%") else line for line in source.splitlines()]
    return ast.parse("\n".join(kept))


def called(source: str) -> list[tuple[str, ast.Call]]:
    """Every call in a code cell, in order, with the dotted name that is called."""
    calls = [node for node in ast.walk(tree(source)) if isinstance(node, ast.Call)]
    calls.sort(key=lambda node: (node.lineno, node.col_offset))
    return [(ast.unparse(node.func), node) for node in calls]


def code_cells(nb: Any) -> list[Any]:
    """The code cells."""
    return [cell for cell in nb.cells if cell.cell_type == "code"]


def text_cells(nb: Any) -> list[Any]:
    """The Markdown cells."""
    return [cell for cell in nb.cells if cell.cell_type == "markdown"]


def all_calls(nb: Any) -> list[tuple[str, ast.Call]]:
    """Every call of a notebook, in order, with the dotted name that is called."""
    return [call for cell in code_cells(nb) for call in called(cell.source)]


def about(nb: Any) -> dict[str, Any]:
    """The lesson's own metadata."""
    return dict(nb.metadata.get("distill_lab", {}))


def literal(call: ast.Call, at: int = 0) -> Any:
    """The first argument of a call, or another one, if it is written out; else None."""
    argument = call.args[at] if len(call.args) > at else None
    return argument.value if isinstance(argument, ast.Constant) else None
