"""The chunked losses against the plain ones they stand for: values, gradients, memory, refusals."""

import math
import weakref

import pytest
import torch
import torch.nn.functional as F
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from distill_lab import losses
from distill_lab.losses import Head, divergences, reference
from distill_lab.losses.chunked import buffers
from tests.losses.draw import normal, ragged

PAIRS = {
    "forward": (losses.chunked_forward_kl, reference.forward_kl),
    "reverse": (losses.chunked_reverse_kl, reference.reverse_kl),
    "jsd": (losses.chunked_jsd, reference.jsd),
    "jsd 0.1": (
        lambda s, t, **k: losses.chunked_jsd(s, t, beta=0.1, **k),
        lambda s, t, **k: reference.jsd(s, t, beta=0.1, **k),
    ),
}
each = pytest.mark.parametrize(("chunked", "plain"), PAIRS.values(), ids=PAIRS)


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    """Sizes so small that every test has many blocks, chunks and pieces, and two threads."""
    monkeypatch.setattr(buffers, "CPU", buffers.Sizes(block=20, logits=50, pending=90, piece=12))
    usual = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(usual)


def gradients(loss, *tensors):
    """The value, and the gradients of whatever asks for one."""
    value = loss()
    return value.detach(), torch.autograd.grad(value, [t for t in tensors if t.requires_grad])


def head(*shape, classes, seed, dtype=torch.float64, bias=True, grad=False):
    hidden = normal(*shape, seed=seed, dtype=dtype)
    weight = normal(classes, shape[-1], seed=seed + 100, dtype=dtype)
    offset = normal(classes, seed=seed + 200, dtype=dtype) if bias else None
    return Head(*(None if x is None else x.requires_grad_(grad) for x in (hidden, weight, offset)))


def linear(side):
    return F.linear(*side)


@each
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    seed=st.integers(0, 999),
    batch=st.integers(1, 3),
    length=st.integers(1, 6),
    classes=st.integers(2, 13),
    T=st.sampled_from([0.5, 1.0, 4.0]),
    masked=st.booleans(),
)
def test_from_logits_value_and_gradient_are_the_plain_ones(
    chunked, plain, seed, batch, length, classes, T, masked
):
    z_s, z_t = (
        normal(batch, length, classes, seed=seed + i, dtype=torch.float64, scale=2.0)
        for i in (0, 1)
    )
    z_s.requires_grad_()
    mask = ragged(batch, length, seed) if masked else None
    ours, (our_grad,) = gradients(lambda: chunked(z_s, z_t, T=T, mask=mask), z_s)
    theirs, (their_grad,) = gradients(lambda: plain(z_s, z_t, T=T, mask=mask), z_s)
    torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(our_grad, their_grad, rtol=1e-7, atol=1e-12)


@each
@pytest.mark.parametrize("masked", [False, True])
def test_from_heads_value_and_all_three_gradients_are_the_plain_ones(chunked, plain, masked):
    student = head(2, 5, 3, classes=9, seed=1, grad=True)
    teacher = head(2, 5, 4, classes=9, seed=2, bias=False)
    mask = ragged(2, 5, 3) if masked else None
    ours, our_grads = gradients(lambda: chunked(student, teacher, T=2.0, mask=mask), *student)
    z_t = linear(teacher)
    theirs, their_grads = gradients(lambda: plain(linear(student), z_t, T=2.0, mask=mask), *student)
    torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(our_grads, their_grads, rtol=1e-7, atol=1e-12)
    assert [g.shape for g in our_grads] == [(2, 5, 3), (9, 3), (9,)]


@each
def test_either_side_may_be_logits_or_a_head(chunked, plain):
    student, teacher = head(30, 3, classes=7, seed=1), head(30, 4, classes=7, seed=2)
    expected = plain(linear(student), linear(teacher))
    for s in (student, linear(student)):
        for t in (teacher, linear(teacher)):
            torch.testing.assert_close(chunked(s, t), expected, rtol=1e-9, atol=1e-12)
    z_s = linear(student).requires_grad_()
    ours = gradients(lambda: chunked(z_s, teacher), z_s)
    theirs = gradients(lambda: plain(z_s, linear(teacher)), z_s)
    torch.testing.assert_close(ours, theirs, rtol=1e-7, atol=1e-12)


def test_only_what_asks_for_a_gradient_gets_one():
    student, teacher = head(6, 3, classes=7, seed=1), head(6, 3, classes=7, seed=2)
    losses.chunked_forward_kl(
        student._replace(hidden=student.hidden.requires_grad_()), teacher
    ).backward()
    assert student.hidden.grad is not None and student.weight.grad is None
    student.hidden.requires_grad_(False)
    losses.chunked_forward_kl(
        student._replace(bias=student.bias.requires_grad_()), teacher
    ).backward()
    assert student.bias.grad is not None and student.weight.grad is None
    with torch.no_grad():
        value = losses.chunked_forward_kl(student, teacher._replace(bias=student.bias))
    assert not value.requires_grad


@each
def test_two_micro_batches_with_the_global_count_are_one_batch(chunked, plain):
    z_s, z_t, mask = normal(4, 5, 6).requires_grad_(), normal(4, 5, 6, seed=1), ragged(4, 5, 2)
    all_at_once, (grad,) = gradients(lambda: chunked(z_s, z_t, mask=mask), z_s)
    count = mask.sum()
    assert mask[:1].sum() * 4 != count  # halves of unequal weight
    parts = [
        gradients(lambda i=i: chunked(z_s[i], z_t[i], mask=mask[i], denominator=count), z_s)
        for i in (slice(0, 1), slice(1, 4))
    ]
    torch.testing.assert_close(parts[0][0] + parts[1][0], all_at_once)
    torch.testing.assert_close(parts[0][1][0] + parts[1][1][0], grad)


@each
def test_a_process_without_tokens_adds_nothing(chunked, plain):
    none = torch.zeros(3, dtype=torch.bool)
    z_s = normal(3, 5).requires_grad_()
    value, (grad,) = gradients(lambda: chunked(z_s, normal(3, 5), mask=none, denominator=7), z_s)
    assert value == 0 and grad.shape == z_s.shape and not grad.any()
    with pytest.raises(ValueError, match="keeps no position"):
        chunked(z_s, z_s.detach(), mask=none)


@each
def test_a_shared_prefix_is_the_plain_loss_on_the_cut_logits(chunked, plain):
    z_s, z_t = normal(4, 9).requires_grad_(), normal(4, 7, seed=1)
    with pytest.raises(ValueError, match="vocabulary=7"):
        chunked(z_s, z_t)
    for shared in (7, 5):
        ours, (grad,) = gradients(lambda n=shared: chunked(z_s, z_t, vocabulary=n), z_s)
        cut = lambda n=shared: plain(z_s[:, :n], z_t[:, :n])  # noqa: E731
        theirs, (expected,) = gradients(cut, z_s)
        torch.testing.assert_close(ours, theirs)
        torch.testing.assert_close(grad, expected)
        assert not grad[:, shared:].any()
    # the same model with more rows at the end of its table is still the same model
    assert chunked(z_s.detach()[:, :7], z_s.detach(), vocabulary=7).abs() < 1e-6


@each
def test_a_shared_prefix_of_two_heads(chunked, plain):
    student = head(4, 3, classes=9, seed=1, grad=True)
    teacher = head(4, 4, classes=11, seed=2)
    ours = gradients(lambda: chunked(student, teacher, vocabulary=8), *student)
    z_t = linear(teacher)[:, :8]
    theirs = gradients(lambda: plain(linear(student)[:, :8], z_t), *student)
    torch.testing.assert_close(ours, theirs, rtol=1e-7, atol=1e-12)
    assert not ours[1][1][8:].any()


@each
def test_a_weighted_term_and_a_retained_graph(chunked, plain):
    """The gradient is given away and scaled in place, so a second pass has to make it again."""
    z_s, z_t = normal(6, 5).requires_grad_(), normal(6, 5, seed=1)
    _, (expected,) = gradients(lambda: plain(z_s, z_t), z_s)
    value = chunked(z_s, z_t)
    (first,) = torch.autograd.grad(3 * value, z_s, retain_graph=True)
    kept = first.clone()
    (second,) = torch.autograd.grad(value, z_s)
    torch.testing.assert_close(first, 3 * expected)
    torch.testing.assert_close(second, expected)
    assert torch.equal(first, kept)
    with pytest.raises(RuntimeError, match="second time"):
        value.backward()


@each
def test_a_second_derivative_is_refused_in_words(chunked, plain):
    z_s = normal(4, 5).requires_grad_()
    with pytest.raises(RuntimeError, match="cannot be differentiated twice: use forward_kl"):
        torch.autograd.grad(chunked(z_s, normal(4, 5, seed=1)), z_s, create_graph=True)


@each
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_costs_one_rounding_of_the_gradient(chunked, plain, dtype):
    z_s, z_t = normal(8, 50, scale=3.0).to(dtype), normal(8, 50, seed=1, scale=3.0).to(dtype)
    half, full = z_s.clone().requires_grad_(), z_s.float().requires_grad_()
    value, (grad,) = gradients(lambda: chunked(half, z_t), half)
    expected, (exact,) = gradients(lambda: chunked(full, z_t.float()), full)
    assert value.dtype == torch.float32 and value == expected
    assert grad.dtype == dtype and torch.equal(grad, exact.to(dtype))


@each
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_heads_in_half_precision_are_multiplied_in_float32(chunked, plain, dtype):
    student, teacher = (Head(*(x.to(dtype) for x in head(6, 5, classes=9, seed=i))) for i in (1, 2))
    for x in student:
        x.requires_grad_()
    full = Head(*(x.detach().float().requires_grad_() for x in student))
    z_t = linear(Head(*(x.float() for x in teacher)))
    value, grads = gradients(lambda: chunked(student, teacher), *student)
    expected, exact = gradients(lambda: plain(linear(full), z_t), *full)
    torch.testing.assert_close(value, expected, rtol=1e-5, atol=1e-6)
    for grad, wanted in zip(grads, exact, strict=True):
        assert grad.dtype == dtype
        eps = torch.finfo(dtype).eps
        torch.testing.assert_close(grad.float(), wanted, rtol=eps, atol=eps * 1e-2)


@each
def test_products_in_half_precision_as_on_a_gpu(chunked, plain, monkeypatch):
    """The branch that only a GPU takes, taken here: sums and logits' arithmetic stay float32."""
    monkeypatch.setattr(buffers, "product_dtype", lambda device, plan, given: torch.bfloat16)
    student = head(6, 5, classes=9, seed=1, dtype=torch.float32, grad=True)
    teacher = head(6, 5, classes=9, seed=2, dtype=torch.float32)
    ours = gradients(lambda: chunked(student, teacher), *student)
    z_t = linear(teacher)
    theirs = gradients(lambda: plain(linear(student), z_t), *student)
    assert not torch.equal(ours[0], theirs[0])
    torch.testing.assert_close(ours, theirs, rtol=0.05, atol=0.01)
    assert {g.dtype for g in ours[1]} == {torch.float32}


@each
def test_autocast_changes_nothing_inside(chunked, plain):
    student, teacher = (Head(*(x.float() for x in head(6, 5, classes=9, seed=i))) for i in (1, 2))
    student.weight.requires_grad_()
    outside = gradients(lambda: chunked(student, teacher), student.weight)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = gradients(lambda: chunked(student, teacher), student.weight)
        logits = linear(student)
        assert logits.dtype == torch.bfloat16
        from_logits = chunked(logits, linear(teacher))
    torch.testing.assert_close(inside, outside, rtol=0, atol=0)
    assert from_logits.dtype == torch.float32
    torch.testing.assert_close(from_logits.detach(), outside[0], rtol=0.05, atol=1e-3)
    from_logits.backward()
    assert student.weight.grad.dtype == torch.float32


def test_float16_survives_a_mean_over_many_tokens_with_a_loss_scaler():
    """q / N underflows float16, and the scaler multiplies only after the loss."""
    z_s, z_t = (normal(3, 1000, seed=i).half() for i in (0, 1))
    z_s.requires_grad_()
    loss = losses.chunked_forward_kl(z_s, z_t, denominator=100_000)
    (grad,) = torch.autograd.grad(65_536 * loss, z_s)
    z = z_s.detach().float().requires_grad_()
    exact = losses.forward_kl(z, z_t.float()) * 3 / 100_000 * 65_536
    (expected,) = torch.autograd.grad(exact, z)
    torch.testing.assert_close(grad.float(), expected, rtol=1e-3, atol=1e-7)


@each
def test_a_slice_of_longer_logits_is_not_copied_and_gets_its_gradient(chunked, plain):
    long_s, z_t = normal(3, 5, 6).requires_grad_(), normal(3, 5, 6, seed=1)
    for mask in (None, ragged(3, 4, 1)):
        ours = gradients(lambda m=mask: chunked(long_s[:, :-1], z_t[:, 1:], mask=m), long_s)
        theirs = gradients(lambda m=mask: plain(long_s[:, :-1], z_t[:, 1:], mask=m), long_s)
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)


@each
def test_what_is_not_a_number_is_seen_and_what_is_ruled_out_costs_everything(chunked, plain):
    z_s, z_t = normal(4, 6), normal(4, 6, seed=1)
    for side in (z_s, z_t):
        broken = side.clone()
        broken[2, 3] = math.nan
        pair = (broken, z_t) if side is z_s else (z_s, broken)
        assert chunked(*pair).isnan()
    without = z_t.clone()
    without[0, 1] = -math.inf
    for pair in ((z_s, without), (without, z_s)):
        assert chunked(*pair).isinf() == plain(*pair).isinf()
        torch.testing.assert_close(chunked(*pair), plain(*pair))


@each
def test_what_shifts_all_logits_of_a_row_changes_nothing(chunked, plain):
    z = normal(4, 50)
    for shift in (10.0, 1000.0):
        assert (
            abs(
                chunked(z, z.round(decimals=2)).item()
                - chunked(z, z.round(decimals=2) + shift).item()
            )
            < 1e-4
        )
        assert chunked(torch.zeros(2, 9), torch.full((2, 9), shift)).abs() < 1e-6


def test_between_its_ends_generalised_jsd_is_the_same_family():
    z_s, z_t = normal(5, 8), normal(5, 8, seed=1)
    for beta in (1e-3, 0.3, 0.9):
        family = losses.generalised_jsd(z_s, z_t, beta=beta)
        torch.testing.assert_close(
            losses.chunked_jsd(z_s, z_t, beta=beta), family, rtol=1e-3, atol=1e-7
        )
    ends = losses.generalised_jsd(z_s, z_t, beta=0), losses.generalised_jsd(z_s, z_t, beta=1)
    torch.testing.assert_close(losses.chunked_forward_kl(z_s, z_t), ends[0])
    torch.testing.assert_close(losses.chunked_reverse_kl(z_s, z_t), ends[1])


@each
def test_inside_torch_func_the_plain_loss_answers(chunked, plain):
    z_s, z_t = normal(4, 6), normal(4, 8, seed=1)
    ours = torch.func.grad(lambda z: chunked(z, z_t, vocabulary=6, denominator=8))(z_s)
    expected = torch.func.grad(lambda z: plain(z, z_t[:, :6]) / 2)(z_s)
    torch.testing.assert_close(ours, expected)


@pytest.mark.slow
def test_a_compiled_step_may_call_it():
    z_s, z_t = normal(4, 6).requires_grad_(), normal(4, 6, seed=1)
    step = torch.compile(lambda s: 2 * losses.chunked_jsd(s, z_t), backend="eager")
    ours = gradients(lambda: step(z_s), z_s)
    torch.testing.assert_close(ours, gradients(lambda: 2 * losses.jsd(z_s, z_t), z_s))


@each
def test_threads_change_neither_a_bit_nor_the_callers_settings(chunked, plain):
    student, teacher = head(64, 3, classes=9, seed=1, grad=True), head(64, 3, classes=9, seed=2)
    z_s, z_t = linear(student).detach().requires_grad_(), linear(teacher)
    result = []
    for threads in (1, 2, 5):
        torch.set_num_threads(threads)
        result += [gradients(lambda: chunked(z_s, z_t), z_s)]
        assert torch.get_num_threads() == threads
        with torch.inference_mode():
            assert chunked(z_s, z_t) == result[0][0] and torch.is_inference_mode_enabled()
    for value, (grad,) in result[1:]:
        assert value == result[0][0] and torch.equal(grad, result[0][1][0])


def test_what_goes_wrong_in_a_thread_is_raised_in_the_caller(monkeypatch):
    def broken(*_):
        raise MemoryError("no room")

    monkeypatch.setattr("distill_lab.losses.chunked.kernels.forward_kl", broken)
    with pytest.raises(MemoryError, match="no room"):
        losses.chunked_forward_kl(normal(50, 9), normal(50, 9, seed=1))
    assert torch.get_num_threads() == 2


class Alive(TorchDispatchMode):
    """Counts the bytes of the tensors made inside it that are still alive."""

    def __init__(self):
        super().__init__()
        self.now = self.peak = 0
        self.known = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        given = self.storages((args, kwargs)).keys()
        out = func(*args, **(kwargs or {}))
        for key, storage in self.storages(out).items():
            if key not in given and key not in self.known:
                self.known.add(key)
                self.now += storage.nbytes()
                self.peak = max(self.peak, self.now)
                weakref.finalize(storage, self.gone, key, storage.nbytes())
        return out

    def gone(self, key, size):
        self.known.discard(key)
        self.now -= size

    @staticmethod
    def storages(tree):
        result = (x.untyped_storage() for x in tree_leaves(tree) if isinstance(x, torch.Tensor))
        return {storage._cdata: storage for storage in result}


def test_the_count_of_bytes_counts():
    with Alive() as memory:
        kept = torch.ones(10) * 2
        assert memory.now == 40 and memory.peak == 80
        del kept
    assert memory.now == 0


@each
def test_from_logits_keeps_one_array_and_no_more_to_the_end(chunked, plain, monkeypatch):
    """The memory law: at most 1.1 times N V 4 bytes beside the two logit tensors."""
    monkeypatch.setattr(buffers, "CPU", buffers.Sizes(block=1000, logits=1, pending=1, piece=1))
    tokens, classes = 256, 500
    array = tokens * classes * 4
    z_s, z_t = normal(tokens, classes).requires_grad_(), normal(tokens, classes, seed=1)
    with Alive() as memory:
        loss = 3 * chunked(z_s, z_t)
        assert array <= memory.now < 1.01 * array
        loss.backward()
    assert memory.peak < 1.1 * array
    with Alive() as memory:
        readable = plain(z_s, z_t)
    assert memory.now >= 2 * array and readable.isfinite()
    with Alive() as memory, torch.no_grad():
        chunked(z_s, z_t)
    assert memory.peak < 0.1 * array


@each
def test_a_slice_of_longer_logits_is_read_where_it_lies(chunked, plain, monkeypatch):
    monkeypatch.setattr(buffers, "CPU", buffers.Sizes(block=1000, logits=1, pending=1, piece=1))
    z_s, z_t = normal(4, 65, 500)[:, :-1], normal(4, 65, 500, seed=1)[:, 1:]
    with Alive() as memory, torch.no_grad():
        chunked(z_s, z_t)
    assert memory.peak < 0.1 * z_s.numel() * 4


@pytest.mark.slow
@each
def test_from_heads_memory_does_not_grow_with_the_tokens(chunked, plain, monkeypatch):
    monkeypatch.setattr(
        buffers, "CPU", buffers.Sizes(block=1000, logits=4000, pending=4000, piece=1000)
    )
    classes, peaks = 500, []
    for tokens in (64, 1024):
        student = head(tokens, 2, classes=classes, seed=1, dtype=torch.float32, grad=True)
        teacher = head(tokens, 2, classes=classes, seed=2, dtype=torch.float32)
        with Alive() as memory:
            chunked(student, teacher).backward()
        peaks.append(memory.peak - 4 * tokens * 2)  # beside the gradient of the hidden states
    assert peaks[1] < 1.1 * peaks[0] < 4 * classes * 64


PLAIN = [
    (losses.forward_kl, reference.forward_kl),
    (losses.reverse_kl, reference.reverse_kl),
    (losses.jsd, reference.jsd),
]


@pytest.mark.parametrize(("fast", "readable"), PLAIN, ids=["forward", "reverse", "jsd"])
@pytest.mark.parametrize("mask", [None, "booleans", "weights"])
def test_many_logits_are_scored_by_hand_and_as_the_readable_losses_do(fast, readable, mask):
    z_s, z_t = normal(3, 9, 9_800, scale=2.0), normal(3, 9, 9_800, seed=1, scale=2.0)
    assert z_s.numel() >= divergences.MANY["cpu"]
    kept = ragged(3, 9, 4)
    given = {None: None, "booleans": kept, "weights": kept * (torch.arange(27.0).view(3, 9) + 0.5)}
    z_s = torch.where(kept[..., None], z_s, torch.nan) if mask else z_s
    z_s.requires_grad_()
    ours, grads = gradients(lambda: fast(z_s, z_t, T=2.0, mask=given[mask]), z_s)
    theirs, expected = gradients(lambda: readable(z_s, z_t, T=2.0, mask=given[mask]), z_s)
    torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(grads, expected, rtol=1e-5, atol=1e-9)
    value = fast(z_s, z_t, mask=given[mask])
    assert type(value.grad_fn).__name__ == "AnalyticBackward"


@pytest.mark.parametrize(("fast", "readable"), PLAIN, ids=["forward", "reverse", "jsd"])
def test_many_logits_may_still_be_differentiated_twice_and_by_both_sides(fast, readable):
    z_s, z_t = (normal(27, 9_800, seed=i).requires_grad_() for i in (0, 1))

    def second(loss):
        (grad,) = torch.autograd.grad(loss(z_s, z_t.detach()), z_s, create_graph=True)
        return torch.autograd.grad(grad.square().sum(), z_s)

    torch.testing.assert_close(second(fast), second(readable))
    torch.testing.assert_close(
        torch.autograd.grad(fast(z_s, z_t), (z_s, z_t)),
        torch.autograd.grad(readable(z_s, z_t), (z_s, z_t)),
    )


@each
def test_heads_may_be_weighed(chunked, plain):
    student = head(2, 5, 3, classes=9, seed=1, grad=True)
    teacher = head(2, 5, 4, classes=9, seed=2)
    weights = ragged(2, 5, 3) * torch.arange(10.0).view(2, 5)
    ours, our_grads = gradients(lambda: chunked(student, teacher, T=2.0, mask=weights), *student)
    z_t = linear(teacher)
    theirs, their_grads = gradients(
        lambda: plain(linear(student), z_t, T=2.0, mask=weights), *student
    )
    torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(our_grads, their_grads, rtol=1e-7, atol=1e-12)
