"""Lesson 13's pieces on cases with known answers."""

import itertools

import pytest
import torch

from lesson_13 import drawings, experiments
from lesson_13.figures import QUESTIONS, decide, render_chart, render_costs


def test_labels_of_the_stream_follow_its_probabilities():
    stream = experiments.Stream([3, 4])
    drawn = stream.draw(20_000, part=1)
    assert drawn.inputs.shape == (2, 20_000, experiments.INPUTS)
    assert drawn.probabilities.sum(-1) == pytest.approx(torch.ones(2, 20_000))
    for row in range(2):
        shares = torch.bincount(drawn.labels[row], minlength=experiments.CLASSES) / 20_000
        expected = drawn.probabilities[row].mean(0)
        assert (shares - expected).abs().max() < 0.02
        right = drawn.probabilities[row].amax(-1).mean()
        hits = (drawn.probabilities[row].argmax(-1) == drawn.labels[row]).float().mean()
        assert hits == pytest.approx(right.item(), abs=0.02)


def test_each_part_of_the_stream_is_new_and_each_seed_has_its_own_world():
    stream = experiments.Stream([0, 1])
    one, again, other = stream.draw(50, 1), stream.draw(50, 1), stream.draw(50, 2)
    assert all(torch.equal(a, b) for a, b in zip(one, again, strict=True))
    assert not torch.isclose(one.inputs, other.inputs).any()
    assert not torch.equal(stream.worlds[0][0], stream.worlds[1][0])


def test_the_correlation_is_each_seeds_own():
    rooms = torch.tensor([[0.0, 0.0], [1.0, 1.0], [2.0, 2.0]])
    gains = torch.tensor([[0.0, 3.0], [5.0, 2.0], [10.0, 1.0]])
    torch.testing.assert_close(experiments.correlations(rooms, gains), torch.tensor([1.0, -1.0]))


def test_the_first_no_decides():
    for answers in itertools.product([True, False], repeat=4):
        first = answers.index(False) if False in answers else None
        advice = "distil" if first is None else QUESTIONS[first][1]
        assert decide(answers) == advice
        picture = render_chart(answers)
        assert picture.alt.endswith(f"The advice is: {advice}.")
        assert picture.count("✓") == 1
    with pytest.raises(ValueError):
        decide([True, True])


LABELS = [(1e6, 1.5), (1e7, 1.0)]


@pytest.mark.parametrize(
    ("distilled", "words"),
    [
        ([(1e6, 1.4), (1e7, 0.9)], "wins at every budget"),
        ([(1e8, 1.4), (1e9, 1.1)], "at no budget"),
        ([(5e6, 1.4), (1e8, 1.1)], "wins at 1 of 2 budgets"),
    ],
)
def test_the_costs_say_who_is_the_better_buy(distilled, words):
    picture = render_costs(LABELS, distilled, extent=(1e6, 1e9), words="Paid: all")
    assert words in picture.alt and words in str(picture)


def test_every_drawing_can_be_drawn():
    assert all(getattr(drawings, name)().alt for name in drawings.__all__)
