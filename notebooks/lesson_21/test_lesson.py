"""Lesson 21's pieces on cases with known answers; its picture of CKA says every number."""

import re

import pytest
import torch

from distill_lab import methods
from distill_lab.course.figures import svg
from distill_lab.data.batches import Batch
from distill_lab.data.datasets import Examples
from distill_lab.evaluation import linear_cka
from distill_lab.models import MLP
from distill_lab.seeds import distill_seeds
from distill_lab.teachers import freeze
from distill_lab.training import distill
from lesson_21 import experiments
from lesson_21.figures import INKS, render_cka, render_layouts

SEEDS = [3, 8, 9]
PAIR = ("hidden.0", "hidden.1")
SETTINGS = {"epochs": 2, "batch_size": 20, "lr": 1e-2}


def make(seed):
    return MLP(6, 5, 4, 3, seed=seed)


@pytest.fixture
def data():
    inputs = torch.randn(3, 40, 6, generator=torch.Generator().manual_seed(0))
    return Examples(inputs, inputs[..., :3].argmax(-1))


@pytest.fixture
def teachers(data):
    return distill_seeds(lambda s: MLP(6, 9, 8, 3, seed=90 + s), data, seeds=SEEDS, **SETTINGS)


def test_picking_runs_and_rows_keeps_their_order(data, teachers):
    some, part = experiments.pick(teachers, [2, 0, 2]), experiments.rows(data, [2, 0, 2])
    logits = teachers.logits(data.inputs)
    torch.testing.assert_close(some.logits(part.inputs), logits[[2, 0, 2]])
    assert part.labels.equal(data.labels[[2, 0, 2]])


def test_tapped_layers_are_each_seeds_own(data, teachers):
    (features,) = experiments.extract_features(teachers, data.inputs, ["hidden.0"])
    expected = teachers.model(1).hidden[0](data.inputs[1])
    torch.testing.assert_close(features[1], expected)
    assert features.shape == (3, 40, 9)


def test_a_probe_finds_what_a_line_can_tell_and_nothing_else():
    generator = torch.Generator().manual_seed(1)
    x, z = (torch.randn(2, n, 4, generator=generator) for n in (200, 300))
    labels, answers = ((f[..., 0] > 0).long() for f in (x, z))
    assert (experiments.probe(100 * x + 7, labels, 100 * z + 7, answers) > 95).all()
    folded, held = ((f[..., 0].abs() > 0.7).long() for f in (x, z))
    assert (experiments.probe(x, folded, z, held) < 65).all()


@pytest.mark.parametrize("name", experiments.FEATURE_LOSSES)
def test_at_the_balanced_weight_the_gradients_are_equal(data, teachers, name):
    method = experiments.feature_method(name, PAIR, (5, 8), base_method=methods.supervised())
    weight = experiments.balanced_weight(method, make(3), teachers.model(0), data.at(0))
    student = make(3)
    terms = method.terms(Batch(*data.at(0), torch.arange(40)), student, freeze(teachers.model(0)))
    sizes = {}
    for term, value in terms.items():
        value.backward(retain_graph=True)
        grads = [p.grad.flatten() for p in student.parameters() if p.grad is not None]
        sizes[term] = torch.cat(grads).norm().item()
        student.zero_grad()
    assert weight * sizes[name] == pytest.approx(sizes["ce"], rel=1e-3)


def bench(data, teachers, **changes):
    own = {
        "make": make,
        "few": data,
        "valid": data,
        "test": data,
        "teachers": teachers,
        "seeds": SEEDS,
        "pair": PAIR,
        "sizes": (5, 8),
        "soft": methods.kd(2.0, 0.5),
        "settings": SETTINGS,
        "multiples": (0.0, 50.0),
    }
    return experiments.Bench(**(own | changes))


def test_without_and_with_soft_targets_are_the_runs_they_say(data, teachers):
    """At a multiple of 0 there is no feature loss: labels alone, and soft targets alone."""
    _, table = bench(data, teachers).tries("SP")
    plain = distill_seeds(make, data, seeds=SEEDS, **SETTINGS)
    soft = distill_seeds(
        make, data, seeds=SEEDS, teacher=teachers, method=methods.kd(2.0, 0.5), **SETTINGS
    )
    assert table[0, 0].tolist() == pytest.approx(plain.accuracy(data).tolist(), abs=0.1)
    assert table[1, 0].tolist() == pytest.approx(soft.accuracy(data).tolist(), abs=0.1)
    assert not torch.equal(table[:, 0], table[:, 1])


def test_each_seed_chooses_on_its_own_validation_pictures_and_never_on_the_test(data, teachers):
    garbled = Examples(data.inputs, (data.labels + 1) % 3)
    plain, other = (bench(data, teachers, test=exam) for exam in (data, garbled))
    valid, test = plain.tries("hint")
    chosen, scores = plain.run("hint")
    again, moved = other.run("hint")
    assert chosen.equal(again) and not scores.equal(moved)
    for soft in range(2):
        for seed in range(3):
            best = int(valid[soft, :, seed].argmax())
            assert chosen[soft, seed] == (0.0, 50.0)[best]
            assert scores[soft, seed] == test[soft, best, seed]


def test_a_film_watches_and_changes_nothing(data, teachers):
    layers = experiments.extract_features(teachers, data.inputs, ["hidden.0", "hidden.1"])
    film = experiments.Film(data.at(0), ["hidden.0"], [f[0] for f in layers], every=2, before=10)
    watched, alone = make(3), make(3)
    film.record(watched)
    distill(watched, data.at(0), callbacks=[film], progress=False, **SETTINGS)
    distill(alone, data.at(0), progress=False, **SETTINGS)
    for ours, theirs in zip(watched.parameters(), alone.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    assert [frame.step for frame in film.frames] == [10, 12, 14]
    last = film.frames[-1]
    inner = watched.hidden[0](data.inputs[0])
    expected = torch.stack([linear_cka(inner, layer[0]) for layer in layers])[None]
    torch.testing.assert_close(last.cka, expected)
    right = (watched(data.inputs[0]).argmax(-1) == data.labels[0]).double().mean()
    assert last.accuracy == pytest.approx(100 * right.item())


def test_untrained_students_are_those_that_training_starts_from(data):
    fresh = experiments.untrained(make, SEEDS, dims=1)
    torch.testing.assert_close(fresh.logits(data.inputs)[2], make(9)(data.inputs[2]))


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


def test_a_film_keeps_the_layer_that_it_is_asked_for(data, teachers):
    layers = experiments.extract_features(teachers, data.inputs, ["hidden.0", "hidden.1"])
    film = experiments.Film(data.at(0), ["hidden.0"], [f[0] for f in layers], 2, keep="hidden.0")
    student = make(3)
    film.record(student)
    expected = student.hidden[0](data.inputs[0])
    torch.testing.assert_close(film.frames[0].layer, expected)
    with torch.no_grad():
        student.hidden[0][0].weight.zero_()  # what a frame keeps is its own
    torch.testing.assert_close(film.frames[0].layer, expected)


def test_a_rotated_and_scaled_layer_has_the_same_layout():
    generator = torch.Generator().manual_seed(2)
    features = torch.randn(40, 5, generator=generator) * torch.tensor([5.0, 3, 0.1, 0.1, 0.1])
    turned = 7 * features @ torch.linalg.qr(torch.randn(5, 5, generator=generator))[0] + 3
    goal = experiments.layout(features)
    torch.testing.assert_close(experiments.layout(turned, goal), goal, atol=1e-4, rtol=0)
    assert goal.mean(0).abs().max() < 1e-5 and goal.square().sum(1).mean() == pytest.approx(1)
    mirrored = goal * torch.tensor([-1.0, 1.0])
    torch.testing.assert_close(experiments.layout(features, mirrored), mirrored, atol=1e-4, rtol=0)
    assert experiments.layout(torch.zeros(4, 3)).abs().max() == 0  # a layer without any variance


def test_the_nearest_picture_counts_and_never_itself():
    spots = torch.tensor([[0.0, 0], [0, 1], [9, 0], [9, 1]])
    assert experiments.same_digit(spots, torch.tensor([3, 3, 7, 7])) == 100
    assert experiments.same_digit(spots, torch.tensor([3, 7, 3, 7])) == 0
    assert experiments.same_digit(spots, torch.tensor([3, 3, 3, 7])) == 50


def test_layouts_draw_each_picture_once_on_both_sides():
    drawn = render_layouts(
        [[0, 0], [1, 1], [-99, 0]], [[0, 1], [1, 0], [0, 0]], [3, 8, 8], title="t", facts=["90 %"]
    )
    assert drawn.count(">3</text>") == 2 and drawn.count(">8</text>") == 4
    assert drawn.alt.endswith("by digit. 90 %.") and len(set(INKS)) == 10
    for wrong in ([[0.0, 0.0]], [[0.0], [1.0], [2.0]]):
        with pytest.raises(ValueError, match="two layouts of 3 pictures"):
            render_layouts(wrong, wrong, [3, 8, 8], title="t")
