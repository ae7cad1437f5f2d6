"""How far a run is: counts, speed, cost and the time left, as numbers and as one line."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Progress:
    """The state of a run; ``answered`` and ``aside`` count what earlier runs wrote too.

    Tokens, seconds and cost are those of this run. ``cost`` is in the currency of the prices given,
    None without prices; ``seconds_left`` is None until something can be extrapolated.
    """

    requests: int
    answered: int
    aside: int
    prompt_tokens: int
    answer_tokens: int
    tokens_per_second: float
    cost: float | None
    seconds: float
    seconds_left: float | None

    @property
    def done(self) -> int:
        """Requests that need not be asked any more."""
        return self.answered + self.aside

    def __str__(self) -> str:
        parts = [f"{self.done:,} of {self.requests:,} answers"]
        if self.aside:
            parts.append(f"{self.aside:,} set aside")
        parts.append(f"{self.tokens_per_second:,.0f} tokens/s")
        if self.cost is not None:
            parts.append(f"cost {self.cost:,.2f}")
        if self.seconds_left is not None and self.done < self.requests:
            parts.append(f"{clock(self.seconds_left)} left")
        return ", ".join(parts)


Show = Callable[[Progress], object]


def clock(seconds: float) -> str:
    """A stretch of time for people.

    >>> clock(42), clock(150), clock(7500)
    ('42 s', '2 min 30 s', '2 h 5 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


@dataclass
class Meter:
    """Counts what comes in, and shows it now and then. The speed is that of the last minute."""

    requests: int
    answered: int
    aside: int
    show: Show | None = None
    prices: tuple[float, float] | None = None  # for a million tokens of prompt, of answer
    every: float = 0.5
    window: float = 60.0
    prompt_tokens: int = 0
    answer_tokens: int = 0
    kinds: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._began = time.monotonic()
        self._shown = 0.0
        self._before = self.answered + self.aside
        self._recent: deque[tuple[float, int]] = deque()

    def count(self, tokens: tuple[int | None, int | None], kind: str | None, again: bool) -> None:
        """One more answer came; ``kind`` says why it was set aside, ``again`` that it had been."""
        now = time.monotonic()
        self.prompt_tokens += tokens[0] or 0
        self.answer_tokens += tokens[1] or 0
        self.aside -= again
        if kind is None:
            self.answered += 1
        else:
            self.aside += 1
            self.kinds[kind] += 1
        self._recent.append((now, tokens[1] or 0))
        while self._recent and self._recent[0][0] < now - self.window:
            self._recent.popleft()
        if self.show is not None and now - self._shown >= self.every:
            self._shown = now
            self.show(self.state())

    def state(self) -> Progress:
        """Where the run stands now."""
        now = time.monotonic()
        spent = now - self._began
        speed = sum(tokens for _, tokens in self._recent) / max(min(spent, self.window), 1e-9)
        cost = None
        if self.prices is not None:
            cost = (self.prompt_tokens * self.prices[0] + self.answer_tokens * self.prices[1]) / 1e6
        done = self.answered + self.aside
        left = None
        if done > self._before:
            left = spent / (done - self._before) * (self.requests - done)
        return Progress(
            self.requests,
            self.answered,
            self.aside,
            self.prompt_tokens,
            self.answer_tokens,
            speed,
            cost,
            spent,
            left,
        )
