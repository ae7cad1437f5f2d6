"""`distill-lab generate`: what it prints, writes and returns."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from distill_lab import cli
from tests.synthesis.http import Backend
from tests.synthesis.tiny import save

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def prompts(tmp_path):
    path = tmp_path / "prompts.txt"
    path.write_text("first\nsecond\nplease say nothing\n")
    return path


def test_help_is_complete(capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(["generate", "--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    for word in (
        "usage: distill-lab generate",
        "--server URL",
        "--model NAME",
        "--local PATH",
        "--samples",
        "--temperature",
        "--top-p",
        "--max-new-tokens",
        "--stop",
        "--seed",
        "--schema",
        "--key-from",
        "--concurrency",
        "--rpm",
        "--tpm",
        "--timeout",
        "--tries",
        "--stream",
        "--price",
        "--again",
        "--batch-size",
        "--plain",
        "examples:",
        "asks nothing twice",
    ):
        assert word in text


def test_a_run_against_a_server_and_the_same_once_more(prompts, tmp_path, capsys):
    out = tmp_path / "answers.jsonl"
    with Backend() as server:
        words = ["generate", str(prompts), str(out), "--server", server.url, "--model", "fake"]
        words += ["--samples", "2", "--temperature", "0.7", "--price", "1000000", "0"]
        assert cli.main(words) == 0
        output = capsys.readouterr()
        assert (
            "4 answers in answers.jsonl; 2 rejected (2 empty); 6 asked now; cost 42" in output.out
        )
        assert "card in answers.card.md" in output.out and output.out.count("\n") == 1
        assert "Warning: fake: whether its licence allows" in output.err
        assert "of 6 answers" in output.err
        assert cli.main(words) == 0
        assert len(server.asked) == 6
    assert "0 asked now" in capsys.readouterr().out
    card = json.loads((tmp_path / "answers.card.json").read_text())
    assert card["prompts"]["source"] == str(prompts) and card["file"]["rows"] == 4


def test_a_model_in_this_process(prompts, tmp_path, capsys):
    folder = save(tmp_path / "teacher")
    schema = tmp_path / "schema.json"
    schema.write_text('{"type": "object"}')
    out = tmp_path / "a.jsonl"
    words = ["generate", str(prompts), str(out), "--local", str(folder), "--max-new-tokens", "80"]
    assert cli.main(words) == 0
    assert cli.main([*words, "--schema", str(schema)]) == 2  # other settings, same file
    assert "made with other settings: schema was None" in capsys.readouterr().err
    words[2] = str(tmp_path / "b.jsonl")
    assert cli.main([*words, "--schema", str(schema)]) == 1  # nothing that could be used
    assert "0 answers in b.jsonl; 3 rejected" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        ([], 2, "name who answers"),
        (["--server", "http://127.0.0.1:1/v1"], 2, "--model NAME"),
        (["--server", "localhost", "--model", "m"], 2, "such as http://localhost:8000/v1"),
        (["--server", "http://127.0.0.1:1/v1", "--model", "m", "--tries", "1"], 1, "Stopped: "),
        (["--server", "http://127.0.0.1:1/v1", "--model", "m", "--samples", "0"], 2, "samples"),
        (["--server", "http://h/v1", "--model", "m", "--key-from", "NO_KEY"], 2, "holds no key"),
        (["--local", "/no/such/model"], 2, "/no/such/model"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_work_is_a_sentence_and_an_exit_code(
    prompts, tmp_path, capsys, change, code, words
):
    assert cli.main(["generate", str(prompts), str(tmp_path / "a.jsonl"), *change]) == code
    output = capsys.readouterr().err
    assert words in output and "Traceback" not in output


def test_no_prompts_and_no_such_file(tmp_path, capsys):
    empty = tmp_path / "empty.txt"
    empty.write_text("\n")
    words = ["--server", "http://127.0.0.1:1/v1", "--model", "m"]
    assert cli.main(["generate", str(empty), str(tmp_path / "a.jsonl"), *words]) == 2
    assert "empty.txt is empty: expected at least one row" in capsys.readouterr().err
    assert cli.main(["generate", str(tmp_path / "x.txt"), str(tmp_path / "a.jsonl"), *words]) == 2
    assert "x.txt: check the path" in capsys.readouterr().err


@pytest.mark.slow
def test_ctrl_c_says_how_to_go_on_and_the_same_command_does(tmp_path):
    """A real interrupt, in the middle of a run."""
    out, prompts = tmp_path / "a.jsonl", tmp_path / "p.txt"
    prompts.write_text("\n".join(f"question {i}" for i in range(60)))
    with Backend() as server:
        server.delay = 0.2
        words = [sys.executable, "-m", "distill_lab.cli", "generate", str(prompts), str(out)]
        words += ["--server", server.url, "--model", "fake", "--concurrency", "2"]
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        run = subprocess.Popen(words, env=environment, stderr=subprocess.PIPE, text=True)
        end = time.monotonic() + 60
        while time.monotonic() < end and not (out.exists() and out.stat().st_size):
            time.sleep(0.02)
        run.send_signal(signal.SIGINT)
        _, output = run.communicate(timeout=60)
        assert run.returncode == 130 and "The same command goes on where it stopped" in output
        assert "Traceback" not in output
        kept = len(out.read_text().splitlines())
        server.delay = 0
        done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and 0 < kept < 60
    assert f"60 answers in a.jsonl; {60 - kept} asked now" in done.stdout


@pytest.mark.parametrize("words", [["--seed", "x"], ["--extra", "{"], ["--price", "1"]])
def test_what_is_not_understood_exits_2(words, prompts, tmp_path):
    with pytest.raises(SystemExit) as stop:
        cli.main(["generate", str(prompts), str(tmp_path / "a.jsonl"), *words])
    assert stop.value.code == 2
