"""The tiers of tests, what GitHub runs, and what runs before a commit, as their files say it."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.projection import Measured, of_tests

ROOT = Path(__file__).resolve().parents[1]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small project with our settings: a lesson's folder, a browser, a slow test."""
    folder = tmp_path_factory.mktemp("project")
    for name in ("conftest.py", "pyproject.toml"):
        shutil.copy(ROOT / name, folder / name)
    (folder / "tests" / "browser").mkdir(parents=True)
    (folder / "tests" / "browser" / "lab.py").write_text(
        "import pytest\n\n\n@pytest.fixture\ndef lab(browser_path): ...\n", encoding="utf-8"
    )
    lesson = folder / "notebooks" / "lesson_99"
    lesson.mkdir(parents=True)
    for name, minutes in (("98_short", 10), ("99_long", 90)):
        text = f'{{"metadata": {{"distill_lab": {{"minutes": {minutes}}}}}}}'
        (folder / "notebooks" / f"{name}.ipynb").write_text(text)
    (lesson / "test_lesson.py").write_text(
        "def test_quick(): pass\ndef test_moves(lab): pass\n", encoding="utf-8"
    )
    (folder / "tests" / "test_lessons.py").write_text(
        "import pytest\n\n\n@pytest.mark.lesson\n"
        '@pytest.mark.parametrize("name", ["98_short", "99_long"])\n'
        "def test_runs(name): pass\n\n\n"
        "@pytest.mark.exhaustive\ndef test_hundred(): pass\n",
        encoding="utf-8",
    )
    return folder


def collected(project: Path, expression: str) -> list[str]:
    """The tests of this project that a tier runs, in their order."""
    words = ["--collect-only", "-q", "-o", "addopts=--strict-markers --import-mode=importlib"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *words, "tests", "notebooks", "-m", expression],
        cwd=project,
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return re.findall(r"::(\S+)$", done.stdout.replace("\\", "/"), flags=re.MULTILINE)


def expression(target: str) -> str:
    """The markers that a target of the Makefile names."""
    (line,) = re.findall(rf"^{target}:.*\n\t@\$\(TESTS\)(.*)$", MAKEFILE, flags=re.MULTILINE)
    return line.removeprefix(" -m ").strip('"')


def test_a_new_lessons_tests_join_by_lying_in_its_folder(project: Path) -> None:
    assert collected(project, expression("check")) == ["test_quick"]


def test_make_test_runs_the_longest_lesson_first_and_nothing_exhaustive(project: Path) -> None:
    names = ["test_runs[99_long]", "test_runs[98_short]", "test_quick", "test_moves"]
    assert collected(project, expression("test")) == names


def test_make_test_all_runs_every_test_and_every_mutant(project: Path) -> None:
    assert expression("test-all") == "" and re.search(r"^test-all:.* mutants", MAKEFILE, re.M)
    assert len(collected(project, "")) == 5


def test_a_projection_lets_what_belongs_to_lessons_grow(tmp_path: Path) -> None:
    cases = [
        ("tests.notebooks.test_lessons", "test_the_lesson_passes[11_soft_targets]", 40),
        ("notebooks.lesson_11.test_lesson", "test_its_figure", 10),
        ("tests.notebooks.test_solutions", "test_right[12_temperature: Exercise 1: soften]", 30),
        ("tests.losses.test_laws", "test_equal[11-4]", 20),
    ]
    rows = [f'<testcase classname="{c}" name="{n}" time="{t}"/>' for c, n, t in cases]
    xml = tmp_path / "test.xml"
    xml.write_text(f'<testsuites><testsuite time="60">{"".join(rows)}</testsuite></testsuites>')
    run = of_tests(xml, workers=2)
    assert run == Measured(60.0, 20.0, {"11": 50.0, "12": 30.0}, 2)
    assert run.at(2) == 60.0  # as it was measured
    assert run.at(30) == 60.0 + 28 * 40.0 / 2


@pytest.mark.slow
@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_keeps_the_schema(path: Path) -> None:
    command = [sys.executable, "-m", "check_jsonschema"]
    command += ["--builtin-schema", "vendor.github-workflows", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout


def test_github_tests_three_pythons_and_smokes_the_other_systems() -> None:
    text = (ROOT / ".github/workflows/tests.yml").read_text(encoding="utf-8")
    jobs = yaml.safe_load(text)["jobs"]
    assert jobs["linux"]["strategy"]["matrix"]["python"] == ["3.11", "3.12", "3.13"]
    assert {"run": ".ci/run"} in jobs["linux"]["steps"]
    smoke = jobs["smoke"]
    assert smoke["strategy"]["matrix"]["os"] == ["macos-latest", "windows-latest"]
    commands = [step["run"] for step in smoke["steps"] if "run" in step]
    assert not [command for command in commands if "make" in command or "bin/" in command]
    assert {"uv run distill-lab doctor", "uv run distill-lab run 00"} <= set(commands)


@pytest.mark.slow
def test_the_hooks_before_a_commit_pass_on_what_is_here() -> None:
    """As pre-commit would call them, with this Python in place of `uv run python`."""
    settings = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    (repo,) = settings["repos"]
    assert repo["repo"] == "local"  # nothing is fetched
    hooks = {hook["id"]: hook for hook in repo["hooks"]}
    assert set(hooks) == {"ruff", "ruff-format", "nbstripout", "lessons"}
    for hook in hooks.values():
        assert hook["language"] == "system"
        command = hook["entry"].split()
        assert command[:3] == ["uv", "run", "python"]
        file = "notebooks/00_start_here.ipynb" if "files" in hook else "tests/test_tiers.py"
        assert re.search(hook.get("files", ""), file)
        done = subprocess.run(
            [sys.executable, *command[3:], file], cwd=ROOT, capture_output=True, timeout=120
        )
        assert done.returncode == 0, (hook["id"], done.stdout[-2000:])


@pytest.mark.slow
def test_the_hooks_notice_what_they_are_for(tmp_path: Path) -> None:
    lesson = next((ROOT / "notebooks").glob("00_*.ipynb"))
    text = lesson.read_text(encoding="utf-8")
    ran = tmp_path / lesson.name
    ran.write_text(text.replace('"execution_count": null', '"execution_count": 7', 1))
    assert ran.read_text() != text
    command = [sys.executable, "-m", "nbstripout", "--verify", "--keep-id", str(ran)]
    assert subprocess.run(command, capture_output=True, timeout=60).returncode != 0
