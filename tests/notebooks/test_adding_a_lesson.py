"""Who adds a lesson touches its notebook and its folder: everything else finds it."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from tests.notebooks.small_lesson import CLAIM, small_lesson

ROOT = Path(__file__).resolve().parents[2]
COPIED = (
    "README.md",
    "conftest.py",
    "distill_lab",
    "docs/make_figures.py",
    "notebooks",
    "pyproject.toml",
    "requirements.lock",
    "tests/__init__.py",
    "tests/browser/lab.py",
    "tests/notebooks",
)
NAME, TITLE = "99_small", "A small lesson"
DOUBLE = """def my_double(x):
    return 2 * x
"""
EXERCISES = '''"""The exercise of lesson 99."""

from distill_lab.course.check.exercise import Exercise, Mistake

mistakes = tuple(Mistake(f"It is {n} x.", lambda x, n=n: n * x) for n in (0, 1, 3, 4, 5))
double = Exercise(
    "double", "2 x", lambda x: 2 * x, ({"x": 1.5}, {"x": 2.0}), (), mistakes, number_is_fine=True
)
EXERCISES = {"double": double}
'''


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what a lesson meets, with one lesson more: a notebook and a folder."""
    copy = tmp_path_factory.mktemp("checkout")
    ignored = shutil.ignore_patterns("__pycache__", "runs", ".ipynb_checkpoints")
    for name in COPIED:
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, copy / name, ignore=ignored)
        else:
            shutil.copy(ROOT / name, copy / name)
    (copy / "data").symlink_to(ROOT / "data")
    nb = small_lesson(NAME)
    nb.metadata["distill_lab"]["title"] = TITLE
    for cell in nb.cells:  # its first exercise is its own, the others are shared
        if "Exercise 1" in cell.source:
            cell.source = cell.source.split("```python")[0] + f"```python\n{DOUBLE}```\n</details>"
            following = nb.cells[nb.cells.index(cell) + 1]
            following.source = "def my_double(x):\n    ...\n\ncheck.double(my_double)"
    nbformat.write(nb, copy / "notebooks" / f"{NAME}.ipynb")
    folder = copy / "notebooks" / "lesson_99"
    folder.mkdir()
    (folder / "exercises.py").write_text(EXERCISES, encoding="utf-8")
    (folder / "claims.toml").write_text(CLAIM.replace("11.a", "99.a"), encoding="utf-8")
    (folder / "test_lesson.py").write_text(
        "from lesson_99.exercises import double\n\n\n"
        "def test_double():\n    assert double.reference(2) == 4\n",
        encoding="utf-8",
    )
    return copy


def python(checkout: Path, *arguments: str, folder: str = ".") -> str:
    """Run Python in the copy, with the copy's package; returns what it printed."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=checkout / folder,
        env={**os.environ, "PYTHONPATH": str(checkout), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=240,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_the_runner_runs_it_and_the_course_map_and_the_readme_show_it(checkout: Path) -> None:
    printed = python(checkout, "-m", "distill_lab.cli", "run", "99")
    assert "99_small  passed" in printed
    ledger = json.loads((checkout / "build/course/claims.json").read_text(encoding="utf-8"))
    assert [claim["id"] for claim in ledger["claims"]] == ["99.a"]
    course_map = (checkout / "build/course/index.html").read_text(encoding="utf-8")
    assert f'<a href="99_small.html">{TITLE}</a>' in course_map
    python(checkout, "docs/make_figures.py", "table")
    (row,) = (x for x in (checkout / "README.md").read_text("utf-8").splitlines() if TITLE in x)
    assert row.startswith(
        "| [99 · A small lesson](notebooks/99_small.ipynb) | soften | 45 | One is"
    )


@pytest.mark.slow
def test_the_table_of_lesson_00_shows_it(checkout: Path) -> None:
    code = "from distill_lab.course import Lesson; Lesson('00_start_here').course_table()"
    assert f"99 {TITLE} (45 minutes): soften" in python(checkout, "-c", code, folder="notebooks")


def test_the_lint_reads_it(checkout: Path) -> None:
    lint = ("-m", "distill_lab.course.lint.shape")
    python(checkout, *lint, f"notebooks/{NAME}.ipynb")
    claims = checkout / "notebooks/lesson_99/claims.toml"
    before = claims.read_text(encoding="utf-8")
    claims.write_text(before + CLAIM.replace("11.a", "99.b"), encoding="utf-8")
    with pytest.raises(AssertionError, match=r"claims\.toml registers the claims"):
        python(checkout, *lint, f"notebooks/{NAME}.ipynb")
    claims.write_text(before, encoding="utf-8")


@pytest.mark.slow
def test_its_solutions_its_mistakes_and_its_own_test_are_tested(checkout: Path) -> None:
    tests = ("tests/notebooks/test_solutions.py", "tests/notebooks/test_exercises.py")
    options = ("-q", "-p", "no:cacheprovider", "-k", "99", "-rA")
    printed = python(checkout, "-m", "pytest", *options, *tests, "notebooks/lesson_99")
    for line in (
        "test_the_solution_is_right[99_small: Exercise 1: soften]",
        "test_the_stub_is_not_attempted_yet[99_small: Exercise 1: soften]",
        "test_a_known_mistake_is_named[lesson_99: double-4]",
        "test_lesson.py::test_double",
    ):
        assert f"{line}\n" in printed, printed
