"""A live teacher is frozen, in eval mode, apart from the student, and asked without a graph."""

import pytest
import torch
from torch import nn

from distill_lab import losses, methods
from distill_lab.data.batches import Batch
from distill_lab.models import MLP
from distill_lab.models.projections import Regressor
from distill_lab.teachers import Live, as_teacher, freeze
from distill_lab.training import distill


def batch(inputs: torch.Tensor) -> Batch:
    return Batch(inputs, None, torch.arange(len(inputs)))


def test_a_teacher_in_training_mode_is_refused():
    net = MLP(4, 8, 3).requires_grad_(False)
    with pytest.raises(ValueError, match=r"training mode \(first: the model itself\)"):
        Live(net.train())
    net.eval()
    net.hidden[0].train()  # one layer is enough
    with pytest.raises(ValueError, match=r"training mode \(first: hidden\.0\)"):
        Live(net)


def test_a_teacher_that_would_learn_is_refused():
    net = MLP(4, 8, 3).eval().requires_grad_(False)
    net.head.bias.requires_grad_(True)
    with pytest.raises(ValueError, match=r"1 parameters that require gradients \(first: head"):
        Live(net)


def test_a_teacher_is_looked_at_again_when_a_run_begins():
    teacher = freeze(MLP(4, 8, 3))
    teacher.model.train()
    with pytest.raises(ValueError, match="training mode"):
        as_teacher(teacher, MLP(4, 3))


def test_no_gradient_runs_through_the_teacher():
    """Also where what it reads was made by the student, as generated or tapped inputs are."""
    inputs = torch.randn(5, 4, requires_grad=True)
    assert not freeze(MLP(4, 8, 3))(batch(inputs)).requires_grad


def test_a_teacher_made_of_the_students_own_layers_is_refused():
    student = MLP(4, 8, 3)
    teacher = nn.Sequential(*student.hidden, nn.Linear(8, 3)).eval().requires_grad_(False)
    with pytest.raises(ValueError, match=r"share parameters.*copy\.deepcopy"):
        as_teacher(teacher, student)
    with pytest.raises(ValueError, match="share parameters"):
        as_teacher(student.eval().requires_grad_(False), student)


def test_what_a_teacher_knows_is_not_changed_by_asking():
    net = nn.Sequential(nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Linear(4, 3))
    net(torch.randn(9, 4))
    before = {name: value.clone() for name, value in net.state_dict().items()}
    teacher, x = freeze(net), torch.randn(5, 4)
    assert torch.equal(teacher(batch(x)), teacher(batch(x)))
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())


def in_inference(network, kind):
    """A teacher that answers under inference_mode: a function, or a module."""

    class Decorated(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = network

        @torch.inference_mode()
        def forward(self, x):
            return self.body(x)

    if kind == "module":
        return freeze(Decorated())
    return torch.inference_mode()(lambda batch: network(batch.inputs))


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        *((kind, name) for kind in ("function", "module") for name in ("kd", "dist", "dkd")),
        ("function", "embeddings"),
        ("module", "embeddings"),
        ("module", "hint"),
    ],
)
def test_a_teacher_in_inference_mode_teaches_as_any_other(kind, name):
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3)).requires_grad_(False)
    method = {
        "kd": methods.kd(T=1.0, alpha=1.0),
        "dist": methods.dist(),
        "dkd": methods.dkd(),
        "embeddings": methods.embeddings("mse"),
        "hint": methods.match_features(
            "hint", losses.hint_loss, [("0", "body.0")], weight=1.0, regressors=[Regressor(5, 8)]
        ),
    }[name]
    data = torch.randn(12, 4), torch.arange(12) % 3
    student = nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 3))
    before = student[0].weight.detach().clone()
    settings = {"epochs": 1, "batch_size": 6, "progress": False}
    distill(student, data, teacher=in_inference(plain, kind), method=method, **settings)
    assert student[0].weight.isfinite().all() and not torch.equal(student[0].weight, before)
