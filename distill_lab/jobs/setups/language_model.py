"""Language models: prompts and answers, learned from texts or token by token from a teacher."""

import dataclasses
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch

from distill_lab._util.model_files import in_cache, model_folder
from distill_lab.data.preferences import Preferences
from distill_lab.data.tokenized import Texts
from distill_lab.evaluation import headroom
from distill_lab.jobs import language_models
from distill_lab.jobs.exam import Question, read_exam
from distill_lab.jobs.job import Job
from distill_lab.jobs.learning import learning_of
from distill_lab.jobs.learning.learning import Learning
from distill_lab.jobs.learning.preferences import HeldOutPairs
from distill_lab.jobs.learning.views import say_gap
from distill_lab.jobs.measuring import Figures, as_table, fit_and_likeness, measure, sit_alone
from distill_lab.jobs.rows import TRAINING_ROWS, Exchanges, say_share, texts_of
from distill_lab.jobs.setups.setup import Context, Result, Setup, Validation
from distill_lab.jobs.vocabularies import Models
from distill_lab.synthesis.cards import Card, card_path
from distill_lab.synthesis.markdown import fenced
from distill_lab.synthesis.pipeline import FilterResult
from distill_lab.teachers import SecondView, Teacher


@dataclasses.dataclass(kw_only=True)
class LanguageModel(Setup):
    """A student of a language model, measured on held-out answers and in an exam.

    Args:
        job: what is done.
        tokenizer: the student's.
        held_out: texts that are measured on.
        reference: whom the distributions are compared with.
        exam: what the models sit.
        context: where the job runs.
        answers: what became of those that the teacher wrote, where not all are kept.
        pairs: held-out answers, chosen and rejected, where the method learns from such.
        load: loads the reference again, which is not there while the student learns; None where
            it is.
        figures: what was measured before the training.
    """

    job: Job
    tokenizer: Any
    held_out: Texts
    reference: Teacher | None
    exam: Sequence[Question] | None
    context: Context
    answers: FilterResult | None = None
    pairs: HeldOutPairs | None = None
    load: Callable[[], Teacher | None] | None = None
    figures: dict[str, Figures] = dataclasses.field(default_factory=dict)

    def examine(self, name: str, model: Any, own_tokenizer: Any = None) -> None:
        """Measure one model, in the main process; the others wait.

        Args:
            name: under which its figures stand.
            model: the network.
            own_tokenizer: of a teacher with other tokens: then it sits the exam alone.
        """
        kept = self.context.kept if name.startswith("teacher") else lambda name, make: make()

        def look() -> None:
            self.figures[name] = kept(name, lambda: self._measured(name, model, own_tokenizer))

        self.context.dist.once(look)

    def _measured(self, name: str, model: Any, own_tokenizer: Any = None) -> Figures:
        self.context.log(f"measuring the {name}")
        if own_tokenizer is not None:
            assert self.exam is not None
            return sit_alone(model, own_tokenizer, self.exam, self.job)
        figures = measure(model, self.tokenizer, self.held_out, self.reference, self.job, self.exam)
        if name == "student before" and isinstance(self.job.student, str):
            kept = language_models.own_dtype(self.job.student)  # it learns in float32
            size = figures.megabytes * kept.itemsize / torch.float32.itemsize
            figures = dataclasses.replace(figures, megabytes=size)
        if self.pairs is not None:
            own: dict[str, Any] = {**self.pairs.figures(name, model)}
            figures = dataclasses.replace(figures, **own)
        return figures

    def look(self, teacher: Any, student: Any) -> None:
        """Measure what there is to gain, and say it.

        Args:
            teacher: its network.
            student: and the student's, before it learns.
        """
        if len(self.held_out) < 2:  # nothing can be said of how sure its figures are
            return
        size = self.job.training.batch_size
        self.headroom = headroom(teacher, student, self.held_out, batch_size=size)
        self.context.log(str(self.headroom))

    def trained(self, student: Any) -> Any:
        """Add adapters to the weights, unless they stay apart; in the type that these came in."""
        if self.job.lora is None or self.job.lora.get("merge", True):
            student = language_models.merged(student)
        if isinstance(self.job.student, str):
            language_models.kept_in(student, language_models.own_dtype(self.job.student))
        return student

    def validation(self) -> Validation:
        """Measure likeness to the teacher where it is asked token by token, else the fit."""
        size = self.job.training.batch_size
        if self.pairs is not None:
            return Validation("margin of held-out pairs, nats", self.pairs.margin, "higher")

        def measure_now(student: Any) -> float:
            nll, kl, _ = fit_and_likeness(student, self.held_out, self.reference, size)
            return nll if kl is None else kl

        figure = "NLL" if self.reference is None else "KL to the teacher"
        return Validation(f"{figure}, nats a token", measure_now)

    def measure(self, student: Any) -> Result:
        """Measure the student as it is after the training, beside what was measured before."""
        if self.load is not None:
            self.reference = self.load()
        self.figures["student after"] = self._measured("student after", student)
        facts = {name: dataclasses.asdict(each) for name, each in self.figures.items()}
        held_out = self.job.validation is not None or self.job.held_out is not None
        rows = f"{len(self.held_out):,} {'held-out' if held_out else 'training'} rows"
        text = as_table(self.figures, rows)
        if self.answers is None:
            return Result(self.figures, text, facts)
        text += f"\n\n## The teacher's answers\n\n{fenced(str(self.answers))}"
        return Result(self.figures, text, facts, {"answers": self.answers.facts()})

    def save(self, student: Any, folder: Path) -> None:
        """Write the student as `from_pretrained` and `transformers serve` take it."""
        language_models.save(student, self.tokenizer, folder)


def setup(job: Job, context: Context) -> LanguageModel:
    """Make a job for language models ready: load, let the teacher answer where it has to, measure.

    Args:
        job: what to do.
        context: where.

    Returns:
        Student, data, teacher and method, with what was measured before the first step.

    Raises:
        ValueError: for what cannot be read or learned, in words.
        OSError: for what cannot be loaded or written, in words.
    """
    log = context.log
    learning = learning_of(job)
    exam = None if job.exam is None else read_exam(**job.exam)
    rows = context.kept("rows", learning.rows)
    sets = _cards_of(rows.table.files)
    if job.validation is None and job.held_out is None:
        log(
            "no validation: the figures are of training rows "
            f"(the first {TRAINING_ROWS}, at most), and say little of new ones"
        )
    held_rows = context.kept("held-out rows", learning.held_out)
    say_share(job, held_rows, log)
    models = _loaded(job, context)
    student, tokenizer, teacher = models.student, models.tokenizer, models.teacher
    if job.gradient_checkpointing:
        language_models.check_recomputing(student)
    limit = learning.limit(models, train=False)
    held_out = context.kept(
        "held-out texts", lambda: texts_of(held_rows, tokenizer, limit, log, "validation")
    )
    pairs = None
    if isinstance(held_out, Preferences):
        pairs = HeldOutPairs(held_out, job.training.batch_size, student)
        held_out = held_out.chosen
    material = _kept(job, context)("material", lambda: learning.material(rows, models, context))
    frozen = learning.frozen(models) if material.reference is None else material.reference
    reference: Teacher | None = None
    if material.reference is not None:
        reference = learning.reference(material.reference, held_rows, held_out, tokenizer)
    result = LanguageModel(
        student,
        material.data,
        learning.method(tokenizer),
        material.teacher,
        f"{job.method}: {len(material.data):,} {learning.unit}, {job.training.epochs} epochs",
        base=job.student if isinstance(job.student, str) else None,
        teachers=material.teachers,
        sets=[*sets, *material.sets],
        job=job,
        tokenizer=tokenizer,
        held_out=held_out,
        pairs=pairs,
        answers=material.answers,
        reference=reference,
        exam=exam,
        context=context,
    )
    if frozen is not None and (learning.token_wise or models.same_words):
        result.examine("teacher" if job.view is None else "teacher, student's prompts", teacher)
    elif teacher is not None and exam is not None:  # it counts other tokens, and its answers count
        result.examine("teacher", teacher, models.teacher_tokenizer)
    result.examine("student before", student)
    if isinstance(reference, SecondView):
        size = job.training.batch_size
        context.dist.once(lambda: say_gap(reference, student, held_out, size, log))
    elif teacher is not None and models.same_words and job.view is None:
        context.dist.once(lambda: result.look(teacher, student))
    if job.teacher_keep is not None:
        alone = Models(student, tokenizer)
        result.load = partial(_reference, learning, alone, held_rows, held_out, context)
        result.reference = None
    if job.lora is not None:
        result.student = language_models.with_lora(student, job.lora, job.training.seed)
    if job.bundle:
        result.settings["sampler"] = job.sampler(material.data)
    if job.gradient_checkpointing:
        options = {"use_reentrant": False}  # the other way gives adapters no gradient
        result.student.gradient_checkpointing_enable(gradient_checkpointing_kwargs=options)
    return result


def _reference(
    learning: Learning, models: Models, rows: Exchanges, texts: Texts, context: Context
) -> Teacher:
    """The teacher, loaded again to be compared with."""
    assert learning.job.teacher is not None
    teacher, tokenizer = language_models.load(learning.job.teacher, learns=False)
    teacher = teacher.to(context.device)
    frozen = learning.frozen(
        dataclasses.replace(models, teacher=teacher, teacher_tokenizer=tokenizer)
    )
    assert frozen is not None
    return learning.reference(frozen, rows, texts, models.tokenizer)


def _cards_of(files: Sequence[Path]) -> list[Path | Card]:
    """The cards that `generate` left beside the training data, if they are from there."""
    cards = [card_path(file).with_suffix(".json") for file in files]
    return [card for card in cards if card.is_file()]


def _kept(job: Job, context: Context) -> Callable[[str, Callable[[], Any]], Any]:
    """What holds the teacher is kept for all seeds; not where its answers lie on disk.

    Nor where the student's own first weights are in it, as the reference of dpo has them.
    """
    alike = job.teacher_keep is None and job.method != "dpo"
    return context.kept if alike else lambda name, make: make()


def _loaded(job: Job, context: Context) -> Models:
    """Teacher and student with their weights, on the job's device."""
    log = context.log
    for what, name in (("teacher", job.teacher_here), ("student", job.student)):
        if isinstance(name, str) and model_folder(name, what) is None and not in_cache(name):
            log(f"{what}: there is no folder {name} on this machine: it is asked of the hub")
    log(f"loading {job.teacher_here or job.student}")
    teacher = teacher_tokenizer = None
    if job.teacher_here is not None:
        name, kept = job.teacher_here, _kept(job, context)
        teacher, teacher_tokenizer = kept(
            "models", lambda: language_models.load(name, learns=False)
        )
        teacher = teacher.to(context.device)
    if isinstance(job.student, dict):
        tokenizer = teacher_tokenizer
        student = language_models.new_student(job.student, tokenizer, job.training.seed)
    else:
        student, tokenizer = language_models.load(job.student, learns=True)
    return Models(student.to(context.device), tokenizer, teacher, teacher_tokenizer)
