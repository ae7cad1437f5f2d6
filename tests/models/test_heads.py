"""Several answers of one student: exits of a chain, and peers; each is an ordinary network too."""

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from distill_lab.evaluation import compare, predict_logits
from distill_lab.models import MLP, EarlyExits, Peers

X = torch.randn(40, 6, generator=torch.Generator().manual_seed(0))
Y = torch.arange(40) % 3


def exits(seed: int = 0) -> EarlyExits:
    body = MLP(6, 8, 8, 8, 3, seed=seed)
    heads = [MLP(8, 3, seed=100 * seed + i) for i in range(2)]
    return EarlyExits(body.hidden, [*heads, body.head])


def test_the_deepest_exit_is_the_network_itself() -> None:
    body = MLP(6, 8, 8, 8, 3, seed=0)
    torch.testing.assert_close(exits()(X), body(X))
    torch.testing.assert_close(exits().all_logits(X)[-1], body(X))


@pytest.mark.parametrize("k", range(3))
def test_an_exit_alone_answers_as_it_does_in_the_chain(k: int) -> None:
    net = exits()
    torch.testing.assert_close(net.exit(k)(X), net.all_logits(X)[k])


def test_exits_are_compared_each_at_its_own_cost() -> None:
    net = exits()
    each = {f"exit {k}": net.exit(k) for k in range(3)}
    columns = ["accuracy", "parameters", "flops", "latency_p50"]
    report = compare(each, (X, Y), columns=columns, runs=5, warmup=1)
    flops = [report[name].flops for name in each]
    assert flops == [2 * (6 * 8 + k * 64 + 24) for k in range(3)]
    assert [report[name].parameters for name in each] == [83, 155, 227]
    assert all(report[name].latency.p50_ms > 0 for name in each)


def test_saved_and_loaded_every_exit_answers_the_same(tmp_path) -> None:
    net, other = exits(0), exits(1)
    save_file(net.state_dict(), tmp_path / "exits.safetensors")
    other.load_state_dict(load_file(tmp_path / "exits.safetensors"))
    for before, after in zip(net.all_logits(X), other.all_logits(X), strict=True):
        assert torch.equal(before, after)


@pytest.mark.parametrize("confidence", [0.0, 0.4, 0.5, 0.7, 1.0])
def test_each_example_leaves_as_it_would_alone(confidence: float) -> None:
    net = exits()
    logits, left_at = net.leave_early(X, confidence)
    every = torch.stack(net.all_logits(X))
    torch.testing.assert_close(logits, every[left_at, torch.arange(len(X))])
    confident = every.softmax(-1).amax(-1) >= confidence
    confident[-1] = True
    assert torch.equal(left_at, confident.int().argmax(0))
    for row in (0, 7):
        alone, exit_alone = net.leave_early(X[row : row + 1], confidence)
        torch.testing.assert_close(alone[0], logits[row])
        assert exit_alone.item() == left_at[row]
    if 0.4 <= confidence <= 0.7:
        assert len(left_at.unique()) > 1, "the case is too easy to show anything"


def test_peers_answer_as_an_ensemble() -> None:
    a, b = MLP(6, 8, 3, seed=0), MLP(6, 4, 3, seed=1)
    mean = (a(X).softmax(-1) + b(X).softmax(-1)) / 2
    torch.testing.assert_close(predict_logits(Peers(a, b), X).softmax(-1), mean)
    assert Peers(a, b)[1] is b and len(Peers(a, b)) == 2


def test_peers_of_the_same_weights_answer_as_one() -> None:
    pair = Peers(MLP(6, 8, 3, seed=0), MLP(6, 8, 3, seed=0))
    torch.testing.assert_close(pair(X), pair[0](X).log_softmax(-1))


def test_peers_that_are_one_network_are_refused() -> None:
    one = nn.Linear(4, 3)
    with pytest.raises(ValueError, match="share parameters"):
        Peers(one, one)
