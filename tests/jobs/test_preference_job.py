"""Jobs that learn from pairs of answers, from file to student."""

import json

import pytest
import torch

from distill_lab import cli, methods
from distill_lab.jobs.checking import check
from distill_lab.jobs.running import run_job
from tests.jobs.conftest import ROWS
from tests.jobs.runs import job, stop_at, weights

PAIRS = [
    {"prompt": row["prompt"], "chosen": row["answer"], "rejected": row["prompt"] + "c"}
    for row in ROWS
]


@pytest.fixture
def paired(folder, tmp_path):
    """Settings of a job that starts from what has learnt the task, and pairs of its answers."""
    for name, rows in (("pairs", PAIRS[:20]), ("held", PAIRS[15:])):
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (tmp_path / f"{name}.jsonl").write_text(text)
    return {
        "teacher": None,
        "student": str(folder / "teacher"),
        "train": str(tmp_path / "pairs.jsonl"),
        "validation": str(tmp_path / "held.jsonl"),
        "epochs": 4,
        "lr": 1e-3,
    }


def test_the_chosen_answer_gains_on_the_rejected_one(folder, tmp_path, paired, capsys):
    lines = []
    given = job(folder, tmp_path / "out", "dpo", **paired)
    assert given.beta == 0.1
    outcome = run_job(given, progress=False, log=lines.append)
    before, after = outcome.figures["student before"], outcome.figures["student after"]
    assert before.ranked == after.ranked == 100  # the start has learnt which is right
    assert after.gained > 80 and after.margin > 0.5 and before.margin is None
    assert "dpo: 20 pairs, 4 epochs" in lines
    assert "| chosen answer gained since the start, % of pairs |" in str(outcome)
    assert outcome.history["dpo"][0] == pytest.approx(0.693, abs=2e-3)
    card = json.loads((outcome.student / "card.json").read_text())
    assert card["student"]["starts from"] == str(folder / "teacher")
    assert card["evaluation"]["student after"]["margin"] == pytest.approx(after.margin)
    report = json.loads((tmp_path / "out/report.json").read_text())
    assert report["job"]["method"] == "dpo" and report["job"]["beta"] == 0.1


def test_the_start_is_looked_at_once_and_a_stopped_job_goes_on(
    folder, tmp_path, paired, monkeypatch
):
    looked, call = [], methods.Reference.__call__
    monkeypatch.setattr(
        methods.Reference,
        "__call__",
        lambda self, batch: looked.append(len(batch.ids)) or call(self, batch),
    )
    run_job(job(folder, tmp_path / "whole", "dpo", **paired), progress=False)

    again = job(folder, tmp_path / "torn", "dpo", **paired)
    assert run_job(again, progress=stop_at(5)).history.interrupted
    resumed = run_job(again, progress=False)
    assert looked == [10] * 4  # two batches, once for each folder
    one, two = weights(tmp_path / "whole"), weights(tmp_path / "torn")
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert resumed.figures["student after"].margin > 0  # since the start, not since the stop
    for change, words in (
        ({"beta": 0.2}, "method: "),
        ({"train": paired["validation"]}, "start_answers is the cache of something else"),
    ):
        with pytest.raises(ValueError, match=words):
            run_job(job(folder, tmp_path / "torn", "dpo", **paired | change), progress=False)


def test_adapters_share_and_curve_go_with_pairs(folder, tmp_path, paired):
    given = paired | {"validation": None, "held_out": 0.2, "lora": {"r": 2}, "validate_every": 2}
    outcome = run_job(job(folder, tmp_path / "out", "dpo", **given, keep="best"), progress=False)
    assert "margin of held-out pairs, nats" in (tmp_path / "out/report.md").read_text()
    assert outcome.figures["student after"].margin > 0


def test_pairs_are_checked_beforehand(folder, tmp_path, paired):
    lines = []
    check(job(folder, tmp_path / "out", "dpo", **paired), lines.append)
    assert any(line.startswith("train: 20 rows") for line in lines), lines
    path = tmp_path / "pairs.jsonl"
    path.write_text('{"prompt": "a", "chosen": "b", "rejected": "c"}\n{"prompt": "a"}\n')
    with pytest.raises(ValueError, match=r"pairs.jsonl, line 2: .*expected a prompt, 'chosen'"):
        check(job(folder, tmp_path / "out", "dpo", **paired), lines.append)
    with pytest.raises(ValueError, match=r"preference pairs .* are for method dpo"):
        path.write_text('{"prompt": "a", "chosen": "b", "rejected": "c"}\n')
        check(job(folder, tmp_path / "out", "sft", **paired), lines.append)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ("method: jsd\nteacher: t\nbeta: 1.5", "line 3: beta of jsd is a share, up to 1"),
        ("method: dpo\nbeta: 0", "line 2: beta must be a positive"),
        ("method: dpo\nstudent: {hidden_size: 8}", "line 2"),
    ],
)
def test_what_a_file_says_of_pairs(tmp_path, capsys, settings, words):
    file = tmp_path / "job.yaml"
    others = {"student": "s", "train": "t", "out": "o"}
    lines = [f"{name}: {value}" for name, value in others.items() if f"{name}:" not in settings]
    file.write_text("\n".join([settings, *lines]) + "\n")
    assert cli.main(["distill", str(file), "--check"]) == 2
    message = capsys.readouterr().err
    assert words in message, message
