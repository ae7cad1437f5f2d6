"""Examples and splits: alone or stacked, the same seed means the same images."""

import pytest
import torch

from distill_lab.data.batches import as_data
from distill_lab.data.datasets import Examples, ImageSet, load


@pytest.fixture
def digits():
    return load("digits")


@pytest.fixture
def official():
    """Sixty images to train and thirty to test; each image holds its own number."""
    images = torch.arange(90.0).reshape(90, 1, 1, 1).expand(90, 1, 2, 2) / 90
    return ImageSet("small", images, torch.arange(90) % 10, tuple("0123456789"), "here", n_train=60)


def numbers(examples: Examples) -> list:
    """Which images these are."""
    return (examples.inputs[..., 0, 0, 0] * 90).round().long().tolist()


def same(a: Examples, b: Examples) -> bool:
    return torch.equal(a.inputs, b.inputs) and torch.equal(a.labels, b.labels)


def test_a_split_shares_nothing_and_loses_nothing(digits):
    train, test = digits.split(train=1000, seed=3)
    assert (len(train), len(test), train.seeds) == (1000, 797, None)
    both = torch.cat([train.inputs, test.inputs]).flatten(1)
    assert torch.equal(both.sum(1).sort()[0], digits.images.flatten(1).sum(1).sort()[0])
    assert both.unique(dim=0).shape == digits.images.flatten(1).unique(dim=0).shape
    assert test.labels.bincount(minlength=10).min() > 40  # random: no class is left behind


def test_the_same_seed_is_the_same_split_alone_or_stacked(digits):
    train, test = digits.split(train=1000, seeds=[4, 0, 7])
    assert (train.seeds, len(train), tuple(train.inputs.shape)) == (3, 1000, (3, 1000, 1, 8, 8))
    for row, seed in enumerate([4, 0, 7]):
        torch.manual_seed(row)  # the global generator has no say
        one_train, one_test = digits.split(train=1000, seed=seed)
        assert same(train.at(row), one_train) and same(test.at(row), one_test)
    assert not same(train.at(0), train.at(1))
    assert same(digits.split()[0], train.at(1))  # seed 0 is the default


def test_a_split_does_not_touch_the_global_generator(digits):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    digits.split(seeds=range(2))
    assert torch.equal(torch.rand(3), expected)


def test_a_fixed_split_stays_fixed(digits):
    # The published figures name a seed: a change of this order would change them all.
    train, test = digits.split(train=1000, seed=0)
    assert train.labels[:8].tolist() == [6, 5, 5, 7, 9, 9, 8, 4]
    assert test.labels[:8].tolist() == [9, 9, 9, 1, 0, 7, 5, 1]


def test_an_official_test_set_is_kept(official):
    train, test = official.split(train=40, seed=1)
    assert len(set(numbers(train))) == 40 and max(numbers(train)) < 60
    assert numbers(test) == list(range(60, 90))
    stacked_train, stacked_test = official.split(train=40, seeds=range(3))
    assert same(stacked_train.at(1), train) and same(stacked_test.at(1), test)
    assert stacked_test.inputs.shape == (3, 30, 1, 2, 2)
    assert stacked_test.inputs.stride(0) == 0  # one copy in memory, however many seeds


def test_part_of_an_official_test_set_is_drawn_from_it(official):
    train, test = official.split(train=40, seeds=range(3), test=10)
    assert test.inputs.shape == (3, 10, 1, 2, 2)
    assert all(number >= 60 for row in numbers(test) for number in row)
    alone = official.split(train=40, seed=2, test=10)
    assert same(train.at(2), alone[0]) and same(test.at(2), alone[1])


def test_part_of_the_rest_is_the_test_set_without_an_official_one(digits):
    _, test = digits.split(train=1000, seed=0, test=100)
    assert same(test, digits.split(train=1000, seed=0)[1].take(100))


def test_only_and_without_are_each_others_complement(digits):
    train, _ = digits.split(train=300, seed=0)
    few, many = train.only(7, 8), train.without(7, 8)
    assert set(few.labels.tolist()) == {7, 8} and len(few) + len(many) == 300
    kept = [i for i, label in enumerate(train.labels.tolist()) if label in (7, 8)]
    assert torch.equal(few.inputs, train.inputs[kept])  # in the order they had


def test_stacked_rows_keep_the_fewest_any_row_has(digits):
    train, _ = digits.split(train=300, seeds=range(4))
    for cut, alone in [
        (train.only(7, 8), [train.at(i).only(7, 8) for i in range(4)]),
        (train.without(3), [train.at(i).without(3) for i in range(4)]),
    ]:
        fewest = min(len(one) for one in alone)
        assert len({len(one) for one in alone}) > 1  # else this test could not fail
        assert (cut.seeds, len(cut)) == (4, fewest)
        assert all(same(cut.at(i), alone[i].take(fewest)) for i in range(4))


def test_take_split_and_halves_work_row_by_row(digits):
    train, _ = digits.split(train=300, seeds=range(3))
    assert same(train.take(50).at(2), train.at(2).take(50))
    for stacked, alone in zip(
        train.split(100, seed=5), train.at(2).split(100, seed=5), strict=True
    ):
        assert same(stacked.at(2), alone)
    tune, report = train.halves(seed=1)
    assert len(tune) == len(report) == 150
    assert same(train.halves(seed=1)[0], tune) and not same(train.halves(seed=2)[0], tune)


def test_examples_unpack_print_and_move():
    examples = Examples(torch.rand(4, 1, 8, 8), torch.zeros(4, dtype=torch.long))
    inputs, labels = examples
    assert inputs is examples.inputs and labels is examples.labels
    assert repr(examples) == "Examples(4 of 1x8x8)"
    moved = examples.to("meta")
    assert moved.inputs.device.type == moved.labels.device.type == "meta"
    assert examples.inputs.device.type == "cpu"


PLAIN = Examples(torch.rand(4, 2), torch.tensor([1, 2, 3, 3]))
STACKED = Examples(torch.rand(2, 3, 2), torch.tensor([[1, 2, 3], [1, 2, 2]]))
SET = ImageSet("small", torch.rand(9, 1, 2, 2), torch.arange(9), tuple("012345678"), "here")

BAD = [
    (lambda: Examples([1.0], torch.zeros(1)), TypeError, "inputs must be a tensor; got list"),
    (lambda: Examples(torch.zeros(2, 3), torch.zeros(2)), TypeError, r"float32. Call labels.long"),
    (
        lambda: Examples(torch.zeros(2, 3), torch.zeros(3, dtype=torch.long)),
        ValueError,
        r"got \(2, 3\) with \(3,\)",
    ),
    (lambda: Examples(torch.zeros(2), torch.tensor(3)), ValueError, r"got \(2,\) with \(\)"),
    (lambda: PLAIN.take(5), ValueError, "from 1 to 4, the examples here; got 5"),
    (lambda: PLAIN.take(0), ValueError, "got 0"),
    (lambda: PLAIN.split(4), ValueError, "from 1 to 3, so that both parts"),
    (lambda: PLAIN.at(0), ValueError, "needs stacked examples"),
    (lambda: STACKED.at(2), IndexError, "row from 0 to 1; got 2"),
    (lambda: PLAIN.only(), TypeError, r"as in only\(7, 8\); got nothing"),
    (lambda: PLAIN.only([7, 8]), TypeError, r"got \[7, 8\]"),
    (lambda: PLAIN.without("3"), TypeError, "got '3'"),
    (lambda: PLAIN.only(-1), TypeError, "got -1"),
    (lambda: PLAIN.only(9), ValueError, r"leaves no example; the classes here are \[1, 2, 3\]"),
    (lambda: PLAIN.without(1, 2, 3), ValueError, "leaves no example"),
    (lambda: STACKED.only(3), ValueError, "no example to at least one seed"),
    (lambda: SET.split(train=9), ValueError, "1 to 8 for train; got 9"),
    (lambda: SET.split(train=5, test=5), ValueError, "train=5 can give 1 to 4 for test; got 5"),
    (lambda: SET.split(train=5, seed=0, seeds=[1]), ValueError, "got both"),
    (lambda: SET.split(train=5, seeds=[]), ValueError, "seeds is empty"),
    (lambda: SET.train, AttributeError, "small has no official.*split"),
]


@pytest.mark.parametrize(("call", "error", "sentence"), BAD)
def test_bad_input_gets_a_sentence(call, error, sentence):
    with pytest.raises(error, match=sentence):
        call()


def test_rows_lie_as_their_data_do() -> None:
    """channels_last stays: a convolution would turn every batch round again."""
    pictures = torch.randn(6, 3, 4, 5)
    turned = pictures.to(memory_format=torch.channels_last)
    index = torch.tensor([4, 0, 4])
    for data in (turned, {"pixel_values": turned}):
        inputs = as_data((data, None)).batch(index).inputs
        inputs = inputs["pixel_values"] if isinstance(inputs, dict) else inputs
        assert torch.equal(inputs, pictures[index])
        assert inputs.is_contiguous(memory_format=torch.channels_last)
    other = pictures.transpose(1, 2)  # any other order: as ever
    assert torch.equal(as_data((other, None)).batch(index).inputs, other[index])
