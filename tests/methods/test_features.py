"""Recipes on features: one forward each; projections learn beside the student, no part of it."""

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from distill_lab import losses, methods
from distill_lab._util.tensors import Batch
from distill_lab.data.batches import as_data, batches
from distill_lab.data.samplers import InOrder
from distill_lab.models import MLP, Ranker
from distill_lab.models.projections import Regressor, VariationalRegressor
from distill_lab.teachers import freeze, record
from distill_lab.training import distill
from distill_lab.training.checkpoint import load_checkpoint
from tests.training.two_processes import pictures

SETTINGS = {"epochs": 3, "batch_size": 14, "progress": False, "seed": 2}


class Counting(MLP):
    """Counts how often it is asked."""

    asked = 0

    def forward(self, inputs):
        self.asked += 1
        return super().forward(inputs)


def hint(weight=2.0, seed=3, base_method=None):
    return methods.match_features(
        "hint",
        losses.hint_loss,
        [("hidden.0", "hidden.1")],
        weight=weight,
        base_method=base_method,
        regressors=[Regressor(8, 12, seed=seed)],
    )


@pytest.fixture
def teacher():
    return freeze(Counting(6, 16, 12, 2, seed=9))


def test_the_terms_are_those_written_by_hand(teacher):
    student, batch = Counting(6, 8, 2, seed=1), as_data(pictures()).batch(torch.arange(9))
    method = hint(base_method=methods.kd(T=3.0, alpha=0.7))
    result = method.terms(batch, student, teacher)
    assert student.asked == teacher.model.asked == 1  # the taps do not ask again
    inner = student.hidden[0](batch.inputs)
    answer = teacher.model.hidden(batch.inputs)
    regressor = method.projections[0]
    expected = losses.hint_loss(inner, answer.detach(), regressor=regressor)
    torch.testing.assert_close(result["hint"], expected)
    soft = losses.kd_loss(student(batch.inputs), teacher(batch), T=3.0, alpha=1.0)
    torch.testing.assert_close(result["kd"], soft)
    assert method.weights == {"kd": 0.7, "ce": pytest.approx(0.3), "hint": 2.0}
    assert not student._forward_hooks and not teacher.model.hidden[1]._forward_hooks


@pytest.mark.parametrize("base_method", [None, methods.supervised(), methods.kd(alpha=1.0)])
def test_projections_learn_beside_the_student_and_stay_out_of_it(teacher, base_method):
    method, student = hint(base_method=base_method), MLP(6, 8, 2, seed=1)
    names, before = list(student.state_dict()), method.projections[0].weight.detach().clone()
    history = distill(student, pictures(), teacher=teacher, method=method, **SETTINGS)
    assert history["hint"][-1] < history["hint"][0]
    assert not torch.equal(method.projections[0].weight, before)
    assert list(student.state_dict()) == names
    assert all(p.grad is None for p in teacher.model.parameters())


def test_projections_are_clipped_with_the_student(teacher):
    """By hand: one norm over both, as if they were one model."""
    method, student = hint(weight=1e4), MLP(6, 8, 2, seed=1)
    twin, other = hint(weight=1e4), MLP(6, 8, 2, seed=1)
    once = SETTINGS | {"epochs": 1, "clip": 0.1}
    distill(student, pictures(), teacher=teacher, method=method, **once)
    learning = [*other.parameters(), *twin.projections.parameters()]
    optimizer = torch.optim.AdamW(learning, lr=1e-3, weight_decay=0.0, fused=True)
    for _, batch in batches(as_data(pictures()), 14, 2, first=0, last=5):
        optimizer.zero_grad()
        (1e4 * twin.terms(batch, other, teacher)["hint"]).backward()
        nn.utils.clip_grad_norm_(learning, 0.1)
        optimizer.step()
    torch.testing.assert_close(method.projections[0].weight, twin.projections[0].weight)
    torch.testing.assert_close(student.hidden[0][0].weight, other.hidden[0][0].weight)


def test_projections_are_in_the_checkpoint_and_resume_bit_for_bit(teacher, tmp_path):
    path = tmp_path / "run.safetensors"
    full, torn, again = (hint(seed=seed, base_method=methods.kd()) for seed in (3, 3, 8))
    student, other, third = (MLP(6, 8, 2, dropout=0.2, seed=1) for _ in range(3))
    distill(student, pictures(), teacher=teacher, method=full, **SETTINGS)
    stop = [lambda step: step.step == 7]
    halved = SETTINGS | {"checkpoint": path, "callbacks": stop}
    distill(other, pictures(), teacher=teacher, method=torn, **halved)
    groups = load_checkpoint(path).tensors
    assert sorted(groups["projections"]) == ["0.bias", "0.weight"]
    assert not any("projection" in name or name.startswith("0.") for name in groups["student"])
    distill(third, pictures(), teacher=teacher, method=again, checkpoint=path, **SETTINGS)
    assert torch.equal(third.head.weight, student.head.weight)
    assert torch.equal(again.projections[0].weight, full.projections[0].weight)


def wide(features):
    return features.flatten(1)


def pooled(features):
    return features.mean((2, 3))


FEATURES = {
    "at": (losses.attention_transfer_loss, None),
    "nst": (losses.nst_loss, None),
    "cosine": (lambda s, t, regressor: losses.cosine_loss(wide(regressor(s)), wide(t)), "conv"),
    "vid": (losses.vid_loss, "vid"),
    "hint": (losses.hint_loss, "conv"),
    "sp": (lambda s, t: losses.similarity_preserving_loss(wide(s), wide(t)), None),
    "rkd_d": (lambda s, t: losses.rkd_distance_loss(wide(s), wide(t)), None),
    "rkd_a": (lambda s, t: losses.rkd_angle_loss(wide(s), wide(t)), None),
    "cc": (lambda s, t: losses.correlation_congruence_loss(pooled(s), pooled(t)), None),
    "pkt": (lambda s, t: losses.pkt_loss(wide(s), wide(t)), None),
    "crd": (lambda s, t, regressor: losses.crd_loss(pooled(regressor(s)), pooled(t)), "conv"),
}


@pytest.mark.parametrize("term", FEATURES)
def test_every_feature_loss_trains_a_convolutional_student(term):
    """Real maps through real taps: the term falls when it is all that is learned."""
    images = torch.rand(24, 1, 8, 8, generator=torch.Generator().manual_seed(0))

    def net(width, seed):
        torch.manual_seed(seed)
        body = nn.Sequential(nn.Conv2d(1, width, 3), nn.Tanh(), nn.Flatten())
        return body.append(nn.Linear(width * 36, 3))

    loss, kind = FEATURES[term]
    make = {"conv": Regressor, "vid": VariationalRegressor, None: None}[kind]
    made = None if make is None else [make(4, 6, kind="conv1x1", seed=1)]
    method = methods.match_features(term, loss, [("1", "1")], weight=1.0, regressors=made)
    history = distill(
        net(4, 1),
        (images, None),
        teacher=freeze(net(6, 2)),
        method=method,
        epochs=60,
        batch_size=24,
        lr=1e-2,
        progress=False,
    )
    first, last = history[term][0], history[term][-1]
    assert last < first - 0.1 * abs(first), (first, last)


def test_several_pairs_and_several_layers_in_one(teacher):
    def both(student, answer):
        assert [f.shape[-1] for f in student] == [8, 2] and [f.shape[-1] for f in answer] == [16, 2]
        return (student[1] - answer[1]).square().mean()

    layers = ("hidden.0", "head")
    method = methods.match_features("both", both, [(layers, layers)], weight=1.0)
    distill(MLP(6, 8, 2, seed=1), pictures(), teacher=teacher, method=method, **SETTINGS)
    twice = methods.match_features(
        "sp",
        losses.similarity_preserving_loss,
        [("hidden.0", "hidden.0"), ("head", "hidden.1")],
        weight=1.0,
    )
    student, batch = MLP(6, 8, 2, seed=1), as_data(pictures()).batch(torch.arange(9))
    result = twice.terms(batch, student, teacher)["sp"]
    inner, answer = student.hidden[0](batch.inputs), teacher.model.hidden[0](batch.inputs)
    expected = losses.similarity_preserving_loss(inner, answer.detach())
    expected = expected + losses.similarity_preserving_loss(
        student(batch.inputs), teacher.model.hidden(batch.inputs).detach()
    )
    torch.testing.assert_close(result, expected)


def test_what_cannot_be_tapped_is_refused_in_words(teacher):
    data, at = pictures(), losses.similarity_preserving_loss
    method = methods.match_features("sp", at, [("hidden.0", "hidden.0")], weight=1.0)
    with pytest.raises(ValueError, match="use freeze"):
        distill(MLP(6, 8, 2), data, teacher=record(teacher, data), method=method, **SETTINGS)
    with pytest.raises(ValueError, match="function has none: pass the network itself"):
        method.terms(as_data(data).batch(torch.arange(4)), lambda inputs: inputs, teacher)
    pairs = methods.match_features("sp", at, [("0", "0")], weight=1.0)
    tuples, lstm = nn.Sequential(nn.LSTM(6, 8)), freeze(nn.Sequential(nn.LSTM(6, 8)))
    batch = as_data(data).batch(torch.arange(4))
    with pytest.raises(ValueError, match=r"read=lambda output: output\[0\]"):
        pairs.terms(batch, tuples, lstm)
    read = methods.match_features("sp", at, [("0", "0")], weight=1.0, read=lambda out: out[0])
    assert read.terms(batch, tuples, lstm)["sp"] >= 0


@pytest.mark.parametrize(
    ("shapes", "advice"),
    [
        (((4, 3, 6, 6), (4, 5, 6, 6)), r'Regressor\(3, 5, kind="conv1x1"\) for maps'),
        (((4, 3), (4, 5)), r"Regressor\(3, 5\)"),
        (((4, 7, 3), (4, 7, 5)), r"Regressor\(3, 5\)"),
    ],
    ids=["maps", "vectors", "sequences"],
)
def test_advice_on_other_widths_names_the_regressor_that_fits(shapes, advice):
    """Followed to the letter, it has to work: a map of the last axis would map a picture's rows."""
    ours, its = (torch.randn(shape) for shape in shapes)
    with pytest.raises(ValueError, match=advice) as caught:
        losses.hint_loss(ours, its)
    kind = "conv1x1" if "conv1x1" in str(caught.value) else None
    assert losses.hint_loss(ours, its, regressor=Regressor(3, 5, kind=kind)) > 0
    if len(shapes[0]) == 4:
        with pytest.raises(ValueError, match=r"choose the other kind|conv1x1"):
            losses.hint_loss(ours, its, regressor=Regressor(6, 6))


class Parted(MLP):
    """A student whose first layer no gradient reaches."""

    way = "reentrant"

    def forward(self, inputs):
        if not self.training:
            return super().forward(inputs)
        if self.way == "reentrant":
            return self.head(checkpoint(self.hidden, inputs, use_reentrant=True))
        with torch.set_grad_enabled(self.way != "no_grad"):
            features = self.hidden(inputs)
        return self.head(features)


@pytest.mark.filterwarnings("ignore:None of the inputs")
@pytest.mark.parametrize("way", ["no_grad", "reentrant", "frozen"])
@pytest.mark.parametrize("term", ["hint", "crd"])
def test_features_without_a_gradient_teach_the_student_nothing_and_are_refused(way, term):
    """The projection beside it would learn all the same, and the loss would fall."""
    data, student = pictures(), Parted(6, 8, 2)
    student.way = way
    student.hidden.requires_grad_(way != "frozen")
    pair, base = ("hidden.0", "hidden.0"), methods.kd()
    method = {
        "hint": methods.match_features(
            "hint",
            losses.hint_loss,
            [pair],
            weight=1.0,
            base_method=base,
            regressors=[Regressor(8, 12)],
        ),
        "crd": methods.crd(pair, (8, 12), examples=len(data[0]), negatives=4, base_method=base),
    }[term]
    with pytest.raises(ValueError, match=r"'hidden.0' gives features without a gradient"):
        distill(student, data, teacher=freeze(MLP(6, 12, 2)), method=method, **SETTINGS)


@pytest.mark.parametrize("loss", [losses.similarity_preserving_loss, losses.pkt_loss])
def test_what_a_map_adds_to_padding_is_no_part_of_a_relation(loss):
    """A learned bias stands in every position, and examples would be alike by their padding."""

    class Tokens(nn.Module):
        def __init__(self, width):
            super().__init__()
            self.out = nn.Linear(4, width)

        def forward(self, x, attention_mask):
            return self.out(x)

    torch.manual_seed(0)
    student, teacher = Tokens(3), freeze(Tokens(5))
    regressor = Regressor(3, 5)
    nn.init.constant_(regressor.bias, 3.0)
    method = methods.match_features("r", loss, [("out", "out")], weight=1.0, regressors=[regressor])
    x, kept = torch.randn(4, 3, 4), torch.ones(4, 3, dtype=torch.long)
    values = []
    for extra in (1, 40):
        inputs = {
            "x": torch.cat((x, torch.randn(4, extra, 4)), 1),
            "attention_mask": torch.cat((kept, torch.zeros(4, extra, dtype=torch.long)), 1),
        }
        batch = Batch(inputs, None, torch.arange(4))
        values.append(method.terms(batch, student, teacher)["r"])
    torch.testing.assert_close(*values)


class PairReader(nn.Module):
    """A cross-encoder in small: states of each token, and a score of the pair."""

    def __init__(self, seed):
        super().__init__()
        torch.manual_seed(seed)
        self.table, self.score = nn.Embedding(20, 8), nn.Linear(8, 1)

    def forward(self, input_ids, attention_mask):
        states = self.table(input_ids)
        kept = attention_mask.unsqueeze(-1)
        return self.score((states * kept).sum(1) / kept.sum(1)).squeeze(-1)


def pairs_of(more=0, places=0):
    """Two queries with three candidates each, and so much padding and places without one more."""
    ids = torch.randint(1, 20, (2, 3, 5), generator=torch.Generator().manual_seed(0))
    kept = torch.arange(5) < torch.tensor([[5, 3, 4], [2, 5, 5]])[..., None]
    ids, kept = (nn.functional.pad(t, (0, more, 0, places)) for t in (ids, kept))
    ids = ids.masked_fill(~kept, 7)
    there = torch.arange(3 + places) < 3
    kept[:, 3:, 0] = True  # a place without a candidate holds some text
    candidates = {"input_ids": ids, "attention_mask": kept.long()}
    inputs = {"candidates": candidates, "mask": there.expand(2, -1)}
    return Batch(inputs, torch.zeros(2, dtype=torch.long), torch.arange(2))


@pytest.mark.parametrize("loss", [losses.hint_loss, losses.cosine_loss])
def test_of_pairs_padding_and_places_without_a_candidate_are_matched_nowhere(loss):
    student, teacher = Ranker(PairReader(0)), freeze(Ranker(PairReader(1)))
    method = methods.match_features(
        "hint", loss, [("model.table", "model.table")], weight=1.0, base_method=methods.margin_mse()
    )
    values = [
        method.terms(batch, student, teacher)["hint"].item()
        for batch in (pairs_of(), pairs_of(more=4), pairs_of(places=2), pairs_of(3, 1))
    ]
    assert values[1:] == pytest.approx(values[:1] * 3, rel=1e-6)
    counts = [method.counts(batch)["hint"] for batch in (pairs_of(), pairs_of(3, 1))]
    assert counts == [24, 24]


CANDIDATES = torch.randn(6, 3, 5, generator=torch.Generator().manual_seed(3))
THERE = torch.arange(3) < torch.tensor([3, 1, 2, 3, 2, 1])[:, None]
ONE_A_PAIR = [("model.hidden.0", "model.hidden.0")]


@pytest.mark.parametrize("weights", [None, torch.arange(1.0, 7)])
@pytest.mark.parametrize("loss", [losses.hint_loss, losses.similarity_loss])
def test_a_vector_a_pair_is_matched_where_there_is_a_candidate(loss, weights):
    student, teacher = Ranker(MLP(5, 8, 1, seed=0)), freeze(Ranker(MLP(5, 8, 1, seed=1)))
    method = methods.match_features("hint", loss, ONE_A_PAIR, weight=1.0)
    values = []
    for filling in (0.0, 1e6):
        filled = torch.where(THERE[..., None], CANDIDATES, filling)
        batch = Batch({"candidates": filled, "mask": THERE}, None, torch.arange(6), weights)
        values.append(method.terms(batch, student, teacher)["hint"].item())
    assert values[0] == values[1]
    if loss is losses.hint_loss:  # by hand, over the candidates that there are
        hidden = [net.hidden(CANDIDATES[THERE]) for net in (student.model, teacher.model.model)]
        each = (hidden[0] - hidden[1]).square().mean(-1)
        share = torch.ones(6) if weights is None else weights
        share = share[:, None].expand(6, 3)[THERE]
        assert values[0] == pytest.approx(((each * share).sum() / share.sum()).item(), rel=1e-5)


class Pooled(PairReader):
    """A layer of tokens, one that gives a vector a text, and classes."""

    def __init__(self, seed):
        super().__init__(seed)
        self.pool, self.score = nn.Identity(), nn.Linear(8, 3)

    def forward(self, input_ids, attention_mask):
        kept = attention_mask.unsqueeze(-1)
        return self.score(self.pool((self.table(input_ids) * kept).sum(1) / kept.sum(1)))


def cut_and_whole(make, inputs, method, weights=None):
    """The weights after one step of the whole batch, and of the batch in three pieces."""
    for accumulate in (1, 3):
        net = make(0)
        distill(
            net,
            (inputs, None) if weights is None else (inputs, None, weights),
            teacher=freeze(make(1)),
            method=method(),
            steps=1,
            batch_size=6,
            accumulate=accumulate,
            optimizer=lambda parameters: torch.optim.SGD(parameters, 0.1),
            progress=False,
        )
        yield torch.cat([p.detach().flatten() for p in net.parameters()])


LENGTHS = torch.arange(5) < torch.tensor([5, 1, 2, 5, 1, 1])[:, None]
TEXTS = {"input_ids": torch.arange(30).view(6, 5) % 20, "attention_mask": LENGTHS.long()}
EACH = {"input_ids": TEXTS["input_ids"][:, None].repeat(1, 3, 1) + torch.arange(3)[:, None]}
EACH = {"input_ids": EACH["input_ids"] % 20, "attention_mask": LENGTHS[:, None].repeat(1, 3, 1)}


@pytest.mark.parametrize("weights", [None, torch.tensor([5.0, 1, 1, 1, 2, 9])])
@pytest.mark.parametrize(
    ("make", "layer", "inputs"),
    [
        (Pooled, "pool", TEXTS),
        (Pooled, "table", TEXTS),
        (lambda seed: Ranker(MLP(5, 8, 1, seed=seed)), "model.hidden.0", CANDIDATES),
        (lambda seed: Ranker(PairReader(seed)), "model.score", EACH),
        (lambda seed: Ranker(PairReader(seed)), "model.table", EACH),
    ],
    ids=["texts", "tokens", "candidates", "pairs", "tokens of pairs"],
)
def test_a_batch_in_pieces_is_the_step_of_the_whole(make, layer, inputs, weights):
    """A mean over texts is weighed by texts, and one over tokens by tokens."""
    if inputs is not TEXTS:
        inputs = {"candidates": inputs, "mask": THERE}

    def method():
        return methods.match_features("hint", losses.hint_loss, [(layer, layer)], weight=1.0)

    undivided, cut = cut_and_whole(make, inputs, method, weights)
    torch.testing.assert_close(cut, undivided, rtol=1e-5, atol=1e-7)


def test_layers_that_are_counted_differently_are_two_terms():
    def together():
        pairs = [("table", "table"), ("pool", "pool")]
        return methods.match_features("hint", losses.hint_loss, pairs, weight=1.0)

    with pytest.raises(ValueError, match=r"of examples and of tokens.*as base_method= of the othe"):
        list(cut_and_whole(Pooled, TEXTS, together))

    def apart():
        (one, other) = [("table", "table")], [("pool", "pool")]
        base = methods.match_features("tokens", losses.hint_loss, one, weight=1.0)
        return methods.match_features("hint", losses.hint_loss, other, weight=1.0, base_method=base)

    undivided, cut = cut_and_whole(Pooled, TEXTS, apart)
    torch.testing.assert_close(cut, undivided, rtol=1e-5, atol=1e-7)


def test_a_layer_that_runs_for_queries_and_candidates_belongs_to_neither():
    student, teacher = Ranker(MLP(5, 8, 4)), freeze(Ranker(MLP(5, 8, 4, seed=1)))
    method = methods.match_features("hint", losses.hint_loss, ONE_A_PAIR, weight=1.0)
    batch = Batch({"query": CANDIDATES[:, 0], "candidates": CANDIDATES}, None, torch.arange(6))
    with pytest.raises(ValueError, match=r"'model.hidden.0' runs 2 times.*queries and candidates"):
        method.terms(batch, student, teacher)


class Convolved(nn.Module):
    """Maps (B, 8, 6, 6), or signals (B, 8, 6), and scores a position or an example."""

    def __init__(self, seed, width=8, axes=2, dense=False):
        super().__init__()
        torch.manual_seed(seed)
        conv = nn.Conv2d if axes == 2 else nn.Conv1d
        self.maps, self.scores = conv(3, width, 1), conv(width, 4, 1)
        self.dense = dense

    def forward(self, x):
        scores = self.scores(self.maps(x).relu())
        return scores if self.dense else scores.flatten(2).mean(-1)


OF_EXAMPLES = torch.tensor([1.0, 0.0, 2.5, 0.5, 3.0, 1.0, 0.0, 1.0])


@pytest.mark.parametrize("axes", [1, 2])
@pytest.mark.parametrize(
    ("loss", "width"),
    [
        (losses.hint_loss, 8),
        (losses.hint_loss, 5),
        (losses.attention_transfer_loss, 5),
        (losses.nst_loss, 5),
        (losses.cosine_loss, 8),
    ],
    ids=["hint", "hint, mapped", "attention", "nst", "cosine"],
)
def test_examples_weigh_whole_maps_and_not_their_channels(loss, width, axes):
    """By hand: the loss of each example alone, and the mean by weight; of square maps as well."""
    pixels = torch.randn(8, 3, *(6,) * axes, generator=torch.Generator().manual_seed(2))
    student, teacher = Convolved(1, width, axes), freeze(Convolved(2, 8, axes))
    mapped = width != 8 and loss is losses.hint_loss
    regressor = (nn.Conv2d if axes == 2 else nn.Conv1d)(width, 8, 1) if mapped else None
    method = methods.match_features(
        "h", loss, [("maps", "maps")], weight=1.0, regressors=[regressor] if mapped else None
    )
    batch = Batch(pixels, torch.arange(8) % 4, torch.arange(8), OF_EXAMPLES)
    value = method.terms(batch, student, teacher)["h"]
    more = {"regressor": regressor} if mapped else {}
    sides = student.maps(pixels), teacher.model.maps(pixels)
    each = torch.stack([loss(*(side[i : i + 1] for side in sides), **more) for i in range(8)])
    torch.testing.assert_close(value, (each * OF_EXAMPLES).sum() / OF_EXAMPLES.sum())
    assert method.counts(batch) == {"h": OF_EXAMPLES.sum().item()}


VOID = torch.zeros(8, 6, 6, dtype=torch.long)
VOID[0] = -100
UNKNOWN = torch.zeros(8, 6, 6)
UNKNOWN[0] = torch.nan
BASES = {
    "kd": (lambda: methods.kd(axis=1), VOID),
    "logits": (lambda: methods.logit_matching(axis=1), VOID),
    "binary": (
        lambda: methods.binary_kd(alpha=1.0, axis=1),
        UNKNOWN.unsqueeze(1).expand(8, 4, 6, 6),
    ),
    "features of kd": (
        lambda: methods.match_features(
            "first",
            losses.hint_loss,
            [("maps", "maps")],
            weight=1.0,
            base_method=methods.kd(axis=1),
        ),
        VOID,
    ),
}


@pytest.mark.parametrize("accumulate", [1, 4])
@pytest.mark.parametrize("name", BASES)
def test_a_piece_that_counts_nothing_for_the_recipe_still_matches_features(name, accumulate):
    """One picture is void: the pieces of its batch take the step of the whole."""
    base, labels = BASES[name]
    pixels = torch.randn(8, 3, 6, 6, generator=torch.Generator().manual_seed(2))
    teacher, values = freeze(Convolved(2, dense=True)), []
    for pieces in (1, accumulate):
        method = methods.match_features(
            "h", losses.hint_loss, [("maps", "maps")], weight=1.0, base_method=base()
        )
        history = distill(
            Convolved(1, dense=True),
            (pixels, labels),
            teacher=teacher,
            method=method,
            batch_size=4,
            steps=2,
            accumulate=pieces,
            progress=False,
        )
        values.append(history["total"])
    assert values[1] == pytest.approx(values[0], rel=1e-5) and min(values[0]) > 0


def beside(name, base):
    if name == "crd":
        return methods.crd(
            ("maps", "maps"),
            (8, 8),
            examples=8,
            negatives=2,
            base_method=base,
            read=lambda f: f.flatten(2).mean(-1),
        )
    loss = {"relations": losses.pkt_loss, "hint": losses.hint_loss}[name]
    return methods.match_features(name, loss, [("maps", "maps")], weight=1.0, base_method=base)


@pytest.mark.parametrize(
    ("name", "other"), [("crd", None), ("relations", None), ("hint", "relations")]
)
def test_a_batch_that_weighs_nothing_compares_its_examples_all_the_same(name, other):
    pixels = torch.randn(8, 3, 6, 6, generator=torch.Generator().manual_seed(2))
    weights = torch.tensor([0.0] * 4 + [1.0] * 4)
    base = methods.kd() if other is None else beside(other, methods.kd())
    method, student, teacher = beside(name, base), Convolved(1), freeze(Convolved(2))
    batch = Batch(pixels[:4], torch.arange(4), torch.arange(4), weights[:4])
    terms = method.terms(batch, student, teacher)
    zero = {term for term, count in method.counts(batch).items() if not count}
    assert {"kd", "ce"} <= zero == {term for term, value in terms.items() if value == 0}
    history = distill(
        student,
        (pixels, torch.arange(8) % 4, weights),
        teacher=teacher,
        method=method,
        batch_size=4,
        epochs=2,
        progress=False,
    )
    assert history.steps == 4 and max(history["kd"]) > 0


@pytest.mark.parametrize("base", [None, methods.kd()], ids=["alone", "beside kd"])
@pytest.mark.parametrize("loss", [losses.similarity_preserving_loss, losses.rkd_distance_loss])
def test_a_batch_of_texts_without_a_labelled_token_has_nothing_to_compare(loss, base):
    """It is passed over, as by every other term, and nobody is told that a gradient is missing."""
    ids = torch.randint(9, (12, 5), generator=torch.Generator().manual_seed(1))
    tags = ids % 3
    tags[4:8] = -100
    nets = [nn.Sequential(nn.Embedding(9, 6), nn.Linear(6, 3)) for _ in range(2)]
    method = methods.match_features("near", loss, [("0", "0")], weight=1.0, base_method=base)
    settings = {"sampler": InOrder(), "batch_size": 4, "epochs": 1, "progress": False}
    history = distill(nets[0], (ids, tags), teacher=freeze(nets[1]), method=method, **settings)
    assert [value > 0 for value in history["near"]] == [True, False, True]
