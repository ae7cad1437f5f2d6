"""A step waits for no value: they are read from the device now and then, and nothing is lost."""

import copy
import os
import sys
from pathlib import Path
from typing import ClassVar

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

import distill_lab
from distill_lab import losses, methods
from distill_lab.data.batches import TensorSource
from distill_lab.models import MLP
from distill_lab.seeds import distill_seeds
from distill_lab.teachers import freeze
from distill_lab.training import distill
from distill_lab.training.checkpoint import load_checkpoint
from tests.accelerator import CARD, accelerator
from tests.training.test_survival import rooted
from tests.training.two_processes import Texts, pictures, texts

READS = (torch.ops.aten._local_scalar_dense.default, torch.ops.aten.nonzero.default)
METHODS = [methods.kd(), methods.logit_matching(0.5)]
QUIET = {"progress": False, "shares_every": 0}
PACKAGE = Path(distill_lab.__file__).parent


def flat(net):
    return torch.cat([p.detach().flatten() for p in net.parameters()])


def teacher():
    return freeze(MLP(6, 16, 2, dropout=0.5, seed=9))


class Reads(TorchDispatchMode):
    """Counts what makes the host wait: values that become numbers of Python, or a shape."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.count += func in READS
        return func(*args, **(kwargs or {}))


class Marked(TensorSource):
    """Data that note how many values had been read when each batch was asked for."""

    def __init__(self, reads: Reads, inputs, labels) -> None:
        super().__init__(inputs, labels)
        self.reads, self.at = reads, []

    def batch(self, index):
        self.at.append(self.reads.count)
        return super().batch(index)


def reads_of_each_step(monkeypatch, **settings) -> list[int]:
    """How many values each step of a run read, were it on a device whose values are not at hand."""
    for name, module in list(sys.modules.items()):
        if name.startswith("distill_lab.") and hasattr(module, "readable"):
            monkeypatch.setattr(module, "readable", lambda tensor: False)
    with Reads() as reads:
        tolist = torch.Tensor.tolist  # on a CPU it does without the operation that is counted

        def counted(tensor):
            reads.count += tensor.is_floating_point()
            return tolist(tensor)

        monkeypatch.setattr(torch.Tensor, "tolist", counted)
        data = Marked(reads, *pictures())
        settings = {"epochs": 8, "batch_size": 14, **QUIET} | settings
        distill(MLP(6, 8, 2, seed=1), data, teacher=teacher(), **settings)
    return [after - before for before, after in zip(data.at, data.at[1:], strict=False)]


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
@pytest.mark.parametrize("clip", [None, 1.0])
@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_a_silent_step_reads_no_value(monkeypatch, method, clip, optimizer):
    settings = {"method": method, "clip": clip, "optimizer": optimizer}
    reads = reads_of_each_step(monkeypatch, read_every=10, **settings)
    assert len(reads) == 39
    assert [step for step, count in enumerate(reads, 1) if count] == [10, 20, 30]


def test_on_a_processor_every_step_is_read():
    """There it costs nothing, and what is not finite is met at once."""
    data, broken = pictures(), pictures()[0].clone()
    broken[:] = float("nan")
    with pytest.raises(FloatingPointError, match="at step 1;"):
        distill(MLP(6, 2), (broken, data[1]), epochs=1, **QUIET)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"clip": 0.1, "accumulate": 3},
        {"method": methods.dkd(), "schedule": "cosine", "weight_decay": 0.1},
    ],
    ids=["kd", "clip, in pieces", "dkd, cosine"],
)
@pytest.mark.parametrize("read_every", [3, 50])
def test_when_values_are_read_changes_no_bit(settings, read_every):
    runs = []
    for every in (1, read_every):
        net = MLP(6, 8, 2, dropout=0.3, seed=1)
        common = {"epochs": 4, "batch_size": 16, "progress": False, "shares_every": 5, "seed": 5}
        history = distill(
            net, pictures(), teacher=teacher(), read_every=every, **(common | settings)
        )
        runs.append((history.terms, history.shares, flat(net)))
    (terms, shares, weights), (later_terms, later_shares, later_weights) = runs
    assert terms == later_terms and len(terms["total"]) == 20
    assert shares == later_shares and torch.equal(weights, later_weights)


def nan_in(step: int, term: str = "ce") -> methods.Method:
    """Cross-entropy that is not a number in one step."""
    seen = 0

    def terms(batch, student, _):
        nonlocal seen
        seen += 1
        value = losses.cross_entropy(student(batch.inputs), batch.labels)
        return {term: value * float("nan") if seen == step else value}

    return methods.Method("nan", terms, {term: 1.0}, needs_teacher=False)


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
@pytest.mark.parametrize(
    ("method", "clip", "words"),
    [
        (lambda: nan_in(6), None, "the term 'ce' became nan at step 6;"),
        (lambda: rooted(6), None, "a gradient is not finite at step 6 while every term is finite"),
        (lambda: rooted(6), 1.0, r"the gradient's norm became (nan|inf) at step 6"),
    ],
    ids=["term", "gradient", "norm"],
)
def test_what_is_not_finite_moves_nothing_though_it_is_read_later(optimizer, method, clip, words):
    """Four more steps are taken before anybody looks, and none of them moves a bit."""
    settings = {"batch_size": 14, "optimizer": optimizer, "clip": clip, "read_every": 50, **QUIET}
    net, until_then = MLP(6, 8, 2, seed=1), MLP(6, 8, 2, seed=1)
    never = method()
    reference = methods.Method("fine", nan_in(99).terms, {"ce": 1.0}, needs_teacher=False)
    if set(never.weights) == {"ce", "root"}:
        reference = rooted(99)
    distill(until_then, pictures(), method=reference, epochs=1, **settings)  # five steps
    with pytest.raises(FloatingPointError, match=words):
        distill(net, pictures(), method=never, epochs=2, **settings)
    assert torch.equal(flat(net), flat(until_then)) and flat(net).isfinite().all()


def test_a_checkpoint_is_written_of_what_was_read(tmp_path):
    path = tmp_path / "run.safetensors"
    with pytest.raises(FloatingPointError, match=r"at step 6;.*last good state is in"):
        distill(
            MLP(6, 8, 2, seed=1),
            pictures(),
            method=nan_in(6),
            epochs=4,
            batch_size=14,
            checkpoint=path,
            checkpoint_every=4,
            read_every=50,
            **QUIET,
        )
    checkpoint = load_checkpoint(path)
    total = checkpoint.tensors.get("history", {}).get("total", ())
    assert checkpoint.facts["step"] == len(total) == 4


def test_who_looks_at_every_step_sees_every_step():
    seen, shown = [], []
    history = distill(
        MLP(6, 2),
        pictures(),
        epochs=2,
        batch_size=14,
        read_every=50,
        callbacks=[lambda step: seen.append(step.terms["ce"])],
        progress=lambda terms, step, steps: shown.append(terms["ce"]),
    )
    assert seen == shown == history["ce"] and len(seen) == 10


def test_many_seeds_are_read_now_and_then_as_well():
    inputs = torch.randn(3, 40, 6, generator=torch.Generator().manual_seed(0))
    data = inputs, (inputs[..., 0] > 0).long()
    settings = {"seeds": (1, 2, 5), "epochs": 4, "batch_size": 10, "clip": 0.1}

    def make(seed):
        return MLP(6, 8, 2, dropout=0.3, seed=seed)

    with Reads() as reads:
        later = distill_seeds(make, data, read_every=50, **settings)
    assert reads.count == 3  # two looks before the first step, and one at the end
    at_once = distill_seeds(make, data, **settings)
    assert torch.equal(later.terms["ce"], at_once.terms["ce"])
    assert all(map(torch.equal, later.students.parameters(), at_once.students.parameters()))
    inputs[1, 7] = float("nan")
    for every in (1, 50):
        with pytest.raises(FloatingPointError, match=r"'ce' became nan for seed 2 at step [1-4]\."):
            distill_seeds(make, data, read_every=every, **settings)


def frames():
    frame = sys._getframe(1)
    while frame is not None:
        yield frame
        frame = frame.f_back


class Gradient(Exception):
    """The backward pass is reached."""


def test_from_the_call_to_the_gradient_a_reader_opens_at_most_eight_files(monkeypatch):
    """Counted: where tensors are computed, and what calls it, from `distill` to `backward`.

    Left out is what only stands around: `_util`, and checks, which compute no part of a term.
    """
    opened, run = set(), set()

    class Road(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            opened.update(frame.f_code.co_filename for frame in frames())
            return func(*args, **(kwargs or {}))

    def arrive(*_, **__):
        sys.setprofile(None)
        road.update(ours(opened))
        raise Gradient

    def ours(files):
        paths = (Path(file) for file in files)
        names = {str(p.relative_to(PACKAGE)) for p in paths if PACKAGE in p.parents}
        return {name for name in names if not name.startswith("_util")}

    def computing(names):
        return names - {"methods/answers.py"}

    road: set[str] = set()
    net, guide = nn.Linear(6, 2), freeze(nn.Linear(6, 2))
    monkeypatch.setattr(torch.autograd, "backward", arrive)
    with pytest.raises(Gradient), Road():
        sys.setprofile(lambda frame, event, _: run.add(frame.f_code.co_filename))
        distill(net, pictures(), teacher=guide, method=methods.kd(), **QUIET)
    recipe = "methods/response/soft_targets.py"
    assert {"training/loop.py", recipe, "losses/response.py"} <= road
    assert len(computing(road)) <= 8, sorted(road)
    # all that ran: checks, settings, the form of the data and its order included
    assert len(ours(run)) <= 20, " ".join(sorted(ours(run)))


@pytest.mark.skipif(sys.platform != "linux", reason="page faults of glibc's allocator")
@pytest.mark.skipif(any("MALLOC" in name for name in os.environ), reason="MALLOC_* decides")
@pytest.mark.parametrize("case", ["labels", "a teacher", "pieces"])
def test_a_step_keeps_the_memory_of_the_step_before(case):
    """Counted in page faults: what is given back after a step has to be fetched again."""
    torch.manual_seed(0)
    resource = pytest.importorskip("resource")
    net = nn.Sequential(
        *(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1), nn.ReLU()),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 2)),
    )
    data = torch.randn(64, 3, 32, 32), torch.arange(64) % 2
    counts = []

    def count(_):
        counts.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)

    more = {"a teacher": {"teacher": freeze(copy.deepcopy(net))}, "pieces": {"accumulate": 2}}
    settings = QUIET | {"batch_size": 64} | more.get(case, {})
    distill(net, data, steps=8, callbacks=[count], **settings)
    made = 64 * 8 * 32 * 32 * 4 / 4096  # pages of one layer's output alone
    assert counts[-1] - counts[2] < 4 * made  # given back, ten times as many


def pairs():
    """The texts in twos, as pairs of answers."""
    tokens, labels = (part[:36].unflatten(0, (18, 2)) for part in texts())
    return {"tokens": tokens}, labels


@pytest.mark.parametrize(
    "method",
    [
        methods.tokens(alpha=0.0),
        methods.tokens("reverse_kl", alpha=0.5),
        methods.tokens("jsd"),
        methods.dpo(),
    ],
    ids=lambda method: method.name,
)
def test_a_silent_step_on_texts_reads_nothing_from_the_device_either(monkeypatch, method):
    """Neither a value nor how many tokens count: that is known where the labels came from."""
    student, teacher = Texts(1), freeze(Texts(2)) if method.needs_teacher else None
    data = texts()
    if method.name.startswith("dpo"):
        data, teacher = pairs(), methods.Reference(teacher)
    with accelerator(monkeypatch) as card:

        class Noted(TensorSource):
            at: ClassVar[list[int]] = []

            def batch(self, index):
                self.at.append(card.reads)
                return super().batch(index)

        distill(
            student,
            Noted(*data),
            teacher=teacher,
            method=method,
            device=CARD,
            epochs=4,
            batch_size=6,
            read_every=100,
            **QUIET,
        )
    assert len(Noted.at) >= 12 and Noted.at[-1] == Noted.at[3]  # the first steps may look
    assert student.table.device == CARD
