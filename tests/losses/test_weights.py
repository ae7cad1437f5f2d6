"""A mask of floats says what each position weighs; a class may weigh more than another."""

import math

import pytest
import torch
import torch.nn.functional as F

from distill_lab import losses
from distill_lab._util.tensors import Batch, rows_of
from tests.losses.laws import LAWS

WEIGHTS = torch.tensor([2.0, 0.0, 1.0, 0.5])
GENERATOR = torch.Generator().manual_seed(0)
Z_S, Z_T = (2 * torch.randn(4, 5, generator=GENERATOR) for _ in range(2))
Y = torch.tensor([1, 0, 4, 1])
ON_ROWS = [law for law in LAWS if law.name.split(" T=")[0].endswith(" bc") and not law.together]


@pytest.mark.parametrize("law", ON_ROWS, ids=lambda law: law.name)
def test_a_weighted_mean_divides_by_the_weights(law):
    """As if an example of weight 2 were there twice, and one of 0 not at all."""
    alone = torch.stack([law.call(Z_S[i : i + 1], Z_T[i : i + 1], None) for i in range(4)])
    value = law.call(Z_S, Z_T, WEIGHTS)
    assert value.item() == pytest.approx(((WEIGHTS * alone).sum() / WEIGHTS.sum()).item(), rel=1e-5)
    assert law.call(Z_S, Z_T, 7 * WEIGHTS).item() == pytest.approx(value.item(), rel=1e-5)
    even = torch.tensor([1.0, 0.0, 1.0, 1.0])
    torch.testing.assert_close(law.call(Z_S, Z_T, even), law.call(Z_S, Z_T, even > 0))
    batched = torch.vmap(lambda w: law.call(Z_S, Z_T, w))(torch.stack([WEIGHTS, even]))
    torch.testing.assert_close(batched[0], value)


def test_features_are_weighed_too_and_what_compares_takes_each_once():
    features = torch.randn(4, 6, generator=GENERATOR), torch.randn(4, 6, generator=GENERATOR)
    for loss in (losses.hint_loss, losses.cosine_loss):
        alone = torch.stack([loss(*(f[i : i + 1] for f in features)) for i in range(4)])
        expected = (WEIGHTS * alone).sum() / WEIGHTS.sum()
        torch.testing.assert_close(loss(*features, mask=WEIGHTS), expected)
    once = losses.pkt_loss(*features, mask=WEIGHTS > 0)
    torch.testing.assert_close(losses.pkt_loss(*features, mask=WEIGHTS), once)


def test_dist_weighs_the_examples_of_its_first_term():
    inter = {"gamma": 0.0}
    alone = torch.stack([losses.dist_loss(Z_S[[i]], Z_T[[i]], **inter) for i in range(4)])
    value = losses.dist_loss(Z_S, Z_T, mask=WEIGHTS, **inter)
    torch.testing.assert_close(value, (WEIGHTS * alone).sum() / WEIGHTS.sum())


@pytest.mark.parametrize("labels", [Y, torch.tensor([1, -100, 4, 0])])
def test_class_weights_are_those_of_torch(labels):
    weights = torch.tensor([1.0, 3.0, 0.0, 1.0, 0.25])
    ours = losses.cross_entropy(Z_S, labels, class_weights=weights)
    torch.testing.assert_close(ours, F.cross_entropy(Z_S, labels, weight=weights))
    both = losses.cross_entropy(Z_S, labels, class_weights=weights, mask=WEIGHTS)
    each = F.cross_entropy(Z_S, labels, weight=weights, reduction="none")
    known = torch.where(labels == -100, 0, labels)
    total = torch.where(labels == -100, 0.0, WEIGHTS * weights[known]).sum()
    torch.testing.assert_close(both, (WEIGHTS * each).sum() / total)


def test_weights_that_are_none_are_refused():
    for wrong in (-1.0, math.nan, math.inf):
        with pytest.raises(ValueError, match="what each position weighs"):
            losses.kd_loss(Z_S, Z_T, mask=torch.tensor([1.0, wrong, 1.0, 1.0]))
    with pytest.raises(ValueError, match="keeps no position"):
        losses.kd_loss(Z_S, Z_T, mask=torch.zeros(4))
    for wrong in (torch.ones(4), torch.tensor([1.0, -1.0, 1.0, 1.0, 1.0]), [1.0] * 5):
        with pytest.raises(ValueError, match="class_weights must be"):
            losses.cross_entropy(Z_S, Y, class_weights=wrong)


def test_a_batch_keeps_its_weights():
    batch = Batch(torch.eye(3), None, torch.arange(3), torch.tensor([1.0, 2.0, 3.0]))
    assert rows_of(batch, torch.tensor([2])).weights.tolist() == [3.0]
    assert batch.to(torch.device("cpu")).weights is batch.weights
    assert Batch(torch.eye(3), None, torch.arange(3)).weights is None
