"""Jobs killed with SIGKILL at random moments and started again: the student has the same bytes."""

import os
import random
import shutil
import signal
import sys
import time

import pytest

from distill_lab.jobs.job_file import read_job
from distill_lab.jobs.running import run_job
from tests.data.test_tokenized import llama, words_tokenizer
from tests.jobs import tiny
from tests.jobs.runs import forked

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there is no fork on Windows")

ROWS = [{"prompt": a + b, "answer": b + a} for a in "abcde" for b in "abcd"]
PAIRS = [{"prompt": r["prompt"], "chosen": r["answer"], "rejected": "e"} for r in ROWS]
VALIDATED = ["held_out=0.3", "validate_every=3", "patience=4", "lr=5e-2"]
ASKED = ["max_new_tokens=30"]
CASES = {
    "sft": [],
    "seq-kd": ASKED,
    "token-kl": VALIDATED,
    "reverse-kl": ["lora={r: 2, dropout: 0.2}"],
    "jsd": ["teacher={model: TEACHER, keep: {top_k: 4}}"],
    "on-policy": ["max_new_tokens=6"],
    "dpo": ["train=PAIRS", "student=TEACHER"],
    "token-kl, seeds": ["seeds=2"],
    "kd of texts": [],
}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    place = tmp_path_factory.mktemp("jobs")
    for name in ("teacher", "student"):
        llama(1, 3 + len(name)).save_pretrained(place / name)
        words_tokenizer().save_pretrained(place / name)
    tiny.encoder(place / "encoder", 2)
    tiny.write_jsonl(place / "train.jsonl", ROWS)
    tiny.write_jsonl(place / "pairs.jsonl", PAIRS)
    tiny.write_csv(place / "rows.csv", tiny.sentences(40))
    return place


def job(place, case, out):
    method, settings = case.split(",")[0].split(" ")[0], CASES[case]
    lines = f"method: {method}\nepochs: 6\nbatch_size: 4\ncheckpoint_every: 2\nout: {out}\n"
    if case == "kd of texts":
        lines += "kind: text-classification\nstudent: {layers: [0]}\ntrain: rows.csv\nlr: 3e-3\n"
        lines += "teacher: {model: encoder, finetune: {epochs: 6}}\n"
    else:
        lines += "student: student\ntrain: train.jsonl\nlr: 1e-2\n"
        lines += "" if method in ("sft", "dpo") else "teacher: teacher\n"
    (place / f"{out}.yaml").write_text(lines)
    names = {"TEACHER": str(place / "teacher"), "PAIRS": str(place / "pairs.jsonl")}
    for name, path in names.items():
        settings = [each.replace(name, path) for each in settings]
    return read_job(place / f"{out}.yaml", settings)


def students(out):
    return {
        str(file.relative_to(out)): file.read_bytes()
        for file in sorted(out.rglob("student/model.safetensors"))
    }


def survives(place, case, kills, chance):
    """How many kills a job met; it has come to its end, with the bytes of an untouched one."""
    number = [*CASES].index(case)
    intact, torn = (job(place, case, f"{name}-{number}-{kills}") for name in ("whole", "torn"))
    began = time.monotonic()
    assert os.waitpid(forked(lambda: run_job(intact, progress=False)), 0)[1] == 0, case
    length, killed = time.monotonic() - began, 0
    while True:
        pid = forked(lambda: run_job(torn, progress=False))
        if killed < kills:
            time.sleep(chance.random() * length)
            os.kill(pid, signal.SIGKILL)
        status = os.waitpid(pid, 0)[1]
        if not os.WIFSIGNALED(status):
            assert status == 0, case
            if killed >= kills:
                break
            shutil.rmtree(torn.out)  # it was through before: once more from the beginning
            continue
        killed += 1
    one, other = (students(place / each.out) for each in (intact, torn))
    assert one and one == other, case
    return killed


def test_a_job_that_is_killed_goes_on_to_the_same_bytes(place):
    assert survives(place, "token-kl", 2, random.Random(1)) == 2


@pytest.mark.exhaustive
@pytest.mark.parametrize("case", CASES)
def test_thirty_four_kills_over_all_methods(place, case):
    assert survives(place, case, 4 if case != "sft" else 2, random.Random(case)) >= 2
