"""A teacher behind any OpenAI-compatible address: vLLM, SGLang, Ollama, llama.cpp, hosted ones.

What is asked for is not always what a server does. `transformers serve` (5.23) samples only where
the model's own generation settings say do_sample, passes over response_format, and with continuous
batching draws every answer with the settings of its first request. So answers are checked when they
come back, and a set whose samples are all alike says so on its card.
"""

import queue
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit

from distill_lab._util.checks import needs, positive_finite, positive_int
from distill_lab.data.turns import messages_of
from distill_lab.teachers.text.faults import Verdict, judge, times_sent
from distill_lab.teachers.text.network import http_options, proxy_in_words
from distill_lab.teachers.text.protocol import Failure, Reply, Request, Take, TeacherStopped
from distill_lab.teachers.text.secrets import check_no_secret, key_in, scrub
from distill_lab.teachers.text.wire import read_response

CHARACTERS_A_TOKEN = 4  # to guess what a prompt will count against tokens_per_minute
BURST_SECONDS = 6.0  # so much of a limit by the minute may be used up at once
GARBAGE_WAIT = 0.5  # seconds before the first new try; then twice as long each time, to 8
PAGES = 3  # so many pages and not one answer: the address is wrong


@dataclass(frozen=True)
class OpenAIGenerator:
    """A model that a server answers for, asked over the chat completions interface.

    Up to `concurrency` requests are under way at once, each in a thread of its own. What passes
    (429, 5xx, a lost connection) the OpenAI client tries again, with growing waits or those that
    the server asks for (Retry-After); a cut stream and garbage are tried again here. A key is read
    from the environment when it is needed, and is kept nowhere.

    Args:
        url: The base address of the server, up to /v1.
        model: The name under which the server knows the model.
        key_from: The environment variable that holds the key. Without it, OPENAI_API_KEY goes to
            api.openai.com and no key anywhere else.
        concurrency: Requests under way at once.
        requests_per_minute: How many may be sent; tries of the client's own are not counted.
        tokens_per_minute: How many may be used, of prompts and answers together.
        timeout: Seconds without a byte from the server.
        tries: How often a request is sent at most.
        stream: Whether answers come piece by piece, so that `timeout` holds for each piece.
        extra: Goes into every request as it is, for what only your server knows.
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
        positive_int("concurrency", self.concurrency)
        positive_int("tries", self.tries)
        for name in ("requests_per_minute", "tokens_per_minute", "timeout"):
            if (value := getattr(self, name)) is not None:
                positive_finite(name, value, what="a positive number")
        check_no_secret("extra", self.extra)

    @property
    def name(self) -> str:
        """What the card calls it."""
        return self.model

    @property
    def identity(self) -> dict[str, Any]:
        """The model and what is sent with every request; not the address, which may change."""
        extra = {"extra": dict(self.extra)} if self.extra else {}
        if extra and (key := self._key()) and key in str(self.extra):
            raise ValueError("extra holds the key: take it out, since extra is written down.")
        return {"kind": "served", "model": self.model, **extra}

    def answer(self, requests: list[Request], take: Take) -> None:
        """Ask for all of them; each reply is handed over as soon as it is there.

        `take` is called in the caller's thread alone. Interrupted or stopped, nothing more is
        asked; the answers still under way are lost, and their threads end with them.

        Args:
            requests: What to ask for.
            take: Called with (request, reply or failure) for each.

        Raises:
            TeacherStopped: Where going on is useless: a wrong key or model, an empty account.
        """
        key = self._key()
        client = self._client(key)
        limits = Limit(self.requests_per_minute), Limit(self.tokens_per_minute)
        address = _Address()
        waiting = iter(requests)
        lock, stopped = threading.Lock(), threading.Event()
        outcomes: queue.SimpleQueue[tuple[Request, Reply | Failure | BaseException]]
        outcomes = queue.SimpleQueue()

        def work() -> None:
            while not stopped.is_set():
                with lock:  # shared: each thread takes the next one that is left
                    request = next(waiting, None)
                if request is None:
                    return
                try:
                    outcome = self._ask(client, request, key, limits, address)
                except BaseException as error:
                    outcomes.put((request, error))
                    return
                outcomes.put((request, outcome))

        # daemons, since a pool keeps an interrupted process alive until its last answer has come
        threads = [
            threading.Thread(target=work, name="generate", daemon=True)
            for _ in range(min(self.concurrency, len(requests)))
        ]
        for thread in threads:
            thread.start()
        try:
            for _ in requests:
                request, outcome = outcomes.get()
                if isinstance(outcome, BaseException):
                    raise outcome
                take(request, outcome)
        finally:
            stopped.set()
        for thread in threads:
            thread.join()
        client.close()

    def _ask(
        self,
        client: Any,
        request: Request,
        key: str,
        limits: "tuple[Limit, Limit]",
        address: "_Address",
    ) -> Reply | Failure:
        """One request, until it is answered, given up or invalid."""
        characters = sum(len(str(m.get("content"))) for m in request.prompt.messages)
        expected = characters / CHARACTERS_A_TOKEN + request.sampling.max_tokens
        tries = 0
        while True:
            time.sleep(max(limits[0].take(1), limits[1].take(expected)))
            result, sent = self._send(client, request, key)
            tries += sent
            used = sum(n or 0 for n in result.tokens) if isinstance(result, Reply) else 0
            limits[1].take((used or expected if isinstance(result, Reply) else 0) - expected)
            address.note(result)
            if isinstance(result, Reply):
                return replace(result, tries=tries)
            if result.act == "stop":
                raise TeacherStopped(result.reason)
            if result.page and address.is_wrong():
                raise TeacherStopped(f"{result.reason} (does the address end in /v1?)")
            if result.act == "reject":
                return Failure(result.reason, tries, "invalid")
            if tries >= self.tries:
                reason = f"gave up after {tries} tries: {result.reason}"
                return Failure(reason, tries, alive=result.alive)
            time.sleep(min(GARBAGE_WAIT * 2 ** (tries - 1), 8.0))

    def _send(self, client: Any, request: Request, key: str) -> "tuple[Reply | Verdict, int]":
        """Send a request, the client trying again by itself; and how often it was sent."""
        began, sent = time.monotonic(), 0
        try:
            raw = client.chat.completions.with_raw_response.create(**self._body(request))
            sent = raw.retries_taken + 1
            fields = read_response(raw.http_response)
            for name in ("text", "thinking", "refusal"):
                fields[name] = scrub(fields[name], key)  # a server may echo what it was sent
            return Reply(**fields, seconds=round(time.monotonic() - began, 3)), sent
        except Exception as error:
            verdict = judge(error, self.timeout, key)  # not raised here: no trace may hold the key
            sent = sent or times_sent(error)
        if verdict.act == "retry" and (proxy := proxy_in_words(self.url)):
            verdict = replace(verdict, reason=f"{verdict.reason}; {proxy}")
        return verdict, sent

    def _body(self, request: Request) -> dict[str, Any]:
        """The arguments of one call; one answer a request, so that each has a seed of its own."""
        sampling = request.sampling
        limit = "max_completion_tokens" if self._is_openai() else "max_tokens"
        body: dict[str, Any] = {
            "model": self.model,
            "messages": messages_of(request.prompt.messages),
            "temperature": sampling.temperature,
            limit: sampling.max_tokens,  # OpenAI's newer models know it by the longer name alone
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
        return body | ({"extra_body": dict(self.extra)} if self.extra else {})

    def _client(self, key: str) -> Any:
        with needs("openai"):
            import openai
        client = openai.OpenAI(
            base_url=self.url,
            api_key=key or "none",
            timeout=self.timeout,
            max_retries=self.tries - 1,
            http_client=openai.DefaultHttpxClient(
                event_hooks={"response": [_hopeless]}, **http_options(self.url)
            ),
        )
        if not self._is_openai():  # meant for OpenAI alone, and read from the environment unasked
            client.organization = client.project = None
        return client

    def _is_openai(self) -> bool:
        return urlsplit(self.url).hostname == "api.openai.com"

    def _key(self) -> str:
        name = self.key_from or ("OPENAI_API_KEY" if self._is_openai() else None)
        return "" if name is None else key_in(name)


class _Address:
    """Whether the address is wrong: pages came from it, and nothing a model says."""

    def __init__(self) -> None:
        self.pages, self.answered, self._lock = 0, False, threading.Lock()

    def note(self, result: "Reply | Verdict") -> None:
        """Count what came; whatever a server says as a server shows that it is one."""
        with self._lock:
            self.pages += isinstance(result, Verdict) and result.page
            self.answered |= isinstance(result, Reply)

    def is_wrong(self) -> bool:
        """Whether going on is useless; a page among answers is a gateway's, and passes."""
        return self.pages >= PAGES and not self.answered


class Limit:
    """So much a minute, for all threads together.

    Formula: a bucket fills at rate r and holds at most 6 r; whoever takes more than is there waits
    until the debt is paid.

    >>> limit = Limit(60)
    >>> [round(limit.take(1, now=0.0), 1) for _ in range(8)]
    [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 2.0]
    """

    def __init__(self, per_minute: float | None) -> None:
        self.rate = float("inf") if per_minute is None else per_minute / 60
        self.level = self.size = max(1.0, self.rate * BURST_SECONDS)
        self._last: float | None = None
        self._lock = threading.Lock()

    def take(self, amount: float, now: float | None = None) -> float:
        """Take an amount, and say how many seconds to wait for it; a negative one is given back."""
        if self.rate == float("inf"):
            return 0.0
        now = time.monotonic() if now is None else now
        with self._lock:
            since = 0.0 if self._last is None else now - self._last
            self._last = now
            self.level = min(self.size, self.level + self.rate * since) - amount
            return max(0.0, -self.level / self.rate)


def _hopeless(response: Any) -> None:
    """Keep the client from trying again what no waiting mends: an empty account."""
    if response.status_code == 429 and b"insufficient_quota" in response.read():
        response.headers["x-should-retry"] = "false"
