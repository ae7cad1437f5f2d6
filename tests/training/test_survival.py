"""What a run must survive: kills, a full disk, NaN. Real signals, real limits of the system."""

import json
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import torch
from torch import nn

from distill_lab import losses, methods
from distill_lab._util.tensors import Batch
from distill_lab.data.batches import epoch_order
from distill_lab.models import MLP
from distill_lab.teachers import freeze
from distill_lab.training import distill
from distill_lab.training.checkpoint import load_checkpoint
from distill_lab.training.gradients import GradFiniteCheck
from distill_lab.training.nonfinite import nonfinite_examples
from tests.training.two_processes import pictures

ROOT = Path(__file__).resolve().parents[2]
QUIET = {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}


@pytest.mark.slow
@pytest.mark.parametrize("kills", [10, pytest.param(100, marks=pytest.mark.exhaustive)])
def test_kills_lose_nothing(tmp_path, kills):
    """Every checkpoint found after a kill is whole and holds just what its step had to be."""
    script = Path(__file__).with_name("kill_runs.py")
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path), str(kills), "7"],
        env=os.environ | QUIET,
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["killed"] == kills and found["stops"] > kills / 5
    assert found["unreadable"] == found["wrong"] == found["different"] == 0


@pytest.mark.slow
def test_a_disk_that_is_really_full_leaves_the_previous_checkpoint(tmp_path):
    """The system itself refuses to write more, in the middle of the file."""
    script = textwrap.dedent(
        """
        import resource, signal, sys, torch
        from distill_lab.models import MLP
        from distill_lab.training import distill
        x = torch.randn(70, 6, generator=torch.Generator().manual_seed(0))
        data, settings = (x, (x[:, 0] > 0).long()), {"batch_size": 14, "progress": False}
        net = MLP(6, 64, 2, seed=1)
        distill(net, data, epochs=1, checkpoint=sys.argv[1], **settings)
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
        try:
            distill(net, data, epochs=9, checkpoint=sys.argv[1], **settings)
        except OSError as error:
            print(error)
        """
    )
    path = tmp_path / "run.safetensors"
    done = subprocess.run(
        [sys.executable, "-c", script, str(path)],
        env=os.environ | QUIET,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "What was there before is intact; free some space" in done.stdout
    assert load_checkpoint(path).facts["step"] == 5
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


class Sometimes(nn.Module):
    """A model that breaks on one example."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.inner, self.value = MLP(6, 8, 2, seed=3), value

    def forward(self, inputs):
        logits = self.inner(inputs)
        return torch.where((inputs > 50).any(-1, keepdim=True), self.value, logits)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("who", ["teacher", "student"])
def test_what_is_not_finite_stops_the_run_at_that_step(tmp_path, who, value):
    x, y = pictures()
    x[epoch_order(70, 3, 0)[40], 0] = 99.0  # met in the sixth step of seven
    path = tmp_path / "run.safetensors"
    teacher = freeze(Sometimes(value) if who == "teacher" else MLP(6, 8, 2, seed=4))
    student = Sometimes(value) if who == "student" else MLP(6, 8, 2, seed=1)
    weights = []

    def note(step):
        weights.append(torch.cat([p.detach().flatten().clone() for p in student.parameters()]))

    with pytest.raises(
        FloatingPointError, match=r"the term 'kd' became (nan|inf) at step"
    ) as caught:
        distill(
            student,
            (x, y),
            teacher=teacher,
            epochs=2,
            batch_size=7,
            checkpoint=path,
            seed=3,
            checkpoint_every=1,
            progress=False,
            callbacks=[note],
        )
    step = int(str(caught.value).split("at step ")[1].split(";")[0])
    assert step == 6 and str(path) in str(caught.value)
    example = int(epoch_order(70, 3, 0)[40])
    assert f"The {who} answers {value} in example {example} of the data" in str(caught.value)
    kept = load_checkpoint(path)
    assert kept.facts["step"] == step - 1 == len(weights)
    flat = torch.cat([p.detach().flatten() for p in student.parameters()])
    assert torch.equal(flat, weights[-1])


def rooted(break_at: int) -> methods.Method:
    """Cross-entropy beside a root that is 0 from one step on: fine itself, its slope infinite."""
    asked = 0

    def terms(batch, student, teacher):
        nonlocal asked
        asked += 1
        logits = student(batch.inputs)
        size = logits.square().mean()
        root = (size - size.detach() if asked >= break_at else size).sqrt()
        return {"ce": losses.cross_entropy(logits, batch.labels), "root": root}

    return methods.Method("rooted", terms, {"ce": 1.0, "root": 0.1}, needs_teacher=False)


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
@pytest.mark.parametrize("clip", [None, 1.0])
def test_an_infinite_slope_of_a_finite_loss_moves_nothing(tmp_path, clip, optimizer):
    """The step would turn every weight into NaN, and nobody would know before the next one."""
    path, student, weights = tmp_path / "run.safetensors", MLP(6, 8, 2, seed=1), []

    def note(step):
        weights.append(torch.cat([p.detach().flatten().clone() for p in student.parameters()]))

    what = "the gradient's norm became" if clip else r"the gradient of the student's hidden\.0\.0"
    with pytest.raises(FloatingPointError, match=f"{what}.*still has the weights from before"):
        distill(
            student,
            pictures(),
            method=rooted(6),
            epochs=2,
            batch_size=7,
            checkpoint=path,
            clip=clip,
            optimizer=optimizer,
            checkpoint_every=1,
            progress=False,
            callbacks=[note],
            shares_every=0,
        )
    flat = torch.cat([p.detach().flatten() for p in student.parameters()])
    assert len(weights) == 5 and torch.equal(flat, weights[-1]) and flat.isfinite().all()
    assert load_checkpoint(path).facts["step"] == 5


def test_a_student_that_comes_with_broken_weights_is_told_so(tmp_path):
    """The weights from before the step are kept, and it is said that they are no good either."""
    student = MLP(6, 8, 2, seed=1)
    with torch.no_grad():
        student.head.bias[0] = float("nan")
    with pytest.raises(FloatingPointError, match=r"the student's head\.bias is not finite in them"):
        distill(student, pictures(), epochs=1, batch_size=7, progress=False)


@pytest.mark.parametrize("read_every", [1, 3, 7])
def test_the_examples_that_are_not_finite_are_named_whenever_they_are_read(read_every):
    x, y = pictures()
    order = epoch_order(70, 3, 0)
    x[order[36:38]] = float("nan")  # the sixth step of seven
    with pytest.raises(FloatingPointError) as caught:
        distill(MLP(6, 8, 2), (x, y), epochs=1, batch_size=7, seed=3, read_every=read_every)
    numbers = ", ".join(map(str, sorted(order[36:38].tolist())))
    assert f"The inputs hold nan in examples {numbers} (2 of this batch) of" in str(caught.value)


def test_the_example_of_an_infinite_term_is_named():
    """A class that the teacher rules out is no fault for soft targets; for matched logits it is."""
    x, y = pictures()
    table = torch.zeros(70, 2)
    table[33, 1] = -float("inf")

    def teacher(batch):
        return table[batch.ids]

    with pytest.raises(ValueError, match=r"is infinite.*The teacher answers -inf in example 33 of"):
        distill(MLP(6, 8, 2), (x, y), teacher=teacher, method=methods.logit_matching(), epochs=1)
    assert nonfinite_examples(Batch(x, None, torch.arange(70)), MLP(6, 8, 2), teacher) == ""


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.complex64])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_the_check_sees_every_number_and_changes_none(dtype, value):
    sizes = [(3, 4), (5,), (), (2, 2)]
    parameters = [nn.Parameter(torch.randn(size, dtype=dtype)) for size in sizes]
    for parameter in parameters[:3]:
        parameter.grad = torch.randn_like(parameter)  # the last one has none
    before = [parameter.grad.clone() for parameter in parameters[:3]]
    for parameter, gradient in zip(parameters, before, strict=False):
        check = GradFiniteCheck(parameters)
        check.update(check.gradients())
        assert check.found_inf == 0 and torch.equal(parameter.grad, gradient)
        parameter.grad.view(-1)[-1] = value
        check.update(check.gradients())
        assert check.found_inf == 1  # exactly, as the fused optimizers ask it
        parameter.grad.copy_(gradient)
        check.update(check.gradients())
        assert check.found_inf == 1  # a run that met it goes no further


def test_gradients_of_several_types_and_no_gradient():
    parameters = [nn.Parameter(torch.ones(2, dtype=d)) for d in (torch.float32, torch.float64)]
    check = GradFiniteCheck(parameters)
    check.update(check.gradients())
    assert check.found_inf == 0
    for parameter in parameters:
        parameter.grad = torch.ones_like(parameter)
    check.update([*check.gradients(), torch.tensor([1.0, float("nan")], dtype=torch.float64)])
    assert check.found_inf == 1


def test_weights_that_are_not_finite_are_never_written(tmp_path):
    """A loss may be finite while its gradient is not: the checkpoint is refused, not spoilt."""
    path = tmp_path / "run.safetensors"
    net = MLP(6, 8, 2, seed=1)
    distill(net, pictures(), epochs=1, batch_size=14, checkpoint=path, progress=False)

    def spoil(step):
        if step.step == 9:
            with torch.no_grad():
                net.head.bias.fill_(float("inf"))
            return True
        return None

    with pytest.raises(FloatingPointError, match=r"head\.bias is not finite after step 9"):
        distill(
            net,
            pictures(),
            epochs=2,
            batch_size=14,
            checkpoint=path,
            progress=False,
            callbacks=[spoil],
        )
    assert load_checkpoint(path).facts["step"] == 5


def test_nothing_in_the_package_reads_or_writes_pickles():
    """Nor calls what would: torch.save, torch.load, the object collectives, numpy's own."""
    words = r"\bimport (pickle|shelve|marshal|joblib|dill)|from (pickle|shelve|marshal|joblib|dill)"
    calls = r"(?<!safetensors\.)torch\.(save|load)\(|(gather|scatter|broadcast)_object"
    calls += r"|allow_pickle=True|np\.load\("
    arms = ROOT / "distill_lab/course/side_by_side.py"  # hears its own copies, through a pipe
    for file in sorted((ROOT / "distill_lab").rglob("*.py")):
        text = file.read_text(encoding="utf-8")
        found = re.findall(calls if file == arms else f"{words}|{calls}", text)
        assert not found, f"{file}: {found}"
    assert not re.search(r"pickle\.(load|dump)\(|open\(|Path", arms.read_text(encoding="utf-8"))
