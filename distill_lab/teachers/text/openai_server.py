"""A teacher behind any OpenAI-compatible address: vLLM, SGLang, Ollama, llama.cpp, hosted ones.

What is asked for is not always what a server does. `transformers serve` (5.23) samples only where
the model's own generation settings say do_sample, passes over response_format, and with continuous
batching draws every answer with the settings of its first request. So answers are checked when they
come back, and a set whose samples are all alike says so on its card.
"""

import asyncio
import contextlib
import os
import queue
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import SplitResult, urlsplit

from distill_lab._util.checks import positive_finite, positive_int, set_checked
from distill_lab.data.turns import messages_of
from distill_lab.teachers.text.network import route_to
from distill_lab.teachers.text.protocol import Outcome, Request, Retry, Take
from distill_lab.teachers.text.secrets import Scrubber, check_no_secret, key_in
from distill_lab.teachers.text.session import Limit, Session

ACCOUNT = {"OPENAI_ORG_ID": "OpenAI-Organization", "OPENAI_PROJECT_ID": "OpenAI-Project"}
LONGEST_END = 2.0  # seconds that a run which has ended waits for its lines to be let go


@dataclass(frozen=True)
class OpenAIGenerator:
    """A model that a server answers for, asked over the chat completions interface.

    Up to `concurrency` requests are under way at once, each over a connection of its own. What
    passes (429, 5xx, a lost connection, a cut stream, garbage) is tried again, with growing waits
    or those that the server asks for (Retry-After). A key is read from the environment when it is
    needed, and is kept nowhere.

    Args:
        url: The base address of the server, up to /v1.
        model: The name under which the server knows the model.
        key_from: The environment variable that holds the key. Without it, OPENAI_API_KEY goes to
            api.openai.com and no key anywhere else.
        concurrency: Requests under way at once.
        requests_per_minute: How many may be sent.
        tokens_per_minute: How many may be used, of prompts and answers together.
        timeout: Seconds without a byte from the server.
        tries: How often a request is sent at most.
        stream: Whether answers come piece by piece, so that `timeout` holds for each piece.
        extra: Goes into every request as it is, for what only your server knows; None leaves a
            field out, such as a temperature that a server refuses.
        prices: For a million tokens of prompt and of answer, in any currency.

    Raises:
        ValueError: For settings that cannot work, and for a key in the address.

    >>> OpenAIGenerator("http://localhost:8000/v1", model="my-teacher").identity
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
    stream: bool = False
    extra: Mapping[str, Any] = field(default_factory=dict)
    prices: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not _is_name(parts):
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
        set_checked(self, positive_int, "concurrency", "tries")
        limits = ("requests_per_minute", "tokens_per_minute", "timeout")
        set_checked(self, positive_finite, *limits, optional=True, what="a positive number")
        check_no_secret("extra", self.extra)

    @property
    def name(self) -> str:
        """What the card calls it."""
        return self.model

    @property
    def identity(self) -> dict[str, Any]:
        """The model and what is sent with every request; not the address, which may change."""
        scrubber = Scrubber(os.environ.get(self._variable() or "", "").strip())
        for name in ("url", "model", "extra"):
            if scrubber(text := str(getattr(self, name))) != text:
                raise ValueError(
                    f"{name} holds the key: take it out, since {name} is written down."
                )
        extra = {"extra": dict(self.extra)} if self.extra else {}
        return {"kind": "served", "model": self.model, **extra}

    def answer(self, requests: Sequence[Request], take: Take) -> None:
        """Ask for all of them; each reply is handed over as soon as it is there.

        `take` is called in the caller's thread alone. Interrupted or stopped, nothing more is
        asked, and the answers still under way are lost.

        Args:
            requests: What to ask for.
            take: Called with (request, reply or failure) for each.

        Raises:
            TeacherStopped: Where going on is useless: a wrong key or model, an empty account.
        """
        session = self._session()
        outcomes: queue.SimpleQueue[list[tuple[Request, Outcome | Exception]]] = queue.SimpleQueue()
        loop = asyncio.new_event_loop()
        asking = loop.create_task(
            session.run(requests, self._body, min(self.concurrency, len(requests)), outcomes.put)
        )

        def work() -> None:
            try:
                loop.run_until_complete(asking)
            except asyncio.CancelledError:
                pass
            except Exception as error:  # of our own; said, for nobody waits here for ever
                outcomes.put([(requests[0], error)])
            loop.run_until_complete(asyncio.sleep(0))  # lines that were closed are let go
            loop.close()

        # a daemon, so that no process that wants to end waits for the network
        thread = threading.Thread(target=work, name="generate", daemon=True)
        thread.start()
        left = len(requests)
        try:
            while left:
                for request, outcome in outcomes.get():
                    if isinstance(outcome, Exception):
                        raise outcome
                    take(request, outcome)
                    session.taken += 1
                    left -= not isinstance(outcome, Retry)
        finally:
            with contextlib.suppress(RuntimeError):  # it has ended by itself
                loop.call_soon_threadsafe(asking.cancel)
            thread.join(LONGEST_END)

    def _body(self, request: Request) -> dict[str, Any]:
        """The arguments of one call; one answer a request, so that each has a seed of its own."""
        sampling = request.sampling
        limit = "max_completion_tokens" if self._is_openai() else "max_tokens"
        body: dict[str, Any] = {
            "model": self.model,
            "messages": messages_of(request.prompt.messages),
            "temperature": sampling.temperature,
            limit: sampling.max_new_tokens,  # OpenAI's newer models know the longer name alone
        }
        if sampling.top_p < 1:
            body["top_p"] = sampling.top_p
        if sampling.stop:
            body["stop"] = list(sampling.stop)
        if request.seed is not None:
            body["seed"] = request.seed
        if sampling.schema is not None:
            schema = {"name": "answer", "schema": dict(sampling.schema)}
            body["response_format"] = {"type": "json_schema", "json_schema": schema}
        if request.prompt.tools:
            body["tools"] = list(request.prompt.tools)
        if self.stream:
            body |= {"stream": True, "stream_options": {"include_usage": True}}
        body |= self.extra
        return {name: value for name, value in body.items() if value is not None}

    def _session(self) -> Session:
        """What the threads of one run share; the key is read now, and ends with it."""
        key = self._key()
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        for variable, name in ACCOUNT.items() if self._is_openai() else ():
            if os.environ.get(variable):
                headers[name] = key_in(variable)
        return Session(
            url=f"{self.url.rstrip('/')}/chat/completions",
            route=route_to(self.url),
            headers=headers,
            scrubber=Scrubber(key),
            timeout=self.timeout,
            tries=self.tries,
            limits=(Limit(self.requests_per_minute), Limit(self.tokens_per_minute)),
        )

    def _is_openai(self) -> bool:
        return urlsplit(self.url).hostname == "api.openai.com"

    def _variable(self) -> str | None:
        """The environment variable that the key is in; None where none is sent."""
        return self.key_from or ("OPENAI_API_KEY" if self._is_openai() else None)

    def _key(self) -> str:
        name = self._variable()
        return "" if name is None else key_in(name)


def _is_name(parts: SplitResult) -> bool:
    """Whether an address names a host and a port that there can be."""
    try:
        name = (parts.hostname or "").encode("idna")
        return bool(name) and parts.port != 0
    except ValueError:  # a port above 65,535; a name with an empty or endless part
        return False
