"""Dense answers (B, C, H, W): `axis=` and `ignore=`, the same as with the classes last."""

import pytest
import torch
from torch import nn

from distill_lab import losses, methods
from distill_lab.data.batches import Batch
from distill_lab.teachers import cache, freeze, keep
from distill_lab.training import distill

SIDE = 6
GENERATOR = torch.Generator().manual_seed(0)
PICTURES = torch.randn(12, 3, SIDE, SIDE, generator=GENERATOR)
IDS = torch.arange(12)


class Maps(nn.Module):
    def __init__(self, classes, seed, behind=False):
        super().__init__()
        self.conv, self.behind = nn.Conv2d(3, classes, 1), behind
        generator = torch.Generator().manual_seed(seed)
        for parameter in self.conv.parameters():
            nn.init.normal_(parameter, generator=generator)

    def forward(self, pictures):
        maps = self.conv(pictures)
        return maps.movedim(1, -1) if self.behind else maps


def labels_for(classes, void=255, dtype=torch.long):
    labels = torch.randint(classes, (12, SIDE, SIDE), generator=torch.Generator().manual_seed(1))
    labels[:, 2:4] = void
    labels[3:6] = void  # pictures without a label: pieces of a batch differ in what they count
    return labels.to(dtype)


MAKERS = {
    "kd": methods.kd,
    "kd alone": lambda **k: methods.kd(alpha=1.0, **k),
    "logits": lambda **k: methods.logit_matching(alpha=0.5, **k),
    "hard": methods.hard_labels,
    "dkd": methods.dkd,
    "dist": methods.dist,
    "labels": methods.supervised,
    "smoothed": lambda **k: methods.supervised(label_smoothing=0.1, **k),
}


@pytest.mark.parametrize("dtype", [torch.long, torch.uint8])
@pytest.mark.parametrize("classes", [4, SIDE])
@pytest.mark.parametrize("name", MAKERS)
def test_an_axis_says_where_the_classes_are(name, classes, dtype):
    """Also where classes, height and width are as many, and no shape tells them apart."""
    labels = labels_for(classes, dtype=dtype)
    front = MAKERS[name](axis=1, ignore=255)
    behind = MAKERS[name](axis=-1)
    usual = torch.where(labels == 255, -100, labels.long())
    terms = front.terms(Batch(PICTURES, labels, IDS), Maps(classes, 1), freeze(Maps(classes, 2)))
    expected = behind.terms(
        Batch(PICTURES, usual, IDS), Maps(classes, 1, True), freeze(Maps(classes, 2, True))
    )
    assert terms.keys() == expected.keys() == front.weights.keys()
    for term, value in expected.items():
        torch.testing.assert_close(terms[term], value, msg=term)
    pixels = 9 * SIDE * (SIDE - 2)
    assert set(front.counts(Batch(PICTURES, labels, IDS)).values()) == {pixels}


def test_the_soft_term_is_a_mean_over_labelled_pixels():
    labels = labels_for(4)
    student, teacher = Maps(4, 1), freeze(Maps(4, 2))
    terms = methods.kd(T=2.0, axis=1, ignore=255).terms(
        Batch(PICTURES, labels, IDS), student, teacher
    )
    kept = labels != 255
    z_s, z_t = (m(PICTURES).movedim(1, -1)[kept] for m in (student, teacher.model))
    torch.testing.assert_close(terms["kd"], losses.kd_loss(z_s, z_t, T=2.0, alpha=1.0))
    torch.testing.assert_close(terms["ce"], nn.functional.cross_entropy(z_s, labels[kept]))


def test_without_labels_every_pixel_learns_from_the_teacher():
    batch = Batch(PICTURES, None, IDS)
    method = methods.kd(T=2.0, alpha=1.0, axis=1)
    value = method.terms(batch, Maps(4, 1), freeze(Maps(4, 2)))["kd"]
    z_s, z_t = (Maps(4, seed)(PICTURES).movedim(1, -1) for seed in (1, 2))
    torch.testing.assert_close(value, losses.kd_loss(z_s, z_t, T=2.0, alpha=1.0))


@pytest.mark.parametrize("name", ["kd", "dkd", "logits", "labels"])
def test_pieces_take_the_step_of_the_whole_batch(name):
    """Counted over pixels: one of the pieces has no labelled picture."""
    ends = []
    for accumulate in (1, 4):
        student, method = Maps(4, 1), MAKERS[name](axis=1, ignore=255)
        teacher = freeze(Maps(4, 2)) if method.needs_teacher else None
        distill(
            student,
            (PICTURES, labels_for(4)),
            teacher=teacher,
            method=method,
            accumulate=accumulate,
            batch_size=12,
            epochs=3,
            progress=False,
        )
        ends.append(torch.cat([p.flatten() for p in student.parameters()]))
    torch.testing.assert_close(*ends, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("classes", [4, SIDE])
def test_a_cached_teacher_gives_the_same_maps(classes, tmp_path):
    data = (PICTURES, labels_for(classes))
    teacher = freeze(Maps(classes, 2))
    kept = cache(teacher, data, tmp_path / "c", signal=keep.dense("float32"))
    histories = []
    for source in (teacher, kept):
        method, settings = methods.kd(axis=1, ignore=255), {"epochs": 2, "batch_size": 4}
        histories.append(
            distill(
                Maps(classes, 1), data, teacher=source, method=method, progress=False, **settings
            )
        )
    assert histories[0]["kd"] == pytest.approx(histories[1]["kd"], rel=1e-5)


def test_a_cache_of_few_classes_is_held_to_its_axis(tmp_path):
    """Classes last, it fits; over the width, or where nothing tells, it is refused."""
    labels = labels_for(4)
    behind = freeze(Maps(4, 2, behind=True))
    data = (PICTURES, labels)
    few = cache(behind, data, tmp_path / "a", signal=keep.top_k(2, T=4.0))
    batch = Batch(PICTURES, labels, IDS)
    method = methods.kd(axis=1, ignore=255)
    assert method.terms(batch, Maps(4, 1), few)["kd"] > 0
    for classes in (4, SIDE):
        data = (PICTURES, labels_for(classes))
        top = keep.top_k(2, T=4.0)
        with pytest.raises(ValueError, match=r"keep.dense\(\)"):  # by the cache, or by the recipe
            wrong = cache(freeze(Maps(classes, 2)), data, tmp_path / str(classes), signal=top)
            method.terms(Batch(*data, IDS), Maps(classes, 1), wrong)


def test_sequences_and_smaller_maps_name_the_axis_too():
    """One dimension, and maps of half the pictures' size, as segmentation models give them."""
    waves, classes = torch.randn(5, 2, 9), torch.randint(3, (5, 9))
    net = nn.Conv1d(2, 3, 1)
    with pytest.raises(ValueError, match="axis=1"):
        methods.supervised().terms(Batch(waves, classes, torch.arange(5)), net, None)
    value = methods.supervised(axis=1).terms(Batch(waves, classes, torch.arange(5)), net, None)
    torch.testing.assert_close(value["ce"], nn.functional.cross_entropy(net(waves), classes))
    half = nn.Conv2d(3, 4, 1, stride=2)
    for inputs in (PICTURES, {"input": PICTURES}):
        with pytest.raises(ValueError, match="axis=1"):
            methods.kd(alpha=1.0).terms(Batch(inputs, None, IDS), half, freeze(half))
    volumes = torch.randn(2, 1, 3, 4, 5)
    solid = nn.Conv3d(1, 4, 1)
    with pytest.raises(ValueError, match="axis=1"):
        methods.kd(alpha=1.0).terms(Batch(volumes, None, torch.arange(2)), solid, freeze(solid))


@pytest.mark.parametrize("void", [255, -1, -2])
@pytest.mark.parametrize("recipe", [methods.kd, methods.dkd, methods.supervised])
def test_a_number_that_may_stand_for_no_label_is_answered_with_how_it_is_named(recipe, void):
    labels = labels_for(4, void)
    batch = Batch(PICTURES, labels, IDS)
    teacher = None if recipe is methods.supervised else freeze(Maps(4, 2))
    with pytest.raises(ValueError, match=rf"got {void}.*no label, say so, as kd\(ignore={void}\)"):
        recipe(axis=1).terms(batch, Maps(4, 1), teacher)
    assert recipe(axis=1, ignore=void).terms(batch, Maps(4, 1), teacher)["ce"].isfinite()
    labels[labels == void] = 4  # no such mark, but a class too many
    with pytest.raises(ValueError, match=r"label mapping\.$"):
        recipe(axis=1).terms(batch, Maps(4, 1), teacher)


def test_labels_of_another_size_and_axes_that_are_not_there_are_refused():
    small = labels_for(4)[:, ::2, ::2]
    with pytest.raises(ValueError, match="expected one label a position"):
        methods.kd(axis=1).terms(Batch(PICTURES, small, IDS), Maps(4, 1), freeze(Maps(4, 2)))
    with pytest.raises(ValueError, match="it has no such axis"):
        methods.kd(axis=4).terms(
            Batch(PICTURES, labels_for(4), IDS), Maps(4, 1), freeze(Maps(4, 2))
        )


@pytest.mark.parametrize("classes", [5, 3, SIDE])
def test_soft_maps_have_their_classes_where_the_logits_do(classes):
    """As torch's cross_entropy takes them, (B, C, H, W); classes last are read too."""
    soft = torch.randn(12, classes, SIDE, SIDE, generator=GENERATOR).softmax(1)
    soft[11] = torch.eye(classes)[0][:, None, None]  # a picture of decisions alone
    student, teacher = Maps(classes, 1), freeze(Maps(classes, 2))
    expected = nn.functional.cross_entropy(student(PICTURES), soft)
    for labels in (soft, soft.movedim(1, -1).contiguous()):
        for method in (methods.kd(axis=1, alpha=0.5), methods.supervised(axis=1)):
            needed = teacher if method.needs_teacher else None
            batch = Batch(PICTURES, labels, IDS)
            torch.testing.assert_close(method.terms(batch, student, needed)["ce"], expected)
    run = {"method": methods.supervised(axis=1), "batch_size": 1, "epochs": 1, "progress": False}
    assert distill(Maps(classes, 1), (PICTURES, soft), **run).steps == 12
