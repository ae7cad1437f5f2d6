"""The journal: killed at any moment, written by two at once; nothing lost, nothing twice."""

import json
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from distill_lab.course import journal

# Writes events with a counter until it is killed; says each one after it is on disk.
WRITER = """
import sys
from pathlib import Path
from distill_lab.course.journal import append
n = 0
while True:
    append(Path(sys.argv[1]), {"event": "attempt", "lesson": "11", "who": sys.argv[2], "n": n,
                               "text": "a longer text " * 20})
    print(n, flush=True)
    n += 1
"""


def writer(path: Path, who: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WRITER, str(path), who]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def killed(process: subprocess.Popen[str], seconds: float) -> int:
    """Kill a writer that has begun, after some seconds; return how many events it reported."""
    assert process.stdout is not None
    process.stdout.readline()
    time.sleep(seconds)
    process.kill()
    return 1 + sum(line.endswith("\n") for line in process.communicate()[0].splitlines(True))


def kill_pairs(path: Path, rounds: int) -> None:
    delays = random.Random(0)
    reported = {}
    for n in range(rounds):
        tabs = {f"{n}{tab}": writer(path, f"{n}{tab}") for tab in "ab"}
        for who, process in tabs.items():
            reported[who] = killed(process, delays.uniform(0, 0.03))
    log = journal.read(path)
    assert log.torn == 0  # a line goes to the system by one write
    for who, count in reported.items():
        numbers = [event["n"] for event in log.events if event["who"] == who]
        assert numbers == list(range(len(numbers))), "lost, twice or out of order"
        assert count <= len(numbers) <= count + 1, "the last may have been written and not said"


def test_two_tabs_write_at_once_and_both_are_killed(tmp_path: Path) -> None:
    kill_pairs(tmp_path / "journal.jsonl", 2)


@pytest.mark.exhaustive
def test_fifty_kills_while_writing(tmp_path: Path) -> None:
    kill_pairs(tmp_path / "journal.jsonl", 25)


@pytest.mark.parametrize("cut", [1, 10, 40])
def test_a_line_that_was_cut_short_is_left_out_and_harms_no_other(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "journal.jsonl"
    for n in range(3):
        journal.append(path, {"event": "opened", "lesson": "11", "n": n})
    path.write_bytes(path.read_bytes()[:-cut])
    log = journal.read(path)
    assert [event["n"] for event in log.events] == ([0, 1, 2] if cut == 1 else [0, 1])
    journal.append(path, {"event": "opened", "lesson": "11", "n": 3})
    log = journal.read(path)
    assert [event["n"] for event in log.events][-1] == 3
    assert (len(log.events), log.torn) == ((4, 0) if cut == 1 else (3, 1))


def test_a_short_write_is_an_error_and_not_a_silence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal.os, "write", lambda file, line: len(line) - 1)
    with pytest.raises(OSError, match="only a part of a line"):
        journal.append(tmp_path / "journal.jsonl", {"event": "opened", "lesson": "11"})


def test_what_the_disk_refuses_is_said_and_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(journal, "headless", lambda: False)
    monkeypatch.setenv("DISTILL_LAB_JOURNAL", str(tmp_path))  # a folder
    journal.note("opened", "11")
    assert "could not be written" in capsys.readouterr().err


def test_it_lies_beside_the_own_copy_and_headless_runs_write_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DISTILL_LAB_JOURNAL", raising=False)
    (tmp_path / "my").mkdir()
    monkeypatch.chdir(tmp_path / "my")
    assert journal.journal_path() is None
    (tmp_path / "my" / journal.COPY).write_text("{}")
    path = tmp_path / "my" / "journal.jsonl"
    assert journal.journal_path() == path
    journal.note("opened", "11")
    assert not path.exists(), "pytest is headless"
    monkeypatch.setattr(journal, "headless", lambda: False)
    journal.note("opened", "11")
    assert json.loads(path.read_text())["lesson"] == "11"


def test_a_line_of_another_kind_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_text('[1]\n{"event": "opened", "lesson": "11"}\n{"half": 1}\n\n')
    assert (len(journal.read(path).events), journal.read(path).torn) == (1, 2)
    assert journal.read(tmp_path / "none") == journal.Log()
