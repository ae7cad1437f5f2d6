"""Lesson 24's pieces on cases with known answers; its pictures say their numbers."""

import math

import pytest
import torch

from distill_lab.data.datasets import Examples
from lesson_24 import experiments
from lesson_24.figures import render_exits, render_rounds


@pytest.fixture
def data() -> Examples:
    return Examples(torch.zeros(3, 500, 4), (torch.arange(1500) % 10).view(3, 500))


def test_a_share_of_the_labels_is_drawn_again(data: Examples) -> None:
    noisy = experiments.redraw_labels(data, share=0.4, seeds=[0, 1, 2])
    wrong = (noisy.labels != data.labels).double().mean(1)
    assert ((wrong > 0.3) & (wrong < 0.4)).all(), "a tenth of the new labels are right by chance"
    assert noisy.inputs is data.inputs
    again = experiments.redraw_labels(data, share=0.4, seeds=[0, 1, 2])
    assert torch.equal(noisy.labels, again.labels)
    assert not torch.equal(noisy.labels[0] == data.labels[0], noisy.labels[1] == data.labels[1])


def test_without_a_share_every_label_stays(data: Examples) -> None:
    assert torch.equal(
        experiments.redraw_labels(data, share=0.0, seeds=[0, 1, 2]).labels, data.labels
    )


def test_shuffling_keeps_the_largest_logit_where_it_is() -> None:
    logits = torch.randn(2, 40, 10, generator=torch.Generator().manual_seed(0))
    shuffled = experiments.shuffle_wrong_classes(logits, seed=1)
    assert torch.equal(shuffled.argmax(-1), logits.argmax(-1))
    assert torch.equal(shuffled.sort(-1).values, logits.sort(-1).values)
    moved = (shuffled != logits).double().mean()
    assert 0.7 < moved < 0.9, "eight of nine smaller ones move, on average"
    orders = {tuple(row) for row in shuffled[0].argsort(-1).tolist()}
    assert len(orders) > 35, "each picture has an order of its own"


LOGITS = torch.tensor(
    [[[[3.0, 0.0], [0.2, 0.0], [0.1, 0.0]]], [[[0.0, 5.0], [0.0, 4.0], [0.0, 0.3]]]]
)  # two exits, one seed, three pictures
LABELS = torch.tensor([[0, 1, 0]])


def test_pictures_leave_at_the_first_exit_that_is_sure() -> None:
    left = experiments.leave(LOGITS, LABELS, 0.9, [1.0, 4.0])
    assert left.cost == pytest.approx(3.0)
    assert left.accuracy == pytest.approx(200 / 3)
    assert left.shares == pytest.approx((100 / 3, 200 / 3))
    assert left.right == pytest.approx((100.0, 50.0))
    right = experiments.right_when_leaving(LOGITS, LABELS, 0.9)
    torch.testing.assert_close(right, torch.tensor([200 / 3], dtype=torch.float64))


@pytest.mark.parametrize(("threshold", "shares"), [(0.0, (100, 0)), (1.0, (0, 100))])
def test_the_ends_of_the_threshold_are_single_exits(threshold, shares) -> None:
    left = experiments.leave(LOGITS, LABELS, threshold, [1.0, 4.0])
    assert left.shares == pytest.approx(shares)
    assert math.isnan(left.right[shares.index(0)])


def test_the_pictures_of_both_live_figures_say_what_they_show() -> None:
    view = render_exits(
        [(0.1, 80.0), (0.4, 95.0)],
        (0.25, 91.0),
        [(0.1, 80.0), (0.4, 95.0)],
        [60.0, 40.0],
        right=[98.0, 80.5],
        bounds=(70, 100),
        title="threshold 0.9",
    )
    assert "0.250 ms a picture, 91.0 % right" in view.alt
    assert "60 %, 98 % right" in view
    with pytest.raises(ValueError, match="sum to 100"):
        render_exits([(1, 1)], (1, 1), [(1, 1)], [50], right=[1], bounds=(0, 1), title="t")
    rounds = render_rounds([0, 1], [0, 0], [0, 1], ([0], [1]), [0.4, 0.2, 0.3], 3, title="λ")
    assert "highest 0.4, here 0.3" in rounds
    assert "test error 0.3000; the lowest of 3 rounds is 0.2000, in round 2" in rounds.alt
    with pytest.raises(ValueError, match="rounds 1 to 1, got round 2"):
        render_rounds([0, 1], [0, 0], [0, 1], ([0], [1]), [0.4], 2, title="λ")
