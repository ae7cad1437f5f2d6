"""Recall: what is due comes first, wrong answers come back, headless the choice is fixed."""

from datetime import date, timedelta
from pathlib import Path

import pytest

from distill_lab.course import journal, recall
from distill_lab.course.journal import Log
from distill_lab.course.lessons import LessonFile, all_lessons
from distill_lab.course.records import collect

TODAY = date(2026, 11, 28)
ROOT = Path(__file__).resolve().parents[2]
ROW = """[[question]]
id = "{id}"
question = "Which of {id}?"
options = ["one", "two", "three"]
answer = "two"
why = "Because."
"""


@pytest.fixture
def lessons(tmp_path: Path) -> list[LessonFile]:
    """Three lessons with two questions each."""
    made = []
    for number in ("00", "11", "12"):
        folder = tmp_path / f"lesson_{number}"
        folder.mkdir()
        rows = [ROW.format(id=f"{number}.{letter}") for letter in "ab"]
        (folder / "recall.toml").write_text("\n".join(rows))
        made.append(LessonFile(f"{number}_x", tmp_path / f"{number}_x.ipynb"))
    return made


def answers(*rows: tuple[str, bool, int]) -> Log:
    """A journal of answers: id, right, days ago."""
    return Log(
        tuple(
            {
                "event": "recalled",
                "lesson": id[:2],
                "id": id,
                "right": right,
                "time": f"{TODAY - timedelta(days=days)}T10:00:00+00:00",
            }
            for id, right, days in rows
        )
    )


def ids(questions: list[recall.Question]) -> list[str]:
    return [question.id for question in questions]


def test_without_a_journal_the_choice_is_fixed_and_of_all_lessons_before(lessons) -> None:
    assert ids(recall.choose(lessons, Log(), TODAY)) == ["12.a", "11.a", "00.a"]
    assert ids(recall.choose(lessons[:1], Log(), TODAY)) == ["00.a", "00.b"]
    assert recall.choose([], Log(), TODAY) == []


@pytest.mark.parametrize(
    ("log", "days"),
    [
        ((("11.a", False, 0),), 0),  # wrong: again at once
        ((("11.a", True, 0),), 1),
        ((("11.a", True, 5), ("11.a", True, 0)), 3),
        ((("11.a", True, 5), ("11.a", True, 4), ("11.a", True, 0)), 7),
        ((("11.a", True, 5), ("11.a", True, 4), ("11.a", False, 2)), -2),  # back in the first box
        (tuple(("11.a", True, 9 - n) for n in range(10)), 21),  # the last box is the last
        ((("11.b", True, 0),), None),
    ],
)
def test_the_pause_grows_with_every_right_answer(lessons, log, days) -> None:
    (question, _) = recall.questions_of(lessons[1].folder)
    day = recall.due(answers(*log), question)
    assert day == (None if days is None else TODAY + timedelta(days=days))


def test_what_is_due_comes_first_then_what_is_new_and_wrong_ones_come_back(lessons) -> None:
    log = answers(("12.a", True, 0), ("00.b", False, 1), ("11.b", True, 9))
    assert (
        ids(recall.choose(lessons, log, TODAY, n=6))
        == [
            "00.b",  # wrong yesterday
            "11.b",  # its pause is over
            "11.a",
            "00.a",
            "12.b",
            "12.a",  # right today: it rests
        ]
        or ids(recall.choose(lessons, log, TODAY, n=6))[:2] == ["11.b", "00.b"]
    )


def test_the_record_is_the_question_and_the_answer(lessons, capsys) -> None:
    with collect() as records:
        recall.show(lessons, TODAY)
    assert [record["id"] for record in records] == ["12.a", "11.a", "00.a"]
    assert set(records[0]) == {"kind", "id", "question", "options", "answer", "why", "choice"}
    assert sorted(records[0]["options"]) == ["one", "three", "two"]
    recall.show(lessons, TODAY)
    assert "options:" in capsys.readouterr().out


def test_the_answer_has_no_fixed_place(lessons) -> None:
    places = {
        question.options.index(question.answer)
        for lesson in lessons
        for question in recall.questions_of(lesson.folder)
    }
    assert len(places) > 1


def test_live_the_first_answer_counts_and_is_kept(lessons, monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("DISTILL_LAB_JOURNAL", str(tmp_path / "journal.jsonl"))
    for module in (recall, journal):
        monkeypatch.setattr(module, "headless", lambda: False)
    (question, _) = recall.questions_of(lessons[1].folder)
    asked = recall._Asked(question)
    with collect() as records:
        asked.show()
        asked.buttons.value = "one"
        asked.buttons.value = "two"
    assert asked.buttons.value == asked.choice == records[-1]["choice"] == "one"
    events = journal.read(tmp_path / "journal.jsonl").events
    assert [(e["event"], e["lesson"], e["id"], e["right"]) for e in events] == [
        ("recalled", "11", "11.a", False)
    ]


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ('why = "Because."', "", "it needs answer, id, options, question, why"),
        ('why = "Because."', 'why = " "', "it needs"),
        ('id = "11.a"', 'id = "12.a"', "must begin with the number of its lesson"),
        ('answer = "two"', 'answer = "four"', "one the answer"),
        ('"one", "two"', '"two", "two"', "two or more different options"),
        ('id = "11.b"', 'id = "11.a"', "an id of its own"),
        ("[[question]]", "[[question", "is not TOML"),
    ],
)
def test_a_question_that_cannot_be_asked_is_refused_in_words(lessons, old, new, sentence) -> None:
    path = lessons[1].folder / "recall.toml"
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(ValueError, match=sentence):
        recall.questions_of(lessons[1].folder)


@pytest.mark.parametrize("lesson", all_lessons(ROOT), ids=lambda lesson: lesson.name)
def test_the_questions_of_the_course_can_be_asked(lesson: LessonFile) -> None:
    questions = recall.questions_of(lesson.folder)
    assert len(questions) >= 4 or not (lesson.folder / "recall.toml").exists()
