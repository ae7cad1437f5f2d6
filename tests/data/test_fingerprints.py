"""Fingerprints: the same for the same content, another for any other."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from distill_lab.data import fingerprints
from distill_lab.data.fingerprints import of_examples, of_facts, of_model, of_tensors, of_tokenizer
from distill_lab.models import MLP

TYPES = [torch.float32, torch.float64, torch.bfloat16, torch.int64, torch.uint8, torch.bool]


def known(inputs):
    return [tuple(key) for key in of_examples(inputs).tolist()]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 999), st.sampled_from(TYPES), st.lists(st.integers(1, 5), max_size=3))
def test_a_row_has_its_key_wherever_it_stands(seed, dtype, shape):
    generator = torch.Generator().manual_seed(seed)
    rows = (torch.randn(6, *shape, generator=generator) * 100).to(dtype)
    keys = known(rows)
    order = torch.randperm(6, generator=generator)
    assert known(rows[order]) == [keys[i] for i in order]
    assert known(rows[2:3].clone()) == [keys[2]]
    for i in range(6):
        for j in range(6):
            assert (keys[i] == keys[j]) == torch.equal(rows[i], rows[j])


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_change_changes_the_key(data):
    row = torch.randn(1, 12)
    changed = row.clone()
    places = data.draw(st.lists(st.integers(0, 11), min_size=1, max_size=12, unique=True))
    how = data.draw(st.sampled_from(["negate", "swap", "bit"]))
    if how == "negate":  # only top bits differ: what weak hashes miss
        changed[0, places] *= -1
    elif how == "swap":
        changed = changed.roll(places[0] + 1, -1)
    else:
        words = changed.view(torch.int32)
        words[0, places] ^= 1 << data.draw(st.integers(0, 30))
    assert (known(row) == known(changed)) == torch.equal(
        row.view(torch.int32), changed.view(torch.int32)
    )


def test_shape_type_and_name_count():
    zeros = torch.zeros(1, 4)
    keys = [
        known(x)[0]
        for x in (
            zeros,
            zeros.double(),
            zeros.view(1, 2, 2),
            zeros[:, :3],
            {"a": zeros},
            {"b": zeros},
            {"a": zeros, "b": zeros},
            (zeros, zeros),
        )
    ]
    assert len(set(keys)) == len(keys)
    a, b = torch.ones(1, 4), torch.zeros(1, 4)
    assert known({"a": a, "b": b}) == known({"b": b, "a": a}) != known({"a": b, "b": a})


def text(tokens, before=0, after=0, junk=0, width=1):
    ids = torch.tensor([[junk] * before + tokens + [junk] * after])
    mask = torch.tensor([[0] * before + [1] * len(tokens) + [0] * after])
    return {
        "input_ids": ids if width == 1 else ids[..., None].expand(-1, -1, width).contiguous(),
        "attention_mask": mask,
    }


@pytest.mark.parametrize("width", [1, 3])
def test_padding_is_no_part_of_a_text(width):
    plain = known(text([5, 6, 7], width=width))
    for before, after, junk in ((0, 3, 0), (4, 0, 0), (2, 2, 99), (0, 1, 7)):
        assert known(text([5, 6, 7], before, after, junk, width)) == plain
    for other in ([5, 6], [5, 6, 7, 0], [6, 5, 7], [5, 6, 8], [0, 5, 6, 7]):
        assert known(text(other, width=width)) != plain
    unpadded = text([5, 6, 7], width=width)
    beside = unpadded | {"pixels": torch.ones(1, 2, 2)}  # a tensor without the mask's axes
    assert known(beside) != plain
    assert known(beside) != known(unpadded | {"pixels": torch.zeros(1, 2, 2)})


def test_many_examples_share_no_key():
    keys = of_examples(torch.arange(50_000)[:, None])
    for lane in keys.unbind(-1):
        assert len(lane.unique()) == 50_000
    bits = (keys[:, :, None] >> torch.arange(64)) & 1
    assert ((bits.float().mean(0) - 0.5).abs() < 0.02).sum() > 100  # most bits are as good as coins


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_the_key_is_the_same_on_a_gpu():
    rows = torch.randn(6, 33)
    assert known(rows.cuda()) == known(rows)
    assert known({k: v.cuda() for k, v in text([1, 2], 3).items()}) == known(text([1, 2]))


def test_a_model_is_known_by_every_weight_and_buffer():
    def net():
        return nn.Sequential(MLP(4, 3, seed=1), nn.BatchNorm1d(3))

    first = of_model(net())
    assert first == of_model(net()) and first.startswith("Sequential-")
    for change in (
        lambda m: m[0].head.bias.data.add_(1e-6),  # past autograd's counters too
        lambda m: m[1].running_mean.add_(1.0),
        lambda m: m.double(),
    ):
        model = net()
        with torch.no_grad():
            change(model)
        assert of_model(model) != first
    assert of_model(nn.Linear(2, 2)).split("-")[0] == "Linear"


def test_tensors_and_facts():
    a = torch.arange(4.0)
    assert of_tensors([("x", a)]) == of_tensors([("x", a.clone())])
    others = [("y", a), ("x", a.view(2, 2)), ("x", a.long()), ("x", a.flip(0))]
    assert len({of_tensors([pair]) for pair in [("x", a), *others]}) == 5
    assert of_tensors([("x", a.view(2, 2).t())]) != of_tensors([("x", a.view(2, 2))])
    assert of_facts([1, 2]) != of_facts([2, 1])


def test_a_tokenizer_is_known_by_its_name_or_its_words():
    class Words:
        def __init__(self, *words):
            self.words = words

        def get_vocab(self):
            return {word: i for i, word in enumerate(self.words)}

    class Backend:
        def to_str(self):
            return "{merges}"

    class Fast(Words):
        backend_tokenizer = Backend()

    assert of_tokenizer(None) is None and of_tokenizer("gpt2") == "gpt2"
    assert of_tokenizer(Words("a", "b")) == of_tokenizer(Words("a", "b"))
    assert of_tokenizer(Words("a", "b")) != of_tokenizer(Words("b", "a"))
    assert of_tokenizer(Fast("a")) == of_tokenizer(Fast("b"))  # the whole of it, merges included
    small, large = Words("a"), Words("a")
    small.lower, large.lower, large.vocab_file = True, False, "elsewhere/words.txt"
    assert of_tokenizer(small) != of_tokenizer(large)
    small.lower = False
    assert of_tokenizer(small) == of_tokenizer(large)  # wherever it lies
    with pytest.raises(TypeError, match="get_vocab"):
        of_tokenizer(3)


def laid(*texts, width, filling=0):
    """Texts of one example side by side, as wide as that; behind them some more of the first."""
    ids, mask = (torch.zeros(1, len(texts) + filling, width, dtype=torch.long) for _ in "im")
    for row, tokens in enumerate([*texts, *[texts[0]] * filling]):
        ids[0, row, : len(tokens)], mask[0, row, : len(tokens)] = torch.tensor(tokens), 1
    ids[mask == 0] = width  # whatever stands there
    return {"input_ids": ids, "attention_mask": mask}


def test_a_query_and_its_candidates_are_known_without_their_padding():
    """In each dict of inputs, and of a list that is filled up with more candidates."""

    def key(query, *candidates, width, filling=0):
        one = {name: part[0] for name, part in laid(query, width=width).items()}
        places = torch.arange(len(candidates) + filling)[None] < len(candidates)
        all_of_them = laid(*candidates, width=width + 1, filling=filling)
        return known({"query": one, "candidates": all_of_them, "mask": places})

    first = key([1], [2, 3], [4], width=3)
    assert first == key([1], [2, 3], [4], width=7) == key([1], [2, 3], [4], width=5, filling=2)
    others = [
        key([1], [2, 3], width=3),
        key([1], [2], [3, 4], width=3),
        key([1], [4], [2, 3], width=3),
        key([1, 2], [3], [4], width=3),
        key([1], [2, 3], [4], [2, 3], width=3),  # a candidate more, and not one that fills up
    ]
    assert len({*map(str, [first, *others])}) == 6


@pytest.mark.parametrize("width", [3, 9])
def test_a_query_and_its_two_texts_are_known_without_their_padding(width):
    sides = {"query": [1, 2], "positive": [3], "negative": [4, 5]}
    parts = {
        name: {key: part[0] for key, part in laid(ids, width=wide).items()}
        for (name, ids), wide in zip(sides.items(), (width, width + 1, 3), strict=True)
    }
    usual = {
        name: {k: part[0] for k, part in laid(ids, width=3).items()} for name, ids in sides.items()
    }
    assert known(parts) == known(usual)
    assert known(parts) != known({**parts, "positive": parts["query"], "query": parts["positive"]})


def test_what_holds_no_tensor_cannot_be_known_again():
    for inputs in (["a", "b"], {}, 3, {"attention_mask": torch.ones(1, 2)}):
        with pytest.raises(TypeError, match="to be known again"):
            of_examples(inputs)
    assert fingerprints.of_examples(torch.zeros(0, 3)).shape == (0, 2)


def test_pairs_of_texts_are_known_by_both_and_not_by_padding():
    """Masks (B, 2, L): the same tokens with another border between the two are another pair."""

    def key(*sides, width):
        ids, mask = torch.zeros(1, 2, width, dtype=torch.long), torch.zeros(1, 2, width)
        for row, tokens in enumerate(sides):
            ids[0, row, : len(tokens)], mask[0, row, : len(tokens)] = torch.tensor(tokens), 1
        ids[mask == 0] = width  # whatever stands there
        return of_examples({"input_ids": ids, "attention_mask": mask}).tolist()

    assert key([1, 2], [3], width=3) == key([1, 2], [3], width=9)
    others = [key([1], [2, 3], width=3), key([3], [1, 2], width=3), key([1, 2], [4], width=3)]
    assert key([1, 2], [3], width=3) not in others


def test_each_dict_in_another_has_its_own_mask():
    """A query and its candidates, each padded to the longest of its batch."""

    def padded(tokens, width):
        ids = torch.full((1, width), 7)
        ids[0, : len(tokens)] = torch.tensor(tokens)
        mask = (torch.arange(width) < len(tokens)).long()[None]
        return {"input_ids": ids, "attention_mask": mask}

    def key(query, text, widths=(4, 4)):
        sides = (padded(each, width) for each, width in zip((query, text), widths, strict=True))
        return of_examples(dict(zip(("query", "text"), sides, strict=True))).tolist()

    first = key([1, 2], [3])
    assert key([1, 2], [3], (9, 2)) == key([1, 2], [3], (3, 5)) == first
    assert first not in (key([3], [1, 2]), key([1], [2, 3]), key([1, 2, 7], [3]))
    listed = (padded([1, 2], 4), padded([3], 4)), (padded([1, 2], 2), padded([3], 7))
    assert of_examples(listed[0]).tolist() == of_examples(listed[1]).tolist()
