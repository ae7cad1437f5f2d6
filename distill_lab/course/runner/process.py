"""Start, watch and end the process of one lesson, and leave no kernel behind."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from distill_lab.course.lessons import PACKAGE, LessonFile
from distill_lab.course.machine import CORES

GRACE = 6.0  # seconds that a stopped lesson gets to save what it has


def environment(stage: Path, share: int) -> dict[str, str]:
    """What a lesson's process sees: its cores, this Python, nothing of the user's Jupyter."""
    spec = stage / "jupyter" / "kernels" / "python3" / "kernel.json"
    if not spec.exists():
        # A `python3` kernel in the user's home may belong to another Python: ours goes first.
        spec.parent.mkdir(parents=True, exist_ok=True)
        argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        spec.write_text(
            json.dumps({"argv": argv, "display_name": "Python 3", "language": "python"}),
            encoding="utf-8",
        )
    before = os.environ.get("PYTHONPATH")
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(PACKAGE.parent), *([before] if before else [])]),
        "OMP_NUM_THREADS": "1",
        CORES: str(share),
        "DISTILL_LAB_HEADLESS": "1",
        "JUPYTER_PATH": str(stage / "jupyter"),
        "JUPYTER_RUNTIME_DIR": str(stage / "runtime"),
        "IPYTHONDIR": str(stage / "ipython"),
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
    }


@dataclass
class Worker:
    """The process of one lesson; its events arrive in a queue shared by all workers."""

    lesson: LessonFile
    stage: Path
    output: Path
    cores: int
    began: float = field(default_factory=time.monotonic)
    kernel: psutil.Process | None = None
    end: dict[str, Any] | None = None
    index: int | None = None
    stopping: float | None = None
    process: subprocess.Popen[str] | None = None

    def start(
        self, order: dict[str, Any], inbox: queue.Queue[tuple[Worker, dict[str, Any]]]
    ) -> None:
        """Start the process and the thread that forwards its events."""
        with open(self.stage / f"{self.lesson.name}.log", "w", encoding="utf-8") as log:
            self.process = subprocess.Popen(
                # -P: the folder of worker.py must not shadow modules of the standard library.
                [sys.executable, "-P", str(Path(__file__).with_name("worker.py"))],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=environment(self.stage, self.cores),
                encoding="utf-8",
                start_new_session=True,  # Ctrl-C reaches the runner alone, which ends this in order
            )
        self._send(json.dumps(order))
        threading.Thread(target=self._forward, args=(inbox,), daemon=True).start()

    @property
    def seconds(self) -> float:
        """Wall seconds since it started."""
        return time.monotonic() - self.began

    def note(self, event: dict[str, Any]) -> None:
        """Remember an event."""
        if event["event"] == "kernel":
            try:
                self.kernel = psutil.Process(event["pid"])
            except psutil.NoSuchProcess:
                self.kernel = None
        elif event["event"] == "cell":
            self.index = event["index"]
        elif event["event"] == "end":
            self.end = event

    def ask_to_stop(self) -> None:
        """Let the process kill its kernel, save and leave; `kill` follows if it does not."""
        self.stopping = time.monotonic()
        self._send("stop")

    def kill(self) -> None:
        """End the process, its kernel and all that they started, now."""
        family: list[psutil.Process] = []
        for root in (self._process(), self.kernel):
            if root is not None:
                try:
                    family += [root, *root.children(recursive=True)]
                except psutil.NoSuchProcess:
                    continue
        for process in family:
            try:
                process.kill()
            except psutil.NoSuchProcess:
                continue
        if self.process is not None:
            self.process.wait()
        psutil.wait_procs(family, timeout=5)

    @property
    def cpu_seconds(self) -> float | None:
        """What process, kernel and arms used together, once they have ended."""
        used = (self.end or {}).get("cpu")
        return None if used is None else round(float(used), 1)

    def last_line(self) -> str:
        """The last line on the process's stderr, if any."""
        try:
            text = (self.stage / f"{self.lesson.name}.log").read_text("utf-8", errors="replace")
        except OSError:
            return ""
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        return lines[-1][:200] if lines else ""

    def _process(self) -> psutil.Process | None:
        if self.process is None or self.process.poll() is not None:
            return None  # its number may belong to somebody else by now
        try:
            return psutil.Process(self.process.pid)
        except psutil.NoSuchProcess:
            return None

    def _send(self, line: str) -> None:
        assert self.process is not None and self.process.stdin is not None
        try:
            self.process.stdin.write(line + "\n")
            self.process.stdin.flush()
        except OSError:
            return  # it is gone already, and its end is on the way through the queue

    def _forward(self, inbox: queue.Queue[tuple[Worker, dict[str, Any]]]) -> None:
        assert self.process is not None and self.process.stdout is not None
        for line in self.process.stdout:
            try:
                inbox.put((self, json.loads(line)))
            except ValueError:
                continue
        inbox.put((self, {"event": "gone", "code": self.process.wait()}))
