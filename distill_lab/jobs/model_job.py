"""A job for classifiers, taggers, embedders and rankers, with all its settings."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from distill_lab.data.samplers import ClassBalanced
from distill_lab.jobs.run_options import RunOptions
from distill_lab.training import TrainingConfig

TRAINING = (
    *("epochs", "batch_size", "accumulate", "lr", "weight_decay", "optimizer", "schedule"),
    *("warmup", "clip", "precision", "device", "seed", "checkpoint_every"),
)
DEFAULTS = TrainingConfig(
    epochs=3,
    batch_size=32,
    lr=1e-4,
    schedule="linear",
    clip=1.0,
    precision="fp32",
    checkpoint_every=100,
)


@dataclass(frozen=True, kw_only=True)
class ModelJob(RunOptions):
    """A distillation of one encoder or network into another.

    Args:
        kind: one of those in `jobs.kinds`, but for language models.
        student: a folder, a name on the hub, or a mapping: the shape of a new one, or `layers`.
        train: the training data.
        out: the folder that everything is written into.
        method: how the student learns.
        teacher: a folder or a name on the hub; None for labels alone.
        finetune: the settings of the teacher's own training first; None where it can do the task.
        validation: data that the figures are measured on; else the training data.
        columns: our names for columns of the data, and what they are called there.
        encoding: of data that are not UTF-8.
        labels: the names of the classes, in the teacher's order; None finds them.
        separator: what stands between several labels in one cell.
        T: the temperature of teacher and student.
        alpha: the teacher's share of the loss, or the weight of dkd's target class.
        beta: the weight of dkd's other classes, or of dist's classes.
        gamma: the weight of dist's examples.
        max_length: of a text in tokens, at most; longer ones are cut.
        size: pixels on a picture's side; None asks the teacher.
        reads: whether a ranker reads query and candidate "together" or "apart".
        balance: "sampler" or "weights", by which rare classes count as much; None for neither.
        match: layers that are matched to the teacher's: `layers`, `kind` and `weight`.
        augment: how training pictures are changed anew at each step: `flip` and `crop`.
        cache: whether the teacher's answers are kept on disk.
        export: the forms that the student is written in at the end.
        training: the settings of the training.
    """

    kind: str
    student: str | dict[str, Any]
    train: str | list[str]
    out: str
    method: str
    teacher: str | None = None
    finetune: Mapping[str, Any] | None = None
    validation: str | list[str] | None = None
    columns: Mapping[str, Any] = field(default_factory=dict)
    encoding: str | None = None
    labels: tuple[str, ...] | None = None
    separator: str | None = None
    T: float | None = None
    alpha: float | None = None
    beta: float | None = None
    gamma: float | None = None
    max_length: int = 128
    size: int | None = None
    reads: str = "together"
    balance: str | None = None
    match: Mapping[str, Any] | None = None
    augment: Mapping[str, Any] | None = None
    cache: bool = True
    export: tuple[str, ...] = ()
    training: TrainingConfig = DEFAULTS

    @classmethod
    def of(cls, **settings: Any) -> "ModelJob":
        """Make a job of its own settings and those of the training, side by side."""
        training = {name: settings.pop(name) for name in TRAINING if name in settings}
        return cls(**settings, training=replace(DEFAULTS, **training))

    @property
    def needs_labels(self) -> bool:
        """Whether somebody learns the labels: the student by its method, or the teacher first."""
        return self.finetune is not None or self.method in ("supervised", "dkd")

    def is_taught(self, name: str) -> bool:
        """Whether a model is the teacher and can do the task already, so that all of it is kept."""
        return self.finetune is None and name == self.teacher

    @property
    def asks_live(self) -> bool:
        """Whether the teacher is asked at every step: its layers, or about pictures made anew."""
        return not self.cache or self.match is not None or bool(self.augment)

    def sampler(self, data: Any) -> ClassBalanced | None:
        """The order by which rare classes come as often as others, where the job asks for it."""
        return ClassBalanced(data.labels) if self.balance == "sampler" else None

    def training_settings(self) -> dict[str, Any]:
        """The settings of the training, for `distill`."""
        return {name: getattr(self.training, name) for name in TRAINING}

    def facts(self) -> dict[str, Any]:
        """All settings side by side, as plain values."""
        own = {each.name: getattr(self, each.name) for each in fields(self)}
        del own["training"], own["base"], own["places"]
        return own | self.training_settings()

    def given(self, *names: str) -> dict[str, Any]:
        """Those of some settings that have a value, for a function with defaults of its own."""
        return {name: value for name in names if (value := getattr(self, name)) is not None}
