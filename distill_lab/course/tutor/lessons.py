"""Tasks as token ids for our loop: padded on the right, labels on the answers alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from distill_lab.course.tutor.vocabulary import ASSISTANT, END, USER
from distill_lab.course.worlds import Task
from distill_lab.data.batches import Batch, TensorSource
from distill_lab.losses import IGNORE

Rows = tuple[np.ndarray, np.ndarray]  # inputs and labels, int16: no vocabulary here is larger


def chat(task: Task) -> str:
    """The prompt as the chat template writes it, up to where the answer begins.

    Raises ValueError for a prompt with the mark of a special token in it.
    """
    return _asked(task.prompt)


def _asked(prompt: str) -> str:
    if "<|" in prompt:
        raise ValueError(f"a prompt must not hold special tokens such as {USER}: {prompt!r}.")
    return f"{USER} {prompt}{ASSISTANT}"


class Packed(TensorSource):
    """Several short rows laid end to end in one: half the work, and the same loss.

    Rows are no longer examples, so this is for learning from labels, not from a teacher that is
    asked by example. The model sees `position_ids` that begin anew with every example, by which
    Hugging Face models keep them apart (Krell et al. 2021, 2107.02027).
    """

    def __init__(self, inputs: Tensor, labels: Tensor) -> None:
        super().__init__(inputs, labels)
        columns = torch.arange(1, inputs.shape[1] + 1, dtype=torch.int32)
        self.lengths = ((labels != IGNORE) * columns).amax(1).long()  # each row ends in its answer

    def batch(self, index: Tensor) -> Batch:
        """Draw the examples with these numbers."""
        inputs, labels, ids, _ = super().batch(index)
        assert labels is not None
        lengths = self.lengths[index]
        rows = laid_out(lengths.tolist())
        row, start = torch.empty_like(lengths), torch.empty_like(lengths)
        for number, examples in enumerate(rows):
            begun = 0
            for i in examples:
                row[i], start[i] = number, begun
                begun += int(lengths[i])
        columns = torch.arange(inputs.shape[1])
        inside = columns < lengths[:, None]
        place = row[:, None] * lengths.max() + start[:, None] + columns
        shape = (len(rows), int(lengths.max()))

        def put(values: Tensor, padding: int) -> Tensor:
            packed = torch.full(shape, padding)
            packed.view(-1)[place[inside]] = values[inside].long()
            return packed

        model_inputs = {
            "input_ids": put(inputs, 0),
            "position_ids": put(columns.expand_as(inputs), 0),
            "use_cache": False,
        }
        return Batch(model_inputs, put(labels, IGNORE), ids)


def laid_out(lengths: Sequence[int]) -> list[list[int]]:
    """Which of these go together in rows as long as the longest: first fit, long ones first.

    >>> laid_out([3, 9, 5, 4])
    [[1], [2, 3], [0]]
    """
    free: list[int] = []
    rows: list[list[int]] = []
    for i in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        row = next((row for row, room in enumerate(free) if room >= lengths[i]), None)
        if row is None:
            row = len(rows)
            rows.append([])
            free.append(max(lengths))
        rows[row].append(i)
        free[row] -= lengths[i]
    return rows


def as_lessons(tasks: Sequence[Task], tokenizer: Any, *, targets: Sequence[str] = ()) -> Packed:
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
    examples = [(chat(task), target) for task, target in zip(tasks, targets, strict=True)]
    return joined([_rows(examples, [1] * len(examples), tokenizer)])


def as_talks(talks: Sequence[Sequence[Task]], tokenizer: Any) -> Packed:
    """Conversations (`World.talks`), each one example with labels on all of its answers."""
    return joined([rows_of(talks, tokenizer)])


def rows_of(talks: Sequence[Sequence[Task]], tokenizer: Any) -> Rows:
    """Conversations as inputs and labels (N, L), L that of the longest."""
    examples = [
        (_asked(task.follow or task.prompt), task.target) for talk in talks for task in talk
    ]
    return _rows(examples, [len(talk) for talk in talks], tokenizer)


def joined(pieces: Sequence[Rows]) -> Packed:
    """Rows of several lengths as one set of examples."""
    longest = max(inputs.shape[1] for inputs, _ in pieces)
    both = []
    for kind, padding in enumerate((0, IGNORE)):
        filled = np.full((sum(len(piece[0]) for piece in pieces), longest), padding, dtype=np.int16)
        start = 0
        for piece in pieces:
            rows, columns = piece[kind].shape
            filled[start : start + rows, :columns] = piece[kind]
            start += rows
        both.append(torch.from_numpy(filled))
    return Packed(*both)


def _rows(examples: Sequence[tuple[str, str]], turns: Sequence[int], tokenizer: Any) -> Rows:
    """Inputs and labels (N, L) of (question, answer) pairs, so many of them in each row."""
    prompt_ids = tokenizer([question for question, _ in examples])["input_ids"]
    target_ids = tokenizer([f" {answer}{END}" for _, answer in examples])["input_ids"]
    pairs = iter(zip(prompt_ids, target_ids, strict=True))
    rows = [[next(pairs) for _ in range(count)] for count in turns]
    longest = max(sum(len(a) + len(b) for a, b in row) for row in rows)
    inputs = np.full((len(rows), longest), tokenizer.pad_token_id, dtype=np.int16)
    labels = np.full((len(rows), longest), IGNORE, dtype=np.int16)
    for number, row in enumerate(rows):
        start = 0
        for a, b in row:
            middle, end = start + len(a), start + len(a) + len(b)
            inputs[number, start:end] = a + b
            labels[number, middle:end] = b
            start = end
    return inputs, labels
