"""Early stopping: the best student comes back, also through a checkpoint."""

import pytest
import torch

from distill_lab.models import MLP
from distill_lab.training import EarlyStopping, distill
from tests.training.two_processes import pictures


def flat(net):
    return torch.cat([p.detach().flatten() for p in net.parameters()])


def script(values):
    """A measure that says what is written, and keeps the students it saw."""
    left, seen = list(values), []

    def measure(student):
        assert not student.training and not torch.is_grad_enabled()
        seen.append(flat(student).clone())
        return left.pop(0)

    return measure, seen


SETTINGS = {"epochs": 8, "batch_size": 14, "progress": False}


def test_stops_after_patience_and_gives_the_best_back():
    measure, seen = script([0.5, 0.7, 0.69, 0.7, 0.1, 0.9])
    net = MLP(6, 8, 2, dropout=0.2, seed=1)
    history = distill(
        net, pictures(), early_stopping=EarlyStopping(measure, patience=3), **SETTINGS
    )
    assert history.measured == [(5, 0.5), (10, 0.7), (15, 0.69), (20, 0.7), (25, 0.1)]
    assert history.stopped_early and history.steps == 25 and history.best_step == 10
    assert torch.equal(flat(net), seen[1]) and net.training
    assert "stopped early, best at step 10" in repr(history)


def test_lower_may_be_better_and_small_gains_do_not_count():
    measure, seen = script([1.0, 0.95, 0.9, 0.5, 0.5, 0.5, 0.5, 0.5])
    rule = EarlyStopping(
        measure, patience=3, better="lower", min_change=0.2, restore_best=False, every=2
    )
    net = MLP(6, 8, 2, seed=1)
    history = distill(net, pictures(), early_stopping=rule, **SETTINGS)
    assert [step for step, _ in history.measured] == [2, 4, 6, 8, 10, 12, 14]
    assert history.best_step == 8 and torch.equal(flat(net), seen[-1])


@pytest.mark.parametrize("torn_at", [3, 12, 20, 29])
def test_a_run_torn_in_between_stops_at_the_same_student(tmp_path, torn_at):
    held_out = pictures()

    def loss(net):
        return torch.nn.functional.cross_entropy(net(held_out[0]), held_out[1]).item()

    def run(**more):
        net = MLP(6, 8, 2, dropout=0.2, seed=1)
        rule = EarlyStopping(loss, patience=2, better="lower", min_change=0.01)
        return net, distill(net, held_out, early_stopping=rule, lr=1e-2, **more, **settings)

    settings = SETTINGS | {"epochs": 60}
    whole, history = run()
    assert history.stopped_early and history.steps > 30
    path = tmp_path / "run.safetensors"
    run(checkpoint=path, callbacks=[lambda step: step.step == torn_at])
    again, after = run(checkpoint=path)
    assert after.measured == history.measured and after.best_step == history.best_step
    assert torch.equal(flat(again), flat(whole))
    finished, read_back = run(checkpoint=path)  # finished runs are only read back
    assert read_back.steps == history.steps and torch.equal(flat(finished), flat(whole))


def test_an_extension_goes_on_from_the_last_weights_not_from_the_best(tmp_path):
    path = tmp_path / "run.safetensors"
    rule = EarlyStopping(lambda net: 0.0, patience=99)
    net, whole = MLP(6, 8, 2, seed=1), MLP(6, 8, 2, seed=1)
    distill(net, pictures(), early_stopping=rule, checkpoint=path, **SETTINGS | {"epochs": 3})
    again = MLP(6, 8, 2, seed=2)
    history = distill(again, pictures(), early_stopping=rule, checkpoint=path, **SETTINGS)
    straight = distill(whole, pictures(), early_stopping=rule, **SETTINGS)
    assert history["total"] == straight["total"]


def test_without_patience_all_is_measured_and_the_best_is_kept_the_last_step_too():
    measure, seen = script([0.5, 0.9, 0.1, 0.2, 0.3, 0.4])
    lines = []
    rule = EarlyStopping(
        measure, patience=None, every=7, log=lambda step, value: lines.append((step, value))
    )
    net = MLP(6, 8, 2, seed=1)
    history = distill(net, pictures(), early_stopping=rule, **SETTINGS)
    assert [step for step, _ in history.measured] == [7, 14, 21, 28, 35, 40]
    assert lines == history.measured
    assert not history.stopped_early and history.best_step == 14
    assert torch.equal(flat(net), seen[1])


def test_what_is_measured_when_and_kept_is_part_of_a_run(tmp_path):
    """Read back with another rule, a finished run would give other weights as the best."""
    path = tmp_path / "run.safetensors"

    def run(**rule):
        rule = EarlyStopping(lambda net: 0.0, patience=99, **rule)
        distill(MLP(6, 2, seed=1), pictures(), early_stopping=rule, checkpoint=path, **SETTINGS)

    run(every=3)
    for other in ({"every": 4}, {}, {"every": 3, "restore_best": False}):
        with pytest.raises(ValueError, match="early_stopping: "):
            run(**other)
    run(every=3)
    assert str(EarlyStopping(len)) == "higher, patience 3, min_change 0.0"  # as it always was


@pytest.mark.parametrize("torn_at", [5, 10, 13])
def test_who_interrupts_at_a_measured_step_loses_no_measurement(tmp_path, torn_at):
    """Torn while progress is shown, between a step and the next: its measurement is saved too."""
    values = (0.3, 0.8, 0.5, 0.6, 0.7, 0.2, 0.1, 0.0)

    def rule(done=0):
        return EarlyStopping(script(values[done:])[0], patience=3)

    def stop(terms, step, steps):
        if step == torn_at:
            raise KeyboardInterrupt

    path = tmp_path / "run.safetensors"
    whole = distill(MLP(6, 2, seed=1), pictures(), early_stopping=rule(), **SETTINGS)
    settings = SETTINGS | {"checkpoint": path}
    torn = settings | {"progress": stop}
    history = distill(MLP(6, 2, seed=1), pictures(), early_stopping=rule(), **torn)
    assert history.interrupted
    again = rule(done=len(history.measured))
    after = distill(MLP(6, 2, seed=1), pictures(), early_stopping=again, **settings)
    assert after.measured == whole.measured and after.best_step == whole.best_step == 10
