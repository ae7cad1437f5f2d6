"""What a teacher said: four forms, cut and moved as one, scored by one function."""

import dataclasses
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from distill_lab import losses
from distill_lab.methods import divergence
from distill_lab.signals import Dense, Sampled, Text, TopK, sample, top_k
from distill_lab.teachers import keep


def logits(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)) * 2


Z_S, Z_T = logits(4, 3, 6), logits(4, 3, 6, seed=1)
MASK = torch.tensor([[True, True, False], [True, False, False], [True] * 3, [False] * 3])
ALL = {
    "dense": lambda T: Dense(Z_T, MASK),
    "top_k": lambda T: top_k(Z_T, 3, T=T, mask=MASK),
    "sampled": lambda T: sample(Z_T, 3, T=T, mask=MASK),
    "text": lambda T: Text(torch.where(MASK, Z_T.argmax(-1), -100)),
}
KINDS = pytest.mark.parametrize("kind", ALL)


@pytest.mark.parametrize("T", [1.0, 4.0])
def test_each_form_is_scored_by_its_loss(T):
    plain = losses.forward_kl(Z_S, Z_T, T=T, mask=MASK)
    assert divergence(Z_S, Z_T, T=T, mask=MASK) == plain
    assert divergence(Z_S, Dense(Z_T, MASK), T=T) == plain
    kept = top_k(Z_T, 3, T=T)
    by_hand = losses.topk_kl(Z_S, kept.ids, kept.log_probs, T=T, mask=MASK)
    assert divergence(Z_S, kept, T=T, mask=MASK) == by_hand
    drawn = sample(Z_T, 3, T=T)
    log_p = (Z_T / T).log_softmax(-1).gather(-1, drawn.ids)
    by_hand = losses.sampled_kl(Z_S, drawn.ids, log_p, weights=drawn.weights, T=T, mask=MASK)
    torch.testing.assert_close(divergence(Z_S, drawn, T=T, mask=MASK), by_hand)


def test_text_is_scored_by_cross_entropy():
    labels = Z_T.argmax(-1)
    plain = losses.cross_entropy(Z_S, labels, mask=MASK)
    assert divergence(Z_S, Text(labels), mask=MASK) == plain
    assert divergence(Z_S, ALL["text"](1.0)) == plain


def test_the_whole_vocabulary_makes_every_form_the_same():
    whole = losses.forward_kl(Z_S, Z_T, T=2.0)
    for kept_signal in (top_k(Z_T, 6, T=2.0), sample(Z_T, 6, T=2.0), sample(Z_T, 99, T=2.0)):
        torch.testing.assert_close(divergence(Z_S, kept_signal, T=2.0), whole, rtol=1e-4, atol=1e-5)
        assert divergence(Z_T, kept_signal, T=2.0).abs() < 1e-5  # nothing left to learn


@KINDS
def test_the_masks_of_both_sides_count(kind):
    kept_signal, other = (
        ALL[kind](1.0),
        torch.rand(4, 3, generator=torch.Generator().manual_seed(3)) < 0.7,
    )
    both = divergence(Z_S, kept_signal, mask=other)
    rows = (MASK & other).nonzero(as_tuple=True)
    torch.testing.assert_close(both, divergence(Z_S[rows], kept_signal[rows]))


@KINDS
def test_junk_where_the_teacher_did_not_speak_is_not_read(kind):
    kept_signal = ALL[kind](1.0)
    junk = kept_signal.each(
        lambda t: (
            t
            if t.dtype == torch.bool or (t.dim() == 2 and kind == "text")
            else torch.where(MASK[..., None] if t.dim() == 3 else MASK, t, -77)
        )
    )
    assert divergence(Z_S, junk) == divergence(Z_S, kept_signal)


@KINDS
@settings(max_examples=10, deadline=None)
@given(order=st.permutations(range(4)))
def test_rows_are_cut_and_joined_without_a_change(kind, order):
    """A batch is the weighted mean of its rows, in whatever order they come."""
    kept_signal, z = ALL[kind](1.0), Z_S
    index = torch.tensor(order)
    assert len(kept_signal) == 4
    whole = divergence(z[index], kept_signal[index])
    torch.testing.assert_close(whole, divergence(z, kept_signal))
    kept = [i for i in order if MASK[i].any()]
    parts = sum(divergence(z[i : i + 1], kept_signal[i : i + 1]) * MASK[i].sum() for i in kept)
    torch.testing.assert_close(parts / MASK.sum(), whole)
    first = torch.tensor([True, True, False]).expand(4, 3)
    shifted = divergence(
        z[:, :-1], kept_signal[:, :-1]
    )  # positions are cut like rows, as shifts need
    torch.testing.assert_close(shifted, divergence(z, kept_signal, mask=first))


@KINDS
def test_a_signal_moves_as_a_whole(kind):
    moved = ALL[kind](1.0).to("meta")
    for name in moved.__dataclass_fields__:
        value = getattr(moved, name)
        assert not isinstance(value, torch.Tensor) or value.device.type == "meta"


@pytest.mark.parametrize("kind", ["top_k", "sampled"])
def test_a_signal_recorded_at_another_temperature_is_refused(kind):
    kept_signal = ALL[kind](2.0)
    divergence(Z_S, kept_signal, T=2.0)
    with pytest.raises(ValueError, match=r"recorded at T = 2.0 and cannot be scored at T = 4.0"):
        divergence(Z_S, kept_signal, T=4.0)


def test_text_has_no_temperature():
    with pytest.raises(ValueError, match=r"text was written at T = 1.0"):
        divergence(Z_S, Text(Z_T.argmax(-1)), T=2.0)


def test_top_k_keeps_the_tail():
    kept = top_k(Z_T, 2, T=3.0)
    p = (Z_T / 3).softmax(-1).sort(-1, descending=True).values
    torch.testing.assert_close(kept.log_probs.exp(), p[..., :2])
    torch.testing.assert_close(kept.tail, p[..., 2:].sum(-1))


def test_half_precision_is_read_in_float32():
    z = Z_T.bfloat16()
    assert top_k(z, 2).log_probs.dtype == torch.float32
    assert sample(z, 2).weights.dtype == torch.float32
    assert divergence(Z_S, z).dtype == torch.float32


@pytest.mark.parametrize("form", [top_k, sample])
def test_extreme_logits_stay_finite(form):
    far = torch.tensor([[1e4, -1e4, 0.0], [-1e9, 0.0, 0.0]])
    z = torch.zeros(2, 3, requires_grad=True)
    loss = divergence(z, form(far, 2))
    loss.backward()
    assert math.isfinite(loss.item()) and z.grad.isfinite().all()


def test_a_signal_with_shapes_that_cannot_be_is_refused():
    ids, values = torch.zeros(4, 2, dtype=torch.long), torch.zeros(4, 2)
    for call, words in (
        (lambda: TopK(ids, values[:, :1]), "one for each class named"),
        (lambda: TopK(ids, values, mask=values > 0), "one entry a position"),
        (lambda: Sampled(ids, values, values), "neg_entropy_est has shape"),
        (lambda: Sampled(ids, values[:2], values[:, 0]), "weights have shape"),
        (lambda: Dense(values, mask=torch.ones(3)), "one entry a position"),
        (lambda: top_k(values, 3), "only 2 classes"),
        (lambda: sample(values, 0), "positive integer"),
    ):
        with pytest.raises(ValueError, match=words):
            call()
    for call in (lambda: TopK(values, values), lambda: Text(values), lambda: Text([1, 2])):
        with pytest.raises(TypeError, match="whole numbers"):
            call()
    with pytest.raises(TypeError, match="keep their logits"):
        divergence(values, {"logits": values})


@pytest.mark.parametrize("kind", ["reverse_kl", "jsd"])
def test_other_divergences_are_scored_where_the_signal_determines_them(kind):
    loss = getattr(losses, kind)
    expected = loss(Z_S, Z_T, T=2.0, mask=MASK)
    for signal in (Dense(Z_T, MASK), top_k(Z_T, Z_T.shape[-1], T=2.0, mask=MASK)):
        torch.testing.assert_close(divergence(Z_S, signal, kind, T=2.0), expected)
    torch.testing.assert_close(divergence(Z_S, Z_T, kind, T=2.0, mask=MASK), expected)
    few = divergence(Z_S, top_k(Z_T, 2, T=2.0, mask=MASK), kind, T=2.0)
    assert 0 < few < expected
    unknown = dataclasses.replace(sample(Z_T, 2, T=2.0), certain=None)
    for signal in (unknown, Text(Z_T.argmax(-1))):
        with pytest.raises(ValueError, match=f"{kind} cannot be scored against .*top_k"):
            divergence(Z_S, signal, kind, T=2.0)


@pytest.mark.parametrize("kind", ["reverse_kl", "jsd"])
@pytest.mark.parametrize("classes", [3, 50])
def test_draws_determine_other_divergences_by_their_certain_classes(kind, classes):
    """As top-k does it, with as many classes as are certain there; whatever was drawn beside."""
    g = torch.Generator().manual_seed(classes)
    z_s, z_t = (3 * torch.randn(64, classes, generator=g) for _ in range(2))
    signal = sample(z_t, 6, T=2.0, seed=1)
    value = divergence(z_s, signal, kind, T=2.0)
    of_each = []
    for row, certain in enumerate(signal.certain.tolist()):
        here = slice(row, row + 1)
        if certain:
            kept = top_k(z_t[here], certain, T=2.0)
            of_each.append(divergence(z_s[here], kept, kind, T=2.0))
        else:
            of_each.append(torch.zeros(()))
    torch.testing.assert_close(value, torch.stack(of_each).mean())
    assert len(set(signal.certain.tolist())) > 1 or classes == 3  # positions differ
    assert value <= divergence(z_s, z_t, kind, T=2.0) + 1e-5
    assert divergence(z_s, sample(z_t, 6, T=2.0, seed=2), kind, T=2.0) == value
    every = sample(z_t, classes + 1, T=2.0)
    dense = divergence(z_s, z_t, kind, T=2.0)
    torch.testing.assert_close(divergence(z_s, every, kind, T=2.0), dense)


@pytest.mark.parametrize("kind", ["reverse_kl", "jsd"])
def test_a_student_that_agrees_learns_nothing_from_the_certain_classes(kind):
    z = (3 * torch.randn(32, 40, generator=torch.Generator().manual_seed(0))).requires_grad_()
    masked = sample(z.detach(), 8, mask=torch.arange(32) % 2 == 0)
    loss = divergence(z, masked, kind)
    loss.backward()
    assert abs(loss.item()) < 1e-6 and z.grad.abs().max() < 1e-6
    moved = z.detach().roll(1, -1).requires_grad_()
    divergence(moved, masked, kind).backward()
    assert moved.grad[1::2].count_nonzero() == 0 and moved.grad[::2].isfinite().all()


def test_which_classes_are_certain_is_kept_and_checked():
    logits = 4 * torch.randn(16, 30, generator=torch.Generator().manual_seed(3))
    ids = torch.arange(16)
    kept = keep.sampled(24)
    records = kept.encode(logits, 30, ids, torch.zeros_like(ids))
    read = kept.decode(records, 30)
    assert read[4:].certain.equal(read.certain[4:]) and read.certain.max() > 1
    p = logits.softmax(-1).gather(-1, read.ids)
    assert (read.weights - p).abs()[read.known].max() < 2**-15  # as rounded in 16 bits
    for kind in ("reverse_kl", "jsd"):
        z = torch.zeros(16, 30, requires_grad=True)
        loss = divergence(z, read, kind)
        loss.backward()
        assert 0 < loss < divergence(z.detach(), logits, kind) and z.grad.isfinite().all()
    with pytest.raises(ValueError, match="certain has shape"):
        dataclasses.replace(read, certain=read.weights)
    with pytest.raises(ValueError, match="known must be booleans"):
        losses.topk_jsd(logits, read.ids, read.weights.log(), known=read.weights)


@pytest.mark.parametrize("kind", ["reverse_kl", "jsd"])
def test_draws_of_which_no_class_is_certain(kind):
    """A single one is refused; several may be so at some positions, which then add 0."""
    flat, peaked = torch.zeros(4, 6), 9 * torch.eye(4, 6)
    z = torch.linspace(-1, 1, 24).view(4, 6)
    mixed = sample(torch.cat((flat[:2], peaked[:2])), 3)
    only_flat = torch.tensor([True, True, False, False])
    with pytest.raises(ValueError, match=rf"{kind} of draws .* none is.*top_k.*forward_kl"):
        divergence(z, sample(peaked, 1), kind)
    for signal, mask in ((sample(flat, 3), None), (mixed, only_flat)):  # a run goes through
        assert divergence(z, signal, kind, mask=mask).abs() < 1e-6
    torch.testing.assert_close(
        divergence(z, mixed, kind), divergence(z, mixed, kind, mask=~only_flat) / 2
    )
    dense = divergence(z, flat, kind)
    for n in (6, 7):  # with a place for each class, each is certain
        torch.testing.assert_close(divergence(z, sample(flat, n), kind), dense)


def test_a_record_without_room_for_a_certain_class_says_so_of_none():
    logits, ids = 9 * torch.eye(4, 250), torch.arange(4)
    for size, some in ((6, False), (9, True)):  # an id takes one byte, a certain weight two
        kept = keep.sampled(size)
        read = kept.decode(kept.encode(logits, 250, ids, torch.zeros_like(ids)), 250)
        assert (read.known is not None) == some
        if some:
            assert divergence(-logits, read, "jsd") > 0
            continue
        with pytest.raises(ValueError, match="jsd cannot be scored against Sampled"):
            divergence(-logits, read, "jsd")


def test_beta_reaches_the_jsd_of_a_sparse_signal():
    signal = top_k(Z_T, 3)
    values = {divergence(Z_S, signal, "jsd", beta=b).item() for b in (0.1, 0.5, 0.9)}
    assert len(values) == 3
    with pytest.raises(ValueError, match="kind must be one of"):
        divergence(Z_S, signal, "skew_kl")
