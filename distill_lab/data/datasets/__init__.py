"""Data sets by name: real images on every machine, with no network needed for the first.

digits = load("digits")                          # 1,797 images, bundled with scikit-learn
train, test = digits.split(train=1000, seeds=range(10))
questions = load("banking77").train              # 10,003 texts, each with one of 77 intents
plays = load("tinyshakespeare")                  # one text of 1,115,394 characters
mine = load_dataset("mine.csv", columns={"text": "question"})  # your own, in any common form
"""

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, overload

import numpy as np
import torch

from distill_lab.data.datasets import files
from distill_lab.data.datasets.examples import Examples
from distill_lab.data.datasets.files import DownloadProgress, cache_dir
from distill_lab.data.datasets.images import ImageSet, parse_idx
from distill_lab.data.datasets.pictures import PictureFolder
from distill_lab.data.datasets.tables import Table, load_dataset, load_table
from distill_lab.data.datasets.texts import Questions, TextSet, parse_banking77, passages

__all__ = [
    "Examples",
    "ImageSet",
    "PictureFolder",
    "Questions",
    "Status",
    "Table",
    "TextSet",
    "cache_dir",
    "load",
    "load_dataset",
    "load_table",
    "parse_idx",
    "passages",
    "status",
]

_DIGITS = tuple("0123456789")
_CLOTHES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
_CLASSES = {"digits": _DIGITS, "mnist": _DIGITS, "fashion_mnist": _CLOTHES}


@dataclass(frozen=True)
class Status:
    """Whether a data set can be loaded without a network, and if not, what to do.

    Args:
        name: the data set's.
        available: whether it is on this machine, whole.
        detail: where it is, or what is amiss.
        remedy: how to get it.
    """

    name: str
    available: bool
    detail: str
    remedy: str = ""


@overload
def load(
    name: Literal["banking77"],
    *,
    download: bool = ...,
    mirrors: Sequence[str] | None = ...,
    progress: DownloadProgress | None = ...,
) -> TextSet: ...
@overload
def load(
    name: Literal["tinyshakespeare"],
    *,
    download: bool = ...,
    mirrors: Sequence[str] | None = ...,
    progress: DownloadProgress | None = ...,
) -> str: ...
@overload
def load(
    name: Literal["digits", "mnist", "fashion_mnist"],
    *,
    download: bool = ...,
    mirrors: Sequence[str] | None = ...,
    progress: DownloadProgress | None = ...,
) -> ImageSet: ...
@overload
def load(
    name: str,
    *,
    download: bool = ...,
    mirrors: Sequence[str] | None = ...,
    progress: DownloadProgress | None = ...,
) -> ImageSet | TextSet | str: ...
def load(
    name: str,
    *,
    download: bool = True,
    mirrors: Sequence[str] | None = None,
    progress: DownloadProgress | None = None,
) -> ImageSet | TextSet | str:
    """Load a data set by its name, found on this machine or downloaded, and checked.

    "digits", "mnist" and "fashion_mnist" are images in [0, 1]; "banking77" are questions with
    their intents, 10,003 to train on and 3,080 to test; "tinyshakespeare" is one text. Digits come
    with scikit-learn. The others are looked for in $DISTILL_LAB_DATA/<name>/, then in the cache,
    then downloaded; each file must match its pinned sha256.

    Args:
        name: Which one.
        download: Whether it may be fetched where it is on this machine nowhere.
        mirrors: Addresses to fetch from, in place of the public homes.
        progress: Called on the way with (file, bytes so far, bytes in all).

    Returns:
        An `ImageSet`, a `TextSet` or a text.

    Raises:
        ValueError: An unknown name, or a file that is not the published one.
        FileNotFoundError: A file is missing; the sentence names the three ways to get it.

    >>> digits = load("digits")
    >>> digits
    ImageSet('digits', 1,797 images of 8x8, 10 classes, from scikit-learn)
    >>> digits.split(train=1000, seed=0)
    (Examples(1,000 of 1x8x8), Examples(797 of 1x8x8))
    """
    if name == "digits":
        return _load_digits()
    if name not in files.PINNED:
        raise ValueError(f"expected one of digits, {', '.join(files.PINNED)}; got {name!r}.")
    contents, source = files.read(name, download=download, mirrors=mirrors, progress=progress)
    if name == "tinyshakespeare":
        return contents[0].decode("utf-8")
    if name == "banking77":
        return parse_banking77(contents, source)
    return _parse_images(name, contents, source)


def _parse_images(name: str, contents: Sequence[bytes], source: str) -> ImageSet:
    names = [file.name for file in files.PINNED[name].files]
    parts = [parse_idx(data, file) for data, file in zip(contents, names, strict=True)]
    images, labels = torch.cat(parts[0::2]), torch.cat(parts[1::2])
    if images.ndim != 3 or len(images) != len(labels):
        raise ValueError(
            f"{name} from {source} must hold one label an image; got images of shape "
            f"{tuple(images.shape)} and {len(labels)} labels. Fetch its files again."
        )
    return ImageSet(
        name,
        images.unsqueeze(1).float().div_(255),
        labels.long(),
        _CLASSES[name],
        source,
        n_train=len(parts[0]),
    )


def status() -> list[Status]:
    """The state of each data set on this machine, checked byte for byte; nothing is fetched."""
    if importlib.util.find_spec("sklearn") is not None:
        digits = Status("digits", True, "with scikit-learn")
    else:
        remedy = "pip install scikit-learn"
        digits = Status("digits", False, "scikit-learn is missing", remedy)
    return [digits, *(_file_status(name) for name in files.PINNED)]


def _file_status(name: str) -> Status:
    try:
        _, source = files.read(name, download=False)
    except FileNotFoundError:
        return Status(
            name,
            False,
            "not on this machine",
            f"optional: load it once while online, or set DISTILL_LAB_DATA to a folder with {name}",
        )
    except (OSError, ValueError) as error:
        return Status(name, False, "a file is damaged or cannot be read", str(error))
    return Status(name, True, f"in {source}")


def _load_digits() -> ImageSet:
    """From the file that scikit-learn carries; importing it would load pandas and SciPy first."""
    spec = importlib.util.find_spec("sklearn")
    if spec is None or not spec.submodule_search_locations:
        raise ImportError(
            "the digits come with scikit-learn, which is not installed: pip install scikit-learn."
        )
    file = Path(spec.submodule_search_locations[0], "datasets", "data", "digits.csv.gz")
    if file.is_file():
        table = np.loadtxt(file, delimiter=",")  # 64 pixels from 0 to 16, and the digit
        images, labels = table[:, :-1], table[:, -1]
    else:  # it lies elsewhere in another version, which knows where
        from sklearn.datasets import load_digits

        images, labels = load_digits(return_X_y=True)
    return ImageSet(
        "digits",
        torch.as_tensor(images, dtype=torch.float32).reshape(-1, 1, 8, 8) / 16,
        torch.as_tensor(labels, dtype=torch.int64),
        _CLASSES["digits"],
        "scikit-learn",
    )
