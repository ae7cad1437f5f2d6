"""What learners get wrong when they count wrong steps, and the right count beside it."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from distill_lab.course.check.exercise import Mistake

__all__ = ["WRONG_STEPS", "wrong_steps"]

Steps = Sequence[int]


def _expected(digits: Steps, steps: Steps) -> list[int]:
    """What each step should be, given the step before it as written."""
    return [digits[0], *((s + d) % 10 for s, d in zip(steps[:-1], digits[1:], strict=True))]


def wrong_steps(digits: Steps, steps: Steps) -> float:
    """The reference of exercise 1."""
    return float(sum(a != b for a, b in zip(steps, _expected(digits, steps), strict=True)))


def _from_the_problem(digits: Steps, steps: Steps) -> float:
    sums = [sum(digits[: i + 1]) % 10 for i in range(len(digits))]
    return float(sum(a != b for a, b in zip(steps, sums, strict=True)))


def _places(digits: Steps, steps: Steps) -> list[int]:
    return [
        i for i, (a, b) in enumerate(zip(steps, _expected(digits, steps), strict=True)) if a != b
    ]


def _no_modulo(digits: Steps, steps: Steps) -> float:
    expected = [digits[0], *(s + d for s, d in zip(steps[:-1], digits[1:], strict=True))]
    return float(sum(a != b for a, b in zip(steps, expected, strict=True)))


def _one_digit_late(digits: Steps, steps: Steps) -> float:
    expected = [digits[0], *((s + d) % 10 for s, d in zip(steps[:-1], digits[:-1], strict=True))]
    return float(sum(a != b for a, b in zip(steps, expected, strict=True)))


def _after_the_first(digits: Steps, steps: Steps) -> float:
    return float(len([i for i in _places(digits, steps) if i > 0]))


def _from(digits: Steps, steps: Steps, before: int) -> float:
    """The wrong steps, if `before` had been written in front of the first."""
    return float(steps[0] != (before + digits[0]) % 10) + _after_the_first(digits, steps)


def _against_itself(digits: Steps, steps: Steps) -> float:
    return float(sum((s + d) % 10 != s for s, d in zip(steps, digits, strict=True)))


def _digits_only(digits: Steps, steps: Steps) -> float:
    expected = [digits[0], *((a + b) % 10 for a, b in itertools.pairwise(digits))]
    return float(sum(a != b for a, b in zip(steps, expected, strict=True)))


WRONG_STEPS = (
    Mistake(
        "An error that is carried on is counted again. Compare each step with the step before "
        "it, as written: `(steps[i - 1] + digits[i]) % 10`.",
        _from_the_problem,
    ),
    Mistake(
        "The modulo is missing, or acts on the digit alone. Only the last digit of a sum is "
        "written: put brackets round the sum.",
        _no_modulo,
    ),
    Mistake("The first step is not checked. It must be the first digit.", _after_the_first),
    Mistake(
        "The result says only whether there is an error. Count the errors.",
        lambda digits, steps: float(bool(_places(digits, steps))),
    ),
    Mistake(
        "The result is turned round: 1 means that all is right. Count the errors.",
        lambda digits, steps: float(not _places(digits, steps)),
    ),
    Mistake(
        "These are the right steps. Count the wrong ones.",
        lambda digits, steps: len(steps) - wrong_steps(digits, steps),
    ),
    Mistake(
        "This is a share of the steps. Return their number.",
        lambda digits, steps: wrong_steps(digits, steps) / len(steps),
    ),
    Mistake(
        "This is the place of the first wrong step. Count all of them.",
        lambda digits, steps: float(next(iter(_places(digits, steps)), -1)),
    ),
    Mistake(
        "Only the last step is checked. Each step has to be.",
        lambda digits, steps: float(steps[-1] != sum(digits) % 10),
    ),
    Mistake(
        "The digit is the one before. Step i adds `digits[i]` to `steps[i - 1]`.", _one_digit_late
    ),
    Mistake(
        "Two digits are added. Step i adds a digit to the step before it, not to a digit.",
        _digits_only,
    ),
    Mistake(
        "Each step is compared with itself plus a digit. Compare it with the step before it "
        "plus the digit.",
        _against_itself,
    ),
    Mistake(
        "The first step is compared with the last one, `steps[-1]`. It must be the first digit.",
        lambda digits, steps: _from(digits, steps, steps[-1]),
    ),
    Mistake(
        "The first step is compared with 0. It must be the first digit.",
        lambda digits, steps: float(bool(steps[0])) + _after_the_first(digits, steps),
    ),
    Mistake(
        "The digit is subtracted. Each step adds it.",
        lambda digits, steps: float(
            sum(
                step != (before - digit) % 10
                for step, before, digit in zip(steps, [0, *steps[:-1]], digits, strict=True)
            )
        ),
    ),
    Mistake(
        "Steps are compared with digits. Compare each step with a sum of the step before it and "
        "a digit.",
        lambda digits, steps: float(sum(a != b for a, b in zip(steps, digits, strict=True))),
    ),
    Mistake(
        "The sizes of the errors are added. Count the steps that are wrong.",
        lambda digits, steps: float(
            sum(abs(a - b) for a, b in zip(steps, _expected(digits, steps), strict=True))
        ),
    ),
    Mistake(
        "Only the last step decides. Add each error to the count: `wrong += ...`.",
        lambda digits, steps: float(steps[-1] != _expected(digits, steps)[-1]),
    ),
    Mistake(
        "The loop ends after its first round. Put `return` behind the loop, not into it.",
        lambda digits, steps: wrong_steps(digits[:2], steps[:2]),
    ),
    Mistake(
        "This is the place of the first wrong step. Count all of them.",
        lambda digits, steps: float(next((i + 1 for i in _places(digits, steps)), 0)),
    ),
    Mistake(
        "An error that is carried on is counted again, and the modulo is missing. Compare each "
        "step with `(steps[i - 1] + digits[i]) % 10`.",
        lambda digits, steps: float(
            sum(a != b for a, b in zip(steps, itertools.accumulate(digits), strict=True))
        ),
    ),
    Mistake(
        "The last step is not checked. Run to the end of the list.",
        lambda digits, steps: float(len([i for i in _places(digits, steps) if i < len(steps) - 1])),
    ),
)
