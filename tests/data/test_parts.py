"""Some of a source's examples are a source as the whole is."""

import torch

from distill_lab.data.batches import TensorSource, as_data
from distill_lab.data.parts import Part

DATA = (torch.eye(6), torch.arange(6) % 3)


class Plain:
    """What a source has to have, and no more."""

    def __len__(self) -> int:
        return 6

    def batch(self, index):
        return TensorSource(*DATA).batch(index)


def test_a_part_numbers_its_examples_from_zero():
    part = Part(as_data(DATA), torch.tensor([5, 0, 3]))
    batch = part.batch(torch.tensor([2, 0]))
    assert len(part) == 3 and batch.ids.tolist() == [2, 0]
    assert batch.inputs.argmax(1).tolist() == [3, 5] and batch.labels.tolist() == [0, 2]
    assert part.labels.tolist() == [2, 0, 0]


def test_a_part_of_a_part_draws_from_the_whole():
    inner = Part(Part(as_data(DATA), torch.tensor([5, 0, 3])), torch.tensor([1, 2]))
    assert inner.batch(torch.tensor([0, 1])).inputs.argmax(1).tolist() == [0, 3]
    assert inner.labels.tolist() == [0, 0]


def test_a_part_has_what_its_source_has():
    part = Part(Plain(), torch.tensor([1, 2]))
    assert part.fingerprint is None and part.draws
    assert not hasattr(part, "labels") and not hasattr(part, "lengths")
    source = Plain()
    source.fingerprint, source.draws, source.lengths = "plain-6", False, torch.arange(6)
    one, same, other = (Part(source, torch.tensor(i)) for i in ([1, 2], [1, 2], [2, 1]))
    assert one.fingerprint == same.fingerprint != other.fingerprint
    assert not one.draws and one.lengths.tolist() == [1, 2]
