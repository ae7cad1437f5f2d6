"""Execute lessons and refuse what a notebook runner lets through.

The road of one run, a module a step:

- `lessons` which notebooks there are, `source` whether one is fit to run, `fingerprint` what is new
- `process`, `worker` one papermill per lesson, in its own process; `progress` what is shown
- `records` and `findings` what the executed notebook really says
- `store` the ledger on disk, `words` figures in words, `files` whole files or none
- `outcome` judges one lesson and keeps what it left, `schedule` runs them side by side
"""

from distill_lab.course import quick_start  # noqa: F401  # isort: skip

from distill_lab.course.runner.findings import Finding
from distill_lab.course.runner.lessons import LessonFile, RunnerError, all_lessons, find_root
from distill_lab.course.runner.schedule import run_lessons

__all__ = ["Finding", "LessonFile", "RunnerError", "all_lessons", "find_root", "run_lessons"]
