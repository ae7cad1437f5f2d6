"""Plain English: no sentence over 30 words, and none of the wordings in `idioms.toml`.

A formula counts as one word; an item of a list is a sentence of its own; tables, code and headings
do not count. `wordings` reads any text, `sentences` reads Markdown.
"""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

__all__ = ["file_faults", "long_sentences", "plain", "sentences", "texts_of", "wordings"]

WORDS = 30  # of a sentence
IDIOMS = Path(__file__).with_name("idioms.toml")
_DROPPED = (
    (r"```.*?```|<!--.*?-->", "\n\n"),  # code and comments
    (r"^[^\S\n]*\|[^\n]*$|^#+ [^\n]*$|^\s*[-=*]{3,}\s*$", "\n"),  # tables, headings, rules
    (r"\$\$.*?\$\$|\$[^$\n]+\$", "X"),  # a formula is a word
    (r"`[^`\n]*`", "X"),
    (r"!?\[([^\]]*)\]\([^)]*\)", r"\1"),
    (r"</?(p|div|details|summary|li|ul|ol|br|td|tr|th|table)\b[^>]*>", "\n\n"),
    (r"<[^>]+>", ""),
)
_ENDS = re.compile(r"(?<=[.!?…])[\"”’*_)]*\s+(?=[\"“‘*_(]*[A-Z0-9XΑ-Ω])")
_NO_END = re.compile(r"\b(e\.g|i\.e|vs|cf|al|Fig|No|[A-WYZ])\.$")


def sentences(markdown: str) -> list[str]:
    r"""Cut Markdown into the sentences that a reader reads.

    Args:
        markdown: The source of a cell or a file.

    Returns:
        The sentences, without tables, headings and code; a formula is the word X.

    >>> sentences("# Head\n\nOne $x + y$ is\ntwo. Three:\n\n- four five\n- six")
    ['One X is two.', 'Three:', 'four five', 'six']
    """
    for pattern, put in _DROPPED:
        markdown = re.sub(pattern, put, markdown, flags=re.DOTALL | re.MULTILINE)
    markdown = re.sub(r"^\s*(?:[-*+]|\d+[.)]|>)\s+", "\n\n", markdown, flags=re.MULTILINE)
    cut: list[str] = []
    for block in re.split(r"\n\s*\n", markdown):
        open_end = False
        for piece in _ENDS.split(" ".join(block.split())):
            if open_end:
                cut[-1] += f" {piece}"
            elif piece:
                cut.append(piece)
            open_end = bool(_NO_END.search(piece))
    return cut


def long_sentences(markdown: str) -> Iterator[str]:
    """Find the sentences of more than 30 words."""
    for sentence in sentences(markdown):
        count = len(re.findall(r"[^\W_][\w'’.,%²-]*", sentence))
        if count > WORDS:
            yield f"a sentence of {count} words ({WORDS} at most): “{_short(sentence)}”"


@cache
def _idioms() -> tuple[tuple[re.Pattern[str], str], ...]:
    groups = tomllib.loads(IDIOMS.read_text(encoding="utf-8"))
    return tuple(
        (re.compile(rf"(?<![\w-])(?:{wording})(?![\w-])", re.IGNORECASE), remedy)
        for group in groups.values()
        for wording, remedy in group.items()
    )


def wordings(text: str) -> Iterator[str]:
    """Find the wordings of `idioms.toml`, each with its plainer form.

    >>> list(wordings("The label whispers."))
    ['“whispers” is hard to read: has a very small gradient or probability']
    """
    text = " ".join(re.sub(r"```.*?```|`[^`\n]*`", " ", text, flags=re.DOTALL).split())
    for pattern, remedy in _idioms():
        for match in pattern.finditer(text):
            yield f"“{match[0]}” is hard to read: {remedy}"


def plain(nb: Any, name: str) -> Iterator[str]:
    """Find what is not plain English in the prose of a notebook."""
    for i, cell in enumerate(nb.cells):
        if cell.cell_type == "markdown":
            for fault in (*long_sentences(cell.source), *wordings(cell.source)):
                yield f"cell {i} ({cell.get('id', '')}): {fault}"


def texts_of(path: Path) -> list[tuple[int, str]]:
    """Read the texts of a file that a reader gets to see.

    Args:
        path: Markdown, TOML, or Python, whose constant strings with a blank in them are messages;
            its docstrings are not read.

    Returns:
        Line (0 if unknown) and text.
    """
    source = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        return [(0, source)]
    if path.suffix == ".toml":
        return [(0, text) for text in _strings(tomllib.loads(source))]
    tree = ast.parse(source)
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    return [
        (node.lineno, node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and " " in node.value.strip()
        and id(node) not in docstrings
    ]


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _strings(inner)


def file_faults(path: Path) -> Iterator[str]:
    """Find what is not plain English in the texts of a file."""
    for line, text in texts_of(path):
        at = f"{path.name}:{line}" if line else path.name
        # in a program, the lines of a help page and the alternatives of a pattern stand alone
        prose = re.sub(r"[\n|]", "\n\n", text) if path.suffix == ".py" else text
        yield from (f"{at}: {fault}" for fault in (*long_sentences(prose), *wordings(text)))


def _short(text: str, limit: int = 90) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"
