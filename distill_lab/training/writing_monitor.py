"""What a student writes in the course of a run: a good run that collapses is seen to."""

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import nn

from distill_lab._util.checks import positive_int, whole_number
from distill_lab._util.runtime import modes_kept, own_randomness
from distill_lab._util.tensors import Batch, next_tokens
from distill_lab.data.batches import Source
from distill_lab.methods.writing import Writing, answers_in
from distill_lab.models.scores_at import Places, in_pieces, scores_at
from distill_lab.training.callbacks import TrainStep

Score = Callable[[int, list[int]], float]


class WritingFigures(NamedTuple):
    """What was measured of a student's answers after a step.

    Args:
        step: how many steps were done.
        length: mean tokens an answer, its end included.
        entropy: mean entropy of the next-token distributions, in nats a token.
        distinct: of the answers to one prompt, the share that are not repetitions of another;
            mean over prompts, 1 / answers to 1.
        ended: share of the answers that came to an end.
        score: mean score; None without one.
    """

    step: int
    length: float
    entropy: float
    distinct: float
    ended: float
    score: float | None


class WritingMonitor:
    """Let the student answer held-out prompts every so many steps, and measure the answers.

        monitor = WritingMonitor(prompts, every=50, score=lambda example, tokens: ...)
        distill(student, data, teacher=teacher, method=on_policy(), callbacks=[monitor])
        monitor.figures[-1].entropy

    The run itself does not notice: its randomness and the student's mode stay as they were.
    `seconds` holds for each of the figures how long the training had taken, from the end of the
    first step on and without the measuring; runs are compared after equal seconds by `at_seconds`.

    Args:
        prompts: as `Texts(..., prompts_only=True)` gives them, held out.
        every: steps between two measurements; the first and the last are measured too.
        answers: how many to each prompt.
        temperature: of the sampling.
        max_new_tokens: how long an answer may be.
        batch_size: prompts at once.
        score: a function (number of the prompt, the answer's tokens with its end) -> number.
        seed: of the sampling, the same at each measurement.
        log: is given each measurement.

    Raises:
        ValueError: for numbers below 1, or as `Writing`.

    >>> WritingMonitor(prompts=None, every=50).figures
    []
    """

    def __init__(
        self,
        prompts: Source,
        *,
        every: int = 100,
        answers: int = 4,
        temperature: float = 1.0,
        max_new_tokens: int = 64,
        batch_size: int = 16,
        score: Score | None = None,
        seed: int = 0,
        log: Callable[[WritingFigures], None] | None = None,
    ) -> None:
        self.prompts, self.every = prompts, positive_int("every", every)
        self.answers = positive_int("answers", answers)
        self.writing = Writing(temperature, max_new_tokens)
        self.batch_size = positive_int("batch_size", batch_size)
        self.score, self.seed, self.log = score, whole_number("seed", seed), log
        self.figures: list[WritingFigures] = []
        self.seconds: list[float] = []
        self._trained = 0.0
        self._resumed: float | None = None

    def __call__(self, step: TrainStep) -> None:
        """Measure, if it is time."""
        if self._resumed is not None:
            self._trained += time.perf_counter() - self._resumed
        if step.step % self.every == 0 or step.step in (1, step.steps):
            self.figures.append(self.measure(step.student, step.step))
            self.seconds.append(self._trained)
            if self.log is not None:
                self.log(self.figures[-1])
        self._resumed = time.perf_counter()

    def at_seconds(self, seconds: float) -> WritingFigures:
        """The last figures that a run had after so many seconds: a column at equal seconds.

        Args:
            seconds: of training, as in `seconds`.

        Returns:
            Those figures.

        Raises:
            ValueError: before the first of them.
        """
        past = [i for i, each in enumerate(self.seconds) if each <= seconds]
        if not past:
            raise ValueError(f"nothing was measured within {seconds:g} seconds of training.")
        return self.figures[past[-1]]

    def measure(self, student: nn.Module, step: int = 0) -> WritingFigures:
        """Measure what a student writes now.

        Args:
            student: a Hugging Face causal language model.
            step: the number to note beside it.

        Returns:
            The figures, means over all answers or tokens.
        """
        written: list[tuple[int, list[int]]] = []
        nats = 0.0
        device = next(student.parameters()).device
        with own_randomness(self.seed, device), modes_kept(student), torch.no_grad():
            student.eval()
            for index in torch.arange(len(self.prompts)).split(self.batch_size):
                batch = self.prompts.batch(index).to(device)
                batch = self.writing(batch, student, answers=self.answers)
                nats += _entropies(student, batch)
                written += zip(batch.ids.tolist(), answers_in(batch), strict=True)
        ends = self.writing.ends(student)
        tokens = sum(len(answer) for _, answer in written)
        ended = sum(answer[-1] in ends for _, answer in written)
        scores = [self.score(*each) for each in written] if self.score is not None else []
        return WritingFigures(
            step,
            tokens / len(written),
            nats / tokens,
            _distinct(written, self.answers),
            ended / len(written),
            sum(scores) / len(scores) if scores else None,
        )


def _entropies(student: nn.Module, batch: Batch) -> float:
    """The entropies at the tokens that were written, added up, in nats."""
    assert batch.labels is not None
    at = Places.of(next_tokens(batch.labels, batch.inputs)[1])
    total = 0.0
    for _, (scores,) in in_pieces(scores_at(student, batch.inputs, at)):
        log_p = scores.log_softmax(-1)
        total += float(torch.special.entr(log_p.exp()).sum())
    return total


def _distinct(written: Sequence[tuple[int, list[int]]], answers: int) -> float:
    groups = [written[i : i + answers] for i in range(0, len(written), answers)]
    shares = [len({tuple(answer) for _, answer in group}) / answers for group in groups]
    return sum(shares) / len(shares)
