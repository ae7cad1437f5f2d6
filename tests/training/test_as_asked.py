"""Students as people have them: what they return is read, and they may have a type of their own."""

from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from torch import nn

from distill_lab import losses, methods
from distill_lab.models import MLP
from distill_lab.models.networks import logits_of
from distill_lab.seeds import distill_seeds
from distill_lab.teachers import freeze
from distill_lab.training import EarlyStopping, distill
from tests.training.two_processes import pictures

X, Y = pictures()
SETTINGS: dict[str, Any] = {"epochs": 2, "batch_size": 16, "progress": False, "shares_every": 3}


def flat(net: nn.Module) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in net.parameters()])


class Wrapped(nn.Module):
    """Gives its logits in another form."""

    def __init__(self, form: Any) -> None:
        super().__init__()
        self.net, self.form = MLP(6, 8, 2, dropout=0.2, seed=1), form

    def forward(self, x: torch.Tensor) -> Any:
        return self.form(self.net(x))


class Scores(NamedTuple):
    scores: torch.Tensor


FORMS = {
    "tuple": (lambda z: (z, None), lambda out: out[0]),
    "second": (lambda z: (0, z), lambda out: out[1]),
    "dict": (lambda z: {"out": z, "aux": z * 0}, lambda out: out["out"]),
    "named": (Scores, lambda out: out.scores),
    "logits in a dict": (lambda z: {"logits": z}, None),
    "a list of heads": (lambda z: [z, z + 1], lambda out: out[0]),
}


def bare() -> MLP:
    return MLP(6, 8, 2, dropout=0.2, seed=1)


TEACHER = freeze(MLP(6, 16, 2, seed=9))


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("compiled", [False, True])
def test_what_a_student_returns_is_read(name: str, compiled: bool, tmp_path: Path) -> None:
    form, read = FORMS[name]
    expected, net, again = bare(), Wrapped(form), Wrapped(form)
    distill(expected, (X, Y), teacher=TEACHER, **SETTINGS)
    if compiled:  # the form is no part of the graph; what is compiled is looked through
        net.net.compile(backend="eager")
    distill(net, (X, Y), teacher=TEACHER, read=read, **SETTINGS)
    assert torch.equal(flat(net), flat(expected))
    assert not net._forward_hooks and not isinstance(net(X), torch.Tensor)  # as it was
    path = tmp_path / "run"
    settings = SETTINGS | {"teacher": TEACHER, "read": read, "checkpoint": path}
    distill(Wrapped(form), (X, Y), **settings | {"epochs": 1})
    distill(again, (X, Y), **settings)
    assert torch.equal(flat(again), flat(expected))


def test_without_read_a_tuple_is_refused_naming_it() -> None:
    with pytest.raises(TypeError, match="read=lambda out"):
        distill(Wrapped(FORMS["tuple"][0]), (X, Y), **SETTINGS)


def test_another_reading_is_another_run(tmp_path: Path) -> None:
    heads = Wrapped(lambda z: (z, -z))
    path = tmp_path / "run"
    distill(heads, (X, Y), read=lambda out: out[0], checkpoint=path, **SETTINGS)
    with pytest.raises(ValueError, match="read: "):
        distill(heads, (X, Y), read=lambda out: out[1], checkpoint=path, **SETTINGS)


def test_early_stopping_measures_scores_and_the_features_are_the_networks_own() -> None:
    shapes: list[Any] = []

    def measure(student: Any) -> float:
        shape = getattr(student(X), "shape", None)
        shapes.append((shape, student.training, student.net.training))
        return 0.0

    method = methods.match_features(
        "maps",
        losses.hint_loss,
        [("net.hidden.0", "hidden.0")],
        weight=1.0,
        base_method=methods.kd(),
    )
    net = Wrapped(FORMS["dict"][0])
    history = distill(
        net,
        (X, Y),
        teacher=freeze(MLP(6, 8, 2, seed=9)),
        method=method,
        read=FORMS["dict"][1],
        early_stopping=EarlyStopping(measure),
        **SETTINGS,
    )
    assert shapes[0] == (torch.Size([70, 2]), False, False) and net.training and net.net.training
    assert set(history) == {"kd", "ce", "maps", "total"}


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64, torch.float16])
@pytest.mark.parametrize("method", [methods.kd(), methods.dkd(), methods.logit_matching()])
def test_a_student_of_another_type_learns_beside_a_float32_teacher(dtype: Any, method: Any) -> None:
    if dtype == torch.float16 and method.name.startswith("dkd"):
        pytest.skip("one half type is enough here")
    net, full = bare().to(dtype), bare()
    history = distill(net, (X, Y), teacher=TEACHER, method=method, **SETTINGS)
    before = distill(full, (X, Y), teacher=TEACHER, method=method, **SETTINGS)
    assert {p.dtype for p in net.parameters()} == {dtype}
    assert history["total"] == pytest.approx(before["total"], rel=0.05)


class Pixels(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.head = nn.Conv2d(1, 2, 3), nn.Linear(2, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.conv(x).mean((-2, -1)))  # type: ignore[no-any-return]


class OwnScale(Pixels):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x / 255)


IMAGES = torch.randint(0, 256, (8, 1, 6, 6), dtype=torch.uint8), torch.arange(8) % 3


def test_uint8_inputs_are_named_with_who_cannot_take_them() -> None:
    with pytest.raises(TypeError, match=r"the student Pixels holds torch.float32 weights and its "):
        distill(Pixels(), IMAGES, **SETTINGS)
    with pytest.raises(TypeError, match=r"the teacher Pixels holds .* inputs are torch.uint8"):
        distill(OwnScale(), IMAGES, teacher=freeze(Pixels()), **SETTINGS)
    distill(OwnScale(), IMAGES, teacher=freeze(OwnScale()), **SETTINGS)


def test_an_error_of_another_kind_stays_as_it_is() -> None:
    with pytest.raises(RuntimeError, match="mat1 and mat2 shapes"):
        distill(MLP(5, 2), (X, Y), **SETTINGS)


def on_meta() -> nn.Module:
    with torch.device("meta"):
        return bare()


def partly(dtype: torch.dtype | str) -> nn.Module:
    net = bare()
    net.head = (
        net.head.to(dtype) if isinstance(dtype, torch.dtype) else nn.Linear(8, 2, device=dtype)
    )
    return net


NO_VALUES = r"is on the meta device, which holds shapes and no values"


@pytest.mark.parametrize("make", [on_meta, lambda: partly("meta")])
def test_weights_without_values_are_refused_whose_ever_they_are(make: Any) -> None:
    with pytest.raises(ValueError, match=f"the student's .*{NO_VALUES}"):
        distill(make(), (X, Y), **SETTINGS)
    with pytest.raises(ValueError, match=f"the teacher's .*{NO_VALUES}"):
        freeze(make())
    with pytest.raises(ValueError, match=f"the student's .*{NO_VALUES}"):
        distill_seeds(lambda seed: make(), (X, Y), seeds=range(2), epochs=1, progress=False)


def test_a_lazy_teacher_is_refused_and_a_lazy_student_learns() -> None:
    with pytest.raises(ValueError, match=r"the teacher's 0.weight has no shape yet"):
        freeze(nn.Sequential(nn.LazyLinear(2)))
    assert distill(nn.Sequential(nn.LazyLinear(2)), (X, Y), **SETTINGS).steps == 10


@pytest.mark.parametrize("strict", [True, False])
def test_an_exported_program_is_no_student(strict: bool) -> None:
    program = torch.export.export(bare(), (X[:2],), strict=strict)
    with pytest.raises(ValueError, match=r"the student is a program of torch\.export.*export that"):
        distill(program.module(), (X, Y), **SETTINGS)


class Phases(nn.Module):
    """Complex weights, as of a spectral layer."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.weight = nn.Parameter(
            torch.randn(X.shape[1], 2, dtype=torch.complex64, generator=generator)
        )

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return (inputs.to(torch.complex64) @ self.weight).abs()


def test_complex_weights_learn_as_in_a_plain_loop(tmp_path: Path) -> None:
    ours, resumed, plain = Phases(), Phases(), Phases()
    run: dict[str, Any] = {"batch_size": len(X), "lr": 0.01, "progress": False}
    method = methods.supervised()
    distill(ours, (X, Y), method=method, epochs=3, **run)
    optimizer = torch.optim.AdamW(plain.parameters(), lr=0.01, weight_decay=0.0)
    for _ in range(3):
        optimizer.zero_grad()
        nn.functional.cross_entropy(plain(X), Y).backward()
        optimizer.step()
    torch.testing.assert_close(ours.weight, plain.weight)
    for epochs in (1, 3):
        distill(resumed, (X, Y), method=method, epochs=epochs, checkpoint=tmp_path / "run", **run)
    assert torch.equal(ours.weight, resumed.weight)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_weights_of_several_types_are_named_where_they_do_not_meet(dtype: Any) -> None:
    net = partly(dtype)
    before = flat(net)
    kinds = rf"torch.float32 \(hidden.0.0.weight\) and {dtype} \(head.weight\)"
    with pytest.raises(TypeError, match=f"the student MLP holds weights of several types, {kinds}"):
        distill(net, (X, Y), **SETTINGS)
    assert torch.equal(flat(net), before)
    with pytest.raises(TypeError, match="the teacher MLP holds weights of several types"):
        distill(bare(), (X, Y), teacher=freeze(partly(dtype)), **SETTINGS)
    with pytest.raises(TypeError, match="the student MLP holds weights of several types"):
        distill_seeds(lambda seed: partly(dtype), (X, Y), seeds=[0], epochs=1, progress=False)


@pytest.mark.parametrize("layer", [nn.Embedding, nn.EmbeddingBag])
def test_sparse_gradients_are_refused_before_the_first_step(layer: Any) -> None:
    class Reader(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = layer(20, 2, sparse=True)

        def forward(self, ids: torch.Tensor) -> torch.Tensor:
            return self.table(ids).reshape(len(ids), -1, 2).mean(1)  # type: ignore[no-any-return]

    data = (torch.zeros(8, 3, dtype=torch.long), Y[:8])
    with pytest.raises(ValueError, match=r"the student's table has sparse=True"):
        distill(Reader(), data, **SETTINGS)
    with pytest.raises(ValueError, match=r"SparseAdam takes sparse gradients alone"):
        distill(bare(), (X, Y), optimizer=torch.optim.SparseAdam, **SETTINGS)


class TwoInTraining(nn.Module):
    """A second head that is there in training alone, as Inception and distilled ViTs have it."""

    def __init__(self) -> None:
        super().__init__()
        self.net = bare()

    def forward(self, x: torch.Tensor) -> Any:
        scores = self.net(x)
        return (scores, scores + 1) if self.training else scores


def test_an_example_is_not_taken_for_a_head_that_is_there_in_training_alone() -> None:
    rule = EarlyStopping(lambda net: float((net(X).argmax(-1) == Y).float().mean()))
    expected, net = bare(), TwoInTraining()
    distill(expected, (X, Y), teacher=TEACHER, early_stopping=rule, **SETTINGS)
    settings = SETTINGS | {"teacher": TEACHER, "early_stopping": rule}
    with pytest.raises(ValueError, match=r"a tensor \(70, 2\), of which read= took one example"):
        distill(TwoInTraining(), (X, Y), read=lambda out: out[0], **settings)
    distill(net, (X, Y), read=lambda o: o[0] if isinstance(o, tuple) else o, **settings)
    assert torch.equal(flat(net), flat(expected))


@pytest.mark.parametrize("part", [lambda z: z[:, 0], lambda z: z.mean(1), lambda z: z[:, -1]])
def test_a_part_of_a_tensor_may_be_read(part: Any) -> None:
    """Also where it has the shape of one example: as many examples as positions."""
    batch = torch.randn(3, 3, 2)
    assert torch.equal(logits_of(lambda x: x, batch, part), part(batch))
    with pytest.raises(ValueError, match="took one example"):
        logits_of(lambda x: x, batch, lambda out: out[1])
