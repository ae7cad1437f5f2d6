"""A slice of the sweep: what its picture says, and a sweep that does not fit."""

from __future__ import annotations

from xml.etree import ElementTree

import numpy as np
import pytest

from lesson_12.sweep_slice import render_sweep

SWEEP = {
    "widths": [4, 16],
    "temperatures": [1, 4, 16],
    "alphas": [0.5, 0.9],
    "hard": np.array([[80.0, 82.0, 81.0], [95.0, 96.0, 95.5]]),
    "kd": np.array([[80.0, 82.0, 81.0], [95.0, 96.0, 95.5]])[:, None, None]
    + np.array([-0.5, 1.0, -3.0])[None, :, None, None]
    + np.array([0.1, 0.0, -0.1])
    + np.zeros((2, 3, 2, 3)),
}


def texts(picture: str) -> list[str]:
    return [e.text or "" for e in ElementTree.fromstring(picture).iter() if e.tag.endswith("text")]


def test_a_sweeps_slice_says_gain_and_interval() -> None:
    drawn = render_sweep(SWEEP, width=4, T=4, alpha=0.9)
    assert "At T = 4: +1.00 points, 95 % interval +0.75 to +1.25; distillation helps." in drawn.alt
    assert "distillation hurts" in render_sweep(SWEEP, width=16, T=16, alpha=0.5).alt
    shown = texts(drawn)
    assert "T = 4: distilled 82.00 %, hard labels 81.00 %" in shown
    assert "✓ distillation helps" in shown
    assert any(text.endswith("3 paired seeds") for text in shown)


@pytest.mark.parametrize(
    ("sweep", "at", "words"),
    [
        (SWEEP, {"T": 3}, "T = 3 was not run in this sweep: choose one of 1, 4, 16"),
        (SWEEP, {"width": 8}, "choose one of 4, 16"),
        ({k: v for k, v in SWEEP.items() if k != "hard"}, {}, "hard missing"),
        ({**SWEEP, "hard": SWEEP["hard"][:, :2]}, {}, "last axis of both is the seed"),
    ],
)
def test_a_sweep_that_does_not_fit_is_refused_in_words(sweep, at, words) -> None:
    with pytest.raises(ValueError, match=words):
        render_sweep(sweep, **{"width": 4, "T": 4, "alpha": 0.9, **at})
