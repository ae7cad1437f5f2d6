"""The files of a cache: written by one process at a time, whole as far as they are vouched for.

    manifest.json    what this is a cache of, how records look, and at the end the checksums
    index.bin        an entry an example: the key of its content, and where its records end
    signals.bin      a record a position, one after the other
    progress.jsonl   while writing: how far the two files above may be believed, a line a commit
    lock             held by the process that writes

Records are appended, flushed to disk, and only then vouched for by a line of progress. Whatever
lies beyond the last whole line was cut short, and is written again. Numbers are little-endian.
"""

import json
import os
import time
import zlib
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

from distill_lab._util.io import explained, take_lock, write_all, write_whole

FORMAT = "distill-lab cache 1"
FILES = ("index.bin", "signals.bin")
COMMIT_SECONDS = 1.0  # how much work a killed process may lose
_PIECE = 1 << 24  # bytes read at once for a checksum


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """The manifest of a cache, None where there is none yet.

    Raises ValueError for one that is torn or was written by another version.
    """
    path = folder / "manifest.json"
    if not path.exists():
        return None
    try:
        manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        form = manifest["format"]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{path} is torn or no manifest of a cache ({error}): delete the folder to ask the "
            "teacher again."
        ) from error
    if form != FORMAT:
        raise ValueError(
            f"{folder} was not written by this version of distill_lab (expected {FORMAT!r}, got "
            f"{form!r}): use another path, or delete the folder to ask the teacher again."
        )
    return manifest


def write_manifest(folder: Path, manifest: dict[str, Any]) -> None:
    """Write the manifest, whole or not at all."""
    text = json.dumps({"format": FORMAT} | manifest, indent=1)
    with _writing(folder):
        write_whole(folder / "manifest.json", text.encode())


def check_whole(folder: Path, state: dict[str, Any], *, contents: bool = True) -> None:
    """Hold both files against the sizes and checksums vouched for.

    A file that is being written may be longer: what is beyond will be cut off. Raises ValueError
    for one that is missing, cut short, or holds other bytes.
    """
    for name in FILES:
        path, size = folder / name, state[name]["bytes"]
        length = path.stat().st_size if path.exists() else 0
        if length < size or (length > size and state.get("complete")):
            raise ValueError(
                f"{path} is torn: {length:,} bytes where {size:,} were written. Delete the folder "
                f"{folder} to ask the teacher again."
            )
        if contents and size and checksum(path, size) != state[name]["crc32"]:
            raise ValueError(
                f"{path} holds other bytes than were written (its checksum differs): it was "
                f"changed, or the disk is failing. Delete the folder {folder} to ask the teacher "
                "again."
            )


def checksum(path: Path, size: int) -> int:
    """CRC-32 of the first `size` bytes of a file."""
    crc = 0
    with open(path, "rb") as file:
        while size > 0 and (piece := file.read(min(size, _PIECE))):
            crc, size = zlib.crc32(piece, crc), size - len(piece)
    return crc


def read_progress(folder: Path) -> dict[str, Any]:
    """The last whole line of progress: how much has been written for good."""
    start: dict[str, Any] = {"examples": 0} | {name: {"bytes": 0, "crc32": 0} for name in FILES}
    path = folder / "progress.jsonl"
    if not path.exists():
        return start | {"journal": 0}
    raw = path.read_bytes()
    complete_lines = raw[: raw.rfind(b"\n") + 1]  # a line without its end was cut short
    lines = complete_lines.splitlines()
    try:
        last = json.loads(lines[-1]) if lines else start
        return {key: last[key] for key in start} | {"journal": len(complete_lines)}
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{path} is torn ({error}): delete the folder {folder} to ask the teacher again."
        ) from error


class Writer:
    """Appends to the files of a cache, and vouches for what is safely on disk.

    Opening it takes the lock, holds what an earlier process left against its checksums, and cuts
    off what nobody vouches for. `examples` says how many are there.
    Raises BlockingIOError where another process writes, ValueError where the files are torn, and
    OSError where the disk refuses; whatever was vouched for stays.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with _writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = take_lock(folder / "lock", f"the cache {folder}")
        try:
            self.state = read_progress(folder)
            check_whole(folder, self.state)
            with _writing(folder):
                self._files = {name: self._open(name, self.state[name]["bytes"]) for name in FILES}
                self._journal = self._open("progress.jsonl", self.state.pop("journal"))
        except BaseException:
            self._lock.release()
            raise
        self.examples: int = self.state["examples"]
        self._broken = False
        self._committed = time.monotonic()

    def _open(self, name: str, size: int) -> BinaryIO:
        path = self.folder / name
        path.touch()
        file = open(path, "r+b", buffering=0)  # noqa: SIM115 - closed in __exit__
        file.truncate(size)
        file.seek(size)
        return file

    def append(self, examples: int, index: bytes, signals: bytes) -> None:
        """Add some examples; now and then, vouch for everything so far."""
        try:
            with _writing(self.folder):
                for name, raw in zip(FILES, (index, signals), strict=True):
                    write_all(self._files[name], raw)
                    seen = self.state[name]
                    self.state[name] = {
                        "bytes": seen["bytes"] + len(raw),
                        "crc32": zlib.crc32(raw, seen["crc32"]),
                    }
        except BaseException:
            self._broken = True  # half an example may be there: vouch for nothing more
            raise
        self.examples += examples
        self.state["examples"] = self.examples
        if time.monotonic() - self._committed > COMMIT_SECONDS:
            self.commit()

    def commit(self) -> None:
        """Flush everything to disk, then vouch for it."""
        try:
            with _writing(self.folder):
                for file in self._files.values():
                    os.fsync(file.fileno())
                write_all(self._journal, json.dumps(self.state).encode() + b"\n")
                os.fsync(self._journal.fileno())
        except BaseException:
            self._broken = True
            raise
        self._committed = time.monotonic()

    def finish(self, manifest: dict[str, Any]) -> None:
        """Vouch for the whole in the manifest; progress is no longer needed."""
        self.commit()
        write_manifest(self.folder, manifest | {"complete": True} | self.state)
        self._journal.close()
        (self.folder / "progress.jsonl").unlink()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is not None and not self._broken:
                self.commit()  # a teacher that failed, or Ctrl-C: keep its answers so far
        finally:
            for file in (*self._files.values(), self._journal):
                file.close()
            self._lock.release()


def _writing(folder: Path) -> AbstractContextManager[None]:
    """An error of the system, with what it means for the cache."""
    what = f"the cache {folder}"
    return explained(what, "What was safely written before", "call cache() again")
