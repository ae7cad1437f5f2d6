"""Caches of answers of every shape: scores, vectors, maps; and of inputs in every form."""

from collections import UserDict

import pytest
import torch
from torch import nn
from torch.utils.data import Dataset

from distill_lab import methods
from distill_lab._util.tensors import Batch
from distill_lab.data.batches import as_data
from distill_lab.teachers import Cached, Ensemble, cache, freeze, function, keep, record, sklearn
from distill_lab.training import distill

N = 12
X = torch.randn(N, 4, generator=torch.Generator().manual_seed(0))
QUIET = {"epochs": 1, "batch_size": 6, "progress": False}


class Form:
    """A source whose inputs come in a form."""

    def __init__(self, form, labels=None):
        self.form, self.labels = form, labels

    def __len__(self):
        return N

    def batch(self, index):
        labels = None if self.labels is None else self.labels[index]
        return Batch(self.form(X[index]), labels, index)


FORMS = {
    "tensor": lambda x: x,
    "dict": lambda x: {"a": x, "b": x.long()},
    "mapping": lambda x: UserDict(a=x, b=x.long()),
    "tuple": lambda x: (x, x.long()),
}
ANSWERS = {
    "scores": lambda x: x.sum(1) * 100,
    "values": lambda x: x * 100,
    "vectors at places": lambda x: x[:, :, None] * torch.arange(3.0),
    "maps": lambda x: x[:, :, None, None] * torch.arange(6.0).view(2, 3),
}


def first(inputs):
    if hasattr(inputs, "keys"):
        return inputs["a"]
    return inputs if isinstance(inputs, torch.Tensor) else inputs[0]


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_every_answer_about_every_input_comes_back(form, answer, tmp_path):
    source = Form(form)
    teacher = function(lambda b: answer(first(b.inputs)), says="values", name="f")
    index = torch.tensor([7, 2, 2, 11])
    for kept in (
        cache(teacher, source, tmp_path / "c", batch_size=5, progress=False),
        Cached(tmp_path / "c"),
        record(teacher, source, batch_size=5),
    ):
        assert torch.equal(kept(source.batch(index)), answer(X[index]))


def test_a_live_ranker_and_an_encoder_are_kept(tmp_path):
    class Ranker(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = nn.Linear(4, 1)

        def forward(self, x):
            return self.net(x)[:, 0]

    ranker = freeze(Ranker())
    kept = cache(ranker, (X, None), tmp_path / "r", progress=False)
    at = as_data((X, None)).batch(torch.arange(N))
    assert kept(at).shape == (N,)
    torch.testing.assert_close(kept(at), ranker(at), rtol=1e-3, atol=1e-3)
    exact = cache(ranker, (X, None), tmp_path / "s", signal=keep.dense("float32"), progress=False)
    assert torch.equal(exact(at), ranker(at))


NO_SOFTMAX = {
    "scores": (lambda b: X[b.ids].sum(1), X, None, "one number each"),
    "one output": (lambda b: X[b.ids][:, :1], X, None, "one number each"),
    "values": (function(lambda b: X[b.ids], says="values", name="v"), X, None, "no logits"),
    "binary": (
        function(lambda b: X[b.ids].sigmoid(), says="binary_probabilities", name="v"),
        X,
        None,
        "no logits",
    ),
    "labels that hold together": (
        lambda b: X[b.ids],
        X,
        (X > 0).float(),
        "several may hold at once",
    ),
    "maps by their pictures": (
        lambda b: torch.zeros(len(b.ids), 5, 3, 3),
        torch.randn(N, 1, 3, 3),
        None,
        "classes in front",
    ),
    "smaller maps by their pictures": (
        lambda b: torch.zeros(len(b.ids), 5, 3, 3),
        torch.randn(N, 1, 6, 6),
        None,
        "classes in front",
    ),
    "maps by named pictures": (
        lambda b: torch.zeros(len(b.ids), 5, 3, 3),
        {"pixel_values": torch.randn(N, 1, 3, 3)},
        None,
        "classes in front",
    ),
    "maps by their labels": (
        lambda b: torch.zeros(len(b.ids), 5, 3, 4),
        torch.randn(N, 1, 6, 8),
        torch.zeros(N, 3, 4, dtype=torch.long),
        "classes in front",
    ),
}


@pytest.mark.parametrize("signal", [keep.top_k(2), keep.sampled(20)], ids=["top k", "draws"])
@pytest.mark.parametrize(
    ("teacher", "inputs", "labels", "words"), NO_SOFTMAX.values(), ids=NO_SOFTMAX
)
def test_the_top_of_what_is_no_softmax_is_refused(teacher, inputs, labels, words, signal, tmp_path):
    with pytest.raises(ValueError, match=rf"{words}.*use keep\.dense"):
        cache(
            teacher,
            (inputs, labels),
            tmp_path / "c",
            signal=signal,
            teacher_name="t",
            progress=False,
        )


def test_a_value_that_does_not_fit_is_refused(tmp_path):
    for rows in (torch.tensor([[250_000.0, -1.0]]), torch.tensor([[1.0, -250_000.0]])):
        with pytest.raises(ValueError, match=r"use keep.dense\('float32'\)"):
            keep.dense().encode(rows, 2, torch.arange(1), torch.zeros(1))
    ruled_out = torch.tensor([[1.0, -1e9], [0.0, -torch.inf]])
    keep.dense().encode(ruled_out, 2, torch.arange(2), torch.zeros(2))
    missing = torch.tensor([[0.0, -torch.inf]]).expand(N, 2)
    teacher = function(lambda b: missing[b.ids], says="values", name="m")
    with pytest.raises(FloatingPointError, match="not finite"):
        cache(teacher, (X, None), tmp_path / "c", progress=False)


def test_a_mean_keeps_its_temperature_on_disk(tmp_path):
    data = (X, torch.arange(N) % 3)
    mean = Ensemble([freeze(nn.Linear(4, 3)), freeze(nn.Linear(4, 3))], T=4.0)
    kept = cache(mean, data, tmp_path / "c", progress=False)
    for teacher in (kept, Cached(tmp_path / "c")):
        assert teacher.scored_at == 4.0
        distill(nn.Linear(4, 3), data, teacher=teacher, method=methods.kd(T=4.0), **QUIET)
        with pytest.raises(ValueError, match=r"T = 4\.0"):
            distill(nn.Linear(4, 3), data, teacher=teacher, method=methods.kd(T=2.0), **QUIET)
    with pytest.raises(ValueError, match=r"keeps their softmax at T = 1\.0"):
        cache(mean, data, tmp_path / "d", signal=keep.top_k(2), progress=False)
    cache(mean, data, tmp_path / "d", signal=keep.top_k(2, T=4.0), progress=False)
    plain = cache(freeze(nn.Linear(4, 3)), data, tmp_path / "e", progress=False)
    assert plain.scored_at is None and "scored_at" not in plain.manifest


def test_probabilities_are_not_kept_as_logits(tmp_path):
    def soft(batch):
        return X[batch.ids].softmax(-1)

    with pytest.raises(ValueError, match="look like probabilities"):
        cache(soft, (X, None), tmp_path / "c", teacher_name="soft", progress=False)
    lines = function(soft, says="probabilities", name="soft")
    kept = cache(lines, (X, None), tmp_path / "d", progress=False)
    at = as_data((X, None)).batch(torch.arange(N))
    torch.testing.assert_close(kept(at).softmax(-1), X.softmax(-1), rtol=0, atol=1e-3)


def test_a_regressor_out_of_fold_is_kept_in_full_precision(tmp_path):
    linear = pytest.importorskip("sklearn.linear_model")
    data = (X, X.sum(1) * 1e6)
    teacher = sklearn(linear.LinearRegression(), data, folds=3)
    kept = cache(teacher, data, tmp_path / "c", progress=False)
    at = as_data(data).batch(torch.arange(N))
    torch.testing.assert_close(kept(at), data[1], rtol=1e-4, atol=100.0)


class Rows(Dataset):
    """Rows with inputs by name, for workers to read."""

    def __len__(self):
        return N

    def __getitem__(self, i):
        return {"x": X[i], "labels": int(i) % 3}


class ByName(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.net = nn.Linear(4, 3)

    def forward(self, x):
        return {"out": self.net(x)}


@pytest.mark.slow
def test_workers_read_ahead_for_a_live_teacher(tmp_path):
    teacher = freeze(ByName(), read=lambda out: out["out"])
    alone = cache(teacher, Rows(), tmp_path / "a", batch_size=5, progress=False)
    ahead = cache(teacher, Rows(), tmp_path / "b", batch_size=5, workers=2, progress=False)
    assert alone.identity == ahead.identity
    recorded = record(teacher, Rows(), batch_size=5, workers=2)
    at = as_data(Rows()).batch(torch.arange(N))
    torch.testing.assert_close(recorded(at), teacher(at))
    student = ByName()
    student.forward = lambda x: student.net(x)
    for kept in (ahead, recorded):
        distill(student, Rows(), teacher=kept, **QUIET)
