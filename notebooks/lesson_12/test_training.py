"""The live picture of a training: its students, its ten pictures, and what each state shows."""

from __future__ import annotations

import re
from xml.dom import minidom

import numpy as np
import pytest
import torch

from distill_lab import methods
from distill_lab.course import stored
from distill_lab.data import datasets
from distill_lab.data.datasets import Examples
from distill_lab.models import MLP
from distill_lab.seeds import distill_seeds
from lesson_12 import drawings
from lesson_12.figures import calibration_panels
from lesson_12.training import STEPS, pictures_in_doubt, render_training, trace


@pytest.fixture(scope="module")
def sweep():
    return stored.load("temperature_sweep.json")


@pytest.fixture(scope="module")
def teacher():
    """The stored logits of the first teacher for training and test pictures, and both sets."""
    logits = stored.load("temperature_teachers.safetensors")["plain"][0]
    train, test = datasets.load("digits").split(train=1000, seeds=range(10))
    return logits[:1000], logits[1000:], train.at(0), test.at(0)


def test_of_each_digit_the_least_certain_right_picture():
    logits = torch.tensor([[3.0, 0.0], [1.0, 0.0], [0.5, 0.0], [0.0, 2.0], [0.0, 0.1]])
    labels = torch.tensor([0, 0, 1, 1, 1])  # the third is wrong, and the least certain of its kind
    assert pictures_in_doubt(logits, labels) == [1, 4]
    with pytest.raises(ValueError, match="there is none of class 1: give more pictures"):
        pictures_in_doubt(logits[:2], labels[:2])


def test_the_ten_pictures_are_ten_digits(teacher):
    _, logits, _, (_, labels) = teacher
    ten = pictures_in_doubt(logits, labels)
    assert labels[ten].tolist() == list(range(10))
    assert logits[ten].argmax(-1).tolist() == list(range(10))


def test_a_trace_is_the_training_of_the_package(teacher):
    train_logits, _, train, (images, _) = teacher
    few = train.take(100)
    seen = trace(few, train_logits[:100], images[:10], T=4.0, steps=(0, 4))
    stacked = Examples(few.inputs[None], few.labels[None])
    runs = distill_seeds(
        lambda seed: MLP(64, 32, 32, 10, seed=seed),
        stacked,
        seeds=[0],
        teacher=train_logits[None, :100],
        method=methods.kd(4.0, 0.9),
        epochs=2,
        batch_size=50,
    )
    assert torch.allclose(seen[1], runs.logits(images[None, :10])[0], atol=1e-4)
    with torch.no_grad():
        assert torch.equal(seen[0], MLP(64, 32, 32, 10, seed=0)(images[:10]))


def test_every_state_is_one_size_and_says_what_it_shows():
    rng = np.random.default_rng(0)
    teacher, sizes = rng.normal(size=10) * 4, set()
    for T in (1, 2, 4, 8, 20):
        for step in STEPS:
            picture = render_training(
                np.eye(8), teacher, rng.normal(size=10) * 3, 3, T=T, step=step
            )
            minidom.parseString(str(picture))
            sizes.add(re.search(r'viewBox="([^"]+)"', picture)[1])
            assert picture.alt.startswith(f"T = {T}, step {step}, a picture with label 3.")
            assert "0e+00" not in picture and "−0.00" not in picture
    assert len(sizes) == 1
    assert len(STEPS) * 5 * 10 <= 400, "a page holds 400 states"


def test_arrows_show_where_the_next_step_goes():
    teacher, student = np.array([4.0, 0.0, 0.0]), np.zeros(3)
    picture = render_training(np.eye(8), teacher, student, 0, T=1.0, step=0)
    assert "raises the logit of 0 most (+" in picture.alt
    assert "lowers that of 1 most (−" in picture.alt
    still = render_training(np.eye(8), teacher, teacher, 0, T=1.0, step=600, alpha=1.0)
    assert "raises the logit of 0 most (0)" in still.alt


@pytest.mark.parametrize("alpha", [0.5, 0.9, 1.0])
def test_the_words_of_the_calibration_panels_are_those_drawn(sweep, alpha):
    figure, words = calibration_panels(sweep, alpha=alpha)
    place = sweep["alphas"].index(alpha)
    means = np.asarray(sweep["kd_ece"])[:, :, place].mean(-1)
    for width, row, axes in zip(sweep["widths"], means, figure.axes, strict=True):
        assert f"idth {width}: " in words
        assert ", ".join(f"{x:.1f}" for x in row) in words
        assert axes.lines[0].get_ydata() == pytest.approx(row)


def test_what_the_text_says_of_the_stored_sweep(sweep):
    kd = np.asarray(sweep["kd"])
    assert kd.size == 450 and kd[1].shape[:2] == (5, 3)
    parameters = [sum(p.numel() for p in MLP(64, w, w, 10).parameters()) for w in (8, 256)]
    assert parameters == [682, 85_002]


def test_at_a_temperature_of_1_the_arrows_of_small_bars_vanish(teacher):
    """What the text asks the reader to find in the live picture."""
    train_logits, logits, train, (images, labels) = teacher
    ten = pictures_in_doubt(logits, labels)
    for T in (1.0, 4.0, 20.0):
        seen = trace(train, train_logits, images[ten], T=T, steps=(0, 600))
        p = (logits[ten] / T).softmax(-1)
        gradient = T * ((seen / T).softmax(-1) - p)
        first, last = gradient.abs().sum(-1)
        assert (last < first).sum() >= 6, "on most pictures the arrows become shorter"
        small = gradient[1].abs()[logits[ten].softmax(-1) < 0.001]
        assert (small.max() < 0.1) == (T == 1)


def test_the_drawing_of_calibration_counts_its_pictures():
    drawn = drawings.calibrated()
    assert drawn.count("✓</text>") == 8 + 5 and drawn.count("✗</text>") == 2 + 5
    assert "right on 8 of them" in drawn.alt and "right on 5 of them" in drawn.alt
