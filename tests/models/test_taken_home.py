"""A student that was distilled leaves the house: as weights, a program, ONNX and in eight bits."""

import warnings

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from distill_lab import methods
from distill_lab.losses import hint_loss
from distill_lab.models import MLP, SmallCNN
from distill_lab.models.projections import Regressor
from distill_lab.teachers import freeze
from distill_lab.training import distill

FIVE = torch.randn(5, 1, 8, 8, generator=torch.Generator().manual_seed(1))


def network():
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 3))


def distilled(student, method, teacher):
    data = (torch.randn(32, 1, 8, 8), torch.arange(32) % 3)
    distill(student, data, teacher=freeze(teacher), method=method, epochs=1, progress=False)
    return student.eval()


@pytest.fixture(scope="module")
def student():
    hint = methods.match_features(
        "hint",
        hint_loss,
        [("1", "hidden.0")],  # a student that was tapped, and has no hook left
        weight=1.0,
        base_method=methods.kd(),
        regressors=[Regressor(16, 24)],
    )
    return distilled(network(), hint, MLP(64, 24, 3, seed=0))


def exported(student):
    batch = {0: torch.export.Dim("batch")}
    return torch.export.export(student, (FIVE[:2],), dynamic_shapes=(batch,))


def test_the_weights_come_back_to_the_bit(student, tmp_path):
    save_file(student.state_dict(), tmp_path / "student.safetensors")
    again = network()
    again.load_state_dict(load_file(tmp_path / "student.safetensors"))
    assert torch.equal(again.eval()(FIVE), student(FIVE))
    assert set(again.state_dict()) == {"1.weight", "1.bias", "3.weight", "3.bias"}


@pytest.mark.slow
@pytest.mark.parametrize("convolutional", [False, True], ids=["linear", "convolutional"])
def test_the_program_says_the_same_for_any_number_of_examples(student, convolutional, tmp_path):
    if convolutional:
        student = distilled(SmallCNN(4, classes=3), methods.kd(), SmallCNN(8, classes=3, seed=1))
    torch.export.save(exported(student), tmp_path / "student.pt2")
    program = torch.export.load(tmp_path / "student.pt2").module()
    for inputs in (FIVE, FIVE[:3]):
        torch.testing.assert_close(program(inputs), student(inputs), rtol=0, atol=1e-6)


@pytest.mark.slow
def test_onnx_says_the_same_for_any_number_of_examples(student, tmp_path):
    pytest.importorskip("onnx", reason="ONNX is written with the packages onnx and onnxscript")
    pytest.importorskip("onnxscript", reason="ONNX is written with the package onnxscript")
    runtime = pytest.importorskip("onnxruntime", reason="ONNX is run by the package onnxruntime")
    torch.onnx.export(exported(student), f=tmp_path / "student.onnx", verbose=False)
    session = runtime.InferenceSession(tmp_path / "student.onnx")
    name = session.get_inputs()[0].name
    for inputs in (FIVE, FIVE[:1]):
        (answer,) = session.run(None, {name: inputs.numpy()})
        torch.testing.assert_close(
            torch.tensor(answer), student(inputs).detach(), rtol=0, atol=1e-5
        )


def test_in_eight_bits_it_says_nearly_the_same(student):
    if torch.backends.quantized.engine == "none":
        pytest.skip("this torch was built without kernels of eight bits")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch moves this to a package of its own
        int8 = torch.ao.quantization.quantize_dynamic(student, {nn.Linear})
    apart = (int8(FIVE) - student(FIVE)).abs().max()
    assert 0 < apart < 0.05 * student(FIVE).abs().max() + 0.02
