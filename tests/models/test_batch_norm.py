"""What batch-norm layers remember: the gap to it by hand, and what a network with them keeps."""

import pytest
import torch
from torch import nn

from distill_lab.models import MLP, BatchNormTap
from distill_lab.training import distill


def gap_of(net, inputs):
    with BatchNormTap(net) as tap:
        net(inputs)
        return tap.gap()


@pytest.fixture
def trained():
    net = MLP(6, 8, 8, 3, batch_norm=True, seed=1)
    data = torch.randn(64, 6), torch.arange(64) % 3
    distill(net, data, epochs=2, batch_size=16, progress=False)
    return net.eval()


def test_the_gap_is_the_papers_sum_of_norms(trained):
    x = torch.randn(20, 6)
    first, second = trained.hidden
    flow = first[0](x), second[0](first(x))
    expected = 0.0
    for values, norm in zip(flow, (first[1], second[1]), strict=True):
        mean, var = values.mean(0), values.var(0)
        expected += (mean - norm.running_mean).square().sum().sqrt()
        expected += (var - norm.running_var).square().sum().sqrt()
    torch.testing.assert_close(gap_of(trained, x), expected)


@pytest.mark.parametrize("shape", [(12, 5), (12, 5, 4, 4)])
def test_the_very_data_that_a_layer_remembers_have_no_gap(shape):
    norm = (nn.BatchNorm1d if len(shape) == 2 else nn.BatchNorm2d)(5, momentum=1.0)
    x = 3 + 2 * torch.randn(shape)
    norm.train()(x)
    net = nn.Sequential(norm).eval()
    assert gap_of(net, x).item() == pytest.approx(0, abs=1e-4)
    assert gap_of(net, x + 1).item() == pytest.approx(5**0.5, rel=1e-3)  # one in each channel


def test_pictures_follow_the_gap_and_the_network_stays_as_it_was(trained):
    before = {name: value.clone() for name, value in trained.state_dict().items()}
    x = torch.randn(30, 6, requires_grad=True)
    optimizer = torch.optim.Adam([x], lr=0.05)
    gaps = []
    for _ in range(60):
        gap = gap_of(trained, x)
        optimizer.zero_grad()
        gap.backward()
        optimizer.step()
        gaps.append(gap.item())
    assert gaps[-1] < 0.3 * gaps[0]
    assert all(torch.equal(before[name], value) for name, value in trained.state_dict().items())
    assert not any(module._forward_pre_hooks for module in trained.modules())


def test_a_layer_must_run_once(trained):
    x = torch.randn(4, 6)
    with BatchNormTap(trained) as tap:
        with pytest.raises(RuntimeError, match=r"'hidden\.0\.1' ran 0 times"):
            tap.gap()
        trained(x)
        trained(x)
        with pytest.raises(RuntimeError, match=r"ran 2 times.*clear\(\)"):
            tap.gap()
        tap.clear()
        trained(x)
        assert list(tap.gaps()) == ["hidden.0.1", "hidden.1.1"]


def test_a_network_that_remembers_nothing_or_still_learns_is_refused(trained):
    with pytest.raises(ValueError, match="MLP has no batch-norm layer"):
        BatchNormTap(MLP(4, 3, 2))
    with pytest.raises(ValueError, match=r"'hidden\.0\.1' is in training mode.*freeze"):
        BatchNormTap(trained.train())
    with pytest.raises(ValueError, match="no batch-norm layer that keeps running"):
        BatchNormTap(nn.BatchNorm1d(3, track_running_stats=False))


def test_batch_norm_stands_before_the_relu_and_lets_the_units_through():
    net = MLP(6, 8, 3, batch_norm=True, dropout=0.2, seed=4)
    assert [type(layer).__name__ for layer in net.hidden[0]] == [
        "Linear",
        "BatchNorm1d",
        "ReLU",
        "Dropout",
    ]
    units = net.train().hidden[0][1](net.hidden[0][0](torch.randn(200, 6)))
    torch.testing.assert_close(units.std(0), torch.ones(8), rtol=0.01, atol=0.01)
    plain = MLP(6, 8, 3, seed=4)
    assert torch.equal(net.head.weight, plain.head.weight), "the seed gives the same weights"
