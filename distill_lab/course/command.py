"""The command `distill-lab run`: the runner executes lessons, pages are written of what it left."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from distill_lab.course import pages
from distill_lab.course.runner import run_lessons


def run_course(names: Sequence[str | Path] = (), **options: Any) -> int:
    """Execute lessons and write their pages, the course map and the claims ledger.

    Args:
        names: Numbers, names or paths of lessons; none means all of them.
        options: What `run_lessons` takes: `profile`, `jobs`, `timeout`, `out`, `force`, `seed`,
            `cell_timeout`.

    Returns:
        The exit code of `run_lessons`.
    """
    return run_lessons(
        names, write_page=pages.write_lesson, write_overview=pages.write_overview, **options
    )
