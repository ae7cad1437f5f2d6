"""Prompts in every form people have them, and names for requests that never change by accident."""

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
        {"max_tokens": 9},
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
    assert read_prompts(text) == ["first", "second"]
    lines = tmp_path / "p.jsonl"
    rows = [{"prompt": "a\u2028b", "label": 1}, {"question": "b", "prompt": "unused"}, "c"]
    lines.write_text("\r\n".join(json.dumps(row, ensure_ascii=False) for row in rows))
    assert read_prompts(lines) == rows
    lines.write_text(json.dumps(rows[1]))
    assert read_prompts(lines, "question") == [{"prompt": "b"}]


def test_a_line_that_is_no_prompt_is_named(tmp_path):
    path = tmp_path / "p.jsonl"
    path.write_text('"a"\n{"question": "b"}\n')
    with pytest.raises(ValueError, match=r"p\.jsonl, line 2: .*\"prompt\" or \"messages\""):
        read_prompts(path)
    with pytest.raises(ValueError, match="line 1: it has no entry 'text'"):
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
        ({"max_tokens": 2.5}, "max_tokens must be a positive"),
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
