"""`distill-lab show`: rows token by token, what is learned marked, what is refused by its line."""

import json

import pytest

from distill_lab import cli
from tests.data.chats import chat

ROWS = [
    {"prompt": "2+2?", "answer": "4", "thinking": "so"},
    {"messages": [{"role": "user", "content": "|│漢\t"}, {"role": "assistant", "content": "é"}]},
    {"prompt": "q", "answer": " "},
    {"messages": [{"role": "user", "content": [{"type": "image"}]}]},
    {"prompt": "a" * 500, "answer": "b" * 500},
]
FIRST = """\
  read  │<|im_start|>│u│s│e│r│\\n│2│+│2│?│<|im_end|>│\\n│<|im_start|>│a│s│s│i│s│t│a│n│t│\\n│
  LEARN │<think>│\\n│s│o│\\n│</think>│\\n│\\n│4│<|im_end|>│
"""


@pytest.fixture
def files(tmp_path):
    chat("chatml").save_pretrained(tmp_path / "model")
    data = tmp_path / "rows.jsonl"
    data.write_text("\n".join(map(json.dumps, ROWS)), encoding="utf-8")
    return data, ["show", str(data), "--tokenizer", str(tmp_path / "model")]


def test_tokens_stand_between_bars_and_what_is_learned_is_marked(files, capsys):
    data, command = files
    assert cli.main([*command, "--rows", "1"]) == 0
    printed = capsys.readouterr().out
    lines = printed.splitlines()
    assert lines[1:3] == FIRST.splitlines() and lines[0].startswith(f"{data}, line 1: ")
    assert lines[-1] == "and 4 more: --rows 5 shows them all"
    learned = lines[2].count("│") - 1
    assert lines[0].endswith(f" {learned} of them learned")
    assert cli.main([*command, "--rows", "1", "--reasoning", "drop"]) == 0
    assert "  LEARN │4│<|im_end|>│" in capsys.readouterr().out


def test_what_cannot_be_seen_is_escaped_and_what_is_refused_has_its_line(files, capsys):
    data, command = files
    assert cli.main([*command, "--rows", "4"]) == 1
    printed = capsys.readouterr().out
    assert (
        r"│|│\u2502│…│…│漢│…│…│\t│<|im_end|>│" in printed and "  LEARN │é│…│<|im_end|>│" in printed
    )
    assert f"{data}, line 3: its answer is empty: it is left out, and counted" in printed
    assert f"{data}, line 4: the last message has to be the assistant's" in printed
    assert cli.main([*command, "--columns", '{"prompt": "no"}']) == 2
    assert "'no'" in capsys.readouterr().err


def test_of_a_long_row_the_middle_is_left_out(files, capsys):
    _, command = files
    assert cli.main([*command, "--tokens", "40"]) == 1
    printed = capsys.readouterr().out
    long = printed[printed.index("line 5") :]
    assert "tokens │" in long and "│ 461 tokens │" in long  # 500 letters and the end, 40 shown
    assert long.count("b│") == 39 and all(len(line) <= 97 for line in long.splitlines())


def test_a_terminal_has_colour_unless_it_is_not_wanted(files, capsys, monkeypatch):
    _, command = files
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.delenv("NO_COLOR", raising=False)
    cli.main([*command, "--rows", "1"])
    printed = capsys.readouterr().out
    assert printed.count("\033[32m  LEARN") == printed.count("\033[0m") == 1
    monkeypatch.setenv("NO_COLOR", "1")
    cli.main([*command, "--rows", "1"])
    assert "\033" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--rows", "0"], "must be 1 or more"),
        (["--template", "x"], "must be JSON such as"),
        (["--columns", "[1]"], "must be JSON such as"),
    ],
)
def test_options_are_checked(files, options, words, capsys):
    with pytest.raises(SystemExit) as exit_:
        cli.main([*files[1], *options])
    assert exit_.value.code == 2 and words in capsys.readouterr().err


def test_a_folder_that_is_not_there_is_named_at_once(files, capsys, tmp_path):
    missing = tmp_path / "nowhere"
    assert cli.main([*files[1][:2], "--tokenizer", str(missing)]) == 2
    assert f"there is no folder {missing}" in capsys.readouterr().err
