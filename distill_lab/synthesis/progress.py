"""How far a run is: counts, speed, cost and the time left, as numbers and as one line."""

import re
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

SHOW_SECONDS = 0.5  # between two calls of `progress`
WINDOW = 60.0  # seconds over which the speed is measured
Prices = tuple[float, float]  # for a million tokens of prompt and of answer


@dataclass(frozen=True)
class GenerationProgress:
    """The state of a run; `answered` and `rejected` count what earlier runs wrote too.

    Tokens and cost are those of all runs that wrote the file, seconds and speed those of this one.
    `cost` is in the currency of the prices given, None without prices or where the server counted
    nothing; `uncounted` replies came without their tokens, so the cost is more than said.
    `seconds_left` is None until something can be extrapolated. `notice` is a fault in one line,
    said at once: what, how often so far, and what happens next.
    """

    requests: int
    answered: int
    rejected: int
    prompt_tokens: int
    answer_tokens: int
    tokens_per_second: float
    cost: float | None
    seconds: float
    seconds_left: float | None
    price: Prices | None = None
    uncounted: int = 0
    notice: str = ""

    def cost_in_words(self, places: int = 2) -> str:
        """Write the cost; "unknown" where the server did not count, "at least" where not always.

        >>> GenerationProgress(1, 1, 0, 0, 0, 0.0, None, 1.0, None, (1.0, 2.0), 1).cost_in_words()
        'unknown (the server counted no tokens)'
        """
        if self.cost is None:
            return "unknown (the server counted no tokens)"
        if self.uncounted:
            return f"at least {self.cost:,.{places}f} ({self.uncounted:,} replies were not counted)"
        return f"{self.cost:,.{places}f}"

    @property
    def done(self) -> int:
        """Requests that need not be asked any more."""
        return self.answered + self.rejected

    def __str__(self) -> str:
        if self.notice:
            return self.notice
        parts = [f"{self.done:,} of {self.requests:,} answers"]
        if self.rejected:
            parts.append(f"{self.rejected:,} rejected")
        parts.append(f"{self.tokens_per_second:,.0f} tokens/s")
        if self.price is not None:
            parts.append(f"cost {self.cost_in_words()}")
        if self.seconds_left is not None and self.done < self.requests:
            parts.append(f"{clock(self.seconds_left)} left")
        return ", ".join(parts)


Show = Callable[[GenerationProgress], object]


def clock(seconds: float) -> str:
    """Write a stretch of time for people.

    >>> clock(42), clock(150), clock(7500)
    ('42 s', '2 min 30 s', '2 h 5 min')
    """
    s = round(seconds)
    if s < 60:
        return f"{s} s"
    return f"{s // 60} min {s % 60} s" if s < 3600 else f"{s // 3600} h {s % 3600 // 60} min"


@dataclass
class ProgressMeter:
    """Counts what comes in, and shows it now and then. The speed is that of the last minute.

    Args:
        requests: How many there are.
        answered: Of these, how many earlier runs have answers to.
        rejected: How many earlier runs have rejected.
        show: Called about twice a second.
        prices: For a million tokens of prompt and of answer.
    """

    requests: int
    answered: int
    rejected: int
    show: Show | None = None
    prices: Prices | None = None
    prompt_tokens: int = 0
    answer_tokens: int = 0
    counted: int = 0
    uncounted: int = 0

    def __post_init__(self) -> None:
        self._began = time.monotonic()
        self._shown = 0.0
        self._before = self.answered + self.rejected
        self.faults: Counter[str] = Counter()
        self._recent: deque[tuple[float, int]] = deque()

    def count(
        self, tokens: tuple[int | None, int | None] | None, *, usable: bool, again: bool
    ) -> None:
        """Count one more outcome.

        Args:
            tokens: Of the prompt and of the answer, each None where it is not known; None where no
                reply came.
            usable: Whether it is an answer that can be used.
            again: Whether an earlier run had rejected it.
        """
        now = time.monotonic()
        self.pay(tokens)
        self.answered += usable
        self.rejected += (not usable) - again
        self._recent.append((now, (tokens[1] if tokens else 0) or 0))
        while self._recent and self._recent[0][0] < now - WINDOW:
            self._recent.popleft()
        if self.show is not None and now - self._shown >= SHOW_SECONDS:
            self._shown = now
            self.show(self.state())

    def note(self, fault: str, then: str) -> None:
        """Say a fault at once where it is the first of its kind, or the tenth, the hundredth.

        Args:
            fault: What went wrong.
            then: What happens next.
        """
        kind = re.sub(r"'[^']*'|\d[\d.,]*", "…", fault)[:60]
        self.faults[kind] += 1
        times = self.faults[kind]
        if self.show is not None and times == 10 ** (len(str(times)) - 1):
            often = "" if times == 1 else f" ({times:,} times so far)"
            self.show(replace(self.state(), notice=f"Fault: {fault}{often}; {then}."))

    def pay(self, tokens: Sequence[int | None] | None) -> None:
        """Count what one reply used; None where no reply came, and so nothing was used."""
        if tokens is None:
            return
        self.prompt_tokens += tokens[0] or 0
        self.answer_tokens += tokens[1] or 0
        known = None not in tokens
        self.counted += known
        self.uncounted += not known

    def state(self) -> GenerationProgress:
        """Where the run stands now."""
        now = time.monotonic()
        spent = now - self._began
        speed = sum(tokens for _, tokens in self._recent) / max(min(spent, WINDOW), 1e-9)
        cost = None
        if self.prices is not None and (self.counted or not self.uncounted):
            cost = (self.prompt_tokens * self.prices[0] + self.answer_tokens * self.prices[1]) / 1e6
        done = self.answered + self.rejected
        left = None
        if done > self._before:
            left = spent / (done - self._before) * (self.requests - done)
        return GenerationProgress(
            self.requests,
            self.answered,
            self.rejected,
            self.prompt_tokens,
            self.answer_tokens,
            speed,
            cost,
            spent,
            left,
            self.prices,
            self.uncounted,
        )
