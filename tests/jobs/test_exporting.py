"""A student in other forms: each answers as the student does, or is not kept."""

import shutil

import pytest
import torch
from transformers import AutoModelForSequenceClassification, SwinConfig, SwinForImageClassification

from distill_lab import cli
from distill_lab.jobs import exporting
from tests.jobs import tiny

pytestmark = pytest.mark.slow  # torch.export traces a model for seconds


@pytest.fixture(scope="module")
def student(tmp_path_factory):
    place = tmp_path_factory.mktemp("student")
    return tiny.encoder(place, 1, kind=AutoModelForSequenceClassification, num_labels=3)


def test_onnx_and_8_bits_answer_as_the_student(student, capsys):
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    assert cli.main(["export", str(student), "--to", "onnx", "int8"]) == 0
    out = capsys.readouterr().out
    assert "onnx: model.onnx" in out and "int8: model.int8.onnx" in out
    session = onnxruntime.InferenceSession(str(student / "model.onnx"))
    model = AutoModelForSequenceClassification.from_pretrained(student).eval()
    ids = torch.randint(4, 30, (5, 11))
    mask = torch.ones_like(ids)
    mask[2, 4:] = 0
    feeds = {"input_ids": ids.numpy(), "attention_mask": mask.numpy()}
    answer = torch.from_numpy(session.run(None, feeds)[0])
    with torch.no_grad():
        torch.testing.assert_close(answer, model(ids, attention_mask=mask).logits)
    assert not [path for path in student.iterdir() if "partial" in path.name]


def test_a_graph_of_torch_answers_as_the_student(student):
    exported = exporting.export(student, "torch-export")
    assert exported.difference < 1e-3 and exported.same == 100
    graph = torch.export.load(exported.path).module()
    ids = torch.randint(4, 30, (3, 7))
    model = AutoModelForSequenceClassification.from_pretrained(student).eval()
    with torch.no_grad():
        mask = torch.ones_like(ids)
        torch.testing.assert_close(graph(ids, mask), model(ids, attention_mask=mask).logits)


def test_a_form_that_answers_otherwise_is_not_kept(student, monkeypatch):
    def wrong(bare, probes, path, learned):
        path.write_bytes(b"a file")
        return lambda probe: bare(*probe).flip(-1)

    monkeypatch.setitem(exporting._WRITERS, "onnx", wrong)
    (student / "model.onnx").unlink(missing_ok=True)
    with pytest.raises(ValueError, match="answers otherwise than the student"):
        exporting.export(student, "onnx")
    assert not (student / "model.onnx").exists()
    assert not [path for path in student.iterdir() if "partial" in path.name]


def swin(folder):
    sizes = {"image_size": 16, "patch_size": 2, "embed_dim": 8, "window_size": 4}
    torch.manual_seed(0)
    config = SwinConfig(**sizes, depths=[1, 1], num_heads=[2, 2], num_labels=3)
    SwinForImageClassification(config).save_pretrained(folder)
    return folder


def test_windows_are_written_in_onnx_where_attention_is_written_out(tmp_path):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    exported = exporting.export(swin(tmp_path), "onnx")
    assert exported.difference < 1e-3 and exported.same == 100


def test_what_cannot_be_exported_is_said_in_words(tmp_path, capsys):
    with pytest.raises(ValueError, match="name one of onnx, torch-export, int8"):
        exporting.export(tmp_path, "tflite")
    assert cli.main(["export", str(tmp_path), "--to", "onnx"]) == 2
    assert "holds no config.json" in capsys.readouterr().err


def test_the_folder_of_a_student_may_lie_at_home(student, tmp_path, monkeypatch):
    """In quotes no shell expands it."""
    there = tmp_path / "student"
    shutil.copytree(student, there)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cli.main(["export", "~/student", "--to", "torch-export"]) == 0
    assert (there / "model.pt2").exists()


def test_what_a_package_cannot_write_is_named_in_words(student, monkeypatch, capsys):
    def broken(*args, **settings):
        raise RuntimeError("no such operator\nA long story of it.")

    monkeypatch.setattr(torch.onnx, "export", broken)
    assert cli.main(["export", str(student), "--to", "onnx"]) == 2
    words = f"a {AutoModelForSequenceClassification.from_pretrained(student).__class__.__name__}"
    error = capsys.readouterr().err
    assert f"{words} cannot be written as onnx (no such operator): leave that form out" in error
    assert "A long story" not in error
