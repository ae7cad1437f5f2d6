"""Rows of language models in the shapes people have them: a prompt and an answer, or messages."""

import ast
import re
from collections.abc import Mapping
from typing import Any

from distill_lab.data.calls import parsed

Row = dict[str, Any]

# Columns that hold a prompt and its answer: the first pair that a row has is meant.
PAIRS = (
    ("prompt", "answer"),
    ("prompt", "completion"),
    ("prompt", "response"),
    ("question", "answer"),
    ("question", "response"),
    ("query", "response"),
    ("instruction", "output"),  # Alpaca, with "input" as what the instruction is about
    ("instruction", "response"),
    ("input", "output"),
    ("problem", "solution"),
)
COLUMNS = {name for pair in PAIRS for name in pair} | {"messages", "conversations", "conversation"}
BESIDE = {  # columns that belong to a question, and stand behind it
    "instruction": ("input", "context"),
    "question": ("context",),
    "query": ("context",),
}
SYSTEMS = ("system_prompt", "system")  # the second counts for more
# messages that are written into one cell, as JSON or as Python has them
WRITTEN = re.compile(r"""\[\s*\{\s*(['"])(role|content|from|value)\1\s*:.*\}\s*\]""", re.DOTALL)
PROMPTS = ("prompt", "question", "query", "instruction", "input", "problem")
SPEAKERS = {  # ShareGPT's words for roles
    **dict.fromkeys(("human", "user"), "user"),
    **dict.fromkeys(("gpt", "assistant", "model", "chatgpt", "bot"), "assistant"),
    "system": "system",
    **dict.fromkeys(("tool", "observation", "function_response"), "tool"),
}
WAY_OUT = (
    'expected "prompt" and "answer" as text (or prompt/completion, instruction/input/output, '
    'question/answer), "messages", or "conversations". Name your own columns: '
    "columns = {prompt: ..., answer: ...}"
)


def exchange_of(row: Mapping[str, Any], place: str, *, prompt_only: bool = False) -> Row:
    r"""Bring a row into the form that is learned from: `prompt` and `answer`, or `messages`.

    prompt/completion, Alpaca's instruction/input/output with a history, Dolly's context,
    question/answer and ShareGPT's conversations are understood, messages as their JSON too, also in
    the place of a prompt, and of an answer behind such a prompt. Other columns are kept as they
    are.

    Args:
        row: As it stands in a file; None is as good as absent.
        place: Where, for the words of an error.
        prompt_only: Whether a prompt is enough; messages then end before the last answer.

    Returns:
        The row.

    Raises:
        ValueError: For another shape, with its place.

    >>> exchange_of({"instruction": "Add.", "input": "2 + 2", "output": "4"}, "a.json, line 2")
    {'prompt': 'Add.\n\n2 + 2', 'answer': '4'}
    """
    given = {name: value for name, value in row.items() if value is not None}
    if "functions" in given:  # as tools were called before there were several kinds
        given = {"tools": given.pop("functions")} | given
    _take_system(given, place)
    for name in ("messages", "conversations", "conversation"):
        if name in given:
            turns = _turns(given.pop(name), name, place)
            return _of_turns(turns, given, place, prompt_only)
    pair = next((pair for pair in PAIRS if given.keys() >= {*pair}), None)
    if pair is None and prompt_only:
        pair = next(((name, "answer") for name in PROMPTS if name in given), None)
    if pair is None:
        null = [name for name, value in row.items() if value is None and name in COLUMNS]
        if null and "chosen" not in given:
            raise ValueError(f"{place}: {null[0]!r} is null: fill it, or leave the row out.")
        raise ValueError(_refusal(given, place))
    prompt, answer = _messages_in(given.pop(pair[0]), place), given.pop(pair[1], None)
    if isinstance(prompt, list):  # an answer alone that is such JSON may be meant as it stands
        answer = _messages_in(answer, place)
    if isinstance(prompt, list) and isinstance(answer, list):  # TRL's prompt/completion
        turns = _turns([*prompt, *answer], "messages", place)
        return _of_turns(turns, given, place, prompt_only)
    for name in BESIDE.get(pair[0], ()):
        if isinstance(prompt, str) and name in given:
            extra = given.pop(name)
            if not isinstance(extra, str):
                raise ValueError(f"{place}: {name} must be a text, got {str(extra)[:60]}.")
            prompt = f"{prompt}\n\n{extra}" if extra.strip() else prompt
    if isinstance(prompt, list):
        prompt = _turns(prompt, "messages", place)
        if "system" in given and prompt and prompt[0]["role"] != "system":
            prompt = [{"role": "system", "content": given.pop("system")}, *prompt]
    elif not isinstance(prompt, str):
        raise ValueError(f"{place}: {pair[0]} must be a text, got {prompt!r}.")
    if not prompt_only and not isinstance(answer, str):
        raise ValueError(f"{place}: {pair[1]} must be a text, got {answer!r}.")
    if isinstance(prompt, str):
        earlier = _earlier(given, place)
        if earlier:
            prompt = [*earlier, {"role": "user", "content": prompt}]
    exchange = {"prompt": prompt} | ({} if answer is None else {"answer": answer})
    # a column of that name that is left is no part of it; where an answer is only compared with,
    # it is the one meant: of problem, solution and answer the result, without the way to it
    if prompt_only and "answer" in given:
        exchange["answer"] = given["answer"]
    return exchange | {name: value for name, value in given.items() if name not in exchange}


def pair_of(row: Mapping[str, Any], place: str) -> tuple[Row, Row]:
    """Make two rows of a preference pair: its prompt with the chosen answer, and the rejected one.

    An answer is a text, the assistant's messages, or a whole conversation that begins with the
    prompt; then a prompt beside it is passed over. In a table messages are their JSON.

    Args:
        row: `chosen` and `rejected`, and in front of them a prompt in any form of `exchange_of`.
        place: Where it stands, for the words of an error.

    Returns:
        Both rows, as `exchange_of` gives them.

    Raises:
        ValueError: For another shape, with its place.

    >>> pair_of({"prompt": "2 + 2?", "chosen": "4", "rejected": "5"}, "a.json, line 2")
    ({'prompt': '2 + 2?', 'answer': '4'}, {'prompt': '2 + 2?', 'answer': '5'})
    """
    given = {name: value for name, value in row.items() if value is not None}
    if not {"chosen", "rejected"} <= given.keys():
        raise ValueError(
            f"{place}: the columns are {', '.join(map(repr, given))}; expected a prompt, 'chosen' "
            "and 'rejected'. Name your own columns: columns = {prompt: ..., chosen: ..., "
            "rejected: ...}."
        )
    sides = [_messages_in(given[name], place) for name in ("chosen", "rejected")]
    if not all(isinstance(side, list) for side in sides):  # one alone may be meant as it stands
        sides = [given["chosen"], given["rejected"]]
    first, second = (_of_side(given, side, place) for side in sides)
    return first, second


def _of_side(given: Row, answer: Any, place: str) -> Row:
    others = {name: value for name, value in given.items() if name not in ("chosen", "rejected")}
    column = next((name for name in PROMPTS if name in others), None)
    if isinstance(answer, list):
        turns = _turns(answer, "an answer of a pair", place)
        if turns and turns[0]["role"] == "assistant":
            if column is None:
                raise ValueError(f"{place}: there is no prompt before the two answers.")
            prompt = _messages_in(others[column], place)
            asked = prompt if isinstance(prompt, list) else [{"role": "user", "content": prompt}]
            turns = [*_turns(asked, "a prompt", place), *turns]
        others = {name: value for name, value in others.items() if name not in PROMPTS}
        return exchange_of({**others, "messages": turns}, place)
    if column is None:
        raise ValueError(f"{place}: there is no prompt before the two answers.")
    name = next(second for first, second in PAIRS if first == column)
    return exchange_of({**others, name: answer}, place)


def _take_system(given: Row, place: str) -> None:
    """Keep the words of a system turn under one name, `system`, where there are any."""
    for name in [name for name in SYSTEMS if name in given]:
        words = given.pop(name)
        if not isinstance(words, str):
            raise ValueError(f"{place}: {name} must be a text, got {str(words)[:60]}.")
        if words.strip():
            given["system"] = words


def _earlier(given: Row, place: str) -> list[Row]:
    """The turns before a question: `system`, and the `history`, which are taken out of the row."""
    turns: list[Row] = []
    if "system" in given:
        turns = [{"role": "system", "content": given.pop("system")}]
    history = parsed(given.get("history"))
    if not isinstance(history, list):
        return turns  # a word of somebody's own, as any other column
    del given["history"]
    if all(isinstance(turn, Mapping) for turn in history):
        return turns + _turns(history, "history", place)
    for pair in history:
        if not isinstance(pair, list) or [type(each) for each in pair] != [str, str]:
            raise ValueError(
                f"{place}: history must be a list of messages, or of pairs of a question and its "
                f"answer, got {str(pair)[:60]!r}."
            )
        for role, text in zip(("user", "assistant"), pair, strict=True):
            turns.append({"role": role, "content": text})
    return turns


def _turns(value: Any, name: str, place: str) -> list[Row]:
    """Messages with roles, whatever their speakers are called."""
    value = parsed(_messages_in(value, place))
    if not isinstance(value, list) or not all(isinstance(turn, Mapping) for turn in value):
        raise ValueError(f"{place}: {name} must be a list of messages, got {str(value)[:60]!r}.")
    turns = []
    for turn in value:
        turn = {key: part for key, part in turn.items() if part is not None}
        if "role" not in turn and "from" in turn:
            speaker = str(turn.pop("from"))
            if speaker not in SPEAKERS:
                known = ", ".join(SPEAKERS)
                raise ValueError(f"{place}: there is no speaker {speaker!r}; known: {known}.")
            content = {"content": turn.pop("value")} if "value" in turn else {}
            turn = {"role": SPEAKERS[speaker]} | content | turn
        if "role" not in turn:
            raise ValueError(f"{place}: a message needs a role, got {str(turn)[:60]}.")
        turns.append(turn)
    return turns


def _messages_in(value: Any, place: str) -> Any:
    """The messages whose list a cell's text writes, as tables have it; any other value as it is."""
    text = value.strip() if isinstance(value, str) else ""
    if not WRITTEN.fullmatch(text):
        return value
    read = parsed(text)
    if not isinstance(read, list):
        try:
            read = ast.literal_eval(text)
        except (SyntaxError, ValueError, MemoryError, RecursionError):
            if text[1:].lstrip()[1:].lstrip().startswith("'"):  # as NumPy shows it, without commas
                raise ValueError(
                    f"{place}: expected messages as JSON, got {text[:60]!r}: call .tolist() on an "
                    "array before it is written."
                ) from None
            return value
    keys = ({"role", "content"}, {"from", "value"})
    spoken = all(isinstance(turn, Mapping) and any(k <= {*turn} for k in keys) for turn in read)
    return read if spoken else value


def _of_turns(turns: list[Row], others: Row, place: str, prompt_only: bool) -> Row:
    if isinstance(others.get("system"), str) and turns and turns[0]["role"] != "system":
        turns = [{"role": "system", "content": others.pop("system")}, *turns]
    last = turns[-1] if turns else {}
    answered = last.get("role") == "assistant"
    if len(turns) == answered:
        raise ValueError(f"{place}: there are no messages before the answer.")
    if prompt_only and answered:  # whoever is asked shall not be shown the answer
        turns, others = turns[:-1], {"answer": last.get("content")} | others
    elif not prompt_only and not answered:
        raise ValueError(
            f"{place}: the last message has to be the assistant's, the answer to learn; it is "
            f"{str(last)[:60]}."
        )
    return {"messages": turns} | others


def _refusal(given: Row, place: str) -> str:
    names = f"the columns are {', '.join(map(repr, given))}"
    if {"chosen", "rejected"} <= given.keys():
        return (
            f"{place}: preference pairs ({names}) are for method dpo; what learns from one answer "
            "takes the chosen one, as columns = {answer: chosen}, or {messages: chosen} where it "
            "is a list."
        )
    return f"{place}: {names}; {WAY_OUT}."
