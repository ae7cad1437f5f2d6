"""Who is in which mode while a student learns."""

import random

import numpy as np
import pytest
import torch
from torch import nn
from transformers import LevitConfig, LevitForImageClassification

from distill_lab import methods
from distill_lab.data.batches import Batch
from distill_lab.models import MLP
from distill_lab.models.networks import logits_of
from distill_lab.teachers import EMA, freeze
from distill_lab.training import EarlyStopping, distill
from tests.training.two_processes import pictures

SETTINGS = {"epochs": 3, "batch_size": 14, "progress": False}


class Noting(MLP):
    """A network that notes in which mode it was asked."""

    def __init__(self, *sizes: int, **settings) -> None:
        super().__init__(*sizes, **settings)
        self.modes: list[bool] = []

    def forward(self, inputs):
        self.modes.append(self.training)
        return super().forward(inputs)


@pytest.mark.parametrize("was_training", [True, False])
def test_the_student_learns_in_training_mode_also_after_a_measurement(was_training):
    """One published loop learns from its second epoch on in eval mode."""
    student = Noting(6, 8, 2, dropout=0.5, seed=1).train(was_training)
    rule = EarlyStopping(lambda net: float(net.training), patience=9)  # asked, it says its mode
    history = distill(student, pictures(), early_stopping=rule, **SETTINGS)
    assert history.steps == 15 and student.modes == [True] * 15
    assert [value for _, value in history.measured] == [0.0] * 3
    assert student.training == was_training


def test_the_teacher_answers_in_eval_mode_all_along():
    teacher = freeze(Noting(6, 16, 2, dropout=0.5, seed=9))
    distill(MLP(6, 8, 2, seed=1), pictures(), teacher=teacher, **SETTINGS)
    assert teacher.model.modes == [False] * 15
    assert all(p.grad is None for p in teacher.model.parameters())


def in_eval(step):
    step.student.eval()


def woken(step):
    step.student.eval()
    step.student.train()


def drawing(*_):
    torch.rand(5)
    np.random.rand()  # noqa: NPY002 - the generator that is shared
    random.random()
    return 0.0


def student_of_a_run():
    return Noting(6, 8, 2, dropout=0.5, seed=1)


@pytest.mark.parametrize("callback", [in_eval, woken, drawing, lambda step: None])
def test_a_callback_that_looks_on_changes_nothing(callback):
    """What it does with modes and random numbers is given back: the bits are those without it."""
    plain, watched = student_of_a_run(), student_of_a_run()
    plain.extra, watched.extra = (torch.nn.Dropout().eval() for _ in range(2))  # stays in eval
    distill(plain, pictures(), **SETTINGS)
    inner = []
    note = lambda step: inner.append(step.student.extra.training)  # noqa: E731
    distill(watched, pictures(), callbacks=[callback, note, callback], **SETTINGS)
    assert watched.modes == [True] * 15 and not watched.extra.training
    for one, other in zip(plain.parameters(), watched.parameters(), strict=True):
        assert torch.equal(one, other)


def test_a_measure_that_draws_changes_nothing():
    """Nor do two measurements differ by what they draw."""
    plain, measured = student_of_a_run(), student_of_a_run()
    distill(plain, pictures(), **SETTINGS)
    rule = EarlyStopping(
        lambda net: drawing() + torch.rand(()).item(), patience=None, restore_best=False
    )
    history = distill(measured, pictures(), early_stopping=rule, **SETTINGS)
    assert len({value for _, value in history.measured}) == 1 and len(history.measured) == 3
    for one, other in zip(plain.parameters(), measured.parameters(), strict=True):
        assert torch.equal(one, other)


def test_a_callback_draws_other_numbers_at_each_step():
    drawn = []
    distill(
        student_of_a_run(),
        pictures(),
        callbacks=[lambda step: drawn.append(torch.rand(()).item())],
        **SETTINGS,
    )
    assert len(set(drawn)) == 15


class Remembering(nn.Linear):
    """A layer that computes with its weights once in eval mode, until it is put into training."""

    doubled = None

    def train(self, mode=True):
        self.doubled = None if mode else self.doubled
        return super().train(mode)

    def forward(self, inputs):
        if self.training:
            return super().forward(inputs)
        self.doubled = 2 * self.weight if self.doubled is None else self.doubled
        return inputs @ self.doubled.T / 2 + self.bias


def levit():
    sizes = {"hidden_sizes": [8] * 3, "key_dim": [4] * 3, "num_attention_heads": [2] * 3}
    return LevitForImageClassification(LevitConfig(image_size=32, depths=[1] * 3, **sizes))


def as_if_loaded(make, network, inputs):
    """What a network with these weights answers that never had others."""
    again = make().eval()
    again.load_state_dict(network.state_dict())
    with torch.no_grad():
        return logits_of(again, inputs)


@pytest.mark.parametrize("make", [lambda: nn.Sequential(Remembering(6, 2)), levit])
@pytest.mark.parametrize("was_training", [True, False])
def test_what_a_network_computed_of_its_former_weights_is_forgotten(make, was_training):
    """LeViT keeps its attention's biases in eval mode: measured again, it had those of before."""
    torch.manual_seed(0)
    student = make().train(was_training)
    pixels = torch.randn(20, 3, 32, 32)
    inputs = {"pixel_values": pixels} if make is levit else pixels[:, 0, 0, :6]
    differ = []

    def measure(net):
        differ.append(not logits_of(net, inputs).equal(as_if_loaded(make, net, inputs)))
        return float(len(differ))

    teacher = EMA(student)
    distill(
        student,
        (inputs, torch.arange(20) % 2),
        teacher=teacher,
        method=methods.kd(),
        lr=0.1,
        early_stopping=EarlyStopping(measure, patience=None),
        **SETTINGS,
    )
    assert differ == [False] * 3 and student.training == was_training
    answer = teacher(Batch(inputs, None, torch.arange(20)))
    assert answer.equal(as_if_loaded(make, teacher.model, inputs))
