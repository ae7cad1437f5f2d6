"""Answers by number know their data, their temperature, and what their numbers are."""

import pytest
import torch
from torch import nn
from torch.utils.data import Dataset, TensorDataset

from distill_lab import methods
from distill_lab.seeds import distill_seeds
from distill_lab.teachers import (
    Ensemble,
    OutOfFold,
    Recorded,
    cache,
    freeze,
    function,
    keep,
    record,
    route,
)
from distill_lab.training import distill

X = torch.randn(40, 4, generator=torch.Generator().manual_seed(0))
Y = torch.arange(40) % 3
QUIET = {"epochs": 1, "batch_size": 20, "progress": False}


def network(seed=1):
    torch.manual_seed(seed)
    return freeze(nn.Linear(4, 3))


class Rows(Dataset):
    """Pictures whose content is decided when they are read."""

    def __init__(self, read):
        self.read = read

    def __len__(self):
        return 40

    def __getitem__(self, i):
        return self.read(i), int(Y[i])


FORMS = {
    "tensors": lambda x: (x, Y),
    "a data set": lambda x: TensorDataset(x, Y),
    "rows": lambda x: Rows(lambda i: x[i]),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_a_record_serves_its_own_data_alone(form):
    recorded = record(network(), form(X))
    distill(nn.Linear(4, 3), form(X.clone()), teacher=recorded, **QUIET)
    for other in (X.flip(0), X + 1):
        with pytest.raises(ValueError, match=r"are about other data: example \d+ is not what"):
            distill(nn.Linear(4, 3), form(other), teacher=recorded, **QUIET)
    distill(nn.Linear(4, 3), (X[:30], Y[:30]), teacher=recorded, **QUIET)  # the first of them
    with pytest.raises(ValueError, match="are about other data"):
        distill(nn.Linear(4, 3), (X[10:], Y[10:]), teacher=recorded, **QUIET)
    more = (torch.cat([X, X]), torch.cat([Y, Y]))
    with pytest.raises(ValueError, match="about 40 examples and the data hold 80"):
        distill(nn.Linear(4, 3), more, teacher=recorded, **QUIET)


def test_members_are_held_against_the_data_too():
    recorded, other = record(network(), (X, None)), (X.flip(0), Y)
    for teacher in (
        Ensemble([recorded, network()], T=4.0),
        route({"a": recorded, "b": network()}, by=torch.zeros(40, dtype=torch.long)),
        OutOfFold(lambda part: network(), (X, Y), folds=2, name="a"),
    ):
        distill(nn.Linear(4, 3), (X, Y), teacher=teacher, **QUIET)
        with pytest.raises(ValueError, match="about other data"):
            distill(nn.Linear(4, 3), other, teacher=teacher, **QUIET)
    with pytest.raises(ValueError, match="about other data"):
        record(recorded, other)


def test_many_seeds_hold_a_record_against_their_data():
    recorded = record(network(), (X, None))
    distill_seeds(lambda seed: nn.Linear(4, 3), (X, Y), seeds=[0, 1], teacher=recorded, **QUIET)
    with pytest.raises(ValueError, match="are about other data"):
        distill_seeds(
            lambda seed: nn.Linear(4, 3), (X + 1, Y), seeds=[0, 1], teacher=recorded, **QUIET
        )


def test_labels_may_come_later():
    recorded = record(network(), (X, None))
    distill(nn.Linear(4, 3), (X, Y), teacher=recorded, **QUIET)


@pytest.mark.parametrize(
    "draw",
    [torch.randn_like, lambda x: torch.rand_like(x) - 0.5],
    ids=["the global generator", "another law"],
)
def test_examples_that_change_at_each_reading_are_refused(draw):
    with pytest.raises(ValueError, match="another one each time it is read"):
        record(network(), Rows(lambda i: X[i] + draw(X[i])))


def test_probabilities_are_seen_wherever_logits_are_expected():
    soft = lambda batch: batch.inputs.softmax(-1)[:, :3] * 0 + 1 / 3  # noqa: E731
    data = (X, Y)
    calls = (
        lambda: record(Ensemble([soft, network()]), data),
        lambda: record(soft, data),
        lambda: distill(nn.Linear(4, 3), data, teacher=soft, **QUIET),
        lambda: record(route({"a": soft, "b": network()}, by=Y.clamp_max(1)), data),
        lambda: record(OutOfFold(lambda part: soft, data, folds=2, name="a"), data),
    )
    for call in calls:
        with pytest.raises(ValueError, match=r"look like probabilities"):
            call()
    lines = function(soft, says="probabilities")
    assert record(Ensemble([lines, lines]), data).logits.softmax(-1).allclose(torch.tensor(1 / 3))
    record(function(soft, says="values"), data)  # a mixture of topics, say, is no softmax to mend


def test_a_mean_keeps_its_temperature_however_it_is_kept():
    mean = Ensemble([network(1), network(2)], T=4.0)
    data = (X, Y)
    kept = (mean, record(mean, data), Ensemble([mean, network(3)], T=4.0))
    for teacher in kept:
        assert teacher.scored_at == 4.0
        distill(nn.Linear(4, 3), data, teacher=teacher, method=methods.kd(T=4.0), **QUIET)
        with pytest.raises(ValueError, match=r"T = 4\.0"):
            distill(nn.Linear(4, 3), data, teacher=teacher, method=methods.kd(T=1.0), **QUIET)
    for mix in ("probabilities", "logits"):
        with pytest.raises(ValueError, match=r"at T = 4\.0 .* ensemble mixes them at T = 1"):
            Ensemble([mean, network(3)], mean=mix)
    with pytest.raises(ValueError, match=r"T = 4\.0"):
        distill_seeds(lambda seed: nn.Linear(4, 3), data, seeds=[0, 1], teacher=mean,
                      method=methods.kd(T=1.0), **QUIET)  # fmt: skip


def test_numbers_of_other_kinds_are_recorded():
    scores, vectors = (X.sum(1), X * 1000)
    for answers in (scores, vectors):
        recorded = record(lambda b, answers=answers: answers[b.ids], (X, None))
        assert torch.equal(recorded.logits, answers)
    assert record(lambda b: scores[b.ids], (X, None)).says == "values"
    assert Recorded(scores, says="values").logits.shape == (40,)


def test_inputs_in_a_dict_or_tuple_are_recorded_and_learned():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = nn.Linear(4, 3)

        def forward(self, a, b):
            return self.net(a + b)

    class Pairs(Dataset):
        def __len__(self):
            return 40

        def __getitem__(self, i):
            return {"a": X[i], "b": X[i] * 2}, int(Y[i])

    recorded = record(freeze(Two()), Pairs())
    distill(Two(), Pairs(), teacher=recorded, **QUIET)


@pytest.mark.parametrize("asked", ["method", "ensemble", "routed", "cache"])
def test_one_temperature_in_two_spellings_is_one_wherever_it_is_compared(tmp_path, asked):
    """3 * 0.1 is a little more than 0.3, and 0.31 another one, for a mean that holds at 0.3."""
    mean = Ensemble([network(1), network(2)], T=0.3)

    def compared(T, folder):
        if asked == "method":
            method = methods.kd(T=T)
            distill(nn.Linear(4, 3), (X, Y), teacher=mean, method=method, **QUIET)
        elif asked == "ensemble":
            Ensemble([mean, network(3)], T=T)
        elif asked == "routed":
            by = [i % 2 for i in range(len(X))]
            routed = route({"a": mean, "b": network(3)}, by=torch.tensor(by))
            routed.divergences(nn.Linear(4, 3), (X, Y), T=T)
        else:
            signal = keep.top_k(2, T=T)
            cache(mean, (X, Y), folder, signal=signal, teacher_name="mean", progress=False)

    compared(3 * 0.1, tmp_path / "same")
    with pytest.raises(ValueError, match=r"hold at T = 0\.3 .* at T = 0\.31, where they do not"):
        compared(0.31, tmp_path / "other")


def test_a_record_knows_every_row_that_lies_in_memory():
    """One number of one row, which is none of the few that are looked at in other data."""
    x = torch.randn(400, 4)
    recorded = record(network(), (x, None))
    other = x.clone()
    other[201, 2] += 1
    labels = torch.zeros(400).long()
    run = QUIET | {"teacher": recorded, "method": methods.kd(alpha=1.0)}
    assert distill(nn.Linear(4, 3), (x.clone(), labels), **run).steps == 20
    assert distill(nn.Linear(4, 3), (x[:40], labels[:40]), **run).steps == 2
    with pytest.raises(ValueError, match="example 201 is not what it was"):
        distill(nn.Linear(4, 3), (other, labels), **run)


def test_a_record_of_sparse_rows_is_that_of_the_dense_ones():
    sparse = record(network(), (X.to_sparse(), None))
    assert torch.allclose(sparse.logits, record(network(), (X, None)).logits)
    run = QUIET | {"teacher": sparse, "method": methods.kd(alpha=1.0)}
    assert distill(nn.Linear(4, 3), (X, Y), **run).steps == 2
