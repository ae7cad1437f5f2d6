"""Laws of lesson 45's shop: probabilities that sum to 1, exact measures, rates of agreement."""

from __future__ import annotations

import itertools

import pytest
import torch

from distill_lab.losses import dpo_loss
from distill_lab.seeds import Stacked
from lesson_45 import drawings, experiments, figures, judging, reward_models, shop


@pytest.fixture(scope="module")
def start() -> experiments.Shop:
    return experiments.Shop(range(2), demonstrations=200, steps=20)


def test_answers_are_all_there_once() -> None:
    assert len(shop.ANSWERS) == sum(7**n for n in (1, 2, 3, 4)) == 2800
    assert len({tuple(row) for row in shop.ANSWERS.tolist()}) == 2800
    for i in (0, 7, 55, 56, 400, 2799):
        assert shop.number_of(shop.text_of(0, i)) == i


def test_no_request_is_in_both_parts() -> None:
    assert sorted([*shop.TRAIN.tolist(), *shop.TEST.tolist()]) == list(range(41))


def test_gold_rewards_by_hand() -> None:
    price_and_date = shop.text_of(9)
    values = shop.gold_rewards(torch.tensor([9]))[0]
    facts = price_and_date.replace("?", "").split()
    assert values.max() == 2 * len(facts)
    assert values[shop.number_of(" ".join(facts))] == 2 * len(facts)
    assert values[shop.number_of("well well")] == -2
    assert values[shop.number_of(f"{facts[0]} {facts[0]}")] == 1


def test_all_probabilities_sum_to_one_and_are_the_models(start: experiments.Shop) -> None:
    assert torch.allclose(start.log_probs.exp().sum(-1), torch.ones(2, 41), atol=1e-4)
    pairs = start.pairs(50)
    exact = start.reference(pairs)
    for i, seed in enumerate(start.seeds):
        model = start.model(seed)
        assert torch.allclose(shop.pair_log_probs(model, pairs.tokens[i]), exact[i], atol=1e-4)


def test_padding_and_prompt_order_change_nothing() -> None:
    model = shop.TinyLM(8, seed=1)
    text = shop.tokens_of(torch.tensor(3), torch.tensor(60))[None]
    cut = text[:, (text[0] != shop.PAD).nonzero()[:, 0]]
    assert torch.allclose(model(text)[0, text[0] != shop.PAD], model(cut)[0], atol=1e-5)


def test_best_of_n_is_a_distribution_and_follows_samples() -> None:
    p = torch.tensor([[0.5, 0.3, 0.2]])
    rewards = torch.tensor([[1.0, 2.0, 2.0]])
    best = reward_models.best_of_n(p, rewards, 2)
    assert torch.allclose(best, torch.tensor([[0.25, 0.45, 0.30]]), atol=1e-6)
    assert torch.allclose(reward_models.best_of_n(p, rewards, 1), p)


def test_the_optimum_is_better_than_its_neighbours(start: experiments.Shop) -> None:
    gold = shop.gold_rewards(torch.tensor([12]))
    reference = start.log_probs[:1, [12]]

    def objective(log_p: torch.Tensor) -> torch.Tensor:
        return (log_p.exp() * (gold - 2.0 * (log_p - reference))).sum()

    best = reward_models.optimum(reference, gold, 2.0)
    for seed in range(5):
        noise = 0.1 * torch.randn(best.shape, generator=torch.Generator().manual_seed(seed))
        assert objective(best) > objective((best + noise).log_softmax(-1))


def test_a_random_labeller_has_the_rate_that_was_set(start: experiments.Shop) -> None:
    pairs = start.pairs(4000)
    labels = judging.random_errors(pairs, torch.tensor([80.0, 60.0]))
    assert judging.agreement(labels, pairs).tolist() == pytest.approx([80, 60], abs=3)
    assert judging.agreement(judging.with_taste(pairs, 0.0), pairs).tolist() == [100, 100]


def test_a_swapped_verdict_is_about_the_same_answer(start: experiments.Shop) -> None:
    judge = judging.train_judge(start, steps=5)
    pairs = start.pairs(40)
    turned = pairs.ordered(torch.zeros(2, 40, dtype=torch.bool))
    assert torch.allclose(judge(pairs, swapped=True), 1 - judge(turned), atol=1e-6)


def test_equal_models_give_ln_2(start: experiments.Shop) -> None:
    values = start.reference(start.pairs(20))[0]
    loss = dpo_loss(*values.unbind(1), *values.unbind(1))
    assert abs(loss.item() - torch.log(torch.tensor(2.0)).item()) < 1e-6


def test_pictures_keep_their_size(start: experiments.Shop) -> None:
    gold = shop.gold_rewards(torch.tensor([12]))[0]
    curve = figures.curve_of(12, start.log_probs[0, 12], gold, (2.0, 0.5))
    sizes = {
        str(figures.render_optimised(12, "gold reward", curve, beta)).split("viewBox=")[1][:20]
        for beta in curve.betas
    }
    assert len(sizes) == 1
    for drawing in (drawings.comparing(), drawings.margin()):
        assert drawing.alt
    assert drawings.orders().alt.count("judge") == 2


@pytest.mark.parametrize(
    ("chosen", "rejected", "words"),
    [
        (-0.25, -2.3, "−0.25 nats, the rejected ones −2.30. The margin is positive"),
        (1.0, 2.0, "+1.00 nats, the rejected ones +2.00. The margin is not positive"),
        (0.0, 0.0, "+0.00 nats, the rejected ones +0.00. The margin is not positive"),
    ],
)
def test_moves_are_drawn_as_measured(chosen: float, rejected: float, words: str) -> None:
    assert words in figures.render_moves(chosen, rejected).alt


def test_seeds_draw_pairs_of_their_own(start: experiments.Shop) -> None:
    first, second = start.pairs(30).answers
    assert not first.equal(second)
    assert (start.pairs(30).answers[..., 0] != start.pairs(30).answers[..., 1]).all()
    assert isinstance(start.runs.students, Stacked)
    assert len(list(itertools.chain(start.seeds))) == 2
