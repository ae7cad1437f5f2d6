"""Orders of one's own: which examples a run sees, and when, as functions of seed and epoch."""

from typing import Any, Protocol

import torch
from torch import Tensor

from distill_lab._util.checks import positive_int
from distill_lab._util.tensors import IGNORE
from distill_lab.data.fingerprints import of_tensors
from distill_lab.data.forms import as_tensor


class Sampler(Protocol):
    """An order of one's own in which a run sees its examples.

    It is a function of its three arguments and nothing else, so that a run that was stopped goes on
    with the same examples. It returns as many numbers for every epoch; one may come twice.
    """

    def order(self, examples: int, seed: int, epoch: int) -> Tensor:
        """The numbers of an epoch's examples, each from 0 to examples - 1, in their order.

        Args:
            examples: how many the data hold, N.
            seed: of the run.
            epoch: which of its epochs, from 0.

        Returns:
            Numbers of examples (M,), as many for each epoch.
        """


def generator_of(seed: int, epoch: int) -> torch.Generator:
    """The generator of an epoch's order: two runs with one seed draw the same.

    Args:
        seed: of the run.
        epoch: which of its epochs, from 0.

    Returns:
        A generator on the CPU.
    """
    return torch.Generator().manual_seed(seed * 1_000_003 + epoch)


class InOrder:
    """No shuffle: the examples in the order in which the data hold them.

    With `batch_size=len(data)` a batch is the whole data as they are, such as the nodes of a graph
    whose edges go by their numbers.

    >>> InOrder().order(4, seed=0, epoch=3)
    tensor([0, 1, 2, 3])
    """

    def order(self, examples: int, seed: int, epoch: int) -> Tensor:
        """0 to examples - 1.

        Args:
            examples: how many the data hold, N.
            seed: of the run.
            epoch: which of its epochs, from 0.

        Returns:
            0 to examples - 1 (N,), each time.
        """
        return torch.arange(examples)

    def __repr__(self) -> str:
        return "InOrder()"


class Weighted:
    """Examples as often as their weights say, in epochs as long as the data.

    Formula: of N examples, number i is drawn floor(N w_i / sum w) times or once more, and N w_i /
    sum w times in the mean: systematic resampling, with the least noise there can be.

    The loss is then that of the weighted examples, and needs no weights of its own.

    Args:
        weights: how often an example is drawn, relative to the others (N,).

    Raises:
        ValueError: for weights that are none: negative, not finite, or all 0.

    Source: Carpenter, Clifford & Fearnhead 1999, "Improved particle filter for nonlinear problems",
    section 3.

    >>> Weighted([3.0, 1.0, 0.0, 0.0]).order(4, seed=0, epoch=0).sort().values
    tensor([0, 0, 0, 1])
    """

    def __init__(self, weights: Any) -> None:
        self.weights = as_tensor("weights", weights).double().cpu()
        good = self.weights.dim() == 1 and bool(
            (self.weights.isfinite() & (self.weights >= 0)).all()
        )
        if not good or not self.weights.any():
            raise ValueError(
                "weights must be numbers of at least 0, one an example (N,), and not all 0; got "
                f"shape {tuple(self.weights.shape)}."
            )

    def order(self, examples: int, seed: int, epoch: int) -> Tensor:
        """An epoch of as many draws as there are examples, shuffled.

        Args:
            examples: how many the data hold, N.
            seed: of the run.
            epoch: which of its epochs, from 0.

        Returns:
            Numbers of examples (N,); one may come more than once.
        """
        _check_length("Weighted", "weights", len(self.weights), examples)
        generator = generator_of(seed, epoch)
        share = self.weights.cumsum(0) / self.weights.sum()
        at = torch.arange(examples, dtype=torch.float64)
        places = (at + torch.rand((), generator=generator, dtype=torch.float64)) / examples
        last = int(self.weights.nonzero()[-1])  # rounding may leave the last share below 1
        drawn = torch.searchsorted(share, places, right=True).clamp_max(last)
        return drawn[torch.randperm(examples, generator=generator)]

    def __repr__(self) -> str:
        return f"Weighted({len(self.weights)}, {of_tensors([('weights', self.weights)])})"


class ClassBalanced:
    """Every class as often as every other, in epochs as long as the data.

    A class with few examples repeats each of them about as often as the others; of one with many,
    every epoch sees another part.

    Args:
        labels: each example's class (N,).

    Raises:
        ValueError: for labels that are no classes, one an example, or that are missing.

    >>> balanced = ClassBalanced([0, 0, 0, 0, 0, 1])
    >>> torch.tensor([0, 0, 0, 0, 0, 1])[balanced.order(6, seed=0, epoch=0)].bincount()
    tensor([3, 3])
    """

    def __init__(self, labels: Any) -> None:
        self.labels = as_tensor("labels", labels).cpu()
        if self.labels.dim() != 1 or self.labels.is_floating_point() or not len(self.labels):
            raise ValueError(
                "labels must be class numbers, one an example (N,), to be balanced; got "
                f"{self.labels.dtype} {tuple(self.labels.shape)}. For others use Weighted."
            )
        missing = int((self.labels == IGNORE).sum())
        if missing:
            raise ValueError(
                f"{missing} of {len(self.labels)} examples have no label, and so no class to be "
                "balanced: leave them out of the data, or use Weighted."
            )

    def order(self, examples: int, seed: int, epoch: int) -> Tensor:
        """An epoch of as many draws as there are examples, shuffled.

        Args:
            examples: how many the data hold, N.
            seed: of the run.
            epoch: which of its epochs, from 0.

        Returns:
            Numbers of examples (N,); one may come more than once.
        """
        _check_length("ClassBalanced", "labels", len(self.labels), examples)
        generator = generator_of(seed, epoch)
        classes, which = self.labels.unique(return_inverse=True)
        each, more = divmod(examples, len(classes))
        # who gets one more follows from the epoch, so that none does always
        extra = torch.randperm(len(classes), generator=generator)[:more].tolist()
        parts = []
        for number in range(len(classes)):
            own = (which == number).nonzero().flatten()
            wanted = each + (number in extra)
            rounds = [
                own[torch.randperm(len(own), generator=generator)]
                for _ in range(-(-wanted // len(own)))
            ]
            parts += rounds and [torch.cat(rounds)[:wanted]]
        drawn = torch.cat(parts)
        return drawn[torch.randperm(len(drawn), generator=generator)]

    def __repr__(self) -> str:
        return f"ClassBalanced({len(self.labels)}, {of_tensors([('labels', self.labels)])})"


class ByLength:
    """Batches of texts of like length, so that little of them is padding; each once an epoch.

    The examples are shuffled, sorted by length within some fifty batches, and the batches shuffled:
    whom an example meets differs from epoch to epoch. What does not fill a batch comes last.

    Args:
        lengths: of the examples (N,).
        batch_size: that of the run.

    Raises:
        ValueError: for lengths that are no whole numbers (N,), or another size.

    >>> order = ByLength([9, 1, 9, 1, 9, 1], batch_size=3).order(6, seed=0, epoch=0)
    >>> sorted((order % 2).tolist()[:3]) in ([0, 0, 0], [1, 1, 1])
    True
    """

    def __init__(self, lengths: Any, batch_size: int) -> None:
        self.lengths = as_tensor("lengths", lengths).cpu()
        if self.lengths.dim() != 1 or self.lengths.is_floating_point():
            raise ValueError(
                "lengths must be whole numbers, one an example (N,); got "
                f"{self.lengths.dtype} {tuple(self.lengths.shape)}."
            )
        self.batch_size = positive_int("batch_size", batch_size)

    def order(self, examples: int, seed: int, epoch: int) -> Tensor:
        """A permutation in which each batch_size numbers are of like length.

        Args:
            examples: how many the data hold, N.
            seed: of the run.
            epoch: which of its epochs, from 0.

        Returns:
            The numbers 0 to examples - 1 (N,).
        """
        _check_length("ByLength", "lengths", len(self.lengths), examples)
        generator = generator_of(seed, epoch)
        shuffled = torch.randperm(examples, generator=generator)
        full = examples - examples % self.batch_size
        chunks = shuffled[:full].split(_BATCHES * self.batch_size)
        by_length = [chunk[self.lengths[chunk].argsort(stable=True)] for chunk in chunks]
        batches = torch.cat([*by_length, shuffled[:0]]).view(-1, self.batch_size)
        mixed = batches[torch.randperm(len(batches), generator=generator)]
        return torch.cat([mixed.flatten(), shuffled[full:]])

    def __repr__(self) -> str:
        held = of_tensors([("lengths", self.lengths)])
        return f"ByLength({len(self.lengths)}, {self.batch_size}, {held})"


_BATCHES = 50  # sorted together: little padding is left, and company still changes


def _check_length(name: str, what: str, own: int, examples: int) -> None:
    if own != examples:
        raise ValueError(
            f"{name} has {own} {what} and the data {examples} examples: expected one an example."
        )
