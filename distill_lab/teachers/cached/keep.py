"""What to keep of a teacher's answer, for `cache(..., signal=...)`.

    keep.dense()                every class: the logits, 2 bytes each, good for any T; also values,
                                scores (B,) and embeddings (B, D), for which float32 is the default
    keep.top_k(16, T=2.0)       the most probable classes at T; the rest is one tail
    keep.sampled(60, T=2.0)     as many weighted draws as fit into 60 bytes, without bias
    keep.text()                 what the teacher wrote: one class a position

A cache replays: each epoch reads what was kept of an example once more. A sampled record is then
the same draw again, right on average over many examples and wrong for each: where few examples are
seen many times, keep the top k, or many draws.

Each position is a record of bytes, all of one size, so position i stands at i times that size, and
a batch is one gather. Raises ValueError for sizes, temperatures or types that cannot be.
"""

from dataclasses import asdict, dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from distill_lab._util.checks import one_of, positive_int, set_checked, whole_number
from distill_lab._util.tensors import check_temperature, uniform
from distill_lab.signals import Dense, Sampled, Signal, Text, TopK, systematic_sample
from distill_lab.teachers.cached.packing import bits_for, from_two_bytes, pack, two_bytes, unpack

DTYPES = {"float16": torch.float16, "bfloat16": torch.bfloat16, "float32": torch.float32}
_UNIT = 65_535  # 16 bits: weights are written as fractions of it
_RULED_OUT = -1e8  # a logit below is an impossible class, not a number to keep
_DEEPEST = 32.0  # nats: the range in which a draw's own share is written


class Records(Protocol):
    """One way to write a signal down, position by position."""

    def record_bytes(self, classes: int) -> int:
        """How many bytes a position takes."""
        ...

    def encode(
        self, teacher_output: Tensor, classes: int, example: Tensor, place: Tensor
    ) -> Tensor:
        """Pack what a teacher says, a record each.

        Args:
            teacher_output: logits (R, C), or labels (R,) of a text.
            classes: C.
            example: number (R,) of the example that each row is of.
            place: its position (R,) in that example.

        Returns:
            Records (R, bytes) uint8, on the CPU.
        """
        ...

    def decode(self, records: Tensor, classes: int) -> Signal:
        """Read records back as a signal.

        Args:
            records: (R, bytes) uint8.
            classes: C.

        Returns:
            The signal of R positions.
        """
        ...


@dataclass(frozen=True)
class DenseRecords:
    """Every logit, at any temperature later.

    Args:
        dtype: "float16", which rounds to about three digits, "bfloat16" or "float32".

    Raises:
        ValueError: for another dtype.
    """

    dtype: str = "float16"

    def __post_init__(self) -> None:
        one_of("dtype", self.dtype, DTYPES)

    def record_bytes(self, classes: int) -> int:
        """Count the bytes of one record."""
        return classes * DTYPES[self.dtype].itemsize

    def encode(
        self, teacher_output: Tensor, classes: int, example: Tensor, place: Tensor
    ) -> Tensor:
        """Pack a teacher's answers, a record each."""
        stored = teacher_output.detach().to(DTYPES[self.dtype])
        top_fits = stored.amax(-1).isfinite().all() and (stored != torch.inf).all()
        # far below, a class is ruled out and may become -inf; a value may not
        if not top_fits or ((stored == -torch.inf) & (teacher_output > _RULED_OUT)).any():
            raise ValueError(
                f"logits of up to {teacher_output.abs().max().item():.3g} do not fit into "
                f"{self.dtype}: use keep.dense('float32')."
            )
        return stored.cpu().contiguous().view(torch.uint8)

    def decode(self, records: Tensor, classes: int) -> Dense:
        """Read records back as a signal."""
        return Dense(records.contiguous().view(DTYPES[self.dtype]).float())


@dataclass(frozen=True)
class TopKRecords:
    """The k most probable classes at T: ids of ceil(log2 classes) bits and log-probabilities.

    The log-probability of all other classes together stands beside them, and what rounding to
    `dtype` takes from the sum is given back on reading: a tail that is only a rounding error
    would teach the student to expect what the teacher excludes.

    Args:
        k: how many classes are kept.
        T: the temperature of the teacher's softmax.
        dtype: of the log-probabilities.

    Raises:
        ValueError: for k < 1, T <= 0 or another dtype.
    """

    k: int
    T: float = 1.0
    dtype: str = "float16"

    def __post_init__(self) -> None:
        set_checked(self, positive_int, "k")
        object.__setattr__(self, "T", check_temperature(self.T))
        one_of("dtype", self.dtype, DTYPES)

    def _id_bytes(self, classes: int) -> int:
        return -(-self.k * bits_for(classes) // 8)

    def record_bytes(self, classes: int) -> int:
        """Count the bytes of one record."""
        if self.k > classes:
            raise ValueError(f"k = {self.k} but the teacher scores {classes} classes.")
        return self._id_bytes(classes) + (self.k + 1) * DTYPES[self.dtype].itemsize

    def encode(
        self, teacher_output: Tensor, classes: int, example: Tensor, place: Tensor
    ) -> Tensor:
        """Pack a teacher's answers, a record each."""
        log_probs = (teacher_output.detach().float() / self.T).log_softmax(-1)
        listed, ids = log_probs.topk(self.k)
        rest = log_probs.scatter(-1, ids, -torch.inf).logsumexp(-1, keepdim=True)
        values = torch.cat((listed, rest), -1).cpu().to(DTYPES[self.dtype]).view(torch.uint8)
        return torch.cat((pack(ids, bits_for(classes)), values), -1)

    def decode(self, records: Tensor, classes: int) -> TopK:
        """Read records back as a signal."""
        ids = unpack(records, self.k, bits_for(classes))
        # a copy even of one record, which would else begin at an odd byte
        values = records[:, self._id_bytes(classes) :].clone(memory_format=torch.contiguous_format)
        values = values.view(DTYPES[self.dtype])
        return TopK(ids, values.float().log_softmax(-1)[:, :-1], self.T)


@dataclass(frozen=True)
class SampledRecords:
    """As many unbiased draws from the teacher at T as fit: see `signals.systematic_sample`.

    A record is the teacher's own share of the divergence (16 bits), the number h of certain
    classes (8 bits), all ids at ceil(log2 classes) bits, and from its end backwards the weights of
    the h certain classes (16 bits each); the others share what is left, so theirs need no room. The
    weights are rounded up or down by chance, up with the probability of the rest, so that rounding
    has no bias either; what the rounding of the certain ones takes, the others' share gives back.

    Every example is drawn once, by its number and the seed: a student that sees it ten times sees
    the same draw ten times, and learns that draw and not the teacher. Over a corpus that is seen
    once or so the mistakes of different examples cancel; for many epochs over few examples use
    `top_k`, whose tail is the same bucket each time, a larger `record_size` (more draws), or
    for each epoch a cache with a `seed` of its own.

    Args:
        record_size: bytes a position.
        T: the temperature of the teacher's softmax.
        seed: with the example and the position, decides what is drawn.

    Raises:
        ValueError: for fewer than four bytes, or T <= 0.
    """

    record_size: int = 60
    T: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        set_checked(self, positive_int, "record_size")
        set_checked(self, whole_number, "seed")
        object.__setattr__(self, "T", check_temperature(self.T))

    def record_bytes(self, classes: int) -> int:
        """Count the bytes of one record."""
        self.slots(classes)
        return self.record_size

    def slots(self, classes: int) -> list[int]:
        """How many classes fit where h = 0, 1, ... of them are certain."""
        bits, sizes = bits_for(classes), []
        for certain in range(min(classes, 255) + 1):
            size = min((8 * (self.record_size - 3) - 16 * certain) // bits, classes + 1)
            if size <= certain:
                break
            sizes.append(size)
        if not sizes:
            raise ValueError(
                f"{self.record_size} bytes hold no draw from {classes} classes of {bits} bits: "
                "expected at least 6."
            )
        return sizes

    def encode(
        self, teacher_output: Tensor, classes: int, example: Tensor, place: Tensor
    ) -> Tensor:
        """Pack a teacher's answers, a record each."""
        sizes = self.slots(classes)
        u = uniform(self.seed, example, place)
        ids, weights, neg_entropy_est, certain = (
            part.cpu() for part in systematic_sample(teacher_output, u, sizes, T=self.T)
        )
        slot = torch.arange(max(sizes))
        # where nothing is left to draw, the rest of the rounding goes to the likeliest class
        empty = (weights == 0) & (slot < torch.tensor(sizes)[certain][:, None])
        ids = torch.where(empty, ids[:, :1], ids)

        heads = len(sizes) - 1
        up = uniform(self.seed, example[:, None], place[:, None], torch.arange(heads) + 1)
        fraction = (weights[:, :heads].double() * _UNIT + up).floor().clamp_max(_UNIT)
        fraction = torch.where(torch.arange(heads) < certain[:, None], fraction, 0)
        share = (-neg_entropy_est / _DEEPEST * _UNIT).round().clamp(0, _UNIT)

        records = torch.zeros(len(ids), self.record_size, dtype=torch.uint8)
        records[:, :2] = two_bytes(share[:, None])
        records[:, 2] = certain
        packed = pack(ids, bits_for(classes))[:, : self.record_size - 3]
        records[:, 3 : 3 + packed.shape[1]] = packed
        if heads:
            records[:, -2 * heads :] |= two_bytes(fraction.flip(-1))
        return records

    def decode(self, records: Tensor, classes: int) -> Sampled:
        """Read records back as a signal."""
        sizes = self.slots(classes)
        heads, slot = len(sizes) - 1, torch.arange(max(sizes))
        certain = records[:, 2].long()[:, None]
        if certain.max() > heads:
            raise ValueError("these records were not written with these settings.")
        size = torch.tensor(sizes)[certain]
        ids = torch.where(slot < size, unpack(records, len(slot), bits_for(classes), first=3), 0)
        weights = torch.zeros(ids.shape)
        if heads:
            fraction = from_two_bytes(records[:, -2 * heads :]).flip(-1)
            fraction = torch.where(torch.arange(heads) < certain, fraction, 0)
            width = min(heads, len(slot))
            weights[:, :width] = fraction[:, :width] / _UNIT
        each = (1 - weights.sum(-1, keepdim=True)) / (size - certain)
        weights = torch.where((slot >= certain) & (slot < size), each, weights)
        neg_entropy_est = -from_two_bytes(records[:, :2])[:, 0] / _UNIT * _DEEPEST
        # a record without room for one certain class never says how probable any is
        known = certain[:, 0] if heads else None
        return Sampled(ids, weights, neg_entropy_est, self.T, certain=known)


@dataclass(frozen=True)
class TextRecords:
    """What the teacher wrote, one class a position, in four bytes."""

    def record_bytes(self, classes: int) -> int:
        """Count the bytes of one record."""
        return 4

    def encode(
        self, teacher_output: Tensor, classes: int, example: Tensor, place: Tensor
    ) -> Tensor:
        """Pack a teacher's answers, a record each."""
        return (
            teacher_output.detach()
            .cpu()
            .to(torch.int32)
            .unsqueeze(-1)
            .contiguous()
            .view(torch.uint8)
        )

    def decode(self, records: Tensor, classes: int) -> Text:
        """Read records back as a signal."""
        return Text(records.contiguous().view(torch.int32).squeeze(-1).long())


dense, top_k, sampled, text = DenseRecords, TopKRecords, SampledRecords, TextRecords
_KINDS = {"dense": dense, "top_k": top_k, "sampled": sampled, "text": text}


def facts(records: Records) -> dict[str, Any]:
    """Everything about a way of keeping, as plain values.

    >>> facts(top_k(2))
    {'kind': 'top_k', 'k': 2, 'T': 1.0, 'dtype': 'float16'}
    """
    kind = next(name for name, form in _KINDS.items() if type(records) is form)
    fields: dict[str, Any] = asdict(records)  # type: ignore[call-overload]
    return {"kind": kind} | fields


def from_facts(fields: dict[str, Any]) -> Records:
    """Undo `facts`."""
    if fields.get("kind") not in _KINDS:
        raise ValueError(
            f"signals kept as {fields.get('kind')!r} are unknown here: expected one of "
            f"{list(_KINDS)}. A newer distill_lab may have written them."
        )
    records: Records = _KINDS[fields["kind"]](**{k: v for k, v in fields.items() if k != "kind"})
    return records
