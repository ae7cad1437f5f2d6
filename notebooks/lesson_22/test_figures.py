"""The attention walk: what it draws, whose layer and head it shows, and what it refuses."""

import re

import numpy as np
import pytest
import torch

from distill_lab.course.figures import plots, svg
from distill_lab.course.widgets import twin
from lesson_22.figures import activation_figure, render_attention

WORDS = ["Anna: tea", "Ben: as Anna", "Ben?"]


def shares(layers: int, heads: int, length: int = 3, seed: int = 0) -> np.ndarray:
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randn(layers, heads, length, length, generator=generator)
    return (3 * drawn).softmax(-1).numpy()


def test_one_head_of_each_with_its_words_and_shares():
    teacher, student = shares(2, 4), shares(2, 4, seed=1)
    drawn = render_attention(WORDS, teacher, student, layer=2, head=3)
    assert drawn == render_attention(WORDS, teacher, student, layer=2, head=3)
    assert "teacher, layer 2, head 3" in drawn and "student, layer 2, head 3" in drawn
    for map_ in (teacher, student):
        for share in map_[1, 2, 2]:
            assert f">{100 * share:.0f} %<" in drawn
    best = WORDS[int(teacher[1, 2, 2].argmax())]
    assert f"Ben? reads: teacher mostly '{best}'" in drawn.alt
    apart = np.abs(teacher[1, 2] - student[1, 2]).sum(-1).mean() / 2
    assert f"differ by {apart:.2f}" in drawn.alt


def test_fewer_layers_and_heads_show_what_stands_for_them():
    teacher, student = shares(6, 4), shares(2, 2, seed=1)
    mean = student.mean(1)
    for layer, beside in ((1, 1), (3, 1), (4, 2), (6, 2)):
        drawn = render_attention(WORDS, teacher, student, layer=layer, head=4)
        assert f"student, layer {beside}, mean of 2 heads" in drawn
        assert f">{100 * mean[beside - 1, 2, 0]:.0f} %<" in drawn


def test_the_same_map_twice_differs_by_nothing_and_the_looks_keep_their_roles():
    same = shares(1, 1)
    drawn = render_attention(WORDS, same, same, layer=1, head=1)
    assert "differ by 0.00" in drawn.alt
    lines = re.findall(r'<path d="M[^"]+" fill="none" stroke="(#[0-9A-F]+)"([^>]*)/>', drawn)
    of = {role: [rest for c, rest in lines if c == role] for role in (svg.TEACHER, svg.STUDENT)}
    assert of[svg.TEACHER] and not any("dasharray" in rest for rest in of[svg.TEACHER])
    assert of[svg.STUDENT] and all("dasharray" in rest for rest in of[svg.STUDENT])


def test_the_focus_can_be_any_word():
    one = np.eye(3)[None, None]
    drawn = render_attention(WORDS, one, one, layer=1, head=1, focus=0)
    assert "Anna: tea reads: teacher mostly 'Anna: tea', 100 %" in drawn.alt


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"layer": 3}, "layer must lie between 1 and 2, got 3"),
        ({"head": 0}, "head must lie between 1 and 4, got 0"),
        ({"focus": 3}, "focus must lie between 0 and 2, got 3"),
        ({"student": shares(2, 4)[0]}, r"student's attention must be \(layers, heads, 3, 3\)"),
        ({"teacher": 2 * shares(2, 4)}, "teacher's attention must be shares that sum to one"),
        ({"teacher": np.log(shares(2, 4))}, "take the softmax of the scores, over the keys, once"),
        ({"words": ["alone"]}, "expected 2 to 24 words, got 1"),
    ],
)
def test_what_cannot_be_drawn_is_refused_in_words(change, words):
    given = {"words": WORDS, "teacher": shares(2, 4), "student": shares(2, 4, seed=1)}
    asked = given | {"layer": 1, "head": 1} | change
    with pytest.raises(ValueError, match=words):
        render_attention(asked.pop("words"), asked.pop("teacher"), asked.pop("student"), **asked)


def test_it_makes_twins_and_stays_small():
    teacher, student = shares(2, 4, 24), shares(2, 4, 24, seed=1)
    words = [f"word {i}" for i in range(24)]

    def view(layer):
        return render_attention(words, teacher, student, layer=layer, head=1)

    assert "Layer 2, head 1" in twin(view, layer=[1, 2]).alt
    assert len(view(1)) < 150_000


def test_activation_maps_stand_under_their_pictures():
    pictures = torch.rand(3, 1, 8, 8)
    maps = [("teacher", [torch.rand(3, 8, 8), torch.rand(3, 4, 4)])]
    figure = activation_figure(pictures, maps)
    labels = [axes.get_ylabel() for axes in figure.axes if axes.get_ylabel()]
    assert labels == ["picture", "teacher\nstage 1", "teacher\nstage 2"]
    assert len(figure.axes) == 9 and plots.to_svg(figure, "maps").startswith("<?xml")
