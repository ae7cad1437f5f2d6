"""Reading a cache: what the teacher said about the examples of a batch, from disk."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from distill_lab._util.io import user_path
from distill_lab._util.tensors import device_of
from distill_lab.data import fingerprints
from distill_lab.data.batches import Batch
from distill_lab.signals import Dense, Signal, Text
from distill_lab.teachers.cached import files, keep

Array = np.ndarray[Any, Any]


class Cached:
    """What a teacher said about every example of a data set, read from the folder `cache` wrote.

    An example is found by its number *and* by its content: a batch whose example 7 is not what the
    teacher saw as example 7 is refused, so that data that were shuffled, cut, changed or augmented
    otherwise cannot be paired with what was said of another example. Where several views of the
    examples were recorded, the content says which one this is.

    Any number of processes may read; nothing is held in memory but what is asked for. A batch is
    answered by a tensor of logits (keep.dense), or a signal. Texts of different lengths, given as a
    dict with an `attention_mask`, are answered by a signal padded as they are, with that mask.

    Args:
        path: the folder.
        verify: whether the files' contents are held against their checksums; False compares their
            sizes only, which on a large cache saves a reading of the whole.

    Raises:
        FileNotFoundError: where there is no cache.
        ValueError: for one that is torn, unfinished or of another version, and for batches it does
            not know.
    """

    def __init__(self, path: str | os.PathLike[str], *, verify: bool = True) -> None:
        self.path = user_path(path, "the cache", "folder")
        manifest = files.read_manifest(self.path)
        if manifest is None:
            raise FileNotFoundError(
                f"no cache at {self.path}: check the path, or make one with cache(teacher, data, "
                "path)."
            )
        if not manifest.get("complete"):
            done = files.read_progress(self.path)["examples"]
            raise ValueError(
                f"the cache {self.path} is not finished ({done} of {_entries(manifest)} examples): "
                "call cache() with the same teacher and data, and it goes on from there."
            )
        files.check_whole(self.path, manifest, contents=verify)
        self.manifest: dict[str, Any] = manifest
        layout = manifest["layout"]
        self.signal = keep.from_facts(manifest["about"]["signal"])
        self.classes: int = layout["classes"]
        self.scored_at: float | None = manifest.get("scored_at")  # where it holds at one T alone
        self._scores: bool = layout.get("scores", False)  # one number an example
        self.positions: list[int] | None = layout["positions"]  # None: each example its own number
        self._examples: int = manifest["about"]["examples"]
        columns = index_columns(self.positions)
        index = _mapped(self.path / "index.bin", "<i8", (_entries(manifest), columns))
        self._keys = index[:, :2].reshape(-1, self._examples, 2)  # (views, examples, 2)
        self._ends = index[:, 2] if columns == 3 else None
        self._records = _mapped(
            self.path / "signals.bin", "u1", (-1, self.signal.record_bytes(self.classes))
        )

    @property
    def identity(self) -> str:
        """A short name for everything that is in here: what of whom, and its very bits."""
        fields = {name: self.manifest[name] for name in ("about", "layout", *files.FILES)}
        return "Cached-" + fingerprints.of_facts(fields)

    @property
    def bytes_on_disk(self) -> int:
        """Everything in the folder, manifest and index included."""
        return sum(file.stat().st_size for file in self.path.iterdir())

    def __len__(self) -> int:
        return self._examples

    def __call__(self, batch: Batch) -> Tensor | Signal:
        """Answer a batch from the disk."""
        slots = self._slots(batch)
        if self._ends is not None:
            answer: Signal = self._texts(slots, batch.inputs["attention_mask"])
        else:
            assert self.positions is not None
            each = int(np.prod(self.positions, dtype=np.int64))
            rows = slots if each == 1 else (slots[:, None] * each + torch.arange(each)).flatten()
            answer = self._read(rows)
            if self._scores:
                assert isinstance(answer, Dense)
                return answer.logits.squeeze(-1).to(device_of(batch.inputs))
            if self.positions:
                answer = answer[torch.arange(len(rows)).view(len(slots), *self.positions)]
        device = device_of(batch.inputs)
        if isinstance(answer, Dense) and answer.mask is None:
            return answer.logits.to(device)
        return answer.to(device)

    def _read(self, rows: Tensor) -> Signal:
        """The signal of some positions, (R,): one gather from the mapped file."""
        records = torch.from_numpy(np.take(self._records, rows.numpy(), axis=0))
        return self.signal.decode(records, self.classes)

    def _slots(self, batch: Batch) -> Tensor:
        """Where each example of a batch is, by number and content: (B,)."""
        ids = batch.ids.cpu().long()
        if len(ids) and (ids.min() < 0 or ids.max() >= self._examples):
            raise ValueError(
                f"the batch asks for example {int(ids.max())}, but the cache {self.path} holds "
                f"{self._examples}: cache the data the student trains on."
            )
        keys = fingerprints.of_examples(batch.inputs).cpu().numpy()
        same = (self._keys[:, ids.numpy()] == keys).all(-1)  # (views, B)
        matched = same.any(0)
        if not matched.all():
            self._refuse(ids.numpy()[~matched], keys[~matched], len(ids))
        return torch.from_numpy(same.argmax(0)) * self._examples + ids

    def _refuse(self, ids: Array, keys: Array, batch: int) -> None:
        elsewhere = np.flatnonzero((self._keys == keys[0]).all(-1).any(0))
        if len(elsewhere):
            hint = (
                f"that content is example {int(elsewhere[0])} there, so the data were reordered "
                "or cut: give the data as they were when they were cached."
            )
        else:
            hint = (
                "the teacher never saw it, so the data were changed or augmented otherwise: record "
                "each view with cache(..., views=[...]), or ask the teacher live."
            )
        raise ValueError(
            f"example {int(ids[0])} is not the one the cache {self.path} holds under this number "
            f"({len(ids)} of the {batch} in this batch are not); {hint}"
        )

    def _texts(self, slots: Tensor, attention_mask: Tensor) -> Signal:
        """Records of different numbers, placed where the mask has its tokens: (B, L, ...)."""
        assert self._ends is not None
        mask = attention_mask.cpu().bool()
        lengths = mask.sum(1)
        first = torch.from_numpy(self._ends[slots.numpy()]) - lengths
        within = torch.arange(int(lengths.sum())) - (lengths.cumsum(0) - lengths).repeat_interleave(
            lengths
        )
        rows = first.repeat_interleave(lengths) + within
        flat = self._read(rows)
        place = torch.zeros(mask.shape, dtype=torch.long)
        place[mask] = torch.arange(len(rows))  # padding repeats a record, and is masked
        answer = flat[place]
        if isinstance(answer, Text):
            return Text(torch.where(mask, answer.labels, -100))
        return type(answer)(**{**vars(answer), "mask": mask})

    def __repr__(self) -> str:
        return f"Cached({str(self.path)!r}, {self._examples} examples, {self.signal})"


def index_columns(positions: list[int] | None) -> int:
    """Numbers an example has in the index: the two of its key, and its end where lengths differ."""
    return 3 if positions is None else 2


def _entries(manifest: dict[str, Any]) -> int:
    return int(manifest["about"]["examples"]) * len(manifest["about"]["data"])


def _mapped(path: Path, dtype: str, shape: tuple[int, ...]) -> Array:
    # read-only: a mapping one may write to is refused where it is larger than the memory
    return np.asarray(np.memmap(path, dtype=dtype, mode="r")).reshape(shape)
