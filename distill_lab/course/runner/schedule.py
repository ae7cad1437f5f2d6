"""Run lessons side by side, hold them to their limits, and say what became of each."""

from __future__ import annotations

import contextlib
import queue
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import nbformat

from distill_lab.course import ledger, machine
from distill_lab.course.lessons import (
    DEFAULT_OUT,
    LessonFile,
    RunnerError,
    all_lessons,
    find_root,
    resolve_out,
    select,
)
from distill_lab.course.runner.findings import Finding
from distill_lab.course.runner.fingerprint import surroundings
from distill_lab.course.runner.outcome import PageWriter, Plan, cpu_text, judge, settle
from distill_lab.course.runner.process import GRACE, Worker
from distill_lab.course.runner.progress import Progress, say
from distill_lab.course.runner.source import check_parameters, read_notebook

LIMITS = {"quick": (300.0, 120.0), "full": (3600.0, 1800.0), "hub": (5400.0, 2700.0)}
Inbox = queue.Queue[tuple[Worker, dict[str, Any]]]
OverviewWriter = Callable[[Path, Sequence[LessonFile], dict[str, Any]], None]


def run_lessons(
    names: Sequence[str | Path] = (),
    *,
    profile: str = "quick",
    jobs: int | None = None,
    timeout: float | None = None,
    out: str | Path = DEFAULT_OUT,
    force: bool = False,
    seed: int = 0,
    cell_timeout: float | None = None,
    write_page: PageWriter | None = None,
    write_overview: OverviewWriter | None = None,
) -> int:
    """Execute lessons and write the executed notebooks and the claims ledger.

    A lesson that passed and has not changed since is kept.

    Args:
        names: Numbers, names or paths of lessons; none means all of them.
        profile: "quick", "full" or "hub".
        jobs: How many lessons run at once; None for one a core.
        timeout: Wall seconds for a lesson; None for those of the profile, 300 in quick.
        out: The folder to write.
        force: Run what has not changed, too.
        seed: The seed of every experiment.
        cell_timeout: Wall seconds for a cell; None for those of the profile, 120 in quick, and
            more where the lesson has more.
        write_page: Makes the page of a lesson that has ended; without it there are none.
        write_overview: Makes the course map and the page of the ledger, at the end.

    Returns:
        0 when all passed, 1 when one did not, 2 for a request that cannot be met, 130 after Ctrl-C.
    """
    wanted = [str(name) for name in names]
    try:
        root, course = _course(wanted)
        lessons = select(wanted, course)
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
            course=course,
            root=root,
            out=resolve_out(out, root),
            stage=Path(stage),
            profile=profile,
            seed=seed,
            limit=limit,
            cell_limit=max(1, round(cell_limit)),  # nbclient counts whole seconds
            shared=surroundings(root),
            write_page=write_page,
        )
        run = _Run(plan, lessons)
        code = run.go(jobs or cores, cores, force)
        if write_overview is not None:
            write_overview(plan.out, plan.course, ledger.load(plan.out))
        if code < 2:
            run.report()
            if write_overview is not None:
                say(sys.stdout, f"course map: {_shortest(plan.out / 'index.html')}")
        return code


def _course(names: Sequence[str]) -> tuple[Path, list[LessonFile]]:
    """The checkout and its lessons; paths of notebooks alone do without a checkout."""
    try:
        root = find_root()
    except RunnerError:
        if not names or not all(Path(name).is_file() for name in names):
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
        """Run everything that has to be run; returns the exit code."""
        try:
            waiting = [lesson for lesson in self.lessons if not self._kept(lesson, force)]
            # a lesson's arms run side by side as well, on its share of the cores
            share = max(1, cores // max(1, min(jobs, len(waiting))))
            while waiting or self.running:
                while waiting and len(self.running) < jobs:
                    self._start(waiting.pop(0), share)
                with contextlib.suppress(queue.Empty):
                    self._handle(*self.inbox.get(timeout=0.2))
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
            ledger.prune(self.plan.out, {lesson.name for lesson in self.plan.course})
        return 1 if self.plan.failed else 0

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

    def _handle(self, worker: Worker, event: dict[str, Any]) -> None:
        worker.note(event)
        name = worker.lesson.name
        if event["event"] == "cell":
            self.progress.cell(name, event["number"], event["of"], event["heading"])
        elif event["event"] == "gone":
            worker.kill()  # the process is gone, but a kernel may have outlived it
            nb, findings = judge(self.plan, worker, event["code"])
            text = settle(self.plan, worker, nb, findings)
            self.running.remove(worker)
            self.progress.finished(name, text)

    def _hold_to_limits(self) -> None:
        for worker in self.running:
            if worker.stopping is None:
                if worker.seconds > self.plan.limit:
                    worker.ask_to_stop()
            elif time.monotonic() - worker.stopping > GRACE:
                worker.kill()

    def report(self) -> None:
        """Say what every lesson cost, and why those that failed did not pass."""
        entries = ledger.load(self.plan.out)["lessons"]
        costs = {lesson.name: entries.get(lesson.name, {}) for lesson in self.lessons}
        texts = {name: cpu_text(entry) for name, entry in costs.items()}
        if any(texts.values()):
            say(sys.stdout, "\nCPU-seconds of each lesson beside its budget:")
            for name, text in texts.items():
                say(sys.stdout, f"  {name:{self.progress.width}}  {text or 'not measured'}")
            total = sum(entry.get("cpu_seconds") or 0.0 for entry in costs.values())
            say(sys.stdout, f"  {'all':{self.progress.width}}  {total:.0f} CPU-s")
        for name, findings in self.plan.failed.items():
            say(sys.stdout, f"\n{name} did not pass:")
            for finding in findings:
                say(sys.stdout, f"  - {finding.kind}: {finding.sentence}")
            kept = self.plan.out / f"{name}.ipynb"
            if kept.is_file():
                say(sys.stdout, f"  the notebook as far as it came: {_shortest(kept)}")


def _shortest(path: Path) -> str:
    """A path as short as it can be typed from here."""
    with contextlib.suppress(ValueError):
        return str(path.relative_to(Path.cwd()))
    return str(path)
