"""A result is formatted from the run: no figure and no verdict of a claim is a constant.

Prose after a claim or an outcome may not state a percentage, points or a verdict in Markdown, which
cannot be computed: `lesson.note(f"…")` and `lesson.interpret(id, holds=…, fails=…, unresolved=…)`
can. A figure of a paper may stand, in a sentence that names the paper or its year.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Any

from distill_lab.course.lint.anatomy import called
from distill_lab.course.lint.language import sentences

__all__ = ["constant_alts", "stated_results"]

FIGURE = re.compile(r"[\d.,]+\s?(?:%|per cent|percent|points?\b)")
VERDICT = re.compile(
    r"\b(holds|does not hold|do not hold|(?:is|are|stays?|remains?) (?:itself )?unresolved|"
    r"(?:cannot|could not) be resolved|beats?|(?:does|do) not beat)\b",
    re.IGNORECASE,
)
SHARE = re.compile(r"\b(half|a third|a quarter|two thirds|three quarters|nearly all|twice)\b", re.I)
# What a paper prints, and what was fixed before the run, is no result of ours.
ELSEWHERE = re.compile(
    r"\b(?:19|20)\d\d\b|paper|authors|published|table \d|et al|arXiv|ImageNet|CIFAR|MNIST|interval|"
    r"chance|threshold|margin|before the run|seeds|for example|such as|if |would|means",
    re.IGNORECASE,
)
MEASURING = ("claim", "reveal")
NEAR = 2  # cells after the measurement


def stated_results(nb: Any, name: str) -> Iterator[str]:
    """Find sentences in Markdown, right after a claim or an outcome, that state a result."""
    since = NEAR + 1
    for i, cell in enumerate(nb.cells):
        if cell.cell_type == "code":
            asks = {dotted.rsplit(".", 1)[-1] for dotted, _ in called(cell.source)}
            since = 0 if asks & set(MEASURING) else since + 1
            continue
        since += 1
        if since > NEAR or "exercise" in cell.metadata.get("tags", []):
            continue
        for sentence in sentences(_unquoted(cell.source)):
            stated = FIGURE.search(sentence) or VERDICT.search(sentence)
            if stated and not ELSEWHERE.search(sentence):
                yield (
                    f"cell {i} ({cell.get('id', '')}) states a result as a constant, "
                    f"“{stated[0].strip()}”, in “{sentence[:70]}”: say it with lesson.note(f'…') "
                    "or lesson.interpret(id, holds=…, fails=…, unresolved=…)."
                )


def _unquoted(markdown: str) -> str:
    """Without what stands in quotation marks or italics: a verdict that is named, not given."""
    return re.sub(r"“[^”]*”|(?<!\*)\*[^*\n]+\*(?!\*)", "X", markdown)


def constant_alts(nb: Any, name: str) -> Iterator[str]:
    """Find constant `alt=` texts that state a figure, which the run may give otherwise."""
    for i, cell in enumerate(nb.cells):
        if cell.cell_type != "code":
            continue
        for _, call in called(cell.source):
            for keyword in call.keywords:
                if keyword.arg != "alt" or not isinstance(keyword.value, ast.Constant):
                    continue
                stated = FIGURE.search(str(keyword.value.value)) or SHARE.search(
                    str(keyword.value.value)
                )
                if stated:
                    yield (
                        f"cell {i} ({cell.get('id', '')}): alt= states “{stated[0]}” as a "
                        "constant: format it from the numbers that are drawn, alt=f'…'."
                    )
