"""One job for several seeds: data and teacher shared, each seed in a folder, one report."""

import dataclasses
import json
import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from distill_lab._util.io import write_whole
from distill_lab._util.jsonl import in_words
from distill_lab.evaluation.statistics import Interval, mean_interval, paired_interval
from distill_lab.jobs.setups.setup import Log
from distill_lab.synthesis.cards import contents

DONE = "seeds.json"  # in the job's folder: what each seed left
OF_A_MODEL = (".safetensors", ".json")
WORDS = {  # for figures that have a short name; others go by their own
    "nll": "NLL, nats",
    "kl": "KL to the teacher, nats",
    "agreement": "agreement with the teacher",
    "right": "exam, % right",
    "answer_seconds": "seconds an answer",
    "megabytes": "size, MB",
}
Facts = dict[str, dict[str, Any]]  # model -> figure -> value
Contents = dict[str, list[str]]  # setting -> the hash of each of its files
Run = Callable[[Any, dict[str, Any]], Any]


@dataclasses.dataclass(frozen=True)
class Seeds:
    """What the seeds of a job left together.

    Args:
        figures: seed -> model -> figure -> value.
        last: what running the last seed gave; None where all had been done before.
        interrupted: whether somebody stopped one of them.
    """

    figures: Mapping[str, Facts]
    last: Any
    interrupted: bool

    def table(self) -> str:
        """Mean of each figure with its interval, and the student's paired differences."""
        runs = list(self.figures.values())
        models = list(runs[0])
        student, others = models[-1], models[:-1]
        heads = [*models, *(f"{student} − {other}" for other in others)]
        lines = [f"| {len(runs)} seeds | {' | '.join(heads)} |", "| --- " * (len(heads) + 1) + "|"]
        for figure in dict.fromkeys(name for each in runs[0].values() for name in each):
            values = {m: [_number(run[m].get(figure)) for run in runs] for m in models}
            if any(None not in each for each in values.values()):
                cells = [_mean(values[model]) for model in models]
                cells += [_difference(values[student], values[other]) for other in others]
                lines.append(
                    f"| {WORDS.get(figure, figure.replace('_', ' '))} | {' | '.join(cells)} |"
                )
        note = "Means with 95 % intervals (Student-t); differences are paired seed by seed, behind "
        note += "them how many seeds agree with the sign."
        return "\n".join([*lines, "", note])


def repeat(job: Any, run: Run, log: Log, *, main: bool) -> Seeds:
    """Run a job once for each of its seeds, those that are not done yet.

    Args:
        job: says how many; the first is its own.
        run: (the job of one seed, what the seeds share in memory) -> what it left.
        log: called with a line for each seed.
        main: whether this process writes.

    Returns:
        What they left.

    Raises:
        ValueError: for a folder that holds the seeds of another job, of other files or other data.
    """
    out = Path(job.out)
    done = _read(out / DONE)
    shared: dict[str, Any] = {}
    files = files_of(job)
    check_seeds(job, files)
    last = None
    for number, one in enumerate(seeds_of(job), 1):
        seed = one.training.seed
        if str(seed) in done:
            log(f"seed {seed}: done before")
            continue
        log(f"seed {seed}: {number} of {job.seeds}, in {one.out}")
        last = run(one, shared)
        if last.history.interrupted:
            return Seeds({}, last, True)
        if main:
            check_seeds(job, files, last.data)
        facts = {"job": _identity(one), "files": files, "data": last.data}
        done[str(seed)] = facts | {"figures": last.facts}
        if main:
            with in_words(out / DONE):
                write_whole(out / DONE, json.dumps(done, indent=1).encode())
    names = [str(job.training.seed + number) for number in range(job.seeds)]
    return Seeds({name: done[name]["figures"] for name in names}, last, False)


def seeds_of(job: Any) -> Iterator[Any]:
    """The job of each seed of a job, in a folder of its own.

    Args:
        job: says how many; the first is its own.

    Yields:
        A job of one seed.
    """
    base = dataclasses.replace(job, seeds=None)
    for seed in range(job.training.seed, job.training.seed + job.seeds):
        training = dataclasses.replace(job.training, seed=seed)
        folder = str(Path(job.out) / f"seed_{seed}")
        yield dataclasses.replace(base, out=folder, base=base, training=training)


def check_seeds(job: Any, files: Contents, data: str | None = None) -> None:
    """Refuse a folder that holds the seeds of another job, of other files or other data.

    Args:
        job: what would be done.
        files: of `files_of`.
        data: the name of what would be learned; None where that is not known yet.

    Raises:
        ValueError: naming what differs.
    """
    path = Path(job.out) / DONE
    done = _read(path)
    for one in seeds_of(job):
        if before := done.get(str(one.training.seed)):
            seed = one.training.seed
            _refuse_other(path.parent, seed, before["job"], _identity(one))
            # seeds of before have none, and are believed
            _refuse_other(path.parent, seed, before.get("files", files), files, "the content of ")
    if data is not None and (others := {each["data"] for each in done.values()} - {data}):
        raise ValueError(
            f"{path} holds seeds that learned other data ({others.pop()} there, {data} now): "
            f"choose another out, or delete {path.parent}."
        )


def files_of(job: Any) -> Contents:
    """Name what the files hold that the seeds of a job follow from, and their figures.

    Args:
        job: of any kind.

    Returns:
        The hashes of training rows, validation, exam, teacher and student, where it names them.
    """
    exam = getattr(job, "exam", None) or {}
    named = {"train": job.train, "validation": job.validation, "exam": exam.get("data")}
    models = {
        what: [str(file) for file in sorted(Path(name).glob("*")) if file.suffix in OF_A_MODEL]
        for what, name in (("teacher", job.teacher), ("student", job.student))
        if isinstance(name, str)
    }
    return {
        what: [each["sha256"] for each in contents([paths] if isinstance(paths, str) else paths)]
        for what, paths in (named | models).items()
        if paths is not None
    }


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        done: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is not whole ({error}): delete it to start afresh.") from None
    return done


def _identity(job: Any) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads(json.dumps(job.facts(), default=str))
    return {name: value for name, value in facts.items() if name != "out"}


def _refuse_other(
    out: Path, seed: int, before: Mapping[str, Any], now: Mapping[str, Any], of: str = ""
) -> None:
    changed = [
        f"{of}{name}" if of else f"{name}: {before.get(name)!r} there, {now.get(name)!r} now"
        for name in dict.fromkeys([*now, *before])
        if before.get(name) != now.get(name)
    ]
    if changed:
        raise ValueError(
            f"seed {seed} in {out} is of another job ({'; '.join(changed)}): choose another out, "
            "or delete the folder to start afresh."
        )


def _number(value: Any) -> float | None:
    plain = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if plain and math.isfinite(value) else None


def _mean(values: list[float | None]) -> str:
    numbers = [value for value in values if value is not None]
    if len(numbers) < len(values):
        return "not measured"
    if len({*numbers}) == 1:
        form = ",.0f" if float(numbers[0]).is_integer() else ",.5g"
        return format(numbers[0], form)
    return _shown(mean_interval(numbers))


def _difference(a: list[float | None], b: list[float | None]) -> str:
    if None in a or None in b:
        return "not measured"
    return _shown(paired_interval(a, b))


def _shown(interval: Interval) -> str:
    size = max(abs(interval.mean), interval.sd) or 1000
    return format(interval, f".{min(8, max(0, 3 - math.floor(math.log10(size))))}f")
