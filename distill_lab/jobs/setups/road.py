"""The road that every encoder goes: load, train the teacher, let it answer, learn, measure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from distill_lab.data import Labelled
from distill_lab.evaluation import compare
from distill_lab.evaluation.measures import default_columns
from distill_lab.evaluation.tasks import TASKS
from distill_lab.jobs.model_job import ModelJob
from distill_lab.jobs.setups import encoders, teaching
from distill_lab.jobs.setups.encoded import alike, answers, check_alike, cut_in_words
from distill_lab.jobs.setups.layers import matched
from distill_lab.jobs.setups.setup import Context, Log, Result, Setup, Validation
from distill_lab.methods import Method
from distill_lab.models.padding import reads_padding

Encode = Callable[[Any, Any, bool], Any]
RUNS = 100  # timed calls of each model
SIZES = ("parameters", "size")
OF_TEACHER = ("retained", "agreement", "kl_to_teacher")
TRIED = 64  # examples on which other forms of a student are tried
ON_TRAINING = "Measured on the training rows: these figures say little of new ones."
# the figure of each task that a student is validated by while it learns
VALIDATED = {
    "classification": "accuracy",
    "multilabel": "micro_f1",
    "tagging": "span_f1",
    "ranking": "ndcg",
    "regression": "rmse",
    "embedding": "similarity_correlation",
}


@dataclass(frozen=True)
class Kind:
    """What a kind of encoder adds to the road.

    Args:
        auto: transformers' class that loads it, such as AutoModelForSequenceClassification.
        encode: (tokenizer, model, held out or not) -> the data as that model reads them.
        task: by which `compare` measures them.
        names: of the classes.
        measures: figures beside those of the task.
        config: what the configuration of student and teacher says, such as the classes.
        wrap: makes of the model what is asked and trained.
        load: name -> the model and its tokenizer, where transformers does not load it.
        make: (student, teacher, its tokenizer) -> a new model, and what it reads with.
        first: what the teacher minimises where it learns the task first.
        student_auto: the class of the student, where it is another.
        student_wrap: as `wrap`, where the student's is another.
        student_encode: as `encode`, where the student reads in another form.
        extra_files: writes what else belongs into the student's folder.
    """

    auto: Any
    encode: Encode
    task: str
    names: Sequence[str] | None = None
    measures: Mapping[str, Callable[[Tensor, Tensor], float]] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    wrap: Callable[[Any], nn.Module] = lambda model: model
    load: Callable[[str], tuple[Any, Any]] | None = None
    make: Callable[[Any, Any, Any], tuple[Any, Any]] | None = None
    first: Method | None = None
    student_auto: Any = None
    student_wrap: Callable[[Any], nn.Module] | None = None
    student_encode: Encode | None = None
    extra_files: Callable[[Path, Any], None] = lambda folder, model: None


@dataclass(kw_only=True)
class EncoderSetup(Setup):
    """A student that is one network, measured beside its teacher by `compare`.

    Args:
        tokenizer: the student's.
        body: the student as transformers saves it.
        held_out: teacher and student, each with the held-out data as it reads them.
        kind: what measures and reads them.
        log: called with what is measured.
        measured_on: what the figures are of, where no rows are held out.
    """

    tokenizer: Any
    body: Any
    held_out: dict[str, tuple[Any, Any]]
    kind: Kind
    log: Log
    measured_on: str = ""

    def validation(self) -> Validation:
        """Measure the main figure of the task; of an embedder, likeness to its teacher."""
        data, figure = self.held_out["student"][1], VALIDATED[self.kind.task]
        models: dict[str, Any] = {}
        if self.kind.task == "embedding":
            models = {"teacher": torch.stack(answers(*self.held_out["teacher"]))}

        def measure_now(student: Any) -> float:
            report = compare(
                {**models, "student": student},
                data,
                teacher="teacher" if models else None,
                task=self.kind.task,
                columns=[figure],
                class_names=self.kind.names,
            )
            value: Any = report["student"][figure]
            return float(value)

        better = "lower" if figure == "rmse" else "higher"
        return Validation(figure.replace("_", " "), measure_now, better)

    def measure(self, student: Any) -> Result:
        """Measure teacher and student on the held-out data."""
        own = self.held_out["student"][1]
        models: dict[str, Any] = {}
        for name, (model, data) in self.held_out.items():
            self.log(f"measuring the {name}")
            # who reads the examples otherwise is asked beforehand, and its cost not measured
            if not alike(data, own):
                model = torch.stack(answers(model, teaching.in_full(data)))
            models[name] = model
        result = self._compared(models, teacher="teacher" if "teacher" in models else None)
        text = self.measured_on + result.text
        if getattr(own, "cut", 0):
            lost = {"words": own.lost} if isinstance(own, Labelled) else {}
            more = ": their spans count as missed, and no other figure counts these words"
            more = more if lost.get("words") else ""
            text += f"\n\nHeld out: {cut_in_words(own)}{more}."
            about = {"cut": {getattr(own, "unit", "texts"): own.cut, **lost}}
            return replace(result, text=text, about=about)
        return replace(result, text=text)

    def examples(self) -> tuple[list[Any], list[Any]]:
        """The inputs of some batches, evenly through the data: held-out ones, and learned ones."""
        both = self.held_out["student"][1], self.data
        return _some_of(both[0]), _some_of(both[1])

    def compare(self, forms: Mapping[str, Any]) -> Result:
        """Measure the student and its other forms on the held-out data."""
        wrap = self.kind.student_wrap or self.kind.wrap
        models = {n: each if n == "student" else wrap(each) for n, each in forms.items()}
        # of a form the file is counted, where it is written: it has no parameters to see
        left_out = {*SIZES, *OF_TEACHER, *TASKS[self.kind.task].fidelity}  # none is beside them
        shown = [key for key in default_columns(self.kind.task) if key not in left_out]
        shown += self.kind.measures
        return self._compared(models, baseline="student", columns=shown)

    def _compared(self, models: Mapping[str, Any], **roles: Any) -> Result:
        report = compare(
            models,
            self.held_out["student"][1],
            task=self.kind.task,
            measures=self.kind.measures,
            class_names=self.kind.names,
            runs=RUNS,
            warmup=RUNS // 10,
            **roles,
        )
        figures = {row.name: {key: row[key] for key in report.columns} for row in report.rows}
        return Result(figures, f"```\n{report}\n```", figures)

    def save(self, student: Any, folder: Path) -> None:
        """Write the student as `from_pretrained` takes it."""
        encoders.save(self.body, self.tokenizer, folder, self.kind.extra_files)


def _taken(data: Any, context: Context) -> Any:
    return data if context.rehearsal is None else context.rehearsal.part(data)


def _note_padding(who: str, network: Any, data: Any, log: Log) -> None:
    """Say of a model of texts that its answers depend on the texts beside them."""
    if not isinstance(data, Labelled):
        return
    shortest, longest = int(data.tokens.lengths.argmin()), int(data.tokens.lengths.argmax())
    device = next(network.parameters()).device
    inputs = data.batch(torch.tensor([shortest, longest])).to(device).inputs
    if reads_padding(network, inputs):
        log(
            f"the {who}, a {type(network).__name__}, reads padding as well: what it says of a text "
            "depends on the longest one beside it, and figures are of batches as they are here"
        )


def _some_of(data: Any) -> list[Any]:
    """The inputs of a few batches, evenly through the data."""
    numbers = torch.linspace(0, len(data) - 1, min(TRIED, len(data))).long().unique()
    return [data.batch(index).inputs for index in numbers.split(8)]


def drive(
    job: ModelJob,
    context: Context,
    kind: Kind,
    method: Callable[[Any, Any], Method],
    count: str,
    *,
    student: Any = None,
) -> EncoderSetup:
    """Make a job of encoders ready.

    Args:
        job: what to do.
        context: where.
        kind: what its kind adds.
        method: (student, teacher) -> what the student minimises.
        count: how many examples there are, in words.
        student: in place of the job's, where that names a network.

    Returns:
        Student, data, teacher and method.

    Raises:
        OSError: for what cannot be loaded.
        ValueError: for what cannot be learned, in words.
    """
    log, seed = context.log, job.training.seed
    wanted = job.student if student is None else student
    held_out: dict[str, tuple[Any, Any]] = {}

    def load(auto: Any, name: str, config: Mapping[str, Any], seed: int) -> tuple[Any, Any]:
        if kind.load is not None:
            return kind.load(name)
        body = encoders.load(auto, name, seed, has_head=job.is_taught(name), **config)
        tokenizer = encoders.load_tokenizer(name)
        if body.config.pad_token_id is None and "Sequence" in type(body).__name__:
            body.config.pad_token_id = tokenizer.pad_token_id  # it reads the last word before it
        return body, tokenizer

    def taught(name: str) -> tuple[Any, Any, Any, Any, Any]:
        log(f"loading {name}")
        body, tokenizer = load(kind.auto, name, kind.config, job.origin.training.seed)
        body = body.to(context.device)
        teacher = kind.wrap(body)
        own = _taken(kind.encode(tokenizer, body, False), context)
        if job.finetune is not None:
            teacher = teaching.finetuned(teacher, own, job.origin, context, kind.first)
        return body, tokenizer, teacher, own, kind.encode(tokenizer, body, True)

    teacher = tokenizer = own = None
    teacher_body: Any = None
    if (name := job.teacher) is not None:
        teacher_body, tokenizer, teacher, own, measured = context.kept(
            "teacher", lambda: taught(name)
        )
        held_out["teacher"] = teacher, measured
    auto = kind.student_auto or kind.auto
    config = kind.config if auto is kind.auto else {}
    if isinstance(wanted, str):
        body, tokenizer = load(auto, wanted, config, seed)
    elif kind.make is not None:
        body, tokenizer = kind.make(wanted, teacher_body, tokenizer)
    else:
        origin: Any = teacher_body if auto is kind.auto else teacher_body.base_model  # no head
        body = encoders.new_student(auto, wanted, origin, seed, **config)
    body = body.to(context.device)
    student = (kind.student_wrap or kind.wrap)(body)
    encode = kind.student_encode or kind.encode
    data = context.kept("data", lambda: _taken(encode(tokenizer, body, False), context))
    held_out["student"] = student, context.kept("held out", lambda: encode(tokenizer, body, True))
    both = {"student": (body, data)}
    if teacher_body is not None and own is not None:
        both["teacher"] = (teacher_body, own)
    for who, (network, read) in both.items():
        _note_padding(who, network, read, log)
    answering = None
    if teacher is not None and own is not None and (job.method != "supervised" or job.match):
        answering = context.kept(
            "answers", lambda: teaching.frozen_teacher(teacher, own, job.origin, context)
        )
        same = alike(own, data)
        check_alike(job, same=same)
        answering = teaching.Reader(answering, None if same else own)
    learned = method(student, teacher)
    if job.match is not None and answering is not None:
        learned = matched(job.match, learned, student, answering, data)
    return EncoderSetup(
        student,
        data,
        learned,
        answering,
        f"{job.method}: {count}, {job.training.epochs} epochs",
        settings={"sampler": job.sampler(data)},
        base=wanted if isinstance(wanted, str) else None,
        teachers=[job.teacher] if answering is not None and job.teacher is not None else [],
        tokenizer=tokenizer,
        body=body,
        held_out=held_out,
        kind=kind,
        log=log,
        measured_on=f"{ON_TRAINING}\n\n" if job.validation is None and not job.held_out else "",
    )
