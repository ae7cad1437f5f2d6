"""Who says what: the turns of a row read as people have them, none of it lost in silence."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from distill_lab.data.calls import Turn, read_calls, read_tools, with_json
from distill_lab.data.plain_values import check_characters, without_nulls
from distill_lab.data.thoughts import speaks_in_channels, thoughts_in

THOUGHTS = ("reasoning_content", "reasoning", "thinking")  # what templates and servers call them
SYSTEM_ROLES = ("system", "developer")
ROLES = ("system", "user", "assistant", "tool", "developer")
TEXT_PARTS = ("text", "input_text", "output_text")
THOUGHT_PARTS = ("thinking", "reasoning")
LEARNED = ("weight", "train", "loss")  # where a message says whether it is learned: 0 or false


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
        reply = {key: row[key] for key in ("tool_calls", *THOUGHTS) if key in row}
        if not isinstance(reply.get("reasoning"), str):  # beside a row it may be a setting
            reply.pop("reasoning", None)
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
    role, given = turn["role"], turn.get("content")
    if len(turn) == 2 and isinstance(given, str) and role != "assistant":
        check_characters(role)
        check_characters(given)
        return {"role": _role(role), "content": given}  # the usual turn: nothing needs another form
    kept: Turn = without_nulls(turn)
    given = kept.pop("content", None)
    thoughts = [_thought(name, kept.pop(name)) for name in THOUGHTS if name in kept]
    calls = read_calls(kept)
    content, inside = _text(given, kept["role"])
    if content and kept["role"] == "assistant" and speaks_in_channels(content):
        parts = thoughts_in(content)
        content, inside = (parts.answer or content), [parts.inside, *inside]
    read: Turn = {"role": _role(kept.pop("role"))}
    if content is not None or calls or thoughts:
        read["content"] = content or ""
    else:
        raise ValueError("has no content: expected a text, parts of text, or tool_calls.")
    thought = "\n".join(each for each in (*thoughts[:1], *inside) if each.strip())
    if thought:
        read["reasoning_content"] = thought
    if calls:
        read["tool_calls"] = calls
    read |= kept
    check_characters(read)
    return read


def _thought(name: str, value: Any) -> str:
    """What was thought, as a text, however it is given."""
    try:
        return _all_of(value)
    except ValueError:
        raise ValueError(f"has a {name} that is no text: {str(value)[:60]}.") from None


def _all_of(content: Any) -> str:
    """The text of a content together with the thoughts among its parts."""
    text, inside = read_content(content)
    return (text or "") + "".join(inside)


def _role(role: str) -> str:
    if role not in ROLES and (meant := role.strip().lower()) in ROLES:
        raise ValueError(f"has the role {role!r}: a template would write it so. Write {meant!r}.")
    return role


def _text(content: Any, role: str) -> tuple[str | None, list[str]]:
    """The text of a turn's content; what a tool gives back may be any value."""
    plain = content is None or isinstance(content, str)
    if role != "tool" or plain or (isinstance(content, (list, tuple)) and _is_parts(content)):
        return read_content(content)
    return json.dumps(content, ensure_ascii=False), []


def read_content(content: Any) -> tuple[str | None, list[str]]:
    """Read the text of a content and the thoughts among its parts.

    Args:
        content: a text, a part, or a list of parts; a part of thoughts may hold parts itself.

    Returns:
        The text, None where there is none; and each part of the thoughts.

    Raises:
        ValueError: for a part that is no text, and for another value.

    >>> read_content([{"type": "thinking", "thinking": "two"}, {"type": "text", "text": "4"}])
    ('4', ['two'])
    """
    if content is None or isinstance(content, str):
        return content, []
    parts = [content] if isinstance(content, Mapping) else content
    if not isinstance(parts, (list, tuple)):
        raise ValueError(f"has a content that is no text: {str(content)[:60]}.")
    texts: list[str] = []
    thoughts: list[str] = []
    for part in parts:
        kind = str(part.get("type", "text")) if isinstance(part, Mapping) else "text"
        words = part.get("text", part.get(kind)) if isinstance(part, Mapping) else part
        thought = kind in THOUGHT_PARTS
        if thought and isinstance(words, (list, tuple)):  # Mistral's thoughts are parts again
            words = _all_of(words)
        if not (thought or kind in TEXT_PARTS) or not isinstance(words, str):
            raise ValueError(
                f"holds a part of the type {kind!r} beside its text: only parts of text can be "
                "read. Leave such rows out, or put into words what the part shows."
            )
        (thoughts if thought else texts).append(words)
    return "".join(texts), thoughts


def _is_parts(content: Sequence[Any]) -> bool:
    return all(isinstance(part, Mapping) and "type" in part for part in content)


def is_learned(turn: Turn) -> bool:
    """Tell whether a turn is there to be learned: without a word on it, it is.

    Args:
        turn: as `read_turn` leaves it.

    Returns:
        False where its weight is 0, or train or loss false.

    >>> is_learned({"role": "assistant", "content": "4", "weight": 0})
    False
    """
    return not any(turn.get(name, 1) in (0, False) for name in LEARNED)


def messages_of(turns: Sequence[Turn]) -> list[Turn]:
    """Write turns as a server takes them: arguments of calls as JSON, nothing empty or null.

    What says whether a turn is learned is left out: a server knows no such key.

    Args:
        turns: as `read_turns` leaves them, or as people have them.

    Returns:
        The messages of a request.
    """
    messages = [with_json(turn) for turn in read_turns(turns)]
    for turn in messages:
        for name in LEARNED:
            turn.pop(name, None)
        if "tool_calls" in turn and not turn["content"]:
            del turn["content"]
    return messages
