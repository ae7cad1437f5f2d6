"""The line that tells how far a run is: there for who watches, nowhere else, and no bit changes."""

import io
import time
from contextlib import redirect_stdout

import pytest
import torch

from distill_lab import methods
from distill_lab._util import runtime
from distill_lab._util.runtime import _watched, progress_line
from distill_lab.course import side_by_side as arms_module
from distill_lab.course.side_by_side import side_by_side
from distill_lab.models import MLP
from distill_lab.seeds import distill_seeds


class Screen(io.StringIO):
    """A terminal that keeps what it shows."""

    def isatty(self) -> bool:
        return True

    def lines(self) -> list[str]:
        return [line.split("\r")[-1].rstrip() for line in self.getvalue().split("\n")]


@pytest.fixture(autouse=True)
def at_once_and_watched(monkeypatch):
    monkeypatch.delenv("DISTILL_LAB_HEADLESS", raising=False)
    monkeypatch.setattr(runtime, "LINE_AFTER", 0.0)


def watching():
    """A block whose standard output is a terminal."""
    return redirect_stdout(Screen())


def train(**settings):
    data = (torch.randn(40, 4, generator=torch.Generator().manual_seed(0)), torch.arange(40) % 2)
    return distill_seeds(
        lambda seed: MLP(4, 2, seed=seed),
        data,
        seeds=range(3),
        method=methods.supervised(),
        epochs=30,
        batch_size=8,
        **settings,
    )


def test_seeds_show_their_steps_and_the_time_and_train_the_same_bits():
    with watching() as screen:
        shown = train()
        before = screen.getvalue()
        quiet = train(progress=False)
        assert screen.getvalue() == before
    [line, rest] = screen.lines()
    assert (
        line.startswith("supervised(label_smoothing=0.0) x3: 100%")
        and "150/150 [00:0" in line
        and "ce " in line
    )
    assert rest == ""
    assert torch.equal(shown.terms["ce"], quiet.terms["ce"])


@pytest.mark.parametrize("at_once", [1, 2])
def test_arms_are_counted_with_the_time(at_once, monkeypatch):
    monkeypatch.setattr(arms_module, "_TICK", 0.05)  # and 0.2 s between two writings
    wait = {name: lambda name=name: time.sleep(0.6) or name for name in "ab"}
    with watching() as screen:
        assert side_by_side(wait, at_once=at_once) == {"a": "a", "b": "b"}
    assert screen.lines()[0].startswith("arms: 100%") and "2/2 [00:0" in screen.lines()[0]
    if at_once == 2:
        assert screen.getvalue().count("0/2 [00:0") > 1, "the time goes on before the first is done"


def test_what_an_arm_counts_is_seen_on_the_line_of_the_arms():
    with watching() as screen:
        side_by_side({"a": train, "b": train}, at_once=1)
    [line, rest] = screen.lines()
    assert line.startswith("arms: 100%") and rest == ""
    assert "x3 1/150" in screen.getvalue() and "0/2" in screen.getvalue()


def test_arms_in_processes_print_no_line_of_their_own():
    with watching() as screen:
        side_by_side({"a": train, "b": train}, at_once=2)
    assert "supervised" not in screen.getvalue()


def test_a_quick_run_shows_nothing(monkeypatch):
    monkeypatch.setattr(runtime, "LINE_AFTER", 60.0)
    with watching() as screen:
        train()
        side_by_side({"a": int, "b": int}, at_once=2)
    assert screen.getvalue() == ""


def test_where_nobody_watches_there_is_no_line(monkeypatch):
    with redirect_stdout(io.StringIO()) as file:
        train()
    monkeypatch.setenv("DISTILL_LAB_HEADLESS", "1")
    with watching() as screen:
        train()
        side_by_side({"a": int, "b": int}, at_once=2)
        assert not _watched()
    assert screen.getvalue() == file.getvalue() == ""


def test_a_line_is_closed_when_the_run_fails():
    with watching() as screen:
        with pytest.raises(ZeroDivisionError), progress_line(None, "steps") as show:
            show(lambda: {"ce": 1.0}, 3, 10)
            raise ZeroDivisionError
        assert "3/10" in screen.getvalue() and screen.getvalue().endswith("\n")
        with progress_line(None, "next") as show:
            show(dict, 1, 2)
    assert "next: " in screen.getvalue(), "a line after a failure stands by itself"
