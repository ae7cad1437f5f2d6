"""Pairs of answers to one prompt, of which one is preferred: batches hold both side by side."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from distill_lab import __version__
from distill_lab._util.runtime import Progress
from distill_lab._util.tensors import IGNORE
from distill_lab.data import fingerprints
from distill_lab.data.batches import Batch
from distill_lab.data.datasets.exchanges import pair_of
from distill_lab.data.ragged import AT_ONCE, Part, Ragged, kept
from distill_lab.data.rendering import Reasoning
from distill_lab.data.tokenized import NoTextLeft, Texts, is_silent, name_of_rows
from distill_lab.data.turns import read_conversation

SIDES = ("chosen", "rejected")


class SomeTexts:
    """Some of the texts of a set, numbered anew.

    Args:
        texts: the set.
        numbers: which of them (N,).
    """

    def __init__(self, texts: Texts, numbers: Tensor) -> None:
        self.texts, self.numbers = texts, numbers

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def fingerprint(self) -> str:
        """A short name for the content."""
        return fingerprints.of_facts([self.texts.fingerprint, self.numbers.tolist()])

    @property
    def lengths(self) -> Tensor:
        """The tokens of each text (N,)."""
        return self.texts.lengths[self.numbers]

    def batch(self, index: Tensor) -> Batch:
        """The texts of these numbers, padded to the longest of them."""
        return self.texts.batch(self.numbers[index])._replace(ids=index)


class Preferences:
    """Prompts with two answers each, tokenised once: of each pair the first is preferred.

    Batches: inputs {"input_ids", "attention_mask"} (B, 2, L), labels (B, 2, L) with -100 on prompts
    and padding; [:, 0] is the chosen answer and [:, 1] the rejected one.

    Args:
        rows: each `{"prompt": ..., "chosen": ..., "rejected": ...}` as `pair_of` takes them. A pair
            with an answer without a word is left out, and `empty` counts it; so is one of two equal
            answers, counted by `alike`.
        tokenizer: where it has a chat template the prompts go through it.
        max_length: pairs with a longer text, in tokens, are left out, and `too_long` counts them.
        place: where the row of a number stands, for the words of an error; else "row 3".
        reasoning: whether thoughts before an answer are there to "learn", or to "drop".
        template: options of the chat template.
        folder: where tokens are kept, as in `Texts`.
        progress: as in `distill`.

    Raises:
        ValueError: as `Texts`, and for rows that are no pairs.

    >>> class Letters:  # a tokenizer in three lines
    ...     eos_token_id, pad_token_id, chat_template = 0, 0, None
    ...     def __call__(self, text, add_special_tokens=False):
    ...         return {"input_ids": [ord(letter) - 96 for letter in text]}
    >>> pairs = Preferences([{"prompt": "ab", "chosen": "c", "rejected": "de"}], Letters())
    >>> pairs.batch(torch.tensor([0])).labels
    tensor([[[-100, -100,    3,    0, -100],
             [-100, -100,    4,    5,    0]]])
    """

    draws = False  # nothing by chance

    def __init__(
        self,
        rows: Iterable[Mapping[str, Any]],
        tokenizer: Any,
        *,
        max_length: int = 512,
        place: Callable[[int], str] = "row {}".format,
        reasoning: Reasoning = "learn",
        template: Mapping[str, Any] | None = None,
        folder: str | os.PathLike[str] | None = None,
        progress: Progress = None,
    ) -> None:
        if isinstance(rows, Iterator):
            rows = list(rows)
        pairs = _Pairs(rows, place)
        name = "" if folder is None else f"{pairs.fingerprint}-pairs-{__version__}"
        usable = kept(folder, name, pairs.usable)
        self.empty, self.alike = usable.facts["empty"], usable.facts["alike"]
        numbers = usable.columns["number"]
        sides = [
            Texts(
                _Side(pairs, numbers, side),
                tokenizer,
                max_length=2**40,  # a pair is kept or left out as one, below
                place=lambda number: place(int(numbers[number])),
                reasoning=reasoning,
                template=template,
                folder=folder,
                progress=progress,
            )
            for side in (0, 1)
        ]
        self.pad = sides[0].pad
        self.chosen, self.rejected = kept_together(sides, [max_length, max_length])
        self.too_long = len(numbers) - len(self.chosen)
        self.longest = max(int(side.lengths.max()) for side in (self.chosen, self.rejected))

    def __len__(self) -> int:
        return len(self.chosen)

    @property
    def lengths(self) -> Tensor:
        """The tokens of each pair (N,), both answers with their prompts."""
        return self.chosen.lengths + self.rejected.lengths

    @property
    def fingerprint(self) -> str:
        """A short name for the content, by which a checkpoint knows its data again."""
        return fingerprints.of_facts([self.chosen.fingerprint, self.rejected.fingerprint])

    def batch(self, index: Tensor) -> Batch:
        """The pairs of these numbers, padded to the longest text of them."""
        sides = [self.chosen.batch(index), self.rejected.batch(index)]
        width = max(side.inputs["input_ids"].shape[1] for side in sides)

        def both(parts: Sequence[Tensor], fill: int) -> Tensor:
            return torch.stack([F.pad(x, (0, width - x.shape[1]), value=fill) for x in parts], 1)

        fills = {"input_ids": self.pad, "attention_mask": 0}
        inputs = {
            name: both([side.inputs[name] for side in sides], fill) for name, fill in fills.items()
        }
        labels = both([side.labels for side in sides if side.labels is not None], IGNORE)
        return Batch(inputs, labels, index)


class _Pairs:
    """Rows as pairs of conversations, made anew in each reading of them.

    Args:
        rows: as `Preferences` takes them.
        place: where the row of a number stands.
    """

    def __init__(self, rows: Iterable[Mapping[str, Any]], place: Callable[[int], str]) -> None:
        self.rows, self.place = rows, place

    @cached_property
    def fingerprint(self) -> str:
        """A short name for the content of the rows."""
        return name_of_rows(self.rows)

    def __iter__(self) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any]]]:
        for number, row in enumerate(self.rows):
            yield pair_of(row, self.place(number))

    def usable(self, spool: Path | None) -> Ragged:
        """The numbers of those with two answers that say something, each something else."""
        empty = alike = 0

        def parts() -> Iterator[Part]:
            nonlocal empty, alike
            numbers: list[list[int]] = []
            for number, pair in enumerate(self):
                try:
                    silent = any(is_silent(read_conversation(side)) for side in pair)
                except ValueError as error:
                    raise ValueError(f"{self.place(number)} {error}") from None
                empty += silent
                alike += not silent and pair[0] == pair[1]
                if not silent and pair[0] != pair[1]:
                    numbers.append([number])
                if len(numbers) == AT_ONCE:
                    yield {"number": numbers}
                    numbers = []
            yield {"number": numbers}

        numbers = Ragged.of(parts(), spool)
        if not len(numbers):
            raise ValueError(
                f"no pair is left to learn from ({empty} have an empty answer, {alike} two equal "
                "ones): give rows with two answers that differ."
            )
        numbers.facts = {"empty": empty, "alike": alike}
        return numbers


class _Side:
    """One side of those pairs that are usable: rows for `Texts`, in their order.

    Args:
        pairs: all of them.
        numbers: which of them are usable, in rising order.
        side: 0 for the chosen answers, 1 for the rejected ones.
    """

    def __init__(self, pairs: _Pairs, numbers: Any, side: int) -> None:
        self.pairs, self.numbers, self.side = pairs, numbers, side

    @property
    def fingerprint(self) -> str:
        """A short name for the content."""
        return f"{self.pairs.fingerprint}-{SIDES[self.side]}"

    def __len__(self) -> int:
        return len(self.numbers)

    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        wanted = iter(self.numbers.tolist())
        number = next(wanted, None)
        for i, pair in enumerate(self.pairs):
            if i == number:
                yield pair[self.side]
                number = next(wanted, None)


def kept_together(sides: Sequence[Texts], limits: Sequence[int]) -> list[SomeTexts]:
    """Of several sets of as many texts, those whose every side is short enough.

    Args:
        sides: text i of one belongs to text i of each other.
        limits: tokens of a text, at most, a side each.

    Returns:
        The sets, of as many texts again.

    Raises:
        ValueError: where none is left.
    """
    fits = torch.stack(
        [side.lengths <= limit for side, limit in zip(sides, limits, strict=True)]
    ).all(0)
    numbers = fits.nonzero()[:, 0]
    if not len(numbers):
        raise NoTextLeft(
            f"no text is left to learn from ({len(fits)} are longer than max_length = "
            f"{min(limits)} tokens): give shorter rows, or a larger max_length."
        )
    return [SomeTexts(side, numbers) for side in sides]
