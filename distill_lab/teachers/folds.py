"""Out-of-fold answers: each example is answered by a teacher that was trained on the others.

A teacher that has seen an example's label answers with the label: one that remembers everything
adds nothing, and its confidence there says nothing about its confidence elsewhere. So the examples
are dealt into folds, a teacher is trained without each fold, and answers that fold alone.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from distill_lab._util.checks import positive_int
from distill_lab._util.describe import as_it_was
from distill_lab._util.tensors import rows_of, uniform
from distill_lab.data import fingerprints
from distill_lab.data.batches import Batch, Source, TensorSource, as_data, own_fingerprint
from distill_lab.data.parts import Part
from distill_lab.signals import Dense
from distill_lab.teachers.live import Live, Teacher, ask, identity_of, refuse_probabilities
from distill_lab.teachers.recorded import KnownData

TrainTeacher = Callable[[Any], nn.Module | Teacher]  # data of the other folds -> a teacher
_CHUNK = 1024  # examples read at once to learn their content


def assign_folds(data: Any, folds: int, seed: int = 0) -> Tensor:
    """Deal examples into folds of nearly equal size, copies of one example into the same fold.

    The fold follows from the seed and from the content of the examples, not from their order.

    Args:
        data: N examples in any form that `distill` takes.
        folds: how many, from 2 to the number of different examples.
        seed: of the deal.

    Returns:
        The fold of each example, (N,) int64 from 0 to folds - 1.

    Raises:
        ValueError: for fewer than two folds, or more than there are different examples.

    >>> x = torch.arange(6.0)[:, None]
    >>> fold = assign_folds((torch.cat([x, x]), None), folds=3)
    >>> fold.bincount().tolist(), torch.equal(fold[:6], fold[6:])
    ([4, 4, 4], True)
    """
    source = as_data(data)
    chunks = torch.arange(len(source)).split(_CHUNK)
    keys = torch.cat([fingerprints.of_examples(source.batch(i).inputs).cpu() for i in chunks])
    contents, which = keys.unique(dim=0, return_inverse=True)  # in the order of the keys
    folds = positive_int("folds", folds)
    if not 2 <= folds <= len(contents):
        raise ValueError(
            f"folds must be from 2 to the number of different examples, {len(contents)}; got "
            f"{folds}: with fewer than two there are no others to train a teacher on."
        )
    order = uniform(seed, *contents.T).argsort(stable=True)
    fold = torch.empty(len(contents), dtype=torch.long)
    fold[order] = torch.arange(len(contents)) % folds
    return fold[which]


class OutOfFold:
    """A teacher for labelled data: each example is answered by a network that never saw it.

    Give `train_teacher` as a function of data that trains a teacher on them and on nothing else,
    with first weights and order from a fixed seed. It is called once a fold, when the first answer
    is wanted, with the examples of all other folds: as a pair (inputs, labels) where the data are
    tensors, else as a source that `distill` takes. Copies of one example share a fold.

        def train_teacher(part):
            network = MLP(64, 256, 10, seed=0)
            distill(network, part, epochs=20)
            return freeze(network)

        cached = cache(train_teacher, data, "runs/answers", folds=5, teacher_name="mlp-256")

    Args:
        train_teacher: data -> a frozen network, or any teacher that answers with logits.
        data: the labelled examples, in any form that `distill` takes.
        folds: how many teachers are trained.
        seed: which examples are in which fold, see `assign_folds`.
        name: what tells this way of training a teacher from others; it changes when that does.

    Raises:
        TypeError: for a network in place of a function that trains one.
        ValueError: without a name, for data without labels, and as `assign_folds`.

    Source: Wolpert 1992, "Stacked generalization" (a level is trained on what others left out).

    >>> data = (torch.eye(4), torch.tensor([0, 1, 0, 1]))
    >>> sizes = []
    >>> def train_teacher(part):
    ...     sizes.append(len(part[0]))
    ...     return nn.Linear(4, 2).eval().requires_grad_(False)
    >>> teacher = OutOfFold(train_teacher, data, folds=4, name="linear")
    >>> teacher(as_data(data).batch(torch.arange(4))).shape, sizes
    (torch.Size([4, 2]), [3, 3, 3, 3])
    """

    def __init__(
        self,
        train_teacher: TrainTeacher,
        data: Any,
        *,
        folds: int = 5,
        seed: int = 0,
        name: str | None,
    ) -> None:
        if isinstance(train_teacher, nn.Module | Live) or not callable(train_teacher):
            raise TypeError(
                "out-of-fold answers need a function that trains a teacher on a part of the data, "
                f"as train_teacher(part) -> freeze(network); got a {type(train_teacher).__name__}, "
                "which may have seen every example already."
            )
        if name is None:
            raise ValueError(
                "out-of-fold answers go by the name of the way their teachers are trained, so that "
                "they are known without training again: give one that changes with train_teacher, "
                "as teacher_name='mlp-256-epochs-20'."
            )
        self.source: Source = as_data(data)
        if isinstance(self.source, TensorSource) and self.source.labels is None:
            raise ValueError(
                "out-of-fold answers are for data with labels; got none. A teacher that never saw "
                "these examples may answer all of them: cache(teacher, data, path)."
            )
        self.train_teacher, self.name, self.folds = train_teacher, name, folds
        self.fold = assign_folds(self.source, folds, seed)
        self.known = KnownData(self.source)
        self.facts: dict[str, Any] = {"folds": folds, "seed": seed, "labelled": self._labelled()}
        self.teachers: list[Teacher] = []

    @property
    def says(self) -> str | None:
        """What the teachers' numbers are, where they or what trains them say so."""
        source = self.teachers[0] if self.teachers else self.train_teacher
        return getattr(source, "says", None)

    @property
    def scored_at(self) -> float | None:
        """The one temperature at which the answers hold; None where they do at all."""
        return getattr(self.teachers[0], "scored_at", None) if self.teachers else None

    def check_data(self, source: Source) -> None:
        """Refuse data that were not dealt into these folds."""
        if source is not self.source:
            self.known.check(source, "out-of-fold answers")

    @property
    def identity(self) -> str:
        """A short name for what is trained, on what and in which folds; it needs no teacher."""
        return f"{self.name}-{fingerprints.of_facts(self.facts)}"

    def train(self, before: list[str] | None = None) -> list[str]:
        """Train the teachers that are not there yet, fold by fold.

        Args:
            before: what this returned when answers were kept that are to be completed now.

        Returns:
            Each fold's teacher's identity.

        Raises:
            ValueError: where a fold's teacher is another one than before.
        """
        while len(self.teachers) < self.folds:
            others = (self.fold != len(self.teachers)).nonzero().flatten()
            teacher = self.train_teacher(_part(self.source, others))
            self.teachers.append(Live(teacher) if isinstance(teacher, nn.Module) else teacher)
        now = [identity_of(teacher) for teacher in self.teachers]
        other = [i for i, name in enumerate(before or ()) if not as_it_was(name, now[i])]
        if before is not None and other:
            raise ValueError(
                f"the teachers of folds {other} came out otherwise than when these answers were "
                f"begun (first: {before[other[0]]} then, {now[other[0]]} now): train_teacher must "
                "give the same teacher for the same data, so fix its seed; or delete the folder to "
                "begin anew."
            )
        return now

    def __call__(self, batch: Batch) -> Tensor:
        """Logits (B, ..., C), each row by the teacher of the other folds."""
        self.train()
        fold, answer = self.fold[batch.ids.cpu()], None
        for number in fold.unique().tolist():
            rows = (fold == number).nonzero().flatten()
            part = self._answer(number, rows_of(batch, rows))
            if answer is None:
                answer = part.new_empty(len(fold), *part.shape[1:])
            answer[rows.to(answer.device)] = part
        assert answer is not None  # a batch holds an example
        return answer

    def _answer(self, number: int, batch: Batch) -> Tensor:
        answer = ask(self.teachers[number], batch)
        refuse_probabilities(self.teachers[number], answer, f"the answers of fold {number}")
        if isinstance(answer, Dense):
            answer = answer.logits
        if not isinstance(answer, Tensor):
            raise TypeError(
                f"the teacher of fold {number} answered with a {type(answer).__name__}: expected "
                "logits, one row an example."
            )
        return answer

    def _labelled(self) -> str:
        if isinstance(self.source, TensorSource) and self.source.labels is not None:
            return fingerprints.of_tensors(self.source.columns())
        return own_fingerprint(self.source) or f"{len(self.source)} examples"

    def __repr__(self) -> str:
        return f"OutOfFold({self.name!r}, {len(self.source)} examples in {self.folds} folds)"


def _part(source: Source, index: Tensor) -> Any:
    if isinstance(source, TensorSource):
        batch = source.batch(index)
        pair = batch.inputs, batch.labels
        return pair if batch.weights is None else (*pair, batch.weights)
    return Part(source, index)
