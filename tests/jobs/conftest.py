"""A language model in a folder that has learnt a task, and the data of it."""

import json

import pytest

from distill_lab import methods
from distill_lab.data.tokenized import Texts
from distill_lab.training import distill
from tests.data.test_tokenized import llama, words_tokenizer

PAIRS = [(a, b) for a in "abcde" for b in "abcde"]
ROWS = [{"prompt": a + b, "answer": b + a} for a, b in PAIRS]  # write it backwards


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """A teacher that has learnt the task, and the data."""
    place = tmp_path_factory.mktemp("models")
    tokenizer, teacher = words_tokenizer(), llama(2, 1)
    settings = {"method": methods.tokens(alpha=0.0), "epochs": 80, "lr": 1e-2, "progress": False}
    history = distill(teacher, Texts(ROWS, tokenizer), schedule="cosine", **settings)
    assert history["ce"][-1] < 0.02
    teacher.save_pretrained(place / "teacher")
    tokenizer.save_pretrained(place / "teacher")
    for name, rows in (("train", ROWS[:20]), ("held_out", ROWS[20:])):
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        (place / f"{name}.jsonl").write_text(lines)
    return place
