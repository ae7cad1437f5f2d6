"""The live figures of lesson 41: what they measure, what the stored story shows, its making."""

import math
import re
from itertools import pairwise

import numpy as np
import pytest
import torch

pytest.importorskip("transformers", reason="the storytellers are Hugging Face models")

from distill_lab.course import stored
from lesson_41 import figures, gift_stories, live, make, pointer


@pytest.fixture(scope="module")
def story():
    return pointer.load_story()


# --- the bell ------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", [(-3.0, 1.0), (-0.5, 3.0), (2.0, 0.75)])
def test_the_divergences_are_those_of_the_integrals(place):
    mean, width = place
    x = np.linspace(-40, 40, 400_001)
    p = sum(
        w * np.exp(-0.5 * (x - m) ** 2) / math.sqrt(2 * math.pi) for w, m in ((0.6, -3), (0.4, 3))
    )
    q = np.exp(-0.5 * ((x - mean) / width) ** 2) / width / math.sqrt(2 * math.pi)

    def kl(a, b):
        floor = 1e-300  # 0 log 0 = 0
        return float((a * np.log(np.maximum(a, floor) / np.maximum(b, floor))).sum() * 2e-4)

    middle = (p + q) / 2
    assert live.divergence(0.0, *place) == pytest.approx(kl(p, q), abs=2e-2)
    assert live.divergence(1.0, *place) == pytest.approx(kl(q, p), abs=2e-3)
    half = (kl(p, middle) + kl(q, middle)) / 2
    assert live.divergence(0.5, *place) == pytest.approx(half, abs=2e-3)


@pytest.mark.parametrize("beta", live.NAMES)
def test_no_state_of_the_sliders_is_below_the_minimum_and_one_is_near_it(beta):
    least = live.bell_minimum(beta)[0]
    values = [
        live.divergence(beta, mean, width)
        for mean in np.arange(-5, 5.1, 0.5)
        for width in np.arange(0.75, 4.6, 0.25)
    ]
    assert least - 1e-9 <= min(values) <= least + live.NEAR


def test_the_bell_gives_its_values_in_words_and_marks_what_is_reached():
    picture = live.render_bell(-3.0, 1.0)
    assert "reverse KL 0.51 nats, minimum 0.51 at −3.0, 1.0, reached" in picture.alt
    assert picture.count("✓") == 1 and "→" in picture  # forward KL leaves the scale
    assert live.render_bell(5.0, 4.5).count("✓") == 0


# --- the story -----------------------------------------------------------------------------------


def test_what_the_text_states_of_the_stored_story(story):
    assert gift_stories.is_right(" ".join(story.tokens[:-1])) and story.tokens[-1] == "<end>"
    assert story.tokens[0] in make.RARE  # the rule by which it was chosen
    giver = story.words.index(story.tokens[0])
    without, bucket, draws = (story.student(0, 3, way)[giver] for way in pointer.WAYS)
    teacher = story.teacher[0, giver]
    assert without < 0.01 < 0.5 * teacher < bucket and abs(draws - teacher) < 0.02


def test_every_distribution_sums_to_one_and_targets_are_what_they_are_named(story):
    for rows in (story.teacher, story.students):
        torch.testing.assert_close(rows.sum(-1), torch.ones_like(rows[..., 0]), atol=3e-3, rtol=0)
    for k in pointer.KEPT:
        for position in range(len(story.tokens)):
            target, rest = story.kept(position, k, "drop")
            assert int((target > 0).sum()) == k and rest == 0
            assert float(target.sum()) == pytest.approx(1, abs=1e-5)
            target, rest = story.kept(position, k, "bucket")
            top = story.teacher[position].topk(k).values.sum()
            assert rest == pytest.approx(1 - float(top), abs=5e-3)
            target, rest = story.kept(position, k, "draw")
            assert int((target > 0).sum()) <= k
            assert float(target.sum()) == pytest.approx(1, abs=1e-5)


def test_another_way_to_keep_is_refused(story):
    with pytest.raises(ValueError, match="expected one of drop, bucket, draw"):
        story.kept(0, 3, "forget")


def test_the_story_gives_its_values_in_words(story):
    picture = live.render_story(story, 0, 3, "drop")
    assert picture.alt.startswith("word 1: Mia, k = 3, tail: drop. One: teacher 47 %, kept 63 %")
    last = live.render_story(story, len(story.tokens) - 1, 8, "bucket")
    assert last.alt.startswith(f"word {len(story.tokens)}: end")
    assert 'viewBox="0 0 470' in picture and picture == live.render_story(story, 0, 3, "drop")


def test_no_word_of_the_story_touches_the_next(story):
    """Widths of the letters at size 13, as a usual sans-serif font has them, at most."""
    picture = live.render_story(story, len(story.tokens) - 1, 8, "bucket")
    words = re.findall(r'<text x="([\d.]+)" y="(52|78|104)"[^>]*>([^<]+)<', picture)
    assert len(words) == len(story.tokens)
    for (x, y, word), (after, line, _) in pairwise(words):
        wide = sum({"m": 12.7, "w": 10.7}.get(c, 3.7 if c in "il." else 8.3) for c in word)
        assert line != y or float(x) + wide + 2 <= float(after), word


def test_all_states_fit_a_page(story):
    assert len(story.tokens) * len(pointer.KEPT) * len(pointer.WAYS) <= 400


@pytest.mark.slow
def test_the_making_gives_a_file_that_can_be_read(tmp_path, monkeypatch, story):
    monkeypatch.setattr(make, "KEPT", (3,))
    monkeypatch.setattr(make, "WAYS", ("bucket",))
    few = make.SETTINGS | {"seeds": 1, "stories": 32, "steps": 2}
    make.make(tmp_path / pointer.FILE, few)
    made = stored.load(pointer.FILE, folder=tmp_path)
    assert made["tokens"] == story.tokens and made["settings"]["steps"] == 2
    assert np.allclose(made["teacher"], story.teacher, atol=0.05)
    assert np.shape(made["students"]["bucket"]) == (1, *story.teacher.shape)


def test_the_hills_are_a_density():
    assert figures.hills(3.0).sum() * figures.STEP == pytest.approx(1, abs=1e-6)
