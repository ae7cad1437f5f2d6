"""What asking costs: said before anything is asked, and never more than a budget."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distill_lab._util.checks import positive_finite
from distill_lab.synthesis.journal import earlier_tokens
from distill_lab.synthesis.made_with import settings_of
from distill_lab.synthesis.progress import Prices
from distill_lab.synthesis.prompts import TeacherView
from distill_lab.synthesis.requests import Requests, wanted_of
from distill_lab.teachers.text.protocol import Request, Sampling, TextTeacher

BYTES_A_TOKEN = 4  # to guess; no tokenizer makes more tokens than there are bytes
TOKENS_A_MESSAGE = 16  # what a template writes around one, at most


class Budget:
    """Lets requests through as long as even their longest answers cannot pass it.

    Formula: Σ over requests (b + 16 m) p + l q ≤ limit − spent, with b bytes and m messages of a
    prompt, l the longest answer in tokens, and p, q the prices of one token.

    Args:
        limit: What may be spent, in the currency of the prices.
        prices: For a million tokens of prompt and of answer.

    Raises:
        ValueError: For a limit that is none, and where there are no prices.
    """

    def __init__(self, limit: float, prices: Prices | None) -> None:
        self.limit = positive_finite("budget", limit)
        if prices is None:
            raise ValueError(
                "a budget needs prices: what a million tokens of prompt and of answer cost (prices "
                "of the teacher, --price on the command line)."
            )
        self.prices, self.spent = prices, 0.0

    def highest(self, request: Request) -> float:
        """What one request can cost at most."""
        prompt = _bytes(request) + TOKENS_A_MESSAGE * (1 + len(request.prompt.messages))
        return _cost((prompt, request.sampling.max_new_tokens), self.prices)

    def pay(self, request: Request, tokens: Sequence[int | None]) -> None:
        """Count a reply; what the server did not count is taken for the most it can be."""
        known = tokens[0], tokens[1]
        if None in known:
            self.spent += self.highest(request)
        else:
            self.spent += _cost((known[0] or 0, known[1] or 0), self.prices)

    def affordable(self, requests: Requests) -> Requests:
        """The first of the requests, as many as fit whatever their answers are."""
        left = self.limit - self.spent
        for number, request in enumerate(requests):
            left -= self.highest(request)
            if left < 0:
                return requests[:number]
        return requests


@dataclass(frozen=True)
class Estimate:
    """What a run would ask.

    Args:
        prompts: Prompts, those that come twice counted once.
        requests: Answers that are wanted.
        done: Of these, how many need not be asked any more.
        prompt_tokens: Of all that is left, by a guess.
        answer_tokens: Of all that is left, at most.
        usual_tokens: Of all that is left, if answers stay as long as they were; None without any.
        prices: For a million tokens of prompt and of answer.
    """

    prompts: int
    requests: int
    done: int
    prompt_tokens: int
    answer_tokens: int
    usual_tokens: int | None = None
    prices: Prices | None = None

    def __str__(self) -> str:
        left = self.requests - self.done
        usual = self.usual_tokens
        lines = [
            f"{self.prompts:,} prompts, {self.requests:,} answers wanted: {self.done:,} there "
            f"already, {left:,} to ask",
            f"about {self.prompt_tokens:,} tokens of prompts ({BYTES_A_TOKEN} bytes a token), at "
            f"most {self.answer_tokens:,} of answers"
            + ("" if usual is None else f", about {usual:,} if they stay as long as they were"),
        ]
        if self.prices is None:
            return "\n".join([*lines, "cost unknown: no price was given"])
        most = _cost((self.prompt_tokens, self.answer_tokens), self.prices)
        likely = (
            ""
            if usual is None
            else f", about {_cost((self.prompt_tokens, usual), self.prices):,.4f} likely"
        )
        return "\n".join([*lines, f"cost at most about {most:,.4f}{likely}"])


def estimate(
    prompts: Iterable[Any],
    teacher: TextTeacher,
    path: str | Path,
    *,
    system: str | None = None,
    teacher_prompt: TeacherView | None = None,
    stop: str | Sequence[str] = (),
    **sampling: Any,
) -> Estimate:
    """Say what `generate` would ask, without asking or writing anything.

    Args:
        prompts: As for `generate`.
        teacher: Who would be asked.
        path: The file of the answers; what is in it need not be asked.
        system: A system message before every prompt that has none.
        teacher_prompt: What the teacher reads in a prompt's place.
        stop: Strings that end an answer.
        sampling: How answers would be drawn: samples, max_new_tokens and the others of `generate`.

    Returns:
        How many, how long, at what price.

    Raises:
        ValueError: For settings that cannot work, or that differ from those of the file.

    >>> from distill_lab.synthesis import OpenAIGenerator
    >>> teacher = OpenAIGenerator("http://localhost:8000/v1", "m", prices=(0.5, 1.5))
    >>> print(estimate(["why?", "how?"], teacher, "not-there.jsonl", max_new_tokens=100))
    2 prompts, 2 answers wanted: 0 there already, 2 to ask
    about 2 tokens of prompts (4 bytes a token), at most 200 of answers
    cost at most about 0.0003
    """
    drawn = Sampling(**sampling, stop=(stop,) if isinstance(stop, str) else tuple(stop))
    identity = dict(teacher.identity)
    wanted, _ = wanted_of(prompts, drawn, identity, system, teacher_prompt=teacher_prompt)
    lengths = earlier_tokens(path, settings_of(identity, drawn, system, teacher_prompt))
    left = wanted.fit()
    left = left.pick(place for place, name in enumerate(left.ids()) if name not in lengths)
    known = [length for length in lengths.values() if isinstance(length, int)]
    usual = round(sum(known) / len(known) * len(left)) if known else None
    return Estimate(
        prompts=len(wanted.store),
        requests=len(wanted),
        done=len(wanted) - len(left),
        prompt_tokens=sum(-(-_bytes(r) // BYTES_A_TOKEN) for r in left),
        answer_tokens=len(left) * drawn.max_new_tokens,
        usual_tokens=usual,
        prices=teacher.prices,
    )


def _bytes(request: Request) -> int:
    """The bytes of what a request shows."""
    shown = [m.get("content") or "" for m in request.prompt.messages]
    more = [m["tool_calls"] for m in request.prompt.messages if "tool_calls" in m]
    described = [*more, *request.prompt.tools]
    texts = [*map(str, shown), *([json.dumps(described)] if described else [])]
    return sum(len(text.encode("utf-8", "replace")) for text in texts)


def _cost(tokens: tuple[int, int], prices: Prices) -> float:
    return (tokens[0] * prices[0] + tokens[1] * prices[1]) / 1e6
