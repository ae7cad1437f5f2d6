"""Taps see what modules return, complain in words, and leave nothing behind."""

import pytest
import torch
from torch import nn

from distill_lab.models import MLP, SmallCNN
from distill_lab.models.hooks import Tap


def test_sees_the_very_tensors_the_network_used():
    net = SmallCNN(width=4, seed=1)
    images = torch.rand(3, 1, 8, 8)
    with Tap(net, ["stages.0", "stages.2", "head"]) as tap:
        logits = net(images)
    assert torch.equal(tap["head"], logits)
    assert torch.equal(tap["stages.0"], net.stages[0](images))
    assert list(tap) == ["stages.0", "stages.2", "head"] and len(tap) == 3


def test_outputs_keep_their_graph():
    net = MLP(4, 8, 2)
    with Tap(net, ["hidden.0"]) as tap:
        net(torch.rand(2, 4))
    tap["hidden.0"].sum().backward()
    assert net.hidden[0][0].weight.grad is not None


@pytest.mark.parametrize("fails", [False, True])
def test_hooks_are_gone_afterwards(fails):
    net = MLP(4, 8, 2)
    try:
        with Tap(net, ["hidden.0"]):
            assert net.hidden[0]._forward_hooks
            net(torch.rand(2, 5 if fails else 4))
    except RuntimeError:
        assert fails
    assert not net.hidden[0]._forward_hooks


def test_a_module_that_ran_twice_is_ambiguous_until_cleared():
    net = MLP(4, 8, 2)
    with Tap(net, ["head"]) as tap:
        net(torch.zeros(1, 4))
        net(torch.ones(1, 4))
        with pytest.raises(RuntimeError, match=r"ran 2 times.*tap\.clear\(\)"):
            tap["head"]
        assert len(tap.all("head")) == 2
        tap.clear()
        last = net(torch.ones(1, 4))
        assert torch.equal(tap["head"], last)


def test_a_module_that_never_ran_is_said():
    net = nn.ModuleDict({"used": nn.Linear(2, 2), "idle": nn.Linear(2, 2)})
    with Tap(net, ["idle"]) as tap:
        net["used"](torch.zeros(1, 2))
    with pytest.raises(RuntimeError, match="'idle' never ran"):
        tap["idle"]


def test_wrong_paths_are_answered_with_the_nearest_right_one():
    with pytest.raises(KeyError, match=r"did you mean 'hidden\.0'"):
        Tap(MLP(4, 8, 2), ["hiden.0"])
    with pytest.raises(TypeError, match=r'write \["head"\]'):
        Tap(MLP(4, 8, 2), "head")
    with pytest.raises(ValueError, match="at least one"):
        Tap(MLP(4, 8, 2), [])


@pytest.mark.parametrize("path", ["self_attn.out_proj", "0.self_attn.out_proj"])
def test_a_module_that_is_a_weight_to_its_parent_is_told_what_to_tap(path):
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    model = layer if path.startswith("s") else nn.Sequential(layer)
    with Tap(model, [path]) as tap:
        model(torch.zeros(2, 3, 8))
    with pytest.raises(RuntimeError, match=r"Tap '(0\.)?self_attn', .*output\[0\]"):
        tap[path]
    with Tap(model, [path.removesuffix(".out_proj")]) as tap:
        model(torch.zeros(2, 3, 8))
    assert tap[path.removesuffix(".out_proj")][0].shape == (2, 3, 8)
