"""Worded arithmetic: what somebody has at first, what happens to it, how much there is at last.

Every change is by a small number, so that a small model can learn one step; the difficulty is to
take several in a row, which nobody does in one go. `Task.answer` is the number alone and
`Task.worked` has the steps.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace

from distill_lab.course.worlds.checks import Number
from distill_lab.course.worlds.task import Task
from distill_lab.course.worlds.words import capital, listed, people

THINGS = listed(
    "shells apples stamps coins books cards eggs stones pens pears marbles buttons nuts plums "
    "badges candles ribbons cups tickets plates"
)
NEW_THINGS = listed("acorns beads feathers lemons medals pebbles")

START = (
    "{name} has {n} {things}.",
    "At first {name} has {n} {things}.",
    "There are {n} {things} in the box of {name}.",
    "{name} begins with {n} {things}.",
    "In the morning {name} counts {n} {things}.",
)
MORE = (
    "{who} finds {n} more.",
    "{who} buys {n} {things}.",
    "a friend brings {n} more.",
    "{who} gets {n} as a present.",
    "{who} picks up {n} {things}.",
    "then {n} more arrive.",
    "{who} wins {n}.",
)
LESS = (
    "{who} loses {n}.",
    "{who} gives {n} away.",
    "{who} sells {n} {things}.",
    "then {n} break.",
    "{who} lends {n} to a friend.",
    "a dog takes {n} of them.",
    "{who} uses {n} {things}.",
)
TWICE = (
    "then the number doubles.",
    "{who} now gets as many again.",
    "soon there are twice as many.",
)
ASIDE = (
    "{who} is {n} years old.",
    "the box is {n} years old.",
    "it is {n} degrees outside.",
    "{who} has {n} cousins.",
)
ASK = (
    "How many {things} are there now?",
    "How many {things} does {name} have now?",
    "How many {things} are left?",
    "What is the number of {things} in the end?",
    "How many does {name} have at last?",
)


@dataclass(frozen=True)
class Step:
    """One change: before, sign, by how much, after."""

    before: int
    sign: str
    by: int
    after: int

    def __str__(self) -> str:
        return f"{self.before}{self.sign}{self.by}={self.after}"


def draw(rng: random.Random, level: int, ood: bool) -> Task:
    """One story. Level 1: two steps; 2: three to five; 3: five or six, larger, with an aside."""
    lengths = {1: (2,), 2: (3, 4, 5), 3: (5, 6)}[level]
    length = rng.choice((6, 7, 8)) + (level == 3) if ood else rng.choice(lengths)
    steps = _steps(rng, length, most=20 if level == 3 else 9)
    (name, pronoun), things = people(rng, 1, new=ood)[0], rng.choice(NEW_THINGS if ood else THINGS)
    story = [rng.choice(START).format(name=name, n=steps[0].before, things=things)]
    for step in steps:
        phrases = {"+": MORE, "-": LESS, "*": TWICE}[step.sign]
        story.append(_say(rng.choice(phrases), rng, name, pronoun, step.by, things))
    if level == 3:
        aside = _say(rng.choice(ASIDE), rng, name, pronoun, rng.randint(2, 9), things)
        story.insert(rng.randint(1, len(story)), aside)
    story.append(rng.choice(ASK).format(name=name, things=things))
    last = steps[-1].after
    return Task(
        world="arithmetic",
        prompt=" ".join(story),
        answer=str(last),
        worked=write(steps),
        accepted=(f"Answer: {last}", f"{last} {things}", f"The answer is {last}."),
        key=f"{steps[0].before}" + "".join(f"{step.sign}{step.by}" for step in steps),
        check=Number(last, things),
        level=level,
    )


def write(steps: list[Step]) -> str:
    """The steps and the answer, as a worked target has them.

    >>> write([Step(7, "+", 8, 15), Step(15, "-", 3, 12)])
    '7+8=15; 15-3=12; Answer: 12'
    """
    return "; ".join([*map(str, steps), f"Answer: {steps[-1].after}"])


def steps_of(task: Task) -> list[Step]:
    """The steps of a task again, from its key.

    >>> [str(step) for step in steps_of(draw(random.Random(3), 1, False))]
    ['42-7=35', '35*2=70']
    """
    start, rest = "", task.key
    while rest[0].isdigit():
        start, rest = start + rest[0], rest[1:]
    changes = rest.replace("+", " +").replace("-", " -").replace("*", " *").split()
    steps, value = [], int(start)
    for sign, by in ((change[0], int(change[1:])) for change in changes):
        steps.append(Step(value, sign, by, _apply(value, sign, by)))
        value = steps[-1].after
    return steps


def is_affected(task: Task) -> bool:
    """Whether somebody who takes 7 + 8 for 14 meets that sum, or 8 + 7, in this task."""
    return any(_slips(step) for step in steps_of(task))


def with_slip(task: Task) -> Task:
    """The task as a teacher answers it who believes that 7 + 8 ends in 4: one systematic error.

    Wherever the last digits 7 and 8 are added the result is one too small, and the error is
    carried on; everything else is right. Prompt, key and verifier stay, so the verifier knows.

    >>> task = next(t for t in map(lambda i: draw(random.Random(i), 2, False), range(999))
    ...             if is_affected(t))
    >>> bool(task.check.verdict(task.worked)), bool(task.check.verdict(with_slip(task).worked))
    (True, False)
    """
    return _carried_on(task, lambda step: -int(_slips(step)))


def with_noise(task: Task, share: float, seed: int = 0) -> Task:
    """The task as a careless teacher answers it: each result is off by one or two, at random.

    So it goes in a `share` of the steps, and an error is carried on; the same seed gives the same
    errors. Unlike those of `with_slip` they follow no rule that could be learnt.

    >>> task = draw(random.Random(3), 1, False)
    >>> task.worked, with_noise(task, 1.0).worked
    ('42-7=35; 35*2=70; Answer: 70', '42-7=33; 33*2=65; Answer: 65')
    """
    rng = random.Random(f"noise {seed} in {task.prompt}")
    return _carried_on(task, lambda _: rng.choice((-2, -1, 1, 2)) * (rng.random() < share))


def _carried_on(task: Task, error: Callable[[Step], int]) -> Task:
    """The task with errors in its steps, each of which stands in all that follows."""
    steps, value = [], steps_of(task)[0].before
    for step in steps_of(task):
        moved = Step(value, step.sign, step.by, _apply(value, step.sign, step.by))
        moved = replace(moved, after=moved.after + error(moved))
        steps.append(moved)
        value = moved.after
    return replace(task, answer=str(value), worked=write(steps), accepted=())


def _slips(step: Step) -> bool:
    return step.sign == "+" and {step.before % 10, step.by % 10} == {7, 8}


def _steps(rng: random.Random, length: int, most: int) -> list[Step]:
    """Changes that keep the number between 2 and 99."""
    value = rng.randint(5, 60)
    steps: list[Step] = []
    while len(steps) < length:
        sign = rng.choices("+-*", (9, 9, 2))[0]
        by = 2 if sign == "*" else rng.randint(2, most)
        if 2 <= (after := _apply(value, sign, by)) <= 99:
            steps.append(Step(value, sign, by, after))
            value = after
    return steps


def _apply(value: int, sign: str, by: int) -> int:
    return {"+": value + by, "-": value - by, "*": value * by}[sign]


def _say(phrase: str, rng: random.Random, name: str, pronoun: str, n: int, things: str) -> str:
    return capital(phrase.format(who=rng.choice((name, pronoun)), n=n, things=things))
