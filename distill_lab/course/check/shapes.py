"""A result of another shape than the right one: which step is missing, or one too many."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import combinations

from torch import Tensor

from distill_lab.course.check.exercise import Exercise
from distill_lab.course.check.values import Tried, close, tensor

__all__ = ["by_shape", "reshaped"]

Pairs = list[tuple[Tensor, Tensor]]
Change = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


def reshaped(exercise: Exercise, tried: Tried) -> str:
    """Find a last step that would make the result right, or one that went too far."""
    pairs = [(tensor(r), tensor(e)) for _, r, e in tried]
    return next(
        (sentence for sentence, change in _steps(pairs) if _all(exercise, pairs, change)), ""
    )


def _all(exercise: Exercise, pairs: Pairs, change: Change) -> bool:
    """Whether the two are equal in every case after the change."""
    try:
        return all(close(exercise, *change(r, e)) for r, e in pairs)
    except (RuntimeError, IndexError):
        return False


def _steps(pairs: Pairs) -> Iterator[tuple[str, Change]]:
    """Sentences, each with the change of (result, expected) that makes it true."""
    yield (
        "The values are right, but their shape is not. Change it at the end: `flatten`, "
        "`reshape`, `unsqueeze` or `squeeze`.",
        lambda r, e: (r.reshape(e.shape), e),
    )
    n_axes = min(r.ndim for r, _ in pairs)
    for size in range(1, n_axes + 1):
        for axes in combinations(range(n_axes), size):
            words = f"axis {axes[0]}" if size == 1 else f"the axes {', '.join(map(str, axes))}"
            call = f"({axes[0] if size == 1 else axes})" if size < n_axes else "()"
            for name in ("mean", "sum"):
                yield (
                    f"The {name} over {words} is missing. Add `.{name}{call}`.",
                    _reduced(name, axes, of_result=True),
                )
    for axis in range(min(e.ndim for _, e in pairs)):
        for name in ("mean", "sum", "argmax", "amax"):
            yield (
                f"Axis {axis} is gone. Leave out the last `{name}`: keep one value for each.",
                _reduced(name, axis, of_result=False),
            )
    for name in ("mean", "sum"):
        yield (
            f"All values are made into one. Leave out the last `{name}`.",
            _reduced(name, None, of_result=False),
        )
    for i, j in combinations(range(n_axes), 2):
        yield (
            f"Two axes have changed places. Exchange them: `.transpose({i}, {j})`.",
            _exchanged(i, j),
        )


def _reduced(name: str, axes: tuple[int, ...] | int | None, *, of_result: bool) -> Change:
    def change(r: Tensor, e: Tensor) -> tuple[Tensor, Tensor]:
        x = r if of_result else e
        small = (getattr(x, name)() if axes is None else getattr(x, name)(axes)).double()
        return (small, e) if of_result else (r, small)

    return change


def _exchanged(i: int, j: int) -> Change:
    return lambda r, e: (r.transpose(i, j), e)


def by_shape(tried: Tried) -> str:
    """What the two shapes alone suggest."""
    shapes = [(tuple(tensor(r).shape), tuple(tensor(e).shape)) for _, r, e in tried]
    result, expected = next((r, e) for r, e in shapes if r != e)
    if not expected:
        return "The result is not one number. Reduce it: sum over classes, mean over the rest."
    if sorted(result) == sorted(expected):
        return "The axes stand in another order. Bring them forward with `transpose` or `permute`."
    if len(result) < len(expected):
        return "An axis is missing. A sum, mean or `max` may have taken it: reduce fewer axes."
    if len(result) > len(expected):
        return "There is an axis too many. Reduce it, or join two with `flatten`."
    return "An axis has another length. Which axis did you reduce, and which one should it be?"
