"""Small language models that learnt from somebody's answers: lesson 43's students.

An arm (`arms.ARMS`) says whose answers, to what kind of prompts, and which of them were kept. Every
arm has one student a seed, of 7 % of the tutor's size. Students of one seed share prompts, first
weights and order, so their differences are paired. Where the prompts are in words a student starts
from the *base*, which has learnt the easy tasks of every world from gold answers, as one starts
from a model somebody has trained; where they are sums alone it starts from scratch, so that it
knows no sum before.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from distill_lab.course import tutor
from distill_lab.course.stored import DATA, load
from distill_lab.course.tutor.lessons import Packed, as_talks
from distill_lab.course.tutor.method import answers_and_prompts
from distill_lab.course.tutor.recipe import READING, Part, Recipe, draws_of, epochs_of
from distill_lab.course.worlds import Task
from distill_lab.training import History, TrainStep, distill
from lesson_43.arms import ARMS, FRESH, Kind, Settings

FOLDER = DATA / "students"
REMAKE = "python -m lesson_43.make"
SIZE = Recipe().control


def train(
    student: Any,
    tasks: Sequence[Task],
    targets: Sequence[str],
    tokenizer: Any,
    kind: Kind,
    *,
    seed: int,
    longer: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> History:
    """Fine-tune a student, in place, on these answers.

    Args:
        student: a Hugging Face causal model.
        tasks: N tasks, of which the prompts are used.
        targets: N answers to learn.
        tokenizer: the tutor's.
        kind: steps, rate, batch size and optimizer.
        seed: of the order.
        longer: times the steps of the kind.
        progress: called with the step and the number of steps.

    Returns:
        The history of the run.
    """
    examples = tutor.as_lessons(tasks, tokenizer, targets=targets)
    return _fine_tune(student, examples, kind, longer * kind.steps, seed, progress)


def train_base(
    student: Any, tokenizer: Any, kind: Kind, progress: Callable[[int, int], None] | None = None
) -> History:
    """Train, in place, on what a student knows before it is fine-tuned: easy conversations."""
    part = Part("base", kind.examples, 0, shares=READING, drills=2.0, easy=1.0)
    talks = [talk for draw in draws_of(Recipe(seed=FRESH), part) for talk in draw.talks()]
    return _fine_tune(student, as_talks(talks, tokenizer), kind, kind.steps, 0, progress)


def _fine_tune(
    student: Any,
    examples: Packed,
    kind: Kind,
    steps: int,
    seed: int,
    progress: Callable[[int, int], None] | None,
) -> History:
    def stop(step: TrainStep) -> bool:
        if progress is not None:
            progress(step.step, steps)
        return step.step >= steps

    history = distill(
        student,
        examples,
        method=answers_and_prompts(kind.prompts),
        optimizer=kind.optimizer,
        lr=kind.lr,
        schedule="linear",
        epochs=epochs_of(Part("", len(examples), steps), len(examples), kind.batch_size),
        batch_size=kind.batch_size,
        warmup=min(100, steps - 1),
        clip=1.0,
        seed=seed,
        progress=False,
        shares_every=0,
        callbacks=[stop],
    )
    student.eval()
    return history


def fresh(tokenizer: Any, seed: int = 0) -> Any:
    """Make a student that has learnt nothing yet."""
    return tutor.network(SIZE, tokenizer, seed)


def base(tokenizer: Any, *, folder: Path | None = None) -> Any:
    """Load the model that students of tasks in words start from, in eval mode."""
    return _filled(tokenizer, load("base.safetensors", folder=folder or FOLDER, remake=REMAKE))


def stored_students(arm: str, tokenizer: Any, *, folder: Path | None = None) -> list[Any]:
    """Load the kept students of an arm, one a seed, in eval mode.

    Args:
        arm: one of `arms.ARMS`.
        tokenizer: the tutor's.
        folder: where the files are, by default the repository's.

    Returns:
        S models.

    Raises:
        ValueError: for an arm there is not.
        FileNotFoundError: where the files are missing.
    """
    if arm not in ARMS:
        raise ValueError(f"there is no arm {arm!r}: expected one of {', '.join(ARMS)}.")
    weights = load(f"{arm}.safetensors", folder=folder or FOLDER, remake=REMAKE)
    seeds = range(len(next(iter(weights.values()))))
    return [_filled(tokenizer, {k: v[seed] for k, v in weights.items()}) for seed in seeds]


def _filled(tokenizer: Any, weights: Mapping[str, Tensor]) -> Any:
    student = fresh(tokenizer)
    named = dict(student.named_parameters())  # tied weights once
    if named.keys() != weights.keys():
        raise ValueError(f"these are not a student's weights: {sorted(weights)[:3]}, ...")
    with torch.no_grad():
        for name, parameter in named.items():
            parameter.copy_(weights[name])
    return student.eval()


def report(*, folder: Path | None = None) -> dict[str, Any]:
    """Load how the kept students were made: settings, each arm's training set, and its cost."""
    return load("report.json", folder=folder or FOLDER, remake=REMAKE)


def facts(settings: Settings, arms: Mapping[str, Any], made: Mapping[str, Any]) -> str:
    """Write the report as JSON."""
    content = {"made": dict(made), "settings": asdict(settings), "arms": dict(arms)}
    return json.dumps(content, indent=1) + "\n"
