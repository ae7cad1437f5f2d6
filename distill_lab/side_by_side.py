"""Arms of an experiment side by side: each in a process of its own, on a core of its own.

Small networks keep one core busy and leave the others idle: torch shares out work only within an
operation, and here one takes microseconds. Whole arms share out well.
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

from distill_lab import machine
from distill_lab.running import Progress, own_randomness, progress_line, torch_threads

Name = TypeVar("Name", bound=Hashable)
Answer = TypeVar("Answer")
Arms = Mapping[Name, Callable[[], Answer]]
Found = Generator[tuple[Name, Answer], None, None]
_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG, linux/prctl.h
_inside = False  # whether this process is an arm itself


def side_by_side(
    arms: Mapping[Name, Callable[[], Answer]],
    *,
    seed: int = 0,
    at_once: int | None = None,
    progress: Progress = False,
) -> dict[Name, Answer]:
    """Run the arms of an experiment, as many at once as there are cores; their answers by name.

    An arm is a call without arguments. It runs on one torch thread with the global generators
    seeded, so its answer has the same bits at once and in turn, whatever the others do. It sees
    everything there is, and what it changes is changed for itself alone: let it return what you
    need. What it prints appears when it is done.

    ``at_once`` is the largest number of arms that run at the same time: by default the cores, or
    $DISTILL_LAB_CORES. Each is a copy of this process (a fork), which is safe on Linux as long as
    no CUDA device is at hand; elsewhere, and inside an arm, arms run in turn.

    Raises whatever an arm raises, with its name in a note, and stops the others; ValueError for
    less than one at once; TypeError for an answer that cannot go from one process to another;
    RuntimeError where an arm's process was killed.

    >>> side_by_side({"two": lambda: 1 + 1, "four": lambda: 2 + 2})
    {'two': 2, 'four': 4}
    """
    most = machine.cores() if at_once is None else at_once
    if most < 1:
        raise ValueError(f"at_once must be a whole number of at least 1, got {at_once!r}.")
    together = min(most, len(arms)) > 1 and _can_fork()
    found = _at_once(arms, seed, most) if together else _in_turn(arms, seed)
    answers: dict[Name, Answer] = {}
    with (
        contextlib.closing(found),  # at once, though a traceback may keep it
        progress_line(progress, "arms", unit="arm") as show,
    ):
        for name, answer in found:
            answers[name] = answer
            show({}, len(answers), len(arms))
    return {name: answers[name] for name in arms}


def _can_fork() -> bool:
    """Whether a copy of this process can go on: on Linux, without CUDA, not inside an arm."""
    return sys.platform == "linux" and not torch.cuda.is_available() and not _inside


def _run(name: Hashable, arm: Callable[[], Answer], seed: int) -> Answer:
    try:
        with own_randomness(seed), torch_threads(1):
            return arm()
    except BaseException as error:
        error.add_note(f"raised in the arm {name!r}")
        raise


def _in_turn(arms: Arms[Name, Answer], seed: int) -> Found[Name, Answer]:
    for name, arm in arms.items():
        yield name, _run(name, arm, seed)


def _at_once(arms: Arms[Name, Answer], seed: int, most: int) -> Found[Name, Answer]:
    waiting = list(arms.items())
    running: dict[Any, tuple[Name, BaseProcess]] = {}  # by the pipe each is heard through
    try:
        while waiting or running:
            while waiting and len(running) < most:
                name, arm = waiting.pop(0)
                started, process = _start(name, arm, seed)
                running[started] = name, process
            ear: Any
            for ear in wait(list(running)):
                name, process = running[ear]
                said = _hear(ear, name, process)
                del running[ear]
                sys.stdout.write(said.out)
                sys.stderr.write(said.err)
                if said.error is not None:
                    raise said.error
                yield name, said.answer
    finally:  # all are done; or somebody pressed Ctrl-C, or one of them failed
        for ear, (_, process) in running.items():
            process.kill()
            process.join()
            ear.close()


@dataclass(frozen=True)
class _Said:
    """What a child tells its parent: the answer or the error, and what the arm printed."""

    answer: Any
    error: BaseException | None
    out: str
    err: str


def _start(name: Hashable, arm: Callable[[], Any], seed: int) -> tuple[Connection, BaseProcess]:
    ear, mouth = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("fork").Process(
        target=_child, args=(name, arm, seed, mouth, os.getpid())
    )
    with warnings.catch_warnings():  # that a fork has none of the other threads: it needs none
        warnings.simplefilter("ignore", DeprecationWarning)
        process.start()
    mouth.close()  # the child's alone from now on, so that its end is heard
    return ear, process


def _hear(ear: Connection, name: Hashable, process: BaseProcess) -> _Said:
    try:
        said: _Said = pickle.loads(ear.recv_bytes())
    except EOFError:
        process.join()
        raise RuntimeError(
            f"the process of the arm {name!r} ended with exit code {process.exitcode} before it "
            "answered. Where memory ran out, run fewer at once: side_by_side(..., at_once=1), or "
            f"{machine.CORES}=1."
        ) from None
    process.join()
    ear.close()
    return said


def _child(
    name: Hashable, arm: Callable[[], Any], seed: int, mouth: Connection, parent: int
) -> None:
    global _inside
    _inside = True
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent hears it, and kills this process
    ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
    if os.getppid() != parent:
        return  # it was killed before the line above
    out, err, answer, error = io.StringIO(), io.StringIO(), None, None
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            answer = _run(name, arm, seed)
        except BaseException as caught:
            caught.add_note("".join(traceback.format_exception(caught)))  # frames stay behind
            error = caught
    mouth.send_bytes(_packed(name, _Said(answer, error, out.getvalue(), err.getvalue())))


def _packed(name: Hashable, said: _Said) -> bytes:
    """What was said as bytes, or in its place an error that says why that cannot be."""
    try:
        packed = pickle.dumps(said)
        if said.error is not None:
            pickle.loads(packed)  # an error may come apart only when it is put together again
        return packed
    except Exception as why:  # pickle raises what it likes
        if said.error is not None:
            error: BaseException = RuntimeError(f"{type(said.error).__name__}: {said.error}")
            error.__notes__ = said.error.__notes__
        else:
            error = TypeError(
                f"the answer of the arm {name!r}, {type(said.answer).__name__}, cannot go from "
                f"one process to another ({why}). Return tensors, numbers, networks or what is "
                "made of them, no function made on the way; or use side_by_side(..., at_once=1)."
            )
        return pickle.dumps(_Said(None, error, said.out, said.err))
