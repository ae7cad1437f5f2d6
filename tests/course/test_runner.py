"""One small broken notebook for every failure the runner must catch, and a good one that passes."""

import contextlib
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import nbformat
import psutil
import pytest

from distill_lab.course import lessons, machine
from distill_lab.course.command import run_course
from distill_lab.course.lessons import read_lesson
from distill_lab.course.pages import write_lesson
from distill_lab.course.runner import process, progress, run_lessons, schedule
from distill_lab.course.runner.findings import Ending, examine
from distill_lab.course.runner.fingerprint import fingerprint, surroundings
from distill_lab.course.runner.outcome import Plan
from distill_lab.course.runner.source import check_parameters

sys.path.append(str(Path(__file__).parent))
from tiny_notebooks import OPEN, PARAMETERS, claim, notebook

pytestmark = pytest.mark.slow

REPOSITORY = Path(__file__).resolve().parents[2]

# What a broken notebook holds, the kind of the one finding it must give, words it must say.
CALLBACK = """import ipywidgets as widgets
out = widgets.Output()
slider = widgets.IntSlider(description="T")
def redraw(change):
    with out:
        raise KeyError("no such temperature")
slider.observe(redraw, "value")
display(widgets.VBox([slider, out]))
slider.value = 5"""
BROKEN: dict[str, tuple[list[str], dict[str, Any], str, list[str]]] = {
    "callback": (
        [CALLBACK],
        {},
        "error in a widget callback",
        ["KeyError", "cell 4 of 5", "import"],
    ),
    "misspelt": (
        [],
        {"parameters": "PROFLIE = 'quick'\nSEED = 0"},
        "misspelt parameter",
        ["PROFILE"],
    ),
    "no_parameters": ([], {"parameters": None}, "parameters cell", ["found 0"]),
    "killed": (
        ["import os, signal\nos.kill(os.getpid(), signal.SIGKILL)"],
        {},
        "kernel died",
        ["cell 4 of 5", "--jobs 1"],
    ),
    "raises": (
        ["1 / 0", "2"],
        {"claims": ["1.a"]},
        "cell raised",
        ["ZeroDivisionError", "cell 4 of 6"],
    ),
    "not_opened": ([], {"opened": OPEN.rsplit("\n", 1)[0]}, "lesson not opened", ["Lesson("]),
}
# Faults that stop nothing, all in one notebook: a cell each, if any, the kind, words it must say.
FAULTS: dict[str, tuple[list[str], str, list[str]]] = {
    "verdict": ([claim(verdict="true")], "unknown verdict", ["'true'", "1.a", "cell 4 of 10"]),
    "unregistered": ([claim("1.z")], "claim unregistered", ["1.z"]),
    "missing_claim": ([], "claim missing", ["1.b"]),
    "expect": (
        ["show('expect', text='both agree', ok=False, seen='0.3')"],
        "expect failed",
        ["both agree", "0.3", "cell 6 of 10"],
    ),
    "exercise": (
        ["show('check', exercise='kd_loss', state='wrong', findings=['T² is missing'])"],
        "exercise wrong",
        ["kd_loss", "T² is missing"],
    ),
    "warns": (["import warnings\nwarnings.warn('mind the gap')"], "warning", ["mind the gap"]),
    "fetches": (
        ["md:![a figure](https://example.org/figure.png)"],
        "page needs the network",
        ["https://example.org/figure.png"],
    ),
    "formula": (["md:The loss $\\nosuchcommand{x}$."], "formula not drawn", ["nosuchcommand"]),
    "wrong_profile": ([], "wrong profile", ["'quick'", "'full'"]),
    "not_closed": ([], "lesson not closed", ["lesson.close()"]),
}
FAULTY: dict[str, Any] = {
    "claims": ["1.a", "1.b"],
    "opened": OPEN.replace("profile=PROFILE", "profile='full'"),
    "closed": "",
}
STUCK = {"stuck_cell": ["print('begun', flush=True)\nimport time\ntime.sleep(120)", "2"]}
SLOW = ["print('begun', flush=True)", "import time\ntime.sleep(120)"]


class Outcome(NamedTuple):
    code: int
    printed: str
    out: Path
    folder: Path

    def entry(self, name: str) -> dict[str, Any]:
        return json.loads((self.out / "claims.json").read_text("utf-8"))["lessons"][name]

    def executed(self, name: str) -> nbformat.NotebookNode:
        return nbformat.read(self.out / f"{name}.ipynb", as_version=4)


def _run(names: list[Path], out: Path, **options: Any) -> tuple[int, str]:
    """run_course with what it printed, as if nobody edited the package meanwhile."""
    printed = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(printed):
        patch.setattr(schedule, "surroundings", lambda root: "same")
        code = run_course(names, out=out, **options)
    return code, printed.getvalue()


def _kernels(folder: Path) -> list[psutil.Process]:
    """Processes of ours that still run in `folder`; kernels run where their notebook lies."""
    running_there = []
    for running in psutil.process_iter():
        try:
            if running.cwd() == str(folder) and running.status() != psutil.STATUS_ZOMBIE:
                running_there.append(running)
        except psutil.Error:
            continue
    return running_there


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """All broken notebooks and a good one in one run, side by side."""
    folder = tmp_path_factory.mktemp("with a space") / "lessons"
    names = [notebook(folder / f"{name}.ipynb", *cells) for name, cells in STUCK.items()]
    names += [notebook(folder / f"{n}.ipynb", *c, **how) for n, (c, how, _, _) in BROKEN.items()]
    faults = [cell for cells, _, _ in FAULTS.values() for cell in cells]
    names.append(notebook(folder / "faulty.ipynb", *faults, **FAULTY))
    names.append(
        notebook(
            folder / "good.ipynb",
            claim(),
            "show('expect', text='fine', ok=True, seen='')",
            "show('check', exercise='blank', state='not attempted', findings=[])",
            "import os\nos.getcwd(), [os.environ[n] for n in "
            "('OMP_NUM_THREADS', 'DISTILL_LAB_HEADLESS', 'DISTILL_LAB_CORES')]",
            "raise ValueError('shown on purpose')",
            "import warnings\nwarnings.warn('shown on purpose')",
            claims=["1.a"],
            tags={4: ["raises-exception"], 5: ["shows-warning"]},
        )
    )
    (folder / "torn.ipynb").write_text('{"cells": [', encoding="utf-8")
    out = folder.parent / "out"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(machine, "cores", lambda: 5)
        code, printed = _run([*names, folder / "torn.ipynb"], out, jobs=2, cell_timeout=15)
    return Outcome(code, printed, out, folder)


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_notebook_gives_its_one_finding(broken: Outcome, name: str) -> None:
    _, _, kind, words = BROKEN[name]
    entry = broken.entry(name)
    assert entry["status"] == "failed"
    assert [finding["kind"] for finding in entry["findings"]] == [kind]
    for word in words:
        assert word in entry["findings"][0]["sentence"]
    assert entry["findings"][0]["sentence"] in broken.printed


@pytest.mark.parametrize("name", FAULTS)
def test_each_of_many_faults_is_found(broken: Outcome, name: str) -> None:
    _, kind, words = FAULTS[name]
    findings = broken.entry("faulty")["findings"]
    (sentence,) = (finding["sentence"] for finding in findings if finding["kind"] == kind)
    assert sentence in broken.printed
    for word in words:
        assert word in sentence
    assert len(findings) == len(FAULTS), "nothing else is found"


def test_the_run_fails_when_one_lesson_does(broken: Outcome) -> None:
    assert broken.code == 1


def test_a_good_lesson_passes(broken: Outcome) -> None:
    assert broken.entry("good")["findings"] == []
    assert 0.5 < broken.entry("good")["cpu_seconds"] < 60
    assert re.search(r"good +passed in \d+ s; \d+ of 60 CPU-s; 1 claim: 1 holds", broken.printed)
    assert re.search(r"beside its budget:\n(.*\n)*  good +\d+ of 60 CPU-s\n", broken.printed)
    assert broken.entry("good")["status"] == "passed"
    text = str(broken.executed("good").cells)
    assert "['1', '1', '2']" in text and str(broken.folder) in text  # two share five cores


def test_findings_name_the_cell_as_the_author_counts(broken: Outcome) -> None:
    nb = nbformat.read(broken.folder / "raises.ipynb", as_version=4)
    sentence = broken.entry("raises")["findings"][0]["sentence"]
    assert f"cell 4 of 6 (id {nb.cells[3]['id']}, `1 / 0`)" in sentence


def test_a_cell_over_its_limit_fails_although_papermill_says_completed(broken: Outcome) -> None:
    finding = broken.entry("stuck_cell")["findings"]
    assert [f["kind"] for f in finding] == ["cell time limit"]
    assert "cell 4 of 6" in finding[0]["sentence"] and "15 s" in finding[0]["sentence"]
    cells = broken.executed("stuck_cell").cells
    assert "begun" in str(cells[4].outputs), "what the stuck cell had printed is kept"
    assert [cell.metadata.papermill.status for cell in cells[4:]] == [
        "failed",
        "pending",
        "pending",
    ]


def test_the_partial_notebook_is_kept_and_named(broken: Outcome) -> None:
    for name in ("raises", "killed", "stuck_cell"):
        assert str(broken.out / f"{name}.ipynb") in broken.printed
        assert broken.executed(name).cells[3].outputs, "cells before the failure keep their outputs"
        assert "did not pass" in (broken.out / f"{name}.html").read_text("utf-8")


def test_an_unreadable_notebook_is_a_finding(broken: Outcome) -> None:
    assert broken.entry("torn")["findings"][0]["kind"] == "unreadable notebook"
    assert "restore the file" in broken.entry("torn")["findings"][0]["sentence"]


def test_no_kernel_is_left_and_nothing_half_written(broken: Outcome) -> None:
    assert _kernels(broken.folder) == []
    assert [path.name for path in broken.out.iterdir() if path.suffix in (".tmp", ".partial")] == []


def test_kept_notebooks_hold_no_path_of_this_machines_temporary_files(broken: Outcome) -> None:
    meta = broken.executed("good").metadata.papermill
    assert meta == {"parameters": {"PROFILE": "quick", "SEED": 0}}


def test_without_a_page_writer_there_are_no_pages(tmp_path: Path) -> None:
    name = notebook(tmp_path / "lessons" / "plain.ipynb")
    assert run_lessons([name], out=tmp_path / "out") == 0
    assert {path.suffix for path in (tmp_path / "out").iterdir()} == {".ipynb", ".json", ""}


def test_claims_that_cannot_be_read_are_a_finding(tmp_path: Path) -> None:
    name = notebook(tmp_path / "lessons" / "odd.ipynb", claims=["1.a"])
    (read_lesson(name).folder / "claims.toml").write_text('["1.a"]\nsays = 3')
    _run([name], tmp_path / "out")
    (finding,) = json.loads((tmp_path / "out" / "claims.json").read_text())["lessons"]["odd"][
        "findings"
    ]
    assert finding["kind"] == "unreadable claims" and "claims.toml" in finding["sentence"]


def test_every_finding_has_a_page_that_fetches_nothing(broken: Outcome) -> None:
    from distill_lab.course.pages import external_loads
    from distill_lab.course.pages.shell import parsed

    pages = {path.stem: path.read_text("utf-8") for path in broken.out.glob("*.html")}
    assert set(BROKEN) | {"faulty", "good", "index", "claims"} <= set(pages)
    assert {name for name, html in pages.items() if external_loads(parsed(html))} == {"faulty"}


def test_an_unchanged_lesson_is_kept_unless_forced(broken: Outcome, tmp_path: Path) -> None:
    out = shutil.copytree(broken.out, tmp_path / "out")
    good = broken.folder / "good.ipynb"
    code, printed = _run([good], out)
    assert code == 0 and re.search(r"unchanged, kept from \d{4}-\d\d-\d\d \d\d:\d\d", printed)
    assert "started" in _run([good], out, force=True)[1]
    assert "started" in _run([good], out, seed=3)[1]
    after = json.loads((out / "claims.json").read_text("utf-8"))
    assert after["lessons"]["good"]["seed"] == 3
    assert set(BROKEN) | {"stuck_cell", "torn"} < set(after["lessons"]), "the others are kept"


def test_what_was_kept_must_be_there_and_of_the_same_sources(
    broken: Outcome, tmp_path: Path
) -> None:
    out = shutil.copytree(broken.out, tmp_path / "out")
    lesson = lessons.read_lesson(broken.folder / "good.ipynb")

    def kept(shared: str = "same", profile: str = "quick") -> str | None:
        plan = Plan([], tmp_path, out, tmp_path, profile, 0, 1.0, 1, shared, write_lesson)
        return plan.kept_since(lesson)

    assert kept()
    assert kept(shared="the package changed") is None
    assert kept(profile="full") is None
    (out / "good.html").unlink()
    assert kept() is None


def test_a_lesson_that_failed_is_run_again(broken: Outcome, tmp_path: Path) -> None:
    out = shutil.copytree(broken.out, tmp_path / "out")
    code, printed = _run([broken.folder / "misspelt.ipynb"], out)
    assert code == 1 and "unchanged" not in printed


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A small checkout: a package, two lessons with a folder each, data and a lock."""
    for path in (
        "pkg/a.py",
        "pkg/s.css",
        "data/x",
        "data/own/y",
        "data/own/z",
        "requirements.lock",
        "notebooks/lesson_41/stories.py",
        "notebooks/lesson_41/claims.toml",
        "notebooks/lesson_43/students.py",
        "notebooks/lesson_43/test_students.py",
    ):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("1")
    notebook(tmp_path / "notebooks/41_models.ipynb", data=["data/own", "data/none"])
    notebook(tmp_path / "notebooks/43_data.ipynb", data=["data/x"])
    return tmp_path


def _marks(root: Path, profile: str = "quick", seed: int = 0) -> dict[str, str]:
    shared = surroundings(root, package=root / "pkg")
    return {
        lesson.number: fingerprint(lesson, shared, root, profile=profile, seed=seed)
        for lesson in lessons.all_lessons(root)
    }


@pytest.mark.parametrize(
    ("path", "reruns"),
    [
        ("pkg/a.py", {"41", "43"}),
        ("pkg/s.css", {"41", "43"}),
        ("pkg/new.py", {"41", "43"}),
        ("requirements.lock", {"41", "43"}),
        ("notebooks/41_models.ipynb", {"41"}),
        ("notebooks/lesson_41/stories.py", {"41"}),
        ("notebooks/lesson_41/claims.toml", {"41"}),
        ("notebooks/lesson_43/students.py", {"43"}),
        ("notebooks/lesson_43/new.py", {"43"}),
        ("notebooks/lesson_43/test_students.py", set()),
        ("data/x", {"43"}),
        ("data/own/z", {"41"}),
        ("data/own/new", {"41"}),
        ("data/none", {"41"}),
        ("data/new", set()),
        ("pkg/__pycache__/a.py", set()),
        ("notebooks/lesson_43/__pycache__/a.pyc", set()),
        ("README.md", set()),
    ],
)
def test_a_change_reruns_the_lessons_it_concerns_and_no_other(
    checkout: Path, path: str, reruns: set[str]
) -> None:
    before = _marks(checkout)
    (checkout / path).parent.mkdir(exist_ok=True)
    with open(checkout / path, "a", encoding="utf-8") as file:
        file.write("# a comment")
    after = _marks(checkout)
    assert {number for number in before if before[number] != after[number]} == reruns


def test_profile_and_seed_belong_to_the_fingerprint(checkout: Path) -> None:
    marks = [_marks(checkout), _marks(checkout, "full"), _marks(checkout, seed=1)]
    assert len({mark["41"] for mark in marks}) == 3


def test_the_time_limit_ends_a_lesson_and_its_kernel(tmp_path: Path) -> None:
    name = notebook(tmp_path / "lessons" / "slow.ipynb", *SLOW)
    code, printed = _run([name], tmp_path / "out", timeout=15)
    result = Outcome(code, printed, tmp_path / "out", name.parent)
    assert code == 1
    (finding,) = result.entry("slow")["findings"]
    assert finding["kind"] == "lesson time limit"
    assert "15 s" in finding["sentence"] and "--timeout" in finding["sentence"]
    assert "cell 5 of 6" in finding["sentence"]
    assert "begun" in str(result.executed("slow").cells)
    assert _kernels(name.parent) == []


RUN = """import sys
from distill_lab.course.runner import run_lessons
sys.exit(run_lessons(sys.argv[1:2], out=sys.argv[2]))"""


def _started(name: Path, out: Path) -> subprocess.Popen[str]:
    """run_lessons in a process of its own, once the kernel of the lesson runs."""
    before = os.environ.get("PYTHONPATH")
    path = os.pathsep.join([str(REPOSITORY), *([before] if before else [])])
    runner = subprocess.Popen(
        [sys.executable, "-c", RUN, str(name), str(out)],
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    deadline = time.monotonic() + 60
    while not (name.parent / "begun").exists():
        assert runner.poll() is None and time.monotonic() < deadline, "the lesson never began"
        time.sleep(0.1)
    assert _kernels(name.parent), "the test must be able to see a kernel"
    return runner


def _gone(folder: Path) -> bool:
    deadline = time.monotonic() + 20
    while _kernels(folder) and time.monotonic() < deadline:
        time.sleep(0.1)
    return not _kernels(folder)


WAIT = ["open('begun', 'w').close()\nimport time\ntime.sleep(120)"]


def test_ctrl_c_ends_everything_and_keeps_no_half(tmp_path: Path) -> None:
    name = notebook(tmp_path / "lessons" / "long.ipynb", *WAIT)
    runner = _started(name, tmp_path / "out")
    os.kill(runner.pid, signal.SIGINT)
    printed, _ = runner.communicate(timeout=30)
    assert runner.returncode == 130, printed
    assert "stopped by Ctrl-C (long)" in printed and "Traceback" not in printed
    assert _gone(name.parent)
    assert not (tmp_path / "out" / "long.ipynb").exists()


def test_a_killed_runner_leaves_no_kernel(tmp_path: Path) -> None:
    name = notebook(tmp_path / "lessons" / "long.ipynb", *WAIT)
    runner = _started(name, tmp_path / "out")
    runner.kill()
    runner.communicate(timeout=30)
    assert _gone(name.parent)


@pytest.mark.parametrize(
    ("names", "options", "words"),
    [
        (["99"], {}, ["99", "01_one, 02_two"]),
        (["nowhere.ipynb"], {}, ["nowhere.ipynb", "01_one"]),
        (["01"], {"profile": "quik"}, ["quick, full or hub", "quik"]),
        (["01"], {"jobs": 0}, ["0", "leave it out"]),
        (["01"], {"timeout": -1}, ["--timeout", "-1"]),
        (["01"], {"seed": "x"}, ["whole number", "'x'"]),
    ],
)
def test_a_request_that_cannot_be_met_is_a_sentence(
    names: list[str],
    options: dict[str, Any],
    words: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "distill_lab").mkdir()
    for name in ("01_one", "02_two"):
        notebook(tmp_path / "notebooks" / f"{name}.ipynb")
    monkeypatch.chdir(tmp_path / "notebooks")
    assert run_lessons(names, **options) == 2
    printed = capsys.readouterr().err
    assert all(word in printed for word in words)
    assert not (tmp_path / "build").exists()


def test_lessons_are_found_by_number_name_and_path(tmp_path: Path) -> None:
    for name in ("00_start", "11_soft", "12_temperature"):
        notebook(tmp_path / "notebooks" / f"{name}.ipynb", title=f"About {name}")
    course = lessons.all_lessons(tmp_path)
    chosen = lessons.select(["12", "11_soft", str(tmp_path / "notebooks/00_start.ipynb")], course)
    assert [lesson.name for lesson in chosen] == ["12_temperature", "11_soft", "00_start"]
    assert lessons.select([], course) == course
    assert course[1].number == "11" and course[1].title == "About 11_soft"


def test_no_lessons_anywhere_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lessons, "PACKAGE", tmp_path / "site" / "distill_lab")
    with pytest.raises(lessons.RunnerError, match="cloned repository"):
        lessons.find_root(tmp_path)


def test_parameters_must_be_exactly_the_two(tmp_path: Path) -> None:
    def kinds(source: str | None) -> list[str]:
        path = notebook(tmp_path / "n.ipynb", parameters=source)
        return [f.kind for f in check_parameters(nbformat.read(path, as_version=4))]

    assert kinds(PARAMETERS) == []
    assert kinds(PARAMETERS + "\nEPOCHS = 3") == ["misspelt parameter"]
    assert kinds("PROFILE = 'quick'") == ["misspelt parameter"]
    assert kinds("PROFILE = pick()\nSEED = 0") == ["misspelt parameter"]
    assert kinds("PROFILE = ") == ["parameters cell"]


def test_a_completed_run_with_a_cell_not_executed_does_not_pass(tmp_path: Path) -> None:
    nb = nbformat.read(notebook(tmp_path / "n.ipynb", opened="", closed=""), as_version=4)
    findings = examine(nb, Ending("completed"), registered=[], profile="quick", seed=0)
    assert "cell not run" in [finding.kind for finding in findings]


def test_a_process_that_breaks_is_a_finding(tmp_path: Path) -> None:
    nb = nbformat.read(notebook(tmp_path / "n.ipynb"), as_version=4)
    ending = Ending("broke", None, "RuntimeError: no kernel")
    (finding,) = examine(nb, ending, registered=["1.a"], profile="quick", seed=0)
    assert finding.kind == "process failed" and "distill-lab doctor" in finding.sentence


def test_lessons_run_on_this_python_whatever_kernels_the_user_has(tmp_path: Path) -> None:
    env = process.environment(tmp_path, 2)
    spec = json.loads(
        (Path(env["JUPYTER_PATH"]) / "kernels/python3/kernel.json").read_text("utf-8")
    )
    assert spec["argv"][0] == sys.executable
    assert env["PYTHONPATH"].split(os.pathsep)[0] == str(REPOSITORY)
    assert env["DISTILL_LAB_CORES"] == "2"


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_on_a_terminal_rewrites_its_lines() -> None:
    now = [0.0]
    stream = _Terminal()
    shown = progress.Progress(stream, ["11_a", "12_b"], clock=lambda: now[0])
    shown.started("11_a")
    shown.started("12_b")
    now[0] = 3.0
    shown.cell("11_a", 4, 48, "Why T squared")
    assert "11_a     3 s  cell 4/48    Why T squared" in stream.getvalue()
    assert "\x1b[2A\x1b[J" in stream.getvalue(), "two lines are taken back before two are drawn"
    shown.finished("11_a", "passed in 3 s")
    last = stream.getvalue().rsplit("\x1b[J", 1)[1]
    assert last.splitlines() == ["11_a  passed in 3 s", "12_b     3 s  starting"]


def test_progress_elsewhere_is_plain_and_rare() -> None:
    now = [0.0]
    stream = io.StringIO()
    shown = progress.Progress(stream, ["11_a"], clock=lambda: now[0])
    shown.started("11_a")
    for second in range(45):
        now[0] = float(second)
        shown.cell("11_a", second + 1, 48, "Why")
    lines = stream.getvalue().splitlines()
    assert lines[0] == "11_a  started" and len(lines) == 3
    assert "\x1b" not in stream.getvalue()


def test_a_terminal_without_unicode_gets_true_figures() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    progress.say(stream, "−3.2 → 5 ☃")
    assert raw.getvalue() == b"-3.2 -> 5 ?\n"
