"""Independent labels: a sigmoid each, beside plain PyTorch; unknown labels, shapes, pieces."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from distill_lab import losses, methods
from distill_lab.data.batches import Batch
from distill_lab.models import MLP
from distill_lab.signals import top_k
from distill_lab.teachers import cache, freeze, keep, record
from distill_lab.training import distill

GENERATOR = torch.Generator().manual_seed(0)
X = torch.randn(24, 6, generator=GENERATOR)
Y = (torch.rand(24, 4, generator=GENERATOR) < 0.3).float()
STUDENT, TEACHER = MLP(6, 4, seed=1), freeze(MLP(6, 8, 4, seed=2))
SETTINGS = {"epochs": 2, "batch_size": 8, "progress": False}


def batch_of(labels=Y, x=X, weights=None):
    return Batch(x, labels, torch.arange(len(x)), weights)


def plain(z_s, z_t, T):
    """T^2 KL of Bernoullis, from probabilities in float64: sum over labels, mean over examples."""
    p, q = (torch.sigmoid(z.double() / T) for z in (z_t, z_s))
    return T**2 * (p * (p / q).log() + (1 - p) * ((1 - p) / (1 - q)).log()).sum(-1).mean()


@pytest.mark.parametrize("T", [0.5, 1.0, 2.0, 8.0])
def test_the_soft_term_is_the_kl_of_each_label(T):
    z_s, z_t = STUDENT(X), TEACHER.model(X)
    soft = losses.binary_kd_loss(z_s, z_t, T=T, alpha=1.0)
    torch.testing.assert_close(soft.double(), plain(z_s, z_t, T), rtol=1e-4, atol=1e-6)
    both = losses.binary_kd_loss(z_s, z_t, Y, T=T, alpha=0.25)
    hard = F.binary_cross_entropy_with_logits(z_s, Y) * Y.shape[1]  # torch averages over labels too
    torch.testing.assert_close(both, 0.25 * soft + 0.75 * hard)


def test_one_label_is_a_softmax_over_zero_and_the_logit():
    z_s, z_t = torch.randn(5, 1), torch.randn(5, 1)
    pair = [torch.cat((torch.zeros_like(z), z), 1) for z in (z_s, z_t)]
    ours = losses.binary_kd_loss(z_s, z_t, T=3.0, alpha=1.0)
    torch.testing.assert_close(ours, losses.kd_loss(*pair, T=3.0, alpha=1.0))


def test_the_slope_hardly_depends_on_the_temperature():
    """T^2 undoes the 1 / T^2 of the slope, so that alpha means the same at every T."""
    sizes = []
    for T in (4.0, 16.0):
        z = torch.randn(8, 4, generator=torch.Generator().manual_seed(1), requires_grad=True)
        losses.binary_kd_loss(z, torch.zeros(8, 4), T=T, alpha=1.0).backward()
        sizes.append(z.grad.norm().item())
    assert sizes[1] == pytest.approx(sizes[0], rel=0.1)


@pytest.mark.parametrize("unknown", [math.nan, -100.0])
def test_unknown_labels_are_left_out_of_the_labels_term_alone(unknown):
    labels = Y.clone()
    labels[::2, 1] = labels[3] = unknown
    known = ~(labels.isnan() | (labels == -100))
    z = STUDENT(X)
    each = F.binary_cross_entropy_with_logits(z, torch.where(known, labels, 0), reduction="none")
    ours = losses.binary_cross_entropy(z, labels)
    torch.testing.assert_close(ours, 4 * each[known].mean())
    some, every = (methods.binary_kd().terms(batch_of(y), STUDENT, TEACHER) for y in (labels, Y))
    assert torch.equal(some["kd"], every["kd"]) and torch.equal(some["bce"], ours)
    none = methods.binary_kd().terms(batch_of(Y * math.nan), STUDENT, TEACHER)
    assert none["bce"] == 0 and torch.equal(none["kd"], every["kd"])


def test_weights_of_labels_are_those_of_torch():
    pos, per_class = torch.tensor([1.0, 5.0, 2.0, 0.5]), torch.tensor([1.0, 0.0, 3.0, 2.0])
    z = STUDENT(X)
    expected = 4 * F.binary_cross_entropy_with_logits(z, Y, weight=per_class, pos_weight=pos)
    ours = losses.binary_cross_entropy(z, Y, pos_weight=pos, class_weights=per_class)
    torch.testing.assert_close(ours, expected)
    method = methods.supervised(loss="bce", pos_weight=pos, class_weights=per_class.tolist())
    terms = method.terms(batch_of(), STUDENT, None)
    assert list(terms) == ["bce"] and not method.needs_teacher
    torch.testing.assert_close(terms["bce"], expected)


@pytest.mark.parametrize("labels", [Y.long(), Y.bool(), Y.double(), Y.to(torch.uint8)])
def test_multi_hot_labels_of_any_type(labels):
    expected = methods.binary_kd().terms(batch_of(), STUDENT, TEACHER)
    terms = methods.binary_kd().terms(batch_of(labels), STUDENT, TEACHER)
    for name, value in expected.items():
        torch.testing.assert_close(terms[name], value)


@pytest.mark.parametrize("shape", [(24,), (24, 1)])
@pytest.mark.parametrize("squeezed", [False, True])
def test_yes_or_no_with_one_logit(shape, squeezed):
    """Labels and logits (B,) or (B, 1) mean the same, and are never compared crosswise."""

    class Yes(nn.Module):
        def __init__(self, seed):
            super().__init__()
            self.net = MLP(6, 1, seed=seed)

        def forward(self, x):
            return self.net(x).squeeze(-1) if squeezed else self.net(x)

    labels = Y[:, 0].reshape(shape)
    method = methods.binary_kd(T=1.0, alpha=0.5)
    terms = method.terms(batch_of(labels.long()), Yes(1), freeze(Yes(2)))
    z = Yes(1).net(X).squeeze(-1)
    torch.testing.assert_close(terms["bce"], F.binary_cross_entropy_with_logits(z, Y[:, 0]))
    data = (X, labels.long())
    history = distill(Yes(1), data, teacher=freeze(Yes(2)), method=method, **SETTINGS)
    assert history["bce"][-1] < history["bce"][0]


class Maps(nn.Module):
    def __init__(self, classes, behind=False):
        super().__init__()
        self.conv, self.behind = nn.Conv2d(2, classes, 1), behind

    def forward(self, pictures):
        maps = self.conv(pictures)
        return maps.movedim(1, -1) if self.behind else maps


@pytest.mark.parametrize("classes", [1, 3, 5])
def test_sigmoid_maps_with_the_labels_in_front(classes):
    """Most pixels unknown, C = H = W among the cases: the same as with labels behind."""
    pictures = torch.randn(4, 2, 5, 5)
    labels = torch.randint(2, (4, classes, 5, 5))
    labels[:, :, 1:4] = 255
    students = Maps(classes), Maps(classes, behind=True)
    students[1].load_state_dict(students[0].state_dict())
    values = []
    for student, y in zip(students, (labels, labels.movedim(1, -1)), strict=True):
        axis = -1 if student.behind else 1
        method = methods.binary_kd(axis=axis, ignore=255)
        teacher = freeze(Maps(classes, student.behind))
        teacher.model.conv.weight.data.fill_(0.5)
        teacher.model.conv.bias.data.zero_()
        batch = Batch(pictures, y, torch.arange(4))
        values.append((method.terms(batch, student, teacher), method.counts(batch)))
    (front, counted), (behind, recounted) = values
    for name, value in front.items():
        torch.testing.assert_close(value, behind[name])
    assert counted == recounted == {"kd": 40, "bce": 40 * classes}
    if classes == 1:
        flat = Batch(pictures, labels[:, 0], torch.arange(4))
        method = methods.supervised(loss="bce", axis=1, ignore=255)
        torch.testing.assert_close(method.terms(flat, students[0], None)["bce"], front["bce"])
    with pytest.raises(ValueError, match="axis=1"):
        methods.binary_kd().terms(Batch(pictures, labels, torch.arange(4)), students[0], teacher)


@pytest.mark.parametrize("how", ["recorded", "cached", "live"])
def test_teachers_from_memory_and_disk(how, tmp_path):
    teacher = {
        "recorded": lambda: record(TEACHER, (X, Y)),
        "cached": lambda: cache(TEACHER, (X, Y), tmp_path / "c", signal=keep.dense()),
        "live": lambda: TEACHER,
    }[how]()
    student = MLP(6, 4, seed=3)
    history = distill(student, (X, Y), teacher=teacher, method=methods.binary_kd(), **SETTINGS)
    other = MLP(6, 4, seed=3)
    live = distill(other, (X, Y), teacher=TEACHER, method=methods.binary_kd(), **SETTINGS)
    assert history["kd"] == pytest.approx(live["kd"], rel=1e-2)


@pytest.mark.parametrize("alpha", [0.0, 0.5])
def test_pieces_take_the_step_of_the_whole_batch(alpha):
    """Counted over known labels: the pieces have 0 to 32 of them."""
    labels = Y.clone()
    labels[5:14] = math.nan
    labels[20:, 2:] = -100
    ends = []
    for accumulate in (1, 3):
        student = MLP(6, 4, seed=1)
        method = methods.binary_kd(alpha=alpha)
        teacher = TEACHER if alpha else None
        settings = SETTINGS | {"batch_size": 24, "epochs": 3}
        distill(
            student, (X, labels), teacher=teacher, method=method, accumulate=accumulate, **settings
        )
        ends.append(torch.cat([p.flatten() for p in student.parameters()]))
    torch.testing.assert_close(*ends, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("alpha", [0.0, 0.7])
def test_without_labels_the_way_out_is_a_sigmoid(alpha):
    """And not kd, whose softmax would make the labels exclude each other."""
    with pytest.raises(ValueError, match=r"has none.*for example binary_kd\(alpha=1\.0\)"):
        method = methods.binary_kd(alpha=alpha)
        method.terms(Batch(X, None, torch.arange(len(X))), MLP(6, 4), TEACHER)


def test_what_cannot_be_meant_is_refused():
    method = methods.binary_kd()
    with pytest.raises(ValueError, match=r"use kd\(\)"):
        method.terms(batch_of(torch.randint(4, (24,))), STUDENT, TEACHER)
    with pytest.raises(ValueError, match=r"between 0 and 1.*methods.kd"):
        method.terms(batch_of(3 * Y), STUDENT, TEACHER)
    sure = freeze(nn.Sequential(MLP(6, 4, seed=2), nn.Sigmoid()))
    with pytest.raises(ValueError, match=r"torch.logit"):
        distill(MLP(6, 4), (X, Y), teacher=sure, method=method, **SETTINGS)
    few = lambda batch: top_k(TEACHER(batch), 2)  # noqa: E731
    with pytest.raises(TypeError, match="independent labels are scored on all logits"):
        method.terms(batch_of(), STUDENT, few)
    with pytest.raises(ValueError, match="none were given"):
        losses.binary_kd_loss(X, X, alpha=0.0)
    with pytest.raises(ValueError, match="no label is known"):
        losses.binary_cross_entropy(STUDENT(X), Y * math.nan)
    with pytest.raises(ValueError, match="has no use for label_smoothing"):
        methods.supervised(loss="bce", label_smoothing=0.1)
    with pytest.raises(ValueError, match="has no use for pos_weight"):
        methods.supervised(pos_weight=[1.0])
    with pytest.raises(ValueError, match="the data has none"):
        method.terms(batch_of(None), STUDENT, TEACHER)
    assert methods.binary_kd(alpha=1.0).terms(batch_of(None), STUDENT, TEACHER)["kd"] > 0


def test_a_sigmoid_student_learns_what_a_softmax_student_cannot():
    """Two labels that both hold, or neither: the softmax makes them exclude each other."""
    x = torch.randn(200, 4, generator=torch.Generator().manual_seed(3))
    both = (x[:, 0] > 0).float()
    labels = torch.stack((both, both, (x[:, 1] > 0).float()), 1)
    student = MLP(4, 3)
    distill(
        student,
        (x, labels),
        method=methods.supervised(loss="bce"),
        epochs=30,
        batch_size=50,
        lr=0.05,
        progress=False,
    )
    assert ((student(x) > 0) == (labels > 0)).float().mean() > 0.95


def test_infinite_logits_are_finite_losses():
    z = torch.tensor([[math.inf, -math.inf, 0.0]])
    leaf = torch.tensor([[math.inf, -math.inf, 1.0]], requires_grad=True)
    value = losses.binary_kd_loss(leaf, z, torch.tensor([[1.0, 0.0, 1.0]]), T=0.05)
    value.backward()
    assert value.isfinite() and leaf.grad.isfinite().all() and leaf.grad[0, 2] != 0


class OfTokens(nn.Module):
    """A logit for each token of a text."""

    def __init__(self, seed, squeezed):
        super().__init__()
        torch.manual_seed(seed)
        self.logits, self.squeezed = nn.Embedding(9, 1), squeezed

    def forward(self, input_ids, attention_mask):
        logits = self.logits(input_ids)
        return logits.squeeze(-1) if self.squeezed else logits


REAL = torch.arange(5) < torch.tensor([5, 1, 3])[:, None]
OF_TOKENS = torch.where(REAL, torch.arange(15).view(3, 5) % 2, -100)


@pytest.mark.parametrize("labels", [None, OF_TOKENS])
@pytest.mark.parametrize("weights", [None, torch.tensor([1.0, 3.0, 0.5])])
def test_a_logit_for_each_token_leaves_padding_out(labels, weights):
    """Also where it has no axis of its own: tokens are no independent labels of a text."""
    method = methods.binary_kd(alpha=1.0 if labels is None else 0.5)
    values = []
    for squeezed in (False, True):
        for padding in (0, 8):
            ids = torch.where(REAL, torch.arange(15).view(3, 5) % 8, padding)
            inputs = {"input_ids": ids, "attention_mask": REAL.long()}
            batch = Batch(inputs, labels, torch.arange(3), weights)
            student, teacher = OfTokens(1, squeezed), freeze(OfTokens(2, squeezed))
            values.append((method.terms(batch, student, teacher), method.counts(batch)))
    expected, counts = values[0]
    for terms, again in values[1:]:
        assert again == counts
        for name, value in expected.items():
            torch.testing.assert_close(terms[name], value)


def test_as_many_labels_as_a_text_has_tokens_stay_labels_of_the_text():
    """Where they are known at padding, or where the axis is named."""
    labels = (torch.arange(15).view(3, 5) % 2).float()
    inputs = {"input_ids": torch.arange(15).view(3, 5) % 8, "attention_mask": REAL.long()}
    student, teacher = OfTokens(1, True), freeze(OfTokens(2, True))
    ours, theirs = (net(**inputs) for net in (student, teacher.model))
    expected = losses.binary_kd_loss(ours, theirs, T=2.0, alpha=1.0)
    for given, axis in ((labels, None), (labels, -1), (None, -1)):
        method = methods.binary_kd(alpha=1.0, axis=axis)
        value = method.terms(Batch(inputs, given, torch.arange(3)), student, teacher)["kd"]
        torch.testing.assert_close(value, expected)
