"""Lesson 48's pieces on cases with known answers; its pictures say their numbers."""

import itertools
import json
import math
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from distill_lab.losses import forward_kl, total_variation
from lesson_48 import drawings, experiments, language, parcels, speculation
from lesson_48.figures import FIVE, draft_of, measures, render_overlap, render_speed

NOTEBOOK = Path(__file__).resolve().parents[1] / "48_drafts.ipynb"


def test_a_table_has_a_distribution_for_each_prefix() -> None:
    table = experiments.tables(3, 4, seed=0)
    assert len(table) == 40
    assert all(torch.allclose(row.sum(), torch.ones((), dtype=row.dtype)) for row in table.values())
    total = sum(
        math.prod(table[text[:i]][x].item() for i, x in enumerate(text))
        for text in itertools.product(range(3), repeat=4)
    )
    assert total == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("drafts", [1, 2, 3])
@pytest.mark.parametrize("seed", range(3))
def test_every_sequence_has_the_probability_that_the_target_gives(drafts: int, seed: int) -> None:
    """The notebook's own recursion over 81 sequences, with other tables and other drafts."""
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    source = {cell["id"]: "".join(cell["source"]) for cell in cells}
    names = {
        "torch": torch,
        "Counter": Counter,
        "LENGTH": 4,
        "DRAFTS": drafts,
        "target_table": experiments.tables(3, 4, seed=seed),
        "draft_table": experiments.tables(3, 4, seed=seed + 50),
    }
    exec(source["pass-rule"] + "\n" + source["write-all"], names)
    exact = {
        text: math.prod(names["target_table"][text[:i]][x].item() for i, x in enumerate(text))
        for text in itertools.product(range(3), repeat=4)
    }
    assert names["write_all"]((), drafts, names["right_rule"]) == pytest.approx(exact, abs=1e-12)
    wrong = names["write_all"]((), drafts, lambda p, q: (names["right_rule"](p, q)[0], p / 2))
    assert wrong != pytest.approx(exact, abs=1e-3)


def test_draws_follow_their_weights_and_their_seed() -> None:
    draw = experiments.Draw(3)
    assert [experiments.Draw(3)(torch.ones(5)) for _ in range(3)] == [draw(torch.ones(5))] * 3
    assert {draw(torch.tensor([0.0, 2.0, 0.0])) for _ in range(5)} == {1}
    assert all(0 <= draw.uniform() < 1 for _ in range(20))


def test_drafts_fitted_at_once_are_those_fitted_alone() -> None:
    targets = experiments.draw_targets(2, seed=3)
    options = {"steps": 30, "seed": 5}
    one = experiments.fit_drafts(targets[:1], forward_kl, settings=[(2, 0.1)], **options)
    both = experiments.fit_drafts(targets, forward_kl, settings=[(1, 0.03), (2, 0.1)], **options)
    assert both.shape == (2, 2, 40, 12)
    assert torch.allclose(one[0, 0], both[1, 0], atol=1e-3)
    alone = both[0, 0] - both[0, 0].mean(0)
    assert torch.linalg.matrix_rank(alone, atol=1e-4) <= 1, "a bias and rank 1"


def test_a_draft_of_rank_11_can_copy_its_target() -> None:
    targets = experiments.draw_targets(1, seed=1)
    drafts = experiments.fit_drafts(targets, forward_kl, settings=[(11, 0.1)], steps=600)
    assert experiments.acceptance(drafts, targets).item() > 98


def test_acceptance_is_one_minus_total_variation() -> None:
    z, t = experiments.draw_targets(2, seed=7)
    both = experiments.acceptance(z, t) / 100 + total_variation(z, t)
    assert both.item() == pytest.approx(1, abs=1e-6)
    assert experiments.acceptance(t, t).item() == pytest.approx(100)
    assert experiments.forward_kl_of(z, t).item() == pytest.approx(
        forward_kl(z, t).item(), rel=1e-5
    )


@pytest.mark.parametrize(("a", "c", "n", "value"), [(0.5, 0.5, 2, 0.875), (1.0, 1.0, 7, 1.0)])
def test_the_speed_of_a_draft(a: float, c: float, n: int, value: float) -> None:
    assert experiments.speed(a, c, n) == pytest.approx(value)


def test_stories_keep_their_rules() -> None:
    for story in parcels.draw(50, seed=2):
        words = story.split()
        assert len(words) == 33
        sender, friend, gift = words[0], words[11], words[8:10]
        assert sender != friend and words[5] == sender and words[27] == sender
        assert words[13] == friend and words[23] == friend and words[20:22] == gift
    ids, labels = parcels.as_ids(parcels.draw(3, seed=2))
    assert ids.shape == labels.shape == (3, 35)
    assert (labels[:, 0] == -100).all() and (ids[:, -1] == 2).all()


class Table(nn.Module):
    """A model whose next token depends on the last one alone; it has no cache to speak of."""

    def __init__(self, logits: torch.Tensor) -> None:
        super().__init__()
        self.table = logits

    def forward(self, ids, past_key_values=None, use_cache=True):
        return SimpleNamespace(logits=self.table[ids], past_key_values=None)


def test_speculative_writing_has_the_targets_distribution() -> None:
    generator = torch.Generator().manual_seed(0)
    p, q = (1.5 * torch.randn(4, 4, generator=generator) for _ in range(2))
    target = language.Target("a table", Table(p), start=1, end=9, longest=2, words=str)
    counts = torch.zeros(4, 4)
    n = 3000
    for _ in range(n):
        written = speculation.speculative(target, Table(q), 2, generator)
        counts[tuple(written.ids[0, 1:].tolist())] += 1
    exact = p.softmax(-1)[1][:, None] * p.softmax(-1)
    error = (counts / n - exact).abs() / (exact * (1 - exact) / n).sqrt()
    assert error.max() < 4.5, "standard errors, over 16 sequences"


def test_a_perfect_draft_is_always_accepted() -> None:
    generator = torch.Generator().manual_seed(1)
    model = Table(torch.randn(4, 4, generator=generator))
    target = language.Target("a table", model, start=1, end=9, longest=12, words=str)
    written = speculation.speculative(target, model, 3, generator)
    assert written.tokens == 12 and written.passes == 3 and written.accepted == 9


def test_a_race_counts_the_tokens_of_a_pass_and_times_each_way() -> None:
    model = Table(torch.randn(4, 4, generator=torch.Generator().manual_seed(1)))
    target = language.Target("a table", model, start=1, end=9, longest=12, words=str)
    result = speculation.race(target, {"perfect": [model] * 3}, n=3, texts=2, seed=0)
    assert result.tokens_per_pass["perfect"].tolist() == [4.0] * 3
    assert result.cost["perfect"] > 1
    assert result.speed("perfect").tolist() == pytest.approx([4 / result.cost["perfect"]] * 3)


def test_one_slow_text_does_not_decide_a_race(monkeypatch: pytest.MonkeyPatch) -> None:
    """The seconds of a turn are compared within it, and a turn that was disturbed is outvoted."""
    ids = torch.zeros(1, 13, dtype=torch.long)
    slow = itertools.cycle([1.0, 1.0, 50.0])
    monkeypatch.setattr(speculation, "plain", lambda *_: speculation.Written(ids, 12, 0, 1.2))
    monkeypatch.setattr(
        speculation, "speculative", lambda *_: speculation.Written(ids, 3, 9, 0.6 * next(slow))
    )
    result = speculation.race(None, {"draft": [None] * 2}, n=3, texts=3, seed=0)
    assert result.cost["draft"] == pytest.approx(2)
    assert result.speed("draft").tolist() == pytest.approx([2, 2])


def test_the_pictures_say_what_they_show() -> None:
    assert draft_of(0.3, 0.01).sum().item() == pytest.approx(1)
    assert measures(draft_of(0.0, 1.0)) == pytest.approx((1.0, 0.0, 0.0), abs=1e-9)
    view = render_overlap(0.2, 1.0)
    assert "80 % of the drafted tokens are accepted" in view.alt
    assert all(word in view for word in FIVE)
    assert "1.00 times as fast, = no difference" in render_speed(1.0, 1.0, 4).alt
    assert "costs time" in render_speed(0.1, 0.5, 2).alt
    for a, c, n in itertools.product((0.0, 1.0), (0.05, 1.0), (1, 8)):
        render_speed(a, c, n)


def test_the_drawings_keep_their_laws() -> None:
    for drawing in (drawings.one_pass(), drawings.two_parts()):
        assert len(drawing.alt.split()) > 30
