"""Writing a cache: a teacher is asked once about every example, and its answers kept on disk."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from distill_lab._util.checks import positive_int
from distill_lab._util.describe import as_it_was
from distill_lab._util.io import user_path
from distill_lab._util.runtime import Progress, progress_line
from distill_lab._util.tensors import attention_of, leaves
from distill_lab.data import fingerprints
from distill_lab.data.batches import (
    Batch,
    Data,
    Source,
    TensorSource,
    as_data,
    own_fingerprint,
    reading,
)
from distill_lab.data.forms import Collate
from distill_lab.signals import Dense, Text
from distill_lab.teachers.cached import files, keep
from distill_lab.teachers.cached.answers import check_distribution, check_signal, refuse_not_finite
from distill_lab.teachers.cached.keep import Records, TextRecords
from distill_lab.teachers.cached.read import Cached, index_columns
from distill_lab.teachers.folds import OutOfFold, TrainTeacher
from distill_lab.teachers.live import (
    Teacher,
    ask,
    callable_teacher,
    check_data,
    identity_to_keep,
    refuse_probabilities,
    says_values,
)
from distill_lab.teachers.made_of import made_of

_SPOT = 8  # examples looked at again where a cache is taken up


def cache(
    teacher: nn.Module | Teacher | TrainTeacher,
    data: Data,
    path: str | os.PathLike[str],
    *,
    signal: Records | None = None,
    views: Sequence[Data] = (),
    folds: int | None = None,
    fold_seed: int = 0,
    teacher_name: str | None = None,
    tokenizer: object = None,
    batch_size: int = 64,
    collate: Collate | None = None,
    workers: int = 0,
    progress: Progress = True,
) -> Cached:
    """Ask a teacher once about every example and keep what it says in the folder `path`.

    Where `path` holds a cache already, it is taken up: a finished one is opened without asking
    anybody; one that was cut short, even by a kill, goes on where it stopped, and the teacher is
    asked only for what is missing, up to about a second of work. A cache of another teacher,
    tokenizer, T, signal or other data is refused. One process writes at a time: of several
    processes, let the first make the cache and the others wait, then open it with `Cached(path)`.

    With `folds` each example is answered by a teacher that never saw it, see `OutOfFold`. Then
    `teacher` is a function that trains one, and the manifest names the teacher of every fold. Where
    such a cache was cut short, the teachers are trained again; if they come out otherwise, it is
    refused.

    Args:
        teacher: a frozen network, or any function from a batch to logits. A bare function has no
            `identity`: give it one, or a `teacher_name`. With `folds`: a function that trains a
            teacher on the data it is given.
        data: data in any form that `distill` takes. Tensors, `Texts` and data with a `fingerprint`
            are known by their content; other data by a few examples here, and by each as it is
            read.
        path: the folder.
        signal: what to keep: `keep.dense()` by default, `keep.top_k(k, T=...)`,
            `keep.sampled(60, T=...)` or `keep.text()`. Every epoch gets the same again: for many of
            them over few examples prefer the top k to one sampled draw, see `keep`.
        views: the same examples augmented otherwise, each a data set of as many: all are recorded,
            and a batch finds its own by content.
        folds: into how many parts labelled examples are dealt, each answered by a teacher that was
            trained on the others; None where the teacher never saw the examples.
        fold_seed: which examples are in which fold.
        teacher_name: what tells this teacher from others; with `folds` it is needed.
        tokenizer: the texts' tokenizer, or a name for it; a cache of another is refused.
        batch_size: examples asked at once.
        collate: as in `as_data`, for data in rows.
        workers: processes that read ahead; the answers are the same.
        progress: True for a line, False for nothing, or a function of (values, step, steps).

    Returns:
        A teacher that answers from the folder.

    Raises:
        ValueError: for a cache that is stale (naming what differs) or torn, for a teacher without
            identity or name, and for answers that cannot be kept.
        FloatingPointError: for answers that are not finite.
        BlockingIOError: where another process writes.
        OSError: where the disk is full, with what was written before intact.

    >>> import tempfile
    >>> from distill_lab.teachers import freeze
    >>> data, folder = (torch.randn(5, 4), None), tempfile.mkdtemp()
    >>> cached = cache(freeze(nn.Linear(4, 2)), data, folder, progress=False)
    >>> cached(as_data(data).batch(torch.tensor([3, 1]))).shape
    torch.Size([2, 2])
    """
    given: Any = teacher
    if folds is not None:
        given = OutOfFold(
            given, as_data(data, collate, workers), folds=folds, seed=fold_seed, name=teacher_name
        )
    answering: Teacher = callable_teacher(given)
    if signal is None:
        signal = keep.dense("float32" if says_values(answering) else "float16")
    check_signal(answering, signal)
    batch_size = positive_int("batch_size", batch_size)
    sources = [as_data(view, collate, workers) for view in (data, *views)]
    if len({len(source) for source in sources}) > 1:
        raise ValueError(
            f"the views have {[len(source) for source in sources]} examples: expected as many of "
            "each, since example i of one is example i of all."
        )
    check_data(answering, sources[0])
    folder = user_path(path, "the cache", "folder")
    identity = identity_to_keep(answering, teacher_name)
    about: dict[str, Any] = {
        "teacher": {"name": teacher_name or identity.split("-")[0], "identity": identity},
        "tokenizer": fingerprints.of_tokenizer(tokenizer),
        "signal": keep.facts(signal),
        "examples": len(sources[0]),
        "data": [_fingerprint(source) for source in sources],
    }
    if (layers := made_of(answering)) is not None:
        about["teacher"]["layers"] = layers
    if isinstance(answering, OutOfFold):
        about["folds"] = answering.facts
    manifest = files.read_manifest(folder)
    if manifest is not None:
        _refuse_stale(folder, manifest["about"], about)
    if manifest is None or not manifest.get("complete"):
        with files.Writer(folder) as writer:
            _Recording(answering, sources, signal, about, writer).run(batch_size, progress)
    cached = Cached(folder)
    _check_examples(cached, sources)
    return cached


@dataclass
class _Recording:
    """One run through the data, from where the last one stopped."""

    teacher: Teacher
    sources: list[Source]
    signal: Records
    about: dict[str, Any]
    writer: files.Writer
    layout: dict[str, Any] | None = None
    fold_teachers: list[str] | None = None

    @property
    def texts(self) -> bool:
        return isinstance(self.signal, TextRecords)

    def run(self, batch_size: int, progress: Progress) -> None:
        manifest = files.read_manifest(self.writer.folder)
        if manifest is not None and manifest.get("complete"):
            return  # another process finished it before this one had the lock
        self.layout = None if manifest is None else manifest["layout"]
        if isinstance(self.teacher, OutOfFold):
            before = None if manifest is None else manifest["fold_teachers"]
            self.fold_teachers = self.teacher.train(before)
        each = len(self.sources[0])
        total = each * len(self.sources)
        with progress_line(progress, "cached answers", unit="example") as show:
            while self.writer.examples < total:
                view, first = divmod(self.writer.examples, each)
                parts = torch.arange(first, each).split(batch_size)
                with reading(self.sources[view]) as start:
                    read = start((int(index[0]), index) for index in parts)
                    for index in parts:
                        self._add(read(index), view)
                        show(dict, self.writer.examples, total)
        self.writer.finish(self._manifest())

    def _manifest(self) -> dict[str, Any]:
        teachers = {} if self.fold_teachers is None else {"fold_teachers": self.fold_teachers}
        at = getattr(self.teacher, "scored_at", None)
        held = {} if at is None else {"scored_at": at}
        facts = {"about": self.about, "layout": self.layout} | teachers | held
        return facts | {"complete": False}

    def _add(self, batch: Batch, view: int) -> None:
        answer, mask = self._answer(batch)
        axes, scores = 1 if self.texts else 2, {}
        if answer.dim() < axes:  # one number an example
            answer, scores = answer[:, None], {"scores": True}
        positions = None if mask is not None else list(answer.shape[1 : answer.dim() - axes + 1])
        classes = 0 if self.texts else answer.shape[-1]
        self._check_layout({"classes": classes, "positions": positions} | scores, batch)
        shape = answer.shape[:2] if positions is None else (len(answer), *positions)
        where = torch.ones(shape, dtype=torch.bool) if mask is None else mask
        place = (where.reshape(len(answer), -1).cumsum(1) - 1).view(shape)
        number = batch.ids.cpu() + view * len(self.sources[0])
        example = number.view(-1, *[1] * (len(shape) - 1)).expand(shape)
        rows = answer[where.to(answer.device)]
        records = self.signal.encode(rows, classes, example[where], place[where])
        columns = [fingerprints.of_examples(batch.inputs).cpu()]
        if index_columns(positions) == 3:
            before = self.writer.state["signals.bin"]["bytes"] // records.shape[1]
            columns.append(before + where.sum(1).cumsum(0)[:, None])
        self.writer.append(len(answer), _raw(torch.cat(columns, 1)), _raw(records))

    def _check_layout(self, layout: dict[str, Any], batch: Batch) -> None:
        if self.layout is None:
            self.signal.record_bytes(layout["classes"])  # refused before anything is written
            self.layout = layout
            files.write_manifest(self.writer.folder, self._manifest())
        elif layout != self.layout:
            raise ValueError(
                f"the teacher answered {layout} about examples from {int(batch.ids[0])} on, and "
                f"{self.layout} before. Give texts of different lengths as a dict with input_ids "
                "and attention_mask, and one number a token with an axis of its own, (B, L, 1)."
            )

    def _answer(self, batch: Batch) -> tuple[Tensor, Tensor | None]:
        """What the teacher says, as one tensor, and where it counts (B, L) if texts are padded."""
        output = ask(self.teacher, batch)
        answer: Any = output
        if isinstance(output, Dense):
            answer = output.logits
        elif isinstance(output, Text):
            answer = output.labels
        if not isinstance(answer, Tensor) or isinstance(output, Text) != self.texts:
            raise TypeError(
                f"the teacher answered with a {type(output).__name__}, and {self.signal} keeps "
                f"{'a Text' if self.texts else 'the logits of every class'}: give another signal, "
                "or a teacher that says so. A function may answer in NumPy as teachers.function(f)."
            )
        if answer.is_complex() or answer.layout != torch.strided:
            raise TypeError(
                f"the teacher answered with {answer.dtype}, {answer.layout}: expected real numbers "
                "in a dense tensor."
            )
        axes = 1 if self.texts else 2
        if answer.dim() == 0 or len(answer) != len(batch.ids):
            raise ValueError(
                f"the teacher answered {len(batch.ids)} examples with a tensor of shape "
                f"{tuple(answer.shape)}: expected one row an example, (B, ..., classes)."
            )
        mask = None
        tokens = attention_of(batch.inputs)
        if tokens is not None and "attention_mask" in batch.inputs:
            tokens = tokens.cpu()
            if answer.shape[:2] == tokens.shape and answer.dim() == axes + 1:
                mask = tokens  # an answer a token; without it, one a text
        if not self.texts:
            if self.layout is None:
                refuse_probabilities(self.teacher, answer, "the teacher's answers")
            check_distribution(self.signal, self.teacher, answer, batch)
            values = says_values(self.teacher) or answer.dim() < axes
            refuse_not_finite(
                answer[:, None] if answer.dim() < axes else answer, batch.ids, mask, values
            )
        return answer, mask


def _refuse_stale(folder: Path, before: dict[str, Any], now: dict[str, Any]) -> None:
    flat = [
        {name: part for key, value in about.items() for name, part in _flat(key, value)}
        for about in (before, now)
    ]
    changed = [
        f"{name}: {flat[0].get(name)!r} there, {flat[1].get(name)!r} now"
        for name in sorted(flat[0] | flat[1])
        if not as_it_was(flat[0].get(name), flat[1].get(name))
        # caches of before do not say of which layers their teacher was
        and (name, name in flat[0]) != ("teacher layers", False)
    ]
    if changed:
        raise ValueError(
            f"{folder} is the cache of something else ({'; '.join(changed)}): use another path, or "
            "delete the folder to ask the teacher again."
        )


def _flat(key: str, value: Any) -> list[tuple[str, Any]]:
    if isinstance(value, dict):
        return [(f"{key} {name}", part) for name, part in value.items()]
    return [(key, value)]


def _check_examples(cached: Cached, sources: list[Source]) -> None:
    """Refuse a cache of other data where they have no fingerprint: a few examples tell."""
    for source in sources:
        if not isinstance(source, TensorSource):
            index = torch.linspace(0, len(source) - 1, min(_SPOT, len(source))).long()
            cached._slots(source.batch(index))


def _fingerprint(source: Source) -> str:
    """Data go by their content where it is at hand; else by kind, and example by example later."""
    if isinstance(source, TensorSource):
        return fingerprints.of_tensors(leaves("inputs", source.inputs))
    return own_fingerprint(source) or type(getattr(source, "dataset", source)).__name__


def _raw(tensor: Tensor) -> bytes:
    return tensor.contiguous().numpy().tobytes()
