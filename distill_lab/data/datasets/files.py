"""Where the files of a data set come from: your folder, the cache, or a checked download."""

import hashlib
import os
import sys
import urllib.request
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path

from distill_lab._util.io import write_whole

__all__ = ["PINNED", "DownloadProgress", "PinnedFile", "cache_dir", "find", "read"]

DownloadProgress = Callable[[str, int, int], None]  # (file name, bytes so far, bytes in all)

TIMEOUT = 20.0  # seconds without a byte before the next mirror is asked


@dataclass(frozen=True)
class PinnedFile:
    """One published file, known by its exact bytes.

    Args:
        name: the file's.
        size: bytes.
        sha256: of its bytes, in hexadecimal digits.
    """

    name: str
    size: int
    sha256: str

    def complaint(self, data: bytes) -> str | None:
        """What is wrong with these bytes, in words; None if they are the published ones."""
        if len(data) < self.size:
            return f"is cut short: {len(data):,} of {self.size:,} bytes"
        digest = hashlib.sha256(data).hexdigest()
        if digest != self.sha256:
            expected = f"{self.sha256[:12]}..."
            return f"is not the published file: sha256 {digest[:12]}..., expected {expected}"
        return None


@dataclass(frozen=True)
class PinnedDataset:
    """The published files of one data set.

    Args:
        files: the files.
        mirrors: the public homes that serve them, asked in this order.
    """

    files: tuple[PinnedFile, ...]
    mirrors: tuple[str, ...]


def _four(rows: Sequence[tuple[int, str]]) -> tuple[PinnedFile, ...]:
    kinds = ("images-idx3", "labels-idx1")
    names = [f"{part}-{kind}-ubyte.gz" for part in ("train", "t10k") for kind in kinds]
    return tuple(PinnedFile(name, *row) for name, row in zip(names, rows, strict=True))


PINNED = {
    "mnist": PinnedDataset(
        files=_four(
            [
                (9912422, "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"),
                (28881, "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"),
                (1648877, "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"),
                (4542, "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"),
            ]
        ),
        mirrors=(
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
            "http://yann.lecun.com/exdb/mnist/",
        ),
    ),
    "fashion_mnist": PinnedDataset(
        files=_four(
            [
                (26421880, "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"),
                (29515, "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"),
                (4422102, "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"),
                (5148, "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"),
            ]
        ),
        mirrors=(
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
            "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",
        ),
    ),
    "banking77": PinnedDataset(
        files=(
            PinnedFile(
                "train.csv",
                839073,
                "b06e26ac675513959a63135f11b94ea7786ed02da65db93a5650d8838cbc664b",
            ),
            PinnedFile(
                "test.csv",
                239961,
                "d12d6e3bc4c3103966ae786dc435913c0c563dfa328f5a3646d0e62cfeeb474d",
            ),
            PinnedFile(
                "categories.json",
                2036,
                "53261da888122daf2d120d925458631d9619e15d82e56052e7a42e535ce32b63",
            ),
        ),
        mirrors=(
            "https://raw.githubusercontent.com/PolyAI-LDN/task-specific-datasets/master/banking_data/",
        ),
    ),
    "tinyshakespeare": PinnedDataset(
        files=(
            PinnedFile(
                "input.txt",
                1115394,
                "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
            ),
        ),
        mirrors=(
            "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/",
        ),
    ),
}


def cache_dir() -> Path:
    """The folder downloads are kept in: $DISTILL_LAB_CACHE, or the platform's place for caches."""
    if own := os.environ.get("DISTILL_LAB_CACHE"):
        return Path(own).expanduser()
    if base := os.environ.get("XDG_CACHE_HOME"):
        return Path(base).expanduser() / "distill-lab"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData/Local")) / "distill-lab"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "distill-lab"
    return Path.home() / ".cache" / "distill-lab"


def find(dataset: str, file: PinnedFile) -> tuple[Path, bool] | None:
    """Where a file lies, unchecked.

    Args:
        dataset: the data set's name.
        file: one of its files.

    Returns:
        The path, and whether it is the user's own; None if it is nowhere.
    """
    if own := os.environ.get("DISTILL_LAB_DATA"):
        path = Path(own).expanduser() / dataset / file.name
        if path.is_file():
            return path, True
    path = cache_dir() / dataset / file.name
    return (path, False) if path.is_file() else None


def read(
    dataset: str,
    *,
    download: bool = True,
    mirrors: Sequence[str] | None = None,
    progress: DownloadProgress | None = None,
) -> tuple[list[bytes], str]:
    """The checked bytes of each file of a data set.

    A wrong file in the user's own folder is refused and left alone; a wrong file in the cache is
    warned about and fetched again.

    Args:
        dataset: the data set's name.
        download: whether a file that is nowhere may be fetched.
        mirrors: addresses to fetch from, in place of the public homes.
        progress: called on the way with (file, bytes so far, bytes in all).

    Returns:
        The bytes of each file, and where they came from, in words.

    Raises:
        FileNotFoundError: for a file that is nowhere; the sentence names the three ways to get it.
        ValueError: for a file that is not the published one.
    """
    source = PINNED[dataset]
    contents, places = [], []
    for file in source.files:
        place, data = _on_disk(dataset, file, download)
        if data is None:
            if not download:
                raise FileNotFoundError(_three_ways(dataset, file, "download=False was asked for"))
            place = cache_dir() / dataset / file.name
            data = _download(dataset, file, mirrors or source.mirrors, progress, place)
        contents.append(data)
        places.append(str(place.parent))
    return contents, " and ".join(dict.fromkeys(places))


def _on_disk(dataset: str, file: PinnedFile, download: bool) -> tuple[Path, bytes | None]:
    place = find(dataset, file)
    if place is None:
        return Path(), None
    path, own = place
    data = path.read_bytes()
    complaint = file.complaint(data)
    if complaint is None:
        return path, data
    if own:
        raise ValueError(
            f"{path} {complaint}. It is yours, so it is left as it is: replace it with the "
            "published file, or move it away and let it be downloaded."
        )
    if not download:
        raise ValueError(f"{path} {complaint}. Load once with download=True to fetch it again.")
    warnings.warn(f"{path} {complaint}. It is fetched again.", stacklevel=4)
    return path, None


def _download(
    dataset: str,
    file: PinnedFile,
    mirrors: Sequence[str],
    progress: DownloadProgress | None,
    place: Path,
) -> bytes:
    """Fetch one file from the first mirror that has it whole, and keep it in the cache."""
    reasons = []
    for mirror in mirrors:
        url = mirror.rstrip("/") + "/" + file.name
        try:
            data = _fetch(url, file, progress)
        except (OSError, HTTPException, ValueError) as error:
            reasons.append(f"{url}: {error}")
            continue
        if complaint := file.complaint(data):
            reasons.append(f"{url} {complaint}")
            continue
        _keep(data, place)
        return data
    raise FileNotFoundError(_three_ways(dataset, file, "; ".join(reasons) or "no mirror named"))


def _fetch(url: str, file: PinnedFile, progress: DownloadProgress | None) -> bytes:
    data = bytearray()
    with urllib.request.urlopen(url, timeout=TIMEOUT) as answer:
        # One byte more than the file has is enough to know that it is another file.
        while len(data) <= file.size and (block := answer.read(1 << 16)):
            data += block
            if progress is not None:
                progress(file.name, min(len(data), file.size), file.size)
    return bytes(data)


def _keep(data: bytes, place: Path) -> None:
    try:
        write_whole(place, data)
    except OSError as error:
        raise OSError(
            f"cannot keep {place} ({error}). Set DISTILL_LAB_CACHE to a folder you can write to."
        ) from error


def _three_ways(dataset: str, file: PinnedFile, why: str) -> str:
    own = os.environ.get("DISTILL_LAB_DATA")
    now = f"it is {own} now" if own else "it is not set now"
    return (
        f"{dataset}: {file.name} was not found, and not downloaded ({why}).\n"
        "Any of three ways mends it:\n"
        f"  1. set DISTILL_LAB_DATA to a folder with {dataset}/{file.name} and the rest ({now});\n"
        f"  2. copy the files into the cache, {cache_dir() / dataset};\n"
        f"  3. go online and call datasets.load({dataset!r}) once."
    )
