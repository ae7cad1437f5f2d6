"""Who teaches lesson 43's students, what, and how they learn it: the arms of the comparison."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from distill_lab.course import worlds
from distill_lab.course.worlds import Task, arithmetic
from lesson_43 import chains

FRESH = 50_000  # seeds of prompts from here on: the tutor learnt from none of them


@dataclass(frozen=True)
class Kind:
    """Prompts of a seed (`examples`; for "all", of each world), and how a student learns.

    `prompts`: how much the loss on the prompts weighs (`answers_and_prompts`).
    """

    about: str
    examples: int
    steps: int
    lr: float
    batch_size: int = 32
    from_base: bool = False
    optimizer: str = "adamw"
    prompts: float = 0.0


KINDS = {
    "base": Kind(
        "drills, and conversations of all five worlds, level 1, gold answers",
        60_000,
        3_000,
        5e-3,
        optimizer="muon",
        prompts=0.1,
    ),
    "all": Kind("all five worlds, level 2", 3_000, 1_500, 5e-3, from_base=True, optimizer="muon"),
    "sums": Kind(
        "the arithmetic world, level 2", 3_000, 600, 1e-2, from_base=True, optimizer="muon"
    ),
    "chains": Kind("running sums of eight digits", 4_000, 600, 4e-3, 64),
    "bare": Kind("the sums of the arithmetic world without their words", 16_000, 1_500, 4e-3),
}


@dataclass(frozen=True)
class Settings:
    """What decides the students: `noise` is the share of wrong steps of random errors."""

    seeds: int = 5
    noise: float = 0.15
    kinds: Mapping[str, Kind] = field(default_factory=lambda: dict(KINDS))


@dataclass(frozen=True)
class Arm:
    """Whose answers, in words and as the maker knows them (`of`); to which kind of prompts.

    `longer`: times the steps of the kind.
    """

    about: str
    of: str
    kind: str = "all"
    longer: int = 1


ARMS = {
    "gold": Arm("gold answers", "gold"),
    "raw": Arm("the tutor's answers, as they came", "raw"),
    "verified": Arm("those a verifier passed", "verified"),
    "filtered": Arm("those verified, without near-duplicates, balanced", "filtered"),
    "steps": Arm("the tutor's steps and answer", "steps", "sums"),
    "answer-only": Arm("the same without the steps", "answers", "sums"),
    "answer-only-longer": Arm("the same for twice as long", "answers", "sums", 2),
    "systematic": Arm("a teacher that always writes 7 + 8 = 4", "systematic", "chains"),
    "systematic-filtered": Arm("its answers that are right", "systematic-filtered", "chains"),
    "random": Arm("a teacher with random errors", "random", "chains"),
    "random-filtered": Arm("its answers that are right", "random-filtered", "chains"),
    "bare-filtered": Arm(
        "the right answers of one that writes 7 + 8 = 14", "systematic-filtered", "bare"
    ),
}


def prompts(settings: Settings, kind: str, seed: int) -> list[Task]:
    """Draw a seed's prompts, for an arm of this kind."""
    n = settings.kinds[kind].examples
    if kind == "all":
        each = [worlds.load(name).train(n, seed=FRESH + seed) for name in worlds.NAMES]
        return [task for tasks in each for task in tasks]
    if kind == "chains":
        return chains.chains(n, seed=seed)
    tasks = worlds.load("arithmetic").train(n, seed=FRESH + seed)
    return tasks if kind == "sums" else list({task.key: bare(task) for task in tasks}.values())


def bare(task: Task) -> Task:
    """Take the words from a task of the arithmetic world: `48-9+4=` is left."""
    return replace(task, prompt=f"{task.key}=")


def by_rule(of: str, tasks: Sequence[Task], noise: float) -> dict[int, str]:
    """Write the answers of teachers that need no model.

    Args:
        of: "gold"; "systematic" and "random" err on purpose, and "-filtered" behind either keeps
            the right answers only.
        tasks: N tasks of one world.
        noise: the share of wrong steps of the random one.

    Returns:
        Number of the task to text, for the answers that are left.
    """
    teacher, _, filtered = of.partition("-")
    world = chains if tasks[0].world == "chains" else arithmetic
    wrong: dict[str, Callable[[Task], Task]] = {
        "gold": lambda task: task,
        "systematic": world.with_slip,
        "random": lambda task: world.with_noise(task, noise),
    }
    texts = {i: wrong[teacher](task).target for i, task in enumerate(tasks)}
    return {i: text for i, text in texts.items() if not filtered or tasks[i].check.verdict(text)}
