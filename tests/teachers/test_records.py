"""What is kept of an answer: read back as it was said, and without bias where it was drawn."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from distill_lab._util.tensors import uniform
from distill_lab.losses import forward_kl
from distill_lab.methods import divergence
from distill_lab.signals import Text, sample, top_k
from distill_lab.teachers import keep
from distill_lab.teachers.cached.packing import bits_for, from_two_bytes, pack, two_bytes, unpack


def noise(*shape, seed=0, scale=3.0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)) * scale


def written(kept, z, classes=None, example=None):
    classes = classes or z.shape[-1]
    example = torch.arange(len(z)) if example is None else example
    records = kept.encode(z, classes, example, torch.zeros_like(example))
    assert records.dtype == torch.uint8 and records.shape == (len(z), kept.record_bytes(classes))
    return kept.decode(records, classes)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 25), st.integers(1, 40), st.integers(0, 5), st.integers(0, 999))
def test_numbers_come_back_from_their_bits(bits, n, first, seed):
    generator = torch.Generator().manual_seed(seed)
    numbers = torch.randint(2**bits, (3, n), generator=generator)
    packed = pack(numbers, bits)
    assert packed.shape == (3, math.ceil(n * bits / 8))
    before = torch.full((3, first), 255, dtype=torch.uint8)
    assert torch.equal(unpack(torch.cat((before, packed), 1), n, bits, first=first), numbers)


def test_two_bytes_and_bits():
    numbers = torch.tensor([[0, 1, 255, 256, 65_535]])
    assert torch.equal(from_two_bytes(two_bytes(numbers)), numbers)
    assert [bits_for(c) for c in (1, 2, 3, 128_256, 2**17, 2**17 + 1)] == [1, 1, 2, 17, 17, 18]
    with pytest.raises(ValueError, match="more than the"):
        bits_for(2**26)


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_dense_logits_come_back_in_their_type(dtype):
    z = noise(5, 7)
    decoded = written(keep.dense(dtype), z).logits
    assert decoded.dtype == torch.float32
    assert torch.equal(decoded, z.to(getattr(torch, dtype)).float())


def test_dense_keeps_the_impossible_and_refuses_what_does_not_fit():
    z = torch.tensor([[0.0, -math.inf, -1e9]])
    assert written(keep.dense(), z).logits.tolist() == [[0.0, -math.inf, -math.inf]]
    for too_much in ([[7e4, 0.0]], [[-7e4, -8e4]]):
        with pytest.raises(ValueError, match=r"use keep.dense\('float32'\)"):
            written(keep.dense(), torch.tensor(too_much))


@pytest.mark.parametrize("T", [1.0, 3.0])
@pytest.mark.parametrize("classes", [7, 1000])
def test_top_k_comes_back(classes, T):
    z = noise(6, classes)
    decoded, expected = written(keep.top_k(5, T=T), z), top_k(z, 5, T=T)
    assert torch.equal(decoded.ids, expected.ids) and decoded.T == T
    torch.testing.assert_close(decoded.log_probs, expected.log_probs, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(decoded.tail, expected.tail, rtol=5e-3, atol=1e-6)


def test_a_tail_is_no_rounding_error():
    """All but nothing lies on the k: a tail of 1e-4 from rounding would cost the student dearly."""
    z = torch.cat((noise(64, 5), torch.full((64, 3), -1e9)), -1)
    for k in (5, 7, 8):
        decoded = written(keep.top_k(k), z)
        assert decoded.tail.max() < 1e-6
        assert divergence(z, decoded).abs() < 1e-3


@settings(max_examples=40, deadline=None)
@given(
    st.integers(2, 300),
    st.integers(8, 80),
    st.sampled_from([0.1, 2.0, 10.0, 40.0]),
    st.integers(0, 99),
)
def test_drawn_classes_come_back(classes, size, scale, seed):
    """The record holds what was drawn: ids exactly, weights and own to 16 bits."""
    z, kept = noise(8, classes, scale=scale, seed=seed), keep.sampled(size, seed=seed)
    decoded = written(kept, z)
    slots = kept.slots(classes)
    assert max(slots) * bits_for(classes) <= 8 * (size - 3)
    p, q = z.softmax(-1), torch.zeros(8, classes)
    mean = torch.zeros(8, classes).scatter_add(-1, decoded.ids, decoded.weights)
    torch.testing.assert_close(decoded.weights.sum(-1), torch.ones(8), rtol=0, atol=1e-5)
    assert (mean[p < 1e-30].abs() < 1e-4).all() and (decoded.weights > -1e-4).all()
    if len(slots) > classes:  # room for everybody: nothing is left to chance
        torch.testing.assert_close(mean, p, rtol=0, atol=1e-4)
    assert divergence(q, decoded).isfinite()
    own = (decoded.weights * z.log_softmax(-1).gather(-1, decoded.ids)).sum(-1)
    # a weight is rounded to 16 bits, and multiplies logarithms of some -100 at the largest scale
    torch.testing.assert_close(decoded.neg_entropy_est, own.clamp_min(-32), rtol=0, atol=4e-3)


def test_rounding_gives_nothing_to_an_impossible_class():
    """Two classes are possible, the places beside them empty, and class 0 is at -inf for both."""
    z = torch.full((256, 6), -math.inf)
    z[:, 2], z[:, 4] = torch.linspace(0, 3, 256), 1.0
    decoded = written(keep.sampled(30), z)
    assert set(decoded.ids[decoded.weights != 0].tolist()) == {2, 4}
    assert divergence(z, decoded).abs() < 1e-3


def test_records_draw_what_signals_draw():
    z = noise(8, 500, scale=0.3)  # so flat that nothing is certain
    decoded = written(keep.sampled(20, T=2.0, seed=3), z, example=torch.arange(8) + 5)
    expected = sample(z, decoded.ids.shape[-1], T=2.0, seed=3, ids=torch.arange(8) + 5)
    assert torch.equal(decoded.ids, expected.ids)
    torch.testing.assert_close(decoded.weights, expected.weights)


@pytest.mark.parametrize("T", [1.0, 2.0])
def test_writing_and_reading_have_no_bias(T):
    """The mean of 20,000 records is the dense gradient and value, within 4.5 standard errors."""
    repeats, classes = 20_000, 40
    z_t, z_s = noise(1, classes, scale=2.0), noise(1, classes, seed=1, scale=1.0)
    decoded = written(keep.sampled(14, T=T), z_t.expand(repeats, -1))
    p, log_q = (z_t / T).softmax(-1)[0], (z_s / T).log_softmax(-1)[0]
    w = torch.zeros(repeats, classes).scatter_add(-1, decoded.ids, decoded.weights)
    values = decoded.neg_entropy_est - (decoded.weights * log_q[decoded.ids]).sum(-1)
    for drawn, exact in ((w, p), (values[:, None], forward_kl(z_s, z_t, T=T)[None])):
        error = drawn.double().std(0) / repeats**0.5
        off = (drawn.double().mean(0) - exact).abs()
        assert (off <= 4.5 * error + 1e-6).all() and (error < 0.01).all()
    assert (w.std(0) > 1e-6).all()  # even the certain ones are rounded by chance


def test_sixty_bytes_hold_two_dozen_draws_of_a_large_vocabulary():
    slots = keep.sampled(60).slots(128_256)
    assert slots[0] == 26 and slots[4] == 23 and all(n > h for h, n in enumerate(slots))


def test_text_comes_back():
    labels = torch.tensor([5, 128_255, -100])
    kept = keep.text()
    decoded = kept.decode(kept.encode(labels, 0, labels, labels), 0)
    assert isinstance(decoded, Text) and torch.equal(decoded.labels, labels)


def test_a_way_of_keeping_is_known_by_its_facts():
    for kept in (
        keep.dense("float32"),
        keep.top_k(3, T=2.0),
        keep.sampled(50, seed=4),
        keep.text(),
    ):
        assert keep.from_facts(keep.facts(kept)) == kept
    with pytest.raises(ValueError, match="A newer distill_lab"):
        keep.from_facts({"kind": "entropy"})


def test_what_cannot_be_kept_is_refused():
    for call, words in (
        (lambda: keep.dense("int8"), "dtype must be one of"),
        (lambda: keep.top_k(0), "k must be a positive"),
        (lambda: keep.top_k(9).record_bytes(4), "scores 4 classes"),
        (lambda: keep.sampled(5).record_bytes(10**6), "hold no draw"),
        (lambda: keep.sampled(60, T=-1), "T must be a positive"),
    ):
        with pytest.raises(ValueError, match=words):
            call()


def test_the_seed_decides_what_is_drawn():
    z = noise(4, 500, scale=0.5)
    a, b = (written(keep.sampled(20, seed=s), z).ids for s in (0, 1))
    assert not torch.equal(a, b)
    assert uniform(0, torch.arange(3)).unique().numel() == 3
