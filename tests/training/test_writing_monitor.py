"""What a student writes in the course of a run, and that the run does not notice."""

import copy
import math

import pytest
import torch

pytest.importorskip("transformers", reason="the student has to write: a Hugging Face model")

from distill_lab import methods
from distill_lab.data.tokenized import Texts
from distill_lab.teachers import freeze
from distill_lab.training import WritingMonitor, distill
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
