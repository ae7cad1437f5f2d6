"""Lesson 44's problems: add up to six digits, and write only the last digit of each sum.

The prompt is `7+8+3=`. Every digit is a token; a prompt has six places, the empty ones are dots,
so that all prompts are equally long. A *chain* is an answer with its steps:
`<think>7 5 8</think>8`: the first digit, then each sum modulo 10.

Chains of three forms can be written: `short`, the sums alone; `long`, the problem once more, the
sums, and the sums once more as a check; and `dots`, as many tokens as `short` without any content.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from distill_lab.course.worlds.world import is_for_test

__all__ = [
    "END",
    "FORMS",
    "PAD",
    "PLACES",
    "PROMPT",
    "ROOM",
    "WORDS",
    "Answer",
    "Problem",
    "adds_eight",
    "answer_tokens",
    "as_text",
    "draw",
    "eight_as_seven",
    "encoded",
    "prompts",
    "read",
    "written_sums",
]

PAD, END = 0, 1
SIGNS = ("<pad>", "<end>", "<think>", "</think>", "?", ".", "+", "=")
WORDS = (*SIGNS, *"0123456789")
ID = {word: i for i, word in enumerate(WORDS)}
PLACES = 6  # digits that a prompt has room for
PROMPT = PLACES + 1  # tokens of a prompt: its places, and a question mark
FORMS = ("direct", "short", "dots", "long")
ROOM = {"direct": 2, "short": PLACES + 4, "dots": PLACES + 4, "long": 3 * PLACES + 4}

Error = Callable[[int, int], int]  # what an addition of sum and digit is off by


@dataclass(frozen=True)
class Problem:
    """Some digits to add up.

    >>> Problem((7, 8, 3)).sums, Problem((7, 8, 3)).answer, str(Problem((7, 8, 3)))
    ((7, 5, 8), 8, '7+8+3=')
    """

    digits: tuple[int, ...]

    @property
    def sums(self) -> tuple[int, ...]:
        """The right steps: the first digit, then each sum modulo 10."""
        return written_sums(self)

    @property
    def answer(self) -> int:
        """The last sum."""
        return self.sums[-1]

    def __str__(self) -> str:
        return "+".join(map(str, self.digits)) + "="


@dataclass(frozen=True)
class Answer:
    """What an answer's tokens say: its steps (None where none were written), and its number.

    `number` is None where there is not exactly one digit behind the thoughts, or no end.
    """

    steps: tuple[int, ...] | None
    number: int | None


def draw(
    n: int,
    *,
    seed: int = 0,
    test: bool = False,
    lengths: Sequence[int] = range(2, PLACES + 1),
    eights: bool | None = None,
) -> list[Problem]:
    """Draw problems; a test problem is never drawn for training.

    Args:
        n: how many; for training the same may come twice.
        seed: of the digits.
        test: for testing: all different.
        lengths: how many digits a problem may have, each equally often.
        eights: only problems in which an 8 is added, or only those in which none is.

    Returns:
        The problems.

    Raises:
        ValueError: for more test problems than there are.
    """
    rng = random.Random(f"lesson 44, seed {seed}, test {test}")
    problems: list[Problem] = []
    seen: set[Problem] = set()
    for _ in range(1000 * n):
        if len(problems) == n:
            return problems
        digits = tuple(rng.randrange(10) for _ in range(rng.choice(list(lengths))))
        problem = Problem(digits)
        if is_for_test(str(problem)) != test or eights not in (None, adds_eight(problem)):
            continue
        if test and problem in seen:
            continue
        seen.add(problem)
        problems.append(problem)
    raise ValueError(f"there are only {len(seen)} different problems of this kind, not {n}.")


def adds_eight(problem: Problem) -> bool:
    """Tell whether an 8 is added: where the base's texts are wrong every time.

    >>> adds_eight(Problem((7, 8))), adds_eight(Problem((8, 7)))
    (True, False)
    """
    return 8 in problem.digits[1:]


def written_sums(problem: Problem, error: Error = lambda total, digit: 0) -> tuple[int, ...]:
    """Write the steps; each error is carried on.

    >>> written_sums(Problem((7, 8, 3)), eight_as_seven)
    (7, 4, 7)
    """
    sums = [problem.digits[0]]
    for digit in problem.digits[1:]:
        sums.append((sums[-1] + digit + error(sums[-1], digit)) % 10)
    return tuple(sums)


def eight_as_seven(total: int, digit: int) -> int:
    """The base's systematic error: an 8 counts as a 7."""
    return -1 if digit == 8 else 0


def answer_tokens(problem: Problem, sums: Sequence[int], form: str) -> list[int]:
    """Write an answer with these steps in one of the `FORMS`, its end included.

    >>> as_text(answer_tokens(Problem((7, 8, 3)), (7, 5, 8), "long"))
    '<think>7 8 3 . . . 7 5 8 . . . 7 5 8</think>8'
    """
    if form not in FORMS:
        raise ValueError(f"expected one of the forms {', '.join(FORMS)}, got {form!r}.")
    steps: list[str] = []
    if form == "short":
        steps = [str(total) for total in sums]
    elif form == "dots":
        steps = ["."] * len(sums)
    elif form == "long":
        written = [str(total) for total in sums]
        empty = ["."] * (PLACES - len(sums))
        steps = [*map(str, problem.digits), *empty, *written, *empty, *written]
    thoughts = [] if form == "direct" else ["<think>", *steps, "</think>"]
    return [ID[word] for word in (*thoughts, str(sums[-1]), "<end>")]


def prompts(problems: Sequence[Problem]) -> Tensor:
    """The prompts' token ids, (N, PROMPT)."""
    rows = [
        [str(digit) for digit in p.digits] + ["."] * (PLACES - len(p.digits)) + ["?"]
        for p in problems
    ]
    return torch.tensor([[ID[word] for word in row] for row in rows])


def encoded(
    problems: Sequence[Problem], answers: Sequence[Sequence[int]], room: int
) -> tuple[Tensor, Tensor]:
    """Put prompts and answers together, as `distill` takes texts.

    Args:
        problems: N problems.
        answers: N lists of tokens, ends included.
        room: tokens that an answer has room for.

    Returns:
        Ids (N, PROMPT + room), padded on the right, and labels with -100 on prompt and padding.
    """
    ids = torch.full((len(problems), PROMPT + room), PAD)
    labels = torch.full_like(ids, -100)
    ids[:, :PROMPT] = prompts(problems)
    for row, tokens in enumerate(answers):
        ids[row, PROMPT : PROMPT + len(tokens)] = torch.tensor(tokens)
        labels[row, PROMPT : PROMPT + len(tokens)] = torch.tensor(tokens)
    return ids, labels


def as_text(tokens: Sequence[int]) -> str:
    """Write tokens as a text: thoughts between their tags, then the answer; no end, no padding.

    >>> as_text([2, 15, 13, 3, 13, 1])
    '<think>7 5</think>5'
    """
    words = " ".join(WORDS[token] for token in tokens if token not in (PAD, END))
    for tag in ("<think>", "</think>"):
        words = words.replace(f" {tag}", tag).replace(f"{tag} ", tag)
    return words


def read(tokens: Sequence[int]) -> Answer:
    """Read an answer's tokens; tokens behind the first end do not count.

    >>> read([2, 15, 13, 3, 13, 1])
    Answer(steps=(7, 5), number=5)
    >>> read([13, 1]), read([13]).number
    (Answer(steps=None, number=5), None)
    """
    tokens = list(tokens)
    ended = END in tokens
    words = [WORDS[token] for token in tokens[: tokens.index(END) if ended else None]]
    steps = None
    if "</think>" in words:
        close = len(words) - 1 - words[::-1].index("</think>")
        steps = _steps(words[1:close]) if words[0] == "<think>" else None
        words = words[close + 1 :]
    elif words[:1] == ["<think>"]:
        words = []  # opened and never closed: there is no answer
    one = ended and len(words) == 1 and words[0].isdigit()
    return Answer(steps, int(words[0]) if one else None)


def _steps(words: Sequence[str]) -> tuple[int, ...]:
    """The sums in a chain of any form: of a long one, those that it writes last."""
    if len(words) > PLACES:
        words = words[2 * PLACES :]
    return tuple(int(word) for word in words if word.isdigit())
