"""What is on disk after anything: cut lines, two writers, a full disk, other settings."""

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from distill_lab._util.jsonl import line_of, read_rows
from distill_lab.synthesis.journal import Journal

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = {"teacher": {"model": "m"}, "temperature": 0.7, "schema": None}


def rows(number):
    return [{"id": f"{i:016x}", "answer": f"é\u2028{i}"} for i in range(number)]


def fill(path, number):
    with Journal(path, SETTINGS) as journal:
        for row in rows(number):
            journal.answer(row)


def test_cut_at_any_byte_the_last_line_is_lost_and_nothing_else(tmp_path):
    whole_path = tmp_path / "whole.jsonl"
    fill(whole_path, 3)
    complete_file = whole_path.read_bytes()
    settings = (tmp_path / "whole.settings.json").read_bytes()
    ends = [i + 1 for i, byte in enumerate(complete_file) if byte == 10]
    for size in range(len(complete_file)):
        folder = tmp_path / str(size)
        folder.mkdir()
        path = folder / "a.jsonl"
        path.write_bytes(complete_file[:size])
        (folder / "a.settings.json").write_bytes(settings)
        complete = sum(end - 1 <= size for end in ends)  # its line end alone may be missing
        with Journal(path, SETTINGS) as journal:
            assert len(journal.rows) == complete
            for row in rows(3)[complete:]:
                journal.answer(row)
        assert path.read_bytes() == complete_file
        torn = folder / "a.torn.txt"
        start = max([0, *(end for end in ends if end <= size)])
        if complete_file[start:size] and size + 1 not in ends:
            assert torn.read_bytes() == complete_file[start:size] + b"\n"
        else:
            assert not torn.exists()


def test_a_line_broken_in_the_middle_is_not_passed_over(tmp_path):
    path = tmp_path / "a.jsonl"
    fill(path, 3)
    lines = path.read_bytes().split(b"\n")
    path.write_bytes(b"\n".join([lines[0], lines[1][:9], lines[2], b""]))
    with pytest.raises(ValueError, match=r"a\.jsonl, line 2 is not a JSON object"):
        Journal(path, SETTINGS)
    with Journal(tmp_path / "b.jsonl", SETTINGS):
        pass  # and the lock of the first was let go


@pytest.mark.slow
def test_only_one_process_writes(tmp_path):
    path = tmp_path / "a.jsonl"
    script = textwrap.dedent(
        """
        import sys
        from distill_lab.synthesis.journal import Journal
        try:
            Journal(sys.argv[1], {"teacher": {"model": "m"}, "temperature": 0.7, "schema": None})
        except BlockingIOError as error:
            print(error)
        """
    )
    with Journal(path, SETTINGS):
        done = subprocess.run(
            [sys.executable, "-c", script, str(path)],
            capture_output=True,
            text=True,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            timeout=60,
        )
    assert f"process {os.getpid()} is writing a.jsonl" in done.stdout


def test_other_settings_are_refused_by_name(tmp_path):
    path = tmp_path / "a.jsonl"
    fill(path, 1)
    other = SETTINGS | {"temperature": 0.8, "teacher": {"model": "n"}}
    with pytest.raises(ValueError) as error:
        Journal(path, other)
    assert "temperature was 0.7 and is now 0.8" in str(error.value)
    assert "teacher model was 'm' and is now 'n'" in str(error.value)
    assert "Give the old ones to go on, or choose another path" in str(error.value)
    (tmp_path / "a.settings.json").unlink()
    with pytest.raises(ValueError, match="nobody knows how it was made"):
        Journal(path, SETTINGS)


@pytest.mark.slow
def test_a_full_disk_leaves_whole_lines(tmp_path):
    """The system itself refuses to write more, in the middle of a line."""
    path = tmp_path / "a.jsonl"
    fill(path, 2)
    before = path.read_bytes()
    script = textwrap.dedent(
        """
        import resource, signal, sys
        from distill_lab.synthesis.journal import Journal
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        size = int(sys.argv[2]) + 90
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
        settings = {"teacher": {"model": "m"}, "temperature": 0.7, "schema": None}
        try:
            with Journal(sys.argv[1], settings) as journal:
                journal.answer({"id": "e" * 16, "answer": "fits"})
                journal.answer({"id": "f" * 16, "answer": "x" * 99})
        except OSError as error:
            print(error)
        """
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(path), str(len(before))],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        timeout=60,
    )
    assert "free some space and start again" in done.stdout, done.stderr
    fits = line_of({"id": "e" * 16, "answer": "fits"})
    assert path.read_bytes() == before + fits


def test_what_was_answered_later_is_no_longer_rejected(tmp_path):
    path = tmp_path / "a.jsonl"
    with Journal(path, SETTINGS) as journal:
        journal.reject({"id": "1", "kind": "failed", "reason": "gone"})
        journal.reject({"id": "2", "kind": "empty", "reason": "no text"})
    with Journal(path, SETTINGS) as journal:
        journal.answer({"id": "1", "answer": "x"})
        assert list(journal.rejected) == ["2"]
    with Journal(path, SETTINGS) as journal:
        assert list(journal.rows) == ["1"] and list(journal.rejected) == ["2"]
    assert len((tmp_path / "a.rejected.jsonl").read_text().splitlines()) == 2  # nothing is erased


def test_text_that_is_none_is_written_all_the_same(tmp_path):
    path = tmp_path / "a.jsonl"
    with Journal(path, SETTINGS) as journal:
        journal.answer({"id": "1", "answer": "half a pair \ud83d"})
    assert read_rows(path)[0]["answer"] == "half a pair ?"


def test_rows_out_and_in(tmp_path):
    path = tmp_path / "r.jsonl"
    path.write_bytes(b"".join(map(line_of, rows(3))))
    assert read_rows(path) == rows(3)
    with path.open("ab") as file:
        file.write(b'{"id": "cut sh')
    assert read_rows(path) == rows(3)
    with pytest.raises(FileNotFoundError, match="check the path"):
        read_rows(tmp_path / "none.jsonl")
    with pytest.raises(OSError, match="choose another path"):
        Journal("/proc/none/r.jsonl", SETTINGS)
    assert json.loads(path.read_bytes().splitlines()[0])["answer"] == "é\u20280"
