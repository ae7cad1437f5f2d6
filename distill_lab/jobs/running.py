"""From a job to a student: make ready what its kind needs, learn, measure, save, report."""

import dataclasses
import json
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from distill_lab._util.devices import find_device
from distill_lab._util.io import open_to_all, write_whole
from distill_lab._util.jsonl import in_words
from distill_lab._util.runtime import Progress
from distill_lab.data.batches import as_data
from distill_lab.evaluation import Headroom
from distill_lab.jobs import setups
from distill_lab.jobs.forms import write_forms
from distill_lab.jobs.kinds import KINDS
from distill_lab.jobs.out_folder import CHECKPOINT, alone_in, check_start, words_of
from distill_lab.jobs.repeating import repeat
from distill_lab.jobs.setups.parts import Rehearsal
from distill_lab.jobs.setups.setup import Context, Log, Result, Setup, Stopped
from distill_lab.jobs.trackers import check_trackers, tracked
from distill_lab.jobs.validating import early_stopping, validation_facts, validation_text
from distill_lab.synthesis.cards import Card, student_card
from distill_lab.training import History, distill
from distill_lab.training.distributed import DistributedContext
from distill_lab.training.known_again import fingerprint


@dataclass(frozen=True)
class Outcome:
    """What a job left.

    Args:
        student: The folder of the student.
        history: Its training.
        figures: What was measured of each model, by name.
        headroom: What there was to gain before the first step; None where that was not measured.
        text: The figures as a table.
        facts: The figures as plain values.
        data: A short name for the content of what was learned.
    """

    student: Path
    history: History
    figures: Mapping[str, Any]
    headroom: Headroom | None = None
    text: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    data: str = ""

    def __str__(self) -> str:
        return self.text


def run_job(
    job: Any,
    *,
    progress: Progress = True,
    log: Log = lambda line: None,
    rehearsal: Rehearsal | None = None,
) -> Outcome:
    """Run a job of any kind to its end, or take it up where it was stopped.

    In `job.out`: `run.safetensors` (the checkpoint), `student/` with its card, `report.json` and
    `report.md`; beside them what its kind asks for, such as the teacher's answers. Under
    `accelerate launch` every process calls it; the first one writes.

    Args:
        job: What to do.
        progress: As in `distill`.
        log: Called with one line a stage.
        rehearsal: What is taken of the data in place of all, and told what was seen.

    Returns:
        The student's folder, the history and the figures.

    Raises:
        ValueError: For what cannot be read or learned, in words.
        OSError: For what cannot be loaded or written, in words.
    """
    check_trackers(job.trackers)
    own = job.training.device
    dist = DistributedContext(find_device(own), job.training.precision, own)
    with alone_in(Path(job.out)) if dist.main else nullcontext():
        return _run(job, Context(log, progress, dist, rehearsal))


def _run(job: Any, context: Context) -> Outcome:
    """Run a job for its one seed, or for each of them."""
    log, progress, dist = context.log, context.progress, context.dist
    if job.seeds is None:
        return _run_one(job, context)

    def run(one: Any, shared: dict[str, Any]) -> Outcome:
        return _run_one(one, Context(log, progress, dist, shared=shared))

    seeds = repeat(job, run, log, main=dist.main)
    if seeds.interrupted:
        return seeds.last  # type: ignore[no-any-return]
    text = seeds.table() if dist.main else ""
    if dist.main:
        facts = {"job": job.facts(), "seeds": seeds.figures}
        _write(Path(job.out), facts, f"# {job.method}, {job.seeds} seeds\n\n{text}\n")
    history = History(1) if seeds.last is None else seeds.last.history
    return Outcome(Path(job.out), history, seeds.figures, text=text)


def _run_one(job: Any, context: Context) -> Outcome:
    """Run a job for the one seed that it names."""
    out, log, dist = Path(job.out), context.log, context.dist
    own = job.training.device
    try:
        setup = setups.setup(job, context)
    except Stopped as stopped:
        log("stopped; the same command goes on from here")
        return Outcome(out, stopped.history, {})
    log(setup.about)
    checkpoint = out / CHECKPOINT
    dist.once(lambda: check_start(checkpoint, setup.student, words_of(job)))
    validation = setup.validation() if job.validates else None
    if validation is not None:
        setup.settings["early_stopping"] = early_stopping(job, validation, log)
    with tracked(job.trackers if dist.main else (), out, job.facts(), log) as callbacks:
        history = distill(
            setup.student,
            setup.data,
            teacher=setup.teacher,
            method=dataclasses.replace(setup.method, title=job.method),
            progress=context.progress,
            checkpoint=checkpoint,
            **job.training_settings() | {"device": own if dist.launched else dist.device},
            **setup.settings | callbacks,
        )
    if history.interrupted:
        log("stopped; the same command goes on from here")
        return Outcome(out, history, {}, setup.headroom)
    student = setup.trained(setup.student)
    if not dist.main:
        return Outcome(out / "student", history, {}, setup.headroom)
    result = setup.measure(student)
    setup.save(student, out / "student")
    open_to_all(out / "student")
    measured = None if validation is None else validation_facts(job, validation, history)
    _report(out, job, history, result, setup.headroom, measured)
    for warning in _card(out / "student", job, setup, result).warnings:
        log(warning)
    # last: what cannot be exported is learned still
    write_forms(setup, student, getattr(job, "export", ()), out / "student", log)
    return Outcome(
        out / "student",
        history,
        result.figures,
        setup.headroom,
        result.text,
        result.facts,
        fingerprint(as_data(setup.data)),
    )


def _card(folder: Path, job: Any, setup: Setup, result: Result) -> Card:
    """The student's card: where it is from, and whether one may."""
    card = student_card(
        folder,
        base=setup.base,
        sets=setup.sets,
        teachers=setup.teachers,
        method=job.method,
        settings=_read_settings(job),
        evaluation=result.facts,
        data=[job.train] if isinstance(job.train, str) else job.train,
    )
    card.write(folder / "card.md")
    return card


def _read_settings(job: Any) -> dict[str, Any]:
    """The settings that its kind has and its method reads, those that say nothing left out."""
    facts = {k: v for k, v in job.facts().items() if v is not None and v not in ((), {})}
    known = {each.name: each for each in KINDS[job.kind].settings}
    others = {each.name for kind in KINDS.values() for each in kind.settings}
    return {
        name: value
        for name, value in facts.items()
        if (known[name].is_read(job.method, facts) if name in known else name not in others)
    }


def _report(
    out: Path,
    job: Any,
    history: History,
    result: Result,
    room: Headroom | None,
    validation: dict[str, Any] | None,
) -> None:
    facts = {
        "job": job.facts(),
        "steps": history.steps,
        "seconds": history.seconds,
        "figures": result.facts,
        **result.about,
        "validation": validation,
        "headroom": room and dataclasses.asdict(room) | {"verdict": room.verdict},
    }
    before = f"{room}\n\n" if room else ""
    during = f"{validation_text(validation, history.steps)}\n\n" if validation else ""
    markdown = f"# {job.method}\n\n{before}{result.text}\n\n{during}Trained "
    markdown += f"{history.seconds:.0f} s, "
    markdown += f"{history.steps} steps. Settings: `report.json`.\n"
    _write(out, facts, markdown)


def _write(out: Path, facts: dict[str, Any], markdown: str) -> None:
    for name, text in {"report.json": json.dumps(facts, indent=1), "report.md": markdown}.items():
        with in_words(out / name):
            write_whole(out / name, text.encode())
