"""The names of classes: which number each has, and where a name is unknown."""

import difflib
import math
import unicodedata
import warnings
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from distill_lab._util.tensors import IGNORE
from distill_lab.jobs.setups.tables import Table

SHOWN = 5  # mistakes that one error names; the others it counts


class Labels:
    """The classes of a job, in the order that teacher and student count them.

    Args:
        names: a name for each class.
        several: whether an example may have any number of them.
    """

    def __init__(self, names: Sequence[str], *, several: bool = False) -> None:
        self.names, self.several = tuple(names), several
        self._numbers = {as_name(name): number for number, name in enumerate(self.names)}
        # where names are words, a number stands for a class; where they are numbers, for itself
        self._in_words = not any(name.isdigit() for name in self.names)

    def __len__(self) -> int:
        return len(self.names)

    @property
    def config(self) -> dict[str, Any]:
        """What a Hugging Face configuration keeps of them."""
        return {
            "num_labels": len(self.names),
            "id2label": dict(enumerate(self.names)),
            "label2id": {name: number for number, name in enumerate(self.names)},
            "problem_type": "multi_label_classification" if self.several else None,  # not another's
        }

    def numbers(self, values: Sequence[Any], places: Sequence[str]) -> Tensor:
        """The class of each value, -100 where there is none.

        Args:
            values: names or numbers of classes; with `several`, lists of them.
            places: where each stands, for the words of an error.

        Returns:
            Classes (N,) int64; with `several`, 0 or 1 for each class (N, C) float32.

        Raises:
            ValueError: for names that are none of the classes, each with its place.
        """
        mistakes: list[str] = []
        result = torch.full((len(values),), IGNORE)
        if self.several:
            result = torch.zeros(len(values), len(self.names))
        for row, (value, place) in enumerate(zip(values, places, strict=True)):
            try:
                if self.several:
                    for one in each_label(value):
                        result[row, self.number(one)] = 1.0
                elif not _empty(value):
                    result[row] = self.number(value)
            except ValueError as error:
                mistakes.append(f"{place}: {error}")
        if mistakes:
            rest = len(mistakes) - SHOWN
            more = f"\nand {rest:,} more of the kind." if rest > 0 else ""
            raise ValueError("\n".join(mistakes[:SHOWN]) + more)
        return result

    def number(self, value: Any) -> int:
        """The number of one class; ValueError for a value that is none of them."""
        name = as_name(value)
        if name in self._numbers:
            return self._numbers[name]
        if self._in_words and _is_number(value) and int(name) < len(self.names):
            return int(value)
        near = difflib.get_close_matches(name, self.names, n=1)
        hint = f" did you mean {near[0]!r}?" if near else f" they are {_listed(self.names)}."
        raise ValueError(f"{value!r} is none of the {len(self.names)} classes:{hint}")


class Quantity:
    """One number for each example in place of classes, such as a rating or a score."""

    names: tuple[str, ...] = ()
    several = False
    config: Mapping[str, Any] = {"num_labels": 1, "problem_type": "regression"}

    def __len__(self) -> int:
        return 1

    def numbers(self, values: Sequence[Any], places: Sequence[str]) -> Tensor:
        """The values as numbers, NaN where there is none.

        Args:
            values: numbers, or texts of them.
            places: where each stands, for the words of an error.

        Returns:
            (N, 1) float32.

        Raises:
            ValueError: for what is no number, with its place.
        """
        result = torch.full((len(values), 1), torch.nan)
        for row, (value, place) in enumerate(zip(values, places, strict=True)):
            try:
                if value is not None and value != "":
                    result[row] = float(value)
            except (TypeError, ValueError):
                raise ValueError(f"{place}: expected a number, got {value!r}.") from None
        return result


def find_names(
    values: Iterable[Any],
    *,
    given: Sequence[str] | None = None,
    of_teacher: Sequence[str] | None = None,
    several: bool = False,
    of: str = "training data",
) -> tuple[str, ...]:
    """The names of the classes, in the order of the numbers that the teacher gives them.

    Args:
        values: the labels of the training data, each one a name or a number.
        given: names that the job file lists.
        of_teacher: those in the configuration of a teacher that knows the task; None without one.
        several: whether an example may have any number of them: then one class is enough.
        of: what the labels are of, for the words of an error.

    Returns:
        The names.

    Raises:
        ValueError: where the data speak of names and the teacher has numbers alone, or where there
            are fewer than two.

    >>> find_names(["b", "a", "b"]), find_names([10, 9])
    (('a', 'b'), ('9', '10'))
    >>> find_names(["b", "a"], of_teacher=("b", "c", "a"))
    ('b', 'c', 'a')
    """
    counts = Counter(as_name(value) for value in values if not _empty(value))
    present = set(counts)
    numbered = all(name.isdigit() for name in present)
    if given is not None:
        if of_teacher is not None and len(given) != len(of_teacher):
            raise ValueError(
                f"labels lists {len(given)} names, and the teacher knows {len(of_teacher)} "
                "classes: list one for each, in the teacher's order."
            )
        for number, name in enumerate(given):
            if of_teacher is not None and name in of_teacher and of_teacher[number] != name:
                raise ValueError(
                    f"labels has {name!r} as number {number}, and the teacher has it as "
                    f"{of_teacher.index(name)}: list the names in the teacher's order, "
                    f"{list(of_teacher)}, or leave labels out."
                )
        return tuple(given)
    if of_teacher is not None:
        nameless = all(name == f"LABEL_{i}" for i, name in enumerate(of_teacher))
        if nameless and not numbered:
            raise ValueError(
                f"the teacher's {len(of_teacher)} classes have no names, and the data name theirs "
                f"({_listed(sorted(present))}): list the names in the teacher's order, as "
                "labels: [first, second, ...]."
            )
        return tuple(str(i) for i in range(len(of_teacher))) if nameless else tuple(of_teacher)
    if not present:
        raise ValueError(f"the {of} hold no label, and no teacher names the classes.")
    if len(present) == 1 and not several:
        ((only, times),) = counts.items()
        raise ValueError(
            f"the {of} hold a single class, {only!r}{f', {times:,} times' if times > 1 else ''}, "
            "and a classifier tells two or more apart: look at the column of labels, or list the "
            "classes as labels: [no, yes]."
        )
    _warn_of_twins(present)
    return tuple(sorted(present, key=int if numbered else None))


def _warn_of_twins(names: Iterable[str]) -> None:
    """Warn of classes that look alike: they differ in capitals, blanks or what is not seen."""
    alike: dict[str, list[str]] = {}
    for name in sorted(names):
        seen = "".join(letter for letter in name if unicodedata.category(letter) not in UNSEEN)
        key = unicodedata.normalize("NFKC", seen).casefold()
        alike.setdefault(" ".join(key.split()), []).append(name)
    if twins := [each for each in alike.values() if len(each) > 1]:
        first = " and ".join(map(ascii, twins[0]))
        more = f", and {len(twins) - 1} more such pairs" if len(twins) > 1 else ""
        warnings.warn(
            f"the classes {first} look alike and are learned as different ones{more}: where they "
            "are one, mend the labels.",
            stacklevel=2,
        )


UNSEEN = ("Cf", "Cc")  # kinds of letters, such as a space of no width
YES, NO = ("1", "true", "yes", "x"), ("0", "false", "no", "")


def labels_of(table: Table, label: str | list[str], separator: str | None = None) -> list[Any]:
    """The labels of each row: a name, or with several labels a list of names.

    Args:
        table: the rows.
        label: their column; or a column for each class, 1 where the row has it.
        separator: what stands between the names in a cell.

    Returns:
        A value, or a list, for each row.

    Raises:
        ValueError: for a column that is not there, a list that cannot be read, or a cell that says
            neither yes nor no.
    """
    if isinstance(label, list):
        cells = [table.column(name, "label") for name in label]
        rows = zip(*cells, strict=True)
        return [
            [name for name, cell in zip(label, row, strict=True) if _holds(cell, name, place)]
            for row, place in zip(rows, table.places, strict=True)
        ]
    values = table.lists(label, "label")
    for value, place in zip(values, table.places, strict=True):
        if wrong := [one for one in each_label(value) if isinstance(one, Mapping | list | tuple)]:
            raise ValueError(f"{place}: a class is a name or a number, got {wrong[0]!r}.")
    if separator is None:
        return values
    return [
        [part for part in value.split(separator) if part.strip()]
        if isinstance(value, str)
        else each_label(value)
        for value in values
    ]


def each_label(value: Any) -> list[Any]:
    """The labels of a cell that may hold several: a list as it is, a name alone as one.

    >>> each_label(["card", "loan"]), each_label("card"), each_label(None)
    (['card', 'loan'], ['card'], [])
    """
    if isinstance(value, list | tuple):
        return [one for one in value if not _empty(one)]
    return [] if _empty(value) else [value]


def _holds(cell: Any, name: str, place: str) -> bool:
    word = "" if cell is None else as_name(cell).lower()
    if word not in (*YES, *NO):
        raise ValueError(f"{place}: the class {name!r} must be 1 or 0, got {cell!r}.")
    return word in YES


def as_name(value: Any) -> str:
    """A label as text: 3, 3.0 and "3" are one name, and so is an accent in both its forms."""
    if isinstance(value, Mapping | list | tuple):
        raise ValueError(f"a class is a name or a number, got {value!r}.")
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return unicodedata.normalize("NFC", str(value).strip())


def _is_number(value: Any) -> bool:
    return as_name(value).isdigit() and not isinstance(value, bool)


def _empty(value: Any) -> bool:
    """Whether a cell holds no label; the text "nan" is one, JSON's and Arrow's NaN is none."""
    nothing = value is None or (isinstance(value, float) and math.isnan(value))
    return nothing or value == "" or value == IGNORE


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(map(repr, names[:SHOWN]))
    return shown + (", ..." if len(names) > SHOWN else "")
