"""The live pictures without a browser: move a control, look at the picture."""

import re

import ipywidgets
import pytest

from distill_lab.course import widgets
from distill_lab.course.figures import svg


def square(x: float) -> svg.Svg:
    if x == 7:
        raise ValueError("7 <cannot> be squared today")
    return svg.picture(100, 40, f"{x:g} squared is {x * x:g}")


def view(**extra) -> widgets.Explorer:
    control = widgets.slider("number x", 1.0, 9.0, value=3.0, step=0.5)
    return widgets.explore(square, x=control, **extra)


def test_moving_the_slider_changes_the_picture_the_value_and_the_call() -> None:
    live = view()
    assert "3 squared is 9" in live.picture.value
    live.controls["x"].value = 4.5
    assert "4.5 squared is 20.25" in live.picture.value
    assert "number x = 4.5" in live.picture.value
    assert "square(x=4.5)" in live.picture.value
    assert eval(live.call, {"square": square}) == square(4.5)


def test_it_is_one_widget_that_changes() -> None:
    live, changes = view(), []
    for widget in (*live.children, live):
        widget.observe(lambda change: changes.append(change["name"]))
    live.controls["x"].value = 5.0
    assert changes == ["value"]


def test_the_height_is_fixed() -> None:
    live = view()
    height = live.picture.layout.height
    assert int(height.removesuffix("px")) >= 40
    live.controls["x"].value = 9.0
    assert live.picture.layout.height == height


def test_a_long_name_leaves_the_handle_its_way() -> None:
    short, long = (widgets.slider(name, 0, 9).layout.min_width for name in ("T", "T" * 40))
    assert (short, long) == ("min(100%, 26em)", "min(100%, 42em)")


def test_an_error_at_the_first_value_stops_the_cell() -> None:
    with pytest.raises(ValueError, match="squared today"):
        widgets.explore(square, x=widgets.slider("x", 1.0, 9.0, value=7.0))


def test_an_error_later_is_shown_and_raised_and_mended() -> None:
    live = view()
    with pytest.raises(ValueError, match="squared today"):
        live.controls["x"].value = 7.0
    assert 'role="alert"' in live.picture.value
    assert "7 &lt;cannot&gt; be squared today" in live.picture.value
    live.controls["x"].value = 6.0
    assert "6 squared is 36" in live.picture.value
    assert "alert" not in live.picture.value


def test_binary_noise_stays_out_of_the_call() -> None:
    live = widgets.explore(square, x=widgets.slider("x", 0.0, 1.0, value=0.0, step=0.1))
    live.controls["x"].value = 0.1 + 0.2
    assert live.call == "square(x=0.3)"


def test_several_controls_of_every_kind() -> None:
    def show(n, kind, T):
        return svg.picture(10, 10, f"{n} {kind} {T}")

    live = widgets.explore(
        show,
        n=widgets.slider("how many", 1, 5),
        kind=widgets.choice("kind", [("the large one", "large"), ("the small one", "small")]),
        T=widgets.steps("temperature T", [1, 4, 16], value=4),
    )
    assert live.call == "show(n=1, kind='large', T=4)"
    live.controls["kind"].value = "small"
    live.controls["T"].value = 16
    assert "1 small 16" in live.picture.value
    assert "how many = 1, kind = the small one, temperature T = 16" in live.picture.value


def test_every_control_names_itself_whole() -> None:
    for control in (
        widgets.slider("a rather long name", 0.0, 1.0),
        widgets.steps("a rather long name", [1, 2]),
        widgets.choice("a rather long name", [1, 2]),
    ):
        assert control.description == "a rather long name"
        assert "a rather long name" in control.tooltip
        assert control.style.description_width == "initial"


def test_whole_numbers_make_a_slider_of_whole_numbers() -> None:
    assert isinstance(widgets.slider("n", 1, 5), ipywidgets.IntSlider)
    assert widgets.slider("alpha", 0.0, 1.0, step=0.05).readout_format == ".2f"


def test_without_a_kernel_the_call_is_said() -> None:
    bundle = view()._repr_mimebundle_()
    data = bundle[0] if isinstance(bundle, tuple) else bundle
    assert data["text/plain"].startswith("square(x=3.0)")
    assert "application/vnd.jupyter.widget-view+json" in data


def test_the_twin_is_plain_pictures_of_the_same_function() -> None:
    page = widgets.twin(square, x=[1, 2, 4])
    assert page.count("<svg") == 3
    assert str(square(4)) in page
    assert re.findall("<code>(.*?)</code>", page) == ["x = 1", "x = 2", "x = 4"]
    bundle = page._repr_mimebundle_()
    assert bundle["text/plain"].splitlines()[-1] == "4 squared is 16"
    assert set(bundle) == {"text/html", "text/plain"}


@pytest.mark.parametrize(
    ("wrong", "error", "words"),
    [
        (lambda: widgets.slider("T", 5.0, 1.0), ValueError, "low <= value <= high"),
        (lambda: widgets.slider("T", 1.0, 5.0, value=9.0), ValueError, "value=9.0"),
        (lambda: widgets.slider("T", 1.0, 5.0, step=0.0), ValueError, "step=0.0"),
        (lambda: widgets.slider(" ", 1.0, 5.0), ValueError, "needs a label"),
        (lambda: widgets.choice("kind", []), ValueError, "at least one value"),
        (lambda: widgets.steps("T", [1, 2], value=3), ValueError, r"3 is not one of \[1, 2\]"),
        (lambda: widgets.explore(square), ValueError, "at least one control"),
        (lambda: widgets.explore(square, x=3), TypeError, "x must be a control"),
        (
            lambda: widgets.explore(lambda x: square(x), x=widgets.slider("x", 1, 2)),
            ValueError,
            "define it with def",
        ),
        (
            lambda: widgets.explore(square, x=ipywidgets.FloatSlider()),
            ValueError,
            "control x needs a label",
        ),
        (
            lambda: widgets.explore(print, x=widgets.slider("x", 1, 2)),
            TypeError,
            "'x' is an invalid|unexpected keyword",
        ),
        (
            lambda: widgets.explore(dict, x=widgets.slider("x", 1, 2)),
            TypeError,
            "must return a string of SVG or HTML, got dict",
        ),
        (
            lambda: widgets.explore("<b>{x}</b>".format, x=widgets.slider("x", 1, 2)),
            ValueError,
            "pass height=",
        ),
        (lambda: widgets.twin(square, x=3), ValueError, "exactly one argument with a list"),
        (lambda: widgets.twin(square, x=[1]), ValueError, "2 to 8 values"),
    ],
)
def test_bad_input_is_refused_in_words(wrong, error, words) -> None:
    with pytest.raises(error, match=words):
        wrong()
