"""From a job to a student: load, let the teacher answer where it has to, learn, measure, save."""

import dataclasses
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distill_lab import methods
from distill_lab._util.io import write_whole
from distill_lab._util.jsonl import Row, in_words, read_rows
from distill_lab._util.runtime import Progress
from distill_lab.data.tokenized import Texts
from distill_lab.evaluation import Headroom, headroom
from distill_lab.jobs import language_models
from distill_lab.jobs.exam import read_exam
from distill_lab.jobs.job import Job
from distill_lab.jobs.measuring import Figures, as_table, measure
from distill_lab.methods import Method
from distill_lab.synthesis.cards import Card, card_path, set_card, student_card
from distill_lab.synthesis.generate import generate
from distill_lab.teachers.text import LocalGenerator
from distill_lab.training import History, distill

Log = Callable[[str], None]


@dataclass(frozen=True)
class Outcome:
    """What a job left.

    Args:
        student: The folder of the student.
        history: Its training.
        figures: The table of figures, by model.
        headroom: What there was to gain before the first step; None where teacher and student cut
            text into different tokens, or there is no teacher.
    """

    student: Path
    history: History
    figures: dict[str, Figures]
    headroom: Headroom | None = None

    def __str__(self) -> str:
        return as_table(self.figures)


def run_job(job: Job, *, progress: Progress = True, log: Log = lambda line: None) -> Outcome:
    """Run a job to its end, or take it up where it was stopped.

    In `job.out`: `run.safetensors` (the checkpoint), `answers.jsonl` and its card (seq-kd),
    `student/` with its card, `report.json` and `report.md`. Under `accelerate launch` every process
    calls it; the first one writes.

    Args:
        job: What to do.
        progress: As in `distill`.
        log: Called with one line a stage.

    Returns:
        The student's folder, the history and the figures.

    Raises:
        ValueError: For what cannot be read or learned, in words.
        OSError: For what cannot be loaded or written, in words.
    """
    out, main, seed = Path(job.out), int(os.environ.get("RANK", "0")) == 0, job.training.seed
    exam = None if job.task is None else read_exam(job.task)
    log(f"loading {job.student if isinstance(job.student, str) else 'a new student'}")
    teacher = teacher_tokenizer = None
    if job.teacher is not None:
        teacher, teacher_tokenizer = language_models.load(job.teacher)
    if isinstance(job.student, dict):
        tokenizer = teacher_tokenizer
        student = language_models.new_student(job.student, tokenizer, seed)
    else:
        student, tokenizer = language_models.load(job.student)
    rows, sets = read_rows(job.train), _cards_of(job.train)
    if job.method == "seq-kd":
        rows, card = _answers(job, teacher, teacher_tokenizer, rows, out / "answers.jsonl", log)
        sets.append(card)
    prompts_only = job.method == "on-policy"
    texts = Texts(rows, tokenizer, max_length=job.max_length, prompts_only=prompts_only)
    if texts.too_long:
        log(f"{texts.too_long} rows are longer than max_length = {job.max_length}: left out")
    held_out = Texts(read_rows(job.validation or job.train), tokenizer, max_length=job.max_length)
    token_wise = job.method not in ("sft", "seq-kd")
    frozen = None
    if teacher is not None:
        frozen = language_models.frozen_beside(
            teacher, teacher_tokenizer, student, tokenizer, token_wise=token_wise
        )
    reference = frozen if token_wise else None
    figures: dict[str, Figures] = {}

    def examine(name: str, model: Any) -> None:
        if main:
            log(f"measuring the {name}")
            figures[name] = measure(model, tokenizer, held_out, reference, job, exam)

    if teacher is not None and (token_wise or tokenizer is teacher_tokenizer):
        examine("teacher", teacher)
    examine("student before", student)
    room, words = None, tokenizer.get_vocab()  # type: ignore[union-attr]
    if main and teacher_tokenizer is not None and teacher_tokenizer.get_vocab() == words:
        room = headroom(teacher, student, held_out)
        log(str(room))
    if job.lora is not None:
        student = language_models.with_lora(student, job.lora, seed)
    log(f"{job.method}: {len(texts):,} texts, {job.training.epochs} epochs")
    history = distill(
        student,
        texts,
        teacher=reference,
        method=method_of(job, tokenizer),
        progress=progress,
        checkpoint=out / "run.safetensors",
        **job.training_settings(),
    )
    if history.interrupted:
        log("stopped; the same command goes on from here")
        return Outcome(out, history, figures, room)
    student = language_models.merged(student)
    examine("student after", student)
    if main:
        language_models.save(student, tokenizer, out / "student")
        _report(out, job, history, figures, room)
        for warning in _card(out / "student", job, sets, figures).warnings:
            log(warning)
    return Outcome(out / "student", history, figures, room)


def method_of(job: Job, tokenizer: Any) -> Method:
    """Make the recipe that a job names.

    Args:
        job: Names it, with its T, alpha and beta.
        tokenizer: What the student reads with.

    Returns:
        The method.
    """
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


def _cards_of(train: str) -> list[Path | Card]:
    """The card that `generate` left beside the training data, if it is from there."""
    card = card_path(train).with_suffix(".json")
    return [card] if card.is_file() else []


def _answers(
    job: Job, teacher: Any, tokenizer: Any, rows: list[Row], path: Path, log: Log
) -> tuple[list[Row], Card]:
    """The training prompts with the teacher's answers, asked once, resumable; and their card."""
    prompts = [{"prompt": row["prompt"]} if "prompt" in row else row for row in rows]
    path.parent.mkdir(parents=True, exist_ok=True)
    answers = generate(
        prompts,
        LocalGenerator(teacher, tokenizer),
        path,
        temperature=job.temperature,
        max_tokens=job.max_new_tokens,
        seed=job.training.seed,
    )
    log(str(answers))
    card = set_card(answers, prompts=job.train)
    card.write(card_path(path))
    return answers.rows, card


def _card(folder: Path, job: Job, sets: list[Path | Card], figures: dict[str, Figures]) -> Card:
    """The student's card: where it is from, and whether one may."""
    token_wise = job.teacher is not None and job.method not in ("sft", "seq-kd")
    card = student_card(
        folder,
        base=job.student if isinstance(job.student, str) else None,
        sets=sets,
        teachers=[str(job.teacher)] if token_wise else [],
        method=job.method,
        settings=job.facts(),
        evaluation={name: dataclasses.asdict(each) for name, each in figures.items()},
    )
    card.write(folder / "card.md")
    return card


def _report(
    out: Path, job: Job, history: History, figures: dict[str, Figures], room: Headroom | None
) -> None:
    facts = {
        "job": job.facts(),
        "steps": history.steps,
        "seconds": history.seconds,
        "figures": {name: dataclasses.asdict(each) for name, each in figures.items()},
        "headroom": room and dataclasses.asdict(room) | {"verdict": room.verdict},
    }
    before = f"{room}\n\n" if room else ""
    markdown = f"# {job.method}\n\n{before}{as_table(figures)}\n\nTrained "
    markdown += f"{history.seconds:.0f} s, "
    markdown += f"{history.steps} steps. Settings: `report.json`.\n"
    for name, text in {"report.json": json.dumps(facts, indent=1), "report.md": markdown}.items():
        with in_words(out / name):
            write_whole(out / name, text.encode())
