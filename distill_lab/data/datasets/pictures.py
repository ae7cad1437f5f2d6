"""Pictures in folders, a folder for each class."""

import math
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from distill_lab._util.checks import needs
from distill_lab._util.describe import describe, in_short
from distill_lab._util.io import refuse_pointer, short_hash, user_path

_DECODED = 20_000  # pictures of a folder, at most, that are decoded to find broken ones
ORIENTATION = 0x0112  # the tag by which a camera says how it was held
UPRIGHT = {  # what brings a picture upright that has this number there
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_270",
    7: "TRANSVERSE",
    8: "ROTATE_90",
}
ENDINGS = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff")


class PictureFolder:
    """A map-style Dataset of (picture, class), each picture read when it is asked for.

    Pictures are RGB (3, H, W), turned upright; classes are numbered by the folders' names in their
    order.

    Args:
        folder: it holds a folder for each class.
        size: pixels on a side: the shorter side is scaled to it, and the middle cut out; None
            leaves pictures as they are.
        scaled: whether pixels are float32 from 0 to 1; else uint8 up to 255.
        transform: called with each picture, such as one of torchvision's.

    Raises:
        ValueError: for no pictures, or a file in a class that is none.
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        size: int | None = None,
        scaled: bool = False,
        transform: Callable[[Tensor], Any] | None = None,
    ) -> None:
        self.folder, self.size, self.transform = user_path(folder, "the pictures"), size, transform
        self.scaled = scaled
        if self.folder.is_file():
            raise FileNotFoundError(f"{self.folder} is a file: unpack it, and name the folder.")
        if not self.folder.is_dir():
            raise FileNotFoundError(f"there is no folder {self.folder}: check the path.")
        self.classes = sorted(each.name for each in _visible(self.folder) if each.is_dir())
        named = {"train", "val", "valid", "validation", "test"} & {*map(str.lower, self.classes)}
        if named and any(each.is_dir() for each in _visible(self.folder / self.classes[0])):
            raise ValueError(
                f"{self.folder} holds the splits {', '.join(self.classes)}: name one, as in "
                f"{self.folder / self.classes[0]}."
            )
        loose = [each for each in _visible(self.folder) if each.suffix.lower() in ENDINGS]
        if loose and self.classes:
            warnings.warn(
                f"{len(loose)} pictures lie beside the classes (first: {loose[0].name}), and are "
                "not read: put each into the folder of its class.",
                stacklevel=2,
            )
        self.files: list[Path] = []
        labels = []
        for number, name in enumerate(self.classes):
            for file in _visible(self.folder / name):
                if file.suffix.lower() not in ENDINGS:
                    raise ValueError(
                        f"{file} is no picture ({', '.join(ENDINGS)}): take it out of the class."
                    )
                self.files.append(file)
                labels.append(number)
        if not self.files:
            raise ValueError(f"{self.folder} holds no pictures: expected a folder for each class.")
        self.labels = torch.tensor(labels)

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, number: int) -> tuple[Any, int]:
        if not -len(self) <= number < len(self):
            raise IndexError(f"there are {len(self)} pictures, none with the number {number}.")
        picture = _pixels(self.files[number], self.size)
        picture = picture / 255 if self.scaled else picture
        label = int(self.labels[number])
        return (picture if self.transform is None else self.transform(picture)), label

    def place(self, number: int) -> str:
        """The file of a picture."""
        return str(self.files[number])

    def part(self, numbers: Sequence[int]) -> "PictureFolder":
        """Some of the pictures, with the classes of all."""
        part = copy(self)
        part.files = [self.files[number] for number in numbers]
        part.labels = self.labels[list(numbers)]
        return part

    def broken(self) -> list[str]:
        """A sentence for each file that is no whole picture; nothing is kept of the others.

        All are decoded up to 20,000; of more the beginnings are read, and every so many decoded.
        """
        every = math.ceil(len(self) / _DECODED)

        def sentence(number: int) -> str | None:
            try:
                if number % every:
                    _opened(self.files[number]).close()
                else:
                    _pixels(self.files[number], None)
            except ValueError as error:
                return str(error)
            return None

        with ThreadPoolExecutor() as threads:  # a decoder leaves the others their turn
            return [each for each in threads.map(sentence, range(len(self))) if each is not None]

    @property
    def fingerprint(self) -> str:
        """A short name for the pictures and their classes, by which they are known again."""
        form = self._form()
        digest = blake2b(in_short(form).encode(), digest_size=8)
        for file in self.files:
            digest.update(f"{file.relative_to(self.folder).as_posix()}\0".encode())
            digest.update(file.read_bytes())
        more = form != in_short(form)  # else the name is that of before
        return digest.hexdigest() + f"-{short_hash(form.encode(), size=4)}" * more

    def _form(self) -> str:
        return f"{self.size} {describe(self.transform)}" + " scaled" * self.scaled

    def __repr__(self) -> str:
        return f"PictureFolder({len(self):,} pictures in {len(self.classes)} classes)"


def holds_classes(folder: Path) -> bool:
    """Whether the folders in a folder hold pictures, or folders of them."""
    inner = [each for each in _visible(folder) if each.is_dir()]
    deeper = [each for folder in inner for each in _visible(folder) if each.is_dir()]
    return any(
        file.suffix.lower() in ENDINGS for each in (*inner, *deeper) for file in _visible(each)
    )


def _visible(folder: Path) -> list[Path]:
    """What lies in a folder, by name, without what a system hides there."""
    return sorted(e for e in folder.iterdir() if e.name[0] != "." and e.name != "Thumbs.db")


def _opened(file: Path) -> Any:
    """A picture whose beginning is read and is one; ValueError for any other file."""
    with needs("PIL"):
        from PIL import Image
    if not file.exists():
        raise ValueError(f"{file} is a link to a file that is not there: mend or remove it.")
    refuse_pointer(file)
    try:
        opened = Image.open(file)
    except Exception as error:  # of any kind: a decoder's word on what it cannot read
        raise ValueError(f"{file} cannot be read as a picture: {error}") from None
    if opened.mode.startswith(("I", "F")):
        opened.close()
        raise ValueError(
            f"{file} has {opened.mode} pixels, more than 8 bits each: save it with 8 bits."
        )
    return opened


def _pixels(file: Path, size: int | None) -> Tensor:
    opened = _opened(file)
    from PIL import Image, ImageOps

    try:
        with opened:
            opened.load()  # a TIFF is turned by that
            turn = UPRIGHT.get(opened.getexif().get(ORIENTATION))
            # by hand: PIL's own way writes all tags anew, and falls over those of old cameras
            turned = opened if turn is None else opened.transpose(Image.Transpose[turn])
            picture = turned.convert("RGB")
    except Exception as error:  # of any kind, as above
        raise ValueError(f"{file} cannot be read as a picture: {error}") from None
    if size is not None:
        picture = ImageOps.fit(picture, (size, size), method=Image.Resampling.BICUBIC)
    return torch.from_numpy(np.array(picture)).permute(2, 0, 1).contiguous()
