"""However a batch is cut, the step is the same; lower precision, the schedule, the modes."""

import json
import math

import pytest
import torch
from safetensors import safe_open
from torch import nn

from distill_lab import methods
from distill_lab.data import InOrder
from distill_lab.data.batches import Batch
from distill_lab.losses import hint_loss, rkd_angle_loss
from distill_lab.models import MLP
from distill_lab.seeds import distill_seeds
from distill_lab.teachers import cache, freeze
from distill_lab.training import distill
from distill_lab.training.optim import lr_at
from tests.training.two_processes import Texts, pictures, run, texts


def flat(net):
    return torch.cat([p.detach().flatten() for p in net.parameters()])


@pytest.mark.parametrize("case", ["kd", "tokens", "hint", "gaps", "tags"])
@pytest.mark.parametrize("accumulate", [2, 5, 16])
def test_accumulation_takes_the_step_of_the_whole_batch(case, accumulate, tmp_path):
    undivided, before, ids = run(case, tmp_path / "whole")
    cut, after, seen = run(case, tmp_path / "cut", accumulate=accumulate)
    torch.testing.assert_close(flat(cut), flat(undivided), rtol=1e-6, atol=1e-6)
    assert after["total"] == pytest.approx(before["total"], rel=1e-5)
    assert sorted(seen) == sorted(ids)


def test_a_mean_of_means_would_be_seen():
    """The mistake itself: pieces with few tokens weigh as much as pieces with many."""
    tokens, labels = texts()
    by_length = (labels != -100).sum(1).argsort()
    tokens, labels = tokens[by_length], labels[by_length]
    half = len(tokens) // 2
    net, method = Texts(1), methods.tokens(alpha=0.0)

    def term(rows):
        ids = torch.arange(len(tokens))[rows]
        return method.terms(Batch(tokens[rows], labels[rows], ids), net, None)["ce"]

    undivided = term(slice(None)).item()
    means = (term(slice(half)).item() + term(slice(half, None)).item()) / 2
    counts = [method.count(Batch(None, part, None)) for part in (labels[:half], labels[half:])]
    pieces = (slice(half), slice(half, None))
    weighed = sum(n * term(p).item() for n, p in zip(counts, pieces, strict=True)) / sum(counts)
    assert weighed == pytest.approx(undivided, rel=1e-6)
    assert abs(means - undivided) > 0.01


def test_a_piece_without_a_label_is_left_out_and_a_batch_without_is_refused():
    tokens, labels = texts()
    labels[:8] = -100
    net = Texts(1)
    settings = {"method": methods.tokens(alpha=0.0), "batch_size": 37, "progress": False}
    history = distill(net, (tokens, labels), epochs=1, accumulate=37, **settings)
    undivided = distill(Texts(1), (tokens, labels), epochs=1, **settings)
    assert history["ce"] == pytest.approx(undivided["ce"], rel=1e-6)
    with pytest.raises(ValueError, match="a whole epoch has nothing to learn from"):
        distill(net, (tokens, torch.full_like(labels, -100)), epochs=1, **settings)


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_lower_precision_stays_near_and_keeps_the_weights_in_float32(precision, tmp_path):
    data, teacher = pictures(), freeze(MLP(6, 16, 2, seed=9))
    seen = []

    class Student(MLP):
        def forward(self, inputs):
            logits = super().forward(inputs)
            seen.append(logits.dtype)
            return logits

    settings = {"teacher": teacher, "epochs": 4, "batch_size": 16, "progress": False, "clip": 1.0}
    full, lower = MLP(6, 8, 2, seed=1), Student(6, 8, 2, seed=1)
    before = distill(full, data, **settings)
    path = tmp_path / "run.safetensors"
    after = distill(lower, data, precision=precision, checkpoint=path, **settings)
    assert seen[0] == {"bf16": torch.bfloat16, "fp16": torch.float16}[precision]
    assert {p.dtype for p in lower.parameters()} == {torch.float32}
    assert after["total"][0] == pytest.approx(before["total"][0], rel=0.02)
    assert after["total"][-1] == pytest.approx(before["total"][-1], rel=0.1)
    with pytest.raises(ValueError, match="precision: "):
        distill(lower, data, checkpoint=path, **settings)


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_lower_precision_resumes_bit_for_bit_with_its_scaler(precision, tmp_path):
    data, path = pictures(), tmp_path / "run.safetensors"
    settings = {"epochs": 4, "batch_size": 16, "progress": False, "precision": precision}
    undivided, torn, again = (MLP(6, 8, 2, dropout=0.2, seed=1) for _ in range(3))
    distill(undivided, data, **settings)
    distill(torn, data, checkpoint=path, callbacks=[lambda s: s.step == 9], **settings)
    distill(again, data, checkpoint=path, **settings)
    assert torch.equal(flat(undivided), flat(again))


def test_the_learning_rate_follows_its_schedule():
    rates = []
    distill(
        MLP(6, 2),
        pictures(),
        epochs=4,
        batch_size=14,
        lr=0.5,
        schedule="cosine",
        warmup=4,
        progress=False,
        callbacks=[lambda step: rates.append(step.lr)],
    )
    by_hand = [0.5 * (i + 1) / 4 for i in range(4)]
    by_hand += [0.25 * (1 + math.cos(math.pi * i / 16)) for i in range(16)]
    assert rates == pytest.approx(by_hand)
    assert lr_at(19, 20, 1.0, schedule="linear") == pytest.approx(0.05)
    assert lr_at(19, 20, 1.0) == 1.0


def test_a_submodule_its_owner_put_in_eval_mode_stays_there():
    images = torch.randn(12, 1, 8, 8), torch.arange(12) % 3
    torch.manual_seed(0)
    net = nn.Sequential(nn.BatchNorm2d(1), nn.Flatten(), nn.Linear(64, 3))
    net[0].eval()
    frozen_mean = net[0].running_mean.clone()
    distill(net, images, epochs=2, batch_size=6, progress=False)
    assert torch.equal(net[0].running_mean, frozen_mean) and not net[0].training and net[2].training
    net.eval()  # the whole student in eval mode: it is put into training mode, and back
    distill(net, images, epochs=1, batch_size=6, progress=False)
    assert not torch.equal(net[0].running_mean, frozen_mean) and not net[2].training


def test_settings_travel_as_plain_values(tmp_path):
    path = tmp_path / "run.safetensors"
    distill(MLP(6, 2), pictures(), epochs=1, progress=False, checkpoint=path)
    with safe_open(path, "pt") as file:
        facts = json.loads(file.metadata()["facts"])
    assert facts["step"] == 2 and facts["settings"]["processes"] == 1
    assert facts["settings"]["teacher"] == "NoneType"


class Unlabelled(nn.Module):
    """Answers a text at every position, or once."""

    def __init__(self, once: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.table, self.head, self.once = nn.Embedding(9, 6), nn.Linear(6, 3), once

    def forward(self, input_ids, attention_mask):
        states = self.table(input_ids)
        return self.head(states.mean(1) if self.once else states)


@pytest.mark.parametrize("once", [False, True])
@pytest.mark.parametrize("mask", ["auto", None])
@pytest.mark.parametrize("accumulate", [3, 12])
def test_texts_without_labels_are_counted_as_they_are_answered(once, mask, accumulate):
    generator = torch.Generator().manual_seed(0)
    lengths = torch.randint(1, 8, (12, 1), generator=generator)
    attention = (torch.arange(8) < lengths).long()
    ids = torch.randint(0, 9, (12, 8), generator=generator)
    data = {"input_ids": ids, "attention_mask": attention}, None
    torch.manual_seed(1)
    teacher = Unlabelled(once)
    teacher.head = nn.Linear(6, 3)
    settings = {"teacher": freeze(teacher), "method": methods.kd(alpha=1.0, mask=mask)}
    settings |= {"batch_size": 12, "steps": 2, "progress": False, "lr": 1e-2}
    undivided, cut = Unlabelled(once), Unlabelled(once)
    before = distill(undivided, data, **settings)
    after = distill(cut, data, accumulate=accumulate, **settings)
    torch.testing.assert_close(flat(cut), flat(undivided), rtol=1e-5, atol=1e-6)
    assert after["kd"] == pytest.approx(before["kd"], rel=1e-5)


def test_a_method_of_a_run_in_pieces_is_as_it_was_in_the_next(tmp_path):
    """In pieces every position has to be answered; a whole batch may hold some that are not."""
    attention = (torch.arange(8) < torch.tensor([[8], [3], [5], [2]])).long()
    ids = torch.arange(32).view(4, 8) % 9
    data = {"input_ids": ids, "attention_mask": attention}, None
    torch.manual_seed(1)
    teacher = cache(freeze(Unlabelled(False)), data, tmp_path / "answers", progress=False)
    method = methods.kd(alpha=1.0, mask=None)

    def learn(accumulate):
        run = {"teacher": teacher, "method": method, "accumulate": accumulate, "batch_size": 4}
        try:
            return distill(Unlabelled(False), data, steps=1, progress=False, **run)["kd"]
        except ValueError as error:
            return str(error)

    first = learn(1)
    assert "no answer" not in str(first)
    for _ in range(2):
        assert "the teacher has no answer at" in learn(2)
        assert learn(1) == first


class Pooled(nn.Module):
    """Tags of tokens, and a layer that sees each text as a whole."""

    def __init__(self, seed):
        super().__init__()
        torch.manual_seed(seed)
        self.table, self.head, self.pool = nn.Embedding(9, 6), nn.Linear(6, 3), nn.Linear(6, 4)

    def forward(self, input_ids, attention_mask):
        states = self.table(input_ids)
        return self.head(states) + self.pool(states.mean(1)).sum(-1)[:, None, None]


def test_a_first_batch_without_a_label_teaches_what_needs_none():
    attention, ids = torch.ones(8, 5).long(), torch.arange(40).view(8, 5) % 9
    labels = torch.full((8, 5), -100)
    labels[4:] = ids[4:] % 3
    method = methods.match_features(
        "pooled", hint_loss, [("pool", "pool")], weight=1.0, base_method=methods.supervised()
    )
    history = distill(
        Pooled(0), ({"input_ids": ids, "attention_mask": attention}, labels),
        teacher=freeze(Pooled(1)), method=method, sampler=InOrder(), batch_size=4, epochs=1,
        progress=False,
    )  # fmt: skip
    assert history["pooled"][0] > 0 and history["ce"][0] == 0 < history["ce"][1]


ROWS = torch.randn(33, 6, generator=torch.Generator().manual_seed(0)), torch.arange(33) % 3


def normed(seed):
    return MLP(6, 8, 3, batch_norm=True, seed=seed)


@pytest.mark.parametrize("many", [False, True])
@pytest.mark.parametrize("method", [None, methods.dist()])
def test_a_last_batch_of_one_is_met_before_the_first_step_and_may_be_dropped(many, method):
    """By batch statistics, or by terms that compare examples with each other."""

    def make(seed):
        return normed(seed) if method is None else MLP(6, 3, seed=seed)

    steps = []
    settings = {"method": method, "batch_size": 32, "epochs": 2}
    if method is not None:
        settings["teacher"] = freeze(MLP(6, 3, seed=9))

    def go(**more):
        if many:
            runs = distill_seeds(make, ROWS, seeds=[0, 1], **settings, **more)
            return len(next(iter(runs.terms.values())))
        more |= {"callbacks": [steps.append], "progress": False}
        return distill(make(0), ROWS, **settings, **more).steps

    with pytest.raises(ValueError, match=r"leave a piece of 1, and .*drop_last=True"):
        go()
    assert not steps and go(drop_last=True) == 2


ANGLES = methods.match_features(
    "angles", rkd_angle_loss, [("hidden.0", "hidden.0")], weight=1.0, base_method=methods.kd()
)


@pytest.mark.parametrize("accumulate", [1, 5])
def test_an_angle_has_three_ends(accumulate):
    """Of two examples that are left there is none: said before the first step, not at the last."""
    data = ROWS[0][:32], ROWS[1][:32]
    settings = {"method": ANGLES, "teacher": freeze(MLP(6, 5, 3, seed=9)), "epochs": 1}
    settings |= {"batch_size": 10, "progress": False}
    words = r"leave a piece of [12], and method kd.* compares examples"
    with pytest.raises(ValueError, match=words):
        distill(MLP(6, 5, 3), data, accumulate=accumulate, **settings)
    with pytest.raises(ValueError, match=words):
        distill_seeds(lambda seed: MLP(6, 5, 3, seed=seed), data, seeds=[0, 1], **settings)


class Numbers:
    """The first so many examples of each epoch."""

    def __init__(self, many):
        self.many = many

    def order(self, examples, seed, epoch):
        return torch.arange(self.many)


class Scaled(nn.Module):
    """Statistics of the batch without a layer that says so."""

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(6, 3)

    def forward(self, x):
        return nn.functional.batch_norm(self.head(x), None, None, training=self.training)


MAPPED = nn.Sequential(nn.Linear(8, 5), nn.BatchNorm1d(5))
HINT = methods.match_features(
    "hint", hint_loss, [("hidden.0", "hidden.0")], weight=1.0, regressors=[MAPPED]
)


@pytest.mark.parametrize(
    ("make", "rows", "more"),
    [
        (lambda: normed(0), 32, {"sampler": Numbers(9)}),
        (lambda: torch.compile(normed(0), backend="eager"), 33, {}),
        (lambda: MLP(6, 8, 3), 33, {"method": HINT, "teacher": freeze(MLP(6, 5, 3))}),
    ],
    ids=["a sampler's own length", "compiled", "a projection"],
)
def test_who_leaves_one_example_to_batch_statistics_is_told_before_the_first_step(make, rows, more):
    student, mapped = make(), [value.clone() for value in MAPPED.state_dict().values()]
    before = flat(student)
    with pytest.raises(ValueError, match=r"leave a piece of 1, and batch statistics need more"):
        distill(student, (ROWS[0][:rows], ROWS[1][:rows]), batch_size=8, progress=False, **more)
    assert torch.equal(before, flat(student)) and not student.hidden[0][0].weight.grad
    assert all(map(torch.equal, mapped, MAPPED.state_dict().values()))


def test_an_example_that_is_alone_in_its_step_is_named():
    with pytest.raises(ValueError, match=r"example \d+ was alone in its batch.*drop_last=True"):
        distill(Scaled(), ROWS, batch_size=8, progress=False)


@pytest.mark.parametrize("case", ["statistics that stand still", "steps that end before", "kept"])
def test_one_example_is_learned_from_where_nothing_needs_more(case):
    student, more = normed(0), {"epochs": 1}
    if case == "statistics that stand still":
        student.hidden[0][1].eval()
    elif case == "steps that end before":
        more = {"steps": 3}
    else:
        more["sampler"] = Numbers(32)
    before = [value.clone() for value in student.hidden[0][1].buffers()]
    distill(student, ROWS, batch_size=8, progress=False, **more)
    still = all(map(torch.equal, before, student.hidden[0][1].buffers()))
    assert still == (case == "statistics that stand still")


def test_one_text_has_positions_enough_to_be_compared():
    tokens, labels = texts()
    teacher = freeze(Texts(2))
    history = distill(
        Texts(1),
        (tokens[:5], labels[:5]),
        teacher=teacher,
        method=methods.dist(),
        batch_size=4,
        steps=2,
        progress=False,
    )
    assert history.steps == 2


class OfTokens(nn.Module):
    """So many numbers a token, with or without an axis of their own; or so many a text."""

    def __init__(self, many, seed, *, squeezed=False, once=False):
        super().__init__()
        torch.manual_seed(seed)
        self.table, self.head = nn.Embedding(20, 8), nn.Linear(8, many)
        self.squeezed, self.once = squeezed, once

    def forward(self, input_ids, attention_mask=None):
        numbers = self.head(self.table(input_ids))
        numbers = numbers.mean(1) if self.once else numbers
        return numbers.squeeze(-1) if self.squeezed else numbers

    def all_logits(self, inputs):
        return self(**inputs), self(**inputs) * 0.5


class OfPixels(nn.Module):
    def __init__(self, many, seed):
        super().__init__()
        torch.manual_seed(seed)
        self.scores = nn.Conv2d(3, many, 1)

    def forward(self, pixel_values):
        return self.scores(pixel_values)


class TwoHeads(OfTokens):
    """A pair in training, their mean after it, as timm has it."""

    def forward(self, input_ids, attention_mask=None):
        scores = super().forward(input_ids)
        return (scores, scores.square()) if self.training else scores


SEEN = torch.Generator().manual_seed(5)
TOKENS = torch.randint(1, 20, (8, 6), generator=SEEN)
REAL = torch.arange(6) < torch.tensor([6, 1] * 4)[:, None]
PADDED = {"input_ids": TOKENS, "attention_mask": REAL.long()}
MIXED = torch.randn(8, 6, 5, generator=SEEN).softmax(-1)
YES = torch.where(REAL, torch.rand(8, 6, generator=SEEN).round(), torch.nan)
PIXELS = torch.rand(8, 4, 4, generator=SEEN).round()
PIXELS[::2, 1:] = PIXELS[1] = torch.nan
PIXEL_VALUES = {"pixel_values": torch.randn(8, 3, 4, 4, generator=SEEN)}
OF_TEXTS = torch.arange(8) % 5

# how both models are made, the inputs, the labels, the method
CUT = {
    "probabilities, kd": (lambda s: OfTokens(5, s), PADDED, MIXED, methods.kd),
    "probabilities, labels": (lambda s: OfTokens(5, s), PADDED, MIXED, methods.supervised),
    "a number a token": (
        lambda s: OfTokens(1, s, squeezed=True),
        PADDED,
        None,
        lambda: methods.regression(alpha=1.0),
    ),
    "means and variances a token": (
        lambda s: OfTokens(2, s),
        PADDED,
        None,
        lambda: methods.regression("gaussian_nll", alpha=1.0),
    ),
    "yes or no a token": (lambda s: OfTokens(1, s), {"input_ids": TOKENS}, YES, methods.binary_kd),
    "yes or no, squeezed": (
        lambda s: OfTokens(1, s, squeezed=True),
        PADDED,
        YES,
        methods.binary_kd,
    ),
    "yes or no a pixel": (
        lambda s: OfPixels(1, s),
        PIXEL_VALUES,
        PIXELS,
        lambda: methods.binary_kd(axis=1),
    ),
    "labels of texts, answers of tokens": (
        lambda s: OfTokens(5, s),
        PADDED,
        OF_TEXTS,
        lambda: methods.kd(alpha=1.0),
    ),
    "quantities of texts, answers of tokens": (
        lambda s: OfTokens(5, s),
        PADDED,
        OF_TEXTS.float(),
        lambda: methods.kd(alpha=1.0),
    ),
    "peers": (
        lambda s: OfTokens(5, s),
        PADDED,
        None,
        lambda: methods.mutual(methods.kd(alpha=1.0)),
    ),
    "exits": (
        lambda s: OfTokens(5, s),
        PADDED,
        MIXED,
        lambda: methods.early_exits(methods.kd(alpha=1.0)),
    ),
    "two heads": (
        lambda s: TwoHeads(5, s),
        PADDED,
        MIXED,
        lambda: methods.distillation_token(methods.kd(alpha=1.0)),
    ),
    "beside features": (
        lambda s: OfTokens(5, s),
        PADDED,
        None,
        lambda: methods.match_features(
            "hint", hint_loss, [("table", "table")], weight=1.0, base_method=methods.kd(alpha=1.0)
        ),
    ),
}


def trained(name, student, **settings):
    make, inputs, labels, method = CUT[name]
    method, net = method(), make(9)
    if isinstance(net, TwoHeads):
        net = OfTokens(5, 9)  # a teacher has one
    return distill(
        student,
        (inputs, labels),
        teacher=freeze(net) if method.needs_teacher else None,
        method=method,
        batch_size=8,
        optimizer=lambda parameters: torch.optim.SGD(parameters, 0.1),
        progress=False,
        shares_every=0,
        **settings,
    )


@pytest.mark.parametrize("accumulate", [2, 8])
@pytest.mark.parametrize("name", CUT)
def test_the_first_step_is_that_of_the_whole_batch_wherever_positions_lie(name, accumulate):
    students = [CUT[name][0](1) for _ in range(2)]
    before = trained(name, students[0], steps=1)
    after = trained(name, students[1], steps=1, accumulate=accumulate)
    torch.testing.assert_close(flat(students[1]), flat(students[0]), rtol=1e-6, atol=1e-6)
    assert after["total"] == pytest.approx(before["total"], rel=1e-6)


@pytest.mark.parametrize("name", CUT)
def test_a_run_in_pieces_is_resumed_bit_for_bit_wherever_positions_lie(name, tmp_path):
    path, settings = tmp_path / "run.safetensors", {"steps": 4, "accumulate": 3}
    undivided, torn, again = (CUT[name][0](1) for _ in range(3))
    trained(name, undivided, **settings)
    stop = [lambda step: step.step == 2]
    trained(name, torn, checkpoint=path, callbacks=stop, **settings)
    trained(name, again, checkpoint=path, **settings)
    assert torch.equal(flat(undivided), flat(again))
    assert not torch.equal(flat(torn), flat(again))


def test_a_run_that_is_resumed_at_a_lone_last_text_counts_the_rest_as_before(tmp_path):
    """The batch that a resumed run begins with need not be one that can be cut."""
    path = tmp_path / "run.safetensors"
    make = CUT["peers"][0]
    undivided, torn, again = (make(1) for _ in range(3))
    data = {name: part[:7] for name, part in PADDED.items()}, None
    settings = {"teacher": freeze(make(9)), "batch_size": 6, "epochs": 3, "accumulate": 3}
    settings |= {"progress": False, "lr": 0.1}

    def go(student, **more):
        distill(student, data, method=methods.kd(alpha=1.0), **settings, **more)

    go(undivided)
    go(torn, checkpoint=path, callbacks=[lambda step: step.step == 1])
    go(again, checkpoint=path)
    assert torch.equal(flat(undivided), flat(again))
