"""What every test stands on: its tier, one thread, the shared data where there is any, no network.

Tests come in tiers, by the markers of pyproject.toml: `make check` runs those that bear none,
`make test` all but the `exhaustive`, `make test-all` every one. What asks for the fixture
`browser_path`, `chromium` or `lab` bears `browser` by itself. A lesson's own tests lie in its
folder and join by that. A test that needs MNIST asks `distill_lab.data.datasets` and skips in words
where it is missing.
"""

import ipaddress
import json
import os
import socket
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent
pytest_plugins = ["tests.browser.lab"]

# Before torch is imported, and inherited by every kernel and process that a test starts: small
# matrices are slower on two threads, and the tests already run side by side.
for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[variable] = "1"

# Real data and models may lie beside the checkout. Never required, never overriding the user's.
for variable, folder in (("DISTILL_LAB_DATA", "data"), ("DISTILL_LAB_MODELS", "models")):
    if (beside := ROOT.parent / "shared" / folder).is_dir():
        os.environ.setdefault(variable, str(beside))

# Before the plugin imports nbformat; after the threads are set, since the course imports torch.
import distill_lab.course.quick_start  # noqa: E402, F401

# What takes longest, in the order in which files that hold it are begun.
LONG = ("lesson", "exhaustive", "server", "browser", "slow")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what drives a browser, and begin with what takes longest, so that workers stay even.

    Who shares a running browser or JupyterLab comes one after the other: see tests/browser/lab.py.
    """
    ranks: dict[Path, float] = {}
    for item in items:
        if "browser_path" in getattr(item, "fixturenames", ()):
            item.add_marker("browser")
        rank = next((i for i, name in enumerate(LONG) if item.get_closest_marker(name)), len(LONG))
        rank -= sum(
            0.25 for name in ("chromium", "lab") if name in getattr(item, "fixturenames", ())
        )
        ranks[item.path] = min(rank, ranks.get(item.path, rank))
    items.sort(key=lambda item: (ranks[item.path], -_minutes(item)))


def _minutes(item: pytest.Item) -> int:
    lesson = item.get_closest_marker("lesson") is not None
    return minutes_of(item.callspec.params["name"]) if lesson else 0  # type: ignore[attr-defined]


def minutes_of(lesson: str) -> int:
    """The minutes a lesson says it takes: the longer to read, the longer to run."""
    text = (ROOT / "notebooks" / f"{lesson}.ipynb").read_text(encoding="utf-8")
    return int(json.loads(text)["metadata"].get("distill_lab", {}).get("minutes", 0))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """A file's tests stay together, for what they share; lessons go out one by one, and first."""
    from xdist.scheduler import LoadScopeScheduling

    class ByFileAndLesson(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return nodeid if "test_lessons.py" in nodeid else nodeid.split("::", 1)[0]

    config.option.loadscopereorder = False
    return ByFileAndLesson(config, log)


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return ROOT


@pytest.fixture(scope="session")
def browser_path() -> str:
    """A Chromium to drive with playwright: `chromium.launch(executable_path=browser_path)`.

    Skips where there is none, unless DISTILL_LAB_REQUIRE_BROWSER=1 says that there must be.
    """
    from distill_lab.course.lab.doctor import find_browser

    path = find_browser()
    if path is None:
        missing = "no Chromium or Chrome here: install one, or name it in DISTILL_LAB_BROWSER"
        if os.environ.get("DISTILL_LAB_REQUIRE_BROWSER") == "1":
            pytest.fail(f"a browser is required (DISTILL_LAB_REQUIRE_BROWSER=1), but {missing}")
        pytest.skip(missing)
    return path


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections that leave this machine fail in words; loopback and local sockets work."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6) and not _loopback(address[0]):
            raise OSError(f"a test tried to reach {address[0]}: tests use no network")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)


def _loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
