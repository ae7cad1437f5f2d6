"""Each check lets exactly its values through, and says in one sentence what came instead."""

import math

import pytest

from distill_lab._util import checks

NO_NUMBERS = (None, "3", True, [1], math.nan, math.inf)
ACCEPTED = {
    checks.positive_int: (1, 7),
    checks.non_negative_int: (0, 1, 7),
    checks.positive_finite: (1e-300, 1, 2.5),
    checks.non_negative_finite: (0, 0.0, 2.5),
    checks.fraction: (0, 0.0, 0.5, 1),
}
REFUSED = {
    checks.positive_int: (*NO_NUMBERS, 0, -1, 2.0),
    checks.non_negative_int: (*NO_NUMBERS, -1, 2.0),
    checks.positive_finite: (*NO_NUMBERS, 0, -1.0),
    checks.non_negative_finite: (*NO_NUMBERS, -1.0, -math.inf),
    checks.fraction: (*NO_NUMBERS, -0.1, 1.1, 2),
}


@pytest.mark.parametrize("check", ACCEPTED, ids=lambda check: check.__name__)
def test_a_good_value_comes_back_as_it_is(check):
    for value in ACCEPTED[check]:
        assert check("n", value) is value


@pytest.mark.parametrize("check", REFUSED, ids=lambda check: check.__name__)
def test_any_other_is_refused_by_name_and_value(check):
    for value in REFUSED[check]:
        with pytest.raises(ValueError) as caught:
            check("n", value)
        message = str(caught.value)
        assert message.startswith("n must ") and message.endswith(f"got {value!r}.")


def test_a_fraction_may_exclude_its_ends():
    assert checks.fraction("beta", 0.5, ends=False) == 0.5
    for end in (0, 0.0, 1, 1.0):
        with pytest.raises(ValueError, match="beta must lie strictly between 0 and 1, got"):
            checks.fraction("beta", end, ends=False)


def test_one_of_compares_by_value_and_lists_what_is_allowed():
    assert checks.one_of("mean", "log", ("log", None)) == "log"
    assert checks.one_of("mean", None, ("log", None)) is None
    for value in ("median", ["log"], 3):
        with pytest.raises(ValueError, match=r"mean must be one of \['log'\], got"):
            checks.one_of("mean", value, {"log": 1})


def test_a_reason_follows_as_a_sentence_or_after_a_colon():
    for why, end in (("Use T = 1.", "got 0. Use T = 1."), (": it divides.", "got 0: it divides.")):
        with pytest.raises(ValueError) as caught:
            checks.positive_finite("T", 0, why=why)
        assert str(caught.value).endswith(end)
    with pytest.raises(ValueError, match=r"^n must be a size, got 0\.$"):
        checks.positive_int("n", 0, what="a size")
