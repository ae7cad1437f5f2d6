"""Lesson 22: tables of orders, a small Transformer that reads them, losses on its attention."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from distill_lab.data import datasets
from distill_lab.data.datasets import Examples
from distill_lab.losses import minilm_relation_loss, tinybert_attention_loss
from distill_lab.models import SmallCNN
from distill_lab.models.hooks import Tap
from distill_lab.models.networks import he_normal_
from distill_lab.teachers import freeze
from distill_lab.training import distill

NAMES = ("Anna", "Ben", "Cleo", "Dan", "Eva", "Finn", "Gus", "Hana")
DRINKS = ("tea", "milk", "juice", "water", "cocoa", "cider")
ASK = len(DRINKS) + len(NAMES)  # what stands behind the name in the question
GUESTS, CHOOSERS = 6, 3  # at the table; the others say "as Ben"
STAGES = ("stages.0", "stages.1", "stages.2")


def orders(count: int, seed: int) -> Examples:
    """Draw tables of six guests, in any order, and a question about one of them.

    Three guests name a drink, three say "the same as" one of those; what does the asked one get?
    Each token is a pair (name, statement).

    Args:
        count: N tables.
        seed: of the draw.

    Returns:
        Inputs (N, 7, 2) and labels (N,) of 6 drinks.

    >>> table = orders(1, seed=0)
    >>> table.inputs.shape, DRINKS[table.labels[0]] in DRINKS
    (torch.Size([1, 7, 2]), True)
    """
    generator = torch.Generator().manual_seed(seed)
    names = torch.rand(count, len(NAMES), generator=generator).argsort(-1)[:, :GUESTS]
    drinks = torch.randint(len(DRINKS), (count, CHOOSERS), generator=generator)
    like = torch.randint(CHOOSERS, (count, GUESTS - CHOOSERS), generator=generator)
    statements = torch.cat((drinks, len(DRINKS) + names.gather(1, like)), 1)
    gets = torch.cat((drinks, drinks.gather(1, like)), 1)
    places = torch.rand(count, GUESTS, generator=generator).argsort(-1)
    names, statements, gets = (x.gather(1, places) for x in (names, statements, gets))
    asked = torch.randint(GUESTS, (count, 1), generator=generator)
    question = torch.stack((names.gather(1, asked), torch.full((count, 1), ASK)), -1)
    table = torch.cat((torch.stack((names, statements), -1), question), 1)
    return Examples(table, gets.gather(1, asked)[:, 0])


def tables(count: int, seeds: Iterable[int]) -> Examples:
    """Draw as many tables anew for each seed: inputs (S, N, 7, 2), labels (S, N)."""
    each = [orders(count, seed) for seed in seeds]
    return Examples(*(torch.stack(part) for part in zip(*each, strict=True)))


def portions(data: Examples, count: int, seeds: Iterable[int]) -> Examples:
    """Draw as many examples of all anew for each seed: inputs (S, N, ...), labels (S, N)."""
    each = [data.split(count, seed)[0] for seed in seeds]
    return Examples(*(torch.stack(part) for part in zip(*each, strict=True)))


def as_words(table: Tensor) -> list[str]:
    """Write one table (7, 2) as a reader sees it.

    >>> as_words(torch.tensor([[0, 1], [1, 6], [1, 14]]))
    ['Anna: milk', 'Ben: as Anna', 'Ben?']
    """
    statements = (*DRINKS, *(f"as {name}" for name in NAMES))
    return [
        f"{NAMES[name]}?" if what == ASK else f"{NAMES[name]}: {statements[what]}"
        for name, what in table.tolist()
    ]


class Block(nn.Module):
    """One Transformer layer, its queries, keys and values in modules of their own."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.before, self.between = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))
        self.up, self.down = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        y = self.before(x)
        q, k, v = self.query(y), self.key(y), self.value(y)
        mixed = scores(q, k, self.heads).softmax(-1) @ cut(v, self.heads)
        x = x + self.out(mixed.transpose(-3, -2).flatten(-2))
        return x + self.down(F.gelu(self.up(self.between(x))))


class Reader(nn.Module):
    """A small Transformer that reads a table of orders and answers at its last token.

    No positions: a guest's place says nothing. Shapes: (B, 7, 2) -> (B, 6). Modules:
    `layers.0.query` and so on. Raises ValueError for a width that the heads do not divide.
    """

    def __init__(self, width: int, heads: int, *, layers: int = 2, seed: int = 0) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"{heads} heads do not divide the width {width}: choose another.")
        self.names = nn.Embedding(len(NAMES), width)
        self.statements = nn.Embedding(ASK + 1, width)
        self.layers = nn.Sequential(*(Block(width, heads) for _ in range(layers)))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, len(DRINKS))
        he_normal_(self, seed)
        generator = torch.Generator().manual_seed(seed + 1)
        for embedding in (self.names, self.statements):
            nn.init.normal_(embedding.weight, std=0.5, generator=generator)
        for name, parameter in self.layers.named_parameters():
            if parameter.dim() > 1 and not name.endswith("up.weight"):
                parameter.data.mul_(0.5)  # half of He's spread: attention starts calm
        for module in self.modules():
            if isinstance(module, nn.LayerNorm):
                nn.init.ones_(module.weight)

    def forward(self, inputs: Tensor) -> Tensor:
        x = self.names(inputs[..., 0]) + self.statements(inputs[..., 1])
        return self.head(self.norm(self.layers(x)[..., -1, :]))


def cut(x: Tensor, heads: int) -> Tensor:
    """Cut the width into heads: (..., L, width) -> (..., heads, L, width / heads)."""
    return x.unflatten(-1, (heads, -1)).transpose(-3, -2)


def scores(query: Tensor, key: Tensor, heads: int) -> Tensor:
    """Return q k^T / sqrt(d), which the softmax takes: (..., L, width) -> (..., heads, L, L)."""
    q, k = cut(query, heads), cut(key, heads)
    return q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])


def inner(layer: int, *parts: str) -> tuple[str, ...]:
    """Name modules of one layer of a `Reader`, as a tap does.

    >>> inner(0, "query", "key")
    ('layers.0.query', 'layers.0.key')
    """
    return tuple(f"layers.{layer}.{part}" for part in parts)


def attention_weights(model: Reader, inputs: Tensor) -> Tensor:
    """Return every head's attention in every layer of a `Reader`, (layers, B, heads, L, L)."""
    pairs = [inner(layer, "query", "key") for layer in range(len(model.layers))]
    with torch.no_grad(), Tap(model, [path for pair in pairs for path in pair]) as tap:
        model(inputs)
    heads = [int(block.heads) for block in model.layers]  # type: ignore[arg-type]
    of_layers = [scores(tap[q], tap[k], h) for (q, k), h in zip(pairs, heads, strict=True)]
    return torch.stack(of_layers).softmax(-1)


def tinybert(
    student_heads: int, teacher_heads: int, *, mean: bool = False
) -> Callable[..., Tensor]:
    """Make TinyBERT's loss on tapped (query, key).

    Args:
        student_heads: Heads of the student.
        teacher_heads: Heads of the teacher.
        mean: Whether the means over heads are compared; unequal heads always are.

    Returns:
        The loss, of the student's and the teacher's (query, key).
    """

    def loss(student: Sequence[Tensor], teacher: Sequence[Tensor]) -> Tensor:
        a_s = scores(student[0], student[1], student_heads)
        a_t = scores(teacher[0], teacher[1], teacher_heads)
        if mean or student_heads != teacher_heads:
            a_s, a_t = a_s.mean(1, keepdim=True), a_t.mean(1, keepdim=True)
        return tinybert_attention_loss(a_s, a_t)

    return loss


def minilm(relation_heads: int, *, version: Literal[1, 2] = 2) -> Callable[..., Tensor]:
    """Make MiniLM's loss on tapped (query, key, value)."""

    def loss(student: Sequence[Tensor], teacher: Sequence[Tensor]) -> Tensor:
        return minilm_relation_loss(
            student, teacher, relation_heads=relation_heads, version=version
        )

    return loss


def clothes(
    profile: str, seed: int, seeds: Iterable[int]
) -> tuple[Examples, Examples, SmallCNN] | None:
    """Load photographs of clothes and train a teacher on 6,000 of them, where the profile allows.

    Args:
        profile: "quick" skips it, "full" needs Fashion-MNIST on this machine, "hub" downloads it.
        seed: Of the split and the teacher's batches.
        seeds: Of the students' 50 pictures each.

    Returns:
        50 pictures a seed (S, 50, ...), 2,000 for testing, and the frozen teacher; None where it
        was skipped, with a printed reason.
    """
    if profile == "quick":
        print("Photographs are skipped in quick; to run it: distill-lab run 22 --profile full")
        return None
    try:
        photos = datasets.load("fashion_mnist", download=profile == "hub")
    except FileNotFoundError as why:
        print("Skipped:", why)
        return None
    train, test = photos.train.split(6000, seed)[0], photos.test.split(2000, seed)[0]
    teacher = SmallCNN(16, seed=1001)
    distill(
        teacher,
        train,
        epochs=10,
        batch_size=50,
        lr=2e-3,
        schedule="cosine",
        seed=seed,
        progress=False,
    )
    return portions(train, 50, seeds), test, freeze(teacher)


def activation_maps(model: SmallCNN, images: Tensor) -> list[Tensor]:
    """Map where each stage is active: sum of squares over channels, scaled to a largest of 1.

    Args:
        model: a network with the stages `STAGES`.
        images: (B, 1, H, W).

    Returns:
        One (B, h, w) a stage.
    """
    with torch.no_grad(), Tap(model, STAGES) as tap:
        model(images)
    maps = [tap[stage].square().sum(1) for stage in STAGES]
    return [m / m.amax((-2, -1), keepdim=True).clamp_min(1e-12) for m in maps]


def centred_cosine(maps: Tensor, others: Tensor) -> float:
    """Return the mean cosine of maps whose own mean was subtracted: their correlation.

    Without that, two maps without negative values are always alike.

    Args:
        maps: (N, H, W).
        others: (N, H, W), compared one by one.

    Returns:
        The mean over the N pairs, -1 to 1.

    >>> x = torch.rand(5, 4, 4)
    >>> round(centred_cosine(x, 3 * x + 2), 4)
    1.0
    """
    a, b = (m.flatten(1) - m.flatten(1).mean(1, keepdim=True) for m in (maps, others))
    return F.cosine_similarity(a, b).mean().item()


def two_hops(inputs: Tensor) -> tuple[Tensor, Tensor]:
    """Find the two guests that an answer needs: the one asked about, and the one that one follows.

    Args:
        inputs: Tables (N, 7, 2).

    Returns:
        The places of both, (N,) each; equal where the guest asked about names a drink.

    >>> first, second = two_hops(orders(100, seed=0).inputs)
    >>> bool((first != second).any()), int(first.max()) < GUESTS
    (True, True)
    """
    names, statements = inputs[:, :GUESTS, 0], inputs[:, :GUESTS, 1]
    first = names.eq(inputs[:, -1:, 0]).float().argmax(-1)
    statement = statements.gather(1, first[:, None])
    wanted = torch.where(statement < len(DRINKS), inputs[:, -1:, 0], statement - len(DRINKS))
    return first, names.eq(wanted).float().argmax(-1)


def hop_shares(model: Reader, inputs: Tensor) -> Tensor:
    """Return how much of its attention the question gives the right guest, in each head.

    Layer 1 should read the guest asked about, layer 2 the guest that one follows.

    Args:
        model: A reader of two layers.
        inputs: Tables (N, 7, 2).

    Returns:
        The mean over the tables, (2, heads).
    """
    attention = attention_weights(model, inputs)[..., -1, :]  # (2, N, heads, 7)
    places = torch.stack(two_hops(inputs))[:, :, None, None]
    where = places.expand(-1, -1, attention.shape[2], -1)
    return attention.gather(-1, where)[..., 0].mean(1)
