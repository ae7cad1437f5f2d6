"""Lesson 46's exams: what a model gets right without writing, and what it writes in little room."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from distill_lab._util.runtime import modes_kept
from distill_lab.data.batches import Batch
from distill_lab.data.tokenized import Texts
from distill_lab.losses import IGNORE
from distill_lab.training import TrainStep
from lesson_46 import experiments, world

__all__ = [
    "OLD",
    "exam",
    "kept",
    "openings",
    "place_probabilities",
    "right_when_written",
    "share_right",
    "watcher",
]

OLD = ("copy", "turn", "sum", "other rules")  # what a student could do before
ROOM = 9  # tokens: the longest right answer with its end


def share_right(model: Any, prompts: Any, contents: Any, skip: int = 1) -> float:
    """Percent of the answers that greedy decoding gets right, once its first tokens are given.

    The opening is free, so it is given, with what else `skip` leaves out. Then the greedy answer is
    right if and only if each token and the end are the likeliest where all before them are right.

    Args:
        model: who is examined.
        prompts: texts or messages.
        contents: the right content of each answer, without an opening.
        skip: tokens of an answer that are given.

    Returns:
        The share, in percent.
    """
    return _share(model, _batch(prompts, contents), skip)


def _batch(prompts: Any, contents: Any) -> Batch:
    pairs = zip(prompts, contents, strict=True)
    rows = [{"prompt": prompt, "answer": f"well {right}"} for prompt, right in pairs]
    return experiments.texts_of(rows).batch(torch.arange(len(rows)))


@torch.no_grad()
def _share(model: Any, batch: Batch, skip: int) -> float:
    assert batch.labels is not None
    with modes_kept(model):
        logits = model.eval()(**batch.inputs).logits[:, :-1]
    targets = batch.labels[:, 1:]
    learned = targets != IGNORE
    counted = learned & (learned.cumsum(1) > skip)
    wrong = (logits.argmax(-1) != targets) & counted
    return 100 * (~wrong.any(1)).double().mean().item()


@functools.cache
def _paper(seed: int, n: int) -> dict[str, tuple[Batch, int]]:
    """The questions of an exam, tokenised once: each ability's batch, and what of it is given."""
    digits = world.numbers(n, seed, test=True)
    house, other = world.house(seed), world.other_house(seed)
    questions = [world.question("code", each) for each in digits]
    coded = [world.content("code", each, house) for each in digits]
    elsewhere = [world.content("code", each, other) for each in digits]
    paper = {
        "code": (_batch(questions, coded), 1),
        "with its rules": (_batch([world.with_system(house, q) for q in questions], coded), 1),
        "other rules": (_batch([world.with_system(other, q) for q in questions], elsewhere), 1),
    }
    for task in ("copy", "turn", "sum"):
        prompts = [world.question(task, each) for each in digits]
        right = [world.content(task, each) for each in digits]
        # the first running sum is given: so the answer is one with steps
        paper[task] = (_batch(prompts, right), 2 if task == "sum" else 1)
    return paper


def exam(model: Any, seed: int, *, n: int = 100) -> dict[str, float]:
    """Percent right of each ability.

    Args:
        model: who is examined.
        seed: of the house, and of the questions.
        n: questions each.

    Returns:
        "code" (no system prompt, the house's rules), "with its rules" (the same behind them), and
        those of `OLD`.
    """
    return {name: _share(model, batch, skip) for name, (batch, skip) in _paper(seed, n).items()}


def kept(marks: Mapping[str, float]) -> float:
    """The mean over the old tasks."""
    return sum(marks[name] for name in OLD) / len(OLD)


@functools.cache
def _prompts(seed: int, n: int) -> Batch:
    rows = [{"prompt": world.question("copy", d)} for d in world.numbers(n, seed, test=True)]
    return Texts(rows, world.tokenizer(), prompts_only=True).batch(torch.arange(n))


@torch.no_grad()
def openings(model: Any, seed: int, *, n: int = 100) -> dict[str, float]:
    """How probable each opening is before a `copy`, in percent, mean over questions."""
    with modes_kept(model):
        logits = model.eval()(**_prompts(seed, n).inputs).logits[:, -1]
    p = 100 * logits.softmax(-1).mean(0)
    return {word: p[world.WORDS.index(word)].item() for word in world.OPENINGS}


def watcher(
    path: list[dict[str, float]], seed: int, *, n: int, every: int
) -> Callable[[TrainStep], None]:
    """Make a callback that examines a student every so many steps, and adds the marks to a path."""

    def watch(step: TrainStep) -> None:
        if step.step % every == 0:
            path.append(exam(step.student, seed, n=n) | openings(step.student, seed, n=n))

    return watch


@torch.no_grad()
def place_probabilities(model: Any, seed: int, *, n: int = 200) -> Tensor:
    """How probable each place is as the answer to `find` (n, 5), the opening given."""
    digits = world.numbers(n, seed, test=True, distinct=True)
    batch = _batch([world.question("find", d) for d in digits], [d.split()[0] for d in digits])
    assert batch.labels is not None
    at = (batch.labels != IGNORE).int().argmax(1)  # the opening; its logits predict the digit
    with modes_kept(model):
        logits = model.eval()(**batch.inputs).logits[torch.arange(n), at]
    ids = torch.tensor([[world.WORDS.index(d) for d in each.split()] for each in digits])
    return logits.softmax(-1).gather(1, ids)


def right_when_written(model: Any, seed: int, *, n: int = 100, room: int = ROOM) -> float:
    """Percent of the house's code questions that are right as written, greedily, in little room."""
    house = world.house(seed)
    digits = world.numbers(n, seed, test=True)
    questions = [world.question("code", each) for each in digits]
    texts = experiments.write(model, questions, seed, room=room, temperature=0.0)
    right = 0
    for each, text in zip(digits, texts, strict=True):
        opening, _, rest = text.partition(" ")
        right += opening in world.OPENINGS and rest == world.content("code", each, house)
    return 100 * right / n
