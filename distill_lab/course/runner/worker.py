"""One lesson through papermill, in a process of its own, started by the runner by its path.

Order in (one JSON line on stdin), events out (JSON lines on stdout). A further line on stdin, or
its end because the runner is gone, means: kill the kernel, keep what there is, leave.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any, TextIO

from distill_lab.course import quick_start  # noqa: F401  # isort: skip
import nbformat
import psutil
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from papermill import execute_notebook
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import Engine, NotebookExecutionManager, papermill_engines
from papermill.exceptions import PapermillExecutionError

from distill_lab._util.io import write_whole

try:
    import resource
except ImportError:  # Windows does not count so; there the budget is not shown
    resource = None  # type: ignore[assignment]

SAVE_EVERY = 2.0  # seconds; saving after every cell costs more than most cells
START_TIMEOUT = 120  # seconds; two busy cores can take long over a first import


class Run:
    """What the process knows about its lesson; shared with the thread that listens for `stop`."""

    def __init__(self, events: TextIO) -> None:
        self.events = events
        self.kernel: psutil.Process | None = None
        self.index: int | None = None

    def report(self, event: str, **more: Any) -> None:
        """Send one event to the runner."""
        self.events.write(json.dumps({"event": event, **more}) + "\n")
        self.events.flush()

    def kill_kernel(self) -> None:
        """Kill the kernel and its children; it leads a session, so a group kill misses it."""
        if self.kernel is None:
            return
        try:
            family = [*self.kernel.children(recursive=True), self.kernel]
        except psutil.NoSuchProcess:
            return
        for process in family:
            try:
                process.kill()
            except psutil.NoSuchProcess:
                continue


class Manager(NotebookExecutionManager):
    """Reports each cell, and saves in one step so that a killed process leaves no torn file."""

    run: Run

    def save(self, **kwargs: Any) -> None:
        """Save the notebook, at most every two seconds unless forced."""
        due = time.monotonic() - getattr(self, "_saved", 0.0) >= SAVE_EVERY
        if not (due or kwargs.get("force")):
            return
        write_whole(Path(self.output_path), f"{nbformat.writes(self.nb)}\n".encode())
        self._saved = time.monotonic()
        self.last_save_time = self.now()

    def cell_start(self, cell: Any, cell_index: int | None = None, **kwargs: Any) -> None:
        """Report a cell before it runs."""
        self.run.index = cell_index
        if cell.cell_type == "code":
            upto, cells = self.nb.cells[: (cell_index or 0) + 1], self.nb.cells
            number, of = (sum(map(_is_authors, some)) for some in (upto, cells))
            heading = _heading(upto)
            self.run.report("cell", index=cell_index, number=number, of=of, heading=heading)
        super().cell_start(cell, cell_index, **kwargs)

    def notebook_complete(self, **kwargs: Any) -> None:
        """Save the notebook once more at its end."""
        super().notebook_complete(**kwargs)
        self.save(force=True)


class Client(PapermillNotebookClient):
    """Tells the kernel's process id before the first cell."""

    def papermill_execute_cells(self) -> None:
        """Report the kernel's process, then run the cells."""
        run = self.nb_man.run
        run.kernel = psutil.Process(self.km.provisioner.pid)
        run.report("kernel", pid=run.kernel.pid)
        super().papermill_execute_cells()


class LessonEngine(Engine):
    """papermill's own engine with the two classes above in place of its own."""

    @classmethod
    def execute_notebook(
        cls, nb: Any, kernel_name: str, output_path: str | None = None, **kwargs: Any
    ) -> Any:
        """Run a notebook as papermill does, with our manager and client."""
        manager = Manager(nb, output_path=output_path, progress_bar=False, autosave_cell_every=5)
        manager.run = kwargs["run"]
        manager.notebook_start()
        try:
            Client(
                manager,
                kernel_name=kernel_name,
                timeout=kwargs["execution_timeout"],
                startup_timeout=START_TIMEOUT,
                shutdown_kernel="immediate",  # it may be stuck, and torch takes seconds to leave
                record_timing=False,
            ).execute()
        finally:
            manager.notebook_complete()
        return manager.nb


def _is_authors(cell: Any) -> bool:
    return "injected-parameters" not in cell.metadata.get("tags", [])


def _heading(cells: list[Any]) -> str:
    """The last markdown heading among these cells."""
    for cell in reversed(cells):
        if cell.cell_type == "markdown":
            lines = [line for line in cell.source.splitlines() if line.startswith("#")]
            if lines:
                return lines[-1].lstrip("# ").strip()
    return ""


def _listen(run: Run) -> None:
    sys.stdin.readline()
    if run.kernel is None:
        os._exit(3)  # still importing or starting: nothing is there to be kept
    run.kill_kernel()  # the cell then ends as a dead kernel, papermill saves and the process leaves


def _execute(order: dict[str, Any], run: Run) -> dict[str, Any]:
    try:
        execute_notebook(
            order["source"],
            order["output"],
            parameters=order["parameters"],
            engine_name="distill-lab",
            kernel_name="python3",
            progress_bar=False,
            cwd=order["cwd"],
            execution_timeout=order["cell_timeout"],
            run=run,
        )
    except PapermillExecutionError:
        return {"how": "raised"}
    except CellTimeoutError:
        return {"how": "cell time limit"}
    except DeadKernelError:
        return {"how": "kernel died"}
    except Exception as error:  # the runner turns whatever it was into a finding
        return {"how": "broke", "remark": f"{type(error).__name__}: {error}"[:500]}
    return {"how": "completed"}


def _cpu_seconds() -> float | None:
    """CPU-seconds of this process and of all it has waited for: the kernel, and the kernel's."""
    if resource is None:
        return None
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def main() -> int:
    """Read the order, run the lesson, report how it ended."""
    # A kernel inherits file descriptor 1; what it prints there must not end up among the events.
    events = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    run = Run(events)
    order = json.loads(sys.stdin.readline())
    threading.Thread(target=_listen, args=(run,), daemon=True).start()
    papermill_engines.register("distill-lab", LessonEngine)
    ending = _execute(order, run)
    run.kill_kernel()
    run.report("end", index=run.index, cpu=_cpu_seconds(), **ending)
    return 0 if ending["how"] == "completed" else 1


if __name__ == "__main__":
    code = main()
    sys.stderr.flush()
    os._exit(code)  # zmq threads of a killed kernel would hold up a normal exit
