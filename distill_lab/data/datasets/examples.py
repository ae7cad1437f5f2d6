"""Inputs with their labels: what training and evaluation are given, for one seed or for many."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Examples"]


@dataclass(frozen=True, eq=False, repr=False)
class Examples:
    """A set of inputs with one label each, which unpacks as `inputs, labels`.

    *Stacked*, for many seeds at once, it has one row a seed. Every method works row by row and
    leaves the original as it was.

    Args:
        inputs: (N, ...), or stacked (S, N, ...).
        labels: classes (N,) int64, or stacked (S, N).

    Raises:
        TypeError: for anything but a tensor and whole numbers.
        ValueError: for shapes that do not fit together.

    >>> examples = Examples(torch.rand(6, 1, 8, 8), torch.tensor([3, 7, 8, 3, 7, 7]))
    >>> inputs, labels = examples.only(7, 8)
    >>> len(examples), tuple(inputs.shape), labels.tolist()
    (6, (4, 1, 8, 8), [7, 8, 7, 7])
    """

    inputs: Tensor
    labels: Tensor

    def __post_init__(self) -> None:
        for name in ("inputs", "labels"):
            if not isinstance(value := getattr(self, name), Tensor):
                raise TypeError(
                    f"{name} must be a tensor; got {type(value).__name__}. Use torch.as_tensor."
                )
        if self.labels.dtype != torch.int64:
            raise TypeError(
                f"labels must be class numbers of type int64; got {self.labels.dtype}. "
                "Call labels.long()."
            )
        dims = self.labels.ndim
        if dims not in (1, 2) or self.inputs.shape[:dims] != self.labels.shape:
            raise ValueError(
                "expected inputs (N, ...) with labels (N,), or stacked (S, N, ...) with (S, N); "
                f"got {tuple(self.inputs.shape)} with {tuple(self.labels.shape)}."
            )

    def __len__(self) -> int:
        """Examples a seed has: N, stacked or not."""
        return self.labels.shape[-1]

    def __iter__(self) -> Iterator[Tensor]:
        return iter((self.inputs, self.labels))

    def __repr__(self) -> str:
        each = "x".join(str(size) for size in self.inputs.shape[self.labels.ndim :]) or "1 number"
        seeds = "" if self.seeds is None else f", {self.seeds} seeds"
        return f"Examples({len(self):,} of {each}{seeds})"

    @property
    def seeds(self) -> int | None:
        """How many seeds are stacked; None for a plain set.

        >>> Examples(torch.rand(5, 9, 2), torch.zeros(5, 9, dtype=torch.long)).seeds
        5
        """
        return len(self.labels) if self.labels.ndim == 2 else None

    def take(self, n: int) -> "Examples":
        """The first `n` examples (of each seed). Splits are shuffled, so this is a fair few.

        Args:
            n: how many.

        Returns:
            A new set.

        Raises:
            ValueError: for more than there are, or fewer than one.

        >>> Examples(torch.rand(9, 2), torch.arange(9)).take(3).labels
        tensor([0, 1, 2])
        """
        if not 1 <= n <= len(self):
            raise ValueError(f"take(n) needs n from 1 to {len(self)}, the examples here; got {n}.")
        return self._pick(torch.arange(n))

    def only(self, *classes: int) -> "Examples":
        """The examples of these classes, in the order they had.

        Stacked, rows must stay equally long: each seed keeps its first k, where k is the number
        that the seed with the fewest has.

        Args:
            classes: which.

        Returns:
            A new set.

        Raises:
            ValueError: where a seed has none.

        >>> rows = torch.tensor([[7, 1, 7, 8], [1, 1, 8, 7]])
        >>> Examples(torch.rand(2, 4, 1), rows).only(7, 8).labels.tolist()
        [[7, 7], [8, 7]]
        """
        return self._keep(self._is_in(classes), f"only{classes}")

    def without(self, *classes: int) -> "Examples":
        """All examples but those of these classes; stacked, cut to equal length as in `only`.

        >>> Examples(torch.rand(4, 1), torch.tensor([3, 7, 3, 8])).without(3).labels
        tensor([7, 8])
        """
        return self._keep(~self._is_in(classes), f"without{classes}")

    def split(self, n: int, seed: int = 0) -> "tuple[Examples, Examples]":
        """Two parts that share nothing.

        Stacked, every row is cut by the same draw, so `x.at(i).split(n)` is `x.split(n)` at i.

        Args:
            n: how many examples the first part draws at random.
            seed: of the draw.

        Returns:
            The `n` examples, and the rest.

        Raises:
            ValueError: unless both parts hold something.

        >>> few, rest = Examples(torch.rand(9, 2), torch.arange(9)).split(4, seed=1)
        >>> len(few), len(rest), sorted(few.labels.tolist() + rest.labels.tolist())
        (4, 5, [0, 1, 2, 3, 4, 5, 6, 7, 8])
        """
        if not 1 <= n < len(self):
            raise ValueError(
                f"split(n) needs n from 1 to {len(self) - 1}, so that both parts hold something; "
                f"got {n}."
            )
        order = torch.randperm(len(self), generator=torch.Generator().manual_seed(seed))
        return self._pick(order[:n]), self._pick(order[n:])

    def halves(self, seed: int = 0) -> "tuple[Examples, Examples]":
        """Two random halves: tune on the first, report on the second.

        >>> tune, report = Examples(torch.rand(9, 2), torch.arange(9)).halves()
        >>> len(tune), len(report)
        (4, 5)
        """
        return self.split(len(self) // 2, seed)

    def at(self, seed: int) -> "Examples":
        """One row of a stacked set, counted from 0, as a plain set.

        Args:
            seed: which row.

        Returns:
            A plain set.

        Raises:
            ValueError: for a plain set.
            IndexError: for a row there is not.

        >>> stacked = Examples(torch.rand(5, 9, 2), torch.zeros(5, 9, dtype=torch.long))
        >>> stacked.at(2)
        Examples(9 of 2)
        """
        if self.seeds is None:
            raise ValueError("at(seed) needs stacked examples; these hold one seed already.")
        if not -self.seeds <= seed < self.seeds:
            raise IndexError(f"at(seed) needs a row from 0 to {self.seeds - 1}; got {seed}.")
        return Examples(self.inputs[seed], self.labels[seed])

    def to(self, device: torch.device | str) -> "Examples":
        """The same examples on another device."""
        return Examples(self.inputs.to(device), self.labels.to(device))

    def _pick(self, index: Tensor) -> "Examples":
        """The examples numbered in `index` (n,), the same numbers in every row."""
        index, dim = index.to(self.labels.device), self.labels.ndim - 1
        return Examples(self.inputs.index_select(dim, index), self.labels.index_select(dim, index))

    def _is_in(self, classes: tuple[int, ...]) -> Tensor:
        strange = [c for c in classes if not hasattr(c, "__index__") or c < 0]
        if not classes or strange:
            got = repr(strange[0]) if strange else "nothing"
            raise TypeError(
                f"expected class numbers, one after the other, as in only(7, 8); got {got}."
            )
        return torch.isin(self.labels, torch.tensor(list(classes), device=self.labels.device))

    def _keep(self, mask: Tensor, what: str) -> "Examples":
        kept = int(mask.sum(-1).min())
        if kept == 0:
            raise ValueError(
                f"{what} leaves no example{'' if self.seeds is None else ' to at least one seed'}; "
                f"the classes here are {self.labels.unique().tolist()}."
            )
        # A stable sort of "not kept" puts the kept ones first and keeps their order.
        order = (~mask).byte().argsort(dim=-1, stable=True)[..., :kept]
        if self.seeds is None:
            return self._pick(order)
        rows = torch.arange(self.seeds, device=order.device)[:, None]
        return Examples(self.inputs[rows, order], self.labels[rows, order])
