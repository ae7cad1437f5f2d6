"""Packages that only this room needs: imported where they are used, and named where missing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def needs(package: str) -> Iterator[None]:
    """Around an import: a missing package becomes a sentence with the way out.

    >>> with needs("no_such_package"):
    ...     import no_such_package
    Traceback (most recent call last):
    ModuleNotFoundError: this needs the package no_such_package: pip install
    "distill-lab[synthesis]"
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] != package:
            raise
        raise ModuleNotFoundError(
            f'this needs the package {package}: pip install "distill-lab[synthesis]"',
            name=error.name,
        ) from None
