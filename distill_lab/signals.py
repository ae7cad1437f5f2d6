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

from distill_lab.losses.positions import (
    IGNORE,
    check_mask,
    check_temperature,
    check_tensor,
    in_float32,
    mean_over,
)
from distill_lab.losses.response import cross_entropy, forward_kl
from distill_lab.losses.sparse import sampled_cross_entropy, topk_kl
from distill_lab.sampling import by_example, draw


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


def divergence(
    student_logits: Tensor, said: Tensor | Signal, *, T: float = 1.0, mask: Tensor | None = None
) -> Tensor:
    """How far the student is from what the teacher said: KL(teacher || student), in nats.

    Formula: Dense or a plain tensor of logits: ``forward_kl``. TopK: ``topk_kl`` with its tail
    bucket, a lower bound. Sampled: the unbiased estimate own - sum_j w_j log q_j. Text: the
    cross-entropy -log q_y, which is KL to what was written. No factor T squared.
    Shapes: student_logits (..., C), mask (...) -> scalar, a mean over the positions where the
    teacher spoke and the mask is True.
    Raises ValueError for a signal that was recorded at another T, and as those losses.
    Hinton, Vinyals & Dean 2015, section 2.

    >>> z_s, z_t = torch.tensor([[0.0, 1.0]]), torch.tensor([[2.0, 0.0]])
    >>> dense = divergence(z_s, z_t, T=2.0)
    >>> torch.isclose(dense, divergence(z_s, top_k(z_t, 2, T=2.0), T=2.0), atol=1e-4).item()
    True
    """
    if isinstance(said, Tensor):
        return forward_kl(student_logits, said, T=T, mask=mask)
    if isinstance(said, Text):
        _check_same_temperature("text was written", 1.0, T)
        return cross_entropy(student_logits, said.labels, mask=mask)
    if not isinstance(said, (Dense, TopK, Sampled)):
        raise TypeError(
            "the teacher must have said a tensor of logits or a Dense, TopK, Sampled or Text, not "
            f"{type(said).__name__}. Hugging Face outputs keep their logits in `.logits`."
        )
    if said.mask is not None:
        mask = said.mask if mask is None else mask.bool() & said.mask
    if isinstance(said, Dense):
        return forward_kl(student_logits, said.logits, T=T, mask=mask)
    _check_same_temperature("the signal was recorded", said.T, T)
    if isinstance(said, TopK):
        return topk_kl(student_logits, said.ids, said.log_probs, T=T, mask=mask)
    scored = sampled_cross_entropy(student_logits, said.ids, said.weights, T=T, mask=mask)
    kept = None if mask is None else check_mask(mask, student_logits)
    return scored + mean_over(in_float32(said.own), kept)


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
    ``distill_lab.sampling.draw`` has the method and the proof.
    Shapes: logits (B, ..., C) -> ids and weights (B, ..., n), own (B, ...).
    Raises ValueError for n < 1, T <= 0, or ids that are not one an example.

    >>> drawn = sample(torch.tensor([[3.0, 0.0, 0.0, 0.0]]), n=2)
    >>> drawn.ids[0, 0].item(), round(drawn.weights.sum().item(), 6)  # the likeliest is certain
    (0, 1.0)
    """
    check_tensor("logits", logits)
    check_temperature(T)
    _check_number("n", n)
    drawn, weights, own, _ = draw(logits, by_example(seed, logits.shape[:-1], ids), n, T=T)
    return Sampled(drawn, weights, own, T, mask)


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


def _check_same_temperature(what: str, recorded: float, asked: float) -> None:
    if not math.isclose(recorded, asked, rel_tol=1e-6):
        raise ValueError(
            f"{what} at T = {recorded} and cannot be scored at T = {asked}: the classes that were "
            f"left out are not known at another temperature. Use T = {recorded}, or record the "
            f"teacher again at T = {asked}."
        )


def _check_number(name: str, value: int, most: int | None = None) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError(f"{name} must be a positive integer, got {value!r}.")
    if most is not None and value > most:
        raise ValueError(f"{name} = {value} but there are only {most} classes: ask for fewer.")
