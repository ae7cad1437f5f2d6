"""Linear CKA: the value by hand, what it is blind to, and what it is not."""

import numpy as np
import pytest
import torch

from distill_lab.evaluation import linear_cka


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def rotation(size, seed=1):
    return torch.linalg.qr(draw(size, size, seed=seed).double())[0].float()


def oracle(x, y):
    """Kornblith et al. 2019, eqs. 2 to 4, with N by N kernels and the centring matrix."""
    x, y = x.double().numpy(), y.double().numpy()
    n = len(x)
    h = np.eye(n) - np.ones((n, n)) / n
    k, m = x @ x.T, y @ y.T

    def hsic(a, b):
        return np.trace(a @ h @ b @ h) / (n - 1) ** 2

    return hsic(k, m) / np.sqrt(hsic(k, k) * hsic(m, m))


@pytest.mark.parametrize(("n", "d", "e"), [(40, 6, 9), (8, 30, 5), (8, 30, 25), (3, 1, 1)])
def test_it_is_the_ratio_of_the_paper_on_either_way_round(n, d, e):
    x, y = draw(n, d) + 3, draw(n, e, seed=2) + draw(n, 1, seed=3)
    assert linear_cka(x, y).item() == pytest.approx(oracle(x, y), abs=1e-6)
    assert linear_cka(y, x).item() == pytest.approx(oracle(x, y), abs=1e-6)


def test_turned_moved_and_scaled_is_the_same_and_stretched_is_not():
    x, y = draw(60, 12), draw(60, 7, seed=2)
    before = linear_cka(x, y)
    torch.testing.assert_close(linear_cka(5 * x @ rotation(12) - 2, y), before)
    assert linear_cka(x, 0.1 * x @ rotation(12)).item() == pytest.approx(1)
    stretched = x * torch.cat((torch.full((1,), 20.0), torch.ones(11)))
    assert linear_cka(stretched, x).item() < 0.8


def test_unrelated_features_come_near_0_only_with_many_examples():
    few, many = (linear_cka(draw(n, 50), draw(n, 50, seed=2)).item() for n in (20, 20_000))
    assert many < 0.01 < 0.5 < few


def test_seeds_are_a_leading_axis():
    x, y = draw(3, 30, 4), draw(3, 30, 6, seed=2)
    each = torch.stack([linear_cka(a, b) for a, b in zip(x, y, strict=True)])
    torch.testing.assert_close(linear_cka(x, y), each)
    torch.testing.assert_close(linear_cka(x, y[0])[2], linear_cka(x[2], y[0]))


def test_features_that_do_not_vary_have_nothing_in_common():
    assert linear_cka(torch.ones(9, 3), draw(9, 3)).item() == 0
    assert linear_cka(torch.ones(9, 3), torch.ones(9, 3)).item() == 0


def test_a_large_offset_costs_no_digits():
    x, y = draw(50, 5), draw(50, 5, seed=2)
    assert linear_cka(x + 1000, y).item() == pytest.approx(linear_cka(x, y).item(), abs=1e-3)


@pytest.mark.parametrize(
    ("x", "y", "error", "words"),
    [
        ([1.0], draw(4, 2), TypeError, "not list"),
        (torch.ones(4, 2, dtype=torch.long), draw(4, 2), TypeError, "int64"),
        (draw(4), draw(4, 2), ValueError, "Flatten maps"),
        (draw(1, 2), draw(1, 2), ValueError, "at least two"),
        (draw(4, 2), draw(5, 2), ValueError, "4 examples and other 5"),
        (draw(4, 2) * float("nan"), draw(4, 2), ValueError, "NaN"),
    ],
)
def test_bad_input_is_answered_in_words(x, y, error, words):
    with pytest.raises(error, match=words):
        linear_cka(x, y)
