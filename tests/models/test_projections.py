"""Regressors that fit by themselves: which axis, widths and size; and advice that works."""

import re

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from distill_lab import losses, methods
from distill_lab._util.tensors import Batch
from distill_lab.models import MLP, VisionTransformer
from distill_lab.models.projections import Regressor, VariationalRegressor
from distill_lab.teachers import freeze
from distill_lab.training import distill
from tests.losses.draw import normal


def net(width, stride=1, seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(3, width, 3, stride=stride, padding=1),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(width, 4),
    )


IMAGES = torch.rand(8, 3, 16, 16, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("wrapped", [False, True])
def test_kind_widths_and_size_come_from_the_features(wrapped):
    student, teacher = net(6, stride=2), net(10)
    one = nn.DataParallel(student) if wrapped else student
    for other in (teacher, freeze(teacher)):
        maps, vector = Regressor.between(one, other, [("2", "2"), ("5", "5")], IMAGES, seed=4)
        assert repr(maps) == "Regressor(6, 10, kind='conv1x1', size=(16, 16))"
        assert repr(vector) == "Regressor(6, 10, kind='linear')"
    again = Regressor.between(
        one, teacher, [("2", "2")], Batch(IMAGES, None, torch.arange(8)), seed=4
    )
    assert torch.equal(again[0].weight, maps.weight)
    (vid,) = VariationalRegressor.between(one, teacher, [("2", "2")], IMAGES, variance=2.0)
    assert isinstance(vid, VariationalRegressor) and vid(torch.zeros(1, 6, 8, 8))[1].shape[0] == 10


def test_tokens_get_a_linear_map():
    vit = lambda width: VisionTransformer(8, 4, width=width, heads=2, classes=3)  # noqa: E731
    student, teacher = vit(8), vit(12)
    path = next(n for n, m in student.named_modules() if isinstance(m, nn.LayerNorm))
    (made,) = Regressor.between(student, teacher, [(path, path)], torch.rand(2, 1, 8, 8))
    assert repr(made) == "Regressor(8, 12, kind='linear')"


def test_looking_leaves_both_models_as_they_were():
    student, teacher = net(6).train(), net(10).train()
    student[3].eval()
    states = [{k: v.clone() for k, v in m.state_dict().items()} for m in (student, teacher)]
    torch.manual_seed(3)
    before = torch.random.get_rng_state()
    Regressor.between(student, teacher, [("2", "2")], IMAGES)
    assert torch.equal(torch.random.get_rng_state(), before)
    for model, state in zip((student, teacher), states, strict=True):
        assert all(torch.equal(v, state[k]) for k, v in model.state_dict().items())
        assert model.training and all(p.grad is None for p in model.parameters())
        assert not any(m._forward_hooks for m in model.modules())
    assert student[3].training is False and student[1].training


def test_a_student_of_another_width_and_size_learns_from_maps():
    student, teacher = net(6, stride=2), freeze(net(10, seed=1))
    made = Regressor.between(student, teacher, [("2", "2")], IMAGES)
    method = methods.match_features(
        "hint", losses.hint_loss, [("2", "2")], weight=1.0, regressors=made
    )
    settings = {"epochs": 8, "batch_size": 8, "lr": 1e-2, "progress": False}
    history = distill(student, (IMAGES, None), teacher=teacher, method=method, **settings)
    assert history["hint"][-1] < history["hint"][0]


def test_repeating_the_small_map_has_the_gradient_of_averaging_the_large_one():
    small, large = normal(2, 6, 4, 4).requires_grad_(), normal(2, 6, 8, 8, seed=1)
    up = Regressor(6, 6, kind="conv1x1", size=(8, 8))
    plain = Regressor(6, 6, kind="conv1x1")
    gradients = []
    for regressor, teacher in ((up, large), (plain, F.adaptive_avg_pool2d(large, 4))):
        loss = losses.hint_loss(small, teacher, regressor=regressor)
        gradients.append(torch.autograd.grad(loss, small)[0])
    torch.testing.assert_close(*gradients)


def test_maps_of_other_sizes_meet_at_the_smaller_one():
    student, teacher = net(6, stride=2), freeze(net(6, seed=1))
    batch = Batch(IMAGES, None, torch.arange(8))
    at = losses.attention_transfer_loss
    method = methods.match_features("at", at, [("2", "2")], weight=1.0, resize="adaptive")
    value = method.terms(batch, student.eval(), teacher)["at"]
    maps = [m[:3](IMAGES) for m in (student, teacher.model)]
    torch.testing.assert_close(value, at(maps[0], F.adaptive_avg_pool2d(maps[1], 8)))
    flat = methods.match_features("at", at, [("5", "5")], weight=1.0, resize="adaptive")
    with pytest.raises(ValueError, match="resize= is for maps"):
        flat.terms(batch, student, teacher)


def test_the_columns_of_a_picture_are_never_taken_for_channels():
    maps = normal(2, 16, 16, 16)
    with pytest.raises(ValueError, match=r"kind='conv1x1' for maps \(B, C, H, W\)"):
        losses.hint_loss(maps, normal(2, 32, 16, 16), regressor=Regressor(16, 16))
    with pytest.raises(ValueError, match="which of them are the channels has to be said"):
        VariationalRegressor(16, 16)(maps)
    assert Regressor(16, 8, kind="linear")(maps).shape == (2, 16, 16, 8)


@pytest.mark.parametrize(
    ("s", "t"),
    [((2, 5), (2, 9)), ((2, 3, 5), (2, 3, 9)), ((2, 16, 8, 8), (2, 32, 8, 8)),
     ((2, 16, 8, 8), (2, 32, 4, 4)), ((2, 16, 4, 4), (2, 16, 8, 8))],
)  # fmt: skip
def test_the_advice_of_a_loss_works_when_it_is_followed(s, t):
    student, teacher = normal(*s), normal(*t, seed=1)
    with pytest.raises(ValueError) as caught:
        losses.hint_loss(student, teacher)
    call = re.search(r"projections\.(Regressor\(.*?\))( for maps|\.)", str(caught.value))
    regressor = eval(call[1], {"Regressor": Regressor})
    assert losses.hint_loss(student, teacher, regressor=regressor).isfinite()


@pytest.mark.parametrize(
    ("s", "t", "words"),
    [
        ((2, 3, 5), (2, 4, 9), "the same tokens"),
        ((2, 5), (2, 5, 3, 3), "the same axes first"),
        ((3, 5), (2, 9), "the same batch"),
    ],
)
def test_where_no_map_helps_none_is_advised(s, t, words):
    with pytest.raises(ValueError, match=words):
        losses.hint_loss(normal(*s), normal(*t))


def test_what_no_regressor_can_bring_together_is_refused_in_words():
    last = nn.Sequential(nn.Conv2d(3, 6, 1), nn.Flatten(2), nn.Unflatten(2, (16, 16)))
    swin = nn.Sequential(last, Permute())
    with pytest.raises(ValueError, match="the channels seem to be last"):
        Regressor.between(swin, swin, [("1", "1")], IMAGES)
    (made,) = Regressor.between(swin, swin, [("1", "1")], IMAGES, kind="linear")
    assert repr(made) == "Regressor(6, 6, kind='linear')"
    with pytest.raises(ValueError, match=r"'2' gives \(8, 6, 16, 16\).*both \(B, D\)"):
        Regressor.between(net(6), net(6), [("2", "5")], IMAGES)
    lstm = nn.Sequential(nn.Flatten(2), nn.LSTM(256, 4, batch_first=True))
    with pytest.raises(ValueError, match=r"read=lambda output: output\[0\]"):
        Regressor.between(lstm, lstm, [("1", "1")], IMAGES)
    (made,) = Regressor.between(lstm, lstm, [("1", "1")], IMAGES, read=lambda out: out[0])
    assert repr(made) == "Regressor(4, 4, kind='linear')"


class Permute(nn.Module):
    def forward(self, maps):
        return maps.movedim(1, -1)


def test_a_loss_that_takes_no_regressor_is_given_mapped_features():
    student, teacher = MLP(6, 8, 2, seed=1), freeze(MLP(6, 12, 2, seed=2))
    made = Regressor.between(student, teacher, [("hidden.0", "hidden.0")], torch.zeros(2, 6))
    layers, x = [("hidden.0", "hidden.0")], normal(9, 6)
    method = methods.match_features("c", losses.cosine_loss, layers, weight=1.0, regressors=made)
    value = method.terms(Batch(x, None, torch.arange(9)), student, teacher)["c"]
    mapped, its = made[0](student.hidden(x)), teacher.model.hidden(x)
    torch.testing.assert_close(value, losses.cosine_loss(mapped, its))
    bank = losses.MemoryBank(9, 12, negatives=4)
    with pytest.raises(ValueError, match=r"use methods.crd\(...\)"):
        methods.match_features("crd", bank, layers, weight=1.0)
