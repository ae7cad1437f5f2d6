"""Lesson 41's pictures: the nearest Gaussian by another road, and figures that can be drawn."""

import math

import numpy as np
import pytest

from distill_lab.course.figures import plots
from lesson_41 import figures, sentences


def test_forward_kl_has_the_teachers_moments():
    for distance in (1.0, 2.0, 3.0):
        mean, spread = figures.fit(0.0, distance)
        centre = (0.4 - 0.6) * distance
        assert mean == pytest.approx(centre, abs=0.051)
        assert spread == pytest.approx(math.sqrt(1 + distance**2 - centre**2), abs=0.051)


def test_reverse_kl_sits_on_the_larger_hill_when_they_are_far_apart():
    assert figures.fit(1.0, 3.0) == pytest.approx((-3.0, 1.0), abs=1e-6)


@pytest.mark.parametrize("beta", [0.3, 0.5, 0.8])
def test_no_gaussian_near_by_is_nearer(beta):
    """The divergence written out anew, around the fit that was found."""
    p = figures.hills(2.0)

    def value(mean, spread):
        q = np.exp(-0.5 * ((figures.X - mean) / spread) ** 2) / spread / math.sqrt(2 * math.pi)
        m = beta * p + (1 - beta) * q
        return np.sum(beta * p * np.log(p / m) + (1 - beta) * q * np.log(q / m + 1e-300))

    mean, spread = figures.fit(beta, 2.0)
    for away in ((0.1, 0), (-0.1, 0), (0, 0.1), (0, -0.1)):
        assert value(mean, spread) <= value(mean + away[0], spread + away[1])


def test_beta_outside_its_range_is_refused():
    with pytest.raises(ValueError, match="between 0"):
        figures.fit(1.5)


def test_the_live_picture_says_in_words_what_it_shows():
    picture = figures.render_fit(1.0, 3.0)
    assert "reverse KL" in picture.alt and "mean −3.0" in picture.alt
    assert ">beta = 1<" in picture and ">reverse KL<" in picture
    assert picture.startswith("<svg") and picture == figures.render_fit(1.0, 3.0)


def test_the_figures_can_be_drawn():
    for figure in (
        figures.surprises(["Ann", "buys"], [1.0, 0.2], [0.5, 0.1]),
        figures.sentences({"one": sentences.fit(sentences.METHODS[0]).says}),
        figures.beside(["Ann", "Tom"], {"teacher": [60, 40], "student": [50, 50]}),
    ):
        assert "<svg" in plots.to_svg(figure)
