"""Arms at once give what they give in turn; nothing of one reaches another; none is left behind."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path

import psutil
import pytest
import torch

from distill_lab._util.runtime import torch_threads
from distill_lab.course import machine
from distill_lab.course import side_by_side as module
from distill_lab.course.side_by_side import side_by_side
from distill_lab.data.datasets import Examples
from distill_lab.models import MLP
from distill_lab.seeds import distill_seeds

ROOT = Path(__file__).parents[1]
forks = pytest.mark.skipif(not module._can_fork(), reason="arms run in turn here")


@pytest.fixture(params=[1, pytest.param(2, marks=forks)])
def at_once(request):
    return request.param


def until(true, seconds):
    """Wait for something to be true; whether it came so far."""
    end = time.monotonic() + seconds
    while not true() and time.monotonic() < end:
        time.sleep(0.01)
    return true()


def begun(folder, arms=2):
    """The processes of arms that have left their numbers in a folder, once there are so many."""
    until(lambda: len(list(folder.iterdir())) >= arms, seconds=60)
    return [psutil.Process(int(path.name)) for path in folder.iterdir()]


@forks
def test_students_have_the_same_bits_at_once_and_in_turn():
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(60, 5, generator=generator)
    data = Examples(inputs, (inputs[:, 0] > 0).long())

    def learn(lr):
        return distill_seeds(
            lambda seed: MLP(5, 7, 2, seed=seed), data, seeds=range(3), epochs=3, lr=lr
        )

    arms = {lr: lambda lr=lr: learn(lr) for lr in (1e-3, 1e-2, 1e-1)}
    at_once, in_turn = side_by_side(arms, at_once=2), side_by_side(arms, at_once=1)
    with torch_threads(1):
        alone = {lr: learn(lr) for lr in arms}
    assert list(at_once) == list(in_turn) == [1e-3, 1e-2, 1e-1]
    for lr in arms:
        for other in (in_turn, alone):
            pairs = zip(at_once[lr].students.stacked, other[lr].students.stacked, strict=True)
            assert all(torch.equal(a, b) for a, b in pairs)
        assert torch.equal(at_once[lr].terms["ce"], in_turn[lr].terms["ce"])


def draw():
    return torch.rand(1).item(), random.random()


def test_every_arm_has_randomness_of_its_own(at_once):
    torch.manual_seed(5)
    before = torch.get_rng_state()
    results = side_by_side({"a": draw, "b": lambda: (draw(), draw())[0]}, at_once=at_once)
    assert results["a"] == results["b"]
    assert torch.equal(torch.get_rng_state(), before)
    assert side_by_side({"a": draw, "b": draw}, at_once=at_once, seed=1)["a"] != results["a"]


def test_an_arm_runs_on_one_torch_thread(at_once):
    with torch_threads(2):
        results = side_by_side(dict.fromkeys("ab", torch.get_num_threads), at_once=at_once)
        assert results == {"a": 1, "b": 1} and torch.get_num_threads() == 2


@forks
def test_arms_run_at_the_same_time_and_no_more_than_asked_for(tmp_path):
    def meet(own, other):
        (tmp_path / own).touch()
        return until((tmp_path / other).exists, seconds=20)

    results = side_by_side({"a": lambda: meet("a", "b"), "b": lambda: meet("b", "a")}, at_once=2)
    assert results == {"a": True, "b": True}

    def crowd(name):
        here = tmp_path / f"in-{name}"
        here.touch()
        time.sleep(0.05)
        count = len(list(tmp_path.glob("in-*")))
        here.unlink()
        return count

    counts = side_by_side({i: lambda i=i: crowd(i) for i in range(6)}, at_once=2).values()
    assert max(counts) <= 2


@forks
def test_what_an_arm_changes_is_changed_for_itself_alone():
    box = [0]
    results = side_by_side(
        {i: lambda i=i: (box.append(i), list(box))[1] for i in (1, 2)}, at_once=2
    )
    assert results == {1: [0, 1], 2: [0, 2]} and box == [0]


def test_what_an_arm_prints_is_shown(at_once, capsys):
    def say(word):
        print(word)
        print(f"{word}!", file=sys.stderr)

    side_by_side({word: lambda word=word: say(word) for word in ("one", "two")}, at_once=at_once)
    out, err = capsys.readouterr()
    assert sorted(out.split()) == ["one", "two"] and sorted(err.split()) == ["one!", "two!"]


@pytest.mark.parametrize(
    ("arm", "error"), [(lambda: 1 / 0, ZeroDivisionError), (lambda: next(iter(())), StopIteration)]
)
def test_an_error_names_its_arm(arm, error, at_once):
    with pytest.raises(error) as caught:
        side_by_side({"good": lambda: 1, "bad": arm}, at_once=at_once)
    assert "raised in the arm 'bad'" in caught.value.__notes__
    if at_once > 1:
        assert "lambda: " in caught.value.__notes__[-1]  # the line, from a process that is gone


@forks
def test_an_error_ends_the_others(tmp_path):
    def linger():
        (tmp_path / "pid").write_text(str(os.getpid()))
        (tmp_path / "there").touch()
        time.sleep(60)

    def fail():
        assert until((tmp_path / "there").exists, seconds=20)
        raise KeyError("no")

    with pytest.raises(KeyError):
        side_by_side({"slow": linger, "bad": fail}, at_once=2)
    assert not psutil.pid_exists(int((tmp_path / "pid").read_text()))


@forks
def test_an_error_in_the_progress_ends_the_arms_although_its_traceback_is_kept(tmp_path):
    def linger():
        (tmp_path / str(os.getpid())).touch()
        time.sleep(60)

    def stop(_, done, of):
        begun(tmp_path, 1)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as kept:
        side_by_side({"quick": int, "slow": linger}, at_once=2, progress=stop)
    (arm,) = tmp_path.iterdir()
    assert kept.tb and not psutil.pid_exists(int(arm.name))


class Stubborn(Exception):
    """Comes apart when it is sent: it is made of two arguments and kept as one."""

    def __init__(self, one, two):
        super().__init__(one)


class Wordy(Exception):
    """Would say it twice over, sent as it is: its message is made again of its message."""

    def __init__(self, times):
        super().__init__(f"failed {times} times")


@forks
def test_an_answer_that_cannot_be_sent_is_said_in_words():
    with pytest.raises(TypeError, match=r"arm 'maker', function, cannot go .* at_once=1"):
        side_by_side({"maker": lambda: lambda: 1, "idle": int}, at_once=2)


@forks
@pytest.mark.parametrize(
    ("error", "words"),
    [(Stubborn("the words", 2), "Stubborn: the words"), (Wordy(3), "Wordy: failed 3 times")],
)
def test_an_error_that_cannot_be_sent_gives_its_words(error, words):
    def break_down():
        raise error

    with pytest.raises(RuntimeError) as caught:
        side_by_side({"bad": break_down, "idle": int}, at_once=2)
    assert str(caught.value) == words and "raised in the arm 'bad'" in caught.value.__notes__


def die():
    os.kill(os.getpid(), signal.SIGKILL)


class Heavy:
    """An answer that is being sent when its process is killed."""

    def __reduce__(self):
        threading.Timer(0.2, die).start()
        return bytearray, (b"x" * 2**24,)


@forks
@pytest.mark.parametrize("arm", [die, Heavy], ids=["before", "while it answers"])
def test_a_killed_arm_is_an_error_with_a_way_out(arm, monkeypatch):
    if arm is Heavy:  # the parent reads so late that the pipe is full
        receive = module._receive
        slow = lambda *given: (time.sleep(0.5), receive(*given))[1]  # noqa: E731
        monkeypatch.setattr(module, "_receive", slow)
    with pytest.raises(RuntimeError, match=r"arm 'doomed' ended with exit code -9 .* at_once=1"):
        side_by_side({"doomed": arm, "idle": int}, at_once=2)


@forks
def test_an_interruption_while_an_arm_starts_leaves_none_behind(monkeypatch, tmp_path):
    start, started = module._start, []

    def start_and_stop(*what):
        started.append(start(*what))
        os.kill(os.getpid(), signal.SIGINT)
        return started[-1]

    monkeypatch.setattr(module, "_start", start_and_stop)
    with pytest.raises(KeyboardInterrupt):
        side_by_side(dict.fromkeys("ab", lambda: time.sleep(60)), at_once=2)
    ((_, process),) = started
    assert process.exitcode == -signal.SIGKILL


@pytest.mark.slow
@forks
def test_what_an_arm_leaves_at_work_ends_with_it(tmp_path):
    """A thread that goes on, a process that holds the pipe: neither keeps the answers back."""

    def leave():
        threading.Thread(target=time.sleep, args=(60,)).start()
        child = subprocess.Popen(["sleep", "60"], close_fds=False)
        return child.pid

    began = time.monotonic()
    pids = side_by_side(dict.fromkeys("ab", leave), at_once=2).values()
    assert time.monotonic() - began < 50
    for pid in pids:
        gone = not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
        assert gone


class Packed:
    """Does torch's work while it is sent, after its arm is over."""

    def __getstate__(self):
        return {"sum": float(torch.ones(2**21).half().float().sum())}


@forks
def test_an_answer_may_use_torch_while_it_is_packed():
    with torch_threads(2):
        assert float(torch.ones(2**21).half().float().sum()) == 2**21  # OpenMP's threads are there
        results = side_by_side(dict.fromkeys("ab", Packed), at_once=2)
    assert results["a"].sum == 2**21


def test_warnings_of_an_arm_are_no_others_than_in_turn(at_once):
    def warn():
        warnings.warn("old", DeprecationWarning, stacklevel=1)

    with warnings.catch_warnings(), pytest.raises(DeprecationWarning, match="old"):
        warnings.simplefilter("error")
        side_by_side(dict.fromkeys("ab", warn), at_once=at_once)


SCRIPT = """
import os, sys, time
from pathlib import Path
from distill_lab.course.side_by_side import side_by_side
folder = Path(sys.argv[1])
def linger():
    (folder / str(os.getpid())).touch()
    time.sleep(60)
try:
    side_by_side({"a": linger, "b": linger}, at_once=2)
except KeyboardInterrupt:
    print("interrupted")
"""


@pytest.mark.slow
@forks
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_no_arm_outlives_its_parent(how, tmp_path):
    parent = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(tmp_path)],
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    arms = begun(tmp_path)
    assert len(arms) == 2
    parent.send_signal(how)
    out, _ = parent.communicate(timeout=30)
    assert psutil.wait_procs(arms, timeout=30)[1] == []
    assert out == ("interrupted\n" if how == signal.SIGINT else "")


@pytest.mark.slow
@forks
def test_a_cell_can_be_interrupted_and_the_kernel_goes_on(tmp_path):
    """As the stop button does it: the signal reaches kernel and arms alike."""
    manager = pytest.importorskip("jupyter_client").KernelManager(kernel_name="python3")
    manager.start_kernel(env=os.environ | {"PYTHONPATH": str(ROOT)})
    client = manager.client()
    try:
        client.start_channels()
        client.wait_for_ready(timeout=60)
        client.execute(SCRIPT.replace("sys.argv[1]", repr(str(tmp_path))))
        arms = begun(tmp_path)
        assert len(arms) == 2
        manager.interrupt_kernel()
        shown: list[dict] = []
        answer = client.execute_interactive(
            "print(6 * 7)", timeout=30, output_hook=lambda message: shown.append(message["content"])
        )
        assert answer["content"]["status"] == "ok"
        assert any(content.get("text") == "42\n" for content in shown)
        assert psutil.wait_procs(arms, timeout=30)[1] == []
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


@forks
def test_arms_of_an_arm_run_in_turn():
    def nest():
        return side_by_side(dict.fromkeys("xy", os.getpid)), os.getpid()

    for inner, own in side_by_side(dict.fromkeys("ab", nest), at_once=2).values():
        assert inner == {"x": own, "y": own} and own != os.getpid()


@forks
def test_an_arm_may_load_its_data_in_processes_of_its_own():
    def load():
        rows = torch.arange(6)
        return torch.cat(list(torch.utils.data.DataLoader(rows, batch_size=2, num_workers=1)))

    for rows in side_by_side(dict.fromkeys("ab", load), at_once=2).values():
        assert torch.equal(rows, torch.arange(6))


@pytest.mark.parametrize("system", ["darwin", "win32"])
def test_off_linux_arms_run_in_turn(system, monkeypatch):
    monkeypatch.setattr(sys, "platform", system)
    assert side_by_side(dict.fromkeys("ab", os.getpid), at_once=2) == dict.fromkeys(
        "ab", os.getpid()
    )


def test_with_a_gpu_arms_run_in_turn(monkeypatch):
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: True)
    assert side_by_side(dict.fromkeys("ab", os.getpid), at_once=2) == dict.fromkeys(
        "ab", os.getpid()
    )


@forks
def test_the_cores_are_the_default_and_may_be_lent(monkeypatch):
    monkeypatch.setattr(machine, "cores", lambda: 2)
    assert os.getpid() not in side_by_side(dict.fromkeys("ab", os.getpid)).values()
    monkeypatch.setattr(machine, "cores", lambda: 1)
    assert set(side_by_side(dict.fromkeys("ab", os.getpid)).values()) == {os.getpid()}


def test_progress_counts_the_arms(at_once):
    seen = []
    side_by_side(
        dict.fromkeys("abc", int),
        at_once=at_once,
        progress=lambda _, done, of: seen.append((done, of)),
    )
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_no_arm_is_no_trouble_and_less_than_one_at_once_is():
    assert side_by_side({}) == {}
    for wrong in (0, 1.5):
        with pytest.raises(ValueError, match=f"whole number of at least 1, got {wrong}"):
            side_by_side({"a": int}, at_once=wrong)
