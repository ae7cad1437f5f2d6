"""Cases that were measured wrongly, or refused for no reason, by what was wrong."""

import pytest

from tests.evaluation.grid.compare import case, check

RAGGED = {"answer": "number tokens", "form": "ragged", "examples": 70}
BEHIND = {"answer": "number tokens", "labels": "behind padding"}
MANY_TEACHERS = {"answer": "language", "form": "dict", "teacher": "seeds"}
NUMBERED = {"class_names": "by number"}

MEASURED = {
    # the mean over several outputs was one over all labels that are known
    "MAE, some unknown": {"answer": "numbers", "labels": "some"},
    "MAE, some unknown, seeds": {"answer": "numbers", "labels": "some", "model": "seeds"},
    "MAE, texts": {"answer": "number tokens", "form": "dict", "labels": "some"},
    # ignore= was not heeded where labels are numbers: -999 was one like another
    "ignore, numbers": {"answer": "numbers", "labels": "ignored"},
    "ignore, one number": {"answer": "number", "labels": "ignored", "form": "hf"},
    "ignore, numbers of texts": {"answer": "number tokens", "labels": "ignored", "form": "dict"},
    # numbers of shorter texts were padded with -100, which was learned as a number
    "numbers of texts of other lengths": RAGGED,
    "numbers of texts of other lengths, many seeds": RAGGED | {"model": "seeds"},
    "numbers of texts of other lengths, some unknown": RAGGED | {"labels": "some"},
    # ... and whatever stood behind a text's end was measured
    "numbers behind padding": BEHIND | {"form": "dict"},
    "numbers behind padding, rows": BEHIND | {"form": "rows", "teacher": "named"},
    "numbers behind padding, a tokenizer's": BEHIND | {"form": "encoding", "model": "function"},
    # a network that writes into its inputs changed what the next one read
    "in place": {"model": "in place"},
    "in place, maps": {"answer": "maps", "model": "in place", "teacher": "named"},
    "in place, arrays": {"answer": "numbers", "model": "in place", "form": "numpy"},
    # one that writes each answer over the one before kept the last one alone
    "one buffer": {"model": "one buffer", "form": "rows", "examples": 70},
    "one buffer, maps": {"answer": "maps", "model": "one buffer", "form": "hf", "examples": 70},
    "one buffer, tags": {"answer": "tags", "model": "one buffer", "form": "dict", "examples": 70},
    # a language's ignore= took tokens from what is counted, and left what they cost in the sum
    "ignore, tokens": {"answer": "language", "labels": "ignored", "form": "dict"},
    "ignore, tokens, unnamed": {
        "answer": "language",
        "labels": "ignored",
        "form": "ragged",
        "named": False,
    },
    "ignore, tokens, headroom": {
        "answer": "language",
        "labels": "ignored",
        "form": "hf",
        "teacher": "named",
    },
    # one language model stood beside the first seed of its teacher, three times
    "one language model beside many": MANY_TEACHERS,
    "one language model beside many, recorded": MANY_TEACHERS | {"model": "recorded"},
    "one language model beside many, a baseline": MANY_TEACHERS | {"baseline": "other"},
    # a class of one was left out of what is searched, not of the queries alone
    "classes of one": {"answer": "embeddings", "labels": "all"},
    "classes of one, some unknown": {"answer": "embeddings", "labels": "some", "model": "seeds"},
    "classes of one, a baseline": {"answer": "embeddings", "baseline": "other", "examples": 3},
    # rounding put in order what is alike
    "alike": {"answer": "embeddings", "output": "ties", "examples": 70, "teacher": "named"},
    "alike in half": {"answer": "embeddings", "output": "fp16", "examples": 70, "teacher": "own"},
    # stacked arrays, and stacked data beside one network, were texts of as many tags
    "stacked arrays": {"form": "stacked numpy", "model": "seeds", "named": False},
    "stacked, one network": {"form": "stacked", "labels": "some"},
    "stacked arrays, one network": {"form": "stacked numpy", "measures": "function"},
    # refused for no reason: a language without a teacher, in any form
    "language alone": {"answer": "language", "form": "dict"},
    "language alone, recorded": {"answer": "language", "form": "hf", "model": "recorded"},
    "language alone, seeds": {"answer": "language", "form": "ragged", "model": "seeds"},
    # ... its headroom, unless it came as a source
    "language, headroom": {"answer": "language", "form": "dict", "teacher": "named"},
    "language, headroom, read": {
        "answer": "language",
        "form": "encoding",
        "output": "read",
        "teacher": "named",
    },
    "language, headroom, int32": MANY_TEACHERS | {"teacher": "named", "labels": "narrow"},
    # ... a figure that cannot be said of a seed
    "no yes at all": {"answer": "yes", "labels": "single", "model": "seeds", "baseline": "other"},
    "no class twice": {"answer": "embeddings", "teacher": "seeds", "examples": 1},
    "nothing relevant": {"answer": "lists", "examples": 1, "model": "seeds", "teacher": "named"},
    # ... names by number, as a model's config has them
    "names by number": NUMBERED,
    "names of tags by number": NUMBERED | {"answer": "tags", "form": "dict", "teacher": "own"},
    "names by number, seeds": NUMBERED | {"model": "seeds", "labels": "absent"},
    # ... read= of a function that takes a batch
    "a batch, read": {"model": "of a batch", "output": "read"},
    "a batch of texts, read": {
        "answer": "tags",
        "form": "hf",
        "model": "of a batch",
        "output": "read",
    },
    "a batch, numbers, read": {"answer": "numbers", "model": "of a batch", "output": "read"},
}
PADDED = {"answer": "tags", "form": "dict", "output": "probabilities"}
SPOILT = {"answer": "maps", "output": "nan"}
REFUSED = {
    # probabilities beside padding, whose rows were 0
    "probabilities, padding": PADDED,
    "probabilities, padding, ragged": PADDED | {"form": "ragged", "examples": 70},
    "probabilities, some unknown": PADDED | {"labels": "some", "teacher": "own"},
    # ... rounded, so that they sum to something near 1
    "probabilities in bf16": {"output": "bf16 probabilities"},
    "probabilities in bf16, tags": PADDED | {"output": "bf16 probabilities"},
    "probabilities in bf16, stacked": {"output": "bf16 probabilities", "form": "stacked"},
    # ... of a language, which were taken for logits
    "probabilities, language": PADDED | {"answer": "language", "teacher": "named"},
    "probabilities, language, seeds": PADDED | {"answer": "language", "model": "seeds"},
    "probabilities, language, bf16": PADDED
    | {"answer": "language", "output": "bf16 probabilities", "teacher": "own"},
    # of a diverged network's pixels the first NaN was the class
    "maps that diverged": SPOILT,
    "maps that diverged, unnamed": SPOILT | {"named": False, "teacher": "named"},
    "maps that diverged, a measure": SPOILT | {"measures": "function", "form": "hf"},
    # each letter named a class
    "a text for names": {"class_names": "string"},
    "a text for names of tags": {"class_names": "string", "answer": "tags", "form": "dict"},
    "a text for names, seeds": {"class_names": "string", "model": "seeds"},
}


@pytest.mark.parametrize("name", MEASURED)
def test_what_was_wrong_is_measured_as_by_hand(name):
    assert check(case(**MEASURED[name])) == "measured"


@pytest.mark.parametrize("name", REFUSED)
def test_what_was_let_through_is_refused_in_words(name):
    assert check(case(**REFUSED[name])) == "refused"
