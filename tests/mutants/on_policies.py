# ruff: noqa: E501 - a test's full name does not break
"""Mistakes where a student learns from a number for each sampled answer or token."""

from tests.mutants.mutant import Mutant

MUTANTS = [
    Mutant(
        "a-policy-gradient-without-its-teacher",
        "The sampled log-ratio is differentiated instead of weighing: the teacher's part is a constant and drops out.",
        "pilot P3 in the notes on on-policy distillation; Schulman 2020",
        "losses/policy.py",
        "gap = (log_p - log_q).detach()",
        "gap = log_p - log_q",
        "losses/test_policy.py::test_the_sampled_gradient_is_that_of_the_reverse_kl_on_average",
    ),
    Mutant(
        "an-advantage-with-a-gradient",
        "A weight that carries a gradient is taken: the student lowers its weight instead of its mistakes.",
        "",
        "losses/policy.py",
        "if values.requires_grad:",
        "if False:",
        "losses/test_policy.py::test_a_weight_with_a_gradient_is_refused[teacher]",
    ),
    Mutant(
        "equal-rewards-that-teach",
        "A group of equal rewards is divided by its deviation, which is a rounding: noise becomes an advantage.",
        "Liu et al. 2025 (Dr. GRPO), section 3",
        "losses/policy.py",
        "return torch.where(equal, 0.0, difference)",
        "return difference",
        "losses/test_policy.py::test_a_group_of_equal_rewards_teaches_nothing[True-1000000.1]",
    ),
    Mutant(
        "advantages-across-prompts",
        "Rewards are held against the mean of the batch: an easy prompt's failures are praised.",
        "",
        "losses/policy.py",
        "r - r.mean(1, keepdim=True)",
        "r - r.mean()",
        "losses/test_policy.py::test_advantages_compare_within_a_group_and_not_across",
    ),
    Mutant(
        "answers-divided-by-the-longest",
        "The mean within an answer counts its padding: short answers hardly learn.",
        "",
        "losses/policy.py",
        "kept.sum(1).clamp_min(1)",
        "kept.shape[1]",
        "losses/test_policy.py::test_a_long_answers_tokens_weigh_less_only_where_the_mean_is_per_answer",
    ),
    Mutant(
        "a-clip-of-one-width",
        "The upper bound of the ratio is the lower one's: rare good tokens are held back.",
        "Yu et al. 2025 (DAPO), section 3.1",
        "losses/policy.py",
        "ratio.clamp(1 - low, 1 + high)",
        "ratio.clamp(1 - low, 1 + low)",
        "losses/test_policy.py::test_a_sample_moves_a_token_no_further_than_the_clip[1.0-1.28]",
    ),
    Mutant(
        "the-reference-the-wrong-way-round",
        "k3 with the ratio upside down: over the student's samples its mean is no divergence from it.",
        "",
        "losses/policy.py",
        "log_ratio = (log_p - log_q).clamp_max",
        "log_ratio = (log_q - log_p).clamp_max",
        "losses/test_policy.py::test_the_distance_to_the_reference_is_k3_and_its_mean_is_the_kl",
    ),
    Mutant(
        "a-token-answers-for-the-past",
        "The sum over later tokens runs over the earlier ones: a token is praised for what it could not change.",
        "",
        "losses/policy.py",
        "for column in reversed(gap.unbind(1)):",
        "for column in gap.unbind(1):",
        "losses/test_policy.py::test_with_discount_one_a_token_answers_for_all_that_follow",
    ),
]
