"""Who is told of a run: TensorBoard for real, the others by stand-ins, and never a key."""

import importlib.util
import sys
import types

import pytest

from distill_lab import cli
from distill_lab.jobs import trackers
from distill_lab.jobs.job_file import read_job
from distill_lab.jobs.running import run_job
from tests.data.test_tokenized import llama, words_tokenizer
from tests.jobs import tiny
from tests.jobs.runs import stop_at

ROWS = [{"prompt": a + b, "answer": b + a} for a in "abcde" for b in "abcd"]
CANARY = "sk-canary-41c9"


@pytest.fixture
def place(tmp_path):
    llama(1, 3).save_pretrained(tmp_path / "teacher")
    words_tokenizer().save_pretrained(tmp_path / "teacher")
    tiny.write_jsonl(tmp_path / "train.jsonl", ROWS)
    (tmp_path / "job.yaml").write_text(
        f"teacher: {tmp_path}/teacher\nstudent: {tmp_path}/teacher\ntrain: train.jsonl\n"
        f"held_out: 0.2\nvalidate_every: 8\nmethod: sft\nbatch_size: 4\nepochs: 6\n"
        f"checkpoint_every: 6\nout: {CANARY}\n"
    )
    return tmp_path


def test_tensorboard_has_terms_rate_and_measurements_and_each_step_once(place):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    job = read_job(place / "job.yaml", ["trackers=tensorboard"])

    assert run_job(job, progress=stop_at(11)).history.interrupted
    history = run_job(job, progress=False).history
    events = accumulator.EventAccumulator(f"{job.out}/tensorboard")
    events.Reload()
    tags = events.Tags()["scalars"]
    assert {"term/ce", "term/total", "lr", "validation"} <= {*tags}
    scalars = {event.step: event.value for event in events.Scalars("term/ce")}
    assert [*scalars] == [1, 10, 20, history.steps]  # also across the interruption
    assert scalars[20] == pytest.approx(history["ce"][19])
    measured = {event.step: event.value for event in events.Scalars("validation")}
    assert measured == pytest.approx(dict(history.measured))


class StandIn:
    """What a tracker's package is asked for."""

    def __init__(self, **options):
        self.calls = [options]

    def start(self):
        self.calls.append("start")

    def store_init_configuration(self, values):
        self.calls.append(values)

    def log(self, values, step):
        self.calls.append((step, values))

    def finish(self):
        self.calls.append("end")


@pytest.mark.parametrize("name", ["wandb", "mlflow"])
def test_others_by_name_are_told_numbers_and_chosen_words_alone(place, name, monkeypatch):
    from accelerate import tracking

    made = []
    monkeypatch.setitem(
        tracking.LOGGER_TYPE_TO_CLASS,
        name,
        lambda **given: made.append(StandIn(**given)) or made[0],
    )
    monkeypatch.setattr(trackers, "find_spec", lambda package: True)
    run_job(read_job(place / "job.yaml", [f"trackers=[{name}]"]), progress=False)
    (tracker,) = made
    options, start, facts, *logged, end = tracker.calls
    assert (start, end) == ("start", "end") and facts["method"] == "sft" and facts["epochs"] == 6
    assert logged[0][0] == 1 and "term/ce" in logged[0][1]
    # the folder's name is a run's name; nothing else of a text of anybody's is told
    del options["dir" if name == "wandb" else "run_name"]
    options.pop("name", None)
    assert CANARY not in f"{options} {facts} {logged}" and "teacher" not in facts


@pytest.mark.parametrize("flag", [[], ["--check"]])
def test_a_tracker_that_is_not_installed_is_refused_by_name(place, capsys, monkeypatch, flag):
    monkeypatch.setitem(sys.modules, "wandb", types.ModuleType("wandb"))
    monkeypatch.setattr(
        trackers, "find_spec", lambda name: None if name == "mlflow" else importlib.util
    )
    words = ["distill", str(place / "job.yaml"), *flag, "trackers=[tensorboard, mlflow]"]
    assert cli.main(words) == 2
    error = capsys.readouterr().err
    assert "mlflow needs the package mlflow: pip install mlflow" in error
    assert not (place / CANARY).exists()
    with pytest.raises(ValueError, match=r"one of .*'tensorboard', 'wandb', 'mlflow'"):
        read_job(place / "job.yaml", ["trackers=[tensorbord]"])
