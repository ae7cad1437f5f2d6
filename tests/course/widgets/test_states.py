"""The states of a live picture for a page: all there, thinned as documented, small, once each."""

import base64
import gzip
import json
from typing import Any

import numpy as np
import pytest

from distill_lab.course import widgets
from distill_lab.course.figures import explorer, svg
from distill_lab.course.widgets import states


def picture(T: float, alpha: float = 0.5, kind: str = "soft") -> svg.Svg:
    return svg.picture(100, 40, f"{kind} {T} {alpha}", svg.text(1, 20, T), svg.text(1, 30, alpha))


def shown(page: dict[str, Any] | None = None, **controls: Any) -> dict[str, Any]:
    view = widgets.explore(picture, page=page, **controls)
    bundle = view._repr_mimebundle_()
    data = bundle[0] if isinstance(bundle, tuple) else bundle
    return dict(data[states.MIME])


def pictures(stored: dict[str, Any]) -> list[str]:
    text = json.loads(gzip.decompress(base64.b64decode(stored["states"])))
    return ["".join(text["parts"][i] for i in row) for row in text["states"]]


def test_every_state_is_what_the_function_draws_in_the_order_of_the_controls() -> None:
    stored = shown(
        T=widgets.slider("T", 1.0, 2.0, value=1.5, step=0.5),
        alpha=widgets.steps("share", [("none", 0.0), ("all", 1.0)]),
        kind=widgets.choice("kind", ["soft", "hard"]),
    )
    expected = [
        str(picture(T, alpha, kind))
        for T in (1.0, 1.5, 2.0)
        for alpha in (0.0, 1.0)
        for kind in ("soft", "hard")
    ]
    assert pictures(stored) == expected
    assert stored["first"] == str(picture(1.5, 0.0, "soft"))
    assert [c["kind"] for c in stored["controls"]] == ["range", "range", "choice"]
    assert stored["controls"][1]["texts"] == ["none", "all"]
    assert stored["controls"][0]["code"] == ["1.0", "1.5", "2.0"]


def test_values_carry_no_binary_noise() -> None:
    [T] = shown(T=widgets.slider("T", 0.0, 9.0, step=0.1))["controls"]
    assert len(T["code"]) == 91
    assert max(map(len, T["code"])) == 3 and T["texts"][75] == "7.5"


@pytest.mark.parametrize(
    ("low", "high", "step", "count"), [(0.0, 1.0, 0.3, 4), (1.0, 20.0, 0.5, 39), (1, 12, 1, 12)]
)
def test_a_range_ends_where_its_slider_does(low, high, step, count) -> None:
    [T] = shown(T=widgets.slider("T", low, high, step=step))["controls"]
    assert len(T["texts"]) == count == T["of"]


def test_too_many_states_are_thinned_from_the_longest_control() -> None:
    stored = shown(
        T=widgets.slider("T", 1.0, 20.0, value=4.0, step=0.5),  # 39 values
        alpha=widgets.slider("alpha", 0.0, 1.0, value=0.9, step=0.05),  # 21
    )
    T, alpha = stored["controls"]
    assert (len(T["texts"]), len(alpha["texts"])) == (20, 11) and (T["of"], alpha["of"]) == (39, 21)
    assert T["code"][T["start"]] == "4.0" and alpha["code"][alpha["start"]] == "0.9"
    assert {"1.0", "20.0"} < set(T["code"]) and {"0.0", "1.0"} < set(alpha["code"])
    assert len(pictures(stored)) == 220 <= states.STATES


def test_the_page_s_values_can_be_chosen() -> None:
    alpha = widgets.slider("alpha", 0.0, 1.0, value=0.9, step=0.05)
    [T, kept] = shown(page={"alpha": [0, 0.5, 1]}, T=widgets.slider("T", 1, 3), alpha=alpha)[
        "controls"
    ]
    assert kept["code"] == ["0.0", "0.5", "1.0"] and kept["start"] == 2
    assert len(T["texts"]) == 3


@pytest.mark.parametrize(
    ("page", "words"),
    [
        ({"beta": [1]}, "page=.* names beta, but the controls are T"),
        ({"T": [1, 9]}, r"\[9\] of T, which it cannot take: choose from 1, 2"),
        ({"T": []}, "no value of T"),
        ({"T": [1, 1]}, "a value twice"),
    ],
)
def test_values_that_are_not_there_are_refused(page, words) -> None:
    with pytest.raises(ValueError, match=words):
        widgets.explore(picture, T=widgets.slider("T", 1, 5), page=page)


def test_large_pictures_are_thinned_to_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(states, "BYTES", 1500)
    stored = shown(T=widgets.slider("T", 0, 300, value=151))
    [T] = stored["controls"]
    assert len(stored["states"]) <= 1500 and 3 <= len(T["texts"]) < 301
    assert T["code"][T["start"]] == "151" and {"0", "300"} < set(T["code"])


def test_what_cannot_be_thinned_is_refused_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    many = widgets.choice("kind", [str(i) for i in range(401)])
    view = widgets.explore(picture, T=widgets.slider("T", 1, 2), kind=many)
    with pytest.raises(ValueError, match=r"802 pictures, more than 400 .* nothing is left to thin"):
        view._repr_mimebundle_()
    monkeypatch.setattr(states, "BYTES", 100)
    with pytest.raises(ValueError, match="bytes, more than 100"):
        shown(T=widgets.slider("T", 1, 2))


def test_in_the_lab_nothing_is_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("distill_lab.course.widgets.live.headless", lambda: False)
    bundle = widgets.explore(picture, T=widgets.slider("T", 1, 5))._repr_mimebundle_()
    data = bundle[0] if isinstance(bundle, tuple) else bundle
    assert states.MIME not in data


def test_a_state_that_cannot_be_drawn_is_named() -> None:
    def reciprocal(x):
        return svg.picture(10, 10, f"{1 / x}")

    view = widgets.explore(reciprocal, x=widgets.slider("x", -1, 1, value=1))
    bundle = view._repr_mimebundle_()
    data = bundle[0] if isinstance(bundle, tuple) else bundle
    assert data[states.MIME]["broken"] == ["reciprocal(x=0): ZeroDivisionError: division by zero"]
    assert 'role="alert"' in pictures(data[states.MIME])[1]


def test_two_pictures_share_no_id() -> None:
    def marked(T):
        inner = '<defs><g id="a"/></defs><use href="#a"/><rect fill="url(#a)" data-id="a"/>'
        return svg.picture(10, 10, f"{T}", inner)

    first, second = (
        widgets.explore(marked, T=widgets.slider("T", 1, 2))._repr_mimebundle_() for _ in range(2)
    )
    one, two = (
        (b[0] if isinstance(b, tuple) else b)[states.MIME]["first"] for b in (first, second)
    )
    name = one.split('<g id="')[1].split('"')[0]
    assert name.endswith("a") and f'href="#{name}"' in one and f"url(#{name})" in one
    assert f'"{name}"' not in two and 'data-id="a"' in one


def test_packing_pays_and_gives_the_same_bytes() -> None:
    teacher, student = [4.0, 2.0, 0.0, 1.0], [0.0, 1.0, 0.0, 2.0]
    drawn = [
        str(explorer.render_temperature(np.eye(8), teacher, student, 0, T=T, alpha=alpha / 10))
        for T in range(1, 20)
        for alpha in range(11)
    ]
    plain = base64.b64encode(gzip.compress(json.dumps(drawn).encode(), 9))
    packed = states.packed(drawn)
    assert packed == states.packed(drawn) and len(packed) < 0.8 * len(plain)
