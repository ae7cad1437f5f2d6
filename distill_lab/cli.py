"""The command `distill-lab`: it parses what was typed and calls the room that does the work.

Nothing heavy is imported before a command is chosen, so `--help` answers at once.

Exit codes: 0 all well; 1 something failed, and was said; 2 the command line was not understood;
130 interrupted.
"""

import argparse
import os
import sys
from collections.abc import Sequence

from distill_lab import __version__
from distill_lab._util.interrupts import terminated_as_interrupted
from distill_lab._util.io import user_path
from distill_lab.jobs import distill_command, export_command, generate_command, show_command

INTERRUPTED = 130

EXAMPLES = """examples:
  distill-lab doctor                   is everything here that the course needs?
  distill-lab lab                      open the first lesson in JupyterLab
  distill-lab run                      run every lesson, pages in build/course
  distill-lab run 11 12 --force        run two lessons again, changed or not
  distill-lab run 12 --profile full    the figures worth quoting (up to 20 minutes)
  distill-lab claims                   what was claimed, measured and found
  distill-lab progress                 your exercises and predictions, what to recall today
  distill-lab generate p.txt a.jsonl   let a teacher answer a file of prompts
  distill-lab show t.jsonl --tokenizer d   what of each row is learned, token by token
  distill-lab distill job.yaml         distil a model as a job file says
  distill-lab export runs/a/student --to onnx   take the student home
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    Args:
        argv: the words after `distill-lab`; None reads the process's own.

    Raises:
        SystemExit: with code 0 after `--help`, 2 when the words are not understood.

    >>> main(["--version"])
    Traceback (most recent call last):
    SystemExit: 0
    """
    parser = build_parser()
    args, more = parser.parse_known_args(argv)
    if more and (args.command != "distill" or not all("=" in w and w[0] != "-" for w in more)):
        parser.error(f"unrecognized arguments: {' '.join(more)}")
    if more:
        args.settings += more  # argparse gives up on those that stand behind an option
    try:
        with terminated_as_interrupted():
            code = _run(args)
    except BrokenPipeError:  # `distill-lab claims | head`: the reader has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        print("\nInterrupted.", file=sys.stderr)
        return INTERRUPTED
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] == "distill_lab":
            raise  # a fault of ours, not a missing extra
        print(
            f"`distill-lab {args.command}` needs the package {error.name}, which is not installed "
            "here: the course has its own extra. In a checkout: make env. Elsewhere: "
            'pip install "distill-lab[lab]"',
            file=sys.stderr,
        )
        return 1
    if code is None:
        parser.print_help()
    return code or 0


def _run(args: argparse.Namespace) -> int | None:
    """Call the room that does what was typed; None: nothing was."""
    if args.command == "lab":
        from distill_lab.course.lab import jupyter

        return jupyter.launch(args.port, args.browser, args.start_again)
    if args.command == "run":
        from distill_lab.course import command

        return command.run_course(
            args.names,
            profile=args.profile,
            jobs=args.jobs,
            timeout=args.timeout,
            out=args.out,
            force=args.force,
            seed=args.seed,
        )
    if args.command == "claims":
        from distill_lab.course import claims_table

        return claims_table.print_claims(args.out, as_json=args.json)
    if args.command == "progress":
        from distill_lab.course import progress

        return progress.print_progress(html=args.html)
    if args.command == "release":
        from distill_lab.course.classroom import release

        return release.release(args.folder)
    if args.command == "grade":
        from distill_lab.course.classroom import grade

        return grade.grade(args.folder, out=args.out, run=args.run, seconds=args.timeout)
    if args.command == "generate":
        return generate_command.run(args)
    if args.command == "distill":
        return distill_command.run(args)
    if args.command == "show":
        return show_command.run(args)
    if args.command == "export":
        return export_command.run(args)
    if args.command == "doctor":
        from distill_lab.course.lab import doctor

        return doctor.main()
    return None


def build_parser() -> argparse.ArgumentParser:
    """The whole command line, with its help."""
    parser = argparse.ArgumentParser(
        prog="distill-lab",
        description="Knowledge distillation by hand: an interactive course and its engine.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"distill-lab {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")

    lab = commands.add_parser(
        "lab",
        help="open JupyterLab at the first lesson",
        description="Open JupyterLab at my/00_start_here.ipynb, your own copy of the lessons. It "
        "is made once and never overwritten. Only this machine can reach JupyterLab, and only with "
        "the token in the address. Your own Jupyter settings stay untouched.",
    )
    lab.add_argument("--port", type=_port, help="port (default: the first free one from 8888)")
    lab.add_argument(
        "--no-browser", dest="browser", action="store_false", help="print the address, open nothing"
    )

    lab.add_argument(
        "--start-again",
        action="append",
        default=[],
        metavar="LESSON",
        help="take a fresh copy of a lesson, keep yours in my/earlier, and open nothing",
    )

    run = commands.add_parser(
        "run",
        help="run lessons from top to bottom and write their pages",
        description="Run lessons with papermill. A lesson that has not changed since its last good "
        "run is not run again.",
        epilog="examples:\n  distill-lab run\n  distill-lab run 11 --profile full --seed 1",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    run.add_argument("names", nargs="*", metavar="NAME", help="number, name or path (default: all)")
    run.add_argument(
        "--profile",
        choices=("quick", "full", "hub"),
        default="quick",
        help="quick: a minute, no network (default); full: the figures worth quoting; "
        "hub: full with real downloads",
    )
    run.add_argument("--seed", type=int, default=0, help="seed of every experiment (default: 0)")
    run.add_argument("--jobs", type=_count, help="lessons side by side (default: one per core)")
    run.add_argument("--timeout", type=_seconds, help="seconds one whole lesson may take")
    run.add_argument(
        "--out", type=_path, default="build/course", help="folder to write (default: %(default)s)"
    )
    run.add_argument("--force", action="store_true", help="run lessons that have not changed too")

    claims = commands.add_parser(
        "claims",
        help="print what the lessons claimed, measured and found",
        description="Print the claims ledger of the last run.",
    )
    claims.add_argument(
        "--out",
        type=_path,
        default="build/course",
        help="folder of that run (default: %(default)s)",
    )
    claims.add_argument("--json", action="store_true", help="as JSON, for another program")

    progress = commands.add_parser(
        "progress",
        help="what you have done, how your predictions miss, what to recall today",
        description="Read the journal of your own copy, my/journal.jsonl.",
    )
    progress.add_argument("--html", action="store_true", help="write my/progress.html as well")

    release = commands.add_parser(
        "release",
        help="for teachers: the lessons without their solutions",
        description="Write the lessons into a new folder, hints in, solutions out. Students keep "
        "their journal there and hand in the whole folder.",
    )
    release.add_argument("folder", type=_path, metavar="DIR", help="a new or empty folder")

    grade = commands.add_parser(
        "grade",
        help="for teachers: who solved which exercise",
        description="Read what students handed in, a folder each, and write grades.csv and "
        "grades.html: students by exercises and claims.",
    )
    grade.add_argument(
        "folder", type=_path, metavar="DIR", help="it holds a folder for each student"
    )
    grade.add_argument("--out", type=_path, help="folder to write (default: DIR)")
    grade.add_argument(
        "--run",
        action="store_true",
        help="run the exercises again, in a kernel of their own, and believe no saved output",
    )
    grade.add_argument(
        "--timeout",
        type=_seconds,
        default=120.0,
        help="seconds the exercises of one lesson may take (default: %(default)g)",
    )

    generate_command.add_to(commands)
    distill_command.add_to(commands)
    export_command.add_to(commands)
    show_command.add_to(commands)

    commands.add_parser(
        "doctor",
        help="check this machine, and say how to mend what is missing",
        description="Check versions, threads, memory, disk, GPU, browser, cache and data sets. "
        "Exit code 1 if something essential is wrong.",
    )
    return parser


def _count(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number from 1 up, but got {text!r}")
    return int(text)


def _path(text: str) -> str:
    try:
        return str(user_path(text))
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _port(text: str) -> int:
    if not text.isdigit() or int(text) > 65535:
        raise argparse.ArgumentTypeError(
            f"expected a port from 0 (any free one) to 65535, but got {text!r}"
        )
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"expected a number of seconds above 0, but got {text!r}")
    return seconds


if __name__ == "__main__":
    sys.exit(main())
