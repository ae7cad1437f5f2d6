"""Tiny Shakespeare: pieces where it lies, cut without loss, refused where it is another text."""

import hashlib
import os
from pathlib import Path

import pytest

from distill_lab.data import datasets
from distill_lab.data.datasets import files

TEXT = b"First Citizen:\nSpeak.\n\nAll:\nWe speak.\n\nFirst Citizen:\nSo be it.\n"
DATA = os.environ.get("DISTILL_LAB_DATA", "")  # read before any fixture takes it away


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A folder of the user's own with a short text in the place of the plays."""
    pinned = files.PinnedFile("input.txt", len(TEXT), hashlib.sha256(TEXT).hexdigest())
    monkeypatch.setitem(files.PINNED, "tinyshakespeare", files.PinnedDataset((pinned,), mirrors=()))
    monkeypatch.setenv("DISTILL_LAB_DATA", str(tmp_path / "own"))
    monkeypatch.setenv("DISTILL_LAB_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "own" / "tinyshakespeare"
    folder.mkdir(parents=True)
    (folder / "input.txt").write_bytes(TEXT)
    return folder


def test_it_is_read_from_the_folder_named(own):
    assert datasets.load("tinyshakespeare", download=False) == TEXT.decode()


def test_another_text_is_refused(own):
    (own / "input.txt").write_bytes(TEXT.replace(b"So be it", b"So be is"))
    with pytest.raises(ValueError, match="not the published file"):
        datasets.load("tinyshakespeare", download=False)


def test_a_missing_text_names_three_ways_to_get_it(own):
    (own / "input.txt").unlink()
    with pytest.raises(FileNotFoundError) as error:
        datasets.load("tinyshakespeare", download=False)
    for way in ("DISTILL_LAB_DATA", "cache", "go online and call"):
        assert way in str(error.value)


@pytest.mark.parametrize("letters", [1, 25, 30, 10_000])
def test_passages_lose_nothing_and_are_long_enough(letters):
    pieces = datasets.passages(TEXT.decode(), letters=letters)
    assert "\n\n".join(pieces) == TEXT.decode()
    assert all(len(piece) >= letters for piece in pieces[:-1])


def test_a_passage_needs_a_letter():
    with pytest.raises(ValueError, match="letters must be a positive integer"):
        datasets.passages("a", letters=0)


def test_the_published_text_has_its_size_and_its_65_letters(monkeypatch):
    if not (Path(DATA) / "tinyshakespeare").is_dir():
        pytest.skip(f"tinyshakespeare is not under $DISTILL_LAB_DATA ({DATA or 'not set'})")
    monkeypatch.setenv("DISTILL_LAB_DATA", DATA)
    text = datasets.load("tinyshakespeare", download=False)
    assert len(text) == 1_115_394 and len(set(text)) == 65 and text.count("\n") == 40_000
    assert text.startswith("First Citizen:")
