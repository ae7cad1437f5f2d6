"""What a chat template writes, as text: a prompt, and the answer behind just that prompt."""

import re
from collections.abc import Mapping
from typing import Any, Literal

from distill_lab.data.calls import Turn, with_json
from distill_lab.data.thoughts import thoughts_in
from distill_lab.data.turns import THOUGHTS, Conversation
from distill_lab.data.written import is_python, missing_part, stands_in, text_behind

Reasoning = Literal["learn", "drop"]
THINK = re.compile(r"<(think|thinking|thought|reasoning)>\s*$")


class Renderer:
    """A tokenizer's chat template with its options.

    Args:
        tokenizer: with a chat template.
        options: for the template, such as `{"enable_thinking": False}`.
    """

    def __init__(self, tokenizer: Any, options: Mapping[str, Any]) -> None:
        self.tokenizer, self.options = tokenizer, options

    def whole(self, conversation: Conversation, *, open_answer: bool) -> str:
        """Write a conversation by the template.

        Args:
            conversation: the turns with their tools and options.
            open_answer: whether what comes before an answer is written behind them.

        Returns:
            The text.

        Raises:
            Exception: the template's own, of any kind.
        """
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
        if any(is_python(call["function"]["arguments"], text) for call in calls):
            turns = [with_json(turn) for turn in turns]  # it writes arguments as it is given them
            text = str(self.tokenizer.apply_chat_template(turns, **settings))
        return text

    def prompt(self, question: Conversation) -> str:
        """What is read before the answer, and nothing of the turns is missing in it."""
        text = self.whole(question, open_answer=True)
        for number, turn in enumerate(question.turns, 1):
            if missing := missing_part(turn, text):
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

    def answer(self, question: Conversation, last: Turn, prompt: str, reasoning: Reasoning) -> str:
        """Write the last turn as it stands behind its prompt, with all that follows.

        Args:
            question: the turns before it.
            last: the assistant's turn.
            prompt: as `prompt` writes it.
            reasoning: whether thoughts are learned.

        Returns:
            The text behind the prompt.

        Raises:
            ValueError: where something of the turn is left out, or stands elsewhere.
        """
        inside, content, forms = answer_forms(last, reasoning)
        wanted = {**last, "content": content}
        opened = THINK.search(prompt)
        refused, rendered = None, None
        for form in forms:
            turns = (*question.turns, form)
            try:
                rendered = self.whole(
                    Conversation(turns, question.tools, question.options), open_answer=False
                )
            except Exception as error:  # a template may know one form and refuse another
                refused = error
                continue
            answer = text_behind(prompt, rendered)
            if answer is None or missing_part(wanted, answer) or not stands_in(inside, answer):
                continue
            thinks = (opened[0] if opened else "") + answer
            if not inside and opened and not re.search(rf"</{opened[1]}>", answer):
                continue
            if inside and re.search(r"<(think\w*)>\s*<\1>", thinks):
                continue
            return answer
        if rendered is None:
            raise refused or ValueError("cannot be written by the chat template.")
        if opened:
            return self._after_thoughts(question, last, prompt, opened, inside, content, reasoning)
        missing = missing_part(wanted, rendered) or (
            not stands_in(inside, rendered) and "the reasoning"
        )
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
        rendered = self.whole(
            Conversation(turns, question.tools, question.options), open_answer=False
        )
        rest = text_behind(prompt[: opened.start()], rendered)
        if rest is None or missing_part({**last, "content": content}, rest):
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
        return f"{around}</{opened[1]}>{gap}{rest}"


def answer_forms(last: Turn, reasoning: Reasoning) -> tuple[str, str, list[Turn]]:
    """Part an answer from its thoughts, and list the ways in which a template may be given both.

    Args:
        last: the assistant's turn.
        reasoning: whether thoughts are learned.

    Returns:
        What was thought, the content, and the turn in each form.

    Raises:
        ValueError: for thoughts that are opened and never closed.
    """
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
    marked = raw.opening or not raw.closing.startswith("</")  # by marks of the model's own
    if marked and raw.closing and not apart:  # as it stands, where there is no other place
        forms.insert(1, bare)
    return inside, content, forms


def _named(turn: Turn) -> Turn:
    """A turn whose thoughts stand under every name that a template may look for."""
    if "reasoning_content" not in turn:
        return dict(turn)
    return turn | dict.fromkeys(THOUGHTS, turn["reasoning_content"])
