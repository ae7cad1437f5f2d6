"""Agreement of rankings: against SciPy, with equal scores, and what is refused."""

import pytest
import torch
from scipy.stats import spearmanr

from distill_lab.evaluation import rank_agreement


def test_it_is_spearmans_correlation_with_the_mean_of_the_others_ties_and_all():
    scores = torch.randn(7, 5, generator=torch.Generator().manual_seed(0))
    for table in (scores, (2 * scores).round()):
        for column, value in enumerate(rank_agreement(table).tolist()):
            rest = [c for c in range(5) if c != column]
            expected = spearmanr(table[:, column], table[:, rest].double().mean(1)).statistic
            assert value == pytest.approx(expected)


def test_rankings_that_agree_or_oppose():
    same = torch.tensor([[1.0, 2, 3], [5, 6, 7], [8, 9, 9.5]])
    assert rank_agreement(same).tolist() == pytest.approx([1, 1, 1])
    odd = torch.tensor([[9.0, 1, 1], [5, 5, 5], [1, 9, 9]])
    assert rank_agreement(odd)[0].item() == pytest.approx(-1)


def test_the_order_of_methods_does_not_decide_among_equals():
    table = torch.tensor([[3.0, 1, 2], [3, 2, 1], [3, 4, 4]])
    assert rank_agreement(table)[0] == 0  # a column of equals ranks nothing
    ties = torch.tensor([[1.0, 1, 2], [1, 2, 1], [0, 0, 0]])
    assert rank_agreement(ties).equal(rank_agreement(ties[[1, 0, 2]]))


@pytest.mark.parametrize(
    "scores", [torch.zeros(3), torch.zeros(1, 4), torch.full((3, 3), torch.inf)]
)
def test_bad_input_is_answered_in_words(scores):
    with pytest.raises(ValueError, match=r"finite and \(methods, replications\)"):
        rank_agreement(scores)
