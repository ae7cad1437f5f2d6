"""The lesson's small encoder, and four tasks for it, made of the course's text worlds."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from distill_lab.course import worlds
from distill_lab.course.worlds.task import Task
from distill_lab.data.datasets import Examples
from distill_lab.models.networks import Linear

PAD, READ, APART, UNKNOWN = range(4)  # the first tokens: padding, [CLS], [SEP], any unseen word
LENGTH = 32  # tokens a text, with the first; longer ones are cut
TASKS = {
    "follows": ("yes", "open", "no"),
    "intent": ("where", "cancel", "back", "broken", "number", "price", "address"),
    "change": ("more", "not more"),
    "answer": ("in the text", "not there"),
}


def _follows(task: Task) -> tuple[str, str]:
    premise, claim = re.split(
        r"\s(?:Hypothesis|Claim|Does it follow|Somebody says):\s", task.prompt
    )
    label = {"entailment": "yes", "neutral": "open", "contradiction": "no"}[task.answer]
    return f"{premise.partition(': ')[2]} | {claim}", label


def _intent(task: Task) -> tuple[str, str]:
    return task.prompt.partition("Customer: ")[2], task.key.split()[0]


def _change(task: Task) -> tuple[str, str]:
    before = int(re.match(r"\d+", task.key)[0])  # type: ignore[index]
    return task.prompt, "more" if int(task.answer) > before else "not more"


def _answer(task: Task) -> tuple[str, str]:
    return task.prompt, "not there" if task.answer == "The text does not say." else "in the text"


MAKERS: dict[str, tuple[str, Callable[[Task], tuple[str, str]]]] = {
    "follows": ("nli", _follows),
    "intent": ("support", _intent),
    "change": ("arithmetic", _change),
    "answer": ("questions", _answer),
}


def texts(task: str, count: int, *, seed: int, part: str = "train") -> list[tuple[str, str]]:
    """Draw texts of one task with their labels, both as words."""
    world, make = MAKERS[task]
    drawn = getattr(worlds.load(world), part)(count, seed=seed, level=1)
    return [make(one) for one in drawn]


def words_of(text: str) -> list[str]:
    """Cut a text into lower-case words and numbers; "|" parts premise and claim.

    >>> words_of("A man is eating. | A man?")
    ['a', 'man', 'is', 'eating', '|', 'a', 'man']
    """
    return re.findall(r"[a-z]+|\d+|\|", text.lower())


@lru_cache
def vocabulary() -> dict[str, int]:
    """Number the words of 1,000 training texts of each task; the first four are special tokens."""
    seen = {
        word for task in TASKS for text, _ in texts(task, 1000, seed=0) for word in words_of(text)
    }
    return {word: number for number, word in enumerate(sorted(seen), start=UNKNOWN + 1)}


CLASSES = tuple((task, label) for task, labels in TASKS.items() for label in labels)
TASK_OF = torch.tensor([list(TASKS).index(task) for task, _ in CLASSES])


def examples(per_task: int, *, seed: int, part: str = "train") -> Examples:
    """Draw as many texts of every task and cut them into tokens.

    Args:
        per_task: Texts a task.
        seed: Of the draw.
        part: "train", or "test": contents that training never has.

    Returns:
        Tokens (4 x per_task, 32), 0 where a text has ended; labels among the 14 classes.
    """
    numbers, rows, labels = vocabulary(), [], []
    for task in TASKS:
        for text, label in texts(task, per_task, seed=seed, part=part):
            ids = [READ, *(numbers.get(word, UNKNOWN) for word in words_of(text))][:LENGTH]
            rows.append(ids + [PAD] * (LENGTH - len(ids)))
            labels.append(CLASSES.index((task, label)))
    return Examples(torch.tensor(rows), torch.tensor(labels))


class Layer(nn.Module):
    """One Transformer layer; its attention scores pass through `scores`, where a tap finds them."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.before, self.between = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query, self.key, self.value, self.out = (Linear(width, width) for _ in range(4))
        self.up, self.down = Linear(width, 4 * width), Linear(4 * width, width)
        self.scores = nn.Identity()

    def forward(self, x: Tensor, real: Tensor) -> Tensor:
        y = self.before(x)
        q, k, v = (
            part(y).unflatten(-1, (self.heads, -1)).transpose(-3, -2)
            for part in (self.query, self.key, self.value)
        )
        pairs = (real.unsqueeze(-1) & real.unsqueeze(-2)).unsqueeze(-3)
        scores = self.scores((q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])).where(pairs, 0.0))
        keys = real.unsqueeze(-2).unsqueeze(-3)
        mixed = scores.masked_fill(~keys, -1e30).softmax(-1) @ v
        x = x + self.out(mixed.transpose(-3, -2).flatten(-2))
        x = x + self.down(F.gelu(self.up(self.between(x))))
        return x * real.unsqueeze(-1)  # so that padding adds nothing to a loss on states


class Encoder(nn.Module):
    """A small BERT: words and places, layers, and scores of the classes from the first token.

    Shapes: (B, 32) -> (B, 14). Modules: `embeddings`, `layers.0`, ..., `norm`, `head`.
    """

    def __init__(self, layers: int = 4, width: int = 48, *, heads: int = 4, seed: int = 0) -> None:
        super().__init__()
        self.words = nn.Embedding(len(vocabulary()) + UNKNOWN + 1, width)
        self.places = nn.Embedding(LENGTH, width)
        self.embeddings = nn.Identity()
        self.layers = nn.ModuleList(Layer(width, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.head = Linear(width, len(CLASSES))
        generator = torch.Generator().manual_seed(seed)
        for name, parameter in self.named_parameters():
            if parameter.dim() > 1:
                spread = 0.1 if "words" in name or "places" in name else width**-0.5
                nn.init.normal_(parameter, std=spread, generator=generator)
            else:
                nn.init.constant_(
                    parameter,
                    float("norm" in name or "be" in name) if name.endswith("weight") else 0.0,
                )

    def forward(self, tokens: Tensor) -> Tensor:
        real = tokens != PAD
        x = self.words(tokens) + self.places.weight[: tokens.shape[-1]]
        x = self.embeddings(x * real.unsqueeze(-1))
        for layer in self.layers:
            x = layer(x, real)
        return self.head(self.norm(x[..., 0, :]))
