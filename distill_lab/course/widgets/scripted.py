"""A figure that a lesson's own script draws, the same in the lab and on the page.

The script lies in the lesson's folder and exports `mount(root, data)`: an empty element to draw
into, and what the notebook gave it. It runs where its output was made in this session, and on the
page; elsewhere the still picture stands in its place.
"""

from __future__ import annotations

import base64
import gzip
import json
import re
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from distill_lab.course.check import check

__all__ = ["Scripted", "scripted"]

MIME = "application/vnd.distill-lab.scripted+base64"
KINDS = ("f4", "u1", "i1", "i2", "i4")  # of arrays that a script receives as typed arrays
_MOUNT = re.compile(r"^export\s+(?:async\s+)?function\s+mount\s*\(", re.MULTILINE)


class Scripted(str):
    """HTML with its script and its data in it; shows itself at the end of a cell."""

    alt: str

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        return {"text/html": str(self), "text/plain": self.alt}


def scripted(
    script: str | Path, *, data: Mapping[str, Any], alt: str, height: float, still: str = ""
) -> Scripted:
    """Show a figure that a script of the lesson draws and keeps alive.

    Args:
        script: Its file in the lesson's folder, which has `export function mount(root, data)`.
        data: What `mount` receives: whatever JSON holds, and arrays or tensors, which arrive as
            flat typed arrays with a `shape` (floats as float32).
        alt: What the figure shows, in words.
        height: Its height in pixels, so that the page never jumps.
        still: An SVG or HTML string to show where no script runs; without it `alt` stands there.

    Returns:
        The HTML, which shows itself.

    Raises:
        ValueError: If there is no such script, it has no `mount`, `alt` is empty, or the data hold
            what JSON cannot.
    """
    code = _read(script)
    if not alt.strip():
        raise ValueError(f"scripted({str(script)!r}) needs alt=…: say in words what it shows")
    if height <= 0:
        raise ValueError(f"scripted({str(script)!r}): height is in pixels, got {height!r}")
    try:
        text = json.dumps({"code": code, "data": dict(data)}, default=_plain, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"scripted({str(script)!r}): the data must be finite numbers, texts, lists, dicts and "
            f"arrays; these are not ({error})"
        ) from error
    packed = base64.b64encode(gzip.compress(text.encode(), 9, mtime=0)).decode()
    instead = still or f"<p>{escape(alt)}</p>"
    loader = Path(__file__).with_name("scripted.js").read_text(encoding="utf-8")
    html = Scripted(
        f'<figure class="scripted" role="group" aria-label="{escape(alt)}" '
        f'data-script="{escape(Path(script).name)}" style="margin:0;min-height:{height:g}px">'
        f'<div class="still">{instead}</div><div class="root"></div>'
        f'<script type="{MIME}">{packed}</script></figure><script>{loader}</script>'
    )
    html.alt = alt
    return html


def _read(script: str | Path) -> str:
    path = Path(script)
    if not path.is_absolute():
        if check.folder is None:
            raise ValueError(
                f"scripted({str(script)!r}) looks in the lesson's folder, and no lesson is open: "
                "run the cell with Lesson(...) first"
            )
        path = check.folder / path
    if not path.is_file():
        raise ValueError(f"there is no script {path.name!r} in {path.parent.name}: write it there")
    code = path.read_text(encoding="utf-8")
    if not _MOUNT.search(code):
        raise ValueError(f"{path.name} must have a line `export function mount(root, data) {{`")
    return code


def _plain(value: Any) -> Any:
    """A number of NumPy's as Python's; an array or a tensor as text that the script reads."""
    if hasattr(value, "detach"):
        value = value.detach().cpu().numpy()
    if isinstance(value, np.generic):
        return value.item()
    if not isinstance(value, np.ndarray):
        raise TypeError(f"{type(value).__name__} is neither")
    if value.dtype == bool:
        value = value.astype("u1")
    elif value.dtype.kind == "f":
        value = value.astype("<f4")
        if not np.isfinite(value).all():
            raise ValueError("an array with NaN or infinity")
    elif value.dtype.str[1:] not in KINDS:
        small = value.astype("<i4")
        if value.dtype.kind not in "iu" or not np.array_equal(small, value):
            raise TypeError(f"an array of {value.dtype} beyond 32 bits")
        value = small
    return {
        "__array__": value.dtype.str[1:],
        "shape": list(value.shape),
        "base64": base64.b64encode(np.ascontiguousarray(value).tobytes()).decode(),
    }
