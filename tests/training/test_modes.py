"""Who is in which mode while a student learns."""

import pytest

from distill_lab.models import MLP
from distill_lab.teachers import freeze
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
