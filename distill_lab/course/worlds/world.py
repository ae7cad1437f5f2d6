"""A world: tasks drawn from a seed, kept apart by their content, and judged by their verifier."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable
from dataclasses import dataclass, replace

from distill_lab.course.worlds.task import Task, Verdict

__all__ = ["World", "is_for_test"]

Draw = Callable[[random.Random, int, bool], Task]  # (randomness, level, out of distribution)
Talk = Callable[[random.Random, int], list[Task]]  # (randomness, level)

TEST_SHARE = 6  # one content in six is for testing
PATIENCE = 200  # draws a wanted task may take
TURNS = 5  # questions about one text, at most


@dataclass(frozen=True, repr=False)
class World:
    """Endless tasks of one kind, with gold answers and a verifier.

    Whether a task is for training or for testing follows from its content (`Task.key`), so the two
    share none, whatever the seeds. `ood` tasks are out of distribution on purpose, as `unseen`
    says in words, and share no content with training either.
    """

    name: str
    about: str
    unseen: str
    draw: Draw
    talk: Talk | None = None

    def __repr__(self) -> str:
        return f"World({self.name!r}: {self.about})"

    def train(self, n: int, *, seed: int = 0, level: int = 2) -> list[Task]:
        """`n` different tasks to learn from; the first of more are the same ones.

        `level` says how hard: 1, 2 or 3. Raises ValueError where the world has not that many.
        """
        return self._take(n, seed, level, "train")

    def test(self, n: int, *, seed: int = 0, level: int = 2) -> list[Task]:
        """`n` different tasks of the same kind, about contents that training never holds."""
        return self._take(n, seed, level, "test")

    def ood(self, n: int, *, seed: int = 0, level: int = 2) -> list[Task]:
        """`n` different tasks out of distribution: see `unseen`."""
        return self._take(n, seed, level, "ood")

    def talks(self, n: int, *, seed: int = 0, level: int = 2) -> list[list[Task]]:
        """`n` conversations to learn from: up to five tasks about one text, of the kind of `train`.

        The first is asked by its `prompt`, the others by their `follow`: a text is read once and
        teaches several times. Worlds that have one question a text give one task each.
        """
        if self.talk is None:
            return [[task] for task in self.train(n, seed=seed, level=level)]
        self._check(n, level)
        rng = random.Random(f"{self.name}, talks, seed {seed}, level {level}")
        by_text: dict[str, list[Task]] = {}
        while len(by_text) < n:  # every world has more texts than a machine has memory
            new = {task.key: task for task in self.talk(rng, level)}
            tasks = [task for key, task in new.items() if not is_for_test(key)][:TURNS]
            if tasks:
                by_text.setdefault(tasks[0].prompt, [replace(tasks[0], follow=""), *tasks[1:]])
        return list(by_text.values())

    def verify(self, task: Task, text: str) -> Verdict:
        """Whether `text` answers `task`, and why or why not. Raises ValueError for another's."""
        if task.world != self.name:
            raise ValueError(
                f"this task is from the world {task.world!r} and cannot be judged by "
                f"{self.name!r}: use worlds.load(task.world)."
            )
        if not isinstance(text, str):
            raise TypeError(f"an answer must be text (str); got {type(text).__name__}.")
        return task.check.verdict(text)

    def _check(self, n: int, level: int) -> None:
        if not isinstance(n, int) or isinstance(n, bool) or n < 1:
            raise ValueError(f"the number of tasks must be a positive integer; got {n!r}.")
        if level not in (1, 2, 3):
            raise ValueError(f"level must be 1 (easy), 2 or 3 (hard); got {level!r}.")

    def _take(self, n: int, seed: int, level: int, part: str) -> list[Task]:
        self._check(n, level)
        # seeded by words: the same on every machine and version of Python
        rng = random.Random(f"{self.name}, {part}, seed {seed}, level {level}")
        tasks: dict[str, Task] = {}
        for _ in range(PATIENCE * (n + 10)):
            task = self.draw(rng, level, part == "ood")
            if is_for_test(task.key) == (part != "train"):
                tasks.setdefault(task.prompt, replace(task, follow=""))
            if len(tasks) == n:
                return list(tasks.values())
        raise ValueError(
            f"the world {self.name!r} has not {n:,} different tasks for {part} at level {level}: "
            f"only {len(tasks):,} were found. Ask for fewer, or for a higher level."
        )


def is_for_test(key: str) -> bool:
    """Which side a content is on, for ever: one in six is for testing.

    >>> sum(is_for_test(str(i)) for i in range(6000))
    1025
    """
    return hashlib.sha256(key.encode()).digest()[0] % TEST_SHARE == 0
