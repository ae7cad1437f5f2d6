"""Embedders: a text becomes a vector, near those of texts that mean the same."""

import json
from pathlib import Path
from typing import Any

from distill_lab._util.io import to_json
from distill_lab.jobs.held_out import far_off
from distill_lab.jobs.model_job import ModelJob
from distill_lab.jobs.setups import encoders
from distill_lab.jobs.setups.encoded import reader
from distill_lab.jobs.setups.examples import Examples, Split
from distill_lab.jobs.setups.labels import Labels, find_names
from distill_lab.jobs.setups.recipes import recipe
from distill_lab.jobs.setups.road import EncoderSetup, Kind, drive
from distill_lab.jobs.setups.setup import Context
from distill_lab.jobs.setups.tables import Table, read_tables
from distill_lab.jobs.setups.text_classification import texts_of
from distill_lab.methods import Method
from distill_lab.models import Embedder
from distill_lab.models.projections import Regressor

MODULES = "sentence_transformers.models."
FLAG = (
    "pooling_mode_"  # SentenceTransformer writes one a way of pooling, and since 6 the way's name
)
POOLINGS = {"mean_tokens": "mean", "cls_token": "cls", "lasttoken": "last"}  # and what we call it


def read_examples(job: ModelJob) -> Examples[Split]:
    """Read the texts of a job; labels, where there are any, are measured with and not learned.

    Args:
        job: what to do.

    Returns:
        The examples.

    Raises:
        OSError: for what is not there.
        ValueError: for rows without a text, each with its place; for a model that makes a vector
            otherwise than from the last states of its tokens.
    """
    if job.teacher is not None:
        encoders.read_config(job.teacher, "teacher")
        pooling_of(job.teacher, job.method)
    if isinstance(job.student, str):
        pooling_of(job.student)
    train, held_out = read_tables(job, "text")
    text = job.columns.get("text", "text")
    note = far_off(job.held_out, len(train), len(held_out))
    measured = _labelled(held_out, text, job)
    return Examples(Split(texts_of(train, text), None), measured, "texts", note=note)


def setup(job: ModelJob, context: Context) -> EncoderSetup:
    """Make a job ready: read, load, let the teacher answer.

    Args:
        job: what to do.
        context: where.

    Returns:
        Student, data, teacher and method.

    Raises:
        OSError: for what cannot be loaded.
        ValueError: for what cannot be read or learned, in words.
    """
    examples = context.kept("examples", lambda: read_examples(job))
    context.log(str(examples))

    read = (pooling_of(job.teacher, job.method) if job.teacher else None) or "mean"
    own = (pooling_of(job.student) if isinstance(job.student, str) else None) or read
    kind = Kind(
        encoders.AutoEncoder,
        reader(job, examples, context),
        "embedding",
        wrap=lambda model: Embedder(model, read),
        student_wrap=lambda model: Embedder(model, own),
        extra_files=lambda folder, model: write_modules(folder, model, own),
    )

    def method(student: Any, teacher: Any) -> Method:
        own, other = (model.model.config.hidden_size for model in (student, teacher))
        learned = own != other and job.method != "similarities"
        regressor = Regressor(own, other, seed=job.training.seed) if learned else None
        return recipe(job, regressor=regressor)

    return drive(job, context, kind, method, examples.count)


def pooling_of(name: str, method: str = "cosine") -> str | None:
    """How a model reads a text's vector, by what SentenceTransformer wrote beside it.

    Args:
        name: a folder or a name on the hub.
        method: what is learned of the vector; its length counts for mse alone.

    Returns:
        "mean", "cls" or "last"; None where no file names one, as of a bare encoder.

    Raises:
        ValueError: for a vector that is made otherwise.
    """
    paths = {each["type"].rpartition(".")[2]: each["path"] for each in _facts(name, "modules.json")}
    if not paths:
        return None
    given = dict(_facts(name, f"{paths.get('Pooling')}/config.json"))
    ways = given.get(FLAG.rstrip("_"), [key for key, on in given.items() if FLAG in key and on])
    ways = [way.removeprefix(FLAG) for way in ([ways] if isinstance(ways, str) else ways)]
    known = POOLINGS | {read: read for read in POOLINGS.values()}
    prompt = dict(_facts(name, "config_sentence_transformers.json")).get("default_prompt_name")
    more = [each for each in paths if each not in ("Transformer", "Pooling", "Normalize")]
    more += ["Normalize"] if method == "mse" and "Normalize" in paths else []
    more += [f"the prompt {prompt!r} before each text"] if prompt else []
    if more or len(ways) != 1 or ways[0] not in known:
        how = ", ".join(more) or f"pooling by {' and '.join(ways) or 'nothing'}"
        raise ValueError(
            f"{name} makes its vectors with {how} (modules.json), and here they are the mean, the "
            "first or the last of its tokens' states. Name another model; or take out what is "
            "beside its weights, to learn from the mean of their states, which it was not made for."
        )
    return known[ways[0]]


def _facts(name: str, file: str) -> Any:
    """What a file beside a model holds; nothing where there is none."""
    from transformers.utils.hub import cached_file

    none = {"_raise_exceptions_for_missing_entries": False}
    none |= {"_raise_exceptions_for_connection_errors": False}
    path = cached_file(name, file, _raise_exceptions_for_gated_repo=False, **none)
    return [] if path is None else json.loads(Path(path).read_text(encoding="utf-8"))


def write_modules(folder: Path, model: Any, read: str = "mean") -> None:
    """Write what SentenceTransformer(folder) reads: how a text's vector is made of its tokens.

    Args:
        folder: the student's.
        model: the encoder.
        read: the mean, the first or the last of the tokens.
    """
    parts = [("Transformer", ""), ("Pooling", "1_Pooling")]
    modules = [
        {"idx": i, "name": str(i), "path": path, "type": MODULES + name}
        for i, (name, path) in enumerate(parts)
    ]
    pooling = {
        "word_embedding_dimension": model.config.hidden_size,
        **{FLAG + name: way == read for name, way in POOLINGS.items()},
    }
    (folder / "1_Pooling").mkdir(exist_ok=True)
    (folder / "1_Pooling/config.json").write_text(to_json(pooling), encoding="utf-8")
    path = folder / "modules.json"  # a list, and to_json writes one
    path.write_text(to_json(modules), encoding="utf-8")


def _labelled(table: Table, text: str, job: ModelJob) -> Split:
    label = job.columns.get("label")
    if label is None:
        return Split(texts_of(table, text), None)
    values = table.lists(label, "label")
    names = Labels(find_names(values, given=job.labels, of="data that are measured on"))
    return Split(texts_of(table, text), names.numbers(values, table.places))
