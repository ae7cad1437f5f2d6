"""The funnel keeps its proportions; an answer stands beside its verdict, whatever it holds."""

import re

import pytest

from distill_lab.course import worlds
from lesson_43.figures import render_answers, render_funnel

TASK = worlds.load("support").test(1)[0]


def lengths(picture):
    return [float(x) for x in re.findall(r'd="M210 [\d.]+h([\d.]+)v', picture)]


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
