"""The reader's own copy: made once, never overwritten, started again by a command."""

import os
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest

from distill_lab.course import journal
from distill_lab.course.lab import jupyter, own_copy
from distill_lab.course.lessons import RunnerError

NOTEBOOK = '{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5, "words": "%s"}'
DAY = date(2026, 11, 28)


def lesson(root: Path, name: str, words: str) -> None:
    """Write a lesson with a notebook, an experiment and a test."""
    folder = root / "notebooks" / f"lesson_{name[:2]}"
    folder.mkdir(parents=True, exist_ok=True)
    (root / "notebooks" / f"{name}.ipynb").write_text(NOTEBOOK % words)
    (folder / "experiments.py").write_text(f"WORDS = {words!r}\n")
    (folder / "test_lesson.py").write_text("")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "distill_lab").mkdir()
    lesson(tmp_path, "00_start", "first")
    lesson(tmp_path, "11_soft", "first")
    return tmp_path


def test_it_is_made_once_and_never_overwritten(root: Path) -> None:
    assert own_copy.prepare(root) == []
    mine = root / "my" / "11_soft.ipynb"
    assert "first" in mine.read_text()
    mine.write_text("my own words")
    assert own_copy.prepare(root) == []  # the reader's own changes are no news
    assert mine.read_text() == "my own words"
    assert not (root / "my/lesson_11/test_lesson.py").exists()


def test_a_lesson_of_the_copy_imports_its_own_folder(root: Path) -> None:
    own_copy.prepare(root)
    code = "from lesson_11.experiments import WORDS; print(WORDS)"
    variables = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root / "my", env=variables, capture_output=True, text=True
    )
    assert done.stdout.strip() == "first", done.stderr


def test_a_new_lesson_is_added(root: Path) -> None:
    own_copy.prepare(root)
    lesson(root, "12_temperature", "new")
    assert own_copy.prepare(root) == []
    assert "new" in (root / "my" / "12_temperature.ipynb").read_text()


@pytest.mark.parametrize("part", ["notebook", "folder"])
def test_a_lesson_that_changed_is_named_and_kept(root: Path, part: str) -> None:
    own_copy.prepare(root)
    notebooks = root / "notebooks"
    file = {"notebook": "11_soft.ipynb", "folder": "lesson_11/experiments.py"}[part]
    (notebooks / file).write_text("changed")
    (sentence,) = own_copy.prepare(root)
    assert "Lesson 11 has changed" in sentence and "--start-again 11" in sentence
    assert "first" in (root / "my" / file).read_text()
    (notebooks / "lesson_11/test_lesson.py").write_text("a test is no part of the copy")
    assert len(own_copy.prepare(root)) == 1


def test_starting_again_keeps_the_earlier_copy_under_its_date(root: Path) -> None:
    own_copy.prepare(root)
    mine = root / "my" / "11_soft.ipynb"
    for words in ("my first", "my second"):
        mine.write_text(words)
        own_copy.start_again(root, "11", DAY)
        assert "first" in mine.read_text() and "my" not in mine.read_text()
    earlier = root / "my" / "earlier"
    assert (earlier / "2026-11-28" / "11_soft.ipynb").read_text() == "my first"
    assert (earlier / "2026-11-28-2" / "11_soft.ipynb").read_text() == "my second"
    assert (earlier / "2026-11-28" / "lesson_11" / "experiments.py").is_file()
    events = journal.read(root / "my" / "journal.jsonl").events
    assert [(e["event"], e["lesson"]) for e in events] == [("start-again", "11")] * 2


def test_a_lesson_that_is_not_there_is_refused_in_words(root: Path) -> None:
    with pytest.raises(RunnerError, match="Expected the number"):
        own_copy.start_again(root, "99")


def test_the_command(root: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.chdir(root)
    monkeypatch.setattr("distill_lab.course.lessons.PACKAGE", root / "distill_lab")
    assert jupyter.launch(start_again=["11"]) == 0
    assert "Lesson 11 is fresh again" in capsys.readouterr().out
    assert jupyter.launch(start_again=["99"]) == 1
    assert "Expected the number" in capsys.readouterr().err
    monkeypatch.setattr(own_copy, "write_whole", refuse)
    assert jupyter.launch(start_again=["11"]) == 1
    assert "could not be made" in capsys.readouterr().err


def refuse(path: Path, raw: bytes) -> None:
    raise PermissionError(f"{path} is not yours")
