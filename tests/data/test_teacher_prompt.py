"""What a teacher reads in a prompt's place, written from a row."""

import pytest

from distill_lab.data import TeacherPrompt

TURNS = [
    {"role": "system", "content": "Rules."},
    {"role": "user", "content": "a"},
    {"role": "assistant", "content": "b"},
    {"role": "user", "content": "c"},
]


@pytest.mark.parametrize(
    ("texts", "row", "expected"),
    [
        ({"user": "{prompt}!"}, {"prompt": "a"}, [("user", "a!")]),
        ({"system": "S"}, {"prompt": "a"}, [("system", "S"), ("user", "a")]),
        (
            {"user": "{hint} {prompt}", "system": "{system} More."},
            {"messages": TURNS, "hint": 3},
            [("system", "Rules. More."), ("user", "a"), ("assistant", "b"), ("user", "3 c")],
        ),
        (  # the answer that is learned is not there unless it is named
            {"system": "S"},
            {"messages": [*TURNS, {"role": "assistant", "content": "gold"}]},
            [("system", "S"), ("user", "a"), ("assistant", "b"), ("user", "c")],
        ),
        ({"user": "{answer}? {prompt}"}, {"prompt": "a", "answer": "b"}, [("user", "b? a")]),
        ({"system": r"\boxed{{}}"}, {"prompt": "a"}, [("system", r"\boxed{}"), ("user", "a")]),
        (  # a row's text is text, whatever braces stand in it
            {"user": "{prompt} {hint}"},
            {"prompt": "{hint}", "hint": "{prompt}"},
            [("user", "{hint} {prompt}")],
        ),
        (
            {"system": "S"},
            {"prompt": [{"role": "developer", "content": "D"}, {"role": "user", "content": "a"}]},
            [("developer", "S"), ("user", "a")],
        ),
    ],
)
def test_two_texts_make_the_messages_of_a_row(texts, row, expected):
    before = str(row)
    turns = TeacherPrompt(**texts)(row)
    assert [(turn["role"], turn["content"]) for turn in turns] == expected
    assert str(row) == before


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ({}, "for the user, the system, or both"),
        ({"user": "{}"}, "no column's name"),
        ({"user": "{prompt.__class__}"}, "no column's name"),
        ({"user": "{prompt[0]}"}, "no column's name"),
        ({"system": "{prompt!r}"}, "no column's name"),
        ({"system": "{prompt:>9}"}, "no column's name"),
        ({"system": r"\boxed{"}, "braces themselves are written"),
        ({"system": "}"}, "braces themselves are written"),
    ],
)
def test_braces_that_are_no_column_are_refused(texts, message):
    with pytest.raises(ValueError, match=message):
        TeacherPrompt(**texts)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"prompt": "a", "other": "b"}, "has no hint.*it has other, prompt"),
        ({"prompt": "a", "hint": None}, "has no hint"),
        ({"prompt": "a", "hint": ["b"]}, "has a list as hint"),
        ({"prompt": "a", "hint": True}, "has a bool as hint"),
        (
            {"hint": "b", "messages": [TURNS[1], {"role": "tool", "content": "4"}]},
            "does not end with a user's message",
        ),
    ],
)
def test_a_row_that_lacks_what_is_named_is_refused(row, message):
    with pytest.raises(ValueError, match=message):
        TeacherPrompt("{prompt} {hint}")(row)
