"""The command line: `python -m distill_lab.course.tutor build`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from distill_lab.course.tutor import FOLDER
from distill_lab.course.tutor.build import NAMES, build, forget
from distill_lab.course.tutor.recipe import Recipe, for_a_gpu
from distill_lab.course.tutor.writing import COMMAND, publish

WORK = FOLDER.parents[1] / "build" / "tutor"


def main(arguments: Sequence[str] | None = None, *, recipe: Recipe | None = None) -> int:
    """Build, and say how it goes. 0: built; 3: the time was up, and --resume goes on."""
    parser = argparse.ArgumentParser(prog="python -m distill_lab.course.tutor")
    commands = parser.add_subparsers(dest="command", required=True)
    make = commands.add_parser("build", help="train the tutor and its control, and write them down")
    make.add_argument("--out", type=Path, default=FOLDER, help="folder for the tutor")
    make.add_argument("--work", type=Path, default=WORK, help="folder for the unfinished run")
    make.add_argument("--minutes", type=float, help="stop after so long; --resume goes on")
    make.add_argument("--seed", type=int, default=0)
    make.add_argument("--threads", type=int, default=2, help="torch threads; 2 by default")
    make.add_argument(
        "--device", default="cpu", help='"cpu", or "cuda": a longer training, in minutes'
    )
    make.add_argument("--resume", action="store_true", help="go on with the run in --work")
    make.add_argument(
        "--without-control", action="store_true", help="leave the smaller network for later"
    )
    given = parser.parse_args(arguments)
    torch.set_num_threads(given.threads)
    if given.device.startswith("cuda") and not torch.cuda.is_available():
        parser.error("--device cuda needs a GPU that torch sees, and it sees none: leave it out.")
    if recipe is None:
        recipe = Recipe(given.seed) if given.device == "cpu" else for_a_gpu(given.seed)
    if not given.resume:
        forget(given.work)
    names = NAMES[:1] if given.without_control else NAMES
    report = build(
        recipe, given.work, names=names, minutes=given.minutes, device=given.device, show=_say
    )
    if report is None:
        when = "" if given.minutes is None else f" after {given.minutes:g} minutes"
        _say(f"stopped{when}: `{COMMAND} --resume` goes on")
        return 3
    publish(report, given.work, given.out)
    _say(f"wrote the tutor to {given.out}")
    return 0


def _say(words: str) -> None:
    sys.stderr.write(words + "\n")
    sys.stderr.flush()


if __name__ == "__main__":
    raise SystemExit(main())
