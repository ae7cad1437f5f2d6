"""A run is gone on with, and a cache opened, by the teacher, student and method that began it."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn
from torch.nn import functional

from distill_lab import methods
from distill_lab.methods import Method
from distill_lab.models import MLP
from distill_lab.teachers import Ensemble, cache, freeze, function
from distill_lab.training import distill
from distill_lab.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint

X = torch.randn(24, 4, generator=torch.Generator().manual_seed(0))
Y = torch.arange(24) % 3
SETTINGS: dict[str, Any] = {"batch_size": 8, "progress": False}


def layers(*between: nn.Module, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(4, 4), *between, nn.Linear(4, 3))


class Scaled(nn.Module):
    """A teacher of one's own, with a setting and a buffer that no state dict has."""

    def __init__(self, scale: float = 1.0, shift: float = 0.0, pool: str = "mean") -> None:
        super().__init__()
        self.net, self.scale, self.pool = layers(nn.ReLU()), scale, pool
        self.register_buffer("shift", torch.tensor(shift), persistent=False)

    def forward(self, inputs: Tensor) -> Tensor:
        logits: Tensor = self.scale * self.net(inputs) + self.shift
        return logits if self.pool == "mean" else logits.sort(-1).values


class Attending(nn.Module):
    def __init__(self, heads: int, act: Callable[[Tensor], Tensor] = torch.tanh) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.attention, self.act = nn.MultiheadAttention(4, heads, batch_first=True), act
        self.head = nn.Linear(4, 3)

    def forward(self, inputs: Tensor) -> Tensor:
        tokens = self.act(inputs)[:, None].expand(-1, 2, -1)
        logits: Tensor = self.head(self.attention(tokens, tokens, tokens)[0][:, 0])
        return logits


def quantised(seed: int) -> nn.Module:
    network: nn.Module = torch.ao.quantization.quantize_dynamic(layers(seed=seed), {nn.Linear})
    return network


NETWORKS: dict[str, tuple[Callable[[], nn.Module], Callable[[], nn.Module]]] = {
    "activation": (lambda: layers(nn.ReLU()), lambda: layers(nn.Tanh())),
    "epsilon": (lambda: layers(nn.LayerNorm(4)), lambda: layers(nn.LayerNorm(4, eps=0.1))),
    "own number": (Scaled, lambda: Scaled(2.0)),
    "own word": (Scaled, lambda: Scaled(pool="sorted")),
    "unsaved buffer": (Scaled, lambda: Scaled(shift=1.0)),
    "heads": (lambda: Attending(1), lambda: Attending(2)),
    "function": (lambda: Attending(1), lambda: Attending(1, functional.relu)),
    "quantised": (lambda: quantised(0), lambda: quantised(1)),
}


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
@pytest.mark.parametrize("kind", NETWORKS)
def test_the_same_weights_in_other_layers_are_another_teacher(kind: str, tmp_path: Path) -> None:
    first, other = NETWORKS[kind]
    run: dict[str, Any] = {"checkpoint": tmp_path / "run", **SETTINGS}
    soft = {"method": methods.kd(T=1.0)}
    distill(MLP(4, 3), (X, Y), teacher=freeze(first()), epochs=1, **run, **soft)
    distill(MLP(4, 3), (X, Y), teacher=freeze(first()), epochs=2, **run, **soft)
    with pytest.raises(ValueError, match="belongs to another run"):
        distill(MLP(4, 3), (X, Y), teacher=freeze(other()), epochs=3, **run, **soft)

    asked = cache(freeze(first()), (X, Y), tmp_path / "kept", progress=False)
    again = cache(freeze(first()), (X, Y), tmp_path / "kept", progress=False)
    assert asked.identity == again.identity
    with pytest.raises(ValueError, match="the cache of something else"):
        cache(freeze(other()), (X, Y), tmp_path / "kept", progress=False)
    with pytest.raises(ValueError, match="belongs to another run"):
        both = Ensemble([freeze(other()), freeze(layers(seed=5))])
        distill(MLP(4, 3), (X, Y), teacher=both, epochs=3, **run, **soft)


class Judge:
    """A teacher that is an object of one's own."""

    def __init__(self, network: nn.Module) -> None:
        self.network = network

    def __call__(self, batch: Any) -> Tensor:
        return self.network(batch.inputs).detach()  # type: ignore[no-any-return]


def classifier(shift: int) -> LogisticRegression:
    return LogisticRegression().fit(X.numpy(), ((Y + shift) % 3).numpy())


NETWORK = layers()
FACTOR = 2.0


def by_module(batch: Any) -> Tensor:
    return NETWORK(batch.inputs).detach()  # type: ignore[no-any-return]


def by_helper(batch: Any) -> Tensor:
    return by_module(batch)


def in_closure(seed: int) -> Any:
    network = layers(seed=seed)
    return lambda batch: network(batch.inputs).detach()


def asked_with(network: nn.Module, batch: Any) -> Tensor:
    return network(batch.inputs).detach()  # type: ignore[no-any-return]


def of_estimator(seed: int) -> Any:
    forest = classifier(seed)
    return function(lambda batch: forest.predict_proba(batch.inputs.numpy()), says="probabilities")


FUNCTIONS: dict[str, Callable[[int], Any]] = {
    "closure": in_closure,
    "partial": lambda seed: partial(asked_with, layers(seed=seed)),
    "object": lambda seed: Judge(layers(seed=seed)),
    "method": lambda seed: Judge(layers(seed=seed)).__call__,
    "estimator": of_estimator,
    "wrapped": lambda seed: function(in_closure(seed)),
    "several": lambda seed: Ensemble([in_closure(seed), freeze(layers(seed=7))]),
}


@pytest.mark.parametrize("kind", FUNCTIONS)
def test_a_function_is_known_by_the_weights_it_holds(kind: str, tmp_path: Path) -> None:
    make, run = FUNCTIONS[kind], {"checkpoint": tmp_path / "run", **SETTINGS}
    soft = {"method": methods.kd(T=1.0)}
    distill(MLP(4, 3), (X, Y), teacher=make(0), epochs=1, **run, **soft)
    distill(MLP(4, 3), (X, Y), teacher=make(0), epochs=2, **run, **soft)
    with pytest.raises(ValueError, match="belongs to another run"):
        distill(MLP(4, 3), (X, Y), teacher=make(1), epochs=3, **run, **soft)


@pytest.mark.parametrize("teacher", [by_module, by_helper])
def test_and_by_those_it_finds_in_its_module(
    teacher: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run: dict[str, Any] = {"checkpoint": tmp_path / "run", **SETTINGS}
    distill(MLP(4, 3), (X, Y), teacher=teacher, epochs=1, **run)
    distill(MLP(4, 3), (X, Y), teacher=teacher, epochs=2, **run)
    monkeypatch.setitem(globals(), "NETWORK", layers(seed=1))
    with pytest.raises(ValueError, match="belongs to another run"):
        distill(MLP(4, 3), (X, Y), teacher=teacher, epochs=3, **run)


@pytest.mark.parametrize("setting", ["schedule", "read", "terms"])
def test_a_number_that_stands_outside_a_function_is_noticed(
    setting: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own: dict[str, Any] = {
        "schedule": {"schedule": lambda step: 1 / FACTOR**step},
        "read": {"read": lambda out: out * FACTOR},
        "terms": {"method": Method("own", terms_with_factor, {"match": 1.0})},
    }[setting]
    run: dict[str, Any] = {"checkpoint": tmp_path / "run", "teacher": freeze(layers()), **SETTINGS}
    distill(MLP(4, 3), (X, Y), epochs=1, **run, **own)
    distill(MLP(4, 3), (X, Y), epochs=2, **run, **own)
    monkeypatch.setitem(globals(), "FACTOR", 3.0)
    with pytest.raises(ValueError, match=r"another run.*FACTOR=2.0.*FACTOR=3.0"):
        distill(MLP(4, 3), (X, Y), epochs=3, **run, **own)


def terms_with_factor(batch: Any, student: Any, teacher: Any) -> dict[str, Tensor]:
    return {"match": FACTOR * (student(batch.inputs) - teacher(batch)).square().mean()}


def test_a_cache_notices_it_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def asked() -> Any:
        teacher = freeze(layers(), read=lambda out: out * FACTOR)
        return cache(teacher, (X, Y), tmp_path / "kept", progress=False)

    assert asked().identity == asked().identity
    monkeypatch.setitem(globals(), "FACTOR", 3.0)
    with pytest.raises(ValueError, match="something else"):
        asked()


STUDENTS: dict[str, tuple[Callable[[], nn.Module], Callable[[], nn.Module]]] = {
    "activation": (lambda: layers(nn.ReLU()), lambda: layers(nn.GELU())),
    "dropout": (lambda: layers(nn.Dropout(0.1)), lambda: layers(nn.Dropout(0.5))),
    "heads": (lambda: Attending(1), lambda: Attending(2)),
}


@pytest.mark.parametrize("kind", STUDENTS)
def test_a_student_with_other_layers_begins_anew(kind: str, tmp_path: Path) -> None:
    first, other = STUDENTS[kind]
    run: dict[str, Any] = {"checkpoint": tmp_path / "run", **SETTINGS}
    distill(first(), (X, Y), epochs=1, **run)
    distill(nn.DataParallel(first()), (X, Y), epochs=2, **run)  # what stands around it may change
    with pytest.raises(ValueError, match=r"another run.*student's layers"):
        distill(other(), (X, Y), epochs=3, **run)


def test_own_terms_are_known_by_what_they_do(tmp_path: Path) -> None:
    def squared(batch: Any, student: Any, teacher: Any) -> dict[str, Tensor]:
        return {"match": (student(batch.inputs) - teacher(batch)).square().mean()}

    def absolute(batch: Any, student: Any, teacher: Any) -> dict[str, Tensor]:
        return {"match": (student(batch.inputs) - teacher(batch)).abs().mean()}

    run: dict[str, Any] = {"checkpoint": tmp_path / "run", "teacher": freeze(layers()), **SETTINGS}
    distill(MLP(4, 3), (X, Y), method=Method("own", squared, {"match": 1.0}), epochs=1, **run)
    distill(MLP(4, 3), (X, Y), method=Method("own", squared, {"match": 1.0}), epochs=2, **run)
    with pytest.raises(ValueError, match=r"another run.*code: "):
        distill(MLP(4, 3), (X, Y), method=Method("own", absolute, {"match": 1.0}), epochs=3, **run)


class Restless(nn.Module):
    """A student that shows what it has learned, and remembers what it has seen."""

    def __init__(self) -> None:
        super().__init__()
        self.net, self.steps, self.kept = layers(seed=3), 0, {}

    def forward(self, inputs: Tensor) -> Tensor:
        self.steps += 1
        self.kept[self.steps] = inputs
        return self.net(inputs)  # type: ignore[no-any-return]

    def extra_repr(self) -> str:
        return f"steps={self.steps}"


def test_what_changes_as_it_is_used_is_no_other_run(tmp_path: Path) -> None:
    seen: list[int] = []

    def terms(batch: Any, student: Any, teacher: Any) -> dict[str, Tensor]:
        seen.append(len(batch.ids))
        return {"match": (student(batch.inputs) - teacher(batch)).square().mean()}

    run: dict[str, Any] = {"checkpoint": tmp_path / "run", "teacher": freeze(layers()), **SETTINGS}
    own, student = Method("own", terms, {"match": 1.0}), Restless()
    distill(student, (X, Y), method=own, epochs=1, **run)
    assert distill(student, (X, Y), method=own, epochs=2, **run).epochs == 2.0


calls = 0


def count_calls() -> None:
    global calls
    calls += 1


def counts_in_its_module(batch: Any) -> Tensor:
    count_calls()
    return batch.inputs[:, :3] + 0 * calls


class Counts:
    """A teacher that counts by itself, and by a method of its own."""

    def __init__(self) -> None:
        self.calls, self.mean = 0, 0.0
        self.log: list[int] = []

    def __call__(self, batch: Any) -> Tensor:
        self.calls += 1
        self.note(batch.inputs)
        return batch.inputs[:, :3]  # type: ignore[no-any-return]

    def note(self, inputs: Tensor) -> None:
        self.mean = float(inputs.mean())
        self.log.append(len(inputs))

    answer = __call__


class CountingNetwork(Scaled):
    def forward(self, inputs: Tensor) -> Tensor:
        self.largest = float(inputs.max())
        return super().forward(inputs)


def counts_outside_itself() -> Callable[[Any], Tensor]:
    calls = 0

    def teacher(batch: Any) -> Tensor:
        nonlocal calls
        calls += 1
        return batch.inputs[:, :3]  # type: ignore[no-any-return]

    return teacher


COUNTING: dict[str, Callable[[], Any]] = {
    "a global": lambda: counts_in_its_module,
    "around it": counts_outside_itself,
    "an object": Counts,
    "a method": lambda: Counts().answer,
    "a network": lambda: freeze(CountingNetwork()),
}


@pytest.mark.parametrize("kind", COUNTING)
def test_what_a_teacher_writes_by_answering_is_no_setting(kind: str, tmp_path: Path) -> None:
    run: dict[str, Any] = {"checkpoint": tmp_path / "run", "teacher": COUNTING[kind](), **SETTINGS}
    distill(MLP(4, 3), (X, Y), epochs=1, **run)
    assert distill(MLP(4, 3), (X, Y), epochs=2, **run).epochs == 2.0


@pytest.mark.parametrize("wrap", [lambda network: network, nn.DataParallel])
def test_a_function_of_the_student_goes_on_with_it(wrap: Any, tmp_path: Path) -> None:
    student = layers(nn.ReLU())
    asked = wrap(student)
    run: dict[str, Any] = {"checkpoint": tmp_path / "run", **SETTINGS}
    run["teacher"] = lambda batch: asked(batch.inputs + 0.1)
    distill(student, (X, Y), epochs=1, **run)
    assert distill(student, (X, Y), epochs=2, **run).epochs == 2.0


def test_a_checkpoint_and_a_cache_of_before_go_on(tmp_path: Path) -> None:
    """They do not say of which layers their teacher and student were."""
    run: dict[str, Any] = {"checkpoint": tmp_path / "run", "teacher": freeze(layers()), **SETTINGS}
    own = Method("own", terms_with_factor, {"match": 1.0})
    distill(MLP(4, 3), (X, Y), method=own, epochs=1, **run)
    kept = load_checkpoint(tmp_path / "run")
    for name in ("student's layers", "teacher's layers", "code", "learning"):
        del kept.facts["settings"][name]
    save_checkpoint(tmp_path / "run", Checkpoint(kept.tensors, kept.facts))
    assert distill(MLP(4, 3), (X, Y), method=own, epochs=2, **run).epochs == 2.0

    cache(freeze(layers()), (X, Y), tmp_path / "kept", progress=False)
    manifest = next(file for file in (tmp_path / "kept").iterdir() if file.suffix == ".json")
    words = manifest.read_text()
    start = words.index('"layers": "')
    end = words.index('"', start + len('"layers": "')) + 1
    head = words[:start].rstrip()
    assert head.endswith(",")
    manifest.write_text(head[:-1] + words[end:])
    cache(freeze(layers()), (X, Y), tmp_path / "kept", progress=False)


def frozen_at(*places: int) -> nn.Module:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4))
    for place in places:
        network[place].requires_grad_(False)
    return network


@pytest.mark.parametrize(("first", "then"), [((0,), (2,)), ((), (0,)), ((2,), ())])
def test_other_frozen_weights_are_another_run(
    first: tuple[int, ...], then: tuple[int, ...], tmp_path: Path
) -> None:
    """Else a layer would be moved by what the optimizer remembers of another."""
    run: dict[str, Any] = {"checkpoint": tmp_path / "run", **SETTINGS}
    distill(frozen_at(*first), (X, Y), epochs=1, **run)
    distill(frozen_at(*first), (X, Y), epochs=2, **run)
    with pytest.raises(ValueError, match=r"another run.*learning: "):
        distill(frozen_at(*then), (X, Y), epochs=3, **run)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("between", [nn.ReLU, lambda: nn.BatchNorm1d(4)])
@pytest.mark.parametrize("way", [torch.jit.script, lambda network: torch.jit.trace(network, X[:2])])
def test_a_scripted_student_goes_on(way: Any, between: Any, tmp_path: Path) -> None:
    run: dict[str, Any] = {"teacher": freeze(layers(seed=5)), **SETTINGS}
    straight, resumed = way(layers(between())), way(layers(between()))
    distill(straight, (X, Y), epochs=2, **run)
    distill(resumed, (X, Y), epochs=1, checkpoint=tmp_path / "run", **run)
    resumed = way(layers(between()))
    distill(resumed, (X, Y), epochs=2, checkpoint=tmp_path / "run", **run)
    for name, value in straight.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name


def adapted(seed: int) -> nn.Module:
    """Fresh adapters of one seed over a base of another."""
    peft = pytest.importorskip("peft")
    base = layers(seed=seed)
    torch.manual_seed(0)
    network: nn.Module = peft.get_peft_model(base, peft.LoraConfig(r=2, target_modules=["0", "1"]))
    return network


def test_adapters_go_on_over_their_own_base_alone(tmp_path: Path) -> None:
    run: dict[str, Any] = {"checkpoint": tmp_path / "run", "teacher": freeze(layers()), **SETTINGS}
    distill(adapted(1), (X, Y), epochs=1, **run)
    assert distill(adapted(1), (X, Y), epochs=2, **run).epochs == 2.0
    with pytest.raises(ValueError, match=r"another run.*base: "):
        distill(adapted(2), (X, Y), epochs=3, **run)
