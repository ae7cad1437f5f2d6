"""Jobs whose teacher has another tokenizer."""

import json

import pytest
import torch
from safetensors.torch import load_file

from distill_lab import cli, methods
from distill_lab.data.tokenized import Texts
from distill_lab.jobs.checking import check
from distill_lab.jobs.running import run_job
from distill_lab.training import distill
from tests.data.test_tokenized import llama, words_tokenizer
from tests.jobs.conftest import ROWS
from tests.jobs.runs import job, stop_at
from tests.methods.test_other_tokens import pieces_llama, pieces_tokenizer


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    """One that has learnt the task in pieces of two letters."""
    place, model = tmp_path_factory.mktemp("pieces"), pieces_llama(1)
    settings = {"method": methods.tokens(alpha=0.0), "epochs": 40, "lr": 1e-2, "progress": False}
    distill(model, Texts(ROWS, pieces_tokenizer()), **settings)
    model.save_pretrained(place)
    pieces_tokenizer().save_pretrained(place)
    return str(place)


@pytest.fixture
def given(folder, tmp_path, teacher):
    llama(1, 4).save_pretrained(tmp_path / "student")
    words_tokenizer().save_pretrained(tmp_path / "student")
    fit = {"validation": str(folder / "train.jsonl"), "epochs": 5, "alpha": 0.5, "T": 1.5}
    return {"teacher": teacher, "student": str(tmp_path / "student"), **fit}


def test_a_teacher_with_other_tokens_teaches_and_a_stopped_job_goes_on(folder, tmp_path, given):
    lines = []
    check(job(folder, tmp_path / "out", "uld", **given), lines.append)
    assert any(line.startswith("train: 20 rows") for line in lines)
    exam = {"data": str(folder / "train.jsonl"), "verify": "exact"}
    given_job = job(folder, tmp_path / "out", "uld", **given, exam=exam, max_new_tokens=4)
    outcome = run_job(given_job, progress=False)
    assert outcome.figures["teacher"].right > 50 and outcome.figures["teacher"].nll is None
    assert "| NLL, nats a token | not measured |" in outcome.text
    assert outcome.history["uld"][-1] < 0.9 * outcome.history["uld"][0]
    figures = outcome.figures
    assert figures["student after"].nll < 0.85 * figures["student before"].nll
    assert given["teacher"] in json.loads((outcome.student / "card.json").read_text())["teachers"]

    again = job(folder, tmp_path / "torn", "uld", **given)
    assert run_job(again, progress=stop_at(5)).history.interrupted
    check(again, lines.append)  # the same run, as --check sees it
    run_job(again, progress=False)
    one, two = (load_file(tmp_path / x / "student/model.safetensors") for x in ("out", "torn"))
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_other_methods_name_those_for_other_tokens(folder, tmp_path, given):
    for method in ("token-kl", "jsd"):
        with pytest.raises(ValueError, match="use method seq-kd or uld"):
            check(job(folder, tmp_path / "out", method, **given), lambda line: None)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ("method: uld\nteacher: t", "line 1: sorted probabilities do not say which token"),
        ("method: uld\nteacher: t\nalpha: 1", "line 3: sorted probabilities do not say"),
        ("method: uld\nalpha: 0.5", "line 1: method uld needs a teacher"),
        ("method: uld\nteacher: t\nalpha: 0", "line 3: at alpha = 0 uld asks no teacher"),
        ("method: jsd\nteacher: t\nalpha: 0.0", "line 3: at alpha = 0 jsd asks no teacher"),
    ],
)
def test_what_a_file_says_of_other_tokens(tmp_path, capsys, settings, words):
    file = tmp_path / "job.yaml"
    file.write_text(f"{settings}\nstudent: s\ntrain: t\nout: o\n")
    assert cli.main(["distill", str(file), "--check"]) == 2
    message = capsys.readouterr().err
    assert words in message, message
