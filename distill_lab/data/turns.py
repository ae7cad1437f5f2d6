"""Who says what: the turns of a row read as people have them, none of it lost in silence."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

Turn = dict[str, Any]

THOUGHTS = ("reasoning_content", "reasoning", "thinking")  # what templates and servers call them
TEXT_PARTS = ("text", "input_text", "output_text")
THOUGHT_PARTS = ("thinking", "reasoning")
TAG = r"(?:think|thinking|thought|reasoning)"
OPENING = re.compile(rf"\s*<{TAG}>")
# No end of thoughts: a tag in quotes, or in the midst of a sentence that is about it.
CLOSING = re.compile(rf"(?<![`'\"])</{TAG}>(?![`'\"])")
CHANNEL = re.compile(r"<\|channel\|>(\w+)[^<]*<\|message\|>(.*?)(?=<\|end\|>|<\|return\|>|$)", re.S)


class HalfCharacterError(ValueError):
    """A text holds half of a character that is written in two halves."""


class Thoughts(NamedTuple):
    """A text in four parts, which joined are the text again.

    Args:
        opening: the opening tag with the space before it; "" where there is none.
        inside: what was thought.
        closing: the closing tag; "" where there is none.
        answer: the answer behind it.
    """

    opening: str
    inside: str
    closing: str
    answer: str


def thoughts_in(text: str) -> Thoughts:
    r"""Find what was thought before an answer, where both stand in one text.

    Thoughts stand between tags such as <think> and </think>, before the closing tag alone (a
    template may have written the opening one), or in Harmony's channel "analysis". Where they were
    opened and never closed there is no answer. A tag in quotes, or with words on both sides of its
    line and spaces between, is part of a sentence.

    Args:
        text: the text.

    Returns:
        Its parts.

    >>> thoughts_in("two and two\n</think>\n4").answer
    '\n4'
    """
    channels = CHANNEL.findall(text)
    if any(name == "final" for name, _ in channels):
        inside = "\n".join(words.strip() for name, words in channels if name != "final")
        final = [words for name, words in channels if name == "final"]
        return Thoughts("<|channel|>analysis<|message|>" if inside else "", inside, "", final[-1])
    opening = OPENING.match(text)
    start = opening.end() if opening else 0
    ends = [end for end in CLOSING.finditer(text, start) if not _in_a_sentence(text, end)]
    if not ends:
        return Thoughts(text[:start], text[start:], "", "") if opening else _only_said(text)
    last = ends[-1]
    return Thoughts(text[:start], text[start : last.start()], last[0], text[last.end() :])


def _only_said(text: str) -> Thoughts:
    return Thoughts("", "", "", text)


def _in_a_sentence(text: str, tag: re.Match[str]) -> bool:
    before, after = text[: tag.start()][-2:], text[tag.end() :][:2]
    return bool(re.fullmatch(r"\S ", before) and re.fullmatch(r" \S|[.,;:!?)].?", after))


def answer_in(text: str) -> str:
    """Take what a text says as its answer: what stands behind its thoughts.

    Args:
        text: an answer, perhaps with its thoughts.

    Returns:
        The answer; the whole text where nothing was thought.

    >>> answer_in("<think>two and two</think>4")
    '4'
    """
    parts = thoughts_in(text)
    return parts.answer.lstrip() if parts.opening or parts.closing else text


@dataclass(frozen=True)
class Conversation:
    """Turns, and what they may make use of.

    Args:
        turns: who says what, in order, each as `read_turn` leaves it.
        tools: descriptions of functions that may be called.
        options: what the row gives to its template.
    """

    turns: tuple[Turn, ...]
    tools: tuple[dict[str, Any], ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def question(self) -> "Conversation":
        """It without what the assistant said last: what somebody is asked who shall answer."""
        turns = list(self.turns)
        while turns and turns[-1]["role"] == "assistant":
            turns.pop()
        return Conversation(tuple(turns), self.tools, self.options)


def read_conversation(row: Mapping[str, Any], *, answered: bool = True) -> Conversation:
    """Read the turns of a row, whatever it holds of them.

    `messages`, or `prompt` (a text or messages) with an `answer`; beside them `tools`, and
    `thinking` or `tool_calls` that go with the answer, as `generate` writes them.

    Args:
        row: as `exchange_of` leaves it; keys with null count as absent.
        answered: whether the last turn has to be the assistant's.

    Returns:
        The conversation.

    Raises:
        ValueError: for a row without prompt or answer, or with something that is no text.

    >>> row = {"prompt": "2 + 2?", "answer": "4", "thinking": "two and two"}
    >>> read_conversation(row).turns[-1]
    {'role': 'assistant', 'content': '4', 'reasoning_content': 'two and two'}
    """
    row = without_nulls(row)
    turns, prompt, answer = row.get("messages"), row.get("prompt"), row.get("answer")
    if not turns:
        if isinstance(prompt, str):
            prompt = [{"role": "user", "content": prompt}]
        fits = answer is None or isinstance(answer, (str, list))
        if not isinstance(prompt, (list, tuple)) or not prompt or not (fits or not answered):
            raise ValueError(_expected(row))
        reply = {key: row[key] for key in ("tool_calls", *THOUGHTS[::2]) if key in row}
        if answer is not None:
            reply["content"] = answer
        turns = [*prompt, *([{"role": "assistant", **reply}] if reply and answered else [])]
    turns = read_turns(turns)
    if answered and turns[-1]["role"] != "assistant":
        raise ValueError(_expected(row))
    options = row.get("chat_template_kwargs")
    return Conversation(
        tuple(turns), tuple(read_tools(row.get("tools"))), options if options else {}
    )


def _expected(row: Mapping[str, Any]) -> str:
    return (
        f'has the fields {sorted(row)}: expected "prompt" and "answer" as text, '
        'or "messages" whose last one is the assistant\'s.'
    )


def read_turns(turns: Any) -> list[Turn]:
    """Read messages, each as `read_turn` does.

    Args:
        turns: a list of them.

    Returns:
        The turns.

    Raises:
        ValueError: for what is no message, with its number.
    """
    if not isinstance(turns, (list, tuple)) or not turns:
        raise ValueError(f"messages must be a list of messages, got {str(turns)[:60]!r}.")
    read = []
    for number, turn in enumerate(turns, 1):
        try:
            read.append(read_turn(turn))
        except ValueError as error:
            raise type(error)(f"message {number} {error}") from None
    return read


def read_turn(turn: Any) -> Turn:
    """Bring one message into the form that templates know.

    Text in parts is joined, keys with null are left out, thoughts stand under
    `reasoning_content`, and arguments of calls are a mapping where they are JSON.

    Args:
        turn: `{"role": ..., "content": ...}`, perhaps with `tool_calls`.

    Returns:
        The turn, its content "" where it calls a tool and says nothing.

    Raises:
        ValueError: for a picture or another part that is no text, for content that is none, and
            for half a character.

    >>> read_turn({"role": "user", "content": [{"type": "text", "text": "hi"}], "name": None})
    {'role': 'user', 'content': 'hi'}
    """
    if not isinstance(turn, Mapping) or not isinstance(turn.get("role"), str):
        raise ValueError(f'must be {{"role": ..., "content": ...}}, got {str(turn)[:60]!r}.')
    kept: Turn = without_nulls(turn)
    given = kept.pop("content", None)
    thoughts = [kept.pop(name) for name in THOUGHTS if name in kept]
    calls = _calls(kept)
    content, inside = _text(given, kept["role"])
    read: Turn = {"role": kept.pop("role")}
    if content is not None or calls or thoughts:
        read["content"] = content or ""
    else:
        raise ValueError("has no content: expected a text, parts of text, or tool_calls.")
    thought = "\n".join(str(each) for each in (*thoughts[:1], *inside) if str(each).strip())
    if thought:
        read["reasoning_content"] = thought
    if calls:
        read["tool_calls"] = calls
    read |= kept
    check_characters(read)
    return read


def _text(content: Any, role: str) -> tuple[str | None, list[str]]:
    """The text of a content and the thoughts among its parts."""
    if content is None or isinstance(content, str):
        return content, []
    if isinstance(content, (list, tuple)) and not (role == "tool" and not _is_parts(content)):
        texts: list[str] = []
        thoughts: list[str] = []
        for part in content:
            kind = part.get("type", "text") if isinstance(part, Mapping) else "text"
            words = part if isinstance(part, str) else None
            if isinstance(part, Mapping):
                words = part.get("text", part.get(kind))
            if kind not in (*TEXT_PARTS, *THOUGHT_PARTS) or not isinstance(words, str):
                raise ValueError(
                    f"holds a part of the type {kind!r} beside its text: only parts of text can be "
                    "read. Leave such rows out, or put into words what the part shows."
                )
            (thoughts if kind in THOUGHT_PARTS else texts).append(words)
        return "".join(texts), thoughts
    if role == "tool":  # what a tool gives back may be any value
        return json.dumps(content, ensure_ascii=False), []
    raise ValueError(f"has a content that is no text: {str(content)[:60]}.")


def _is_parts(content: Sequence[Any]) -> bool:
    return all(isinstance(part, Mapping) and "type" in part for part in content)


def _calls(turn: Turn) -> list[dict[str, Any]]:
    """The calls of a turn, taken out of it; each with its function."""
    calls = turn.pop("tool_calls", None) or []
    if "function_call" in turn:  # as they were called before there could be several
        calls = [*calls, {"type": "function", "function": turn.pop("function_call")}]
    calls = _parsed(calls)
    if not isinstance(calls, (list, tuple)):
        raise ValueError(f"has tool_calls that are no list: {str(calls)[:60]}.")
    read = []
    for call in calls:
        function = call.get("function", call) if isinstance(call, Mapping) else None
        if not isinstance(function, Mapping) or not isinstance(function.get("name"), str):
            raise ValueError(f"calls no function by its name: {str(call)[:60]}.")
        others = {key: value for key, value in call.items() if key not in ("name", "arguments")}
        arguments = _parsed(function.get("arguments", {}))
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
    tools = _parsed(without_nulls(tools)) or []
    if not isinstance(tools, (list, tuple)) or not all(isinstance(one, Mapping) for one in tools):
        raise ValueError(f"has tools that are no list of descriptions: {str(tools)[:60]!r}.")
    check_characters(tools)
    return [dict(tool) for tool in tools]


def messages_of(turns: Sequence[Turn]) -> list[Turn]:
    """Write turns as a server takes them: arguments of calls as JSON, nothing empty or null.

    Args:
        turns: as `read_turns` leaves them, or as people have them.

    Returns:
        The messages of a request.
    """
    messages = [with_json(turn) for turn in read_turns(turns)]
    for turn in messages:
        if "tool_calls" in turn and not turn["content"]:
            del turn["content"]
    return messages


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


def _parsed(value: Any) -> Any:
    """A value whose JSON a text holds; another text as it is."""
    if isinstance(value, str) and value.strip()[:1] in ("{", "["):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


def without_nulls(value: Any) -> Any:
    """Leave out what is null, at any depth: tables fill with it what a row does not have.

    >>> without_nulls({"a": 1, "b": None, "c": [{"d": None}]})
    {'a': 1, 'c': [{}]}
    """
    if isinstance(value, Mapping):
        return {key: without_nulls(one) for key, one in value.items() if one is not None}
    if isinstance(value, (list, tuple)):
        return [without_nulls(one) for one in value]
    return value


def strings_in(value: Any) -> Iterator[str]:
    """All texts of plain values, at any depth.

    Args:
        value: mappings, lists, texts and other values.

    Yields:
        The texts, keys left out.
    """
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from strings_in(one)
    elif isinstance(value, (list, tuple)):
        for one in value:
            yield from strings_in(one)


def check_characters(value: Any) -> None:
    """Refuse half a character, which no tokenizer and no server can read.

    Args:
        value: what is looked through.

    Raises:
        HalfCharacterError: naming it.
    """
    for text in strings_in(value):
        if half := re.search("[\ud800-\udfff]", text):
            raise HalfCharacterError(
                f"holds half a character, {half[0]!a} at position {half.start()}, which is no "
                "text: mend it, or leave the row out."
            )


def mended(value: Any) -> Any:
    r"""Replace half characters in plain values by the sign for what cannot be read.

    Args:
        value: mappings, lists, texts and other values.

    Returns:
        The same, readable.

    >>> mended({"a": ["half \ud83d"]}) == {"a": ["half \ufffd"]}
    True
    """
    if isinstance(value, str):
        return re.sub("[\ud800-\udfff]", "\ufffd", value)
    if isinstance(value, Mapping):
        return {key: mended(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [mended(one) for one in value]
    return value
