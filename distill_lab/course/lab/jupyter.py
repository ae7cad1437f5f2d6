"""JupyterLab as the course needs it, without a touch to the user's own settings.

Everything Jupyter would keep in the user's home (settings, workspaces, configuration) is kept in
the checkout's `build/jupyter` instead: one environment variable, JUPYTER_CONFIG_DIR, does it. So a
password, a theme or a windowing mode set elsewhere neither changes the course nor is changed by it.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distill_lab._util.io import write_whole

FIRST_LESSON = "00_start_here.ipynb"

SETTINGS: dict[str, dict[str, Any]] = {
    "@jupyterlab/notebook-extension:tracker": {
        "autoStartDefaultKernel": True,
        # Every other mode takes outputs that are out of sight from the page, and canvases or
        # widgets may come back blank. Our lessons are short enough to keep whole.
        "windowingMode": "none",
    },
    # Sliders are kept when a notebook is saved, and stand where they stood when it is opened again.
    "@jupyter-widgets/jupyterlab-manager:plugin": {"saveState": True},
    # No question about news, and no request to a site that nobody asked for.
    "@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False},
}


def launch(port: int | None = None, browser: bool = True, start_again: Sequence[str] = ()) -> int:
    """Run JupyterLab at the reader's own copy of the first lesson; return its exit code.

    Args:
        port: to listen on, 0 for any free one; None takes the first free from 8888.
        browser: False prints the address and opens nothing.
        start_again: lessons of which a fresh copy is taken; then nothing is opened.
    """
    from distill_lab.course.lab import own_copy
    from distill_lab.course.lessons import RunnerError, find_root

    try:
        root = find_root()
        lines = [own_copy.start_again(root, name) for name in start_again]
        for line in lines or own_copy.prepare(root):
            print(line, flush=True)
    except RunnerError as error:  # not in a checkout, or no such lesson
        print(error, file=sys.stderr)
        return 1
    except OSError as error:
        print(
            f"Your own copy of the lessons could not be made ({error}). Make the folder "
            f"{own_copy.FOLDER} in the checkout writable, or free some of the disk.",
            file=sys.stderr,
        )
        return 1
    if start_again:
        return 0
    os.environ |= environment(root / "build" / "jupyter")
    os.environ.pop("JUPYTER_TOKEN", None)  # Jupyter makes a fresh one, and shows it
    from jupyterlab.labapp import LabApp  # only now, so that it sees the variables above

    command = arguments(root, f"{own_copy.FOLDER}/{FIRST_LESSON}", port=port, browser=browser)
    # Show the address and real trouble, not every request.
    LabApp.launch_instance(argv=[*command, "--Application.log_level=ERROR"])
    return 0


def environment(config: Path) -> dict[str, str]:
    """Write our settings into `config` and return the variable that makes Jupyter read them."""
    settings = config / "labconfig" / "default_setting_overrides.json"
    write_whole(settings, json.dumps(SETTINGS, indent=2).encode())
    return {"JUPYTER_CONFIG_DIR": str(config)}


def arguments(root: Path, notebook: str | None, *, port: int | None, browser: bool) -> list[str]:
    """JupyterLab's command line: this machine only, `root` as its folder, `notebook` opened."""
    command = [
        "--ServerApp.ip=127.0.0.1",
        f"--ServerApp.root_dir={root}",
        # It lists packages from the network; the course needs none of them.
        "--LabApp.extension_manager=readonly",
    ]
    if notebook and (root / notebook).is_file():
        command.append(f"--LabApp.default_url=/lab/tree/{notebook}")
    if port is not None:
        command.append(f"--ServerApp.port={port}")
    if not browser:
        command.append("--ServerApp.open_browser=False")
    if hasattr(os, "geteuid") and os.geteuid() == 0:  # in a container; Jupyter would refuse
        command.append("--ServerApp.allow_root=True")
    return command


@dataclass(frozen=True)
class Server:
    """A running JupyterLab: `url` ends in a slash."""

    url: str
    token: str
    pid: int

    def at(self, path: str) -> str:
        """The address of `path` on this server, token included."""
        return f"{self.url}{path}{'&' if '?' in path else '?'}token={self.token}"


@contextlib.contextmanager
def serve(root: Path, *, options: Sequence[str] = (), seconds: float = 60.0) -> Iterator[Server]:
    """JupyterLab over `root` on a free port, as `launch` sets it up, stopped on the way out.

    For tests and benchmarks that drive a real browser; `options` join its command line.

    Raises:
        RuntimeError: it did not answer within `seconds`; the message ends with what it said.
    """
    with tempfile.TemporaryDirectory(prefix="distill-lab-jupyter-") as folder:
        config = Path(folder)
        variables = os.environ | environment(config) | {"JUPYTER_RUNTIME_DIR": f"{folder}/runtime"}
        variables.pop("JUPYTER_TOKEN", None)
        command = arguments(root, None, port=0, browser=False)
        with (config / "log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "jupyterlab", *command, *options],
                env=variables,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        try:
            yield wait_for_server(config / "runtime", process, config / "log", seconds)
        finally:
            process.terminate()  # Jupyter then stops its kernels too
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def wait_for_server(
    runtime: Path, process: subprocess.Popen[bytes], log: Path, seconds: float = 60.0
) -> Server:
    """Wait until the server that `process` runs answers, and say where it is."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and process.poll() is None:
        for note in runtime.glob("jpserver-*.json"):
            with contextlib.suppress(OSError, ValueError, KeyError):  # not fully written or up yet
                about = json.loads(note.read_text(encoding="utf-8"))
                server = Server(about["url"], about["token"], about["pid"])
                with urllib.request.urlopen(server.at("api/status"), timeout=5):
                    return server
        time.sleep(0.1)
    output = log.read_text(encoding="utf-8", errors="replace")[-2000:]
    raise RuntimeError(
        f"Expected JupyterLab to answer within {seconds:.0f} seconds, but it did not: "
        f"run `distill-lab doctor`. It said:\n{output}"
    )
