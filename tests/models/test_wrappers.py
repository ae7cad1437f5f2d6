"""A wrapped network is the network: taps, checkpoints, fingerprints, EMA and copied layers."""

import copy
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from distill_lab import methods
from distill_lab._util.wrappers import load_state, modules_of, state_of, unwrapped
from distill_lab.data.fingerprints import of_model
from distill_lab.evaluation.cost import size_on_disk
from distill_lab.losses import hint_loss
from distill_lab.models import MLP, from_teacher
from distill_lab.models.hooks import Tap
from distill_lab.teachers import EMA, freeze
from distill_lab.training import EarlyStopping, distill

X = torch.randn(20, 6, generator=torch.Generator().manual_seed(0))
Y = torch.arange(20) % 3


def compiled(model: nn.Module) -> nn.Module:
    return torch.compile(model, backend="eager")  # type: ignore[return-value]


def part_compiled(model: nn.Module) -> nn.Module:
    model.hidden = compiled(model.hidden)  # type: ignore[arg-type]
    return model


def compiled_in_place(model: nn.Module) -> nn.Module:
    model.compile(backend="eager")
    return model


def forward_compiled(model: nn.Module) -> nn.Module:
    model.forward = torch.compile(model.forward, backend="eager")  # type: ignore[method-assign]
    return model


WRAPPERS = [nn.DataParallel, compiled, part_compiled, compiled_in_place, forward_compiled]
WRAPPERS += [AveragedModel, lambda model: nn.DataParallel(compiled(model))]


def net(seed: int = 0) -> MLP:
    return MLP(6, 5, 4, 3, seed=seed)


def train(student: nn.Module, path: Path | None, epochs: int, **more: object) -> None:
    method = more.pop("method", methods.kd())
    settings = {"batch_size": 8, "lr": 1e-2, "progress": False, "checkpoint": path} | more
    teacher = freeze(MLP(6, 8, 8, 3, seed=9))
    distill(student, (X, Y), teacher=teacher, method=method, epochs=epochs, **settings)  # type: ignore[arg-type]


@pytest.mark.parametrize("wrap", WRAPPERS)
def test_layers_go_by_their_own_names_and_hold_what_they_return(wrap):
    plain, model = net(), wrap(net())
    model(X)  # a compiled graph is there before the hooks are
    with Tap(plain, ["hidden.0"]) as expected, Tap(model, ["hidden.0"]) as tap:
        plain(X), model(X)
    assert torch.equal(tap["hidden.0"], expected["hidden.0"])
    assert [*modules_of(model)] == [path for path, _ in plain.named_modules()]
    assert type(unwrapped(model)) is MLP


@pytest.mark.parametrize("wrap", WRAPPERS)
def test_a_checkpoint_of_the_wrapped_student_goes_on_without_the_wrapper(wrap, tmp_path):
    straight = net()
    train(straight, None, 2)
    student = net()
    train(wrap(student), tmp_path / "run", 1)
    resumed = net(seed=1)
    train(resumed, tmp_path / "run", 2)
    for name, value in straight.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name


@pytest.mark.parametrize("wrap", WRAPPERS)
def test_a_wrapped_teacher_is_the_same_teacher(wrap):
    assert of_model(wrap(net())) == of_model(net()) != of_model(net(seed=1))
    assert freeze(wrap(net())).identity == freeze(net()).identity


@pytest.mark.parametrize("wrap", WRAPPERS)
def test_features_and_a_moving_average_of_a_wrapped_student(wrap):
    method = methods.match_features("hint", hint_loss, [("hidden.0", "hidden.0")], weight=1.0)
    plain, student = MLP(6, 8, 8, 3, seed=3), wrap(MLP(6, 8, 8, 3, seed=3))
    for model in (plain, student):
        train(model, None, 2, method=method)
        average = EMA(model, 0.5)
        average.follow(model)
    for name, value in state_of(plain).items():
        assert torch.equal(value, state_of(student)[name]), name


def test_layers_are_copied_between_wrapped_networks():
    teacher, student = nn.DataParallel(MLP(6, 5, 5, 5, 3)), compiled(MLP(6, 5, 5, 3, seed=1))
    assert from_teacher(student, teacher, layers=(0, 2)) is student
    copied = unwrapped(student).hidden[1][0].weight
    assert torch.equal(copied, unwrapped(teacher).hidden[2][0].weight)


@pytest.mark.slow
def test_a_compiled_student_is_measured_where_its_last_batch_is_smaller():
    x, y = torch.randn(260, 6), torch.randint(0, 3, (260,))
    student = torch.compile(net(), backend="aot_eager")
    teacher = freeze(MLP(6, 8, 3, seed=9))
    history = distill(
        student, (x, y), teacher=teacher, batch_size=64, epochs=22, progress=False
    )  # shares are measured at step 100, after graphs of two sizes
    assert len(history.shares) > 1


class InPlace(nn.Module):
    def __init__(self, *, module: bool) -> None:
        super().__init__()
        self.first, self.head = nn.Linear(6, 5), nn.Linear(5, 3)
        self.relu = nn.ReLU(inplace=module)
        self.module = module

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        return self.head(self.relu(x) if self.module else x.relu_())  # type: ignore[no-any-return]


def test_a_tap_holds_what_its_layer_returned_before_a_module_changed_it_in_place():
    model = InPlace(module=True)
    with Tap(model, ["first", "relu"]) as tap:
        out = model(X)
    assert torch.equal(tap["first"], model.first(X)) and (tap["first"] < 0).any()
    assert torch.equal(tap["relu"], model.first(X).relu())
    assert torch.equal(out, model(X))


def test_an_output_changed_by_a_function_in_place_is_named():
    model = InPlace(module=False)
    with Tap(model, ["first"]) as tap:
        model(X)
    with pytest.raises(RuntimeError, match="'first' was changed in place"):
        _ = tap["first"]


@pytest.mark.parametrize("mask", [None, torch.tensor([[False] * 4 + [True] * 2] * 3)])
def test_the_fused_path_of_an_encoder_in_eval_mode_is_tapped(mask):
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    model = nn.TransformerEncoder(layer, 2).eval()
    x = torch.randn(3, 6, 8)
    with torch.no_grad(), Tap(model, ["layers.0", "layers.1.linear1"]) as tap:
        model(x, src_key_padding_mask=mask)
    assert tap["layers.0"].shape == (3, 6, 8) and tap["layers.1.linear1"].shape == (3, 6, 16)


class Read(nn.Module):
    """A classifier of sequences on torch's own encoder."""

    def __init__(self, seed: int, **more: object) -> None:
        super().__init__()
        torch.manual_seed(seed)
        layer = nn.TransformerEncoderLayer(8, 2, 16, 0.0, batch_first=True, **more)  # type: ignore[arg-type]
        self.body = nn.TransformerEncoder(layer, 2, enable_nested_tensor=not more)
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor, padding: Tensor) -> Tensor:
        return self.head(self.body(x, src_key_padding_mask=padding).mean(1))  # type: ignore[no-any-return]


@pytest.mark.parametrize("path", ["body.layers.0", "body.layers.1.linear1", "body"])
@pytest.mark.parametrize("more", [{}, {"norm_first": True, "activation": "gelu"}], ids=str)
def test_hints_are_learned_from_an_encoder_that_would_run_fused(path, more):
    padding = torch.tensor([[False] * 4 + [True] * 2] * 11 + [[False] * 6])
    data = {"x": torch.randn(12, 6, 8), "padding": padding}, torch.arange(12) % 3
    method = methods.match_features("hint", hint_loss, [(path, path)], weight=1.0, mask=None)
    student, teacher = Read(0, **more), Read(1, **more)
    settings = {"batch_size": 6, "epochs": 1, "progress": False}
    history = distill(student, data, teacher=freeze(teacher), method=method, **settings)
    assert history["hint"][0] > 0
    with Tap(teacher, [path]) as tap, torch.no_grad():
        teacher(**data[0])
    with Tap(teacher.train(), [path]) as expected:  # with no dropout, and never fused
        teacher(**data[0])
    torch.testing.assert_close(tap[path], expected[path].detach())


class Growing(nn.Module):
    """A buffer that gets its size from the first batch, one that is not saved, and tied weights."""

    def __init__(self, extra: object = None) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(6, 6), nn.Linear(6, 6)
        self.second.weight = self.first.weight
        self.head = nn.Linear(6, 3)
        self.register_buffer("scale", None)
        self.register_buffer("calls", torch.zeros(1), persistent=False)
        self.extra = extra

    def forward(self, x: Tensor) -> Tensor:
        if self.scale is None:
            self.scale = x.detach().std(0)
        self.calls += 1
        shift = (self.calls / 100).detach()
        return self.head(self.second(self.first(x / self.scale).relu()) + shift)  # type: ignore[no-any-return]

    def get_extra_state(self) -> object:
        return torch.zeros(0) if self.extra is None else self.extra

    def set_extra_state(self, state: object) -> None:
        assert isinstance(state, Tensor)


def test_buffers_of_no_size_yet_unsaved_ones_and_tied_weights_are_resumed_bit_for_bit(tmp_path):
    torch.manual_seed(0)
    straight = Growing()
    first, again = copy.deepcopy(straight), copy.deepcopy(straight)
    train(straight, None, 2)
    train(first, tmp_path / "run", 1)
    train(again, tmp_path / "run", 2)
    for name, value in state_of(straight).items():
        assert torch.equal(value, state_of(again)[name]), name
    assert again.first.weight is again.second.weight and again.calls.item() == 6


class Kept(nn.Module):
    """A network with one more tensor of its own: a buffer, or what it calls its extra state."""

    def __init__(self, buffer: Tensor, extra: bool = False) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.head, self.calls, self.extra = nn.Linear(6, 3), 0, extra
        self.register_buffer("kept", buffer)

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        if self.kept.layout != torch.strided:  # a graph, which stands still
            return self.head(x) @ self.kept.to_dense()  # type: ignore[no-any-return]
        self.kept = self.kept + 1 if self.kept.numel() else x.detach().amax(0)
        return self.head(x)  # type: ignore[no-any-return]

    def get_extra_state(self) -> Tensor:  # of another size after each call, as bytes are
        return torch.full((self.calls * self.extra,), self.calls)

    def set_extra_state(self, state: Tensor) -> None:
        self.calls = len(state)


STATES = {
    "expanded": (lambda: torch.zeros(1).expand(4), False),
    "transposed": (lambda: torch.arange(6.0).view(2, 3).t(), False),
    "no size yet": (lambda: torch.zeros(0), False),
    "coordinates": (lambda: torch.eye(3).to_sparse(), False),
    "compressed rows": (lambda: torch.eye(3).to_sparse_csr(), False),
    "extra state of another size": (lambda: torch.zeros(2), True),
}


@pytest.mark.filterwarnings("ignore:Sparse")
@pytest.mark.parametrize("name", STATES)
def test_whatever_form_a_state_has_it_is_resumed_bit_for_bit(name, tmp_path):
    buffer, extra = STATES[name]
    straight, first, again = (Kept(buffer(), extra) for _ in range(3))
    rule = EarlyStopping(measure=lambda s: 0.0, better="lower", patience=5)
    train(straight, None, 2, early_stopping=rule)
    train(first, tmp_path / "run", 1, early_stopping=rule)
    train(again, tmp_path / "run", 2, early_stopping=rule)
    for part, value in state_of(straight).items():
        assert torch.equal(value.to_dense(), state_of(again)[part].to_dense()), part
    assert size_on_disk(again) > 0 and of_model(straight) == of_model(again)


def test_a_file_of_the_best_weights_takes_what_is_dense_alone(tmp_path):
    rule = EarlyStopping(measure=lambda s: 0.0, better="lower", patience=2, restore_best=False)
    for student, word in ((Kept(torch.eye(3).to_sparse()), "sparse"), (Growing({}), "a dict")):
        before = copy.deepcopy(student.head.weight)
        with pytest.raises(ValueError, match=f"is {word}.* leave out checkpoint=, best="):
            train(student, None, 1, early_stopping=rule, best=tmp_path / "best")
        assert torch.equal(before, student.head.weight)
        train(student, None, 1, early_stopping=rule)


def test_a_weight_that_is_a_part_of_another_is_written_and_measured(tmp_path):
    student = nn.Sequential(nn.Linear(6, 6), nn.Linear(6, 3))
    student[1].weight = nn.Parameter(student[0].weight.data[:3])
    train(student, tmp_path / "run", 1)
    assert size_on_disk(student) > 4 * (36 + 18)


def test_a_student_with_other_parameters_is_still_refused(tmp_path):
    train(net(), tmp_path / "run", 1)
    with pytest.raises(ValueError, match=r"other parameters \(first: hidden\.0\.0"):
        train(MLP(6, 7, 4, 3), tmp_path / "run", 2)


@pytest.mark.parametrize("extra", [{"calls": 3}, 7, "text"])
def test_extra_state_that_is_no_tensor_is_refused_before_the_first_step(tmp_path, extra):
    student = Growing(extra)
    before = copy.deepcopy(student)
    with pytest.raises(ValueError, match=r"_extra_state of Growing is a .* and no tensor"):
        train(student, tmp_path / "run", 1)
    assert torch.equal(before.first.weight, student.first.weight)
    train(student, None, 1)  # without a checkpoint it learns
    assert size_on_disk(student) > 0


def test_the_best_weights_come_back_into_a_student_whose_buffer_grew():
    student = Growing()
    rule = EarlyStopping(measure=lambda s: 0.0, better="lower", patience=2)
    train(student, None, 3, early_stopping=rule)
    assert student.calls.item() > 0
    load_state(student, state_of(student))
