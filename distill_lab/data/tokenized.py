"""Texts as training data: a prompt, an answer to learn, and nothing lost in silence."""

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sized
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from distill_lab import __version__
from distill_lab._util.runtime import Progress
from distill_lab._util.tensors import IGNORE
from distill_lab.data import fingerprints
from distill_lab.data.batches import Batch
from distill_lab.data.ragged import AT_ONCE, Part, Ragged, ahead, kept
from distill_lab.data.rendering import Reasoning
from distill_lab.data.templates import Template, Text, Written, turns_to_learn
from distill_lab.data.thoughts import answer_in
from distill_lab.data.turns import Conversation, read_conversation

KEPT = ["tokens", "prompt", "row"]  # columns on disk: a file without one is not the file


class NoTextLeft(ValueError):
    """Of all rows there is no text to learn from."""


class Texts:
    """Prompts and answers, tokenised once: batches as wide as their longest text needs.

    Only answers are learned: labels are -100 on prompts and padding. An answer is what the model
    has to write behind its template's own prompt, up to the end of its turn: see `Template`.
    Batches: inputs {"input_ids", "attention_mask"} (B, L), labels (B, L).

    Args:
        rows: each `{"prompt": ..., "answer": ...}`, the prompt a text or a list of messages, or
            `{"messages": [...]}` with the answer as the last message; `tools` may stand beside
            them. An answer without a word is left out, and `empty` counts it.
        tokenizer: where it has a chat template the prompt goes through it, else the text stands as
            it is.
        max_length: rows of more tokens are not cut, since a cut answer teaches to break off: they
            are left out, and `too_long` counts them.
        prompts_only: gives prompts padded on the left, for a student that answers itself.
        place: where the row of a number stands, for the words of an error; else "row 3".
        learn: the assistant's "last" turn, or "all" of them, each behind its own prompt as a text
            of its own: a template may write a turn otherwise once it is an earlier one.
        reasoning: whether thoughts before an answer are there to "learn", or to "drop".
        template: options of the chat template, such as `{"enable_thinking": False}`.
        folder: where tokens are kept, as an Arrow file. The same rows, tokenizer and settings are
            found there again and not tokenised twice; batches are read from the disk.
        progress: as in `distill`.

    Raises:
        ValueError: for rows without prompt or answer, and for those that the tokenizer's template
            refuses or does not write in full, naming the row; where none is left; or for rows that
            can be read but once, beside a folder.

    >>> class Letters:  # a tokenizer in three lines
    ...     eos_token_id, pad_token_id, chat_template = 0, 0, None
    ...     def __call__(self, text, add_special_tokens=False):
    ...         return {"input_ids": [ord(letter) - 96 for letter in text]}
    >>> rows = [{"prompt": "ab", "answer": "c"}, {"prompt": "a", "answer": "bcd"}]
    >>> texts = Texts(rows, Letters())
    >>> texts.batch(torch.tensor([0, 1])).labels
    tensor([[-100, -100,    3,    0, -100],
            [-100,    2,    3,    4,    0]])
    """

    draws = False  # nothing by chance

    def __init__(
        self,
        rows: Iterable[Mapping[str, Any]],
        tokenizer: Any,
        *,
        max_length: int = 512,
        prompts_only: bool = False,
        place: Callable[[int], str] = "row {}".format,
        learn: Literal["last", "all"] = "last",
        reasoning: Reasoning = "learn",
        template: Mapping[str, Any] | None = None,
        folder: str | os.PathLike[str] | None = None,
        progress: Progress = None,
    ) -> None:
        for name, value, known in (
            ("learn", learn, ("last", "all")),
            ("reasoning", reasoning, ("learn", "drop")),
        ):
            if value not in known:
                raise ValueError(f"{name} must be {known[0]!r} or {known[1]!r}, got {value!r}.")
        self.pad = tokenizer.pad_token_id
        if self.pad is None:
            self.pad = tokenizer.eos_token_id
        self.prompts_only = prompts_only
        writer = Template(tokenizer, options=template)
        reader = _Reader(writer, max_length, prompts_only, learn, reasoning, place)
        make = partial(reader.tokens, rows, progress)
        self.tokens = make(None) if folder is None else kept(folder, reader.name(rows), make)
        self.too_long: int = self.tokens.facts["too_long"]
        self.empty: int = self.tokens.facts["empty"]
        self.fingerprint: str = self.tokens.facts["fingerprint"]

    def __len__(self) -> int:
        return len(self.tokens)

    @property
    def lengths(self) -> Tensor:
        """The tokens of each text (N,)."""
        return self.tokens.lengths

    @property
    def longest(self) -> int:
        """The tokens of the longest text."""
        return int(self.lengths.max())

    @property
    def longest_answer(self) -> int:
        """The tokens of the longest answer; 0 where there are prompts alone."""
        return int((self.lengths.numpy() - self.tokens.singles["prompt"]).max())

    @property
    def rows(self) -> Tensor:
        """Which row each text is of (N,), from 0: others were too long, empty, or gave several."""
        return torch.from_numpy(self.tokens.singles["row"].astype(np.int64))

    def text(self, number: int) -> Text:
        """The tokens of one text, those that are read and those that are learned."""
        tokens, begin = self.tokens.row("tokens", number), self.tokens.singles["prompt"][number]
        return Text(tokens[:begin], tokens[begin:])

    def batch(self, index: Tensor) -> Batch:
        """The texts of these numbers, padded to the longest of them."""
        ids = self.tokens.padded("tokens", index, fill=self.pad, left=self.prompts_only)
        mask = self.tokens.mask(index, left=self.prompts_only)
        labels = torch.full_like(ids, IGNORE)
        if not self.prompts_only:
            begin = torch.from_numpy(self.tokens.singles["prompt"][index.numpy()])[:, None]
            learned = mask.bool() & (torch.arange(ids.shape[1]) >= begin)
            labels[learned] = ids[learned]
        return Batch({"input_ids": ids, "attention_mask": mask}, labels, index)


class _Chunk(NamedTuple):
    """The texts of some rows, in order, up to one that cannot be written."""

    rows: list[int]
    written: list[Written]
    error: Exception | None = None


class _Reader:
    """How rows become tokens: what `Texts` is given, in one place."""

    def __init__(
        self,
        writer: Template,
        max_length: int,
        prompts_only: bool,
        learn: str,
        reasoning: Reasoning,
        place: Callable[[int], str],
    ) -> None:
        self.writer, self.max_length, self.prompts_only = writer, max_length, prompts_only
        self.learn, self.reasoning, self.place = learn, reasoning, place
        self.too_long = self.empty = 0

    def name(self, rows: Iterable[Mapping[str, Any]]) -> str:
        """A name that changes with whatever the tokens follow from, that of the rows in front."""
        tokenizer, options = self.writer.tokenizer, self.writer.options
        facts = [
            *(__version__, KEPT, fingerprints.of_tokenizer(tokenizer), self.max_length),
            *(self.prompts_only, self.learn, self.reasoning, repr(sorted(options.items()))),
            str(getattr(tokenizer, "chat_template", None)),
            str(getattr(tokenizer, "special_tokens_map", None)),
        ]
        return f"{name_of_rows(rows)}-{fingerprints.of_facts(facts)}"

    def tokens(
        self, rows: Iterable[Mapping[str, Any]], progress: Progress, spool: Path | None
    ) -> Ragged:
        """Tokenise all rows, and write down what is to be known of them."""
        digest = hashlib.blake2b(b"[[", digest_size=8)  # of what `of_facts` would write as JSON
        first = True

        def parts() -> Iterator[Part]:
            nonlocal first
            total = len(rows) if isinstance(rows, Sized) else 0
            for texts in ahead(self._chunks(rows), self._cut, total, progress):
                if not texts:
                    continue
                numbers, cut = zip(*texts, strict=True)
                raw = json.dumps(cut, separators=(",", ":"))[1:-1]
                digest.update(f"{'' if first else ','}{raw}".encode())
                first = False
                yield {
                    "tokens": [text.prompt + text.answer for text in cut],
                    "prompt": [len(text.prompt) for text in cut],
                    "row": numbers,
                }
            if first:
                silent = f", {self.empty} have an empty answer" if self.empty else ""
                raise NoTextLeft(
                    f"no text is left to learn from ({self.too_long} are longer than max_length = "
                    f"{self.max_length} tokens{silent}): give rows, or a larger max_length."
                )

        tokens = Ragged.of(parts(), spool)
        digest.update(f"],{json.dumps(self.prompts_only)}]".encode())
        counts = {"too_long": self.too_long, "empty": self.empty}
        tokens.facts = counts | {"fingerprint": digest.hexdigest()}
        return tokens

    def _chunks(self, rows: Iterable[Mapping[str, Any]]) -> Iterator[tuple[int, _Chunk]]:
        """The texts of so many rows at once, and how many rows were read with them."""
        chunk, number = _Chunk([], []), -1
        for number, row in enumerate(rows):
            try:
                texts = self._written(row)
            except Exception as error:  # jinja2's own, of any kind
                yield number, chunk._replace(error=self._refusal(number, error))
                return
            chunk.rows.extend([number] * len(texts))
            chunk.written.extend(texts)
            if (number + 1) % AT_ONCE == 0:
                yield number + 1, chunk
                chunk = _Chunk([], [])
        yield number + 1, chunk

    def _written(self, row: Mapping[str, Any]) -> list[Written]:
        """The texts of one row, without those whose answer has no word."""
        conversation = read_conversation(row, answered=not self.prompts_only)
        if self.prompts_only:
            return [self.writer.written_prompt(conversation.question)]
        learned = turns_to_learn(conversation, self.learn)
        spoken = [each for each in learned if not is_silent(each)]
        self.empty += len(learned) - len(spoken)
        return [self.writer.written(each, self.reasoning) for each in spoken]

    def _cut(self, chunk: _Chunk) -> list[tuple[int, Text]]:
        """The tokens of some texts behind the numbers of their rows; the too long ones are out."""
        kept_texts = []
        for number, text in zip(chunk.rows, self.writer.tokens(chunk.written), strict=True):
            if isinstance(text, Exception):
                raise self._refusal(number, text)
            if len(text.prompt) + len(text.answer) > self.max_length:
                self.too_long += 1
            else:
                kept_texts.append((number, text))
        if chunk.error is not None:
            raise chunk.error
        return kept_texts

    def _refusal(self, number: int, error: Exception) -> ValueError:
        refusal = ValueError(f"{self.place(number)} {_in_words(error)}")
        refusal.__cause__ = error
        return refusal


def name_of_rows(rows: Iterable[Mapping[str, Any]]) -> str:
    """A short name for the content of rows: their own, as files have one, or that of their JSON.

    Raises:
        ValueError: for rows that can be read but once.
    """
    own = getattr(rows, "fingerprint", None)
    if isinstance(own, str):
        return own
    if isinstance(rows, Iterator):
        raise ValueError(
            "rows that can be read but once cannot be known again, and folder= keeps their tokens: "
            "give a list or load_table(...), or leave folder= out."
        )
    digest = hashlib.blake2b(digest_size=8)
    for row in rows:
        digest.update(json.dumps(row, default=str).encode() + b"\n")
    return digest.hexdigest()


def is_silent(conversation: Conversation) -> bool:
    """Whether the last turn says nothing."""
    last = conversation.turns[-1]
    return "tool_calls" not in last and not answer_in(last["content"]).strip()


def _in_words(error: Exception) -> str:
    """What is wrong with a row, after its name."""
    if isinstance(error, ValueError) and not isinstance(error, UnicodeError):
        return str(error)
    if isinstance(error, UnicodeError):
        return f"holds half a character, which is no text: {error}"
    return f"is refused by the tokenizer or its chat template: {type(error).__name__}: {error}"
