"""Runs jobs one after the other, in each process of a launcher, and leaves their exit codes.

accelerate launch ... two_processes.py JOB.yaml JOB.yaml ...
"""

import os
import sys
from pathlib import Path

from distill_lab import cli

if __name__ == "__main__":
    for file in sys.argv[1:]:
        code = cli.main(["distill", file])
        Path(f"{file}.{os.environ['RANK']}").write_text(str(code))
