"""Lesson 23's experiments: classes that nobody trains on, and weights fixed before the run."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from distill_lab import losses
from distill_lab.data import datasets
from distill_lab.data.datasets import Examples
from distill_lab.methods import Method, match_features
from distill_lab.models.projections import Regressor

__all__ = ["WEIGHTS", "changes", "load_pictures", "new_classes", "relation"]

# Chosen on the seeds 100 to 109, with labels: each the most accurate of six weights, half a decade
# apart, that end at 300 (RKD, CC), 3,000 (SP), 1,000 (PKT) and 3 (CRD).
WEIGHTS = {"RKD": 100.0, "SP": 3000.0, "CC": 300.0, "PKT": 1000.0, "CRD": 1.0}
LAYER = ("hidden.1", "hidden.1")  # the last hidden layer of both


def _crd(student: Tensor, teacher: Tensor, regressor: nn.Module) -> Tensor:
    return losses.crd_loss(regressor(student), teacher)


def relation(
    name: str,
    *,
    weight: float | None = None,
    base_method: Method | None = None,
    widths: tuple[int, int] = (32, 128),
) -> Method:
    """Build the method of one relation between pictures, beside another method or alone.

    Args:
        name: One of `WEIGHTS`, or "RKD angle".
        weight: What it weighs; None for its weight in `WEIGHTS`.
        base_method: The method whose terms stand beside it.
        widths: The student's and the teacher's, for CRD, the only one with a regressor.

    Returns:
        The method, on the last hidden layer of both.
    """
    loss: Callable[..., Tensor] = {
        "RKD": losses.rkd_distance_loss,
        "RKD angle": losses.rkd_angle_loss,
        "SP": losses.similarity_preserving_loss,
        "CC": losses.correlation_congruence_loss,
        "PKT": losses.pkt_loss,
        "CRD": _crd,
    }[name]
    return match_features(
        name,
        loss,
        [LAYER],
        weight=WEIGHTS[name] if weight is None else weight,
        base_method=base_method,
        regressors=[Regressor(*widths)] if name == "CRD" else None,
    )


def changes(features: Tensor, seed: int) -> dict[str, Tensor]:
    """Change features in five ways, to see which loss notices which.

    Args:
        features: One row a picture, (B, D).
        seed: Of the rotation and of the direction of the shift.

    Returns:
        Name of the change to the changed features, (B, D).
    """
    generator = torch.Generator().manual_seed(seed)
    size = features.shape[1]
    turn = torch.linalg.qr(torch.randn(size, size, generator=generator))[0]
    way = torch.randn(size, generator=generator)
    lengths = 0.5 + torch.rand(len(features), 1, generator=generator)
    return {
        "rotated": features @ turn,
        "three times as large": 3 * features,
        "all moved": features + 3 * way / way.norm() * features.norm(dim=1).mean(),
        "each picture's length changed": features * lengths,
        "first unit 5 times as large": torch.cat((5 * features[:, :1], features[:, 1:]), 1),
    }


def load_pictures(name: str) -> Examples:
    """All the labelled pictures that the classes are drawn from."""
    pictures = datasets.load(name)
    if name == "digits":
        return pictures.split(train=1796, seed=0)[0]  # all but one, in a fixed order
    return pictures.train.take(20_000)


def new_classes(
    pictures: Examples, seeds: Sequence[int], *, train: int, test: int, seen: int = 5
) -> tuple[Examples, Examples, Examples]:
    """Draw for each seed which classes are trained on; the others are new to both networks.

    Args:
        pictures: Those of all classes.
        seeds: One draw of classes and pictures each.
        train: Pictures of each seen class to train on.
        test: Pictures of each class to search among.
        seen: How many classes are seen.

    Returns:
        Pictures to train on and other pictures of the same classes, labels 0 to seen - 1; and
        pictures of the new classes. Each stacked, one row a seed.
    """
    parts: list[list[Examples]] = [[], [], []]
    count = int(pictures.labels.max()) + 1
    for seed in seeds:
        generator = torch.Generator().manual_seed(seed)
        order = torch.randperm(count, generator=generator).tolist()
        rows: list[list[tuple[Tensor, int]]] = [[], [], []]
        for number, label in enumerate(order):
            index = (pictures.labels == label).nonzero()[:, 0]
            index = index[torch.randperm(len(index), generator=generator)][: train + test]
            if len(index) < train + test:
                raise ValueError(f"class {label} has {len(index)} pictures: {train + test} needed.")
            if number < seen:
                rows[0].append((index[:train], number))
                rows[1].append((index[train:], number))
            else:
                rows[2].append((index[train:], number - seen))
        for part, chosen in zip(parts, rows, strict=True):
            index = torch.cat([where for where, _ in chosen])
            labels = torch.cat([torch.full((len(where),), number) for where, number in chosen])
            part.append(Examples(pictures.inputs[index], labels))
    first, second, third = (
        Examples(torch.stack([e.inputs for e in part]), torch.stack([e.labels for e in part]))
        for part in parts
    )
    return first, second, third
