"""Lesson 25's pieces on cases with known answers: cut and moved pictures, cosines, its figures."""

import pytest
import torch

from distill_lab.course.figures import svg
from distill_lab.data.datasets import Examples
from distill_lab.models import VisionTransformer
from distill_lab.seeds import distill_seeds
from lesson_25 import drawings, experiments
from lesson_25.figures import render_looks, render_moved

SEEDS = [3, 8]


@pytest.fixture
def data():
    inputs = torch.rand(2, 12, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    return Examples(inputs, torch.arange(12).repeat(2, 1) % 10)


def test_a_cut_picture_is_left_of_its_own_label_and_the_areas_say_how_far(data):
    cut, area = experiments.cut(data, 20, SEEDS)
    assert cut.inputs.shape == (2, 32, 1, 8, 8)
    assert torch.equal(cut.inputs[:, :12], data.inputs)
    for x, y, share in zip(cut.inputs[1, 12:], cut.labels[1, 12:], area[1, 12:], strict=True):
        columns = round(8 * share[y].item()) if share[y] < 1 else 8
        assert columns >= 4
        of_label = [n for n in range(12) if data.labels[1, n] == y]
        assert any(torch.equal(x[..., :4], data.inputs[1, n][..., :4]) for n in of_label)
        other = [n for n in range(12) if torch.equal(x[..., 7:], data.inputs[1, n][..., 7:])]
        assert len(other) == 1
        expected = torch.zeros(10)
        expected[y] += share[y] if data.labels[1, other[0]] != y else 1.0
        if data.labels[1, other[0]] != y:
            expected[data.labels[1, other[0]]] += 1 - share[y]
        torch.testing.assert_close(share, expected)
    torch.testing.assert_close(area.sum(-1), torch.ones(2, 32))


def test_each_seed_cuts_its_own_pictures_and_again_the_same(data):
    one, again = (experiments.cut(data, 5, SEEDS).data for _ in range(2))
    assert torch.equal(one.inputs, again.inputs)
    alone = experiments.cut(Examples(data.inputs[1:], data.labels[1:]), 5, SEEDS[1:]).data
    assert torch.equal(one.inputs[1], alone.inputs[0])


def test_a_move_shifts_and_leaves_the_rest_empty():
    picture = torch.arange(1.0, 17).view(1, 4, 4)
    right = experiments.move(picture, 1, 0)
    assert torch.equal(right[..., 1:], picture[..., :-1]) and not right[..., 0].any()
    up = experiments.move(picture, 0, -2)
    assert torch.equal(up[..., :2, :], picture[..., 2:, :]) and not up[..., 2:, :].any()
    assert torch.equal(experiments.move(picture, 0, 0), picture)


def test_four_moves_and_moved_examples_keep_their_labels(data):
    exams = experiments.four_moves(data, 1)
    assert len(exams) == 4 and all(torch.equal(e.labels, data.labels) for e in exams)
    assert torch.equal(exams[0].inputs, experiments.move(data.inputs, 1, 0))
    more = experiments.moved_pictures(data, 6, 1, SEEDS)
    assert more.inputs.shape == (2, 18, 1, 8, 8)
    for x, y in zip(more.inputs[0, 12:], more.labels[0, 12:], strict=True):
        source = [n for n in range(12) if data.labels[0, n] == y]
        ways = [(a, d) for a in (-1, 0, 1) for d in (-1, 0, 1)]
        assert any(
            torch.equal(x, experiments.move(data.inputs[0, n], *way))
            for n in source
            for way in ways
        )


def test_digits_are_what_quick_loads():
    train, test = experiments.pictures("quick", SEEDS, 1000)
    assert train.inputs.shape == (2, 1000, 1, 8, 8) and test.inputs.shape[:2] == (2, 797)


def test_without_clothes_the_digits_are_used_and_it_is_said(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(
        experiments.datasets, "load", _missing(experiments.datasets.load, "fashion_mnist")
    )
    train, _ = experiments.pictures("full", SEEDS, 1000)
    assert train.inputs.shape[-1] == 8
    assert "Digits instead of clothes" in capsys.readouterr().out


def _missing(load, name):
    def loaded(wanted, **settings):
        if wanted == name:
            raise FileNotFoundError(f"{name} is not here")
        return load(wanted, **settings)

    return loaded


def test_cosines_are_those_of_the_two_tokens(data):
    make = lambda seed: VisionTransformer(8, 4, width=8, distilled=True, heads=2, seed=seed)  # noqa: E731
    runs = distill_seeds(make, data, seeds=SEEDS, epochs=1, batch_size=12)
    tokens = runs.tapped(data.inputs, ["blocks.1"])[1]["blocks.1"]
    a, b = tokens[0, :, 0], tokens[0, :, 1]
    expected = ((a * b).sum(-1) / (a.norm(dim=-1) * b.norm(dim=-1))).mean()
    torch.testing.assert_close(experiments.cosines(runs, data.inputs, "blocks.1")[0], expected)


def test_a_network_is_counted_once_and_another_anew():
    calls = []
    count = experiments.counted_once(lambda runs: calls.append(runs) or torch.tensor(len(calls)))
    one, other = ["runs"], ["runs"]  # equal, but two networks
    assert [int(count(runs)) for runs in (one, other, one, other)] == [1, 2, 1, 2]
    assert len(calls) == 2


def test_a_map_says_its_shares_in_its_alt_text():
    maps = {"class token": torch.eye(4) / 8, "distillation token": torch.full((4, 4), 0.05)}
    drawn = render_looks(
        torch.rand(8, 8),
        maps,
        title="Test picture 1",
        answers={"class token": "3", "distillation token": "8"},
    )
    assert isinstance(drawn, svg.Svg)
    assert "the class token gives 50 % to patches" in drawn.alt
    assert "the distillation token gives 80 % to patches" in drawn.alt
    assert "its head answers 8" in drawn.alt and ">its head: 3<" in drawn
    with pytest.raises(ValueError, match="mean over the heads"):
        render_looks(torch.rand(8, 8), {"a": torch.zeros(3, 4, 4)}, title="x", answers={"a": "1"})


def test_a_moved_picture_says_every_accuracy():
    right = {"convolutional": 32.4, "taught student": 22.0, "moved examples": 68.6}
    plain = dict.fromkeys(right, 90.0)
    drawn = render_moved(torch.rand(8, 8), right, title="Moved", plain=plain)
    for text in ("32 %", "22 %", "69 %"):
        assert f">{text}<" in drawn and text in drawn.alt


@pytest.mark.parametrize("name", drawings.__all__)
def test_every_drawing_can_be_read(name):
    assert getattr(drawings, name)().alt
