"""The lessons' networks: seeded, in shape, and leaving the global generator alone."""

import pytest
import torch
from torch import nn

from distill_lab.models import MLP, SmallCNN
from distill_lab.models.networks import output_of

MAKERS = {
    "mlp": lambda seed: MLP(64, 32, 10, dropout=0.3, seed=seed),
    "cnn": lambda seed: SmallCNN(4, seed=seed),
}


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_the_seed_fixes_the_weights_and_nothing_else_is_touched(make):
    before = torch.get_rng_state()
    one, same, other = make(0), make(0), make(1)
    assert torch.equal(before, torch.get_rng_state())
    pairs = list(zip(one.parameters(), same.parameters(), other.parameters(), strict=True))
    assert all(torch.equal(a, b) for a, b, _ in pairs)
    assert any(not torch.equal(a, c) for a, _, c in pairs)


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_he_initialisation(make):
    for parameter in make(3).parameters():
        if parameter.dim() == 1:
            assert not parameter.any()
        elif parameter.numel() > 500:
            fan_in = parameter[0].numel()
            assert parameter.std().item() == pytest.approx((2 / fan_in) ** 0.5, rel=0.15)


def test_shapes_and_named_layers():
    net = MLP(64, 32, 16, 10)
    assert net(torch.zeros(5, 1, 8, 8)).shape == (5, 10)
    assert [name for name, _ in net.named_children()] == ["hidden", "head"] and len(net.hidden) == 2
    assert SmallCNN(4, classes=3, channels=2)(torch.zeros(2, 2, 16, 16)).shape == (2, 3)
    assert sum(p.numel() for p in MLP(64, 10).parameters()) == 650


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: MLP(64), "at least an input and an output size"),
        (lambda: MLP(64, 0, 10), "positive integer"),
        (lambda: MLP(64, 10, dropout=1.0), r"dropout must lie in \[0, 1\)"),
        (lambda: SmallCNN(0), "width must be a positive integer"),
        (lambda: SmallCNN(4, classes=2.5), "classes must be a positive integer"),
    ],
)
def test_impossible_sizes_are_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()


class Two(nn.Module):
    """A network that reads two tensors."""

    def forward(self, x, mask):
        return x * mask


@pytest.mark.parametrize(
    ("model", "inputs", "words"),
    [
        (
            nn.Linear(4, 2),
            {"x": torch.zeros(3, 4)},
            r"Linear reads the arguments \['input'\].*\['x'\]",
        ),
        (
            Two(),
            (torch.zeros(3), torch.ones(3)),
            r"Two reads the arguments \['x', 'mask'\].*mapping",
        ),
        (Two(), {"x": torch.zeros(3)}, r"Two reads the arguments \['x', 'mask'\].*\['x'\]"),
        (
            nn.Sequential(nn.Linear(4, 2)),
            {"x": torch.zeros(3, 4)},
            "a Sequential reads one argument",
        ),
        (nn.DataParallel(Two()), {"x": torch.zeros(3)}, r"Two reads the arguments"),
    ],
)
def test_arguments_of_other_names_are_told(model, inputs, words):
    with pytest.raises(TypeError, match=words):
        output_of(model, inputs)


def test_a_mistake_inside_a_model_keeps_its_own_error():
    class Wrong(nn.Module):
        def forward(self, x):
            return len(5)

    with pytest.raises(TypeError, match=r"^object of type 'int' has no len"):
        output_of(Wrong(), torch.zeros(3))
