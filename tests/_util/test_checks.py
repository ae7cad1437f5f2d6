"""Each check lets exactly its values through, and says in one sentence what came instead."""

import math

import numpy as np
import pytest
import torch

from distill_lab._util import checks

NO_NUMBERS = (None, "3", True, np.True_, torch.tensor(True), [1], np.ones(1), math.nan, math.inf)
ACCEPTED = {
    checks.whole_number: (-3, 0, 7),
    checks.positive_int: (1, 7),
    checks.non_negative_int: (0, 1, 7),
    checks.positive_finite: (1e-300, 1, 2.5),
    checks.non_negative_finite: (0, 0.0, 2.5),
    checks.fraction: (0, 0.0, 0.5, 1),
}
REFUSED = {
    checks.whole_number: (*NO_NUMBERS, 2.0, np.float32(2)),
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


@pytest.mark.parametrize("check", ACCEPTED, ids=lambda check: check.__name__)
def test_scalars_of_numpy_and_torch_come_back_as_pythons_own_numbers(check):
    for value in ACCEPTED[check]:
        array = np.asarray(value)
        for given in (array, array[()], torch.from_numpy(array.copy())):
            number = check("n", given)
            assert type(number) is type(value) and number == value


def test_a_tensor_that_learns_is_no_setting():
    learned = torch.tensor(2.0, requires_grad=True)  # as a number it would learn no more
    with pytest.raises(ValueError, match="T must be a positive finite number, got tensor"):
        checks.positive_finite("T", learned)
    assert checks.positive_finite("T", learned.detach()) == 2.0


def test_attributes_are_kept_as_they_were_checked():
    class Settings:
        steps, every = np.int64(3), None

    settings = Settings()
    checks.set_checked(settings, checks.positive_int, "steps", "every", optional=True)
    assert type(settings.steps) is int and settings.every is None
    with pytest.raises(ValueError, match="every must be a positive integer, got None"):
        checks.set_checked(settings, checks.positive_int, "every")


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
