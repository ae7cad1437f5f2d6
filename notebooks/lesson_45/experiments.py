"""What lesson 45 trains and measures: references, pairs of answers, and students."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from distill_lab.data import Batch
from distill_lab.methods import Method
from distill_lab.seeds import SeedRuns, distill_seeds
from lesson_45 import shop

__all__ = ["Pairs", "Shop", "answers_of", "as_batch", "fine_tuning", "measure", "people", "train"]

HIDDEN = 64
SETTINGS = {"batch_size": 64, "lr": 3e-3}


@dataclass(frozen=True)
class Pairs:
    """N pairs of answers a seed: the requests (S, N), and both answers' numbers (S, N, 2)."""

    requests: Tensor
    answers: Tensor

    @property
    def gold(self) -> Tensor:
        """What both answers are worth to people: (S, N, 2)."""
        return shop.GOLD[self.requests.unsqueeze(-1), self.answers]

    @property
    def lengths(self) -> Tensor:
        """The words of both answers (S, N, 2)."""
        return shop.LENGTHS[self.answers]

    @property
    def tokens(self) -> Tensor:
        """Both texts (S, N, 2, 9)."""
        return shop.tokens_of(self.requests.unsqueeze(-1).expand(self.answers.shape), self.answers)

    @property
    def features(self) -> Tensor:
        """What a reward model reads of both (S, N, 2, 13)."""
        return shop.features(self.requests.unsqueeze(-1).expand(self.answers.shape), self.answers)

    def ordered(self, first_wins: Tensor) -> Pairs:
        """The same pairs, each with the answer first that a verdict (S, N) prefers."""
        order = torch.stack([~first_wins, first_wins], -1).long()  # 0 first where it wins
        return Pairs(self.requests, self.answers.gather(-1, order))

    def __getitem__(self, index: Any) -> Pairs:
        return Pairs(self.requests[:, index], self.answers[:, index])


class Shop:
    """The references of some seeds, each trained on demonstrations of its own, and their answers.

    Args:
        seeds: the S seeds.
        demonstrations: texts a seed.
        steps: of training.
    """

    def __init__(self, seeds: Sequence[int], *, demonstrations: int = 3000, steps: int = 200):
        self.seeds = list(seeds)
        texts = torch.stack([shop.demonstrations(demonstrations, 100 + s) for s in seeds])
        self.runs = distill_seeds(
            lambda seed: shop.TinyLM(HIDDEN, seed=seed),
            (texts.unsqueeze(2), None),
            seeds=self.seeds,
            method=fine_tuning(),
            steps=steps,
            batch_size=64,
            lr=1e-2,
            schedule="cosine",
        )
        self.log_probs = shop.all_log_probs(self.runs.students, torch.arange(len(shop.WANTED)))

    def model(self, seed: int) -> shop.TinyLM:
        """Return the reference of a seed, as an ordinary network."""
        model = self.runs.model(self.seeds.index(seed))
        assert isinstance(model, shop.TinyLM)
        return model

    def pairs(self, n: int, *, seed: int = 0, requests: Tensor = shop.TRAIN) -> Pairs:
        """Draw n pairs of different answers a seed from its reference."""
        numbers, answers = [], []
        for i, own in enumerate(self.seeds):
            draw = torch.Generator().manual_seed(1000 * own + seed)
            drawn_requests = requests[torch.randint(len(requests), (n,), generator=draw)]
            p = self.log_probs[i, drawn_requests].exp()
            numbers.append(drawn_requests)
            answers.append(torch.multinomial(p, 2, generator=draw))
        return Pairs(torch.stack(numbers), torch.stack(answers))

    def reference(self, pairs: Pairs) -> Tensor:
        """How probable the references find both answers, in nats: (S, N, 2)."""
        seeds = torch.arange(len(self.seeds)).view(-1, 1, 1)
        return self.log_probs[seeds, pairs.requests.unsqueeze(-1), pairs.answers]


def as_batch(tokens: Tensor) -> Batch:
    """Wrap texts (B, K, 9) as a method sees them."""
    return Batch(tokens, None, torch.arange(len(tokens)))


def fine_tuning() -> Method:
    """Fine-tune on the first text of each row (B, K, 9): cross-entropy, a mean over the tokens."""

    def terms(batch: Batch, student: Any, teacher: Any) -> dict[str, Tensor]:
        first = batch.inputs[:, :1]
        tokens = (first[..., shop.PROMPT :] != shop.PAD).sum()
        return {"ce": -shop.pair_log_probs(student, first).sum() / tokens}

    return Method("fine_tuning", terms, {"ce": 1.0}, needs_teacher=False)


def train(
    start: Shop,
    pairs: Pairs,
    method: Method,
    *,
    teacher: Tensor | None = None,
    steps: int = 150,
    lr: float = SETTINGS["lr"],
) -> SeedRuns:
    """Train students from their references: pairs (S * K, N) give K variants of every seed.

    Args:
        start: the references.
        pairs: the chosen answer first.
        method: what is minimised.
        teacher: what the method asks for, (S * K, N, ...).
        steps: of 64 pairs.
        lr: of AdamW.

    Returns:
        The students, seed by seed within each variant.
    """
    times = len(pairs.requests) // len(start.seeds)
    return distill_seeds(
        start.model,
        (pairs.tokens, None),
        seeds=start.seeds * times,
        teacher=teacher,
        method=method,
        steps=steps,
        batch_size=SETTINGS["batch_size"],
        lr=lr,
        schedule="cosine",
    )


def measure(start: Shop, log_probs: Tensor, requests: Tensor = shop.TEST) -> dict[str, Tensor]:
    """Measure answers to requests that no pair contains, exactly: each (S * K,).

    Args:
        start: the references.
        log_probs: of all answers, (S * K, R, 2800).
        requests: the R requests.

    Returns:
        The mean gold "reward", "kl" to the reference in nats, "entropy" in nats, "length" in words.
    """
    p, gold = log_probs.exp(), shop.GOLD[requests]
    times = len(log_probs) // len(start.seeds)
    before = start.log_probs[:, requests].repeat(times, 1, 1)
    values = {
        "reward": p * gold,
        "kl": p * (log_probs - before),
        "entropy": -p * log_probs,
        "length": p * shop.LENGTHS,
    }
    return {name: value.sum(-1).mean(-1) for name, value in values.items()}


def answers_of(runs: SeedRuns, requests: Tensor = shop.TEST) -> Tensor:
    """Return the students' log-probabilities of all answers (S, R, 2800)."""
    return shop.all_log_probs(runs.students, requests)


def people(pairs: Pairs, *, seed: int = 0) -> Tensor:
    """Let people choose: the first answer wins with probability sigmoid(difference of rewards)."""
    draw = torch.Generator().manual_seed(90 + seed)
    first, second = pairs.gold.unbind(-1)
    return torch.rand(first.shape, generator=draw) < (first - second).sigmoid()
