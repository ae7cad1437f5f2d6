"""Language models that write texts, and students that learn from what was written."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from distill_lab._util.runtime import modes_kept, own_randomness
from distill_lab.data.batches import Batch
from distill_lab.losses import IGNORE, cross_entropy, forward_kl
from distill_lab.methods import Method
from distill_lab.methods.tokens import next_tokens
from distill_lab.models.networks import logits_of
from distill_lab.seeds import distill_seeds
from distill_lab.teachers import Teacher
from distill_lab.training import History, distill

__all__ = [
    "Samples",
    "TextGenerator",
    "cross_entropy_per_token",
    "kl_to_teacher",
    "perplexity",
    "sample_texts",
    "tokenize_texts",
    "train_on_policy",
    "train_students",
]


@dataclass(frozen=True)
class TextGenerator:
    """A language model that can be asked to write: where it begins, and how long it may go on.

    `prompts(n, seed)` gives the tokens (n, P) that texts begin with, padded on the left.
    `is_right` judges a text where there is something to judge by.
    """

    name: str
    model: Any
    tokenizer: Any
    prompts: Callable[[int, int], Tensor]
    max_new_tokens: int
    is_right: Callable[[str], bool] | None = None

    @property
    def eos_token_id(self) -> int:
        """The token a text ends with."""
        return int(self.tokenizer.eos_token_id)

    @property
    def pad_token_id(self) -> int:
        """The token that fills the rest of a row."""
        return int(self.tokenizer.pad_token_id)


@dataclass(frozen=True)
class Samples:
    """Texts as token ids (N, L), labels (N, L) with -100 on what is not learned, and strings."""

    ids: Tensor
    labels: Tensor
    texts: list[str]

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, rows: slice) -> Samples:
        return Samples(self.ids[rows], self.labels[rows], self.texts[rows])

    @property
    def data(self) -> tuple[Tensor, Tensor]:
        """Inputs and labels, as `distill` takes them."""
        return self.ids, self.labels


def tokenize_texts(
    texts: Sequence[str], tokenizer: Any, *, max_length: int | None = None
) -> Samples:
    """Turn texts into token ids, each with its end token.

    Args:
        texts: N strings.
        tokenizer: a Hugging Face tokenizer with a pad and an end token.
        max_length: cut each row after so many tokens.

    Returns:
        Samples with ids and labels (N, L), padded on the right.
    """
    rows = [[*tokenizer(text)["input_ids"], tokenizer.eos_token_id][:max_length] for text in texts]
    ids = torch.full((len(rows), max(map(len, rows))), int(tokenizer.pad_token_id))
    labels = torch.full_like(ids, IGNORE)
    for row, tokens in enumerate(rows):
        ids[row, : len(tokens)] = labels[row, : len(tokens)] = torch.tensor(tokens)
    return Samples(ids, labels, list(texts))


def sample_texts(
    model: Any,
    generator: TextGenerator,
    n: int,
    *,
    seed: int,
    temperature: float = 1.0,
    batch_size: int = 256,
) -> Samples:
    """Sample texts from a model, each up to its end token.

    Args:
        model: who writes, a Hugging Face causal model with the generator's tokens.
        generator: the prompts, the tokenizer and the longest answer.
        n: how many texts.
        seed: of the prompts and of the sampling; the global generator is left as it was.
        temperature: of the sampling; 0 takes the likeliest token.
        batch_size: texts written at once.

    Returns:
        Samples with ids and labels (n, P + max_new_tokens): the prompt and what follows the end
        token carry the label -100.
    """
    longest = generator.max_new_tokens
    how: dict[str, Any] = {"do_sample": temperature > 0, "max_new_tokens": longest}
    if temperature > 0:
        how |= {"temperature": temperature, "top_k": 0, "top_p": 1.0}
    parts = []
    with own_randomness(seed), modes_kept(model), torch.no_grad():
        for prompt in generator.prompts(n, seed).split(batch_size):
            rows = model.eval().generate(
                input_ids=prompt,
                attention_mask=torch.ones_like(prompt),
                pad_token_id=generator.pad_token_id,
                eos_token_id=generator.eos_token_id,
                **how,
            )
            missing = prompt.shape[1] + longest - rows.shape[1]
            parts.append(nn.functional.pad(rows, (0, missing), value=generator.pad_token_id))
    ids = torch.cat(parts)
    start = ids.shape[1] - longest  # of the answers
    is_end = ids[:, start:] == generator.eos_token_id
    after_end = (is_end.cumsum(1) - is_end.int()) > 0
    labels = ids.clone()
    labels[:, :start] = IGNORE
    labels[:, start:][after_end] = IGNORE
    ids[:, start:][after_end] = generator.pad_token_id
    texts = generator.tokenizer.batch_decode(ids[:, start:], skip_special_tokens=True)
    return Samples(ids, labels, texts)


def train_students(
    students: Sequence[Any],
    samples: Samples,
    teacher: Teacher | nn.Module | None,
    method: Method,
    *,
    steps: int,
    seeds: Sequence[int],
    batch_size: int = 32,
    lr: float = 3e-3,
) -> list[Any]:
    """Train students of one recipe on these texts, all seeds at once.

    Args:
        students: S models of one shape; they stay as they were.
        samples: what they learn from.
        teacher: asked at every token, or a record of its logits; None for labels alone.
        method: the loss.
        steps: as many whole epochs as come nearest to it, one at least.
        seeds: S seeds; each student reads in the order of its own.
        batch_size: texts a step.
        lr: the first rate; it falls to zero by a cosine.

    Returns:
        S trained copies.
    """
    initial = dict(zip(seeds, students, strict=True))
    runs = distill_seeds(
        initial.__getitem__,
        samples.data,
        seeds=seeds,
        teacher=teacher,
        method=method,
        epochs=max(1, round(steps / math.ceil(len(samples) / batch_size))),
        batch_size=batch_size,
        lr=lr,
        schedule="cosine",
        clip=1.0,
    )
    return [runs.model(i) for i in range(len(seeds))]


def train_on_policy(
    student: Any,
    generator: TextGenerator,
    method: Method,
    *,
    steps: int,
    batch_size: int = 32,
    lr: float = 3e-3,
    seed: int = 0,
) -> History:
    """Train a student, in place, on texts it writes itself, scored by the generator's model.

    Args:
        student: a Hugging Face causal model.
        generator: the teacher, and the prompts to go on from.
        method: such as `methods.on_policy()`.
        steps: how many.
        batch_size: texts a step.
        lr: the first rate; it falls to zero by a cosine.
        seed: of the prompts, their order and the sampling.

    Returns:
        The history of the run.
    """
    return distill(
        student,
        _Prompts(generator.prompts(steps * batch_size, seed)),
        teacher=generator.model,
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


class _Prompts:
    """Prompts alone, (N, P), without labels: what an on-policy student goes on from."""

    def __init__(self, ids: Tensor) -> None:
        self.ids = ids

    def __len__(self) -> int:
        return len(self.ids)

    def batch(self, index: Tensor) -> Batch:
        ids = self.ids[index]
        return Batch({"input_ids": ids, "attention_mask": torch.ones_like(ids)}, None, index)


@torch.no_grad()
def cross_entropy_per_token(model: Any, samples: Samples, *, batch_size: int = 256) -> float:
    """Return the model's cross-entropy on these texts, in nats a token."""
    return _mean_over_tokens(
        samples, batch_size, lambda ids, targets, _: cross_entropy(logits_of(model, ids), targets)
    )


def perplexity(model: Any, samples: Samples) -> float:
    """Return exp of the cross-entropy a token: the number of equally likely tokens it is worth."""
    return math.exp(cross_entropy_per_token(model, samples))


@torch.no_grad()
def kl_to_teacher(student: Any, teacher: Any, samples: Samples, *, batch_size: int = 256) -> float:
    """Return KL(teacher || student) on these texts, in nats a token."""
    return _mean_over_tokens(
        samples,
        batch_size,
        lambda ids, _, mask: forward_kl(
            logits_of(student, ids), logits_of(teacher, ids), mask=mask
        ),
    )


def _mean_over_tokens(
    samples: Samples, batch_size: int, measure: Callable[[Tensor, Tensor, Tensor], Tensor]
) -> float:
    """One mean over all tokens, though batches hold unequal numbers of them."""
    total, count = 0.0, 0
    batches = zip(samples.ids.split(batch_size), samples.labels.split(batch_size), strict=True)
    for ids, labels in batches:
        targets, mask = next_tokens(labels)
        n = int(mask.sum())
        total, count = total + n * float(measure(ids, targets, mask)), count + n
    return total / count
