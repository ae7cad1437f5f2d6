"""Several teachers, of whom each example gets the one who knows it."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from distill_lab._util.axes import check_axis, classes_last
from distill_lab._util.runtime import modes_kept
from distill_lab._util.tensors import (
    check_temperature,
    check_temperature_of,
    check_tensor,
    in_float32,
    kl,
    rows_of,
)
from distill_lab.data import fingerprints
from distill_lab.data.batches import Batch, Data, as_data
from distill_lab.models.networks import logits_of
from distill_lab.signals import Dense, Signal
from distill_lab.teachers.live import (
    Live,
    Teacher,
    callable_teacher,
    identity_of,
    refuse_probabilities,
)

Choice = Callable[[Batch], Tensor | Sequence[str]]


class Routed:
    """Each example of a batch is answered by one of several teachers; `route` makes one.

    Args:
        teachers: by name, as `route` checked them.
        by: a function of a batch that chooses, a column or a router.
    """

    def __init__(self, teachers: Mapping[str, nn.Module | Teacher], by: "Choice | Column") -> None:
        self.names = tuple(teachers)
        self.teachers = [Live(t) if isinstance(t, nn.Module) else t for t in teachers.values()]
        self.by = by
        self.members: list[Any] = [*self.teachers, by]
        self._looked: set[int] = set()  # teachers whose first answer was looked at
        self._latest: tuple[Tensor, Tensor] | None = None  # ids of a batch, and who was chosen

    @property
    def model(self) -> nn.Module:
        """All models together: what has to be frozen, and on the right device."""
        models = [getattr(member, "model", None) for member in self.members]
        return nn.ModuleList([model for model in models if isinstance(model, nn.Module)])

    @property
    def identity(self) -> str:
        """A short name for these teachers, under these names, chosen in this way."""
        members = [identity_of(member) for member in self.members]
        return "Routed-" + fingerprints.of_facts([self.names, members])

    @property
    def scored_at(self) -> float | None:
        """The one temperature at which the answers hold; None where they do at all."""
        every = {getattr(teacher, "scored_at", None) for teacher in self.teachers}
        at = {T for T in every if T is not None}
        if len(at) > 1:
            raise ValueError(
                f"the teachers are means of probabilities at T = {sorted(at)}, and a method has "
                "one T: make them with the same."
            )
        return next(iter(at), None)

    def choose(self, batch: Batch) -> Tensor:
        """Which teacher answers each example: numbers (B,) in the order of `names`.

        Raises:
            ValueError: for a choice of another length, and for a teacher that is not there.
        """
        if self._latest is not None and self._latest[0] is batch.ids:  # counted, then scored
            return self._latest[1]
        if isinstance(self.by, Live):
            device = next(self.by.model.parameters(), batch.ids).device
            scores = self.by(batch.to(device))
            if scores.dim() != 2 or scores.shape[-1] != len(self.names):
                raise ValueError(
                    f"the router answered with shape {tuple(scores.shape)}: expected one score a "
                    f"teacher, (B, {len(self.names)}), for {list(self.names)}."
                )
            chosen = scores.argmax(-1)
        else:
            chosen = self._numbers(self.by(batch))
        chosen = chosen.cpu().long()
        if chosen.shape != batch.ids.shape:
            raise ValueError(
                f"the choice has shape {tuple(chosen.shape)} for {len(batch.ids)} examples: "
                "expected one teacher an example."
            )
        wrong = (chosen < 0) | (chosen >= len(self.names))
        if wrong.any():
            raise ValueError(
                f"teacher number {int(chosen[wrong][0])} was chosen, and there are "
                f"{len(self.names)}: expected numbers from 0, in the order {list(self.names)}."
            )
        self._latest = batch.ids, chosen
        return chosen

    @torch.no_grad()  # a member may be a function that asks what still learns
    def __call__(self, batch: Batch) -> Tensor | Signal:
        """Answer a batch, each example by its teacher; the others are not asked about it."""
        chosen = self.choose(batch)
        rows = [(chosen == number).nonzero()[:, 0] for number in range(len(self.names))]
        answering = [number for number, some in enumerate(rows) if len(some)]
        answers = [self.teachers[number](rows_of(batch, rows[number])) for number in answering]
        for number, answer in zip(answering, answers, strict=True):
            if number not in self._looked:
                who = f"the answers of teacher {self.names[number]!r}"
                refuse_probabilities(self.teachers[number], answer, who)
                self._looked.add(number)
        joined = _join(answers, [self.names[number] for number in answering])
        place = torch.cat([rows[number] for number in answering]).argsort()
        ordered: Tensor | Signal = joined[place.to(_tensors(joined).popitem()[1].device)]
        return ordered

    def divergences(
        self,
        student: nn.Module,
        data: Data,
        *,
        T: float = 1.0,
        axis: int | None = None,
        batch_size: int = 512,
    ) -> dict[str, float]:
        """How far a student is from each teacher, on the examples that this teacher answers.

        Formula: the mean of KL(p || q) over the positions of those examples, softmaxes at T.

        Args:
            student: the network; its modes stay as they are.
            data: data in any form that `distill` takes.
            T: the temperature of both softmaxes.
            axis: where the classes are in logits such as (B, C, H, W); None for last, and looked
                at.
            batch_size: examples asked at once.

        Returns:
            Nats by name, with no factor T squared, without the teachers who answer none of these.

        Raises:
            TypeError: for teachers that do not give the logits of every class.
            ValueError: for T <= 0, teachers whose answers hold at another T, or classes in front
                that are taken to be last.
        """
        T = check_temperature(T)
        words = {"who": "divergences asks for them", "mend": "divergences(..., T={at})"}
        check_temperature_of(self, T, whose="the teachers' answers", **words)
        source, parts = as_data(data), {name: [torch.empty(0)] for name in self.names}
        with torch.no_grad(), modes_kept(student):
            student.eval()
            for index in torch.arange(len(source)).split(batch_size):
                batch = source.batch(index)
                answer, chosen = self(batch), self.choose(batch)
                mask = answer.mask if isinstance(answer, Dense) else None
                logits = cast(Tensor, answer.logits if isinstance(answer, Dense) else answer)
                check_tensor("the teachers' answer", logits)
                if axis is None:
                    check_axis(batch, tuple(logits.shape), "divergences(..., axis=1)")
                log_p, log_q = (
                    (classes_last(in_float32(z), axis) / T).log_softmax(-1)
                    for z in (logits, logits_of(student, batch.inputs))
                )
                apart = kl(log_p, log_q).cpu()
                for number, name in enumerate(self.names):
                    own = chosen == number
                    kept = apart[own] if mask is None else apart[own][mask.cpu()[own]]
                    parts[name].append(kept.flatten())
        joined = {name: torch.cat(some) for name, some in parts.items()}
        return {name: values.mean().item() for name, values in joined.items() if len(values)}

    def _numbers(self, chosen: Tensor | Sequence[str]) -> Tensor:
        return chosen if isinstance(chosen, Tensor) else _numbers_of(self.names, chosen)

    def __repr__(self) -> str:
        return f"Routed({', '.join(self.names)}, by {_kind(self.by)})"


class Column:
    """Who answers each example, by its number: row i belongs to example i.

    Args:
        numbers: of teachers (N,).
    """

    def __init__(self, numbers: Tensor) -> None:
        self.numbers = numbers.detach().cpu().long()

    @property
    def identity(self) -> str:
        """A fingerprint of every entry."""
        return "column-" + fingerprints.of_tensors([("by", self.numbers)])

    def __call__(self, batch: Batch) -> Tensor:
        """Look up the examples of a batch."""
        ids = batch.ids.cpu()
        if len(ids) and not 0 <= int(ids.min()) <= int(ids.max()) < len(self.numbers):
            raise ValueError(
                f"the batch asks for example {int(ids.max())}, and the column says who answers "
                f"{len(self.numbers)}: give one entry for each example the student trains on."
            )
        return self.numbers[ids]


def route(
    teachers: Mapping[str, nn.Module | Teacher],
    *,
    by: Sequence[str] | Tensor | Choice | nn.Module | Live,
) -> Routed:
    """Several teachers, of whom each example is answered by the one who knows it.

    While a student learns, the history shows the divergence from each teacher on its own examples,
    as `history["kd/clothes"]`. A checkpoint keeps who teaches and who chooses, and a run with
    another route does not go on from it.

    Formula: z_i = z^(r_i)_i, teacher r_i's logits for example i.

    Args:
        teachers: two or more frozen teachers of the same classes in the same order, by name. One
            that has fewer classes answers -inf for the others.
        by: a column, one name an example (or its number, in the order of `teachers`); a function
            of a batch that returns such a column for it; or a frozen router, whose scores
            (B, teachers) are largest for the teacher to ask.

    Returns:
        A teacher, for `distill` and `cache`. `.divergences(student, data)` measures the student
        against each.

    Raises:
        ValueError: for fewer than two teachers, one that is not frozen, a name that is empty or not
            there; and, when asked, for answers that do not fit together.
        TypeError: for a teacher that cannot be asked, and for a `by` that is none of these.

    Source: Jacobs, Jordan, Nowlan & Hinton 1991 (mixtures of experts), section 1, with the choice
    given.

    >>> from distill_lab.teachers import freeze
    >>> both = {"a": freeze(nn.Linear(4, 2)), "b": freeze(nn.Linear(4, 2))}
    >>> routed = route(both, by=["a", "b", "b"])
    >>> routed.choose(as_data((torch.zeros(3, 4), None)).batch(torch.tensor([2, 0])))
    tensor([1, 0])
    """
    if not isinstance(teachers, Mapping) or len(teachers) < 2:
        raise ValueError(
            f"route needs two or more teachers by name, as {{'a': ..., 'b': ...}}, got {teachers!r}"
        )
    for name, teacher in teachers.items():
        if not isinstance(name, str) or not name:
            raise ValueError(f"a teacher's name must be a text, as it stands in logs, got {name!r}")
        callable_teacher(teacher, f"teacher {name!r}")
    chooser: Any = Live(by) if isinstance(by, nn.Module) else by
    if isinstance(chooser, Tensor):
        if chooser.dim() != 1 or chooser.is_floating_point():
            raise ValueError(
                f"a column of teachers' numbers is whole numbers (N,), got {chooser.dtype} "
                f"{tuple(chooser.shape)}."
            )
        chooser = Column(chooser)
    elif isinstance(chooser, Sequence) and not isinstance(chooser, str):
        chooser = Column(_numbers_of(tuple(teachers), chooser))
    if not callable(chooser):
        raise TypeError(
            "by must be one teacher an example, a function of a batch, or a frozen router, not "
            f"{type(chooser).__name__}."
        )
    return Routed(teachers, chooser)


def _numbers_of(names: tuple[str, ...], chosen: Sequence[str]) -> Tensor:
    unknown = [name for name in chosen if name not in names]
    if unknown:
        raise ValueError(f"there is no teacher {unknown[0]!r}: expected one of {list(names)}.")
    return torch.tensor([names.index(name) for name in chosen], dtype=torch.long)


def _join(answers: list[Any], names: list[str]) -> Any:
    """The answers one below the other, in one form."""
    if not all(isinstance(answer, Tensor) for answer in answers):
        answers = [Dense(answer) if isinstance(answer, Tensor) else answer for answer in answers]
    forms = [_form(answer) for answer in answers]
    if len(set(forms)) > 1:
        raise ValueError(
            f"the teachers answered in different forms ({dict(zip(names, forms, strict=True))}): "
            "all must score the same positions and classes, in the same order. Give -inf for "
            "classes that a teacher does not know."
        )
    if isinstance(answers[0], Tensor):
        return torch.cat(answers)
    masks = [getattr(answer, "mask", None) for answer in answers]
    if any(mask is not None for mask in masks) and any(mask is None for mask in masks):
        answers = [
            answer
            if answer.mask is not None
            else dataclasses.replace(answer, mask=_everywhere(answer))
            for answer in answers
        ]
    fields = [_tensors(answer) for answer in answers]
    joined = {name: torch.cat([part[name] for part in fields]) for name in fields[0]}
    return dataclasses.replace(answers[0], **joined)


def _form(answer: Any) -> str:
    shape = tuple(next(iter(_tensors(answer).values())).shape[1:])
    at = "" if isinstance(answer, Tensor) or not hasattr(answer, "T") else f" at T = {answer.T}"
    return f"{type(answer).__name__} {shape}{at}"


def _everywhere(answer: Any) -> Tensor:
    first: Tensor = next(iter(_tensors(answer).values()))
    return torch.ones(first.shape[:-1], dtype=torch.bool, device=first.device)


def _tensors(answer: Any) -> dict[str, Tensor]:
    if isinstance(answer, Tensor):
        return {"logits": answer}
    named = {field.name: getattr(answer, field.name) for field in dataclasses.fields(answer)}
    return {name: value for name, value in named.items() if isinstance(value, Tensor)}


def _kind(by: object) -> str:
    return type(by).__name__.lower() if isinstance(by, (Column, Live)) else "a function"
