"""Lesson 22's pieces: the table of orders and its answers, the reader, its look, the losses."""

import math
from pathlib import Path

import nbformat
import pytest
import torch

from distill_lab.data import datasets
from distill_lab.losses import minilm_relation_loss, tinybert_attention_loss
from distill_lab.models import SmallCNN
from distill_lab.models.hooks import Tap
from lesson_22 import experiments


def served(table: torch.Tensor) -> str:
    """What the asked guest gets, read off the words alone."""
    *guests, question = experiments.as_words(table)
    statements = dict(guest.split(": ") for guest in guests)
    order = statements[question.removesuffix("?")]
    return statements[order.removeprefix("as ")] if order.startswith("as ") else order


def test_the_labels_are_what_the_words_say():
    exam = experiments.orders(300, seed=5)
    assert exam.inputs.shape == (300, 7, 2)
    assert [experiments.DRINKS[label] for label in exam.labels] == [served(t) for t in exam.inputs]
    following = sum("as " in " ".join(experiments.as_words(t)) for t in exam.inputs)
    assert following == 300
    assert torch.equal(exam.inputs, experiments.orders(300, seed=5).inputs)
    assert not torch.equal(exam.inputs, experiments.orders(300, seed=6).inputs)


def test_six_different_guests_three_of_them_choosers():
    for table in experiments.orders(50, seed=1).inputs:
        names, statements = table[:6].T
        assert names.unique().numel() == 6
        assert (statements < len(experiments.DRINKS)).sum() == experiments.CHOOSERS
        assert table[6, 0] in names and table[6, 1] == experiments.ASK


def test_every_seed_has_draws_of_its_own():
    many = experiments.tables(20, [3, 4])
    assert many.inputs.shape == (2, 20, 7, 2)
    assert torch.equal(many.at(1).inputs, experiments.orders(20, seed=4).inputs)
    data = datasets.Examples(torch.arange(30.0)[:, None], torch.arange(30))
    parts = experiments.portions(data, 5, [0, 1])
    assert parts.labels.shape == (2, 5) and not torch.equal(*parts.labels)
    assert torch.equal(parts.inputs[..., 0].long(), parts.labels)


def test_a_reader_does_not_care_where_a_guest_sits():
    reader, tables = experiments.Reader(16, 4, seed=2), experiments.orders(8, seed=3).inputs
    moved = torch.cat((tables[:, :6].flip(1), tables[:, 6:]), 1)
    torch.testing.assert_close(reader(moved), reader(tables))
    other = experiments.Reader(16, 4, seed=3)
    assert not torch.allclose(other(tables), reader(tables))
    with pytest.raises(ValueError, match="3 heads do not divide the width 16"):
        experiments.Reader(16, 3)


def test_scores_by_hand_and_the_look_made_of_them():
    reader, tables = experiments.Reader(12, 3, seed=1), experiments.orders(4, seed=1).inputs
    look = experiments.attention_weights(reader, tables)
    assert look.shape == (2, 4, 3, 7, 7)
    torch.testing.assert_close(look.sum(-1), torch.ones(2, 4, 3, 7))
    with Tap(reader, experiments.inner(1, "query", "key")) as tap:
        reader(tables)
    q, k = (tap[path].detach() for path in experiments.inner(1, "query", "key"))
    for head in range(3):
        own = slice(4 * head, 4 * head + 4)
        by_hand = torch.einsum("bid,bjd->bij", q[..., own], k[..., own]) / math.sqrt(4)
        torch.testing.assert_close(experiments.scores(q, k, 3)[:, head], by_hand)
        torch.testing.assert_close(look[1, :, head], by_hand.softmax(-1))


def test_losses_on_taps_are_the_packages_own():
    g = torch.Generator().manual_seed(0)
    student = [torch.randn(2, 5, 8, generator=g) for _ in range(3)]
    teacher = [torch.randn(2, 5, 16, generator=g) for _ in range(3)]
    a_s, a_t = experiments.scores(*student[:2], 4), experiments.scores(*teacher[:2], 4)
    torch.testing.assert_close(
        experiments.tinybert(4, 4)(student, teacher), tinybert_attention_loss(a_s, a_t)
    )
    mean = experiments.scores(*student[:2], 2).mean(1, keepdim=True)
    torch.testing.assert_close(
        experiments.tinybert(2, 4)(student, teacher),
        tinybert_attention_loss(mean, a_t.mean(1, keepdim=True)),
    )
    for version in (1, 2):
        torch.testing.assert_close(
            experiments.minilm(4, version=version)(student, teacher),
            minilm_relation_loss(student, teacher, relation_heads=4, version=version),
        )


def test_activation_maps_have_one_map_a_stage_with_a_largest_of_one():
    maps = experiments.activation_maps(SmallCNN(4, seed=0), torch.rand(3, 1, 8, 8))
    assert [tuple(m.shape) for m in maps] == [(3, 8, 8), (3, 4, 4), (3, 2, 2)]
    assert all(m.min() >= 0 for m in maps)
    assert all(torch.allclose(m.amax((1, 2)), torch.ones(3)) for m in maps)


def test_a_centred_cosine_sees_no_likeness_where_there_is_none():
    generator = torch.Generator().manual_seed(0)
    maps, others = torch.rand(2, 400, 8, 8, generator=generator)
    plain = torch.nn.functional.cosine_similarity(maps.flatten(1), others.flatten(1)).mean()
    assert plain > 0.7  # two maps of noise, without a negative value
    assert abs(experiments.centred_cosine(maps, others)) < 0.03
    assert experiments.centred_cosine(maps, 5 * maps + 3) == pytest.approx(1, abs=1e-5)
    assert experiments.centred_cosine(maps, 1 - maps) == pytest.approx(-1, abs=1e-5)
    assert experiments.centred_cosine(maps, torch.ones_like(maps)) == pytest.approx(0, abs=1e-5)


def test_every_likeness_of_maps_has_its_control_in_the_lesson():
    (path,) = Path(__file__).parents[1].glob("22_*.ipynb")
    cells = {cell.id: cell.source for cell in nbformat.read(path, 4).cells}
    assert "cosine_similarity" in cells["centred"] and ".mean(1, keepdim=True)" in cells["centred"]
    assert "torch.ones_like" in cells["centred"]  # a uniform map, not centred
    assert "next_one(maps)" in cells["alike"]
    for control in ("next_one(ink)", "ink.mean(0)", "next_one(new_map)"):
        assert control in cells["ink"]
    scope: dict = {"torch": torch, "F": torch.nn.functional}
    exec(cells["centred"].split("\n\n")[0], scope)
    a, b = torch.rand(2, 5, 4, 4, generator=torch.Generator().manual_seed(1))
    assert scope["centred_cosine"](a, b) == pytest.approx(experiments.centred_cosine(a, b))


def test_both_sides_of_a_pair_have_as_many_heads():
    (path,) = Path(__file__).parents[1].glob("22_*.ipynb")
    cells = {cell.id: cell.source for cell in nbformat.read(path, 4).cells}
    assert '"two heads": lambda: read(kd_tables, heads=2)' in cells["read-relations"]
    assert '"two heads, mean": "two heads"' in cells["relations-figure"]
    assert 'spans["two heads, mean"]' in cells["claim-mean-of-heads"]


def test_shares_of_the_right_guest_by_hand():
    reader, tables = experiments.Reader(12, 3, seed=1), experiments.orders(30, seed=1).inputs
    attention = experiments.attention_weights(reader, tables)
    first, second = experiments.two_hops(tables)
    shares = experiments.hop_shares(reader, tables)
    assert shares.shape == (2, 3)
    for layer, places in enumerate((first, second)):
        by_hand = [attention[layer, n, :, 6, place] for n, place in enumerate(places.tolist())]
        torch.testing.assert_close(shares[layer], torch.stack(by_hand).mean(0))


def test_the_mean_over_heads_also_compares_equal_numbers_of_heads():
    generator = torch.Generator().manual_seed(0)
    student, teacher = ([torch.randn(2, 5, w, generator=generator) for _ in "qk"] for w in (8, 16))
    means = (experiments.scores(*pair, 4).mean(1, keepdim=True) for pair in (student, teacher))
    loss = experiments.tinybert(4, 4, mean=True)(student, teacher)
    torch.testing.assert_close(loss, tinybert_attention_loss(*means))
    assert loss < experiments.tinybert(4, 4)(student, teacher)


def test_photographs_are_skipped_with_a_reason(monkeypatch, capsys):
    assert experiments.clothes("quick", 0, [0]) is None
    assert "--profile full" in capsys.readouterr().out

    def missing(name: str, *, download: bool) -> None:
        raise FileNotFoundError(f"{name} is not here, download={download}")

    monkeypatch.setattr(experiments.datasets, "load", missing)
    assert experiments.clothes("full", 0, [0]) is None
    assert "Skipped: fashion_mnist is not here, download=False" in capsys.readouterr().out
    assert experiments.clothes("hub", 0, [0]) is None
    assert "download=True" in capsys.readouterr().out
