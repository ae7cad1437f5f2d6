"""All that a job of language models would stumble over, found before a model is loaded."""

import contextlib
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from distill_lab._util.checks import needs
from distill_lab._util.jsonl import Row
from distill_lab._util.model_files import in_cache, model_folder, tensors
from distill_lab._util.wrappers import state_of
from distill_lab.data.batches import padding_share
from distill_lab.jobs import language_models
from distill_lab.jobs.exam import read_exam
from distill_lab.jobs.job import Job
from distill_lab.jobs.learning import learning_of
from distill_lab.jobs.learning.learning import Learning
from distill_lab.jobs.learning.views import forecast_view
from distill_lab.jobs.measuring import exam_prompts
from distill_lab.jobs.out_folder import CHECKPOINT, check_out, check_run
from distill_lab.jobs.rows import Exchanges, say_share
from distill_lab.jobs.settings import Log
from distill_lab.jobs.setups.setup import say_steps
from distill_lab.jobs.vocabularies import Models
from distill_lab.models.pretrained import check_tokenizer, loading_error

LAYER = re.compile(r"^(.*?)\.(\d+)\.")  # the name of a stack of layers, and a layer's number
SAMPLE = 20_000  # rows that are tokenised; of more, every so many


@dataclass
class Findings:
    """The mistakes that were found, in the order of looking."""

    mistakes: list[str] = field(default_factory=list)

    @contextlib.contextmanager
    def part(self) -> Iterator[None]:
        """Note what goes wrong inside, and go on with the next part."""
        try:
            yield
        except Exception as error:  # of any kind: it is a library's word on what it cannot read
            known = isinstance(error, (ValueError, OSError, ImportError))
            what = " ".join(str(error).split()) if not known else str(error)
            self.mistakes += [what if known else f"{type(error).__name__}: {what}"]

    def end(self) -> None:
        """Raise all of them together.

        Raises:
            ValueError: with a line for each.
        """
        if self.mistakes:
            raise ValueError("\n".join(dict.fromkeys(self.mistakes)))


@dataclass(frozen=True)
class Model:
    """A model as its files say it is.

    Args:
        network: it, without weights.
        tokenizer: its tokenizer.
        learns: the shape of each weight by its name, adapters among them.
    """

    network: Any
    tokenizer: Any
    learns: dict[str, list[int]] = field(default_factory=dict)


def check(job: Job, log: Log) -> None:
    """Open everything that a job names; no weights are loaded, and nothing is written.

    Args:
        job: what would be done.
        log: called with rows, tokens, steps and sizes.

    Raises:
        ValueError: with every mistake on a line of its own.
    """
    findings = Findings()
    learning = learning_of(job)
    rows: dict[str, Exchanges] = {}
    with findings.part():
        rows["train"] = learning.rows()
    with findings.part():
        if job.validation is not None or job.held_out is not None or learning.prompts_only:
            rows["validation"] = learning.held_out()
            say_share(job, rows["validation"], log)
    exam = None
    with findings.part():
        exam = None if job.exam is None else read_exam(**job.exam)
    with findings.part():
        check_out(Path(job.out))
    teacher = student = None
    with findings.part():
        here = job.teacher_here
        teacher = None if here is None else _look(here, "teacher", log)
    with findings.part():
        student = _student(job, teacher, log)
    if student is not None:
        networks = [each.network for each in (student, teacher) if each is not None]
        models = Models(student.network, student.tokenizer)
        if teacher is not None:
            models = Models(student.network, student.tokenizer, teacher.network, teacher.tokenizer)
        with findings.part():
            learning.check_teacher(models)
        for name, exchanges in rows.items():
            with findings.part():
                _check_texts(learning, name, exchanges, models, student.learns, log)
        if exam is not None:
            with findings.part():
                exam_prompts(exam, student.tokenizer, job, *networks)
                log(f"exam: {len(exam):,} questions")
    findings.end()


def _student(job: Job, teacher: Model | None, log: Log) -> Model | None:
    """The student without its weights, with its adapters where it gets any."""
    if isinstance(job.student, str):
        student = _look(job.student, "student", log)
    elif teacher is None:
        return None
    else:
        with torch.device("meta"):
            network = language_models.new_student(job.student, teacher.tokenizer, 0)
        log(f"student: a new one, {_size(network)}")
        student = Model(network, teacher.tokenizer)
    if student is None:
        return None
    network = student.network
    if job.gradient_checkpointing:
        language_models.check_recomputing(network)
    with torch.device("meta"):
        if job.lora is not None:
            network = language_models.with_lora(network, job.lora, 0)
        learns = {name: list(value.shape) for name, value in state_of(network).items()}
        return Model(language_models.merged(network), student.tokenizer, learns)


def _look(name: str, what: str, log: Log) -> Model | None:
    """What the files of a model say; None where they lie on the hub alone."""
    with needs("transformers"):
        from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer
    folder = model_folder(name, what)
    if folder is None and not in_cache(name):
        log(f"{what}: {name} is not on this machine; it would be fetched from the hub")
        return None
    known: dict[str, Any] = {"trust_remote_code": False, "local_files_only": True}
    try:
        config = AutoConfig.from_pretrained(folder or name, **known)
        tokenizer = AutoTokenizer.from_pretrained(folder or name, **known)
        with torch.device("meta"):
            network = AutoModelForCausalLM.from_config(config, trust_remote_code=False)
    except Exception as error:  # of any kind: sizes that do not fit, a tokenizer that is none
        raise ValueError(f"{what} {name} cannot be loaded: {loading_error(error)}") from error
    if folder is not None:
        _compare(network, tensors(folder), folder)
    check_tokenizer(tokenizer, network.get_input_embeddings().weight.shape[0], name)
    kept = torch.float32 if what == "student" else language_models.own_dtype(name, config)
    log(f"{what}: {name}, {_size(network, kept)}")
    return Model(network, tokenizer)


def _compare(network: Any, held: dict[str, dict[str, Any]], folder: Path) -> None:
    """Refuse weights of other shapes than the config asks for, and layers that are not there."""
    prefix = f"{network.base_model_prefix}."  # files of a base model are without it
    names = {name.removeprefix(prefix) for name in held}
    layers = {layer for name in names for layer in LAYER.findall(name)}
    wanted = network.state_dict()
    if not names & {name.removeprefix(prefix) for name in wanted}:
        raise ValueError(
            f"{folder}: of the {len(wanted)} weights that config.json asks for, none is there "
            f"(first: {next(iter(wanted))}); there is {next(iter(held), 'none at all')}."
        )
    for name, expected in wanted.items():
        for stack, number in LAYER.findall(name.removeprefix(prefix)):
            if (stack, "0") in layers and (stack, number) not in layers:
                raise ValueError(
                    f"{folder}: config.json asks for the layer {stack}.{number}, and its weights "
                    "are not there: the two do not belong together."
                )
        if name in held and held[name]["shape"] != list(expected.shape):
            raise ValueError(
                f"{folder}: {name} has the shape {held[name]['shape']}, and config.json asks for "
                f"{list(expected.shape)}: the two do not belong together."
            )


def _size(network: Any, dtype: torch.dtype = torch.float32) -> str:
    count = sum(each.numel() for each in network.parameters())
    memory = f"{dtype.itemsize * count / 1e9:.3g} GB in {str(dtype).removeprefix('torch.')}"
    return f"{type(network).__name__} of {count:,} parameters, {memory}"


def _check_texts(
    learning: Learning,
    name: str,
    rows: Exchanges,
    models: Models,
    learns: Mapping[str, list[int]],
    log: Log,
) -> None:
    """Tokenise rows, count them, and hold the steps that they make against the settings."""
    job, limit = learning.job, learning.limit(models, train=name == "train")
    every = math.ceil(len(rows) / SAMPLE)
    numbers = range(0, len(rows), every)
    few = rows if every == 1 else list(_picked(rows, numbers))
    place = (lambda number: rows.table.place(numbers[number])) if every > 1 else None
    if name == "train":
        texts = learning.texts(rows, models, few, place)
    else:
        texts = rows.texts(models.tokenizer, limit, few, place)
    tokens = every * int(texts.lengths.sum())
    about = "about " if every > 1 else ""
    left_out = f", {about}{every * texts.too_long:,} left out as too long" if texts.too_long else ""
    log(
        f"{name}: {len(rows):,} rows, {about}{tokens:,} tokens, the longest has {texts.longest} "
        f"of {limit}{left_out}"
    )
    if name != "train":
        if learning.token_wise:  # others compare no distributions
            learning.check_prompts(few, models, texts)
        return
    # not so many as rows: some are left out, and a conversation may give several
    count = len(texts) if every == 1 else round(len(texts) * len(rows) / len(numbers))
    say_steps(job.training, count, log)
    size = job.training.batch_size
    padding = padding_share(texts.lengths, size, job.training.seed, job.sampler(texts))
    log(f"padding: {padding:.0%} of the places in batches of {size}")
    for sentence in learning.forecast(rows, models, tokens):
        log(sentence)
    for sentence in forecast_view(job, rows, models.teacher_tokenizer):
        log(sentence)
    learning.check_prompts(few, models, texts)
    by_rows = job.method != "seq-kd"  # else by a teacher's answers
    if every > 1 and by_rows and (Path(job.out) / CHECKPOINT).exists() and not rows.were_read():
        log(
            f"train: these rows are not the ones whose tokens lie in {rows.folder}. If others were "
            f"learned in {job.out}, the run will refuse it: only {SAMPLE:,} rows were looked at"
        )
    known = texts if every == 1 and by_rows else None
    check_run(job, learning.method(models.tokenizer), known, learns)


def _picked(rows: Exchanges, numbers: range) -> Iterator[Row]:
    return (row for number, row in enumerate(rows) if number in numbers)
