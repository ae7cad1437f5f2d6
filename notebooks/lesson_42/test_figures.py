"""The pictures of lesson 42 show what their figures are, and every drawing can be drawn."""

from __future__ import annotations

import pytest
import torch

from lesson_42 import drawings, figures, grid
from lesson_42.students import Figures


def test_the_map_of_the_teacher_has_no_wrong_line() -> None:
    picture = str(figures.render_map(grid.teacher_table(), 17, "the rule"))
    assert "At 0 of 25 cells the most probable token is wrong" in picture
    assert "100 % of the walks to cell 17 arrive" in picture


def test_a_writer_that_ends_at_once_arrives_at_its_first_cell_alone() -> None:
    p = torch.zeros(grid.CELLS, grid.CELLS, grid.VOCABULARY)
    p[..., grid.END] = 1.0
    assert "100 % of the walks to cell 0 arrive" in str(figures.render_map(p, 0, "end"))
    picture = str(figures.render_map(p, 12, "end"))
    assert " 0 % of the walks to cell 12 arrive, with 1.0 tokens" in picture
    assert "At 24 of 25 cells" in picture  # the end is right at the goal


@pytest.mark.parametrize("name", drawings.__all__)
def test_a_drawing_is_drawn(name: str) -> None:
    assert str(getattr(drawings, name)()).count("<svg") >= 1


def test_a_figure_of_estimators_shows_where_the_students_began() -> None:
    values = [torch.tensor([1.0, 1.2]), torch.tensor([0.8, 1.1])]
    figure = figures.intervals((4, 16), {"exact": values}, start=1.7, xlabel="x", ylabel="y")
    lines = [line for line in figure.axes[0].lines if line.get_label() == "at the start"]
    assert [line.get_ydata()[0] for line in lines] == [1.7]


def test_the_dashboard_marks_the_change_in_each_panel() -> None:
    measured = Figures(*(torch.ones(2) for _ in Figures._fields))
    figure = figures.dashboard({"control": [(0, measured), (9, measured)]}, change=5)
    for axes in figure.axes:
        assert any(list(line.get_xdata()) == [5, 5] for line in axes.lines)
