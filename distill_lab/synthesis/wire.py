"""The chat completions interface: what is sent, and what of the answer is kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from distill_lab.synthesis.requests import Request


class Garbage(Exception):
    """The server answered, but not with a chat completion."""


def body_of(request: Request, model: str, stream: bool, extra: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of one call; one answer a request, so that each has a seed of its own."""
    sampling = request.sampling
    body: dict[str, Any] = {
        "model": model,
        "messages": list(request.prompt.messages),
        "temperature": sampling.temperature,
        "max_tokens": sampling.max_tokens,
    }
    if sampling.top_p < 1:
        body["top_p"] = sampling.top_p
    if sampling.stop:
        body["stop"] = list(sampling.stop)
    if request.seed is not None:
        body["seed"] = request.seed
    if sampling.schema is not None:
        body["response_format"] = {
            "type": "json_schema",
            "json_schema": {"name": "answer", "schema": dict(sampling.schema)},
        }
    if stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    if extra:
        body["extra_body"] = dict(extra)
    return body


def read(answer: Any) -> dict[str, Any]:
    """The fields of a Reply from one whole answer. Raises Garbage where it is none."""
    choices = getattr(answer, "choices", None)
    if not isinstance(choices, list) or not choices:
        raise Garbage("the answer is no chat completion")
    message = getattr(choices[0], "message", None)
    if message is None:
        raise Garbage("the answer holds no message")
    return {
        "text": _text(getattr(message, "content", None)),
        "thinking": _thinking(message),
        "refusal": _text(getattr(message, "refusal", None)),
        "finish": _text(getattr(choices[0], "finish_reason", None)),
        "tokens": _tokens(getattr(answer, "usage", None)),
        "model": _text(getattr(answer, "model", None)),
    }


async def collect(stream: Any, alive: Callable[[], None]) -> dict[str, Any]:
    """The same from a stream; ``alive`` is called for every piece.

    Raises Garbage where the stream ends before the server said why.
    """
    found: dict[str, Any] = {"finish": "", "tokens": (None, None), "model": ""}
    found |= {name: [] for name in ("text", "thinking", "refusal")}
    try:
        async for piece in stream:
            alive()
            found["model"] = found["model"] or _text(getattr(piece, "model", None))
            if (usage := getattr(piece, "usage", None)) is not None:
                found["tokens"] = _tokens(usage)
            for choice in (getattr(piece, "choices", None) or [])[:1]:
                delta = getattr(choice, "delta", None)
                found["text"].append(_text(getattr(delta, "content", None)))
                found["thinking"].append(_thinking(delta))
                found["refusal"].append(_text(getattr(delta, "refusal", None)))
                found["finish"] = _text(getattr(choice, "finish_reason", None)) or found["finish"]
    finally:
        await stream.close()
    if not found["finish"]:
        raise Garbage("the stream was cut before its end")
    return found | {name: "".join(found[name]) for name in ("text", "thinking", "refusal")}


def _thinking(message: Any) -> str:
    """Reasoning that came apart from the answer: vLLM, SGLang and others name it differently."""
    found = getattr(message, "reasoning_content", None) or getattr(message, "reasoning", None)
    return _text(found)


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list):  # some servers give the content in parts
        return "".join(_text(part.get("text")) for part in value if isinstance(part, dict))
    return ""


def _tokens(usage: Any) -> tuple[int | None, int | None]:
    found = [getattr(usage, name, None) for name in ("prompt_tokens", "completion_tokens")]
    prompt, answer = (n if isinstance(n, int) and n >= 0 else None for n in found)
    return prompt, answer
