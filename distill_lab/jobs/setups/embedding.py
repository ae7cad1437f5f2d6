"""Embedders: a text becomes a vector, near those of texts that mean the same."""

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


def read_examples(job: ModelJob) -> Examples[Split]:
    """Read the texts of a job; labels, where there are any, are measured with and not learned.

    Args:
        job: what to do.

    Returns:
        The examples.

    Raises:
        OSError: for what is not there.
        ValueError: for rows without a text, each with its place.
    """
    if job.teacher is not None:
        encoders.read_config(job.teacher, "teacher")
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

    kind = Kind(
        encoders.AutoEncoder,
        reader(job, examples, context),
        "embedding",
        wrap=lambda model: Embedder(model, "mean"),
        extra_files=write_modules,
    )

    def method(student: Any, teacher: Any) -> Method:
        own, other = (model.model.config.hidden_size for model in (student, teacher))
        learned = own != other and job.method != "similarities"
        regressor = Regressor(own, other, seed=job.training.seed) if learned else None
        return recipe(job, regressor=regressor)

    return drive(job, context, kind, method, examples.count)


def write_modules(folder: Path, model: Any) -> None:
    """Write what SentenceTransformer(folder) reads: the mean of the tokens.

    Args:
        folder: the student's.
        model: the encoder.
    """
    parts = [("Transformer", ""), ("Pooling", "1_Pooling")]
    modules = [
        {"idx": i, "name": str(i), "path": path, "type": MODULES + name}
        for i, (name, path) in enumerate(parts)
    ]
    pooling = {
        "word_embedding_dimension": model.config.hidden_size,
        "pooling_mode_mean_tokens": True,
        "pooling_mode_cls_token": False,
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
