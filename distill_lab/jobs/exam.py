"""An exam that models sit: questions of one's own, each with how an answer to it is judged."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from distill_lab.data.datasets.exchanges import exchange_of
from distill_lab.data.datasets.tables import Table, load_table
from distill_lab.jobs.kinds.judging import VERIFIERS
from distill_lab.synthesis import verifiers
from distill_lab.synthesis.prompts import as_prompt
from distill_lab.synthesis.verifiers import Verdict, Verifier, final_answer

# The checks a row may name, each with those of its entries that are settings of the verifier.
CHECKS: dict[str, tuple[Callable[..., Verifier], tuple[str, ...]]] = {
    name: (getattr(verifiers, name), settings) for name, settings in VERIFIERS.items()
}
ENTRIES = {"prompt", "messages", "answer", "check", "id", "about"}
SHOWN = 12  # mistakes that are named, at most
MARKS = ("####", r"\boxed")  # of a worked solution that has its answer at the end


@dataclass(frozen=True)
class Question:
    """One question of an exam.

    Args:
        messages: what is asked.
        answer: the right answer; None where the verifier needs none.
        verify: judges an answer.
    """

    messages: list[dict[str, Any]]
    answer: Any
    verify: Verifier

    def judge(self, text: str) -> Verdict:
        """Whether `text` is right, and why not."""
        return self.verify({"answer": text, "about": {"answer": self.answer}})


def read_exam(
    data: str | Path | Sequence[str | Path],
    *,
    verify: str | None = None,
    columns: Mapping[str, str] | None = None,
    encoding: str | None = None,
    most: int | None = None,
    **settings: Any,
) -> list[Question]:
    """Read an exam from files of questions, in any form that `load_dataset` knows.

    A row has a `prompt` (text, or a list of `messages`) and the right `answer`; or another shape
    that a training row may have. `verify`, or the row's own `check`, says how it is judged:

    - "exact" (where none is named): the final answer equals it, or one of a list;
    - "numeric": its number equals it, within `tolerance`;
    - "mathematical": it is the same mathematics, in LaTeX or typed;
    - "label": it names this one of the `labels` and no other;
    - "choice": it chooses this one of the `letters` (ABCDE where none are named);
    - "listed": it lists the same things, in the same order where `ordered`;
    - "date": it gives this date, with `day_first` for 3/4/2024;
    - "contains": the answer stands in it, word by word;
    - "regex": every pattern of `require` and none of `refuse` is found, in at most `max_words`.

    Args:
        data: The files.
        verify: The check of every row that names none. With it a row may hold other columns too,
            and a worked solution as its answer, which then ends in "#### 7" or a box.
        columns: Our names for columns of the data.
        encoding: Of data that are not UTF-8.
        most: Questions that are asked, at most, from the first.
        **settings: Those of the verifier, such as `tolerance`. Without `labels`, "label" knows
            all that the data have.

    Returns:
        The questions, in the order of the files.

    Raises:
        FileNotFoundError: Where there is no file.
        ValueError: With mistakes on lines of their own, each with its line of the file.
    """
    try:
        table = load_table(data, columns=columns, encoding=encoding)
    except FileNotFoundError as error:
        raise FileNotFoundError(f"the exam: {error}") from None
    except ValueError as error:
        raise ValueError(f"the exam: {error}") from None
    if verify == "label" and "labels" not in settings:
        rows = (_row(table, number) for number in range(len(table)))
        settings["labels"] = sorted({str(row["answer"]).strip() for row in rows if "answer" in row})
    questions, mistakes = [], []
    for number in islice(range(len(table)), most):
        try:
            questions.append(_question(_row(table, number), table.place(number), verify, settings))
        except (TypeError, ValueError) as error:
            place = table.place(number)
            mistakes.append(str(error) if place in str(error) else f"{place}: {error}")
    if mistakes:
        more = f"\nand {len(mistakes) - SHOWN:,} more." if len(mistakes) > SHOWN else ""
        raise ValueError("\n".join(mistakes[:SHOWN]) + more)
    return questions


def _row(table: Table, number: int) -> dict[str, Any]:
    row = {name: value for name, value in table[number].items() if value is not None}
    answer = row.get("answer")
    if "prompt" in row or ("messages" in row and answer is not None):
        return row
    try:
        given = exchange_of(row, table.place(number), prompt_only=answer is None)
    except ValueError:
        if isinstance(answer, str) or answer is None:
            raise
        given = exchange_of({**row, "answer": str(answer)}, table.place(number))
    last = given["messages"][-1] if "messages" in given else {}
    if "answer" not in given and last.get("role") == "assistant":
        given = {**given, "messages": given["messages"][:-1], "answer": last.get("content")}
    return given


def _question(
    row: dict[str, Any], place: str, verify: str | None, settings: Mapping[str, Any]
) -> Question:
    name = row.get("check", verify or "exact")
    if name not in CHECKS:
        raise ValueError(f"check must be one of {', '.join(CHECKS)}; got {name!r}.")
    make, known = CHECKS[name]
    if verify is None and (odd := sorted(row.keys() - ENTRIES - {*known})):
        entries = ", ".join(sorted(ENTRIES | {*known}))
        raise ValueError(f"there is no entry {odd[0]!r} with the check {name!r}; known: {entries}.")
    options = {key: row.get(key, settings.get(key)) for key in known}
    options = {key: value for key, value in options.items() if value is not None}
    if name == "label":
        options = {"labels": (), **options, "key": "answer"}
    answer = row.get("answer")
    if verify and isinstance(answer, str) and any(mark in answer for mark in MARKS):
        answer = final_answer(answer)
    question = Question(list(as_prompt(row).messages), answer, make(**options))
    if answer is None:
        if name != "regex":
            raise ValueError(f'the check {name!r} needs the right "answer".')
        return question
    first = answer
    if isinstance(first, list):
        first = "; ".join(map(str, first)) if name == "listed" else first[0]
    if not (verdict := question.judge(str(first))).ok:
        raise ValueError(f"its own answer {first!r} does not pass its check: {verdict.reason}.")
    return question
