"""The control keeps softness and loses resemblance; moved pictures are moved, not changed."""

import pytest
import torch

from distill_lab import methods
from distill_lab.data.batches import Batch
from distill_lab.losses import soften
from lesson_11.experiments import jitter, permute_others, shift_inputs


def logits(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(3))


def test_shuffling_keeps_first_choice_and_softness():
    z = logits(4, 30, 10)
    permuted_logits = permute_others(z, seed=1)
    assert permuted_logits.argmax(-1).equal(z.argmax(-1))
    for T in (1.0, 20.0):
        as_soft = soften(z, T).sort(-1).values
        torch.testing.assert_close(soften(permuted_logits, T).sort(-1).values, as_soft)


def test_shuffling_loses_the_resemblance():
    # in every row class 1 is the second choice; permuted, it is so in about a ninth
    z = torch.tensor([9.0, 5.0, 0, 0, 0, 0, 0, 0, 0, 0]).repeat(2000, 1)
    share = (permute_others(z).topk(2).indices[:, 1] == 1).float().mean()
    assert 0.07 < share < 0.16


def test_shuffling_follows_its_seed_alone():
    z = logits(6, 10)
    torch.manual_seed(0)
    first = permute_others(z, seed=4)
    torch.manual_seed(99)
    assert torch.equal(permute_others(z, seed=4), first)
    assert not torch.equal(permute_others(z, seed=5), first)


def test_jitter_moves_a_dot_by_at_most_two_pixels_every_way():
    dot = torch.zeros(500, 1, 9, 9)
    dot[:, 0, 4, 4] = 1
    where = jitter(dot).squeeze(1).nonzero()
    assert len(where) == 500  # none lost, none doubled
    assert set(where[:, 1].tolist()) == set(where[:, 2].tolist()) == {2, 3, 4, 5, 6}


def test_jitter_says_what_it_expects():
    with pytest.raises(ValueError, match="grey pictures"):
        jitter(torch.zeros(2, 3, 8, 8))


def test_student_and_teacher_see_the_same_moved_pictures():
    seen = []

    def model(inputs):
        seen.append(inputs)
        return inputs.flatten(1)[:, :10]

    batch = Batch(torch.rand(4, 1, 8, 8), torch.arange(4), torch.arange(4))
    moved = shift_inputs(methods.kd(T=2.0, alpha=0.5))
    terms = moved.terms(batch, model, lambda moved_batch: model(moved_batch.inputs))
    assert terms.keys() == moved.weights.keys() == {"kd", "ce"}
    assert torch.equal(seen[0], seen[1])
    assert not torch.equal(seen[0], batch.inputs)
