"""Pairs of answers to one prompt, of which one is preferred: batches hold both side by side."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from distill_lab._util.tensors import IGNORE
from distill_lab.data import fingerprints
from distill_lab.data.batches import Batch
from distill_lab.data.datasets.exchanges import pair_of
from distill_lab.data.rendering import Reasoning
from distill_lab.data.tokenized import Texts, is_silent
from distill_lab.data.turns import read_conversation

AT_ONCE = 256  # texts that are measured together


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

    def __init__(
        self,
        rows: Iterable[Mapping[str, Any]],
        tokenizer: Any,
        *,
        max_length: int = 512,
        place: Callable[[int], str] = "row {}".format,
        reasoning: Reasoning = "learn",
        template: Mapping[str, Any] | None = None,
    ) -> None:
        self.empty = self.alike = 0
        pairs, numbers = [], []
        for number, row in enumerate(rows):
            pair = pair_of(row, place(number))
            try:
                silent = any(is_silent(read_conversation(side)) for side in pair)
            except ValueError as error:
                raise ValueError(f"{place(number)} {error}") from None
            self.empty += silent
            self.alike += not silent and pair[0] == pair[1]
            if not silent and pair[0] != pair[1]:
                pairs.append(pair)
                numbers.append(number)
        if not pairs:
            raise ValueError(
                f"no pair is left to learn from ({self.empty} have an empty answer, {self.alike} "
                "two equal ones): give rows with two answers that differ."
            )
        sides = [
            Texts(
                [pair[side] for pair in pairs],
                tokenizer,
                max_length=2**40,  # a pair is kept or left out as one, below
                place=lambda number: place(numbers[number]),
                reasoning=reasoning,
                template=template,
            )
            for side in (0, 1)
        ]
        self.pad = sides[0].pad
        self.chosen, self.rejected = kept_together(sides, [max_length, max_length])
        self.too_long = len(pairs) - len(self.chosen)
        self.longest = max(int(lengths_of(side).max()) for side in (self.chosen, self.rejected))

    def __len__(self) -> int:
        return len(self.chosen)

    @property
    def lengths(self) -> Tensor:
        """The tokens of each pair (N,), both answers with their prompts."""
        return lengths_of(self.chosen) + lengths_of(self.rejected)

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
        [lengths_of(side) <= limit for side, limit in zip(sides, limits, strict=True)]
    ).all(0)
    numbers = fits.nonzero()[:, 0]
    if not len(numbers):
        raise ValueError(
            f"no text is left to learn from ({len(fits)} are longer than max_length = "
            f"{min(limits)} tokens): give shorter rows, or a larger max_length."
        )
    return [SomeTexts(side, numbers) for side in sides]


def lengths_of(texts: Texts | SomeTexts) -> Tensor:
    """How many tokens each text has (N,)."""
    parts = torch.arange(len(texts)).split(AT_ONCE)
    return torch.cat([texts.batch(part).inputs["attention_mask"].sum(1) for part in parts])
