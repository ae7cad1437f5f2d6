"""The funnel keeps its proportions; an answer stands beside its verdict, whatever it holds."""

import re

import pytest

from distill_lab.course import worlds
from distill_lab.synthesis import filters
from lesson_43 import filtering
from lesson_43.experiments import right_rows
from lesson_43.figures import render_answers, render_errors, render_filters, render_funnel

TASK = worlds.load("support").test(1)[0]


def lengths(picture):
    return [float(x) for x in re.findall(r'd="M130 [\d.]+h([\d.]+)v', picture)]


def test_bars_are_as_long_as_the_rows_that_are_left():
    picture = render_funnel([("asked", 1000, ""), ("verified", 500, "500 wrong")], title="a set")
    full, half = lengths(picture)
    assert full == pytest.approx(2 * half, rel=0.01)
    assert "1,000" in picture and "500 wrong" in picture
    assert picture.alt == "a set: asked 1,000; verified 500 (500 wrong)."


@pytest.mark.parametrize("stages", [[], [("asked", 5, ""), ("verified", 6, "")], [("a", -1, "")]])
def test_a_funnel_does_not_widen(stages):
    with pytest.raises(ValueError, match="none of which has more rows"):
        render_funnel(stages, title="a set")


def test_answers_stand_beside_their_verdicts():
    picture = render_answers(TASK, {"teacher": TASK.answer, "student": "No idea."})
    assert "✓ teacher" in picture and "✗ student" in picture and "✓ gold answer" in picture
    assert "teacher, right" in picture.alt and "student, wrong: No idea." in picture.alt


def test_a_model_may_say_anything():
    picture = render_answers(TASK, {"student": "<b>&amp; " + "long " * 200, "other": ""})
    assert "<b>" not in picture and "(nothing)" in picture and "…" in picture


def test_the_picture_keeps_its_height_from_task_to_task():
    box = [
        re.search(r'viewBox="([^"]+)"', render_answers(task, {"a": "x", "b": text}))[1]
        for task in worlds.load("nli").test(3)
        for text in ("", "word " * 90)
    ]
    assert len(set(box)) == 1


def test_there_must_be_an_answer():
    with pytest.raises(ValueError, match="no answers"):
        render_answers(TASK, {})


ROWS = [
    {
        "id": f"{i:016x}",
        "prompt": [{"role": "user", "content": TASK.prompt}],
        "answer": TASK.answer if i % 2 else "Gold & <silver>",
        "about": {"task": 0, "world": "support"},
    }
    for i in range(10)
]
FILTERS = {
    "leakage": filters.not_leaked(["gold silver"]),
    "verified": filters.verified(lambda row: TASK.check.verdict(row["answer"]).right),
    "near-duplicates": filters.distinct(0.8),
    "balance": filters.balanced("world", at_most=3),
}
STORED = filtering.Stored([TASK], {1.0: ROWS}, FILTERS)


@pytest.mark.parametrize("order", filtering.ORDERS)
def test_the_filters_are_run_as_they_are_switched_and_ordered(order):
    """Every setting is drawn at one size, and its counts are those of the filters themselves."""
    sizes = set()
    for number in range(16):
        names = filtering.chosen(order, [bool(number >> i & 1) for i in range(4)])
        assert [n for n in filtering.ORDERS[order] if n in names] == list(names)
        result = STORED.run(1.0, names)
        rows = ROWS
        for name in names:
            rows, _ = FILTERS[name](rows)
        assert result.rows == rows
        picture = render_filters(result, ROWS, [TASK], T=1.0, score=None)
        sizes.add(re.search(r'viewBox="([^"]+)"', picture)[1])
        assert f"10 answers, {len(rows)} kept" in picture.alt and "<silver>" not in picture
        assert picture.alt.endswith("No student was trained on this setting.")
    assert len(sizes) == 1


def test_only_what_was_trained_has_a_score():
    scores = {"raw": 1.0, "verified": 2.0, "filtered": 3.0}
    on = (False, True, True, True)
    got = {
        (T, order): filtering.score(T, filtering.chosen(order, on), scores)
        for T in (0.5, 1.0)
        for order in filtering.ORDERS
    }
    assert got.pop((1.0, "as above")) == 3.0 and set(got.values()) == {None}
    assert filtering.score(1.0, (), scores) == 1.0
    shown = render_filters(STORED.run(1.0, ()), ROWS, [TASK], T=1, score=1.0)
    assert "1.0 % right" in shown.alt and "50.0 % of the kept" in shown.alt


@pytest.mark.parametrize(
    ("kind", "share", "filtered", "words"),
    [
        ("random", 0.15, False, "most frequent: 5, which is right"),
        ("random", 0.85, False, "most frequent: 5, which is right"),
        ("random", 0.95, False, "Equally frequent: 0, 1, 2, 3, 4, 6, 7, 8, 9."),
        ("random", 0.95, True, "most frequent: 5, which is right"),
        ("systematic", 0.45, False, "most frequent: 5, which is right"),
        ("systematic", 0.5, False, "Equally frequent: 4, 5."),
        ("systematic", 0.55, False, "most frequent: 4, which is wrong"),
        ("systematic", 1.0, True, "No answer is left: a hole"),
    ],
)
def test_what_is_most_frequent_is_learned(kind, share, filtered, words):
    picture = render_errors(kind, share, filtered=filtered, score=None)
    assert words in picture.alt and "No student is stored" in picture.alt
    assert "7.5 % of their sums" in render_errors(kind, share, filtered=filtered, score=7.5).alt


@pytest.mark.parametrize(("kind", "share"), [("other", 0.1), ("random", 1.1), ("random", -0.1)])
def test_errors_of_another_kind_or_share_are_refused(kind, share):
    with pytest.raises(ValueError, match="random or systematic, their share 0 to 1"):
        render_errors(kind, share, filtered=False, score=None)


def test_the_stored_answers_belong_to_the_prompts_of_the_lesson():
    """Four temperatures; a filter takes what it should; hotter answers are less often right."""
    stored = filtering.Stored.read()
    assert tuple(stored.rows) == filtering.TEMPERATURES and len(stored.tasks) == 105
    right = [right_rows(stored.rows[T], stored.tasks) for T in filtering.TEMPERATURES]
    assert right[0] > 95 and right[-1] < right[0]
    leaked = stored.run(1.0, ["leakage"])
    assert all(row["about"]["task"] < 100 for row in leaked.rows)
    assert right_rows(stored.run(2.0, ["verified"]).rows, stored.tasks) == 100
    kept = stored.run(1.0, filtering.ORDERS["as above"]).rows
    by_world = [row["about"]["world"] for row in kept]
    assert len({by_world.count(name) for name in worlds.NAMES}) == 1
