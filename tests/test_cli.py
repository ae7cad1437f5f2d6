"""The command line: help, exit codes, and the arguments each command hands on."""

import os
import signal
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from distill_lab import __version__, cli
from distill_lab.course import ledger


def stand_in(monkeypatch: pytest.MonkeyPatch, name: str, **functions: Any) -> None:
    """Put a module of `functions` in the place of `distill_lab.course.<name>`."""
    path = f"distill_lab.course.{name}"
    import_module(path)  # a stand-in for nothing would let the real one run
    module = ModuleType(path)
    vars(module).update(functions)
    room, _, last = path.rpartition(".")
    monkeypatch.setitem(sys.modules, path, module)
    monkeypatch.setattr(import_module(room), last, module)


def test_help_names_every_command_and_shows_examples(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main(["--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    for word in ("lab", "run", "claims", "doctor", "examples:", "--profile full"):
        assert word in text


def test_no_command_at_all_prints_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([]) == 0
    assert "usage: distill-lab" in capsys.readouterr().out


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_end_is_an_interruption_and_the_handlers_come_back(
    number: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """SIGTERM is what Slurm and Kubernetes send; by default it would end the process at once."""
    before = signal.getsignal(number)
    monkeypatch.setattr(cli.show_command, "run", lambda args: os.kill(os.getpid(), number))
    assert cli.main(["show", "rows.jsonl", "--tokenizer", "folder"]) == cli.INTERRUPTED
    assert "Interrupted." in capsys.readouterr().err
    assert signal.getsignal(number) is before


@pytest.mark.parametrize("command", ["lab", "run", "claims", "doctor"])
def test_each_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main([command, "--help"])
    assert stop.value.code == 0
    assert f"usage: distill-lab {command}" in capsys.readouterr().out


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["--version"])
    assert capsys.readouterr().out == f"distill-lab {__version__}\n"


@pytest.mark.parametrize(
    ("words", "remedy"),
    [
        (["train"], "invalid choice"),
        (["run", "--profile", "fast"], "'quick', 'full', 'hub'"),
        (["run", "--jobs", "0"], "whole number from 1 up"),
        (["run", "--jobs", "two"], "whole number from 1 up"),
        (["run", "--timeout", "-3"], "seconds above 0"),
        (["run", "--timeout", "nan"], "seconds above 0"),
        (["run", "--timeout", "soon"], "seconds above 0"),
        (["run", "--seed", "x"], "invalid int value"),
        (["lab", "--port", "99999"], "to 65535"),
        (["lab", "--port", "http"], "to 65535"),
        (["claims", "--xml"], "unrecognized arguments"),
    ],
    ids=" ".join,
)
def test_what_is_not_understood_exits_2_and_says_why(
    words: list[str], remedy: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main(words)
    assert stop.value.code == 2
    output = capsys.readouterr().err
    assert remedy.replace("'", "") in output.replace("'", "")


def test_run_hands_everything_on(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, Any] = {}

    def run_course(names: list[str], **options: Any) -> int:
        seen.update(options, names=names)
        return 1

    stand_in(monkeypatch, "command", run_course=run_course)
    names = ["11", "12"]
    options = ["--profile", "full", "--jobs", "3", "--timeout", "90", "--out", "o", "--seed", "7"]
    assert cli.main(["run", *names, *options, "--force"]) == 1
    assert seen == {
        "names": names,
        "profile": "full",
        "jobs": 3,
        "timeout": 90.0,
        "out": "o",
        "force": True,
        "seed": 7,
    }


def test_claims_hands_everything_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def print_claims(out: str, as_json: bool = False) -> int:
        return 0 if (out, as_json) == ("o", True) else 9

    stand_in(monkeypatch, "claims_table", print_claims=print_claims)
    assert cli.main(["claims", "--out", "o", "--json"]) == 0


def test_lab_hands_everything_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def launch(port: int | None, browser: bool, start_again: list[str]) -> int:
        return 0 if (port, browser, start_again) == (0, False, ["11", "12"]) else 9

    stand_in(monkeypatch, "lab.jupyter", launch=launch)
    lessons = ["--start-again", "11", "--start-again", "12"]
    assert cli.main(["lab", "--port", "0", "--no-browser", *lessons]) == 0


def test_an_interrupt_is_not_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def main() -> int:
        raise KeyboardInterrupt

    stand_in(monkeypatch, "lab.doctor", main=main)
    assert cli.main(["doctor"]) == 130
    assert "Interrupted" in capsys.readouterr().err


def test_a_reader_that_stops_early_sees_no_traceback(root: Path, tmp_path: Path) -> None:
    claims = [{"id": f"00.claim-{i}", "says": "so " * 99, "verdict": "holds"} for i in range(400)]
    entry = {"status": "passed", "profile": "quick", "seed": 0, "when": "", "title": "a lesson"}
    ledger.store(tmp_path, "00_start_here", entry, claims)
    command = f'"{sys.executable}" -m distill_lab.cli claims --out "{tmp_path}" | head -1'
    done = subprocess.run(command, shell=True, cwd=root, capture_output=True, text=True)
    assert done.stdout.count("\n") == 1 and not done.stderr


def test_without_the_extra_the_remedy_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def launch(port: int | None, browser: bool, start_again: list[str]) -> int:
        raise ModuleNotFoundError("No module named 'jupyterlab.labapp'", name="jupyterlab.labapp")

    stand_in(monkeypatch, "lab.jupyter", launch=launch)
    assert cli.main(["lab"]) == 1
    output = capsys.readouterr().err
    assert "jupyterlab" in output and "distill-lab[lab]" in output


def test_a_fault_of_ours_is_not_disguised_as_a_missing_extra(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def main() -> int:
        raise ModuleNotFoundError("No module named 'distill_lab.oops'", name="distill_lab.oops")

    stand_in(monkeypatch, "lab.doctor", main=main)
    with pytest.raises(ModuleNotFoundError):
        cli.main(["doctor"])


def test_outside_a_checkout_lab_says_where_the_lessons_are(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from distill_lab.course import lessons

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(lessons, "PACKAGE", tmp_path / "site-packages" / "distill_lab")
    assert cli.main(["lab"]) == 1
    assert "notebooks" in capsys.readouterr().err
