"""Each exercise of lesson 00 is solved by hand in two styles; common wrong answers are named."""

import math
import statistics

import pytest
import torch

from distill_lab.course.check.examine import examine
from distill_lab.evaluation.statistics import paired_interval
from lesson_00.exercises import EXERCISES


def by_lists(taught, alone, t):
    gains = [a - b for a, b in zip(taught.tolist(), alone.tolist(), strict=True)]
    half = t * statistics.stdev(gains) / math.sqrt(len(gains))
    return torch.tensor([statistics.mean(gains) - half, statistics.mean(gains) + half])


def by_the_package(taught, alone, t):
    interval = paired_interval(taught, alone)
    return torch.tensor([interval.low, interval.high])


def ratio_by_lists(taught, alone):
    a, b = taught.tolist(), alone.tolist()
    gains = [x - y for x, y in zip(a, b, strict=True)]
    unpaired = math.sqrt((statistics.variance(a) + statistics.variance(b)) / len(a))
    return unpaired / (statistics.stdev(gains) / math.sqrt(len(gains)))


RIGHT = [
    ("paired_interval_by_hand", by_lists),
    ("gain_from_pairs", ratio_by_lists),
    (
        "gain_from_pairs",
        lambda a, b: (
            torch.sqrt(a.var() / len(a) + b.var() / len(b)) / ((a - b).std() / len(a) ** 0.5)
        ),
    ),
]


@pytest.mark.parametrize(("name", "solution"), RIGHT)
def test_a_right_solution_is_right(name, solution):
    report = examine(EXERCISES[name], solution)
    assert report.state == "right", report.findings


def test_the_reference_is_the_package_s_interval():
    """The t of the cases is Student's for five and eight seeds, to the digits that are given."""
    exercise = EXERCISES["paired_interval_by_hand"]
    for case in exercise.cases:
        expected = by_the_package(**case)
        assert torch.allclose(exercise.reference(*case.values()), expected, atol=5e-3)
