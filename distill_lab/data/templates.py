"""Turns as a tokenizer's own chat template writes them: what is read, and what is learned."""

import json
import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Literal, NamedTuple

from distill_lab.data.turns import THOUGHTS, Conversation, Turn, strings_in, thoughts_in, with_json

Reasoning = Literal["learn", "drop"]
TAG = re.compile(r"</?(think|thinking|thought|reasoning)>")
THINK = re.compile(r"<(think|thinking|thought|reasoning)>\s*$")
UNWRITABLE = (
    "names a control word of the tokenizer, and the tokenizer cannot write it as text: leave the "
    "row out, or write the word otherwise."
)
FIRST, LAST = "\U000f0000", "\U000ffffd"  # around the number of a control word that is quoted


class Text(NamedTuple):
    """The tokens of one text.

    Args:
        prompt: what is read.
        answer: what is learned.
    """

    prompt: list[int]
    answer: list[int]


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
        if self.plain:
            return self._begun(_bare(question))
        quoted = self._quoted(question)
        return self._ids(self._prompt(quoted))

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
        *before, last = conversation.turns
        question = Conversation(tuple(before), conversation.tools, conversation.options)
        if self.plain:
            prompt = self._begun(_bare(question))
            return Text(prompt, self._ended(self._literal(_bare_answer(last, reasoning))))
        quoted = self._quoted(conversation)
        *before, last = quoted.turns
        question = Conversation(tuple(before), quoted.tools, quoted.options)
        prompt_text = self._prompt(question)
        answer = self._answer(question, last, prompt_text, reasoning)
        prompt, both = self._ids(prompt_text), self._ids(prompt_text + answer)
        if both[: len(prompt)] == prompt:
            return Text(prompt, self._ended(both[len(prompt) :]))
        rest = self._ids(answer)  # a token across the border: the model reads the prompt's own ones
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
        tags = {number for word, number in self._controls.items() if TAG.fullmatch(word)}
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
            *sorted(self._controls[word] for word in self._ends if word in self._controls),
            *(named if isinstance(named, (list, tuple)) else [named]),
        ]
        return list(dict.fromkeys(end for end in known if end is not None))

    # What the template writes

    def _rendered(self, conversation: Conversation, *, open_answer: bool) -> str:
        settings = {
            "tokenize": False,
            "add_generation_prompt": open_answer,
            "tools": list(conversation.tools) or None,
            **self.options,
            **conversation.options,
        }
        turns = [_named(turn) for turn in conversation.turns]
        text = str(self.tokenizer.apply_chat_template(turns, **settings))
        calls = (call for turn in turns for call in turn.get("tool_calls", ()))
        if any(_as_python(call["function"]["arguments"], text) for call in calls):
            turns = [with_json(turn) for turn in turns]  # it writes arguments as it is given them
            text = str(self.tokenizer.apply_chat_template(turns, **settings))
        return text

    def _prompt(self, question: Conversation) -> str:
        """What is read before the answer, and nothing of the turns is missing in it."""
        text = self._rendered(question, open_answer=True)
        for number, turn in enumerate(question.turns, 1):
            if missing := _missing(turn, text):
                raise ValueError(
                    f"cannot be written: the chat template leaves out {missing} of message "
                    f"{number} ({turn['role']})."
                )
        for tool in question.tools:
            name = str(tool.get("function", tool).get("name", ""))
            if name not in text:
                raise ValueError(
                    f"cannot be written: the chat template leaves out the tool {name!r}. Take a "
                    "tokenizer whose template writes tools, or rows without them."
                )
        return text

    def _answer(self, question: Conversation, last: Turn, prompt: str, reasoning: Reasoning) -> str:
        inside, content, forms = _forms(last, reasoning)
        wanted = {**last, "content": content}
        opened = THINK.search(prompt)
        refused, rendered = None, None
        for form in forms:
            turns = (*question.turns, form)
            try:
                rendered = self._rendered(
                    Conversation(turns, question.tools, question.options), open_answer=False
                )
            except Exception as error:  # a template may know one form and refuse another
                refused = error
                continue
            answer = _behind(prompt, rendered)
            if answer is None or _missing(wanted, answer) or not _written(inside, answer):
                continue
            thinks = (opened[0] if opened else "") + answer
            if not inside and opened and not re.search(rf"</{opened[1]}>", answer):
                continue
            if inside and re.search(r"<(think\w*)>\s*<\1>", thinks):
                continue
            return self._up_to_its_end(answer)
        if rendered is None:
            raise refused or ValueError("cannot be written by the chat template.")
        if opened:
            return self._after_thoughts(question, last, prompt, opened, inside, content, reasoning)
        missing = _missing(wanted, rendered) or (not _written(inside, rendered) and "the reasoning")
        if missing:
            raise ValueError(
                f"cannot be learned: the chat template leaves out {missing} of the answer."
                + (' Say reasoning = "drop" to learn it without.' if "reasoning" in missing else "")
            )
        raise ValueError(
            "cannot be learned: the chat template writes an answer otherwise than behind its own "
            f"prompt, which ends {prompt[-20:]!r}."
        )

    def _after_thoughts(
        self,
        question: Conversation,
        last: Turn,
        prompt: str,
        opened: re.Match[str],
        inside: str,
        content: str,
        reasoning: Reasoning,
    ) -> str:
        """The answer to a prompt that opens the thoughts, by a template that never writes them."""
        if not inside.strip() and reasoning == "learn":
            raise ValueError(
                f"has no reasoning, and the chat template opens {opened[0].strip()} before every "
                'answer: give "reasoning_content", or say reasoning = "drop" to learn an empty one.'
            )
        bare = {key: value for key, value in last.items() if key not in THOUGHTS}
        turns = (*question.turns, bare | {"content": content.strip()})
        rendered = self._rendered(
            Conversation(turns, question.tools, question.options), open_answer=False
        )
        rest = _behind(prompt[: opened.start()], rendered)
        if rest is None or _missing({**last, "content": content}, rest):
            raise ValueError(
                f"cannot be learned: the chat template opens {opened[0].strip()} before an answer "
                "and writes what comes behind it otherwise."
            )
        rest = re.sub(rf"^\s*<{opened[1]}>\s*</{opened[1]}>", "", rest).lstrip()
        gap = "\n\n"
        if not inside.strip():
            around = "\n"
        elif thoughts_in(last.get("content", "")).closing:  # as it stands in the row
            around, gap = inside.lstrip(), content[: len(content) - len(content.lstrip())]
        else:
            around = f"{inside.strip()}\n"
        return self._up_to_its_end(f"{around}</{opened[1]}>{gap}{rest}")

    # The end

    @cached_property
    def _controls(self) -> dict[str, int]:
        """The tokenizer's control words with their ids."""
        added = getattr(self.tokenizer, "added_tokens_decoder", None) or {}
        return {
            str(token): number for number, token in added.items() if token.special and str(token)
        }

    @cached_property
    def _control(self) -> re.Pattern[str]:
        longest_first = sorted(self._controls, key=len, reverse=True)
        return re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")

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
            rendered = self._rendered(Conversation(turns), open_answer=False)
        except Exception:  # it wants more than two turns: the tokenizer's own end is what is known
            return ends
        behind = self._control.search(rendered.rpartition("qqq")[2])
        return ends | ({behind[0]} if behind else set())

    def _up_to_its_end(self, answer: str) -> str:
        """The answer with the word that ends it, and without what stands behind that."""
        closing = re.search(rf"(?:\s*(?:{self._control.pattern}))+\s*$", answer)
        if not closing:
            return answer
        words = list(self._control.finditer(answer, closing.start()))
        end = next((word for word in words if word[0] in self._ends), words[0])
        return answer[: end.end()]

    def _ended(self, answer: list[int]) -> list[int]:
        """The tokens of an answer with an end, the tokenizer's own where the template has none."""
        ends = {self._controls[word] for word in self._ends if word in self._controls}
        end = self.tokenizer.eos_token_id
        if answer and (answer[-1] in ends or answer[-1] == end):
            return answer
        if not self.plain and answer and answer[-1] in self._controls.values():
            return answer
        if end is None:
            raise ValueError("needs an end, and the tokenizer has none: set tokenizer.eos_token.")
        return [*answer, int(end)]

    # Tokens

    def _begun(self, text: str) -> list[int]:
        """A bare text, with what the tokenizer puts before every text."""
        ids = self._literal(text)
        try:
            bare = self._plain_ids("a")
            begun = list(self.tokenizer("a", add_special_tokens=True)["input_ids"])
        except (TypeError, KeyError):  # a tokenizer that puts nothing before a text
            return ids
        starts = (i for i in range(len(begun)) if begun[i : i + len(bare)] == bare)
        return begun[: next(starts, 0)] + ids

    def _plain_ids(self, text: str, **options: Any) -> list[int]:
        return list(self.tokenizer(text, add_special_tokens=False, **options)["input_ids"])

    def _literal(self, text: str) -> list[int]:
        """A text in which control words are words."""
        if not self._control.search(text):
            return self._plain_ids(text)
        ids = self._piece(text)
        self._check(text, ids)
        return ids

    def _quoted(self, conversation: Conversation) -> Conversation:
        """It with the control words in its texts replaced by signs that `_ids` knows again."""
        all_parts = (conversation.turns, conversation.tools)
        if not any(self._control.search(text) for text in strings_in(all_parts)):
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
            words = list(self._controls)
            return self._control.sub(lambda m: f"{FIRST}{words.index(m[0])}{LAST}", value)
        if isinstance(value, Mapping):
            return {key: self._quote(one) for key, one in value.items()}
        if isinstance(value, (list, tuple)):
            return [self._quote(one) for one in value]
        return value

    def _ids(self, text: str) -> list[int]:
        """The tokens of what a template wrote."""
        if FIRST not in text:
            return self._plain_ids(text)
        added = getattr(self.tokenizer, "added_tokens_decoder", {})
        ids: list[int] = []
        written, start = "", 0
        for control in self._control.finditer(text):
            token = added[self._controls[control[0]]]
            piece = self._unquoted(text[start : control.start()])
            piece = piece.rstrip() if token.lstrip else piece
            ids += [*self._piece(piece), self._controls[control[0]]]
            written, start = written + piece + control[0], control.end()
            if token.rstrip:  # it takes the space behind it
                start += len(text[start:]) - len(text[start:].lstrip())
        piece = self._unquoted(text[start:])
        ids += self._piece(piece)
        self._check(written + piece, ids)
        return ids

    def _unquoted(self, text: str) -> str:
        words = list(self._controls)
        return re.sub(f"{FIRST}(\\d+){LAST}", lambda sign: words[int(sign[1])], text)

    def _piece(self, text: str) -> list[int]:
        """A text without a single control token."""
        ids = self._plain_ids(text, split_special_tokens=True) if text else []
        unknown = getattr(self.tokenizer, "unk_token_id", None)
        if {*ids} & ({*self._controls.values()} - {unknown}):
            raise ValueError(UNWRITABLE)
        return ids

    def _check(self, text: str, ids: list[int]) -> None:
        """Refuse what this tokenizer cannot write as text."""
        known = {"skip_special_tokens": False, "clean_up_tokenization_spaces": False}
        written = self.tokenizer.decode(ids, **known)
        if written not in (text, self.tokenizer.decode(self._plain_ids(text), **known)):
            raise ValueError(UNWRITABLE)


def _forms(last: Turn, reasoning: Reasoning) -> tuple[str, str, list[Turn]]:
    """What was thought, what is the content, and the ways in which a template may be given both."""
    raw = thoughts_in(last.get("content", ""))
    if raw.opening and not raw.closing and not raw.answer:
        raise ValueError(f"opens {raw.opening.strip()} and never closes it: there is no answer.")
    apart = str(last.get("reasoning_content", ""))
    thought = bool(raw.opening or raw.closing)
    inside = "\n".join(filter(str.strip, (apart, raw.inside)))
    content = raw.answer if thought else last.get("content", "")
    bare = {key: value for key, value in last.items() if key not in THOUGHTS}
    silent = bare | {"content": content.lstrip() if thought else content}
    if reasoning == "drop" or not inside.strip():
        return "", silent["content"], [silent]
    between = "" if raw.closing and not apart else "\n"
    inline = f"<think>\n{inside.strip() if between else inside.lstrip()}{between}</think>"
    behind = content if raw.closing and not apart else f"\n\n{content.lstrip()}"
    forms = [silent | {"reasoning_content": inside.strip()}, bare | {"content": inline + behind}]
    if raw.opening and raw.closing and not apart:  # as it stands, where that is what is written
        forms = [bare, *forms]
    return inside, content, forms


def _named(turn: Turn) -> Turn:
    """A turn whose thoughts stand under every name that a template may look for."""
    if "reasoning_content" not in turn:
        return dict(turn)
    return turn | dict.fromkeys(THOUGHTS, turn["reasoning_content"])


def _behind(prompt: str, rendered: str) -> str | None:
    """What a template writes behind its own prompt; None where that is not how it begins."""
    if rendered.startswith(prompt):
        return rendered[len(prompt) :]
    bare = prompt.rstrip()
    rest = rendered[len(bare) :]
    return rest.lstrip() if rendered.startswith(bare) and bare != prompt else None


def _missing(turn: Turn, text: str) -> str:
    """What of a turn does not stand in a text, in words; "" where all does."""
    content = thoughts_in(turn.get("content", "")).answer if turn["role"] == "assistant" else None
    if not _written(turn.get("content", "") if content is None else content, text):
        return "the text"
    for call in turn.get("tool_calls", ()):
        function = call["function"]
        if function["name"] not in text:
            return f"the call of {function['name']}"
        for value in strings_in(function["arguments"]):
            if not _written(value, text):
                return f"arguments of {function['name']}"
        if _as_python(function["arguments"], text):
            return f"the JSON of the arguments of {function['name']}"
    return ""


def _as_python(arguments: Any, text: str) -> bool:
    """Whether arguments stand in a text as Python writes them, which no tool reads."""
    written = isinstance(arguments, dict) and bool(arguments) and str(arguments) in text
    return written and str(arguments) != _json(arguments)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _written(piece: str, text: str) -> bool:
    """Whether a piece stands in a text, as it is, trimmed, or as JSON has it."""
    piece = piece.strip()
    return piece in text or _json(piece)[1:-1] in text or json.dumps(piece)[1:-1] in text


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
    inside, _, forms = _forms(last, reasoning)
    return str(forms[0]["content"] if not inside or len(forms) == 3 else forms[1]["content"])


def turns_to_learn(conversation: Conversation, learn: str) -> Sequence[Conversation]:
    """Cut a conversation after each of the assistant's turns that is learned.

    Args:
        conversation: the whole.
        learn: "last" or "all".

    Returns:
        Conversations that end with the assistant's turn.
    """
    if learn == "last":
        return [conversation]
    turns = conversation.turns
    return [
        Conversation(turns[: number + 1], conversation.tools, conversation.options)
        for number, turn in enumerate(turns)
        if turn["role"] == "assistant" and number
    ]
