"""Some of a source's examples, as a source."""

from torch import Tensor

from distill_lab._util.io import short_hash
from distill_lab.data.batches import Batch, Source, own_fingerprint


class Part:
    """Some of the examples of a source, numbered from 0.

    It has the labels, the lengths and the name for its content where the source has them, and its
    examples are drawn as the source draws them.

    Args:
        source: all of them.
        numbers: which (M,).
    """

    def __init__(self, source: Source, numbers: Tensor) -> None:
        self.source, self.numbers = source, numbers
        self.draws = getattr(source, "draws", True)
        for name in ("lengths", "labels"):
            if isinstance(values := getattr(source, name, None), Tensor):
                setattr(self, name, values[numbers])

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def fingerprint(self) -> str | None:
        """A short name for the content; None where the source has none."""
        own = own_fingerprint(self.source)
        return own and short_hash(f"{own} {self.numbers.tolist()}".encode())

    def batch(self, index: Tensor) -> Batch:
        """Draw the examples with these numbers."""
        return self.source.batch(self.numbers[index])._replace(ids=index)
