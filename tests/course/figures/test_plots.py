"""The figures: alt text that cannot be forgotten, fixed roles, numbers where they belong."""

import base64
import itertools
import re
from types import SimpleNamespace

import matplotlib as mpl
import numpy as np
import pytest
import torch

from distill_lab.course.figures import plots, style, svg

ALT = "Two curves: the distilled student stays above hard labels."


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, str]]:
    """What `show` puts on the page."""
    pages: list[dict[str, str]] = []
    monkeypatch.setattr(style, "display", lambda data, raw: pages.append(data))
    return pages


def test_show_gives_an_image_with_alt_text_and_the_words_alone(shown) -> None:
    figure = plots.curves({"teacher": [1, 2, 3]}, xlabel="epoch", ylabel="y")
    plots.show(figure, alt='He said "A & B" rise together.')
    [data] = shown
    assert data["text/plain"] == 'He said "A & B" rise together.'
    page = data["text/html"]
    assert 'alt="He said &quot;A &amp; B&quot; rise together."' in page
    image = base64.b64decode(re.search('base64,([^"]+)', page)[1])
    assert b"<svg" in image


@pytest.mark.parametrize("alt", ["", "  ", "figure", "accuracy against epoch", None])
def test_missing_or_empty_words_are_refused(alt) -> None:
    figure, _ = plots.new_figure()
    with pytest.raises(ValueError, match="every figure needs alt text"):
        plots.show(figure, alt=alt)


@pytest.mark.parametrize(
    "values",
    [{"own": 91.4}, [0.123456789], ["a", "b"], torch.tensor([1.0, 2.0]), 68.56478118896484],
)
def test_values_of_python_are_no_words_to_be_read_aloud(values) -> None:
    figure, _ = plots.new_figure()
    with pytest.raises(ValueError, match="read aloud"):
        plots.show(figure, alt=f"Arrivals by divergence and source of text: {values}")


def test_numbers_brackets_and_names_may_stand_in_alt_text(shown) -> None:
    figure, _ = plots.new_figure()
    plots.show(figure, alt="Gains over labels: +0.50 [-2.52, 3.52] (5/10); ('a') 1.6e-08.")


def test_a_pyplot_figure_is_closed(shown) -> None:
    from matplotlib import pyplot

    before = pyplot.get_fignums()
    figure = pyplot.figure()
    plots.show(figure, alt=ALT)
    assert len(shown) == 1
    assert pyplot.get_fignums() == before


def test_the_same_figure_gives_the_same_bytes_and_leaves_no_style_behind() -> None:
    settings = dict(mpl.rcParams)
    one, two = (
        plots.to_svg(plots.curves({"teacher": [1, 2, 4]}, xlabel="epoch", ylabel="y"))
        for _ in range(2)
    )
    assert one == two
    assert dict(mpl.rcParams) == settings


def test_roles_have_their_own_colour_line_and_marker() -> None:
    roles = [plots.TEACHER, plots.STUDENT, plots.HARD, *plots.EXTRA]
    for key in ("color", "linestyle", "marker"):
        assert len({str(role[key]) for role in roles}) == len(roles), key
    assert [r["color"] for r in roles[:3]] == [svg.TEACHER, svg.STUDENT, svg.HARD]


def test_curves_draw_each_seed_thin_and_the_mean_thick() -> None:
    runs = np.arange(12.0).reshape(3, 4)
    figure = plots.curves({"distilled": runs, "hard labels": runs[0]}, xlabel="e", ylabel="y")
    lines = figure.axes[0].lines
    assert len(lines) == 3 + 1 + 1
    np.testing.assert_allclose(lines[3].get_ydata(), runs.mean(0))
    assert lines[3].get_color() == svg.STUDENT
    assert lines[4].get_linestyle() == ":"
    assert lines[0].get_linewidth() < lines[3].get_linewidth()


@pytest.mark.parametrize(("x", "integral"), [([0, 1, 2], True), (None, True), ([0, 0.5, 1], False)])
def test_whole_numbers_have_no_marks_between_them(x: list[float] | None, integral: bool) -> None:
    figure = plots.curves({"student": [1, 2, 4]}, x=x, xlabel="round", ylabel="y")
    figure.draw_without_rendering()
    assert all(float(mark).is_integer() for mark in figure.axes[0].get_xticks()) is integral


def test_forest_draws_mean_interval_zero_and_words() -> None:
    interval = SimpleNamespace(mean=1.5, low=0.5, high=2.5)
    figure = plots.forest({"50 labels": interval}, values={"50 labels": [1, 2]}, margin=0.3)
    [axes] = figure.axes
    drawn = [list(map(float, line.get_xdata())) for line in axes.lines]
    assert [0.5, 2.5] in drawn
    assert [1.0, 2.0] in drawn
    assert [0.0, 0.0] in drawn
    assert "+1.50  [+0.50, +2.50]" in [text.get_text() for text in axes.texts]


def test_seed_bars_show_the_mean_and_every_seed() -> None:
    scores = {"hard labels": [40.0, 60.0], "T = 4": [70.0, 80.0, 90.0]}
    figure = plots.seed_bars(scores, [plots.HARD, plots.STUDENT], ylabel="accuracy, %")
    axes = figure.axes[0]
    assert [bar.get_height() for bar in axes.patches] == [50, 80]
    assert [bar.get_hatch() for bar in axes.patches] == [None, "|||"]
    assert [list(line.get_ydata()) for line in axes.lines] == list(scores.values())
    assert [text.get_text() for text in axes.texts] == ["50.0", "80.0"]


def test_grouped_bars_hatch_the_student_alone_and_write_values() -> None:
    series = {"teacher": [97.0, 97.0], "distilled": [92.0, 94.2], "hard labels": [91.0, 90.0]}
    figure = plots.grouped_bars(["T = 1", "T = 4"], series, ylabel="accuracy, %")
    [axes] = figure.axes
    assert [c.patches[0].get_hatch() for c in axes.containers] == [None, "|||", None]
    assert {"94.2", "97.0"} <= {text.get_text() for text in axes.texts}


def test_heat_map_writes_numbers_that_can_be_read() -> None:
    table = np.array([[-3.0, 0.0, 3.0]])
    figure = plots.heat_map(table, rows=[8], columns=[1, 2, 4], ylabel="width", xlabel="T")
    texts = figure.axes[0].texts
    assert [t.get_text() for t in texts] == ["−3.0", "+0.0", "+3.0"]
    assert [t.get_color() for t in texts] == ["#000000", "#000000", "#FFFFFF"]


def test_images_show_each_with_its_title() -> None:
    figure = plots.images(np.zeros((3, 1, 8, 8)), ["a", "b", "c"], columns=2)
    assert [axes.get_title() for axes in figure.axes] == ["a", "b", "c", ""]
    assert [len(axes.images) for axes in figure.axes] == [1, 1, 1, 0]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda: plots.curves({"a": 3.0}, xlabel="", ylabel=""), r"a: expected values of shape"),
        (
            lambda: plots.curves({"a": [1, 2]}, x=[1, 2, 3], xlabel="", ylabel=""),
            "as many points as x has, 3, got 2",
        ),
        (lambda: plots.grouped_bars(["g"], {"a": [1, 2]}, ylabel=""), "each of the 1 groups"),
        (lambda: plots.images(np.zeros((2, 8, 8)), ["one"]), "2 images and 1 titles"),
        (lambda: plots.images([]), "at least one image"),
        (
            lambda: plots.heat_map([[1.0]], rows=[1, 2], columns=[1], ylabel="", xlabel=""),
            "2 rows and 1 columns",
        ),
    ],
)
def test_bad_input_is_refused_in_words(wrong, words) -> None:
    with pytest.raises(ValueError, match=words):
        wrong()


@pytest.mark.parametrize(
    "groups",
    [
        ["careless teacher", "misled, no 7 + 8", "misled, 7 + 8"],
        ["nli", "questions", "support", "arithmetic", "summaries", "mean"],
        ["a name of several long words"] * 4,
    ],
)
def test_the_names_of_groups_never_run_into_each_other(groups: list[str]) -> None:
    series = {name: np.full(len(groups), 99.0) for name in ("raw", "gold", "verified", "filtered")}
    figure = plots.grouped_bars(groups, series, ylabel="right, %", digits=0)
    assert figure.get_size_inches()[0] <= 8.0
    figure.draw_without_rendering()
    [axes] = figure.axes
    extents = [label.get_window_extent() for label in axes.get_xticklabels()]
    for left, right in itertools.pairwise(extents):
        assert left.x1 < right.x0
    values = [text.get_window_extent() for text in axes.texts]
    values.sort(key=lambda box: box.x0)
    assert all(left.x1 <= right.x0 + 1 for left, right in itertools.pairwise(values))


def test_bars_and_lines_without_a_role_do_not_bear_a_colour_of_verdicts() -> None:
    verdicts = {svg.GREEN, svg.PURPLE}
    assert not verdicts & {look["color"] for look in plots.EXTRA}
    _, axes = plots.new_figure()
    drawn = {axes.plot([0, 1])[0].get_color() for _ in range(4)}
    assert drawn == {look["color"] for look in (*plots.EXTRA, plots.HARD)}
    looks = [plots.bar_look("another", i) for i in range(4)]
    assert not verdicts & {color for look in looks for color in (look["color"], look["edgecolor"])}
    assert len({(look["color"], look["hatch"]) for look in looks}) == 4
