"""`distill-lab lab` as a real server: private, set up for the course, no trace in the home."""

import json
import os
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from distill_lab.course.lab import jupyter

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.server


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's home, whose Jupyter is set to everything the course must not inherit."""
    home = tmp_path_factory.mktemp("home")
    (home / ".jupyter").mkdir()
    (home / ".jupyter" / "jupyter_server_config.json").write_text(
        json.dumps({"IdentityProvider": {"token": ""}, "ServerApp": {"ip": "0.0.0.0"}})
    )
    return home


@pytest.fixture(scope="module")
def server(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[jupyter.Server]:
    """The command itself, started as a user starts it."""
    folder = tmp_path_factory.mktemp("server")
    variables = os.environ | {
        "HOME": str(home),
        "JUPYTER_TOKEN": "",
        "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
    }
    variables.pop("JUPYTER_CONFIG_DIR", None)
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "distill_lab.cli", "lab", "--port", "0", "--no-browser"],
            cwd=ROOT,
            env=variables,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        server = jupyter.wait_for_server(folder / "runtime", process, folder / "log", 90)
        assert f"?token={server.token}" in (folder / "log").read_text(), "the address is not shown"
        yield server
    finally:
        process.terminate()
        process.wait(30)


def get(address: str) -> Any:
    with urllib.request.urlopen(address, timeout=30) as answer:
        return json.load(answer)


def test_without_the_token_nothing_is_shown(server: jupyter.Server) -> None:
    for path in ("api/contents", "api/contents?token=", "api/contents?token=guess", "api/kernels"):
        with pytest.raises(urllib.error.HTTPError) as refused:
            get(server.url + path)
        assert refused.value.code == 403
    assert len(server.token) >= 40


def test_with_the_token_the_lessons_are_there(server: jupyter.Server) -> None:
    names = {entry["name"] for entry in get(server.at("api/contents/notebooks"))["content"]}
    assert "00_start_here.ipynb" in names


def test_only_this_machine_can_reach_it(server: jupyter.Server) -> None:
    process = psutil.Process(server.pid)
    listening = [c for c in process.net_connections("inet") if c.status == psutil.CONN_LISTEN]
    assert {connection.laddr.ip for connection in listening} == {"127.0.0.1"}
    assert server.url.startswith("http://127.0.0.1:")


def test_the_first_page_is_the_first_lesson(server: jupyter.Server) -> None:
    address = server.at("")
    with urllib.request.urlopen(address, timeout=30) as answer:
        assert answer.url.split("?")[0].endswith("/lab/tree/my/00_start_here.ipynb")


@pytest.mark.parametrize("plugin", jupyter.SETTINGS)
def test_our_settings_are_served_as_defaults(server: jupyter.Server, plugin: str) -> None:
    served = get(server.at(f"lab/api/settings/{plugin}"))["schema"]["properties"]
    for name, value in jupyter.SETTINGS[plugin].items():
        assert served[name]["default"] == value
        assert isinstance(value, {"string": str, "boolean": bool}[served[name]["type"]])
        choices = [choice["const"] for choice in served[name].get("oneOf", [])]
        assert not choices or value in choices


def test_the_users_home_keeps_its_own_settings(server: jupyter.Server, home: Path) -> None:
    written = [path for path in (home / ".jupyter").rglob("*") if path.is_file()]
    assert [path.name for path in written] == ["jupyter_server_config.json"]


def test_serve_starts_one_for_a_browser_test_and_stops_it(tmp_path: Path) -> None:
    (tmp_path / "a lesson.ipynb").write_text("{}")
    with jupyter.serve(tmp_path) as server:
        names = [entry["name"] for entry in get(server.at("api/contents"))["content"]]
        assert names == ["a lesson.ipynb"]
        port = int(server.url.split(":")[2].strip("/"))
    assert not psutil.pid_exists(server.pid)
    with socket.socket() as gone:
        assert gone.connect_ex(("127.0.0.1", port)) != 0


def test_a_server_that_dies_says_what_it_said(tmp_path: Path) -> None:
    with (
        pytest.raises(RuntimeError, match="distill-lab doctor") as error,
        jupyter.serve(tmp_path / "missing"),
    ):
        pass
    assert "missing" in str(error.value)
