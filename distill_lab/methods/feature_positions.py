"""Which positions features have, and which of them count: examples, tokens or candidates."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from distill_lab._util.tensors import IGNORE, Batch, attention_of, has_decoder, leaves, readable
from distill_lab.losses._checks import narrowed
from distill_lab.methods.positions import (
    Mask,
    attended,
    labelled,
    positions,
    refuse_other_padding,
    with_ignored,
)


class FeaturePositions:
    """The positions of features, and over how many of them a mean runs.

    Features are of examples (B, D), of tokens (B, L, D), or of a ranker's candidates: a row for
    each, (B K, ...), or (B, K, D). Which it is shows when the networks have run, and `seen` keeps
    it. Before that, inputs that say where they have text are taken for tokens.

    Args:
        mask: which positions count: see `methods.positions`.
        weighed: whether the weights of examples are looked at.
        ignore: a label that says that a position has none, beside -100.
    """

    def __init__(self, mask: Mask, *, weighed: bool, ignore: int = IGNORE) -> None:
        self.mask, self.weighed, self.ignore = mask, weighed, ignore
        # "examples", "tokens", of an encoder-decoder "tokens read" too, or "candidates", by pair
        self.seen: dict[int, str] = {}

    def kept(self, batch: Batch, pair: int, features: Tensor) -> Tensor | None:
        """Which positions of features count, or what each weighs; None where all count alike.

        Args:
            batch: what the network read.
            pair: the number of the pair of layers.
            features: the student's, (B, ...), or its scores (B, heads, L, L).

        Returns:
            Booleans or weights (B,) or (B, L), as many as there are positions.

        Raises:
            ValueError: as `positions`.
        """
        batch = with_ignored(batch, self.ignore)
        shape = features.shape[:2] if features.dim() > 2 else features.shape[:1]
        size = features.shape[-1]
        if features.dim() == 4 and features.shape[2] == size and shape[1] != size:
            shape = torch.Size([shape[0], size])
        there = _candidates(batch)
        if there is not None and shape[0] == there.numel():
            batch, there = _by_candidate(batch, there), there.flatten()
        elif there is not None and there.shape != shape:
            there = None  # of the query, say
        source = _source(batch, shape) if self.mask == "auto" else None
        batch = batch if source is None else _as_read(batch)
        given = (attended(batch), labelled(batch))
        by_token = len(shape) == 2 and any(g is not None and g.shape == shape for g in given)
        by_example = "examples" if there is None else "candidates"
        by_pairs = given[0] is not None and given[0].dim() > 2  # says no positions: refused below
        if not (by_token or by_pairs or (there is not None and there.shape == shape)):
            shape = shape[:1]  # the channels of a map, say: nothing tells one from another
        if by_example == "examples" and not by_token and self.mask == "auto":
            _refuse_other_places(given[0], features)
            if features.dim() == 3:
                refuse_other_padding(batch, features.shape[:2])
        tokens = "tokens" if source is None else "tokens read"
        self.seen[pair] = tokens if by_token else by_example
        kept = positions(batch, shape, self.mask, weighed=self.weighed)
        if there is None or self.mask is None or (readable(there) and there.all()):
            return kept
        more = (1,) * (len(shape) - there.dim())
        return narrowed(kept, there.reshape(*there.shape, *more).expand(shape))

    def count(self, batch: Batch) -> float:
        """Over how many positions a mean runs, or what they weigh together."""
        batch = with_ignored(batch, self.ignore)
        kinds = set(self.seen.values())
        if kinds == {"tokens read"}:
            batch, kinds = _as_read(batch), {"tokens"}
        weights = batch.weights if self.weighed else None
        there = _candidates(batch)
        rows = batch if there is None else _by_candidate(batch, there)
        for given in (attended(rows), labelled(rows)) if kinds <= {"tokens"} else ():
            if given is None or given.dim() != 2:
                continue
            if self.seen or _of_tokens(rows, given.shape):
                kept = positions(rows, given.shape, self.mask, weighed=self.weighed)
                return given.numel() if kept is None else kept.sum().item()
        if there is None or "examples" in kinds:
            return len(batch.ids) if weights is None else weights.sum().item()
        there = torch.ones_like(there) if self.mask is None else there
        return (there if weights is None else there * weights[:, None]).sum().item()

    def check(self) -> None:
        """Refuse pairs of layers whose means run over different things, and have one count.

        Raises:
            ValueError: for layers of examples and of tokens, say, in one term.
        """
        if len(kinds := sorted(set(self.seen.values()))) > 1:
            raise ValueError(
                f"one term matches features of {' and of '.join(kinds)}, and a batch that is cut "
                "into pieces weighs each piece by how many it holds: give each kind of layer a "
                "match_features of its own, one as base_method= of the other."
            )


def _source(batch: Batch, shape: torch.Size) -> Tensor | None:
    """Where an encoder-decoder reads text, if features have its positions; None of others."""
    inputs = batch.inputs
    source = inputs.get("attention_mask") if has_decoder(inputs) else None
    if not isinstance(source, Tensor) or source.shape != shape:
        return None
    written = [g for g in (attended(batch), labelled(batch)) if g is not None and g.shape == shape]
    if not written:
        return source
    if readable(source) and not all(mask.bool().all() for mask in (source, *written)):
        raise ValueError(
            f"features of {tuple(shape)} positions may be of the text that is read or of the one "
            "that is written, which are as long, and padded otherwise: pad one of them to another "
            "length, or say mask=None, to match padding as well."
        )
    return None


def _as_read(batch: Batch) -> Batch:
    """A batch of an encoder-decoder as its encoder sees it."""
    mask = batch.inputs["attention_mask"]
    return batch._replace(inputs={"attention_mask": mask}, labels=None)


def _refuse_other_places(attention: Tensor | None, features: Tensor) -> None:
    """Refuse features (B, L, D) of texts in another layout, whose padding cannot be left out."""
    if attention is None or attention.dim() != 2 or features.dim() != 3 or not readable(attention):
        return
    if not attention.all():
        raise ValueError(
            f"features of shape {tuple(features.shape)} belong to texts with an attention_mask of "
            f"shape {tuple(attention.shape)}, and which of them are padding cannot be known: bring "
            "them to (B, L, D), as read=lambda output: output.transpose(0, 1) does where the "
            "positions are first; tap a layer that keeps them; or say mask=None, to match padding "
            "as well."
        )


def _of_tokens(batch: Batch, shape: torch.Size) -> bool:
    """Whether some inputs have these positions; labels (B, C) of examples have no such inputs."""
    parts = (part for _, part in leaves("", batch.inputs) if isinstance(part, Tensor))
    return any(part.shape[:2] == shape for part in parts)


def _candidates(batch: Batch) -> Tensor | None:
    """Which candidates (B, K) of a ranker's batch there are; None of another batch."""
    parts = batch.inputs.get("candidates") if isinstance(batch.inputs, Mapping) else None
    tensors = [part for _, part in leaves("", parts) if isinstance(part, Tensor) and part.dim() > 1]
    if not tensors:
        return None
    places = batch.inputs.get("mask")
    if isinstance(places, Tensor):
        return places.bool()
    return torch.ones(tensors[0].shape[:2], dtype=torch.bool, device=tensors[0].device)


def _by_candidate(batch: Batch, there: Tensor) -> Batch:
    """A ranker's batch as its network reads it, a candidate a row."""
    each, weights = attention_of(batch.inputs["candidates"]), batch.weights
    inputs: dict[str, Any] = {}
    if each is not None and each.dim() == 3:
        inputs["attention_mask"] = (each & there.to(each.device).unsqueeze(-1)).flatten(0, 1)
    if weights is not None:
        weights = weights.repeat_interleave(there.shape[1])
    return Batch(inputs, None, torch.arange(there.numel()), weights)
