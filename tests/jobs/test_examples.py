"""The job files of docs/jobs.md run as they stand: on made data, and real ones where they lie."""

import csv
import gzip
import json
import os
import re
import shutil
from collections import Counter
from pathlib import Path

import pytest
import torch
import yaml
from PIL import Image
from transformers import ViTConfig, ViTForImageClassification

from distill_lab.jobs.job_file import read_job
from distill_lab.jobs.running import run_job
from tests.data.test_tokenized import llama, words_tokenizer
from tests.jobs import tiny
from tests.jobs.test_embedding_and_ranking import queries
from tests.jobs.test_judged_answers import says
from tests.methods.test_other_tokens import pieces_llama, pieces_tokenizer
from tests.synthesis.http import Backend

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs/jobs.md").read_text(encoding="utf-8")
EXAMPLES = dict(re.findall(r"^## ([^\n]+)\n\n```yaml\n(.*?)^```", TEXT, re.M | re.S))


def run(place, name, **less):
    """An example as it stands, but for settings that make it short."""
    (place / "job.yaml").write_text(EXAMPLES[name])
    overrides = [f"{key}={value}" for key, value in less.items()]
    return run_job(read_job(place / "job.yaml", overrides), progress=False)


@pytest.fixture
def place(tmp_path):
    tiny.encoder(tmp_path / "models/encoder", 6)
    return tmp_path


def test_the_examples_are_short_and_of_every_kind():
    assert len(EXAMPLES) == 10
    assert all(len(text.splitlines()) <= 12 for text in EXAMPLES.values())
    kinds = {yaml.safe_load(text).get("kind") for text in EXAMPLES.values()}
    assert len(kinds) == 6


def test_a_classifier(place):
    rows = [{"text": row["text"], "category": row["label"]} for row in tiny.sentences(60)]
    tiny.write_csv(place / "train.csv", rows)
    tiny.write_csv(place / "test.csv", rows[:20])
    outcome = run(place, "A classifier of texts", export="[]")
    assert outcome.figures["student"]["accuracy"] > 0


def test_several_labels(place):
    rows = []
    for one, two in zip(tiny.sentences(60), tiny.sentences(60, 1), strict=True):
        names = sorted({one["label"], two["label"]})
        rows.append({"text": f"{one['text']} {two['text']}", "emotions": "|".join(names)})
    tiny.write_csv(place / "emotions.csv", rows)
    tiny.write_csv(place / "emotions_test.csv", rows[:20])
    settings = {"lr": 3e-3, "epochs": 12, "batch_size": 8}
    outcome = run(place, "Several labels a text", **settings)
    assert outcome.figures["student"]["micro_f1"] > 50


def test_a_tagger(place):
    from tests.jobs.test_token_classification import rows

    flat = [
        {"utterance": " ".join(row["tokens"]), "slot-labels": " ".join(row["tags"])}
        for row in rows(40, 0)
    ]
    for name in ("train.tsv", "dev.tsv"):
        with open(place / name, "w", newline="") as file:
            writer = csv.DictWriter(file, flat[0], delimiter="\t")
            writer.writeheader()
            writer.writerows(flat)
    less = {"train": place / "train.tsv", "validation": place / "dev.tsv"}
    assert "span_f1" in run(place, "A tagger", **less).figures["student"]


def vit(folder, size):
    config = ViTConfig(
        image_size=size,
        patch_size=size // 2,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
    )
    torch.manual_seed(0)
    ViTForImageClassification(config).save_pretrained(folder)


def test_pictures(place):
    from sklearn.datasets import load_digits

    digits = load_digits()
    for number, (pixels, label) in enumerate(zip(digits.images, digits.target, strict=True)):
        if number < 360:
            folder = place / f"pictures/{'train' if number < 300 else 'test'}/{label}"
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray((pixels * 15).astype("uint8")).save(folder / f"{number}.png")
    vit(place / "models/vit", 8)
    assert run(place, "Pictures", epochs=12).figures["student"]["accuracy"] > 30


def test_an_embedder(place):
    rows = [{"text": row["text"], "category": row["label"]} for row in tiny.sentences(40)]
    tiny.write_csv(place / "texts.csv", [{"text": row["text"]} for row in rows])
    tiny.write_csv(place / "labelled.csv", rows)
    assert "recall_at_1" in run(place, "An embedder").figures["student"]


def test_a_ranker(place):
    tiny.write_jsonl(place / "queries.jsonl", queries(40, 0))
    tiny.write_jsonl(place / "held_out.jsonl", queries(20, 1))
    assert "first is right" in run(place, "A ranker").figures["student"]


@pytest.fixture
def texts(tmp_path, folder):
    """Language models and their data, beside the job file."""
    shutil.copytree(folder / "teacher", tmp_path / "models/teacher")
    llama(1, 5).save_pretrained(tmp_path / "models/student")
    words_tokenizer().save_pretrained(tmp_path / "models/student")
    for name in ("train.jsonl", "held_out.jsonl"):
        shutil.copy(folder / name, tmp_path / name)
    return tmp_path


def test_a_teacher_that_is_asked_once(texts):
    less = {"teacher.keep.top_k": 5, "epochs": 4}
    figures = run(texts, "A language model, its teacher asked once", **less).figures
    assert figures["student after"].kl < figures["student before"].kl


def test_of_two_answers_the_better(texts):
    rows = [json.loads(line) for line in (texts / "train.jsonl").read_text().splitlines()]
    pairs = [
        {"prompt": row["prompt"], "chosen": row["answer"], "rejected": row["prompt"] + "a"}
        for row in rows
    ]
    tiny.write_jsonl(texts / "pairs.jsonl", pairs)
    tiny.write_jsonl(texts / "held_out_pairs.jsonl", pairs[:5])
    figures = run(texts, "A language model, of two answers the better", lr=1e-2, epochs=4).figures
    assert figures["student after"].margin > 0


def test_the_right_answers_of_a_served_teacher(texts, monkeypatch):
    monkeypatch.setenv("TUTOR_KEY", "canary-7f3a9c1e")
    with Backend(says) as backend:
        less = {"teacher.url": backend.url, "lr": 1e-2, "epochs": 2}
        less["filters"] = "[{distinct: {threshold: 1.0}}, {length: {most: 200}}]"
        name = "A language model, from the right answers of a served teacher"
        figures = run(texts, name, **less).figures
    assert figures["student after"].nll < figures["student before"].nll


def test_a_teacher_with_another_tokenizer(texts):
    pieces_llama(2).save_pretrained(texts / "models/other_teacher")
    pieces_tokenizer().save_pretrained(texts / "models/other_teacher")
    less = {"lr": 1e-2, "epochs": 4}
    figures = run(texts, "A language model, its teacher with another tokenizer", **less).figures
    assert figures["student after"].nll < figures["student before"].nll


def real(*parts):
    folder = Path(os.environ.get("DISTILL_LAB_DATA", ""), *parts)
    if not os.environ.get("DISTILL_LAB_DATA") or not folder.is_dir():
        pytest.skip(f"{'/'.join(parts)} does not lie in DISTILL_LAB_DATA")
    return folder


def encoder_of(place, texts):
    """A small encoder whose words are the data's."""
    shutil.rmtree(place / "models/encoder")
    common = Counter(word for text in texts for word in re.findall(r"\w+|\S", text))
    words = [*tiny.WORDS[:4], *(word for word, _ in common.most_common(1500))]
    tiny.encoder(place / "models/encoder", 6, width=32, words=words)


@pytest.mark.slow
def test_a_classifier_of_real_questions(place):
    folder = real("banking77")
    for name in ("train.csv", "test.csv"):
        with open(folder / name, newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        few = sorted({row["category"] for row in rows})[:8]
        rows = [row for row in rows if row["category"] in few]
        tiny.write_csv(place / name, rows)
        if name == "train.csv":
            encoder_of(place, [row["text"] for row in rows])
    rates = {"lr": 3e-3, "teacher.finetune.lr": 3e-3}
    rates |= {"epochs": 12, "teacher.finetune.epochs": 12}
    outcome = run(place, "A classifier of texts", export="[]", max_length=32, **rates)
    assert outcome.figures["student"]["accuracy"] > 30  # of 8 classes: chance is 12.5


@pytest.mark.slow
def test_a_tagger_of_real_turns(place):
    folder = real("multidogo_turn", "airline")
    for name in ("train.tsv.gz", "dev.tsv.gz"):
        with gzip.open(folder / name, "rt", newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
        # in about 1 % the tags do not line up with the words: a job refuses them, by line
        fits = [r for r in rows if 0 < words_in(r, "utterance") == words_in(r, "slot-labels")]
        assert 0.97 < len(fits) / len(rows) < 1
        with gzip.open(place / name, "wt", newline="", encoding="utf-8") as file:
            file.write("utterance\tslot-labels\n")
            for row in fits[:1500]:
                file.write(f"{row['utterance']}\t{row['slot-labels']}\n")
    encoder_of(place, [row["utterance"] for row in fits])
    rates = {"lr": 3e-3, "teacher.finetune.lr": 3e-3}
    rates |= {"epochs": 8, "teacher.finetune.epochs": 8}
    assert run(place, "A tagger", max_length=32, **rates).figures["student"]["span_f1"] > 5


def words_in(row, column):
    return len((row[column] or "").split())
