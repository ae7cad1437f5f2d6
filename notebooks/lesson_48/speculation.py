"""Writing with one model, and with a draft and its target: tokens, passes and seconds."""

from __future__ import annotations

import time
from dataclasses import dataclass
from statistics import median
from typing import Any

import torch
from torch import Tensor

from lesson_48.language import Target

__all__ = ["Race", "Reader", "Written", "plain", "race", "speculative"]


class Reader:
    """A model that remembers what it has read: keys and values of earlier tokens are kept."""

    def __init__(self, model: Any) -> None:
        self.model, self.cache, self.read = model, None, 0

    def logits(self, ids: Tensor) -> Tensor:
        """Read the tokens (1, L) that are new, n of them; returns their logits (n, C)."""
        out = self.model(ids[:, self.read :], past_key_values=self.cache, use_cache=True)
        self.cache, self.read = out.past_key_values, ids.shape[1]
        return out.logits[0]

    def keep(self, count: int) -> None:
        """Forget all but the first `count` tokens."""
        if self.cache is not None and self.read > count:
            self.cache.crop(count - self.read)  # a negative number: how many go
        self.read = min(self.read, count)


@dataclass(frozen=True)
class Written:
    """One text: its tokens (1, L), the passes of the target, drafted tokens accepted, seconds."""

    ids: Tensor
    passes: int
    accepted: int
    seconds: float

    @property
    def tokens(self) -> int:
        """Tokens written after the start."""
        return self.ids.shape[1] - 1


@torch.no_grad()
def plain(target: Target, generator: torch.Generator) -> Written:
    """Write one text with the target alone: one token a pass."""
    begun = time.process_time()
    reader, ids = Reader(target.model), torch.tensor([[target.start]])
    while ids.shape[1] <= target.longest:
        p = reader.logits(ids)[-1].softmax(-1)
        ids = torch.cat((ids, torch.multinomial(p, 1, generator=generator)[None]), 1)
        if int(ids[0, -1]) == target.end:
            break
    return Written(ids, ids.shape[1] - 1, 0, time.process_time() - begun)


@torch.no_grad()
def speculative(target: Target, draft: Any, drafts: int, generator: torch.Generator) -> Written:
    """Write one text with a draft before the target.

    Args:
        target: who decides.
        draft: who proposes, a model of the same vocabulary.
        drafts: tokens proposed for a pass.
        generator: of every draw.

    Returns:
        The text, cut at its end, with what it took.

    Source: Leviathan et al. 2023, algorithm 1.
    """
    begun = time.process_time()
    small, large = Reader(draft), Reader(target.model)
    ids = torch.tensor([[target.start]])
    passes = accepted = 0
    while True:
        length, text, rows = ids.shape[1], ids, []
        for _ in range(drafts):
            rows.append(small.logits(text)[-1].softmax(-1))
            text = torch.cat((text, torch.multinomial(rows[-1], 1, generator=generator)[None]), 1)
        q = torch.stack(rows)  # (n, C)
        p = large.logits(text)[-drafts - 1 :].softmax(-1)  # (n + 1, C)
        new = text[0, length:, None]
        ratio = (p[:drafts].gather(1, new) / q.gather(1, new))[:, 0]
        kept = int((torch.rand(drafts, generator=generator) < ratio).int().cumprod(0).sum())
        rest = p[kept] if kept == drafts else (p[kept] - q[kept]).clamp_min(0)
        rest = rest if bool(rest.sum() > 0) else p[kept]  # p = q up to rounding
        last = torch.multinomial(rest, 1, generator=generator)[None]  # it normalises by itself
        ids = torch.cat((text[:, : length + kept], last), 1)
        large.keep(length + kept)
        small.keep(length + kept)
        passes, accepted = passes + 1, accepted + kept
        end = (ids[0, length:] == target.end).nonzero()
        if len(end) or ids.shape[1] > target.longest:
            stop = length + int(end[0]) + 1 if len(end) else ids.shape[1]
            ids = ids[:, : min(stop, target.longest + 1)]
            return Written(ids, passes, accepted, time.process_time() - begun)


@dataclass(frozen=True)
class Race:
    """Several ways to write: what a pass costs in passes of the target alone, and tokens a pass.

    Args:
        cost: of a pass of each way, in processor seconds over those of a pass of the target alone.
        tokens_per_pass: of each way, for each draft (S,).
    """

    cost: dict[str, float]
    tokens_per_pass: dict[str, Tensor]

    def speed(self, name: str) -> Tensor:
        """How many times as fast as the target alone one way is, in seconds a token: (S,)."""
        return self.tokens_per_pass[name] / self.cost[name]


def race(target: Target, drafts: dict[str, list[Any]], *, n: int, texts: int, seed: int) -> Race:
    """Write texts with the target alone and with each draft, in turn, and time them.

    How many tokens a pass yields is the mean over a draft's texts. What a pass costs is compared
    within a turn, because a machine that slows down slows all texts of a turn; the median over all
    turns is taken, with whichever of the S drafts, which have one size.

    Args:
        target: who decides.
        drafts: kind -> S drafts of one size.
        n: tokens drafted for a pass.
        texts: texts of each way with each draft.
        seed: of the sampling.

    Returns:
        Cost and tokens of a pass.
    """
    generator = torch.Generator().manual_seed(seed)
    cost: dict[str, list[float]] = {name: [] for name in drafts}
    tokens: dict[str, list[float]] = {name: [] for name in drafts}
    for models in zip(*drafts.values(), strict=True):
        rows: dict[str, list[Written]] = {name: [] for name in drafts}
        for _ in range(texts):
            alone = plain(target, generator)
            for name, model in zip(drafts, models, strict=True):
                text = speculative(target, model, n, generator)
                rows[name].append(text)
                cost[name].append(text.seconds / text.passes / (alone.seconds / alone.passes))
        for name, written in rows.items():
            tokens[name].append(sum(w.tokens for w in written) / sum(w.passes for w in written))
    return Race(
        {name: median(values) for name, values in cost.items()},
        {name: torch.tensor(values) for name, values in tokens.items()},
    )
