"""One run against a server: what its workers share, and how a request is asked to the end."""

import asyncio
import json
import random
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from distill_lab.teachers.text.connection import Connection
from distill_lab.teachers.text.faults import Verdict, judge
from distill_lab.teachers.text.network import Route, proxy_in_words
from distill_lab.teachers.text.protocol import (
    Failure,
    Outcome,
    Reply,
    Request,
    Retry,
    TeacherStopped,
)
from distill_lab.teachers.text.secrets import Scrubber
from distill_lab.teachers.text.wire import read_response

CHARACTERS_A_TOKEN = 4  # to guess what a prompt will count against tokens_per_minute
BURST_SECONDS = 6.0  # so much of a limit by the minute may be used up at once
FIRST_WAIT = 0.5  # seconds before the first new try; then twice as long each time
LONGEST_PAUSE = 8.0  # seconds: where that ends, unless the server asks for more
BACKLOG_WAIT = 0.002  # seconds, until the other thread has caught up
_ENCODER = json.JSONEncoder(ensure_ascii=False)
PAGES = 3  # so many pages and not one answer: the address is wrong


@dataclass
class Session:
    """What all workers of a run share.

    Args:
        url: Where requests are posted to.
        route: How that is reached.
        headers: Sent with every request; `repr` does not show them.
        scrubber: Takes the key out of what comes back.
        timeout: Seconds without a byte from the server.
        tries: How often a request is sent at most.
        limits: Of requests and of tokens.
    """

    url: str
    route: Route
    headers: Mapping[str, str] = field(repr=False)
    scrubber: Scrubber
    timeout: float
    tries: int
    limits: tuple["Limit", "Limit"]

    def __post_init__(self) -> None:
        self._pages, self._answered = 0, False
        self.taken = 0  # outcomes that the other thread has dealt with; it alone writes it

    async def run(
        self,
        requests: Iterable[Request],
        body: Callable[[Request], dict[str, Any]],
        concurrency: int,
        hand_over: Callable[[list[tuple[Request, Outcome | Exception]]], object],
    ) -> None:
        """Ask for all of them, so many at once.

        Args:
            requests: What to ask for.
            body: What is sent for one of them.
            concurrency: How many are under way at once.
            hand_over: Called with the outcomes of one moment, or with what went wrong.
        """
        loop = asyncio.get_running_loop()
        held: list[tuple[Request, Outcome | Exception]] = []

        def flush() -> None:
            hand_over(held.copy())
            held.clear()

        given = 0

        def give(request: Request, outcome: Outcome | Exception) -> None:
            nonlocal given
            given += 1
            if not held:  # with what else comes at this moment: the other thread wakes once
                loop.call_soon(flush)
            held.append((request, outcome))

        waiting = iter(requests)  # shared: each worker takes the next one that is left

        async def work() -> None:
            connection = Connection(self.url, self.route, self.headers, self.timeout)
            try:
                for request in waiting:
                    while given - self.taken > concurrency:  # what is not written yet can be lost
                        await asyncio.sleep(BACKLOG_WAIT)
                    note = partial(give, request)
                    try:
                        outcome = await self.ask(connection, request, body(request), note)
                    except Exception as error:
                        give(request, error)
                        return
                    give(request, outcome)
            finally:
                connection.close()

        await asyncio.gather(*(work() for _ in range(concurrency)))

    async def ask(
        self,
        connection: Connection,
        request: Request,
        body: Mapping[str, Any],
        note: Callable[[Retry], object],
    ) -> Reply | Failure:
        """Send one request until it is answered, given up or invalid.

        Args:
            connection: The worker's own.
            request: What is asked.
            body: What is sent for it.
            note: Called before each wait.

        Returns:
            The reply, or why there is none.

        Raises:
            TeacherStopped: Where going on is useless.
        """
        raw = _ENCODER.encode(body).encode("utf-8", "replace")
        characters = sum(len(str(m.get("content"))) for m in request.prompt.messages)
        expected = characters / CHARACTERS_A_TOKEN + request.sampling.max_new_tokens
        tries = 0
        while True:
            if wait := max(self.limits[0].take(1), self.limits[1].take(expected)):
                await asyncio.sleep(wait)
            result = await self._send(connection, raw)
            tries += 1
            if isinstance(result, Reply):
                used = sum(n or 0 for n in result.tokens) or expected
                self.limits[1].take(used - expected)
                self._answered = True
                return replace(result, tries=tries) if tries > 1 else result
            self.limits[1].take(-expected)
            self._pages += result.page
            if result.act == "stop":
                raise TeacherStopped(result.reason)
            if result.page and self._pages >= PAGES and not self._answered:
                raise TeacherStopped(f"{result.reason} (does the address end in /v1?)")
            if result.act == "reject":
                return Failure(result.reason, tries, "invalid")
            if tries >= self.tries:
                reason = f"gave up after {tries} tries: {result.reason}"
                return Failure(reason, tries, alive=result.alive)
            longest = min(FIRST_WAIT * 2 ** (tries - 1), LONGEST_PAUSE)
            wait = result.wait or longest * (1 - random.random() / 4)  # not all at the same time
            note(Retry(result.reason, wait, self.tries - tries))
            await asyncio.sleep(wait)

    async def _send(self, connection: Connection, raw: bytes) -> Reply | Verdict:
        """Send a request once."""
        began = time.monotonic()
        try:
            response = await connection.post(raw)
            fields = read_response(response.headers, response.raw)
            fields = self.scrubber.fields(fields)  # a server may echo what it was sent
            return Reply(**fields, seconds=round(time.monotonic() - began, 3))
        except Exception as error:
            verdict = judge(error, self.timeout, self.scrubber)
        # not raised there: no trace may hold the key
        if verdict.act == "retry" and (proxy := proxy_in_words(self.url)):
            verdict = replace(verdict, reason=f"{verdict.reason}; {proxy}")
        return verdict


class Limit:
    """So much a minute, for all workers together.

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

    def take(self, amount: float, now: float | None = None) -> float:
        """Take an amount, and say how many seconds to wait for it; a negative one is given back."""
        if self.rate == float("inf"):
            return 0.0
        now = time.monotonic() if now is None else now
        since = 0.0 if self._last is None else now - self._last
        self._last = now
        self.level = min(self.size, self.level + self.rate * since) - amount
        return max(0.0, -self.level / self.rate)
