"""A student measured while it learns: when, what is kept of it, and what a report says of that."""

import math
from typing import Any

from distill_lab.jobs.run_options import RunOptions
from distill_lab.jobs.setups.setup import Log, Validation
from distill_lab.training import EarlyStopping, History

SHOWN = 24  # measurements in a report, at most; all of them are in report.json


def early_stopping(job: RunOptions, validation: Validation, log: Log) -> EarlyStopping:
    """What a job measures while it learns, and what that decides.

    Args:
        job: says how often, and which weights are kept.
        validation: what is measured.
        log: called with a line for each measurement.

    Returns:
        The rule, for `distill`.
    """
    return EarlyStopping(
        validation.measure,
        patience=job.patience,
        better=validation.better,
        every=job.validate_every,
        restore_best=job.keep != "last",
        log=lambda step, value: log(f"after step {step:,}: {validation.figure} {value:.4f}"),
    )


def validation_facts(job: RunOptions, validation: Validation, history: History) -> dict[str, Any]:
    """What was measured, and which step's weights were kept, as plain values.

    Args:
        job: says which weights are kept.
        validation: what was measured.
        history: of the run.

    Returns:
        The facts, for JSON.
    """
    return {
        "figure": validation.figure,
        "better": validation.better,
        "curve": history.measured,
        "best_step": history.best_step,
        "kept_step": history.steps if job.keep == "last" else history.best_step,
        "stopped_early": history.stopped_early,
    }


def validation_text(facts: dict[str, Any], steps: int) -> str:
    """The same for readers, as Markdown.

    Args:
        facts: as `validation_facts` gives them.
        steps: of the run.

    Returns:
        A table of the curve, and a sentence or two.
    """
    curve, best, kept = facts["curve"], facts["best_step"], facts["kept_step"]
    every = math.ceil(len(curve) / SHOWN)
    shown = [
        (step, value)
        for number, (step, value) in enumerate(curve, 1)
        if number % every == 0 or step == best or number == len(curve)
    ]
    lines = [f"| step | {facts['figure']} | |", "| --- | --- | --- |"]
    for step, value in shown:
        marks = [word for word, of in (("best", best), ("kept", kept)) if of == step]
        lines.append(f"| {step:,} | {value:.4f} | {', '.join(marks)} |")
    sentence = f"Kept: the weights after step {kept:,} of {steps:,}"
    if kept == best:
        sentence += f", the best of {len(curve)} measurements."
    else:
        sentence += f", the last. Measured best were those after step {best:,}."
    if facts["stopped_early"]:
        sentence += " The run ended early: it had stopped getting better."
    return "\n".join(["## While it learned", "", *lines, "", sentence])
