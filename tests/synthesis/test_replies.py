"""Which answers are rejected, and what is said of them."""

import re

import pytest

from distill_lab.synthesis.replies import check_schema, fault, schema_error
from distill_lab.teachers.text.protocol import Reply, Sampling

SCHEMA = {
    "type": "object",
    "properties": {"label": {"enum": ["yes", "no"]}},
    "required": ["label"],
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    ("reply", "settings", "kind", "words"),
    [
        (Reply("4", "stop"), {}, None, ""),
        (Reply("4", ""), {}, None, ""),  # some servers leave it out
        *(
            (Reply("4", end), {}, None, "")
            for end in ("eos_token", "stop_sequence", "end_turn", "STOP")
        ),
        *(
            (Reply("4", end), {}, "truncated", "cut off|max_")
            for end in ("max_tokens", "MAX_TOKENS", "time_limit", "ERROR_LIMIT")
        ),
        (Reply("fi", "insufficient_system_resource"), {}, "failed", "insufficient_system"),
        (Reply("", "ERROR_TOXIC"), {}, "refused", "content filter"),
        (Reply("", "stop"), {}, "empty", "no text"),
        (Reply(" \n", "stop", thinking="hm"), {}, "empty", "went into thinking"),
        (Reply("and then", "length"), {"max_new_tokens": 3}, "truncated", "max_new_tokens = 3"),
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
    ],
    ids=lambda value: str(value)[:40],
)
def test_each_fault_has_its_kind_and_its_words(reply, settings, kind, words):
    wrong = fault(reply, Sampling(**settings))
    if kind is None:
        assert wrong is None
    else:
        assert wrong is not None and wrong[0] == kind
        assert re.search(words, wrong[1]), wrong


def test_schemas():
    check_schema(SCHEMA)
    with pytest.raises(ValueError, match="not a JSON schema"):
        check_schema({"type": "nonsense"})
    assert schema_error('{"label": "no"}', SCHEMA) is None
    assert "the top" in schema_error("{}", SCHEMA)
