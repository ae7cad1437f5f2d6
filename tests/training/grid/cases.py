"""Cases by name: made of a few values, printed so that they can be pasted, and held in numbers."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import combinations
from typing import Any

from tests.training.grid.covering import Case, Pair, Rule, fits


class DiffersError(AssertionError):
    """What the engine gives and what is computed by hand do not agree."""


class Cases:
    """The cases of a grid.

    Args:
        module: that checks them, by its full name.
        axes: name -> values.
        usual: the values that a case has where it names none.
    """

    def __init__(
        self, module: str, axes: Mapping[str, Sequence[Any]], usual: Mapping[str, Any]
    ) -> None:
        self.module, self.axes, self.usual = module, axes, usual

    def pasted(self, case: Case) -> str:
        """A few lines that run a case again."""
        other = {k: v for k, v in case.items() if self.usual.get(k) != v}
        values = ", ".join(f"{name}={value!r}" for name, value in other.items())
        return f"from {self.module} import check, case\ncheck(case({values}))"

    def case(self, **values: Any) -> Case:
        """A case of these values, and the usual ones of the other axes."""
        if unknown := values.keys() - self.axes.keys():
            raise TypeError(f"no axis is called {sorted(unknown)}.")
        return {name: values.get(name, self.usual.get(name)) for name in self.axes}

    @contextmanager
    def printed(self, one: Case) -> Iterator[None]:
        """Whatever goes wrong with a case is a `DiffersError` with the lines to paste."""
        try:
            yield
        except DiffersError as error:
            raise DiffersError(f"{error}\n{self.pasted(one)}") from error
        except Exception as error:
            raise DiffersError(f"{type(error).__name__}: {error}\n{self.pasted(one)}") from error


def differences(check: Callable[[Case], str], cases: Iterable[Case]) -> list[str]:
    """What differs, with the lines that run it again."""
    lines = []
    for one in cases:
        try:
            check(one)
        except DiffersError as error:
            lines.append(str(error))
    return lines


def possible_pairs(axes: Mapping[str, Sequence[Any]], rules: Sequence[Rule]) -> set[Pair]:
    """Every two values of two axes that keep the rules about both."""
    return {
        ((a, x), (b, y))
        for a, b in combinations(axes, 2)
        for x in axes[a]
        for y in axes[b]
        if fits({a: x, b: y}, rules)
    }
