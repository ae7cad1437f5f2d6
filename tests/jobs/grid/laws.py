"""What every job of the grid is held to, whatever it learns: run, killed, run again, changed."""

import dataclasses
import json
import math
import os
import signal
import warnings

import yaml
from safetensors import safe_open
from safetensors.torch import load_file

from distill_lab._util.checks import error_in_words
from distill_lab.jobs.job_file import read_job
from distill_lab.jobs.kinds import KINDS
from distill_lab.jobs.running import run_job
from tests.jobs.runs import forked

PASSING = ("seconds", "answer_seconds", "latency_p50", "latency_p95", "latency_in_turn", "speed_up")


@dataclasses.dataclass
class Verdict:
    """How something ended: with what it gave, or refused in words."""

    result: object = None
    refusal: str = ""
    lines: tuple = ()


@dataclasses.dataclass
class Trial:
    """A job in a folder.

    Args:
        place: the folder.
        settings: of the job file.
    """

    place: object
    settings: dict

    def file(self, out="out", **more):
        path = self.place / f"{out}.yaml"
        given = {k: v for k, v in (self.settings | {"out": out} | more).items() if v is not None}
        path.write_text(yaml.safe_dump(given, allow_unicode=True), encoding="utf-8")
        return path

    def job(self, out="out", **more):
        with warnings.catch_warnings(action="ignore"):  # of settings that a method does not read
            return read_job(self.file(out, **more))

    def _tried(self, action, out, more):
        lines = []
        try:
            return Verdict(action(self.job(out, **more), lines.append), lines=lines)
        except Exception as error:
            if (words := error_in_words(error)) is None:
                raise
            return Verdict(refusal=words, lines=lines)

    def check(self, out="out", **more):
        return self._tried(lambda job, log: KINDS[job.kind].check(job, log) or True, out, more)

    def run(self, out="out", progress=False, **more):
        with warnings.catch_warnings(action="ignore"):
            return self._tried(lambda job, log: run_job(job, progress=progress, log=log), out, more)

    def killed(self, out, step, **more):
        """Run it in a child that is killed behind a step; whether it was."""
        job, seen = self.job(out, **more), []

        def progress(terms, done, steps):
            seen.append(done)
            if len(seen) == step:
                os.kill(os.getpid(), signal.SIGKILL)

        status = os.waitpid(forked(lambda: run_job(job, progress=progress)), 0)[1]
        assert os.WIFSIGNALED(status) or status == 0, "the child fell over"
        return os.WIFSIGNALED(status)

    def students(self, out="out"):
        """Each file of weights that a job left, by its place."""
        root = self.place / out
        files = sorted(root.rglob("student/*.safetensors"))
        return {str(file.relative_to(root)): load_file(file) for file in files}

    def report(self, out="out"):
        return json.loads((self.place / out / "report.json").read_text())

    def figures(self, out="out"):
        """Those of a report, of each seed where there are several."""
        report = self.report(out)
        return report.get("seeds") or report["figures"]


def same_students(one, other):
    """Whether two jobs left the same bits."""
    return one.keys() == other.keys() and all(
        one[file].keys() == other[file].keys()
        and all(one[file][name].equal(other[file][name]) for name in one[file])
        for file in one
    )


def lasting(facts):
    """The facts of a report without what every run measures anew."""
    if isinstance(facts, dict):
        return {k: lasting(v) for k, v in facts.items() if k not in PASSING and k != "out"}
    return [lasting(each) for each in facts] if isinstance(facts, list) else facts


def first_step(folder):
    """What a run's checkpoint says of its first step."""
    with safe_open(folder / "run.safetensors", framework="pt") as file:
        names = [name for name in file.keys() if name.startswith("history/")]  # noqa: SIM118
        return {name.removeprefix("history/"): file.get_tensor(name)[0].item() for name in names}


def compared(made, more, *, known=True):
    """In the folder that was used, it is refused, or gives what a fresh folder gives.

    Args:
        made: the trial, changed since.
        more: settings that are others now.
        known: whether --check can know what will be learned.
    """
    checked, used = made.check(**more), made.run(**more)
    assert bool(checked.refusal) <= bool(used.refusal), (checked.refusal, used.refusal)
    if known:
        assert bool(checked.refusal) == bool(used.refusal), used.refusal
    if not used.refusal:
        fresh = made.run("fresh", **more)
        assert not fresh.refusal, fresh.refusal
        assert same_students(made.students(), made.students("fresh"))
        assert lasting(made.figures()) == lasting(made.figures("fresh"))


def takes_its_steps(made, ran, count):
    """Two epochs of all its examples, or fewer where patience ends it."""
    each = math.ceil(count / made.case["batch_size"])
    history = ran.result.history
    assert history.steps_per_epoch == each, (history.steps_per_epoch, each)
    if made.case["while"] == "patience":
        assert history.steps <= 2 * each
    else:
        assert history.steps == 2 * each
    assert all(math.isfinite(value) for name in history for value in history[name])


def killed(made, ran):
    """Killed at a step and run again, it leaves the same bits and the same figures."""
    steps = ran.result.history.steps * (made.case["seeds"] or 1)
    assert made.killed("torn", max(1, steps // 2))
    checked, again = made.check("torn"), made.run("torn")
    assert checked.refusal == again.refusal == ""
    assert same_students(made.students(), made.students("torn"))
    assert lasting(made.figures()) == lasting(made.figures("torn"))


def again(made, ran):
    """Run again untouched, it takes no step, and leaves the same."""
    before, steps = made.students(), []
    checked = made.check()
    second = made.run(progress=lambda terms, step, total: steps.append(step))
    assert checked.refusal == second.refusal == "" and not steps
    assert same_students(before, made.students())
