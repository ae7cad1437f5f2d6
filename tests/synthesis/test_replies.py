"""Which answers are set aside, and what is said of them."""

import re

import pytest

from distill_lab.synthesis.languages import language_doubt
from distill_lab.synthesis.replies import Reply, check_schema, fault, schema_error
from distill_lab.synthesis.requests import Sampling

SCHEMA = {
    "type": "object",
    "properties": {"label": {"enum": ["yes", "no"]}},
    "required": ["label"],
    "additionalProperties": False,
}
ENGLISH = (
    "The student learns from what the teacher says about each of the pictures, and it is this that "
    "makes the small network as good as the large one on most of them."
)
GERMAN = (
    "Das kleine Netz lernt von dem, was das große über die Bilder sagt, und das ist der Grund, "
    "warum es auf den meisten davon fast so gut ist wie das große selbst."
)


@pytest.mark.parametrize(
    ("reply", "settings", "kind", "words"),
    [
        (Reply("4", "stop"), {}, None, ""),
        (Reply("4", ""), {}, None, ""),  # some servers leave it out
        (Reply("", "stop"), {}, "empty", "no text"),
        (Reply(" \n", "stop", thinking="hm"), {}, "empty", "went into thinking"),
        (Reply("and then", "length"), {"max_tokens": 3}, "truncated", "max_tokens = 3"),
        (Reply("", "length"), {}, "truncated", "cut off"),
        (Reply("x", "content_filter"), {}, "refused", "content filter"),
        (Reply("", "stop", refusal="I won't"), {}, "refused", "I won't"),
        (Reply("I'm sorry, but I can't help with that.", "stop"), {}, "refused", "like a refusal"),
        (Reply("As an AI language model, I cannot answer", "stop"), {}, "refused", "like a ref"),
        (Reply("I’m unable to help with this.", "stop"), {}, "refused", "like a refusal"),
        (Reply("I cannot assist with that request.", "stop"), {"refusals": False}, None, ""),
        (Reply("I'm sorry, but your order is late.", "stop"), {}, None, ""),
        (Reply("I can't help but wonder.", "stop"), {}, None, ""),
        (Reply("I can't believe it is true, he said.", "stop"), {}, None, ""),
        (Reply("call", "tool_calls"), {}, "malformed", "tool_calls"),
        (Reply("caf\ufffd", "stop"), {}, "malformed", "could not be decoded"),
        (Reply('{"label": "yes"}', "stop"), {"schema": SCHEMA}, None, ""),
        (Reply('{"label": "perhaps"}', "stop"), {"schema": SCHEMA}, "malformed", r"\['label'\]"),
        (Reply("yes", "stop"), {"schema": SCHEMA}, "malformed", "not JSON"),
        (Reply(GERMAN, "stop"), {"language": "en"}, "language", "look like de"),
        (Reply(ENGLISH, "stop"), {"language": "en"}, None, ""),
    ],
    ids=lambda value: str(value)[:40],
)
def test_each_fault_has_its_kind_and_its_words(reply, settings, kind, words):
    found = fault(reply, Sampling(**settings))
    if kind is None:
        assert found is None
    else:
        assert found is not None and found[0] == kind
        assert re.search(words, found[1]), found


@pytest.mark.parametrize(
    ("text", "language", "fits"),
    [
        (ENGLISH, "en", True),
        (ENGLISH, "de", False),
        (GERMAN, "de", True),
        (GERMAN, "en", False),
        (GERMAN, "de-AT", True),
        ("Маленькая сеть учится у большой", "ru", True),
        ("Маленькая сеть учится у большой", "en", False),
        ("小さなネットワークは大きなものから学ぶ", "ja", True),
        ("小さなネットワークは大きなものから学ぶ", "ko", False),
        ("def f(x): return x ** 2 + 1", "ru", False),
        ("42", "ru", True),  # figures have no language
        ("ok", "de", True),  # too short to say
    ],
    ids=lambda value: str(value)[:24],
)
def test_languages_are_told_apart(text, language, fits):
    assert (language_doubt(text, language) is None) == fits


def test_a_language_nobody_knows_here_is_refused():
    with pytest.raises(ValueError, match="language must be one of"):
        language_doubt("x", "tlh")


def test_schemas():
    check_schema(SCHEMA)
    with pytest.raises(ValueError, match="not a JSON schema"):
        check_schema({"type": "nonsense"})
    assert schema_error('{"label": "no"}', SCHEMA) is None
    assert "the top" in schema_error("{}", SCHEMA)
