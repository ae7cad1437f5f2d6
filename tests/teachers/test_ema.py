"""A teacher that follows the student: the average by hand, buffers, checkpoints."""

import copy

import torch
from torch import nn

from distill_lab import methods
from distill_lab.data.batches import Batch
from distill_lab.models import MLP
from distill_lab.teachers import EMA
from distill_lab.training import distill
from tests.training.two_processes import pictures


def test_the_average_is_the_one_written_by_hand():
    student = MLP(6, 4, 2, seed=1)
    teacher = EMA(student, decay=0.8)
    by_hand = {k: v.clone() for k, v in student.state_dict().items()}
    for n in range(1, 9):
        with torch.no_grad():
            for parameter in student.parameters():
                parameter.add_(n)
        teacher.follow(student)
        d = min(0.8, 1 - 1 / (n + 1))
        by_hand = {k: d * by_hand[k] + (1 - d) * v for k, v in student.state_dict().items()}
    for name, value in teacher.model.state_dict().items():
        torch.testing.assert_close(value, by_hand[name])


def test_running_statistics_follow_and_counters_are_copied():
    student = nn.Sequential(nn.BatchNorm1d(3)).train()
    teacher = EMA(student, decay=0.5)
    student(torch.randn(8, 3) + 4)
    teacher.follow(student)
    expected = student[0].running_mean / 2
    torch.testing.assert_close(teacher.model[0].running_mean, expected)
    assert teacher.model[0].num_batches_tracked == 1 and not teacher.model.training


def test_the_student_is_never_its_own_teachers_gradient():
    student = MLP(6, 4, 2, seed=1)
    teacher = EMA(student)
    logits = teacher(Batch(torch.randn(5, 6), None, torch.arange(5)))
    assert not logits.requires_grad
    before = copy.deepcopy(teacher.model.state_dict())
    student(torch.randn(5, 6)).sum().backward()
    assert all(torch.equal(before[k], v) for k, v in teacher.model.state_dict().items())


def test_a_run_with_it_resumes_bit_for_bit(tmp_path):
    path, settings = (
        tmp_path / "run.safetensors",
        {"epochs": 6, "batch_size": 14, "progress": False},
    )

    def run(stop=None, **more):
        student = MLP(6, 8, 2, dropout=0.2, seed=1)
        teacher = EMA(student, decay=0.9)
        ends = [lambda step: step.step == stop]
        method = methods.kd(T=1.0, alpha=0.5)
        distill(
            student, pictures(), teacher=teacher, method=method, callbacks=ends, **more, **settings
        )
        return torch.cat([p.flatten() for m in (student, teacher.model) for p in m.parameters()])

    straight = run()
    run(stop=11, checkpoint=path)
    assert torch.equal(run(checkpoint=path), straight)
