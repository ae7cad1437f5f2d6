"""Rankings: whose margins, which candidates, and what a teacher may say of them."""

import math

import pytest
import torch

from distill_lab import losses
from tests.losses.draw import normal


def test_margins_are_the_positives_above_each_other_one():
    student = torch.tensor([[3.0, 1.0, 2.0], [0.0, 4.0, -1.0]])
    teacher = torch.tensor([[9.0, 5.0, 8.5], [1.0, 0.0, 0.0]])
    margins = [(3 - 1) - (9 - 5), (3 - 2) - (9 - 8.5), (0 - 4) - (1 - 0), (0 + 1) - (1 - 0)]
    expected = sum(m * m for m in margins) / 4
    assert losses.margin_mse(student, teacher).item() == pytest.approx(expected)
    answer = teacher[:, :1] - teacher[:, 1:]
    assert losses.margin_mse(student, answer).item() == pytest.approx(expected)
    mask = torch.tensor([[True, True, False], [True, True, True]])
    kept = [margins[0], *margins[2:]]
    value = losses.margin_mse(student, teacher, mask=mask).item()
    assert value == pytest.approx(sum(m * m for m in kept) / 3)


def test_a_query_whose_positive_is_missing_has_no_margin():
    s, t = normal(2, 3), normal(2, 3, seed=1)
    mask = torch.tensor([[False, True, True], [True, True, True]])
    expected = losses.margin_mse(s[1:], t[1:])
    torch.testing.assert_close(losses.margin_mse(s, t, mask=mask), expected)


def test_what_all_candidates_of_a_query_share_does_not_matter():
    s, t = normal(3, 4), normal(3, 4, seed=1)
    shift = normal(3, 1, seed=2)
    for loss in (losses.margin_mse, losses.listwise_kl):
        torch.testing.assert_close(loss(s + shift, t - 2 * shift), loss(s, t))


def test_lists_of_unequal_length_are_scored_each_as_it_is():
    s, t = normal(3, 4).double(), normal(3, 4, seed=1).double()
    lengths, T, total = [4, 2, 1], 0.5, 0.0
    mask = torch.arange(4) < torch.tensor(lengths)[:, None]
    for i, n in enumerate(lengths[:2]):  # one candidate has no order
        e_s, e_t = ((x[i, :n] / T).exp() for x in (s, t))
        p, q = e_t / e_t.sum(), e_s / e_s.sum()
        total += float((p * (p / q).log()).sum()) / 2
    s = s.masked_fill(~mask, math.nan)
    assert losses.listwise_kl(s, t, T=T, mask=mask).item() == pytest.approx(total, rel=1e-10)
