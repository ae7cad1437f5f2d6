"""A teacher's own prompt, written from a row: rules, a hint, the solution."""

from collections.abc import Iterator, Mapping
from string import Formatter
from typing import Any

from distill_lab.data.turns import SYSTEM_ROLES, read_conversation

OWN = ("prompt", "system")  # fields that are read from the turns, not from a column of that name


class TeacherPrompt:
    r"""What a teacher reads in a prompt's place, as two texts with fields in braces.

    Fields: `{prompt}` is the last user's message, `{system}` the system message or nothing, and any
    other the row's column of that name. Braces themselves are written `{{` and `}}`.

    Args:
        user: the text in place of the last user's message; None leaves it.
        system: the text in place of the system message, or before all others; None leaves it.

    Raises:
        ValueError: for neither of them, or a text whose braces are no fields; when it is called,
            for a row without such a column, or with one that is no text and no number.

    Source: Snell et al. 2022 (Learning by Distilling Context).

    >>> hint = TeacherPrompt("{prompt}\nIt begins with {first}.", system="Be brief.")
    >>> for turn in hint({"prompt": "A fruit?", "first": "p"}):
    ...     print(turn)
    {'role': 'system', 'content': 'Be brief.'}
    {'role': 'user', 'content': 'A fruit?\nIt begins with p.'}
    """

    def __init__(self, user: str | None = None, system: str | None = None) -> None:
        if user is None and system is None:
            raise ValueError("a teacher's prompt needs a text for the user, the system, or both.")
        self.user, self.system = user, system
        self.fields = frozenset(
            field
            for name, text in (("user", user), ("system", system))
            for field in _fields(name, text or "")
        )

    @property
    def columns(self) -> frozenset[str]:
        """The columns of a row that it reads beside the turns."""
        return self.fields.difference(OWN)

    def __repr__(self) -> str:
        return f"TeacherPrompt(user={self.user!r}, system={self.system!r})"

    def __call__(self, row: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Write the messages that the teacher reads of a row.

        Args:
            row: with `prompt` or `messages`, and the columns that the texts name.

        Returns:
            Messages, the last one not the assistant's.

        Raises:
            ValueError: as the class says.
        """
        turns = [*read_conversation(row, answered=False).question.turns]
        first = turns[0]["content"] if turns and turns[0]["role"] in SYSTEM_ROLES else None
        question = turns[-1]["content"] if turns and turns[-1]["role"] == "user" else None
        values = {name: _text_of(row, name) for name in self.columns}
        values |= {"prompt": question or "", "system": first or ""}
        if (self.user is not None or "prompt" in self.fields) and question is None:
            raise ValueError(
                "does not end with a user's message, which the teacher's prompt is made of: "
                "leave such rows out, or give the teacher a system message alone."
            )
        if self.user is not None:
            turns[-1] = {**turns[-1], "content": self.user.format_map(values)}
        if self.system is not None:
            role = "system" if first is None else turns[0]["role"]
            message = {"role": role, "content": self.system.format_map(values)}
            turns[: first is not None] = [message]
        return turns


def _fields(name: str, text: str) -> Iterator[str]:
    """The fields of a text, refusing what is more than a name in braces."""
    try:
        for _, field, spec, conversion in Formatter().parse(text):
            if field is None:
                continue
            if not field or spec or conversion or any(mark in field for mark in ".["):
                shown = "{" + field + ("!" + conversion if conversion else "")
                raise ValueError(f"{shown}{':' + spec if spec else ''}}} is no column's name")
            yield field
    except ValueError as error:
        raise ValueError(
            f"{name}: {text!r}: {error}. A field is a column's name in braces, as {{prompt}}; "
            "braces themselves are written {{ and }}."
        ) from None


def _text_of(row: Mapping[str, Any], name: str) -> str:
    """A column of a row as text."""
    value = row.get(name)
    if isinstance(value, str):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    if value is None:
        there = ", ".join(sorted(key for key, held in row.items() if held is not None))
        raise ValueError(f"has no {name}, which the teacher's prompt names; it has {there}.")
    raise ValueError(
        f"has a {type(value).__name__} as {name}; the teacher's prompt needs a text or a number."
    )
