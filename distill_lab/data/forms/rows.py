"""Columns and streams as rows that are read by number."""

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any

from distill_lab._util.checks import positive_int
from distill_lab.data.forms.columns import Parts


class Rows:
    """Columns read row by row, for a function that collates rows.

    Args:
        parts: as `in_columns` gives them; rows of a mapping are mappings, with their label inside.

    >>> Rows(Parts({"input_ids": [[1], [2, 3]]}, [0, 1]))[1]
    {'input_ids': [2, 3], 'labels': 1}
    """

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        column = parts.inputs
        while isinstance(column, Mapping | tuple):
            column = next(iter(column.values() if isinstance(column, Mapping) else column))
        self.size = len(column)
        if parts.weights is not None and len(parts.weights) != self.size:
            raise ValueError(
                f"data has {self.size} inputs but {len(parts.weights)} weights: expected one "
                "weight an input."
            )
        if parts.labels is not None and len(parts.labels) != self.size:
            raise ValueError(
                f"data has {self.size} inputs but {len(parts.labels)} labels: expected one label "
                "an input. Unlabelled data is written (inputs, None)."
            )

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, i: int) -> Any:
        inputs, labels, weights = (_row(part, i) for part in self.parts)
        if isinstance(inputs, dict):
            extra = {"labels": labels, "weights": weights}
            return inputs | {name: part for name, part in extra.items() if part is not None}
        return (inputs, labels) if weights is None else (inputs, labels, weights)

    def weights(self, numbers: list[int]) -> list[Any] | None:
        """What the examples with these numbers weigh, or None where none were given."""
        column = self.parts.weights
        return None if column is None else [_row(column, i) for i in numbers]


class Buffered:
    """The first examples of a stream, held in memory: they have numbers, and an order to draw.

    A stream cannot be shuffled, read a second time or resumed, since it does not know which example
    is which. What does not fit into memory is better written to disk once, as by
    `datasets.Dataset.from_generator`, which is read by number.

    Args:
        stream: an `IterableDataset`, a generator, or anything else that can be iterated over.
        examples: how many are read; fewer where the stream ends before.

    Raises:
        ValueError: for a number below 1.

    >>> len(Buffered(((float(i), i % 2) for i in range(1000)), examples=100))
    100
    """

    def __init__(self, stream: Iterable[Any], *, examples: int) -> None:
        self.rows = list(islice(stream, positive_int("examples", examples)))

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, i: int) -> Any:
        return self.rows[i]


def _row(value: Any, i: int) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _row(part, i) for key, part in value.items()}
    if isinstance(value, tuple):
        return tuple(_row(part, i) for part in value)
    return None if value is None else value[i]
