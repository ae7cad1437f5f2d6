"""Live pictures: sliders that call a pure function and show the SVG or HTML string it returns.

`explore` is the whole idea: a control changes, `observe` hears of it, `render` makes a
string, one `HTML` widget shows it. Nothing is swallowed on the way, as happens in `interact`:
an error raised while a cell runs stops that cell, and one raised under the learner's hand stands
in the widget as a sentence. Headless, all states are drawn and put into the output, so that the
lesson's page stays alive: see `states`. `twin` shows the same function at three or four fixed
values, for pages that have no kernel behind them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any

import ipywidgets

from distill_lab.course.figures import svg
from distill_lab.course.journal import headless
from distill_lab.course.widgets import states
from distill_lab.course.widgets.controls import choice, slider, steps
from distill_lab.course.widgets.states import VIEW_BOX, tidy

__all__ = ["Explorer", "choice", "explore", "slider", "steps", "twin"]

Render = Callable[..., str]

_WORDS_HEIGHT = 64  # below the picture: the values as text and the call


class Explorer(ipywidgets.VBox):
    """Controls above one picture; made by `explore`.

    `controls` maps names to the control widgets, `picture` is the `HTML` widget below them,
    `call` the code that makes the present picture again.
    """

    def __init__(
        self,
        render: Render,
        controls: dict[str, ipywidgets.Widget],
        *,
        name: str,
        height: float | None = None,
        page: Mapping[str, Sequence[Any]] | None = None,
    ) -> None:
        self.render, self.controls, self.name = render, controls, name
        self._height = height
        self._scales = states.read_scales(controls, page)
        first = self._page()  # before anything is shown: an error belongs to the cell
        height = _height(first, name) if height is None else height
        look = {"height": f"{height + _WORDS_HEIGHT:.0f}px", "width": "100%"}
        look["margin"] = "2px 0"  # with more at its sides its right edge would be cut off
        self.picture = ipywidgets.HTML(first, layout=look)
        row = ipywidgets.Box(list(controls.values()), layout={"flex_flow": "row wrap"})
        # Without `overflow` Lab puts scroll bars around a page that is a hair too wide.
        super().__init__([row, self.picture], layout={"overflow": "hidden"})
        for control in controls.values():
            control.observe(self._changed, "value")

    @property
    def values(self) -> dict[str, Any]:
        """The controls' present values, with the noise of binary steps rounded away."""
        return {name: tidy(control.value) for name, control in self.controls.items()}

    @property
    def call(self) -> str:
        """The code that makes the present picture again."""
        return states.code(self.name, self.values)

    def _changed(self, change: object) -> None:
        try:
            self.picture.value = self._page()
        except Exception as error:  # shown here, then raised: a live kernel hides tracebacks
            self.picture.value = _undrawn(self.call, error)
            raise

    def _draw(self, values: dict[str, Any]) -> str:
        drawn = self.render(**values)
        if not isinstance(drawn, str):
            raise TypeError(
                f"{self.name} must return a string of SVG or HTML, got {type(drawn).__name__}: "
                "build it with distill_lab.course.figures.svg, or use plots.show for matplotlib"
            )
        return drawn

    def _page(self) -> str:
        drawn = self._draw(self.values)
        words = ", ".join(
            f"{_words(control.description)} = {_shown(control)}"
            for control in self.controls.values()
        )
        return f"{drawn}{_below(words, self.call)}"

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> Any:
        bundle = super()._repr_mimebundle_(include=include, exclude=exclude)
        words = f"{self.call}  # a live picture: run the notebook to move its controls"
        return in_words(bundle, words, self._states())

    def _states(self) -> dict[str, Any]:
        """What a page needs to answer without a kernel; nothing while somebody is at the lab."""
        if self._scales is None or not headless():
            return {}
        return {states.MIME: states.stored(self._ahead, self.name, self._scales, self._height)}

    def _ahead(self, values: dict[str, Any]) -> tuple[str, str]:
        try:
            return self._draw(values), ""
        except Exception as error:  # one state less; whoever makes the page says so
            message = f"{type(error).__name__}: {error}"
            return _undrawn(states.code(self.name, values), error), message


def explore(
    render: Render,
    *,
    call: str | None = None,
    height: float | None = None,
    page: Mapping[str, Sequence[Any]] | None = None,
    **controls: Any,
) -> Explorer:
    """Show `render(**values)` under one control for each of its arguments, live.

    Args:
        render: A pure function: the controls' values in, one string of SVG or HTML out. No training
            and no matplotlib inside.
        call: The name printed in the call that makes the picture again; None takes the function's.
        height: In pixels, fixed so that the page never jumps; None takes the SVG's view box.
        page: Argument to the values that the published page holds, such as `{"alpha": [0, 1]}`;
            an argument left out keeps all, thinned out where that makes too many pictures: see
            `widgets.states`.
        controls: Argument of `render` to its control.

    Returns:
        The widget, which shows itself.

    Raises:
        TypeError: If something is no control, or `render` returns no string.
        ValueError: If an argument does not fit; and whatever `render` raises at the first values.

    >>> def square(x): return svg.picture(100, 20, f"{x} squared is {x * x}")
    >>> view = explore(square, x=slider("x", 1, 9, value=3))
    >>> view.controls["x"].value = 4
    >>> view.call, "4 squared is 16" in view.picture.value
    ('square(x=4)', True)
    """
    if not controls:
        raise ValueError("explore needs at least one control, such as T=slider('T', 1.0, 20.0)")
    for name, control in controls.items():
        if not isinstance(control, ipywidgets.DOMWidget) or not control.has_trait("value"):
            raise TypeError(
                f"explore: {name} must be a control such as slider(...), steps(...) or "
                f"choice(...), got {control!r}"
            )
        if not control.description:
            raise ValueError(f"explore: the control {name} needs a label, the words beside it")
    name = str(call or getattr(render, "__name__", "<lambda>"))
    if not name.isidentifier():
        raise ValueError(
            "explore prints the call that makes the picture again, so render needs a name: "
            "define it with def, or pass call='its_name'"
        )
    return Explorer(render, controls, name=name, height=height, page=page)


class Twin(str):
    """HTML of pictures side by side that needs no kernel; shows itself at the end of a cell."""

    alt: str

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        return {"text/html": str(self), "text/plain": self.alt}


def twin(render: Render, **values: Any) -> Twin:
    """Show the same picture at a few fixed values, as plain HTML that needs no kernel.

    Args:
        render: The function of `explore`.
        values: Its arguments; exactly one is a list, of 2 to 8 values.

    Returns:
        The HTML, which shows itself; its `alt` joins those of the pictures.

    Raises:
        ValueError: If no argument is a list, or more than one.

    >>> def square(x): return svg.picture(100, 20, f"{x} squared is {x * x}")
    >>> print(twin(square, x=[1, 2, 3]).alt)
    1 squared is 1
    2 squared is 4
    3 squared is 9
    """
    lists = [name for name, value in values.items() if isinstance(value, list | tuple | range)]
    if len(lists) != 1 or not 2 <= len(values[lists[0]]) <= 8:
        raise ValueError(
            "twin needs exactly one argument with a list of 2 to 8 values, such as "
            f"T=[1, 2, 4, 8]; got {', '.join(f'{k}={v!r}' for k, v in values.items()) or 'none'}"
        )
    varied = lists[0]
    drawn = [(value, render(**{**values, varied: value})) for value in values[varied]]
    figures = "".join(
        f'<figure style="margin:0">{_caption(f"{varied} = {value}", picture)}{picture}</figure>'
        for value, picture in drawn
    )
    match = VIEW_BOX.search(drawn[0][1])
    least = 0.85 * float(match[1]) if match else 300  # a little smaller, if two then fit abreast
    columns = f"repeat(auto-fit,minmax(min(100%,{least:.0f}px),1fr))"
    page = Twin(
        f'<div style="display:grid;grid-template-columns:{columns};gap:12px">{figures}</div>'
    )
    page.alt = "\n".join(getattr(p, "alt", f"{varied} = {v}") for v, p in drawn)
    return page


def _caption(text: str, picture: str) -> str:
    """The value above a picture that does not say it itself."""
    is_there = f">{escape(text)}<" in picture
    return "" if is_there else f"<figcaption><code>{escape(text)}</code></figcaption>"


def _undrawn(call: str, error: BaseException) -> str:
    what = f"<code>{escape(call)}</code> could not be drawn."
    remedy = "Move the control back, or mend the function and run its cell again."
    return complaint(what, error, remedy)


def _shown(control: Any) -> str:
    if isinstance(control, ipywidgets.FloatSlider):
        return format(control.value, control.readout_format)
    return str(getattr(control, "label", None) or tidy(control.value))


def _words(description: str) -> str:
    return description.strip().rstrip(":")


def _height(page: str, name: str) -> float:
    match = VIEW_BOX.search(page)
    if match is None:
        raise ValueError(
            f"{name} returned no SVG with a view box to take the height from: "
            "pass height=…, in pixels, so that the page does not jump"
        )
    return float(match[2])


def _below(values: str, call: str) -> str:
    """The values as text, then the call; a live region, so that screen readers speak a change."""
    return (
        '<div style="line-height:1.5;margin-top:6px">'
        f'<div role="status" aria-live="polite" class="dl-values">{escape(values)}</div>'
        f'<div>the same as code: <code class="dl-call">{escape(call)}</code></div></div>'
    )


def in_words(bundle: Any, text: str, more: Mapping[str, Any] | None = None) -> Any:
    """A widget's display with plain words in it, for pages and terminals without a kernel."""
    data = bundle[0] if isinstance(bundle, tuple) else bundle
    data |= {"text/plain": text, **(more or {})}
    return bundle


def complaint(what: str, error: BaseException, remedy: str) -> str:
    """Write an error as HTML that a learner can read.

    Args:
        what: What went wrong, as HTML.
        error: The exception.
        remedy: What to do.

    Returns:
        The HTML.
    """
    message = escape(f"{type(error).__name__}: {error}")
    return (
        f'<div role="alert" style="border-left:4px solid {svg.TEACHER};padding:6px 12px;'
        f'line-height:1.5"><b>{what}</b><br>{message}<br>{escape(remedy)}</div>'
    )
