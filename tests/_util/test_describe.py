"""Names of functions and of what they hold: equal where they do the same, in every process."""

import os
import subprocess
import sys

import numpy as np
import pytest
import torch

from distill_lab._util.describe import describe

IN_A_PROCESS = """
from distill_lab._util.describe import describe
colours = {"red", "green", "blue"}
print(describe(lambda x: x in {"one", "two", "three"}), describe(lambda x: x in colours))
"""


def test_sets_have_no_order():
    names = set()
    for seed in "123":
        environment = os.environ | {"PYTHONHASHSEED": seed}
        call = [sys.executable, "-c", IN_A_PROCESS]
        names.add(subprocess.run(call, env=environment, capture_output=True, text=True).stdout)
    assert len(names) == 1 and len(names.pop().split()) == 2


def holds(value):
    return lambda x: (x, value)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (torch.arange(2000), torch.arange(2000).index_fill(0, torch.tensor(900), 0)),
        (torch.tensor(1.0), torch.tensor(1.0 + 1e-6)),
        (torch.zeros(2), torch.zeros(2, dtype=torch.float64)),
        (torch.zeros(2), torch.zeros(2, 1)),
        (np.arange(2000.0), np.arange(2000.0) + 1e-9),
        ({"f": lambda x: x + 1}, {"f": lambda x: x + 2}),
        ({1, 2}, {1, 3}),
    ],
)
def test_what_a_function_holds_is_known_in_full(one, other):
    assert describe(holds(one)) == describe(holds(one))
    assert describe(holds(one)) != describe(holds(other))


def test_numbers_of_every_type_have_a_name():
    kinds = [torch.bfloat16, torch.bool, torch.complex64, torch.int64]
    assert len({describe(torch.ones(3, dtype=kind)) for kind in kinds}) == 4
    assert describe(torch.ones(())) == describe(torch.ones(()))
    assert describe(torch.ones(3, 3).T) == describe(torch.ones(3, 3))
