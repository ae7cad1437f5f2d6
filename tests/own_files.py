"""The files that the README's examples read, with teachers that learned them: made, or real."""

import csv
import gzip
import re
from collections import Counter
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file
from sklearn.datasets import load_digits
from transformers import (
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    AutoTokenizer,
)

from distill_lab import methods
from distill_lab.data import Labelled
from distill_lab.data.datasets import PictureFolder, parse_idx
from distill_lab.models import SmallCNN
from distill_lab.training import distill
from tests.jobs import tiny
from tests.jobs.test_token_classification import rows as tagged_rows

LAYERS = 4
FOLDERS = ("banking77", "multidogo_turn/airline", "fashion_mnist")  # of real data
TRAINED = {
    "lr": 3e-3,
    "schedule": "linear",
    "warmup": 30,
    "epochs": 6,
    "batch_size": 16,
    "progress": False,
}


def lay_out(place: Path, shared: Path | None) -> None:
    """Write all files below a folder: of `shared`, or made where that is None.

    Args:
        place: where the examples run.
        shared: holds BANKING77, MultiDoGO and Fashion-MNIST.
    """
    intents = _made_intents() if shared is None else _questions(shared / "banking77")
    turns = _made_turns() if shared is None else _turns(shared / "multidogo_turn/airline")
    pictures = _digits() if shared is None else _clothes(shared / "fashion_mnist")
    common = Counter(
        word
        for text in [*(text for text, _ in intents), *(text for text, _ in turns)]
        for word in re.findall(r"\w+|\S", text)
    )
    words = [*tiny.WORDS[:4], *(word for word, _ in common.most_common(1500))]
    _write_intents(place, intents, words)
    _write_turns(place, turns, words)
    _write_topics(place, turns, words)
    _write_pictures(place, *pictures)


def _write_intents(place: Path, rows: list[tuple[str, str]], words: list[str]) -> None:
    named = [{"text": text, "category": name} for text, name in rows]
    cut = len(named) * 4 // 5
    for name, part in (("train", named[:cut]), ("test", named[cut:])):
        (place / "intents").mkdir(exist_ok=True)
        tiny.write_csv(place / f"intents/{name}.csv", part)
    _write_queries(place, rows[:cut])
    names = sorted({name for _, name in rows})
    folder, kind = place / "models/intents", AutoModelForSequenceClassification
    _teacher(folder, kind, names, words)
    model, tokenizer = kind.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    data = Labelled([t for t, _ in rows[:cut]], [names.index(n) for _, n in rows[:cut]], tokenizer)
    distill(model, data, **TRAINED)
    model.save_pretrained(folder)
    model.base_model.save_pretrained(place / "models/encoder")
    tokenizer.save_pretrained(place / "models/encoder")


def _write_queries(place: Path, rows: list[tuple[str, str]]) -> None:
    """Of each text another one of its class, and one of another class."""
    triples = []
    for number, (text, name) in enumerate(rows):
        others = rows[number + 1 :] + rows[:number]
        right = next((other for other, its in others if its == name), None)
        wrong = next(other for other, its in others if its != name)
        if right is not None:
            triples.append({"query": text, "positive": right, "negative": wrong})
    tiny.write_csv(place / "queries.csv", triples)


def _write_turns(place: Path, rows: list[tuple[str, str]], words: list[str]) -> None:
    cut = len(rows) * 4 // 5
    (place / "turns").mkdir()
    for name, part in (("train", rows[:cut]), ("dev", rows[cut:])):
        lines = ["utterance\tslot-labels", *(f"{text}\t{tags}" for text, tags in part)]
        with gzip.open(place / f"turns/{name}.tsv.gz", "wt", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")
    names = sorted({tag for _, tags in rows for tag in tags.split()})
    folder, kind = place / "models/slots", AutoModelForTokenClassification
    _teacher(folder, kind, names, words)
    model, tokenizer = kind.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    texts = [text.split() for text, _ in rows[:cut]]
    tags = [[names.index(tag) for tag in tags.split()] for _, tags in rows[:cut]]
    distill(model, Labelled(texts, tags, tokenizer), **TRAINED)
    model.save_pretrained(folder)


def _write_topics(place: Path, rows: list[tuple[str, str]], words: list[str]) -> None:
    """Which slots a text holds: none, one or several."""
    held = [(text, sorted({*tags.split()} - {"O"})) for text, tags in rows]
    held = [(text, own) for text, own in held if own]
    (place / "topics").mkdir()
    tiny.write_csv(
        place / "topics/train.csv", [{"text": t, "topics": "|".join(own)} for t, own in held]
    )
    names = sorted({name for _, own in held for name in own})
    folder, kind = place / "models/topics", AutoModelForSequenceClassification
    _teacher(folder, kind, names, words, problem_type="multi_label_classification")
    model, tokenizer = kind.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    labels = [[float(name in own) for name in names] for _, own in held]
    data = Labelled([text for text, _ in held], labels, tokenizer)
    longer = TRAINED | {"epochs": 40}
    distill(model, data, method=methods.supervised(loss="bce"), **longer)
    model.save_pretrained(folder)


def _write_pictures(place: Path, images: np.ndarray, labels: np.ndarray) -> None:
    cut = len(images) * 4 // 5
    for number, (pixels, label) in enumerate(zip(images, labels, strict=True)):
        folder = place / f"pictures/{'train' if number < cut else 'test'}/{label}"
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    train = PictureFolder(place / "pictures/train", size=28, scaled=True)
    model = SmallCNN(16, classes=len(train.classes), channels=3)
    distill(model, train, **TRAINED)
    save_file(model.state_dict(), place / "models/pictures.safetensors")


def _teacher(folder: Path, kind: type, names: list[str], words: list[str], **more: str) -> None:
    labels = {"id2label": dict(enumerate(names)), "label2id": {n: i for i, n in enumerate(names)}}
    _encoder(folder, words, kind=kind, **labels, **more)


def _encoder(folder: Path, words: list[str], **more: Any) -> None:
    """A tokenizer says how long a text its model reads."""
    tiny.encoder(folder, LAYERS, width=32, spread=0.1, words=words, **more)
    AutoTokenizer.from_pretrained(folder, model_max_length=32).save_pretrained(folder)


def _made_intents() -> list[tuple[str, str]]:
    return [(row["text"], row["label"]) for row in tiny.sentences(150)]


def _made_turns() -> list[tuple[str, str]]:
    return [(" ".join(row["tokens"]), " ".join(row["tags"])) for row in tagged_rows(150, 0)]


def _digits() -> tuple[np.ndarray, np.ndarray]:
    digits = load_digits()
    return (digits.images[:300] * 15).astype("uint8"), digits.target[:300]


def _questions(folder: Path) -> list[tuple[str, str]]:
    """Questions of eight intents, in an order by chance."""
    with open(folder / "train.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    few = sorted({row["category"] for row in rows})[:8]
    kept = [(row["text"], row["category"]) for row in rows if row["category"] in few]
    order = torch.randperm(len(kept), generator=torch.Generator().manual_seed(0))
    return [kept[number] for number in order.tolist()]


def _turns(folder: Path) -> list[tuple[str, str]]:
    """Turns whose tags line up with their words, as those of 99 in 100 do."""
    with gzip.open(folder / "dev.tsv.gz", "rt", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    pairs = ((row["utterance"] or "", row["slot-labels"] or "") for row in rows)
    fit = (pair for pair in pairs if 0 < len(pair[0].split()) == len(pair[1].split()))
    plain = (pair for pair in fit if '"' not in pair[0])
    return list(islice(plain, 800))


def _clothes(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    names = ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz")
    images, labels = (parse_idx((folder / name).read_bytes(), name) for name in names)
    return images[:600].numpy(), labels[:600].numpy()
