"""Which of a teacher's answers are learned: the verifier and the filters that a job names."""

from collections.abc import Callable
from typing import Any

from distill_lab._util.io import short_hash
from distill_lab._util.jsonl import Row
from distill_lab.data.plain_values import mended
from distill_lab.jobs.exam import MARKS
from distill_lab.jobs.job import Job
from distill_lab.jobs.rows import Exchanges
from distill_lab.synthesis import filters, verifiers, votes
from distill_lab.synthesis.answers import Answers
from distill_lab.synthesis.filters import verified
from distill_lab.synthesis.pipeline import FilterPipeline, FilterResult
from distill_lab.synthesis.prompts import as_prompt
from distill_lab.synthesis.verifiers import Verdict, Verifier, final_answer
from distill_lab.teachers.text.protocol import canonical

NO_GOLD = ("regex",)  # judge an answer by itself
# What is looked into, and changed, where answers of a kind were lost.
MENDS = {
    "truncated": "raise max_new_tokens",
    "malformed": "mend schema, or what the teacher is asked for",
    "empty": "see whether all went into thoughts (raise max_new_tokens), or mend the server",
    "refused": "say refusals: true where these are no refusals, or ask otherwise",
    "failed": "mend the server",
    "invalid": "mend these prompts (shorten them, or lower max_new_tokens)",
}
JUDGED = "change verify or filters, or raise samples"


def columns_judged(job: Job) -> set[str]:
    """The columns that a job's answers are held against: `answer`, or what `balanced` counts."""
    columns = {
        one["balanced"].get("by", "answer") for one in job.filters or () if "balanced" in one
    }
    if job.verify is not None and _check(job)[0] not in NO_GOLD:
        columns.add("answer")
    return columns


def check_gold(job: Job, rows: Exchanges) -> None:
    """Refuse rows that have nothing to hold answers against, or what the verifier cannot read.

    Args:
        job: names the verifier and the filters.
        rows: prompts with what stands beside them.

    Raises:
        ValueError: with file and line.
    """
    columns = sorted(columns_judged(job))
    verify = _verifier(job, rows) if job.verify is not None and "answer" in columns else None
    for number, row in enumerate(rows):
        for name in columns:
            if row.get(name) is None:
                raise ValueError(
                    f"{rows.table.place(number)}: answers are held against the row's own "
                    f"{name!r}, and there is none: name its column, as columns = {{{name}: ...}}."
                )
        if verify is None:
            continue
        right = _ending(row["answer"])
        if not (verdict := _own(verify, _check(job)[0], right)).ok:
            raise ValueError(
                f"{rows.table.place(number)}: the row's own answer, {str(right)[:60]!r}, does not "
                f"pass verify: {_check(job)[0]} ({verdict.reason}), and so no other could: mend "
                "it, leave the row out, or choose another verifier."
            )


def beside_prompts(job: Job, rows: Exchanges) -> Callable[[Row], Row] | None:
    """What puts beside an answer of the teacher what a job's own rows hold beside its prompt.

    A file of answers may be older than `verify`, or another job's: it need not hold it. Of each
    row the name of its prompt is held, and no more.

    Args:
        job: names the verifier and the filters.
        rows: the training rows.

    Returns:
        A function from a row of the answers to the same with it; None where none is needed.
    """
    columns = columns_judged(job)
    if not columns:
        return None
    numbers: dict[int, int] = {}
    for number, row in enumerate(rows):
        prompt = as_prompt(mended(row), job.system)
        numbers.setdefault(_name(list(prompt.messages), list(prompt.tools)), number)

    def with_own(row: Row) -> Row:
        number = numbers.get(_name(row["prompt"], row.get("tools", [])))
        own = {} if number is None else rows[number]
        about = row.get("about", {}) | {name: own[name] for name in columns & own.keys()}
        if "answer" in about:
            about["answer"] = _ending(about["answer"])
        return {**row, "about": about}

    return with_own


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
        chosen.append(verified(_verifier(job, rows), f"verify {_check(job)[0]}"))
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


def kept_of(
    answers: Answers, pipeline: FilterPipeline | None, with_own: Callable[[Row], Row] | None = None
) -> FilterResult:
    """The answers that are learned, and what became of the others.

    Args:
        answers: what the teacher wrote.
        pipeline: what they have to pass.
        with_own: what puts beside an answer what it is held against.

    Returns:
        Rows, and a table.

    Raises:
        ValueError: where none is left, with the file to look into and what to change.
    """
    rows = answers.rows if with_own is None else answers.rows.changed(with_own)
    result = FilterResult(rows, ()) if pipeline is None else pipeline(rows)
    if result.rows:
        return result
    total, lost = len(answers.rows) + len(answers.unusable), answers.reasons.most_common()
    if not total:
        raise ValueError("the teacher was asked nothing, so there is nothing to learn from.")
    why = [f"{count:,} {kind}" for kind, count in lost]
    for step in result.steps:
        why += [f"{step.name}: {kind}, {n:,}" for kind, n in [*step.reasons.items()][:2]]
    places = [(str(answers.unusable.path), [MENDS.get(kind, JUDGED) for kind, _ in lost])]
    places += [(str(answers.path), [JUDGED])]
    used = [len(answers.unusable) > 0, len(answers.rows) > 0]
    ways = (
        f"look into {path}, then {'; '.join(dict.fromkeys(mends))}"
        for (path, mends), there in zip(places, used, strict=True)
        if there
    )
    raise ValueError(
        f"none of the teacher's {total:,} answers is left to learn from ({'; '.join(why)}): "
        f"{'. Or '.join(ways)}."
    )


def _verifier(job: Job, rows: Exchanges) -> Verifier:
    """The verifier that a job names; `label` knows all answers of the rows where none are named."""
    name, settings = _check(job)
    if name == "label":
        own = settings.get("labels") or sorted(
            {str(_ending(row["answer"])).strip() for row in rows}
        )
        settings |= {"labels": own, "key": "answer"}
    make: Callable[..., Verifier] = getattr(verifiers, name)
    return make(**settings)


def _check(job: Job) -> tuple[str, dict[str, Any]]:
    given = {"check": job.verify} if isinstance(job.verify, str) else dict(job.verify or {})
    name = str(given.pop("check"))
    settings = {key: value for key, value in given.items() if value is not None}
    for key in {"labels", "require", "refuse"} & settings.keys():
        if isinstance(settings[key], str):
            settings[key] = [settings[key]]
    return name, settings


def _own(verify: Verifier, name: str, right: Any) -> Verdict:
    """Whether a row's own answer, or the first of several, passes as a teacher's would."""
    text = right
    if isinstance(right, list) and right:
        text = "; ".join(map(str, right)) if name == "listed" else right[0]
    return verify({"answer": str(text), "about": {"answer": right}})


def _ending(right: Any) -> Any:
    """A right answer; of a worked solution its end."""
    worked = isinstance(right, str) and any(mark in right for mark in MARKS)
    return final_answer(right) if worked else right


def _name(messages: list[Any], tools: list[Any]) -> int:
    """What a prompt is known again by."""
    return int(short_hash(canonical([messages, tools]).encode("utf-8", "surrogatepass")), 16)
