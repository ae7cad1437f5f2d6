"""Laws of lesson 44's experiments: problems, forms, verdicts, counts."""

import pytest
import torch

from lesson_44 import answers, chains, figures, problems
from lesson_44.problems import Problem

P = Problem((7, 8, 3))


@pytest.mark.parametrize("form", problems.FORMS)
def test_an_answer_is_read_as_it_was_written(form):
    tokens = problems.answer_tokens(P, P.sums, form)
    answer = problems.read(tokens)
    assert answer.number == 8 and len(tokens) <= problems.ROOM[form]
    if form in ("short", "long"):
        assert answer.steps == P.sums


@pytest.mark.parametrize("cut", ["<think>7 5", "no end", "two numbers"])
def test_what_is_no_answer_has_no_number(cut):
    tokens = {
        "<think>7 5": [2, 15, 13, 1],
        "no end": [2, 15, 13, 16, 3, 16],
        "two numbers": [16, 16, 1],
    }[cut]
    assert problems.read(tokens).number is None


def test_training_and_test_share_no_problem():
    train = set(problems.draw(3000, seed=1))
    assert not train & set(problems.draw(300, seed=1, test=True))


def test_slices_are_what_their_names_say():
    with_eight = problems.draw(50, test=True, eights=True)
    assert all(8 in one.digits[1:] for one in with_eight)
    assert not any(8 in one.digits[1:] for one in problems.draw(50, test=True, eights=False))


def test_the_base_never_reads_an_eight_as_an_eight():
    texts = chains.base_texts([Problem((1, 8))] * 50, noise=0.0)
    assert {problems.read(tokens).number for tokens in texts.answers} == {8}  # 1 + 7


def test_noise_is_a_share_of_the_steps():
    drawn = problems.draw(4000, lengths=[2])
    written = chains.write_chains(drawn, noise=0.2)
    wrong = sum(
        problems.read(t).number != p.answer for p, t in zip(drawn, written.answers, strict=True)
    )
    assert wrong / len(drawn) == pytest.approx(0.2, abs=0.03)


def test_diverse_takes_new_additions_first():
    pool = chains.write_chains([Problem((1, 1)), Problem((1, 1)), Problem((2, 5))])
    assert {str(one) for one in chains.diverse(pool, 2).problems} == {"1+1=", "2+5="}


def test_votes_and_passes():
    five, three = [13, 1], [11, 1]
    marks = answers.marks([Problem((2, 3))], [[five, three, five, three]])
    assert (marks.one, marks.any, marks.vote) == (50.0, 100.0, 50.0)


def test_a_right_number_may_hide_wrong_steps():
    tokens = problems.answer_tokens(P, (7, 4, 8), "short")
    marks = answers.marks([P], [[tokens]])
    assert marks.wrong_inside == 100.0


@pytest.mark.parametrize("group", [4, 8, 16])
@pytest.mark.parametrize("scale", [True, False])
def test_the_figures_advantages_are_the_losses(group, scale):
    from distill_lab.losses import group_advantages

    for right in range(group + 1):
        rewards = torch.tensor([[1.0] * right + [0.0] * (group - right)])
        ours = torch.tensor([figures.advantages(right, group, scale=scale)])
        torch.testing.assert_close(ours, group_advantages(rewards, scale=scale), atol=1e-5, rtol=0)


def test_aime():
    assert round(figures.half_width(0.5, 30)) == 18


def test_full_has_enough_test_problems():
    for digits, n in ((2, 15), (3, 100)):
        assert len(problems.draw(n, test=True, lengths=[digits])) == n
    for eights in (True, False):
        assert len(problems.draw(200, seed=1, test=True, eights=eights)) == 200
    with pytest.raises(ValueError, match="only 17 different problems"):
        problems.draw(60, test=True, lengths=[2])
