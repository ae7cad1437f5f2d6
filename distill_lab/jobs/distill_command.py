"""`distill-lab distill JOB.yaml`: what the command line shows of a job."""

import argparse
import os
import sys
import warnings
from typing import Any

from tqdm.std import tqdm

from distill_lab._util.checks import error_in_words
from distill_lab.jobs.kinds import KINDS
from distill_lab.jobs.settings import settings_table

ABOUT = """A job file names a teacher, a student, the data and how to learn:

  teacher: data/tutor               # a folder or a name on the hub
  student:                          # a folder, a name, or the shape of a new Llama
    {hidden_size: 64, intermediate_size: 160, num_hidden_layers: 2, num_attention_heads: 4}
  train: train.jsonl                # {"prompt": ..., "answer": ...} or {"messages": [...]}
  validation: held_out.jsonl
  method: token-kl                  # sft, seq-kd, token-kl, reverse-kl, jsd, on-policy, dpo, uld
  out: runs/first
  exam: {data: test.jsonl, verify: numeric}

A row of an exam may name its own check: exact, numeric (tolerance), mathematical, label (labels),
choice (letters), listed (ordered), date (day_first), contains, and regex (require, refuse,
max_words).
What each method does stands with `method` below; docs/jobs.md has an example of each kind.
Every setting can be given on the command line too, in place of the file's:
distill-lab distill job.yaml lr=1e-3 out=runs/second lora.r=4
Before the first step it prints the headroom: how often teacher and student are right on held-out
tokens, and whether there is anything to gain.
Stop it with Ctrl-C; the same command goes on where it stopped. For several processes:
accelerate launch --multi_gpu --num_processes 2 -m distill_lab.cli distill job.yaml
"""


def add_to(commands: Any) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "distill",
        help="distil a model as a job file says",
        description=ABOUT,
        epilog=f"settings, with their defaults and who reads them:\n{_settings()}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("job", metavar="JOB.yaml", help="the job file")
    parser.add_argument(
        "settings", nargs="*", metavar="NAME=VALUE", help="in place of what the file says"
    )
    parser.add_argument(
        "--check", action="store_true", help="open all that it names, and load no model"
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="measure a few steps: time and memory of the whole"
    )


def _settings() -> str:
    """The table of all settings, a part a kind."""
    parts = (f"kind: {kind.name}\n{settings_table([kind])}" for kind in KINDS.values())
    return "\n\n".join(parts)


def _warn(message: Warning | str, *place: Any, **more: Any) -> None:
    """Show a warning as a sentence: where in the code it was raised is no matter of a job's."""
    tqdm.write(f"Warning: {message}", file=sys.stderr)


def run(args: argparse.Namespace) -> int:
    """Read the job, run it, print its report; 2 for a job that cannot work, 130 when stopped."""
    main = int(os.environ.get("RANK", "0")) == 0

    def log(line: str) -> None:
        if main:
            tqdm.write(line)  # above the line of progress, where one is open
            sys.stdout.flush()

    try:
        from distill_lab.jobs.job_file import read_job
        from distill_lab.jobs.trackers import check_trackers

        with warnings.catch_warnings(record=True) as unread:
            warnings.simplefilter("always")
            job = read_job(args.job, args.settings)
        for each in unread if main else ():
            print(f"Warning: {each.message}", file=sys.stderr)
        kind = KINDS[job.kind]
        if args.check or args.dry_run:
            check_trackers(job.trackers)
            kind.check(job, log)
            if args.dry_run:
                from distill_lab.jobs.rehearsal import rehearse

                rehearse(job, log)
            log(f"{args.job} fits.")
            return 0
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # of one library to another
            warnings.showwarning = _warn if main else lambda *given, **named: None
            outcome = kind.run(job, log=log)
    except Exception as error:
        if (words := error_in_words(error)) is None:
            raise
        print(words, file=sys.stderr)
        return 2
    if outcome.history.interrupted:
        return 130
    where = f"The student is in {outcome.student}, its report beside it."
    if job.seeds:
        where = f"The students are in {outcome.student}, a folder for each seed, the report beside."
    log(f"\n{outcome}\n\n{where}")
    return 0
