"""Policy gradients: exact where a softmax is small enough to sum over every token."""

import math

import pytest
import torch

from distill_lab.losses import group_advantages, grpo_loss, reverse_kl, sampled_reverse_kl
from tests.losses.draw import normal

CLASSES = 6
EVERY = torch.arange(CLASSES)
ALL = torch.ones(CLASSES, 1, dtype=torch.bool)


def expected_gradient(z_s, loss_of_a_token):
    """The mean over tokens y of q, by its probability, of a one-token loss's gradient."""
    q = z_s.detach().softmax(-1)
    total = torch.zeros_like(z_s)
    for y in EVERY:
        (gradient,) = torch.autograd.grad(
            loss_of_a_token(z_s.log_softmax(-1)[y].view(1, 1), y), z_s
        )
        total += q[y] * gradient
    return total


def test_the_sampled_gradient_is_that_of_the_reverse_kl_on_average():
    z_s, z_t = (
        normal(CLASSES, seed=1, scale=2.0).requires_grad_(),
        normal(CLASSES, seed=2, scale=2.0),
    )
    log_p = z_t.log_softmax(-1)
    mean = expected_gradient(
        z_s, lambda log_q, y: sampled_reverse_kl(log_q, log_p[y].view(1, 1), mask=ALL[:1])
    )
    (exact,) = torch.autograd.grad(reverse_kl(z_s[None], z_t[None]), z_s)
    torch.testing.assert_close(mean, exact, rtol=1e-4, atol=1e-6)


def test_its_value_is_k1_whose_mean_is_the_reverse_kl():
    z_s, z_t = normal(CLASSES, seed=1, scale=2.0), normal(CLASSES, seed=2, scale=2.0)
    log_q, log_p = (z.log_softmax(-1)[:, None] for z in (z_s, z_t))
    values = [sampled_reverse_kl(log_q[y : y + 1], log_p[y : y + 1], mask=ALL[:1]) for y in EVERY]
    mean = (log_q[:, 0].exp() * torch.stack(values)).sum()
    torch.testing.assert_close(mean, reverse_kl(z_s[None], z_t[None]))


def test_without_the_fixed_weight_the_teacher_would_not_matter():
    """Why it stands inside: k1 differentiated as it is has a mean gradient of zero."""
    z_s = normal(CLASSES, seed=1, scale=2.0).requires_grad_()
    for seed in (2, 3):
        log_p = normal(CLASSES, seed=seed, scale=2.0).log_softmax(-1)
        k1 = expected_gradient(z_s, lambda log_q, y, log_p=log_p: (log_q - log_p[y]).sum())
        assert k1.abs().max() < 1e-6


def test_with_discount_one_a_token_answers_for_all_that_follow():
    """Two tokens, the second drawn in a context that the first chose: the whole answers' KL."""
    first, second = normal(3, seed=1).requires_grad_(), normal(3, 3, seed=2).requires_grad_()
    p_first, p_second = normal(3, seed=3).log_softmax(-1), normal(3, 3, seed=4).log_softmax(-1)

    def answers():
        log_q_1, log_q_2 = first.log_softmax(-1), second.log_softmax(-1)
        for a in range(3):
            for b in range(3):
                log_q = torch.stack([log_q_1[a], log_q_2[a, b]])[None]
                yield log_q, torch.stack([p_first[a], p_second[a, b]])[None]

    def mean(discount):
        both = torch.ones(1, 2, dtype=torch.bool)
        return sum(
            log_q.detach().sum().exp()
            * sampled_reverse_kl(log_q, log_p, mask=both, discount=discount)
            for log_q, log_p in answers()
        )

    exact = sum(log_q.sum().exp() * (log_q - log_p).sum() for log_q, log_p in answers()) / 2
    wanted = torch.autograd.grad(exact, [first, second], retain_graph=True)
    for ours, its in zip(torch.autograd.grad(mean(1.0), [first, second]), wanted, strict=True):
        torch.testing.assert_close(ours, its, rtol=1e-4, atol=1e-6)
    near = torch.autograd.grad(mean(0.0), [first, second])
    assert not torch.allclose(near[0], wanted[0], rtol=0.05)  # the context's own share is missing
    torch.testing.assert_close(near[1], wanted[1], rtol=1e-4, atol=1e-6)


def test_answers_of_an_older_student_are_weighed_and_no_weight_passes_the_clip():
    log_q = torch.tensor([[-1.0, -1.0, -1.0]], requires_grad=True)
    old = log_q.detach() - torch.tensor([[0.0, 1.0, 3.0]])
    kept = torch.ones(1, 3, dtype=torch.bool)
    options = {"mask": kept, "old_log_probs": old}
    loss = sampled_reverse_kl(log_q, log_q.detach() - 1, clip=4.0, **options)
    (gradient,) = torch.autograd.grad(loss, log_q)
    torch.testing.assert_close(gradient * 3, torch.tensor([[1.0, math.e, 4.0]]))


@pytest.mark.parametrize("reward", [0.0, 0.1, 1 / 3, 1e6 + 0.1])
@pytest.mark.parametrize("scale", [True, False])
def test_a_group_of_equal_rewards_teaches_nothing(reward, scale):
    equal = torch.full((1, 7), reward)
    assert not group_advantages(equal, scale=scale).any()


def test_advantages_compare_within_a_group_and_not_across():
    rewards = torch.tensor([[1.0, 0.0], [9.0, 8.0]])
    advantages = group_advantages(rewards, scale=False)
    assert advantages.tolist() == [[0.5, -0.5], [0.5, -0.5]]
    scaled = group_advantages(torch.tensor([[1.0, 0, 0, 0], [1.0, 1, 0, 0]]))
    assert scaled[0, 0] > scaled[1, 0] > 0  # the rarer success weighs more


def test_a_long_answers_tokens_weigh_less_only_where_the_mean_is_per_answer():
    log_q = torch.full((2, 4), -1.0, requires_grad=True)
    mask = torch.tensor([[True, False, False, False], [True, True, True, True]])
    wrong = torch.tensor([-1.0, -1.0])
    gradients = {
        average: torch.autograd.grad(grpo_loss(log_q, wrong, mask=mask, average=average), log_q)[0]
        for average in ("answer", "token", 4)
    }
    assert gradients["answer"][0, 0] == 4 * gradients["answer"][1, 0]
    assert gradients["token"][0, 0] == gradients["token"][1, 0] == 1 / 5
    assert gradients[4][0, 0] == gradients[4][1, 0] == 1 / 8
    assert all(not gradient[0, 1:].any() for gradient in gradients.values())


@pytest.mark.parametrize(("advantage", "stops"), [(1.0, 1.28), (-1.0, 0.8)])
def test_a_sample_moves_a_token_no_further_than_the_clip(advantage, stops):
    one, kept = torch.tensor([advantage]), ALL[:1]
    for ratio in (0.7, 0.9, 1.25, 1.4):
        log_q = torch.tensor([[math.log(ratio)]], requires_grad=True)
        old = torch.zeros(1, 1)
        loss = grpo_loss(log_q, one, mask=kept, old_log_probs=old, clip=(0.2, 0.28))
        (gradient,) = torch.autograd.grad(loss, log_q)
        past = ratio > stops if advantage > 0 else ratio < stops
        assert (gradient == 0).item() == past


def test_the_distance_to_the_reference_is_k3_and_its_mean_is_the_kl():
    z_s, z_t = normal(CLASSES, seed=1, scale=2.0), normal(CLASSES, seed=2, scale=2.0)
    log_q, log_p = (z.log_softmax(-1)[:, None] for z in (z_s, z_t))
    options = {"reference_log_probs": log_p, "beta": 1.0, "mask": ALL}
    none = torch.zeros(CLASSES)
    each = [
        grpo_loss(
            log_q[y : y + 1], none[:1], mask=ALL[:1], reference_log_probs=log_p[y : y + 1], beta=1.0
        )
        for y in EVERY
    ]
    assert min(each) >= 0
    mean = (log_q[:, 0].exp() * torch.stack(each)).sum()
    torch.testing.assert_close(mean, reverse_kl(z_s[None], z_t[None]))
    assert grpo_loss(log_q, none, **options | {"reference_log_probs": log_q}) == 0


@pytest.mark.parametrize(
    "call",
    [
        lambda x, m: sampled_reverse_kl(x, x, mask=m),
        lambda x, m: sampled_reverse_kl(x, x.detach(), mask=m, old_log_probs=x),
        lambda x, m: grpo_loss(x, x[:, 0], mask=m),
        lambda x, m: grpo_loss(x, x, mask=m),
        lambda x, m: grpo_loss(x, x[:, 0].detach(), mask=m, reference_log_probs=x),
        lambda x, m: grpo_loss(x, x[:, 0].detach(), mask=m, old_log_probs=x),
    ],
    ids=["teacher", "older", "answers", "tokens", "reference", "old"],
)
def test_a_weight_with_a_gradient_is_refused(call):
    log_q = torch.full((2, 3), -1.0, requires_grad=True)
    with pytest.raises(ValueError, match=r"carry a gradient.*detach\(\)"):
        call(log_q, torch.ones(2, 3, dtype=torch.bool))


@pytest.mark.parametrize("rewards", [[[1, 0, 0, 1]], [[True, False, False, True]]])
def test_right_and_wrong_are_rewards_as_a_verifier_gives_them(rewards):
    given = torch.tensor(rewards)
    for scale in (True, False):
        ours = group_advantages(given, scale=scale)
        assert torch.equal(ours, group_advantages(given.float(), scale=scale))
    scored, mask = torch.full((1, 2), -1.0), torch.ones(1, 2, dtype=torch.bool)
    assert grpo_loss(scored, torch.tensor([1]), mask=mask).item() == -1
    with pytest.raises(TypeError, match="rewards must"):
        group_advantages(given.to(torch.complex64))
