"""Cases in which settings that are right alone were wrong together, by what was wrong."""

import pytest

from tests.training.grid.compare import case, check

SOME_255 = {"answer": "tokens", "labels": "some", "unknown": 255}
OF_CACHE = {"answer": "tokens", "teacher": "cached", "form": "ragged"}
NAMED = {"method": "only soft", "labels": None, "mask": "attention_mask"}
ALL_UNKNOWN = {"answer": "labels", "labels": "none in a batch", "mask": "labels"}

PADDED = {"form": "ragged", "order": "by length", "accumulate": 2, "feature_mask": None}

LEARNED = {
    # features of padding: pieces of other widths were weighed by examples, not by positions
    "hint, padding, pieces": PADDED | {"answer": "tokens", "beside": "hint"},
    "cosine, padding, pieces": PADDED | {"answer": "language", "method": "jsd", "beside": "cosine"},
    "both, padding, pieces": PADDED | {"answer": "numbers tokens", "beside": "both"},
    # features beside a method with ignore=255 were of positions labelled 255 as well
    "hint, ignore": SOME_255 | {"beside": "hint"},
    "relation, ignore": SOME_255 | {"beside": "relation", "mask": "labels", "accumulate": 2},
    "both, ignore": SOME_255 | {"method": "supervised", "beside": "both", "form": "rows"},
    # of a cache that keeps no padding, padding was learned: another token's answer stood there
    "padding of a cache, yes or no": {
        "answer": "label tokens",
        "teacher": "cached",
        "mask": None,
        "order": "as they are",
    },
    "padding of a cache, numbers": {
        "answer": "numbers tokens",
        "teacher": "cached",
        "mask": None,
        "form": "ragged",
    },
    "padding of a cache, one softmax": {"answer": "tokens", "teacher": "cached", "mask": None},
    # labels (B, C) were taken for labels of tokens, and the first batch for one without any
    "hint, all unknown": ALL_UNKNOWN | {"beside": "hint", "unknown": 255},
    "relation, all unknown": ALL_UNKNOWN | {"beside": "relation", "unknown": 255},
    "both, all unknown": ALL_UNKNOWN | {"beside": "both", "unknown": 255, "accumulate": 2},
    # many seeds at once trained layers that were frozen
    "frozen body, many seeds": {"inside": "frozen body", "end": "seeds"},
    "frozen body, many seeds, labels": {
        "inside": "frozen body",
        "end": "seeds",
        "method": "supervised",
        "teacher": None,
        "labels": "some",
    },
    "frozen body, many seeds, numbers": {
        "answer": "number",
        "inside": "frozen body",
        "end": "seeds",
        "clip": 0.05,
    },
    # refused in torch's words: examples taken by their values, inside of a vmap
    "many seeds, dist of the labelled": {"method": "dist", "mask": "labels", "end": "seeds"},
    "many seeds, dist, some unknown": {"method": "dist", "labels": "some", "end": "seeds"},
    # refused for no reason: a mask that was named, before anything had been answered
    "yes or no, mask named": NAMED | {"answer": "label tokens"},
    "numbers, mask named": NAMED | {"answer": "number tokens", "weights": "some 0"},
    "several numbers, mask named": NAMED | {"answer": "numbers tokens", "form": "ragged"},
    # ... probabilities as labels beside the top k, for labels of which several may hold
    "top k, soft labels": {"labels": "soft", "teacher": "top_k", "method": "decision"},
    "top k, soft labels of tokens": {"answer": "tokens", "labels": "soft", "teacher": "top_k"},
    "top k, soft labels in rows": {"labels": "soft", "teacher": "top_k", "form": "collate"},
    # ... all logits of texts, because a cache says where they are
    "cached texts, matching": OF_CACHE | {"method": "matching"},
    "cached texts, standardized": OF_CACHE | {"method": "standardized", "accumulate": 3},
    "cached texts, dkd": OF_CACHE | {"method": "dkd", "weights": "floats"},
    "cached texts, dist": OF_CACHE | {"method": "dist", "labels": "some"},
    "cached texts, decision": OF_CACHE | {"method": "decision", "mask": None},
    # ... texts without a label, in which a relation between examples has nothing to compare
    "relation, no labels in a batch": {
        "answer": "tokens",
        "method": "supervised",
        "beside": "relation",
        "labels": "none in a batch",
        "accumulate": 2,
    },
    # ... in Python's words: a student that returns a dict, beside a routed teacher
    "routed, a dict": {"teacher": "routed", "returns": "logits", "labels": "some"},
    "routed, a dict, numbers": {"answer": "number", "teacher": "routed", "returns": "logits"},
    "routed, a dict, tokens": {
        "answer": "language",
        "method": "jsd",
        "teacher": "routed",
        "returns": "logits",
        "accumulate": 2,
    },
    # ... one example of many positions, whose labels are probabilities
    "dist of one map": {"answer": "maps", "method": "dist", "labels": "soft", "accumulate": 3},
    "dist of one text": {"answer": "tokens", "method": "dist", "labels": "soft", "accumulate": 3},
}
REFUSED = {
    # pieces were weighed by positions that a cache has no answer to
    "pieces, cached, padding": OF_CACHE | {"mask": None, "accumulate": 2, "form": "columns"},
    "pieces, top k, padding": OF_CACHE | {"mask": None, "accumulate": 3, "teacher": "top_k"},
    "pieces, yes or no, padding": {
        "answer": "label tokens",
        "teacher": "cached",
        "mask": None,
        "accumulate": 2,
    },
    # many seeds at once matched features of a frozen layer, from which nothing learns
    "many seeds, hint of a frozen layer": {
        "beside": "hint",
        "inside": "frozen body",
        "end": "seeds",
    },
    "many seeds, relation of a frozen layer": {
        "beside": "relation",
        "inside": "frozen body",
        "end": "seeds",
        "method": "supervised",
    },
}


@pytest.mark.parametrize("name", LEARNED)
def test_what_was_wrong_together_is_learned_as_by_hand(name):
    assert check(case(**LEARNED[name])) == "learned"


@pytest.mark.parametrize("name", REFUSED)
def test_what_was_wrong_together_and_has_no_meaning_is_refused_in_words(name):
    assert check(case(**REFUSED[name])) == "refused"
