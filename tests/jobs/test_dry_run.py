"""`--dry-run` of every kind: both trainings and the answers between, and nothing is kept."""

import re

import pytest
import yaml
from transformers import AutoModelForSequenceClassification

from distill_lab import cli
from distill_lab.data.batches import as_data
from distill_lab.data.parts import Part
from distill_lab.jobs.setups.parts import Rehearsal
from tests.jobs import tiny
from tests.jobs.test_embedding_and_ranking import queries
from tests.jobs.test_image_classification import pictures
from tests.jobs.test_token_classification import rows

FIRST = {"model": "bare", "finetune": {"epochs": 12, "batch_size": 8}}
JOBS = {
    "text-classification": {"train": "texts.csv", "method": "kd", "teacher": FIRST},
    "token-classification": {"train": "tags.jsonl", "method": "kd", "teacher": FIRST},
    "embedding": {"train": "texts.csv", "method": "cosine", "teacher": "bare"},
    "ranking": {"train": "queries.jsonl", "method": "margin-mse", "teacher": "cross"},
    "image-classification": {
        "train": "pictures",
        "method": "supervised",
        "student": {"network": "small-cnn", "width": 4},
        "size": 8,
    },
}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    place = tmp_path_factory.mktemp("dry")
    tiny.encoder(place / "bare")
    tiny.encoder(place / "cross", kind=AutoModelForSequenceClassification, num_labels=1)
    pictures(place / "pictures", 40, 0)
    tiny.write_csv(place / "texts.csv", tiny.sentences(120))
    tiny.write_jsonl(place / "tags.jsonl", rows(120, 0))
    tiny.write_jsonl(place / "queries.jsonl", queries(120, 0))
    return place


@pytest.mark.parametrize("kind", JOBS)
def test_examples_steps_memory_and_time_of_every_kind(place, kind, capsys):
    job = {"kind": kind, "student": {"layers": [0]}, "epochs": 6, "batch_size": 16, "out": kind}
    (place / "job.yaml").write_text(yaml.safe_dump(job | JOBS[kind]))
    assert cli.main(["distill", str(place / "job.yaml"), "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert "120 examples; loading and reading took" in out
    seconds = r"of [\d.e-]+ s: about \d+ s"
    assert re.search(rf"the student: 8 steps an epoch, 48 in all, {seconds}", out)
    first = re.search(rf"the teacher first: 15 steps an epoch, 180 in all, {seconds}", out)
    assert bool(first) == (JOBS[kind].get("teacher") == FIRST)
    assert ("the teacher's answers, once: about" in out) == ("teacher" in JOBS[kind])
    assert "before the student is measured and written" in out
    assert re.search(r"memory at its height: [\d.]+ GB", out) and "fits." in out
    assert not (place / kind).exists()


def test_a_part_has_short_and_long_examples_under_numbers_of_its_own():
    import torch

    whole = as_data((torch.arange(100.0)[:, None], torch.arange(100)))
    whole.lengths, whole.fingerprint = torch.arange(100), "whole"
    part = Rehearsal(2, 4).part(whole)
    assert isinstance(part, Part) and len(part) == 8
    batch = part.batch(torch.tensor([0, 7]))
    assert batch.labels.tolist() == [0, 99] and batch.ids.tolist() == [0, 7]
    assert part.lengths.tolist() == part.numbers.tolist() and part.fingerprint != "whole"
    assert len(Rehearsal(50, 4).part(whole)) == 100
