"""A live teacher is frozen, in eval mode, apart from the student, and asked without a graph."""

import numpy as np
import pytest
import torch
from torch import nn

from distill_lab import losses, methods
from distill_lab.data.batches import Batch
from distill_lab.models import MLP
from distill_lab.models.projections import Regressor
from distill_lab.seeds import distill_seeds
from distill_lab.signals import top_k
from distill_lab.teachers import Ensemble, Live, as_teacher, cache, freeze, record, route
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


class Estimator:
    """What has scikit-learn's methods."""

    def fit(self, x, y):
        return self

    def predict(self, x):
        return x


BECOMES = {  # what is given for a teacher: how it becomes one
    "an estimator": (Estimator(), r"teachers\.sklearn\(estimator, data"),
    "logits": (torch.zeros(9, 3), r"Recorded\(table\).*teachers\.probabilities\(table\)"),
    "an array": (np.full((9, 3), 1 / 3), r"teachers\.probabilities\(table\)"),
    "a name": ("org/model", "load the model first"),
    "several": ([freeze(MLP(4, 3)), freeze(MLP(4, 3))], r"Ensemble\(\[...\]\)"),
    "a class": (MLP, r"make one of it first, as MLP\(...\)"),
    "nothing of the kind": (7, r"freeze\(model\), or record"),
}
DATA = torch.randn(9, 4), torch.arange(9) % 3
TAKES = {
    "distill": lambda given, path: distill(MLP(4, 3), DATA, teacher=given, progress=False),
    "cache": lambda given, path: cache(given, DATA, path, teacher_name="a", progress=False),
    "record": lambda given, path: record(given, DATA),
    "ensemble": lambda given, path: Ensemble([freeze(MLP(4, 3)), given]),
    "route": lambda given, path: route({"a": freeze(MLP(4, 3)), "b": given}, by=["a"] * 9),
    "seeds": lambda given, path: distill_seeds(
        lambda seed: MLP(4, 3, seed=seed), DATA, teacher=given, seeds=[0, 1]
    ),
}


@pytest.mark.parametrize("takes", TAKES)
@pytest.mark.parametrize("name", BECOMES)
def test_what_is_no_teacher_is_answered_with_how_it_becomes_one(name, takes, tmp_path):
    given, words = BECOMES[name]
    if (name, takes) == ("logits", "seeds"):  # which takes logits (S, N, C)
        given, words = torch.zeros(3, 9, 3), r"spoke about \(3, 9\)"
    with pytest.raises((TypeError, ValueError), match=words):
        TAKES[takes](given, tmp_path / "cache")


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


@pytest.mark.parametrize("block", [torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize("many", [False, True])
def test_a_run_inside_a_block_without_gradients_is_refused(block, many):
    data = torch.randn(12, 4), torch.arange(12) % 3
    with block(), pytest.raises(ValueError, match=r"inside torch\.no_grad\(\) or torch\.inference"):
        if many:
            distill_seeds(lambda seed: MLP(4, 3, seed=seed), data, seeds=[0, 1])
        else:
            distill(MLP(4, 3), data)


def of_inference(make):
    with torch.inference_mode():
        return make()


def test_weights_of_inference_mode_are_named_before_the_first_step():
    data = torch.randn(12, 4), torch.arange(12) % 3
    with pytest.raises(ValueError, match=r"the student's head\.weight was made inside torch\.inf"):
        distill(of_inference(lambda: MLP(4, 3)), data)
    mixed = nn.Sequential(of_inference(lambda: nn.BatchNorm1d(4, affine=False)), nn.Linear(4, 3))
    with pytest.raises(ValueError, match=r"the student's 0\.running_mean was made inside"):
        distill(mixed, data)
    regressors = [of_inference(lambda: Regressor(3, 3))]
    method = methods.match_features(
        "hint", losses.hint_loss, [("", "")], weight=1.0, regressors=regressors
    )
    with pytest.raises(ValueError, match=r"the projections's .* was made inside"):
        distill(nn.Linear(4, 3), data, teacher=freeze(nn.Linear(4, 3)), method=method)
    teacher = of_inference(lambda: freeze(nn.Linear(4, 3)))  # who does not learn may be
    inputs = of_inference(lambda: data[0] * 1)
    run = {"teacher": teacher, "epochs": 1, "progress": False}
    assert distill(MLP(4, 3), (inputs, data[1]), **run).steps == 1


class Trunk(nn.Module):
    """A student whose frozen part runs in inference mode."""

    def __init__(self):
        super().__init__()
        self.body = nn.Linear(4, 5).requires_grad_(False)
        self.head = nn.Linear(5, 3)

    def forward(self, x):
        with torch.inference_mode():
            features = self.body(x)
        return self.head(features)


@pytest.mark.parametrize("whose", ["signal", "student"])
def test_a_tensor_of_inference_mode_that_is_learned_from_is_named(whose):
    plain = freeze(nn.Linear(4, 3))
    of_two = torch.inference_mode()(lambda batch: top_k(plain(batch), 2))
    teacher, student = (of_two, MLP(4, 3)) if whose == "signal" else (plain, Trunk())
    method = methods.kd(T=1.0, alpha=1.0)
    with pytest.raises(RuntimeError, match=r"part of what the student learns from.*no_grad\(\)"):
        distill(student, (torch.randn(12, 4), None), teacher=teacher, method=method)


@pytest.mark.filterwarnings("ignore:`torch.jit")
def test_a_scripted_network_teaches_and_is_not_looked_into():
    data, plain = (torch.randn(12, 4), torch.arange(12) % 3), MLP(4, 8, 3)
    hint = methods.match_features("hint", losses.hint_loss, [("head", "head")], weight=1.0)
    for made in (torch.jit.script(nn.Sequential(plain.head)), torch.jit.trace(plain, data[0])):
        inputs = torch.randn(12, 8) if len(list(made.children())) == 1 else data[0]
        students = nn.Linear(inputs.shape[1], 3), nn.Linear(inputs.shape[1], 3)
        students[1].load_state_dict(students[0].state_dict())
        own = plain.head if inputs.shape[1] == 8 else plain
        for student, teacher in zip(students, (freeze(made), freeze(own)), strict=True):
            distill(student, (inputs, data[1]), teacher=teacher, epochs=1, progress=False)
        assert torch.equal(students[0].weight, students[1].weight)
    with pytest.raises(TypeError, match="traced or scripted, and torch runs no hooks in it"):
        distill(MLP(4, 8, 3), data, teacher=freeze(made), method=hint)


class Program(nn.Module):
    """Refuses as the module of an exported program does."""

    def eval(self):
        raise NotImplementedError("Calling eval() is not supported yet.")


def test_what_cannot_stand_still_is_named():
    with pytest.raises(ValueError, match="has no shape yet"):
        freeze(nn.LazyLinear(3))
    with pytest.raises(ValueError, match=r"export it in eval mode, and give a function"):
        freeze(Program())
