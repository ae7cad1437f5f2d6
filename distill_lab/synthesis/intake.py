"""What comes in from a teacher: written down, held back for a while, or the end of the run."""

import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from distill_lab._util.jsonl import Row
from distill_lab.data.thoughts import thoughts_in
from distill_lab.synthesis.budget import Budget
from distill_lab.synthesis.journal import Journal
from distill_lab.synthesis.progress import ProgressMeter, Show
from distill_lab.synthesis.replies import fault
from distill_lab.synthesis.requests import Requests
from distill_lab.teachers.text.protocol import Failure, Outcome, Request, Retry, TeacherStopped

AT_ONCE_INVALID = 24  # so many invalid requests from all over, and no reply: the settings
PROBES = 16  # requests from all over that are asked first, as long as there is no answer
TOO_LONG = re.compile(
    r"context|too (long|large|many tokens)|exceed[s ]|prompt length|input length", re.IGNORECASE
)
AT_ONCE_SILENT = 8  # so many requests in a row given up: the teacher is gone


def spread(requests: Requests) -> Requests:
    """Put first, of many, the shortest and some from all over: bad ones often stand together.

    So "none so far" is not taken for "never" where a file merely begins with its longest prompts.
    """
    if len(requests) <= AT_ONCE_INVALID:
        return requests
    last = len(requests) - 1
    shortest = min(range(len(requests)), key=requests.length)
    first = dict.fromkeys([shortest, *(round(i * last / (PROBES - 2)) for i in range(PROBES - 1))])
    return requests.pick([*first, *(i for i in range(len(requests)) if i not in first)])


class Intake:
    """Takes what comes in, in whatever order, and gives each its place.

    Args:
        journal: Where it is written down.
        wanted: All requests.
        again: Whether to ask once more for what no answer ever came to.
        show: Called about twice a second, and at once with a notice.
        prices: For a million tokens of prompt and of answer.
        budget: Counts what is paid, where there is one.
    """

    def __init__(
        self,
        journal: Journal,
        wanted: Requests,
        again: bool,
        show: Show | None,
        prices: tuple[float, float] | None,
        budget: Budget | None = None,
    ) -> None:
        self.journal, self.again, self.budget = journal, again, budget
        files = (journal.rows, journal.rejected)
        answered, rejected = (sum(name in f for name in wanted.ids()) if f else 0 for f in files)
        self.meter = ProgressMeter(len(wanted), answered, rejected, show, prices)
        self._earlier = answered + rejected > 0
        for place, name in enumerate(wanted.ids() if self._earlier else ()):  # was paid for
            held = journal.rows if name in journal.rows else journal.rejected
            if name in held:
                self.meter.pay(held.tokens(name))
                if budget is not None:
                    self._spend(wanted[place], held.tokens(name))
        self.held: list[tuple[Request, Failure]] = []
        self.replied = bool(journal.rows)

    def open_of(self, wanted: Requests) -> Requests:
        """Those of all requests that have to be asked."""
        if not self._earlier:
            return wanted
        return wanted.pick(i for i, name in enumerate(wanted.ids()) if self._is_open(name))

    def _is_open(self, name: str) -> bool:
        if name in self.journal.rows:
            return False
        if name not in self.journal.rejected:
            return True
        return self.again and self.journal.rejected[name]["kind"] in ("failed", "invalid")

    def take(self, request: Request, outcome: Outcome) -> None:
        """Write one outcome down, unless it is a failure that may be everybody's."""
        if isinstance(outcome, Retry):
            then = f"asked again in {outcome.seconds:.2g} s, up to {outcome.left:,} times"
            self.meter.note(outcome.reason, then)
            return
        if isinstance(outcome, Failure):
            self._hold(request, outcome)
            return
        self.replied = True
        self._release()
        thoughts = thoughts_in(outcome.text)
        if thoughts.opening or thoughts.closing:
            inside = outcome.thinking or thoughts.inside.strip()
            outcome = replace(outcome, text=thoughts.answer.lstrip(), thinking=inside)
        row = _row(request) | {
            "answer": outcome.text,
            "finish": outcome.finish,
            "tokens": list(outcome.tokens),
            "seconds": outcome.seconds,
            "tries": outcome.tries,
        }
        if outcome.tool_calls:
            row["tool_calls"] = list(outcome.tool_calls)
        if outcome.model:
            row["model"] = outcome.model
        if outcome.fingerprint:
            row["fingerprint"] = outcome.fingerprint
        if outcome.thinking:
            row["thinking"] = outcome.thinking
        self._write(request, row, outcome.tokens, fault(outcome, request.sampling))

    def set_aside(self, request: Request) -> None:
        """Write down a request that nobody can be asked."""
        self._write(request, _row(request) | {"tries": 0}, None, ("invalid", request.unfit))

    def end(self) -> None:
        """All was asked: what is still held is written, unless it says that nobody is there."""
        nobody = not any(failure.alive for _, failure in self.held)
        unknown = not self.replied and not all(TOO_LONG.search(f.reason) for _, f in self.held)
        if self.held and (nobody or unknown):
            self._stop()
        self._release()

    def _write(
        self,
        request: Request,
        row: Row,
        tokens: tuple[int | None, int | None] | None,
        wrong: tuple[str, str] | None,
    ) -> None:
        again = row["id"] in self.journal.rejected
        if wrong is None:
            self.journal.answer(row)
        else:
            self.journal.reject(row | {"kind": wrong[0], "reason": wrong[1]})
        self._spend(request, tokens)
        self.meter.count(tokens, usable=wrong is None, again=again)
        if wrong is not None:
            self.meter.note(f"{wrong[0]}: {wrong[1]}", "that one is set aside, the others go on")

    def _spend(self, request: Request, tokens: Sequence[int | None] | None) -> None:
        if self.budget is not None and tokens is not None:
            self.budget.pay(request, tokens)

    def _hold(self, request: Request, failure: Failure) -> None:
        """A failure is written when the next answer shows that the teacher is well otherwise."""
        self.held.append((request, failure))
        kinds = Counter(held.kind for _, held in self.held)
        if self.replied and failure.kind == "invalid":
            self._release()  # it has replied with these settings: it is this prompt
        elif kinds["invalid"] >= AT_ONCE_INVALID or kinds["failed"] >= AT_ONCE_SILENT:
            self._stop()

    def _release(self) -> None:
        for request, failure in self.held:
            row = _row(request) | {"tries": failure.tries}
            self._write(request, row, None, (failure.kind, failure.reason))
        self.held.clear()

    def _stop(self) -> None:
        last = self.held[-1][1]
        what = "rejects" if last.kind == "invalid" else "does not answer"
        raise TeacherStopped(
            f"the teacher {what} one request after the other (the last: {last.reason}). What was "
            "answered is kept; mend it and start again to go on."
        )


def _row(request: Request) -> Row:
    prompt = request.prompt
    row: Row = {"id": request.id, "sample": request.sample, "prompt": list(prompt.messages)}
    if prompt.student:
        row |= {"prompt": list(prompt.student), "teacher_prompt": list(prompt.messages)}
    if prompt.tools:
        row["tools"] = list(prompt.tools)
    if prompt.about:
        row["about"] = json.loads(json.dumps(dict(prompt.about)))
    return row
