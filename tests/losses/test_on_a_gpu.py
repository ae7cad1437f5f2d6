"""The chunked losses against the plain ones where their models train: on a GPU, in bfloat16 too.

The same checks run on the processor, so that they are known to work before a GPU is at hand: with
its own steps, and with those that a GPU compiles, traced and taken apart but not compiled.
"""

from functools import cache

import pytest
import torch
import torch.nn.functional as F

from distill_lab import losses
from distill_lab.losses import Head
from distill_lab.losses.chunked import buffers, kernels
from tests.losses.draw import normal, ragged

pytestmark = pytest.mark.slow

NO_GPU = "no CUDA GPU here: what the chunked losses do on one is not tried"
GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason=NO_GPU)
on_each_device = pytest.mark.parametrize(
    "device", ["cpu", "traced", pytest.param("cuda", marks=GPU)], indirect=True
)
PAIRS = {
    "forward": (losses.chunked_forward_kl, losses.forward_kl),
    "reverse": (losses.chunked_reverse_kl, losses.reverse_kl),
    "jsd": (losses.chunked_jsd, losses.jsd),
}
each = pytest.mark.parametrize(("chunked", "plain"), PAIRS.values(), ids=PAIRS)
T, TOKENS, CLASSES = 2.0, (3, 17), 307


@cache
def traced():
    return torch.compile(kernels.all_steps, backend="aot_eager", dynamic=True)


@pytest.fixture
def device(request, monkeypatch):
    """Its name for torch."""
    if request.param != "traced":
        return request.param
    monkeypatch.setattr(kernels, "works_on", lambda device: True)
    monkeypatch.setattr(kernels, "compiled", traced)
    return "cpu"


@pytest.fixture(params=["as they are", "small"], autouse=True)
def chunk_sizes(request, monkeypatch):
    """The sizes of a GPU hold all of a test at once; small ones make many blocks and chunks."""
    if request.param == "small":
        few = buffers.Sizes(2 * CLASSES, 7 * CLASSES, pending=17 * CLASSES, piece=1000)
        monkeypatch.setattr(buffers, "GPU", few)
        monkeypatch.setattr(buffers, "CPU", few)


@pytest.fixture(autouse=True)
def whole_products():
    """Products of float32 in float32: some GPUs would shorten them."""
    usual = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = False
    yield
    torch.backends.cuda.matmul.allow_tf32 = usual


def logits(device, dtype=torch.float32):
    z_s, z_t = (normal(*TOKENS, CLASSES, seed=i, scale=2.0).to(device, dtype) for i in (0, 1))
    return z_s.requires_grad_(), z_t


def head(device, width, seed, dtype=torch.float32, grad=False):
    hidden = normal(*TOKENS, width, seed=seed)
    weight = normal(CLASSES, width, seed=seed + 1, scale=width**-0.5)
    tensors = (hidden, weight, normal(CLASSES, seed=seed + 2))
    return Head(*(x.to(device, dtype).requires_grad_(grad) for x in tensors))


@pytest.fixture(params=["all tokens", "masked"])
def masked(request):
    """The mask for a device: none, or unequal lengths."""
    return {
        "all tokens": lambda device: None,
        "masked": lambda device: ragged(*TOKENS, seed=3).to(device),
    }[request.param]


def learned(value, tensors):
    """The value and the gradients, as float32."""
    found = torch.autograd.grad(value, tensors)
    return value.detach().float(), [gradient.float() for gradient in found]


def apart(found, expected):
    """How far two tensors are apart, as a part of their size."""
    return ((found - expected).norm() / expected.norm()).item()


def in_float32(side):
    return Head(*(x.detach().float().requires_grad_(x.requires_grad) for x in side))


@on_each_device
@each
def test_from_logits(device, chunked, plain, masked):
    (z_s, z_t), mask = logits(device), masked(device)
    ours = learned(chunked(z_s, z_t, T=T, mask=mask), [z_s])
    theirs = learned(plain(z_s, z_t, T=T, mask=mask), [z_s])
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)


@on_each_device
@each
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_from_logits_in_half_precision(device, chunked, plain, masked, dtype):
    """The logits are half, the arithmetic is not: one rounding of the gradient, and no more.

    Scaled up as a loss scaler does it: float16 has few digits for numbers below 6e-5.
    """
    (z_s, z_t), mask = logits(device, dtype), masked(device)
    full = z_s.detach().float().requires_grad_()
    value, (gradient,) = learned(1024 * chunked(z_s, z_t, T=T, mask=mask), [z_s])
    expected, (exact,) = learned(1024 * plain(full, z_t.float(), T=T, mask=mask), [full])
    torch.testing.assert_close(value, expected, rtol=1e-4, atol=1e-4)
    assert apart(gradient, exact) < torch.finfo(dtype).eps


@on_each_device
@each
def test_from_heads(device, chunked, plain, masked):
    student, teacher, mask = head(device, 24, 1, grad=True), head(device, 40, 11), masked(device)
    ours = learned(chunked(student, teacher, T=T, mask=mask), student)
    theirs = learned(plain(F.linear(*student), F.linear(*teacher), T=T, mask=mask), student)
    torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-5)


@on_each_device
@each
def test_classes_beyond_the_shared_ones(device, chunked, plain, masked):
    """The teacher knows more of them: they count on neither side, and get no gradient."""
    student, teacher, mask = head(device, 24, 1, grad=True), head(device, 40, 11), masked(device)
    shared = CLASSES - 7
    cut = Head(teacher.hidden, teacher.weight[:-3], teacher.bias[:-3])
    ours = learned(chunked(student, cut, T=T, mask=mask, vocabulary=shared), student)
    z_s, z_t = (F.linear(*side)[..., :shared] for side in (student, cut))
    theirs = learned(plain(z_s, z_t, T=T, mask=mask), student)
    torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-5)
    z_s, z_t = (F.linear(*side).detach() for side in (student, cut))
    z_s.requires_grad_()
    ours = learned(chunked(z_s, z_t, T=T, mask=mask, vocabulary=shared), [z_s])
    theirs = learned(plain(z_s[..., :shared], z_t[..., :shared], T=T, mask=mask), [z_s])
    torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-5)


@on_each_device
@each
def test_from_heads_in_bfloat16(device, chunked, plain, masked):
    """Products of a GPU are half as the model's own are; everything between them is float32."""
    student = head(device, 24, 1, torch.bfloat16, grad=True)
    teacher, full = head(device, 40, 11, torch.bfloat16), in_float32(student)
    z_t, mask = F.linear(*in_float32(teacher)), masked(device)
    value, gradients = learned(chunked(student, teacher, T=T, mask=mask), student)
    expected, exact = learned(plain(F.linear(*full), z_t, T=T, mask=mask), full)
    torch.testing.assert_close(value, expected, rtol=0.02, atol=1e-3)
    for found, wanted in zip(gradients, exact, strict=True):
        assert apart(found, wanted) < 0.03


@on_each_device
@each
@pytest.mark.parametrize("source", ["heads", "logits"])
def test_under_autocast(device, chunked, plain, masked, source):
    """Weights in float32, products in bfloat16: the loss and its gradients stay float32."""
    student, teacher, mask = head(device, 24, 1, grad=True), head(device, 40, 11), masked(device)
    expected, exact = learned(
        plain(F.linear(*student), F.linear(*teacher), T=T, mask=mask), student
    )
    with torch.autocast(device, dtype=torch.bfloat16):
        sides_of = (student, teacher)
        if source == "logits":
            sides_of = (F.linear(*student), F.linear(*teacher))
            assert sides_of[0].dtype == torch.bfloat16
        loss = chunked(*sides_of, T=T, mask=mask)
    assert loss.dtype == torch.float32
    gradients = torch.autograd.grad(loss, student)
    torch.testing.assert_close(loss.detach(), expected, rtol=0.02, atol=1e-3)
    for found, wanted in zip(gradients, exact, strict=True):
        assert found.dtype == torch.float32 and apart(found, wanted) < 0.03


@GPU
@each
def test_memory_from_heads_does_not_grow_with_the_tokens(chunked, plain, chunk_sizes, monkeypatch):
    """The peak beside hidden states, weights and their gradients, as the card itself counts."""
    monkeypatch.setattr(buffers, "GPU", buffers.Sizes(2**20, 2**20, pending=2**21, piece=2**20))
    classes, peaks = 16_384, []
    for tokens in (1024, 8192):
        sizes = ((tokens, 64), (classes, 64))
        student = Head(*(torch.randn(size, device="cuda", requires_grad=True) for size in sizes))
        teacher = Head(*(torch.randn(size, device="cuda") for size in sizes))
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        chunked(student, teacher).backward()
        kept = 4 * sum(x.numel() for x in student[:2])
        peaks.append(torch.cuda.max_memory_allocated() - before - kept)
    assert peaks[1] < 4 * 1024 * classes  # an eighth of the logits of one side
    assert peaks[1] < 1.2 * peaks[0] + 2**22


@pytest.mark.skipif(torch.cuda.is_available(), reason="here a GPU compiles")
def test_where_nothing_compiles_a_sentence_says_what_that_costs():
    with pytest.warns(UserWarning, match="does not work on this GPU's machine.*slower by half"):
        assert not kernels.compiles_on.__wrapped__(torch.device("cuda"))
    assert not kernels.works_on(torch.device("cpu"))
