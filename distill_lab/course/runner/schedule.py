"""Run lessons side by side, hold them to their limits, and say what became of each."""

from __future__ import annotations

import contextlib
import queue
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nbformat

from distill_lab.course import machine, pages
from distill_lab.course.runner import store
from distill_lab.course.runner.findings import Finding
from distill_lab.course.runner.fingerprint import surroundings
from distill_lab.course.runner.lessons import (
    DEFAULT_OUT,
    LessonFile,
    RunnerError,
    all_lessons,
    find_root,
    resolve_out,
    select,
)
from distill_lab.course.runner.outcome import Plan, judge, settle
from distill_lab.course.runner.process import GRACE, Worker
from distill_lab.course.runner.progress import Progress, say
from distill_lab.course.runner.source import check_parameters, read_notebook

LIMITS = {"quick": (300.0, 120.0), "full": (3600.0, 1800.0), "hub": (5400.0, 2700.0)}
Inbox = queue.Queue[tuple[Worker, dict[str, Any]]]


def run_lessons(
    names: Sequence[str] = (),
    *,
    profile: str = "quick",
    jobs: int | None = None,
    timeout: float | None = None,
    out: str | Path = DEFAULT_OUT,
    force: bool = False,
    seed: int = 0,
    cell_timeout: float | None = None,
) -> int:
    """Execute lessons and write `out`: executed notebooks, pages, course map, claims ledger.

    `names` are numbers, names or paths (none: the whole course); `jobs` lessons run at once (the
    cores there are); `timeout` and `cell_timeout` are wall seconds for a lesson and for a cell (by
    profile: 300 and 120 in quick; more for the lesson is more for its cells). A lesson that passed
    and has not changed is kept unless `force`.
    Returns 0 when all passed, 1 when one did not, 2 for a request that cannot be met, 130 after
    Ctrl-C.
    """
    try:
        root, known = _course(names)
        lessons = select(names, known)
        _validate(profile, jobs, timeout, cell_timeout, seed)
        cores = _cores()
    except RunnerError as error:
        say(sys.stderr, str(error))
        return 2
    usual, cell_limit = LIMITS[profile]
    limit = usual if timeout is None else float(timeout)
    if cell_timeout is not None:
        cell_limit = float(cell_timeout)
    elif limit > usual:  # whoever is patient with a lesson is so with its longest cell
        cell_limit *= limit / usual
    cell_limit = min(limit, cell_limit)
    with tempfile.TemporaryDirectory(prefix="distill-lab-", ignore_cleanup_errors=True) as stage:
        plan = Plan(
            known=known,
            out=resolve_out(out, root),
            stage=Path(stage),
            profile=profile,
            seed=seed,
            limit=limit,
            cell_limit=max(1, round(cell_limit)),  # nbclient counts whole seconds
            shared=surroundings(root),
        )
        return _Run(plan, lessons).go(jobs or cores, cores, force)


def _course(names: Sequence[str]) -> tuple[Path, list[LessonFile]]:
    """The checkout and its lessons; paths of notebooks alone do without a checkout."""
    try:
        root = find_root()
    except RunnerError:
        if not names or not all(Path(str(name)).is_file() for name in names):
            raise
        return Path.cwd(), []
    return root, all_lessons(root)


def _validate(
    profile: str, jobs: int | None, timeout: float | None, cell: float | None, seed: int
) -> None:
    if profile not in LIMITS:
        raise RunnerError(f"Expected profile quick, full or hub, but got {profile!r}.")
    if jobs is not None and jobs < 1:
        raise RunnerError(f"Expected one job or more, but got {jobs}: leave it out for all cores.")
    for name, value in (("--timeout", timeout), ("the cell time limit", cell)):
        if value is not None and not value > 0:
            raise RunnerError(f"Expected {name} in seconds above 0, but got {value}.")
    if isinstance(seed, bool) or not isinstance(seed, int):
        raise RunnerError(f"Expected a whole number as seed, but got {seed!r}.")


def _cores() -> int:
    try:
        return machine.cores()
    except ValueError as error:
        raise RunnerError(str(error)) from None


class _Run:
    """One call of `run_lessons`."""

    def __init__(self, plan: Plan, lessons: list[LessonFile]) -> None:
        self.plan, self.lessons = plan, lessons
        self.progress = Progress(sys.stdout, [lesson.name for lesson in lessons])
        self.running: list[Worker] = []
        self.inbox: Inbox = queue.Queue()

    def go(self, jobs: int, cores: int, force: bool) -> int:
        """Everything from the first skip to the last word."""
        try:
            waiting = [lesson for lesson in self.lessons if not self._kept(lesson, force)]
            # a lesson's arms run side by side as well, on its share of the cores
            share = max(1, cores // max(1, min(jobs, len(waiting))))
            while waiting or self.running:
                while waiting and len(self.running) < jobs:
                    self._start(waiting.pop(0), share)
                with contextlib.suppress(queue.Empty):
                    self._heard(*self.inbox.get(timeout=0.2))
                self._hold_to_limits()
                self.progress.draw()
        except KeyboardInterrupt:
            self.progress.close()
            names = ", ".join(worker.lesson.name for worker in self.running) or "none was running"
            say(sys.stdout, f"stopped by Ctrl-C ({names}); what had finished before is kept.")
            return 130
        finally:
            for worker in self.running:
                worker.kill()
            store.prune(self.plan.out, {lesson.name for lesson in self.plan.known})
            pages.write_overview(self.plan.out, self.plan.known, store.load(self.plan.out))
        return self._report()

    def _kept(self, lesson: LessonFile, force: bool) -> bool:
        since = self.plan.kept_since(lesson)
        if since is None or force:
            return False
        self.progress.finished(lesson.name, f"unchanged, kept from {since}")
        return True

    def _start(self, lesson: LessonFile, cores: int) -> None:
        plan = self.plan
        output = plan.stage / f"{lesson.name}.executed.ipynb"
        worker = Worker(lesson, plan.stage, output, cores)
        nb: nbformat.NotebookNode | None = None
        try:
            nb = read_notebook(lesson.path)
            findings = check_parameters(nb)
        except (ValueError, OSError) as error:
            findings = [Finding("unreadable notebook", str(error))]
        if nb is None or findings:
            self.progress.finished(lesson.name, settle(plan, worker, nb, findings))
            return
        # A copy in our own folder, because papermill formats braces in paths.
        source = plan.stage / f"{lesson.name}.ipynb"
        nbformat.write(nb, source)
        order = {
            "source": str(source),
            "output": str(worker.output),
            "parameters": {"PROFILE": plan.profile, "SEED": plan.seed},
            "cell_timeout": plan.cell_limit,
            "cwd": str(lesson.path.parent),  # as in JupyterLab
        }
        self.progress.started(lesson.name)
        self.running.append(worker)  # before it starts, so that Ctrl-C in between finds it
        worker.start(order, self.inbox)

    def _heard(self, worker: Worker, event: dict[str, Any]) -> None:
        worker.note(event)
        name = worker.lesson.name
        if event["event"] == "cell":
            self.progress.cell(name, event["number"], event["of"], event["heading"])
        elif event["event"] == "gone":
            worker.kill()  # the process is gone, but a kernel may have outlived it
            nb, findings = judge(self.plan, worker, event["code"])
            words = settle(self.plan, worker, nb, findings)
            self.running.remove(worker)
            self.progress.finished(name, words)

    def _hold_to_limits(self) -> None:
        for worker in self.running:
            if worker.stopping is None:
                if worker.seconds > self.plan.limit:
                    worker.ask_to_stop()
            elif time.monotonic() - worker.stopping > GRACE:
                worker.kill()

    def _report(self) -> int:
        for name, findings in self.plan.failed.items():
            say(sys.stdout, f"\n{name} did not pass:")
            for finding in findings:
                say(sys.stdout, f"  - {finding.kind}: {finding.sentence}")
            kept = self.plan.out / f"{name}.ipynb"
            if kept.is_file():
                say(sys.stdout, f"  the notebook as far as it came: {_near(kept)}")
        say(sys.stdout, f"\ncourse map: {_near(self.plan.out / 'index.html')}")
        return 1 if self.plan.failed else 0


def _near(path: Path) -> str:
    """A path as short as it can be typed from here."""
    with contextlib.suppress(ValueError):
        return str(path.relative_to(Path.cwd()))
    return str(path)
