"""The rows of a job: read whole before a model is loaded, and no teacher is shown the answers."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from distill_lab.jobs import rows as job_rows
from distill_lab.jobs.job import Job
from distill_lab.jobs.rows import length_limit, read_exchanges, texts_of
from distill_lab.jobs.setups.setup import counting
from distill_lab.synthesis.prompts import requests_of
from distill_lab.teachers.text.protocol import Sampling
from tests.data.test_tokenized import words_tokenizer

TURNS = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "gold"}]
SHAPES = [
    {"messages": TURNS},
    {"prompt": "q", "completion": "gold"},
    {"instruction": "q", "input": "", "output": "gold"},
    {"conversations": [{"from": "human", "value": "q"}, {"from": "gpt", "value": "gold"}]},
    {"prompt": TURNS[:1], "completion": TURNS[1:]},
    {"question": "q", "answer": "gold", "label": "gold"},
]


def job(path, **more):
    return Job.of(student="s", train=str(path), out="o", method="seq-kd", **more)


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


EARLIER = [{"role": "user", "content": "first"}, {"role": "assistant", "content": "reply"}]
CALL = {"function": {"name": "f", "arguments": {"x": "gold"}}}
DIALOGUES = [  # what stands before the last answer is the question, an answer of before as well
    [*EARLIER, *TURNS],
    [{"role": "system", "content": "be brief"}, *EARLIER, *TURNS],
    [*EARLIER, TURNS[0], {"role": "assistant", "content": None, "tool_calls": [CALL]}],
    [*EARLIER, *TURNS, {"role": "assistant", "content": "gold"}],
]


@pytest.mark.parametrize("turns", DIALOGUES, ids=["turns", "system", "call", "twice"])
def test_a_teacher_is_asked_with_the_turns_before_the_answer(tmp_path, turns):
    path = write(tmp_path / "t.jsonl", [{"messages": turns, "tools": [{"name": "f"}]}])
    asked = list(
        requests_of(read_exchanges(job(path), str(path), prompt_only=True), Sampling(), {})
    )
    (prompt,) = (list(request.prompt.messages) for request in asked)
    assert prompt == [turn for turn in turns[:-1] if turn["content"] != "gold"]
    assert "gold" not in json.dumps([request.prompt.messages for request in asked])
    (direct,) = (list(r.prompt.messages) for r in requests_of([turns], Sampling(), {}))
    assert direct == prompt


@pytest.mark.parametrize("row", SHAPES, ids=lambda row: next(iter(row)))
def test_a_teacher_is_never_shown_the_answer(tmp_path, row):
    path = write(tmp_path / "t.jsonl", [row])
    (prompt,) = read_exchanges(job(path), str(path), prompt_only=True)
    assert "gold" not in json.dumps(prompt)
    (full,) = read_exchanges(job(path), str(path))
    assert "gold" in json.dumps(full)


def test_the_last_row_is_looked_at_before_anything_else(tmp_path):
    path = write(tmp_path / "t.jsonl", [*SHAPES * 50, {"prompt": "q"}])
    with pytest.raises(ValueError, match=r"t\.jsonl, line 301: the columns are 'prompt'"):
        read_exchanges(job(path), str(path))
    assert len(read_exchanges(job(path), str(path), prompt_only=True)) == 301


def test_rows_that_are_tokens_are_not_read_again(tmp_path, monkeypatch):
    path = write(tmp_path / "t.jsonl", [{"prompt": "ab", "answer": "cd"}] * 3)
    given = Job.of(student="s", train=str(path), out=str(tmp_path / "out"), method="sft")
    lines = []

    def texts():
        rows = read_exchanges(given, str(path))
        return texts_of(rows, words_tokenizer(), 64, lines.append, "train")

    monkeypatch.setitem(counting.__globals__, "SAY_EVERY", 0.0)
    first = texts()
    assert lines == ["train: tokenised 3 of 3 rows"]
    with monkeypatch.context() as patch:
        patch.setattr(job_rows, "exchange_of", None)  # nobody looks into a row
        assert texts().fingerprint == first.fingerprint and len(lines) == 1
    write(path, [{"prompt": "ab", "answer": "cd"}] * 2 + [{"prompt": "ab"}])
    with pytest.raises(ValueError, match=r"t\.jsonl, line 3"):
        texts()
    write(path, [{"prompt": "ab", "answer": "cd"}] * 9)
    rows = read_exchanges(given, str(path))
    few = job_rows.Exchanges(rows.table, most=2)
    assert len(few) == len(list(few)) == 2 and few.fingerprint != rows.fingerprint


def test_columns_and_encoding_of_a_job(tmp_path):
    path = tmp_path / "t.csv"
    path.write_bytes("frage;antwort\nwo?;hier, süß\n".encode("cp1252"))
    given = job(path, columns={"prompt": "frage", "answer": "antwort"}, encoding="cp1252")
    assert list(read_exchanges(given, str(path))) == [{"prompt": "wo?", "answer": "hier, süß"}]


def test_how_long_texts_may_be(tmp_path):
    small, large = (SimpleNamespace(max_position_embeddings=count) for count in (64, 4096))
    silent = SimpleNamespace()  # a recurrent network has no positions
    given = job(tmp_path, max_length=512, max_new_tokens=48)
    assert length_limit(given, large, None) == 512 and length_limit(given, large, small) == 64
    assert length_limit(given, large, small, answers=True) == 16
    assert length_limit(given, silent, answers=True) == 512
    with pytest.raises(ValueError, match="leaves no room for a prompt"):
        length_limit(job(tmp_path, max_new_tokens=64), small, answers=True)


@pytest.mark.slow
@pytest.mark.parametrize(
    "count",
    [10_000, pytest.param(1_000_000, marks=[pytest.mark.exhaustive, pytest.mark.timeout(3600)])],
)
def test_many_rows_take_the_memory_of_few(tmp_path, count):
    """The file and the tokens are mapped, and so counted; nothing else may grow with the rows."""
    script = Path(__file__).with_name("many_rows.py")
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path), str(count)],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    figures = json.loads(done.stdout.splitlines()[-1])
    first, again = figures["first"], figures["again"]
    assert first["texts"] == again["texts"] == count and first["tokens"] == 60 * count
    assert first["name"] == again["name"] and figures["calls"] == 0
    mapped = figures["size"] + 2 * 4 * first["tokens"]
    assert again["peak"] - figures["before"] < mapped + 1e8 + 150 * count
    assert again["peak"] < 1.5e9
