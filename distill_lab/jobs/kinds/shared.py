"""What the kinds of classifiers, taggers, embedders and rankers have in common."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from distill_lab.jobs.kinds.model_settings import SHAPE, TAKES, columns_of, layers
from distill_lab.jobs.run_options import HELD_OUT, RUN_OPTIONS
from distill_lab.jobs.settings import DATA, Kind, Log, Setting, Values, in_words, training
from distill_lab.jobs.values import choice, flag, integer, mapping, number, optional, some_of, text

FINETUNE = ("epochs", "batch_size", "lr", "weight_decay", "schedule", "warmup", "clip", "seed")
EXPORTS = ("onnx", "torch-export", "int8")


def needs_teacher(methods: Mapping[str, str], values: Values) -> Iterator[tuple[str, str]]:
    """What does not go together in a job of any of these kinds.

    Args:
        methods: of the kind.
        values: what the job gives.

    Yields:
        A setting, and what is wrong with it.
    """
    method, teacher, student = (values.get(name) for name in ("method", "teacher", "student"))
    if method in methods and method not in ("supervised", "regression") and not teacher:
        yield "method", f"method {method} needs a teacher: name one."
    if "cosine" in methods and isinstance(teacher, dict) and teacher.get("finetune") is not None:
        yield "teacher", "an embedder's teacher learns nothing first: leave finetune out."
    if values.get("match") is not None and not teacher:
        yield "match", "match takes the teacher's layers: name a teacher."
    if values.get("match") is not None and values.get("reads") == "apart":
        yield (
            "match",
            "match takes layers of one input, and a student with reads: apart never sees query and "
            "candidate together, as its teacher does: leave match out, or say reads: together.",
        )
    kept_live = [name for name in ("match", "augment") if values.get(name)]
    if kept_live and values.get("cache"):
        yield (
            "cache",
            f"with {kept_live[0]} the teacher is asked at every step, and no answer of it can be "
            "kept: leave cache out.",
        )
    if values.get("balance") == "weights" and values.get("alpha", _usual(method)) == 1:
        yield (
            "balance",
            f"balance: weights weighs labels, and {method} learns from none of them "
            "at alpha = 1: give another alpha, or balance: sampler.",
        )
    if isinstance(student, dict):
        if not teacher and "network" not in student:
            yield "student", "a new student is of the teacher's family: name a teacher."
        if "layers" in student and len(student) > 1:
            yield "student", "layers start from the teacher's, so other sizes cannot be given."


def _usual(method: object) -> float:
    """The teacher's share where a job does not say it, as far as it leaves none for the labels."""
    return 1 if method == "logit-matching" else 0


def make_kind(
    name: str,
    about: str,
    methods: Mapping[str, str],
    columns: tuple[str, ...],
    more: tuple[Setting, ...] = (),
    *,
    student: tuple[Setting, ...] = (),
    defaults: Mapping[str, Any] | None = None,
) -> Kind:
    """Make a kind of job that trains an encoder or a network on a table of examples.

    Args:
        name: what stands behind `kind:`.
        about: what it does, one clause.
        methods: each with what it does.
        columns: our names of the columns that it reads.
        more: settings of its own.
        student: what a mapping may say of a student; sizes and layers by default.
        defaults: settings of the training that are other than usual here.

    Returns:
        The kind.
    """
    usual = {"batch_size": 32, "lr": 1e-4, "schedule": "linear", **(defaults or {})}
    train, validation, _, encoding = DATA
    of_training = training(**usual)
    first = tuple(each for each in of_training if each.name in FINETUNE)
    shape = student or (
        *(Setting(each, f"the student's {each}", integer, None) for each in SHAPE),
        Setting("layers", "the teacher's layers that the student starts from", layers, None),
    )

    def readers(setting: str) -> tuple[str, ...]:
        return tuple(each for each in methods if setting in TAKES.get(each, ()))

    scales = [
        Setting("T", "temperature of teacher and student", optional(number), None),
        Setting("alpha", "the teacher's share, or weight", optional(number), None),
        Setting(
            "beta",
            "of dkd: weight of the other classes; of dist: of classes",
            optional(number),
            None,
        ),
        Setting("gamma", "weight of the examples of a class", optional(number), None),
    ]
    settings = (
        Setting(
            "student",
            "a folder, a name on the hub, or a mapping that makes a new one",
            text,
            path="model",
            parts=shape,
        ),
        train,
        Setting("method", in_words(methods), choice(*methods)),
        Setting("out", "the folder that everything is written into", text, path="out"),
        Setting(
            "teacher",
            "a folder, a name on the hub, or {model: ..., finetune: {...}}",
            text,
            None,
            path="model",
            parts=(
                Setting("model", "a folder, or a name on the hub", text, path="model"),
                Setting(
                    "finetune",
                    "trains the teacher first, with these settings of the training",
                    mapping,
                    None,
                    parts=tuple(replace(each, default=None) for each in first),
                ),
            ),
        ),
        validation,
        HELD_OUT,
        *(_columns(columns, encoding) if columns else ()),
        *more,
        *(replace(each, methods=names) for each in scales if (names := readers(each.name))),
        Setting("cache", "whether the teacher's answers are kept on disk", flag, True),
        Setting("export", f"forms of the student: {', '.join(EXPORTS)}", some_of(*EXPORTS), ()),
        *of_training,
        *RUN_OPTIONS,
    )
    return Kind(
        name,
        about,
        methods,
        settings,
        misfits=lambda values: needs_teacher(methods, values),
        make=lambda values: _make(name, values),
        check=_check,
        run=_run,
    )


def _columns(columns: tuple[str, ...], encoding: Setting) -> tuple[Setting, ...]:
    about = f"the data's names for {', '.join(columns)}"
    return Setting("columns", about, columns_of(*columns), {}), encoding


def _make(kind: str, values: Values) -> Any:
    from distill_lab.jobs.model_job import ModelJob

    teacher = values["teacher"]
    if isinstance(teacher, dict):
        values = values | {"teacher": teacher["model"], "finetune": teacher.get("finetune")}
    return ModelJob.of(kind=kind, **values)


def _check(job: Any, log: Log) -> None:
    from distill_lab.jobs.setups import check

    check(job, log)


def _run(job: Any, **options: Any) -> Any:
    from distill_lab.jobs.running import run_job

    return run_job(job, **options)
