"""The pictures of lesson 42 show what their figures are, and every drawing can be drawn."""

from __future__ import annotations

import pytest
import torch

from lesson_42 import drawings, figures, grid


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
