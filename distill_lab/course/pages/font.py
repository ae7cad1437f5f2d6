"""The font of formulas: the letters of STIX Two Math that a page needs, put into the page."""

from __future__ import annotations

import base64
import io
import logging
import re
from functools import lru_cache
from html import unescape
from importlib.util import find_spec
from pathlib import Path

from fontTools.subset import Options, Subsetter
from fontTools.ttLib import TTFont

FAMILY, FILE = "Distill Lab Math", "STIXTwoMath-Regular.ttf"
_MATH = re.compile(r"<math\b.*?</math>", re.DOTALL)
_ITALIC = {0x1D455: 0x210E}  # an h is older than its alphabet, and stands elsewhere


def font_face(page: str) -> str:
    """Write the CSS that brings the maths font along, with the letters of this page.

    Args:
        page: Its HTML.

    Returns:
        One `@font-face`, or nothing where the page has no formula or the font is not installed:
        then a browser takes one of its own.
    """
    letters = {char for formula in _MATH.findall(page) for char in _text(formula) + "√"}
    if not letters:
        return ""
    data = _subset("".join(sorted(letters)))
    if not data:
        return ""
    source = f"data:font/woff;base64,{base64.b64encode(data).decode()}"
    return f'@font-face {{ font-family: "{FAMILY}"; src: url({source}) format("woff"); }}\n'


def _text(formula: str) -> str:
    return unescape(re.sub(r"<[^>]*>", "", formula))


def italic(letter: str) -> str:
    """The letter as a browser draws it where it stands alone in a formula.

    >>> italic("x") == chr(0x1D465), italic("h") == chr(0x210E), italic("2")
    (True, True, '2')
    """
    code = ord(letter)
    for first, last, start in (
        (ord("A"), ord("Z"), 0x1D434),
        (ord("a"), ord("z"), 0x1D44E),
        (ord("Α"), ord("Ω"), 0x1D6E2),
        (ord("α"), ord("ω"), 0x1D6FC),
    ):
        if first <= code <= last:
            place = start + code - first
            return chr(_ITALIC.get(place, place))
    return letter


@lru_cache(maxsize=64)
def _subset(letters: str) -> bytes:
    """The font with these letters, upright and italic, and what they grow into."""
    package = find_spec("ziamath")  # not imported: only the file is wanted
    if package is None or package.origin is None:
        return b""
    try:
        file = Path(package.origin).with_name("fonts").joinpath(FILE).read_bytes()
    except OSError:
        return b""
    logging.getLogger("fontTools").setLevel(logging.ERROR)
    font = TTFont(io.BytesIO(file))
    options = Options(flavor="woff", layout_features=["ssty", "dtls", "mark", "mkmk"])
    options.hinting = options.glyph_names = False
    subsetter = Subsetter(options)
    subsetter.populate(text=letters + "".join(map(italic, letters)))
    subsetter.subset(font)
    font.flavor = "woff"
    result = io.BytesIO()
    font.save(result)
    return result.getvalue()
