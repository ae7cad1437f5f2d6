"""How much a lesson computes, on how many threads, and with which versions.

Three profiles: `quick` (no network, under a minute on two cores), `full` (the figures worth
quoting), `hub` (as full, with real downloads).
"""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any, TypeVar

__all__ = ["PROFILES", "checked", "of_notebook", "one_thread", "pick", "versions"]

PROFILES = ("quick", "full", "hub")
Choice = TypeVar("Choice")
_MISSING = object()


def checked(profile: str) -> str:
    """Return `profile` if there is one of that name; raise ValueError otherwise.

    >>> checked("quick")
    'quick'
    """
    if profile not in PROFILES:
        raise ValueError(
            f"There is no profile {profile!r}; there are {', '.join(PROFILES)}. "
            'Set PROFILE = "quick" in the parameters cell.'
        )
    return profile


def pick(profile: str, *, quick: Choice, full: Choice, hub: Choice | object = _MISSING) -> Choice:
    """Choose a value by profile; `hub` is as `full` unless it is given.

    >>> pick("hub", quick=5, full=20)
    20
    """
    checked(profile)
    if profile == "quick":
        return quick
    return full if profile == "full" or hub is _MISSING else hub  # type: ignore[return-value]


def of_notebook() -> str | None:
    """The PROFILE that the notebook's parameters cell holds now; None outside a notebook."""
    try:
        from IPython import get_ipython
    except ImportError:
        return None
    shell: Any = get_ipython()
    return None if shell is None else shell.user_ns.get("PROFILE")


def one_thread() -> str:
    """Set torch to one thread; return the reason, for the learner to read."""
    import torch

    torch.set_num_threads(1)
    return (
        "one torch thread, because the matrices here are small: "
        "sharing them out between two threads was up to 50 times slower"
    )


def versions() -> dict[str, str]:
    """The versions a figure depends on.

    >>> sorted(versions())
    ['distill_lab', 'numpy', 'python', 'torch']
    """
    import torch

    import distill_lab

    try:
        numpy = version("numpy")
    except PackageNotFoundError:
        numpy = "not installed"
    return {
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "numpy": numpy,
        "distill_lab": getattr(distill_lab, "__version__", "unknown"),
    }
