"""What a job's kind makes ready, so that one runner can do the rest."""

from importlib import import_module
from typing import Any

from distill_lab.jobs.setups.setup import Context, Setup


def setup(job: Any, context: Context) -> Setup:
    """Make a job ready as its kind does it.

    Args:
        job: what to do; without a `kind` it is a language model's.
        context: where it runs.

    Returns:
        Student, data, teacher and method.

    Raises:
        ValueError: for what cannot be read or learned, in words.
        OSError: for what cannot be loaded or written, in words.
    """
    name = getattr(job, "kind", "language-model").replace("-", "_")
    result: Setup = import_module(f"distill_lab.jobs.setups.{name}").setup(job, context)
    return result
