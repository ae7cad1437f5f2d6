"""How a result leaves a notebook: one display with words, a small card, and a record for machines.

Nothing is written to disk by a notebook. Whoever executes it (the course runner, a test) reads the
records from its outputs, under the private MIME type `MIME`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from html import escape
from typing import Any

__all__ = [
    "MIME",
    "badge",
    "card",
    "code_words",
    "collect",
    "in_kernel",
    "number",
    "publish",
    "show_widget",
    "small",
    "table",
    "true_minus",
]

MIME = "application/vnd.distill-lab.record+json"

# Okabe-Ito, the three that are not the teacher's, the student's or the hard labels' colour.
GREEN, ORANGE, PURPLE = "#009E73", "#E69F00", "#CC79A7"
SKY, GREY = "#56B4E9", "#5A5A5A"

# Background and ink are both fixed, so a card reads alike in a light and in a dark JupyterLab.
_CARD = (
    "background:#fbfbf8;color:#1b1b1b;border:1px solid #dcdcd4;border-left:5px solid {colour};"
    "border-radius:4px;padding:8px 12px;margin:4px 0;max-width:46em;"
    "font:14px/1.45 system-ui,sans-serif"
)

TABLE = '<table style="border-collapse:collapse;margin:4px 0;color:inherit;font:inherit">'
# JupyterLab paints every other row in its own theme's colour; the card keeps its own.
ROW = '<tr style="background:#fbfbf8">'
_CELL = "text-align:left;vertical-align:top;padding:3px 12px 3px 0;border-bottom:1px solid #dcdcd4"

# Its own colours: JupyterLab's would be dark on dark in a dark theme.
_CODE = '<code style="background:#ecece4;color:inherit;padding:0 3px">'

_collectors: list[list[dict[str, Any]]] = []


def in_kernel() -> bool:
    """Whether a Jupyter kernel is running this code, so that widgets can answer."""
    try:
        from IPython import get_ipython
    except ImportError:
        return False
    return getattr(get_ipython(), "kernel", None) is not None


@contextmanager
def collect() -> Iterator[list[dict[str, Any]]]:
    """Gather the records published inside the `with` block, and show none of them.

    >>> with collect() as records:
    ...     publish({"kind": "expect", "ok": True}, text="fine", html="<p>fine</p>")
    >>> records[0]["ok"]
    True
    """
    records: list[dict[str, Any]] = []
    _collectors.append(records)
    try:
        yield records
    finally:
        # by identity: two collectors that hold equal records are equal lists
        _collectors[:] = [other for other in _collectors if other is not records]


def publish(
    record: Mapping[str, Any],
    *,
    text: str,
    html: str,
    display_id: str | None = None,
    update: bool = False,
) -> None:
    """Show one result: as words, as a card, and as a record. Without a notebook print the words.

    Args:
        record: What a machine reads; it must survive JSON without NaN.
        text: The result in words.
        html: The result as a card.
        display_id: A name, for a result that may be updated.
        update: Whether to replace what is shown under that name, wherever it stands.

    Raises:
        ValueError: If the record does not survive JSON.
    """
    try:
        plain = json.loads(json.dumps(dict(record), allow_nan=False))
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"A {record.get('kind')!r} record must hold plain finite numbers, texts and lists; "
            f"this one does not ({error}). Turn tensors into numbers with .item() first."
        ) from error
    if _collectors:
        _collectors[-1].append(plain)
        return
    _show({"text/plain": text, "text/html": html, MIME: plain}, display_id, update=update)


def show_widget(widget: Any, text: str) -> None:
    """Show a widget alone, in words where there is none: what must outlive it stands beside it."""
    if not _collectors:
        _show({**widget._repr_mimebundle_(), "text/plain": text}, None, update=False)


def _show(bundle: dict[str, Any], display_id: str | None, *, update: bool) -> None:
    try:
        from IPython.core.interactiveshell import InteractiveShell
        from IPython.display import display
    except ImportError:
        print(bundle["text/plain"])
        return
    if not InteractiveShell.initialized():
        print(bundle["text/plain"])
        return
    named = {} if display_id is None else {"display_id": display_id, "update": update}
    display(bundle, raw=True, **named)


def card(body: str, *, colour: str, label: str) -> str:
    """Wrap HTML in a card with a coloured edge; `label` is its name for a screen reader."""
    style = _CARD.format(colour=colour)
    return f'<div role="group" aria-label="{escape(label)}" style="{style}">{body}</div>'


def badge(sign: str, word: str, *, colour: str) -> str:
    """A sign and a word in bold over a coloured underline: the colour never speaks alone."""
    style = f"font-weight:700;border-bottom:3px solid {colour};margin-right:.5em"
    return f'<span style="{style}"><span aria-hidden="true">{sign}</span> {escape(word)}</span>'


def code_words(text: str) -> str:
    """Escape a text; what stands between backticks is set as code.

    >>> code_words("by `<hand>`").split(">", 1)
    ['by <code style="background:#ecece4;color:inherit;padding:0 3px"', '&lt;hand&gt;</code>']
    """
    parts = escape(text).split("`")
    if len(parts) % 2 == 0:  # a lone backtick, from the learner's own line: leave it be
        return escape(text)
    return "".join(f"{_CODE}{part}</code>" if i % 2 else part for i, part in enumerate(parts))


_NEGATIVE = re.compile(r"(?<![\w.)\]-])-(?=\d)")


def true_minus(text: str) -> str:
    """Give each negative number of a text a true minus; code between backticks stays.

    >>> true_minus("after -4.2 [-5, -3], 1e-08 on 2026-11-29, as `x[-1]`")
    'after −4.2 [−5, −3], 1e-08 on 2026-11-29, as `x[-1]`'
    """
    parts = text.split("`")
    return "`".join(part if i % 2 else _NEGATIVE.sub("−", part) for i, part in enumerate(parts))


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Draw a table for a card: the heads are escaped, the cells are HTML.

    >>> table(["a"], [["<b>1</b>"]]).count("<tr")
    2
    """
    head = "".join(
        f'<th scope="col" style="{_CELL};font-weight:600">{escape(head)}</th>' for head in heads
    )
    body = "".join(
        ROW + "".join(f'<td style="{_CELL}">{cell}</td>' for cell in row) + "</tr>" for row in rows
    )
    return f"{TABLE}<thead>{ROW}{head}</tr></thead><tbody>{body}</tbody></table>"


def small(text: str) -> str:
    """A line in smaller print, as HTML; `text` is escaped."""
    return f'<div style="font-size:12px;opacity:.8">{escape(text)}</div>'


def number(value: float, *, sign: bool = False, like: float | None = None) -> str:
    """Print a number with about three digits that matter, and a true minus.

    `like` lends its decimals, so that a mean and its bounds look alike.

    >>> number(-38.125, sign=True), number(0.00012), number(1234.5), number(0.0)
    ('−38.12', '1.20e−04', '1234.5', '0')
    >>> number(-0.4924, like=1.2)
    '−0.49'
    """
    size = abs(value if like is None else like)
    if size == 0:
        digits = ".0f"
    elif size >= 100:
        digits = ".1f"
    elif size >= 1:
        digits = ".2f"
    else:
        digits = ".3f" if size >= 0.01 else ".2e"
    return format(value, ("+" if sign and value else "") + digits).replace("-", "−")
