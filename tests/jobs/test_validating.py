"""Students measured while they learn: the curve, the weights that are kept, an early end."""

import json

import pytest
import torch
from safetensors.torch import load_file

from distill_lab.jobs.checking import check
from distill_lab.jobs.job_file import read_job
from distill_lab.jobs.running import run_job
from tests.data.test_tokenized import llama, words_tokenizer
from tests.jobs import tiny
from tests.jobs.runs import stop_at

ROWS = [{"prompt": a + b, "answer": b + a} for a in "abcde" for b in "abcd"]


@pytest.fixture
def place(tmp_path):
    for name in ("teacher", "student"):
        llama(1, len(name)).save_pretrained(tmp_path / name)
        words_tokenizer().save_pretrained(tmp_path / name)
    tiny.write_jsonl(tmp_path / "train.jsonl", ROWS)
    tiny.write_jsonl(tmp_path / "held.jsonl", ROWS[:6])
    return tmp_path


def job(place, *settings, out="out"):
    text = f"""
teacher: {place}/teacher
student: {place}/student
train: train.jsonl
method: token-kl
epochs: 5
batch_size: 6
lr: 3e-2
out: {out}
"""
    (place / "job.yaml").write_text(text)
    return read_job(place / "job.yaml", settings)


def weights(outcome):
    return load_file(outcome.student / "model.safetensors")


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


VALIDATED = ("validation=PLACE/held.jsonl", "validate_every=3")


def validated(place, *settings, out="out"):
    common = [each.replace("PLACE", str(place)) for each in VALIDATED]
    return job(place, *common, *settings, out=out)


def test_a_curve_a_line_on_the_way_and_the_step_that_was_kept(place):
    lines = []
    given = validated(place)
    outcome = run_job(given, progress=False, log=lines.append)
    report = json.loads((place / "out/report.json").read_text())
    curve = report["validation"]["curve"]
    assert [step for step, _ in curve] == [3, 6, 9, 12, 15, 18, 20]
    best = min(curve, key=lambda point: point[1])
    assert report["validation"]["best_step"] == report["validation"]["kept_step"] == best[0]
    for step, value in curve:
        assert f"after step {step}: KL to the teacher, nats a token {value:.4f}" in lines
    # what is kept is what was measured best: the held-out rows are the report's, too
    assert outcome.figures["student after"].kl == pytest.approx(best[1], rel=1e-5)
    markdown = (place / "out/report.md").read_text()
    assert "| step | KL to the teacher, nats a token | |" in markdown
    assert f"Kept: the weights after step {best[0]} of 20" in markdown
    check(given, lambda line: None)  # the folder still belongs to this job
    with pytest.raises(ValueError, match="early_stopping: "):
        check(validated(place, "keep=last"), lambda line: None)


def test_the_last_weights_are_those_of_a_run_that_nobody_measured(place):
    plain = run_job(job(place, out="plain"), progress=False)
    last = run_job(validated(place, "keep=last", out="last"), progress=False)
    assert same(weights(plain), weights(last))  # measuring draws no number and moves no weight
    report = json.loads((place / "last/report.json").read_text())["validation"]
    assert report["kept_step"] == 20
    best = run_job(validated(place, "lr=1", "schedule=constant", out="best"), progress=False)
    report = json.loads((place / "best/report.json").read_text())["validation"]
    assert report["kept_step"] == report["best_step"] < 20
    worse = run_job(
        validated(place, "lr=1", "schedule=constant", "keep=last", out="worse"), progress=False
    )
    assert not same(weights(best), weights(worse))
    assert "the last. Measured best were those" in (place / "worse/report.md").read_text()


@pytest.mark.parametrize("torn_at", [2, 7, 12])
def test_torn_in_between_it_ends_early_at_the_same_student(place, torn_at):
    """A large rate: it gets worse soon, and patience ends the run."""
    settings = ("lr=1", "schedule=constant", "patience=2", "epochs=20", "checkpoint_every=5")
    whole = run_job(validated(place, *settings, out="whole"), progress=False)
    assert whole.history.stopped_early and whole.history.steps < 80

    again = validated(place, *settings, out="torn")
    assert run_job(again, progress=stop_at(torn_at)).history.interrupted
    torn = run_job(again, progress=False)
    assert same(weights(whole), weights(torn))
    one, other = (json.loads((place / x / "report.json").read_text()) for x in ("whole", "torn"))
    assert one["validation"] == other["validation"]
    assert "The run ended early" in (place / "torn/report.md").read_text()


def test_a_share_is_held_out_by_its_questions(place):
    rows = ROWS + [{"prompt": row["prompt"], "answer": "e"} for row in ROWS[::2]]
    tiny.write_jsonl(place / "train.jsonl", rows)
    given = job(place, "held_out=0.2", "patience=9", "epochs=1")
    lines = []
    check(given, lines.append)
    learned, apart = (next(line for line in lines if line.startswith(name)) for name in
                      ("train: ", "validation: "))  # fmt: skip
    counts = [int(line.split(": ")[1].split()[0]) for line in (learned, apart)]
    assert sum(counts) == 30 and 4 <= counts[1] <= 8
    outcome = run_job(given, progress=False, log=lines.append)
    assert "training rows" not in outcome.text and f"token-kl: {counts[0]} texts" in "".join(lines)
    with pytest.raises(ValueError, match=r"held_out = 0.5 of 2 rows, .* leaves nothing to learn"):
        tiny.write_jsonl(place / "train.jsonl", [ROWS[0], ROWS[0]])
        run_job(job(place, "held_out=0.5", out="two"), progress=False)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (["held_out=0.1", "validation=PLACE/held.jsonl"], "give one of the two"),
        (["validate_every=5"], "validate_every wants rows to measure on"),
        (["patience=5"], "as held_out: 0.1"),
        (["keep=best"], "keep wants rows to measure on"),
        (["held_out=1"], "held_out must lie between 0 and 1"),
        (["held_out=0"], "held_out must be a positive finite number"),
        (["held_out=0.1", "patience=0"], "patience must be a positive integer"),
        (["held_out=0.1", "validate_every=2.5"], "validate_every must be a positive integer"),
        (["held_out=0.1", "keep=first"], "one of ['best', 'last'], got 'first'"),
    ],
    ids=str,
)
def test_settings_that_measure_nothing(place, settings, words):
    with pytest.raises(ValueError) as error:
        job(place, *[each.replace("PLACE", str(place)) for each in settings])
    assert words in str(error.value)


def encoders_job(place, kind, text, teacher="{{model: {}, finetune: {{epochs: 8}}}}"):
    tiny.encoder(place / "teacher", 2)
    (place / "job.yaml").write_text(
        f"kind: {kind}\nteacher: {teacher.format(place / 'teacher')}\n"
        f"student: {{layers: [0]}}\ntrain: rows.csv\nlr: 3e-3\nbatch_size: 8\nepochs: 3\n"
        f"out: out\nheld_out: 0.25\nvalidate_every: 4\npatience: 3\n{text}"
    )
    return read_job(place / "job.yaml")


def test_classifiers_are_validated_by_their_accuracy(tmp_path):
    tiny.write_csv(tmp_path / "rows.csv", tiny.sentences(60))
    lines = []
    given = encoders_job(tmp_path, "text-classification", "method: kd\n")
    outcome = run_job(given, progress=False, log=lines.append)
    report = json.loads((tmp_path / "out/report.json").read_text())["validation"]
    assert report["figure"] == "accuracy" and report["better"] == "higher"
    kept = dict(report["curve"])[report["kept_step"]]
    assert outcome.figures["student"]["accuracy"] == pytest.approx(kept)
    assert kept == max(value for _, value in report["curve"])
    assert any(line.startswith("after step 4: accuracy ") for line in lines)
    assert "Measured on the training rows" not in outcome.text


def test_embedders_are_validated_by_their_likeness_to_the_teacher(tmp_path):
    tiny.write_csv(tmp_path / "rows.csv", [{"text": r["text"]} for r in tiny.sentences(40)])
    given = encoders_job(tmp_path, "embedding", "method: cosine\n", teacher="{}")
    run_job(given, progress=False)
    report = json.loads((tmp_path / "out/report.json").read_text())["validation"]
    assert report["figure"] == "similarity correlation" and report["better"] == "higher"


def test_figures_of_training_rows_are_called_so(tmp_path):
    tiny.write_csv(tmp_path / "rows.csv", tiny.sentences(30))
    encoders_job(tmp_path, "text-classification", "method: kd\n")
    alone = ["held_out=null", "validate_every=null", "patience=null", "epochs=1"]
    outcome = run_job(read_job(tmp_path / "job.yaml", alone), progress=False)
    assert outcome.text.startswith("Measured on the training rows")
