"""Prompts in every form people have them, and the requests that are made of them."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, overload

from distill_lab._util.io import short_hash
from distill_lab.data.calls import read_tools
from distill_lab.data.datasets.exchanges import exchange_of
from distill_lab.data.datasets.tables import Table, load_table
from distill_lab.data.plain_values import HalfCharacterError, mended
from distill_lab.data.turns import ROLES, SYSTEM_ROLES, read_turns
from distill_lab.teachers.text.protocol import Prompt, Request, Sampling, canonical

TeacherView = Callable[[Any], Any]
"""From a prompt, in the form it was given, to what the teacher reads in its place."""


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
        content = message.get("content")
        blank = isinstance(content, str) and not content.strip() and message["role"] == "user"
        if (not content or blank) and not message.get("tool_calls"):
            raise ValueError(f"a message without content: {message!r}. Leave empty prompts out.")
    messages = read_turns(given)
    while messages and messages[-1]["role"] == "assistant":
        about = {"answer": messages.pop()["content"]} | about
    if not messages:
        raise ValueError("there is no message before the answer: ask something first.")
    if system and messages[0]["role"] not in SYSTEM_ROLES:
        messages.insert(0, {"role": "system", "content": system})
    return Prompt(tuple(messages), about, tuple(read_tools(tools)))


def with_view(given: Any, system: str | None, teacher_prompt: TeacherView | None) -> Prompt:
    """Make a prompt whose messages are what the teacher reads, the student's beside them.

    Args:
        given: What `as_prompt` takes.
        system: A system message to put first, where there is none.
        teacher_prompt: What the teacher reads in its place, a text or messages; None: the same.

    Raises:
        TypeError: For anything that is no prompt.
        ValueError: For a message that is none, or where the teacher would read an answer last.
    """
    prompt = as_prompt(given, system)
    if teacher_prompt is None:
        return prompt
    view = as_prompt(teacher_prompt(given), system)
    if "answer" in view.about:
        raise ValueError("what the teacher reads ends with the assistant's words: end with a user.")
    return replace(prompt, messages=view.messages, student=prompt.messages)


def requests_of(
    prompts: Iterable[Any],
    sampling: Sampling,
    teacher: Mapping[str, Any],
    system: str | None = None,
    teacher_prompt: TeacherView | None = None,
) -> Iterator[Request]:
    """Yield every request, prompt by prompt; a prompt that comes again makes the same ones again.

    A prompt with half a character makes unfit requests, its text mended, with its number.

    Args:
        prompts: What `as_prompt` takes.
        sampling: How answers are drawn, and how many there are of each prompt.
        teacher: Its identity, part of every request's id.
        system: A system message before every prompt that has none.
        teacher_prompt: What the teacher reads in a prompt's place.

    Raises:
        TypeError: For what is no prompt, with its number.
        ValueError: For a message that is none, or for what JSON cannot hold, with its number.
    """
    for each in named_prompts(prompts, sampling, teacher, system, teacher_prompt):
        for sample in range(sampling.samples):
            name = request_id(each.name, sample)
            yield Request(name, each.prompt, sample, sampling, each.unfit)


class NamedPrompt(NamedTuple):
    """A prompt, the name of what is asked with it, its messages as JSON, and why it is unfit."""

    prompt: Prompt
    name: str
    messages: str
    unfit: str


def named_prompts(
    prompts: Iterable[Any],
    sampling: Sampling,
    teacher: Mapping[str, Any],
    system: str | None = None,
    teacher_prompt: TeacherView | None = None,
) -> Iterator[NamedPrompt]:
    """Yield every prompt with a name made of its content, of who is asked and how.

    Args:
        prompts: What `as_prompt` takes.
        sampling: How answers are drawn.
        teacher: Its identity.
        system: A system message before every prompt that has none.
        teacher_prompt: What the teacher reads in a prompt's place.

    Raises:
        TypeError: For what is no prompt, with its number.
        ValueError: For a message that is none, or for what JSON cannot hold, with its number.
    """
    settings = canonical({"teacher": dict(teacher), **sampling.named()})  # the same for all
    for number, given in enumerate(prompts):
        unfit = ""
        try:
            try:
                prompt = with_view(given, system, teacher_prompt)
            except HalfCharacterError as error:
                unfit = f"prompt {number}: {error}"
                prompt = with_view(mended(given), system, teacher_prompt)
            messages = canonical(prompt.messages)
            more: list[Any] = [part for part in (prompt.tools, unfit) if part]
            more += [{"student": list(prompt.student)}] if prompt.student else []
            parts = [settings, messages, *map(canonical, more)]
            name = short_hash(f"[{','.join(parts)}]".encode("utf-8", "surrogatepass"))
            if prompt.about:
                json.dumps(prompt.about, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise type(error)(f"prompt {number}: {error}") from None
        yield NamedPrompt(prompt, name, messages, unfit)


def request_id(name: str, sample: int) -> str:
    """The id of a request: the `digest` of its prompt's name and the number of the sample."""
    return short_hash(f'["{name}",{sample}]'.encode())


class FilePrompts(Sequence[Any]):
    """Prompts of a file, each read when it is asked for; all were looked at once.

    Args:
        table: Its rows.
        column: The column to take; None for the usual ones.

    Raises:
        ValueError: For a row that is no prompt, with its line.
    """

    def __init__(self, table: Table, column: str | None = None) -> None:
        self.table, self.column = table, column
        for number, prompt in enumerate(self):
            try:
                as_prompt(mended(prompt))
            except (TypeError, ValueError) as error:
                raise ValueError(f"{table.place(number)}: {error}") from None

    def __len__(self) -> int:
        return len(self.table)

    def __iter__(self) -> Iterator[Any]:
        for number, row in enumerate(self.table):
            yield self._prompt(number, row)

    @overload
    def __getitem__(self, number: int) -> Any: ...
    @overload
    def __getitem__(self, number: slice) -> list[Any]: ...
    def __getitem__(self, number: int | slice) -> Any:
        if isinstance(number, slice):
            return [self[i] for i in range(*number.indices(len(self)))]
        return self._prompt(number, self.table[number])

    def _prompt(self, number: int, row: dict[str, Any]) -> Any:
        if self.column is not None:
            row = {name: value for name, value in row.items() if name != "messages"}
        elif row.keys() == {"text"}:
            return row["text"]
        return exchange_of(row, self.table.place(number), prompt_only=True)


def read_prompts(
    path: str | Path, column: str | None = None, encoding: str | None = None
) -> FilePrompts:
    """Read prompts from a file, in any form that `load_dataset` reads: in .txt one a line.

    Args:
        path: The file. A row has a `prompt`, `messages`, or one of the shapes of `exchange_of`;
            in JSON it may be a string or a list of messages too.
        column: The column to take in their place.
        encoding: Of a text that is not UTF-8.

    Returns:
        The prompts, which stay on the disk.

    Raises:
        FileNotFoundError: Where there is no file.
        ValueError: For a row that is no prompt, with its line, or where there is none at all.
    """
    columns = None if column is None else {"prompt": column}
    return FilePrompts(load_table(path, columns=columns, encoding=encoding), column)
