"""Asking, counting and timing: the model is left as it was, and counted once."""

import pytest
import torch
from safetensors.torch import save_model
from torch import nn

from distill_lab.evaluation import (
    SpeedUp,
    count_parameters,
    latency,
    measure_latency,
    predict_logits,
    size_on_disk,
)
from distill_lab.evaluation.predictions import evaluating
from distill_lab.teachers import freeze


def noisy() -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 3)
    )


def test_logits_come_in_eval_mode_whatever_the_batch_size():
    net, inputs = noisy(), torch.rand(23, 6)
    logits = predict_logits(net, inputs)
    assert logits.shape == (23, 3)
    assert torch.allclose(predict_logits(net, inputs, batch_size=5), logits, atol=1e-6)
    net.eval()
    assert torch.allclose(net(inputs), logits, atol=1e-6)


def test_the_model_is_left_as_it_was():
    net, inputs = noisy(), torch.rand(9, 6)
    net[3].eval()  # frozen by hand inside a training model
    before = {name: value.clone() for name, value in net.state_dict().items()}
    predict_logits(net, inputs)
    measure_latency(net, inputs, runs=2, warmup=1)
    assert [m.training for m in net.modules()] == [True, True, True, True, False, True]
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())
    with pytest.raises(RuntimeError, match="broken"), evaluating(net):
        raise RuntimeError("broken")
    assert net.training and not net[3].training


def test_the_logits_can_be_a_target_of_a_later_loss():
    targets = predict_logits(noisy(), torch.rand(5, 6))
    student = nn.Linear(6, 3)
    loss = (student(torch.rand(5, 6)) * targets).sum()  # saves the targets for the backward pass
    loss.backward()
    assert student.weight.grad is not None and not targets.requires_grad


def test_a_frozen_teacher_is_a_model_too():
    net, inputs = noisy(), torch.rand(5, 6)
    teacher = freeze(net)
    assert torch.equal(predict_logits(teacher, inputs), predict_logits(net, inputs))
    assert count_parameters(teacher) == count_parameters(net)


def test_parameters_and_bytes_count_shared_tensors_once(tmp_path):
    net = noisy()
    assert count_parameters(net) == 6 * 8 + 8 + 8 + 8 + 8 * 3 + 3
    tied = nn.Sequential(nn.Linear(50, 50, bias=False), nn.Linear(50, 50, bias=False))
    untied_size = size_on_disk(tied)
    tied[1].weight = tied[0].weight
    assert count_parameters(tied) == 2500
    for model in (net, tied):
        save_model(model, tmp_path / "model.safetensors")
        on_disk = (tmp_path / "model.safetensors").stat().st_size
        assert size_on_disk(model) == pytest.approx(on_disk, abs=80)  # its header names the twin
    assert untied_size - size_on_disk(tied) > 9_000


def test_latency_is_ordered_and_says_what_was_timed():
    calls = []

    class Counting(nn.Linear):
        def forward(self, x):
            calls.append((self.training, torch.is_grad_enabled()))
            return super().forward(x)

    result = measure_latency(Counting(4, 2), torch.rand(8, 4), runs=10, warmup=3)
    assert calls == [(False, False)] * 13
    assert 0 < result.p50_ms <= result.p95_ms
    assert result.throughput == pytest.approx(8 / result.p50_ms * 1000)
    assert (result.batch, result.runs) == (8, 10)
    assert "p95" in str(result)


def test_the_first_calls_are_not_counted(monkeypatch):
    # A clock of our own: two calls of 9 s to warm up, then 1, 2, 3, 4 and 5 ms.
    marks = [x for seconds in (9, 9, 1e-3, 2e-3, 3e-3, 4e-3, 5e-3) for x in (0, seconds)]
    monkeypatch.setattr(latency.time, "perf_counter", iter(marks).__next__)
    result = measure_latency(nn.Identity(), torch.rand(6, 2), runs=5, warmup=2)
    assert (result.p50_ms, result.p95_ms) == pytest.approx((3, 4.8))
    assert result.throughput == pytest.approx(2000)


def test_a_speed_up_is_the_middle_of_ratios_taken_side_by_side():
    slow = torch.tensor([8.0, 8, 9, 9, 10, 10, 11, 11, 12, 12])
    result = latency.speed_up(slow, slow / torch.tensor([2.0, 2, 4, 4, 3, 3, 3, 3, 3, 3]))
    assert (result.low, result.median, result.high, result.blocks) == (2, 3, 4, 5)
    assert str(result) == "3.00x (2.00-4.00)"
    hiccup = torch.full((50,), 2.0)
    hiccup[7] = 900.0  # one call among fifty that the machine interrupted
    assert latency.speed_up(torch.full((50,), 6.0), hiccup) == SpeedUp(3, 3, 3, 5)
    assert latency.speed_up(slow[:3], slow[:3]).blocks == 1


class Pair(nn.Module):
    def forward(self, x):
        return x, x


X = torch.rand(4, 3)

BAD = [
    (lambda: predict_logits(Pair(), X), TypeError, "logits as one tensor; got tuple"),
    (lambda: predict_logits(nn.Flatten(0), X), ValueError, r"give logits \(4, classes\); got"),
    (lambda: predict_logits(nn.Identity(), X[:0]), ValueError, "there are no inputs"),
    (
        lambda: predict_logits(nn.Identity(), X, batch_size=0),
        ValueError,
        "batch_size must be a positive",
    ),
    (lambda: predict_logits(len, X), TypeError, "expected a torch module.*got builtin_function"),
    (lambda: count_parameters("net"), TypeError, "expected a torch module.*got str"),
    (lambda: size_on_disk(None), TypeError, "expected a torch module.*got NoneType"),
    (lambda: measure_latency(nn.Identity(), X, runs=1), ValueError, "runs >= 2 and warmup >= 0"),
    (lambda: measure_latency(nn.Identity(), X[:0]), ValueError, "there are no inputs"),
]


@pytest.mark.parametrize(("call", "error", "sentence"), BAD)
def test_bad_input_gets_a_sentence(call, error, sentence):
    with pytest.raises(error, match=sentence):
        call()
