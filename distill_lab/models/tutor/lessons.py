"""Tasks as token ids for our loop: prompts padded on the right, labels on the answer alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from distill_lab.batches import Batch, TensorSource
from distill_lab.datasets.worlds import Task
from distill_lab.losses.positions import IGNORE
from distill_lab.models.tutor.vocabulary import ASSISTANT, END, USER


def chat(task: Task) -> str:
    """The prompt as the chat template writes it, up to where the answer begins.

    Raises ValueError for a prompt with the mark of a special token in it.
    """
    if "<|" in task.prompt:
        raise ValueError(f"a prompt must not hold special tokens such as {USER}: {task.prompt!r}.")
    return f"{USER}{task.prompt}{ASSISTANT}"


class Trimmed(TensorSource):
    """Padded rows of which a batch is as long as its longest: most rows are far shorter."""

    def batch(self, index: Tensor) -> Batch:
        inputs, labels, ids = super().batch(index)
        assert labels is not None
        longest = int((labels != IGNORE).any(0).nonzero().max()) + 1  # each row ends in its answer
        return Batch(inputs[:, :longest], labels[:, :longest], ids)


def as_lessons(tasks: Sequence[Task], tokenizer: Any, *, targets: Sequence[str] = ()) -> Trimmed:
    """The tasks and what to answer (their own targets by default), ready for `distill`.

    Shapes: inputs and labels (N, L), labels -100 on the prompt and the padding.
    Raises ValueError where there are no tasks, or not one target each.
    """
    targets = targets or [task.target for task in tasks]
    if not tasks or len(targets) != len(tasks):
        raise ValueError(
            f"expected one target for each of at least one task; got {len(targets)} targets for "
            f"{len(tasks)} tasks."
        )
    asked = tokenizer([chat(task) for task in tasks])["input_ids"]
    told = tokenizer([target + END for target in targets])["input_ids"]
    longest = max(len(a) + len(b) for a, b in zip(asked, told, strict=True))
    inputs = torch.full((len(tasks), longest), tokenizer.pad_token_id)
    labels = torch.full((len(tasks), longest), IGNORE)
    for row, (a, b) in enumerate(zip(asked, told, strict=True)):
        inputs[row, : len(a) + len(b)] = torch.tensor(a + b)
        labels[row, len(a) : len(a) + len(b)] = torch.tensor(b)
    return Trimmed(inputs, labels)
