"""Two real processes under `accelerate launch` learn what one process learns."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.launching import launch_two
from tests.training.two_processes import run

SCRIPT = Path(__file__).with_name("two_processes.py")
ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.server


CASES: dict[str, tuple[str, dict[str, int]]] = {
    "kd": ("kd", {}),
    "tokens": ("tokens", {}),
    "hint": ("hint", {}),
    "gaps": ("gaps", {}),
    "tags": ("tags", {}),
    "in pieces": ("tokens", {"accumulate": 3}),
    "stopping": ("stopping", {}),
    "whole": ("whole", {}),
    "resume": ("resume", {}),
    "ema": ("ema", {}),
}


@pytest.fixture(scope="module")
def both(tmp_path_factory) -> dict[str, list[dict[str, torch.Tensor]]]:
    """What each of two processes ended with, case by case: one launch, for it takes longest."""
    folder = tmp_path_factory.mktemp("both")
    outs = {name: str(folder / name.replace(" ", "-")) for name in CASES}
    asked = [(case, layout, outs[name]) for name, (case, layout) in CASES.items()]
    launch_two(str(SCRIPT), json.dumps(asked), timeout=400)
    return {name: [load_file(f"{out}.{rank}") for rank in (0, 1)] for name, out in outs.items()}


def alone(case: str, out: Path):
    student, history, ids = run(case, out)
    return student.state_dict(), history, ids


def close(found, expected, what="student"):
    """Equal to 1e-6: only the order of sums differs."""
    for name, tensor in expected.items():
        torch.testing.assert_close(found[name], tensor, rtol=1e-6, atol=1e-6, msg=f"{what} {name}")


@pytest.mark.parametrize("case", ["kd", "tokens", "hint", "gaps", "tags"])
def test_two_processes_take_the_step_of_one(case, both, tmp_path):
    weights, history, ids = alone(case, tmp_path / "alone")
    for found in both[case]:  # every process ends with the same student
        close(found, weights)
        close(found, {f"history.{k}": v for k, v in history.to_tensors().items()}, "history")
    seen = torch.cat([found["ids"] for found in both[case]])
    assert sorted(seen.tolist()) == sorted(ids)  # nothing lost, nothing twice
    assert min(len(found["ids"]) for found in both[case]) > 0.4 * len(ids)


def test_processes_and_pieces_together_are_still_one_step(both, tmp_path):
    weights, _, ids = alone("tokens", tmp_path / "alone")
    close(both["in pieces"][0], weights)
    seen = torch.cat([found["ids"] for found in both["in pieces"]])
    assert sorted(seen.tolist()) == sorted(ids)


def test_early_stopping_is_decided_for_all(both, tmp_path):
    weights, history, _ = alone("stopping", tmp_path / "alone")
    assert history.stopped_early and history.steps < 30 * 5
    assert [int(found["stopped"]) for found in both["stopping"]] == [history.steps] * 2
    close(both["stopping"][1], weights)


def test_a_run_of_two_processes_resumes_bit_for_bit_with_its_dropout(both):
    """And with its augmentation, which each process draws from Python's and NumPy's generators."""
    for before, after in zip(both["whole"], both["resume"], strict=True):
        for name in before.keys() - {"ids"}:
            assert torch.equal(before[name], after[name]), name


def test_a_teacher_that_follows_is_the_same_everywhere(both, tmp_path):
    weights, history, _ = alone("ema", tmp_path / "alone")
    close(both["ema"][0], weights)
    close(both["ema"][1], weights)
    close(both["ema"][1], {f"history.{k}": v for k, v in history.to_tensors().items()}, "history")
