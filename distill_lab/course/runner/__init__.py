"""Execute lessons and refuse what a notebook runner lets through.

The road of one run, a module a step:

- `source` whether a notebook is fit to run, `fingerprint` what is new since it last passed
- `process`, `worker` one papermill per lesson, in its own process; `progress` what is shown
- `findings` what the executed notebook really says
- `outcome` judges one lesson and keeps what it left, `schedule` runs them side by side

It imports no pages: `course/command.py` hands it what writes them.
"""

from distill_lab.course import quick_start  # noqa: F401  # isort: skip

from distill_lab.course.runner.findings import Finding
from distill_lab.course.runner.schedule import run_lessons

__all__ = ["Finding", "run_lessons"]
