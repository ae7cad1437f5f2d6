"""How fast to ask: limits by the minute, a pause for everybody, and how long to wait after a fault.

Formulas:
    a bucket that fills at rate r and holds at most r * 6 s; a request takes its share at once, and
    waits until the debt is paid;
    the k-th wait after a fault: u * min(first * 2^(k-1), longest), u uniform on [0.5, 1], so that
    many clients that failed together do not come back together.
"""

from __future__ import annotations

import asyncio
import random
import time

BURST_SECONDS = 6.0


class Bucket:
    """So much a minute; whoever takes more than is there is told how long to wait.

    >>> bucket = Bucket(60)
    >>> [round(bucket.take(1, now=0.0), 1) for _ in range(8)]
    [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 2.0]
    """

    def __init__(self, per_minute: float) -> None:
        self.rate = per_minute / 60
        self.most = max(1.0, self.rate * BURST_SECONDS)
        self.level = self.most
        self.filled: float | None = None

    def take(self, amount: float, now: float | None = None) -> float:
        """Take an amount and return the seconds to wait for it; a negative one is given back."""
        now = time.monotonic() if now is None else now
        if self.filled is not None:
            self.level = min(self.most, self.level + (now - self.filled) * self.rate)
        self.filled = now
        self.level = min(self.most, self.level - amount)
        return max(0.0, -self.level) / self.rate


class Pace:
    """What all workers of a run share: the limits, and a pause that a server asked for."""

    def __init__(
        self, requests_per_minute: float | None = None, tokens_per_minute: float | None = None
    ) -> None:
        self.requests = Bucket(requests_per_minute) if requests_per_minute else None
        self.tokens = Bucket(tokens_per_minute) if tokens_per_minute else None
        self.closed_until = 0.0
        self._chance = random.Random()  # its own, and no need to repeat: only waits depend on it

    async def turn(self, tokens: float) -> None:
        """Wait until one more request of about so many tokens may go out."""
        wait = self.requests.take(1) if self.requests else 0.0
        if self.tokens:
            wait = max(wait, self.tokens.take(tokens))
        if wait:
            await asyncio.sleep(wait)
        while (pause := self.closed_until - time.monotonic()) > 0:
            await asyncio.sleep(pause + self._chance.random() * min(1.0, pause))

    def spent(self, expected: float, really: float) -> None:
        """Correct what was taken for a request by what it really took."""
        if self.tokens:
            self.tokens.take(really - expected)

    def hold(self, seconds: float) -> None:
        """Nobody asks again before so many seconds have passed."""
        self.closed_until = max(self.closed_until, time.monotonic() + seconds)

    def backoff(self, failures: int, first: float, longest: float) -> float:
        """Seconds to wait after so many faults in a row, at least 1."""
        return self._chance.uniform(0.5, 1.0) * min(first * 2 ** min(failures - 1, 60), longest)
