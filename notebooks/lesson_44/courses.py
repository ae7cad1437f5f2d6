"""Two ways from one base, measured on their way: a reward, or a teacher's chains."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from distill_lab import methods
from distill_lab.data.batches import TensorSource
from distill_lab.training import TrainStep, WritingMonitor, distill
from lesson_44 import problems as p
from lesson_44.answers import prompt_inputs, reward_of
from lesson_44.chains import Chains
from lesson_44.experiments import LR, count_parameters
from lesson_44.problems import Problem

__all__ = ["Course", "follow", "reinforce"]

RL_LR = 2e-3  # of AdamW; at 3e-3 the rewards grow later, at 1e-2 they vanish


@dataclass(frozen=True)
class Course:
    """A run measured in its course: after how many FLOPs how many answers were right."""

    student: Any
    flops: list[float]
    right: list[float]
    length: list[float]
    entropy: list[float]


def reinforce(
    start: Any,
    problems: Sequence[Problem],
    *,
    steps: int,
    prompts: int,
    group: int,
    seed: int,
    held_out: Sequence[Problem] = (),
    every: int = 10,
    lr: float = RL_LR,
    scale: bool = True,
) -> Course:
    """Reinforce what the verifier finds right, from a copy of the start: GRPO.

    Args:
        start: a model; it stays as it was.
        problems: to practise on.
        steps: updates.
        prompts: problems an update.
        group: answers to each.
        seed: of the order and of the sampling.
        held_out: problems to measure the run on; none: it is not measured.
        every: updates between two measurements.
        lr: the first rate; it falls to zero by a cosine.
        scale: divide a group's advantages by their standard deviation.

    Returns:
        The student, and its course; a unit of compute is counted by `rl_flops`.
    """
    student = copy.deepcopy(start)
    room = p.ROOM["short"]
    method = methods.grpo(
        reward_of(problems), group=group, scale=scale, max_new_tokens=room, end=p.END, pad=p.PAD
    )
    n = count_parameters(student)
    spent: list[float] = [0.0]

    def count(step: TrainStep) -> None:
        # every token of prompt and room is computed, whether or not an answer has ended
        spent.append(spent[-1] + 8.0 * n * prompts * group * (p.PROMPT + room))

    return _measured(
        student,
        (prompt_inputs(problems), None),
        method,
        steps,
        prompts,
        seed,
        lr,
        held_out,
        every,
        count,
        spent,
    )


def follow(
    start: Any,
    data: Chains,
    *,
    steps: int,
    batch_size: int,
    seed: int,
    held_out: Sequence[Problem] = (),
    every: int = 10,
    lr: float = LR,
    written: float = 0.0,
) -> Course:
    """Fine-tune a copy of the start on a teacher's chains, measured as `reinforce` is.

    Args:
        start: a model; it stays as it was.
        data: the chains.
        steps: updates.
        batch_size: chains an update.
        seed: of the order.
        held_out: problems to measure the run on.
        every: updates between two measurements.
        lr: the first rate; it falls to zero by a cosine.
        written: FLOPs that the teacher needed for each chain that is learned from.

    Returns:
        The student, and its course.
    """
    student = copy.deepcopy(start)
    ids, labels = data.encoded()
    n = count_parameters(student)
    spent: list[float] = [0.0]

    def count(step: TrainStep) -> None:
        spent.append(spent[-1] + batch_size * (6.0 * n * ids.shape[1] + written))

    method = methods.tokens(alpha=0.0)
    return _measured(
        student,
        (ids, labels),
        method,
        steps,
        batch_size,
        seed,
        lr,
        held_out,
        every,
        count,
        spent,
        "muon",
    )


def _measured(
    student: Any,
    data: Any,
    method: Any,
    steps: int,
    batch_size: int,
    seed: int,
    lr: float,
    held_out: Sequence[Problem],
    every: int,
    count: Any,
    spent: list[float],
    optimizer: str = "adamw",
) -> Course:
    monitor = None
    if held_out:
        monitor = WritingMonitor(
            TensorSource(prompt_inputs(held_out), None),
            every=every,
            answers=2,
            max_new_tokens=p.ROOM["short"],
            batch_size=len(held_out),
            score=reward_of(held_out),
            seed=seed,
        )
    before = [] if monitor is None else [monitor.measure(student, 0)]
    distill(
        student,
        data,
        method=method,
        steps=steps,
        batch_size=batch_size,
        lr=lr,
        optimizer=optimizer,
        schedule="cosine",
        clip=1.0,
        seed=seed,
        progress=False,
        shares_every=0,
        callbacks=[count] if monitor is None else [count, monitor],
    )
    student.eval()
    figures = before if monitor is None else [*before, *monitor.figures]
    return Course(
        student,
        [spent[one.step] for one in figures],
        [100 * (one.score or 0.0) for one in figures],
        [one.length for one in figures],
        [one.entropy for one in figures],
    )
