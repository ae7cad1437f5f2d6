"""What is asked: prompts, how to sample the answers, and a name for each request.

A request is one prompt, one set of settings and the number of the sample. Its id is a hash of all
three, so the same request has the same id on every machine and in every run.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Message = dict[str, Any]
ROLES = ("system", "user", "assistant", "tool", "developer")


def digest(facts: Any) -> str:
    """A name of 16 hexadecimal digits for plain values, whatever the order of the keys.

    >>> digest({"T": 2, "k": 8}) == digest({"k": 8, "T": 2})
    True
    """
    text = json.dumps(facts, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


@dataclass(frozen=True)
class Prompt:
    """The messages a teacher is shown, and what the caller wants to keep beside its answers.

    ``about`` is never shown to the teacher: the right answer, a label, where the prompt is from.
    """

    messages: tuple[Message, ...]
    about: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Sampling:
    """How answers are drawn; every field but ``samples`` is part of a request's id.

    ``schema`` is a JSON schema that every answer must satisfy; ``language`` the code of the
    language it must be written in; ``refusals`` whether answers that begin like one are set aside.
    Raises ValueError for what no server could obey.
    """

    samples: int = 1
    temperature: float = 1.0
    top_p: float = 1.0
    max_tokens: int = 512
    stop: tuple[str, ...] = ()
    seed: int | None = 0
    schema: Mapping[str, Any] | None = None
    language: str | None = None
    refusals: bool = True

    def __post_init__(self) -> None:
        for name in ("samples", "max_tokens"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(f"{name} must be a positive whole number, got {value!r}.")
        if not (math.isfinite(self.temperature) and self.temperature >= 0):
            raise ValueError(
                f"temperature must be 0 (always the likeliest token) or more, got "
                f"{self.temperature!r}."
            )
        if not 0 < self.top_p <= 1:
            raise ValueError(f"top_p must lie above 0 and at most at 1, got {self.top_p!r}.")
        if isinstance(self.stop, str) or not all(isinstance(s, str) and s for s in self.stop):
            raise ValueError(f'stop must be a list of strings, such as ["###"], got {self.stop!r}.')
        if self.samples > 1 and self.temperature == 0:
            raise ValueError(
                f"samples = {self.samples} at temperature 0 would give the same answer each time: "
                "raise the temperature, or ask for one sample."
            )

    def facts(self) -> dict[str, Any]:
        """All settings but the number of samples, as plain values."""
        return {
            "temperature": float(self.temperature),
            "top_p": float(self.top_p),
            "max_tokens": self.max_tokens,
            "stop": list(self.stop),
            "seed": self.seed,
            "schema": None if self.schema is None else dict(self.schema),
            "language": self.language,
            "refusals": self.refusals,
        }


@dataclass(frozen=True)
class Request:
    """One answer to be asked for."""

    id: str
    prompt: Prompt
    sample: int
    sampling: Sampling

    @property
    def seed(self) -> int | None:
        """A seed of its own for every request, from its id; None where none was asked for."""
        return None if self.sampling.seed is None else int(self.id[:8], 16) & 0x7FFF_FFFF


def as_prompt(given: Any, system: str | None = None) -> Prompt:
    """A prompt from a string, a list of messages, or a dict with ``prompt`` or ``messages``.

    The other entries of a dict are kept as ``about``. ``system`` is put first where the prompt has
    no system message of its own. Raises TypeError or ValueError for anything else.

    >>> as_prompt({"prompt": "2 + 2?", "answer": "4"}).about
    {'answer': '4'}
    """
    about: dict[str, Any] = {}
    if isinstance(given, Prompt):
        given, about = list(given.messages), dict(given.about)
    elif isinstance(given, Mapping) and not {"role", "content"} <= given.keys():
        about = {key: value for key, value in given.items() if key not in ("prompt", "messages")}
        found = [given[key] for key in ("messages", "prompt") if given.get(key)]
        if not found:
            raise ValueError(
                'a prompt in a dict stands under "prompt" or "messages"; got the keys '
                f"{sorted(map(str, given))}."
            )
        given = found[0]
    if isinstance(given, str):
        given = [{"role": "user", "content": given}]
    if not isinstance(given, (list, tuple)) or not given:
        raise TypeError(
            "a prompt is a string, a list of messages, or a dict with one of them; got "
            f"{type(given).__name__}."
        )
    for message in given:
        if not isinstance(message, Mapping) or message.get("role") not in ROLES:
            raise ValueError(
                f'a message is {{"role": one of {", ".join(ROLES)}, "content": "..."}}; got '
                f"{message!r}."
            )
        if not message.get("content") and "tool_calls" not in message:
            raise ValueError(f"a message without content: {message!r}. Leave empty prompts out.")
    messages = [dict(message) for message in given]
    if system and messages[0]["role"] not in ("system", "developer"):
        messages.insert(0, {"role": "system", "content": system})
    return Prompt(tuple(messages), about)


def requests_of(
    prompts: Iterable[Any],
    sampling: Sampling,
    teacher: Mapping[str, Any],
    system: str | None = None,
) -> Iterator[Request]:
    """Every request, prompt by prompt; a prompt that comes again asks the same questions again."""
    settings = {"teacher": dict(teacher), **sampling.facts()}
    for number, given in enumerate(prompts):
        try:
            prompt = as_prompt(given, system)
            asked = digest([settings, list(prompt.messages)])
            json.dumps(prompt.about, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise type(error)(f"prompt {number}: {error}") from None
        for sample in range(sampling.samples):
            yield Request(digest([asked, sample]), prompt, sample, sampling)


def read_prompts(path: str | Path, column: str | None = None) -> list[Any]:
    """Prompts from a file: one a line in .txt, one a JSON line in .jsonl.

    A JSON line is a string, a list of messages, or an object with ``prompt`` or ``messages``;
    ``column`` names the entry to use instead. Blank lines are passed over.
    Raises FileNotFoundError, and ValueError with the number of a line that is no prompt.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}: check the path of the prompts.")
    prompts: list[Any] = []
    for number, line in enumerate(path.read_text(encoding="utf-8-sig").split("\n"), 1):
        if not line.strip():
            continue
        if path.suffix.lower() not in (".jsonl", ".ndjson"):
            prompts.append(line.strip())
            continue
        try:
            given = json.loads(line)
            if column is not None:
                if not isinstance(given, dict) or column not in given:
                    raise ValueError(f"it has no entry {column!r}.")
                others = {k: v for k, v in given.items() if k not in (column, "messages")}
                given = {**others, "prompt": given[column]}
            as_prompt(given)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{path}, line {number}: {error}") from None
        prompts.append(given)
    if not prompts:
        raise ValueError(f"{path} holds no prompts: expected one a line.")
    return prompts
