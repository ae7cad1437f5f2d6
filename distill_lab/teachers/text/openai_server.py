"""A teacher behind any OpenAI-compatible address: vLLM, SGLang, Ollama, llama.cpp, hosted ones.

What is asked for is not always what a server does. `transformers serve` (5.23) samples only where
the model's own generation settings say do_sample, passes over response_format, and with continuous
batching draws every answer with the settings of its first request. So answers are checked when they
come back, and a set whose samples are all alike says so on its card.
"""

import os
import queue
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal
from urllib.parse import urlsplit

from distill_lab._util.checks import needs, positive_finite, positive_int
from distill_lab.data.turns import messages_of
from distill_lab.teachers.text.protocol import Failure, Reply, Request, Take, TeacherStopped

CHARACTERS_A_TOKEN = 4  # to guess what a prompt will count against tokens_per_minute
BURST_SECONDS = 6.0  # so much of a limit by the minute may be used up at once
GARBAGE_WAIT = 0.5  # seconds before the first new try; then twice as long each time, to 8
FATAL = {
    401: "the server does not accept the key",
    402: "the account is empty",
    403: "the server does not allow this",
    404: "the server knows no such address or model (does the address end in /v1?)",
    405: "the server does not offer chat completions at this address",
    501: "the server does not offer this",
}
PASSING = {408, 409, 425, 429}  # and every 5xx but 501
FOREIGN = {"openai", "httpx", "httpx2", "httpcore", "httpcore2", "h11", "anyio", "json", "ssl"}
LONGEST_WAIT = 120.0  # seconds: the longest Retry-After that the client keeps to


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
                    outcome = self._ask(client, request, key, limits)
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
        self, client: Any, request: Request, key: str, limits: "tuple[Limit, Limit]"
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
            if isinstance(result, Reply):
                return replace(result, tries=tries)
            if result.act == "stop":
                raise TeacherStopped(result.reason)
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
            fields = _collect(raw.parse()) if self.stream else _read(raw.parse())
            for name in ("text", "thinking", "refusal"):
                fields[name] = scrub(fields[name], key)  # a server may echo what it was sent
            return Reply(**fields, seconds=round(time.monotonic() - began, 3)), sent
        except Exception as error:
            verdict = judge(error, self.timeout, key)  # not raised here: no trace may hold the key
            sent = sent or _times_sent(error)
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
            http_client=openai.DefaultHttpxClient(event_hooks={"response": [_hopeless]}),
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


class Garbage(Exception):
    """The server answered, but not with a chat completion."""


@dataclass(frozen=True)
class Verdict:
    """What to do about a fault, and why; `alive` says that a server answered, if only to say no."""

    act: Literal["retry", "reject", "stop"]
    reason: str
    alive: bool = False


def judge(error: Exception, timeout: float, key: str = "") -> Verdict:
    """Sort what a call raised, after the client's own tries.

    Args:
        error: What was raised.
        timeout: The seconds that were waited for a byte.
        key: What no sentence may hold.

    Returns:
        Whether to retry, reject the request or stop the run, with the server's own words.

    Raises:
        Exception: The error itself, where it is neither the server's fault nor the network's.
    """
    status = getattr(error, "status_code", None)
    if isinstance(error, TimeoutError) or "Timeout" in type(error).__name__:
        return Verdict("retry", f"no answer within {timeout:g} s")
    if not isinstance(status, int):
        root = type(error).__module__.split(".")[0]
        if isinstance(error, Garbage):
            return Verdict("retry", str(error), alive=True)
        if root == "json" or isinstance(error, UnicodeDecodeError):
            return Verdict("retry", "the answer is not JSON", alive=True)
        if root in FOREIGN or isinstance(error, OSError):
            cause = error.__cause__ or error
            return Verdict("retry", scrub(f"{type(error).__name__}: {cause}"[:300], key))
        raise error
    answer = scrub(f"{status}: {_message(error)}", key)
    if getattr(error, "code", None) == "insufficient_quota":
        return Verdict("stop", f"{FATAL[402]} ({answer})")
    if status in FATAL:
        return Verdict("stop", f"{FATAL[status]} ({answer})")
    if status in PASSING or status >= 500 or status < 400:
        if (wait := _retry_after(getattr(error, "response", None))) > LONGEST_WAIT:
            return Verdict(
                "stop", f"the server asks to wait {wait:.0f} s: start again later, and it goes on."
            )
        return Verdict("retry", f"the server said {answer}", alive=True)
    return Verdict("reject", f"the server rejected it with {answer}")


def scrub(text: str, key: str) -> str:
    """Take the key out of a text, whatever it holds of it: servers like to quote it.

    >>> scrub("Incorrect API key provided: sk-abcdefgh123", "sk-abcdefgh123")
    'Incorrect API key provided: [key]'
    """
    return text.replace(key, "[key]") if len(key) >= 6 else text


def _hopeless(response: Any) -> None:
    """Keep the client from trying again what no waiting mends: an empty account."""
    if response.status_code == 429 and b"insufficient_quota" in response.read():
        response.headers["x-should-retry"] = "false"


def _times_sent(error: Exception) -> int:
    """How often the client sent a request before it raised: it counts in a header."""
    headers = getattr(getattr(error, "request", None), "headers", {})
    return int(headers.get("x-stainless-retry-count", 0)) + 1


def _retry_after(response: Any) -> float:
    """Seconds a server asks to wait; 0 where it says nothing, or a date."""
    try:
        return float(response.headers.get("retry-after", 0))
    except (ValueError, AttributeError):
        return 0.0


def _message(error: Exception) -> str:
    """The server's own words, shortened."""
    body: Any = getattr(error, "body", None)
    if isinstance(body, dict):
        body = body.get("message") or body.get("detail") or body.get("error") or body
    text = " ".join(str(body or error).split())
    return text if len(text) <= 300 else text[:297] + "..."


def _read(answer: Any) -> dict[str, Any]:
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
        "tool_calls": _called(getattr(message, "tool_calls", None)),
        "finish": _text(getattr(choices[0], "finish_reason", None)),
        "tokens": _tokens(getattr(answer, "usage", None)),
        "model": _text(getattr(answer, "model", None)),
    }


def _collect(stream: Any) -> dict[str, Any]:
    """The same from a stream. Raises Garbage where it ends before the server said why."""
    texts: dict[str, list[str]] = {"text": [], "thinking": [], "refusal": []}
    finish, tokens, model = "", _tokens(None), ""
    calls: dict[int, dict[str, Any]] = {}
    with stream:
        for piece in stream:
            model = model or _text(getattr(piece, "model", None))
            if (usage := getattr(piece, "usage", None)) is not None:
                tokens = _tokens(usage)
            for choice in (getattr(piece, "choices", None) or [])[:1]:
                delta = getattr(choice, "delta", None)
                texts["text"].append(_text(getattr(delta, "content", None)))
                texts["thinking"].append(_thinking(delta))
                texts["refusal"].append(_text(getattr(delta, "refusal", None)))
                for part in getattr(delta, "tool_calls", None) or ():
                    _add_call(calls.setdefault(part.index, {}), part)
                finish = _text(getattr(choice, "finish_reason", None)) or finish
    if not finish:
        raise Garbage("the stream was cut before its end")
    joined = {name: "".join(pieces) for name, pieces in texts.items()}
    called = tuple(calls[index] for index in sorted(calls))
    return {**joined, "tool_calls": called, "finish": finish, "tokens": tokens, "model": model}


def _called(calls: Any) -> tuple[dict[str, Any], ...]:
    """The functions that a whole answer calls."""
    made: list[dict[str, Any]] = [{} for _ in calls or ()]
    for call, part in zip(made, calls or (), strict=True):
        _add_call(call, part)
    return tuple(made)


def _add_call(call: dict[str, Any], part: Any) -> None:
    """Add a piece of a call to what came of it before."""
    function = getattr(part, "function", None)
    if name := _text(getattr(part, "id", None)):
        call["id"] = name
    made = call.setdefault("function", {"name": "", "arguments": ""})
    call["type"] = "function"
    for name in made:
        made[name] += _text(getattr(function, name, None))


def _thinking(message: Any) -> str:
    """Reasoning that came apart from the answer: vLLM, SGLang and others name it differently."""
    thinking = getattr(message, "reasoning_content", None) or getattr(message, "reasoning", None)
    return _text(thinking)


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list):  # some servers give the content in parts
        return "".join(_text(part.get("text")) for part in value if isinstance(part, dict))
    return ""


def _tokens(usage: Any) -> tuple[int | None, int | None]:
    counts = [getattr(usage, name, None) for name in ("prompt_tokens", "completion_tokens")]
    prompt, answer = (n if isinstance(n, int) and n >= 0 else None for n in counts)
    return prompt, answer
