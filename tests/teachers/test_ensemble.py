"""Several teachers as one: means in log space, weights by confidence, disagreement in words."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from distill_lab import losses, methods
from distill_lab.data.batches import Batch, as_data
from distill_lab.models import MLP
from distill_lab.signals import Dense, top_k
from distill_lab.teachers import Ensemble, Live, Recorded, as_teacher, freeze
from distill_lab.training import distill

X = torch.randn(12, 4, generator=torch.Generator().manual_seed(0))
Y = torch.arange(12) % 3
BATCH = as_data((X, Y)).batch(torch.arange(12))


def net(seed):
    return freeze(MLP(4, 3, seed=seed))


def noise(*shape, seed=0, scale=2.0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)) * scale


class Says:
    """A teacher that has its answer ready."""

    def __init__(self, answer):
        self.answer = answer

    def __call__(self, batch):
        return self.answer


def softmax(z):
    e = np.exp(z - z.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


@pytest.mark.parametrize("T", [1.0, 4.0])
@pytest.mark.parametrize("weights", [None, [3.0, 1.0], "entropy", "max_probability"])
@pytest.mark.parametrize("shape", [(5, 3), (2, 4, 3)], ids=["rows", "tokens"])
def test_the_mean_equals_its_oracle(shape, weights, T):
    answers = [noise(*shape, seed=1), noise(*shape, seed=2)]
    p = np.stack([softmax(z.double().numpy() / T) for z in answers])
    if weights is None:
        w = np.full(p.shape[:-1], 0.5)
    elif weights == "entropy":
        w = np.exp((p * np.log(p)).sum(-1))
    elif weights == "max_probability":
        w = p.max(-1)
    else:
        w = np.broadcast_to(np.array(weights).reshape(2, *[1] * (len(shape) - 1)), p.shape[:-1])
    w = (w / w.sum(0))[..., None]
    members = [Says(z) for z in answers]

    mean = Ensemble(members, weights=weights, T=T)(BATCH)
    np.testing.assert_allclose(softmax(mean.double().numpy() / T), (w * p).sum(0), rtol=1e-5)
    product = Ensemble(members, mean="logits", weights=weights, T=T)(BATCH)
    z = np.stack([z.double().numpy() for z in answers])
    np.testing.assert_allclose(product, (w * z).sum(0), rtol=1e-4, atol=1e-5)

    apart = Ensemble(members, weights=weights, T=T).disagreement(BATCH)
    mixed = (w * p).sum(0)
    expected = (w[..., 0] * (p * np.log(p / mixed)).sum(-1)).sum(0)
    np.testing.assert_allclose(apart.jsd, expected, rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(apart.differs, p[0].argmax(-1) != p[1].argmax(-1))


class Maps(nn.Module):
    """Scores of pictures (B, 2, H, W), or of signals (B, 2, L), classes in front."""

    def __init__(self, seed, axes=2, stride=1):
        super().__init__()
        torch.manual_seed(seed)
        conv = nn.Conv2d if axes == 2 else nn.Conv1d
        self.conv = conv(2, 4, stride, stride=stride)

    def forward(self, x):
        return 3 * self.conv(x)


MAPS = {  # inputs, the positions of an answer, and labels, which alone may say what the axes are
    "pictures": (noise(2, 2, 8, 8), (8, 8), None),
    "as many classes as columns": (noise(2, 2, 4, 4), (4, 4), None),
    "smaller maps": (noise(2, 2, 12, 12), (6, 6), None),
    "signals": (noise(2, 2, 8), (8,), None),
    "labelled": (noise(2, 2, 6), (6,), torch.zeros(2, 6, dtype=torch.long)),
}


@pytest.mark.parametrize("weights", [None, [3.0, 1.0], "entropy", "max_probability"])
@pytest.mark.parametrize("name", MAPS)
def test_classes_in_front_are_mixed_over_the_classes(name, weights):
    x, shape, labels = MAPS[name]
    a, b = (freeze(Maps(seed, len(shape), x.shape[2] // shape[0])) for seed in (1, 2))
    batch = Batch(x, labels, torch.arange(2))
    both = Ensemble([a, b], weights=weights, T=4.0, axis=1)
    behind = [Says(each(batch).movedim(1, -1)) for each in (a, b)]
    expected = Ensemble(behind, weights=weights, T=4.0, axis=-1)
    torch.testing.assert_close(both(batch).movedim(1, -1), expected(batch))
    if weights is None:
        by_hand = ((a(batch) / 4).softmax(1) + (b(batch) / 4).softmax(1)) / 2
        torch.testing.assert_close((both(batch) / 4).softmax(1), by_hand)
    apart, same = both.disagreement(batch), expected.disagreement(batch)
    assert apart.jsd.shape == apart.differs.shape == (2, *shape)
    torch.testing.assert_close(apart.jsd, same.jsd)
    assert torch.equal(apart.differs, same.differs)
    from_the_end = Ensemble([a, b], weights=weights, T=4.0, axis=-1 - len(shape))
    assert torch.equal(from_the_end(batch), both(batch))


@pytest.mark.parametrize("name", MAPS)
def test_classes_in_front_are_not_mixed_over_the_width(name):
    x, shape, labels = MAPS[name]
    members = [freeze(Maps(seed, len(shape), x.shape[2] // shape[0])) for seed in (1, 2)]
    batch = Batch(x, labels, torch.arange(2))
    for settings in ({}, {"mean": "logits", "weights": "entropy"}):
        with pytest.raises(ValueError, match=r"Ensemble\(\.\.\., axis=1\).*movedim"):
            Ensemble(members, **settings)(batch)
    geometric = Ensemble(members, mean="logits")  # the same on every axis
    expected = (members[0](batch) + members[1](batch)) / 2
    torch.testing.assert_close(geometric(batch), expected)
    with pytest.raises(ValueError, match="axis=1"):
        geometric.disagreement(batch)


def test_a_student_of_maps_learns_from_the_mean_of_its_teachers():
    x = noise(4, 2, 6, 6)
    members = [freeze(Maps(seed)) for seed in (1, 2)]
    batch = Batch(x, None, torch.arange(4))
    p = sum((member(batch) / 4).softmax(1) for member in members) / 2
    student, T = Maps(0), 4.0
    method = methods.kd(T=T, alpha=1.0, axis=1)
    loss = method.terms(batch, student, Ensemble(members, T=T, axis=1))["kd"]
    log_q = (student(x) / T).log_softmax(1)
    torch.testing.assert_close(loss, T**2 * (p * (p.log() - log_q)).sum(1).mean())


def test_an_axis_that_cannot_be_is_refused_in_words():
    with pytest.raises(ValueError, match="axis=0 is that of the examples"):
        Ensemble([net(1), net(2)], axis=0)
    with pytest.raises(ValueError, match="no such axis"):
        Ensemble([net(1), net(2)], axis=3)(BATCH)
    masked = Says(Dense(noise(2, 3, 3), torch.ones(2, 3, dtype=torch.bool)))
    with pytest.raises(ValueError, match="leave axis= out"):
        Ensemble([masked, masked], axis=1)(BATCH)


def test_means_stay_finite_and_right_where_probabilities_underflow():
    far = torch.tensor([[0.0, 1e4, -1e4]])
    mean = Ensemble([Says(far), Says(far.roll(1, -1))])(BATCH)
    assert mean.isfinite().all()
    torch.testing.assert_close(mean.softmax(-1), torch.tensor([[0.0, 0.5, 0.5]]))
    masked = Ensemble([Says(torch.tensor([[0.0, -math.inf]]))] * 2)
    assert masked(BATCH)[0].tolist() == [0.0, -math.inf]
    assert masked.disagreement(BATCH).mean_jsd == 0


def test_half_precision_members_are_averaged_in_float32():
    answers = [noise(6, 5, seed=i).half() for i in range(3)]
    mean = Ensemble([Says(z) for z in answers])(BATCH)
    assert mean.dtype == torch.float32
    expected = torch.stack([z.double().softmax(-1) for z in answers]).mean(0)
    torch.testing.assert_close(mean.double().exp(), expected, rtol=1e-5, atol=1e-6)


def test_the_surer_member_is_heard_more():
    sure, unsure = torch.tensor([[9.0, 0.0, 0.0]]), torch.tensor([[0.0, 0.1, 0.2]])
    for weights in ("entropy", "max_probability"):
        mean = Ensemble([Says(sure), Says(unsure)], weights=weights)(BATCH).exp()
        alike = Ensemble([Says(sure), Says(unsure)])(BATCH).exp()
        assert mean[0, 0] > alike[0, 0] + 0.05


def test_members_that_agree_disagree_by_nothing_and_two_that_do_not_by_ln_2():
    z = noise(4, 3)
    same = Ensemble([Says(z), Says(z + 1.0)]).disagreement(BATCH)
    assert same.mean_jsd == pytest.approx(0, abs=1e-6) and same.share == 0
    far = 100 * torch.eye(3)
    apart = Ensemble([Says(far), Says(far.roll(1, -1))]).disagreement(BATCH)
    assert apart.mean_jsd == pytest.approx(math.log(2), rel=1e-5) and apart.share == 1


def test_disagreement_over_a_data_set_is_that_of_its_batches():
    both = Ensemble([net(1), net(2), net(3)])
    total = both.disagreement((X, Y))
    pieces = both.disagreement((X, Y), batch_size=5)
    torch.testing.assert_close(total.jsd, pieces.jsd, rtol=1e-5, atol=1e-6)
    assert total.jsd.shape == total.differs.shape == (12,)


def test_positions_where_one_did_not_speak_are_left_out():
    mask = torch.tensor([[True, True, False], [True, False, False]])
    other = torch.tensor([[True, False, True], [True, True, True]])
    a, b = noise(2, 3, 4), noise(2, 3, 4, seed=1)
    both = Ensemble([Says(Dense(a, mask)), Says(Dense(b, other)), Says(a)])
    answer = both(BATCH)
    assert isinstance(answer, Dense) and torch.equal(answer.mask, mask & other)
    assert len(both.disagreement(BATCH).jsd) == 2


def test_a_student_learns_from_an_ensemble():
    both = Ensemble([net(1), net(2).model], T=2.0)
    student = MLP(4, 3)
    before = losses.forward_kl(student(X), both(BATCH), T=2.0)
    run = distill(
        student,
        (X, Y),
        teacher=both,
        method=methods.kd(2.0, 1.0),
        epochs=40,
        lr=0.03,
        batch_size=4,
        progress=False,
    )
    assert run.steps == 120
    assert losses.forward_kl(student(X), both(BATCH), T=2.0) < 0.5 * before


def test_members_are_checked_as_live_teachers_are():
    with pytest.raises(ValueError, match="training mode"):
        Ensemble([MLP(4, 3), net(1)])
    with pytest.raises(ValueError, match="require gradients"):
        Ensemble([net(1), MLP(4, 3).eval()])
    both = Ensemble([net(1), net(2)])
    with pytest.raises(ValueError, match="share parameters"):
        as_teacher(both, both.members[1].model)
    both.members[0].model.train()  # after construction
    with pytest.raises(ValueError, match="training mode"):
        as_teacher(both, MLP(4, 3))
    assert len(list(both.model.parameters())) == 2 * len(list(MLP(4, 3).parameters()))


def test_what_cannot_be_averaged_is_refused_in_words():
    for call, words in (
        (lambda: Ensemble([net(1)]), "at least two"),
        (lambda: Ensemble([net(1), net(2)], mean="median"), "mean must be one of"),
        (lambda: Ensemble([net(1), net(2)], weights="accuracy"), "numbers or one of"),
        (lambda: Ensemble([net(1), net(2)], weights=[1.0]), "each of the 2 members"),
        (lambda: Ensemble([net(1), net(2)], weights=[1.0, -1.0]), "at least 0"),
        (lambda: Ensemble([net(1), net(2)], weights=[0.0, 0.0]), "above 0"),
        (lambda: Ensemble([net(1), net(2)], T=0), "T must be a positive"),
        (lambda: Ensemble([Says(noise(2, 3)), Says(noise(2, 4))])(BATCH), "score the same"),
    ):
        with pytest.raises(ValueError, match=words):
            call()
    with pytest.raises(TypeError, match="a callable from a batch"):
        Ensemble([net(1), "gpt"])
    with pytest.raises(TypeError, match="member 1 answered with a TopK"):
        Ensemble([Says(noise(2, 3)), Says(top_k(noise(2, 3), 2))])(BATCH)


def test_an_ensemble_is_known_by_its_members_and_settings():
    def made(**settings):
        return Ensemble([net(1), net(2)], **settings).identity

    assert made() == made() and made().startswith("Ensemble-")
    others = {
        made(),
        made(T=2.0),
        made(mean="logits"),
        made(weights="entropy"),
        made(weights=[2.0, 1.0]),
        made(axis=1),
        Ensemble([net(2), net(1)]).identity,
    }
    assert len(others) == 7
    assert made(axis=-1) == made()
    assert made(weights=[1.0, 1.0]) == made()


def test_live_and_recorded_teachers_have_an_identity():
    model = MLP(4, 3, seed=1)
    live = freeze(model)
    first = live.identity
    assert first == net(1).identity != net(2).identity
    with torch.no_grad():
        model.head.bias.add_(1.0)
    assert live.identity != first  # it is another teacher now
    assert Live(model).identity == live.identity
    logits = noise(3, 2)
    assert Recorded(logits).identity == Recorded(logits.clone()).identity
    assert Recorded(logits).identity != Recorded(logits + 1).identity


def test_a_batch_of_one_example():
    one = Batch(X[:1], Y[:1], torch.tensor([0]))
    assert Ensemble([net(1), net(2)])(one).shape == (1, 3)
