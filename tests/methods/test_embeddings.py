"""Recipes on embeddings and rankings, through the loop: what is read, what moves, what is kept."""

import copy
from collections import UserDict
from types import MappingProxyType

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from transformers import BatchEncoding

from distill_lab import losses, methods
from distill_lab._util.tensors import Batch, rows_of
from distill_lab.models import MLP, Embedder, Ranker
from distill_lab.models.encoders import embedding_of
from distill_lab.models.projections import Regressor
from distill_lab.teachers import Recorded, cache, freeze, keep, record
from distill_lab.training import distill
from tests.losses.draw import normal

N = 20
SETTINGS = {"epochs": 2, "batch_size": 8, "progress": False, "seed": 3, "lr": 1e-2}


class Encoder(nn.Module):
    """A vector for each token, in an object as Hugging Face's encoders return it."""

    def __init__(self, width, seed, lookup=False):
        super().__init__()
        torch.manual_seed(seed)
        self.table, self.out = nn.Embedding(30, width), nn.Linear(width, width)
        self.drop = nn.Dropout(0.1)

    def forward(self, input_ids, attention_mask=None):
        tokens = self.drop(self.out(self.table(input_ids).tanh()))
        return type("Output", (), {"last_hidden_state": tokens})()


class Rows:
    """A source of dicts, nested as a ranker's inputs are, without labels."""

    def __init__(self, inputs):
        self.whole = Batch(inputs, None, torch.arange(N))

    def __len__(self):
        return N

    def batch(self, index):
        return rows_of(self.whole, index)


def texts(n=N, length=6, seed=0):
    g = torch.Generator().manual_seed(seed)
    ids = torch.randint(1, 30, (n, length), generator=g)
    lengths = torch.randint(2, length + 1, (n, 1), generator=g)
    mask = (torch.arange(length) < lengths).long()
    return {"input_ids": ids * mask, "attention_mask": mask}


@pytest.fixture
def teacher():
    return freeze(Encoder(8, 9))


def by_hand(tokens, mask):
    return torch.stack([t[m.bool()].mean(0) for t, m in zip(tokens, mask, strict=True)])


@pytest.mark.parametrize("kind", ["cosine", "mse", "similarities"])
def test_the_value_is_the_loss_on_vectors_read_by_hand(kind, teacher):
    inputs, student = texts(), Encoder(8, 1).eval()
    batch = Batch(inputs, None, torch.arange(N))
    value = methods.embeddings(kind, read="mean").terms(batch, student, teacher)["embeddings"]
    s, t = (
        by_hand(model(**inputs).last_hidden_state, inputs["attention_mask"])
        for model in (student, teacher.model)
    )
    off = ~torch.eye(N, dtype=torch.bool)
    u, v = F.normalize(s), F.normalize(t)
    expected = {
        "cosine": 1 - (u * v).sum(-1).mean(),
        "mse": F.mse_loss(s, t),
        "similarities": (u @ u.T - v @ v.T)[off].square().mean(),
    }
    torch.testing.assert_close(value, expected[kind])
    value.backward()
    assert student.out.weight.grad.any() and teacher.model.out.weight.grad is None


def test_how_a_vector_is_read_is_blind_to_padding_on_either_side():
    tokens = normal(2, 3, 4)
    mask = torch.ones(2, 3, dtype=torch.long)
    junk = torch.full((2, 2, 4), torch.nan)
    none = torch.zeros(2, 2, dtype=torch.long)
    for read in ("mean", "cls", "last"):
        alone = embedding_of(tokens, {"attention_mask": mask}, read)
        for left in (False, True):
            order = slice(None, None, -1) if left else slice(None)
            padded = torch.cat([tokens, junk][order], 1)
            kept = torch.cat([mask, none][order], 1)
            assert torch.equal(embedding_of(padded, {"attention_mask": kept}, read), alone), read


def test_which_vector_is_meant_is_never_guessed(teacher):
    batch = Batch(texts(), None, torch.arange(N))
    with pytest.raises(ValueError, match=r"expected|has shape \(B, D\).*read='mean'"):
        methods.embeddings().terms(batch, Encoder(8, 1), teacher)
    assert torch.equal(embedding_of(normal(2, 3), None), normal(2, 3))
    named = {"sentence_embedding": normal(2, 3), "token_embeddings": normal(2, 5, 3)}
    assert torch.equal(embedding_of(named, None), normal(2, 3))


def test_another_width_needs_a_regressor_which_learns_beside_the_student(teacher):
    data, student = Rows(texts()), Encoder(4, 1)
    with pytest.raises(ValueError, match=r"regressor=projections.Regressor\(4, 8\)"):
        distill(student, data, teacher=teacher, method=methods.embeddings(read="mean"), **SETTINGS)
    regressor = Regressor(4, 8, seed=2)
    before = regressor.weight.detach().clone()
    method = methods.embeddings("mse", regressor=regressor, read="mean")
    history = distill(student, data, teacher=teacher, method=method, **SETTINGS)
    assert not torch.equal(regressor.weight, before) and history["embeddings"][-1] > 0
    assert not [name for name in student.state_dict() if "weight" in name and "regressor" in name]
    other = methods.embeddings("similarities", read="mean")
    distill(Encoder(3, 1), data, teacher=teacher, method=other, **SETTINGS)


def test_live_recorded_and_cached_teachers_teach_the_same(teacher, tmp_path):
    inputs = texts()
    data = Rows(inputs)
    embedder = freeze(Embedder(copy.deepcopy(teacher.model), "mean"))
    answers = embedder(Batch(inputs, None, torch.arange(N)))
    cached = cache(embedder, data, tmp_path, signal=keep.dense("float32"), progress=False)
    answer = {}
    for name, one in {"live": teacher, "embedder": embedder, "cached": cached}.items():
        student = Encoder(8, 1)
        distill(student, data, teacher=one, method=methods.embeddings(read="mean"), **SETTINGS)
        answer[name] = student.out.weight.detach()
    assert torch.equal(answer["live"], answer["embedder"])
    assert torch.equal(answer["live"], answer["cached"])
    assert answers.shape == (N, 8) and not answers.requires_grad


def test_a_sentence_transformer_is_a_student_as_it_is():
    """It is an nn.Sequential: it takes one dict, writes into it and returns another."""

    class Pool(nn.Module):
        def forward(self, features):
            features["sentence_embedding"] = features["tokens"].mean(1)
            return features

    class Look(nn.Module):
        def __init__(self):
            super().__init__()
            self.table = nn.Embedding(30, 8)

        def forward(self, features):
            features["tokens"] = self.table(features["input_ids"])
            return features

    torch.manual_seed(0)
    student, inputs = nn.Sequential(Look(), Pool()), texts()
    teacher = Recorded(normal(N, 8))
    batch = Batch(inputs, None, torch.arange(N))
    value = methods.embeddings("mse").terms(batch, student, lambda batch: teacher.logits[batch.ids])
    expected = F.mse_loss(student[0].table(inputs["input_ids"]).mean(1), teacher.logits)
    torch.testing.assert_close(value["embeddings"], expected)
    assert set(inputs) == {"input_ids", "attention_mask"}
    kept = record(freeze(student), Rows(inputs))  # and a teacher, whose embeddings are kept
    torch.testing.assert_close(kept.logits, student[0].table(inputs["input_ids"]).mean(1))


def test_examples_weigh_what_the_data_say():
    x, weights = normal(4, 3), torch.tensor([1.0, 0.0, 2.0, 1.0])
    net, t = nn.Identity(), normal(4, 3, seed=1)
    batch = Batch(x, None, torch.arange(4), weights)
    each = (x - t).square().mean(-1)
    value = methods.embeddings("mse").terms(batch, net, lambda batch: t)["embeddings"]
    torch.testing.assert_close(value, (each * weights).sum() / 4)
    assert methods.embeddings("mse").counts(batch) == {"embeddings": 4.0}
    pairs = methods.embeddings("similarities")  # each once: a pair has no weight of its own
    value = pairs.terms(batch, net, lambda batch: t)["embeddings"]
    torch.testing.assert_close(value, losses.similarity_loss(x, t))
    assert pairs.counts(batch) == {"embeddings": 4}


def triples(seed=0):
    return {
        "query": texts(seed=seed),
        "positive": texts(length=9, seed=1),
        "negative": texts(seed=2),
    }


@pytest.mark.parametrize("score", ["dot", "cosine"])
def test_a_bi_encoder_scores_by_the_product_of_its_embeddings(score):
    encoder, inputs = Encoder(8, 1).eval(), triples()
    scores = Ranker(encoder, score=score, read="mean")(**inputs)
    q, p, n = (Embedder(encoder, "mean")(**inputs[k]) for k in ("query", "positive", "negative"))
    if score == "cosine":
        q, p, n = (F.normalize(f) for f in (q, p, n))
    torch.testing.assert_close(scores, torch.stack(((q * p).sum(-1), (q * n).sum(-1)), 1))


def test_a_cross_encoder_scores_pairs_and_candidates_come_in_their_order():
    cross = MLP(5, 7, 1, seed=0)
    pairs = normal(N, 3, 5)
    expected = torch.stack([cross(pairs[:, k]).flatten() for k in range(3)], 1)
    torch.testing.assert_close(Ranker(cross)(candidates=pairs), expected)
    two = Ranker(cross)(positive=pairs[:, 0], negative=pairs[:, 1])
    torch.testing.assert_close(two, expected[:, :2])
    with pytest.raises(ValueError, match="one score a pair"):
        Ranker(MLP(5, 7, 2))(candidates=pairs)


@pytest.mark.parametrize("form", ["margins", "scores", "cached", "cached margins"])
def test_margins_are_learned_from_any_form_of_the_teachers_scores(form, tmp_path):
    inputs = triples()
    judge = freeze(Ranker(Encoder(8, 9), read="mean"))
    scores = judge(Batch(inputs, None, torch.arange(N)))
    given = scores[:, 0] - scores[:, 1] if "margins" in form else scores
    teacher = lambda batch: given[batch.ids]  # noqa: E731
    if "cached" in form:
        kept = {"signal": keep.dense("float32"), "teacher_name": form, "progress": False}
        teacher = cache(teacher, Rows(inputs), tmp_path, **kept)
    student = Ranker(Encoder(4, 1), read="mean")
    method = methods.margin_mse()
    settings = SETTINGS | {"epochs": 30}
    history = distill(student, Rows(inputs), teacher=teacher, method=method, **settings)
    assert history["margin"][-1] < 0.5 * history["margin"][0]
    alone = method.terms(Batch(inputs, None, torch.arange(N)), student.eval(), teacher)["margin"]
    torch.testing.assert_close(alone, losses.margin_mse(student(**inputs), scores))


def test_lists_with_missing_candidates_are_learned_and_counted():
    lists = normal(N, 4, 5)
    mask = torch.arange(4) < torch.tensor([4, 3, 2, 1] * 5)[:, None]
    inputs = {"candidates": lists.masked_fill(~mask[..., None], 0.0), "mask": mask}
    scores = normal(N, 4, seed=3)
    method, student = methods.listwise(T=2.0), Ranker(MLP(5, 16, 1, seed=0))
    batch = Batch(inputs, None, torch.arange(N))
    assert method.counts(batch) == {"listwise": 15}  # a list of one orders nothing
    assert methods.margin_mse().counts(batch) == {"margin": 5 * (3 + 2 + 1)}
    value = method.terms(batch, student, lambda batch: scores[batch.ids])["listwise"]
    expected = 4 * losses.listwise_kl(student(**inputs), scores, T=2.0, mask=mask)
    torch.testing.assert_close(value, expected)
    one_piece, pieces = (copy.deepcopy(student) for _ in range(2))
    for net, cut in ((one_piece, 1), (pieces, 4)):
        settings = SETTINGS | {"epochs": 1, "batch_size": N, "accumulate": cut}
        teacher = lambda batch: scores[batch.ids]  # noqa: E731
        distill(net, Rows(inputs), teacher=teacher, method=method, **settings)
    torch.testing.assert_close(one_piece.model.head.weight, pieces.model.head.weight)


@pytest.mark.parametrize("form", [UserDict, MappingProxyType, BatchEncoding])
def test_candidates_that_are_missing_in_a_mapping_that_is_no_dict_teach_nothing(form):
    mask = torch.arange(4) < torch.tensor([4, 3, 2, 1] * 5)[:, None]
    inputs = {"candidates": normal(N, 4, 5).masked_fill(~mask[..., None], 9.0), "mask": mask}
    scores, student = normal(N, 4, seed=3), Ranker(MLP(5, 16, 1, seed=0))
    features = [("model.hidden.0", "model.hidden.0")]
    hint = methods.match_features("hint", losses.hint_loss, features, weight=1.0)
    judge = freeze(Ranker(MLP(5, 16, 1, seed=1)))
    usual, formed = (Batch(each, None, torch.arange(N)) for each in (inputs, form(inputs)))
    for method, teacher in (
        (methods.listwise(), lambda batch: scores[batch.ids]),
        (methods.margin_mse(), lambda batch: scores[batch.ids]),
        (hint, judge),
    ):
        assert method.counts(formed) == method.counts(usual)
        ours, expected = (method.terms(batch, student, teacher) for batch in (formed, usual))
        torch.testing.assert_close(ours, expected)


def test_an_encoder_that_is_no_ranker_is_told_how_to_become_one(teacher):
    batch = Batch(triples(), None, torch.arange(N))
    with pytest.raises(ValueError, match=r"models.Ranker\(encoder, read='mean'\)"):
        methods.margin_mse().terms(batch, Encoder(8, 1), teacher)


@pytest.mark.parametrize("recipe", ["cosine", "mse", "similarities", "margin", "listwise", "crd"])
def test_no_gradient_reaches_a_teacher_that_was_not_frozen(recipe):
    """A function may answer with a graph; nothing of it is learned."""
    own = nn.Linear(5, 5)
    x = normal(N, 5)
    batch = Batch(x, None, torch.arange(N))
    student = nn.Sequential(nn.Linear(5, 5))
    method = {
        "margin": methods.margin_mse,
        "listwise": methods.listwise,
        "crd": lambda: methods.crd(("0", ""), (5, 5), examples=N, negatives=4),
    }.get(recipe, lambda: methods.embeddings(recipe))()

    class Asked:
        model = own

        def __call__(self, batch):
            return own(batch.inputs)

    (value,) = method.terms(batch, student, Asked()).values()
    value.backward()
    assert student[0].weight.grad.any() and own.weight.grad is None


@pytest.mark.parametrize(
    ("method", "score"),
    [
        (methods.margin_mse, torch.nan),
        (methods.margin_mse, -torch.inf),  # which rules it out of a list, and has no margin
        (methods.listwise, torch.nan),
    ],
)
def test_a_candidate_without_a_score_is_named(method, score):
    """A teacher's without a mask; where a mask says that there is none it may be anything."""
    scores = torch.tensor([[1.0, 0.0, 2.0], [1.0, score, 0.5]])
    data = {"candidates": torch.randn(2, 3, 4)}, None
    settings = {"epochs": 1, "batch_size": 2, "progress": False, "method": method()}

    class Scores(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.head = torch.nn.Linear(4, 1)

        def forward(self, candidates, mask=None):
            return self.head(candidates)[..., 0]

    def teacher(batch):
        return scores[batch.ids]

    with pytest.raises(ValueError, match=r"gives (NaN|-inf) as score to candidate 1 of example 1"):
        distill(Scores(), data, teacher=teacher, **settings)
    masked = {**data[0], "mask": scores.isfinite()}, None
    assert distill(Scores(), masked, teacher=teacher, **settings).steps == 1
