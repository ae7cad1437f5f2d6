"""Every two values of two axes meet in one case at least, and each figure is what it is by hand."""

import random
from functools import cache

import pytest

from tests.evaluation.grid import by_hand
from tests.evaluation.grid.axes import ALLOWED, AXES, REFUSALS, RULES
from tests.evaluation.grid.compare import case, check, pasted
from tests.training.grid.cases import DiffersError, differences, possible_pairs
from tests.training.grid.covering import completed, covering, drawn, fits, pairs_of

QUICK = 90


@cache
def chosen():
    return covering(AXES, ALLOWED, seed=0)


@pytest.mark.parametrize("answer", AXES["answer"])
@pytest.mark.parametrize("rest", [False, pytest.param(True, marks=pytest.mark.exhaustive)])
def test_every_two_values_are_measured_as_by_hand(answer, rest):
    """The first cases hold most pairs, and all together every one."""
    cases = chosen()[0][QUICK:] if rest else chosen()[0][:QUICK]
    lines = differences(check, (one for one in cases if one["answer"] == answer))
    assert not lines, f"{len(lines)} cases differ:\n\n" + "\n\n".join(lines)


@pytest.mark.exhaustive
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", range(8))
def test_values_by_chance_are_measured_as_by_hand(seed):
    lines = differences(check, drawn(AXES, ALLOWED, seed, many=400))
    assert not lines, f"{len(lines)} of 400 cases differ:\n\n" + "\n\n".join(lines)


@pytest.mark.parametrize("number", range(len(REFUSALS)))
def test_what_means_nothing_is_refused_in_words(number):
    names, no, _ = REFUSALS[number]
    others = [r for i, r in enumerate(REFUSALS) if i != number]
    rules = [
        *RULES,
        (names, no),
        *((n, lambda *values, no=no: not no(*values)) for n, no, _ in others),
    ]
    rng = random.Random(number)
    for _ in range(6):
        one = completed({}, AXES, rules, rng, tries=3000)
        assert one is not None and check(one) == "refused", pasted(one)


def test_the_cases_hold_every_pair_that_there_can_be():
    cases, alone = chosen()
    every = set().union(*map(pairs_of, cases))
    assert possible_pairs(AXES, ALLOWED) - every == alone
    assert all(fits(one, ALLOWED) for one in cases)
    first = set().union(*map(pairs_of, cases[:QUICK]))
    assert len(first) > 0.8 * len(every) and len(cases) < 300


@pytest.mark.parametrize(
    ("values", "word"),
    [({"answer": "maps", "examples": 3}, "examples=3"), ({"model": "seeds"}, "model='seeds'")],
)
def test_a_case_is_printed_as_lines_that_run_it(values, word):
    lines = pasted(case(**values))
    scope: dict = {}
    exec(lines, scope)
    assert word in lines and scope["case"](**values) == case(**values)


@pytest.mark.parametrize(
    ("name", "values", "words"),
    [
        ("_cost", {"answer": "tags", "form": "dict"}, "nll is"),
        ("of_two", {"teacher": "named"}, "student less big, mean"),
        ("beside", {"teacher": "own"}, "agreement is"),
    ],
)
def test_a_figure_by_hand_that_errs_is_seen(name, values, words, monkeypatch):
    assert check(case(**values)) == "measured"
    own = getattr(by_hand, name)

    def erring(*args):
        result = own(*args)
        if isinstance(result, dict):
            return {key: value + 1e-3 for key, value in result.items()}
        return result * (1 + 1e-5)

    monkeypatch.setattr(by_hand, name, erring)
    with pytest.raises(DiffersError, match=rf"(?s){words}.*by hand.*check\(case\("):
        check(case(**values))
