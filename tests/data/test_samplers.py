"""Orders of one's own: what is drawn, how often, and that a run goes on with it."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from distill_lab import data as of_data
from distill_lab.data import ByLength, ClassBalanced, InOrder, Weighted
from distill_lab.data.batches import Batch, epoch_order
from distill_lab.methods import Method, supervised
from distill_lab.models import MLP
from distill_lab.seeds import distill_seeds
from distill_lab.teachers import freeze
from distill_lab.training import distill

N = 60
LABELS = torch.tensor([0] * 47 + [1] * 10 + [2] * 3)
X = torch.randn(N, 4, generator=torch.Generator().manual_seed(0))
LENGTHS = torch.arange(N) * 7 % 23 + 1
ALL = [
    InOrder(),
    Weighted(torch.rand(N, generator=torch.Generator().manual_seed(1))),
    ClassBalanced(LABELS),
    ByLength(LENGTHS, 8),
]
SETTINGS: dict[str, Any] = {"batch_size": 8, "progress": False}


@pytest.mark.parametrize("sampler", ALL, ids=repr)
def test_an_order_is_a_function_of_seed_and_epoch(sampler):
    torch.manual_seed(5)
    order = sampler.order(N, 3, 2)
    torch.manual_seed(6)
    assert torch.equal(order, sampler.order(N, 3, 2)) and len(order) == N
    if not isinstance(sampler, InOrder):
        assert not torch.equal(order, sampler.order(N, 4, 2))
        assert not torch.equal(order, sampler.order(N, 3, 3))


@pytest.mark.parametrize("sampler", ALL, ids=repr)
def test_a_run_goes_on_with_the_same_examples(sampler, tmp_path):
    def bits(**options: Any) -> torch.Tensor:
        student = MLP(4, 8, 3, seed=1)
        distill(student, (X, LABELS), sampler=sampler, **SETTINGS, **options)
        return torch.cat([p.detach().flatten() for p in student.parameters()])

    straight = bits(epochs=3)
    path = {"checkpoint": tmp_path / "run", "checkpoint_every": 3}
    bits(epochs=3, callbacks=[lambda step: step.step == 11], **path)
    assert torch.equal(bits(epochs=3, **path), straight)


def test_another_sampler_under_a_checkpoint_is_refused(tmp_path):
    path = tmp_path / "run"
    for first, other in (
        (Weighted(torch.ones(N)), Weighted(torch.arange(N) + 1.0)),
        (ClassBalanced(LABELS), ClassBalanced(LABELS.flip(0))),
    ):
        distill(MLP(4, 3), (X, LABELS), sampler=first, checkpoint=path, epochs=1, **SETTINGS)
        with pytest.raises(ValueError, match=r"belongs to another run.*sampler"):
            distill(MLP(4, 3), (X, LABELS), sampler=other, checkpoint=path, epochs=2, **SETTINGS)
        path.unlink()


def test_classes_come_equally_often_and_every_example_in_its_turn():
    seen = torch.zeros(N)
    for epoch in range(40):
        order = ClassBalanced(LABELS).order(N, 0, epoch)
        assert LABELS[order].bincount().tolist() == [20, 20, 20]
        own = order.bincount(minlength=N)
        assert own[:47].max() == 1  # of a large class nobody twice
        assert own[47:57].tolist() == [2] * 10 and set(own[57:].tolist()) == {6, 7}
        seen += own
    assert (seen[:47] > 0).all()


def test_what_is_left_over_goes_to_another_class_each_epoch():
    orders = [ClassBalanced([0, 0, 0, 1, 2]).order(5, 0, epoch) for epoch in range(30)]
    labels = torch.tensor([0, 0, 0, 1, 2])
    totals = sum(labels[order].bincount(minlength=3) for order in orders)
    assert totals.min() > 40 and totals.sum() == 150


def test_weights_are_kept_to_within_one_draw():
    weights = torch.rand(N, generator=torch.Generator().manual_seed(2)) ** 3
    weights[5] = 0.0
    expected = N * weights / weights.sum()
    total = torch.zeros(N)
    for epoch in range(200):
        drawn = Weighted(weights).order(N, 0, epoch).bincount(minlength=N)
        assert ((drawn - expected).abs() < 1).all() and drawn[5] == 0
        total += drawn
    torch.testing.assert_close(total / 200, expected, atol=0.15, rtol=0)


def test_batches_are_of_like_length_and_every_example_comes_once():
    lengths = torch.randint(1, 100, (1003,), generator=torch.Generator().manual_seed(3))
    order = ByLength(lengths, 10).order(1003, 0, 0)
    assert order.sort().values.tolist() == list(range(1003))
    widths = [int(lengths[part].max()) * len(part) for part in order.split(10)]
    assert sum(widths) < 1.1 * int(lengths.sum())  # a shuffle pads by 80 %
    firsts = [int(lengths[part[0]]) for part in order.split(10)[:-1]]
    assert firsts != sorted(firsts)
    company = [set(part.tolist()) for part in ByLength(lengths, 10).order(1003, 0, 1).split(10)]
    assert sum(set(part.tolist()) in company for part in order.split(10)) < 3


class Bundled:
    """A source that asks for an order of its own."""

    fingerprint = "bundled"

    def __len__(self) -> int:
        return N

    def batch(self, index: torch.Tensor) -> Batch:
        return Batch(X[index], LABELS[index], index)

    def sampler(self, batch_size: int) -> ByLength:
        return ByLength(LENGTHS, batch_size)


@pytest.mark.parametrize("workers", [0, 1])
def test_data_may_ask_for_an_order_and_the_caller_has_the_last_word(workers):
    seen: list[int] = []

    def terms(batch: Batch, student: Any, teacher: Any) -> dict[str, torch.Tensor]:
        seen.extend(batch.ids.tolist())
        return {"x": student(batch.inputs).mean()}

    method = Method("noted", terms, {"x": 1.0}, needs_teacher=False)
    options = {"method": method, "epochs": 1, "seed": 4, "workers": workers, **SETTINGS}
    distill(MLP(4, 3), Bundled(), **options)
    assert seen == ByLength(LENGTHS, 8).order(N, 4, 0).tolist()
    seen.clear()
    distill(MLP(4, 3), Bundled(), sampler=InOrder(), **options)
    assert seen == list(range(N))


def test_a_graph_is_seen_whole_and_in_its_order():
    """Its edges go by the numbers of its nodes: a shuffled one is another graph."""
    edges = torch.eye(N).roll(1, 0)

    class Neighbours(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Linear(4, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            assert torch.equal(x, X)
            return self.head(edges @ x)

    history = distill(
        Neighbours(), (X, LABELS), method=supervised(), epochs=3, batch_size=N, sampler=InOrder(),
        progress=False,
    )  # fmt: skip
    assert history.steps == 3


class Graph(nn.Module):
    """Answers that go over edges: held in some form, or standing around the forward pass."""

    def __init__(self, kind: str, seed: int = 1) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.head, self.kind = nn.Linear(4, 3), kind
        if kind == "a buffer":
            self.register_buffer("edges", MIXES)
        elif kind == "sparse":
            self.edges = MIXES.to_sparse()
        elif kind == "in a dict":
            self.edges = {"one": [MIXES]}
        elif kind == "pairs":
            self.edges = MIXES.nonzero().t()
        elif kind == "drawn anew":
            self.register_buffer("edges", MIXES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.kind == "around":
            return self.head(MIXES @ x)  # type: ignore[no-any-return]
        if self.kind == "pairs":
            there, here = self.edges
            return self.head(torch.zeros_like(x).index_add(0, there, x[here]))  # type: ignore[no-any-return]
        if self.kind == "in a dict":
            return self.head(self.edges["one"][0] @ x)  # type: ignore[no-any-return]
        if self.kind == "drawn anew":
            return self.head(x) + torch.randn(len(x), 3)  # type: ignore[no-any-return]
        return self.head(self.edges @ x)  # type: ignore[no-any-return]


MIXES = torch.eye(N).roll(1, 0)
SHUFFLED = r"answers an example otherwise at another place.*sampler=InOrder\(\)"
GRAPHS = ["a buffer", "sparse", "in a dict", "pairs", "around"]


@pytest.mark.parametrize("kind", GRAPHS)
def test_a_graph_in_one_batch_is_not_shuffled_without_a_word(kind):
    student, settings = Graph(kind), {"epochs": 1, "progress": False, "batch_size": N}
    before = [p.clone() for p in student.parameters()]
    with pytest.raises(ValueError, match=f"the student {SHUFFLED}"):
        distill(student, (X, LABELS), **settings)
    assert all(map(torch.equal, before, student.parameters())) and student.training
    with pytest.raises(ValueError, match=f"the teacher {SHUFFLED}"):
        distill(MLP(4, 3), (X, LABELS), teacher=freeze(Graph(kind)), **settings)
    in_order = {"teacher": freeze(Graph(kind, 2)), "sampler": InOrder(), **settings}
    assert distill(student, (X, LABELS), **in_order).steps == 1
    if kind == "a buffer":  # which many seeds can hold at once
        with pytest.raises(ValueError, match=SHUFFLED):
            distill_seeds(
                lambda seed: Graph(kind, seed), (X, LABELS), seeds=[0, 1], epochs=1, batch_size=N
            )


def test_a_network_without_places_may_hold_what_it_likes():
    """As many weights as there are examples by chance, or answers that are others at each call."""
    wide, drawn = (
        nn.Sequential(nn.Linear(4, N), nn.BatchNorm1d(N), nn.Linear(N, 3)),
        Graph("drawn anew"),
    )
    before = torch.get_rng_state()
    for student in (wide, drawn):
        history = distill(student, (X, LABELS), epochs=1, batch_size=N, progress=False)
        assert history.steps == 1

    class Noisy(torch.utils.data.Dataset[Any]):
        def __len__(self) -> int:
            return N

        def __getitem__(self, i: int) -> Any:
            return X[i] + torch.rand(4), int(LABELS[i])

    distill(wide, Noisy(), epochs=1, batch_size=N, progress=False)
    assert torch.equal(before, torch.get_rng_state())


def test_the_samplers_are_where_people_look():
    assert {"ByLength", "ClassBalanced", "InOrder", "Sampler", "Weighted"} <= set(of_data.__all__)


@pytest.mark.parametrize(
    "order",
    [
        torch.arange(N) % 2 == 0,  # True and False are no examples 1 and 0
        np.arange(N) < 30,
        torch.arange(N).float(),
        torch.arange(N) + 1,
        torch.arange(N) - 1,
        torch.arange(N).view(-1, 2),
        torch.arange(0),
    ],
    ids=["mask", "mask of NumPy", "floats", "beyond", "negative", "two axes", "empty"],
)
def test_an_order_of_other_things_than_examples_is_refused(order):
    sampler = type("Own", (), {"order": lambda self, examples, seed, epoch: order})()
    with pytest.raises(ValueError, match="whole numbers from 0 to 59"):
        distill(MLP(4, 8, 3), (X, LABELS), method=supervised(), sampler=sampler, **SETTINGS)


def test_an_order_that_is_none_is_named():
    class Silent:
        def order(self, examples, seed, epoch):
            return None

    for order in (None, [object()]):
        Silent.order = lambda self, *_, order=order: order
        with pytest.raises(ValueError, match=r"whole numbers from 0 to 4 .* order\(\) returned"):
            epoch_order(5, 0, 0, Silent())
