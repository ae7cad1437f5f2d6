"""The published MNIST and Fashion-MNIST themselves, where this machine has them."""

import os
from pathlib import Path

import pytest
import torch

from distill_lab.data import datasets

DATA = os.environ.get("DISTILL_LAB_DATA")  # read before any fixture takes it away


@pytest.fixture(params=["mnist", "fashion_mnist"])
def real(request, monkeypatch):
    if not DATA or not (Path(DATA) / request.param).is_dir():
        pytest.skip(f"{request.param} is not under $DISTILL_LAB_DATA ({DATA or 'not set'})")
    monkeypatch.setenv("DISTILL_LAB_DATA", DATA)
    return datasets.load(request.param, download=False)


def test_the_real_files_are_read_whole(real):
    assert real.images.shape == (70_000, 1, 28, 28)
    assert (len(real.train), len(real.test), len(real.classes)) == (60_000, 10_000, 10)
    assert real.images.min() == 0 and real.images.max() == 1
    first, share, mean = {
        "mnist": ([5, 0, 4, 1, 9], [5923, 6742, 5958, 6131, 5842], 0.1307),
        "fashion_mnist": ([9, 0, 0, 3, 0], [6000] * 5, 0.2860),
    }[real.name]
    assert real.train.labels[:5].tolist() == first
    assert real.train.labels.bincount()[:5].tolist() == share
    assert real.train.inputs.mean().item() == pytest.approx(mean, abs=1e-4)


def test_stacked_splits_of_the_real_files_share_one_test_set(real):
    train, test = real.split(train=500, seeds=range(5))
    assert train.inputs.shape == (5, 500, 1, 28, 28)
    assert torch.equal(test.at(4).labels, real.test.labels)
    assert test.inputs.data_ptr() != 0 and test.inputs.stride(0) == 0


def test_status_finds_the_real_files(real):
    assert next(s for s in datasets.status() if s.name == real.name).available
