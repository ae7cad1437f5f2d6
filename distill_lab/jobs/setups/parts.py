"""A few examples of a job's data in place of all, for a rehearsal, and what it saw."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from distill_lab.data.parts import Part


class Rehearsal:
    """What is taken of a job's data, and what was seen of it.

    Args:
        batches: how many of them each training gets.
        batch_size: the largest of the job's.
    """

    def __init__(self, batches: int, batch_size: int) -> None:
        self.batches, self.batch_size = batches, batch_size
        self.examples = 0
        self.answering = 0.0  # seconds of the teacher an example

    def part(self, source: Any) -> Part:
        """A few examples, evenly through the data: of texts, short and long ones."""
        self.examples = len(source)
        count = min(len(source), self.batches * self.batch_size)
        return Part(source, torch.linspace(0, len(source) - 1, count).long())

    @contextmanager
    def answers(self, count: int) -> Iterator[None]:
        """Measure how long the teacher takes for the answers to so many examples."""
        began = time.perf_counter()
        yield
        self.answering = (time.perf_counter() - began) / count
