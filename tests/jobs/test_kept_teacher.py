"""A teacher that is asked once: what is kept of its distributions, and when it is refused."""

import gc
import json
import shutil
import weakref

import pytest
import torch
from transformers import LlamaForCausalLM

from distill_lab import cli
from distill_lab.jobs.checking import check
from distill_lab.jobs.job_file import read_job
from distill_lab.jobs.running import run_job
from distill_lab.teachers import Live
from tests.data.test_tokenized import WORDS, llama, words_tokenizer
from tests.jobs.runs import equal, job, stop_at, weights


@pytest.fixture
def teacher_calls(monkeypatch):
    """How many texts a live teacher was asked about, whole."""
    counts, call = [], Live.__call__
    monkeypatch.setattr(
        Live, "__call__", lambda self, batch: counts.append(len(batch.ids)) or call(self, batch)
    )
    return counts


def models():
    """The networks in memory."""
    return [each for each in gc.get_objects() if type(each) is LlamaForCausalLM]


@pytest.mark.parametrize(
    ("method", "keep"),
    [("jsd", {"top_k": 4}), ("token-kl", {"sampled": 30}), ("reverse-kl", {"sampled": 30})],
)
def test_the_teacher_is_asked_once_and_is_gone_while_the_student_learns(
    folder, tmp_path, teacher_calls, method, keep
):
    there, others = [], weakref.WeakSet(models())

    def watch(terms, step, steps):
        if step == 10:
            gc.collect()
            there.extend(m.config.num_hidden_layers for m in models() if m not in others)

    fit = {"validation": str(folder / "train.jsonl"), "epochs": 12, "T": 1.5}
    given = job(folder, tmp_path, method, teacher_keep=keep, **fit)
    outcome = run_job(given, progress=watch)
    assert teacher_calls == [10, 10]  # the texts of training, in two batches
    assert there == [1]  # the student; the teacher has two layers
    before, after = outcome.figures["student before"], outcome.figures["student after"]
    assert after.kl < 0.8 * before.kl  # of the whole teacher, loaded again
    assert outcome.headroom is not None
    card = json.loads((outcome.student / "card.json").read_text())
    assert card["training"]["teacher_keep"] == keep and str(folder / "teacher") in card["teachers"]
    assert json.loads((tmp_path / "report.json").read_text())["job"]["teacher_keep"] == keep


def test_all_that_is_kept_teaches_as_the_live_teacher_does(folder, tmp_path):
    live, kept = tmp_path / "live", tmp_path / "kept"
    run_job(job(folder, live, "reverse-kl", epochs=3), progress=False)
    every = {"top_k": len(WORDS)}
    run_job(job(folder, kept, "reverse-kl", epochs=3, teacher_keep=every), progress=False)
    one, two = weights(live), weights(kept)
    for name in one:  # two bytes a probability
        torch.testing.assert_close(one[name], two[name], rtol=0, atol=5e-3)
    run_job(
        job(folder, tmp_path / "few", "reverse-kl", epochs=3, teacher_keep={"top_k": 1}),
        progress=False,
    )
    assert not equal(one, weights(tmp_path / "few"))


def test_a_stopped_job_asks_nothing_twice_and_goes_on_to_the_same_student(
    folder, tmp_path, teacher_calls
):
    keep = {"teacher_keep": {"top_k": 3}, "alpha": 0.7, "epochs": 6}
    run_job(job(folder, tmp_path / "whole", "jsd", **keep), progress=False)

    again = job(folder, tmp_path / "torn", "jsd", **keep)
    assert run_job(again, progress=stop_at(9)).history.interrupted
    before = len(teacher_calls)
    run_job(again, progress=False)
    assert len(teacher_calls) == before == 4
    assert equal(weights(tmp_path / "whole"), weights(tmp_path / "torn"))


def test_answers_of_others_are_refused(folder, tmp_path):
    keep, out = {"teacher_keep": {"top_k": 3}, "epochs": 1}, tmp_path / "out"
    run_job(job(folder, out, "token-kl", **keep), progress=False)
    (out / "run.safetensors").unlink()
    other = tmp_path / "other"
    llama(2, 7).save_pretrained(other)
    words_tokenizer().save_pretrained(other)
    fewer = tmp_path / "fewer.jsonl"
    fewer.write_text("".join((folder / "train.jsonl").read_text().splitlines(True)[1:]))
    spaced = tmp_path / "spaced"
    shutil.copytree(folder / "teacher", spaced)
    swapped = json.loads((spaced / "tokenizer.json").read_text())
    swapped["normalizer"] = {"type": "Lowercase"}
    (spaced / "tokenizer.json").write_text(json.dumps(swapped))
    for change, words in (
        ({"teacher": str(other)}, "teacher identity"),
        ({"train": str(fewer)}, "examples: 20 there, 19 now"),
        ({"teacher": str(spaced)}, "tokenizer: "),
        ({"T": 2.0}, "signal T: 1.0 there, 2.0 now"),
        ({"teacher_keep": {"top_k": 5}}, "signal k: 3 there, 5 now"),
    ):
        with pytest.raises(ValueError, match="is the cache of something else") as error:
            run_job(job(folder, out, "token-kl", **keep | change), progress=False)
        assert words in str(error.value)


def test_what_is_kept_is_told_beforehand(folder, tmp_path):
    lines = []
    check(job(folder, tmp_path / "out", "token-kl", teacher_keep={"top_k": 4}), lines.append)
    (line,) = (line for line in lines if line.startswith("teacher's distributions"))
    tokens = next(line for line in lines if line.startswith("train")).split(", ")[1].split()[0]
    assert f"{tokens} places of 12 bytes" in line  # 5 numbers of 2 bytes, 4 tokens of 4 bits
    with pytest.raises(ValueError, match=f"top_k = 99, and the models score {len(WORDS)} tokens"):
        check(job(folder, tmp_path / "out", "token-kl", teacher_keep={"top_k": 99}), lines.append)


@pytest.mark.parametrize(
    ("method", "teacher", "line", "words"),
    [
        ("token-kl", "{model: big, keep: {top_k: 0}}", 1, "top_k must be a positive integer"),
        ("token-kl", "{model: big, keep: {top: 3}}", 1, "no setting 'top' in teacher.keep; did"),
        ("token-kl", "{model: big, keep: {}}", 1, "name one of top_k and sampled"),
        ("jsd", "\n  model: big\n  keep: {top_k: 3, sampled: 60}", 3, "name one of top_k and"),
        ("token-kl", "{keep: {top_k: 3}}", 1, "teacher needs model: add model"),
        ("reverse-kl", "\n  model: big\n  keep: {sampled: 0}", 3, "sampled must be a positive int"),
        ("seq-kd", "\n  model: big\n  keep: {top_k: 64}", 3, "seq-kd has no use for kept"),
    ],
)
def test_what_a_file_says_of_keeping(folder, tmp_path, capsys, method, teacher, line, words):
    file = tmp_path / "job.yaml"
    file.write_text(f"teacher: {teacher}\nmethod: {method}\nstudent: s\ntrain: t\nout: o\n")
    assert cli.main(["distill", str(file), "--check"]) == 2
    message = capsys.readouterr().err
    assert f"job.yaml, line {line}: " in message and words in message, message
    file.write_text(
        f"teacher: {{model: {folder}/teacher}}\nmethod: jsd\nstudent: s\ntrain: t\nout: o\n"
    )
    plain = read_job(file)
    assert plain.teacher == f"{folder}/teacher" and plain.teacher_keep is None
