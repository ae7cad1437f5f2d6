"""Prompts in every form people have them, and names for requests that never change by accident."""

import gzip
import json

import pytest

from distill_lab.synthesis.prompts import as_prompt, read_prompts, requests_of
from distill_lab.teachers.text.protocol import Sampling

TEACHER = {"kind": "served", "model": "m"}


def ids(prompts, **settings):
    return [r.id for r in requests_of(prompts, Sampling(**settings), TEACHER)]


def test_one_prompt_in_three_forms_is_one_request():
    messages = [{"role": "user", "content": "2 + 2?"}]
    assert len({*ids(["2 + 2?", messages, {"prompt": "2 + 2?", "answer": "4"}])}) == 1


def test_the_name_of_a_request_is_that_of_years_ago():
    """Change it, and every half-finished file in the world asks for everything again."""
    assert ids(["2 + 2?"], samples=2) == ["2df8456789d6fb91", "4c53a0389ced7c67"]


@pytest.mark.parametrize(
    "change",
    [
        {"temperature": 0.5},
        {"top_p": 0.9},
        {"max_new_tokens": 9},
        {"stop": ("x",)},
        {"seed": 1},
        {"seed": None},
        {"schema": {"type": "object"}},
        {"refusals": False},
    ],
    ids=str,
)
def test_every_setting_is_part_of_the_name(change):
    assert ids(["a"]) != ids(["a"], **change)


def test_more_samples_ask_only_for_what_is_new():
    assert ids(["a", "b"], samples=3)[:2] == ids(["a"], samples=2)


def test_every_request_has_a_seed_of_its_own():
    requests = list(requests_of(["a", "b"], Sampling(samples=50), TEACHER))
    assert len({r.seed for r in requests}) == 100 and all(0 <= r.seed < 2**31 for r in requests)
    assert next(requests_of(["a"], Sampling(seed=None), TEACHER)).seed is None


def test_a_system_message_goes_first_unless_there_is_one():
    assert [m["role"] for m in as_prompt("a", "be brief").messages] == ["system", "user"]
    own = [{"role": "system", "content": "mine"}, {"role": "user", "content": "a"}]
    assert as_prompt(own, "be brief").messages[0]["content"] == "mine"


def test_prompts_from_files(tmp_path):
    text = tmp_path / "p.txt"
    text.write_text("\ufefffirst\n\n  second \n", encoding="utf-8")
    assert list(read_prompts(text)) == ["first", "second"]
    lines = tmp_path / "p.jsonl"
    rows = [{"prompt": "a\u2028b", "label": 1}, {"question": "b", "prompt": "unused"}, "c"]
    lines.write_text("\r\n".join(json.dumps(row, ensure_ascii=False) for row in rows))
    assert list(read_prompts(lines)) == rows
    lines.write_text(json.dumps(rows[1]))
    assert list(read_prompts(lines, "question")) == [{"prompt": "b"}]


def test_a_line_that_is_no_prompt_is_named(tmp_path):
    path = tmp_path / "p.jsonl"
    path.write_text('{"question": "b"}\n{"title": "b"}\n')
    with pytest.raises(ValueError, match=r"p\.jsonl, line 2: the columns are 'title'; expected"):
        read_prompts(path)
    with pytest.raises(ValueError, match="line 1: columns names 'text', which is not there"):
        read_prompts(path, "text")
    path.write_text("{torn\n")
    with pytest.raises(ValueError, match="line 1"):
        read_prompts(path)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (3, "a string, a list of messages"),
        ("", "without content"),
        ([], "a string, a list of messages"),
        ([{"role": "boss", "content": "x"}], "one of system, user"),
        ([{"role": "user", "content": ""}], "Leave empty prompts out"),
        (" \n", "Leave empty prompts out"),
        ([{"role": "user", "content": "\t"}], "Leave empty prompts out"),
        ({"text": "x"}, "got the keys"),
        ({"prompt": "x", "answer": float("nan")}, "nan|JSON"),
        ({"prompt": "x", "answer": object()}, "JSON"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_what_is_no_prompt_is_answered_with_its_number(given, words):
    with pytest.raises((TypeError, ValueError), match=rf"prompt 1: .*({words})"):
        ids(["fine", given])


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"samples": 0}, "samples must be a positive"),
        ({"max_new_tokens": 2.5}, "max_new_tokens must be a positive"),
        ({"temperature": -1}, "temperature must be 0"),
        ({"temperature": float("nan")}, "temperature must be 0"),
        ({"top_p": 0}, "top_p must lie above 0"),
        ({"stop": ("",)}, "stop must be a list of strings"),
        ({"samples": 2, "temperature": 0}, "the same answer each time"),
    ],
    ids=str,
)
def test_settings_that_nobody_could_obey(settings, words):
    with pytest.raises(ValueError, match=words):
        Sampling(**settings)


TWO = ["2 + 2?", "3 + 3?"]


@pytest.mark.parametrize(
    ("name", "raw"),
    [
        ("p.json", b'[\n {"prompt": "2 + 2?"},\n {"prompt": "3 + 3?"}\n]\n'),
        ("p.json", b'["2 + 2?",\n"3 + 3?"]'),
        ("p.csv", b"id,prompt\n1,2 + 2?\n2,3 + 3?\n"),
        ("p.csv", b"id;question\r\n1;2 + 2?\r\n2;3 + 3?\r\n"),
        ("p.tsv", b"prompt\tanswer\n2 + 2?\t4\n3 + 3?\t6\n"),
        ("p.txt", "2 + 2?\n3 + 3?\n".encode("utf-16")),
        ("p.txt", "2 + 2?\n3 + 3?\n".encode("utf-16-be")),
        ("p.jsonl", '{"prompt": "2 + 2?"}\n{"prompt": "3 + 3?"}\n'.encode("utf-16-le")),
        ("p.txt.gz", gzip.compress(b"2 + 2?\n3 + 3?\n", mtime=0)),
        ("p.jsonl.gz", gzip.compress(b'{"query": "2 + 2?"}\n{"instruction": "3 + 3?"}\n', mtime=0)),
    ],
)
def test_what_is_no_list_of_lines_is_not_asked_line_by_line(tmp_path, name, raw):
    (tmp_path / name).write_bytes(raw)
    prompts = [as_prompt(each).messages[0]["content"] for each in read_prompts(tmp_path / name)]
    assert prompts == TWO


@pytest.mark.parametrize(
    ("name", "raw", "words"),
    [
        ("p.md", b"# Title\n\ntext\n", r"p\.md is no list of rows by its ending"),
        ("p.yaml", b"- a\n- b\n", r"p\.yaml is no list of rows"),
        ("p", b"a\nb\n", r"p is no list of rows"),
        ("p.xlsx", b"PK\x03\x04", r"p\.xlsx is no list of rows"),
        ("p.csv", b"PK\x03\x04", r"p\.csv is a zip archive or an Excel file"),
        ("p.txt", b"version https://git-lfs.github.com/spec/v1\noid x\nsize 3\n", "git lfs pull"),
        ("p.parquet", b"version https://git-lfs.github.com/spec/v1\noid x\n", "git lfs pull"),
        ("p.csv", b"id,text\n1,a\n", r"p\.csv, line 2: the columns are 'id', 'text'"),
        ("p.txt", b"fine\nna\xefve\n", r"p\.txt, line 2: the byte 0xef is no text in utf-8"),
        ("p.jsonl", b'{"prompt": "a"}\n{"prompt": "b', r"p\.jsonl, line 2: .*cut short"),
        ("p.txt", b"ab\0cd\nfine and longer\n", r"p\.txt, line 1 holds the character NUL"),
        ("p.json", b'{"data": [{"prompt": "a"}]}', r"p\.json is one object.*under 'data'"),
        ("p.txt", b'{"prompt": "a"}\n{"prompt": "b"}\n', r"p\.txt ends with \.txt.*JSON lines"),
        ("p.txt", b'["a",\n"b"]\n', r"p\.txt ends with \.txt.*a list in JSON"),
        ("p.txt", b'[\n{"prompt": "a"}\n]', r"a list in JSON: name it \.json"),
        ("p.txt", b'id,prompt\n1,"a\nb"\n', r"p\.txt ends with \.txt.*a table: name it \.csv"),
        ("p.txt", b"question;answer\na;b\n", r"a table: name it \.csv"),
        ("p.txt", b"<!doctype html>\n<title>Sign in</title>", r"p\.txt is a web page"),
        ("p.txt", b"version https://hawser.github.com/spec/v1\n", "git lfs pull"),
        ("p.txt", b"/annex/objects/SHA256E-s9--4d.txt\n", "git annex get"),
        ("p.txt", "日本語\n".encode("iso-2022-jp"), r"p\.txt seems to be a text in iso-2022-jp"),
    ],
)
def test_what_cannot_be_read_is_refused_by_name(tmp_path, name, raw, words):
    (tmp_path / name).write_bytes(raw)
    with pytest.raises(ValueError, match=words):
        read_prompts(tmp_path / name)


@pytest.mark.parametrize(
    "text",
    [
        "[1] is a source?",
        "{name} is a pattern?",
        "prompt, answer: what are they?",
        "[one], two",
        "<b> is what?",
        "2 + 2?, 3 + 3?",
    ],
)
def test_a_line_that_only_begins_like_a_row_is_asked_as_it_stands(tmp_path, text):
    path = tmp_path / "p.txt"
    path.write_text(f"{text}\nand {text}\n")
    assert list(read_prompts(path)) == [text, f"and {text}"]


def test_an_answer_that_is_there_already_is_not_shown(tmp_path):
    path = tmp_path / "p.jsonl"
    turns = [{"role": "user", "content": "2 + 2?"}, {"role": "assistant", "content": "4"}]
    talk = [{"from": "human", "value": "2 + 2?"}, {"from": "gpt", "value": "4"}]
    rows = [{"messages": turns}, {"conversations": talk}, {"prompt": "2 + 2?", "completion": "4"}]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    for prompt in map(as_prompt, read_prompts(path)):
        assert list(prompt.messages) == turns[:1] and prompt.about == {"answer": "4"}


def test_a_request_has_the_id_it_always_had():
    """Other ids would ask again for all that older files hold."""
    prompts = [
        "a",
        {"prompt": "é\u2028", "x": 1},
        {"prompt": "half \ud83d"},
        {"prompt": "t", "tools": [{"type": "function", "function": {"name": "f"}}]},
    ]
    sampling = Sampling(samples=2, stop=("x",))
    teacher = {"kind": "served", "model": "mü"}
    ids = [request.id for request in requests_of(prompts, sampling, teacher, "sys")]
    assert ids[:4] == [
        "3edc0f322a8783ab",
        "6d36438dd223b513",
        "8283a0f21d798d3d",
        "0111731f717ef25c",
    ]
    assert ids[6:] == ["9e5c144b68ceb7b6", "2daf35f0a5a44488"]
