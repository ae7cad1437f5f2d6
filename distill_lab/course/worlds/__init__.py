"""Five text worlds that the project makes itself: prompts, gold answers, and a verifier for each.

world = worlds.load("arithmetic")
tasks = world.train(2000, seed=0)            # the same 2,000 on every machine
world.verify(tasks[0], tasks[0].answer)      # Verdict(right=True, reason='right')
"""

from __future__ import annotations

from distill_lab.course.worlds import arithmetic, nli, questions, summaries, support
from distill_lab.course.worlds.exams import write_exam
from distill_lab.course.worlds.task import Task, Verdict
from distill_lab.course.worlds.world import World

__all__ = ["NAMES", "Task", "Verdict", "World", "load", "write_exam"]

_WORLDS = {
    world.name: world
    for world in (
        World(
            "nli",
            "does a hypothesis follow from a premise",
            "people doing what they never do in a training premise, denied or changed threefold",
            nli.draw,
            nli.talk,
        ),
        World(
            "support",
            "what a support desk answers a customer",
            "unseen customers, goods and streets, and three orders on the screen",
            support.draw,
            support.talk,
        ),
        World(
            "questions",
            "questions about a short passage",
            "unseen names, places and things, and eight facts in the passage",
            questions.draw,
            questions.talk,
        ),
        World(
            "arithmetic",
            "worded arithmetic in several steps",
            "six to eight steps instead of three to five, unseen names and things",
            arithmetic.draw,
        ),
        World(
            "summaries",
            "one sentence on a short report",
            "unseen teams, cities and things, and five asides",
            summaries.draw,
        ),
    )
}

NAMES = tuple(_WORLDS)


def load(name: str) -> World:
    """One of the five worlds: "nli", "support", "questions", "arithmetic" or "summaries".

    Raises ValueError for another name.

    >>> world = load("arithmetic")
    >>> task = world.train(1, seed=0, level=1)[0]
    >>> world.verify(task, task.answer)
    Verdict(right=True, reason='right')
    """
    if name not in _WORLDS:
        raise ValueError(f"expected one of the worlds {', '.join(NAMES)}; got {name!r}.")
    return _WORLDS[name]
