"""Compiled students and teachers run, resume bare or compiled, and are measured."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from distill_lab import methods
from distill_lab.models import MLP
from distill_lab.teachers import freeze
from distill_lab.training import EarlyStopping, distill
from tests.training.two_processes import pictures

pytestmark = pytest.mark.slow  # the first graph of a process takes ten seconds

X, Y = pictures()  # 70 examples: the last batch of 16 is short, so the graph is made again
SETTINGS: dict[str, Any] = {"batch_size": 16, "progress": False, "shares_every": 3}


def bare(seed: int = 1) -> MLP:
    return MLP(6, 8, 2, seed=seed)


def flat(net: nn.Module) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in net.parameters()])


def wrapped(net: MLP) -> Any:
    return torch.compile(net, backend="aot_eager")


def in_place(net: MLP) -> Any:
    net.compile(backend="aot_eager")
    return net


def a_part(net: MLP) -> Any:
    net.hidden = torch.compile(net.hidden, backend="aot_eager")  # type: ignore[assignment]
    return net


@pytest.fixture(autouse=True)
def forget_graphs() -> Any:
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


@pytest.mark.parametrize("compiled", [wrapped, in_place, a_part])
def test_a_compiled_student_goes_on_bare_and_back(compiled: Any, tmp_path: Path) -> None:
    teacher = compiled(MLP(6, 16, 2, seed=9)).eval().requires_grad_(False)
    settings = SETTINGS | {"teacher": freeze(teacher), "method": methods.kd()}
    path, full = tmp_path / "run", bare()
    distill(full, (X, Y), epochs=3, **settings)
    for epochs, student in enumerate((compiled(bare()), bare(2), compiled(bare(3))), start=1):
        history = distill(student, (X, Y), epochs=epochs, checkpoint=path, **settings)
        assert history.steps == 5 * epochs
    torch.testing.assert_close(flat(student), flat(full))


def measure(net: Any) -> float:
    return float(nn.functional.cross_entropy(net(X), Y))


def test_a_compiled_student_takes_own_rates_a_reading_and_is_measured(tmp_path: Path) -> None:
    """Names are those of the network: by prefix, and on disk."""
    best = tmp_path / "best"
    rule = EarlyStopping(measure, better="lower", patience=9)
    settings = SETTINGS | {"epochs": 2, "lr": {"hidden": 1e-2, "": 1e-3}, "early_stopping": rule}
    students = wrapped(bare()), bare()
    for student in students:
        distill(student, (X, Y), read=lambda out: out * 2, best=best, **settings)
        bare(4).load_state_dict(load_file(best))
    torch.testing.assert_close(flat(students[0]), flat(students[1]))
