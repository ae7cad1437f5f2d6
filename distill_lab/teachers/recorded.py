"""What a teacher said about every example of a data set, asked once and kept in memory."""

import torch
from torch import Tensor

from distill_lab._util.tensors import like_probabilities
from distill_lab.data import fingerprints
from distill_lab.data.batches import Batch, Data, as_data
from distill_lab.teachers.live import Teacher


class Recorded:
    """Teacher logits by example: row i belongs to example i, however the batches are drawn.

    Args:
        logits: scores (examples, ..., C).

    Raises:
        TypeError: for anything but a floating-point tensor.
        ValueError: for probabilities in place of logits, and when a batch carries an index the
            record does not have.
    """

    def __init__(self, logits: Tensor) -> None:
        if logits.dim() < 2 or not logits.is_floating_point():
            raise ValueError(
                "recorded logits must be floating point of shape (examples, ..., classes), got "
                f"{logits.dtype} {tuple(logits.shape)}."
            )
        if like_probabilities(logits):
            raise ValueError(
                "recorded answers that lie between 0 and 1 and sum to 1 in every row look like "
                "probabilities, and a method takes logits: record P.clamp_min(1e-9).log()."
            )
        self.logits = logits.detach()

    @property
    def identity(self) -> str:
        """A fingerprint of everything that was recorded."""
        return "Recorded-" + fingerprints.of_tensors([("logits", self.logits)])

    def __len__(self) -> int:
        return len(self.logits)

    def __call__(self, batch: Batch) -> Tensor:
        """Answer a batch with logits."""
        try:
            here = batch.ids if self.logits.is_cpu else batch.ids.to(self.logits.device)
            # whole rows at once, as the data are read
            teacher_logits = self.logits.index_select(0, here)
        except IndexError as error:
            raise ValueError(
                f"the batch asks for example {int(batch.ids.max())}, but this teacher was "
                f"recorded on {len(self)} examples: record it on the data the student trains on."
            ) from error
        return teacher_logits.to(batch.inputs.device)

    def __repr__(self) -> str:
        return f"Recorded{tuple(self.logits.shape)}"


def record(teacher: Teacher, data: Data, *, batch_size: int = 512) -> Recorded:
    """Ask a teacher once about every example, in order; costs examples x classes x 4 bytes.

    Sound only where each example always looks the same: with augmentation, ask live.

    Args:
        teacher: a teacher that answers with logits.
        data: data in any form that `distill` takes.
        batch_size: examples asked at once.

    Returns:
        A teacher that answers from memory.

    Raises:
        TypeError: for one that answers with a signal, which `cache` keeps.

    >>> from distill_lab.teachers import freeze
    >>> recorded = record(freeze(torch.nn.Linear(4, 2)), (torch.zeros(3, 4), None))
    >>> recorded.logits.shape
    torch.Size([3, 2])
    """
    examples = as_data(data)
    index = torch.arange(len(examples))
    outputs = [teacher(examples.batch(some)) for some in index.split(batch_size)]
    logits = [part for part in outputs if isinstance(part, Tensor)]
    if len(logits) < len(outputs):
        raise TypeError(
            f"the teacher answered with a {type(outputs[0]).__name__}: record() keeps tensors "
            "of logits. Use cache(...), which keeps any signal."
        )
    return Recorded(torch.cat(logits))
