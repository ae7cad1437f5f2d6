"""Run a student's exercises in a kernel of their own, with a limit of time.

The frame (parameters, imports, `Lesson(...)`, the folder `lesson_NN/`) is the course's; only the
cells tagged `exercise` are the student's. No line of theirs runs in the process that grades. It is
no prison: their code has the rights of whoever starts the grading, so grade strangers in a
container.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

from distill_lab.course.lessons import LessonFile
from distill_lab.course.runner.process import environment

__all__ = ["executed"]

GRACE = 15.0  # seconds to start a kernel and to end one

Notebook = dict[str, Any]


def executed(lesson: LessonFile, student: Notebook, *, seconds: float) -> Notebook:
    """Run the exercises of a student's notebook.

    Args:
        lesson: The lesson of the course.
        student: The student's notebook.
        seconds: How long all cells together may take.

    Returns:
        The notebook that was run, as far as it came; what was not reached has no outputs.
    """
    with tempfile.TemporaryDirectory(prefix="distill-lab-grade-") as folder:
        stage = Path(folder)
        file = stage / "notebook.json"
        file.write_text(json.dumps(frame(lesson, student)), encoding="utf-8")
        command = [sys.executable, "-m", __name__, str(file), str(seconds)]
        variables = environment(stage, 1)
        variables["PYTHONPATH"] = os.pathsep.join(
            [str(lesson.path.parent), variables["PYTHONPATH"]]
        )
        with subprocess.Popen(
            command, cwd=stage, env=variables, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as process:
            try:
                process.wait(seconds + GRACE)
            except subprocess.TimeoutExpired:
                _end(process.pid)
        return dict(json.loads(file.read_text(encoding="utf-8")))


def frame(lesson: LessonFile, student: Notebook) -> Notebook:
    """The course's own opening cells, then the student's exercise cells in their order."""
    ours = json.loads(lesson.path.read_text(encoding="utf-8"))
    opening = [
        cell
        for cell in ours["cells"]
        if cell["cell_type"] == "code"
        and (tags(cell) & {"parameters", "imports"} or "Lesson(" in "".join(cell["source"]))
    ]
    theirs = [
        cell
        for cell in student["cells"]
        if cell.get("cell_type") == "code" and "exercise" in tags(cell)
    ]
    cells = [{**cell, "outputs": [], "execution_count": None} for cell in (*opening, *theirs)]
    return {**ours, "cells": cells}


def tags(cell: Notebook) -> set[str]:
    """The tags of a cell."""
    return set(cell.get("metadata", {}).get("tags", []))


def _end(pid: int) -> None:
    """End a process and all it started, kernels too."""
    parent = psutil.Process(pid)
    for process in (*parent.children(recursive=True), parent):
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue


def main(file: Path, seconds: float) -> None:
    """Run the cells of a notebook; after each one write the notebook as far as it came."""
    import nbformat
    from nbclient import NotebookClient

    nb = nbformat.read(file, as_version=4)
    deadline = time.monotonic() + seconds
    client = NotebookClient(nb, kernel_name="python3", allow_errors=True)
    client.timeout_func = lambda cell: max(1, round(deadline - time.monotonic()))
    with client.setup_kernel():
        for index, cell in enumerate(nb.cells):
            client.execute_cell(cell, index)
            partial = file.with_suffix(".part")
            partial.write_text(nbformat.writes(nb), encoding="utf-8")
            partial.replace(file)


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]))
