"""How the learning rate runs: up over a warm-up, then flat or down to zero."""

import math

SCHEDULES = ("constant", "linear", "cosine")


def lr_at(
    step: int, steps: int, lr: float, *, schedule: str = "constant", warmup: int = 0
) -> float:
    """The learning rate of step number ``step`` (from 0) of ``steps``.

    Formula: lr (step + 1) / warmup during the warm-up; after it lr, lr (1 - u) for "linear" or
    lr (1 + cos(pi u)) / 2 for "cosine", u = (step - warmup) / (steps - warmup).
    Loshchilov & Hutter 2016, section 3, for the cosine.
    Raises ValueError for another schedule, or a warm-up that is not shorter than the run.

    >>> [round(lr_at(i, 6, 1.0, schedule="linear", warmup=2), 2) for i in range(6)]
    [0.5, 1.0, 1.0, 0.75, 0.5, 0.25]
    """
    if schedule not in SCHEDULES:
        raise ValueError(f"schedule must be one of {SCHEDULES}, got {schedule!r}.")
    if not 0 <= warmup < steps:
        raise ValueError(
            f"warmup must be at least 0 steps and shorter than the run of {steps}, got {warmup!r}."
        )
    if step < warmup:
        return lr * (step + 1) / warmup
    done = (step - warmup) / (steps - warmup)
    if schedule == "linear":
        return lr * (1 - done)
    if schedule == "cosine":
        return lr * 0.5 * (1 + math.cos(math.pi * done))
    return lr
