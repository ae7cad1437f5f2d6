"""A class of logit -inf, and a temperature near 0: finite values and slopes, or words."""

import math

import pytest
import torch

from distill_lab import losses
from distill_lab.methods.scoring import divergence
from distill_lab.signals import top_k

LABELS = torch.tensor([0, 0])
PLAIN = {
    "forward_kl": losses.forward_kl,
    "reverse_kl": losses.reverse_kl,
    "jsd": losses.jsd,
    "generalised_jsd": losses.generalised_jsd,
    "skew_kl": losses.skew_kl,
    "total_variation": losses.total_variation,
    "soft_cross_entropy": losses.soft_cross_entropy,
    "dist_loss": losses.dist_loss,
    "chunked_forward_kl": losses.chunked_forward_kl,
    "chunked_reverse_kl": losses.chunked_reverse_kl,
    "chunked_jsd": losses.chunked_jsd,
}


def z_score(s, t, T):
    s, t = losses.standardize_logits(s), losses.standardize_logits(t)
    return losses.kd_loss(s, t, T=T, alpha=1.0)


LOSSES = {
    **{name: lambda s, t, T, f=f: f(s, t, T=T) for name, f in PLAIN.items()},
    "kd_loss": lambda s, t, T: losses.kd_loss(s, t, LABELS, T=T),
    "dkd_loss": lambda s, t, T: losses.dkd_loss(s, t, LABELS, T=T),
    "logit_mse": lambda s, t, T: losses.logit_mse(s, t),
    "z-score": z_score,
    "top_k": lambda s, t, T: divergence(s, top_k(t, 2, T=T), T=T),
}
OUT = -math.inf
CASES = {
    "T near 0": (0.05, [[9.0, 0, -9], [1, 0, 1]], [[-9.0, 9, 0], [0, 1, 0]]),
    "out on both sides": (1.0, [[1.0, OUT, 2], [1, OUT, 0]], [[2.0, OUT, 1], [0, OUT, 1]]),
    "other ones out": (2.0, [[1.0, OUT, 2], [1, 3, OUT]], [[2.0, OUT, 1], [0, 1, OUT]]),
    "all but one out": (2.0, [[1.0, OUT, OUT], [0, OUT, OUT]], [[3.0, OUT, OUT], [1, OUT, OUT]]),
    "out for the teacher": (1.0, [[1.0, 0, 2], [1, 1, 0]], [[2.0, OUT, 1], [0, OUT, 1]]),
    "out for the student": (1.0, [[1.0, OUT, 2], [1, OUT, 0]], [[2.0, 0, 1], [0, 1, 1]]),
}
FOR_TEACHER = {"reverse_kl", "chunked_reverse_kl", "logit_mse"}
FOR_STUDENT = {
    *("forward_kl", "chunked_forward_kl", "soft_cross_entropy", "kd_loss", "dkd_loss", "logit_mse"),
    *("z-score", "top_k"),
}
INFINITE = {(name, "out for the teacher") for name in FOR_TEACHER}
INFINITE |= {(name, "out for the student") for name in FOR_STUDENT}
DTYPES = [torch.float32, torch.bfloat16, torch.float16, torch.float64]


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: str(dtype).split(".")[1])
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", LOSSES)
def test_value_and_slope_are_finite_or_the_loss_says_why_not(name, case, dtype):
    T, student, teacher = CASES[case]
    s = torch.tensor(student, dtype=dtype, requires_grad=True)
    t = torch.tensor(teacher, dtype=dtype)
    if (name, case) in INFINITE:
        with pytest.raises(ValueError, match="is infinite"):
            LOSSES[name](s, t, T)
        return
    value = LOSSES[name](s, t, T)
    value.backward()
    assert value.isfinite() and s.grad.isfinite().all(), f"{name}: {value.item()}, {s.grad}"


@pytest.mark.parametrize("name", ["reverse_kl", "chunked_reverse_kl", "logit_mse"])
def test_an_infinite_divergence_is_refused_where_it_would_be_learned_from(name):
    T, student, teacher = CASES["out for the teacher"]
    s, t = torch.tensor(student), torch.tensor(teacher)
    assert LOSSES[name](s, t, T).item() == math.inf  # as a measure it is what it is
    with pytest.raises(ValueError, match=r"is infinite, and its gradient NaN"):
        LOSSES[name](s.requires_grad_(), t, T)


def test_a_class_that_is_ruled_out_moves_neither_distance_nor_score():
    z, other = torch.tensor([[1.0, 3.0, 2.0]]), torch.tensor([[0.0, 1.0, 5.0]])
    with_out = [torch.cat((side, torch.full((1, 1), OUT)), 1) for side in (z, other)]
    torch.testing.assert_close(losses.logit_mse(*with_out), losses.logit_mse(z, other))
    scored = losses.standardize_logits(with_out[0])
    torch.testing.assert_close(scored[:, :3], losses.standardize_logits(z))
    assert scored[0, 3] == OUT
    batched = torch.vmap(losses.standardize_logits)(with_out[0][None])[0]
    torch.testing.assert_close(batched, scored)


ONE = torch.randn(4, 1, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", [n for n in PLAIN if not n.startswith("chunked")])
def test_one_class_is_no_softmax(name):
    with pytest.raises(ValueError, match=r"one class.*binary_kd.*regression"):
        PLAIN[name](ONE, ONE + 1)


def test_one_class_is_no_softmax_with_labels_either():
    labels = torch.zeros(4, dtype=torch.long)
    for loss in (losses.kd_loss, losses.dkd_loss, losses.hard_distillation_loss):
        with pytest.raises(ValueError, match=r"one class.*binary_kd.*regression"):
            loss(ONE, ONE + 1, labels)
    with pytest.raises(ValueError, match=r"one class.*binary_kd.*regression"):
        losses.cross_entropy(ONE, labels)
    several = torch.ones(4, 3)
    with pytest.raises(TypeError, match="binary_kd_loss"):
        losses.cross_entropy(torch.randn(4, 3), several)
