"""A teacher that writes behind another prompt than the student will read."""

import json

import pytest

from distill_lab._util.describe import in_short
from distill_lab.data import TeacherPrompt, Texts
from distill_lab.synthesis import LocalGenerator, OpenAIGenerator, generate
from distill_lab.synthesis.budget import estimate
from distill_lab.synthesis.prompts import requests_of
from distill_lab.teachers.text.protocol import Sampling
from tests.data.test_tokenized import llama, words_tokenizer
from tests.synthesis.http import Backend

ROWS = [{"prompt": "ab", "hint": "h"}, {"prompt": "ab", "hint": "i"}, {"prompt": "c", "hint": "h"}]
HINTED = TeacherPrompt("{prompt}{hint}", system="Be brief.")


def shown(body):
    return {"text": body["messages"][-1]["content"].upper(), "finish": "stop"}


@pytest.fixture
def server():
    with Backend(shown) as backend:
        yield backend


def test_the_teacher_reads_one_prompt_and_the_rows_hold_the_other(server, tmp_path):
    teacher, path = OpenAIGenerator(server.url, "m"), tmp_path / "a.jsonl"
    answers = generate(ROWS, teacher, path, teacher_prompt=HINTED)
    sent = sorted(body["messages"][-1]["content"] for body in server.asked)
    assert sent == ["abh", "abi", "ch"]
    assert all(body["messages"][0]["content"] == "Be brief." for body in server.asked)
    assert [row["prompt"][-1]["content"] for row in answers.rows] == ["ab", "ab", "c"]
    assert [len(row["prompt"]) for row in answers.rows] == [1, 1, 1]
    assert [row["teacher_prompt"] for row in answers.rows] == [HINTED(row) for row in ROWS]
    learned = Texts(answers.rows, words_tokenizer())
    assert words_tokenizer().decode(learned.text(0).prompt) == "<user>ab<bot>"

    again = generate(ROWS, teacher, path, teacher_prompt=HINTED)
    assert len(server.asked) == 3 and again.rows == answers.rows
    assert estimate(ROWS, teacher, path, teacher_prompt=HINTED).done == 3
    with pytest.raises(ValueError, match="made with other settings: teacher_prompt was"):
        generate(ROWS, teacher, path)
    card = json.loads((tmp_path / "a.settings.json").read_text())
    assert in_short(card["teacher_prompt"]) == repr(HINTED)


def test_a_teacher_that_is_here_reads_it_as_well(tmp_path):
    local = LocalGenerator(llama(1, 1), words_tokenizer())
    drawn = {"max_new_tokens": 5, "temperature": 0}
    hinted = generate(
        [{"prompt": "ab"}], local, tmp_path / "a.jsonl", teacher_prompt=lambda r: "cj", **drawn
    )
    plain = generate(["cj"], local, tmp_path / "b.jsonl", **drawn)
    ours, theirs = ([*each.rows, *each.unusable][0] for each in (hinted, plain))
    assert ours["answer"] == theirs["answer"] and ours["prompt"] != theirs["prompt"]


def test_both_prompts_are_part_of_a_requests_name():
    def names(prompt, view):
        return [r.id for r in requests_of([prompt], Sampling(), {}, teacher_prompt=view)]

    known = [
        names("a", None),
        names("a", lambda given: "a"),
        names("a", lambda given: "b"),
        names("b", lambda given: "b"),
        names("b", None),
    ]
    assert len({name for (name,) in known}) == 5


def test_a_system_message_goes_before_both(server, tmp_path):
    teacher = OpenAIGenerator(server.url, "m")
    rows = generate(
        ["a"], teacher, tmp_path / "a.jsonl", system="S", teacher_prompt=lambda given: given * 2
    ).rows
    (row,) = rows
    assert [turn["content"] for turn in row["prompt"]] == ["S", "a"]
    assert [turn["content"] for turn in row["teacher_prompt"]] == ["S", "aa"]


@pytest.mark.parametrize(
    ("view", "error", "message"),
    [
        (lambda given: [{"role": "assistant", "content": "b"}], ValueError, "prompt 0: "),
        (
            lambda given: [{"role": r, "content": "b"} for r in ("user", "assistant")],
            ValueError,
            "prompt 0: what the teacher reads ends with the assistant's words",
        ),
        (lambda given: None, TypeError, "prompt 0: "),
        (TeacherPrompt("{hint}"), ValueError, "prompt 0: has no hint"),
    ],
)
def test_what_is_no_prompt_is_refused_by_number(server, tmp_path, view, error, message):
    with pytest.raises(error, match=message):
        generate(
            [{"prompt": "a"}],
            OpenAIGenerator(server.url, "m"),
            tmp_path / "a.jsonl",
            teacher_prompt=view,
        )
    assert not server.asked


def test_half_a_character_in_a_hint_sets_the_prompt_aside(server, tmp_path):
    rows = [{"prompt": "a", "hint": "\ud83d"}, {"prompt": "b", "hint": "c"}]
    teacher = OpenAIGenerator(server.url, "m")
    answers = generate(rows, teacher, tmp_path / "a.jsonl", teacher_prompt=HINTED)
    assert len(answers.rows) == 1 and answers.unusable[0]["kind"] == "invalid"
