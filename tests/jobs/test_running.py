"""Jobs from file to student, with real models in folders and the command line."""

import dataclasses
import json
import shutil
import warnings
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from distill_lab import cli
from distill_lab.data.tokenized import Texts
from distill_lab.jobs import running
from distill_lab.jobs.exam import read_exam
from distill_lab.jobs.measuring import measure
from distill_lab.jobs.out_folder import alone_in
from distill_lab.jobs.running import run_job
from distill_lab.synthesis.cards import sha256
from distill_lab.teachers import freeze
from tests.data.test_tokenized import WORDS, llama, words_tokenizer
from tests.jobs.conftest import PAIRS
from tests.jobs.runs import SHAPE, job, stop_at
from tests.launching import launch_two

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("method", ["sft", "seq-kd", "token-kl", "reverse-kl", "jsd", "on-policy"])
def test_every_method_from_file_to_student(folder, tmp_path, method):
    lines = []
    fit = {"validation": str(folder / "train.jsonl")}  # 20 texts teach nothing of the others
    outcome = run_job(job(folder, tmp_path, method, **fit), progress=False, log=lines.append)
    before, after = outcome.figures["student before"], outcome.figures["student after"]
    if method in ("token-kl", "reverse-kl", "jsd", "on-policy"):
        assert after.kl < 0.7 * before.kl and outcome.figures["teacher"].kl == pytest.approx(0)
    else:
        assert after.nll < 0.7 * before.nll
    student = AutoModelForCausalLM.from_pretrained(outcome.student)
    prompt = AutoTokenizer.from_pretrained(outcome.student).apply_chat_template(
        [{"role": "user", "content": "ab"}],
        add_generation_prompt=True,
        return_tensors="pt",
        return_dict=True,
    )
    assert student.generate(**prompt, max_new_tokens=3).shape[1] > prompt["input_ids"].shape[1]
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["figures"]["student after"]["nll"] == pytest.approx(after.nll)
    assert "| NLL, nats a token |" in (tmp_path / "report.md").read_text()
    room = outcome.headroom  # measured before the first step, whatever the method
    assert room.unit == "tokens" and room.student_nll == pytest.approx(before.nll, rel=1e-5)
    assert report["headroom"]["verdict"] == room.verdict and str(room) in lines
    assert lines.index(str(room)) < next(i for i, x in enumerate(lines) if x.startswith(method))
    assert str(room) in (tmp_path / "report.md").read_text()
    card = (outcome.student / "card.md").read_text()
    assert ("unknown" in card) == (method != "sft")  # the licence of a teacher without a name
    facts = json.loads((outcome.student / "card.json").read_text())
    assert sha256(folder / "train.jsonl") in str(facts["data"])
    if method == "seq-kd":
        assert (tmp_path / "answers.card.md").exists() and "answers" in card
        assert any("20 answers in answers.jsonl" in line for line in lines)


def test_a_student_of_generated_answers_carries_their_warnings(folder, tmp_path):
    answers, card = tmp_path / "answers.jsonl", tmp_path / "answers.card.json"
    answers.write_text((folder / "train.jsonl").read_text())
    facts = {"format": "distill-lab card 1", "title": "a set", "warnings": ["Ask its author."]}
    card.write_text(json.dumps(facts))
    lines = []
    given = job(folder, tmp_path / "out", "sft", train=str(answers), epochs=1)
    outcome = run_job(given, progress=False, log=lines.append)
    assert "Ask its author." in (outcome.student / "card.md").read_text()
    assert "Ask its author." in lines


def test_a_stopped_job_goes_on_to_the_same_student(folder, tmp_path, monkeypatch):
    run_job(job(folder, tmp_path / "whole", "jsd"), progress=False)

    again = job(folder, tmp_path / "torn", "jsd")
    assert run_job(again, progress=stop_at(23)).history.interrupted
    assert not (tmp_path / "torn" / "student").exists()
    run_job(again, progress=False)
    one, two = (load_file(tmp_path / x / "student/model.safetensors") for x in ("whole", "torn"))
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_a_student_sits_an_exam_of_ones_own(folder, tmp_path):
    """Judged question by question; a prompt that cannot be read whole is refused, not skipped."""
    exam = tmp_path / "exam.jsonl"
    lines = [{"prompt": a + b, "answer": b + a, "check": "exact"} for a, b in PAIRS[:8]]
    wrong = {"prompt": "ab", "answer": "ab", "check": "contains"}
    exam.write_text("".join(json.dumps(line) + "\n" for line in (wrong, *lines)))
    given = job(folder, tmp_path / "out", "token-kl", exam={"data": str(exam)}, epochs=1)
    outcome = run_job(given, progress=False)
    assert outcome.figures["teacher"].right == pytest.approx(100 * 8 / 9)
    assert outcome.figures["teacher"].answer_seconds > 0
    assert "| exam, % right | 88.9 |" in str(outcome)
    long = {"prompt": "ab" * 9, "answer": "a"}
    exam.write_text("".join(json.dumps(line) + "\n" for line in (*lines, long)))
    short = job(folder, tmp_path / "short", "token-kl", exam=str(exam), max_length=12)
    with pytest.raises(ValueError, match=r"1 prompts of .* are longer than max_length = 12"):
        run_job(short, progress=False)
    with pytest.raises(FileNotFoundError, match=r"exam: there is no file nli: check"):
        run_job(job(folder, tmp_path / "x", "sft", exam="nli"), progress=False)


def test_low_rank_adapters_learn_alone_and_are_merged(folder, tmp_path):
    student = tmp_path / "student"
    llama(1, 4).save_pretrained(student)
    words_tokenizer().save_pretrained(student)
    given = job(folder, tmp_path / "out", "token-kl", student=str(student), lora={"r": 4})
    outcome = run_job(given, progress=False)
    assert outcome.figures["student after"].kl < outcome.figures["student before"].kl
    before = load_file(student / "model.safetensors")
    after = load_file(outcome.student / "model.safetensors")
    assert before.keys() == after.keys()
    assert torch.equal(before["model.embed_tokens.weight"], after["model.embed_tokens.weight"])
    name = "model.layers.0.self_attn.q_proj.weight"
    assert torch.linalg.matrix_rank(after[name] - before[name]) <= 4
    assert not torch.equal(after[name], before[name])


@pytest.mark.parametrize("lora", [None, {"r": 2}])
def test_a_student_is_saved_in_the_type_that_it_came_in_and_measured_so(folder, tmp_path, lora):
    student = tmp_path / "student"
    llama(1, 4).bfloat16().save_pretrained(student)
    words_tokenizer().save_pretrained(student)
    given = job(folder, tmp_path / "out", "token-kl", student=str(student), epochs=2, lora=lora)
    given = dataclasses.replace(given, validation=None)
    outcome = run_job(given, progress=False)
    saved = load_file(outcome.student / "model.safetensors")
    assert {tensor.dtype for tensor in saved.values()} == {torch.bfloat16}
    megabytes = [outcome.figures[f"student {when}"].megabytes for when in ("before", "after")]
    assert megabytes[0] == pytest.approx(megabytes[1], rel=0.2)  # the same model, kept alike
    assert "20 training rows" in outcome.text  # nothing was held out, and that is said
    assert outcome.figures["student after"].kl < outcome.figures["student before"].kl


def test_a_wider_teacher_is_cut_and_other_tokens_are_refused(folder, tmp_path):
    wide = AutoModelForCausalLM.from_pretrained(folder / "teacher")
    wide.resize_token_embeddings(len(WORDS) + 6)
    wide.save_pretrained(tmp_path / "wide")
    words_tokenizer().save_pretrained(tmp_path / "wide")
    given = job(folder, tmp_path / "out", "token-kl", teacher=str(tmp_path / "wide"), epochs=2)
    assert run_job(given, progress=False).history.steps == 4
    other = words_tokenizer()
    other.add_tokens(["k"])
    student = llama(1, 1)
    student.resize_token_embeddings(len(WORDS) + 1)
    student.save_pretrained(tmp_path / "other")
    other.save_pretrained(tmp_path / "other")
    with pytest.raises(ValueError, match="use method seq-kd"):
        run_job(job(folder, tmp_path / "x", "jsd", student=str(tmp_path / "other")), progress=False)


def test_the_command_line_runs_a_job_and_names_what_is_wrong(folder, tmp_path, capsys):
    text = f"""
teacher: {folder}/teacher
student: {json.dumps(SHAPE)}
train: {folder}/train.jsonl
validation: {folder}/held_out.jsonl
method: reverse-kl
epochs: 2
out: first
"""
    file = tmp_path / "job.yaml"
    file.write_text(text)
    assert cli.main(["distill", str(file), "--check"]) == 0
    assert cli.main(["distill", str(file)]) == 0
    shown = capsys.readouterr().out
    assert "student after" in shown and "reverse-kl: 4/4 steps" in shown
    weights, report = tmp_path / "first/student/model.safetensors", tmp_path / "first/report.md"
    assert weights.stat().st_mode == report.stat().st_mode  # whoever serves it may read it
    card = json.loads((tmp_path / "first/student/card.json").read_text())
    assert card["title"] == "Student first" and "chat_template.jinja" in card["files"]
    assert {"T", "lr"} < card["training"].keys()
    assert not {"beta", "samples", "stop"} & card["training"].keys()  # nobody read them
    file.write_text(text.replace("epochs: 2", "epochs: two"))
    assert cli.main(["distill", str(file)]) == 2
    assert "line 7: epochs must be a positive integer" in capsys.readouterr().err
    file.write_text(text.replace(f"{folder}/teacher", f"{tmp_path}/no model"))
    assert cli.main(["distill", str(file)]) == 2
    assert "there is no folder" in capsys.readouterr().err


def test_a_tokenizer_without_padding_stays_so_and_its_end_is_learned(folder, tmp_path):
    """Were the end its padding, the next trainer would leave it out, and a new student here."""
    for name in ("teacher", "student"):
        llama(1, 4).save_pretrained(tmp_path / name)
        tokenizer = words_tokenizer()
        tokenizer.pad_token = None
        tokenizer.save_pretrained(tmp_path / name)
    for student in (SHAPE, str(tmp_path / "student")):
        given = {"teacher": str(tmp_path / "teacher"), "student": student, "epochs": 1}
        out = tmp_path / f"{type(student)}"
        for method in ("token-kl", "on-policy"):
            outcome = run_job(job(folder, out / method, method, **given), progress=False)
            assert AutoTokenizer.from_pretrained(outcome.student).pad_token is None
        saved = AutoModelForCausalLM.from_pretrained(outcome.student)
        assert saved.get_input_embeddings().padding_idx in (None, llama(1, 4).config.pad_token_id)


def test_no_more_texts_are_measured_at_once_than_learned(folder, tmp_path):
    tokenizer, model = words_tokenizer(), llama(1, 4)
    texts = Texts([{"prompt": a + b, "answer": b + a} for a, b in PAIRS[:7]], tokenizer)
    exam = read_exam(str(folder / "train.jsonl"), verify="exact")
    at_once, figures = [], []
    model.model.register_forward_hook(lambda module, given, out: at_once.append(len(out[0])))
    for size in (1, 2, 7):
        given = job(folder, tmp_path, "token-kl", batch_size=size, max_new_tokens=2)
        for examined in (None, exam):
            at_once.clear()
            seen = measure(model, tokenizer, texts, freeze(llama(1, 1)), given, examined)
            assert max(at_once) == size
        figures.append((seen.nll, seen.kl, seen.right))
    assert all(each == pytest.approx(figures[0], rel=1e-5) for each in figures)


@pytest.mark.parametrize("method", ["seq-kd", "token-kl"])
def test_a_teachers_licence_goes_with_what_learned_from_it(folder, tmp_path, method):
    teacher = tmp_path / "Meta-Llama-3-8B-Instruct"
    shutil.copytree(folder / "teacher", teacher)
    lines, given = [], job(folder, tmp_path / "out", method, teacher=str(teacher), epochs=1)
    outcome = run_job(given, progress=False, log=lines.append)
    facts = json.loads((outcome.student / "card.json").read_text())
    (terms,) = facts["teachers"].values()
    assert terms["licence"] == "Meta Llama 3 Community License"
    (warning,) = facts["warnings"]
    assert "does not allow" in warning and warning in lines


def test_one_run_a_folder(folder, tmp_path, capsys):
    given = job(folder, tmp_path / "out", "sft", epochs=1)
    with alone_in(tmp_path / "out"), pytest.raises(BlockingIOError, match=r"is writing into .*out"):
        run_job(given, progress=False)
    assert list((tmp_path / "out").iterdir()) == []
    run_job(given, progress=False)
    assert not (tmp_path / "out/.running").exists()


def test_a_warning_is_a_sentence_and_names_no_line_of_code(folder, tmp_path, capsys, monkeypatch):
    def run(job, **options):
        warnings.warn("a term does next to nothing.", stacklevel=2)
        warnings.warn("an old name", FutureWarning, stacklevel=2)
        raise ValueError("enough")

    monkeypatch.setattr(running, "run_job", run)
    file = tmp_path / "job.yaml"
    file.write_text(f"student: {folder}/teacher\ntrain: x\nmethod: sft\nout: out\n")
    assert cli.main(["distill", str(file)]) == 2
    assert capsys.readouterr().err == "Warning: a term does next to nothing.\nenough\n"


@pytest.mark.server
def test_two_processes_write_the_student_of_one(folder, tmp_path):
    """Token by token, and of a teacher's answers, asked once; what the main one cannot, no one."""
    exam = tmp_path / "exam.jsonl"
    exam.write_text((folder / "train.jsonl").read_text())
    text = f"""
teacher: {folder}/teacher
student: {json.dumps(SHAPE)}
train: {folder}/train.jsonl
validation: {folder}/held_out.jsonl
task: {exam}
method: METHOD
epochs: 3
batch_size: 10
max_new_tokens: 4
out: """
    methods, files = {"token-kl": "alpha: 0.5\n", "seq-kd": ""}, []
    for method, more in methods.items():
        files.append(tmp_path / f"{method}.yaml")
        files[-1].write_text(more + text.replace("METHOD", method) + f"both {method}\n")
    torn = tmp_path / "torn"
    torn.mkdir()
    (torn / "answers.jsonl").write_text("{}\n")  # made nobody knows how
    files.append(tmp_path / "torn.yaml")
    files[-1].write_text(text.replace("METHOD", "seq-kd") + "torn\n")
    launch_two(str(ROOT / "tests/jobs/two_processes.py"), *map(str, files), timeout=240)
    codes = [[Path(f"{file}.{rank}").read_text() for rank in (0, 1)] for file in files]
    assert codes == [["0", "0"], ["0", "0"], ["2", "2"]]
    for method, file in zip(methods, files, strict=False):
        file.write_text(file.read_text().replace("out: both", "out: alone"))
        assert cli.main(["distill", str(file)]) == 0
        both, alone = (tmp_path / f"{where} {method}" for where in ("both", "alone"))
        one, two = (load_file(out / "student/model.safetensors") for out in (both, alone))
        for name in one:
            torch.testing.assert_close(one[name], two[name], rtol=1e-5, atol=1e-5)
        figures = [
            json.loads((out / "report.json").read_text())["figures"] for out in (both, alone)
        ]
        for name, each in figures[0].items():
            assert each["right"] == figures[1][name]["right"] is not None
    answers = (tmp_path / "both seq-kd" / "answers.jsonl").read_text()
    assert len(answers.splitlines()) == 20
