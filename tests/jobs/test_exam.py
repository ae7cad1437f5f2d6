"""Exam files: every check, every mistake with its line, and a world's test judged as it judges."""

import json
import random

import pytest

from distill_lab.course import worlds
from distill_lab.jobs.exam import read_exam


def write(path, *lines):
    path.write_text("\n".join(map(json.dumps, lines)) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("line", "right", "wrong"),
    [
        ({"answer": "Oslo"}, "It is far. Answer: oslo.", "Rome"),
        ({"answer": ["Oslo", "Kristiania"], "check": "exact"}, "Kristiania", "Oslo or Rome"),
        ({"answer": 1234, "check": "numeric"}, "so 1,234", "1,235"),
        ({"answer": 3.14, "check": "numeric", "tolerance": 0.01}, "about 3.15", "about 3.3"),
        ({"answer": "no", "check": "label", "labels": ["yes", "no"]}, "No!", "yes and no"),
        ({"answer": "in Oslo", "check": "contains"}, "He lived in Oslo then.", "in Oslofjord"),
        (
            {"check": "regex", "require": ["oslo|bergen"], "refuse": [r"\bnot\b"], "max_words": 3},
            "In  Bergen.",
            "not in Oslo",
        ),
    ],
    ids=lambda value: value.get("check", "exact") if isinstance(value, dict) else "",
)
def test_each_check_tells_right_from_wrong(tmp_path, line, right, wrong):
    (question,) = read_exam(write(tmp_path / "exam.jsonl", {"prompt": "where?"} | line))
    assert question.messages == [{"role": "user", "content": "where?"}]
    assert question.judge(right).ok
    verdict = question.judge(wrong)
    assert not verdict.ok and verdict.reason


def test_a_regex_counts_words_and_takes_no_empty_answer(tmp_path):
    line = {"prompt": "q", "check": "regex", "require": ["^"], "max_words": 2}
    (question,) = read_exam(write(tmp_path / "exam.jsonl", line))
    assert question.judge("two words").ok
    assert not question.judge("now three words").ok and not question.judge(" \n").ok


def test_every_mistake_is_named_with_its_line(tmp_path):
    path = write(
        tmp_path / "exam.jsonl",
        {"prompt": "fine", "answer": "a"},
        {"answer": "a"},
        {"prompt": "q"},
        {"prompt": "q", "answer": "a", "check": "exakt"},
        {"prompt": "q", "answer": "a", "tolerance": 1},
        {"prompt": "q", "answer": "seven", "check": "numeric"},
        {"prompt": "q", "answer": "c", "check": "label", "labels": ["a", "b"]},
        {"prompt": "q", "check": "regex", "require": ["("]},
        {"prompt": "q", "check": "regex"},
        ["q"],
    )
    path.write_text(path.read_text() + "{torn\n")
    with pytest.raises(ValueError) as error:
        read_exam(path)
    lines = str(error.value).splitlines()
    expected = (
        'line 2: a prompt in a dict stands under "prompt"',
        "line 3: the check 'exact' needs the right \"answer\"",
        "line 4: check must be one of exact, numeric, label",
        "line 5: there is no entry 'tolerance' with the check 'exact'",
        "line 6: its own answer 'seven' does not pass its check: what is kept under",
        "line 7: its own answer 'c' does not pass its check: names 0 of the labels",
        "line 8: not a regular expression",
        "line 9: regex needs a list of patterns",
        'line 10: expected {"prompt"',
        "line 11: Expecting property name",
    )
    for line, words in zip(lines, expected, strict=True):
        assert words in line, line


def test_no_file_and_no_question(tmp_path):
    with pytest.raises(FileNotFoundError, match="check the path of task"):
        read_exam(tmp_path / "exam.jsonl")
    (tmp_path / "exam.jsonl").write_text("\n")
    with pytest.raises(ValueError, match="asks nothing"):
        read_exam(tmp_path / "exam.jsonl")


def variations(task, others, chance):
    """Right answers, wrong ones, and right ones spoilt in the ways that models spoil them."""
    yield from (task.answer, task.target, *task.accepted)
    yield from (other.target for other in others)
    for text in (task.answer, task.target, *chance.choices(others, k=3)):
        text = text if isinstance(text, str) else text.target
        words = text.split(" ")
        yield from (
            text.upper() + "!",
            f"  {text}\n",
            text + " .",
            f"Answer: {text}",
            "the " + text,
        )
        yield from (
            f"{text} {text}",
            f"{text} 7",
            text + " shells",
            f"answer is {text}",
            text + ",",
        )
        yield from (
            " ".join(words[:-1]),
            " ".join(words[1:]),
            " ".join(chance.sample(words, len(words))),
        )
        yield text.replace("1", "2")
        yield "".join(chance.sample(text, len(text)))
    yield from ("", " ", ".", "answer", "-0", "0", "00" + task.answer, f"-{task.answer}")


@pytest.mark.parametrize("name", worlds.NAMES)
def test_a_worlds_exam_judges_as_the_world_does(tmp_path, name):
    path, chance, n_right = tmp_path / "exam.jsonl", random.Random(0), 0
    tasks = worlds.load(name).test(60, seed=3)
    assert worlds.write_exam(name, path, n=60, seed=3) == 60
    questions = read_exam(path)
    assert [q.messages[0]["content"] for q in questions] == [task.prompt for task in tasks]
    n_all = 0
    for task, question in zip(tasks, questions, strict=True):
        for text in variations(task, chance.choices(tasks, k=8), chance):
            right = task.check.verdict(text).right
            assert question.judge(text).ok == right, (task, text)
            n_right, n_all = n_right + right, n_all + 1
    assert 60 < n_right < n_all / 2  # both kinds, many of each


def test_an_exam_from_the_command_line(tmp_path, capsys):
    from distill_lab.course.worlds.exams import main

    out = tmp_path / "exams" / "nli.jsonl"
    assert main(["nli", str(out), "--n", "5", "--seed", "1"]) == 0
    assert "5 questions in" in capsys.readouterr().out and len(read_exam(out)) == 5
