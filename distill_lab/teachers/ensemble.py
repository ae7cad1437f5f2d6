"""Several teachers as one, and how far they agree."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from distill_lab._util.axes import check_axis, classes_last
from distill_lab._util.checks import one_of, whole_number
from distill_lab._util.tensors import check_temperature, check_temperature_of, in_float32, kl
from distill_lab.data import fingerprints
from distill_lab.data.batches import Batch, Data, as_data
from distill_lab.signals import Dense
from distill_lab.teachers.live import Teacher, callable_teacher, identity_of, refuse_probabilities

Mean = Literal["probabilities", "logits"]
Confidence = Literal["entropy", "max_probability"]
MEANS = ("probabilities", "logits")
CONFIDENCES = ("entropy", "max_probability")


@dataclass(frozen=True)
class Disagreement:
    """How far the members are apart, position by position.

    Args:
        jsd: the members' generalised Jensen-Shannon divergence (...), in nats.
        differs: True (...) where they do not all name one class first.
    """

    jsd: Tensor
    differs: Tensor

    @property
    def mean_jsd(self) -> float:
        """The divergence, averaged over positions."""
        return self.jsd.mean().item()

    @property
    def share(self) -> float:
        """At how many of the positions the members do not all name the same class first."""
        return self.differs.float().mean().item()


class Ensemble:
    """The mean of several teachers, in log space and float32.

    Formula: "probabilities": z = T log sum_m w_m softmax(z_m / T), so that softmax(z / T) is the
    mean of the members at T. "logits": z = sum_m w_m z_m, whose softmax is the members' geometric
    mean at every T. "entropy" weighs by w_m = exp(-H_m) / sum_j exp(-H_j), the inverse of a
    member's perplexity; "max_probability" by w_m = max_k p_mk / sum_j max_k p_jk, both with p at
    T. Being sure is not being right: a bad member may be very sure.

    Args:
        members: two or more frozen teachers of the same classes.
        mean: "probabilities" or "logits".
        weights: None for all alike; one number a member; or how sure a member is of each example,
            "entropy" or "max_probability".
        T: the temperature of the mean, and of how sure a member is: the method's.
        axis: where the classes are in logits such as (B, C, H, W); None for last, and looked at.

    Raises:
        ValueError: for fewer than two members, one that is not frozen, weights that are negative or
            of another number, T <= 0, axis = 0; and, when asked, for members that score other
            classes, or have them in front where they are taken to be last.
        TypeError: for a member that cannot be asked.

    Source: Hinton, Vinyals & Dean 2015, section 5 (means of an ensemble as targets); Kwon et al.
    2020 (Adaptive KD based on entropy) for weighing by how sure a teacher is; Zhang et al. 2022
    (CA-MKD), arXiv:2201.00007, for weights by example and for why labels make better ones.

    >>> from distill_lab.teachers import freeze
    >>> both = Ensemble([freeze(nn.Linear(4, 2)), freeze(nn.Linear(4, 2))])
    >>> both(as_data((torch.zeros(3, 4), None)).batch(torch.arange(3))).shape
    torch.Size([3, 2])
    """

    def __init__(
        self,
        members: Sequence[nn.Module | Teacher],
        *,
        mean: Mean = "probabilities",
        weights: Sequence[float] | Confidence | None = None,
        T: float = 1.0,
        axis: int | None = None,
    ) -> None:
        self.members = [callable_teacher(m, f"member {i}") for i, m in enumerate(members)]
        if len(self.members) < 2:
            raise ValueError(
                f"an ensemble needs at least two teachers, got {len(self.members)}: use the one as "
                "it is."
            )
        one_of("mean", mean, MEANS)
        T = check_temperature(T)
        self.mean, self.T = mean, float(T)
        self.axis = None if axis is None else whole_number("axis", axis)
        if self.axis == 0:
            raise ValueError(
                "axis=0 is that of the examples: say where the classes are, axis=1 of maps "
                "(B, C, H, W)."
            )
        for number, member in enumerate(self.members):
            whose, mend = f"the answers of member {number}", "Ensemble(..., T={at})"
            mixed = {"whose": whose, "who": "the ensemble mixes them", "mend": mend}
            check_temperature_of(member, self.T, **mixed)
        self._looked: set[int] = set()  # members whose first answer was looked at
        self.weights = _checked_weights(weights, len(self.members))

    @property
    def model(self) -> nn.Module:
        """The members' models together: what has to be frozen, and on the right device."""
        models = [getattr(member, "model", None) for member in self.members]
        return nn.ModuleList([model for model in models if isinstance(model, nn.Module)])

    @property
    def identity(self) -> str:
        """A short name for these members with these weights."""
        members = [identity_of(member) for member in self.members]
        facts = [members, self.mean, self.weights, self.T]
        if self.axis not in (None, -1):  # else the name is that of answers kept before
            facts.append(self.axis)
        return "Ensemble-" + fingerprints.of_facts(facts)

    @property
    def scored_at(self) -> float | None:
        """The one temperature at which the answer is the members' mean; None where it is at all."""
        bound = any(getattr(member, "scored_at", None) is not None for member in self.members)
        return self.T if self._of_softmax or bound else None

    @property
    def _of_softmax(self) -> bool:
        """Whether the mean is one of softmaxes, or weighed by them."""
        return self.mean == "probabilities" or isinstance(self.weights, str)

    @torch.no_grad()  # a member may be a function that asks what still learns
    def __call__(self, batch: Batch) -> Tensor | Dense:
        """Answer a batch with logits."""
        logits, mask = self._ask(batch, softmax=self._of_softmax)
        log_p = (logits / self.T).log_softmax(-1)
        w = self._weigh(log_p)
        if self.mean == "logits":
            mixed = (w.unsqueeze(-1) * logits).sum(0)
        else:
            mixed = self.T * _log_mean(log_p, w)
        if self.axis is not None:  # back to where the members have them
            mixed = mixed.movedim(-1, self.axis)
        return mixed if mask is None else Dense(mixed, mask)

    def disagreement(self, data: Data | Batch, *, batch_size: int = 512) -> Disagreement:
        """How far the members are apart on a batch, or on every example of a data set.

        Formula: sum_m w_m KL(p_m || sum_j w_j p_j) at T, at most log(members); 0 where all agree.

        Args:
            data: a batch, or data in any form that `distill` takes.
            batch_size: examples asked at once, of a data set.

        Returns:
            The divergence in nats, and whether the first choices differ, at every position.

        Raises:
            ValueError: as asking the ensemble does.

        Source: Lin 1991, section 4 (generalised Jensen-Shannon divergence).
        """
        if isinstance(data, Batch):
            batches = [data]
        else:
            source = as_data(data)
            index = torch.arange(len(source)).split(batch_size)
            batches = [source.batch(some) for some in index]
        parts = [self._apart(batch) for batch in batches]
        return Disagreement(*(torch.cat(part) for part in zip(*parts, strict=True)))

    def _apart(self, batch: Batch) -> tuple[Tensor, Tensor]:
        logits, mask = self._ask(batch, softmax=True)
        log_p = (logits / self.T).log_softmax(-1)
        w = self._weigh(log_p)
        jsd = (w * kl(log_p, _log_mean(log_p, w).expand_as(log_p))).sum(0).clamp_min(0)
        first = logits.argmax(-1)
        differs = (first != first[0]).any(0)
        return (jsd, differs) if mask is None else (jsd[mask], differs[mask])

    def _ask(self, batch: Batch, *, softmax: bool) -> tuple[Tensor, Tensor | None]:
        """Every member's logits (M, B, ..., C), and where all of them answered.

        Where no softmax is made, as in a mean of logits, any axis gives the same.
        """
        member_logits, mask = [], None
        for number, member in enumerate(self.members):
            answer = member(batch)
            if isinstance(answer, Dense):
                own_mask = answer.mask
                if own_mask is not None and self.axis not in (None, -1):
                    raise ValueError(
                        f"member {number} says where it answers, shape {tuple(own_mask.shape)}, of "
                        f"classes that are last, and axis={self.axis} has them elsewhere: leave "
                        "axis= out."
                    )
                mask = own_mask if mask is None else mask if own_mask is None else mask & own_mask
                answer = answer.logits
            if not isinstance(answer, Tensor):
                raise TypeError(
                    f"member {number} answered with a {type(answer).__name__}: an ensemble needs "
                    "the logits of every class. Record its members densely, or record the ensemble "
                    "itself."
                )
            if number not in self._looked:
                refuse_probabilities(member, answer, f"the answers of member {number}")
                self._looked.add(number)
            if self.axis is None and softmax:
                check_axis(batch, tuple(answer.shape), "Ensemble(..., axis=1)")
            member_logits.append(in_float32(classes_last(answer, self.axis)))
        shapes = {tuple(logits.shape) for logits in member_logits}
        if len(shapes) > 1:
            raise ValueError(
                f"the members answered with shapes {sorted(shapes)}: all must score the same "
                "positions and classes, in the same order."
            )
        return torch.stack(member_logits), mask

    def _weigh(self, log_p: Tensor) -> Tensor:
        """Weights (M, B, ...) that sum to 1 over the members."""
        if self.weights == "entropy":
            p = log_p.exp()
            negative_entropy = (p * torch.where(p > 0, log_p, 0.0)).sum(-1)
            return negative_entropy.softmax(0)
        if self.weights == "max_probability":
            return log_p.amax(-1).softmax(0)
        w = log_p.new_tensor(self.weights)
        return w.view(-1, *[1] * (log_p.dim() - 2)).expand(log_p.shape[:-1])

    def __repr__(self) -> str:
        return f"Ensemble({len(self.members)} members, mean of {self.mean})"


def _log_mean(log_p: Tensor, w: Tensor) -> Tensor:
    """log sum_m w_m p_m: (M, ..., C) and (M, ...) -> (..., C)."""
    return (log_p + w.log().unsqueeze(-1)).logsumexp(0)


def _checked_weights(
    weights: Sequence[float] | Confidence | None, members: int
) -> list[float] | Confidence:
    if weights is None:
        return [1 / members] * members
    if isinstance(weights, str):
        if weights not in CONFIDENCES:
            raise ValueError(f"weights must be numbers or one of {CONFIDENCES}, got {weights!r}.")
        return weights
    numbers = [float(weight) for weight in weights]
    total = sum(numbers)
    if len(numbers) != members or min(numbers) < 0 or not 0 < total < math.inf:
        raise ValueError(
            f"weights must be one number of at least 0 for each of the {members} members, with a "
            f"sum above 0, got {list(weights)!r}."
        )
    return [number / total for number in numbers]
