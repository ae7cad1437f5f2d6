"""Texts with labels: tokenised once, on disk as in memory, bundled by length, tagged by word."""

import json
from typing import Any

import pytest
import torch
from torch import Tensor, nn

pytest.importorskip("transformers")
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from distill_lab import methods
from distill_lab.data import Labelled, as_data
from distill_lab.data.fingerprints import of_tokenizer
from distill_lab.teachers import cache, freeze, record
from distill_lab.training import distill

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "b", "c", "d", "##x", "##y"]
TEXTS = ["a b", "b", "ax by c", "d c b a", "c", "axy", "a a a a", "b d"] * 3
LABELS = [i % 3 for i in range(len(TEXTS))]
N = len(TEXTS)


def pieces() -> Any:
    """A word-piece tokenizer of ten pieces that counts its calls."""
    fast = Tokenizer(models.WordPiece({w: i for i, w in enumerate(WORDS)}, unk_token="[UNK]"))
    fast.pre_tokenizer = pre_tokenizers.Whitespace()
    fast.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )

    class Counted(PreTrainedTokenizerFast):
        calls = 0

        def __call__(self, *args: Any, **options: Any) -> Any:
            type(self).calls += 1
            return super().__call__(*args, **options)

    names = ["input_ids", "token_type_ids", "attention_mask"]
    return Counted(
        tokenizer_object=fast, pad_token="[PAD]", unk_token="[UNK]", model_input_names=names
    )


def words(row: Tensor) -> str:
    return " ".join(WORDS[i] for i in row.tolist())


class Reader(nn.Module):
    def __init__(self, seed: int, classes: int = 3, each: bool = False) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.embedding, self.head, self.each = nn.Embedding(10, 8), nn.Linear(8, classes), each

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        states = self.embedding(input_ids)
        if self.each:
            return self.head(states)
        real = attention_mask[..., None].float()
        return self.head((states * real).sum(1) / real.sum(1))


def test_a_batch_is_as_wide_as_its_longest_text_and_masks_the_rest():
    data = Labelled(TEXTS, LABELS, pieces())
    batch = data.batch(torch.tensor([2, 1]))
    assert words(batch.inputs["input_ids"][0]) == "[CLS] a ##x b ##y c [SEP]"
    assert words(batch.inputs["input_ids"][1]) == "[CLS] b [SEP] [PAD] [PAD] [PAD] [PAD]"
    assert batch.inputs["attention_mask"].tolist() == [[1] * 7, [1] * 3 + [0] * 4]
    assert batch.labels.tolist() == [2, 1] and batch.ids.tolist() == [2, 1]
    assert sorted(batch.inputs) == ["attention_mask", "input_ids"]


def test_it_says_what_the_tokenizer_says():
    tokenizer = pieces()
    data, expected = Labelled(TEXTS, None, tokenizer), tokenizer(TEXTS)["input_ids"]
    batch = data.batch(torch.arange(N))
    assert [
        row[m.bool()].tolist() for row, m in zip(*batch.inputs.values(), strict=True)
    ] == expected
    assert batch.labels is None


def test_pairs_are_told_apart():
    data = Labelled([("a b", "c"), ("d", "a")], [0.5, 1.5], pieces())
    batch = data.batch(torch.tensor([1, 0]))
    assert words(batch.inputs["input_ids"][1]) == "[CLS] a b [SEP] c [SEP]"
    assert batch.inputs["token_type_ids"].tolist() == [[0, 0, 0, 1, 1, 0], [0, 0, 0, 0, 1, 1]]
    assert batch.labels.dtype == torch.float32


def test_the_first_piece_of_a_word_has_its_tag_and_nothing_else():
    rows = [["ax", "b"], ["b", "cxy", "cxy"], ["a"]]
    tags = [[7, 8], [4, 5, 6], torch.tensor([9])]
    batch = Labelled(rows, tags, pieces()).batch(torch.tensor([1, 0, 2]))
    assert words(batch.inputs["input_ids"][0]) == "[CLS] b c ##x ##y c ##x ##y [SEP]"
    assert batch.labels.tolist() == [
        [-100, 4, 5, -100, -100, 6, -100, -100, -100],
        [-100, 7, -100, 8, -100, *[-100] * 4],
        [-100, 9, -100, *[-100] * 6],
    ]


def test_words_may_have_one_label_a_text_and_cut_words_lose_theirs():
    rows = [["a", "b"], ["b", "c", "d"]]
    assert Labelled(rows, torch.tensor([1, 0]), pieces()).batch(
        torch.arange(2)
    ).labels.tolist() == [1, 0]
    short = Labelled(rows, [[1, 2], [3, 4, 5]], pieces(), max_length=4)
    assert short.batch(torch.arange(2)).labels.tolist() == [[-100, 1, 2, -100], [-100, 3, 4, -100]]
    assert short.cut == 1
    assert short.unread is not None and short.unread.tolist() == [[-100], [5]]


def test_what_stands_behind_the_cut_has_its_labels_beside_the_tokens():
    """Of a word that is read in part the first piece has the label, so it is read."""
    rows = [["a", "axy", "b", "c"], ["b"], ["axyx", "d", "a"]]
    tags = [[1, 2, 3, -100], [4], [5, 6, 7]]
    data = Labelled(rows, tags, pieces(), max_length=5)  # three pieces
    assert data.batch(torch.arange(3)).labels.tolist() == [
        [-100, 1, 2, -100, -100],
        [-100, 4, -100, -100, -100],
        [-100, 5, -100, -100, -100],
    ]
    assert data.unread is not None
    assert data.unread.tolist() == [[3, -100], [-100, -100], [6, 7]]
    assert data.lost == 3
    assert Labelled(rows, tags, pieces()).unread is None
    assert Labelled(rows[1:2], tags[1:2], pieces(), max_length=3).unread is None


@pytest.mark.parametrize("usual", [{}, {"truncation": True, "max_length": 7, "padding": True}])
def test_the_tokenizer_is_left_as_it_was(usual):
    """Its settings are saved with a student, whether or not tokens were found on disk."""
    tokenizer = pieces()
    tokenizer(TEXTS, **usual)
    before = tokenizer.backend_tokenizer.to_str()
    data = Labelled(TEXTS, LABELS, tokenizer, max_length=5)
    assert tokenizer.backend_tokenizer.to_str() == before and data.cut


def test_long_texts_are_cut_and_counted():
    data = Labelled(TEXTS, LABELS, pieces(), max_length=5)
    assert data.cut == 3 * 3 and int(data.tokens.lengths.max()) == 5
    assert Labelled(TEXTS, LABELS, pieces()).cut == 0


def test_what_is_kept_on_disk_is_not_tokenised_twice(tmp_path):
    tokenizer = pieces()
    first = Labelled(TEXTS, LABELS, tokenizer, folder=tmp_path / "texts")
    calls = type(tokenizer).calls
    assert calls > 0
    again = Labelled(TEXTS, [0] * N, tokenizer, folder=tmp_path / "texts")  # other labels
    assert type(tokenizer).calls == calls
    index = torch.tensor([5, 0, 2])
    one, two = first.batch(index), Labelled(TEXTS, LABELS, pieces()).batch(index)
    for name in one.inputs:
        assert torch.equal(one.inputs[name], two.inputs[name])
        assert torch.equal(again.batch(index).inputs[name], one.inputs[name])
    assert first.fingerprint == Labelled(TEXTS, LABELS, pieces()).fingerprint
    assert again.fingerprint != first.fingerprint and again.cut == first.cut


@pytest.mark.parametrize(
    "other",
    [
        lambda t: Labelled(TEXTS[::-1], LABELS, t),
        lambda t: Labelled([*TEXTS[:-1], "b  d"], LABELS, t),
        lambda t: Labelled(TEXTS, LABELS[::-1], t),
        lambda t: Labelled(TEXTS, LABELS, t, max_length=5),
        lambda t: Labelled(TEXTS, LABELS, t, bundle_by_length=False),
        lambda t: Labelled(TEXTS, LABELS, t, weights=[1.0] * N),
        lambda t: Labelled([text.split() for text in TEXTS], LABELS, t),
    ],
)
def test_what_changes_changes_the_fingerprint(other):
    assert other(pieces()).fingerprint != Labelled(TEXTS, LABELS, pieces()).fingerprint


def test_a_file_cut_short_is_refused_and_one_half_written_is_not_used(tmp_path):
    Labelled(TEXTS, LABELS, pieces(), folder=tmp_path)
    (file,) = tmp_path.glob("*.arrow")
    full = file.read_bytes()
    file.unlink()
    (tmp_path / f".{file.name}.123.partial").write_bytes(full[:100])  # as a kill leaves it
    Labelled(TEXTS, LABELS, pieces(), folder=tmp_path)
    assert file.read_bytes() == full
    file.write_bytes(full[: len(full) // 2])
    with pytest.raises(ValueError, match="delete it, and they are tokenised again"):
        Labelled(TEXTS, LABELS, pieces(), folder=tmp_path)


def test_others_read_the_file(tmp_path):
    datasets = pytest.importorskip("datasets")
    Labelled(TEXTS, LABELS, pieces(), folder=tmp_path)
    (file,) = tmp_path.glob("*.arrow")
    rows = datasets.Dataset.from_file(str(file))
    assert rows[2]["input_ids"] == [2, 4, 8, 5, 9, 6, 3]


def test_a_tokenizer_is_known_again_after_it_padded_and_cut():
    """A call leaves its padding and truncation behind in a fast tokenizer."""
    tokenizer = pieces()
    before = of_tokenizer(tokenizer)
    tokenizer(TEXTS, padding=True, truncation=True, max_length=3)
    assert of_tokenizer(tokenizer) == before
    assert json.loads(tokenizer.backend_tokenizer.to_str())["padding"] is not None  # left alone


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("tags", [False, True])
def test_a_run_learns_from_a_cache_and_is_resumed(tags, workers, tmp_path):
    rows = [text.split() for text in TEXTS] if tags else TEXTS
    labels = [[1] * len(row) for row in rows] if tags else LABELS
    teacher = freeze(Reader(0, each=tags))

    def bits(data: Any, source: Any, **options: Any) -> Tensor:
        student = Reader(1, each=tags)
        distill(
            student, data, teacher=source, method=methods.kd(alpha=0.5), batch_size=5,
            workers=workers, progress=False, **options,
        )  # fmt: skip
        return torch.cat([p.detach().flatten() for p in student.parameters()])

    data = Labelled(rows, labels, pieces(), folder=tmp_path / "texts")
    straight = bits(data, teacher, epochs=3)
    cached = cache(teacher, data, tmp_path / "cache", workers=workers, progress=False)
    torch.testing.assert_close(bits(data, cached, epochs=3), straight, rtol=1e-3, atol=1e-4)
    if not tags:  # whose answers differ in length: for a cache
        recorded = record(teacher, data, workers=workers)
        torch.testing.assert_close(bits(data, recorded, epochs=3), straight, rtol=1e-3, atol=1e-4)
    path = {"checkpoint": tmp_path / "run"}
    bits(data, teacher, epochs=1, **path)
    again = Labelled(rows, labels, pieces(), folder=tmp_path / "texts")
    assert torch.equal(bits(again, teacher, epochs=3, **path), straight)
    other = [[2] * len(row) for row in rows] if tags else LABELS[::-1]
    with pytest.raises(ValueError, match=r"belongs to another run.*data"):
        bits(Labelled(rows, other, pieces()), teacher, epochs=4, **path)


def test_texts_are_bundled_by_length_unless_one_does_not_want_it():
    data = Labelled(TEXTS * 20, None, pieces())
    order = data.sampler(8).order(len(data), 0, 0)
    lengths = data.tokens.lengths[order].split(8)
    assert sum(int(part.max()) * len(part) for part in lengths) < 1.05 * int(
        data.tokens.lengths.sum()
    )
    assert Labelled(TEXTS, None, pieces(), bundle_by_length=False).sampler(8) is None
    assert as_data(data) is data


def test_progress_is_told_to_who_asks():
    steps: list[tuple[int, int]] = []
    Labelled(TEXTS * 100, None, pieces(), progress=lambda _, step, of: steps.append((step, of)))
    assert steps == [(1000, 2400), (2000, 2400), (2400, 2400)]


@pytest.mark.parametrize(
    ("texts", "labels", "words"),
    [
        ([], [], "there is none"),
        ([3], [0], "the first is a int"),
        (["a", ["b"]], [0, 1], "text 1 is list"),
        (["a", None], [0, 1], "text 1 is NoneType"),
        (["a", "b"], [0], "one label an input"),
        (["a", "b"], ["x", "y"], "labels are text"),
        ([["a"], ["b"]], [["x"], ["y"]], "labels are text"),
        ([["a"], ["b", "c"]], [[1], [2]], "text 1 has 2 words but 1 labels"),
        ([["a"], ["b"]], [[1]], "one list a text"),
    ],
)
def test_what_cannot_be_read_is_refused_in_words(texts, labels, words):
    with pytest.raises(ValueError, match=words):
        Labelled(texts, labels, pieces())


def test_a_text_without_a_token_and_a_tokenizer_without_padding_are_refused():
    tokenizer = pieces()
    tokenizer.backend_tokenizer.post_processor = None
    with pytest.raises(ValueError, match="text 1 has no token"):
        Labelled(["a", " "], [0, 1], tokenizer)
    tokenizer.pad_token = None
    with pytest.raises(ValueError, match=r"set tokenizer\.pad_token"):
        Labelled(TEXTS, LABELS, tokenizer)


def test_a_word_alone_after_a_word_alone_has_its_tag():
    """With no special token between them, both are word 0."""
    tokenizer = pieces()
    tokenizer.backend_tokenizer.post_processor = None
    batch = Labelled([["ax"], ["b"]], [[7], [8]], tokenizer).batch(torch.arange(2))
    assert batch.labels.tolist() == [[7, -100], [8, -100]]


@pytest.mark.parametrize("text", ["half \ud83d", ("a", "\ude00"), ["a", "b\ud83d"]])
def test_half_a_character_is_named_by_its_text(text):
    """The tokenizer says that its input must be a text, and not which one is none."""
    rows = ["ab" if isinstance(text, str) else type(text)("ab"), text]
    with pytest.raises(ValueError, match=r"text 1 holds half a character, '.ud"):
        Labelled(rows, [0, 1], pieces())
