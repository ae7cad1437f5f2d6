"""Run named tests in a copy of the project, and say how they ended.

As a script, `python -m tests.mutants.attempt FOLDER [--measure NAME] TEST...` does it in a process
of its own; run.py forks instead where it can, so that torch is imported once.
"""

import contextlib
import importlib
import io
import json
import math
import os
import sys
from pathlib import Path
from typing import Any

OURS = ("distill_lab", "tests")
ROOT = Path(__file__).resolve().parents[2]


class Listener:
    """What pytest reports, of failures whether an assertion failed or something broke."""

    def __init__(self) -> None:
        self.passed: list[str] = []
        self.failed: list[str] = []
        self.broken: list[str] = []

    def pytest_runtest_makereport(self, item: Any, call: Any) -> None:
        if call.when == "call" and call.excinfo is None:
            self.passed.append(item.nodeid)
        elif call.excinfo is not None:
            error = call.excinfo.value
            where = self.failed if call.when == "call" and asserted(error) else self.broken
            where.append(f"{item.nodeid}: {type(error).__name__}: {str(error)[:300]}")

    def pytest_collectreport(self, report: Any) -> None:
        if report.failed:
            self.broken.append(f"{report.nodeid}: {str(report.longrepr)[-300:]}")


def asserted(error: BaseException) -> bool:
    """Whether a test said no, rather than falling over."""
    if isinstance(error, BaseExceptionGroup):  # hypothesis, where it finds several
        return all(asserted(inner) for inner in error.exceptions)
    # pytest.fail and an exception that did not come are assertions, too
    return isinstance(error, AssertionError) or type(error).__name__ == "Failed"


def attempt(folder: Path, tests: list[str], measures: list[str]) -> dict[str, Any]:
    """The outcome of the tests on the package in this folder, and the figures asked for."""
    for name in [n for n in sys.modules if n.split(".")[0] in OURS]:
        del sys.modules[name]
    os.chdir(folder)
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    sys.path[:] = [str(folder), *(p for p in sys.path if p and Path(p).resolve() != ROOT)]
    from hypothesis import Phase, settings

    # the first failing example will do; making it small takes longer than all the rest
    settings.register_profile(
        "mutants", database=None, derandomize=True, phases=(Phase.explicit, Phase.generate)
    )
    settings.load_profile("mutants")
    numbers = {}
    if measures:
        module = importlib.import_module("tests.mutants.numbers")
        numbers = {name: measured(getattr(module, name)) for name in measures}
    import pytest

    listener, output = Listener(), io.StringIO()
    options = ["-q", "-p", "no:cacheprovider", "--tb=no"]
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
        status = pytest.main([*options, *(f"tests/{t}" for t in tests)], plugins=[listener])
    package = importlib.import_module("distill_lab")
    assert Path(str(package.__file__)).is_relative_to(folder), package.__file__
    return {
        "status": int(status),
        "passed": listener.passed,
        "failed": listener.failed,
        "broken": listener.broken,
        "output": output.getvalue()[-2000:],
        "numbers": numbers,
    }


def measured(figure: Any) -> float | str:
    """A figure, or in a word why there is none."""
    try:
        value = float(figure())
    except Exception as error:
        return type(error).__name__
    return value if math.isfinite(value) else str(value)


def write(folder: Path, tests: list[str], measures: list[str]) -> None:
    """Leave the outcome beside the copy, also when the attempt itself falls over."""
    try:
        outcome = attempt(folder, tests, measures)
    except BaseException as error:
        outcome = {"status": -1, "passed": [], "failed": [], "numbers": {}, "output": ""}
        outcome["broken"] = [f"{type(error).__name__}: {error}"]
    partial = folder / "outcome.partial"
    partial.write_text(json.dumps(outcome))
    partial.replace(folder / "outcome.json")


if __name__ == "__main__":
    order = json.loads(sys.argv[1])
    write(Path(order["folder"]), order["tests"], order["measures"])
