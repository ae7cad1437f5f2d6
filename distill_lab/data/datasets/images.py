"""Small labelled images: their official parts, their random splits, and the idx files of MNIST."""

import gzip
import math
import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from distill_lab.data.datasets.examples import Examples

__all__ = ["ImageSet", "parse_idx"]


@dataclass(frozen=True, eq=False, repr=False)
class ImageSet:
    """Labelled grey images, and where they came from.

    Args:
        name: the data set's.
        images: (N, 1, H, W) float32 in [0, 1].
        labels: classes (N,) int64.
        classes: their names.
        source: where the images came from, in words.
        n_train: where the publishers fixed a test set, the number of images of the official
            training set, which come first: `.train` and `.test`.
    """

    name: str
    images: Tensor
    labels: Tensor
    classes: tuple[str, ...]
    source: str
    n_train: int | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def __repr__(self) -> str:
        height, width = self.images.shape[-2:]
        return (
            f"ImageSet({self.name!r}, {len(self):,} images of {height}x{width}, "
            f"{len(self.classes)} classes, from {self.source})"
        )

    @property
    def train(self) -> Examples:
        """The official training set; AttributeError where the publishers fixed none."""
        n = self._official()
        return Examples(self.images[:n], self.labels[:n])

    @property
    def test(self) -> Examples:
        """The official test set; AttributeError where the publishers fixed none."""
        n = self._official()
        return Examples(self.images[n:], self.labels[n:])

    def split(
        self,
        train: int = 1000,
        seed: int | None = None,
        *,
        seeds: Iterable[int] | None = None,
        test: int | None = None,
    ) -> tuple[Examples, Examples]:
        """Training and test examples, drawn at random for one seed, or for many at once.

        Without an official test set, `train` images are drawn from all and the test set is the
        rest; with one, they are drawn from the official training set and the official test set
        stays as it is. A seed means the same split alone or among many, whatever the global
        generator has done.

        Args:
            train: images to train on.
            seed: gives plain Examples; 0 by default.
            seeds: gives stacked ones, with a row for each.
            test: keeps only so many test images, drawn at random too.

        Returns:
            The examples to train on, and those to test on.

        Raises:
            ValueError: where there are not as many images as asked for, or for both kinds of seed.

        >>> images, labels = torch.rand(20, 1, 8, 8), torch.arange(20) % 10
        >>> small = ImageSet("small", images, labels, tuple("0123456789"), "chance")
        >>> small.split(train=15, seeds=range(3))
        (Examples(15 of 1x8x8, 3 seeds), Examples(5 of 1x8x8, 3 seeds))
        """
        if seed is not None and seeds is not None:
            raise ValueError(
                "split needs seed=0 for one split or seeds=range(10) for many; got both."
            )
        self._check_sizes(train, test)
        if seeds is None:
            first, second = self._draw(train, test, 0 if seed is None else seed)
        else:
            rows = [self._draw(train, test, one) for one in seeds]
            if not rows:
                raise ValueError("seeds is empty; name at least one, as in seeds=range(10).")
            first, second = (torch.stack(indices) for indices in zip(*rows, strict=True))
        return self._at(first), self._at(second)

    def _draw(self, train: int, test: int | None, seed: int) -> tuple[Tensor, Tensor]:
        """The numbers of the training and of the test images for one seed."""
        generator = torch.Generator().manual_seed(seed)
        if self.n_train is None:
            order = torch.randperm(len(self), generator=generator)
            return order[:train], order[train:][:test]
        order = torch.randperm(self.n_train, generator=generator)[:train]
        n_test = len(self) - self.n_train
        if test is None:
            return order, torch.arange(self.n_train, len(self))
        return order, self.n_train + torch.randperm(n_test, generator=generator)[:test]

    def _at(self, index: Tensor) -> Examples:
        if index.ndim == 2 and len(index) > 1 and bool((index == index[0]).all()):
            # The official test set for every seed: one copy, seen S times.
            one = self._at(index[0])
            return Examples(*(x.expand(len(index), *x.shape) for x in one))
        return Examples(self.images[index], self.labels[index])

    def _check_sizes(self, train: int, test: int | None) -> None:
        if self.n_train is None:
            max_train, max_test = len(self) - 1, len(self) - train
        else:
            max_train, max_test = self.n_train, len(self) - self.n_train
        if not 1 <= train <= max_train:
            raise ValueError(f"{self.name} can give 1 to {max_train:,} for train; got {train}.")
        if test is not None and not 1 <= test <= max_test:
            raise ValueError(
                f"{self.name} with train={train} can give 1 to {max_test:,} for test; got {test}."
            )

    def _official(self) -> int:
        if self.n_train is None:
            raise AttributeError(
                f"{self.name} has no official training and test set; draw one with "
                ".split(train=1000, seed=0)."
            )
        return self.n_train


def parse_idx(packed: bytes, name: str) -> Tensor:
    """Read a gzipped idx file of unsigned bytes.

    The header is two zero bytes, the type (8 = unsigned byte), the number of dimensions d, then d
    sizes as big-endian 32-bit numbers.

    Args:
        packed: the bytes of the file.
        name: the file's, for the errors.

    Returns:
        A uint8 tensor of the shape that the file states.

    Raises:
        ValueError: for a byte that is missing, left over or not what the format says.

    >>> header = bytes([0, 0, 8, 2, 0, 0, 0, 1, 0, 0, 0, 3])
    >>> parse_idx(gzip.compress(header + bytes([5, 6, 7])), "small.gz")
    tensor([[5, 6, 7]], dtype=torch.uint8)
    """
    try:
        data = gzip.decompress(packed)
    except (OSError, EOFError, zlib.error, struct.error) as error:
        raise ValueError(
            f"{name} cannot be unpacked as gzip ({error}). It is cut short, damaged or another "
            "kind of file: fetch it again."
        ) from error
    if len(data) < 4 or data[:3] != b"\x00\x00\x08" or data[3] == 0:
        raise ValueError(
            f"{name} must start as an idx file of unsigned bytes does (0, 0, 8, dimensions); "
            f"got {list(data[:4])}. Is it another file under this name?"
        )
    start = 4 + 4 * data[3]
    if len(data) < start:
        raise ValueError(f"{name} ends inside its header, after {len(data)} bytes: fetch it again.")
    shape = struct.unpack(f">{data[3]}I", data[4:start])
    if len(data) - start != math.prod(shape):
        raise ValueError(
            f"{name} promises {' x '.join(map(str, shape))} values and holds "
            f"{len(data) - start:,}: fetch it again."
        )
    if 0 in shape:
        return torch.empty(shape, dtype=torch.uint8)
    # bytearray: torch warns about memory that must not be written.
    return torch.frombuffer(bytearray(data[start:]), dtype=torch.uint8).reshape(shape)
