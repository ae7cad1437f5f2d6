"""The picture of CKA: every number is written, and the alt text says them all."""

import re

import pytest
import torch

from distill_lab.course.figures import svg
from lesson_21.figures import render_cka


def test_every_number_stands_in_the_picture_and_in_its_alt_text():
    table = torch.tensor([[0.1, 0.25, 1.0], [0.0, 0.5, 0.75]])
    drawn = render_cka(table, title="after training", facts=["step 3"], pairs=[(1, 2)])
    for value in ("0.10", "0.25", "1.00", "0.00", "0.50", "0.75"):
        assert f">{value}<" in drawn and value in drawn.alt
    assert ">step 3<" in drawn and "step 3" in drawn.alt and "after training" in drawn.alt
    assert drawn.count('stroke-width="2.5"') == 1  # the frame


def test_darker_is_more_alike():
    pale, dark = (render_cka([[v]], title="t").split('height="26" fill="#')[1][:6] for v in (0, 1))
    assert sum(bytes.fromhex(pale)) > sum(bytes.fromhex(dark))


def test_every_number_stands_out_from_its_cell():
    """WCAG's contrast of two colours; 21 is black on white, 3 the least for large text."""

    def luminance(colour):
        parts = [part / 255 for part in bytes.fromhex(colour.lstrip("#"))]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    for value in torch.linspace(0, 1, 101).tolist():
        drawn = render_cka([[value]], title="t")
        cell = re.search(r'height="26" fill="(#\w{6})"', drawn)[1]
        figure = re.search(rf"<text([^>]*)>{value:.2f}<", drawn)[1]
        ink = re.search(r'fill="(#\w{6})"', figure)
        dark, light = sorted(luminance(colour) for colour in (cell, ink[1] if ink else svg.INK))
        assert (light + 0.05) / (dark + 0.05) > 3.9, value


def test_rounding_past_1_is_drawn_as_1_and_more_is_refused():
    assert ">1.00<" in render_cka([[1.00001]], title="t")
    for wrong in ([[1.2]], [[float("nan")]], [[-0.5]]):
        with pytest.raises(ValueError, match="between 0 and 1"):
            render_cka(wrong, title="t")
    with pytest.raises(ValueError, match="student layers, teacher layers"):
        render_cka([0.5], title="t")
    with pytest.raises(ValueError, match="1 by 1 table"):
        render_cka([[0.5]], title="t", pairs=[(1, 0)])
