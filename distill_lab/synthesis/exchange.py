"""Hugging Face data sets in and out: prompts from one, answers into one."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any, Literal

from distill_lab.synthesis.extras import needs

Row = dict[str, Any]
Form = Literal["messages", "prompt-completion", "rows"]


def to_dataset(rows: Iterable[Row], form: Form = "messages") -> Any:
    """Answers as a ``datasets.Dataset``, in the form that trainers expect.

    "messages": one conversation a row, the answer last. "prompt-completion": both as lists of
    messages, so that only the answer is learned. "rows": all that the file holds. What was kept
    under ``about`` becomes columns ``about.<key>``, as JSON where it is no plain value.
    Raises ValueError for another form, or no rows.
    """
    shapes = {"messages": _messages, "prompt-completion": _pair, "rows": _whole}
    if form not in shapes:
        raise ValueError(f"form must be one of {', '.join(shapes)}; got {form!r}.")
    shaped = [shapes[form](row) | _about(row) for row in rows]
    if not shaped:
        raise ValueError("there are no rows: were all of them filtered out?")
    columns = list(dict.fromkeys(key for row in shaped for key in row))
    with needs("datasets"):
        from datasets import Dataset  # type: ignore[import-untyped]
    return Dataset.from_list([{key: row.get(key) for key in columns} for row in shaped])


def from_dataset(dataset: Any, prompt: str, about: Sequence[str] = ()) -> list[Row]:
    """Prompts for ``generate`` from a data set's column: texts, or lists of messages.

    The columns named in ``about`` are kept beside each prompt, such as the right answer.
    Raises ValueError for a column that is not there.
    """
    known = list(getattr(dataset, "column_names", ()))
    missing = [name for name in (prompt, *about) if name not in known]
    if missing:
        raise ValueError(f"the data set has no column {missing[0]!r}; it has {known}.")
    return [
        {name: row[name] for name in about if name not in ("prompt", "messages")}
        | {"prompt": row[prompt]}
        for row in dataset
    ]


def _messages(row: Row) -> Row:
    return {"messages": [*map(_message, row["prompt"]), _said(row)]}


def _pair(row: Row) -> Row:
    return {"prompt": list(map(_message, row["prompt"])), "completion": [_said(row)]}


def _whole(row: Row) -> Row:
    return {key: value for key, value in row.items() if key != "about"} | {
        "prompt": list(map(_message, row["prompt"]))
    }


def _message(message: Row) -> Row:
    content = message.get("content", "")
    text = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)
    return {"role": message["role"], "content": text}


def _said(row: Row) -> Row:
    return {"role": "assistant", "content": row["answer"]}


def _about(row: Row) -> Row:
    plain = (str, int, float, bool, type(None))
    return {
        f"about.{key}": value if isinstance(value, plain) else json.dumps(value, ensure_ascii=False)
        for key, value in row.get("about", {}).items()
    }
