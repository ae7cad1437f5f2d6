"""The workbench with a training function that only pretends."""

from __future__ import annotations

import pytest

from lesson_12 import figures
from lesson_12.workbench import Run, Settings, Workbench, workbench


def make(train=None, **extra) -> Workbench:
    def quick(settings, progress):
        progress({"kd": 0.25, "ce": 1.0}, 3, 4)
        return Run(90.0 + settings.T, 89.0, [50.0, 90.0 + settings.T], [50.0, 89.0], seconds=1.25)

    given = {"teachers": ["large", "small"], "widths": [8, 32], "labels": [50, 200]}
    return workbench(train or quick, **{**given, **extra})


def test_the_button_trains_once_with_what_is_chosen() -> None:
    trained = []

    def train(settings, progress):
        trained.append(settings)
        return Run(91.0, 90.0)

    bench = make(train)
    bench.controls["T"].value = 2.5
    bench.controls["width"].value = 32
    bench.controls["teacher"].value = "small"
    assert trained == [], "moving a control must not train"
    bench.train_button.click()
    assert trained == [Settings(teacher="small", width=32, T=2.5, alpha=0.9, labels=50, seed=0)]


def test_the_run_joins_the_table_the_curve_and_the_words() -> None:
    bench = make()
    bench.train_button.click()
    for words in ("<b>94.0</b>", ">89.0<", ">+5.0<", ">1.2<", "large", "<svg"):
        assert words in bench.table.value, words
    assert "newest, distilled: 94.0 %" in bench.curves.value
    summary = "Run 1: distilled 94.0 %, hard labels 89.0 %, difference +5.0 points"
    assert summary in bench.status.value


def test_a_loss_is_shown_as_a_loss() -> None:
    bench = make(lambda settings, progress: Run(88.0, 90.5))
    bench.train()
    assert ">−2.5<" in bench.table.value


def test_the_same_settings_again_are_the_next_seed() -> None:
    bench = make()
    assert [bench.train() and bench.rows[-1][0].seed for _ in range(3)] == [0, 1, 2]
    bench.controls["T"].value = 8.0
    assert bench.settings.seed == 0


def test_progress_is_seen_while_training() -> None:
    seen = []

    def train(settings, progress):
        progress({"kd": 0.25}, 3, 4)
        seen.append((bench.status.value, bench.train_button.disabled))
        return Run(90.0, 90.0)

    bench = make(train)
    bench.train()
    [(status, disabled)] = seen
    assert "step 3 of 4: kd 0.250" in status
    assert '<progress aria-label="training" max="4" value="3"' in status
    assert disabled
    assert not bench.train_button.disabled


def test_progress_does_not_flood_the_browser() -> None:
    changes = []

    def train(settings, progress):
        bench.status.observe(lambda change: changes.append(change.new), "value")
        for step in range(1, 1001):
            progress({"kd": 1.0}, step, 1000)
        return Run(90.0, 90.0)

    bench = make(train)
    bench.train()
    assert len(changes) < 200
    assert any("step 1000 of 1000" in value for value in changes), "the last step is always shown"


@pytest.mark.parametrize(
    ("train", "words"),
    [
        (lambda settings, progress: 1 / 0, "ZeroDivisionError: division by zero"),
        (lambda settings, progress: 93.0, "must return a Run, got float"),
        (lambda settings, progress: Run(0.93, float("nan")), "accuracies in percent"),
    ],
)
def test_an_error_is_a_sentence_and_adds_nothing(train, words) -> None:
    bench = make(train)
    with pytest.raises(Exception, match=words.split(": ")[-1]):
        bench.train()
    assert words in bench.status.value
    assert 'role="alert"' in bench.status.value
    assert bench.rows == []
    assert not bench.train_button.disabled


def test_an_interrupt_is_said_too() -> None:
    def train(settings, progress):
        raise KeyboardInterrupt

    bench = make(train)
    with pytest.raises(KeyboardInterrupt):
        bench.train()
    assert "KeyboardInterrupt" in bench.status.value
    assert not bench.train_button.disabled


def test_clear_empties_the_board() -> None:
    bench = make()
    assert bench.clear_button.disabled
    bench.train()
    assert not bench.clear_button.disabled
    bench.clear_button.click()
    assert bench.rows == []
    assert "No run yet" in bench.table.value
    assert "No learning curve yet." in bench.curves.value
    assert bench.clear_button.disabled


def test_the_call_makes_the_same_run_again() -> None:
    def train(settings, progress):
        progress({"kd": 1.0}, 1, 1)
        return Run(settings.T, settings.alpha)

    bench = make(train)
    again = eval(bench.call, {"train": train, "Settings": Settings})
    run = bench.train()
    assert (again.accuracy, again.baseline) == (run.accuracy, run.baseline)


def test_seconds_are_measured_where_the_run_does_not_say() -> None:
    assert make(lambda settings, progress: Run(90.0, 90.0)).train() is not None
    bench = make(lambda settings, progress: Run(90.0, 90.0))
    bench.train()
    assert bench.rows[0][1].seconds >= 0


def test_names_from_outside_are_escaped() -> None:
    bench = make(teachers=["<img src=x>"])
    bench.train()
    assert "<img" not in bench.table.value + bench.status.value


def test_curves_of_different_lengths_and_none() -> None:
    rows = [
        (Settings("t", 8, 4.0, 0.9, 50), Run(90, 80, [10, 90], [10, 80])),
        (Settings("t", 8, 4.0, 0.9, 50, 1), Run(91, 80, [20, 50, 91], ())),
        (Settings("t", 8, 4.0, 0.9, 50, 2), Run(92, 80)),
    ]
    assert "Learning curves, 2 so far. Newest: distilled 91.0" in figures.render_curves(rows).alt
    assert figures.render_table(rows).count("<svg") == 2
