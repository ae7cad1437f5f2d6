"""The mutants still apply, their tests exist, the table is up to date; and the runner can fail."""

import ast
import json
import subprocess
import sys

import pytest

from tests.mutants import numbers, table
from tests.mutants.catalogue import MUTANTS
from tests.mutants.mutant import ROOT, DoesNotApplyError, Mutant
from tests.mutants.run import Result
from tests.mutants.table import HERE

NAMES = [mutant.id for mutant in MUTANTS]
each = pytest.mark.parametrize("mutant", MUTANTS, ids=NAMES)


def test_there_are_enough_of_them_and_no_two_share_a_name():
    assert len(MUTANTS) == len(set(NAMES)) >= 30
    assert sum(bool(mutant.seen) for mutant in MUTANTS) >= 30  # met in the wild


@each
def test_it_applies_is_still_python_and_does_something(mutant):
    source = (ROOT / "distill_lab" / mutant.file).read_text(encoding="utf-8")
    assert ast.dump(ast.parse(mutant.mutated())) != ast.dump(ast.parse(source))
    assert mutant.mistake.endswith(".") and len(mutant.mistake) < 120


@each
def test_its_test_and_its_figure_exist(mutant):
    file, name = mutant.test.split("::")
    tree = ast.parse((ROOT / "tests" / file).read_text(encoding="utf-8"))
    functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    assert name.split("[")[0] in functions
    assert not mutant.measure or getattr(numbers, mutant.measure).__doc__


def test_source_that_moved_on_is_said():
    gone = Mutant("gone", "", "", "models/hooks.py", "no such words in the file", "", "")
    with pytest.raises(
        DoesNotApplyError, match=r"gone does not apply.*found 0 times in models/hooks.py"
    ):
        gone.mutated()
    twice = Mutant("twice", "", "", "models/hooks.py", "def ", "", "")
    with pytest.raises(DoesNotApplyError, match="expected once"):
        twice.mutated()


def test_the_table_is_that_of_these_mutants():
    rows = json.loads((HERE / "table.json").read_text(encoding="utf-8"))
    written = [(row["id"], row["mistake"], row["seen"], row["right"], row["wrong"]) for row in rows]
    now = [(m.id, m.mistake, m.seen, m.before, m.after) for m in MUTANTS]
    assert written == now, "write it again: make mutants ARGS=--table"
    assert all(row["outcome"] == "killed" for row in rows)
    text = (HERE / "TABLE.md").read_text(encoding="utf-8")
    assert f"{len(rows)} of {len(rows)} mutants killed" in text


def test_one_row_is_written_and_the_others_stay(tmp_path):
    first, second, third = (
        Mutant(name, "A.", "", "models/hooks.py", "a", "b", "t") for name in "abc"
    )
    order = ["a", "b", "c"]
    table.write([Result(first, "killed"), Result(third, "killed")], {}, order, tmp_path)
    table.write([Result(second, "survived")], {}, order, tmp_path)
    rows = json.loads((tmp_path / "table.json").read_text(encoding="utf-8"))
    outcomes = [(row["id"], row["outcome"]) for row in rows]
    assert outcomes == [("a", "killed"), ("b", "survived"), ("c", "killed")]
    assert "2 of 3 mutants killed" in (tmp_path / "TABLE.md").read_text(encoding="utf-8")
    table.write([], {}, ["a", "c"], tmp_path)  # what is no mutant any more has no row
    assert len(json.loads((tmp_path / "table.json").read_text(encoding="utf-8"))) == 2


SHAM = """
import sys
from tests.mutants.mutant import Mutant
from tests.mutants.run import report

TEST = "models/test_hooks.py::test_hooks_are_gone_afterwards"
FILE = "models/hooks.py"
LINE = "            handle.remove()\\n"
sys.exit(report([
    Mutant("real", "", "", FILE, LINE, "            pass\\n", TEST),
    Mutant("does-nothing", "", "", FILE, LINE, LINE + "            # removed\\n", TEST),
    Mutant("does-not-apply", "", "", FILE, "no such words", "", TEST),
    Mutant("cannot-be-imported", "", "", FILE, LINE, "            (\\n", TEST),
    Mutant("falls-over", "", "", FILE, LINE, "            nonsense()\\n", TEST),
][:MANY], jobs=1, fork=FORK))
"""
OUTCOMES = {
    "real": "killed",
    "does-nothing": "survived",
    "does-not-apply": "does not apply",
    "cannot-be-imported": "broken",
    "falls-over": "broken",
}


@pytest.mark.slow
@pytest.mark.parametrize(
    "fork",
    [True, pytest.param(False, marks=pytest.mark.exhaustive)]
    if sys.platform == "linux"
    else [False],
)
def test_only_a_failed_assertion_kills(fork):
    many = 5 if fork else 3  # without fork each imports everything anew
    code = SHAM.replace("FORK", str(fork)).replace("MANY", str(many))
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 1, done.stderr
    *lines, last = done.stdout.splitlines()
    outcomes = {
        name: line.split(f" {name} ")[0].strip()
        for line in lines
        for name in OUTCOMES
        if f" {name} " in line
    }
    assert outcomes == dict(list(OUTCOMES.items())[:many])
    assert last == f"1 of {many} mutants killed"
