"""What a teacher said about every example of a data set, asked once and kept in memory."""

import torch
from torch import Tensor, nn

from distill_lab._util.runtime import own_randomness
from distill_lab._util.tensors import device_of, leaves, like_probabilities
from distill_lab.data import fingerprints
from distill_lab.data.batches import Batch, Data, Source, TensorSource, as_data, batch_of, reading
from distill_lab.data.forms import Collate
from distill_lab.signals import Dense
from distill_lab.teachers.live import (
    Teacher,
    ask,
    callable_teacher,
    check_data,
    refuse_probabilities,
    says_values,
)

_AT_ONCE = 2**26  # bytes of inputs: about 50 ms
_FIRST = 16  # examples from the start that are known again


class KnownData:
    """What answers by number remember of their data: how many examples, and what a few hold.

    Args:
        source: the data.
    """

    def __init__(self, source: Source) -> None:
        self.examples = len(source)
        # the first as well, so that the beginning of the data is known too
        first = torch.arange(min(_FIRST, self.examples))
        self.ids = torch.cat((fingerprints.few_of(self.examples), first)).unique()
        self.keys = _keys(source, self.ids, 0)
        self.content = _content(source)

    def check(self, source: Source, who: str) -> None:
        """Refuse more data, or of other content, in which a number is another example's.

        The first of the examples, in their order, may stand alone.

        Args:
            source: the data at hand.
            who: whose answers these are, to begin the sentence with.

        Raises:
            ValueError: for other data.
        """
        if len(source) > self.examples:
            check_examples(self.examples, source, who)
        content = None if self.content is None else _content(source)
        if content is not None and self.content is not None:
            self._check_content(content, self.content, who)
        here = self.ids < len(source)
        keys = _keys(source, self.ids[here], 0)
        if self.keys is None or keys is None or torch.equal(keys, self.keys[here]):
            return
        other = (keys != self.keys[here]).any(-1)
        first = int(self.ids[here][other][0])
        raise ValueError(
            f"{who} are about other data: example {first} is not what it was ({int(other.sum())} "
            f"of the {len(other)} looked at are not). Give the data in the order and form in which "
            "the teacher was asked, or ask it about these."
        )

    def _check_content(self, now: Tensor, before: Tensor, who: str) -> None:
        other = (now != before[: len(now)]).any(-1).nonzero()
        if len(other):
            raise ValueError(
                f"{who} are about other data: example {int(other[0])} is not what it was "
                f"({len(other)} of {len(now)} are not). Give the data in the order and form in "
                "which the teacher was asked, or ask it about these."
            )


def check_examples(examples: int, source: Source, who: str) -> None:
    """Refuse data that have not one example for each answer.

    Args:
        examples: how many were answered.
        source: the data at hand.
        who: whose answers these are.

    Raises:
        ValueError: for another number.
    """
    if len(source) != examples:
        raise ValueError(
            f"{who} are about {examples} examples and the data hold {len(source)}: answer i is "
            "about example i, so give the very data that the teacher was asked about."
        )


class Recorded:
    """A teacher's answers by example: row i belongs to example i, however the batches are drawn.

    Args:
        logits: scores (N, ..., C); or, where they are no logits, values (N,) or (N, ...).
        says: "logits", or "values" for numbers of another kind.
        scored_at: the one temperature at which they hold; None where they do at all.
        known: what is remembered of the data; their number is always held against the answers.

    Raises:
        ValueError: for anything but a floating-point tensor, for probabilities in place of logits,
            and when a batch carries an index the record does not have.
    """

    def __init__(
        self,
        logits: Tensor,
        *,
        says: str = "logits",
        scored_at: float | None = None,
        known: KnownData | None = None,
    ) -> None:
        least = 1 if says == "values" else 2
        if not isinstance(logits, Tensor) or logits.dim() < least or not logits.is_floating_point():
            got = (
                f"{logits.dtype} {tuple(logits.shape)}"
                if isinstance(logits, Tensor)
                else type(logits).__name__
            )
            raise ValueError(
                "recorded logits must be floating point of shape (examples, ..., classes), got "
                f'{got}. Numbers of another kind, one an example, are Recorded(..., says="values").'
            )
        if says != "values" and like_probabilities(logits):
            raise ValueError(
                "recorded answers that lie between 0 and 1 and sum to 1 in every row look like "
                "probabilities, and a method takes logits: use teachers.probabilities(P)."
            )
        self.logits, self.says, self.scored_at = logits.detach(), says, scored_at
        self.known = known

    @property
    def identity(self) -> str:
        """A fingerprint of everything that was recorded."""
        at = "" if self.scored_at is None else f"-T={self.scored_at}"
        return "Recorded-" + fingerprints.of_tensors([("logits", self.logits)]) + at

    def __len__(self) -> int:
        return len(self.logits)

    def check_data(self, source: Source) -> None:
        """Refuse data that this is no record of."""
        who = "the recorded answers"
        if self.known is None:
            check_examples(len(self), source, who)
        else:
            self.known.check(source, who)

    def __call__(self, batch: Batch) -> Tensor:
        """Answer a batch with what was recorded."""
        try:
            here = batch.ids if self.logits.is_cpu else batch.ids.to(self.logits.device)
            # whole rows at once, as the data are read
            teacher_logits = self.logits.index_select(0, here)
        except IndexError as error:
            raise ValueError(
                f"the batch asks for example {int(batch.ids.max())}, but this teacher was "
                f"recorded on {len(self)} examples: record it on the data the student trains on."
            ) from error
        return teacher_logits.to(device_of(batch.inputs))

    def __repr__(self) -> str:
        return f"Recorded{tuple(self.logits.shape)}"


def record(
    teacher: nn.Module | Teacher,
    data: Data,
    *,
    batch_size: int = 512,
    collate: Collate | None = None,
    workers: int = 0,
) -> Recorded:
    """Ask a teacher once about every example, in order; costs examples x classes x 4 bytes.

    The record remembers the data: how many examples, and what a few of them hold. A student that
    would learn from others is refused before its first step.

    Args:
        teacher: a teacher that answers with logits, or with numbers of another kind: scores (B,),
            embeddings (B, D).
        data: data in any form that `distill` takes, each example the same whenever it is read.
        batch_size: examples asked at once.
        collate: as in `as_data`, for data in rows.
        workers: processes that read ahead; the answers are the same.

    Returns:
        A teacher that answers from memory.

    Raises:
        TypeError: for one that answers with a signal, which `cache` keeps.
        ValueError: for data that are augmented anew at each reading: ask such a teacher live; and
            for answers that are not one row an example, or of several lengths, which `cache` keeps.

    >>> from distill_lab.teachers import freeze
    >>> recorded = record(freeze(torch.nn.Linear(4, 2)), (torch.zeros(3, 4), None))
    >>> recorded.logits.shape
    torch.Size([3, 2])
    """
    answering = callable_teacher(teacher)
    source = as_data(data, collate, workers)
    check_data(answering, source)
    known = KnownData(source)
    again = _keys(source, known.ids, 1)
    if known.keys is not None and again is not None and not torch.equal(known.keys, again):
        raise ValueError(
            "an example is another one each time it is read, as under random augmentation, so one "
            "answer to it is no answer to the next: ask the teacher live, as teacher=freeze(model),"
            " or keep some views, as cache(..., views=[...])."
        )
    index = torch.arange(len(source)).split(batch_size)
    with reading(source) as read_ahead:
        read = read_ahead(enumerate(index))
        outputs = [_answer(answering, read(some)) for some in index]
    other = [tuple(o.shape[1:]) for o in outputs if o.shape[1:] != outputs[0].shape[1:]]
    if other:
        raise ValueError(
            f"the teacher's answers have shapes {tuple(outputs[0].shape[1:])} and {other[0]} in "
            "two batches, as texts of different lengths have, and a record is one tensor: use "
            "cache(...), which keeps such answers."
        )
    refuse_probabilities(answering, outputs[0], "the teacher's answers")
    values = says_values(answering) or outputs[0].dim() < 2
    return Recorded(
        torch.cat(outputs),
        says="values" if values else "logits",
        scored_at=getattr(answering, "scored_at", None),
        known=known,
    )


def _answer(teacher: Teacher, batch: Batch) -> Tensor:
    answer = ask(teacher, batch)
    if isinstance(answer, Dense) and answer.mask is None:
        answer = answer.logits
    if not isinstance(answer, Tensor):
        raise TypeError(
            f"the teacher answered with a {type(answer).__name__}: record() keeps tensors of "
            "logits or values. Use cache(...), which keeps any signal; for a function that answers "
            "in NumPy, teachers.function(f)."
        )
    if answer.dim() == 0 or len(answer) != len(batch.ids):
        raise ValueError(
            f"the teacher answered {len(batch.ids)} examples with shape {tuple(answer.shape)}: "
            "expected one row an example."
        )
    return answer.detach()


def _content(source: Source) -> Tensor | None:
    """What every example holds (N, 2), of tensors that are looked through in no time."""
    if not isinstance(source, TensorSource):
        return None
    size = sum(part.numel() * part.element_size() for _, part in leaves("", source.inputs))
    if size > _AT_ONCE:
        return None
    return fingerprints.of_examples(source.inputs).cpu()


def _keys(source: Source, index: Tensor, seed: int) -> Tensor | None:
    """What a few examples hold; None where they hold no tensors, and only their number is known."""
    with own_randomness(seed):
        inputs = batch_of(source, index).inputs
    try:
        return fingerprints.of_examples(inputs).cpu()
    except TypeError:
        return None
