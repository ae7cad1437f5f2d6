"""`distill-lab distill JOB.yaml`: what the command line shows of a job."""

import argparse
import os
import sys
from typing import Any

ABOUT = """A job file names a teacher, a student, the data and how to learn:

  teacher: models/tutor             # a folder or a name on the hub
  student:                          # a folder, a name, or the shape of a new Llama
    {hidden_size: 64, intermediate_size: 160, num_hidden_layers: 2, num_attention_heads: 4}
  train: train.jsonl                # {"prompt": ..., "answer": ...} or {"messages": [...]}
  validation: held_out.jsonl
  method: token-kl                  # sft, seq-kd, token-kl, reverse-kl, jsd, on-policy
  out: runs/first
  task: exam.jsonl                  # {"prompt": ..., "answer": ..., "check": "exact"}

The checks of an exam: exact, numeric (tolerance), label (labels), contains, and regex (require,
refuse, max_words). More settings: epochs, batch_size, accumulate, lr, schedule, warmup, clip, T,
alpha, beta, temperature, max_length, max_new_tokens, precision, lora, optimizer, weight_decay,
checkpoint_every, seed.
Before the first step it prints the headroom: how often teacher and student are right on held-out
tokens, and whether there is anything to gain.
Stop it with Ctrl-C; the same command goes on where it stopped. For several processes:
accelerate launch --multi_gpu --num_processes 2 -m distill_lab.cli distill job.yaml
"""


def add_to(commands: Any) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "distill",
        help="distil a language model as a job file says",
        description=ABOUT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("job", metavar="JOB.yaml", help="the job file")
    parser.add_argument(
        "--check", action="store_true", help="only read the file and say if it fits"
    )


def run(args: argparse.Namespace) -> int:
    """Read the job, run it, print its report; 2 for a job that cannot work, 130 when stopped."""
    main = int(os.environ.get("RANK", "0")) == 0

    def log(line: str) -> None:
        if main:
            print(line, flush=True)

    try:
        from distill_lab.jobs.job import read_job
        from distill_lab.jobs.running import run_job

        job = read_job(args.job)
        if args.check:
            log(f"{args.job} fits: {job.method}, into {job.out}.")
            return 0
        outcome = run_job(job, log=log)
    except (ValueError, OSError, ImportError) as error:
        print(error, file=sys.stderr)
        return 2
    if outcome.history.interrupted:
        return 130
    log(f"\n{outcome}\n\nThe student is in {outcome.student}, its report beside it.")
    return 0
