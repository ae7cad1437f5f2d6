"""Lesson 25's pictures: plain, cut and moved; what tokens are like; scores of moved pictures."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from distill_lab.data import datasets
from distill_lab.data.datasets import Examples
from distill_lab.seeds import SeedRuns


class Cut(NamedTuple):
    """Pictures that are the left part of one and the right part of another.

    Args:
        data: plain pictures first, then cut ones; a cut picture has the label of its larger part.
        area: (S, N, C) how much of the picture belongs to each label.
    """

    data: Examples
    area: Tensor


def pictures(
    profile: str, seeds: Iterable[int], many: int, *, tested: int = 2000
) -> tuple[Examples, Examples]:
    """Load digits in "quick", else Fashion-MNIST where it is on this machine.

    Args:
        profile: "quick", "full" or "hub", which downloads.
        seeds: each gets labelled pictures of its own.
        many: how many.
        tested: Fashion-MNIST has 10,000 test pictures; so many are used.

    Returns:
        (S, many, ...) to learn from, and (S, N, ...) to test.
    """
    seeds = list(seeds)
    if profile != "quick":
        try:
            photos = datasets.load("fashion_mnist", download=profile == "hub")
        except FileNotFoundError as why:
            print("Digits instead of clothes:", why)
        else:
            parts = [photos.train.split(many, seed)[0] for seed in seeds]
            exam = photos.test.split(tested, seeds[0])[0]
            return _stacked(parts), _stacked([exam] * len(seeds))
    return datasets.load("digits").split(train=1000, seeds=seeds)


def _stacked(parts: list[Examples]) -> Examples:
    return Examples(
        torch.stack([part.inputs for part in parts]), torch.stack([part.labels for part in parts])
    )


def cut(data: Examples, count: int, seeds: Iterable[int], classes: int = 10) -> Cut:
    """Add pictures whose right part comes from another picture of the same seed.

    The left part has between half and nine tenths of the columns, so the larger part is the left.

    Args:
        data: (S, N, ...) plain pictures.
        count: how many cut ones a seed.
        seeds: of the draws.
        classes: how many labels there are.

    Returns:
        Plain and cut pictures, and the area of each label.
    """
    inputs, labels, areas = [], [], []
    for i, seed in enumerate(seeds):
        x, y = data.at(i)
        draw = torch.Generator().manual_seed(seed)
        left, right = torch.randint(len(x), (2, count), generator=draw)
        width = x.shape[-1]
        first = torch.randint(-(-width // 2), width * 9 // 10 + 1, (count,), generator=draw)
        from_left = torch.arange(width) < first[:, None]
        mixed = torch.where(from_left[:, None, None], x[left], x[right])
        share = (first / width)[:, None]
        names = F.one_hot(y, classes).float()
        inputs.append(torch.cat([x, mixed]))
        labels.append(torch.cat([y, y[left]]))
        areas.append(torch.cat([names, share * names[left] + (1 - share) * names[right]]))
    return Cut(Examples(torch.stack(inputs), torch.stack(labels)), torch.stack(areas))


def move(images: Tensor, across: int, down: int) -> Tensor:
    """Move pictures (..., H, W) by whole pixels; what leaves is lost, what enters is empty.

    Args:
        images: the pictures.
        across: pixels to the right; negative to the left.
        down: pixels downwards; negative upwards.

    Returns:
        As many of the same size.
    """
    height, width = images.shape[-2:]
    far = max(abs(across), abs(down))
    padded = F.pad(images, (far, far, far, far))
    return padded[..., far - down : far - down + height, far - across : far - across + width]


def four_moves(data: Examples, pixels: int) -> list[Examples]:
    """The pictures moved right, left, down and up."""
    ways = ((pixels, 0), (-pixels, 0), (0, pixels), (0, -pixels))
    return [Examples(move(data.inputs, *way), data.labels) for way in ways]


def moved_pictures(data: Examples, count: int, pixels: int, seeds: Iterable[int]) -> Examples:
    """Plain pictures, and more that are moved by up to `pixels` each way; labels stay.

    Args:
        data: (S, N, ...) plain pictures.
        count: how many moved ones a seed.
        pixels: the farthest.
        seeds: of the draws.

    Returns:
        Plain and moved pictures.
    """
    inputs, labels = [], []
    for i, seed in enumerate(seeds):
        x, y = data.at(i)
        draw = torch.Generator().manual_seed(seed)
        chosen = torch.randint(len(x), (count,), generator=draw)
        ways = torch.randint(-pixels, pixels + 1, (count, 2), generator=draw).tolist()
        moved = torch.stack([move(x[n], *way) for n, way in zip(chosen, ways, strict=True)])
        inputs.append(torch.cat([x, moved]))
        labels.append(torch.cat([y, y[chosen]]))
    return Examples(torch.stack(inputs), torch.stack(labels))


def cosines(runs: SeedRuns, images: Tensor, path: str) -> Tensor:
    """How alike class token and distillation token are after a module: cosines, (S,).

    Args:
        runs: transformers with both tokens.
        images: (S, N, ...), or (N, ...) for all.
        path: of a module that returns tokens (B, L, width).

    Returns:
        The mean over the pictures.
    """
    tokens = runs.tapped(images, [path])[1][path]
    return F.cosine_similarity(tokens[..., 0, :], tokens[..., 1, :], dim=-1).mean(-1)


def counted_once(measure: Callable[[SeedRuns], Tensor]) -> Callable[[SeedRuns], Tensor]:
    """Let a measure run once for each trained network; later calls return the first result.

    Args:
        measure: of students that no longer change.

    Returns:
        The same measure with a memory.
    """
    known: dict[int, tuple[SeedRuns, Tensor]] = {}

    def measured(runs: SeedRuns) -> Tensor:
        if id(runs) not in known:  # the runs are kept too, so that no others can get their id
            known[id(runs)] = (runs, measure(runs))
        return known[id(runs)][1]

    return measured
