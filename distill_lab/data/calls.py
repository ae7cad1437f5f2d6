"""Calls of tools in a turn, and the tools that may be called."""

import json
from collections.abc import Mapping
from typing import Any

from distill_lab.data.plain_values import check_characters, without_nulls

Turn = dict[str, Any]


def read_calls(turn: Turn) -> list[dict[str, Any]]:
    """Take the calls out of a turn, each with its function.

    Args:
        turn: a message; its calls are removed.

    Returns:
        The calls, their arguments a mapping where they are JSON.

    Raises:
        ValueError: for what calls nothing by its name.
    """
    calls = turn.pop("tool_calls", None) or []
    if "function_call" in turn:  # as they were called before there could be several
        calls = [*calls, {"type": "function", "function": turn.pop("function_call")}]
    calls = parsed(calls)
    if not isinstance(calls, (list, tuple)):
        raise ValueError(f"has tool_calls that are no list: {str(calls)[:60]}.")
    read = []
    for call in calls:
        function = call.get("function", call) if isinstance(call, Mapping) else None
        if not isinstance(function, Mapping) or not isinstance(function.get("name"), str):
            raise ValueError(f"calls no function by its name: {str(call)[:60]}.")
        others = {key: value for key, value in call.items() if key not in ("name", "arguments")}
        arguments = parsed(function.get("arguments", {}))
        named = {**function, "arguments": arguments}
        read.append({"type": "function", **others, "function": named})
    return read


def read_tools(tools: Any) -> list[dict[str, Any]]:
    """Read descriptions of tools, a list or its JSON.

    Args:
        tools: as a row holds them; None for none.

    Returns:
        The descriptions.

    Raises:
        ValueError: for anything else.
    """
    if tools is None:
        return []
    tools = parsed(without_nulls(tools)) or []
    if not isinstance(tools, (list, tuple)) or not all(isinstance(one, Mapping) for one in tools):
        raise ValueError(f"has tools that are no list of descriptions: {str(tools)[:60]!r}.")
    check_characters(tools)
    return [dict(tool) for tool in tools]


def with_json(turn: Turn) -> Turn:
    """Write the arguments of a turn's calls as JSON.

    Args:
        turn: as `read_turn` leaves it.

    Returns:
        The turn.
    """
    if "tool_calls" not in turn:
        return turn
    calls = []
    for call in turn["tool_calls"]:
        arguments = call["function"]["arguments"]
        if not isinstance(arguments, str):
            arguments = json.dumps(arguments, ensure_ascii=False)
        calls.append({**call, "function": {**call["function"], "arguments": arguments}})
    return {**turn, "tool_calls": calls}


def parsed(value: Any) -> Any:
    """Read the value whose JSON a text holds; another text is left as it is.

    Args:
        value: a text, or any other value.

    Returns:
        The value.

    >>> parsed('[{"a": 1}]'), parsed("[1] says so")
    ([{'a': 1}], '[1] says so')
    """
    if isinstance(value, str) and value.strip()[:1] in ("{", "["):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value
