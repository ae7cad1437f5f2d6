"""What TensorBoard will show is what the history holds."""

import builtins

import pytest

from distill_lab import methods
from distill_lab.models import MLP
from distill_lab.teachers import freeze
from distill_lab.training import EarlyStopping, TensorBoard, distill
from tests.training.two_processes import pictures


def test_terms_shares_rates_and_measurements_are_written(tmp_path):
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    with TensorBoard(tmp_path / "run", every=5) as board:
        history = distill(
            MLP(6, 8, 2, seed=1),
            pictures(),
            teacher=freeze(MLP(6, 8, 2, seed=2)),
            epochs=3,
            method=methods.kd(),
            batch_size=14,
            schedule="linear",
            progress=False,
            early_stopping=EarlyStopping(lambda net: 0.25),
            callbacks=[board],
            shares_every=10,
        )
    events = reader.EventAccumulator(str(tmp_path / "run"))
    events.Reload()
    kd = {event.step: event.value for event in events.Scalars("term/kd")}
    assert kd == {n: pytest.approx(history["kd"][n - 1]) for n in (1, 5, 10, 15)}
    rates = [event.value for event in events.Scalars("training/lr")]
    assert rates[0] == pytest.approx(1e-3) and rates == sorted(rates, reverse=True)
    assert [e.step for e in events.Scalars("training/measured")] == [5, 10, 15]
    shares = [(e.step, e.value) for e in events.Scalars("share of the gradient/kd")]
    assert shares == [(n, pytest.approx(share)) for n, share in history.shares["kd"]]


def test_without_the_package_the_way_out_is_named(tmp_path, monkeypatch):
    real = builtins.__import__

    def none(name, *args, **kwargs):
        if name.startswith("torch.utils.tensorboard"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", none)
    with pytest.raises(ImportError, match=r"pip install 'distill-lab\[tensorboard\]'"):
        TensorBoard(tmp_path)
