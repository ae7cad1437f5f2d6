"""What became of one lesson: judge what its process left, keep it, enter it in the ledger."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import nbformat

from distill_lab._util.io import write_whole
from distill_lab.course import executed, ledger
from distill_lab.course.lessons import LessonFile
from distill_lab.course.runner.findings import Ending, Finding, examine, explained
from distill_lab.course.runner.fingerprint import fingerprint
from distill_lab.course.runner.process import Worker
from distill_lab.course.runner.source import read_notebook
from distill_lab.course.wording import count_words

ERROR_MARKER = "papermill-error-cell-tag"
BUDGET = {"quick": 60.0}  # CPU-seconds of a lesson: 30 s of two cores

# Makes a lesson's page from what the runner left in the folder; returns further reasons why the
# lesson does not pass, each a kind and a sentence.
PageWriter = Callable[[Path, LessonFile, Sequence[LessonFile]], list[tuple[str, str]]]


@dataclass
class Plan:
    """What all lessons of one run share; `limit` and `cell_limit` in seconds."""

    course: list[LessonFile]
    root: Path
    out: Path
    stage: Path
    profile: str
    seed: int
    limit: float
    cell_limit: int
    shared: str
    write_page: PageWriter | None = None
    failed: dict[str, list[Finding]] = field(default_factory=dict)
    marks: dict[str, str] = field(default_factory=dict)

    def kept_since(self, lesson: LessonFile) -> str | None:
        """When this very run passed before, if its results are there; notes the fingerprint."""
        mark = fingerprint(lesson, self.shared, self.root, profile=self.profile, seed=self.seed)
        self.marks[lesson.name] = mark
        last = ledger.load(self.out)["lessons"].get(lesson.name, {})
        if (last.get("status"), last.get("fingerprint")) != ("passed", mark):
            return None
        ends = (".ipynb", ".html") if self.write_page else (".ipynb",)
        there = all((self.out / f"{lesson.name}{end}").is_file() for end in ends)
        return str(last["when"]) if there else None


def judge(plan: Plan, worker: Worker, code: int) -> tuple[nbformat.NotebookNode, list[Finding]]:
    """Read the executed notebook and say every reason why it does not pass.

    Args:
        plan: The run.
        worker: The lesson's process, which has ended.
        code: Its exit code, which alone says too little.

    Returns:
        The notebook as far as it came, and the findings.
    """
    try:
        nb = read_notebook(worker.output)
    except (ValueError, OSError):  # it died before the first save
        nb = read_notebook(plan.stage / f"{worker.lesson.name}.ipynb")
    # papermill's red markers would shift every index; the page says it at the top instead.
    nb.cells = [c for c in nb.cells if ERROR_MARKER not in c.metadata.get("tags", [])]
    ending = _ending(plan, worker, code)
    _correct_status(nb, ending)
    try:
        registered = worker.lesson.claims
    except ValueError as error:
        return nb, [Finding("unreadable claims", str(error))]
    findings = examine(nb, ending, registered=registered, profile=plan.profile, seed=plan.seed)
    return nb, explained(findings, worker.lesson.path.parent)


def settle(
    plan: Plan, worker: Worker, nb: nbformat.NotebookNode | None, findings: list[Finding]
) -> str:
    """Keep a lesson's notebook, ledger entry and page.

    Args:
        plan: The run.
        worker: The lesson's process, ended or never started.
        nb: The executed notebook; None if it could not be read.
        findings: Why the lesson does not pass.

    Returns:
        The text of its last line on the terminal.
    """
    lesson = worker.lesson
    claims: list[dict[str, Any]] = []
    if nb is not None:
        if not executed.widget_models(nb):  # converters fall over another tool's entry
            nb.metadata.pop("widgets", None)
        # papermill's own entry holds paths of this machine.
        nb.metadata["papermill"] = {"parameters": {"PROFILE": plan.profile, "SEED": plan.seed}}
        claims = executed.claims(nb)
        text = nbformat.writes(nb).rstrip() + "\n"
        write_whole(plan.out / f"{lesson.name}.ipynb", text.encode())
    entry = {
        "title": lesson.title,
        "number": lesson.number,
        "minutes": lesson.minutes,
        "can_do": lesson.can_do,
        "course": lesson in plan.course,
        "status": "failed" if findings else "passed",
        "when": datetime.datetime.now().strftime("%Y-%m-%d %H:%M"),
        "seconds": round(worker.seconds, 1),
        "cpu_seconds": worker.cpu_seconds,
        "profile": plan.profile,
        "seed": plan.seed,
        "fingerprint": plan.marks.get(lesson.name, ""),
        "findings": [asdict(finding) for finding in findings],
    }
    ledger.store(plan.out, lesson.name, entry, claims)
    if nb is not None and plan.write_page is not None:
        more = [Finding(*pair) for pair in plan.write_page(plan.out, lesson, plan.course)]
        if more:
            findings = [*findings, *more]
            entry |= {"status": "failed", "findings": [asdict(finding) for finding in findings]}
            ledger.store(plan.out, lesson.name, entry, claims)
    if findings:
        plan.failed[lesson.name] = findings
    parts = [f"{entry['status']} in {worker.seconds:.0f} s", cpu_text(entry), count_words(claims)]
    return "; ".join(part for part in parts if part)


def cpu_text(entry: dict[str, Any]) -> str:
    """What a lesson's run cost, beside the budget of its profile.

    >>> cpu_text({"cpu_seconds": 41.3, "profile": "quick"})
    '41 of 60 CPU-s'
    >>> cpu_text({"cpu_seconds": 72.0, "profile": "quick"})
    '72 of 60 CPU-s, over its budget'
    >>> cpu_text({"cpu_seconds": 400.0, "profile": "full"}), cpu_text({"profile": "quick"})
    ('400 CPU-s', '')
    """
    used, budget = entry.get("cpu_seconds"), BUDGET.get(str(entry.get("profile")))
    if used is None:
        return ""
    if budget is None:
        return f"{used:.0f} CPU-s"
    return f"{used:.0f} of {budget:.0f} CPU-s" + (", over its budget" if used > budget else "")


def _ending(plan: Plan, worker: Worker, code: int) -> Ending:
    last = worker.end or {"how": "broke", "remark": worker.last_line() or f"exit code {code}"}
    how, index = str(last["how"]), last.get("index", worker.index)
    if worker.stopping is not None and how != "completed":
        return Ending("lesson time limit", index, limit=plan.limit)
    if how == "completed" and code != 0:
        return Ending("broke", index, f"exit code {code}")
    remark = worker.last_line() if how == "kernel died" else str(last.get("remark", ""))
    return Ending(how, index, remark, plan.cell_limit)


def _correct_status(nb: nbformat.NotebookNode, ending: Ending) -> None:
    """papermill marks a stuck cell and all after it `completed`; put that right in what is kept."""
    if ending.how == "completed" or ending.index is None:
        return
    for index, cell in enumerate(nb.cells):
        if index >= ending.index and "papermill" in cell.metadata:
            cell.metadata["papermill"]["status"] = "failed" if index == ending.index else "pending"
