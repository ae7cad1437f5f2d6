"""Every two values of two axes meet in one case at least, and each case is what it is by hand."""

import random
from functools import cache

import pytest

from tests.training.grid import by_hand, forms
from tests.training.grid.axes import ALLOWED, AXES, KNOWN, REFUSALS, RULES
from tests.training.grid.cases import DiffersError, differences, possible_pairs
from tests.training.grid.compare import case, check, pasted
from tests.training.grid.covering import completed, covering, drawn, fits, pairs_of

QUICK = 120


@cache
def chosen():
    return covering(AXES, ALLOWED, seed=0)


@pytest.mark.parametrize("answer", AXES["answer"])
@pytest.mark.parametrize("rest", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_every_two_settings_learn_what_a_loop_by_hand_learns(answer, rest):
    """The first cases hold most pairs, and all together every one."""
    cases = chosen()[0][QUICK:] if rest else chosen()[0][:QUICK]
    lines = differences(check, (one for one in cases if one["answer"] == answer))
    assert not lines, f"{len(lines)} cases differ:\n\n" + "\n\n".join(lines)


@pytest.mark.slow
@pytest.mark.parametrize(
    "values",
    [
        {"form": "rows", "weights": "floats", "accumulate": 3, "end": "resumed"},
        {"form": "source", "answer": "maps", "labels": "some", "order": "own"},
        {"form": "ragged", "answer": "tokens", "order": "by length", "accumulate": 2},
    ],
)
def test_workers_that_read_ahead_change_nothing(values, monkeypatch):
    as_given = forms.as_given

    def with_workers(*args):
        data, more = as_given(*args)
        return data, more | {"workers": 2}

    monkeypatch.setattr(forms, "as_given", with_workers)
    assert check(case(**values)) == "learned"


@pytest.mark.exhaustive
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", range(10))
def test_settings_by_chance_learn_what_a_loop_by_hand_learns(seed):
    lines = differences(check, drawn(AXES, ALLOWED, seed, many=300))
    assert not lines, f"{len(lines)} of 300 cases differ:\n\n" + "\n\n".join(lines)


@pytest.mark.parametrize("number", range(len(REFUSALS)))
def test_what_means_nothing_is_refused_in_words(number):
    names, no, _ = REFUSALS[number]
    others = [r for i, r in enumerate(REFUSALS) if i != number]
    rules = [
        *RULES,
        *KNOWN,
        (names, no),
        *((n, lambda *values, no=no: not no(*values)) for n, no, _ in others),
    ]
    rng = random.Random(number)
    for _ in range(3):
        one = completed({}, AXES, rules, rng, tries=3000)
        assert one is not None and check(one) == "refused", pasted(one)


def test_the_cases_hold_every_pair_that_there_can_be():
    cases, alone = chosen()
    every = set().union(*map(pairs_of, cases))
    assert possible_pairs(AXES, ALLOWED) - every == alone
    assert all(fits(one, ALLOWED) for one in cases)
    assert len(cases) < 450 and covering(AXES, ALLOWED, seed=0)[0] == cases


@pytest.mark.parametrize(
    ("values", "word"),
    [({"answer": "maps", "clip": 0.05}, "clip=0.05"), ({"end": "seeds"}, "end='seeds'")],
)
def test_a_case_is_printed_as_lines_that_run_it(values, word):
    lines = pasted(case(**values))
    scope: dict = {}
    exec(lines, scope)
    assert word in lines and scope["case"](**values) == case(**values)


def test_a_loop_that_errs_is_seen(monkeypatch):
    assert check(case(accumulate=3, weights="floats")) == "learned"
    monkeypatch.setattr(by_hand, "factor", lambda *_: 1 + 1e-5)
    with pytest.raises(DiffersError, match=r"(?s)from that by hand|by hand.*check\(case\("):
        check(case(accumulate=3, weights="floats"))
