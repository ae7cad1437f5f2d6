"""Whether a reply can be used; and why not, where it cannot."""

import json
import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from distill_lab._util.checks import needs
from distill_lab._util.io import read_text, user_path
from distill_lab.teachers.text.protocol import Reply, Sampling

# How refusals begin, in English; others are found by what the server says (content_filter). An
# apology alone is none: a support desk apologises all day.
REFUSAL = re.compile(
    r"\W*(as an ai\b[^.]{0,40}\bi\b|(((i['’]?m|i am) )?(very |so )?sorry,? (but )?)?i)"
    r"(['’]m| am)? ?(can ?not|can['’]?t|won['’]t be able to|unable to|not able to)"
    r"( \w+)? (help(?! but)|assist|comply|fulfil|answer|provide|create|write|generate|engage|"
    r"discuss|share|continue|do (that|this))\b",
    re.IGNORECASE,
)

# What servers say at the end of an answer. Some say nothing at all: no fault of the answer.
USABLE = {
    *("", "stop", "eos", "eos_token", "stop_sequence", "stop_token", "stop_str", "end_turn", "end"),
    *("eot", "eog", "end_of_turn", "end_of_text", "endoftext", "complete", "completed", "finished"),
    *("finish", "done", "success", "normal", "natural", "null", "none", "unspecified", "unknown"),
}
TRUNCATED = {
    *("length", "max_tokens", "max_length", "max_new_tokens", "max_output_tokens", "token_limit"),
    *("model_length", "context_length", "context_window_exceeded", "context_length_exceeded"),
    *("model_context_window_exceeded", "max_completion_tokens", "limit", "incomplete", "truncated"),
    *("error_limit", "time_limit"),
}
REFUSED = {
    *("content_filter", "content_filtered", "safety", "refusal", "recitation", "blocklist"),
    *("prohibited_content", "spii", "language", "guardrail_intervened", "blocked", "sensitive"),
    "error_toxic",
}
TOOLS = {"tool_calls", "tool_call", "tool_use", "function_call"}
BROKEN = {
    "error",
    "abort",
    "aborted",
    "cancelled",
    "canceled",
    "failed",
    "timeout",
    "network_error",
    "insufficient_system_resource",
}


@lru_cache(maxsize=64)
def ending(finish: str) -> str:
    """Fold what a server says at the end of an answer to one spelling.

    >>> ending("FinishReason.MAX_TOKENS"), ending("end-turn")
    ('max_tokens', 'end_turn')
    """
    word = re.sub(r"[\s\-]+", "_", finish.strip().lower())
    return re.sub(r"^(finish_?reason)[._]", "", word)


def fault(reply: Reply, sampling: Sampling) -> tuple[str, str] | None:
    """Say why a reply cannot be used: a kind in one word and a sentence; None where it can.

    The kinds: refused, truncated, failed (asked again with `again`), empty, malformed.

    >>> fault(Reply("4", "stop"), Sampling())
    >>> fault(Reply("  ", "stop"), Sampling())[0]
    'empty'
    """
    end = ending(reply.finish)
    if reply.refusal or end in REFUSED:
        return "refused", f"the server refused: {reply.refusal or 'its content filter stopped it'}"
    if end in TRUNCATED:
        limit = f"max_new_tokens = {sampling.max_new_tokens}"
        return "truncated", f"cut off after {limit} or at the model's limit ({reply.finish})"
    if end in BROKEN:
        return "failed", f"the server ended it with {reply.finish!r}"
    if end in TOOLS and reply.tool_calls:
        return None
    if end in TOOLS:
        return "malformed", f"it calls a tool ({reply.finish}) where a text was expected"
    if not reply.text.strip():
        thought = " (all of it went into thinking)" if reply.thinking else ""
        return "empty", f"no text, although it ended by itself{thought}"
    if end not in USABLE:
        return "malformed", f"it ended with {reply.finish!r} where 'stop' was expected"
    if re.search("[\ufffd\ud800-\udfff]", reply.text):
        return "malformed", "it holds characters that could not be decoded"
    if sampling.schema is not None:
        if wrong := schema_error(reply.text, sampling.schema):
            return "malformed", wrong
    elif sampling.refusals and REFUSAL.match(reply.text):
        return "refused", f"it begins like a refusal: {reply.text.strip()[:60]!r}"
    return None


def schema_error(text: str, schema: Mapping[str, Any]) -> str | None:
    """Say where a text is not JSON, or not what a JSON schema asks for; None where it is.

    >>> schema_error("[1]", {"type": "array", "items": {"type": "string"}})
    "at [0]: 1 is not of type 'string'"
    """
    try:
        value = json.loads(text)
    except ValueError as error:
        return f"it is not JSON: {error}"
    with needs("jsonschema"):
        import jsonschema  # type: ignore[import-untyped]
    validator = jsonschema.validators.validator_for(dict(schema))(dict(schema))
    worst = jsonschema.exceptions.best_match(validator.iter_errors(value))
    if worst is None:
        return None
    place = "".join(f"[{step!r}]" for step in worst.absolute_path) or "the top"
    return f"at {place}: {worst.message[:200]}"


def check_schema(schema: Mapping[str, Any]) -> None:
    """Refuse, with a ValueError, what is no JSON schema."""
    with needs("jsonschema"):
        import jsonschema
    try:
        jsonschema.validators.validator_for(dict(schema)).check_schema(dict(schema))
    except jsonschema.exceptions.SchemaError as error:
        raise ValueError(f"schema is not a JSON schema: {error.message}.") from None


def read_schema(path: str | Path, what: str = "schema") -> dict[str, Any]:
    """Read a JSON schema from a file.

    Args:
        path: The file.
        what: Its name in the words of an error.

    Raises:
        FileNotFoundError: Where there is none.
        ValueError: For what is no JSON, or no schema.
    """
    file = user_path(path, what)
    if not file.exists():
        raise FileNotFoundError(f"{what}: there is no file {file}: check the path.")
    try:
        schema = json.loads(read_text(file))
    except json.JSONDecodeError as error:
        raise ValueError(f"{what}: {file} is not JSON: {error}.") from None
    if not isinstance(schema, dict):
        raise ValueError(f"{what}: {file} holds no object: a JSON schema is one.")
    check_schema(schema)
    return schema
