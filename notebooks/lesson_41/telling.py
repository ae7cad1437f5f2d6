"""Language models that write, and others that learn from what was written: lesson 41's workshop."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from distill_lab._util.runtime import modes_kept, own_randomness
from distill_lab.data.batches import Batch
from distill_lab.losses import cross_entropy, forward_kl
from distill_lab.losses.positions import IGNORE
from distill_lab.methods import Method
from distill_lab.methods.tokens import next_tokens
from distill_lab.models.outputs import logits_of
from distill_lab.seeds import distill_seeds
from distill_lab.teachers import Teacher
from distill_lab.training import History, distill

__all__ = [
    "Told",
    "Voice",
    "excess",
    "perplexity",
    "practise",
    "surprise",
    "teach",
    "tell",
    "written",
]


@dataclass(frozen=True)
class Voice:
    """A language model that can be asked to write: where it begins, and how long it may go on.

    ``prompts(n, seed)`` gives the tokens (n, P) that texts begin with, padded on the left.
    ``right`` judges a text where there is something to judge by.
    """

    name: str
    model: Any
    tokenizer: Any
    prompts: Callable[[int, int], Tensor]
    longest: int
    right: Callable[[str], bool] | None = None

    @property
    def end(self) -> int:
        """The token a text ends with."""
        return int(self.tokenizer.eos_token_id)

    @property
    def pad(self) -> int:
        """The token that fills the rest of a row."""
        return int(self.tokenizer.pad_token_id)


@dataclass(frozen=True)
class Told:
    """Texts as token ids (N, L), what is to be learned of them (N, L, -100 elsewhere), in words."""

    ids: Tensor
    labels: Tensor
    texts: list[str]

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, rows: slice) -> Told:
        return Told(self.ids[rows], self.labels[rows], self.texts[rows])

    @property
    def data(self) -> tuple[Tensor, Tensor]:
        """Inputs and labels, as `distill` takes them."""
        return self.ids, self.labels


def written(texts: list[str], words: Any, *, longest: int | None = None) -> Told:
    """Texts of one's own as token ids, each with its end; cut after the `longest` of them."""
    rows = [[*words(text)["input_ids"], words.eos_token_id][:longest] for text in texts]
    ids = torch.full((len(rows), max(map(len, rows))), int(words.pad_token_id))
    labels = torch.full_like(ids, IGNORE)
    for row, known in enumerate(rows):
        ids[row, : len(known)] = labels[row, : len(known)] = torch.tensor(known)
    return Told(ids, labels, list(texts))


def tell(
    model: Any, voice: Voice, n: int, *, seed: int, temperature: float = 1.0, batch_size: int = 256
) -> Told:
    """Let a model write ``n`` texts by sampling, each up to its end; temperature 0 is greedy.

    The prompt and what follows the end are not to be learned: -100 in the labels.
    """
    how: dict[str, Any] = {"do_sample": temperature > 0, "max_new_tokens": voice.longest}
    if temperature > 0:
        how |= {"temperature": temperature, "top_k": 0, "top_p": 1.0}
    parts = []
    with own_randomness(seed), modes_kept(model), torch.no_grad():
        for prompt in voice.prompts(n, seed).split(batch_size):
            mask = torch.ones_like(prompt)
            wrote = model.eval().generate(
                input_ids=prompt,
                attention_mask=mask,
                pad_token_id=voice.pad,
                eos_token_id=voice.end,
                **how,
            )
            parts.append(
                torch.nn.functional.pad(
                    wrote, (0, prompt.shape[1] + voice.longest - wrote.shape[1]), value=voice.pad
                )
            )
    ids = torch.cat(parts)
    given = ids.shape[1] - voice.longest
    is_end = ids[:, given:] == voice.end
    over = (is_end.cumsum(1) - is_end.int()) > 0
    labels = ids.clone()
    labels[:, :given] = IGNORE
    labels[:, given:][over] = IGNORE
    ids[:, given:][over] = voice.pad
    said = voice.tokenizer.batch_decode(ids[:, given:], skip_special_tokens=True)
    return Told(ids, labels, said)


def teach(
    students: Sequence[Any],
    told: Told,
    teacher: Teacher | nn.Module | None,
    method: Method,
    *,
    steps: int,
    seeds: Sequence[int],
    batch_size: int = 32,
    lr: float = 3e-3,
) -> list[Any]:
    """Students of one recipe learn from these texts, all at once; those given stay as they were.

    For as many whole epochs as come nearest to ``steps``, one at least; the rate falls to zero by a
    cosine, and each student reads in the order of its own seed.
    """
    begun = dict(zip(seeds, students, strict=True))
    runs = distill_seeds(
        begun.__getitem__,
        told.data,
        seeds=seeds,
        teacher=teacher,
        method=method,
        epochs=max(1, round(steps / math.ceil(len(told) / batch_size))),
        batch_size=batch_size,
        lr=lr,
        schedule="cosine",
        clip=1.0,
    )
    return [runs.model(i) for i in range(len(seeds))]


def practise(
    student: Any,
    voice: Voice,
    method: Method,
    *,
    steps: int,
    batch_size: int = 32,
    lr: float = 3e-3,
    seed: int = 0,
) -> History:
    """So many steps on what the student writes itself, the voice's model listening."""
    return distill(
        student,
        _Beginnings(voice, steps * batch_size, seed),
        teacher=voice.model,
        method=method,
        epochs=1,
        batch_size=batch_size,
        lr=lr,
        schedule="cosine",
        clip=1.0,
        seed=seed,
        progress=False,
        shares_every=0,
    )


class _Beginnings:
    """Prompts alone, as many as wanted: what an on-policy student goes on from."""

    def __init__(self, voice: Voice, n: int, seed: int) -> None:
        self.ids = voice.prompts(n, seed)

    def __len__(self) -> int:
        return len(self.ids)

    def batch(self, index: Tensor) -> Batch:
        here = self.ids[index]
        return Batch({"input_ids": here, "attention_mask": torch.ones_like(here)}, None, index)


@torch.no_grad()
def surprise(model: Any, told: Told, *, batch_size: int = 256) -> float:
    """How badly a model expects these texts: cross-entropy a token, in nats."""
    return _over(
        told, batch_size, lambda ids, targets, _: cross_entropy(logits_of(model, ids), targets)
    )


def perplexity(model: Any, told: Told) -> float:
    """exp of the surprise: between how many equally likely tokens it wavers, so to speak."""
    return math.exp(surprise(model, told))


@torch.no_grad()
def excess(student: Any, teacher: Any, told: Told, *, batch_size: int = 256) -> float:
    """How far a student is from its teacher on these texts: KL(teacher || student) a token."""
    return _over(
        told,
        batch_size,
        lambda ids, _, mask: forward_kl(
            logits_of(student, ids), logits_of(teacher, ids), mask=mask
        ),
    )


def _over(
    told: Told, batch_size: int, measure: Callable[[Tensor, Tensor, Tensor], Tensor]
) -> float:
    """A mean over tokens, over batches of unequal numbers of them."""
    total, count = 0.0, 0
    for ids, labels in zip(told.ids.split(batch_size), told.labels.split(batch_size), strict=True):
        targets, mask = next_tokens(labels)
        here = int(mask.sum())
        total, count = total + here * float(measure(ids, targets, mask)), count + here
    return total / count
