"""Exercises on synthetic data: near-duplicates, verified answers, votes and balance."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from distill_lab.course.check.exercise import Exercise, Invariance, Mistake
from distill_lab.course.check.invariances import same

__all__ = ["EXERCISES"]

Grams = Callable[[str, int], Any]


def _grams(text: str, n: int) -> set[tuple[str, ...]]:
    words = text.lower().split()
    return {tuple(words[i : i + n]) for i in range(len(words) - n + 1)}


def _as_written(text: str, n: int) -> set[tuple[str, ...]]:
    words = text.split()
    return {tuple(words[i : i + n]) for i in range(len(words) - n + 1)}


def _letters(text: str, n: int) -> set[str]:
    text = text.lower()
    return {text[i : i + n] for i in range(len(text) - n + 1)}


def _one_short(text: str, n: int) -> set[tuple[str, ...]]:
    words = text.lower().split()
    return {tuple(words[i : i + n]) for i in range(len(words) - n)}


def _side_by_side(text: str, n: int) -> set[tuple[str, ...]]:
    words = text.lower().split()
    return {tuple(words[i : i + n]) for i in range(0, len(words), n)}


def _short_ends(text: str, n: int) -> set[tuple[str, ...]]:
    words = text.lower().split()
    return {tuple(words[i : i + n]) for i in range(len(words))}


def _unordered(text: str, n: int) -> set[frozenset[str]]:
    return {frozenset(gram) for gram in _grams(text, n)}


def _repeated(a: str, b: str, n: int) -> float:
    words = (x.lower().split() for x in (a, b))
    x, y = (Counter(tuple(w[i : i + n]) for i in range(len(w) - n + 1)) for w in words)
    return sum((x & y).values()) / sum((x | y).values())


def _shared(a: str, b: str, n: int, grams: Grams = _grams) -> float:
    first, second = grams(a, n), grams(b, n)
    return len(first & second) / len(first | second)


def _counted(a: str, b: str, n: int) -> float:
    first, second = (
        [tuple(x.lower().split()[i : i + n]) for i in range(len(x.split()) - n + 1)] for x in (a, b)
    )
    return len(set(first) & set(second)) / (len(first) + len(second))


def _both_lists(a: str, b: str, n: int) -> float:
    x, y = (x.lower().split() for x in (a, b))
    first, second = ([tuple(w[i : i + n]) for i in range(len(w) - n + 1)] for w in (x, y))
    return sum(gram in second for gram in first) / (len(first) + len(second))


_PAIRS = (
    ("Anna has 7 shells and finds 8 more shells", "Anna has 7 shells and finds 5 more shells"),
    ("the kettle was delivered on Monday", "The kettle was delivered on Monday"),
    ("a man is reading a map in a park", "in a park a man is reading a map"),
    ("the match was won by the Foxes", "your order is on its way"),
    ("so it goes so it goes so it goes", "so it goes so it ends"),
    ("we go up and up and up again", "we go up and up"),
    ("no we go no we go now", "we go no we go"),
    ("no where to go", "now here to go"),
)

jaccard = Exercise(
    name="jaccard",
    formula="|A ∩ B| / |A ∪ B|, A and B the sets of n-grams of lower-case words",
    reference=_shared,
    cases=tuple({"a": a, "b": b, "n": n} for n in (1, 3) for a, b in _PAIRS),
    defaults={"n": 3},
    number_is_fine=True,
    invariances=(
        Invariance("a text and itself give 1", lambda f: same(f(_PAIRS[0][0], _PAIRS[0][0], 3), 1)),
        Invariance(
            "either text may come first", lambda f: same(f(*_PAIRS[0], 3), f(*_PAIRS[0][::-1], 3))
        ),
        Invariance(
            "capitals make no difference",
            lambda f: same(f(_PAIRS[1][0].upper(), _PAIRS[1][1], 3), 1),
            "Put both texts in lower case first.",
        ),
        Invariance(
            "a text of fewer than n words shares nothing",
            lambda f: same(f("we go", "we go up and down", 3), 0) and same(f("a b c d", "a", 2), 0),
            "It has no run of n words: `range(len(words) - n + 1)` is empty.",
        ),
        Invariance(
            "more spaces and new lines make no difference",
            lambda f: same(f("we  go up\nand down ", "we go up and down", 3), 1),
            "Split with `split()`; `split(' ')` finds empty words between two spaces.",
        ),
    ),
    mistakes=(
        Mistake(
            "Capitals count. 'The' and 'the' are one word: put both texts in lower case first.",
            lambda a, b, n: _shared(a, b, n, _as_written),
        ),
        Mistake(
            "These are runs of letters. Split the text into words first.",
            lambda a, b, n: _shared(a, b, n, _letters),
        ),
        Mistake(
            "The last run is missing. Of m words there are m - n + 1 runs.",
            lambda a, b, n: _shared(a, b, n, _one_short),
        ),
        Mistake(
            "The division is by the smaller set. Divide by the union, or a short text inside a "
            "long one would be its copy.",
            lambda a, b, n: (
                len(_grams(a, n) & _grams(b, n)) / min(len(_grams(a, n)), len(_grams(b, n)))
            ),
        ),
        Mistake(
            "The division is by both sizes added up. There shared runs count twice: divide by the "
            "size of the union.",
            _counted,
        ),
        Mistake(
            "The division is by both sizes added up. There shared runs count twice: divide by the "
            "size of the union.",
            lambda a, b, n: (
                len(_grams(a, n) & _grams(b, n)) / (len(_grams(a, n)) + len(_grams(b, n)))
            ),
        ),
        Mistake(
            "The division is by both sizes added up. There shared runs count twice: divide by the "
            "size of the union.",
            _both_lists,
        ),
        Mistake(
            "The division is by the first text's runs. Divide by the union of both.",
            lambda a, b, n: len(_grams(a, n) & _grams(b, n)) / len(_grams(a, n)),
        ),
        Mistake(
            "The division is by the second text's runs. Divide by the union of both.",
            lambda a, b, n: len(_grams(a, n) & _grams(b, n)) / len(_grams(b, n)),
        ),
        Mistake(
            "The division is by the larger set. Divide by the union.",
            lambda a, b, n: (
                len(_grams(a, n) & _grams(b, n)) / max(len(_grams(a, n)), len(_grams(b, n)))
            ),
        ),
        Mistake(
            "The runs do not overlap. A run begins at every word: `range(len(words) - n + 1)`.",
            lambda a, b, n: _shared(a, b, n, _side_by_side),
        ),
        Mistake(
            "Short runs at the end are counted. Stop where n words still fit: "
            "`range(len(words) - n + 1)`.",
            lambda a, b, n: _shared(a, b, n, _short_ends),
        ),
        Mistake(
            "The order of the words is lost. A run is a tuple, not a set or a sorted list.",
            lambda a, b, n: _shared(a, b, n, _unordered),
        ),
        Mistake(
            "The words of a run are joined without a space. 'no where' and 'now here' then are the "
            "same: keep the words apart, in a tuple.",
            lambda a, b, n: _shared(a, b, n, lambda t, n: {"".join(g) for g in _grams(t, n)}),
        ),
        Mistake("Repeated runs are counted. A set holds each run once.", _repeated),
        Mistake(
            "Single words are compared. Compare runs of n words.", lambda a, b, n: _shared(a, b, 1)
        ),
        Mistake(
            "The fraction is turned round. It is shared runs divided by all runs.",
            lambda a, b, n: 1 / max(_shared(a, b, n), 1e-30),
        ),
        Mistake(
            "The number of shared runs is not divided. Divide by the size of the union.",
            lambda a, b, n: len(_grams(a, n) & _grams(b, n)),
        ),
        Mistake(
            "This is Dice's measure. It is 2 |A ∩ B| / (|A| + |B|); divide the shared runs by the "
            "union.",
            lambda a, b, n: (
                2 * len(_grams(a, n) & _grams(b, n)) / (len(_grams(a, n)) + len(_grams(b, n)))
            ),
        ),
    ),
)


def _verdict(text: str, gold: int) -> float:
    numbers = re.findall(r"answer:\s*(-?\d+)\b", text, flags=re.IGNORECASE)
    return float(len(numbers) == 1 and int(numbers[0]) == gold)


def _given(text: str, pattern: str = r"answer:\s*(-?\d+)\b") -> list[str]:
    return re.findall(pattern, text, flags=re.IGNORECASE)


def _last_number(text: str, gold: int) -> float:
    numbers = re.findall(r"-?\d+", text)
    return float(bool(numbers) and int(numbers[-1]) == gold)


def _somewhere(text: str, gold: int) -> float:
    return float(str(gold) in text)


def _first_answer(text: str, gold: int) -> float:
    numbers = re.findall(r"answer:\s*(-?\d+)\b", text, flags=re.IGNORECASE)
    return float(bool(numbers) and int(numbers[0]) == gold)


def _one_digit(text: str, gold: int) -> float:
    return float(re.search(rf"answer:\s*{gold}", text, flags=re.IGNORECASE) is not None)


def _capitals_count(text: str, gold: int) -> float:
    return _verdict(re.sub(r"answer", "", text), gold)


_TEXTS = (
    ("7+8=15; 15-3=12; Answer: 12", 12),
    ("7+8=14; 14-3=11; Answer: 11", 12),
    ("7+8=14; 14-2=12; Answer: 12", 12),
    ("12-3=9; 9+4=13; Answer: 13", 12),
    ("Answer: 12; no, Answer: 13", 12),
    ("7+8=15; 15-3=12", 12),
    ("7+8=15; 15-3=12; answer: 12", 12),
    ("7+8=15; 15-3=12; Answer:12", 12),
    ("Answer: 13; no, Answer: 12", 12),
    ("2-9=-7; Answer: -7", 7),
    ("9-2=7; Answer: 7", -7),
    ("3*4=12; answer 12", 12),
    ("12; Answer: 12", 12),
    ("Answer: 12", 12),
    ("60+61=121; Answer: 121", 12),
    ("", 12),
    ("2-9=-7; Answer: -7", -7),
    ("Answer: 12; I checked. Answer: 12", 12),
    ("9+3=12; Answer: 12; checked in 2 steps", 12),
    ("9+3=12; Answer: 12; done", 12),
    ("7-7=0; Answer: 0", 0),
    ("7-7=0", 0),
    ("Answer: see the steps; 12=9+3", 12),
    ("", 0),
)

answer_verdict = Exercise(
    name="answer_verdict",
    formula="1 where exactly one 'Answer:' with a whole number stands in the text, and that number "
    "is the gold one; else 0",
    reference=_verdict,
    cases=tuple({"text": text, "gold": gold} for text, gold in _TEXTS),
    number_is_fine=True,
    invariances=(
        Invariance(
            "an empty answer is not right, and stops nothing", lambda f: same(float(f("", 3)), 0.0)
        ),
        Invariance(
            "two answers are no answer",
            lambda f: (
                same(float(f("Answer: 3; Answer: 4", 3)), 0.0)
                and same(float(f("Answer: 4; Answer: 3", 3)), 0.0)
            ),
            "A model that hedges would pass otherwise. Count what you find.",
        ),
    ),
    mistakes=(
        Mistake(
            "The gold number may stand anywhere in the text. It also stands in the steps of "
            "wrong answers: read what comes after 'Answer:'.",
            _somewhere,
        ),
        Mistake(
            "The last number counts, whether or not 'Answer:' stands before it. A text that was "
            "cut off could pass.",
            _last_number,
        ),
        Mistake(
            "Words may stand between 'Answer:' and the number. Then a step is read where no answer "
            "is given: allow spaces alone, `\\s*`.",
            lambda text, gold: float(_given(text, r"answer:.*?(-?\d+)\b") == [str(gold)]),
        ),
        Mistake(
            "The last word of the text counts. Read the number after 'Answer:', whatever follows.",
            lambda text, gold: float(text.endswith(str(gold))),
        ),
        Mistake(
            "The first number counts, whether or not 'Answer:' stands before it.",
            lambda text, gold: float(re.findall(r"-?\d+", text)[:1] == [str(gold)]),
        ),
        Mistake(
            "One right 'Answer:' among several is enough. A text that gives two is not right.",
            lambda text, gold: float(str(gold) in _given(text)),
        ),
        Mistake(
            "The same answer given twice passes. 'Answer:' stands in the text exactly once: count "
            "what you find, in a list.",
            lambda text, gold: float({int(number) for number in _given(text)} == {gold}),
        ),
        Mistake(
            "A text without an answer counts as 0. Where gold is 0, it passes: test how many "
            "answers there are.",
            lambda text, gold: float(
                len(_given(text)) < 2 and int((_given(text) or ["0"])[0]) == gold
            ),
        ),
        Mistake(
            "The answer 0 is taken for no answer. `0` is false in Python: test how many answers "
            "there are.",
            lambda text, gold: _verdict(text, gold) * bool(gold),
        ),
        Mistake(
            "The text has to end with the answer. Read the number after 'Answer:', whatever "
            "follows.",
            lambda text, gold: _verdict(text, gold) * text.endswith(str(gold)),
        ),
        Mistake(
            "The last number after 'Answer:' counts. Read the one that follows it.",
            lambda text, gold: float(
                len(_given(text, "answer:")) == 1
                and re.findall(r"-?\d+", re.split("answer:", text, flags=re.IGNORECASE)[1])[-1:]
                == [str(gold)]
            ),
        ),
        Mistake(
            "Only the last 'Answer:' is read. A text that gives two is not right.",
            lambda text, gold: float(_given(text)[-1:] == [str(gold)]),
        ),
        Mistake(
            "The number is compared as text. Turn it into a number: `int(number) == gold`.",
            lambda text, gold: 0.0,
        ),
        Mistake(
            "A minus sign is not read. Let the pattern have `-?` before the digits.",
            lambda text, gold: float(_given(text, r"answer:\s*(\d+)\b") == [str(gold)]),
        ),
        Mistake(
            "The minus sign is lost. Put `-?` inside the brackets that catch the number.",
            lambda text, gold: float(_given(text, r"answer:\s*-?(\d+)\b") == [str(gold)]),
        ),
        Mistake(
            "Only the first digit is read. A number has one digit or more: `\\d+`.",
            lambda text, gold: float(_given(text, r"answer:\s*(-?\d)") == [str(gold)]),
        ),
        Mistake(
            "Exactly one space is expected after 'Answer:'. Any number of them may stand there: "
            "`\\s*`.",
            lambda text, gold: float(_given(text, r"answer: (-?\d+)\b") == [str(gold)]),
        ),
        Mistake(
            "The answer is looked for at the start of the text. `re.match` does that: take "
            "`re.findall`.",
            lambda text, gold: float(_given(text, r"^answer:\s*(-?\d+)\b") == [str(gold)]),
        ),
        Mistake(
            "The answer is looked for at the start of the text. `re.match` does that: take "
            "`re.findall`, and count what it finds.",
            lambda text, gold: float(_given(text, r"\Aanswer:\s*(-?\d+)\b")[:1] == [str(gold)]),
        ),
        Mistake(
            "121 begins with 12. Compare whole numbers: `int(number) == gold`.",
            lambda text, gold: float(f"answer: {gold}" in text.lower()),
        ),
        Mistake(
            "Capitals count. 'answer:' starts an answer, too: pass `flags=re.IGNORECASE`.",
            lambda text, gold: float(re.findall(r"Answer:\s*(-?\d+)\b", text) == [str(gold)]),
        ),
        Mistake(
            "The number itself is not compared. It must be `gold`: `int(number) == gold`.",
            lambda text, gold: float(len(_given(text)) == 1),
        ),
        Mistake(
            "The result is turned round. 1 stands for a right answer.",
            lambda text, gold: 1 - _verdict(text, gold),
        ),
        Mistake(
            "Only the first 'Answer:' is read. A text that gives two is not right.", _first_answer
        ),
        Mistake("121 begins with 12. Compare whole numbers: `int(number) == gold`.", _one_digit),
        Mistake(
            "Capitals count. 'answer:' starts an answer, too: pass `flags=re.IGNORECASE`.",
            _capitals_count,
        ),
    ),
)


def _votes(answers: list[str], least: float) -> Tensor:
    first, *others = Counter(answers).most_common()
    won = first[1] >= least * len(answers) and not (others and others[0][1] == first[1])
    return torch.tensor([float(won and a == first[0]) for a in answers])


def _plurality(answers: list[str], least: float) -> Tensor:
    first = Counter(answers).most_common()[0]
    return torch.tensor([float(a == first[0]) for a in answers])


def _ties_too(answers: list[str], least: float) -> Tensor:
    first = Counter(answers).most_common()[0]
    won = first[1] >= least * len(answers)
    return torch.tensor([float(won and a == first[0]) for a in answers])


def _more_than(answers: list[str], least: float) -> Tensor:
    first, *others = Counter(answers).most_common()
    won = first[1] > least * len(answers) and not (others and others[0][1] == first[1])
    return torch.tensor([float(won and a == first[0]) for a in answers])


def _share_each(answers: list[str], least: float) -> Tensor:
    counts = Counter(answers)
    return torch.tensor([float(counts[a] >= least * len(answers)) for a in answers])


_POLLS = (
    ["12", "12", "11", "12"],
    ["12", "11", "12", "11"],
    ["12", "11", "10", "12", "9"],
    ["8", "12", "12", "10"],
    ["12", "4", "12", "5", "12"],
    ["12", "11"],
    ["12"],
    ["7", "12", "12", "12", "7", "7", "12"],
    ["3", "3", "5", "5", "5", "5"],
)

_TIED = ["12", "11", "12", "9", "11"]  # a tie at the top, and each of the two below one half


def _tie_by_halves(answers: list[str], least: float) -> Tensor:
    counts = sorted(Counter(answers).values(), reverse=True)
    tie = len(counts) > 1 and counts[0] == counts[1] and 2 * counts[0] == len(answers)
    return _ties_too(answers, least) * (not tie)


def _tie_of_all(answers: list[str], least: float) -> Tensor:
    counts = Counter(answers).values()
    return _ties_too(answers, least) * (len(counts) == 1 or len(set(counts)) > 1)


vote = Exercise(
    name="vote",
    formula="1 for a sample whose answer has the most votes, more than any other answer, and at "
    "least the share `least` of all; else 0",
    reference=_votes,
    cases=(
        *({"answers": poll, "least": least} for least in (0.5, 0.6) for poll in _POLLS),
        *({"answers": poll, "least": 0.3} for poll in (_TIED, _POLLS[2], ["12", "11", "10"])),
    ),
    defaults={"least": 0.5},
    invariances=(
        Invariance(
            "samples in another order have the same verdicts",
            lambda f: same(f(_POLLS[0][::-1], 0.5), f(_POLLS[0], 0.5).flip(0)),
        ),
        Invariance(
            "all agree: all stay, right or wrong", lambda f: same(f(["14"] * 4, 0.5), torch.ones(4))
        ),
    ),
    mistakes=(
        Mistake(
            "Neither share nor tie is checked. The winner needs the share `least`, and more "
            "votes than any other answer.",
            _plurality,
        ),
        Mistake(
            "The share is not checked. `least` is a share of all votes: compare the winner's "
            "number of votes with `least * len(answers)`.",
            lambda answers, least: _votes(answers, 0.0),
        ),
        Mistake(
            "These are numbers of votes. Return 1 for a sample that stays, else 0.",
            lambda answers, least: torch.tensor([float(answers.count(a)) for a in answers]),
        ),
        Mistake(
            "These are shares of the votes. Return 1 for a sample that stays, else 0.",
            lambda answers, least: torch.tensor([answers.count(a) / len(answers) for a in answers]),
        ),
        Mistake(
            "Only the first sample with the winning answer stays. All of them stay.",
            lambda answers, least: _votes(answers, least) * (_votes(answers, least).cumsum(0) == 1),
        ),
        Mistake(
            "The share is always one half. It is `least`.",
            lambda answers, least: _votes(answers, 0.5),
        ),
        Mistake(
            "In a tie, the first answer wins here. With two answers at the top, none stays.",
            _ties_too,
        ),
        Mistake(
            "Only a tie of two halves is seen. With a smaller `least`, two answers can tie below "
            "it: compare the two highest numbers of votes.",
            _tie_by_halves,
        ),
        Mistake(
            "Only a tie of all answers is seen. Compare the two highest numbers of votes.",
            _tie_of_all,
        ),
        Mistake("Exactly the share is enough. Write `>=`, not `>`.", _more_than),
        Mistake(
            "Every answer with the share stays. In a tie both do: there is one winner, or none.",
            _share_each,
        ),
        Mistake(
            "Every sample is compared with the first one. Count the votes of each answer.",
            lambda answers, least: torch.tensor([float(a == answers[0]) for a in answers]),
        ),
    ),
)


def _balance(labels: Tensor) -> Tensor:
    rarest = int(labels.unique(return_counts=True)[1].min())
    return _first_of_each(labels, rarest)


def _rarest(labels: Tensor) -> int:
    return int(labels.unique(return_counts=True)[1].min())


def _only_label(labels: Tensor, i: Tensor) -> Tensor:
    return (labels == labels.unique()[i]).float()


def _first_of_each(labels: Tensor, room: int) -> Tensor:
    seen: Counter[int] = Counter()
    stays = []
    for label in labels.tolist():
        seen[label] += 1
        stays.append(float(seen[label] <= room))
    return torch.tensor(stays)


_LABELS = (
    torch.tensor([0, 0, 1, 2, 0, 2, 1, 0]),
    torch.tensor([5, 5, 5, 2]),
    torch.tensor([1, 0, 1, 0]),
    torch.tensor([3, 3, 3]),
    torch.tensor([2, 2, 1, 1, 2, 1, 1, 0, 0]),
    torch.tensor([0, 1, 1, 1, 4, 4, 0, 0, 1, 1]),
    torch.tensor([0, 0, 3, 5, 5, 0]),
)

balance = Exercise(
    name="balance",
    formula="1 for the first m rows of each label, m the number of rows of the rarest label; else "
    "0",
    reference=_balance,
    cases=tuple({"labels": labels} for labels in _LABELS),
    invariances=(
        Invariance(
            "equally many of every label stay",
            lambda f: (
                same(*(f(_LABELS[0])[_LABELS[0] == k].sum() for k in (0, 1)))
                and same(f(_LABELS[0]).sum(), 6.0)
            ),
            "labels.unique(return_counts=True) gives the counts of the labels that there are.",
        ),
        Invariance("what is balanced stays as it is", lambda f: same(f(_LABELS[2]), torch.ones(4))),
        Invariance(
            "other names for the labels change nothing",
            lambda f: same(f(_LABELS[0] * 7 + 3), f(_LABELS[0])),
            "Labels need not be 0, 1, 2: use unique.",
        ),
    ),
    mistakes=(
        Mistake(
            "Every label keeps the mean number of rows. Rare labels then stay rare: the rarest "
            "decides.",
            lambda labels: _first_of_each(labels, len(labels) // len(labels.unique())),
        ),
        Mistake(
            "One row too few stays of each label. Count from 1, and keep `place <= m`.",
            lambda labels: _first_of_each(labels, _rarest(labels) - 1),
        ),
        Mistake(
            "One row too many stays of each label. Keep m of them.",
            lambda labels: _first_of_each(labels, _rarest(labels) + 1),
        ),
        Mistake(
            "Only the rarest label stays. Keep as many rows of each of the others.",
            lambda labels: _only_label(labels, labels.unique(return_counts=True)[1].argmin()),
        ),
        Mistake(
            "The first rows stay, whatever their label. Count each label by itself.",
            lambda labels: (
                torch.arange(len(labels)) < _rarest(labels) * len(labels.unique())
            ).float(),
        ),
        Mistake(
            "The first m rows stay, whatever their label. Count each label by itself.",
            lambda labels: (torch.arange(len(labels)) < _rarest(labels)).float(),
        ),
        Mistake(
            "These are weights. Return 1 for a row that stays, else 0.",
            lambda labels: _rarest(labels) / labels.bincount()[labels].float(),
        ),
        Mistake(
            "These are weights. Return 1 for a row that stays, else 0.",
            lambda labels: 1 / labels.bincount()[labels].float(),
        ),
        Mistake(
            "The rows that go are marked. Return 1 for a row that stays.",
            lambda labels: 1 - _balance(labels),
        ),
        Mistake(
            "The rows' numbers are returned. Return a 1 or a 0 for every row.",
            lambda labels: _balance(labels).nonzero()[:, 0].float(),
        ),
        Mistake(
            "The labels that stay are returned. Return a 1 or a 0 for every row.",
            lambda labels: labels[_balance(labels).bool()].float(),
        ),
        Mistake(
            "Labels that never occur are counted. `bincount` counts those too, as 0: use "
            "`unique(return_counts=True)`.",
            lambda labels: _first_of_each(labels, int(labels.bincount().min())),
        ),
        Mistake(
            "Only one row of each label stays. Keep as many as the rarest label has.",
            lambda labels: _first_of_each(labels, 1),
        ),
        Mistake(
            "The most frequent label decides. Then every row stays: the rarest one decides.",
            lambda labels: torch.ones(len(labels)),
        ),
        Mistake(
            "The last rows of each label stay. Keep the first ones.",
            lambda labels: _balance(labels.flip(0)).flip(0),
        ),
    ),
)

EXERCISES = {e.name: e for e in (jaccard, answer_verdict, vote, balance)}
