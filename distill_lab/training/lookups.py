"""Texts that a network cannot read, met before the first step and not in the middle of a run."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn

from distill_lab._util.runtime import modes_kept, own_randomness
from distill_lab._util.tensors import Batch, device_of, leaves
from distill_lab._util.wrappers import eager
from distill_lab.data.batches import Source, TensorSource
from distill_lab.data.labelled import Labelled
from distill_lab.data.sources import ReadAhead
from distill_lab.data.tokenized import Texts
from distill_lab.models.networks import output_of
from distill_lab.models.positions import may_be_too_small
from distill_lab.teachers.live import Live

INTEGERS = (torch.int64, torch.int32)  # that an embedding takes


def check_lookups(source: Source, student: nn.Module, teacher: object) -> None:
    """Ask about the longest text and the largest number, where a table may be too small for them.

    Args:
        source: the examples; of those that are read from elsewhere nothing is known beforehand.
        student: who learns.
        teacher: who is asked, or None.

    Raises:
        IndexError: naming the table, what it was asked for, and the way out.
    """
    networks = [student, *([teacher.model] if isinstance(teacher, Live) else [])]
    if any(isinstance(part, nn.Embedding) for each in networks for part in each.modules()):
        for name, number, longest, largest in _extremes(source):
            for network in networks:
                if may_be_too_small(network, name, longest, largest):
                    _ask(network, source.batch(torch.tensor([number])))


def _ask(network: nn.Module, batch: Batch) -> None:
    batch = batch.to(device_of(list(network.parameters()) or batch.inputs))
    with own_randomness(0), torch.no_grad(), modes_kept(network), eager(network):
        network.eval()
        try:
            output_of(network, batch.inputs)
        except IndexError:
            raise
        except Exception:
            pass


def _extremes(source: Source) -> Iterator[tuple[str, int, int, int]]:
    """Examples with the most tokens or the largest number, and how much that is."""
    own = source.dataset if isinstance(source, ReadAhead) else source
    if isinstance(own, Labelled | Texts):
        rows = own.tokens
        ids = rows.columns["input_ids" if isinstance(own, Labelled) else "tokens"]
        longest, at = int(rows.lengths.argmax()), int(ids.argmax())
        yield "input_ids", longest, int(rows.lengths[longest]), 0
        yield "input_ids", int(np.searchsorted(rows.ends, at, side="right")) - 1, 0, int(ids[at])
    elif isinstance(source, TensorSource):
        for name, part in leaves("inputs", source.inputs):
            if isinstance(part, Tensor) and part.numel() and part.dtype in INTEGERS:
                at, each = int(part.argmax()), part.numel() // len(part)
                tokens = part.shape[-1] if part.dim() > 1 else 1
                yield name.rpartition(".")[2], at // each, tokens, int(part.flatten()[at])
