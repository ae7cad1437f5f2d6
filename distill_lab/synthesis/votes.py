"""The answers to one prompt vote: those of the majority are kept."""

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence

from distill_lab._util.jsonl import Row
from distill_lab.synthesis.texts import Filter
from distill_lab.synthesis.verifiers import final_answer, plain
from distill_lab.synthesis.verifiers.quantities import whole_quantity
from distill_lab.synthesis.verifiers.verdicts import answer_of
from distill_lab.teachers.text.protocol import digest


def self_consistent(
    *, least: float = 0.5, votes: int = 2, of: Callable[[str], str] = final_answer
) -> Filter:
    """Keep answers that agree with most of their prompt's samples, where most of them agree.

    Formula: v = argmax_a n_a over the final answers a of one prompt; a row stays if its answer is
    v, n_v / sum_a n_a >= least, n_v >= votes, and no other answer has as many.
    Numbers are one answer however they are written: 1,000 and 1000.0. An empty answer has no vote.
    It needs no gold answers, and so it cannot see what a teacher gets wrong every time.

    Args:
        least: The share of a prompt's samples that must agree.
        votes: How many must agree.
        of: What of a text is its answer.

    Raises:
        ValueError: For a share outside (0, 1] or less than one vote.

    Source: Wang et al. 2023, arXiv:2203.11171, section 2.
    """
    if not 0 < least <= 1:
        raise ValueError(f"least must be a share above 0 and up to 1, got {least!r}.")
    if votes < 1:
        raise ValueError(f"votes must be 1 or more, got {votes!r}.")

    def judge(rows: Sequence[Row]) -> list[str]:
        answers = [_vote(of(answer_of(row))) for row in rows]
        polls: dict[str, Counter[str]] = defaultdict(Counter)
        names = [digest(row.get("prompt")) for row in rows]
        for name, answer in zip(names, answers, strict=True):
            if answer:
                polls[name][answer] += 1
        return [_outvoted(polls[n], a, least, votes) for n, a in zip(names, answers, strict=True)]

    return Filter("self-consistent", judge)


def _vote(answer: str) -> str:
    """An answer as it is counted: a number by its value and unit, anything else by its words."""
    number = whole_quantity(answer)
    if number is None:
        return plain(answer)
    unit = f" {number.unit.name}" if number.unit else ""
    return f"{number.value * (100 if number.percent else 1)}{' %' if number.percent else unit}"


def _outvoted(poll: Counter[str], answer: str, least: float, votes: int) -> str:
    if not answer:
        return "no answer: it is empty"
    (first, maximum), *others = poll.most_common()
    if others and others[0][1] == maximum:
        return f"no majority: {maximum} of {poll.total()} samples each for several answers"
    if maximum < votes or maximum < least * poll.total():
        return f"no majority: at most {maximum} of {poll.total()} samples agree"
    if answer == first:
        return ""
    return f"answered {answer[:40]!r}; {maximum} of {poll.total()} answered {first!r}"
