"""Prompts in every form people have them, and the requests that are made of them."""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from distill_lab._util.io import short_hash
from distill_lab.data.calls import read_tools
from distill_lab.data.datasets.exchanges import exchange_of
from distill_lab.data.datasets.tables import load_table
from distill_lab.data.plain_values import HalfCharacterError, mended
from distill_lab.data.turns import read_turns
from distill_lab.teachers.text.protocol import Prompt, Request, Sampling, canonical, digest

ROLES = ("system", "user", "assistant", "tool", "developer")


def as_prompt(given: Any, system: str | None = None) -> Prompt:
    """Make a prompt of a string, a list of messages, or a dict with `prompt` or `messages`.

    What the assistant says at its end is an answer that is there already: it is kept as `about`,
    and not shown.

    Args:
        given: The prompt; `tools` of a dict are shown too, its other entries are kept as `about`.
        system: A system message to put first, where the prompt has none of its own.

    Raises:
        TypeError: For anything that is no prompt.
        ValueError: For a message that is none.

    >>> as_prompt({"prompt": "2 + 2?", "answer": "4"}).about
    {'answer': '4'}
    """
    about: dict[str, Any] = {}
    tools: Any = None
    if isinstance(given, Prompt):
        tools, about, given = list(given.tools), dict(given.about), list(given.messages)
    elif isinstance(given, Mapping) and not {"role", "content"} <= given.keys():
        shown = ("prompt", "messages", "tools")
        about = {key: value for key, value in given.items() if key not in shown}
        tools = given.get("tools")
        forms = [given[key] for key in ("messages", "prompt") if given.get(key)]
        if not forms:
            raise ValueError(
                'a prompt in a dict stands under "prompt" or "messages"; got the keys '
                f"{sorted(map(str, given))}."
            )
        given = forms[0]
    if isinstance(given, str):
        given = [{"role": "user", "content": given}]
    if not isinstance(given, (list, tuple)) or not given:
        raise TypeError(
            "a prompt is a string, a list of messages, or a dict with one of them; got "
            f"{type(given).__name__}."
        )
    for message in given:
        if not isinstance(message, Mapping) or message.get("role") not in ROLES:
            raise ValueError(
                f'a message is {{"role": one of {", ".join(ROLES)}, "content": "..."}}; got '
                f"{message!r}."
            )
        if not message.get("content") and not message.get("tool_calls"):
            raise ValueError(f"a message without content: {message!r}. Leave empty prompts out.")
    messages = read_turns(given)
    while messages and messages[-1]["role"] == "assistant":
        about = {"answer": messages.pop()["content"]} | about
    if not messages:
        raise ValueError("there is no message before the answer: ask something first.")
    if system and messages[0]["role"] not in ("system", "developer"):
        messages.insert(0, {"role": "system", "content": system})
    return Prompt(tuple(messages), about, tuple(read_tools(tools)))


def requests_of(
    prompts: Iterable[Any],
    sampling: Sampling,
    teacher: Mapping[str, Any],
    system: str | None = None,
) -> Iterator[Request]:
    """Yield every request, prompt by prompt; a prompt that comes again makes the same ones again.

    A prompt with half a character makes unfit requests, its text mended, with its number.

    Args:
        prompts: What `as_prompt` takes.
        sampling: How answers are drawn, and how many there are of each prompt.
        teacher: Its identity, part of every request's id.
        system: A system message before every prompt that has none.

    Raises:
        TypeError: For what is no prompt, with its number.
        ValueError: For a message that is none, or for what JSON cannot hold, with its number.
    """
    settings = canonical({"teacher": dict(teacher), **sampling.facts()})  # the same for all
    for number, given in enumerate(prompts):
        unfit = ""
        try:
            try:
                prompt = as_prompt(given, system)
            except HalfCharacterError as error:
                unfit = f"prompt {number}: {error}"
                prompt = as_prompt(mended(given), system)
            more = [*([list(prompt.tools)] if prompt.tools else []), *([unfit] if unfit else [])]
            parts = [settings, *map(canonical, (list(prompt.messages), *more))]
            name = short_hash(f"[{','.join(parts)}]".encode("utf-8", "surrogatepass"))
            if prompt.about:
                json.dumps(prompt.about, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise type(error)(f"prompt {number}: {error}") from None
        for sample in range(sampling.samples):
            yield Request(digest([name, sample]), prompt, sample, sampling, unfit)


def wanted_of(
    prompts: Iterable[Any],
    sampling: Sampling,
    teacher: Mapping[str, Any],
    system: str | None = None,
) -> tuple[dict[str, Request], int]:
    """Collect the requests by id, so that what comes twice is asked once.

    Args:
        prompts: What `as_prompt` takes.
        sampling: How answers are drawn.
        teacher: Its identity.
        system: A system message before every prompt that has none.

    Returns:
        The requests by id in their order, and how many there were with those that came again.

    Raises:
        ValueError: Without a prompt, and what `requests_of` raises.
    """
    wanted: dict[str, Request] = {}
    total = 0
    for request in requests_of(prompts, sampling, teacher, system):
        total += 1
        wanted.setdefault(request.id, request)
    if not wanted:
        raise ValueError("there are no prompts: give at least one.")
    return wanted, total


def read_prompts(
    path: str | Path, column: str | None = None, encoding: str | None = None
) -> list[Any]:
    """Read prompts from a file, in any form that `load_dataset` reads: in .txt one a line.

    Args:
        path: The file. A row has a `prompt`, `messages`, or one of the shapes of `exchange_of`;
            in JSON it may be a string or a list of messages too.
        column: The column to take in their place.
        encoding: Of a text that is not UTF-8.

    Raises:
        FileNotFoundError: Where there is no file.
        ValueError: For a row that is no prompt, with its line, or where there is none at all.
    """
    columns = None if column is None else {"prompt": column}
    table = load_table(path, columns=columns, encoding=encoding)
    prompts: list[Any] = []
    for number, row in enumerate(table):
        place = table.place(number)
        if column is not None:
            row = {name: value for name, value in row.items() if name != "messages"}
        if row.keys() == {"text"}:
            prompts.append(row["text"])
            continue
        prompts.append(exchange_of(row, place, prompt_only=True))
        try:
            as_prompt(mended(prompts[-1]))
        except (TypeError, ValueError) as error:
            raise ValueError(f"{place}: {error}") from None
    return prompts
