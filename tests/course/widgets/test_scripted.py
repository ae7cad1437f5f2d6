"""A lesson's own script: found, packed with its data, refused in words."""

import base64
import gzip
import json

import numpy as np
import pytest
import torch

from distill_lab.course.check import check
from distill_lab.course.widgets import scripted

SCRIPT = "export function mount(root, data) { root.textContent = data.words; }\n"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "draw.js").write_text(SCRIPT)
    (tmp_path / "empty.js").write_text("function mount() {}\n")
    monkeypatch.setattr(check, "folder", tmp_path)
    return tmp_path


def held(html: str) -> dict:
    packed = html.split("scripted+base64")[1].split(">")[1].split("<")[0]
    return json.loads(gzip.decompress(base64.b64decode(packed)))


def test_the_script_and_its_data_are_in_the_figure(folder):
    figure = scripted("draw.js", data={"words": "a </script> b"}, alt="two <words>", height=80)
    assert held(figure) == {"code": SCRIPT, "data": {"words": "a </script> b"}}
    assert 'aria-label="two &lt;words&gt;"' in figure and "min-height:80px" in figure
    assert "<p>two &lt;words&gt;</p>" in figure, "without a still picture the words stand there"
    assert figure._repr_mimebundle_()["text/plain"] == "two <words>"
    svg = "<svg><title>still</title></svg>"
    assert svg in scripted("draw.js", data={}, alt="x", height=80, still=svg)


@pytest.mark.parametrize(
    ("array", "kind"),
    [
        (torch.tensor([[1.5, -2.0], [0.1, 3.0]]), "f4"),
        (np.array([0.1, 1e-3]), "f4"),
        (np.array([[1, 2, 255]], dtype=np.uint8), "u1"),
        (np.array([-3, 4], dtype=np.int16), "i2"),
        (torch.tensor([1, 70000]), "i4"),
        (np.array([True, False]), "u1"),
        (np.arange(6.0).reshape(2, 3).T, "f4"),
    ],
)
def test_arrays_keep_their_numbers_and_their_shape(folder, array, kind):
    stored = held(scripted("draw.js", data={"w": array}, alt="x", height=1))["data"]["w"]
    assert (stored["__array__"], stored["shape"]) == (kind, list(array.shape))
    again = np.frombuffer(base64.b64decode(stored["base64"]), f"<{kind}").reshape(stored["shape"])
    assert np.array_equal(again, np.asarray(array).astype(kind))


def test_a_large_array_takes_little_more_than_its_bytes(folder):
    weights = torch.randn(20_000)
    assert len(scripted("draw.js", data={"w": weights}, alt="x", height=1)) < 4 * 20_000 * 1.45


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"script": "none.js"}, "no script 'none.js' in"),
        ({"script": "empty.js"}, "export function mount"),
        ({"alt": " "}, "needs alt="),
        ({"height": 0}, "height is in pixels"),
        ({"data": {"x": float("nan")}}, "must be finite"),
        ({"data": {"x": np.array([np.inf])}}, "NaN or infinity"),
        ({"data": {"x": np.array([2**40])}}, "beyond 32 bits"),
        ({"data": {"x": np.array(["a"])}}, "must be finite numbers|array of"),
        ({"data": {"x": {1, 2}}}, "set is neither"),
    ],
)
def test_bad_input_is_refused_in_words(folder, wrong, words):
    good = {"script": "draw.js", "data": {}, "alt": "x", "height": 80}
    given = good | wrong
    with pytest.raises(ValueError, match=words):
        scripted(given.pop("script"), **given)


def test_without_a_lesson_it_says_so(monkeypatch):
    monkeypatch.setattr(check, "folder", None)
    with pytest.raises(ValueError, match=r"no lesson is open: run the cell with Lesson"):
        scripted("draw.js", data={}, alt="x", height=80)
