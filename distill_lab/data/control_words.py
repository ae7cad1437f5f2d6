"""A tokenizer's control words, and texts in which such words are words."""

import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from distill_lab.data.calls import Turn
from distill_lab.data.plain_values import strings_in
from distill_lab.data.thoughts import thoughts_in
from distill_lab.data.turns import Conversation

UNWRITABLE = (
    "names a control word of the tokenizer, and the tokenizer cannot write it as text: leave the "
    "row out, or write the word otherwise."
)
FIRST, LAST = "\U000f0000", "\U000ffffd"  # around the number of a control word that is quoted


class ControlWords:
    """The control words of a tokenizer, and the tokens of texts that may name them.

    Args:
        tokenizer: with its added tokens, or any that is called with a text.
    """

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer

    @cached_property
    def numbers(self) -> dict[str, int]:
        """The tokenizer's control words with their ids."""
        added = getattr(self.tokenizer, "added_tokens_decoder", None) or {}
        return {
            str(token): number for number, token in added.items() if token.special and str(token)
        }

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """What finds a control word in a text."""
        longest_first = sorted(self.numbers, key=len, reverse=True)
        return re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")

    @cached_property
    def begin(self) -> list[int]:
        """What the tokenizer puts before every text."""
        try:
            bare = self._bare_ids("a")
            begun = list(self.tokenizer("a", add_special_tokens=True)["input_ids"])
        except (TypeError, KeyError):  # a tokenizer that puts nothing before a text
            return []
        starts = (i for i in range(len(begun)) if begun[i : i + len(bare)] == bare)
        return begun[: next(starts, 0)]

    def ids(self, text: str, *, bare: bool = False) -> list[int]:
        """The tokens of what a template wrote, or of a bare text.

        Args:
            text: by a template, with signs for words; or bare.
            bare: whether every control word in it is a word.

        Returns:
            The tokens.

        Raises:
            ValueError: for a control word that this tokenizer cannot write as text.
        """
        if self._is_usual(text, bare):
            return self._bare_ids(text)
        return self._literal(text) if bare else self._of_signs(text)

    def in_one_call(self, texts: Sequence[str], *, bare: bool) -> dict[str, list[int]]:
        """The tokens of many texts at once.

        Args:
            texts: as `ids` takes them.
            bare: as there.

        Returns:
            Those of texts that need no care; none where the tokenizer is slow or refuses one.
        """
        usual = [text for text in dict.fromkeys(texts) if self._is_usual(text, bare)]
        if not usual or not getattr(self.tokenizer, "is_fast", False):
            return {}
        try:
            output = self.tokenizer(usual, add_special_tokens=False, return_attention_mask=False)
            return dict(zip(usual, output["input_ids"], strict=True))
        except Exception:  # of any kind: each for itself says which text it is
            return {}

    def _is_usual(self, text: str, bare: bool) -> bool:
        """Whether a text is cut as it stands: no word in it has to stay a word."""
        return not self.pattern.search(text) if bare else FIRST not in text

    def _bare_ids(self, text: str, **options: Any) -> list[int]:
        return list(self.tokenizer(text, add_special_tokens=False, **options)["input_ids"])

    def _literal(self, text: str) -> list[int]:
        """A text in which control words are words."""
        ids = self._piece(text)
        self._check(text, ids)
        return ids

    def quoted(self, conversation: Conversation) -> Conversation:
        """It with the control words in its texts replaced by signs that `ids` knows again."""
        all_parts = (conversation.turns, conversation.tools)
        if not any(self.pattern.search(text) for text in strings_in(all_parts)):
            return conversation
        turns = tuple(self._quote_turn(turn) for turn in conversation.turns)
        tools = tuple(self._quote(tool) for tool in conversation.tools)
        return Conversation(turns, tools, conversation.options)

    def _quote_turn(self, turn: Turn) -> Turn:
        quoted = {
            key: value if key == "role" else self._quote(value) for key, value in turn.items()
        }
        if turn["role"] == "assistant" and turn.get("content"):  # tags of thoughts may be tokens
            parts = thoughts_in(turn["content"])
            if parts.closing:
                inner = self._quote(parts.inside), self._quote(parts.answer)
                quoted["content"] = parts.opening + inner[0] + parts.closing + inner[1]
        return quoted

    def _quote(self, value: Any) -> Any:
        if isinstance(value, str):
            words = list(self.numbers)
            return self.pattern.sub(lambda m: f"{FIRST}{words.index(m[0])}{LAST}", value)
        if isinstance(value, Mapping):
            return {key: self._quote(one) for key, one in value.items()}
        if isinstance(value, (list, tuple)):
            return [self._quote(one) for one in value]
        return value

    def _of_signs(self, text: str) -> list[int]:
        """The tokens of what a template wrote, with signs in place of words."""
        added = getattr(self.tokenizer, "added_tokens_decoder", {})
        ids: list[int] = []
        written, start = "", 0
        for control in self.pattern.finditer(text):
            token = added[self.numbers[control[0]]]
            piece = self._unquoted(text[start : control.start()])
            piece = piece.rstrip() if token.lstrip else piece
            ids += [*self._piece(piece), self.numbers[control[0]]]
            written, start = written + piece + control[0], control.end()
            if token.rstrip:  # it takes the space behind it
                start += len(text[start:]) - len(text[start:].lstrip())
        piece = self._unquoted(text[start:])
        ids += self._piece(piece)
        self._check(written + piece, ids)
        return ids

    def _unquoted(self, text: str) -> str:
        words = list(self.numbers)
        return re.sub(f"{FIRST}(\\d+){LAST}", lambda sign: words[int(sign[1])], text)

    def _piece(self, text: str) -> list[int]:
        """A text without a single control token."""
        ids = self._bare_ids(text, split_special_tokens=True) if text else []
        unknown = getattr(self.tokenizer, "unk_token_id", None)
        if {*ids} & ({*self.numbers.values()} - {unknown}):
            raise ValueError(UNWRITABLE)
        return ids

    def _check(self, text: str, ids: list[int]) -> None:
        """Refuse what this tokenizer cannot write as text."""
        known = {"skip_special_tokens": False, "clean_up_tokenization_spaces": False}
        written = self.tokenizer.decode(ids, **known)
        if written not in (text, self.tokenizer.decode(self._bare_ids(text), **known)):
            raise ValueError(UNWRITABLE)
