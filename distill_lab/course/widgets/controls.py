"""The controls of the live pictures: each with its name and its value in sight."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import ipywidgets
from traitlets import CFloat, CInt


# Without `echo_update` the kernel repeats each new value to the browser that sent it, one more
# message in front of the picture. The echo serves only a notebook open in two windows at once.
class QuickFloatSlider(ipywidgets.FloatSlider):
    """ipywidgets' slider, less the echo of its value."""

    value = CFloat(0.0).tag(sync=True, echo_update=False)


class QuickIntSlider(ipywidgets.IntSlider):
    """ipywidgets' slider of whole numbers, less the echo of its value."""

    value = CInt(0).tag(sync=True, echo_update=False)


def slider(
    label: str, low: float, high: float, *, value: float | None = None, step: float | None = None
) -> ipywidgets.FloatSlider | ipywidgets.IntSlider:
    """Make a slider with its name and value as text; arrow keys move it.

    Args:
        label: The name a learner sees.
        low: The lowest value.
        high: The highest value.
        value: The first value; None for `low`.
        step: The distance of two values; None for a hundredth of the way, or 1 where all numbers
            are whole, which makes a slider of whole numbers.

    Returns:
        The control.

    Raises:
        ValueError: If the numbers do not fit together.

    >>> slider("temperature T", 1.0, 20.0, value=4.0, step=0.5).value
    4.0
    """
    value = low if value is None else value
    integral = all(isinstance(v, int) for v in (low, high, value, 1 if step is None else step))
    step = (1 if integral else (high - low) / 100) if step is None else step
    if not low < high or not low <= value <= high or not 0 < step <= high - low:
        raise ValueError(
            f"slider {label!r}: expected low <= value <= high and a step that fits between them, "
            f"got low={low}, high={high}, value={value}, step={step}"
        )
    kind = QuickIntSlider if integral else QuickFloatSlider
    extra = {} if integral else {"readout_format": f".{_decimals(low, step)}f"}
    return kind(min=low, max=high, value=value, step=step, **extra, **_look(label, "arrow keys"))


def steps(label: str, values: Iterable[Any], *, value: Any = None) -> ipywidgets.SelectionSlider:
    """Make a slider over a few fixed values, such as those of a stored sweep.

    Args:
        label: The name a learner sees.
        values: The values, or (name, value) pairs.
        value: The first value; None for the first of `values`.

    Returns:
        The control.

    Raises:
        ValueError: If there are no values, or `value` is none of them.

    >>> steps("temperature T", [1, 2, 4, 8], value=4).value
    4
    """
    options, value = _options(label, values, value)
    return ipywidgets.SelectionSlider(options=options, value=value, **_look(label, "arrow keys"))


def choice(label: str, values: Iterable[Any], *, value: Any = None) -> ipywidgets.ToggleButtons:
    """Make a row of buttons; Tab moves along, Space or Enter chooses.

    No drop-down menu: JupyterLab takes the arrow keys and letters that a menu lives on for its
    own, so that one key moves to the next cell and another inserts a new one.

    Args:
        label: The name a learner sees.
        values: The values, or (name, value) pairs.
        value: The first value; None for the first of `values`.

    Returns:
        The control.

    Raises:
        ValueError: If there are no values, or `value` is none of them.

    >>> choice("teacher", ["small", "large"]).value
    'small'
    """
    options, value = _options(label, values, value)
    look = _look(label, "Tab and Space") | {"tooltips": [f"{label}: {o}" for o in _names(options)]}
    look["style"] = {"description_width": "initial", "button_width": "auto"}
    # The name beside the buttons, as a slider's; above them where there is no room.
    look["layout"] |= {"display": "flex", "flex_flow": "row wrap", "align_items": "baseline"}
    look["layout"] |= {"min_width": "auto", "grid_gap": "0 6px"}
    return ipywidgets.ToggleButtons(options=options, value=value, **look)


def _look(label: str, keys: str) -> dict[str, Any]:
    """The name in sight, since a slider's handle has no accessible name of its own."""
    if not label.strip():
        raise ValueError("a control needs a label, got none: it is the only name a learner sees")
    least = max(26, 18 + 0.6 * len(label))  # a long name must not eat the way of the handle
    return {
        "description": label,
        "tooltip": f"{label}: {keys}",
        "style": {"description_width": "initial"},  # the whole name, never cut off
        "layout": {
            "width": "auto",
            "min_width": f"min(100%, {least:.0f}em)",
            "margin": "2px 2em 2px 0",
        },
    }


def _options(label: str, values: Iterable[Any], value: Any) -> tuple[list[Any], Any]:
    options = list(values)
    if not options:
        raise ValueError(f"{label!r} needs at least one value to choose from, got none")
    plain = [o[1] if isinstance(o, tuple) and len(o) == 2 else o for o in options]
    value = plain[0] if value is None else value
    if value not in plain:
        raise ValueError(f"{label!r}: {value!r} is not one of {plain}: start at one of them")
    return options, value


def _names(options: list[Any]) -> list[Any]:
    return [o[0] if isinstance(o, tuple) and len(o) == 2 else o for o in options]


def _decimals(*numbers: float) -> int:
    """How many decimals show every one of `numbers` (at most 4)."""
    return next((d for d in range(4) if all(abs(round(n, d) - n) < 1e-9 for n in numbers)), 4)
