"""What became of one lesson: judge what its process left, keep it, enter it in the ledger."""

from __future__ import annotations

import datetime
from dataclasses import dataclass, field
from pathlib import Path

import nbformat

from distill_lab._util.io import write_whole
from distill_lab.course import pages
from distill_lab.course.runner import records, store
from distill_lab.course.runner.findings import Ending, Finding, examine
from distill_lab.course.runner.fingerprint import fingerprint
from distill_lab.course.runner.lessons import LessonFile
from distill_lab.course.runner.process import Worker
from distill_lab.course.runner.source import read_notebook
from distill_lab.course.runner.words import count_words

ERROR_MARKER = "papermill-error-cell-tag"


@dataclass
class Plan:
    """What all lessons of one run share; `limit` and `cell_limit` in seconds."""

    known: list[LessonFile]
    out: Path
    stage: Path
    profile: str
    seed: int
    limit: float
    cell_limit: int
    shared: str
    failed: dict[str, list[Finding]] = field(default_factory=dict)
    marks: dict[str, str] = field(default_factory=dict)

    def kept_since(self, lesson: LessonFile) -> str | None:
        """When this very run passed before, if its results are there; notes the fingerprint."""
        mark = fingerprint(lesson.path, self.shared, profile=self.profile, seed=self.seed)
        self.marks[lesson.name] = mark
        last = store.load(self.out)["lessons"].get(lesson.name, {})
        if (last.get("status"), last.get("fingerprint")) != ("passed", mark):
            return None
        there = all((self.out / f"{lesson.name}{end}").is_file() for end in (".ipynb", ".html"))
        return str(last["when"]) if there else None


def judge(plan: Plan, worker: Worker, code: int) -> tuple[nbformat.NotebookNode, list[Finding]]:
    """The executed notebook and every reason why it does not pass; exit codes are not enough."""
    try:
        nb = read_notebook(worker.output)
    except (ValueError, OSError):  # it died before the first save
        nb = read_notebook(plan.stage / f"{worker.lesson.name}.ipynb")
    # papermill's red markers would shift every index; the page says it at the top instead.
    nb.cells = [c for c in nb.cells if ERROR_MARKER not in c.metadata.get("tags", [])]
    ending = _ending(plan, worker, code)
    try:
        registered, unreadable = worker.lesson.claims, []
    except ValueError as error:
        registered, unreadable = [], [Finding("unreadable claims", str(error))]
    findings = unreadable or examine(
        nb, ending, registered=registered, profile=plan.profile, seed=plan.seed
    )
    _tell_the_truth(nb, ending)
    return nb, findings


def settle(
    plan: Plan, worker: Worker, nb: nbformat.NotebookNode | None, findings: list[Finding]
) -> str:
    """Write notebook, page and ledger entry of a lesson; returns the words for its last line."""
    lesson = worker.lesson
    if nb is not None:
        # papermill's own entry holds paths of this machine.
        nb.metadata["papermill"] = {"parameters": {"PROFILE": plan.profile, "SEED": plan.seed}}
        body = pages.lesson_body(nb, lesson.path.parent)
        findings += [_not_at_hand(address) for address in pages.external_loads(body)]
        findings += [_unread(formula) for formula in pages.unread_formulas(body)]
    entry = {
        "title": lesson.title,
        "number": lesson.number,
        "minutes": lesson.minutes,
        "can_do": lesson.can_do,
        "course": lesson in plan.known,
        "status": "failed" if findings else "passed",
        "when": datetime.datetime.now().strftime("%Y-%m-%d %H:%M"),
        "seconds": round(worker.seconds, 1),
        "profile": plan.profile,
        "seed": plan.seed,
        "fingerprint": plan.marks.get(lesson.name, ""),
        "findings": [{"kind": f.kind, "sentence": f.sentence} for f in findings],
    }
    claims = records.claims(nb) if nb is not None else []
    if nb is not None:
        html = pages.lesson_page(body, lesson, entry, plan.known)
        text = nbformat.writes(nb).rstrip() + "\n"
        write_whole(plan.out / f"{lesson.name}.ipynb", text.encode())
        write_whole(plan.out / f"{lesson.name}.html", html.encode())
    store.store(plan.out, lesson.name, entry, claims)
    if findings:
        plan.failed[lesson.name] = findings
    words = count_words(claims)
    return f"{entry['status']} in {worker.seconds:.0f} s" + (f"; {words}" if words else "")


def _ending(plan: Plan, worker: Worker, code: int) -> Ending:
    told = worker.end or {"how": "broke", "remark": worker.last_words() or f"exit code {code}"}
    how, index = str(told["how"]), told.get("index", worker.index)
    if worker.stopping is not None and how != "completed":
        return Ending("lesson time limit", index, limit=plan.limit)
    if how == "completed" and code != 0:
        return Ending("broke", index, f"exit code {code}")
    remark = worker.last_words() if how == "kernel died" else str(told.get("remark", ""))
    return Ending(how, index, remark, plan.cell_limit)


def _tell_the_truth(nb: nbformat.NotebookNode, ending: Ending) -> None:
    """papermill marks a stuck cell and all after it `completed`; put that right in what is kept."""
    if ending.how == "completed" or ending.index is None:
        return
    for index, cell in enumerate(nb.cells):
        if index >= ending.index and "papermill" in cell.metadata:
            cell.metadata["papermill"]["status"] = "failed" if index == ending.index else "pending"


def _not_at_hand(address: str) -> Finding:
    return Finding(
        "page needs the network",
        f"the page would fetch {address[:100]}: put the file beside the notebook, or draw it.",
    )


def _unread(formula: str) -> Finding:
    return Finding(
        "formula not drawn",
        f"the page cannot draw the formula “{formula[:100]}”: say it with simpler LaTeX.",
    )
