"""Texts as training data: a prompt, an answer to learn, and nothing lost in silence."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from distill_lab._util.tensors import IGNORE
from distill_lab.data import fingerprints
from distill_lab.data.batches import Batch


class Text(NamedTuple):
    """The tokens of one text.

    Args:
        prompt: what is read.
        answer: what is learned.
    """

    prompt: list[int]
    answer: list[int]


class Texts:
    """Prompts and answers, tokenised once: batches as wide as their longest text needs.

    Only answers are learned: labels are -100 on prompts and padding. An answer ends with the
    tokenizer's end. Batches: inputs {"input_ids", "attention_mask"} (B, L), labels (B, L).

    Args:
        rows: each `{"prompt": ..., "answer": ...}`, the prompt a text or a list of messages, or
            `{"messages": [...]}` with the answer as the last message.
        tokenizer: where it has a chat template the prompt goes through it, else the text stands as
            it is.
        max_length: rows of more tokens are not cut, since a cut answer teaches to break off: they
            are left out, and `too_long` counts them.
        prompts_only: gives prompts padded on the left, for a student that answers itself.
        place: where the row of a number stands, for the words of an error; else "row 3".

    Raises:
        ValueError: for rows without prompt or answer, and for those that the tokenizer's template
            refuses, naming the row; or where none is left.

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
    ) -> None:
        self.pad = tokenizer.pad_token_id
        if self.pad is None:
            self.pad = tokenizer.eos_token_id
        self.prompts_only, self.too_long = prompts_only, 0
        self.texts: list[Text] = []
        for number, row in enumerate(rows):
            try:
                text = _tokenised(row, tokenizer, prompts_only)
            except Exception as error:  # jinja2's own, or a tokenizer's, of any kind
                raise ValueError(f"{place(number)} {_in_words(error)}") from error
            if len(text.prompt) + len(text.answer) > max_length:
                self.too_long += 1
            else:
                self.texts.append(text)
        if not self.texts:
            raise ValueError(
                f"no text is left to learn from ({self.too_long} are longer than max_length = "
                f"{max_length} tokens): give rows, or a larger max_length."
            )

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


def _in_words(error: Exception) -> str:
    """What is wrong with a row, after its name."""
    if isinstance(error, ValueError) and not isinstance(error, UnicodeError):
        return str(error)
    if isinstance(error, UnicodeError):
        return f"holds half a character, which is no text: {error}"
    return f"is refused by the tokenizer or its chat template: {type(error).__name__}: {error}"


def _tokenised(row: Mapping[str, Any], tokenizer: Any, prompts_only: bool) -> Text:
    messages, answer = _messages(row, prompts_only)
    if not tokenizer.chat_template:
        prompt = _ids(tokenizer, "\n".join(message["content"] for message in messages))
        return Text(prompt, [] if prompts_only else _closed(_ids(tokenizer, answer), tokenizer))
    ask = {"tokenize": True, "return_dict": True}
    prompt = tokenizer.apply_chat_template(messages, add_generation_prompt=True, **ask)["input_ids"]
    if prompts_only:
        return Text(list(prompt), [])
    turns = [*messages, {"role": "assistant", "content": answer}]
    conversation = tokenizer.apply_chat_template(turns, **ask)["input_ids"]
    if list(conversation[: len(prompt)]) != list(prompt):  # a template that rewrites earlier turns
        return Text(list(prompt), _closed(_ids(tokenizer, answer), tokenizer))
    return Text(list(prompt), _closed(list(conversation[len(prompt) :]), tokenizer))


def _messages(
    row: Mapping[str, Any], prompts_only: bool
) -> tuple[Sequence[Mapping[str, str]], str]:
    turns = list(row.get("messages") or [])
    if turns and turns[-1].get("role") == "assistant":
        return turns[:-1], str(turns[-1]["content"])
    if turns and prompts_only:
        return turns, ""
    answer, prompt = row.get("answer", "" if prompts_only else None), row.get("prompt")
    if isinstance(prompt, list) and prompt and isinstance(answer, str):  # as `generate` writes it
        return prompt, answer
    if not isinstance(prompt, str) or not isinstance(answer, str):
        raise ValueError(
            f'has the fields {sorted(row)}: expected "prompt" and "answer" as text, '
            'or "messages" whose last one is the assistant\'s.'
        )
    return [{"role": "user", "content": prompt}], answer


def _ids(tokenizer: Any, text: str) -> list[int]:
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])


def _closed(answer: list[int], tokenizer: Any) -> list[int]:
    """The answer up to its end: nothing after it is worth learning, and an end there has to be."""
    end = tokenizer.eos_token_id
    return answer[: answer.index(end) + 1] if end in answer else [*answer, end]
