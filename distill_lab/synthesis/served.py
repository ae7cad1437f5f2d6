"""A teacher behind any OpenAI-compatible address: vLLM, SGLang, Ollama, llama.cpp, hosted ones.

What is asked for is not always what a server does. `transformers serve` (5.23) samples only where
the model's own generation settings say do_sample, passes over response_format, and with continuous
batching draws every answer with the settings of its first request. So answers are checked when they
come back, and a set whose samples are all alike says so on its card.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from distill_lab.synthesis.errors import ANYTHING, TeacherStopped, Verdict, judge, scrub
from distill_lab.synthesis.extras import needs
from distill_lab.synthesis.looping import run_to_end
from distill_lab.synthesis.pacing import Pace
from distill_lab.synthesis.replies import Failure, Reply, Take
from distill_lab.synthesis.requests import Request
from distill_lab.synthesis.wire import body_of, collect, read

CHARACTERS_A_TOKEN = 4  # to guess what a prompt will count against tokens_per_minute


@dataclass(frozen=True)
class Served:
    """A model that a server answers for, asked over the chat completions interface.

    Many requests are under way at once, at most ``concurrency``. Whatever passes (429, 5xx, a lost
    connection, a cut stream, garbage) is tried again up to ``tries`` times, with growing waits;
    a wait that the server asks for (Retry-After) holds all requests back and costs no try, as long
    as one request was not told to wait for ``patience`` seconds in all.

    Units: ``timeout`` in seconds, for the whole answer, or with ``stream=True`` for the next piece
    of it; limits by the minute; ``prices`` for a million tokens of prompt and of answer.
    ``extra`` goes into every request as it is, for what only your server knows.
    A key is read from the environment variable that ``key_from`` names, when it is needed, and is
    kept nowhere. Without it, OPENAI_API_KEY goes to api.openai.com and no key anywhere else.
    Raises ValueError for settings that cannot work, and for a key in the address.

    >>> Served("http://localhost:8000/v1", model="my-teacher").identity
    {'kind': 'served', 'model': 'my-teacher'}
    """

    url: str
    model: str
    key_from: str | None = None
    concurrency: int = 16
    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    timeout: float = 120.0
    tries: int = 8
    patience: float = 600.0
    stream: bool = False
    extra: Mapping[str, Any] = field(default_factory=dict)
    prices: tuple[float, float] | None = None
    first_wait: float = 0.5
    longest_wait: float = 30.0

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(
                "url must be the base address of the server, such as http://localhost:8000/v1."
            )
        if parts.username or parts.password or parts.query:
            raise ValueError(
                "url must hold no key, password or query: put the key into an environment variable "
                "and name that in key_from."
            )
        if not self.model:
            raise ValueError("model must be the name under which the server knows the model.")
        for name in ("concurrency", "tries"):
            if not isinstance(getattr(self, name), int) or getattr(self, name) < 1:
                raise ValueError(
                    f"{name} must be a positive whole number, got {getattr(self, name)!r}."
                )
        for name in (
            "requests_per_minute",
            "tokens_per_minute",
            "timeout",
            "patience",
            "first_wait",
            "longest_wait",
        ):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"{name} must be a positive number, got {value!r}.")

    @property
    def name(self) -> str:
        """What the card calls it."""
        return self.model

    @property
    def identity(self) -> dict[str, Any]:
        """The model and what is sent with every request; not the address, which may change."""
        extra = {"extra": dict(self.extra)} if self.extra else {}
        return {"kind": "served", "model": self.model, **extra}

    def answer(self, requests: list[Request], take: Take) -> None:
        """Ask for all of them; each reply is handed over as soon as it is there.

        Raises TeacherStopped where going on is useless: a wrong key or model, an empty account.
        """
        run_to_end(self._answer(requests, take))

    async def _answer(self, requests: list[Request], take: Take) -> None:
        key = self._key()
        pace = Pace(self.requests_per_minute, self.tokens_per_minute)
        waiting = iter(requests)

        async with self._client(key) as client:

            async def work() -> None:
                for request in waiting:  # shared: each worker takes the next one that is left
                    take(request, await self._ask(client, pace, request, key))

            workers = [
                asyncio.create_task(work()) for _ in range(min(self.concurrency, len(requests)))
            ]
            try:
                await asyncio.gather(*workers)
            finally:
                for worker in workers:
                    worker.cancel()
                await asyncio.gather(*workers, return_exceptions=True)

    async def _ask(self, client: Any, pace: Pace, request: Request, key: str) -> Reply | Failure:
        """One request, until it is answered, given up or rejected."""
        tries, failures, held = 0, 0, 0.0
        characters = sum(len(str(m.get("content"))) for m in request.prompt.messages)
        expected = characters / CHARACTERS_A_TOKEN + request.sampling.max_tokens
        while True:
            await pace.turn(expected)
            tries += 1
            found = await self._once(client, request, key)
            if isinstance(found, dict):
                used = found["tokens"][0] or 0, found["tokens"][1] or 0
                pace.spent(expected, sum(used) or expected)
                for name in ("text", "thinking", "refusal"):
                    found[name] = scrub(found[name], key)  # a server may echo what it was sent
                return Reply(**found, tries=tries)
            pace.spent(expected, 0)
            if found.act == "stop":
                raise TeacherStopped(found.words)
            if found.act == "reject":
                return Failure(found.words, tries, "rejected")
            held += found.wait or 0.0
            if found.wait is None:
                failures += 1
                if failures >= self.tries:
                    words = f"gave up after {tries} tries: {found.words}"
                    return Failure(words, tries, alive=found.alive)
                await asyncio.sleep(pace.backoff(failures, self.first_wait, self.longest_wait))
            elif held > self.patience:
                if found.wait > self.patience:
                    raise TeacherStopped(
                        f"the server asks to wait {found.wait:.0f} s, longer than patience = "
                        f"{self.patience:.0f} s: start again later, and it goes on."
                    )
                return Failure(f"was told to wait for {held:.0f} s in all: {found.words}", tries)
            else:
                pace.hold(found.wait)

    async def _once(self, client: Any, request: Request, key: str) -> dict[str, Any] | Verdict:
        """One try: the fields of a reply, or what to do about what went wrong."""
        began = time.monotonic()
        body = body_of(request, self.model, self.stream, self.extra)
        if self._is_openai():  # its newer models know the limit by this name alone
            body["max_completion_tokens"] = body.pop("max_tokens")
        try:
            async with asyncio.timeout(self.timeout) as limit:
                answer = await client.chat.completions.create(**body)
                if self.stream:
                    loop = asyncio.get_running_loop()
                    found = await collect(
                        answer, lambda: limit.reschedule(loop.time() + self.timeout)
                    )
                else:
                    found = read(answer)
            found["seconds"] = round(time.monotonic() - began, 3)
            return found
        except ANYTHING as error:
            return judge(error, self.timeout, key)  # not raised here: no trace may hold the key

    def _client(self, key: str) -> Any:
        with needs("openai"):
            import openai
        client = openai.AsyncOpenAI(
            base_url=self.url, api_key=key or "none", max_retries=0, timeout=self.timeout
        )
        if not self._is_openai():  # meant for OpenAI alone, and read from the environment unasked
            client.organization = client.project = None
        return client

    def _is_openai(self) -> bool:
        return urlsplit(self.url).hostname == "api.openai.com"

    def _key(self) -> str:
        name = self.key_from or ("OPENAI_API_KEY" if self._is_openai() else None)
        if name is None:
            return ""
        if not (key := os.environ.get(name, "").strip()):
            raise ValueError(
                f"the environment variable {name} holds no key: set it in the shell that starts "
                "this (it is never written anywhere)."
            )
        return key
