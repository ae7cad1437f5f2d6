"""Arms of an experiment side by side: each in a process of its own, on a core of its own.

Small networks keep one core busy and leave the others idle: torch shares out work only within an
operation, and here one takes microseconds. Whole arms share out well.

Not on `concurrent.futures.ProcessPoolExecutor`, though it would be shorter: of a worker that was
killed it reports a broken pool, not which arm it was; with an error in one arm it waits for the
others, or needs its private list of processes to end them; its workers outlive a parent that is
killed, and what an arm itself has started outlives the worker. The tests hold all four.
"""

import contextlib
import ctypes
import io
import multiprocessing
import os
import pickle  # noqa: TID251 - between a process and its own child, never to or from a file
import signal
import sys
import traceback
import warnings
from collections.abc import Callable, Generator, Hashable, Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, TypeVar

import torch

from distill_lab._util.interrupts import stop_on_interrupt
from distill_lab._util.runtime import Progress, own_randomness, progress_line, torch_threads
from distill_lab.course import machine

Name = TypeVar("Name", bound=Hashable)
Answer = TypeVar("Answer")
Arms = Mapping[Name, Callable[[], Any]]
_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG, linux/prctl.h
_EXIT_SECONDS = 1.0  # seconds that an arm has for its end, once it has answered
_TICK = 0.5  # seconds between two looks at the clock while arms run
_inside = False  # whether this process is an arm itself


def side_by_side(
    arms: Mapping[Name, Callable[[], Answer]],
    *,
    seed: int = 0,
    at_once: int | None = None,
    progress: Progress = None,
) -> dict[Name, Answer]:
    """Run the arms of an experiment, as many at once as there are cores; their answers by name.

    An arm is a call without arguments, and it sees everything there is. It runs on one torch thread
    with the global generators seeded, so it gives the same bits at once and in turn, as long as it
    changes nothing that others use: at once, a change is lost with the arm's process; in turn, it
    stays. So let it return what you need. What it prints appears when it is done.

    `at_once` is the largest number of arms that run at the same time: by default the cores, or
    $DISTILL_LAB_CORES. Each is then a copy of this process (a fork), and its answer comes back as a
    copy (pickled: a tensor's `.grad` stays behind). That is safe on Linux without a GPU at hand;
    elsewhere, and inside an arm, arms run in turn.

    A line counts the arms that are done and tells the time, as `distill` has one for its steps;
    where nobody watches there is none. `progress` is what `TrainingConfig` describes.

    Raises whatever an arm raises, with its name in a note, and stops the others; ValueError for
    less than one at once; TypeError for an answer that cannot go from one process to another;
    RuntimeError where an arm's process was killed.

    >>> side_by_side({"two": lambda: 1 + 1, "four": lambda: 2 + 2})
    {'two': 2, 'four': 4}
    """
    limit = machine.cores() if at_once is None else at_once
    if not isinstance(limit, int) or limit < 1:
        raise ValueError(f"at_once must be a whole number of at least 1, got {at_once!r}.")
    at_the_same_time = min(limit, len(arms)) > 1 and _can_fork()
    answers: dict[Name, Answer] = {}
    with progress_line(progress, "arms", unit="arm") as show, contextlib.ExitStack() as stack:

        def tick() -> None:
            show(dict, len(answers), len(arms))

        waiting = tick if progress is None else None
        if waiting is not None:
            waiting()
        results = _at_once(arms, seed, limit, waiting) if at_the_same_time else _in_turn(arms, seed)
        stack.enter_context(contextlib.closing(results))  # though a traceback may keep it
        for name, result in results:
            if result.error is not None:
                raise result.error
            answers[name] = result.answer
            show(dict, len(answers), len(arms))
    return {name: answers[name] for name in arms}


def _can_fork() -> bool:
    """Whether a copy of this process can go on: on Linux, without a GPU, not inside an arm."""
    return sys.platform == "linux" and not torch.accelerator.is_available() and not _inside


@dataclass(frozen=True)
class _Result:
    """What became of an arm: its answer or its error, and what a process of its own printed."""

    answer: Any = None
    error: BaseException | None = None
    out: str = ""
    err: str = ""


Results = Generator[tuple[Name, _Result], None, None]


def _run(name: Hashable, arm: Callable[[], Any], seed: int) -> _Result:
    try:
        with own_randomness(seed), torch_threads(1):
            return _Result(arm())
    except BaseException as error:
        error.add_note(f"raised in the arm {name!r}")
        return _Result(error=error)


def _in_turn(arms: Arms[Name], seed: int) -> Results[Name]:
    for name, arm in arms.items():
        yield name, _run(name, arm, seed)


def _at_once(
    arms: Arms[Name], seed: int, limit: int, tick: Callable[[], None] | None
) -> Results[Name]:
    waiting = list(arms.items())
    running: dict[Name, tuple[Connection, BaseProcess]] = {}
    try:
        while waiting or running:
            while waiting and len(running) < limit:
                with stop_on_interrupt() as stop:  # or Ctrl-C would lose an arm between two lines
                    name, arm = waiting.pop(0)
                    running[name] = _start(name, arm, seed)
                if stop.interrupted:
                    raise KeyboardInterrupt
            ready = wait(
                [x for receiver, process in running.values() for x in (receiver, process.sentinel)],
                timeout=None if tick is None else _TICK,
            )
            if tick is not None and not ready:
                tick()  # so that the line tells the time while no arm is done
            for name, (receiver, process) in list(running.items()):
                if receiver in ready or process.sentinel in ready:
                    result = _receive(receiver, name, process)
                    _end([running.pop(name)], _EXIT_SECONDS)
                    sys.stdout.write(result.out)
                    sys.stderr.write(result.err)
                    yield name, result
    finally:  # all are done; or somebody pressed Ctrl-C, or one of them failed
        _end(list(running.values()))


def _end(arms: list[tuple[Connection, BaseProcess]], patience: float = 0.0) -> None:
    """Wait so long for arms to end by themselves, then kill them with all that they began."""
    for receiver, process in arms:
        process.join(patience)
        with contextlib.suppress(ProcessLookupError):  # the group is gone with its last process
            os.killpg(_group(process), signal.SIGKILL)
        receiver.close()
    for _, process in arms:
        process.join()


def _start(name: Hashable, arm: Callable[[], Any], seed: int) -> tuple[Connection, BaseProcess]:
    receiver, sender = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("fork").Process(
        target=_child, args=(name, arm, seed, sender, os.getpid())
    )
    with warnings.catch_warnings():  # a fork has none of the other threads: it needs none
        warnings.filterwarnings("ignore", ".*use of fork", DeprecationWarning)
        process.start()
    with contextlib.suppress(OSError):  # it may have done so itself already
        os.setpgid(_group(process), _group(process))
    sender.close()
    return receiver, process


def _group(process: BaseProcess) -> int:
    """The process group that an arm leads: never 0, which would be this process's own."""
    if process.pid is None:
        raise RuntimeError(f"{process!r} was never started.")
    return process.pid


def _receive(receiver: Connection, name: Hashable, process: BaseProcess) -> _Result:
    try:
        if not receiver.poll():  # it is gone without a word
            raise EOFError
        message = receiver.recv_bytes()
    except (EOFError, OSError):  # or in the middle of one
        process.join(_EXIT_SECONDS)
        error = RuntimeError(
            f"the process of the arm {name!r} ended with exit code {process.exitcode} before it "
            "had answered. Where memory ran out, run fewer at once: side_by_side(..., at_once=1), "
            f"or {machine.CORES}=1."
        )
        return _Result(error=error)
    result: _Result = pickle.loads(message)
    return result


def _child(
    name: Hashable, arm: Callable[[], Any], seed: int, sender: Connection, parent: int
) -> None:
    global _inside
    _inside = True
    os.setpgid(0, 0)  # so Ctrl-C reaches the parent alone, which ends this with all it began
    ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
    # the parent's handler, which came along, would only note that it was asked to end
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if os.getppid() != parent:
        return  # it was killed before the line above
    torch.set_num_threads(1)  # for good: OpenMP's other threads have not come along
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        result = _run(name, arm, seed)
        if result.error is not None:  # its frames stay behind
            result.error.add_note("".join(traceback.format_exception(result.error)))
    sender.send_bytes(
        _packed(name, _Result(result.answer, result.error, out.getvalue(), err.getvalue()))
    )


def _packed(name: Hashable, result: _Result) -> bytes:
    """A result as bytes, or in its place an error that says why that cannot be."""
    try:
        packed = pickle.dumps(result)
        again: _Result = pickle.loads(
            packed
        )  # not all that comes apart can be put at_the_same_time
        if str(again.error) == str(result.error):
            return packed
        why: Any = "it reads differently afterwards"
    except Exception as caught:  # pickle raises what it likes
        why = caught
    if result.error is not None:
        error: BaseException = RuntimeError(f"{type(result.error).__name__}: {result.error}")
        error.__notes__ = result.error.__notes__
    else:
        error = TypeError(
            f"the answer of the arm {name!r}, {type(result.answer).__name__}, cannot go from one "
            f"process to another ({why}). Return tensors, numbers, networks or what is made of "
            "them, no function made on the way; or use side_by_side(..., at_once=1)."
        )
    return pickle.dumps(_Result(None, error, result.out, result.err))
