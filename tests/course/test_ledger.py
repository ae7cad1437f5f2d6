"""The ledger on disk and on the terminal."""

import io
import json
import math
import sys
import threading
from pathlib import Path

import pytest

from distill_lab.course import ledger, wording
from distill_lab.course.claims_table import print_claims

sys.path.append(str(Path(__file__).parent))
from tiny_ledger import ENTRY, fill, record


def test_a_run_of_one_lesson_keeps_the_others(tmp_path: Path) -> None:
    fill(tmp_path)
    ledger.store(tmp_path, "11_soft", {**ENTRY, "seed": 7}, [record("11.c")])
    kept = ledger.load(tmp_path)
    assert [claim["id"] for claim in kept["claims"]] == ["11.c", "12.a"]
    assert kept["lessons"]["11_soft"]["seed"] == 7
    assert kept["lessons"]["12_temp"]["status"] == "failed"


def test_two_runs_into_one_folder_lose_nothing(tmp_path: Path) -> None:
    def add(number: int) -> None:
        for i in range(5):
            ledger.store(tmp_path, f"{number}_{i}", ENTRY, [record(f"{number}.{i}")])

    threads = [threading.Thread(target=add, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ledger.load(tmp_path)["lessons"]) == len(ledger.load(tmp_path)["claims"]) == 30


def test_a_lesson_whose_notebook_is_gone_is_forgotten_but_not_one_run_by_path(
    tmp_path: Path,
) -> None:
    fill(tmp_path)
    ledger.store(tmp_path, "mine", {**ENTRY, "course": False}, [])
    ledger.prune(tmp_path, {"12_temp"})
    kept = ledger.load(tmp_path)
    assert set(kept["lessons"]) == {"12_temp", "mine"}
    assert [claim["id"] for claim in kept["claims"]] == ["12.a"]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"version": 0}'])
def test_a_damaged_ledger_counts_as_empty(tmp_path: Path, text: str) -> None:
    (tmp_path / "claims.json").write_text(text, encoding="utf-8")
    assert ledger.load(tmp_path) == {"version": 1, "lessons": {}, "claims": []}


def test_a_figure_that_is_not_finite_becomes_null(tmp_path: Path) -> None:
    ledger.store(tmp_path, "11_soft", ENTRY, [record("11.a", mean=math.nan, low=-math.inf)])
    text = (tmp_path / "claims.json").read_text("utf-8")
    assert "NaN" not in text and "Infinity" not in text
    assert json.loads(text)["claims"][0]["mean"] is None


@pytest.mark.parametrize("columns", [60, 80, 110, 200])
def test_the_table_wraps_to_the_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    fill(tmp_path)
    monkeypatch.setenv("COLUMNS", str(columns))
    stream = io.StringIO()
    assert print_claims(tmp_path, stream=stream) == 0
    text = stream.getvalue()
    assert max(len(line) for line in text.splitlines()) <= min(max(columns, 76), 150)
    joined = " ".join(text.split())
    for expected in ("11 Soft targets", "9 of 10", "[-4.00, -1.00]", "did not pass"):
        assert expected in joined, joined
    assert "3 claims: 1 holds, 1 does not hold here, 1 cannot be resolved here" in text


def test_limits_are_marked_where_the_line_breaks_or_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path)
    monkeypatch.setenv("COLUMNS", "150")
    stream = io.StringIO()
    print_claims(tmp_path, stream=stream)
    below = stream.getvalue().split("12 Temperature")[1]
    assert "[a limit]" in below and "[a limit]" not in stream.getvalue().split("12 Temperature")[0]


def test_json_is_the_ledger_itself(tmp_path: Path) -> None:
    fill(tmp_path)
    stream = io.StringIO()
    assert print_claims(tmp_path, as_json=True, stream=stream) == 0
    assert json.loads(stream.getvalue()) == ledger.load(tmp_path)


def test_without_a_ledger_a_sentence_says_what_to_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert print_claims(tmp_path / "none") == 1
    output = capsys.readouterr()
    assert output.out == "" and "make course" in output.err and str(tmp_path) in output.err


def test_counts_in_words() -> None:
    assert wording.count_words([]) == ""
    assert wording.count_words([record("a"), record("b")]) == "2 claims: 2 hold"
    assert wording.count_words([record("a", "?")]) == "1 claim: 1 with an unknown verdict"


def test_an_interval_without_figures_is_not_given() -> None:
    assert wording.interval({"mean": None}) == "not given"
    assert (
        wording.interval({"mean": 1.03, "low": None, "unit": "of the limit"}) == "1.03 of the limit"
    )
    equal = {"mean": 0.0, "low": 0.0, "high": 0.0, "n": 5}
    assert wording.interval(equal) == "0, the same in all five seeds"
