"""Exam files: every check, every mistake with its line, and a world's test judged as it judges."""

import csv
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
        ({"answer": "x^2", "check": "mathematical"}, r"\boxed{x \cdot x}", "2x"),
        ({"answer": "B", "check": "choice", "letters": "ABCD"}, "**B)** Paris", "A or B"),
        ({"answer": ["a", "b"], "check": "listed"}, "Answer: b and a", "a"),
        ({"answer": "2024-04-03", "check": "date", "day_first": True}, "3/4/2024", "4/3/2024"),
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
        "line 2: the columns are 'answer'; expected",
        "line 3: the check 'exact' needs the right \"answer\"",
        "line 4: check must be one of exact, numeric, mathematical, label",
        "line 5: there is no entry 'tolerance' with the check 'exact'",
        "line 6: its own answer 'seven' does not pass its check: what is kept under",
        "line 7: its own answer 'c' does not pass its check: names 0 of the labels",
        "line 8: not a regular expression",
        "line 9: regex needs a list of patterns",
        "line 10: expected an object, got",
        "line 11: this is not JSON: Expecting property name",
    )
    for line, words in zip(lines, expected, strict=True):
        assert words in line, line


def test_no_file_and_no_question(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"the exam: there is no file .*: check the path"):
        read_exam(tmp_path / "exam.jsonl")
    (tmp_path / "exam.jsonl").write_text("\n")
    with pytest.raises(ValueError, match=r"exam.jsonl is empty: expected at least one row"):
        read_exam(tmp_path / "exam.jsonl")


SOLVED = [
    {"question": "How many?", "answer": "3 + 4 is 7\n#### 7", "topic": "sums"},
    {"question": "And now?", "answer": "10 - 2\n#### 8", "topic": "sums"},
]


@pytest.mark.parametrize("ending", ["jsonl", "json", "csv", "tsv"])
def test_ones_own_file_is_an_exam_with_one_way_to_verify(tmp_path, ending):
    """GSM8K's form: other columns, a worked solution whose number is the right answer."""
    path = tmp_path / f"test.{ending}"
    if ending == "jsonl":
        write(path, *SOLVED)
    elif ending == "json":
        path.write_text(json.dumps(SOLVED))
    else:
        with open(path, "w", newline="") as file:
            table = csv.DictWriter(file, SOLVED[0], delimiter=",\t"[ending == "tsv"])
            table.writeheader()
            table.writerows(SOLVED)
    first, second = read_exam(path, verify="numeric")
    assert first.messages == [{"role": "user", "content": "How many?"}] and first.answer == "7"
    assert first.judge("it is 7").ok and not first.judge("it is 3").ok and second.judge("8").ok
    assert len(read_exam(path, verify="numeric", most=1)) == 1
    with pytest.raises(ValueError, match="there is no entry"):
        read_exam(path)  # where each row names its check, what it does not know is a mistake


@pytest.mark.parametrize(
    ("row", "options", "right", "wrong"),
    [
        ({"question": "?", "answer": 7}, {"verify": "numeric"}, "7.0", "8"),
        ({"prompt": "?", "answer": 7}, {"verify": "numeric", "tolerance": 0.5}, "8", "12"),
        ({"q": "?", "a": "yes"}, {"verify": "label", "columns": {"prompt": "q", "answer": "a"},
                                  "labels": ["yes", "no"]}, "Yes.", "no"),
        ({"instruction": "?", "input": "x", "output": "b"}, {"verify": "contains"}, "a b c", "abc"),
        ({"prompt": "?", "answer": "b", "check": "contains"}, {"verify": "exact"}, "a b", "a"),
        ({"messages": [{"role": "user", "content": "?"}, {"role": "assistant", "content": "b"}]},
         {"verify": "exact"}, "B", "a"),
        ({"question": "?", "answer": r"so \boxed{12}"}, {"verify": "exact"}, "12", "so"),
    ],
    ids=str,
)  # fmt: skip
def test_shapes_of_rows_and_settings_of_the_verifier(tmp_path, row, options, right, wrong):
    (question,) = read_exam(write(tmp_path / "exam.jsonl", row), **options)
    assert question.messages[-1]["role"] == "user"
    assert question.judge(right).ok and not question.judge(wrong).ok


def test_labels_are_those_of_the_data(tmp_path):
    rows = [{"text": f"t{i}", "label": name} for i, name in enumerate(["up", "down", "up"])]
    columns = {"prompt": "text", "answer": "label"}
    questions = read_exam(write(tmp_path / "a.jsonl", *rows), verify="label", columns=columns)
    assert questions[0].judge("Up!").ok and not questions[0].judge("up or down").ok


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
