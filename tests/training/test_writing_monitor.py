"""What a student writes in the course of a run, and that the run does not notice."""

import copy
import math
from types import SimpleNamespace

import pytest
import torch

pytest.importorskip("transformers", reason="the student has to write: a Hugging Face model")

from distill_lab import methods
from distill_lab.data.tokenized import Texts
from distill_lab.teachers import freeze
from distill_lab.training import WritingMonitor, distill, writing_monitor
from distill_lab.training.callbacks import TrainStep
from tests.data.test_tokenized import ROWS, llama, words_tokenizer

END = 1


def prompts():
    return Texts(ROWS, words_tokenizer(), prompts_only=True)


def always(token: int, surely: float = 60.0):
    """A student that writes one token, whatever it reads."""
    model = llama(1, 1)

    def write(module, args, kwargs, output):
        output.logits = torch.zeros_like(output.logits)
        output.logits[..., token] = surely
        return output

    model.register_forward_hook(write, with_kwargs=True)
    return model


def test_a_student_that_has_collapsed_is_seen_to():
    monitor = WritingMonitor(prompts(), answers=4, max_new_tokens=6)
    figures = monitor.measure(always(5))
    assert figures.length == 6 and figures.ended == 0
    assert figures.entropy < 1e-6
    assert figures.distinct == 1 / 4
    assert figures.score is None


def test_a_student_that_knows_nothing_writes_anything():
    monitor = WritingMonitor(prompts(), answers=8, max_new_tokens=6)
    figures = monitor.measure(always(5, surely=0.0))
    assert figures.entropy == pytest.approx(math.log(14), rel=1e-4)
    assert figures.distinct > 0.9 and 1 < figures.length < 6


def test_one_that_only_ends_writes_one_token():
    scored = []
    monitor = WritingMonitor(
        prompts(), answers=2, score=lambda number, tokens: scored.append((number, tokens)) or 1.0
    )
    figures = monitor.measure(always(END))
    assert (figures.length, figures.ended, figures.score) == (1, 1, 1)
    assert scored == [(0, [END])] * 2 + [(1, [END])] * 2


def test_the_run_does_not_notice():
    student, teacher = llama(1, 1), freeze(llama(2, 2))
    method = methods.on_policy(max_new_tokens=3)
    runs = {}
    for watched in (False, True):
        learner = copy.deepcopy(student)
        monitor = WritingMonitor(prompts(), every=2, max_new_tokens=3)
        callbacks = [monitor] if watched else []
        options = {"epochs": 5, "batch_size": 2, "seed": 0, "callbacks": callbacks}
        distill(learner, prompts(), teacher=teacher, method=method, **options)
        runs[watched] = learner.state_dict()
    assert [figures.step for figures in monitor.figures] == [1, 2, 4, 5]
    assert all(torch.equal(runs[True][name], x) for name, x in runs[False].items())
    again = WritingMonitor(prompts(), max_new_tokens=3)
    assert again.measure(learner) == again.measure(learner)


def test_seconds_are_those_of_training_and_not_of_measuring(monkeypatch):
    now = [0.0]

    def slow(number, tokens):
        now[0] += 100.0
        return 1.0

    monkeypatch.setattr(writing_monitor, "time", SimpleNamespace(perf_counter=lambda: now[0]))
    monitor = WritingMonitor(prompts(), every=2, answers=1, max_new_tokens=2, score=slow)
    student = always(5)
    for step in range(1, 6):
        now[0] += 1.0
        monitor(TrainStep(step, 5, 0, 0.1, {}, {}, None, student))
    assert [each.step for each in monitor.figures] == [1, 2, 4, 5]
    assert monitor.seconds == [0.0, 1.0, 3.0, 4.0], "since the end of the first step"
    assert [monitor.at_seconds(s).step for s in (0.5, 3.0, 3.9, 60.0)] == [1, 4, 4, 5]
    with pytest.raises(ValueError, match="nothing was measured within -1 seconds"):
        monitor.at_seconds(-1)
