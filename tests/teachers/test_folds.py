"""Out-of-fold answers: nobody answers about what they saw, and the cache knows whose they are."""

import json

import pytest
import torch
from torch import nn

from distill_lab.data.batches import Batch, DatasetSource, as_data
from distill_lab.models import MLP
from distill_lab.signals import Dense
from distill_lab.teachers import Cached, OutOfFold, assign_folds, cache, freeze, keep
from distill_lab.training import distill

N, CLASSES, FOLDS = 40, 4, 5
X = torch.randn(N, 3, generator=torch.Generator().manual_seed(0))
X[31] = X[7]  # a copy: whoever saw one of them has seen both
Y = torch.arange(N) % CLASSES
DATA = (X, Y)


class Memory:
    """A teacher that remembers: logit 9 for the label of what it saw, zeros for anything else."""

    def __init__(self, part):
        self.inputs, self.labels = part
        self.identity = f"Memory-{len(self.labels)}-{float(self.inputs.sum()):.6f}"

    def __call__(self, batch):
        same = (batch.inputs[:, None] == self.inputs).all(-1)
        return 9.0 * same.float() @ nn.functional.one_hot(self.labels, CLASSES).float()


class Stopped(Exception):
    pass


def whole(data=DATA):
    return as_data(data).batch(torch.arange(N))


def made(path, train=Memory, data=DATA, **settings):
    settings = {"folds": FOLDS, "teacher_name": "memory", "progress": False} | settings
    return cache(train, data, path, signal=keep.dense("float32"), batch_size=8, **settings)


def test_no_example_is_answered_by_a_teacher_that_saw_it(tmp_path):
    live = cache(Memory(DATA), DATA, tmp_path / "live", progress=False)
    assert (live(whole()).argmax(-1) == Y).all() and (live(whole()).amax(-1) > 8).all()
    assert (made(tmp_path / "folds")(whole()) == 0).all()


def test_each_teacher_gets_all_other_folds_with_their_labels():
    parts = []

    def train(part):
        parts.append(part)
        return Memory(part)

    teacher = OutOfFold(train, DATA, folds=FOLDS, name="memory")
    teacher(whole())
    teacher(whole())
    assert len(parts) == FOLDS, "each is trained once"
    for number, (inputs, labels) in enumerate(parts):
        others = teacher.fold != number
        assert torch.equal(inputs, X[others]) and torch.equal(labels, Y[others])


def test_each_example_is_answered_by_the_teacher_of_its_own_fold():
    made_by = []

    def train(part):
        made_by.append(len(made_by))
        number = float(made_by[-1])
        return lambda batch: torch.full((len(batch.ids), CLASSES), number)

    teacher = OutOfFold(train, DATA, folds=FOLDS, name="number")
    index = torch.tensor([31, 2, 17, 3])
    torch.testing.assert_close(
        teacher(as_data(DATA).batch(index))[:, 0], teacher.fold[index].float()
    )


def test_folds_are_of_one_size_follow_the_seed_and_go_with_the_content():
    fold = assign_folds(DATA, FOLDS)
    assert sorted(fold.bincount().tolist()) in ([8] * 5, [7, 8, 8, 8, 9])
    assert fold[31] == fold[7]
    assert torch.equal(fold, assign_folds(DATA, FOLDS, seed=0))
    assert not torch.equal(fold, assign_folds(DATA, FOLDS, seed=1))
    order = torch.randperm(N, generator=torch.Generator().manual_seed(1))
    assert torch.equal(assign_folds((X[order], Y[order]), FOLDS), fold[order])
    # sorted by class or not, every fold's teacher sees every class
    assert all(len(set(Y[fold != number].tolist())) == CLASSES for number in range(FOLDS))


def test_a_source_is_given_in_parts_that_distill_takes():
    rows = [(x, int(y)) for x, y in zip(X, Y, strict=True)]
    sizes = []

    def train(part):
        sizes.append(len(part))
        batch = part.batch(torch.tensor([2, 0]))
        assert batch.ids.tolist() == [2, 0]
        network = MLP(3, CLASSES, seed=0)
        distill(network, part, epochs=1, batch_size=8, progress=False)
        return freeze(network)

    teacher = OutOfFold(train, DatasetSource(rows), folds=2, name="mlp")
    assert teacher(DatasetSource(rows).batch(torch.arange(4))).shape == (4, CLASSES)
    assert sum(sizes) == N  # two folds: each example is in one part


def test_dicts_signals_and_networks_are_answered_row_by_row():
    inputs = {"a": X, "mask": torch.ones(N)}

    class Source:
        def __len__(self):
            return N

        def batch(self, index):
            return Batch({k: v[index] for k, v in inputs.items()}, Y[index], index)

    def train(part):
        return lambda batch: Dense(batch.inputs["a"] + batch.inputs["mask"][:, None])

    teacher = OutOfFold(train, Source(), folds=3, name="dense")
    torch.testing.assert_close(teacher(Source().batch(torch.arange(N))), X + 1)
    teacher = OutOfFold(
        lambda part: freeze(MLP(3, 4, seed=len(part[0]))).model, DATA, folds=3, name="m"
    )
    assert teacher(whole()).shape == (N, 4)
    with pytest.raises(TypeError, match="fold 0 answered with a str"):
        OutOfFold(lambda part: lambda batch: "yes", DATA, folds=3, name="s")(whole())


def test_the_manifest_names_folds_seed_labels_and_every_teacher(tmp_path):
    made(tmp_path, fold_seed=3)
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert manifest["about"]["teacher"]["name"] == "memory"
    assert manifest["about"]["folds"].keys() == {"folds", "seed", "labelled"}
    assert manifest["about"]["folds"]["seed"] == 3
    assert manifest["fold_teachers"] == OutOfFold(Memory, DATA, seed=3, name="memory").train()


def test_a_finished_cache_is_opened_without_training(tmp_path):
    first = made(tmp_path)

    def never(part):
        raise AssertionError("no teacher is needed")

    assert torch.equal(made(tmp_path, never)(whole()), first(whole()))
    assert Cached(tmp_path).identity == first.identity


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"folds": 4}, "folds folds: 5 there, 4 now"),
        ({"fold_seed": 1}, "folds seed: 0 there, 1 now"),
        ({"data": (X, Y.flip(0))}, "folds labelled"),
        ({"teacher_name": "other"}, "teacher name: 'memory' there, 'other' now"),
    ],
    ids=["folds", "seed", "labels", "name"],
)
def test_a_cache_of_other_folds_labels_or_teachers_is_refused(tmp_path, change, named):
    made(tmp_path)
    with pytest.raises(ValueError, match=named):
        made(tmp_path, **change)


def stopping(after, seed=0):
    """Trains teachers that stop the run after so many answers."""
    answered = [0]

    def train(part):
        network = freeze(MLP(3, CLASSES, seed=seed))

        def answer(batch):
            answered[0] += len(batch.ids)
            if answered[0] > after:
                raise Stopped
            return network(batch)

        answer.identity = f"{network.identity}-{len(part[0])}"
        return answer

    return train


def test_a_run_that_was_stopped_goes_on_with_the_same_teachers_only(tmp_path):
    once = made(tmp_path / "once", stopping(10**6), teacher_name="mlp")
    with pytest.raises(Stopped):
        made(tmp_path / "halves", stopping(20), teacher_name="mlp")
    with pytest.raises(ValueError, match="came out otherwise than when these answers were begun"):
        made(tmp_path / "halves", stopping(10**6, seed=1), teacher_name="mlp")
    resumed = made(tmp_path / "halves", stopping(10**6), teacher_name="mlp")
    assert torch.equal(resumed(whole()), once(whole()))
    assert resumed.identity == once.identity


def test_views_of_an_example_are_in_its_fold(tmp_path):
    class Numbers(Memory):  # knows an example by its first feature, which the view keeps
        def __call__(self, batch):
            same = batch.inputs[:, None, 0] == self.inputs[:, 0]
            return 9.0 * same.float() @ nn.functional.one_hot(self.labels, CLASSES).float()

    view = X.clone()
    view[:, 1] += 1
    cached = made(tmp_path, Numbers, views=[(view, Y)])
    assert (cached(whole()) == 0).all() and (cached(whole((view, Y))) == 0).all()


@pytest.mark.parametrize(
    ("train", "data", "settings", "error", "named"),
    [
        (MLP(3, 4, seed=0), DATA, {}, TypeError, "need a function that trains a teacher"),
        (freeze(MLP(3, 4, seed=0)), DATA, {}, TypeError, "got a Live, which may have seen"),
        (Memory, (X, None), {}, ValueError, "are for data with labels; got none"),
        (Memory, DATA, {"folds": 1}, ValueError, "folds must be from 2 to .* 39; got 1"),
        (Memory, DATA, {"folds": 40}, ValueError, "different examples, 39; got 40"),
        (Memory, DATA, {"teacher_name": None}, ValueError, "go by the name of the way"),
    ],
)
def test_what_cannot_be_is_refused_in_words(tmp_path, train, data, settings, error, named):
    with pytest.raises(error, match=named):
        made(tmp_path, train, data, **settings)


def test_a_student_learns_from_out_of_fold_answers(tmp_path):
    def train(part):
        network = MLP(3, CLASSES, seed=0)
        distill(network, part, epochs=2, batch_size=8, progress=False)
        return freeze(network)

    student = MLP(3, CLASSES, seed=1)
    cached = made(tmp_path, train, teacher_name="mlp-2")
    distill(student, DATA, teacher=cached, epochs=2, batch_size=8, progress=False)
    live = OutOfFold(train, DATA, folds=FOLDS, name="mlp-2")
    torch.testing.assert_close(cached(whole()), live(whole()))
    assert "40 examples in 5 folds" in repr(live) and live.identity.startswith("mlp-2-")
