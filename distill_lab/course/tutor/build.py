"""Make the tutor: learn a vocabulary, train in our loop, examine what came out.

A run can be stopped at any moment and gone on with: all it needs lies in its work folder.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from distill_lab._util.io import write_whole
from distill_lab._util.wrappers import load_state
from distill_lab.course import worlds
from distill_lab.course.tutor.answering import share_right
from distill_lab.course.tutor.drawing import Conversations
from distill_lab.course.tutor.method import answers_and_prompts
from distill_lab.course.tutor.recipe import Recipe, Size, epochs_of, network
from distill_lab.course.tutor.writing import made_on
from distill_lab.training import History, TrainStep, distill
from distill_lab.training.checkpoint import load_checkpoint

__all__ = ["NAMES", "build", "forget"]

Show = Callable[[str], None]

NAMES = ("tutor", "control")
KEEP_EVERY = 200  # steps between two checkpoints: a minute or so on two cores


def build(
    recipe: Recipe,
    work: Path,
    *,
    names: tuple[str, ...] = NAMES,
    minutes: float | None = None,
    device: str = "cpu",
    show: Show = lambda words: None,
) -> dict[str, Any] | None:
    """Train the tutor and its control in `work`, or go on there; their report once that is done.

    `names` may leave one of the two for later. After `minutes` it stops where it is and returns
    None; called again with the same recipe it goes on. `show` is told what happens. Each network
    is left in a folder of its name in `work`, ready for `from_pretrained`.
    Raises ValueError where `work` holds the run of another recipe.
    """
    _check_same(recipe, work)
    end = None if minutes is None else time.monotonic() + 60 * minutes
    report: dict[str, Any] = {"recipe": asdict(recipe)}
    with closing(Conversations(recipe, work)) as lessons:
        for name in names:
            done = work / name / "examined.json"
            steps = [part.steps for part in recipe.parts]
            if not done.is_file() or _steps_in(done) != steps:
                say = partial(_prefixed, show, name)
                model = network(_size(recipe, name), lessons.tokenizer, recipe.seed).to(device)
                if not _train(recipe, model, lessons, work / name, end, say):
                    return None
                facts = _examine(recipe, model, lessons.tokenizer, work / name, say)
                write_whole(done, json.dumps(facts).encode())
            report[name] = json.loads(done.read_text(encoding="utf-8"))
    return report


def forget(work: Path) -> None:
    """Begin anew: the run in this folder is thrown away."""
    shutil.rmtree(work, ignore_errors=True)


def _steps_in(report: Path) -> list[int]:
    stored = json.loads(report.read_text(encoding="utf-8"))["training"]
    return [part["steps"] for part in stored.values()]


def _size(recipe: Recipe, name: str) -> Size:
    return recipe.size if name == "tutor" else recipe.control


def _prefixed(show: Show, name: str, words: str) -> None:
    show(f"{name}, {words}")


def _check_same(recipe: Recipe, work: Path) -> None:
    """Refuse the run of another recipe; one that is only to become longer is the same."""
    note, wanted = work / "recipe.json", json.loads(json.dumps(asdict(recipe)))
    if note.is_file():
        stored = json.loads(note.read_text(encoding="utf-8"))
        changed = [key for key in wanted if _lasting(stored).get(key) != _lasting(wanted)[key]]
        if changed:
            raise ValueError(
                f"{work} holds the run of another recipe ({', '.join(changed)} differ): go on with "
                "that one, or name another folder."
            )
    write_whole(note, json.dumps(wanted).encode())


def _lasting(recipe: dict[str, Any]) -> dict[str, Any]:
    """A recipe without what may grow: the steps of its parts, and the talks to cool down on."""
    grows = {"constant": ("steps",), "linear": ("steps", "talks")}
    parts = [{k: v for k, v in p.items() if k not in grows[p["schedule"]]} for p in recipe["parts"]]
    return recipe | {"parts": parts}


def _train(
    recipe: Recipe, model: Any, lessons: Conversations, work: Path, end: float | None, show: Show
) -> bool:
    """Part after part in our own loop; False if the time was up first."""
    work.mkdir(parents=True, exist_ok=True)
    for number, part in enumerate(recipe.parts):
        checkpoint, log = work / f"{part.name}.checkpoint", work / f"{part.name}.json"
        before = sum(earlier.steps for earlier in recipe.parts[:number])
        stored = json.loads(log.read_text(encoding="utf-8")) if log.is_file() else None
        if stored and (stored["before"], stored["steps"]) == (before, part.steps):
            load_state(model, load_checkpoint(checkpoint).tensors["student"])
            continue
        grown = stored and stored["steps"] and part.schedule != "constant"
        if stored and (grown or stored["before"] != before):
            checkpoint.unlink(missing_ok=True)  # another beginning or another way down: anew
        write_whole(log, json.dumps({"before": before, "steps": 0}).encode())
        data = lessons.of(part)
        if model.device.type != "cpu" and part is not recipe.parts[-1]:
            lessons.order(recipe.parts[number + 1])
        epochs = epochs_of(part, len(data), recipe.batch_size)
        history = distill(
            model,
            data,
            method=answers_and_prompts(part.prompts),
            epochs=epochs,
            batch_size=recipe.batch_size,
            optimizer=recipe.optimizer,
            lr=part.lr,
            schedule=part.schedule,
            warmup=min(recipe.warmup, part.steps - 1),
            clip=recipe.clip,
            seed=recipe.seed + number,
            progress=False,
            shares_every=0,
            callbacks=[_watch(part.name, part.steps, end, show)],
            checkpoint=checkpoint,
            checkpoint_every=KEEP_EVERY,
        )
        if history.steps < part.steps:
            show(f"{part.name}: stopped after step {history.steps:,} of {part.steps:,}")
            return False
        write_whole(log, json.dumps({"before": before} | _facts(history, recipe)).encode())
    return True


def _watch(part: str, steps: int, end: float | None, show: Show) -> Callable[[TrainStep], bool]:
    """Say now and then how it goes; stop at the end of the part, or when the time is up."""
    began = time.monotonic()
    losses: list[float] = []

    def callback(step: TrainStep) -> bool:
        losses.append(step.terms["ce"])
        if step.step % 100 == 0 or step.step == steps:
            mean, spent = sum(losses) / len(losses), (time.monotonic() - began) / 60
            show(f"{part}: step {step.step:,} of {steps:,}, ce {mean:.4f}, {spent:.1f} min")
            losses.clear()
        return step.step >= steps or (end is not None and time.monotonic() > end)

    return callback


def _facts(history: History, recipe: Recipe) -> dict[str, Any]:
    """What a part cost and how its loss went: the mean of each hundred steps."""
    ce = history["ce"]
    means = [sum(ce[i : i + 100]) / len(ce[i : i + 100]) for i in range(0, len(ce), 100)]
    return {
        "steps": history.steps,
        "talks_seen": history.steps * recipe.batch_size,
        "minutes": round(history.seconds / 60, 1),
        "ce": [round(mean, 4) for mean in means],
    }


def _examine(recipe: Recipe, model: Any, tokenizer: Any, work: Path, show: Show) -> dict[str, Any]:
    """Save in half precision, and measure what was saved: percent right in each world."""
    saved = work / "model"
    model.eval().half().save_pretrained(saved)
    tokenizer.save_pretrained(saved)
    model.float()  # the rounded weights: what a reader will load
    right: dict[str, dict[str, float]] = {}
    for name in worlds.NAMES:
        world = worlds.load(name)
        tasks_by_part = {
            "test": world.test(recipe.tested, seed=1),
            "ood": world.ood(recipe.tested, seed=1),
        }
        right[name] = {
            part: share_right(model, tokenizer, tasks) for part, tasks in tasks_by_part.items()
        }
        show(f"{name}: {right[name]['test']:.1f} % right, {right[name]['ood']:.1f} % out of it")
    parts = {p.name: json.loads((work / f"{p.name}.json").read_text()) for p in recipe.parts}
    return {
        "made": made_on(model.device),
        "parameters": model.num_parameters(),
        "minutes": round(sum(part["minutes"] for part in parts.values()), 1),
        "right": right,
        "training": parts,
    }
