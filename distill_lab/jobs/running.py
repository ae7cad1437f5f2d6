"""From a job to a student: load, let the teacher answer where it has to, learn, measure, save."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distill_lab import methods
from distill_lab._util.io import write_whole
from distill_lab._util.jsonl import in_words, read_rows
from distill_lab._util.runtime import Progress
from distill_lab.data.tokenized import Texts
from distill_lab.jobs import language_models
from distill_lab.jobs.exam import read_exam
from distill_lab.jobs.job import Job
from distill_lab.jobs.measuring import Figures, as_table, measure
from distill_lab.methods import Method
from distill_lab.synthesis.cards import Card, card_path, set_card, student_card
from distill_lab.synthesis.generate import generate
from distill_lab.teachers.text import LocalGenerator
from distill_lab.training import History, distill

Say = Callable[[str], None]


@dataclass(frozen=True)
class Outcome:
    """What a job left: the folder of the student, its history and the table of figures."""

    student: Path
    history: History
    figures: dict[str, Figures]

    def __str__(self) -> str:
        return as_table(self.figures)


def run_job(job: Job, *, progress: Progress = True, say: Say = lambda line: None) -> Outcome:
    """Run a job to its end, or take it up where it was stopped.

    In ``job.out``: ``run.safetensors`` (the checkpoint), ``answers.jsonl`` and its card (seq-kd),
    ``student/`` with its card, ``report.json`` and ``report.md``. ``say`` hears one line a stage.
    Under ``accelerate launch`` every process calls it; the first one writes.
    Raises ValueError or OSError, in words, for what cannot be loaded, read or learned.
    """
    out, main = Path(job.out), int(os.environ.get("RANK", "0")) == 0
    exam = None if job.task is None else read_exam(job.task)
    say(f"loading {job.student if isinstance(job.student, str) else 'a new student'}")
    teacher, said_by = (None, None) if job.teacher is None else language_models.load(job.teacher)
    if isinstance(job.student, dict):
        student, tokenizer = language_models.new_student(job.student, said_by, job.seed), said_by
    else:
        student, tokenizer = language_models.load(job.student)
    rows, sets = read_rows(job.train), []
    if job.method == "seq-kd":
        rows, card = _answered(job, teacher, said_by, rows, out / "answers.jsonl", say)
        sets.append(card)
    prompts_only = job.method == "on-policy"
    texts = Texts(rows, tokenizer, max_length=job.max_length, prompts_only=prompts_only)
    if texts.too_long:
        say(f"{texts.too_long} rows are longer than max_length = {job.max_length}: left out")
    held_out = Texts(read_rows(job.validation or job.train), tokenizer, max_length=job.max_length)
    token_wise = job.method not in ("sft", "seq-kd")
    frozen = None
    if teacher is not None:
        frozen = language_models.beside(teacher, said_by, student, tokenizer, token_wise=token_wise)
    figures: dict[str, Figures] = {}

    def look(name: str, model: Any) -> None:
        if main:
            say(f"measuring the {name}")
            like = frozen if token_wise else None
            figures[name] = measure(model, tokenizer, held_out, like, job, exam)

    if teacher is not None and (token_wise or tokenizer is said_by):
        look("teacher", teacher)
    look("student before", student)
    if job.lora is not None:
        student = language_models.with_lora(student, job.lora, job.seed)
    say(f"{job.method}: {len(texts):,} texts, {job.epochs} epochs")
    history = distill(
        student,
        texts,
        teacher=frozen if token_wise else None,
        method=method_of(job, tokenizer),
        epochs=job.epochs,
        batch_size=job.batch_size,
        accumulate=job.accumulate,
        lr=job.lr,
        schedule=job.schedule,
        warmup=job.warmup,
        clip=job.clip,
        precision=job.precision,
        seed=job.seed,
        progress=progress,
        checkpoint=out / "run.safetensors",
        checkpoint_every=job.checkpoint_every,
    )
    if history.interrupted:
        say("stopped; the same command goes on from here")
        return Outcome(out, history, figures)
    student = language_models.merged(student)
    look("student after", student)
    if main:
        language_models.save(student, tokenizer, out / "student")
        _report(out, job, history, figures)
        for warning in _card(out / "student", job, sets, figures).warnings:
            say(warning)
    return Outcome(out / "student", history, figures)


def method_of(job: Job, tokenizer: Any) -> Method:
    """The recipe a job names."""
    if job.method in ("sft", "seq-kd"):
        return methods.tokens(alpha=0.0)
    if job.method == "on-policy":
        return methods.on_policy(
            "reverse_kl",
            T=job.T,
            temperature=job.temperature,
            end=tokenizer.eos_token_id,
            max_new_tokens=job.max_new_tokens,
        )
    kind = {"token-kl": "forward_kl", "reverse-kl": "reverse_kl", "jsd": "jsd"}[job.method]
    return methods.tokens(kind, T=job.T, alpha=job.alpha, beta=job.beta)


def _answered(
    job: Job, teacher: Any, tokenizer: Any, rows: list[dict[str, Any]], path: Path, say: Say
) -> tuple[list[dict[str, Any]], Card]:
    """The training prompts with the teacher's answers, asked once, resumable; and their card."""
    prompts = [{"prompt": row["prompt"]} if "prompt" in row else row for row in rows]
    path.parent.mkdir(parents=True, exist_ok=True)
    answers = generate(
        prompts,
        LocalGenerator(teacher, tokenizer),
        path,
        temperature=job.temperature,
        max_tokens=job.max_new_tokens,
        seed=job.seed,
    )
    say(str(answers))
    card = set_card(answers, prompts=job.train)
    card.write(card_path(path))
    return answers.rows, card


def _card(folder: Path, job: Job, sets: list[Card], figures: dict[str, Figures]) -> Card:
    """The student's card: where it is from, and whether one may."""
    listens = job.teacher is not None and job.method not in ("sft", "seq-kd")
    card = student_card(
        folder,
        base=job.student if isinstance(job.student, str) else None,
        sets=sets,
        teachers=[str(job.teacher)] if listens else [],
        method=job.method,
        settings=dataclasses.asdict(job),
        evaluation={name: dataclasses.asdict(found) for name, found in figures.items()},
    )
    card.write(folder / "card.md")
    return card


def _report(out: Path, job: Job, history: History, figures: dict[str, Figures]) -> None:
    facts = {
        "job": dataclasses.asdict(job),
        "steps": history.steps,
        "seconds": history.seconds,
        "figures": {name: dataclasses.asdict(found) for name, found in figures.items()},
    }
    words = f"# {job.method}\n\n{as_table(figures)}\n\nTrained {history.seconds:.0f} s, "
    words += f"{history.steps} steps. Settings: `report.json`.\n"
    for name, text in {"report.json": json.dumps(facts, indent=1), "report.md": words}.items():
        with in_words(out / name):
            write_whole(out / name, text.encode())
