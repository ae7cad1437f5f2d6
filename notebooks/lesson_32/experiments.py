"""What lesson 32 calls: pictures that are moved, pictures of something else, and texts as rows.

Nothing here trains or labels: that stands in the notebook.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from distill_lab.course import worlds
from distill_lab.course.encoders import load_encoder, pooled
from distill_lab.course.worlds.shop import INTENTS
from distill_lab.data import datasets

__all__ = ["TextSet", "disturb", "few_moved", "half_of_the_digits", "photo_patches", "texts"]

MOVES = ((0, 0), (0, 1), (0, -1), (1, 0), (-1, 0))
PHOTOS = ("china.jpg", "flower.jpg")  # scikit-learn carries them


def disturb(pictures: Tensor, seed: int, noise: float = 0.15) -> Tensor:
    """Move each picture by at most one pixel, and add noise to it.

    Args:
        pictures: (S, N, 1, 8, 8) in [0, 1].
        seed: of moves and noise.
        noise: standard deviation of what is added to a pixel.

    Returns:
        As many pictures, in [0, 1].
    """
    generator = torch.Generator().manual_seed(seed)
    way = torch.randint(len(MOVES), pictures.shape[:2], generator=generator)[..., None, None, None]
    moved = pictures
    for number, move in enumerate(MOVES[1:], start=1):
        moved = torch.where(way == number, pictures.roll(move, dims=(-2, -1)), moved)
    return (moved + noise * torch.randn(moved.shape, generator=generator)).clamp(0, 1)


def half_of_the_digits(pictures: Tensor, labels: Tensor, count: int) -> Tensor:
    """Pick pictures of the digits 0 to 4 alone: (S, N, 1, 8, 8), (S, N) -> (S, count, 1, 8, 8)."""
    first = (labels > 4).long().argsort(dim=1, stable=True)[:, :count]
    return torch.stack([x[index] for x, index in zip(pictures, first, strict=True)])


def few_moved(pictures: Tensor, count: int, few: int = 20) -> Tensor:
    """Repeat a few pictures, each time moved and with other noise: (S, N, ...) -> (S, count, ...).

    Raises ValueError unless `few` divides `count`.
    """
    if count % few:
        raise ValueError(f"few must divide count; got {few} and {count}.")
    return disturb(pictures[:, :few].repeat(1, count // few, 1, 1, 1), seed=0)


def photo_patches(seeds: int, count: int) -> Tensor:
    """Cut patches out of two photographs, as small and as bright as the digits.

    Args:
        seeds: S.
        count: patches for each seed.

    Returns:
        (S, count, 1, 8, 8) in [0, 1], no two seeds with the same patches.

    Raises:
        ImportError: where scikit-learn or Pillow is missing.
    """
    from PIL import Image

    spec = find_spec("sklearn")
    if spec is None or not spec.submodule_search_locations:
        raise ImportError("the photographs come with scikit-learn: pip install scikit-learn.")
    folder = Path(spec.submodule_search_locations[0], "datasets", "images")
    generator = torch.Generator().manual_seed(0)
    patches = []
    for name in PHOTOS:
        with Image.open(folder / name) as photo:
            grey = torch.frombuffer(bytearray(photo.convert("L").tobytes()), dtype=torch.uint8)
            pixels = grey.view(photo.height, photo.width).float() / 255
        half = (seeds * count + 1) // 2
        top = torch.randint(photo.height - 32, (half,), generator=generator).tolist()
        left = torch.randint(photo.width - 32, (half,), generator=generator).tolist()
        cut = [pixels[a : a + 32, b : b + 32] for a, b in zip(top, left, strict=True)]
        patches.append(F.avg_pool2d(torch.stack(cut)[:, None], 4))
    each = torch.stack(patches, 1).flatten(0, 1)[: seeds * count]
    low, high = each.amin((1, 2, 3), keepdim=True), each.amax((1, 2, 3), keepdim=True)
    return ((each - low) / (high - low).clamp_min(1e-6)).view(seeds, count, 1, 8, 8)


@dataclass(frozen=True)
class TextSet:
    """Texts as rows of numbers, with their classes.

    Args:
        rows: (N, D), each of length 1.
        labels: (N,).
        classes: their names.
        source: what texts, and what turned them into rows, in words.
        example: one of the texts.
    """

    rows: Tensor
    labels: Tensor
    classes: tuple[str, ...]
    source: str
    example: str


def texts(profile: str) -> TextSet:
    """Messages to a shop, or in `full` and `hub` the questions of BANKING77.

    Args:
        profile: "quick" counts words; the others use the encoder MiniLM where it is at hand, and
            count words where it is not, which `source` says.

    Returns:
        The texts.
    """
    if profile == "quick":
        tasks = worlds.load("support").train(4000, seed=0)
        classes = tuple(INTENTS)
        messages = [task.prompt.split("Customer: ")[1] for task in tasks]
        labels = torch.tensor([classes.index(task.key.split()[0]) for task in tasks])
        return _words(messages, labels, classes, "messages to a shop, counted words")
    data = datasets.load("banking77", download=profile == "hub")
    messages = [*data.train.texts, *data.test.texts]
    labels = torch.cat([data.train.labels, data.test.labels])
    try:
        rows = embed(messages, download=profile == "hub")
    except (FileNotFoundError, ImportError):
        return _words(messages, labels, data.classes, "BANKING77, counted words: no encoder here")
    return TextSet(rows, labels, data.classes, "BANKING77, embedded by MiniLM", messages[0])


def embed(messages: Sequence[str], *, download: bool = False, batch: int = 128) -> Tensor:
    """Turn texts into rows of length 1 with the encoder MiniLM: the mean of its last states.

    Args:
        messages: N texts.
        download: whether the hub may be asked for the encoder.
        batch: texts at once.

    Returns:
        (N, 384).

    Raises:
        FileNotFoundError: where there is no encoder, as `load_encoder`.
    """
    body, tokenizer = load_encoder(download=download)
    order = sorted(range(len(messages)), key=lambda i: len(messages[i]))  # little padding
    parts = []
    with torch.no_grad():
        for first in range(0, len(order), batch):
            group = [messages[i] for i in order[first : first + batch]]
            given = tokenizer(
                group, padding=True, truncation=True, max_length=64, return_tensors="pt"
            )
            states = body.eval()(**given).last_hidden_state
            parts.append(pooled(states, given["attention_mask"]))
    rows = F.normalize(torch.cat(parts), dim=1)
    return rows[torch.tensor(order).argsort()]


def _words(
    messages: Sequence[str], labels: Tensor, classes: tuple[str, ...], source: str, width: int = 256
) -> TextSet:
    """Count each text's words and pairs of words, in as many boxes as the width says."""
    rows = torch.zeros(len(messages), width)
    for row, message in zip(rows, messages, strict=True):
        words = re.findall(r"[a-z]+", message.lower())
        for term in (*words, *map(" ".join, pairwise(words))):
            digest = blake2b(term.encode(), digest_size=4).digest()
            row[int.from_bytes(digest, "little") % width] += 1
    return TextSet(F.normalize(rows, dim=1), labels, classes, source, messages[0])
