"""The bias shift: against trying every value in plain sight."""

import pytest
import torch

from distill_lab.evaluation import accuracy, shift_bias, tune_bias


@pytest.fixture
def unseen():
    """Three seeds whose class 3 was never shown: right but for a bias that is far too low."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(0, 5, (3, 300), generator=generator)
    logits = torch.randn(3, 300, 5, generator=generator)
    logits.scatter_add_(-1, labels[..., None], torch.full((3, 300, 1), 4.0))
    logits[..., 3] -= torch.tensor([2.0, 5.0, 8.0])[:, None]
    return logits, labels


def test_a_shift_goes_to_the_chosen_classes_only(unseen):
    logits, _ = unseen
    before = logits.clone()
    shifted = shift_bias(logits, [1, 3], 2.5)
    assert torch.equal(logits, before)
    assert torch.equal(shifted[..., [0, 2, 4]], logits[..., [0, 2, 4]])
    assert torch.equal(shifted[..., [1, 3]], logits[..., [1, 3]] + 2.5)
    one_a_seed = shift_bias(logits, 3, torch.tensor([1.0, 2.0, 3.0]))
    assert torch.equal(one_a_seed[2], shift_bias(logits[2], 3, 3.0))


def test_the_tuned_shift_is_the_best_of_the_grid(unseen):
    logits, labels = unseen
    grid = [x / 4 for x in range(-40, 41)]
    shifts = tune_bias(logits, labels, [3], grid)
    assert shifts.shape == (3,)
    tried = torch.stack([accuracy(shift_bias(logits, 3, x), labels) for x in grid])
    assert torch.equal(accuracy(shift_bias(logits, 3, shifts), labels), tried.amax(0))
    for s in range(3):
        alone = tune_bias(logits[s], labels[s], 3, grid)
        assert isinstance(alone, float) and alone == shifts[s].item()


def test_the_shift_undoes_the_bias(unseen):
    logits, labels = unseen
    shifts = tune_bias(logits, labels, 3)
    assert torch.allclose(shifts, torch.tensor([2.0, 5.0, 8.0], dtype=torch.float64), atol=1.0)
    before, after = accuracy(logits, labels), accuracy(shift_bias(logits, 3, shifts), labels)
    assert (after > before + 5).all()


def test_of_equally_good_shifts_the_middle_one_is_taken():
    logits = torch.tensor([[4.0, 0.0], [1.0, 0.0]])
    labels = torch.tensor([0, 1])
    assert tune_bias(logits, labels, 1, range(6)) == 3  # of 2, 3 and 4
    assert tune_bias(logits, labels, 1, [3.9, 1.2, 2.5]) == 2.5


Z, Y = torch.zeros(4, 3), torch.zeros(4, dtype=torch.long)

BAD = [
    (lambda: shift_bias(Z, 3, 1.0), r"some of 0 to 2, the classes of the logits; got \[3\]"),
    (lambda: shift_bias(Z, [], 1.0), r"got \[\]"),
    (lambda: shift_bias(Z, 1, torch.zeros(4)), r"one a seed; got shape \(4,\)"),
    (lambda: tune_bias(Z, Y, [0, 1, 2]), "every class changes nothing"),
    (lambda: tune_bias(Z, Y, 0, grid=[]), "grid must be a row of finite shifts"),
    (lambda: tune_bias(Z, Y, 0, grid=[float("nan")]), "grid must be a row of finite shifts"),
    (lambda: tune_bias(Z, Y[:2], 0), "need one whole-number label an example"),
]


@pytest.mark.parametrize(("call", "sentence"), BAD)
def test_bad_input_gets_a_sentence(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()
