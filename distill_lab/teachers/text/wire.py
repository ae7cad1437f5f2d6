"""What came over the wire, whole or in pieces, as the fields of a reply."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from distill_lab.teachers.text.faults import BodyError, GarbageError, PageError

TITLE = re.compile(r"<title[^>]*>(.*?)</title", re.IGNORECASE | re.DOTALL)


def read_response(headers: Mapping[str, str], raw: bytes) -> dict[str, Any]:
    """Read a reply's fields, from a stream where the server sends one and else from the whole.

    Args:
        headers: Those of the response, by their names in small letters.
        raw: Its body.

    Returns:
        text, thinking, refusal, tool_calls, finish, tokens, model and fingerprint.

    Raises:
        PageError: For a web page, or what another interface than this says.
        BodyError: For an error with the status of an answer.
        GarbageError: For anything else that is no chat completion.
        UnicodeDecodeError: For bytes that are no text.
    """
    kind = headers.get("content-type", "").split(";")[0].strip().lower()
    start = raw[:2000].lstrip().lower()
    if kind == "text/event-stream" or start.startswith(b"data:"):  # or under another name
        return _collected(_events(raw))
    if kind in ("text/html", "application/xhtml+xml") or start.startswith((b"<!doctype", b"<html")):
        title = TITLE.search(raw[:20_000].decode("utf-8", "replace"))
        named = f" with the title {' '.join(title[1].split())[:80]!r}" if title else ""
        raise PageError(f"the server sent a web page{named} where an answer was expected")
    return _whole(json.loads(raw))


def _whole(answer: Any) -> dict[str, Any]:
    """The fields of one whole answer."""
    choices = _choices(answer)
    if not choices:
        raise GarbageError("the answer is no chat completion")
    message = choices[0].get("message")
    if not isinstance(message, Mapping):
        raise GarbageError("the answer holds no message")
    return {
        **_said(message),
        "tool_calls": _called([message.get("tool_calls")]),
        "finish": _text(choices[0].get("finish_reason")),
        "tokens": _tokens(answer.get("usage")),
        "model": _text(answer.get("model")),
        "fingerprint": _text(answer.get("system_fingerprint")),
    }


def _collected(pieces: Iterator[Any]) -> dict[str, Any]:
    """The same from a stream; one that ends neither with a reason nor with [DONE] was cut.

    Some servers give no reason at all, and end with [DONE]: then the finish is "".
    """
    texts: dict[str, list[str]] = {"text": [], "thinking": [], "refusal": []}
    finish, tokens, model, fingerprint, closed = "", _tokens(None), "", "", False
    calls: list[Any] = []
    for piece in pieces:
        if piece is None:
            closed = True
            break
        choices = _choices(piece)
        model = model or _text(piece.get("model"))
        fingerprint = fingerprint or _text(piece.get("system_fingerprint"))
        if piece.get("usage") is not None:
            tokens = _tokens(piece["usage"])
        for choice in choices[:1]:
            delta = choice.get("delta") or choice.get("message") or {}
            calls.append(delta.get("tool_calls"))
            for name, text in _said(delta).items():
                texts[name].append(text)
            finish = _text(choice.get("finish_reason")) or finish
    if not finish and not closed:
        raise GarbageError("the stream was cut before its end")
    joined = {name: "".join(parts) for name, parts in texts.items()}
    return {
        **joined,
        "tool_calls": _called(calls),
        "finish": finish,
        "tokens": tokens,
        "model": model,
        "fingerprint": fingerprint,
    }


def _choices(answer: Any) -> list[Mapping[str, Any]]:
    """The choices of an answer or of a piece; an error in their place is raised as one."""
    if not isinstance(answer, Mapping):
        raise GarbageError("the answer is no chat completion")
    choices = answer.get("choices")
    if isinstance(choices, list) and all(isinstance(choice, Mapping) for choice in choices):
        if choices and (fault := choices[0].get("error")):  # OpenRouter puts it there
            raise BodyError(fault)
        if choices or not answer.get("error"):
            return choices
    if fault := answer.get("error") or (answer.get("type") == "error" and answer):
        raise BodyError(fault)
    if answer.get("object") == "error":
        raise BodyError(answer)
    if isinstance(detail := answer.get("detail"), str):
        raise PageError(f"the server said {' '.join(detail.split())[:200]!r}, and no answer")
    if {"message", "done"} <= answer.keys() or {"response", "done"} <= answer.keys():
        raise PageError("the server answered in Ollama's own form, not as chat completions")
    return []


def _events(raw: bytes) -> Iterator[Any]:
    """The pieces of a stream of events, each read from JSON; None for [DONE]."""
    held: list[bytes] = []
    for line in (*raw.split(b"\n"), b""):
        held, done = _line(line, held)
        yield from done


def _line(line: bytes, held: list[bytes]) -> tuple[list[bytes], list[Any]]:
    """What one more line makes of what is held of an event, and the event if it is whole."""
    line = line.rstrip(b"\r")
    if line.startswith(b"data:"):
        return [*held, line[5:].strip()], []
    if line or not held:  # a comment or another field; or a line end and no event
        return held, []
    text = b"\n".join(held)
    return [], [None if text.startswith(b"[DONE]") else json.loads(text)]


def _said(message: Any) -> dict[str, str]:
    """Text, thinking and refusal; vLLM, SGLang and others name the thinking differently."""
    thinking = message.get("reasoning_content") or message.get("reasoning")
    return {
        "text": _text(message.get("content")),
        "thinking": _text(thinking),
        "refusal": _text(message.get("refusal")),
    }


def _called(given: list[Any]) -> tuple[dict[str, Any], ...]:
    """The functions that an answer calls, from the calls of each of its pieces."""
    calls: dict[int, dict[str, Any]] = {}
    for parts in given:
        for place, part in enumerate(parts or ()):
            index = part.get("index")
            call = calls.setdefault(index if isinstance(index, int) else place, {})
            if name := _text(part.get("id")):
                call["id"] = name
            made = call.setdefault("function", {"name": "", "arguments": ""})
            call["type"] = "function"
            for name in made:
                made[name] += _text((part.get("function") or {}).get(name))
    return tuple(calls[index] for index in sorted(calls))


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list):  # some servers give the content in parts
        return "".join(_text(part.get("text")) for part in value if isinstance(part, dict))
    return ""


def _tokens(usage: Any) -> tuple[int | None, int | None]:
    given = usage if isinstance(usage, Mapping) else {}
    counts = [given.get(name) for name in ("prompt_tokens", "completion_tokens")]
    prompt, answer = (n if isinstance(n, int) and n >= 0 else None for n in counts)
    return prompt, answer
