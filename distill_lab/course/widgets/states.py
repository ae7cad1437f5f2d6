"""The states of a live picture, drawn ahead, so that a page without a kernel can answer.

A page holds at most `STATES` pictures of an explorer and `BYTES` of text for them. Where the
controls have more, the one with the most values keeps every second of them, counted from its
present one, and both ends; then again the one that now has the most. Rows of buttons keep all.
"""

from __future__ import annotations

import base64
import gzip
import itertools
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import ipywidgets

__all__ = ["BYTES", "MIME", "STATES", "Scale", "packed", "read_scales", "stored", "thinned"]

MIME = "application/vnd.distill-lab.explore+json"
STATES = 400  # pictures of one explorer
BYTES = 450_000  # of text in a page, for all of them: two explorers fit into a lesson's 1 MB
LEAST = 3  # values that thinning leaves a control: its ends and the present one

Draw = Callable[[dict[str, Any]], tuple[str, str]]  # a picture, and what went wrong

VIEW_BOX = re.compile(r'viewBox="0 0 ([0-9.]+) ([0-9.]+)"')
_TAGS = re.compile(r"(?<=>)(?=<)")
_ID = re.compile(r"""(\sid=["']|url\(#|href=["']#|\saria-(?:labelledby|describedby)=["'])""")
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Scale:
    """What one control can be set to on the page: `values`, with their names and where it starts.

    `of` is how many values the control has in the lab.
    """

    name: str
    label: str
    kind: str  # "range" or "choice"
    values: tuple[Any, ...]
    texts: tuple[str, ...]
    start: int
    of: int

    def only(self, kept: Sequence[int]) -> Scale:
        """The same with the values at these places; it starts at the nearest one that is left."""
        nearest = min(range(len(kept)), key=lambda i: abs(kept[i] - self.start))
        values, texts = (tuple(row[i] for i in kept) for row in (self.values, self.texts))
        return replace(self, values=values, texts=texts, start=nearest)


def tidy(value: Any) -> Any:
    """A number without the noise of binary steps; anything else as it is.

    >>> tidy(0.1 + 0.2)
    0.3
    """
    return float(f"{value:.9g}") if isinstance(value, float) else value


def read_scales(
    controls: Mapping[str, ipywidgets.Widget], page: Mapping[str, Sequence[Any]] | None
) -> list[Scale] | None:
    """Say what each control can be set to on a page.

    Args:
        controls: Name to control.
        page: Name to the values that a page shall hold; None, or a name left out, for all.

    Returns:
        A scale a control; None where a control's values cannot be counted.

    Raises:
        ValueError: If `page` names no control, or a value that its control cannot take.
    """
    page = page or {}
    if unknown := sorted(set(page) - set(controls)):
        raise ValueError(
            f"explore: page={{…}} names {', '.join(unknown)}, but the controls are "
            f"{', '.join(controls)}"
        )
    scales = [_scale(name, control) for name, control in controls.items()]
    if None in scales:
        return None
    return [_chosen(scale, page.get(scale.name)) for scale in scales if scale is not None]


def _scale(name: str, control: ipywidgets.Widget) -> Scale | None:
    label, kind = control.description.strip().rstrip(":"), "range"
    if isinstance(control, ipywidgets.FloatSlider | ipywidgets.IntSlider):
        count = round((control.max - control.min) / control.step - 1e-6 + 0.5)
        values = [tidy(control.min + i * control.step) for i in range(max(count, 1) + 1)]
        values = [v for v in values if v <= control.max + 1e-9 * control.step]
        decimal = isinstance(control, ipywidgets.FloatSlider)
        texts = [format(v, control.readout_format) if decimal else str(v) for v in values]
        start = min(range(len(values)), key=lambda i: abs(values[i] - control.value))
    elif isinstance(control, ipywidgets.SelectionSlider | ipywidgets.ToggleButtons):
        pairs = [o if isinstance(o, tuple) else (str(o), o) for o in control.options]
        texts, values = [str(text) for text, _ in pairs], [tidy(value) for _, value in pairs]
        start = int(control.index)
        kind = "range" if isinstance(control, ipywidgets.SelectionSlider) else "choice"
    elif isinstance(control, ipywidgets.Checkbox):
        texts, values, start, kind = ["no", "yes"], [False, True], int(control.value), "choice"
    else:
        return None
    return Scale(name, label, kind, tuple(values), tuple(texts), start, len(values))


def _chosen(scale: Scale, wanted: Sequence[Any] | None) -> Scale:
    if wanted is None:
        return scale
    kept = [i for i, value in enumerate(scale.values) if any(_same(value, w) for w in wanted)]
    if len(kept) != len(list(wanted)) or not kept:
        missing = [w for w in wanted if not any(_same(value, w) for value in scale.values)]
        what = f"{missing} of {scale.name}, which it cannot take" if missing else "a value twice"
        raise ValueError(
            f"explore: page={{…}} wants {what if kept else f'no value of {scale.name}'}: choose "
            f"from {', '.join(map(repr, scale.values[:4]))} … {scale.values[-1]!r}"
        )
    return scale.only(kept)


def _same(value: Any, other: Any) -> bool:
    numbers = isinstance(value, int | float) and isinstance(other, int | float)
    return abs(value - other) < 1e-9 if numbers else bool(value == other)


def count(scales: Sequence[Scale]) -> int:
    """How many pictures they make."""
    total = 1
    for scale in scales:
        total *= len(scale.values)
    return total


def thinned(scales: Sequence[Scale]) -> list[Scale] | None:
    """Halve the range with the most values; None where none can be.

    >>> T = Scale("T", "T", "range", tuple(range(9)), tuple("012345678"), 3, 9)
    >>> thinned([T])[0].values, thinned(thinned([T]))[0].values
    ((0, 1, 3, 5, 7, 8), (0, 3, 7, 8))
    """
    longest = max(
        (s for s in scales if s.kind == "range"), key=lambda s: len(s.values), default=None
    )
    if longest is None or len(longest.values) <= LEAST:
        return None
    last = len(longest.values) - 1
    near = range(longest.start % 2, last + 1, 2)
    kept = sorted({0, last, *near}) if last > LEAST else sorted({0, longest.start, last})
    return [s.only(kept) if s is longest else s for s in scales]


def stored(draw: Draw, name: str, scales: list[Scale], height: float | None) -> dict[str, Any]:
    """Draw every state and pack them for the page.

    Args:
        draw: The controls' values in, a picture out, with what went wrong (nothing, as a rule).
        name: The function's name in the call that is shown.
        scales: What the controls can be set to.
        height: In pixels; None takes the tallest view box.

    Returns:
        What the page's script reads, as plain JSON; `broken` says what could not be drawn.

    Raises:
        ValueError: If nothing is left to thin and the states are still too many or too large.
    """
    while count(scales) > STATES:
        scales = _thinner(scales, f"{count(scales)} pictures, more than {STATES}", name)
    drawn: dict[str, tuple[str, str]] = {}
    prefix = f"x{next(_numbers)}-"  # an id of one picture must not meet that of another
    while True:
        calls = []
        for values in itertools.product(*(scale.values for scale in scales)):
            given = dict(zip((scale.name for scale in scales), values, strict=True))
            calls.append(code(name, given))
            if calls[-1] not in drawn:
                picture, fault = draw(given)
                drawn[calls[-1]] = _own_ids(picture, prefix), fault
        states = [drawn[call][0] for call in calls]
        text = packed(states)
        if len(text) <= BYTES:
            break
        scales = _thinner(scales, f"{len(text):,} bytes, more than {BYTES:,}", name)
    boxes = [tuple(map(float, m.groups())) for m in map(VIEW_BOX.search, states) if m]
    start = 0
    for scale in scales:
        start = start * len(scale.values) + scale.start
    return {
        "name": name,
        "width": max((w for w, _ in boxes), default=None),
        "height": height or max((h for _, h in boxes), default=None),
        "controls": [
            {
                "name": s.name,
                "label": s.label,
                "kind": s.kind,
                "texts": list(s.texts),
                "code": [repr(value) for value in s.values],
                "start": s.start,
                "of": s.of,
            }
            for s in scales
        ],
        "first": states[start],
        "broken": [f"{call}: {drawn[call][1]}" for call in calls if drawn[call][1]],
        "states": text,
    }


def code(name: str, values: Mapping[str, Any]) -> str:
    """The call that makes a picture.

    >>> code("view", {"T": 4.0, "kind": "soft"})
    "view(T=4.0, kind='soft')"
    """
    return f"{name}({', '.join(f'{key}={value!r}' for key, value in values.items())})"


def _thinner(scales: list[Scale], why: str, name: str) -> list[Scale]:
    fewer = thinned(scales)
    if fewer is None:
        raise ValueError(
            f"explore: {name} makes {why} for a page, and nothing is left to thin out: give "
            'page={"argument": [values]}, offer fewer choices, or draw less in a picture'
        )
    return fewer


def _own_ids(picture: str, prefix: str) -> str:
    """Ids, and what points to them, with a prefix of this explorer's own."""
    return _ID.sub(lambda match: match[1] + prefix, picture) if "id=" in picture else picture


def packed(states: Sequence[str]) -> str:
    """Compress pictures as text; a tag that several share is stored once.

    >>> len(packed(["<svg><rect/></svg>"] * 400)) < 600
    True
    """
    numbers: dict[str, int] = {}
    rows = [
        [numbers.setdefault(part, len(numbers)) for part in _TAGS.split(state)] for state in states
    ]
    text = json.dumps({"parts": list(numbers), "states": rows}, separators=(",", ":"))
    return base64.b64encode(gzip.compress(text.encode(), 9, mtime=0)).decode()
