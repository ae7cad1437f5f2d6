"""What came over the wire, whole or in pieces, as the fields of a reply."""

import codecs
import contextlib
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from distill_lab.data.turns import THOUGHTS, read_content
from distill_lab.teachers.text.faults import BodyError, GarbageError, PageError

TITLE = re.compile(r"<title[^>]*>(.*?)</title", re.IGNORECASE | re.DOTALL)
CHARSET = re.compile(r"charset=[\"']?([\w.:-]+)", re.IGNORECASE)
MOST_TOKENS = 10**12  # a count beyond is none


def read_response(headers: Mapping[str, str], raw: bytes) -> dict[str, Any]:
    """Read a reply's fields, from a stream where the server sends one and else from the whole.

    What the body begins with counts for more than what its header calls it.

    Args:
        headers: Those of the response, by their names in small letters.
        raw: Its body.

    Returns:
        text, thinking, refusal, tool_calls, finish, tokens, model and fingerprint.

    Raises:
        PageError: For a web page, or what another interface than this says.
        BodyError: For an error with the status of an answer.
        GarbageError: For anything else that is no chat completion.
    """
    named = headers.get("content-type", "").lower()
    raw = raw.removeprefix(codecs.BOM_UTF8)
    start = raw[:2000].lstrip().lower()
    if not start.startswith((b"{", b"[")):
        if "event-stream" in named or start.startswith((b"data:", b"event:")):
            return _collected(_events(raw))
        if start.startswith(b"<"):
            title = TITLE.search(raw[:20_000].decode("utf-8", "replace"))
            words = f" with the title {' '.join(title[1].split())[:80]!r}" if title else ""
            raise PageError(f"the server sent a web page{words} where an answer was expected")
    charset = CHARSET.search(named)
    return _whole(_json(raw, charset[1] if charset else "utf-8"))


def _json(raw: bytes, charset: str) -> Any:
    """A body's value; of several on end the first, which says whose form it is."""
    try:
        return json.loads(raw)
    except UnicodeDecodeError:
        try:
            return json.loads(raw.decode(charset))
        except (ValueError, LookupError):
            raise GarbageError("the answer is no text in UTF-8") from None
    except json.JSONDecodeError as error:
        if error.msg == "Extra data" and raw.lstrip()[:1] == b"{":
            _choices(json.loads(error.doc[: error.pos]))
        elif not raw.strip():
            raise GarbageError("the answer is empty") from None
        elif raw.lstrip()[:1] not in (b"{", b"["):
            words = " ".join(error.doc.split())[:80]
            raise PageError(f"the server said {words!r}, and no answer") from None
        raise GarbageError("the answer is not JSON") from None
    except (ValueError, RecursionError):  # a number without end, lists in lists in lists
        raise GarbageError("the answer is not JSON") from None


def _whole(answer: Any) -> dict[str, Any]:
    """The fields of one whole answer."""
    choices = _choices(answer)
    if not choices:
        fields = ", ".join(map(repr, [*answer][:5])) or "of an empty object"
        raise PageError(f"the server sent no chat completion, but the fields {fields}")
    message = choices[0].get("message")
    if message is None and isinstance(choices[0].get("text"), str):
        raise PageError("the server answered as plain completions, not as chat completions")
    if not isinstance(message, Mapping):
        raise GarbageError("the answer holds no message")
    return {
        **_said(message),
        "tool_calls": _called([_calls_in(message)]),
        "finish": _text(choices[0].get("finish_reason")),
        "tokens": _tokens(answer.get("usage")),
        "model": _text(answer.get("model")),
        "fingerprint": _text(answer.get("system_fingerprint")),
    }


def _collected(pieces: Iterator[Any]) -> dict[str, Any]:
    """The same from a stream; one that ends neither with a reason nor with [DONE] was cut.

    Some servers give no reason at all, and end with [DONE]: then the finish is "". Of several
    answers at once the one that begins is read.
    """
    texts: dict[str, list[str]] = {"text": [], "thinking": [], "refusal": []}
    finish, tokens, model, fingerprint, closed = "", _tokens(None), "", "", False
    calls: list[Any] = []
    own: Any = None
    ours = None
    for piece in pieces:
        if piece is None:
            closed = True
            break
        choices = _choices(piece)
        ours = bool(ours) or "choices" in piece
        model = model or _text(piece.get("model"))
        fingerprint = fingerprint or _text(piece.get("system_fingerprint"))
        if piece.get("usage") is not None:
            tokens = _tokens(piece["usage"])
        for choice in choices:
            index = choice.get("index")
            own = index if own is None else own
            if index not in (None, own):
                continue
            delta = choice.get("delta") or choice.get("message") or {}
            if not isinstance(delta, Mapping):
                raise GarbageError("a piece of the stream holds no message")
            calls.append(_calls_in(delta))
            for name, text in _said(delta).items():
                texts[name].append(text)
            finish = _text(choice.get("finish_reason")) or finish
    if ours is False:
        raise PageError("the server streamed in another form than that of chat completions")
    if not finish and not closed:
        raise GarbageError("the stream was cut before its end")
    joined = {name: _mended("".join(parts)) for name, parts in texts.items()}
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
        raise PageError("the server sent no chat completion")
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
    for line in (*raw.splitlines(), b""):
        if line.startswith(b"data:"):
            held.append(line[5:].strip())
        elif not line and held:  # not a comment, nor another field
            yield from _event(held)
            held = []


def _event(lines: list[bytes]) -> Iterator[Any]:
    """What stands in the lines of an event; one a line where an empty line is missing between."""
    for parts in ([b"\n".join(lines)], lines):
        try:
            values = [None if _is_end(part) else json.loads(part) for part in parts]
        except (ValueError, RecursionError):
            continue
        yield from values
        return
    words = " ".join(b" ".join(lines).decode("utf-8", "replace").split())[:80]
    raise GarbageError(f"a piece of the stream is not JSON: {words!r}")


def _is_end(part: bytes) -> bool:
    return part.strip(b'"').upper().startswith(b"[DONE]")


def _said(message: Mapping[str, Any]) -> dict[str, str]:
    """Text, thinking and refusal; servers name the thinking differently, or put it into parts."""
    text, inside = _read(message.get("content"))
    for name in reversed(THOUGHTS):
        with contextlib.suppress(GarbageError):  # settings of the thinking, or what is not shown
            inside = "".join(_read(message.get(name))) or inside
    return {"text": text, "thinking": inside, "refusal": _text(message.get("refusal"))}


def _read(content: Any) -> tuple[str, str]:
    """The text of a content and the thoughts in it."""
    try:
        text, thoughts = read_content(content)
    except ValueError as error:
        raise GarbageError(f"the answer {str(error).rstrip('.')}") from None
    return text or "", "".join(thoughts)


def _calls_in(message: Mapping[str, Any]) -> list[Any]:
    """The calls of a message, or of a piece of one, in a list."""
    calls = message.get("tool_calls")
    if not calls and message.get("function_call"):  # as it was called before there were several
        calls = [{"index": 0, "function": message["function_call"]}]
    return list(calls) if isinstance(calls, list) else [calls] if calls else []


def _called(given: list[list[Any]]) -> tuple[dict[str, Any], ...]:
    """The functions that an answer calls, from the calls of each of its pieces."""
    calls: dict[int, dict[str, Any]] = {}
    for parts in given:
        for place, part in enumerate(parts):
            function = part.get("function") or part if isinstance(part, Mapping) else None
            if not isinstance(part, Mapping) or not isinstance(function, Mapping):
                raise GarbageError(f"the answer calls no function: {str(part)[:60]!r}")
            index = part.get("index")
            call = calls.setdefault(index if isinstance(index, int) else place, {})
            if name := _text(part.get("id")):
                call["id"] = name
            made = call.setdefault("function", {"name": "", "arguments": ""})
            call["type"] = "function"
            for name in made:
                value = function.get(name)
                if isinstance(value, Mapping):  # arguments that nobody made a text of
                    value = json.dumps(value, ensure_ascii=False)
                made[name] += _text(value)
    for call in calls.values():
        call["function"] = {name: _mended(text) for name, text in call["function"].items()}
    return tuple(calls[index] for index in sorted(calls))


def _mended(text: str) -> str:
    """Join the two halves of a character that came in two pieces; one alone is left as it is."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _tokens(usage: Any) -> tuple[int | None, int | None]:
    given = usage if isinstance(usage, Mapping) else {}
    counts = [given.get(name) for name in ("prompt_tokens", "completion_tokens")]
    prompt, answer = (n if type(n) is int and 0 <= n < MOST_TOKENS else None for n in counts)
    return prompt, answer
