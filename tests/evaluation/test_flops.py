"""FLOPs against formulas worked out by hand, fused layers and all."""

import pytest
import torch
from torch import nn

from distill_lab.evaluation import TrainingFlops, count_flops, training_flops
from distill_lab.teachers import freeze


class Recurrent(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.layer, self.out = kind(8, 16, batch_first=True), nn.Linear(16, 3)

    def forward(self, x):
        return self.out(self.layer(x)[0][:, -1])


L, E, F = 20, 64, 128  # tokens, width, hidden width
ENCODER = 4 * 2 * L * E * E + 2 * 2 * L * L * E + 2 * 2 * L * E * F
KNOWN = {
    "mlp": (nn.Sequential(nn.Linear(5, 7), nn.ReLU(), nn.Linear(7, 3)), (5,), 2 * (35 + 21)),
    "convolution": (nn.Conv2d(3, 8, 3, padding=1), (3, 10, 10), 2 * 8 * 3 * 9 * 100),
    "encoder": (nn.TransformerEncoderLayer(E, 4, F, batch_first=True), (L, E), ENCODER),
    "lstm": (Recurrent(nn.LSTM), (5, 8), 5 * 2 * 4 * 16 * (8 + 16) + 2 * 16 * 3),
    "gru": (Recurrent(nn.GRU), (5, 8), 5 * 2 * 3 * 16 * (8 + 16) + 2 * 16 * 3),
    "none": (nn.ReLU(), (5,), 0),
}


def settings():
    return (
        torch.backends.mha.get_fastpath_enabled(),
        torch.backends.cudnn.enabled,
        torch.backends.mkldnn.enabled,
        torch.backends.cuda.flash_sdp_enabled(),
    )


@pytest.mark.parametrize("name", KNOWN)
@pytest.mark.parametrize("training", [True, False])
def test_the_count_is_the_formulas(name, training):
    net, shape, flops = KNOWN[name]
    torch.backends.mha.set_fastpath_enabled(True)
    before = settings()
    net.train(training)
    assert count_flops(net, torch.rand(1, *shape)) == flops
    assert count_flops(net, torch.rand(7, *shape)) == flops  # an example, whatever comes along
    assert net.training == training and settings() == before


def test_settings_come_back_after_an_error():
    before = settings()
    with pytest.raises(RuntimeError):
        count_flops(nn.Linear(3, 2), torch.rand(1, 4))
    assert settings() == before


STUDENT, TEACHER = nn.Linear(4, 2), nn.Linear(4, 20)  # 16 and 160 a forward pass
X = torch.rand(3, 4)


@pytest.mark.parametrize(
    ("settings", "teacher"),
    [
        ({}, 0),
        ({"teacher": TEACHER}, 100 * 5 * 160),
        ({"teacher": freeze(TEACHER), "cached": True}, 100 * 160),
    ],
)
def test_training_is_three_forwards_a_step_and_the_teacher_as_often_as_asked(settings, teacher):
    spent = training_flops(STUDENT, X, examples=100, epochs=5, **settings)
    assert spent == TrainingFlops(student=3 * 100 * 5 * 16, teacher=teacher)
    assert spent.total == 24_000 + teacher


def test_it_can_be_read():
    assert str(TrainingFlops(75, 25)) == "1.00e+02 FLOPs, 25 % of them the teacher"
    assert "0 %" in str(TrainingFlops(0, 0))


@pytest.mark.parametrize(
    ("call", "error", "sentence"),
    [
        (lambda: count_flops(STUDENT, X[:0]), ValueError, "there are no inputs"),
        (lambda: count_flops(len, X), TypeError, "expected a torch module"),
        (
            lambda: training_flops(STUDENT, X, examples=0, epochs=1),
            ValueError,
            "examples must be a positive number; got 0",
        ),
        (
            lambda: training_flops(STUDENT, X, examples=9, epochs=-1),
            ValueError,
            "epochs must be a positive number",
        ),
        (
            lambda: training_flops(STUDENT, X, examples=9, epochs=1, cached=True),
            ValueError,
            "pass the teacher too",
        ),
    ],
)
def test_bad_input_gets_a_sentence(call, error, sentence):
    with pytest.raises(error, match=sentence):
        call()
