"""Answers of a model: sampled, verified, and counted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from distill_lab._util.runtime import own_randomness
from distill_lab.data.batches import Batch
from distill_lab.methods.writing import Writing, answers_in
from lesson_44 import problems as p
from lesson_44.chains import Chains
from lesson_44.problems import Problem

__all__ = ["Marks", "judge", "marks", "own_chains", "prompt_inputs", "reward_of", "write"]

AT_ONCE = 1000  # problems that are answered at once


def reward_of(problems: Sequence[Problem]) -> Any:
    """Make the verifier as `grpo` wants it: 1 for a right answer to the problem of this number."""

    def reward(example: int, tokens: list[int]) -> float:
        return float(p.read(tokens).number == problems[example].answer)

    return reward


def prompt_inputs(problems: Sequence[Problem]) -> dict[str, Tensor]:
    """The prompts as a model takes them."""
    ids = p.prompts(problems)
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}


def write(
    model: Any,
    problems: Sequence[Problem],
    *,
    answers: int = 1,
    seed: int = 0,
    temperature: float = 1.0,
    room: int = p.ROOM["short"],
) -> list[list[list[int]]]:
    """Let a model answer each problem several times.

    Args:
        model: who writes.
        problems: N problems.
        answers: how many to each.
        seed: of the sampling; the global generator is left as it was.
        temperature: of the sampling; 0 takes the likeliest token.
        room: tokens that an answer may have.

    Returns:
        For each problem, the tokens of each answer, ends included.
    """
    writing = Writing(temperature, room, p.END, p.PAD)
    tokens: list[list[int]] = []
    with own_randomness(seed):
        for i in range(0, len(problems), AT_ONCE):
            some = problems[i : i + AT_ONCE]
            batch = Batch(prompt_inputs(some), None, torch.arange(len(some)))
            tokens += answers_in(writing(batch, model, answers=answers))
    return [tokens[i : i + answers] for i in range(0, len(tokens), answers)]


def own_chains(
    model: Any, problems: Sequence[Problem], *, answers: int = 1, seed: int = 0
) -> Chains:
    """Write chains with a model, `answers` to a problem, one behind the other."""
    texts = write(model, problems, answers=answers, seed=seed)
    return Chains(
        [problem for problem in problems for _ in range(answers)],
        [tokens for group in texts for tokens in group],
    )


@dataclass(frozen=True)
class Marks:
    """Verdicts on K answers to each of N problems.

    Args:
        right: whether the number is right, (N, K).
        steps: whether every step is right, (N, K); False without steps.
        thought: whether steps were written, (N, K).
        numbers: the numbers, (N, K), -1 where there is none.
        gold: the right ones, (N,).
    """

    right: Tensor
    steps: Tensor
    thought: Tensor
    numbers: Tensor
    gold: Tensor

    @property
    def one(self) -> float:
        """pass@1: percent of the answers that are right."""
        return 100 * self.right.float().mean().item()

    @property
    def any(self) -> float:
        """pass@K: percent of the problems that at least one answer solves."""
        return 100 * self.right.any(1).float().mean().item()

    @property
    def vote(self) -> float:
        """Percent of the problems whose most frequent number is right; a tie counts in part."""
        counts = torch.nn.functional.one_hot(self.numbers + 1, 11)[..., 1:].sum(1)  # (N, 10)
        first = counts == counts.amax(1, keepdim=True)
        share = first / first.sum(1, keepdim=True)
        return 100 * share.gather(1, self.gold[:, None]).mean().item()

    @property
    def form(self) -> float:
        """Percent of the answers that write steps."""
        return 100 * self.thought.float().mean().item()

    @property
    def wrong_inside(self) -> float:
        """Of the chains with a right number, percent with a wrong step."""
        chosen = self.right & self.thought
        return 100 * (1 - self.steps[chosen].float().mean().item())


def judge(
    model: Any,
    problems: Sequence[Problem],
    *,
    answers: int = 4,
    seed: int = 0,
    room: int = p.ROOM["short"],
) -> Marks:
    """Let a model answer, and give verdicts."""
    groups = write(model, problems, answers=answers, seed=seed, room=room)
    return marks(problems, groups)


def marks(problems: Sequence[Problem], groups: Sequence[Sequence[Sequence[int]]]) -> Marks:
    """Give verdicts on answers: for each problem, the tokens of each."""
    answers = [[p.read(tokens) for tokens in group] for group in groups]
    numbers = torch.tensor([[-1 if a.number is None else a.number for a in g] for g in answers])
    gold = torch.tensor([one.answer for one in problems])
    steps = [
        [a.steps == one.sums for a in group] for one, group in zip(problems, answers, strict=True)
    ]
    thought = [[a.steps is not None for a in group] for group in answers]
    return Marks(
        numbers == gold[:, None], torch.tensor(steps), torch.tensor(thought), numbers, gold
    )
