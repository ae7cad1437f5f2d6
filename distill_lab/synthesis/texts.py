"""Filters as such, and the texts of a row that they look at."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import overload

from distill_lab._util.jsonl import Row, as_sequence, picked
from distill_lab.synthesis.pipeline import FilterStep
from distill_lab.synthesis.verifiers.verdicts import answer_of

Of = Callable[[Row], str]


def asked_and_answered(row: Row) -> str:
    """Join the prompt and its answer, without the thoughts before it."""
    return f"{_question_of(row)} {answer_of(row)}"


def thought_and_answered(row: Row) -> str:
    """Join all that a student would learn to write: the thoughts and the answer."""
    answer_of(row)
    return f"{row.get('thinking') or ''} {row['answer']}".strip()


def shown_and_learned(row: Row) -> str:
    """Join all that a student would be shown and learn: the prompt, the thoughts, the answer."""
    return f"{_question_of(row)} {thought_and_answered(row)}"


def _question_of(row: Row) -> str:
    prompt = row.get("prompt") or ""
    if isinstance(prompt, str):
        return prompt
    return " ".join(str(message.get("content") or "") for message in prompt)


class TextsOf(Sequence[str]):
    """A text of each row, made whenever it is asked for.

    Args:
        rows: The rows, which may lie on the disk.
        of: What of a row is the text.
    """

    def __init__(self, rows: Sequence[Row], of: Of) -> None:
        self._rows, self._of = rows, of

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[str]:
        return map(self._of, self._rows)

    @overload
    def __getitem__(self, number: int) -> str: ...
    @overload
    def __getitem__(self, number: slice) -> "TextsOf": ...
    def __getitem__(self, number: int | slice) -> "str | TextsOf":
        if isinstance(number, slice):
            return TextsOf(self._rows[number], self._of)
        return self._of(self._rows[number])


@dataclass(frozen=True)
class Filter:
    """A name, and a function that gives for each row why it is removed, "" where it is kept."""

    name: str
    judge: Callable[[Sequence[Row]], list[str]]

    def __call__(self, rows: Iterable[Row]) -> tuple[Sequence[Row], FilterStep]:
        """The rows that are kept, in their order, and a report on the others."""
        given = as_sequence(rows)
        reasons = self.judge(given)
        if len(reasons) != len(given):
            raise ValueError(f"{self.name} gave {len(reasons)} reasons for {len(given)} rows.")
        kept = picked(given, [number for number, why in enumerate(reasons) if not why])
        return kept, FilterStep.of(self.name, given, reasons)
