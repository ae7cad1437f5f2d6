"""Turns as a tokenizer's own chat template writes them: what is read, and what is learned."""

import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

from distill_lab.data.calls import Turn
from distill_lab.data.control_words import ControlWords
from distill_lab.data.rendering import Reasoning, Renderer, answer_forms
from distill_lab.data.turns import Conversation, is_learned

TAG = re.compile(r"</?(think|thinking|thought|reasoning)>")


class Text(NamedTuple):
    """The tokens of one text.

    Args:
        prompt: what is read.
        answer: what is learned.
    """

    prompt: list[int]
    answer: list[int]


class Written(NamedTuple):
    """A text before it is cut into tokens.

    Args:
        prompt: what is read.
        answer: what is learned; None where only the prompt is wanted.
    """

    prompt: str
    answer: str | None = None


class Template:
    """A tokenizer with its chat template, or without one: the one place that writes turns.

    A prompt ends with what the template puts before an answer. An answer is what the template
    writes behind just that prompt, up to its end of a turn: what the model has to write itself.
    Words such as </s> that stand in a text are written as text, never as the token.

    Args:
        tokenizer: with or without a chat template.
        plain: whether prompts are shown as they are, a chat template or not: then a text begins as
            `tokenizer(text)` does.
        options: for the template, such as `{"enable_thinking": False}`.
    """

    def __init__(
        self, tokenizer: Any, *, plain: bool = False, options: Mapping[str, Any] | None = None
    ) -> None:
        self.tokenizer, self.options = tokenizer, dict(options or {})
        self.words, self.renderer = ControlWords(tokenizer), Renderer(tokenizer, self.options)
        self.plain = plain or not getattr(tokenizer, "chat_template", None)

    def prompt(self, question: Conversation) -> list[int]:
        """The tokens that are read before an answer is written.

        Args:
            question: what is asked.

        Returns:
            The tokens.

        Raises:
            ValueError: for what cannot be written.
        """
        return self._cut(self.written_prompt(question), {}).prompt

    def text(self, conversation: Conversation, reasoning: Reasoning = "learn") -> Text:
        """The tokens before the last turn, and those that have to be written for it.

        Args:
            conversation: ends with the assistant's turn.
            reasoning: whether thoughts are learned, or left away.

        Returns:
            Both.

        Raises:
            ValueError: for what cannot be written.
        """
        return self._cut(self.written(conversation, reasoning), {})

    def written_prompt(self, question: Conversation) -> Written:
        """What is read before an answer is written, not cut into tokens yet.

        Args:
            question: what is asked.

        Returns:
            It, for `tokens`.

        Raises:
            ValueError: for what cannot be written.
        """
        if self.plain:
            return Written(_bare(question))
        return Written(self.renderer.prompt(self.words.quoted(question)))

    def written(self, conversation: Conversation, reasoning: Reasoning = "learn") -> Written:
        """What is read before the last turn and what has to be written for it, not cut yet.

        Args:
            conversation: ends with the assistant's turn.
            reasoning: whether thoughts are learned, or left away.

        Returns:
            Both, for `tokens`.

        Raises:
            ValueError: for what cannot be written.
        """
        quoted = conversation if self.plain else self.words.quoted(conversation)
        *before, last = quoted.turns
        question = Conversation(tuple(before), quoted.tools, quoted.options)
        if self.plain:
            return Written(_bare(question), _bare_answer(last, reasoning))
        prompt = self.renderer.prompt(question)
        answer = self.renderer.answer(question, last, prompt, reasoning)
        return Written(prompt, self._up_to_its_end(answer))

    def tokens(self, written: Sequence[Written]) -> list[Text | Exception]:
        """Cut many texts into tokens: a fast tokenizer does so in one call, on all cores.

        Args:
            written: the texts.

        Returns:
            The tokens of each, or what the tokenizer says against it.
        """
        texts = [each.prompt for each in written]
        texts += [
            each.answer if self.plain else each.prompt + each.answer
            for each in written
            if each.answer is not None
        ]
        ids = self.words.in_one_call(texts, bare=self.plain)
        result: list[Text | Exception] = []
        for each in written:
            try:
                result.append(self._cut(each, ids))
            except Exception as error:  # of any kind: it is the tokenizer's own
                result.append(error)
        return result

    def _cut(self, written: Written, known: Mapping[str, list[int]]) -> Text:
        """The tokens of a text, where they are not known already."""

        def ids(text: str) -> list[int]:
            return known[text] if text in known else self.words.ids(text, bare=self.plain)

        prompt = ids(written.prompt)
        if self.plain:
            prompt = self.words.begin + prompt
        if written.answer is None:
            return Text(prompt, [])
        if self.plain:
            return Text(prompt, self._ended(ids(written.answer)))
        both = ids(written.prompt + written.answer)
        if both[: len(prompt)] == prompt:
            return Text(prompt, self._ended(both[len(prompt) :]))
        rest = ids(written.answer)  # a token across the border: the model reads the prompt's own
        if self.tokenizer.decode(prompt + rest) != self.tokenizer.decode(both):
            raise ValueError("cannot be cut where the answer begins: a token stands on both sides.")
        return Text(prompt, self._ended(rest))

    def decode(self, tokens: list[int]) -> str:
        """The text of tokens that a model wrote, without control words but those around thoughts.

        Args:
            tokens: without the end.

        Returns:
            The text.
        """
        tags = {number for word, number in self.words.numbers.items() if TAG.fullmatch(word)}
        pieces: list[list[int]] = [[]]
        for token in tokens:
            pieces += [[token], []] if token in tags else []
            if token not in tags:
                pieces[-1].append(token)
        texts = (
            self.tokenizer.decode(piece, skip_special_tokens=not tags.issuperset(piece))
            for piece in pieces
            if piece
        )
        return "".join(texts)

    def ends(self, model: Any = None) -> list[int]:
        """The tokens that end an answer: by the tokenizer, the template, and a model's settings.

        Args:
            model: whose generation settings are read too; None for none.

        Returns:
            The tokens, the tokenizer's own first.
        """
        settings = getattr(model, "generation_config", None) or getattr(model, "config", None)
        named = getattr(settings, "eos_token_id", None)
        known = [
            self.tokenizer.eos_token_id,
            *sorted(self.words.numbers[word] for word in self._ends if word in self.words.numbers),
            *(named if isinstance(named, (list, tuple)) else [named]),
        ]
        return list(dict.fromkeys(end for end in known if end is not None))

    # The end

    @cached_property
    def _ends(self) -> set[str]:
        """The words that end a turn: the tokenizer's own, and the template's behind an answer."""
        ends = {str(getattr(self.tokenizer, "eos_token", None) or "")} - {""}
        if self.plain:
            return ends
        turns: tuple[Turn, ...] = (
            {"role": "user", "content": "a"},
            {"role": "assistant", "content": "qqq"},
        )
        try:
            rendered = self.renderer.whole(Conversation(turns), open_answer=False)
        except Exception:  # it wants more than two turns: the tokenizer's own end is what is known
            return ends
        behind = self.words.pattern.search(rendered.rpartition("qqq")[2])
        return ends | ({behind[0]} if behind else set())

    def _up_to_its_end(self, answer: str) -> str:
        """The answer with the word that ends it, and without what stands behind that."""
        closing = re.search(rf"(?:\s*(?:{self.words.pattern.pattern}))+\s*$", answer)
        if not closing:
            return answer
        words = list(self.words.pattern.finditer(answer, closing.start()))
        end = next((word for word in words if word[0] in self._ends), words[0])
        return answer[: end.end()]

    def _ended(self, answer: list[int]) -> list[int]:
        """The tokens of an answer with an end, the tokenizer's own where the template has none."""
        ends = {self.words.numbers[word] for word in self._ends if word in self.words.numbers}
        end = self.tokenizer.eos_token_id
        if answer and (answer[-1] in ends or answer[-1] == end):
            return answer
        if not self.plain and answer and answer[-1] in self.words.numbers.values():
            return answer
        if end is None:
            raise ValueError("needs an end, and the tokenizer has none: set tokenizer.eos_token.")
        return [*answer, int(end)]


def _bare(question: Conversation) -> str:
    """The text of turns without a template."""
    if question.tools or any("tool_calls" in turn for turn in question.turns):
        raise ValueError(
            "calls tools, and without a chat template they cannot be written: take a tokenizer "
            "that has one."
        )
    return "\n".join(turn["content"] for turn in question.turns)


def _bare_answer(last: Turn, reasoning: Reasoning) -> str:
    if "tool_calls" in last:
        _bare(Conversation((last,)))
    inside, _, forms = answer_forms(last, reasoning)
    return str(forms[1 if inside else 0]["content"])


def turns_to_learn(conversation: Conversation, learn: str) -> Sequence[Conversation]:
    """Cut a conversation after each of the assistant's turns that is learned.

    Args:
        conversation: the whole.
        learn: "last" or "all".

    Returns:
        Conversations that end with the assistant's turn.

    Raises:
        ValueError: where a message says of itself that it is not learned, and no other one is left.
    """
    turns = conversation.turns
    answers = [n for n, turn in enumerate(turns) if turn["role"] == "assistant" and n]
    numbers = [len(turns) - 1] if learn == "last" else answers
    learned = [number for number in numbers if is_learned(turns[number])]
    if numbers and not learned:
        whose = "last message says" if learn == "last" else "answers say"
        others = ", or say learn: all." if any(is_learned(turns[n]) for n in answers) else "."
        raise ValueError(
            f"has nothing to learn: its {whose} so (weight, train or loss). Leave the row "
            f"out{others}"
        )
    return [
        Conversation(turns[: number + 1], conversation.tools, conversation.options)
        for number in learned
    ]
