"""A checkpoint belongs to the network that began it: another one, of the same sizes, is refused."""

import json

import pytest

from distill_lab.jobs.job_file import read_job
from distill_lab.jobs.out_folder import check_start
from distill_lab.jobs.running import run_job
from distill_lab.models import MLP
from tests.data.test_tokenized import llama
from tests.jobs import tiny
from tests.jobs.runs import SHAPE, TEXTS, equal, job, job_file, stop_at, weights


@pytest.fixture
def place(tmp_path):
    """A bare encoder of three layers, another one, and texts in three classes."""
    for name, seed in (("bare", 0), ("other", 5)):
        tiny.encoder(tmp_path / name, layers=3, seed=seed)
    tiny.write_csv(tmp_path / "train.csv", tiny.sentences(40))
    return tmp_path


@pytest.mark.parametrize(
    ("first", "then", "what"),
    [
        ({"student": SHAPE}, {"student": SHAPE | {"num_attention_heads": 4}}, "settings"),
        ({"student": "one"}, {"student": "two"}, "weights"),
        ({"student": "one", "lora": {"r": 2}}, {"lora": {"r": 2, "alpha": 99}}, "settings"),
    ],
)
def test_another_student_of_a_language_model_is_refused(folder, tmp_path, first, then, what):
    for name, seed in (("one", 1), ("two", 2)):
        llama(seed=seed, layers=1).save_pretrained(tmp_path / name)
        for file in (folder / "teacher").glob("*token*"):
            (tmp_path / name / file.name).write_bytes(file.read_bytes())

    def given(more):
        student = more.get("student")
        named = {"student": str(tmp_path / student)} if isinstance(student, str) else {}
        return job(folder, tmp_path / "out", "token-kl", **more | {"epochs": 2} | named)

    run_job(given(first), progress=stop_at(2))
    with pytest.raises(ValueError, match=rf"began it had other {what}\): choose another out"):
        run_job(given(first | then), progress=False)
    run_job(given(first), progress=False)
    with pytest.raises(ValueError, match="belongs to another run"):  # a finished one as well
        run_job(given(first | then), progress=False)


@pytest.mark.parametrize(
    ("then", "file"),
    [
        ({"student": {"layers": [1]}}, "run"),
        ({"teacher": {"model": "other", "finetune": {"epochs": 1}}}, "teacher"),
    ],
)
def test_another_network_of_a_classifier_is_refused(place, then, file):
    settings = {"epochs": 1, "batch_size": 8, "validation": "train.csv"}
    run_job(read_job(job_file(place, TEXTS, **settings)), progress=False)
    with pytest.raises(ValueError, match=f"{file}.safetensors belongs to another run"):
        run_job(read_job(job_file(place, TEXTS, **settings | then)), progress=False)


def test_the_same_network_goes_on_from_wherever_it_lies(place):
    """A folder that was moved, and a start that is not there, as runs of before have none."""
    settings = {"epochs": 2, "batch_size": 8, "validation": "train.csv"}
    run_job(read_job(job_file(place, TEXTS, **settings)), progress=False)
    uninterrupted = weights(place / "out")
    for out in ("moved", "before"):
        run_job(read_job(job_file(place, TEXTS, **settings, out=out)), progress=stop_at(8))
    (place / "bare").rename(place / "elsewhere")
    for name in ("teacher", "run"):
        (place / f"before/{name}.start.json").unlink()
    elsewhere = {"teacher": {"model": "elsewhere", "finetune": {"epochs": 1}}}
    for out in ("moved", "before"):
        file = job_file(place, TEXTS, **settings, **elsewhere, out=out)
        run_job(read_job(file), progress=False)
        assert equal(weights(place / out), uninterrupted)


def test_a_start_is_of_weights_and_of_what_is_beside_them(tmp_path):
    path = tmp_path / "run.safetensors"
    check_start(path, MLP(4, 8, 2, seed=0))
    check_start(path, MLP(4, 8, 2, seed=1))  # nothing has been learned yet: it begins anew
    path.write_bytes(b"")
    check_start(path, MLP(4, 8, 2, seed=1))
    with pytest.raises(ValueError, match="other weights"):
        check_start(path, MLP(4, 8, 2, seed=0))
    with pytest.raises(ValueError, match="other settings"):
        check_start(path, MLP(4, 9, 2, seed=1))
    facts = json.loads((tmp_path / "run.start.json").read_text())
    assert sorted(facts) == ["shape", "weights"]
