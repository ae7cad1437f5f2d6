"""Inputs of the golden cases, from an integer formula that gives the same bits everywhere.

x_0 = 7919 seed + 12345 and x_(n+1) = (1664525 x_n + 1013904223) mod 2^32. The n-th value of a
tensor is scale ((x_n >> 16) - 32768) / 2^14 + offset: uniform in [-2, 2) scale, and exact in
float32 for a small scale. Class numbers are (x_n >> 16) mod below.
"""

from typing import Any

import numpy as np

Array = np.ndarray
IGNORE = -100


def build(recipe: dict[str, Any]) -> Array:
    """The array a recipe stands for: float64, int64 or bool.

    "shape" and "seed" draw; then "scale" and "offset" move floats, "copy": [to, from] repeats a
    row, "below" makes class numbers, "lengths" ignores those behind each row's length. "values"
    stand for themselves, and "mask" gives True up to each row's length.
    """
    if "values" in recipe:
        return np.array(recipe["values"])
    if "mask" in recipe:
        return np.arange(recipe["of"]) < np.array(recipe["mask"])[:, None]
    drawn = np.array(_integers(int(np.prod(recipe["shape"])), recipe["seed"])).reshape(
        recipe["shape"]
    )
    if "below" in recipe:
        classes = drawn % recipe["below"]
        if "lengths" in recipe:
            kept = np.arange(recipe["shape"][-1]) < np.array(recipe["lengths"])[:, None]
            classes = np.where(kept, classes, IGNORE)
        return classes
    values = recipe.get("scale", 1) * (drawn - 2**15) / 2**14 + recipe.get("offset", 0)
    if "copy" in recipe:
        to, source = recipe["copy"]
        values[to] = values[source]
    return values


def _integers(count: int, seed: int) -> list[int]:
    x, found = 7919 * seed + 12345, []
    for _ in range(count):
        x = (1664525 * x + 1013904223) % 2**32
        found.append(x >> 16)
    return found
