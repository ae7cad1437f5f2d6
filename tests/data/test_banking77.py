"""BANKING77: read by its columns, split without overlap, refused or explained where missing."""

import hashlib
import os

import pytest
import torch

from distill_lab.data import datasets
from distill_lab.data.datasets import Questions, files

DATA = os.environ.get("DISTILL_LAB_DATA")  # read before any fixture takes it away
CONTENTS = {
    "train.csv": 'text,category\r\nIs it here?,card_arrival\r\n"Wait, no",exchange_rate\r\n',
    "test.csv": "text,category\n Where is it?\n,card_arrival\n".replace("?\n,", "?,"),
    "categories.json": '["card_arrival", "exchange_rate"]',
}


@pytest.fixture
def tiny(monkeypatch, tmp_path):
    folder = tmp_path / "mine" / "banking77"
    folder.mkdir(parents=True)
    pinned = []
    for name, text in CONTENTS.items():
        data = text.encode()
        (folder / name).write_bytes(data)
        pinned.append(files.PinnedFile(name, len(data), hashlib.sha256(data).hexdigest()))
    monkeypatch.setitem(files.PINNED, "banking77", files.PinnedDataset(tuple(pinned), mirrors=()))
    monkeypatch.setenv("DISTILL_LAB_DATA", str(tmp_path / "mine"))
    return folder


def test_texts_and_labels_are_read_by_column(tiny):
    data = datasets.load("banking77")
    assert data.train.texts == ("Is it here?", "Wait, no")
    assert data.train.labels.tolist() == [0, 1] and data.train.labels.dtype == torch.int64
    assert data.test.texts == ("Where is it?",)
    assert data.classes == ("card_arrival", "exchange_rate") and data.source == str(tiny)
    texts, labels = data.train
    assert len(texts) == len(labels) == len(data.train) == 2


def test_a_split_shares_nothing_and_keeps_texts_beside_labels():
    questions = Questions(tuple("abcdefgh"), torch.arange(8))
    few, rest = questions.split(3, seed=1)
    assert sorted(few.texts + rest.texts) == list("abcdefgh")
    assert ["abcdefgh"[i] for i in few.labels.tolist()] == list(few.texts)
    assert few.texts == questions.split(3, seed=1)[0].texts != questions.split(3, seed=2)[0].texts
    for n in (0, 8):
        with pytest.raises(ValueError, match="n from 1 to 7"):
            questions.split(n)


def test_missing_files_name_the_three_ways_and_the_right_call():
    with pytest.raises(FileNotFoundError) as caught:
        datasets.load("banking77", download=False)
    assert "set DISTILL_LAB_DATA to a folder with banking77/train.csv" in str(caught.value)
    assert "call datasets.load('banking77') once" in str(caught.value)


def test_the_real_files(monkeypatch):
    if not DATA or not os.path.isdir(os.path.join(DATA, "banking77")):
        pytest.skip(f"banking77 is not under $DISTILL_LAB_DATA ({DATA or 'not set'})")
    monkeypatch.setenv("DISTILL_LAB_DATA", DATA)
    data = datasets.load("banking77", download=False)
    assert (len(data.train), len(data.test), len(data.classes)) == (10_003, 3_080, 77)
    assert data.test.labels.bincount().tolist() == [40] * 77
    assert data.train.texts[0] == "I am still waiting on my card?"
    assert data.classes[data.train.labels[0]] == "card_arrival"
