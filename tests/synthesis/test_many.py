"""Many prompts and answers lie on the disk: what is held of them, and that nothing else changes."""

import json
import os
import random
import subprocess
import sys
import tracemalloc
from collections import Counter
from pathlib import Path

import pytest

from distill_lab._util.jsonl import StoredRows
from distill_lab.synthesis import generate
from distill_lab.synthesis.answers import AnswerCounts
from distill_lab.synthesis.filters import length
from distill_lab.synthesis.pipeline import FilterPipeline
from distill_lab.synthesis.requests import wanted_of
from distill_lab.teachers.text.protocol import Reply, Sampling, digest

ROOT = Path(__file__).resolve().parents[2]
LETTERS = "x" * 16_000


class Shuffling:
    """A teacher that hands its answers over in an order of its own."""

    name, identity, prices = "shuffling", {"kind": "own"}, None

    def __init__(self, more=""):
        self.more, self.asked = more, 0

    def answer(self, requests, take):
        numbers = list(range(len(requests)))
        random.Random(0).shuffle(numbers)
        for i in numbers:
            self.asked += 1
            text = requests[i].prompt.messages[-1]["content"].partition(" ")[0]
            answer = "" if text == "7" else f"{text} {requests[i].sample} {self.more}"
            take(requests[i], Reply(answer, "stop", (3, 4)))


def test_rows_stand_in_the_order_of_the_prompts_and_are_those_of_the_file(tmp_path):
    path, prompts = tmp_path / "a.jsonl", [str(i) for i in range(30)]
    answers = generate([*prompts, "3"], Shuffling(), path, samples=2)
    spoken = [(row["prompt"][0]["content"], row["sample"]) for row in answers.rows]
    assert spoken == [(text, sample) for text in prompts if text != "7" for sample in (0, 1)]
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert lines != answers.rows and sorted(map(str, lines)) == sorted(map(str, answers.rows))
    assert [row["prompt"][0]["content"] for row in answers.rejected] == ["7", "7"]
    assert answers.repeated == 2 and answers.prompts["count"] == 30
    messages = [[{"role": "user", "content": text}] for text in prompts]
    assert answers.prompts["hash"] == digest(messages)
    teacher = Shuffling()
    again = generate((text for text in prompts), teacher, path, samples=2)
    assert (teacher.asked, again.asked) == (0, 0) and again.rows == answers.rows
    fewer = generate(prompts[:3], teacher, path, samples=1)
    assert [row["answer"].strip() for row in fewer.rows] == ["0 0", "1 0", "2 0"]
    assert again.rows[3:9:2][1] == lines[lines.index(answers.rows[5])]
    path.unlink()
    with pytest.raises(FileNotFoundError, match="its rows are read when they are asked for"):
        again.rows[0]


def test_the_memory_does_not_grow_with_prompts_and_answers(tmp_path):
    """200 rows of 32 kB each are 6.4 MB; of one a few hundred bytes are held."""

    def prompts():
        for i in range(200):
            yield {"prompt": f"{i} {LETTERS}", "label": i}

    tracemalloc.start()
    answers = generate(prompts(), Shuffling(LETTERS), tmp_path / "a.jsonl")
    kept = FilterPipeline([length(least=2)])(answers.rows)
    assert answers.counts.tokens == (600, 800)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(answers.rows) == len(kept.rows) == 199
    assert isinstance(kept.rows, StoredRows) and kept.rows[-1]["about"] == {"label": 199}
    assert peak < 2e6


def test_what_is_counted_in_one_reading_is_what_the_rows_say():
    dice = random.Random(0)
    rows = []
    for i in range(60):
        prompt = [{"role": "user", "content": str(i // 3)}]
        row = {"prompt": prompt, "answer": dice.choice("ab"), "finish": dice.choice(["stop", ""])}
        row |= {"model": dice.choice(["m", "n"]), "tokens": [dice.choice([2, None]), None]}
        rows.append(row)
    counts = AnswerCounts.of(rows, [{"tokens": [5, None]}, {"kind": "failed"}])
    of = [{row["answer"] for row in rows[i : i + 3]} for i in range(0, 60, 3)]
    assert counts.several == 20 and counts.alike == sum(len(each) == 1 for each in of) > 0
    assert counts.models == Counter(row["model"] for row in rows)
    assert counts.silent == sum(not row["finish"] for row in rows)
    assert counts.tokens == (sum(row["tokens"][0] or 0 for row in rows) + 5, None)
    nothing = AnswerCounts.of([], [])
    assert (nothing.several, nothing.alike, nothing.tokens) == (0, 0, (0, 0))


def test_a_request_is_made_again_as_it_was():
    given = {
        "messages": [{"role": "system", "content": "é"}, {"role": "user", "content": "a\u2028b"}],
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}],
        "gold": [1, None, "x"],
    }
    wanted, total = wanted_of([given, "half \ud83d", given], Sampling(samples=2), {})
    assert (total, len(wanted)) == (6, 4)
    assert [r.id for r in wanted] == list(wanted.ids()) and wanted[1].sample == 1
    prompt = wanted[-4].prompt
    assert prompt.messages[1]["content"] == "a\u2028b" and prompt.about == {"gold": [1, None, "x"]}
    assert prompt.tools[0]["function"]["name"] == "f"
    assert "prompt 1" in wanted[3].unfit and not wanted[0].unfit
    assert [len(wanted.fit()), len(wanted.unfit())] == [2, 2]
    assert wanted[1:][0].id == wanted[1].id == wanted.pick([1])[0].id


MANY = """
import resource, sys
from tests.synthesis.test_many import Shuffling
from distill_lab.synthesis import generate
from distill_lab.synthesis.cards import set_card
from distill_lab.synthesis.prompts import read_prompts

def peak():
    scale = 1024 if sys.platform == "darwin" else 1
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / scale

folder, count = sys.argv[1], int(sys.argv[2])
with open(f"{folder}/p.txt", "w") as file:
    file.writelines(f"{i} {'x' * 300}\\n" for i in range(count))
before = peak()
answers = generate(read_prompts(f"{folder}/p.txt"), Shuffling("y" * 300), f"{folder}/a.jsonl")
set_card(answers)
print(len(answers.rows), peak() - before)
"""


@pytest.mark.exhaustive
@pytest.mark.timeout(900)
def test_a_row_takes_some_hundred_bytes_of_a_process(tmp_path):
    """Measured from outside, with file, card and all: 600 bytes a row, of 1,800 on the disk."""
    count = 100_000
    done = subprocess.run(
        [sys.executable, "-c", MANY, str(tmp_path), str(count)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    rows, kilobytes = map(float, done.stdout.split())
    assert rows == count - 1 and 1024 * kilobytes < 5e7 + 600 * count
