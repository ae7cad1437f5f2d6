"""The experiment that lesson 00 repeats: a student alone and a student taught, at many labels."""

from __future__ import annotations

from dataclasses import dataclass

from distill_lab import methods
from distill_lab.data import datasets
from distill_lab.models import MLP
from distill_lab.seeds import SeedRuns, distill_seeds

__all__ = ["BLOCK", "Recipe", "accuracies"]

BLOCK = 5  # seeds trained at once; a teacher's dropout masks depend on it


@dataclass(frozen=True)
class Recipe:
    """Everything that decides the stored numbers; the defaults are those of the lesson."""

    labels: tuple[int, ...] = (10, 20, 50, 100, 200, 500, 1000)
    seeds: int = 20
    train: int = 1000
    teacher_width: int = 256
    teacher_dropout: float = 0.3
    teacher_epochs: int = 20
    width: int = 32
    steps: int = 600
    batch_size: int = 50
    T: float = 4.0
    alpha: float = 0.9


def accuracies(recipe: Recipe, first: int) -> dict[str, list[list[float]]]:
    """Train one block of seeds at every number of labels.

    Args:
        recipe: What decides the numbers.
        first: The first seed of the block.

    Returns:
        Test accuracies in percent, "alone" and "taught" by (labels, seeds), "teacher" (1, seeds).
    """
    seeds = range(first, first + BLOCK)
    train, test = datasets.load("digits").split(train=recipe.train, seeds=seeds)

    def large(seed: int) -> MLP:
        hidden = (recipe.teacher_width, recipe.teacher_width)
        return MLP(64, *hidden, 10, dropout=recipe.teacher_dropout, seed=seed + 1000)

    teachers = distill_seeds(
        large, train, seeds=seeds, epochs=recipe.teacher_epochs, batch_size=recipe.batch_size
    )

    def student(count: int, method: methods.Method, teacher: SeedRuns | None) -> list[float]:
        batch = min(count, recipe.batch_size)
        runs = distill_seeds(
            lambda seed: MLP(64, recipe.width, recipe.width, 10, seed=seed),
            train.take(count),
            seeds=seeds,
            teacher=teacher,
            method=method,
            epochs=recipe.steps * batch // count,
            batch_size=batch,
        )
        return [round(value, 4) for value in runs.accuracy(test).tolist()]

    kd = methods.kd(T=recipe.T, alpha=recipe.alpha)
    return {
        "alone": [student(count, methods.supervised(), None) for count in recipe.labels],
        "taught": [student(count, kd, teachers) for count in recipe.labels],
        "teacher": [[round(value, 4) for value in teachers.accuracy(test).tolist()]],
    }
