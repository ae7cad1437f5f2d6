"""Train lesson 43's students and keep them: `python -m lesson_43.make`.

The tutor answers every prompt (`synthesis.generate`), filters take some out, and one student a
seed learns from each arm of `arms.ARMS`. Answers and finished students are kept in
the work folder, so a run that was stopped goes on where it was. An hour and a half on one core.
With `--answers` it samples only the few answers of the lesson's live figure, in half a minute.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load, save

from distill_lab._util.io import write_whole
from distill_lab.course import tutor
from distill_lab.course.stored import keep, made, progress
from distill_lab.course.worlds import Task
from distill_lab.synthesis import Answers, LocalGenerator, generate
from distill_lab.synthesis.filters import Filter, asked_and_answered, balanced, distinct, verified
from distill_lab.synthesis.pipeline import FilterPipeline
from distill_lab.synthesis.verifiers import Verdict
from distill_lab.training import History
from lesson_43 import arms, filtering, students
from lesson_43.arms import ARMS, Arm, Settings
from lesson_43.students import FOLDER
from lesson_43.students import REMAKE as COMMAND

WORK = FOLDER.parents[1] / "build" / "students"

Show = Callable[[str], None]


def asked(
    teacher: LocalGenerator, tasks: Sequence[Task], file: Path, *, temperature: float, seed: int = 0
) -> Answers:
    """Ask the tutor every task; each answer has the number of its task beside it."""
    prompts = [
        {"prompt": task.prompt, "task": i, "world": task.world} for i, task in enumerate(tasks)
    ]
    return generate(
        prompts,
        teacher,
        file,
        temperature=temperature,
        max_new_tokens=100,
        seed=seed,
        refusals=False,
    )


def judged_by(tasks: Sequence[Task]) -> Filter:
    """The filter that asks each world's own verifier."""

    def verify(row: dict[str, Any]) -> Verdict:
        verdict = tasks[row["about"]["task"]].check.verdict(row["answer"])
        return Verdict(verdict.right, verdict.reason)

    return verified(verify)


def all_filters(tasks: Sequence[Task], seed: int = 0) -> FilterPipeline:
    """The whole pipeline: verified, no near-duplicates, as many of every world."""
    return FilterPipeline(
        [judged_by(tasks), distinct(0.8, of=asked_and_answered), balanced("world", seed=seed)]
    )


class Sets:
    """What each arm of one seed learns from, made when it is asked for."""

    def __init__(self, settings: Settings, seed: int, work: Path, teacher: Path) -> None:
        self.settings, self.seed, self.work, self.folder = settings, seed, work, teacher
        self.tokenizer = tutor.hugging_face().AutoTokenizer.from_pretrained(teacher)

    @cached_property
    def teacher(self) -> LocalGenerator:
        """The tutor, ready to be asked; not every arm asks it."""
        return LocalGenerator(*tutor.load(self.folder), batch_size=100)

    def of(self, arm: Arm) -> tuple[list[Task], list[str], dict[str, Any]]:
        """Tasks, what to learn to answer, and facts about the set."""
        tasks = arms.prompts(self.settings, arm.kind, self.seed)
        facts: dict[str, Any] = {"asked": len(tasks)}
        if arm.of in ("raw", "verified", "filtered", "steps", "answers"):
            texts, facts["filters"] = self._tutor(arm.of, tasks)
        else:
            texts = arms.by_rule(arm.of, tasks, self.settings.noise)
        if not texts:
            raise ValueError(f"nothing is left to learn from for {arm.about!r}: see its filters.")
        right = sum(tasks[i].check.verdict(text).right for i, text in texts.items())
        facts |= {"left": len(texts), "right": round(100 * right / len(texts), 2)}
        return [tasks[i] for i in texts], list(texts.values()), facts

    def _tutor(self, of: str, tasks: list[Task]) -> tuple[dict[int, str], list[dict[str, Any]]]:
        greedy = of in ("steps", "answers")
        file = self.work / f"{'sums' if greedy else 'answers'}-{self.seed}.jsonl"
        heat = 0.0 if greedy else 1.0
        rows = asked(self.teacher, tasks, file, temperature=heat, seed=self.seed).rows
        filters: list[dict[str, Any]] = []
        if of in ("verified", "filtered"):
            verified_only = FilterPipeline([judged_by(tasks)])
            pipeline = verified_only if of == "verified" else all_filters(tasks, self.seed)
            filtered = pipeline(rows)
            rows = filtered.rows
            filters = [
                {"filter": step.name, "n_in": step.n_in, "n_removed": step.n_removed}
                for step in filtered.steps
            ]
        texts = {row["about"]["task"]: row["answer"] for row in rows}
        if of == "answers":
            texts = {i: text[max(0, text.find("Answer:")) :] for i, text in texts.items()}
        return texts, filters


def train_all(
    settings: Settings, names: Sequence[str], work: Path, teacher: Path, show: Show
) -> None:
    """Train what `work` does not hold yet, the base first."""
    _train_base(settings, work, Sets(settings, 0, work, teacher), show)
    for seed in range(settings.seeds):
        sets = Sets(settings, seed, work, teacher)
        for name in names:
            _train(settings, name, ARMS[name], seed, work, sets, show)


def _train_base(settings: Settings, work: Path, sets: Sets, show: Show) -> None:
    if (work / "base-0.safetensors").is_file():
        return
    student, kind = students.fresh(sets.tokenizer), settings.kinds["base"]
    history = students.train_base(student, sets.tokenizer, kind, _reporter(show, "base"))
    facts = {"asked": kind.examples, "left": kind.examples, "right": 100.0}
    _keep(student, history, facts, work / "base-0.safetensors", show)


def _train(
    settings: Settings, name: str, arm: Arm, seed: int, work: Path, sets: Sets, show: Show
) -> None:
    file = work / f"{name}-{seed}.safetensors"
    if file.is_file():
        return
    kind = settings.kinds[arm.kind]
    student = students.fresh(sets.tokenizer, seed)
    if kind.from_base:
        weights = load((work / "base-0.safetensors").read_bytes())
        student.load_state_dict(weights, strict=False)  # the output layer is the embedding's own
    tasks, targets, facts = sets.of(arm)
    history = students.train(
        student,
        tasks,
        targets,
        sets.tokenizer,
        kind,
        seed=seed,
        longer=arm.longer,
        progress=_reporter(show, f"{name}, seed {seed}"),
    )
    _keep(student, history, facts, file, show)


def _reporter(show: Show, who: str) -> Callable[[int, int], None]:
    def report(step: int, steps: int) -> None:
        if step % 50 == 0:
            show(f"{who}: step {step:,} of {steps:,}")

    return report


def _keep(student: Any, history: History, facts: dict[str, Any], file: Path, show: Show) -> None:
    """Write a finished student, its facts first: where the weights are, all is."""
    last = history["ce"][-100:]
    facts |= {
        "steps": history.steps,
        "seconds": round(history.seconds),
        "loss": round(sum(last) / len(last), 4),
    }
    write_whole(file.with_suffix(".json"), json.dumps(facts).encode())
    write_whole(file, save({k: v.detach().half() for k, v in student.named_parameters()}))
    show(f"{file.stem}: {facts}\n")


def publish(settings: Settings, work: Path, out: Path) -> None:
    """Write every arm's students as one file, the base and the report, with their checksums."""
    arms_made: dict[str, Any] = {"base": [json.loads((work / "base-0.json").read_text("utf-8"))]}
    base = out / "base.safetensors"
    keep(base, (work / "base-0.safetensors").read_bytes())
    for name in ARMS:
        files = [work / f"{name}-{seed}.safetensors" for seed in range(settings.seeds)]
        weights = [load(file.read_bytes()) for file in files]
        stacked = {key: torch.stack([one[key] for one in weights]) for key in weights[0]}
        keep(out / f"{name}.safetensors", save(stacked))
        arms_made[name] = [json.loads(f.with_suffix(".json").read_text("utf-8")) for f in files]
    seconds = sum(fact["seconds"] for facts in arms_made.values() for fact in facts)
    text = students.facts(settings, arms_made, made(COMMAND, seconds))
    keep(out / "report.json", text.encode())


def sample_answers(work: Path, out: Path, teacher: LocalGenerator) -> None:
    """Write the answers that `filtering.Stored` reads: two samples a prompt and temperature."""
    tasks = filtering.figure_tasks()
    prompts = [{"prompt": task.prompt, "task": i} for i, task in enumerate(tasks)]
    began, answers = time.perf_counter(), {}
    settings = {"samples": 2, "max_new_tokens": 44, "seed": 0}
    for T in filtering.TEMPERATURES:
        file = work / f"figure-{T}.jsonl"
        rows = generate(prompts, teacher, file, temperature=T, refusals=False, **settings).rows
        answers[str(T)] = [[row["about"]["task"], row["answer"]] for row in rows]
    facts = made(filtering.REMAKE, time.perf_counter() - began)
    content = {"made": facts, "settings": settings, "answers": answers}
    keep(out / filtering.FILE, (json.dumps(content, indent=0) + "\n").encode())


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line. 0: written; 3: other arms are still to be trained."""
    parser = argparse.ArgumentParser(prog=COMMAND, description=(__doc__ or "").split(":")[0] + ".")
    parser.add_argument("--out", type=Path, default=FOLDER, help="folder to write to")
    parser.add_argument("--work", type=Path, default=WORK, help="folder for the unfinished run")
    parser.add_argument("--tutor", type=Path, default=tutor.FOLDER, help="folder of the tutor")
    parser.add_argument(
        "--arms",
        nargs="+",
        choices=ARMS,
        default=list(ARMS),
        help="only these: several processes can share the work",
    )
    parser.add_argument("--seeds", type=int, default=Settings.seeds)
    parser.add_argument("--answers", action="store_true", help="only the live figure's answers")
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)  # two threads are many times slower on matrices this small
    settings, show = Settings(seeds=given.seeds), progress()
    given.work.mkdir(parents=True, exist_ok=True)
    if given.answers:
        sample_answers(given.work, given.out, LocalGenerator(*tutor.load(given.tutor)))
        return 0
    train_all(settings, given.arms, given.work, given.tutor, show)
    wanted = [given.work / f"{a}-{s}.safetensors" for a in ARMS for s in range(settings.seeds)]
    if missing := [file.stem for file in wanted if not file.is_file()]:
        print(f"\nstill to be trained: {', '.join(missing)}", file=sys.stderr)
        return 3
    publish(settings, given.work, given.out)
    print(f"\nwrote the students to {given.out}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
