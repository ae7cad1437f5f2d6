"""What every kind of job may say of its run: rows kept apart, what is measured, kept, repeated."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Self

from distill_lab.jobs.settings import Setting, Values
from distill_lab.jobs.values import choice, integer, optional, part, several, some_of

HELD_OUT = Setting(
    "held_out",
    "share of the training rows that is kept apart and measured on, by seed; rows that ask the "
    "same stay together",
    optional(part),
    None,
)
_VALIDATING = (
    Setting(
        "validate_every",
        "steps between two measurements on held-out rows; an epoch where only patience or keep "
        "is given",
        optional(integer),
        None,
    ),
    Setting(
        "patience",
        "measurements in a row without an improvement after which the run ends",
        optional(integer),
        None,
    ),
    Setting(
        "keep",
        "which weights of the run are saved: those measured best, or the last; best where "
        "anything is measured",
        optional(choice("best", "last")),
        None,
    ),
)
# The trackers of a run, each with its package.
TRACKERS = {"tensorboard": "tensorboard", "wandb": "wandb", "mlflow": "mlflow"}
_MEASURING = tuple(each.name for each in _VALIDATING)
RUN_OPTIONS: tuple[Setting, ...] = (
    *_VALIDATING,
    Setting(
        "trackers",
        f"who is told of the run on its way: {', '.join(TRACKERS)}, where they are installed",
        some_of(*TRACKERS),
        (),
    ),
    Setting(
        "seeds",
        "how many seeds the job is run for, from seed on; the report has means with intervals",
        optional(several),
        None,
    ),
)


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """The settings of a run that every kind of job has.

    Args:
        held_out: the share of the training rows that is kept apart; None for none.
        validate_every: steps between two measurements; None for an epoch.
        patience: measurements without an improvement after which the run ends; None for never.
        keep: "best" or "last"; None for the best where anything is measured.
        trackers: names of `TRACKERS`, who are told of the run.
        seeds: how many seeds it is run for; None for its own alone.
        base: the job that this is one seed of: its data and its teacher are shared by all seeds.
        places: where the job file has each setting that it names; empty for a job of no file.
    """

    held_out: float | None = None
    validate_every: int | None = None
    patience: int | None = None
    keep: str | None = None
    trackers: tuple[str, ...] = ()
    seeds: int | None = None
    base: Self | None = None
    places: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)

    @property
    def origin(self) -> Self:
        """The job whose data, teacher and folder are used: this one, or that of all seeds."""
        return self if self.base is None else self.base

    def setting(self, name: str) -> str:
        """A setting with its value, and the place where the job file has it.

        Args:
            name: the setting's.

        Returns:
            The words.

        >>> RunOptions(seeds=3, places={"seeds": "job.yaml, line 4"}).setting("seeds")
        'seeds = 3 (job.yaml, line 4)'
        """
        where = self.places.get(name, "by default") if self.places else ""
        return f"{name} = {getattr(self, name)}" + (f" ({where})" if where else "")

    @property
    def validates(self) -> bool:
        """Whether the student is measured while it learns."""
        return any(getattr(self, name) is not None for name in _MEASURING)


def misfits(values: Values) -> Iterator[tuple[str, str]]:
    """What does not go together among these settings.

    Args:
        values: what a job gives.

    Yields:
        A setting, and what is wrong with it.
    """
    given = {name for name, value in values.items() if value is not None}
    if {"held_out", "validation"} <= given:
        yield "held_out", "validation names the held-out rows already: give one of the two."
    if not given & {"held_out", "validation"}:
        for name in _MEASURING:
            if name in given:
                yield (
                    name,
                    f"{name} wants rows to measure on: name them by validation, or keep a share of "
                    "the training rows apart, as held_out: 0.1.",
                )
