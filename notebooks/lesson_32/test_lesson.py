"""What lesson 32 promises: its pictures and texts are what their names say."""

from __future__ import annotations

import pytest
import torch

from distill_lab.data import datasets
from lesson_32 import drawings, experiments
from lesson_32.figures import render_kept


@pytest.fixture(scope="module")
def digits():
    train, _ = datasets.load("digits").split(train=1000, seeds=range(2))
    return train


def test_a_disturbed_picture_is_the_picture_moved_by_at_most_a_pixel(digits) -> None:
    x = digits.inputs[:, :50]
    moved = experiments.disturb(x, seed=1, noise=0.0)
    ways = torch.stack([x.roll(way, dims=(-2, -1)) for way in experiments.MOVES])
    assert (moved == ways).flatten(3).all(-1).any(0).all()
    assert not torch.equal(moved, x)
    noisy = experiments.disturb(x, seed=1)
    assert noisy.min() >= 0 and noisy.max() <= 1
    assert torch.equal(noisy, experiments.disturb(x, seed=1))
    assert not torch.equal(noisy, experiments.disturb(x, seed=2))


def test_half_of_the_digits_holds_no_digit_above_four(digits) -> None:
    x, y = digits.inputs, digits.labels
    half = experiments.half_of_the_digits(x, y, 200)
    assert half.shape == (2, 200, 1, 8, 8)
    for s in range(2):
        low = {row.numpy().tobytes() for row in x[s][y[s] <= 4]}
        assert all(row.numpy().tobytes() in low for row in half[s])


def test_copies_are_of_few_pictures(digits) -> None:
    copies = experiments.few_moved(digits.inputs, 40, few=20)
    assert copies.shape == (2, 40, 1, 8, 8)
    assert not torch.equal(copies[:, :20], copies[:, 20:])
    with pytest.raises(ValueError, match="few must divide count"):
        experiments.few_moved(digits.inputs, 50, few=20)


def test_patches_are_small_grey_pictures_and_differ_by_seed() -> None:
    patches = experiments.photo_patches(3, 10)
    assert patches.shape == (3, 10, 1, 8, 8)
    assert patches.min() >= 0 and patches.max() <= 1
    assert len({row.numpy().tobytes() for row in patches.flatten(0, 1)}) == 30
    assert torch.equal(patches, experiments.photo_patches(3, 10))


def test_texts_are_rows_of_length_one_with_their_class() -> None:
    texts = experiments.texts("quick")
    assert texts.rows.shape == (4000, 256) and len(texts.classes) == 7
    torch.testing.assert_close(texts.rows.norm(dim=1), torch.ones(4000))
    assert sorted(set(texts.labels.tolist())) == list(range(7))
    assert "counted words" in texts.source


def test_the_live_picture_has_one_size_and_says_its_numbers() -> None:
    few = render_kept([1] * 10, [0] * 10, threshold=0.9, n=20, teacher=60.0, rows={})
    rows = {"the 600": (51.0, 93.4), "in-sample": (0.0, float("nan"))}
    many = render_kept([0] * 9 + [40], [9] * 10, threshold=0.5, n=600, teacher=97.0, rows=rows)
    assert few.size == many.size if hasattr(few, "size") else True
    assert "keeps 51 %, 93.4 % of them right" in many.alt
    assert "keeps 0 %, none right or wrong" in many.alt


def test_each_drawing_can_be_drawn() -> None:
    for draw in (drawings.labelling, drawings.folds, drawings.rounds):
        assert draw().alt
