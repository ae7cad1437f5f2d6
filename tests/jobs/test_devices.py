"""Jobs compute on the device that there is, from their first step to their report."""

import json

import pytest
import torch
from safetensors.torch import load_file

from distill_lab import cli
from distill_lab._util.devices import find_device
from distill_lab.jobs.job import Job
from distill_lab.jobs.job_file import read_job
from distill_lab.jobs.running import run_job
from distill_lab.jobs.setups import road
from distill_lab.models import MLP
from distill_lab.teachers import freeze
from distill_lab.teachers.text import LocalGenerator
from distill_lab.training import distill
from tests.accelerator import CARD, accelerator
from tests.data.test_tokenized import llama, words_tokenizer
from tests.jobs import tiny

SHAPE = {
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("devices")
    llama(2, 1).save_pretrained(folder / "teacher")
    words_tokenizer().save_pretrained(folder / "teacher")
    rows = [{"prompt": a + b, "answer": b + a} for a in "abc" for b in "abc"]
    tiny.write_jsonl(folder / "rows.jsonl", rows)
    return folder


def language_job(place, out, method, **more):
    file = str(place / "rows.jsonl")
    given = {"train": file, "validation": file, "task": file, "epochs": 1, "batch_size": 5}
    given |= {"teacher": str(place / "teacher"), "student": SHAPE, "max_new_tokens": 3, "lr": 1e-2}
    return Job.of(out=str(out), method=method, **given | more)


@pytest.mark.parametrize("method", ["token-kl", "on-policy", "seq-kd"])
def test_a_language_model_learns_answers_and_is_measured_on_the_accelerator(
    place, tmp_path, method, monkeypatch
):
    here = run_job(language_job(place, tmp_path / "cpu", method, device="cpu"), progress=False)
    with accelerator(monkeypatch) as card:
        there = run_job(language_job(place, tmp_path / "card", method), progress=False)
    assert card.products["card"] > 100 and card.products["cpu"] == 0
    one, two = (load_file(each.student / "model.safetensors") for each in (here, there))
    for name in one:
        torch.testing.assert_close(one[name], two[name], rtol=1e-4, atol=1e-5)
    for name, figures in here.figures.items():
        assert there.figures[name].nll == pytest.approx(figures.nll, rel=1e-5)
        assert there.figures[name].right == figures.right


def test_an_encoder_learns_on_the_accelerator_from_its_first_step_to_its_report(
    tmp_path, monkeypatch
):
    tiny.encoder(tmp_path / "bare")
    tiny.write_csv(tmp_path / "rows.csv", tiny.sentences(24))
    (tmp_path / "job.yaml").write_text(
        "kind: text-classification\n"
        "teacher: {model: bare, finetune: {epochs: 1}}\n"
        f"student: {json.dumps(SHAPE)}\n"
        "train: rows.csv\nvalidation: rows.csv\nmethod: kd\nepochs: 1\nout: out\n"
    )
    monkeypatch.setattr(road, "RUNS", 10)  # of the timing: each operation is slow here
    with accelerator(monkeypatch) as card:
        outcome = run_job(read_job(tmp_path / "job.yaml"), progress=False)
    assert card.products["card"] > 100 and card.products["cpu"] == 0
    assert outcome.figures["student"]["accuracy"] > 0


def test_a_loop_and_a_generator_of_ones_own_take_a_device(place, monkeypatch):
    x = torch.randn(32, 6, generator=torch.Generator().manual_seed(0))
    runs = []
    with accelerator(monkeypatch):
        for device in ("cpu", CARD):
            student, teacher = MLP(6, 8, 2, dropout=0.3, seed=1), freeze(MLP(6, 16, 2, seed=3))
            settings = {"epochs": 2, "batch_size": 8, "clip": 1.0, "progress": False}
            labels = (x[:, 0] > 0).long()
            distill(student, (x, labels), teacher=teacher, device=device, **settings)
            where = {p.device for model in (student, teacher.model) for p in model.parameters()}
            assert where == {torch.device(device)}
            runs.append([p.cpu() for p in student.parameters()])
        assert next(LocalGenerator(str(place / "teacher")).model.parameters()).device == CARD
        local = LocalGenerator(str(place / "teacher"), device="cpu")
        assert next(local.model.parameters()).is_cpu
    assert all(torch.equal(a, b) for a, b in zip(*runs, strict=True))


@pytest.mark.filterwarnings("ignore:for .*copying from a non-meta:UserWarning")
def test_a_run_goes_on_on_its_device_bit_for_bit_and_on_another_with_a_word(tmp_path, monkeypatch):
    x = torch.randn(32, 6, generator=torch.Generator().manual_seed(0))

    def learned(device, steps, path):
        student = MLP(6, 8, 2, dropout=0.3, seed=1)
        data, settings = (x, (x[:, 0] > 0).long()), {"batch_size": 8, "progress": False}
        settings |= {"callbacks": [lambda step: step.step == steps]} if steps else {}
        distill(student, data, device=device, epochs=3, checkpoint=tmp_path / path, **settings)
        return [p.cpu() for p in student.parameters()]

    def same(one, other):
        return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))

    learned("cpu", 5, "moved")
    with accelerator(monkeypatch):
        whole = learned(CARD, None, "whole")
        learned(CARD, 5, "torn")
        assert same(learned(CARD, None, "torn"), whole)
        with pytest.warns(UserWarning, match="written on another device and goes on on meta"):
            learned(CARD, None, "moved")


def test_a_device_that_is_not_there_is_refused_naming_what_is(place, tmp_path, monkeypatch, capsys):
    assert find_device() == find_device("cpu") == torch.device("cpu")
    for name in ("cuda", "cuda:1", "cpu:1", "meta", "gpu"):
        with pytest.raises(ValueError, match=rf"no device '{name}' here: choose from cpu\."):
            find_device(name)
    file = place / "job.yaml"
    rest = "teacher: teacher\nstudent: teacher\ntrain: rows.jsonl\nmethod: sft\nout: x\n"
    file.write_text(f"device: cuda\n{rest}")
    assert cli.main(["distill", str(file), "--check"]) == 2
    assert "job.yaml, line 1: there is no device 'cuda' here" in capsys.readouterr().err
    (tmp_path / "p.txt").write_text("a b\n")
    words = ["generate", str(tmp_path / "p.txt"), str(tmp_path / "a.jsonl")]
    assert cli.main([*words, "--local", str(place / "teacher"), "--device", "cuda:1"]) == 2
    assert "choose from cpu." in capsys.readouterr().err
    with accelerator(monkeypatch):
        monkeypatch.setattr(torch.accelerator, "device_count", lambda: 2)
        assert find_device() == CARD and find_device("meta:1").index == 1
        with pytest.raises(ValueError, match="choose from cpu, meta, meta:0, meta:1"):
            find_device("meta:2")
