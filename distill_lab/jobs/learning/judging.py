"""Which of a teacher's answers are learned: the verifier and the filters that a job names."""

from typing import Any

from distill_lab._util.jsonl import Row
from distill_lab.jobs.exam import MARKS
from distill_lab.jobs.job import Job
from distill_lab.jobs.rows import Exchanges
from distill_lab.synthesis import filters, verifiers, votes
from distill_lab.synthesis.answers import Answers
from distill_lab.synthesis.filters import verified
from distill_lab.synthesis.pipeline import FilterPipeline, FilterResult
from distill_lab.synthesis.verifiers import final_answer

NO_GOLD = ("regex",)  # judge an answer by itself


def needs_gold(job: Job) -> bool:
    """Whether a job's answers are held against those of its rows."""
    if any("balanced" in one for one in job.filters or ()):
        return True
    return job.verify is not None and _check(job)[0] not in NO_GOLD


def check_gold(rows: Exchanges) -> None:
    """Refuse rows that have no answer to hold others against.

    Args:
        rows: prompts with what stands beside them.

    Raises:
        ValueError: with file and line.
    """
    for number, row in enumerate(rows):
        if row.get("answer") is None:
            raise ValueError(
                f"{rows.table.place(number)}: answers are held against the row's own, and there "
                "is none: name its column, as columns = {answer: ...}."
            )


def pipeline_of(job: Job, rows: Exchanges) -> FilterPipeline | None:
    """The verifier first, then the filters in their order.

    Args:
        job: names them.
        rows: the training rows, with all labels that there are.

    Returns:
        The pipeline; None where all answers are learned.

    Raises:
        ValueError: for settings that cannot be.
    """
    chosen: list[Any] = []
    if job.verify is not None:
        name, settings = _check(job)
        if name == "label" and "labels" not in settings:
            settings["labels"] = sorted({str(row["answer"]).strip() for row in rows})
        if name == "label":
            settings["key"] = "answer"
        chosen.append(verified(getattr(verifiers, name)(**settings), f"verify {name}"))
    for one in job.filters or ():
        ((name, settings),) = one.items()
        if name == "balanced":
            settings = {"by": "answer", **settings}
        make = getattr(filters, name, None) or getattr(votes, name)
        try:
            chosen.append(make(**settings))
        except TypeError as error:
            raise ValueError(f"filters: {name}: {error}") from None
    return FilterPipeline(chosen) if chosen else None


def kept_of(answers: Answers, pipeline: FilterPipeline | None) -> FilterResult:
    """The answers that are learned, and what became of the others.

    Args:
        answers: what the teacher wrote.
        pipeline: what they have to pass.

    Returns:
        Rows, and a table.

    Raises:
        ValueError: where none is left.
    """
    rows = answers.rows.changed(_with_gold)
    result = FilterResult(rows, ()) if pipeline is None else pipeline(rows)
    if not result.rows:
        why = [f"{count:,} {kind}" for kind, count in answers.reasons.most_common()]
        for step in result.steps:
            why += [f"{step.name}: {kind}, {n:,}" for kind, n in [*step.reasons.items()][:2]]
        total = len(answers.rows) + len(answers.unusable)
        raise ValueError(
            f"none of the teacher's {total:,} answers is left to learn from ({'; '.join(why)}): "
            f"look into {answers.path}, then change verify or filters, or raise samples."
        )
    return result


def _check(job: Job) -> tuple[str, dict[str, Any]]:
    given = {"check": job.verify} if isinstance(job.verify, str) else dict(job.verify or {})
    name = str(given.pop("check"))
    settings = {key: value for key, value in given.items() if value is not None}
    for key in {"labels", "require", "refuse"} & settings.keys():
        if isinstance(settings[key], str):
            settings[key] = [settings[key]]
    return name, settings


def _with_gold(row: Row) -> Row:
    """A row whose right answer is the end of a worked solution, where it is one."""
    right = row.get("about", {}).get("answer")
    if isinstance(right, str) and any(mark in right for mark in MARKS):
        return {**row, "about": {**row["about"], "answer": final_answer(right)}}
    return row
