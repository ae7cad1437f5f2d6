"""Low-rank adapters and memory: what is written, what comes back, and in which type of number."""

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM
from transformers.models.llama.modeling_llama import LlamaMLP

from distill_lab import cli
from distill_lab._util.wrappers import base_state
from distill_lab.jobs import setups
from distill_lab.jobs.job import Job
from distill_lab.jobs.job_file import read_job
from distill_lab.jobs.running import run_job
from distill_lab.jobs.setups.setup import Context
from distill_lab.training.checkpoint import load_checkpoint, save_checkpoint
from distill_lab.training.distributed import DistributedContext
from tests.data.test_tokenized import llama, words_tokenizer
from tests.jobs import tiny
from tests.jobs.runs import stop_at

LORA = {"r": 4, "dropout": 0.2}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("adapters")
    models = {"teacher": llama(2, 1), "student": llama(1, 4)}
    models |= {"half teacher": llama(2, 1).bfloat16(), "half student": llama(1, 4).bfloat16()}
    for name, model in models.items():
        model.save_pretrained(folder / name)
        words_tokenizer().save_pretrained(folder / name)
    rows = [{"prompt": a + b, "answer": b + a} for a in "abcd" for b in "abcd"]
    tiny.write_jsonl(folder / "rows.jsonl", rows)
    return folder


def given(place, out, **more):
    file = str(place / "rows.jsonl")
    job = {"teacher": "teacher", "student": "student", "method": "token-kl", "lr": 1e-2} | more
    for side in ("teacher", "student"):
        job[side] = str(place / job[side])
    return Job.of(train=file, validation=file, out=str(out), epochs=3, batch_size=8, **job)


def here():
    return Context(lambda line: None, False, DistributedContext(torch.device("cpu")))


@pytest.mark.parametrize("base", ["student", "half student"])
def test_adapters_kept_alone_are_a_folder_of_peft_that_says_what_was_measured(
    place, tmp_path, base
):
    job = given(place, tmp_path, student=base, lora=LORA | {"merge": False})
    outcome = run_job(job, progress=False)
    files = {path.name for path in outcome.student.iterdir()}
    assert {"adapter_config.json", "adapter_model.safetensors", "tokenizer.json"} <= files
    assert "model.safetensors" not in files and "config.json" not in files
    own = load_file(outcome.student / "adapter_model.safetensors")
    assert {tensor.dtype for tensor in own.values()} == {torch.float32}  # as they learned
    plain = AutoModelForCausalLM.from_pretrained(place / base)
    again = PeftModel.from_pretrained(plain, outcome.student).eval()
    measured = run_job(given(place, tmp_path / "again", student=base), progress=False)
    result = setups.setup(job, here())
    result.examine("reloaded", again)
    after, reloaded = outcome.figures["student after"], result.figures["reloaded"]
    assert reloaded.nll == pytest.approx(after.nll, abs=1e-6)
    assert after.nll != pytest.approx(measured.figures["student before"].nll, abs=1e-3)


def test_a_checkpoint_holds_the_adapters_alone_and_goes_on_bit_for_bit(place, tmp_path, capsys):
    whole = run_job(given(place, tmp_path / "whole", lora=LORA), progress=False)
    torn = given(place, tmp_path / "torn", lora=LORA)
    assert run_job(torn, progress=stop_at(4)).history.interrupted
    path = tmp_path / "torn/run.safetensors"
    checkpoint = load_checkpoint(path)
    assert all("lora_" in name for name in checkpoint.tensors["student"] if "weight" in name)
    assert len(checkpoint.tensors["student"]) >= 14
    file = tmp_path / "job.yaml"
    shown = {"teacher": torn.teacher, "student": torn.student, "train": torn.train}
    lines = [f"{key}: {value}" for key, value in shown.items()]
    lines += [f"validation: {torn.train}", "method: token-kl", "lr: 1e-2", "epochs: 3"]
    lines += ["batch_size: 8", "lora: {r: 4, dropout: 0.2}", f"out: {tmp_path}/torn"]
    file.write_text("\n".join(lines))
    assert cli.main(["distill", "--check", str(file)]) == 0, capsys.readouterr().err
    assert read_job(file).lora == LORA

    def finished(out):
        run_job(given(place, tmp_path / out, lora=LORA), progress=False)
        ours = load_file(tmp_path / out / "student/model.safetensors")
        theirs = load_file(whole.student / "model.safetensors")
        return all(torch.equal(ours[name], theirs[name]) for name in theirs)

    # files of before held what stands under the adapters, and no fingerprint of it
    job, before = given(place, tmp_path / "before", lora=LORA), load_checkpoint(path)
    student = setups.setup(job, here()).student
    assert all(module.training for module in student.modules())  # a base's own dropout as well
    before.tensors["student"] |= base_state(student)
    del before.facts["settings"]["base"]
    (tmp_path / "before").mkdir(exist_ok=True)
    save_checkpoint(tmp_path / "before/run.safetensors", before)
    assert finished("torn") and finished("before")


def test_adapters_do_not_go_on_over_another_base(place, tmp_path):
    base = tmp_path / "base"
    llama(1, 5).save_pretrained(base)
    words_tokenizer().save_pretrained(base)
    job = given(place, tmp_path / "out", student=str(base), lora=LORA)
    run_job(job, progress=stop_at(2))
    llama(1, 6).save_pretrained(base)
    with pytest.raises(ValueError, match=r"another run \(.* other weights\)"):
        run_job(job, progress=False)


def test_adapters_alone_need_a_base_that_can_be_named(place, tmp_path, capsys):
    file = tmp_path / "job.yaml"
    file.write_text(
        f"teacher: {place}/teacher\n"
        "student: {hidden_size: 16, intermediate_size: 32, num_hidden_layers: 1,"
        " num_attention_heads: 2}\n"
        f"train: {place}/rows.jsonl\nmethod: sft\nout: x\nlora:\n  r: 4\n  merge: false\n"
    )
    assert cli.main(["distill", str(file), "--check"]) == 2
    error = capsys.readouterr().err
    assert "adapters kept apart need a base model" in error and "line 8" in error


@pytest.mark.parametrize("lora", [None, LORA], ids=["all weights", "adapters"])
def test_layers_computed_again_teach_the_same(place, tmp_path, lora, monkeypatch):
    calls = [0]
    forward = LlamaMLP.forward

    def counted(self, x):
        calls[0] += x.requires_grad
        return forward(self, x)

    monkeypatch.setattr(LlamaMLP, "forward", counted)
    runs = []
    for again in (False, True):
        calls[0] = 0
        job = given(place, tmp_path / str(again), lora=lora, gradient_checkpointing=again)
        outcome = run_job(job, progress=False)
        runs.append((outcome, calls[0]))
    (plain, few), (saving, many) = runs
    assert many > few > 0
    values, same = plain.history["forward_kl"], saving.history["forward_kl"]
    assert len(values) == 6 and same == pytest.approx(values, abs=1e-6)
    one, two = (load_file(each.student / "model.safetensors") for each in (plain, saving))
    for name in one:
        torch.testing.assert_close(one[name], two[name], rtol=1e-5, atol=1e-6)


def test_a_teacher_answers_in_its_own_type_and_a_student_learns_in_float32(place, tmp_path):
    setup = setups.setup(
        given(place, tmp_path, teacher="half teacher", student="half student"), here()
    )
    types = [{p.dtype for p in m.parameters()} for m in (setup.teacher.model, setup.student)]
    assert types == [{torch.bfloat16}, {torch.float32}]
    close = run_job(given(place, tmp_path / "half", teacher="half teacher"), progress=False)
    full = run_job(given(place, tmp_path / "full"), progress=False)
    found, expected = (run.figures["student after"].kl for run in (close, full))
    assert found == pytest.approx(expected, rel=0.05)
