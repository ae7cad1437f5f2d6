"""Who is told of a run: TensorBoard for real, the others by stand-ins, and never a key."""

import functools
import importlib.util
import os
import sys
import types

import pytest
from accelerate import PartialState, tracking

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


@pytest.mark.parametrize("name", ["wandb", "mlflow"])
def test_a_run_that_goes_on_is_told_to_the_tracker_s_own_run(place, name, monkeypatch):
    """By its number; a job that begins anew in another folder is another run."""
    made = []

    def open_stand_in(**given):
        made.append(StandIn(**given))
        number = f"number {len(made)}"
        info = types.SimpleNamespace(run_id=number)
        made[-1].tracker = types.SimpleNamespace(id=number, info=info)
        return made[-1]

    monkeypatch.setitem(tracking.LOGGER_TYPE_TO_CLASS, name, open_stand_in)
    monkeypatch.setattr(trackers, "find_spec", lambda package: True)
    job = read_job(place / "job.yaml", [f"trackers=[{name}]"])
    assert run_job(job, progress=stop_at(11)).history.interrupted
    run_job(job, progress=False)
    anew = read_job(place / "job.yaml", [f"trackers=[{name}]", f"out={place}/b"])
    run_job(anew, progress=False)
    key = {"wandb": "id", "mlflow": "run_id"}[name]
    assert [each.calls[0].get(key) for each in made] == [None, "number 1", None]
    facts = [sum(isinstance(call, dict) for call in each.calls[1:]) for each in made]
    assert facts == [1, 0, 1]  # the settings are told once


@pytest.mark.parametrize("name", ["wandb", "mlflow"])
def test_no_step_is_told_twice_after_a_kill(place, name, monkeypatch):
    """A killed run goes on from its last checkpoint, and takes some steps again."""
    made = []

    def open_stand_in(**given):
        made.append(StandIn(**given))
        info = types.SimpleNamespace(run_id="number 1")
        made[-1].tracker = types.SimpleNamespace(id="number 1", info=info)
        return made[-1]

    def tell(first, last):
        tracked = trackers.Tracked([name], place, {}, print)
        for step in range(first, last + 1):
            facts = {"steps": 50, "terms": {"ce": 1.0}, "lr": 0.1, "shares": {}, "measured": None}
            tracked(types.SimpleNamespace(step=step, **facts))
        return [call[0] for call in made[-1].calls if isinstance(call, tuple)]

    monkeypatch.setitem(tracking.LOGGER_TYPE_TO_CLASS, name, open_stand_in)
    monkeypatch.setattr(trackers, "find_spec", lambda package: True)
    assert tell(1, 35) == [1, 10, 20, 30]
    assert tell(16, 50) == [40, 50]
    assert tell(41, 50) == []
    assert tell(1, 12) == [1, 10]  # anew: nothing of it was told


@pytest.mark.parametrize("place_of_fault", ["start", "log", "finish"])
def test_a_tracker_that_fails_ends_no_run(place, place_of_fault, monkeypatch):
    """It is said once; the other tracker is told all, and the student is the same."""
    made = {}

    def broken(*values, **given):
        raise ConnectionError("nobody there")

    def open_stand_in(which, /, **given):
        made[which] = StandIn(**given)
        if which == "wandb":
            setattr(made[which], place_of_fault, broken)
        return made[which]

    for name in ("wandb", "mlflow"):
        monkeypatch.setitem(
            tracking.LOGGER_TYPE_TO_CLASS, name, functools.partial(open_stand_in, name)
        )
    monkeypatch.setattr(trackers, "find_spec", lambda package: True)
    lines = []
    job = read_job(place / "job.yaml", ["trackers=[wandb, mlflow]"])
    outcome = run_job(job, progress=False, log=lines.append)
    of_it = [line for line in lines if "the tracker " in line]
    assert len(of_it) == 1
    assert "the tracker wandb failed (ConnectionError: nobody there)" in of_it[0]
    assert made["mlflow"].calls[-1] == "end"
    alone = run_job(read_job(place / "job.yaml", [f"out={place}/alone"]), progress=False)
    assert alone.history["ce"] == outcome.history["ce"]


def test_accelerate_is_ready_before_a_tracker_is_opened(place, monkeypatch):
    """Weights & Biases and MLflow write to its log when they open, and that asks for its state."""
    ready = []

    class Asking(StandIn):
        def start(self):
            ready.append(bool(PartialState._shared_state))

    monkeypatch.setattr(PartialState, "_shared_state", {})
    monkeypatch.setitem(tracking.LOGGER_TYPE_TO_CLASS, "wandb", Asking)
    monkeypatch.setattr(trackers, "find_spec", lambda package: True)
    tracked = trackers.Tracked(["wandb"], place, {}, print)
    terms = types.SimpleNamespace(step=1, steps=2, terms={}, lr=0.1, shares={}, measured=None)
    tracked(terms)
    assert ready == [True]


@pytest.mark.parametrize("own", [None, "9"])
def test_a_server_of_mlflow_that_is_gone_is_not_tried_for_minutes(place, own, monkeypatch):
    """Unless somebody wants it: their own number of tries stays."""
    variable, tries = "MLFLOW_HTTP_REQUEST_MAX_RETRIES", []
    monkeypatch.setenv(variable, "9")  # whatever is set below goes with the test
    if own is None:
        monkeypatch.delenv(variable)

    class Looking(StandIn):
        def start(self):
            tries.append(os.environ[variable])

    monkeypatch.setitem(tracking.LOGGER_TYPE_TO_CLASS, "mlflow", Looking)
    monkeypatch.setattr(trackers, "find_spec", lambda package: True)
    terms = types.SimpleNamespace(step=1, steps=2, terms={}, lr=0.1, shares={}, measured=None)
    trackers.Tracked(["mlflow"], place, {}, print)(terms)
    assert tries == [own or "1"]


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
