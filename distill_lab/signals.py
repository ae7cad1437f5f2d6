"""What a teacher says of each position, in one of four forms.

    Dense    the logits of every class
    TopK     the k most probable classes, and how much was left to all others
    Sampled  a few classes drawn from the teacher, weighted so that their mean is its distribution
    Text     what it wrote down: labels, hard targets

`...` stands for the positions: (B,) for pictures, (B, L) for the tokens of B texts.
`methods.divergence` scores a student against any of them.
"""

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from distill_lab._util.checks import positive_int
from distill_lab._util.tensors import IGNORE, check_temperature, check_tensor, in_float32, uniform

_BLOCK = 1 << 22  # probabilities held at once, so that a large vocabulary needs no more memory


class _Signal:
    """What the four have in common: they move, and are cut, as one."""

    __dataclass_fields__: ClassVar[dict[str, dataclasses.Field[Any]]]

    def to(self, device: torch.device | str) -> Self:
        """The same signal on another device."""
        return self.each(lambda tensor: tensor.to(device))

    def __getitem__(self, rows: int | slice | Tensor) -> Self:
        """The signal of some rows: an index into the first axis of positions."""
        return self.each(lambda tensor: tensor[rows])

    def __len__(self) -> int:
        return len(getattr(self, dataclasses.fields(self)[0].name))

    def each(self, change: Callable[[Tensor], Tensor]) -> Self:
        """The same signal of tensors that were cut or moved alike."""
        fields = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        tensors = {name: change(v) for name, v in fields.items() if isinstance(v, Tensor)}
        return dataclasses.replace(self, **tensors)


@dataclass(frozen=True, eq=False)
class Dense(_Signal):
    """The logits of every class, as a live teacher gives them.

    Where nothing is masked, a plain tensor says the same.

    Args:
        logits: scores (..., C) of every class.
        mask: True (...) where the teacher has an answer; None for everywhere.

    Raises:
        TypeError, ValueError: for shapes or types that cannot be this.
    """

    logits: Tensor
    mask: Tensor | None = None

    def __post_init__(self) -> None:
        check_tensor("logits", self.logits)
        _check_positions(self.mask, "mask", self.logits)


@dataclass(frozen=True, eq=False)
class TopK(_Signal):
    """The k classes that the teacher finds most probable, and how probable, at temperature T.

    Args:
        ids: the classes (..., k).
        log_probs: their log-probabilities (..., k) in the whole distribution, in nats.
        T: the temperature of the teacher's softmax.
        mask: True (...) where the teacher has an answer; None for everywhere.

    Raises:
        TypeError, ValueError: for shapes or types that cannot be this.
    """

    ids: Tensor
    log_probs: Tensor
    T: float = 1.0
    mask: Tensor | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "T", check_temperature(self.T))
        _check_ids(self.ids)
        check_tensor("log_probs", self.log_probs)
        _check_beside(self.log_probs, "log_probs", self.ids)
        _check_positions(self.mask, "mask", self.ids)

    @property
    def tail(self) -> Tensor:
        """The probability (...) that the k classes leave to all others, at least 0."""
        return (1 - in_float32(self.log_probs).exp().sum(-1)).clamp_min(0)


@dataclass(frozen=True, eq=False)
class Sampled(_Signal):
    """Classes drawn from the teacher at temperature T, with unbiased weights.

    The mean of sum_j weights_j onehot(ids_j) over draws is the teacher's distribution p.

    Args:
        ids: the classes (..., n).
        weights: what each weighs (..., n), not negative.
        neg_entropy_est: sum_j weights_j log p_j (...) in nats, the estimate of the teacher's
            negative entropy: the one number that the value of a divergence needs beside the draws,
            and its gradient not at all.
        T: the temperature of the teacher's softmax.
        mask: True (...) where the teacher has an answer; None for everywhere.
        certain: how many of the classes (...), the first ones, were kept for certain, so that each
            weighs its own probability; None where that is not known.

    Raises:
        TypeError, ValueError: for shapes or types that cannot be this.
    """

    ids: Tensor
    weights: Tensor
    neg_entropy_est: Tensor
    T: float = 1.0
    mask: Tensor | None = None
    certain: Tensor | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "T", check_temperature(self.T))
        _check_ids(self.ids)
        check_tensor("weights", self.weights)
        _check_beside(self.weights, "weights", self.ids)
        _check_positions(self.neg_entropy_est, "neg_entropy_est", self.ids)
        _check_positions(self.mask, "mask", self.ids)
        _check_positions(self.certain, "certain", self.ids)

    @property
    def known(self) -> Tensor | None:
        """True (..., n) at the classes whose weight is their probability; None: not known."""
        if self.certain is None:
            return None
        places = torch.arange(self.ids.shape[-1], device=self.ids.device)
        return (places < self.certain.unsqueeze(-1)) & (self.weights > 0)


@dataclass(frozen=True, eq=False)
class Text(_Signal):
    """What the teacher wrote: one class a position, and -100 where it wrote nothing.

    Args:
        labels: the classes (...).

    Raises:
        TypeError: for anything but whole numbers.
    """

    labels: Tensor

    def __post_init__(self) -> None:
        _check_ids(self.labels, "labels")

    @property
    def mask(self) -> Tensor:
        """True (...) where something was written."""
        return self.labels != IGNORE


Signal = Dense | TopK | Sampled | Text


def top_k(logits: Tensor, k: int, *, T: float = 1.0, mask: Tensor | None = None) -> TopK:
    """Keep the k most probable classes of softmax(logits / T).

    Args:
        logits: the teacher's scores (..., C).
        k: how many classes to keep.
        T: the temperature of the softmax.
        mask: True (...) where the teacher has an answer; None for everywhere.

    Returns:
        A signal with ids and log_probs (..., k), the most probable class first.

    Raises:
        ValueError: for k outside 1 to C, or T <= 0.

    >>> kept = top_k(torch.tensor([[2.0, 0.0, 1.0]]), k=2)
    >>> kept.ids.tolist(), round(kept.tail.item(), 3)
    ([[0, 2]], 0.09)
    """
    check_tensor("logits", logits)
    T = check_temperature(T)
    classes = logits.shape[-1]
    if positive_int("k", k) > classes:
        raise ValueError(f"k = {k} but there are only {classes} classes: ask for fewer.")
    log_probs, ids = (in_float32(logits) / T).log_softmax(-1).topk(k)  # (..., C) -> (..., k)
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

    `systematic_sample` has the method and the proof.

    Args:
        logits: the teacher's scores (B, ..., C).
        n: how many classes to draw at each position.
        T: the temperature of the softmax.
        seed: with the number of the example and the position, decides what is drawn.
        ids: numbers (B,) of the examples, so that a draw does not depend on the batch that an
            example came in; without them the rows are numbered from 0.
        mask: True (...) where the teacher has an answer; None for everywhere.

    Returns:
        A signal with ids and weights (B, ..., n), neg_entropy_est and certain (B, ...).

    Raises:
        ValueError: for n < 1, T <= 0, or ids that are not one an example.

    >>> drawn = sample(torch.tensor([[3.0, 0.0, 0.0, 0.0]]), n=2)
    >>> drawn.ids[0, 0].item(), round(drawn.weights.sum().item(), 6)  # the likeliest is certain
    (0, 1.0)
    """
    check_tensor("logits", logits)
    T = check_temperature(T)
    u = _uniform_of_positions(seed, logits.shape[:-1], ids)
    n = positive_int("n", n)
    drawn, weights, neg_entropy_est, certain = systematic_sample(logits, u, n, T=T)
    return Sampled(drawn, weights, neg_entropy_est, T, mask, certain)


def systematic_sample(
    logits: Tensor, u: Tensor, slots: int | list[int], *, T: float = 1.0
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Draw n classes from p = softmax(logits / T) with unbiased weights that sum to 1.

    Method: the h most probable classes are kept for certain, with their probability as weight. The
    other n - h places weigh tau = (1 - sum of those h) / (n - h) each and are filled by systematic
    sampling: with one u from [0, 1), place i goes to the class in which the running sum of p / tau
    over the other classes passes u + i. h is the smallest number for which no other class is more
    probable than tau; with a place for each class, all of them are.

    Unbiased: the numbers u + i are a comb of step 1 with a uniform start, and class j owns a
    stretch of length p_j / tau, so p_j / tau teeth fall into it on average, and E[w_j] =
    tau p_j / tau = p_j. The h classes weigh p_j as they are. Whatever is linear in the weights is
    then unbiased as well: the divergence sum_j w_j (log p_j - log q_j), and its gradient.

    Less variance than n independent draws, where it is p_j (1 - p_j) / n for w_j: here it is 0 for
    the h and p_j (tau - p_j) for the others, and tau <= 1 / n (each class that is made certain
    takes more than its share, so tau falls with it).

    Args:
        logits: the teacher's scores (..., C).
        u: one number (...) from [0, 1) a position.
        slots: n, or a list whose entry h is n where h classes are certain: a record of fixed size
            holds fewer where the certain ones, whose weights must be written down, are many.
        T: the temperature of the softmax.

    Returns:
        ids (..., n), the certain ones first by falling probability; weights (..., n), 0 where a
        place is empty; neg_entropy_est (...), sum_j w_j log p_j in nats; and certain (...), which
        is h. n is the largest of `slots`.

    Raises:
        ValueError: for slots that leave no place, or another number of u than of positions.

    Source: Madow 1949 (systematic sampling); Duffield, Lund & Thorup 2007 (threshold sampling);
    Anshumann et al. 2025, arXiv:2503.16870 (sampling a teacher).

    >>> logits, u = torch.tensor([3.0, 0.0, 0.0]), torch.tensor(0.5)
    >>> ids, weights, _, certain = systematic_sample(logits, u, 2)
    >>> ids.tolist(), certain.item(), round(weights[0].item(), 3)  # exp(3) / (exp(3) + 2)
    ([0, 2], 1, 0.909)
    """
    shape, classes = logits.shape[:-1], logits.shape[-1]
    sizes = slots if isinstance(slots, list) else [slots] * slots
    room = not isinstance(slots, list) and slots >= classes
    if not all(size > h for h, size in enumerate(sizes)) or not sizes:
        raise ValueError(f"slots must leave a place beside the certain classes, got {slots!r}.")
    if u.shape != shape:
        raise ValueError(f"u has shape {tuple(u.shape)}: expected one a position, {tuple(shape)}.")
    # float64: over 100,000 classes a running sum in float32 forgets the rare ones; MPS has none
    device = torch.device("cpu") if logits.device.type == "mps" else logits.device
    rows = max(1, _BLOCK // classes)
    z = logits.detach().reshape(-1, classes).to(device).split(rows)  # (R, C) each
    parts = [
        _systematic_rows((some.double() / T).log_softmax(-1), start, sizes, room)
        for some, start in zip(z, u.to(device).flatten().split(rows), strict=True)
    ]
    ids, weights, neg_entropy_est, certain = (
        torch.cat(part).to(logits.device) for part in zip(*parts, strict=True)
    )
    per_class = (*shape, max(sizes))  # (..., n)
    return (
        ids.view(per_class),
        weights.view(per_class),
        neg_entropy_est.view(shape),
        certain.view(shape),
    )


def _uniform_of_positions(seed: int, shape: tuple[int, ...], ids: Tensor | None) -> Tensor:
    """A uniform number for each position (B, ...), from the example's id and the place in it."""
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
    log_p: Tensor, u: Tensor, sizes: list[int], room: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """One block: log p (R, C), u (R,) -> ids, weights (R, n), neg_entropy_est, certain (R,).

    Where there is room for every class, each that has a share is certain.
    """
    p, classes = log_p.exp(), log_p.shape[-1]
    top_p, top = p.topk(min(len(sizes), classes))  # (R, k)
    if room:
        certain = (top_p > 0).sum(-1)
        places = max(sizes) - certain
    else:
        certain, places = _split(top_p, torch.tensor(sizes, device=p.device))
    is_certain = torch.arange(top.shape[-1], device=p.device) < certain[:, None]

    # the certain classes are taken out; a spare column is hit where there is nothing to take
    others = torch.cat((p, p.new_zeros(len(p), 1)), -1)
    others = others.scatter(-1, torch.where(is_certain, top, classes), 0.0)[:, :classes]  # (R, C)
    running = others.cumsum(-1)
    left = running[:, -1:]
    tau = left / places.clamp_min(1)[:, None]

    place = torch.arange(max(sizes), device=p.device)
    tooth = (place - certain[:, None]).clamp_min(0)
    # rounding must not push the last tooth past the last class that has a share
    comb = ((u[:, None] + tooth) * tau).minimum(left * (1 - 1e-15))
    ids = torch.searchsorted(running, comb.contiguous(), right=True)  # (R, n)
    ids = ids.clamp_max(classes - 1)
    weights = torch.where(place < (certain + places)[:, None], tau, 0.0)
    width = min(top.shape[-1], len(place))
    first = is_certain[:, :width]
    ids[:, :width] = torch.where(first, top[:, :width], ids[:, :width])
    weights[:, :width] = torch.where(first, top_p[:, :width], weights[:, :width])
    ids = torch.where(weights > 0, ids, 0)
    neg_entropy = torch.where(weights > 0, weights * log_p.gather(-1, ids), 0.0).sum(-1)
    return ids, weights.float(), neg_entropy.float(), certain


def _split(top_p: Tensor, sizes: Tensor) -> tuple[Tensor, Tensor]:
    """How many classes are certain, and how many places that leaves: (R, k), (H,) -> (R,), (R,)."""
    maximum = len(sizes)
    p = torch.nn.functional.pad(top_p, (0, max(0, maximum - top_p.shape[-1])))[:, :maximum]
    taken = p.cumsum(-1) - p  # before class h + 1
    places = sizes - torch.arange(maximum, device=sizes.device)
    enough = p <= (1 - taken).clamp_min(0) / places.clamp_min(1)
    certain = torch.where(enough.any(-1), enough.int().argmax(-1), maximum - 1)
    return certain, places[certain]


def _check_ids(ids: object, name: str = "ids") -> None:
    if not isinstance(ids, Tensor) or ids.is_floating_point() or ids.dtype == torch.bool:
        got = ids.dtype if isinstance(ids, Tensor) else type(ids).__name__
        raise TypeError(f"{name} must be a tensor of class indices (whole numbers), not {got}.")


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
