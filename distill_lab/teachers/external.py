"""Teachers that are no torch model: a table of probabilities, or a function of any library."""

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from distill_lab._util.checks import one_of
from distill_lab._util.describe import describe
from distill_lab._util.tensors import check_temperature, device_of, map_tensors, readable
from distill_lab.data.batches import Batch
from distill_lab.data.forms import known_to_torch
from distill_lab.signals import Dense, Sampled, Signal, Text, TopK
from distill_lab.teachers.recorded import Recorded

Says = Literal["logits", "probabilities", "binary_probabilities", "values"]
Takes = Literal["batch", "arrays"]
SAYS = ("logits", "probabilities", "binary_probabilities", "values")
TAKES = ("batch", "arrays")
FLOOR = 1e-30  # a class of probability 0: its logarithm has to be a number
GIVEN_A_BATCH = (
    "The function was given a batch, with .inputs and .ids: takes='arrays' gives it the inputs "
    "alone, as NumPy arrays, which estimators of other libraries read."
)
_SUM = 1e-3  # how far a row's sum may be from 1: what half precision leaves of it


def probabilities(P: Any, *, T: float | None = None, floor: float = FLOOR) -> Recorded:
    """A teacher that answers from a table of probabilities, row i about example i.

    Formula: z = log max(p, floor), so that softmax(z) = p, and softmax(z / T) is p^(1/T) over its
    sum: a method may soften what was said. With `T` given, z = T log max(p, floor).

    Args:
        P: probabilities (N, C) or (N, ..., C), a tensor or a NumPy array; one row an example, in
            the order of the data. It is held against their number.
        T: the temperature at which P was made, where the method has to have the same; None for
            plain probabilities.
        floor: what a probability of 0 becomes. The default of 1e-30 leaves such a class nothing
            even at T = 4; a larger one keeps reverse divergences small.

    Returns:
        A teacher, for `distill` and `cache`.

    Raises:
        TypeError: for what holds no floating numbers.
        ValueError: for numbers outside 0 to 1, rows that do not sum to 1, NaN, T <= 0 or another
            floor.

    >>> teacher = probabilities(np.array([[0.2, 0.8], [1.0, 0.0]]))
    >>> teacher(Batch(torch.zeros(1, 4), None, torch.tensor([0]))).softmax(-1)
    tensor([[0.2000, 0.8000]])
    """
    table = _tensor("P", P)
    T = _checked(T, floor)
    return Recorded(_logits(table, "P", T, floor), scored_at=T)


class Function:
    """A function as a teacher, with what its numbers are; `function` makes one.

    Args:
        function: of a batch, or of arrays.
        says: as in `function`.
        name: as in `function`.
        takes: as in `function`.
        T: as in `function`.
        floor: as in `function`.
    """

    def __init__(
        self,
        function: Callable[[Any], Any],
        says: Says,
        name: str | None,
        takes: Takes,
        T: float | None,
        floor: float,
    ) -> None:
        self.function, self.says, self.takes = function, says, takes
        self.scored_at, self.floor = T, floor
        if name is not None:  # without one it is as nameless as the function
            self.identity = f"{name}{self._settings()}"

    def _settings(self) -> str:
        says = "" if self.says == "logits" else f"-{self.says}"
        T = "" if self.scored_at is None else f"-T={self.scored_at}"
        return says + T + ("" if self.floor == FLOOR else f"-floor={self.floor}")

    @torch.no_grad()
    def __call__(self, batch: Batch) -> Tensor | Signal:
        """Answer a batch with logits, values, or the signal that the function gave."""
        given = batch if self.takes == "batch" else arrays(batch.inputs)
        try:
            answer = self.function(given)
        except (TypeError, ValueError, AttributeError) as error:
            if self.takes == "batch":
                error.add_note(GIVEN_A_BATCH)
            raise
        if isinstance(answer, (Dense, TopK, Sampled, Text)) and self.says == "logits":
            return answer
        scores = as_scores(answer, self.says, T=self.scored_at, floor=self.floor)
        if len(scores) != len(batch.ids):
            raise ValueError(
                f"the function answered {len(batch.ids)} examples with shape "
                f"{tuple(scores.shape)}: expected one row an example."
            )
        return scores.to(device_of(batch.inputs))

    def __repr__(self) -> str:
        return f"Function({describe(self.function)}{self._settings()})"


def function(
    function: Callable[[Any], Any],
    *,
    says: Says = "logits",
    name: str | None = None,
    takes: Takes = "batch",
    T: float | None = None,
    floor: float = FLOOR,
) -> Function:
    """Any function as a teacher; it may compute in NumPy, and says what its numbers are.

    A bare function of a batch is a teacher as it is, where it answers with logits in a tensor.

    Formula: "probabilities": z = log max(p, floor). "binary_probabilities", of labels of which
    several may hold at once: z = log max(p, floor) - log max(1 - p, floor).

    Args:
        function: of a batch (`batch.inputs`, `batch.ids`), or of its inputs as NumPy arrays.
        says: "logits" or "probabilities" (B, ..., C) of one softmax; "binary_probabilities", which
            become binary logits of the same shape; or "values" (B,) or (B, ...), numbers of any
            other kind, such as a regression's, a ranker's or an embedding's.
        name: what a cache or checkpoint knows it by; it changes with what the function would say.
        takes: "batch", or "arrays": its inputs, as NumPy arrays of the same form.
        T: the temperature of its probabilities, where the method has to have the same.
        floor: what a probability of 0 becomes.

    Returns:
        A teacher, for `distill` and `cache`.

    Raises:
        TypeError: for what is no function; when asked, for answers that hold no numbers.
        ValueError: for settings that are unknown; when asked, for answers of another length, and
            for probabilities that are none.

    >>> teacher = function(lambda x: np.full((len(x), 2), 0.5), says="probabilities",
    ...                    takes="arrays", name="undecided")
    >>> teacher(Batch(torch.zeros(3, 4), None, torch.arange(3))).shape, teacher.identity
    (torch.Size([3, 2]), 'undecided-probabilities')
    """
    if not callable(function):
        raise TypeError(
            "function expects a function of a batch, as lambda batch: table[batch.ids], not "
            f"{type(function).__name__}."
        )
    one_of("says", says, SAYS)
    one_of("takes", takes, TAKES)
    T = _checked(T, floor)
    if T is not None and says not in ("probabilities",):
        raise ValueError(
            f"T is the temperature of probabilities and the function says {says}: leave it out."
        )
    if name is not None and (not isinstance(name, str) or not name):
        raise ValueError(f"name must be a text that tells this function from others, got {name!r}.")
    return Function(function, says, name, takes, T, floor)


def as_scores(answer: Any, says: Says, *, T: float | None = None, floor: float = FLOOR) -> Tensor:
    """Turn numbers of a known kind into what methods take: logits, or values as they are.

    Args:
        answer: (B, ...), in a tensor, an array or lists.
        says: as in `function`.
        T: the temperature of probabilities.
        floor: what a probability of 0 becomes.

    Returns:
        Scores of the same shape.

    Raises:
        TypeError: for what holds no numbers.
        ValueError: for probabilities that are none, and logits without classes.

    >>> as_scores([[0.5, 1.0]], "binary_probabilities", floor=1e-9)
    tensor([[ 0.0000, 20.7233]])
    """
    scores = _tensor("the answer", answer)
    if says == "probabilities":
        return _logits(scores, "the answer", _checked(T, floor), floor)
    if says == "binary_probabilities":
        _refuse_outside(scores, "the answer")
        p = scores.double()
        return (p.clamp_min(floor).log() - (1 - p).clamp_min(floor).log()).float()
    least = 1 if says == "values" else 2
    if scores.dim() < least:
        raise ValueError(
            f"the answer has shape {tuple(scores.shape)}: expected logits (B, ..., classes). For "
            'one number an example, as of a regression, say says="values".'
        )
    return scores.float() if scores.dtype == torch.float64 else scores


def arrays(inputs: Any) -> Any:
    """Inputs as NumPy arrays, in the form in which they came."""
    return map_tensors(_array, inputs)


def _array(tensor: Tensor) -> Any:
    tensor = tensor.detach().cpu()
    return (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()


def _tensor(name: str, value: Any) -> Tensor:
    if not isinstance(value, Tensor):
        numbers = np.asanyarray(value)  # a masked one stays one, and is refused
        if numbers.dtype.kind not in "fiub":
            raise TypeError(
                f"{name} must hold numbers, a tensor or a NumPy array, not {type(value).__name__}."
            )
        numbers = known_to_torch(name, numbers)
        value = torch.from_numpy(np.array(numbers))  # of its own: an array may be read-only
    tensor: Tensor = value.detach()
    return tensor if tensor.is_floating_point() else tensor.float()


def _logits(p: Tensor, name: str, T: float | None, floor: float) -> Tensor:
    """T log p, of rows that are held to be probabilities."""
    if p.dim() < 2 or p.shape[-1] < 2:
        raise ValueError(
            f"{name} has shape {tuple(p.shape)}: expected probabilities (N, ..., C) of two classes "
            "or more. Of one class p, give both, as (1 - p, p)."
        )
    _refuse_outside(p, name)
    if readable(p) and p.numel():
        error = (p.double().sum(-1) - 1).abs()
        if error.max() > _SUM:
            row = (error > _SUM).nonzero()[0].tolist()
            raise ValueError(
                f"row {row[0]} of {name} sums to {p[tuple(row)].double().sum().item():.4g}: "
                "probabilities of one softmax sum to 1. Of labels that may hold together, a table "
                'is Recorded(torch.logit(P, 1e-6)), and a function says="binary_probabilities"; '
                'scores of another kind are Recorded(scores), and says="logits" or "values".'
            )
    logits = p.double().clamp_min(floor).log().float()
    return logits if T is None else T * logits


def _refuse_outside(p: Tensor, name: str) -> None:
    """Refuse numbers that are no probabilities; on another device they are not read."""
    if not readable(p) or not p.numel():
        return
    wrong = ~((p >= 0) & (p <= 1 + 1e-6))  # NaN is neither
    if wrong.any():
        place = wrong.nonzero()[0].tolist()
        raise ValueError(
            f"row {place[0]} of {name} holds {p[tuple(place)].item():.4g}: probabilities lie from "
            "0 to 1. Percent are divided by 100; logits need no change."
        )


def _checked(T: float | None, floor: float) -> float | None:
    """The temperature, if there is one, after both settings were looked at."""
    T = None if T is None else check_temperature(T)
    if not isinstance(floor, float) or not 0 < floor < 0.1:
        raise ValueError(f"floor must lie between 0 and 0.1, such as 1e-9, got {floor!r}.")
    return T
