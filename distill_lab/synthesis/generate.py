"""Ask a teacher for many answers, and keep every one of them."""

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from distill_lab._util.io import user_path
from distill_lab._util.jsonl import Row
from distill_lab.data.thoughts import thoughts_in
from distill_lab.synthesis.journal import Journal
from distill_lab.synthesis.progress import GenerationProgress, ProgressMeter, Show
from distill_lab.synthesis.prompts import requests_of
from distill_lab.synthesis.replies import check_schema, fault
from distill_lab.teachers.text.protocol import (
    Failure,
    Reply,
    Request,
    Sampling,
    TeacherStopped,
    TextTeacher,
    digest,
)

AT_ONCE_INVALID = 24  # so many invalid requests from all over, and no reply: the settings
PROBES = 16  # requests from all over that are asked first, as long as there is no answer
TOO_LONG = re.compile(
    r"context|too (long|large|many tokens)|exceed[s ]|prompt length|input length", re.IGNORECASE
)
AT_ONCE_SILENT = 8  # so many requests in a row given up: the teacher is gone


@dataclass(frozen=True)
class Answers:
    """What a run left: the usable rows and the rejected ones, in the order of the prompts.

    A row holds `id`, `sample`, `prompt` (messages), `answer`, `finish`, `tokens`, `seconds`,
    `tries` and `about`, and where there are any `tools`, `tool_calls` and `thinking`; a rejected
    one also `kind` and `reason`.

    Args:
        path: The file of the answers.
        rows: The usable ones.
        rejected: The others.
        progress: How many, how fast, at what cost.
        repeated: Requests that came twice, and were asked once.
        asked: Requests of this run; the others were answered before.
        torn: Bytes of a line that was cut short, and left out.
        teacher: Who answered.
        settings: How answers were drawn.
        prompts: Where the prompts came from.
    """

    path: Path
    rows: list[Row]
    rejected: list[Row]
    progress: GenerationProgress
    repeated: int = 0
    asked: int = 0
    torn: int = 0
    teacher: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    prompts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def reasons(self) -> Counter[str]:
        """How many were rejected, by kind."""
        return Counter(row["kind"] for row in self.rejected)

    @property
    def alike(self) -> int:
        """Prompts with several usable answers that are all the same."""
        answers: dict[str, list[str]] = {}
        for row in self.rows:
            answers.setdefault(digest(row["prompt"]), []).append(row["answer"])
        return sum(len(texts) > 1 and len(set(texts)) == 1 for texts in answers.values())

    @property
    def models(self) -> Counter[str]:
        """How many usable answers each model gave, as the server names it."""
        return Counter(row["model"] for row in self.rows if row.get("model"))

    @property
    def several(self) -> int:
        """Prompts with several usable answers."""
        return sum(n > 1 for n in Counter(digest(row["prompt"]) for row in self.rows).values())

    def __str__(self) -> str:
        parts = [f"{len(self.rows):,} answers in {self.path.name}"]
        if self.rejected:
            why = ", ".join(f"{count:,} {kind}" for kind, count in self.reasons.most_common())
            parts.append(f"{len(self.rejected):,} rejected ({why})")
        if self.repeated:
            parts.append(f"{self.repeated:,} repeated requests asked once")
        parts.append(f"{self.asked:,} asked now")
        if self.progress.price is not None:
            parts.append(f"cost {self.progress.cost_in_words(4)}")
        return "; ".join(parts)


def generate(
    prompts: Iterable[Any],
    teacher: TextTeacher,
    path: str | Path,
    *,
    samples: int = 1,
    temperature: float = 1.0,
    top_p: float = 1.0,
    max_tokens: int = 512,
    stop: str | Sequence[str] = (),
    seed: int | None = 0,
    schema: Mapping[str, Any] | None = None,
    refusals: bool = True,
    system: str | None = None,
    again: bool = False,
    progress: Show | None = None,
) -> Answers:
    """Let a teacher answer every prompt, and write each answer down as it comes.

    Killed at any moment and started again with the same arguments, nothing answered is asked again
    and nothing is lost. More prompts or more samples may be asked for later; other settings are
    refused. A prompt that comes twice is asked once, and keeps what the first had beside it.
    Thoughts that stand in an answer are put beside it, as `thinking`.

    Args:
        prompts: Strings, lists of messages, or dicts with `prompt` or `messages`, whose other
            entries are kept under `about`.
        teacher: A `LocalGenerator`, an `OpenAIGenerator`, or a `TextTeacher` of your own.
        path: A .jsonl file. What cannot be used (empty, cut off, refused, malformed, never
            answered) goes with its reason to `<name>.rejected.jsonl` beside it. All rows of the
            file are held in memory.
        samples: Answers a prompt.
        temperature: What logits are divided by; 0 is always the likeliest token.
        top_p: The probability that the nucleus holds.
        max_tokens: The length of an answer in tokens, at most.
        stop: Strings that end an answer.
        seed: Every request has a seed of its own, made from this one, the prompt and the sample's
            number; servers that batch need not obey it.
        schema: A JSON schema. It is sent to a server as response_format, and every answer is held
            against it; a local model is not guided by it.
        refusals: Whether answers that merely begin like a refusal are rejected.
        system: A system message before every prompt that has none.
        again: Whether to ask once more for what no answer ever came to.
        progress: Called about twice a second.

    Returns:
        The rows, and what became of the others.

    Raises:
        ValueError: For settings that cannot work, or that differ from those of the file.
        BlockingIOError: Where another process writes the file.
        TeacherStopped: Where going on is useless.
    """
    stops = (stop,) if isinstance(stop, str) else tuple(stop)
    sampling = Sampling(samples, temperature, top_p, max_tokens, stops, seed, schema, refusals)
    if schema is not None:
        check_schema(schema)
    identity = dict(teacher.identity)
    wanted: dict[str, Request] = {}
    total = 0
    for request in requests_of(prompts, sampling, identity, system):
        total += 1
        wanted.setdefault(request.id, request)
    if not wanted:
        raise ValueError("there are no prompts: give at least one.")
    settings = {"teacher": identity, **sampling.facts(), "system": system}
    with Journal(path, settings) as journal:
        run = _Run(journal, wanted, again, progress, teacher.prices)
        waiting = [request for request in wanted.values() if run.is_open(request.id)]
        asking = [request for request in waiting if not request.unfit]
        for request in waiting:
            if request.unfit:
                run.set_aside(request)
        if asking:
            teacher.answer(asking if journal.rows else _spread(asking), run.take)
            run.end()
        state = run.meter.state()
        if progress is not None:
            progress(state)
        first = [list(r.prompt.messages) for r in wanted.values() if r.sample == 0]
        return Answers(
            path=user_path(path, "the answers"),
            rows=[journal.rows[i] for i in wanted if i in journal.rows],
            rejected=[journal.rejected[i] for i in wanted if i in journal.rejected],
            progress=state,
            repeated=total - len(wanted),
            asked=len(asking),
            torn=journal.torn,
            teacher={"name": teacher.name, **identity, **_address(teacher)},
            settings=settings | {"samples": samples},
            prompts={"count": len(first), "hash": digest(first)},
        )


def _address(teacher: TextTeacher) -> dict[str, str]:
    """Where a served teacher was asked; not part of its identity, since it may move."""
    url = getattr(teacher, "url", None)
    return {"address": url} if isinstance(url, str) else {}


def _spread(requests: list[Request]) -> list[Request]:
    """Put first, of many, the shortest and some from all over: bad ones often stand together.

    So "none so far" is not taken for "never" where a file merely begins with its longest prompts.
    """
    if len(requests) <= AT_ONCE_INVALID:
        return requests
    last = len(requests) - 1
    shortest = min(range(len(requests)), key=lambda i: len(str(requests[i].prompt.messages)))
    first = dict.fromkeys([shortest, *(round(i * last / (PROBES - 2)) for i in range(PROBES - 1))])
    return [requests[i] for i in first] + [r for i, r in enumerate(requests) if i not in first]


class _Run:
    """Takes what comes in, in whatever order, and gives each its place."""

    def __init__(
        self,
        journal: Journal,
        wanted: Mapping[str, Request],
        again: bool,
        show: Show | None,
        prices: tuple[float, float] | None,
    ) -> None:
        self.journal, self.again = journal, again
        answered = sum(i in journal.rows for i in wanted)
        rejected = sum(i in journal.rejected for i in wanted)
        self.meter = ProgressMeter(len(wanted), answered, rejected, show, prices)
        for name in wanted:  # what earlier runs paid for
            if row := journal.rows.get(name) or journal.rejected.get(name):
                self.meter.pay(row.get("tokens"))
        self.held: list[tuple[Request, Failure]] = []
        self.replied = bool(journal.rows)

    def is_open(self, name: str) -> bool:
        """Whether a request has to be asked."""
        if name in self.journal.rows:
            return False
        row = self.journal.rejected.get(name)
        return row is None or (self.again and row["kind"] in ("failed", "invalid"))

    def take(self, request: Request, outcome: Reply | Failure) -> None:
        """Write one outcome down, unless it is a failure that may be everybody's."""
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
        if outcome.thinking:
            row["thinking"] = outcome.thinking
        self._write(row, outcome.tokens, fault(outcome, request.sampling))

    def set_aside(self, request: Request) -> None:
        """Write down a request that nobody can be asked."""
        self._write(_row(request) | {"tries": 0}, None, ("invalid", request.unfit))

    def end(self) -> None:
        """All was asked: what is still held is written, unless it says that nobody is there."""
        nobody = not any(failure.alive for _, failure in self.held)
        unknown = not self.replied and not all(TOO_LONG.search(f.reason) for _, f in self.held)
        if self.held and (nobody or unknown):
            self._stop()
        self._release()

    def _write(
        self, row: Row, tokens: tuple[int | None, int | None] | None, wrong: tuple[str, str] | None
    ) -> None:
        self.meter.count(tokens, usable=wrong is None, again=row["id"] in self.journal.rejected)
        if wrong is None:
            self.journal.answer(row)
        else:
            self.journal.reject(row | {"kind": wrong[0], "reason": wrong[1]})

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
            self._write(row, None, (failure.kind, failure.reason))
        self.held.clear()

    def _stop(self) -> None:
        last = self.held[-1][1]
        what = "rejects" if last.kind == "invalid" else "does not answer"
        raise TeacherStopped(
            f"the teacher {what} one request after the other (the last: {last.reason}). What was "
            "answered is kept; mend it and start again to go on."
        )


def _row(request: Request) -> Row:
    row: Row = {"id": request.id, "sample": request.sample, "prompt": list(request.prompt.messages)}
    if request.prompt.tools:
        row["tools"] = list(request.prompt.tools)
    if request.prompt.about:
        row["about"] = json.loads(json.dumps(dict(request.prompt.about)))
    return row
