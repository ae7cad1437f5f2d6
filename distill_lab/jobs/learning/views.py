"""A teacher that reads another prompt than its student: rows looked through, and the view made."""

import warnings
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

import torch

from distill_lab._util.jsonl import Row
from distill_lab.data.tokenized import Texts
from distill_lab.jobs.job import Job
from distill_lab.jobs.rows import Exchanges
from distill_lab.jobs.setups.setup import Log
from distill_lab.models.positions import positions_of
from distill_lab.teachers import Live, SecondView
from distill_lab.teachers.second_view import UNLIMITED, rows_behind

SAMPLE = 2_000  # rows whose teacher's prompts are counted before anything is loaded


def check_view(job: Job, rows: Exchanges) -> Exchanges:
    """Refuse rows that the teacher's prompt cannot be written from.

    Args:
        job: with its teacher's prompt, if any.
        rows: prompts with the columns that it names.

    Returns:
        The rows.

    Raises:
        ValueError: with file and line.
    """
    if (view := job.view) is not None:
        for number, row in enumerate(rows):
            try:
                view(row)
            except ValueError as error:
                raise ValueError(f"{rows.table.place(number)} {error}") from None
    return rows


def second_view(
    job: Job,
    teacher: Live,
    rows: Exchanges,
    texts: Texts,
    tokenizer: Any,
    answer: int | None = None,
) -> Live | SecondView:
    """Put a teacher behind its own prompts.

    Args:
        job: with its teacher's prompt, if any.
        teacher: who is asked.
        rows: that the texts were made of.
        texts: that are asked about.
        tokenizer: of both models.
        answer: tokens of the longest answer; None: of those in the texts.

    Returns:
        The teacher, behind its own prompts where the job names them.

    Raises:
        ValueError: for a prompt that leaves no room for the longest answer.
    """
    if job.view is None:
        return teacher
    view = SecondView(
        teacher,
        rows,
        tokenizer,
        job.view,
        of=texts.rows,
        template=job.template,
        max_length=UNLIMITED,
    )
    answer = texts.longest_answer if answer is None else answer
    check_room(view.prompts, answer, teacher.model)
    return view


def forecast_view(job: Job, rows: Exchanges, tokenizer: Any) -> Iterator[str]:
    """Say what the teacher reads in place of the first prompts.

    Args:
        job: with its teacher's prompt, if any.
        rows: prompts with the columns that it names.
        tokenizer: the teacher's; None where a server has it.

    Yields:
        Sentences.
    """
    if (view := job.view) is None:
        return
    first = "\n".join(f"  {turn['role']}: {turn['content']}" for turn in view(next(iter(rows))))
    yield f"the teacher alone reads, of the first row:\n{first}"
    if tokenizer is not None and not job.plain:
        own = prompts_of(job, islice(rows, SAMPLE), tokenizer)
        yield f"its prompts: the longest of the first {len(own):,} has {own.longest:,} tokens"


def prompts_of(job: Job, rows: Iterable[Row], tokenizer: Any) -> Texts:
    """Tokenise what the teacher reads before an answer.

    Args:
        job: with its teacher's prompt, if any.
        rows: prompts with the columns that it names.
        tokenizer: the teacher's.

    Returns:
        The prompts.
    """
    own = rows if job.view is None else rows_behind(rows, job.view)
    return Texts(own, tokenizer, prompts_only=True, template=job.template, max_length=UNLIMITED)


def check_room(prompts: Texts, answer: int, teacher: Any) -> None:
    """Refuse prompts of a teacher that leave no room for the longest answer.

    Args:
        prompts: as the teacher reads them.
        answer: tokens of the longest answer.
        teacher: its network.

    Raises:
        ValueError: saying how many tokens are too many.
    """
    room = positions_of(teacher)
    if room is not None and prompts.longest + answer > room:
        raise ValueError(
            f"teacher_prompt: the longest has {prompts.longest:,} tokens, with an answer of "
            f"{answer:,} behind it, and the teacher has {room:,} positions: shorten it."
        )


def say_gap(view: SecondView, student: Any, texts: Texts, batch_size: int, log: Log) -> None:
    """Say both prompts of one example, and how far the teacher is from its student with its own.

    Args:
        view: the teacher behind its own prompts.
        student: as it begins.
        texts: with answers.
        batch_size: how many are looked at.
        log: called with each line.
    """
    log(view.side_by_side(0))
    with warnings.catch_warnings(record=True) as signs:
        warnings.simplefilter("always", UserWarning)
        gap = view.check(student, texts.batch(torch.arange(min(batch_size, len(texts)))))
    log(
        f"the teacher with its own prompt is {gap.first:.3f} nats from the student at the first "
        f"token of an answer, and {gap.others:.3f} at the others"
    )
    for sign in signs:
        log(f"warning: {sign.message}")
