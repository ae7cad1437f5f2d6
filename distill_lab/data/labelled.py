"""Texts with labels: tokenised once, kept on disk, and put into batches of like length."""

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from distill_lab._util.checks import positive_int
from distill_lab._util.runtime import Progress
from distill_lab._util.tensors import IGNORE, Batch
from distill_lab.data.fingerprints import of_facts, of_tensors, of_tokenizer
from distill_lab.data.forms import Parts, checked_weights, in_tensors
from distill_lab.data.plain_values import HalfCharacterError, check_characters
from distill_lab.data.ragged import AT_ONCE, Ragged, ahead, kept
from distill_lab.data.samplers import ByLength

_USUAL = 512  # tokens, where a tokenizer names no end


class Labelled:
    """Texts and their labels as training data, in batches of like length.

    A text is a string, a pair of strings, such as a question and an answer, or a list of words. Of
    words, labels may be one a word, as in tagging: the first piece of a word has its label, and the
    other pieces and the special tokens have -100.

    Longer texts are cut to `max_length` tokens: `cut` counts them, and `lost` the labelled words
    that stand behind the cut. `unread` has their labels (N, M), padded with -100, or is None:
    `compare` counts spans there as missed. Batches: inputs
    {"input_ids", "attention_mask"} (B, L), as wide as their longest text, with "token_type_ids"
    where the tokenizer gives others than 0, or pairs any; labels (B, ...), or (B, L) for words.

    Args:
        texts: N of them.
        labels: class numbers (N,), any others that `as_data` takes, a list of class numbers for
            each list of words, or None.
        tokenizer: one of Hugging Face; a fast one uses all cores.
        max_length: in tokens; None: what the tokenizer names, at most 512.
        bundle_by_length: whether a run draws batches of like length, see `ByLength`; each text
            still comes once an epoch. `sampler=` takes precedence.
        weights: what each text weighs (N,), or None.
        folder: where tokens are kept, as Arrow files. The same texts, tokenizer and length are
            found there again, whatever the labels, and not tokenised twice.
        progress: as in `distill`.
        left: whether texts are padded on the left, as XLNet's classifier needs it: it reads the
            last place.

    Raises:
        ValueError: for texts of no kind or no token, another number of labels, tags that do not fit
            their words, or a tokenizer that cannot pad.

    >>> class Letters:  # a tokenizer in three lines
    ...     pad_token_id, model_max_length = 0, 9
    ...     def __call__(self, texts, truncation, max_length):
    ...         return {"input_ids": [[ord(c) - 96 for c in t][:max_length] for t in texts]}
    ...     def get_vocab(self):
    ...         return {}
    >>> data = Labelled(["ab", "c", "hello"], [1, 0, 1], Letters())
    >>> data.batch(torch.tensor([1, 0])).inputs["input_ids"]
    tensor([[3, 0],
            [1, 2]])
    """

    draws = False  # nothing by chance

    def __init__(
        self,
        texts: Iterable[Any],
        labels: Any,
        tokenizer: Any,
        *,
        max_length: int | None = None,
        bundle_by_length: bool = True,
        weights: Any = None,
        folder: str | os.PathLike[str] | None = None,
        progress: Progress = None,
        left: bool = False,
    ) -> None:
        rows = list(texts)
        kind = _kind_of(rows)
        self.pad, self.left = _pad_of(tokenizer), left
        named = getattr(tokenizer, "model_max_length", _USUAL)
        self.max_length = positive_int("max_length", max_length or min(named, _USUAL))
        self.bundle_by_length = bundle_by_length
        key = of_facts([_digest(rows), of_tokenizer(tokenizer), self.max_length, kind])
        make = partial(_tokens, rows, tokenizer, self.max_length, kind, progress)
        self.tokens = kept(folder, key, make)
        lengths = self.tokens.lengths
        if not lengths.all():
            raise ValueError(
                f"text {int((lengths == 0).nonzero()[0])} has no token: leave empty texts out."
            )
        self.cut: int = self.tokens.facts["cut"]
        self.labels: Tensor | None = None
        self.tags, self.lost = None, 0
        self.unread: Tensor | None = None
        if kind == "words" and _are_tags(labels):
            self.tags, self.lost, self.unread = _of_first_pieces(self.tokens, rows, labels)
        elif labels is not None:
            self.labels = in_tensors(Parts(torch.arange(len(rows)), labels)).labels
        self.weights = checked_weights(weights, len(rows))
        held = {"labels": self.labels, "weights": self.weights}
        named_tensors = [(name, part) for name, part in held.items() if part is not None]
        if self.tags is not None:
            named_tensors.append(("tags", torch.from_numpy(self.tags)))
        sides = ["left"] if left else []
        self.fingerprint = of_facts([key, of_tensors(named_tensors), bundle_by_length, *sides])

    def __len__(self) -> int:
        return len(self.tokens)

    def batch(self, index: Tensor) -> Batch:
        """The texts of these numbers (B,), padded to the longest of them."""
        padded = partial(self.tokens.padded, index=index, left=self.left)
        mask = self.tokens.mask(index, left=self.left)
        inputs = {"input_ids": padded("input_ids", fill=self.pad), "attention_mask": mask}
        if "token_type_ids" in self.tokens.columns:
            inputs["token_type_ids"] = padded("token_type_ids", fill=0)
        labels = None if self.labels is None else self.labels[index]
        if self.tags is not None:
            tags = Ragged({"tags": self.tags}, self.tokens.ends)
            labels = tags.padded("tags", index, fill=IGNORE, left=self.left)
        return Batch(inputs, labels, index, None if self.weights is None else self.weights[index])

    def sampler(self, batch_size: int) -> ByLength | None:
        """The order that bundles texts of like length, where it is wanted."""
        return ByLength(self.tokens.lengths, batch_size) if self.bundle_by_length else None

    def __repr__(self) -> str:
        return f"Labelled({len(self)} texts of {len(self.tokens.columns['input_ids'])} tokens)"


def _kind_of(rows: Sequence[Any]) -> str:
    kinds = [_kind(row) for row in rows]
    if not rows or kinds[0] == "":
        first = f"the first is a {type(rows[0]).__name__}" if rows else "there is none"
        raise ValueError(
            f"texts must be strings, pairs of strings as tuples, or lists of words; {first}."
        )
    other = next((number for number, kind in enumerate(kinds) if kind != kinds[0]), None)
    if other is not None:
        raise ValueError(
            f"text {other} is {type(rows[other]).__name__} {str(rows[other])[:40]!r}, and text 0 "
            f"is of kind {kinds[0]}: expected all of one kind."
        )
    for number, row in enumerate(rows):
        try:
            check_characters(row)
        except HalfCharacterError as error:
            raise HalfCharacterError(f"text {number} {error}") from None
    return kinds[0]


def _kind(row: Any) -> str:
    if isinstance(row, str):
        return "text"
    if not isinstance(row, tuple | list) or not all(isinstance(part, str) for part in row):
        return ""
    if isinstance(row, list):
        return "words"
    return "pair" if len(row) == 2 else ""


def _pad_of(tokenizer: Any) -> int:
    names = ("pad_token_id", "eos_token_id")
    numbers = [getattr(tokenizer, name, None) for name in names]
    pad = next((number for number in numbers if number is not None), None)
    if pad is None:
        raise ValueError(
            "the tokenizer has no token to pad with: set tokenizer.pad_token, as to one of its "
            "special tokens."
        )
    return int(pad)


def _digest(rows: Sequence[Any]) -> str:
    """A short name for texts: no two lists of texts are written alike."""
    digest = hashlib.blake2b(digest_size=8)
    for row in rows:
        parts = [row] if isinstance(row, str) else row
        raw = [part.encode("utf-8", "surrogatepass") for part in parts]
        digest.update(f"{[len(part) for part in raw]}".encode() + b"".join(raw))
    return digest.hexdigest()


def _tokens(
    rows: Sequence[Any],
    tokenizer: Any,
    max_length: int,
    kind: str,
    progress: Progress,
    spool: Path | None,
) -> Ragged:
    """Every text's tokens, and for words which word a piece is of."""
    chunks = (
        (min(first + AT_ONCE, len(rows)), rows[first : first + AT_ONCE])
        for first in range(0, len(rows), AT_ONCE)
    )
    cut = 0

    def parts() -> Iterator[dict[str, list[list[int]]]]:
        nonlocal cut
        call = partial(_call, tokenizer=tokenizer, max_length=max_length, kind=kind)
        for columns, more in ahead(chunks, call, len(rows), progress):
            cut += more
            yield columns

    with _left_as_it_was(tokenizer):
        tokens = Ragged.of(parts(), spool)
    if kind != "pair" and not tokens.columns.get("token_type_ids", np.zeros(0)).any():
        tokens.columns.pop("token_type_ids", None)  # as a model takes them where there are none
    tokens.facts["cut"] = cut
    return tokens


@contextmanager
def _left_as_it_was(tokenizer: Any) -> Iterator[None]:
    """A fast tokenizer keeps how it last cut, and would be saved so beside a student."""
    fast = getattr(tokenizer, "backend_tokenizer", None)
    before = None if fast is None else (fast.truncation, fast.padding)
    try:
        yield
    finally:
        if fast is not None and before is not None:
            truncation, padding = before
            fast.enable_truncation(**truncation) if truncation else fast.no_truncation()
            fast.enable_padding(**padding) if padding else fast.no_padding()


def _call(
    rows: Sequence[Any], tokenizer: Any, max_length: int, kind: str
) -> tuple[dict[str, list[list[int]]], int]:
    """The tokens of some texts, and how many of these were cut."""
    options: dict[str, Any] = {"truncation": True, "max_length": max_length}
    if kind == "pair":
        output = tokenizer(*map(list, zip(*rows, strict=True)), **options)
    elif kind == "words":
        if not getattr(tokenizer, "is_fast", False):
            raise ValueError(
                "labels of words need a fast tokenizer, which says which word a piece is of: load "
                "it as AutoTokenizer.from_pretrained(name, use_fast=True)."
            )
        output = tokenizer(list(rows), is_split_into_words=True, **options)
    else:
        output = tokenizer(list(rows), **options)
    columns = {"input_ids": output["input_ids"]}
    if "token_type_ids" in output:
        columns["token_type_ids"] = output["token_type_ids"]
    if kind == "words":
        columns["words"] = [
            [-1 if word is None else word for word in output.word_ids(i)] for i in range(len(rows))
        ]
    return columns, cut_in(output, max_length)


def cut_in(output: Any, max_length: int) -> int:
    """How many texts a tokenizer has cut; where it does not say so, all that are as long as can be.

    Args:
        output: what the tokenizer returned.
        max_length: tokens, at most.

    Returns:
        Their number.
    """
    encodings = getattr(output, "encodings", None) or [None] * len(output["input_ids"])
    return sum(
        len(ids) >= max_length if encoding is None else bool(encoding.overflowing)
        for ids, encoding in zip(output["input_ids"], encodings, strict=True)
    )


def _are_tags(labels: Any) -> bool:
    if labels is None or len(labels) == 0:
        return False
    return isinstance(labels[0], Sequence) or getattr(labels[0], "ndim", 0) > 0


def _of_first_pieces(
    tokens: Ragged, rows: Sequence[Any], labels: Any
) -> tuple[np.ndarray[Any, Any], int, Tensor | None]:
    """Each token's label: that of its word at the first piece of it, else -100; labels lost.

    And those (N, M) of the words behind the last one that is read, -100 where there is none.
    """
    if len(labels) != len(rows):
        raise ValueError(
            f"there are {len(rows)} texts but labels for {len(labels)}: expected one list a text."
        )
    for number, (row, own) in enumerate(zip(rows, labels, strict=True)):
        if len(own) != len(row):
            raise ValueError(
                f"text {number} has {len(row)} words but {len(own)} labels: expected one a word, "
                "-100 for a word without one."
            )
    flat = [tag for own in labels for tag in (own.tolist() if hasattr(own, "tolist") else own)]
    tags = in_tensors(Parts(torch.arange(len(flat)), flat)).labels.numpy().astype(np.int32)
    begins = np.concatenate([[0], np.cumsum([len(row) for row in rows])])[:-1]
    words, first = tokens.columns["words"], np.zeros(len(tokens.columns["words"]), dtype=bool)
    first[tokens.ends[:-1]] = True
    first[1:] |= words[1:] != words[:-1]
    first &= words >= 0
    word = np.repeat(begins, np.diff(tokens.ends)) + words
    own = np.full(len(words), IGNORE, dtype=np.int32)
    own[first] = tags[word[first]]
    text = np.repeat(np.arange(len(rows)), np.diff(tokens.ends))
    read = np.zeros(len(rows), dtype=np.int64)  # up to which word each text is
    np.maximum.at(read, text[first], words[first] + 1)
    places = zip(begins, read, rows, strict=True)
    behind = [torch.from_numpy(tags[at + some : at + len(row)]) for at, some, row in places]
    unread = nn.utils.rnn.pad_sequence(behind, batch_first=True, padding_value=IGNORE).long()
    lost = int((tags != IGNORE).sum() - (own != IGNORE).sum())
    return own, lost, unread if (unread != IGNORE).any() else None
