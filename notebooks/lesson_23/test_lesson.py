"""Lesson 23's classes, changes and methods, and what its text says of the published table."""

import pytest
import torch

from distill_lab import losses, methods
from distill_lab.course.published import CRD_CELLS, crd_counts
from distill_lab.data.batches import Batch
from distill_lab.data.datasets import Examples
from distill_lab.models import MLP
from distill_lab.teachers import freeze
from lesson_23 import drawings, experiments
from lesson_23.figures import cells_figure


@pytest.fixture
def pictures():
    labels = torch.arange(200) % 10
    return Examples(torch.arange(200.0)[:, None].repeat(1, 3), labels)


def test_new_classes_share_no_picture_and_no_class_with_those_of_training(pictures):
    seen, seen_test, new = experiments.new_classes(pictures, range(4), train=6, test=5)
    assert [part.inputs.shape for part in (seen, seen_test, new)] == [
        (4, 30, 3),
        (4, 25, 3),
        (4, 25, 3),
    ]
    for seed in range(4):
        parts = [part.inputs[seed, :, 0].long() for part in (seen, seen_test, new)]
        everything = torch.cat(parts)
        assert len(everything.unique()) == len(everything)
        classes = [set((part % 10).tolist()) for part in parts]
        assert classes[0] == classes[1] and not classes[0] & classes[2]
        for part, original in zip((seen, seen_test, new), parts, strict=True):
            assert sorted(part.labels[seed].unique().tolist()) == [0, 1, 2, 3, 4]
            named = set(zip(part.labels[seed].tolist(), (original % 10).tolist(), strict=True))
            assert len(named) == 5  # one number a class
    again = experiments.new_classes(pictures, [2], train=6, test=5)[0]
    assert again.inputs[0].equal(seen.inputs[2])


def test_a_class_with_too_few_pictures_is_named(pictures):
    with pytest.raises(ValueError, match="has 20 pictures: 22 needed"):
        experiments.new_classes(pictures, [0], train=20, test=2)


def test_the_digits_are_enough_for_the_lesson():
    digits = experiments.load_pictures("digits")
    assert digits.labels.bincount().min() >= 170


def test_what_each_loss_cannot_see():
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(20, 12, generator=generator).relu()
    changed = experiments.changes(features, seed=1)
    unseen = {
        losses.rkd_distance_loss: ("rotated", "three times as large", "all moved"),
        losses.rkd_angle_loss: ("rotated", "three times as large", "all moved"),
        losses.similarity_preserving_loss: ("rotated", "three times as large"),
        losses.correlation_congruence_loss: ("rotated", "three times as large", "each picture's"),
        losses.pkt_loss: ("rotated", "three times as large", "each picture's"),
    }
    for loss, blind in unseen.items():
        for name, other in changed.items():
            assert (loss(other, features) < 1e-6) == name.startswith(blind), (loss, name)


@pytest.mark.parametrize("name", [*experiments.WEIGHTS, "RKD angle"])
def test_a_relation_is_one_weighted_term_beside_the_others(name):
    batch = Batch(torch.randn(8, 5), torch.arange(8) % 3, torch.arange(8))
    student, teacher = MLP(5, 4, 32, 3, seed=0), freeze(MLP(5, 4, 128, 3, seed=1))
    method = experiments.relation(name, weight=7.0, base_method=methods.supervised())
    assert method.weights == {"ce": 1.0, name: 7.0}
    assert (method.projections is not None) == (name == "CRD")
    terms = method.terms(batch, student, teacher)
    assert set(terms) == {"ce", name} and terms[name] > 0


def test_what_the_text_and_the_claims_say_of_the_table():
    four = [crd_counts()[name] for name in ("RKD", "SP", "CC", "PKT")]
    assert (sum(row[0] for row in four), sum(row[2] for row in four)) == (5, 52)
    assert [name for name, cells in CRD_CELLS.items() if None in cells] == ["FSP"]
    assert crd_counts()["CRD"][0] == 13


def test_the_drawings_can_be_read():
    for drawing in (drawings.relations(), drawings.seen_by()):
        assert "<svg" in drawing and len(drawing.alt.split()) > 20


def test_the_figure_of_the_table_counts_what_lies_above_plain_kd():
    table = [[0.5, -1.0, 2.0], [-0.1, float("nan"), 0.0]]
    figure = cells_figure(table, ["one", "other"], 2)
    (axes,) = figure.axes
    texts = [text.get_text() for text in axes.texts]
    assert texts == ["2 of 3", "0 of 2"]
    assert [text.get_text() for text in axes.get_yticklabels()] == ["one", "other"]
    with pytest.raises(ValueError, match="expected 1 rows"):
        cells_figure(table, ["one"], 2)
