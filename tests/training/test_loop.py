# ruff: noqa: NPY002 - NumPy's global generator is what is tested
"""The loop: it learns, repeats itself bit for bit, stops cleanly and goes on exactly."""

import copy
import os
import random
import signal

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import TensorDataset

from distill_lab import methods
from distill_lab._util.runtime import generator_states, own_randomness, restore_generator_states
from distill_lab.data.batches import as_data, batches
from distill_lab.losses import cross_entropy, kd_loss
from distill_lab.models import MLP
from distill_lab.teachers import Cached, Ensemble, Live, cache, freeze, keep, record, route
from distill_lab.training import checkpoint, distill
from tests.training.two_processes import Shaken, pictures


@pytest.fixture
def data():
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(70, 6, generator=generator)  # 70: the last batch of 16 is short
    return inputs, (inputs[:, 0] > 0).long()


@pytest.fixture
def teacher():
    return freeze(MLP(6, 16, 2, dropout=0.5, seed=9))


def student(seed=1):
    return MLP(6, 8, 2, dropout=0.3, seed=seed)


def weights(net):
    return torch.cat([p.detach().flatten() for p in net.parameters()])


SETTINGS = {"epochs": 4, "batch_size": 16, "progress": False, "seed": 5}


def test_learns_from_labels_and_from_a_teacher(data, teacher):
    alone = MLP(6, 8, 2, seed=1)
    history = distill(alone, data, epochs=60, batch_size=16, lr=1e-2, progress=False)
    assert history["ce"][-1] < 0.1 < history["ce"][0]
    taught = MLP(6, 8, 2, seed=1)
    taught_by = methods.kd(T=2.0, alpha=1.0)
    history = distill(
        taught, data, teacher=teacher, method=taught_by, epochs=200, lr=1e-2, progress=False
    )
    assert history["kd"][-1] < 0.1 * history["kd"][0]


def test_a_step_is_the_step_written_by_hand(data, teacher):
    ours, hand = MLP(6, 8, 2, seed=1), MLP(6, 8, 2, seed=1)
    history = distill(ours, data, teacher=teacher, method=methods.kd(3.0, 0.7), **SETTINGS)
    optimizer = torch.optim.AdamW(hand.parameters(), lr=1e-3, weight_decay=0.0, fused=True)
    totals = []
    for _, batch in batches(as_data(data), 16, 5, first=0, last=20):
        optimizer.zero_grad()
        logits = hand(batch.inputs)
        loss = kd_loss(logits, teacher.model(batch.inputs), batch.labels, T=3.0, alpha=0.7)
        loss.backward()
        optimizer.step()
        totals.append(loss.item())
    assert history["total"] == pytest.approx(totals, rel=1e-5)
    torch.testing.assert_close(weights(ours), weights(hand), rtol=1e-5, atol=1e-6)


def test_settings_may_be_numbers_of_numpy_and_torch(data, teacher, tmp_path):
    """As they fall out of a search over settings; a checkpoint knows them for the same run."""
    plain = {"epochs": 2, "batch_size": 16, "lr": 0.0625, "seed": 3, "clip": 1.0}
    foreign = {"epochs": np.int64(2), "batch_size": torch.tensor(16), "lr": np.float32(0.0625)}
    foreign |= {"seed": np.uint8(3), "clip": torch.tensor(1.0)}
    method = methods.kd(T=2.0, alpha=0.5)
    same = methods.kd(T=np.float64(2.0), alpha=torch.tensor(0.5))
    assert method.name == same.name and method.weights == same.weights
    runs = [(plain, method, "run"), (foreign, same, "run"), (foreign, same, "another")]
    students = [student() for _ in runs]  # the second has only the first one's checkpoint to read
    for net, (settings, recipe, path) in zip(students, runs, strict=True):
        options = {"teacher": teacher, "method": recipe, "checkpoint": tmp_path / path}
        distill(net, data, progress=False, **options, **settings)
    assert torch.equal(weights(students[0]), weights(students[1]))
    assert torch.equal(weights(students[0]), weights(students[2]))


def test_every_example_once_an_epoch_in_an_order_of_its_own(data):
    seen = [batch.ids for _, batch in batches(as_data(data), 16, 3, first=0, last=10)]
    first, second = torch.cat(seen[:5]), torch.cat(seen[5:])
    assert first.sort().values.tolist() == second.sort().values.tolist() == list(range(70))
    assert first.tolist() != second.tolist()


def test_same_seed_same_bits_and_the_callers_randomness_is_untouched(data):
    one, two, other = student(), student(), student()
    before = torch.get_rng_state()
    distill(one, data, **SETTINGS)
    assert torch.equal(before, torch.get_rng_state())
    torch.manual_seed(123)
    distill(two, data, **SETTINGS)
    distill(other, data, **SETTINGS | {"seed": 6})
    assert torch.equal(weights(one), weights(two))
    assert not torch.equal(weights(one), weights(other))


@pytest.mark.parametrize("stop_at", [1, 7, 12, 19])
@pytest.mark.parametrize("schedule", ["constant", "cosine"])
def test_resumes_bit_for_bit_after_stopping_anywhere(data, teacher, tmp_path, stop_at, schedule):
    settings = SETTINGS | {"schedule": schedule, "clip": 1.0, "teacher": teacher}
    whole, torn = student(), student()
    whole_history = distill(whole, data, **settings)
    path = tmp_path / "runs" / "a.safetensors"

    def stop(step):
        return step.step == stop_at

    first = distill(torn, data, **settings, checkpoint=path, callbacks=[stop])
    assert first.steps == stop_at and not first.interrupted
    fresh = student(seed=77)  # its weights are replaced by the checkpoint's
    history = distill(fresh, data, **settings, checkpoint=path)
    assert torch.equal(weights(whole), weights(fresh))
    assert history["total"] == whole_history["total"] and history.epochs == 4
    again = distill(student(seed=78), data, **settings, checkpoint=path)
    assert again["total"] == whole_history["total"]  # finished runs are only read back


@pytest.mark.parametrize("stop_at", [3, 4])
def test_augmentation_by_other_generators_goes_on_where_it_was(tmp_path, stop_at):
    """A data set that draws from Python's and NumPy's generators, each time it is asked."""
    path, whole, torn, fresh = tmp_path / "run.safetensors", student(), student(), student(seed=7)
    history = distill(whole, Shaken(), **SETTINGS)
    callers = random.getstate(), np.random.get_state()[1].tolist()
    stop = [lambda step: step.step == stop_at]
    distill(torn, Shaken(), **SETTINGS, checkpoint=path, callbacks=stop)
    resumed = distill(fresh, Shaken(), **SETTINGS, checkpoint=path)
    assert resumed["total"] == history["total"] and torch.equal(weights(whole), weights(fresh))
    assert callers == (random.getstate(), np.random.get_state()[1].tolist())
    other = distill(student(), Shaken(), **SETTINGS | {"seed": -5})
    assert other["total"] != history["total"]


class Skipping(nn.Module):
    """A network that leaves its middle out as Python's generator says, and shakes by NumPy's."""

    def __init__(self, seed=0):
        super().__init__()
        torch.manual_seed(seed)
        self.first, self.middle, self.last = nn.Linear(6, 8), nn.Linear(8, 8), nn.Linear(8, 2)

    def forward(self, x):
        x = self.first(x).relu()
        x = x if random.random() < 0.5 else x + self.middle(x)
        return self.last(x * (1 + 0.1 * float(np.random.normal())))


@pytest.mark.parametrize("stop_at", [3, 4])
def test_a_student_that_draws_from_other_generators_goes_on_where_it_was(tmp_path, stop_at):
    """Data are seeded batch by batch; what a student or a recipe draws is taken up again."""
    path, whole, torn, fresh = tmp_path / "run.safetensors", Skipping(), Skipping(), Skipping(7)
    history = distill(whole, pictures(), **SETTINGS)
    stop = [lambda step: step.step == stop_at]
    distill(torn, pictures(), **SETTINGS, checkpoint=path, callbacks=stop)
    resumed = distill(fresh, pictures(), **SETTINGS, checkpoint=path)
    assert resumed["total"] == history["total"] and torch.equal(weights(whole), weights(fresh))


def test_every_bit_of_another_generators_state_is_kept():
    for draws in range(4):  # after an odd number a second normal value waits
        with own_randomness(draws):
            for _ in range(draws):
                random.gauss(0, 1)
                np.random.normal()
            states = generator_states()
            expected = [random.gauss(0, 1), random.random(), np.random.normal(), np.random.rand()]
            random.seed(99)
            np.random.seed(99)
            restore_generator_states(states)
            found = [random.gauss(0, 1), random.random(), np.random.normal(), np.random.rand()]
        assert found == expected


def test_more_epochs_extend_a_finished_run(data, tmp_path):
    path = tmp_path / "run.safetensors"
    net, whole = student(), student()
    distill(net, data, **SETTINGS | {"epochs": 2}, checkpoint=path)
    distill(net, data, **SETTINGS, checkpoint=path)
    distill(whole, data, **SETTINGS)
    assert torch.equal(weights(net), weights(whole))


def test_another_run_is_not_mistaken_for_this_one(data, tmp_path):
    path = tmp_path / "run.safetensors"
    distill(student(), data, **SETTINGS, checkpoint=path)
    with pytest.raises(ValueError, match=r"belongs to another run \(lr: 0\.001 there, 0\.01 now"):
        distill(student(), data, **SETTINGS, lr=0.01, checkpoint=path)
    with pytest.raises(ValueError, match="data: "):
        distill(student(), (data[0] + 1, data[1]), **SETTINGS, checkpoint=path)
    with pytest.raises(ValueError, match="the student has other parameters"):
        distill(MLP(6, 9, 2), data, **SETTINGS, checkpoint=path)


def test_keyboard_interrupt_keeps_history_and_weights(data, tmp_path):
    def interrupt(step):
        if step.step == 8:
            raise KeyboardInterrupt

    net, whole = student(), student()
    path = tmp_path / "run.safetensors"
    history = distill(net, data, **SETTINGS, checkpoint=path, callbacks=[interrupt])
    assert history.interrupted and history.steps == 8 and net.training
    resumed = distill(net, data, **SETTINGS, checkpoint=path)
    distill(whole, data, **SETTINGS)
    assert resumed.steps == 20 and torch.equal(weights(net), weights(whole))


def test_ctrl_c_ends_after_the_step_at_hand(data):
    def press(step):
        if step.step == 3:
            os.kill(os.getpid(), signal.SIGINT)

    handler = signal.getsignal(signal.SIGINT)
    history = distill(student(), data, **SETTINGS, callbacks=[press])
    assert history.interrupted and history.steps in (3, 4)
    assert signal.getsignal(signal.SIGINT) is handler


def test_nan_stops_the_run_names_the_term_and_spares_the_weights(data, tmp_path):
    path = tmp_path / "run.safetensors"
    poisoned = data[0].clone()
    poisoned[31] = float("nan")
    net = student()
    good = [weights(net).clone()]

    def remember(step):
        good.append(weights(step.student).clone())

    with pytest.raises(FloatingPointError, match=r"the term 'ce' became nan at step \d+"):
        distill(net, (poisoned, data[1]), **SETTINGS, callbacks=[remember])
    assert torch.equal(weights(net), good[-1]) and weights(net).isfinite().all()

    class Wild(nn.Module):
        def forward(self, x):
            return torch.full((len(x), 2), float("nan"))

    with pytest.raises(FloatingPointError, match=r"'kd' became nan at step 1;"):
        distill(student(), data, teacher=freeze(Wild()), **SETTINGS, checkpoint=path)
    assert not path.exists()


def test_the_teacher_is_neither_moved_nor_given_gradients(data, teacher):
    before = copy.deepcopy(teacher.model.state_dict())
    net = student()
    distill(net, data, teacher=teacher, **SETTINGS)
    after = teacher.model.state_dict()
    assert all(torch.equal(before[k], after[k]) for k in before)
    assert all(p.grad is None for p in teacher.model.parameters())
    assert not teacher.model.training and net.training


def test_a_recorded_teacher_says_what_the_live_one_says(data, teacher):
    live, recorded = MLP(6, 8, 2, seed=1), MLP(6, 8, 2, seed=1)
    distill(live, data, teacher=teacher, **SETTINGS)
    distill(recorded, data, teacher=record(teacher, data, batch_size=11), **SETTINGS)
    torch.testing.assert_close(weights(live), weights(recorded), rtol=1e-5, atol=1e-6)


def test_a_dataset_is_asked_for_its_examples_whatever_it_holds():
    """Its tensors may be called inputs and labels, and what it yields be augmented."""
    shaken = Shaken()
    inputs, labels = as_data(shaken).batch(torch.arange(4))[:2]
    assert torch.equal(labels, shaken.labels[:4]) and not torch.equal(inputs, shaken.inputs[:4])


def test_a_torch_dataset_trains_as_its_tensors_do(data):
    tensors, dataset = student(), student()
    distill(tensors, data, **SETTINGS)
    distill(dataset, TensorDataset(*data), **SETTINGS)
    assert torch.equal(weights(tensors), weights(dataset))


def test_the_student_comes_back_in_the_mode_it_came_in(data):
    net = student().eval()
    distill(net, data, **SETTINGS)
    assert not net.training


def test_a_refused_checkpoint_leaves_the_student_in_its_mode(data, tmp_path):
    path = tmp_path / "run.safetensors"
    distill(student(), data, **SETTINGS, checkpoint=path)
    net = student().eval()
    with pytest.raises(ValueError, match="belongs to another run"):
        distill(net, data, **SETTINGS, lr=0.01, checkpoint=path)
    assert not net.training


def test_a_method_of_ones_own(data, teacher):
    def terms(batch, net, ask):
        logits = net(batch.inputs)
        return {"ce": cross_entropy(logits, batch.labels), "size": logits.square().mean()}

    mine = methods.Method("mine", terms, {"ce": 1.0, "size": 0.1}, needs_teacher=False)
    history = distill(student(), data, method=mine, **SETTINGS)
    expected = [a + 0.1 * b for a, b in zip(history["ce"], history["size"], strict=True)]
    assert history["total"] == pytest.approx(expected, rel=1e-5)


def test_unlabelled_data_needs_a_method_without_labels(data, teacher):
    soft = methods.kd(alpha=1.0)
    history = distill(student(), (data[0], None), teacher=teacher, method=soft, **SETTINGS)
    assert list(history) == ["kd", "total"]
    with pytest.raises(ValueError, match="learns from labels and the data has none"):
        distill(student(), (data[0], None), teacher=teacher, **SETTINGS)


def test_progress_is_one_line_or_a_callable(data, capsys):
    distill(student(), data, epochs=2, batch_size=16, progress=True)
    shown = capsys.readouterr()
    assert "supervised" in shown.out and "10/10" in shown.out and not shown.err
    calls = []
    distill(student(), data, epochs=1, batch_size=16, progress=lambda *seen: calls.append(seen))
    assert [(step, steps) for _, step, steps in calls] == [(i, 5) for i in range(1, 6)]


def test_label_smoothing_and_cosine_reach_their_ends(data):
    smooth = methods.supervised(label_smoothing=0.2)
    history = distill(student(), data, method=smooth, schedule="cosine", **SETTINGS)
    expected = [0.8 * a + 0.2 * b for a, b in zip(history["ce"], history["uniform"], strict=True)]
    assert history["total"] == pytest.approx(expected, rel=1e-5)


def test_a_full_disk_leaves_the_previous_checkpoint(data, tmp_path, monkeypatch):
    path = tmp_path / "run.safetensors"
    distill(student(), data, **SETTINGS, checkpoint=path)
    before = path.read_bytes()

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint, "save_file", full)
    with pytest.raises(OSError, match="What was there before is intact"):
        distill(student(), data, **SETTINGS | {"epochs": 6}, checkpoint=path)
    assert [p.name for p in tmp_path.iterdir()] == [path.name] and path.read_bytes() == before


@pytest.mark.parametrize("spoil", [lambda b: b[:200], lambda b: b"", lambda b: b"junk" * 50])
def test_a_torn_checkpoint_is_refused_in_words(data, tmp_path, spoil):
    path = tmp_path / "run.safetensors"
    distill(student(), data, **SETTINGS, checkpoint=path)
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(ValueError, match="not a whole checkpoint"):
        distill(student(), data, **SETTINGS, checkpoint=path)


def test_live_teachers_answer_the_same_twice(teacher, data):
    batch = as_data(data).batch(torch.arange(10))
    assert torch.equal(teacher(batch), teacher(batch)) and not teacher(batch).requires_grad
    assert isinstance(teacher, Live)


def test_a_run_is_not_gone_on_with_under_another_teacher(data, teacher, tmp_path):
    """Live, cached or recorded: what would say something else has another identity."""
    path, settings = tmp_path / "run.safetensors", SETTINGS | {"method": methods.kd(T=2.0)}
    cached_answers = cache(
        teacher, data, tmp_path / "said", signal=keep.top_k(2, T=2.0), progress=False
    )
    distill(student(), data, teacher=cached_answers, checkpoint=path, **settings)
    again = Cached(tmp_path / "said")
    distill(student(), data, teacher=again, checkpoint=path, **settings | {"epochs": 5})
    for other in (teacher, freeze(MLP(6, 16, 2, seed=10)), record(teacher, data)):
        with pytest.raises(ValueError, match=r"belongs to another run.*teacher: "):
            distill(student(), data, teacher=other, checkpoint=path, **settings)


def test_nor_under_another_bare_function(data, tmp_path):
    path = tmp_path / "run.safetensors"

    def times(factor):
        return lambda batch: factor * batch.inputs[:, :2]

    distill(student(), data, teacher=times(2), checkpoint=path, **SETTINGS)
    distill(student(), data, teacher=times(2), checkpoint=path, **SETTINGS | {"epochs": 5})
    with pytest.raises(ValueError, match=r"belongs to another run.*teacher: "):
        distill(student(), data, teacher=times(3), checkpoint=path, **SETTINGS)


def test_the_cached_teacher_cut_and_shuffled_is_the_live_one(data, teacher, tmp_path):
    cached_answers = cache(teacher, data, tmp_path / "said", progress=False)
    settings = SETTINGS | {"method": methods.kd(T=2.0), "accumulate": 3}
    live, cached = MLP(6, 8, 2, seed=1), MLP(6, 8, 2, seed=1)
    distill(live, data, teacher=teacher, **settings)
    distill(cached, data, teacher=cached_answers, **settings)
    torch.testing.assert_close(weights(live), weights(cached), rtol=1e-4, atol=1e-4)


class Asks:
    """A teacher that is an object, and says what a network that learns says."""

    def __init__(self, network):
        self.network = network

    def __call__(self, batch):
        return self.network(batch.inputs + 0.1)


SELVES = {
    "function": lambda net: lambda batch: net(batch.inputs + 0.1),
    "object": Asks,
    "method": lambda net: Asks(net).__call__,
    "several": lambda net: Ensemble([Asks(net), lambda batch: net(batch.inputs + 0.1)], T=4.0),
    "routed": lambda net: route({"a": Asks(net), "b": Asks(net)}, by=["a", "b"] * 35),
}


@pytest.mark.parametrize("kind", SELVES)
@pytest.mark.parametrize("accumulate", [1, 3])
def test_no_gradient_leaves_by_a_teacher_that_asks_the_student(kind, accumulate, data):
    """As a network that is to say the same of an input and of a neighbour of it."""
    inputs, labels = data
    ours, plain = MLP(6, 8, 2, seed=1), MLP(6, 8, 2, seed=1)
    run = {"batch_size": 70, "progress": False, "accumulate": accumulate, "epochs": 3}
    distill(ours, data, teacher=SELVES[kind](ours), method=methods.kd(), optimizer=plain_sgd, **run)
    optimizer = torch.optim.SGD(plain.parameters(), lr=0.1)
    for _ in range(3):
        with torch.no_grad():
            target = plain(inputs + 0.1)
        optimizer.zero_grad()
        kd_loss(plain(inputs), target, labels, T=4.0, alpha=0.9).backward()
        optimizer.step()
    torch.testing.assert_close(weights(ours), weights(plain), rtol=1e-4, atol=1e-5)


def plain_sgd(params):
    return torch.optim.SGD(params, lr=0.1)


def test_a_network_that_a_function_asks_gets_no_gradient(data):
    asked = MLP(6, 16, 2, seed=9)
    own = {"teacher": lambda batch: asked(batch.inputs), "method": methods.kd(T=2.0)}
    distill(student(), data, **own, **SETTINGS | {"epochs": 1})
    assert all(parameter.grad is None for parameter in asked.parameters())
