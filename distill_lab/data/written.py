"""Whether what a turn says stands in what a chat template wrote."""

import json
from typing import Any

from distill_lab.data.calls import Turn
from distill_lab.data.plain_values import strings_in
from distill_lab.data.thoughts import thoughts_in


def text_behind(prompt: str, rendered: str) -> str | None:
    """Take what a template writes behind its own prompt.

    Args:
        prompt: what is read.
        rendered: the prompt and what follows.

    Returns:
        The rest; None where the text does not begin with the prompt.
    """
    if rendered.startswith(prompt):
        return rendered[len(prompt) :]
    bare = prompt.rstrip()
    rest = rendered[len(bare) :]
    return rest.lstrip() if rendered.startswith(bare) and bare != prompt else None


def missing_part(turn: Turn, text: str) -> str:
    """Find what of a turn does not stand in a text.

    Args:
        turn: its content and calls are looked for.
        text: as a template wrote it.

    Returns:
        What is missing, in words; "" where nothing is.
    """
    content = thoughts_in(turn.get("content", "")).answer if turn["role"] == "assistant" else None
    if not stands_in(turn.get("content", "") if content is None else content, text):
        return "the text"
    for call in turn.get("tool_calls", ()):
        function = call["function"]
        if function["name"] not in text:
            return f"the call of {function['name']}"
        for value in strings_in(function["arguments"]):
            if not stands_in(value, text):
                return f"arguments of {function['name']}"
        if is_python(function["arguments"], text):
            return f"the JSON of the arguments of {function['name']}"
    return ""


def is_python(arguments: Any, text: str) -> bool:
    """Tell whether arguments stand in a text as Python writes them, which no tool reads.

    Args:
        arguments: of a call.
        text: as a template wrote it.

    Returns:
        Whether they do, and JSON would be written otherwise.
    """
    written = isinstance(arguments, dict) and bool(arguments) and str(arguments) in text
    return written and str(arguments) != _json(arguments)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def stands_in(piece: str, text: str) -> bool:
    r"""Tell whether a piece stands in a text, as it is, trimmed, or as JSON has it.

    Args:
        piece: what is looked for.
        text: where.

    Returns:
        Whether it does.

    >>> stands_in('say "a"', r'{"x": "say \"a\""}')
    True
    """
    piece = piece.strip()
    return piece in text or _json(piece)[1:-1] in text or json.dumps(piece)[1:-1] in text
