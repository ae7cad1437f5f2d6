"""What a teacher said, in one of four forms, and one way to score a student against any of them.

    Dense    the logits of every class
    TopK     the k most probable classes, and how much was left to all others
    Sampled  a few classes drawn from the teacher, weighted so that their mean is the whole
    Text     what it wrote down: labels, hard targets

``...`` stands for the positions: (B,) for pictures, (B, L) for the tokens of B texts.
"""

import dataclasses
import math
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from distill_lab._util.tensors import IGNORE, check_temperature, check_tensor, in_float32, uniform


class _Signal:
    """What the four have in common: they move, and are cut, as one."""

    def to(self, device: torch.device | str) -> Self:
        """The same signal on another device."""
        return self._each(lambda tensor: tensor.to(device))

    def __getitem__(self, rows: int | slice | Tensor) -> Self:
        """The signal of some rows: an index into the first axis of positions."""
        return self._each(lambda tensor: tensor[rows])

    def __len__(self) -> int:
        first = dataclasses.fields(self)[0].name  # type: ignore[arg-type]
        return len(getattr(self, first))

    def _each(self, change) -> Self:  # type: ignore[no-untyped-def]
        fields = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}  # type: ignore[arg-type]
        tensors = {name: change(v) for name, v in fields.items() if isinstance(v, Tensor)}
        return dataclasses.replace(self, **tensors)  # type: ignore[type-var]


@dataclass(frozen=True, eq=False)
class Dense(_Signal):
    """The logits of every class, as a live teacher gives them.

    Shapes: logits (..., C); mask (...), True where the teacher spoke, None for everywhere. Where
    nothing is masked, a plain tensor says the same.
    """

    logits: Tensor
    mask: Tensor | None = None

    def __post_init__(self) -> None:
        check_tensor("logits", self.logits)
        _check_positions(self.mask, "mask", self.logits)


@dataclass(frozen=True, eq=False)
class TopK(_Signal):
    """The k classes the teacher found most probable, and how probable, at temperature T.

    Shapes: ids and log_probs (..., k), the log-probabilities those of the whole distribution;
    mask (...). ``tail`` (...) is the probability that all other classes share.
    Raises TypeError or ValueError for shapes or types that cannot be this.
    """

    ids: Tensor
    log_probs: Tensor
    T: float = 1.0
    mask: Tensor | None = None

    def __post_init__(self) -> None:
        check_temperature(self.T)
        _check_ids(self.ids)
        check_tensor("log_probs", self.log_probs)
        _check_beside(self.log_probs, "log_probs", self.ids)
        _check_positions(self.mask, "mask", self.ids)

    @property
    def tail(self) -> Tensor:
        """What the k classes leave to all others, at least 0."""
        return (1 - in_float32(self.log_probs).exp().sum(-1)).clamp_min(0)


@dataclass(frozen=True, eq=False)
class Sampled(_Signal):
    """Classes drawn from the teacher at temperature T, with unbiased weights.

    The mean of sum_j weights_j onehot(ids_j) over draws is the teacher's distribution p. ``own`` is
    the teacher's own share of the divergence, sum_j weights_j log p_j: the one number that the
    value needs beside the draws, and the gradient not at all.
    Shapes: ids and weights (..., n), own and mask (...).
    Raises TypeError or ValueError for shapes or types that cannot be this.
    """

    ids: Tensor
    weights: Tensor
    own: Tensor
    T: float = 1.0
    mask: Tensor | None = None

    def __post_init__(self) -> None:
        check_temperature(self.T)
        _check_ids(self.ids)
        check_tensor("weights", self.weights)
        _check_beside(self.weights, "weights", self.ids)
        _check_positions(self.own, "own", self.ids)
        _check_positions(self.mask, "mask", self.ids)


@dataclass(frozen=True, eq=False)
class Text(_Signal):
    """What the teacher wrote: one class a position, and -100 where it wrote nothing.

    Shapes: labels (...). Raises TypeError for anything but whole numbers.
    """

    labels: Tensor

    def __post_init__(self) -> None:
        _check_ids(self.labels, "labels")

    @property
    def mask(self) -> Tensor:
        """True where something was written."""
        return self.labels != IGNORE


Signal = Dense | TopK | Sampled | Text


def top_k(logits: Tensor, k: int, *, T: float = 1.0, mask: Tensor | None = None) -> TopK:
    """Keep the k most probable classes of softmax(logits / T).

    Shapes: logits (..., C) -> ids and log_probs (..., k).
    Raises ValueError for k outside 1 to C, or T <= 0.

    >>> kept = top_k(torch.tensor([[2.0, 0.0, 1.0]]), k=2)
    >>> kept.ids.tolist(), round(kept.tail.item(), 3)
    ([[0, 2]], 0.09)
    """
    check_tensor("logits", logits)
    check_temperature(T)
    _check_number("k", k, most=logits.shape[-1])
    log_probs, ids = (in_float32(logits) / T).log_softmax(-1).topk(k)
    return TopK(ids, log_probs, T, mask)


def sample(
    logits: Tensor,
    n: int,
    *,
    T: float = 1.0,
    seed: int = 0,
    ids: Tensor | None = None,
    mask: Tensor | None = None,
) -> Sampled:
    """Draw n classes a position from softmax(logits / T), with unbiased weights that sum to 1.

    ``ids`` (B,) number the examples: what is drawn follows from (seed, example, position) alone,
    not from the batch an example came in. Without them the rows are numbered from 0.
    `systematic_sample` has the method and the proof.
    Shapes: logits (B, ..., C) -> ids and weights (B, ..., n), own (B, ...).
    Raises ValueError for n < 1, T <= 0, or ids that are not one an example.

    >>> drawn = sample(torch.tensor([[3.0, 0.0, 0.0, 0.0]]), n=2)
    >>> drawn.ids[0, 0].item(), round(drawn.weights.sum().item(), 6)  # the likeliest is certain
    (0, 1.0)
    """
    check_tensor("logits", logits)
    check_temperature(T)
    _check_number("n", n)
    drawn, weights, own, _ = systematic_sample(
        logits, by_example(seed, logits.shape[:-1], ids), n, T=T
    )
    return Sampled(drawn, weights, own, T, mask)


_BLOCK = 1 << 22  # probabilities held at once, so that a large vocabulary needs no more memory


def systematic_sample(
    logits: Tensor, u: Tensor, slots: int | list[int], *, T: float = 1.0
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Draw n classes from p = softmax(logits / T) with unbiased weights that sum to 1.

    Method: the h most probable classes are kept for certain, with their probability as weight. The
    other n - h places weigh tau = (1 - sum of those h) / (n - h) each and are filled by systematic
    sampling: with one u from [0, 1), place i goes to the class in which the running sum of p / tau
    over the other classes passes u + i. h is the smallest number for which no other class is more
    probable than tau.
    Unbiased: the numbers u + i are a comb of step 1 with a uniform start, and class j owns a
    stretch of length p_j / tau, so p_j / tau teeth fall into it on average, and E[w_j] =
    tau p_j / tau = p_j. The h classes weigh p_j as they are. Whatever is linear in the weights is
    then unbiased as well: the divergence sum_j w_j (log p_j - log q_j), and its gradient.
    Quieter than n independent draws, where w_j has the variance p_j (1 - p_j) / n: here it is 0 for
    the h and p_j (tau - p_j) for the others, and tau <= 1 / n (each class that is made certain
    takes more than its share, so tau falls with it).

    ``slots`` is n, or a list whose entry h is n where h classes are certain: a record of fixed size
    holds fewer where the certain ones, whose weights must be written down, are many.
    Shapes: logits (..., C), u (...) -> ids (..., n), the certain ones first by falling probability;
    weights (..., n), 0 where a place is empty; own (...), sum_j w_j log p_j; and certain (...),
    which is h. n is the largest of ``slots``.
    Raises ValueError for slots that leave no place, or another number of u than of positions.
    Madow 1949 (systematic sampling); Duffield, Lund & Thorup 2007 (threshold sampling); Anshumann
    et al. 2025, arXiv:2503.16870 (sampling a teacher).
    """
    shape, classes = logits.shape[:-1], logits.shape[-1]
    sizes = slots if isinstance(slots, list) else [slots] * slots
    if not all(size > h for h, size in enumerate(sizes)) or not sizes:
        raise ValueError(f"slots must leave a place beside the certain classes, got {slots!r}.")
    if u.shape != shape:
        raise ValueError(f"u has shape {tuple(u.shape)}: expected one a position, {tuple(shape)}.")
    # float64: over 100,000 classes a running sum in float32 forgets the rare ones; MPS has none
    device = torch.device("cpu") if logits.device.type == "mps" else logits.device
    rows = max(1, _BLOCK // classes)
    z = logits.detach().reshape(-1, classes).to(device).split(rows)
    parts = [
        _systematic_rows((some.double() / T).log_softmax(-1), start, sizes)
        for some, start in zip(z, u.to(device).flatten().split(rows), strict=True)
    ]
    ids, weights, own, certain = (
        torch.cat(part).to(logits.device) for part in zip(*parts, strict=True)
    )
    return ids.view(*shape, -1), weights.view(*shape, -1), own.view(shape), certain.view(shape)


def by_example(seed: int, shape: tuple[int, ...], ids: Tensor | None = None) -> Tensor:
    """A uniform number for each position (B, ...), from the example's id and the place in it.

    Without ids (B,) the rows are numbered from 0. Raises ValueError for no rows to number, or ids
    that are not one an example.
    """
    if not shape:
        raise ValueError("logits have shape (C,): expected (B, ..., C), one row an example.")
    examples = torch.arange(shape[0]) if ids is None else ids
    if examples.shape != shape[:1]:
        raise ValueError(
            f"ids have shape {tuple(examples.shape)} for {shape[0]} examples: expected one number "
            "an example."
        )
    return uniform(seed, examples[:, None], torch.arange(math.prod(shape[1:]))).view(shape)


def _systematic_rows(
    log_p: Tensor, u: Tensor, sizes: list[int]
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """One block: log p (R, C) and u (R,) -> ids and weights (R, n), own and certain (R,)."""
    p, classes = log_p.exp(), log_p.shape[-1]
    top_p, top = p.topk(min(len(sizes), classes))
    certain, places = _split(top_p, torch.tensor(sizes, device=p.device))
    is_certain = torch.arange(top.shape[-1], device=p.device) < certain[:, None]

    # the certain classes are taken out; a spare column is hit where there is nothing to take
    others = torch.cat((p, p.new_zeros(len(p), 1)), -1)
    others = others.scatter(-1, torch.where(is_certain, top, classes), 0.0)[:, :classes]
    running = others.cumsum(-1)
    left = running[:, -1:]
    tau = left / places.clamp_min(1)[:, None]

    place = torch.arange(max(sizes), device=p.device)
    tooth = (place - certain[:, None]).clamp_min(0)
    # rounding must not push the last tooth past the last class that has a share
    comb = ((u[:, None] + tooth) * tau).minimum(left * (1 - 1e-15))
    ids = torch.searchsorted(running, comb.contiguous(), right=True).clamp_max(classes - 1)
    weights = torch.where(place < (certain + places)[:, None], tau, 0.0)
    width = min(top.shape[-1], len(place))
    first = is_certain[:, :width]
    ids[:, :width] = torch.where(first, top[:, :width], ids[:, :width])
    weights[:, :width] = torch.where(first, top_p[:, :width], weights[:, :width])
    ids = torch.where(weights > 0, ids, 0)
    own = torch.where(weights > 0, weights * log_p.gather(-1, ids), 0.0).sum(-1)
    return ids, weights.float(), own.float(), certain


def _split(top_p: Tensor, sizes: Tensor) -> tuple[Tensor, Tensor]:
    """How many classes are certain, and how many places that leaves: (R, k), (H,) -> (R,), (R,)."""
    most = len(sizes)
    p = torch.nn.functional.pad(top_p, (0, max(0, most - top_p.shape[-1])))[:, :most]
    taken = p.cumsum(-1) - p  # before class h + 1
    places = sizes - torch.arange(most, device=sizes.device)
    enough = p <= (1 - taken).clamp_min(0) / places.clamp_min(1)
    certain = torch.where(enough.any(-1), enough.int().argmax(-1), most - 1)
    return certain, places[certain]


def _check_ids(ids: object, name: str = "ids") -> None:
    if not isinstance(ids, Tensor) or ids.is_floating_point() or ids.dtype == torch.bool:
        found = ids.dtype if isinstance(ids, Tensor) else type(ids).__name__
        raise TypeError(f"{name} must be a tensor of class indices (whole numbers), not {found}.")


def _check_beside(tensor: Tensor, name: str, ids: Tensor) -> None:
    if tensor.shape != ids.shape:
        raise ValueError(
            f"{name} have shape {tuple(tensor.shape)} and ids {tuple(ids.shape)}: expected one "
            "for each class named."
        )


def _check_positions(tensor: Tensor | None, name: str, named: Tensor) -> None:
    if tensor is not None and tensor.shape != named.shape[:-1]:
        raise ValueError(
            f"{name} has shape {tuple(tensor.shape)}: expected one entry a position, "
            f"{tuple(named.shape[:-1])}."
        )


def _check_number(name: str, value: int, most: int | None = None) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError(f"{name} must be a positive integer, got {value!r}.")
    if most is not None and value > most:
        raise ValueError(f"{name} = {value} but there are only {most} classes: ask for fewer.")
