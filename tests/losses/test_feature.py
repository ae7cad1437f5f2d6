"""Feature losses and projections: oracle values, and what padding may not reach."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode

from distill_lab import losses
from distill_lab.models.projections import Regressor, VariationalRegressor
from tests.losses.draw import normal, ragged, some
from tests.losses.oracles import feature as oracle

SEEDS = st.integers(0, 999)


def close(ours, theirs, rel=1e-4):
    assert float(ours) == pytest.approx(theirs, rel=rel, abs=1e-6)


@settings(max_examples=15, deadline=None)
@given(SEEDS, st.integers(1, 4), st.integers(1, 5), st.integers(1, 4), st.booleans())
def test_hint_cosine_and_nst_equal_their_oracles(seed, batch, length, width, masked):
    s, t = normal(batch, length, width, seed=seed), normal(batch, length, width, seed=seed + 1)
    mask = ragged(batch, length, seed) if masked else None
    n = None if mask is None else mask.numpy()
    close(losses.hint_loss(s, t, mask=mask), oracle.hint(s.numpy(), t.numpy(), n))
    close(losses.cosine_loss(s, t, mask=mask), oracle.cosine(s.numpy(), t.numpy(), n))
    maps = normal(batch, length, width, 2, seed=seed), normal(batch, 3, width, 2, seed=seed + 1)
    mask = some(batch, seed, 1) if masked else None
    n = None if mask is None else mask.numpy()
    close(losses.nst_loss(*maps, mask=mask), oracle.nst(*(f.numpy() for f in maps), n))


@pytest.mark.parametrize("masked", [False, True])
def test_vid_and_regressor_equal_their_oracle(masked):
    s, t = normal(3, 4, 5), normal(3, 4, 6, seed=1)
    mask = ragged(3, 4, 2) if masked else None
    module = VariationalRegressor(5, 6, variance=0.7, seed=3)
    with torch.no_grad():
        module.scale += normal(6, seed=4)
        module.bias += normal(6, seed=5)
    weights = [p.detach().numpy() for p in (module.weight, module.bias, module.scale)]
    expected = oracle.vid(
        s.numpy(), t.numpy(), *weights, 1e-5, None if mask is None else mask.numpy()
    )
    close(losses.vid_loss(s, t, module, mask=mask).detach(), expected)
    best = losses.vid_loss(t, t, lambda f: (f, torch.full((6,), 1e-3)))
    assert best < 0  # a likelihood, not a divergence


def test_a_convolution_of_one_pixel_is_the_linear_map_of_each_pixel():
    maps = normal(2, 3, 4, 5)
    conv, linear = (Regressor(3, 6, kind=k, seed=1) for k in ("conv1x1", "linear"))
    torch.testing.assert_close(conv(maps), linear(maps.movedim(1, -1)).movedim(-1, 1))
    mean, variance = VariationalRegressor(3, 6, kind="conv1x1", variance=2.0)(maps)
    assert (mean.shape, variance.shape) == ((2, 6, 4, 5), (6, 1, 1))
    torch.testing.assert_close(variance, torch.full((6, 1, 1), 2.0))


def test_projections_come_from_their_own_seed_and_leave_the_global_one_alone():
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    first, again, other = Regressor(4, 4, seed=1), Regressor(4, 4, seed=1), Regressor(4, 4, seed=2)
    assert torch.equal(before, torch.random.get_rng_state())
    assert torch.equal(first.weight, again.weight) and not torch.equal(first.weight, other.weight)


@pytest.mark.parametrize("kind", [Regressor, VariationalRegressor])
def test_junk_in_padding_reaches_no_weight_of_a_projection(kind):
    """A mask after the regressor leaves the value right and the weights' gradient NaN."""
    module = kind(4, 6, seed=0)
    s, t = normal(2, 3, 4), normal(2, 3, 6, seed=1)
    mask = torch.tensor([[True, True, False], [True, False, False]])
    s[~mask], t[~mask] = math.nan, math.inf
    if kind is Regressor:
        losses.hint_loss(s, t, regressor=module, mask=mask).backward()
    else:
        losses.vid_loss(s, t, module, mask=mask).backward()
    assert all(p.grad.isfinite().all() and p.grad.any() for p in module.parameters())

    late = Regressor(4, 6, seed=0)  # the mistake
    torch.where(mask.unsqueeze(-1), (late(s) - t).square(), 0.0).sum().backward()
    assert late.weight.grad.isnan().any()


class Largest(TorchDispatchMode):
    """Notes how many numbers the largest tensor holds that is made while it watches."""

    numbers = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        made = function(*args, **(kwargs or {}))
        for result in made if isinstance(made, (tuple, list)) else (made,):
            if isinstance(result, torch.Tensor):
                self.numbers = max(self.numbers, result.numel())
        return made


def test_nst_makes_no_tensor_of_all_channel_pairs_and_pixels():
    """Not to keep it for the backward pass is not enough: making it fills the memory once."""
    batch, channels, side = 2, 24, 12
    s = normal(batch, channels, side, side).requires_grad_()
    t = normal(batch, 2 * channels, side, side, seed=1)
    with Largest() as seen:
        losses.nst_loss(s, t).backward()
    pairs = batch * channels * 2 * channels
    assert 0 < seen.numbers <= batch * 2 * channels * side**2 < pairs * side**2 / 10


def test_zero_vectors_have_no_direction_and_no_gradient():
    """Dividing by max(length, 1e-12) instead sends gradients of 1e12 to a dead unit."""
    s = torch.zeros(2, 3, requires_grad=True)
    value = losses.cosine_loss(s, torch.tensor([[0.0, 0.0, 0.0], [1.0, 2.0, 3.0]]))
    value.backward()
    assert value.item() == pytest.approx(0.5) and not s.grad.any()


@settings(max_examples=15, deadline=None)
@given(SEEDS, st.integers(1, 4), st.integers(1, 4), st.integers(1, 4), st.booleans())
def test_attention_transfer_equals_its_oracle(seed, batch, c_s, c_t, masked):
    s, t = normal(batch, c_s, 2, 3, seed=seed), normal(batch, c_t, 2, 3, seed=seed + 1)
    mask = some(batch, seed, 1) if masked else None
    n = None if mask is None else mask.numpy()
    for form in ("code", "paper"):
        ours = losses.attention_transfer_loss(s, t, form=form, mask=mask)
        close(ours, oracle.attention_transfer(s.numpy(), t.numpy(), form, n))


def test_the_two_forms_of_attention_transfer_are_not_the_same_loss():
    s, t = normal(4, 8, 6, 6), normal(4, 8, 6, 6, seed=1)
    code = losses.attention_transfer_loss(s, t)
    paper = losses.attention_transfer_loss(s, t, form="paper")
    assert paper / code > 20  # about 36 pixels and a root
    one = losses.attention_transfer_loss(s[:1], t[:1], form="paper")
    assert one.item() ** 2 / 36 == pytest.approx(
        losses.attention_transfer_loss(s[:1], t[:1]).item(), rel=1e-5
    )


@settings(max_examples=15, deadline=None)
@given(SEEDS, st.integers(1, 3), st.integers(1, 3), st.integers(2, 5), st.booleans())
def test_transformer_attention_equals_its_oracles(seed, batch, heads, length, masked):
    mask = ragged(batch, length, seed) if masked else None
    n = None if mask is None else mask.numpy()
    scores = [normal(batch, heads, length, length, seed=seed + i, scale=3.0) for i in (0, 1)]
    ours = losses.tinybert_attention_loss(*scores, mask=mask)
    close(ours, oracle.tinybert(*(f.numpy() for f in scores), n))
    s = [normal(batch, length, 6 * heads, seed=seed + i) for i in range(3)]
    t = [normal(batch, length, 12 * heads, seed=seed + i) for i in range(3, 6)]
    s_n, t_n = ([f.numpy() for f in side] for side in (s, t))
    for version in (1, 2):
        for relation_heads in (heads, 3 * heads):
            ours = losses.minilm_relation_loss(
                s, t, relation_heads=relation_heads, version=version, mask=mask
            )
            close(ours, oracle.minilm(s_n, t_n, relation_heads, version, n), rel=1e-3)


def test_a_causal_mask_of_pairs_leaves_out_the_future():
    s, t = normal(2, 3, 4, 4), normal(2, 3, 4, 4, seed=1)
    causal = torch.ones(4, 4).tril().bool().expand(2, 4, 4)
    hidden = t.masked_fill(~causal.unsqueeze(1), -math.inf)
    ours = losses.tinybert_attention_loss(s, hidden, mask=causal)
    rows = [((s - t)[:, :, q, : q + 1] ** 2).mean((1, 2)) for q in range(4)]
    close(ours, torch.stack(rows).mean().item())


def test_a_plain_mean_over_padding_shrinks_as_padding_grows_and_ours_does_not():
    s, t = normal(1, 2, 3, 3), normal(1, 2, 3, 3, seed=1)
    alone = losses.tinybert_attention_loss(s, t).item()
    grow = lambda x: torch.nn.functional.pad(x, (0, 5, 0, 5))  # noqa: E731
    assert (grow(s) - grow(t)).square().mean().item() == pytest.approx(alone * 9 / 64, rel=1e-5)
    mask = torch.arange(8)[None] < 3
    assert losses.tinybert_attention_loss(grow(s), grow(t), mask=mask).item() == pytest.approx(
        alone
    )


def test_attention_after_the_softmax_is_refused():
    after = normal(2, 3, 4, 4).softmax(-1)
    with pytest.raises(ValueError, match="before the softmax"):
        losses.tinybert_attention_loss(after, after)


def test_relation_heads_free_the_student_from_the_teachers_head_count():
    s = [normal(2, 5, 12, seed=i) for i in range(3)]
    t = [normal(2, 5, 32, seed=i) for i in range(3, 6)]
    values = [losses.minilm_relation_loss(s, t, relation_heads=h).item() for h in (1, 2, 4)]
    assert all(v > 0 for v in values) and len({round(v, 4) for v in values}) == 3
    assert np.isfinite(values).all()
