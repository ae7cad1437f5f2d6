"""The same examples in every form in which a user may have them."""

from functools import partial
from typing import Any

import datasets
import torch
from torch import Tensor

from distill_lab.data import Batch, Buffered, ByLength, ClassBalanced, InOrder, Weighted
from tests.training.grid.axes import EXAMPLES, examples_of
from tests.training.grid.covering import Case
from tests.training.grid.problems import Problem


class Own:
    """An order of one's own: shorter than the data, and one example comes twice."""

    def order(self, examples: int, seed: int, epoch: int) -> Tensor:
        generator = torch.Generator().manual_seed(50 + epoch + 7 * seed)
        numbers = torch.randperm(examples, generator=generator)[: examples_of("own")]
        numbers[-1] = numbers[0]
        return numbers

    def __repr__(self) -> str:
        return "Own()"


class Rows(torch.utils.data.Dataset):
    def __init__(self, rows: list[Any]) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, i: int) -> Any:
        return self.rows[i]


class OwnSource:
    def __init__(self, inputs: Any, labels: Tensor | None, weights: Tensor | None) -> None:
        self.parts = inputs, labels, weights

    def __len__(self) -> int:
        return EXAMPLES

    def batch(self, index: Tensor) -> Batch:
        inputs, labels, weights = self.parts
        rows = {k: v[index] for k, v in inputs.items()} if isinstance(inputs, dict) else None
        return Batch(
            inputs[index] if rows is None else rows,
            None if labels is None else labels[index],
            index,
            None if weights is None else weights[index],
        )


def stacked(rows: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    return {name: torch.stack([row[name] for row in rows]) for name in rows[0]}


def padded(rows: list[dict[str, Any]], *, soft: bool) -> dict[str, Tensor]:
    """Texts of several lengths, as wide as the longest; labels -100 or NaN behind the end."""
    width = max(len(row["input_ids"]) for row in rows)

    def filled(name: str, values: list[Any]) -> list[Any]:
        fill: Any = 0
        if name == "labels":
            each = values[0][0] if isinstance(values[0], list) else values[0]
            fill = float("nan") if isinstance(each, float) else -100
            if isinstance(values[0], list):
                fill = [1.0] + [0.0] * (len(values[0]) - 1) if soft else [fill] * len(values[0])
        return values + [fill] * (width - len(values))

    return {
        name: torch.tensor([filled(name, row[name]) for row in rows])
        if isinstance(rows[0][name], list)
        else torch.stack([torch.as_tensor(row[name]) for row in rows])
        for name in rows[0]
    }


def as_given(case: Case, problem: Problem) -> tuple[Any, dict[str, Any]]:
    """The data as the case has them, and what `distill` is told beside them."""
    form, inputs, labels, weights = case["form"], problem.inputs, problem.labels, problem.weights
    alone: Any = inputs["x"] if set(inputs) == {"x"} else inputs
    more: dict[str, Any] = {}
    named = {"labels": labels, "weights": weights}
    by_name = inputs | {name: part for name, part in named.items() if part is not None}
    if form == "dict":
        return by_name, {}
    if form == "other names":
        other = {"labels": "label", "weights": "weight"}
        return {other.get(name, name): part for name, part in by_name.items()}, {}
    if form == "lists":
        return [{n: c[i].tolist() for n, c in by_name.items()} for i in range(EXAMPLES)], {}
    if form == "stream":
        return Buffered(iter(_rows(alone, labels, weights)), examples=2 * EXAMPLES), {}
    if form == "numpy":
        arrays = [None if p is None else _numpy(p) for p in (alone, labels, weights)]
        return tuple(arrays[: 3 if weights is not None else 2]), {}
    if form == "rows":
        return Rows(_rows(alone, labels, weights)), {}
    if form == "collate":
        rows = [{n: c[i] for n, c in by_name.items()} for i in range(EXAMPLES)]
        return Rows(rows), {"collate": stacked}
    if form == "hf":
        return datasets.Dataset.from_dict({n: c.tolist() for n, c in by_name.items()}), {}
    if form == "source":
        return OwnSource(alone, labels, weights), {}
    if form == "ragged":
        assert problem.lengths is not None
        alone, labels = (_cut(part, problem.lengths.tolist()) for part in (alone, labels))
        more = {"collate": partial(padded, soft=case["labels"] == "soft")}
    return ((alone, labels) if weights is None else (alone, labels, weights)), more


def sampler_of(case: Case, problem: Problem) -> Any:
    """The sampler of a case; None leaves the shuffle."""
    order = case["order"]
    if order == "as they are":
        return InOrder()
    if order == "own":
        return Own()
    if order == "by length":
        return ByLength(problem.lengths, case["batch"])
    if order == "balanced":
        if case["answer"] == "classes" and case["labels"] == "all":
            return ClassBalanced(problem.labels)
        return Weighted(torch.arange(1.0, 1 + EXAMPLES))
    return None


def _cut(part: Any, lengths: list[int]) -> Any:
    """Lists of their own lengths in place of padded columns."""
    if isinstance(part, dict):
        return {name: _cut(column, lengths) for name, column in part.items()}
    return (
        None if part is None else [row[:n] for row, n in zip(part.tolist(), lengths, strict=True)]
    )


def _numpy(part: Any) -> Any:
    if isinstance(part, dict):
        return {name: column.numpy() for name, column in part.items()}
    return part.numpy()


def _rows(inputs: Any, labels: Tensor | None, weights: Tensor | None) -> list[Any]:
    rows = []
    for i in range(EXAMPLES):
        own = {n: c[i] for n, c in inputs.items()} if isinstance(inputs, dict) else inputs[i]
        label = None if labels is None else labels[i]
        rows.append((own, label) if weights is None else (own, label, weights[i]))
    return rows
