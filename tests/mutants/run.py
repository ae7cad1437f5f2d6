"""Put every known mistake back, one at a time, and see that its test notices: `make mutants`.

The package is copied to a temporary folder and never changed in place. First every named test has
to pass on the clean copy; then each mutant gets a copy of its own, and its test has to fail there
by an assertion. A test that cannot be collected, or falls over, kills nothing.
"""

import argparse
import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.mutants import attempt, table
from tests.mutants.catalogue import MUTANTS
from tests.mutants.mutant import ROOT, DoesNotApplyError, Mutant, copy_of_the_project, put_in

PATIENCE = 120.0  # seconds for one mutant; a hang is no kill
# torch and what else takes long to import and knows nothing of the package
SHARED = (
    "torch",
    "torch.func",
    "numpy",
    "pytest",
    "hypothesis",
    "scipy.stats",
    "safetensors.torch",
    "accelerate",
)
NOTHING: dict[str, Any] = {"status": -1, "failed": [], "broken": ["no word of it"], "numbers": {}}


@dataclass
class Result:
    """What became of one mutant; `numbers` are figures with the mistake in."""

    mutant: Mutant
    outcome: str  # killed, survived, broken, does not apply, timed out
    why: str = ""
    numbers: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0


class Child:
    """An attempt in a process of its own: a fork where that is safe, else a fresh Python."""

    def __init__(self, folder: Path, tests: list[str], measures: list[str], fork: bool) -> None:
        self.folder, self.began = folder, time.monotonic()
        self.process: subprocess.Popen[bytes] | None = None
        if not fork:
            order = json.dumps({"folder": str(folder), "tests": tests, "measures": measures})
            command = [sys.executable, "-m", "tests.mutants.attempt", order]
            self.process = subprocess.Popen(command, cwd=ROOT)
            self.pid = self.process.pid
            return
        sys.stdout.flush()
        self.pid = os.fork()
        if self.pid == 0:
            attempt.write(folder, tests, measures)
            os._exit(0)

    def done(self) -> bool:
        if self.process is not None:
            return self.process.poll() is not None
        return os.waitpid(self.pid, os.WNOHANG)[0] != 0

    def seconds(self) -> float:
        return time.monotonic() - self.began

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
        else:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)

    def outcome(self) -> dict[str, Any]:
        file = self.folder / "outcome.json"
        return json.loads(file.read_text()) if file.exists() else NOTHING


def judge(mutant: Mutant, ended: dict[str, Any]) -> Result:
    """Killed by an assertion, and by nothing else."""
    if ended["broken"] or ended["status"] not in (0, 1):
        why = (ended["broken"] or [ended.get("output", "")])[0]
        return Result(mutant, "broken", why, ended["numbers"])
    if ended["failed"]:
        return Result(mutant, "killed", ended["failed"][0], ended["numbers"])
    return Result(mutant, "survived", f"{mutant.test} still passes", ended["numbers"])


def try_all(
    mutants: Sequence[Mutant], *, jobs: int = 2, fork: bool | None = None, numbers: bool = False
) -> Iterable[Result]:
    """The fate of each mutant, in the order they end; first of all the clean package's figures.

    Raises RuntimeError if a named test fails without any mutant.
    """
    fork = sys.platform == "linux" if fork is None else fork  # forking torch is unsafe elsewhere
    for name in SHARED if fork else ():
        importlib.import_module(name)
    if fork:
        importlib.import_module("torch").set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix="mutants-") as place:
        home = Path(place).resolve()
        clean = copy_of_the_project(home / "clean")
        yield _baseline(mutants, clean, fork, numbers)
        waiting, running = list(mutants), {}
        while waiting or running:
            while waiting and len(running) < jobs:
                mutant = waiting.pop(0)
                try:
                    folder = put_in(mutant, clean, home / mutant.id)
                except DoesNotApplyError as error:
                    yield Result(mutant, "does not apply", str(error))
                    continue
                measures = [mutant.measure] if numbers and mutant.measure else []
                running[mutant.id] = mutant, Child(folder, [mutant.test], measures, fork)
            for key, (mutant, child) in list(running.items()):
                if child.done():
                    result = judge(mutant, child.outcome())
                elif child.seconds() > PATIENCE:
                    child.stop()
                    result = Result(mutant, "timed out", f"no answer in {PATIENCE:g} s")
                else:
                    continue
                result.seconds = child.seconds()
                del running[key]
                yield result
            time.sleep(0.02)


def _baseline(mutants: Sequence[Mutant], clean: Path, fork: bool, numbers: bool) -> Result:
    tests = sorted({m.test for m in mutants})
    measures = sorted({m.measure for m in mutants if m.measure}) if numbers else []
    child = Child(clean, tests, measures, fork)
    while not child.done():
        time.sleep(0.02)
    ended = child.outcome()
    if ended["status"] != 0:
        why = "\n".join([*ended["failed"], *ended["broken"]]) or ended.get("output", "")
        raise RuntimeError(f"without any mutant, a named test does not pass:\n{why}")
    (clean / "outcome.json").unlink()
    nothing = Mutant("none", "", "", "", "", "", "")
    return Result(nothing, "passes", numbers=ended["numbers"], seconds=child.seconds())


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants.run", description=__doc__)
    parser.add_argument("--only", action="append", metavar="ID", help="this mutant (repeatable)")
    parser.add_argument("--jobs", type=int, default=min(4, os.cpu_count() or 1))
    parser.add_argument("--no-fork", action="store_true", help="a fresh Python for each mutant")
    parser.add_argument(
        "--table", action="store_true", help="measure; write rows of TABLE.md, table.json"
    )
    options = parser.parse_args(arguments)
    chosen = [m for m in MUTANTS if not options.only or m.id in options.only]
    unknown = set(options.only or ()) - {m.id for m in chosen}
    if unknown:
        parser.error(f"no mutant is called {', '.join(sorted(unknown))}")
    return report(chosen, options.jobs, False if options.no_fork else None, options.table)


def report(
    mutants: Sequence[Mutant], jobs: int, fork: bool | None = None, with_table: bool = False
) -> int:
    """Try the mutants, print a line for each, and return 0 only if all were killed."""
    began, results = time.monotonic(), []
    tries = iter(try_all(mutants, jobs=jobs, fork=fork, numbers=with_table))
    clean = next(tries)
    tests = len({m.test for m in mutants})
    print(f"{tests} named tests pass without a mutant ({clean.seconds:.0f} s).", flush=True)
    for result in tries:
        results.append(result)
        killer = result.mutant.test
        line = killer if result.outcome == "killed" else result.why.replace("\n", " ")
        print(f"{result.outcome:<14} {result.mutant.id:<36} {line}", flush=True)
    killed = sum(result.outcome == "killed" for result in results)
    if with_table:
        table.write(results, clean.numbers, [mutant.id for mutant in MUTANTS])
    print(f"{time.monotonic() - began:.0f} seconds.")
    print(f"{killed} of {len(mutants)} mutants killed")
    return 0 if killed == len(mutants) else 1


if __name__ == "__main__":
    sys.exit(main())
