"""What to keep of what a teacher said, for ``cache(..., signal=...)``.

    keep.dense()                every class: the logits, 2 bytes each, good for any T
    keep.top_k(16, T=2.0)       the most probable classes at T; the rest is one tail
    keep.sampled(60, T=2.0)     as many weighted draws as fit into 60 bytes, without bias
    keep.text()                 what the teacher wrote: one class a position

A cache replays: each epoch hears what was kept of an example once more. A sampled record is then
the same draw again, right on average over many examples and wrong for each: where few examples are
seen many times, keep the top k, or many draws.

Raises ValueError for sizes, temperatures or types that cannot be.
"""

from dataclasses import asdict
from typing import Any

from distill_lab.teachers.records import (
    DenseRecords,
    Records,
    SampledRecords,
    TextRecords,
    TopKRecords,
)

dense, top_k, sampled, text = DenseRecords, TopKRecords, SampledRecords, TextRecords
_KINDS = {"dense": dense, "top_k": top_k, "sampled": sampled, "text": text}


def facts(kept: Records) -> dict[str, Any]:
    """Everything about a way of keeping, as plain values.

    >>> facts(top_k(2))
    {'kind': 'top_k', 'k': 2, 'T': 1.0, 'dtype': 'float16'}
    """
    kind = next(name for name, form in _KINDS.items() if type(kept) is form)
    return {"kind": kind} | asdict(kept)  # type: ignore[call-overload]


def from_facts(known: dict[str, Any]) -> Records:
    """Undo ``facts``."""
    if known.get("kind") not in _KINDS:
        raise ValueError(
            f"signals kept as {known.get('kind')!r} are unknown here: expected one of "
            f"{list(_KINDS)}. A newer distill_lab may have written them."
        )
    return _KINDS[known["kind"]](**{k: v for k, v in known.items() if k != "kind"})
