"""The README tells the truth: its commands, files, pictures, table and example all work."""

import importlib.util
import os
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest
import torch

from tests import own_files

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", TEXT, flags=re.DOTALL | re.MULTILINE)
PYTHON = [code for language, code in BLOCKS if language == "python"]
DATA = Path(os.environ.get("DISTILL_LAB_DATA", ""))  # read before any fixture takes it away
IMAGES = re.findall(r"!\[([^\]]*)\]\(([^)]+)\)", TEXT)
LINKS = re.findall(r"(?<!!)\[[^\]]*\]\(([^)]+)\)", TEXT)


def test_make_commands_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    named = set(re.findall(r"(?:^|`)make ([a-z-]+)", TEXT, flags=re.MULTILINE))
    assert {"course", "test", "lab"} <= named
    assert named <= targets


def test_command_lines_are_understood() -> None:
    from distill_lab.cli import build_parser

    lines = re.findall(
        r"(?:^|`)(?:\.venv/bin/|uv run )?distill-lab ([a-z][^`\n#]*)", TEXT, re.MULTILINE
    )
    assert len(lines) >= 4
    for words in map(str.split, lines):
        assert build_parser().parse_args(words).command == words[0]


def test_the_job_file_is_one(tmp_path: Path) -> None:
    from distill_lab.jobs.job_file import read_job

    (text,) = [code for language, code in BLOCKS if language == "yaml"]
    job = tmp_path / "job.yaml"
    job.write_text(text, encoding="utf-8")
    assert read_job(job).method == "token-kl"


# Commands that no test runs as they are printed, each with the reason.
NOT_RUN = {
    "make lab": "installs the course and opens JupyterLab",
    "uv venv": "makes an environment",
    "uv pip": "downloads packages",
    "uv run distill-lab lab": "opens JupyterLab",
    "distill-lab lab": "opens JupyterLab; tests/notebooks and tests/browser do",
    "distill-lab run 11 --profile full": "takes minutes; the tier of lessons runs lesson 11",
    "distill-lab run --profile quick": "runs all lessons; the tier of lessons does",
    "make ": "runs tests and lessons; the tiers do",
    "distill-lab claims": "shows what the line above it measured; tests/course do",
    "distill-lab progress --html": "reads a learner's journal; tests/course do",
    "distill-lab export": "tests/jobs/test_examples.py makes that student and exports it",
}


def shell_commands(text: str) -> list[str]:
    """The commands of all blocks for a shell, and of indented ones, without their comments."""
    blocks = re.findall(r"^```(\w*)\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    shells = ("", "sh", "bash", "console")
    lines = [
        line for language, block in blocks if language in shells for line in block.splitlines()
    ]
    lines += re.findall(r"(?<=\n\n)    ((?:distill-lab|make|uv) .*)", text)
    return [each for line in lines if (each := line.split(" #")[0].removeprefix("$ ").strip())]


def test_the_commands_run_as_they_are_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In a checkout, one after the other; those that are not run are named above, with reasons."""
    from distill_lab import cli
    from distill_lab.course.worlds import exams

    (job,) = [code for language, code in BLOCKS if language == "yaml"]
    (tmp_path / "job.yaml").write_text(job, encoding="utf-8")
    (tmp_path / "data").symlink_to(ROOT / "data")
    monkeypatch.chdir(tmp_path)
    ran, unused = [], {*NOT_RUN}
    pages = [TEXT, (ROOT / "docs/jobs.md").read_text(encoding="utf-8")]
    for command in (each for page in pages for each in shell_commands(page)):
        words = shlex.split(command.removeprefix(".venv/bin/"))
        command = " ".join(words)
        if reasons := [each for each in NOT_RUN if command.startswith(each)]:
            unused -= {*reasons}
            continue
        if words[:3] == ["python", "-m", "distill_lab.course.worlds"]:
            code = exams.main(words[3:])
        else:
            assert words[0] == "distill-lab", f"run {command!r}, or say in NOT_RUN why not"
            code = cli.main(words[1:])
        assert code == 0, f"{command}: {capsys.readouterr().err}"
        ran.append(words[1] if words[0] == "distill-lab" else words[2])
    assert ran == ["distill_lab.course.worlds", "generate", "show", "distill", "distill"]
    assert not unused, f"nothing printed begins so any more: {unused}"
    assert (tmp_path / "runs/first/student/model.safetensors").exists()
    report = (tmp_path / "runs/first/report.md").read_text(encoding="utf-8")
    assert "exam, % right" in report and "training rows" not in report


def settings_table_of_all() -> str:
    from distill_lab.jobs.kinds import KINDS
    from distill_lab.jobs.settings import settings_table

    return settings_table(list(KINDS.values()), markdown=True)


SETTINGS = re.compile(r"(<!-- settings: [^\n]*\n)(.*?)(\n?<!-- end of settings -->)", re.DOTALL)


def test_the_table_of_settings_is_that_of_the_schema() -> None:
    (table,) = [match[2] for match in SETTINGS.finditer(TEXT)]
    assert table.strip() == settings_table_of_all(), "write it: python -m tests.test_readme"


def test_links_lead_to_files() -> None:
    assert LINKS
    headings = re.findall(r"^#+ (.+)$", TEXT, flags=re.MULTILINE)
    anchors = {f"#{heading.lower().replace(' ', '-')}" for heading in headings}
    missing = [
        link
        for link in LINKS
        if "://" not in link and link not in anchors and not (ROOT / link).is_file()
    ]
    assert missing == []


def test_pictures_exist_are_small_and_say_what_they_show() -> None:
    assert len(IMAGES) >= 2
    for alt, path in IMAGES:
        assert (ROOT / path).is_file(), f"{path}: python docs/make_figures.py figure screenshot"
        assert len(alt.split()) >= 12, f"{path}: its alt text says too little: {alt!r}"
    size = sum(path.stat().st_size for path in (ROOT / "docs").rglob("*") if path.is_file())
    assert size < 600_000


def test_no_service_is_asked_for_anything() -> None:
    assert re.findall(r"https?://\S+", TEXT) == []


def rows() -> dict[str, list[str]]:
    """The course table: the notebook's path, and the cells of its row."""
    table = {}
    for line in TEXT.splitlines():
        if match := re.match(r"\| \[[^\]]+\]\((notebooks/[^)]+\.ipynb)\)", line):
            table[match[1]] = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
    return table


def test_every_lesson_is_in_the_table() -> None:
    lessons = {f"notebooks/{path.name}" for path in (ROOT / "notebooks").glob("*.ipynb")}
    assert set(rows()) == lessons, "python docs/make_figures.py table"


@pytest.mark.parametrize("path", sorted(rows()))
def test_the_table_says_what_the_lesson_says(path: str) -> None:
    about = nbformat.read(ROOT / path, as_version=4).metadata["distill_lab"]
    title, can_do, minutes, claim = rows()[path]
    assert about["title"] in title
    assert minutes == str(about["minutes"])
    assert about["can_do"][0].rstrip(".") == can_do, "python docs/make_figures.py table"
    assert re.search(r"holds|does not hold here|cannot be resolved here", claim, re.IGNORECASE), (
        "no measured claim: make course, then python docs/make_figures.py table"
    )


def test_what_is_to_come_is_not_here_yet() -> None:
    for line in TEXT.splitlines():
        for number in re.findall(r"\b\d\d\b", line if line.startswith("To come:") else ""):
            lessons = list((ROOT / "notebooks").glob(f"{number}_*.ipynb"))
            assert not lessons, f"{number} is here: say so"


def paste(names: dict[str, Any], block: int) -> None:
    exec(compile(PYTHON[block], f"README.md, Python block {block + 1}", "exec"), names)


def test_the_examples_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All Python blocks, top to bottom, in one namespace, as a reader would paste them."""
    own_files.lay_out(tmp_path, None)
    (tmp_path / "data").symlink_to(ROOT / "data")
    monkeypatch.chdir(tmp_path)
    assert len(PYTHON) >= 4
    namespace: dict[str, Any] = {}
    torch.manual_seed(0)
    for i in range(len(PYTHON)):
        paste(namespace, i)
        if i == 1:
            assert namespace["history"].epochs == 5.0
            assert len(namespace["history"]["kd"]) == 5 * 8
    assert list((tmp_path / "runs").iterdir())


def figure(names: dict[str, Any], data: Any, measure: str) -> float:
    """What the example's student reaches on an example's data."""
    report = names["compare"]({"small": names["small"]}, data, columns=[measure])
    return float(report["small"][measure])


def likeness(names: dict[str, Any]) -> float:
    """How far the student finds the same texts alike as its teacher does."""
    report = names["compare"](names["both"], names["texts"], teacher="large", task="embedding")
    return float(report["small"]["similarity_correlation"])


def first_is_right(names: dict[str, Any]) -> float:
    """How often the right text has the higher score, in percent."""
    with torch.no_grad():
        right, wrong = names["ranker"].eval()(**names["sides"]).unbind(1)
    return 100 * float((right > wrong).float().mean())


# The examples of one kind each, by what only they say, with a figure on real data and the least
# that it has to be.
KINDS: dict[str, tuple[float, Callable[[dict[str, Any]], float]]] = {
    "def intents(": (90, lambda names: figure(names, names["test"], "accuracy")),
    "def turns(": (80, lambda names: figure(names, names["test"], "token_accuracy")),
    "def topics(": (50, lambda n: figure(n, n["topics"]("topics/train.csv"), "micro_f1")),
    "PictureFolder(f": (40, lambda names: figure(names, names["test"], "accuracy")),
    "methods.embeddings(": (0.4, likeness),
    "methods.margin_mse(": (70, first_is_right),
    "teachers.sklearn(": (80, lambda names: figure(names, names["data"], "accuracy")),
}


@pytest.mark.slow
def test_the_example_of_each_kind_learns_from_real_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not DATA or not all((DATA / name).is_dir() for name in own_files.FOLDERS):
        pytest.skip(f"{', '.join(own_files.FOLDERS)} do not lie in DISTILL_LAB_DATA")
    own_files.lay_out(tmp_path, DATA)
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    needed = ("# Put your own data", "import compare", "AutoModelForToken", *KINDS)
    seen = set()
    for i in [i for i, code in enumerate(PYTHON) if any(each in code for each in needed)]:
        torch.manual_seed(0)
        paste(names, i)
        for kind in [each for each in KINDS if each in PYTHON[i]]:
            assert len([line for line in PYTHON[i].splitlines() if line]) <= 12, kind
            least, reached = KINDS[kind]
            assert reached(names) > least, kind
            seen.add(kind)
    assert seen == {*KINDS}


def test_the_table_is_made_from_metadata_and_ledger() -> None:
    spec = importlib.util.spec_from_file_location("make_figures", ROOT / "docs/make_figures.py")
    assert spec and spec.loader
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    claim = {
        "id": "00.few-labels",
        "finding": "Soft targets help",
        "expected": "above",
        "ours": "80.0 % → 90.0 %",
        "mean": 10.0,
        "low": 9.0,
        "high": 11.0,
        "n": 5,
        "wins": 5,
        "unit": "points",
        "verdict": "holds",
    }
    assert made.claim_cell("00.few-labels", {"claims": [claim]}) == (
        "Soft targets help: 80.0 % → 90.0 % (all 5 seeds agree). *Holds.*"
    )
    open_one = {**claim, "threshold": 5.0, "verdict": "cannot be resolved here"}
    assert made.claim_cell("00.few-labels", {"claims": [open_one]}) == (
        "Soft targets help: 80.0 % → 90.0 %. *Cannot be resolved here.*"
    )
    assert made.claim_cell("00.a", {}) == "not measured yet"
    table = made.course_table({})
    assert "notebooks/00_start_here.ipynb" in table and table.startswith(made.HEAD)


if __name__ == "__main__":
    new = SETTINGS.sub(lambda part: f"{part[1]}\n{settings_table_of_all()}\n{part[3]}", TEXT)
    (ROOT / "README.md").write_text(new, encoding="utf-8")
