"""The workbench with a training function that only pretends."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from lesson_12 import figures
from lesson_12 import workbench as module
from lesson_12.workbench import Run, Settings, Workbench, workbench


@pytest.fixture(autouse=True)
def no_boards(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test begins with an empty scoreboard."""
    monkeypatch.setattr(module, "_BOARDS", {})


def make(train=None, **extra) -> Workbench:
    def quick(settings, progress):
        progress({"kd": 0.25, "ce": 1.0}, 3, 4)
        return Run([89.0 + settings.T, 91.0 + settings.T], [88.0, 90.0], seconds=1.25)

    given = {"teachers": ["large", "small"], "widths": [8, 32], "labels": [50, 200]}
    return workbench(train or quick, **{**given, **extra})


def flat(accuracy: float, baseline: float = 90.0) -> Run:
    return Run([accuracy, accuracy + 1], [baseline, baseline + 0.5])


def test_the_button_trains_once_with_what_is_chosen() -> None:
    trained = []

    def train(settings, progress):
        trained.append(settings)
        return flat(91.0)

    bench = make(train)
    bench.controls["T"].value = 2.5
    bench.controls["width"].value = 32
    bench.controls["teacher"].value = "small"
    assert trained == [], "moving a control must not train"
    bench.train_button.click()
    assert trained == [Settings(teacher="small", width=32, T=2.5, alpha=0.9, labels=50)]


def test_the_run_joins_the_table_the_picture_and_the_words() -> None:
    bench = make()
    bench.train_button.click()
    for words in (">94.0<", ">89.0<", ">+5.0 [5.0, 5.0]<", "large"):
        assert words in bench.table.value, words
    assert "run 1: 50 labels, width 8, T = 4" in bench.picture.value
    summary = "Run 1, 2 seeds: distilled 94.0 %, labels alone 89.0 %, difference +5.0 points"
    assert summary in bench.status.value


def test_a_loss_is_shown_as_a_loss() -> None:
    bench = make(lambda settings, progress: flat(87.0))
    bench.train()
    assert ">−2.8 [" in bench.table.value


def test_the_interval_is_that_of_the_pairs() -> None:
    run = Run([91.0, 92.0, 93.0], [90.0, 90.5, 91.0])
    assert run.difference.low == pytest.approx(0.258, abs=1e-3)
    assert f"{run.difference:.2f}" == "+1.50 [0.26, 2.74] (3/3)"


def test_the_same_settings_are_not_trained_twice() -> None:
    trained = []

    def train(settings, progress):
        trained.append(settings)
        return flat(91.0)

    bench = make(train)
    first = bench.train()
    assert bench.train() is first
    assert len(trained) == len(bench.rows) == 1
    assert "On the scoreboard already, as run 1" in bench.status.value
    bench.controls["T"].value = 8.0
    bench.train()
    assert len(trained) == len(bench.rows) == 2


def test_the_scoreboard_outlives_its_cell() -> None:
    bench = make()
    bench.train()
    again = make()
    assert again.rows == bench.rows
    assert ">94.0<" in again.table.value
    assert make(labels=[100]).rows == [], "other choices, another scoreboard"


def test_the_best_is_bold_among_equal_numbers_of_labels_alone() -> None:
    def row(labels: int, accuracy: float) -> tuple[Settings, Run]:
        return Settings("large", 8, 4.0, 0.9, labels), flat(accuracy)

    assert "<b>" not in figures.render_table([row(50, 80.0), row(1000, 95.0)])
    table = figures.render_table([row(50, 80.0), row(50, 82.0), row(1000, 95.0)])
    assert table.count("<b>") == 1
    assert "<b>82.5</b>" in table


def test_progress_is_seen_while_training() -> None:
    seen = []

    def train(settings, progress):
        progress({"kd": 0.25}, 3, 4)
        seen.append((bench.status.value, bench.train_button.disabled))
        return flat(90.0)

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
        return flat(90.0)

    bench = make(train)
    bench.train()
    assert len(changes) < 200
    assert any("step 1000 of 1000" in value for value in changes), "the last step is always shown"


@pytest.mark.parametrize(
    ("train", "words"),
    [
        (lambda settings, progress: 1 / 0, "ZeroDivisionError: division by zero"),
        (lambda settings, progress: 93.0, "must return a Run, got float"),
        (lambda settings, progress: Run([93.0, float("nan")], [90, 90]), "accuracies in percent"),
        (lambda settings, progress: Run([93.0], [90.0]), "two seeds or more"),
        (lambda settings, progress: Run([93.0, 94.0], [90.0]), "each with its twin"),
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


def test_an_interrupt_is_shown_too() -> None:
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
    assert make().rows == [], "cleared for good"
    assert "No run yet" in bench.table.value
    assert "No run yet." in bench.picture.value
    assert bench.clear_button.disabled


def test_the_call_makes_the_same_run_again() -> None:
    def train(settings, progress):
        progress({"kd": 1.0}, 1, 1)
        return flat(settings.T, settings.alpha)

    bench = make(train)
    again = eval(bench.call, {"train": train, "Settings": Settings})
    run = bench.train()
    assert (again.accuracy, again.baseline) == (run.accuracy, run.baseline)


def test_seconds_are_measured_where_the_run_has_none() -> None:
    bench = make(lambda settings, progress: flat(90.0))
    bench.train()
    assert bench.rows[0][1].seconds >= 0


def test_names_from_outside_are_escaped() -> None:
    bench = make(teachers=["<img src=x>"])
    bench.train()
    assert "<img" not in bench.table.value + bench.status.value


def test_the_picture_has_the_newest_runs_and_never_more_height_than_the_widget_keeps() -> None:
    rows = [(Settings("t", 8, 4.0, 0.9, 50 + i), flat(80.0 + i)) for i in range(9)]
    pictures = [figures.render_runs(rows[:count]) for count in range(10)]
    heights = [float(ElementTree.fromstring(p).get("height")) for p in pictures]
    assert heights == sorted(heights)
    assert max(heights) == figures.HEIGHT
    assert pictures[9].alt.startswith("9 runs. Newest: distilled 88.5 percent")
    assert "run 9:" in pictures[9] and "run 3:" not in pictures[9]
