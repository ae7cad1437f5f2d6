"""A method's terms and its weights name the same things, or a sentence."""

import pytest
import torch

from distill_lab.methods import Method

ONE = torch.ones(())


@pytest.mark.parametrize(
    "names", [{"ce"}, {"ce", "kd", "hint"}, {"ce", "dk"}, set()], ids=lambda names: str(len(names))
)
def test_a_term_without_its_weight_and_a_weight_without_its_term_are_refused(names):
    """One library reads its weights under a misspelt key, so a term is there and counts nothing."""
    method = Method("mine", lambda *_: {}, {"ce": 1.0, "kd": 0.5})
    terms = dict.fromkeys(names, ONE)
    with pytest.raises(ValueError, match=r"has weights for \['ce', 'kd'\]: give each term one"):
        method.check(terms)
    with pytest.raises(ValueError, match="give each term one weight"):
        method.total(terms)


def test_the_total_is_the_weighted_sum():
    method = Method("mine", lambda *_: {}, {"ce": 1.0, "kd": 0.5})
    assert method.total({"kd": 4 * ONE, "ce": 3 * ONE}) == 5
