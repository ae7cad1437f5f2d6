"""Texts as training data: a prompt, an answer to learn, and nothing lost in silence."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal

import torch
from torch import Tensor

from distill_lab._util.tensors import IGNORE
from distill_lab.data import fingerprints
from distill_lab.data.batches import Batch
from distill_lab.data.rendering import Reasoning
from distill_lab.data.templates import Template, Text, turns_to_learn
from distill_lab.data.thoughts import answer_in
from distill_lab.data.turns import Conversation, read_conversation


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

    Raises:
        ValueError: for rows without prompt or answer, and for those that the tokenizer's template
            refuses or does not write whole, naming the row; or where none is left.

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
        self.prompts_only, self.too_long, self.empty = prompts_only, 0, 0
        self.texts: list[Text] = []
        writer = Template(tokenizer, options=template)
        for number, row in enumerate(rows):
            try:
                texts = self._written(row, writer, learn, reasoning)
            except Exception as error:  # jinja2's own, or a tokenizer's, of any kind
                raise ValueError(f"{place(number)} {_in_words(error)}") from error
            for text in texts:
                if len(text.prompt) + len(text.answer) > max_length:
                    self.too_long += 1
                else:
                    self.texts.append(text)
        if not self.texts:
            silent = f", {self.empty} have an empty answer" if self.empty else ""
            raise ValueError(
                f"no text is left to learn from ({self.too_long} are longer than max_length = "
                f"{max_length} tokens{silent}): give rows, or a larger max_length."
            )

    def _written(
        self, row: Mapping[str, Any], writer: Template, learn: str, reasoning: Reasoning
    ) -> list[Text]:
        """The texts of one row, without those whose answer has no word."""
        conversation = read_conversation(row, answered=not self.prompts_only)
        if self.prompts_only:
            return [Text(writer.prompt(conversation.question), [])]
        learned = turns_to_learn(conversation, learn)
        spoken = [each for each in learned if not _is_silent(each)]
        self.empty += len(learned) - len(spoken)
        return [writer.text(each, reasoning) for each in spoken]

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def longest(self) -> int:
        """The tokens of the longest text."""
        return max(len(text.prompt) + len(text.answer) for text in self.texts)

    @property
    def fingerprint(self) -> str:
        """A short name for the content, by which a checkpoint knows its data again."""
        return fingerprints.of_facts([self.texts, self.prompts_only])

    def batch(self, index: Tensor) -> Batch:
        """The texts of these numbers, padded to the longest of them."""
        chosen = [self.texts[number] for number in index.tolist()]
        width = max(len(text.prompt) + len(text.answer) for text in chosen)
        ids = torch.full((len(chosen), width), self.pad)
        mask = torch.zeros_like(ids)
        labels = torch.full_like(ids, IGNORE)
        for row, text in enumerate(chosen):
            tokens = torch.tensor(text.prompt + text.answer)
            place = slice(width - len(tokens), width) if self.prompts_only else slice(len(tokens))
            ids[row, place], mask[row, place] = tokens, 1
            if not self.prompts_only:
                labels[row, len(text.prompt) : len(tokens)] = tokens[len(text.prompt) :]
        return Batch({"input_ids": ids, "attention_mask": mask}, labels, index)


def _is_silent(conversation: Conversation) -> bool:
    last = conversation.turns[-1]
    return "tool_calls" not in last and not answer_in(last["content"]).strip()


def _in_words(error: Exception) -> str:
    """What is wrong with a row, after its name."""
    if isinstance(error, ValueError) and not isinstance(error, UnicodeError):
        return str(error)
    if isinstance(error, UnicodeError):
        return f"holds half a character, which is no text: {error}"
    return f"is refused by the tokenizer or its chat template: {type(error).__name__}: {error}"
