"""What a job reports of teacher and student: fit, likeness, an exam, size and speed."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from distill_lab._util.runtime import modes_kept
from distill_lab.data.templates import Template
from distill_lab.data.tokenized import Texts
from distill_lab.evaluation import count_parameters, size_on_disk
from distill_lab.jobs.exam import Question
from distill_lab.jobs.job import Job
from distill_lab.jobs.rows import length_limit, longer_than
from distill_lab.losses import cross_entropy, forward_kl
from distill_lab.methods.tokens import answers_at, next_tokens
from distill_lab.models.scores_at import Places, in_pieces, scores_at
from distill_lab.teachers import Teacher
from distill_lab.teachers.second_view import UNLIMITED

NOT_MEASURED = "not measured"


@dataclass(frozen=True)
class Figures:
    """One model's figures; None is not measured.

    Args:
        nll: Of the held-out answers, in nats a token; None for a teacher with other tokens.
        kl: KL(teacher || model), in nats a token.
        agreement: With the teacher's first choice, in percent of the tokens.
        right: Of the exam's answers, in percent.
        answer_seconds: The mean time of one answer of the exam, in batches.
        parameters: How many numbers the model has.
        megabytes: Of its file.
        ranked: Of held-out pairs, those whose chosen answer it finds likelier, in percent.
        gained: Those whose chosen answer gained on the other one since the start, in percent.
        margin: By how much it gained, in nats a pair.
    """

    nll: float | None
    kl: float | None
    agreement: float | None
    right: float | None
    answer_seconds: float | None
    parameters: int
    megabytes: float
    ranked: float | None = None
    gained: float | None = None
    margin: float | None = None


def measure(
    model: Any,
    tokenizer: Any,
    texts: Texts,
    teacher: Teacher | None,
    job: Job,
    exam: Sequence[Question] | None = None,
) -> Figures:
    """Measure all figures of one model; it comes back in the mode it was in.

    Args:
        model: The model.
        tokenizer: Its tokenizer.
        texts: Held-out texts.
        teacher: What its distributions are compared with; None for nothing.
        job: For the lengths of texts and answers.
        exam: What it sits; None for nothing.

    Returns:
        The figures.
    """
    with modes_kept(model), torch.no_grad():
        at_once = job.training.batch_size
        nll, kl, agreement = fit_and_likeness(model.eval(), texts, teacher, at_once)
        right, seconds = (None, None) if exam is None else _sit(model, tokenizer, exam, job)
    size = size_on_disk(model) / 1e6
    return Figures(nll, kl, agreement, right, seconds, count_parameters(model), size)


def sit_alone(model: Any, tokenizer: Any, exam: Sequence[Question], job: Job) -> Figures:
    """Measure a teacher whose tokens are other ones than the student's: by the exam alone.

    Args:
        model: The teacher.
        tokenizer: Its own.
        exam: What it sits.
        job: For the lengths of answers.

    Returns:
        Its figures.
    """
    with modes_kept(model), torch.no_grad():
        right, seconds = _sit(model.eval(), tokenizer, exam, job)
    size = size_on_disk(model) / 1e6
    return Figures(None, None, None, right, seconds, count_parameters(model), size)


def as_table(figures: dict[str, Figures], measured_on: str = "") -> str:
    """Write models in columns, as Markdown.

    Args:
        figures: of each model, by its name.
        measured_on: how many rows they were measured on, and of which kind.

    Returns:
        The table; what was measured of no model is left out.
    """
    lines = {
        "NLL, nats a token": lambda f: _or(f.nll, ".4f"),
        "KL to the teacher, nats a token": lambda f: _or(f.kl, ".4f"),
        "same token as the teacher, %": lambda f: _or(f.agreement, ".1f"),
        "exam, % right": lambda f: _or(f.right, ".1f"),
        "seconds an answer": lambda f: _or(f.answer_seconds, ".3f"),
        "parameters": lambda f: f"{f.parameters:,}",
        "size, MB": lambda f: f"{f.megabytes:.2f}",
    }
    pairs = {
        "chosen answer likelier, % of pairs": lambda f: _or(f.ranked, ".1f"),
        "chosen answer gained since the start, % of pairs": lambda f: _or(f.gained, ".1f"),
        "by how much, nats a pair": lambda f: _or(f.margin, ".3f"),
    }
    if any(each.ranked is not None for each in figures.values()):
        lines = pairs | lines
    head = [f"| {measured_on} | " + " | ".join(figures) + " |", "| --- " * (1 + len(figures)) + "|"]
    rows = []
    for name, show in lines.items():
        cells = list(map(show, figures.values()))
        if {*cells} != {NOT_MEASURED}:
            rows.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(head + rows)


def _or(value: float | None, how: str) -> str:
    return NOT_MEASURED if value is None else format(value, how)


def fit_and_likeness(
    model: Any, texts: Texts, teacher: Teacher | None, batch_size: int
) -> tuple[float, float | None, float | None]:
    """Measure a model token by token, as it is: in eval mode, and without a graph.

    Args:
        model: The model.
        texts: Held-out texts.
        teacher: What its distributions are compared with; None for nothing.
        batch_size: Texts at once.

    Returns:
        NLL and KL to the teacher in nats a token, and agreement in percent of the tokens.
    """
    sums = dict.fromkeys(("nll", "kl", "same", "tokens"), 0.0)
    device = next(model.parameters()).device
    for index in torch.arange(len(texts)).split(batch_size):
        batch = texts.batch(index).to(device)
        assert batch.labels is not None
        targets, mask = next_tokens(batch.labels, batch.inputs)
        at = Places.of(mask)
        targets = at.take(targets)  # (n,)
        sides = [scores_at(model, batch.inputs, at)]
        if teacher is not None:
            sides.append(answers_at(teacher, batch, at))
        sums["tokens"] += len(at)
        for rows, (own, *others) in in_pieces(*sides):
            tokens = rows.stop - rows.start
            sums["nll"] += tokens * cross_entropy(own, targets[rows]).item()
            for other_logits in others:
                own = own[:, : other_logits.shape[-1]]
                sums["kl"] += tokens * forward_kl(own, other_logits).item()
                sums["same"] += int((own.argmax(-1) == other_logits.argmax(-1)).sum())
    nll = sums["nll"] / sums["tokens"]
    if teacher is None:
        return nll, None, None
    return nll, sums["kl"] / sums["tokens"], 100 * sums["same"] / sums["tokens"]


def exam_prompts(exam: Sequence[Question], tokenizer: Any, job: Job, *models: Any) -> Texts:
    """Tokenise the questions of an exam, each with room for an answer behind it.

    Args:
        exam: What is asked.
        tokenizer: Of the models.
        job: For the lengths of prompts and answers.
        *models: Who is asked, with weights or without; None is passed over.

    Returns:
        The prompts.

    Raises:
        ValueError: For a prompt that leaves no room, with the setting that says so.
    """
    prompts = Texts(
        [{"messages": question.messages} for question in exam],
        tokenizer,
        prompts_only=True,
        max_length=UNLIMITED,
        template=job.template,
    )
    limit = length_limit(job, *models, answers=True)
    if beyond := int((prompts.lengths > limit).sum()):
        what, mend = longer_than(job, limit, answers=True)
        raise ValueError(
            f"{beyond} prompts of the exam are longer than {what}: give {mend}, or take them out "
            "of the exam."
        )
    return prompts


def _sit(model: Any, tokenizer: Any, exam: Sequence[Question], job: Job) -> tuple[float, float]:
    """Per cent of an exam that is answered right, greedily, and seconds an answer."""
    template = Template(tokenizer, options=job.template)
    prompts = exam_prompts(exam, tokenizer, job, model)
    device = next(model.parameters()).device
    n_right, began = 0, time.perf_counter()
    for index in torch.arange(len(prompts)).split(job.training.batch_size):
        inputs = prompts.batch(index).to(device).inputs
        ids = model.generate(
            **inputs,
            max_new_tokens=job.max_new_tokens,
            do_sample=False,
            pad_token_id=prompts.pad,
            eos_token_id=template.ends(model),
        )
        written = ids[:, inputs["input_ids"].shape[1] :].tolist()
        answers = [template.decode(tokens) for tokens in written]
        for number, answer in zip(index.tolist(), answers, strict=True):
            n_right += exam[number].judge(answer).ok
    seconds = (time.perf_counter() - began) / len(exam)
    return 100 * n_right / len(exam), seconds
