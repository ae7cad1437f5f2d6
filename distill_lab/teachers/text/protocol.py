"""What a teacher that writes is asked, and what it hands back.

A request is one prompt, one set of settings and the number of the sample. Its id is a hash of all
three, so the same request has the same id on every machine and in every run.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from distill_lab._util.checks import non_negative_finite, positive_int, set_checked, whole_number
from distill_lab._util.io import short_hash

Message = dict[str, Any]
_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def digest(facts: Any) -> str:
    """Name plain values by 16 hexadecimal digits, whatever the order of the keys.

    >>> digest({"T": 2, "k": 8}) == digest({"k": 8, "T": 2})
    True
    """
    return short_hash(canonical(facts).encode("utf-8", "surrogatepass"))


def canonical(facts: Any) -> str:
    """Write plain values as JSON in one way alone; that of a list is made of that of its parts.

    >>> canonical([{"b": 1, "a": 2}, "é"])
    '[{"a":2,"b":1},"é"]'
    """
    return _ENCODER.encode(facts)


@dataclass(frozen=True)
class Prompt:
    """The messages a teacher is shown, and what the caller wants to keep beside its answers.

    Args:
        messages: Who says what, in order.
        about: Never shown to the teacher: the right answer, a label, where the prompt is from.
        tools: Descriptions of functions that the teacher may call.
        student: The messages that a student reads in their place; empty where it reads the same.
    """

    messages: tuple[Message, ...]
    about: Mapping[str, Any] = field(default_factory=dict)
    tools: tuple[dict[str, Any], ...] = ()
    student: tuple[Message, ...] = ()


@dataclass(frozen=True)
class Sampling:
    """How answers are drawn; every field but `samples` is part of a request's id.

    Args:
        samples: Answers a prompt.
        temperature: What logits are divided by; 0 is always the likeliest token.
        top_p: The probability that the nucleus holds.
        max_new_tokens: The length of an answer in tokens, at most.
        stop: Strings that end an answer.
        seed: What every request's own seed is made from; None for no seeds.
        schema: A JSON schema that every answer must satisfy.
        refusals: Whether answers that begin like a refusal are rejected.

    Raises:
        ValueError: For what no server could obey.
    """

    samples: int = 1
    temperature: float = 1.0
    top_p: float = 1.0
    max_new_tokens: int = 512
    stop: tuple[str, ...] = ()
    seed: int | None = 0
    schema: Mapping[str, Any] | None = None
    refusals: bool = True

    def __post_init__(self) -> None:
        set_checked(self, positive_int, "samples", "max_new_tokens")
        set_checked(self, whole_number, "seed", optional=True)
        what = "0 (always the likeliest token) or more"
        set_checked(self, non_negative_finite, "temperature", what=what)
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
            "max_new_tokens": self.max_new_tokens,
            "stop": list(self.stop),
            "seed": self.seed,
            "schema": None if self.schema is None else dict(self.schema),
            "language": None,  # once a setting: without it every id would be another
            "refusals": self.refusals,
        }

    def named(self) -> dict[str, Any]:
        """The same as a request's id is made of them: under the words of before, or it changed."""
        facts = self.facts()
        return {"max_tokens": facts.pop("max_new_tokens"), **facts}


@dataclass(frozen=True)
class Request:
    """One answer to be asked for.

    Args:
        id: Names it by its content: prompt, teacher, sampling and number.
        prompt: What the teacher is shown.
        sample: Which of a prompt's answers this is, from 0.
        sampling: How it is drawn.
        unfit: Why nobody can be asked this; empty where somebody can.
    """

    id: str
    prompt: Prompt
    sample: int
    sampling: Sampling
    unfit: str = ""

    @property
    def seed(self) -> int | None:
        """A seed of its own for every request, from its id; None where none was asked for."""
        return None if self.sampling.seed is None else int(self.id[:8], 16) & 0x7FFF_FFFF


@dataclass(frozen=True)
class Reply:
    """A teacher's answer to one request.

    Args:
        text: The answer.
        finish: "stop", "length" or what else the server gave.
        tokens: Those of the prompt and of the answer, None where they are not known.
        seconds: How long it took.
        tries: How often it was asked.
        model: What the server calls the model that answered.
        fingerprint: What the server calls the build and settings that answered.
        thinking: Reasoning that came apart from the answer.
        refusal: What a server says in place of an answer it will not give.
        tool_calls: The functions it calls, with their arguments as JSON.
    """

    text: str
    finish: str
    tokens: tuple[int | None, int | None] = (None, None)
    seconds: float = 0.0
    tries: int = 1
    model: str = ""
    thinking: str = ""
    refusal: str = ""
    tool_calls: tuple[dict[str, Any], ...] = ()
    fingerprint: str = ""


@dataclass(frozen=True)
class Retry:
    """That a try was in vain, and the request is sent again.

    Args:
        reason: Why.
        seconds: How long it waits first.
        left: How often it may be sent yet.
    """

    reason: str
    seconds: float
    left: int


@dataclass(frozen=True)
class Failure:
    """That no answer came: why, and after how many tries.

    Args:
        reason: Why.
        tries: How often it was asked.
        kind: "failed" where no answer came, "invalid" where the request was not accepted.
        alive: Whether somebody was there to say so.
    """

    reason: str
    tries: int = 1
    kind: str = "failed"
    alive: bool = True


Outcome = Reply | Failure | Retry
Take = Callable[[Request, Outcome], None]


class TextTeacher(Protocol):
    """A teacher that writes: it hands over each reply as soon as it is there, in any order."""

    @property
    def name(self) -> str:
        """What people call it."""
        ...

    @property
    def identity(self) -> dict[str, Any]:
        """Who answers, in plain values; part of every request's id. Holds no secret."""
        ...

    @property
    def prices(self) -> tuple[float, float] | None:
        """What a million tokens of prompt and of answer cost; None where nothing is counted."""
        ...

    def answer(self, requests: Sequence[Request], take: Take) -> None:
        """Ask all of `requests`; call `take` with each reply or failure.

        Args:
            requests: What to ask.
            take: Called with (request, reply or failure) for each, in any order; a `Retry` may
                come before.

        Raises:
            TeacherStopped: Where going on is useless.
        """
        ...


class TeacherStopped(RuntimeError):
    """Going on is useless for now. What was answered is kept; started again, it goes on there."""
