"""Ask a teacher for many answers, and keep every one of them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from distill_lab.synthesis.errors import TeacherStopped
from distill_lab.synthesis.journal import Journal
from distill_lab.synthesis.jsonl import Row
from distill_lab.synthesis.languages import language_doubt
from distill_lab.synthesis.progress import Meter, Progress, Show
from distill_lab.synthesis.replies import Failure, Reply, Teacher, check_schema, fault
from distill_lab.synthesis.requests import Request, Sampling, digest, requests_of

AT_ONCE_REJECTED = 5  # so many rejections and not one answer: the settings are wrong
AT_ONCE_SILENT = 8  # so many requests in a row given up: the teacher is gone


@dataclass(frozen=True)
class Answers:
    """What a run left: the usable rows and those set aside, in the order of the prompts.

    A row holds ``id``, ``sample``, ``prompt`` (messages), ``answer``, ``finish``, ``tokens``,
    ``seconds``, ``tries`` and ``about``; one set aside also ``kind`` and ``reason``.
    """

    path: Path
    rows: list[Row]
    aside: list[Row]
    progress: Progress
    repeated: int = 0
    asked: int = 0
    torn: int = 0
    teacher: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    prompts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def reasons(self) -> Counter[str]:
        """How many were set aside, by kind."""
        return Counter(row["kind"] for row in self.aside)

    @property
    def alike(self) -> int:
        """Prompts with several usable answers that are all the same."""
        said: dict[str, list[str]] = {}
        for row in self.rows:
            said.setdefault(digest(row["prompt"]), []).append(row["answer"])
        return sum(len(found) > 1 and len(set(found)) == 1 for found in said.values())

    @property
    def several(self) -> int:
        """Prompts with several usable answers."""
        return sum(n > 1 for n in Counter(digest(row["prompt"]) for row in self.rows).values())

    def __str__(self) -> str:
        parts = [f"{len(self.rows):,} answers in {self.path.name}"]
        if self.aside:
            why = ", ".join(f"{count:,} {kind}" for kind, count in self.reasons.most_common())
            parts.append(f"{len(self.aside):,} set aside ({why})")
        if self.repeated:
            parts.append(f"{self.repeated:,} repeated requests asked once")
        parts.append(f"{self.asked:,} asked now")
        if self.progress.cost is not None:
            parts.append(f"cost {self.progress.cost:,.4f}")
        return "; ".join(parts)


def generate(
    prompts: Iterable[Any],
    teacher: Teacher,
    path: str | Path,
    *,
    samples: int = 1,
    temperature: float = 1.0,
    top_p: float = 1.0,
    max_tokens: int = 512,
    stop: str | Sequence[str] = (),
    seed: int | None = 0,
    schema: Mapping[str, Any] | None = None,
    language: str | None = None,
    refusals: bool = True,
    system: str | None = None,
    again: bool = False,
    progress: Show | None = None,
) -> Answers:
    """Let a teacher answer every prompt, and write each answer down as it comes.

    ``prompts`` are strings, lists of messages, or dicts with ``prompt`` or ``messages``, whose
    other entries are kept under ``about``. ``path`` is a .jsonl file; what cannot be used (empty,
    cut off, refused, malformed, in the wrong language, never answered) goes with its reason to
    ``<name>.aside.jsonl`` beside it. Killed at any moment and started again with the same
    arguments, nothing answered is asked again and nothing is lost. More prompts or more samples may
    be asked for later; other settings are refused. ``again=True`` asks once more for what no answer
    ever came to; ``refusals=False`` keeps answers that merely begin like a refusal.
    A prompt that comes twice is asked once, and keeps what the first had beside it. ``schema`` is
    sent to a server as response_format and every answer is held against it; a local model is not
    guided by it. All rows of the file are held in memory.
    Every request has a seed of its own, made from ``seed``, the prompt and the sample's number;
    servers that batch need not obey it. ``progress`` is called about twice a second.
    Raises ValueError for settings that cannot work or differ from those of the file,
    BlockingIOError where another process writes it, TeacherStopped where going on is useless.
    """
    stops = (stop,) if isinstance(stop, str) else tuple(stop)
    sampling = Sampling(
        samples, temperature, top_p, max_tokens, stops, seed, schema, language, refusals
    )
    if schema is not None:
        check_schema(schema)
    if language is not None:
        language_doubt("", language)
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
        run = _Run(journal, wanted, again, progress, getattr(teacher, "prices", None))
        asking = [r for r in wanted.values() if run.is_open(r.id)]
        if asking:
            teacher.answer(asking, run.take)
            run.end()
        rows = [journal.rows[i] for i in wanted if i in journal.rows]
        aside = [journal.aside[i] for i in wanted if i in journal.aside]
        state = run.meter.state()
        if progress is not None:
            progress(state)
        first = [r for r in wanted.values() if r.sample == 0]
        return Answers(
            Path(path),
            rows,
            aside,
            state,
            total - len(wanted),
            len(asking),
            journal.torn,
            {"name": teacher.name, **identity},
            settings | {"samples": samples},
            {"count": len(first), "hash": digest([list(r.prompt.messages) for r in first])},
        )


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
        self.journal, self.wanted, self.again = journal, wanted, again
        answered = sum(i in journal.rows for i in wanted)
        aside = sum(i in journal.aside for i in wanted)
        self.meter = Meter(len(wanted), answered, aside, show, prices)
        self.held: list[tuple[Request, Failure]] = []

    def is_open(self, name: str) -> bool:
        """Whether a request has to be asked."""
        if name in self.journal.rows:
            return False
        known = self.journal.aside.get(name)
        return known is None or (self.again and known["kind"] in ("failed", "rejected"))

    def take(self, request: Request, came: Reply | Failure) -> None:
        """Write one outcome down, unless it is a failure that may be everybody's."""
        if isinstance(came, Failure):
            self._hold(request, came)
            return
        self._release()
        row = _row(request) | {
            "answer": came.text,
            "finish": came.finish,
            "tokens": list(came.tokens),
            "seconds": came.seconds,
            "tries": came.tries,
        }
        if came.thinking:
            row["thinking"] = came.thinking
        wrong = fault(came, request.sampling)
        self.meter.count(came.tokens, wrong and wrong[0], request.id in self.journal.aside)
        if wrong is None:
            self.journal.answer(row)
        else:
            self.journal.set_aside(row | {"kind": wrong[0], "reason": wrong[1]})

    def end(self) -> None:
        """All was asked: what is still held is written, unless it says that nobody is there."""
        nobody = not any(failure.alive for _, failure in self.held)
        if self.held and (nobody or not (self.journal.rows or self.journal.aside)):
            self._stop()
        self._release()

    def _hold(self, request: Request, failure: Failure) -> None:
        """A failure is written when the next answer shows that the teacher is well otherwise."""
        self.held.append((request, failure))
        kinds = Counter(held.kind for _, held in self.held)
        if self.journal.rows and failure.kind == "rejected":
            self._release()  # it has answered with these settings: it is this prompt
        elif kinds["rejected"] >= AT_ONCE_REJECTED or kinds["failed"] >= AT_ONCE_SILENT:
            self._stop()

    def _release(self) -> None:
        for request, failure in self.held:
            self.meter.count((None, None), failure.kind, request.id in self.journal.aside)
            self.journal.set_aside(
                _row(request)
                | {"tries": failure.tries, "kind": failure.kind, "reason": failure.reason}
            )
        self.held.clear()

    def _stop(self) -> None:
        last = self.held[-1][1]
        what = "rejects" if last.kind == "rejected" else "does not answer"
        raise TeacherStopped(
            f"the teacher {what} one request after the other (the last: {last.reason}). What was "
            "answered is kept; mend it and start again to go on."
        )


def _row(request: Request) -> Row:
    row: Row = {"id": request.id, "sample": request.sample, "prompt": list(request.prompt.messages)}
    if request.prompt.about:
        row["about"] = json.loads(json.dumps(dict(request.prompt.about)))
    return row
