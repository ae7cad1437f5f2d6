"""How a run ends: SIGTERM as Ctrl-C, the best weights on disk, progress in a file."""

import io
import os
import signal
import subprocess
import sys
import textwrap
import threading
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import nn

from distill_lab._util import runtime
from distill_lab.models import MLP
from distill_lab.training import EarlyStopping, TrainStep, callbacks, distill
from distill_lab.training.checkpoint import load_checkpoint
from tests.training.two_processes import pictures

X, Y = pictures()
SETTINGS: dict[str, Any] = {"epochs": 4, "batch_size": 14, "progress": False}
ROOT = Path(__file__).resolve().parents[2]


def flat(net: nn.Module) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in net.parameters()])


def student() -> MLP:
    return MLP(6, 8, 2, dropout=0.2, seed=1)


def term_at(number: int) -> Any:
    def send(step: TrainStep) -> None:
        if step.step == number:
            os.kill(os.getpid(), signal.SIGTERM)

    return send


def test_sigterm_saves_ends_the_run_and_goes_on_bit_for_bit(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGTERM)
    path, torn, again, undivided = tmp_path / "run", student(), student(), student()
    history = distill(torn, (X, Y), checkpoint=path, callbacks=[term_at(7)], **SETTINGS)
    assert history.interrupted and history.steps == 7
    assert load_checkpoint(path).facts["step"] == 7
    assert signal.getsignal(signal.SIGTERM) is before
    assert distill(again, (X, Y), checkpoint=path, **SETTINGS).steps == 20
    distill(undivided, (X, Y), **SETTINGS)
    assert torch.equal(flat(undivided), flat(again))


def test_a_second_sigterm_ends_at_once_and_leaves_the_last_whole_step(tmp_path: Path) -> None:
    path = tmp_path / "run"

    def twice(step: TrainStep) -> None:
        if step.step == 7:
            term_at(7)(step)
            term_at(7)(step)

    history = distill(student(), (X, Y), checkpoint=path, callbacks=[twice], **SETTINGS)
    assert history.interrupted and load_checkpoint(path).facts["step"] == 7


def test_in_a_thread_signals_are_left_alone() -> None:
    results: list[int] = []
    before = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(
        target=lambda: results.append(distill(student(), (X, Y), **SETTINGS).steps)
    )
    thread.start()
    thread.join()
    assert results == [20] and signal.getsignal(signal.SIGTERM) is before


@pytest.mark.slow
def test_sigterm_to_the_whole_group_with_reading_workers_saves(tmp_path: Path) -> None:
    """As Slurm sends it: to every process of the job."""
    script = textwrap.dedent(
        """
        import os, signal, sys, time, torch
        from torch.utils.data import TensorDataset
        from distill_lab.data.batches import DatasetSource
        from distill_lab.models import MLP
        from distill_lab.training import distill

        def send(step):
            if step.step == 5:
                os.killpg(os.getpgid(0), signal.SIGTERM)
                time.sleep(0.2)

        pairs = TensorDataset(torch.randn(64, 6), torch.zeros(64).long())
        data = DatasetSource(pairs, num_workers=2)
        history = distill(MLP(6, 2), data, batch_size=8, checkpoint=sys.argv[1], epochs=9,
                          progress=False, callbacks=[send])
        print(history.interrupted, history.steps)
        """
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "run")],
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        start_new_session=True,
    )
    assert (done.returncode, done.stdout) == (0, "True 5\n"), done.stderr[-2000:]
    assert load_checkpoint(tmp_path / "run").facts["step"] == 5


def measures(values: list[float]) -> tuple[Any, list[torch.Tensor]]:
    left, seen = list(values), []

    def measure(net: nn.Module) -> float:
        seen.append(flat(net).clone())
        return left.pop(0)

    return measure, seen


def test_the_best_weights_are_on_disk(tmp_path: Path) -> None:
    measure, seen = measures([0.5, 0.7, 0.6, 0.65])
    rule = EarlyStopping(measure, patience=3, restore_best=False)
    net, path = student(), tmp_path / "runs" / "best.safetensors"
    distill(net, (X, Y), early_stopping=rule, best=path, **SETTINGS)
    read = MLP(6, 8, 2, seed=9)
    read.load_state_dict(load_file(path))
    assert torch.equal(flat(read), seen[1]) and not torch.equal(flat(net), seen[1])
    with safe_open(path, "pt") as file:
        assert file.metadata() == {"step": "10", "measured": "0.7"}
    assert [p.name for p in path.parent.iterdir()] == [path.name]


class Tied(nn.Module):
    """Two names for one weight, and a buffer that is not saved with a model."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(6, 6), nn.Linear(6, 6)
        self.b.weight = self.a.weight
        self.register_buffer("unsaved", torch.zeros(1), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.b(self.a(x).relu())  # type: ignore[no-any-return]


@pytest.mark.parametrize("wrapped", [False, True])
def test_the_best_weights_have_the_names_of_the_bare_network(wrapped: bool, tmp_path: Path) -> None:
    torch.manual_seed(0)
    net, path = Tied(), tmp_path / "best"
    rule = EarlyStopping(lambda net: 0.0, patience=9)
    distill(
        nn.DataParallel(net) if wrapped else net, (X, Y), early_stopping=rule, best=path, **SETTINGS
    )
    Tied().load_state_dict(load_file(path))


def test_a_disk_that_is_full_leaves_the_best_of_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "best"

    def go(values: list[float]) -> None:
        rule = EarlyStopping(measures(values)[0], patience=3)
        distill(student(), (X, Y), early_stopping=rule, best=path, **SETTINGS)

    go([1.0, 0.0, 0.0, 0.0])
    before = path.read_bytes()

    def full(weights: Any, file: Path, **_: Any) -> None:
        file.write_bytes(b"half")
        raise OSError("no space left on device")

    monkeypatch.setattr(callbacks, "save_file", full)
    with pytest.raises(OSError, match="no space"):
        go([2.0, 0.0, 0.0, 0.0])
    assert path.read_bytes() == before and [p.name for p in tmp_path.iterdir()] == ["best"]


@pytest.mark.parametrize(("every", "lines"), [(60.0, 1), (0.0, 20)])
def test_a_file_gets_plain_lines_one_an_interval(
    every: float, lines: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime, "FILE_EVERY", every)
    with redirect_stdout(io.StringIO()) as file:
        distill(student(), (X, Y), **SETTINGS | {"progress": True})
    text = file.getvalue()
    assert "\r" not in text and len(text.splitlines()) == lines and text.endswith("\n")
    assert text.splitlines()[-1].startswith(
        "supervised(label_smoothing=0.0): 20/20 steps, 0 s, ce "
    )
