"""On a GPU the host runs ahead: torch itself says where it would wait."""

import pytest
import torch

from distill_lab import methods
from distill_lab.data.batches import TensorSource
from distill_lab.models import MLP
from distill_lab.teachers import freeze
from distill_lab.training import distill
from tests.training.two_processes import pictures

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")


class Strict(TensorSource):
    """Data that forbid every synchronisation from the third batch on, until the last."""

    asked = 0

    def batch(self, index):
        self.asked += 1
        torch.cuda.set_sync_debug_mode("error" if 3 <= self.asked < 20 else "default")
        return super().batch(index)


@pytest.mark.parametrize("clip", [None, 1.0])
@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_a_silent_step_does_not_wait_for_the_gpu(optimizer, clip):
    student, teacher = MLP(6, 8, 2, seed=1).cuda(), freeze(MLP(6, 16, 2, seed=9).cuda())
    try:
        history = distill(
            student,
            Strict(*pictures()),
            teacher=teacher,
            method=methods.kd(),
            epochs=4,
            batch_size=14,
            optimizer=optimizer,
            clip=clip,
            progress=False,
            shares_every=0,
        )
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert len(history["kd"]) == 20 and history["kd"][-1] < history["kd"][0]


def test_a_step_along_nan_is_not_taken_there_either():
    inputs, labels = pictures()
    inputs[40:] = float("nan")
    student = MLP(6, 8, 2, seed=1).cuda()
    with pytest.raises(FloatingPointError, match=r"the term .ce. became nan at step [1-5];"):
        distill(student, (inputs, labels), epochs=3, batch_size=14, progress=False)
    assert all(parameter.isfinite().all() for parameter in student.parameters())
