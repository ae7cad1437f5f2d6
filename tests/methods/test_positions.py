"""Which positions count: padding and -100 in every term, examples without a label."""

from collections import UserDict
from functools import partial
from types import MappingProxyType

import pytest
import torch
from torch import nn
from transformers import BatchEncoding

from distill_lab import losses, methods
from distill_lab.data.batches import Batch
from distill_lab.methods.positions import positions
from distill_lab.models import MLP
from distill_lab.models.encoders import embedding_of
from distill_lab.seeds import distill_seeds
from distill_lab.teachers import freeze
from distill_lab.training import distill

LENGTHS = torch.tensor([6, 2, 4, 5, 3, 6])
WIDTH = 6


class Tagger(nn.Module):
    """A class for each token, from its embedding and the mean of the text's."""

    def __init__(self, seed: int, classes: int = 5) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.embed = nn.Embedding.from_pretrained(
            torch.randn(11, 8, generator=generator), freeze=False
        )
        self.score = nn.Linear(8, classes)
        for parameter in self.score.parameters():
            nn.init.normal_(parameter, generator=generator)

    def forward(self, input_ids, attention_mask):
        hidden = self.embed(input_ids)
        kept = attention_mask.unsqueeze(-1)
        return self.score(hidden + (hidden * kept).sum(1, keepdim=True) / kept.sum(1, keepdim=True))


def texts(more: int = 0, junk: int = 0) -> Batch:
    """Six texts, padded by so many positions more, which hold whatever `junk` makes of them."""
    generator = torch.Generator().manual_seed(0)
    ids, labels = (torch.randint(n, (len(LENGTHS), WIDTH), generator=generator) for n in (11, 5))
    kept = torch.arange(WIDTH) < LENGTHS[:, None]
    ids, labels = torch.where(kept, ids, junk), torch.where(kept, labels, -100)
    ids, labels, kept = (
        nn.functional.pad(t, (0, more), value=v)
        for t, v in ((ids, junk), (labels, -100), (kept, False))
    )
    return Batch({"input_ids": ids, "attention_mask": kept.long()}, labels, torch.arange(len(ids)))


STUDENT, TEACHER = Tagger(1), freeze(Tagger(2))


def features(loss):
    return methods.match_features("features", loss, [("embed", "embed")], weight=1.0)


def relations(student, teacher, *, mask=None):
    sides = [(side, side, side) for side in (student, teacher)]
    return losses.minilm_relation_loss(*sides, relation_heads=2, mask=mask)


EVERY = {
    "supervised": methods.supervised(),
    "smoothed": methods.supervised(label_smoothing=0.3),
    "kd": methods.kd(T=2.0, alpha=0.5),
    "kd, standardised": methods.kd(standardize=True),
    "kd without labels": methods.kd(alpha=1.0, mask="attention_mask"),
    "logits": methods.logit_matching(alpha=0.5),
    "dkd": methods.dkd(),
    "dist": methods.dist(),
    "hard": methods.hard_labels(),
    "hint": features(losses.hint_loss),
    "cosine": features(losses.cosine_loss),
    "minilm": features(relations),
    "similarities": features(losses.similarity_preserving_loss),
    "distances": features(losses.rkd_distance_loss),
    "neighbours": features(losses.pkt_loss),
}


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize(("more", "junk"), [(3, 0), (0, 7), (9, 10)])
def test_no_term_sees_padding(name, more, junk):
    """Neither how much of it there is nor what it holds changes a value."""
    method = EVERY[name]
    expected = method.terms(texts(), STUDENT, TEACHER)
    padded = method.terms(texts(more, junk), STUDENT, TEACHER)
    assert padded.keys() == expected.keys() == method.weights.keys()
    for term, value in expected.items():
        torch.testing.assert_close(padded[term], value, msg=f"{name}: {term}")
    assert method.counts(texts(more, junk)) == method.counts(texts())


def test_soft_targets_are_a_mean_over_the_tokens_that_there_are():
    batch = texts()
    student, teacher = (model(**batch.inputs) for model in (STUDENT, TEACHER.model))
    expected = losses.kd_loss(student, teacher, batch.labels, T=2.0, alpha=1.0)
    assert torch.isclose(EVERY["kd"].terms(batch, STUDENT, TEACHER)["kd"], expected)
    assert EVERY["kd"].counts(batch) == {"kd": 26, "ce": 26}
    every = methods.kd(T=2.0, alpha=1.0, mask=None).terms(batch, STUDENT, TEACHER)["kd"]
    assert (every - expected).abs() > 0.01  # or the padding would not have been seen


def test_a_prompt_counts_where_the_attention_mask_is_named():
    batch = texts()
    batch = batch._replace(labels=batch.labels.clone())
    batch.labels[:, 0] = -100
    by_name = {mask: methods.kd(mask=mask) for mask in ("labels", "attention_mask", "auto")}
    counts = {mask: method.counts(batch) for mask, method in by_name.items()}
    assert counts["labels"] == counts["auto"] == {"kd": 20, "ce": 20}
    assert counts["attention_mask"] == {"kd": 26, "ce": 20}
    values = [method.terms(batch, STUDENT, TEACHER)["kd"].item() for method in by_name.values()]
    assert values[0] == values[2] != values[1]


X, Y = torch.randn(8, 4, generator=torch.Generator().manual_seed(3)), torch.arange(8) % 3
SOME = torch.where(torch.arange(8) < 3, Y, -100)
NET, FROZEN = MLP(4, 3, seed=1), freeze(MLP(4, 3, seed=2))


def on(labels, method):
    batch = Batch(X, labels, torch.arange(8))
    return method.terms(batch, NET, FROZEN), method.counts(batch)


def test_an_example_without_a_label_still_learns_from_its_teacher():
    terms, counts = on(SOME, methods.kd())
    whole, _ = on(Y, methods.kd())
    assert torch.equal(terms["kd"], whole["kd"]) and counts == {"kd": 8, "ce": 3}
    assert torch.isclose(terms["ce"], losses.cross_entropy(NET(X[:3]), Y[:3]))
    by_name, counts = on(SOME, methods.kd(mask="labels"))  # but not where that is asked for
    few = losses.kd_loss(NET(X[:3]), FROZEN.model(X[:3]), T=4.0, alpha=1.0)
    assert torch.isclose(by_name["kd"], few) and counts == {"kd": 3, "ce": 3}


@pytest.mark.parametrize("name", ["kd", "logits", "hard", "dist"])
def test_where_no_example_has_a_label_the_teacher_alone_is_learned_from(name):
    terms, counts = on(torch.full_like(Y, -100), EVERY[name])
    (soft,) = terms.keys() - {"ce"}
    assert terms["ce"] == 0 and counts == {soft: 8, "ce": 0}
    assert terms[soft] > 0 and terms[soft].requires_grad


@pytest.mark.parametrize("name", ["supervised", "smoothed", "kd", "dkd", "dist", "hard"])
@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_a_batch_without_a_label_does_not_end_the_run(name, precision):
    """Six labels among 256 examples: of eight batches three or more have none."""
    x = torch.randn(256, 4, generator=torch.Generator().manual_seed(4))
    y = torch.full((256,), -100)
    y[:6] = torch.arange(6) % 3
    student, method = MLP(4, 3, seed=1), EVERY[name]
    settings = {"epochs": 2, "batch_size": 32, "progress": False, "precision": precision}
    teacher = FROZEN if method.needs_teacher else None
    history = distill(student, (x, y), teacher=teacher, method=method, **settings, clip=1.0)
    assert history["ce"].count(0.0) >= 6 and max(history["ce"]) > 0
    assert all(p.isfinite().all() for p in student.parameters())


def test_data_without_any_label_are_refused_where_nothing_else_teaches():
    data, settings = (X, torch.full_like(Y, -100)), {"batch_size": 3, "progress": False}
    for method in (methods.supervised(), methods.supervised(label_smoothing=0.1)):
        with pytest.raises(ValueError, match="a whole epoch has nothing to learn from"):
            distill(MLP(4, 3), data, method=method, **settings)
    assert distill(MLP(4, 3), data, teacher=FROZEN, **settings)["kd"]


def test_where_values_cannot_be_read_a_mean_over_nothing_is_zero():
    """Inside torch.vmap, and on a GPU, where a look would be a wait."""
    logits = torch.stack([X[:, :3], X[:, :3]])
    labels = torch.stack([SOME, torch.full_like(Y, -100)])
    slope, value = torch.vmap(torch.func.grad_and_value(losses.cross_entropy))(logits, labels)
    assert value[0] > 0 and value[1] == 0
    assert slope.isfinite().all() and (slope[1] == 0).all()


def test_seeds_whose_batch_has_no_label_go_on():
    inputs, labels = torch.stack([X, X]), torch.stack([SOME, torch.full_like(Y, -100)])
    settings = {"seeds": [0, 1], "epochs": 2, "batch_size": 4, "progress": False}
    make = partial(MLP, 4, 3)
    runs = distill_seeds(
        lambda seed: make(seed=seed),
        (inputs, labels),
        teacher=FROZEN,
        method=methods.kd(),
        **settings,
    )
    assert runs.terms["ce"].isfinite().all() and (runs.terms["ce"][:, 1] == 0).all()
    assert (runs.terms["kd"] > 0).all()


def test_masks_that_are_not_there_are_refused_in_words():
    with pytest.raises(ValueError, match="mask must be one of"):
        methods.kd(mask="padding")
    with pytest.raises(ValueError, match=r"mask='attention_mask'.*there is none"):
        on(Y, methods.kd(mask="attention_mask"))
    with pytest.raises(ValueError, match=r"mask='attention_mask'.*has shape"):
        pooled = lambda input_ids, attention_mask: STUDENT(input_ids, attention_mask).mean(1)  # noqa: E731
        EVERY["kd without labels"].terms(texts(), pooled, lambda batch: pooled(**batch.inputs))
    squares = features(lambda s, t: (s - t).square().mean())
    with pytest.raises(ValueError, match="has no argument mask="):
        squares.terms(texts(), STUDENT, TEACHER)
    for on_maps in (losses.attention_transfer_loss, losses.nst_loss):
        with pytest.raises(ValueError, match=r"one entry a token.*take the tokens for channels"):
            features(on_maps).terms(texts(), STUDENT, TEACHER)
    whole = methods.match_features(
        "features",
        lambda s, t: (s - t).square().mean(),
        [("embed", "embed")],
        weight=1.0,
        mask=None,
    )
    assert whole.terms(texts(), STUDENT, TEACHER)["features"] > 0


@pytest.mark.parametrize("name", ["smoothed", "kd", "dkd", "logits", "hard", "hint", "cosine"])
def test_pieces_of_texts_take_the_step_of_the_whole_batch(name):
    """Counted over tokens: the pieces have 8, 9 and 9 of them, in two texts each."""

    class Rows:
        def __len__(self):
            return len(LENGTHS)

        def batch(self, index):
            whole = texts()
            inputs = {key: value[index] for key, value in whole.inputs.items()}
            return Batch(inputs, whole.labels[index], index)

    ends = []
    for accumulate in (1, 3):
        student = Tagger(1)
        method, settings = EVERY[name], {"batch_size": 6, "epochs": 3, "progress": False}
        teacher = TEACHER if method.needs_teacher else None
        history = distill(
            student, Rows(), teacher=teacher, method=method, accumulate=accumulate, **settings
        )
        ends.append((history["total"], torch.cat([p.flatten() for p in student.parameters()])))
    (before, whole), (after, cut) = ends
    assert after == pytest.approx(before, rel=1e-5)
    torch.testing.assert_close(cut, whole, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", ["numbers", "yes or no", "points", "torch's own", "torch's added"])
def test_a_mask_of_any_type_leaves_out_the_same(kind):
    plain = texts(more=3)
    kept = plain.inputs["attention_mask"]
    added = torch.zeros(kept.shape).masked_fill(kept == 0, -torch.inf)
    inputs = {
        "numbers": {"attention_mask": kept.to(torch.int8)},
        "yes or no": {"attention_mask": kept.bool()},
        "points": {"attention_mask": kept.double()},
        "torch's own": {"src_key_padding_mask": kept == 0},
        "torch's added": {"key_padding_mask": added},
    }[kind]
    odd = Batch({"input_ids": plain.inputs["input_ids"], **inputs}, None, plain.ids)
    wanted = positions(plain._replace(labels=None), kept.shape)
    assert torch.equal(positions(odd, kept.shape), wanted)


@pytest.mark.parametrize("form", [UserDict, MappingProxyType, BatchEncoding])
@pytest.mark.parametrize("name", ["kd without labels", "hint", "similarities"])
def test_a_mapping_that_is_no_dict_has_its_padding_left_out_too(name, form):
    """As a tokenizer returns one: without a look at its mask a text teaches what is behind it."""
    values = []
    for more in (0, 9):
        batch = texts(more, junk=7)._replace(labels=None)
        formed = batch._replace(inputs=form(batch.inputs))
        values += [EVERY[name].terms(one, STUDENT, TEACHER) for one in (batch, formed)]
        assert EVERY[name].counts(formed) == EVERY[name].counts(batch)
    (term,) = values[0]
    for other in values[1:]:
        torch.testing.assert_close(other[term], values[0][term])


@pytest.mark.parametrize("lowest", [-torch.inf, -1e4, -1.0])
def test_a_mask_that_is_added_to_scores_is_refused(lowest):
    data = texts()
    kept = data.inputs["attention_mask"]
    data.inputs["attention_mask"] = torch.zeros(kept.shape).masked_fill(kept == 0, lowest)
    with pytest.raises(ValueError, match=r"expected 1 at text and 0 at padding, as \(mask == 0\)"):
        positions(data, kept.shape)
    with pytest.raises(ValueError, match="expected 1 at text"):
        embedding_of(torch.zeros(*kept.shape, 2), data.inputs, "mean")


def test_a_mask_of_pairs_says_nothing_of_positions():
    data = texts()
    kept = data.inputs["attention_mask"].bool()
    pairs = (kept[:, None, :, None] & kept[:, None, None]).long()
    data = data._replace(inputs={"input_ids": data.inputs["input_ids"], "attention_mask": pairs})
    assert torch.equal(positions(data, kept.shape), kept)  # by its labels
    for shape in (kept.shape, torch.Size([len(kept), 5])):
        with pytest.raises(ValueError, match="who looks at whom"):
            positions(data._replace(labels=None), shape)
    assert positions(data._replace(labels=None), kept.shape, None) is None
    assert positions(data._replace(labels=None), kept.shape[:1]) is None  # one answer a text


class Unmasked(nn.Module):
    """A tagger that is told of padding by any name, or in a tuple."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.net = Tagger(seed)

    def forward(self, first=None, input_ids=None, **more):
        input_ids = first[0] if input_ids is None else input_ids
        return self.net(input_ids, torch.ones_like(input_ids))


def named_by(name: str):
    batch = texts()
    ids, kept = batch.inputs["input_ids"], batch.inputs["attention_mask"]
    way = {
        "padding_mask": kept == 0,
        "pad_mask": (kept == 0).long(),
        "mask": kept,
        "is_pad": kept == 0,
        "valid": kept.bool(),
        "tgt_key_padding_mask": kept == 0,
        "lengths": LENGTHS,
        "seq_lengths": LENGTHS.int(),
    }
    return (ids, kept.bool()) if name == "tuple" else {"input_ids": ids, name: way[name]}


NAMES = [
    "padding_mask",
    "pad_mask",
    "mask",
    "is_pad",
    "valid",
    "tgt_key_padding_mask",
    "lengths",
    "seq_lengths",
]


@pytest.mark.parametrize("name", [*NAMES, "tuple"])
def test_padding_in_words_that_are_not_known_is_refused_and_not_learned(name):
    inputs, settings = named_by(name), {"epochs": 1, "progress": False, "batch_size": 3}
    teacher = freeze(Unmasked(2))
    hint = methods.match_features("hint", losses.hint_loss, [("net.embed",) * 2], weight=1.0)
    for method in (methods.kd(alpha=1.0), methods.binary_kd(alpha=1.0), hint):
        with pytest.raises(ValueError, match=r"seems to say which of the positions \(3, 6\)"):
            distill(Unmasked(1), (inputs, None), teacher=teacher, method=method, **settings)
    for labels, method in (
        (texts().labels, methods.kd()),
        (None, methods.kd(alpha=1.0, mask=None)),
        (None, methods.match_features("hint", hint_loss_of, [("",) * 2], weight=1.0, mask=None)),
    ):
        distill(Unmasked(1), (inputs, labels), teacher=teacher, method=method, **settings)


def hint_loss_of(student, teacher, mask=None):
    return losses.hint_loss(student, teacher)


@pytest.mark.parametrize("name", ["mask", "lengths", "token_type_ids", "bool_masked_pos"])
def test_what_leaves_nothing_out_and_what_is_no_mask_pass(name):
    batch = texts()
    ids = batch.inputs["input_ids"]
    full = {"mask": torch.ones_like(ids), "lengths": torch.full((len(ids),), WIDTH)}
    inputs = {"input_ids": ids, name: full.get(name, ids > 4)}
    method = methods.kd(alpha=1.0)
    settings = {"epochs": 1, "progress": False, "teacher": freeze(Unmasked(2))}
    assert distill(Unmasked(1), (inputs, None), method=method, **settings).steps == 1
