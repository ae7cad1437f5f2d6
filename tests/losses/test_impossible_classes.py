"""A class of logit -inf, and a temperature near 0: finite values and slopes, or words."""

import math

import pytest
import torch

from distill_lab import losses
from distill_lab.methods.scoring import divergence
from distill_lab.signals import sample, top_k

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


CHUNKED = (losses.chunked_forward_kl, losses.chunked_reverse_kl, losses.chunked_jsd)


@pytest.mark.parametrize("loss", [*CHUNKED, losses.uld_loss])
def test_one_class_of_a_large_vocabulary_is_no_softmax_either(loss):
    with pytest.raises(ValueError, match=r"(?s)one class|1 class.*binary_kd"):
        loss(ONE, ONE + 1)
    if loss is not losses.uld_loss:
        head = losses.Head(torch.ones(4, 3), torch.ones(1, 3))
        with pytest.raises(ValueError, match=r"1 class.*binary_kd.*regression"):
            loss(head, head)
        with pytest.raises(ValueError, match="vocabulary must be a whole number of classes from 2"):
            loss(ONE.expand(4, 3), ONE.expand(4, 3) + 1, vocabulary=1)


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


@pytest.mark.parametrize("kind", ["forward_kl", "reverse_kl", "jsd"])
def test_it_is_the_same_whether_impossible_classes_are_among_the_k(kind):
    """What top-k names beyond what the teacher finds possible is part of its tail."""
    z_t = torch.tensor([[1.0, 0, OUT, OUT], [2.0, OUT, 1, OUT]])
    z_s = torch.tensor([[0.3, -0.2, 0.5, 0.1], [0.0, 1.0, 0.4, OUT]], requires_grad=True)
    by_k = []
    for signal in (*(top_k(z_t, k) for k in (2, 3, 4)), sample(z_t, 4), sample(z_t, 9)):
        value = divergence(z_s, signal, kind)
        (slope,) = torch.autograd.grad(value, z_s)
        assert 0 < value.item() < math.inf and slope.isfinite().all()
        by_k.append((value.detach(), slope))
    for other in by_k[1:]:
        torch.testing.assert_close(other, by_k[0])
    unknown = top_k(z_t, 3)
    with pytest.raises(ValueError, match="at most 0, got nan"):  # a NaN is not taken for that
        nan = torch.where(unknown.log_probs == OUT, torch.nan, unknown.log_probs)
        losses.topk_reverse_kl(z_s, unknown.ids, nan)


def test_all_classes_of_a_teacher_that_rules_some_out_are_still_the_dense_loss():
    z_t = torch.tensor([[1.0, 0.5, OUT], [0.0, OUT, 2.0]])
    z_s = torch.tensor([[0.3, -0.2, OUT], [0.0, OUT, -1.0]])
    for kind in ("reverse_kl", "jsd"):
        dense = divergence(z_s, z_t, kind)
        torch.testing.assert_close(divergence(z_s, top_k(z_t, 3), kind), dense)
    z_s = z_t.nan_to_num(neginf=-1.0)  # named as possible by nobody: dearer than any tail
    assert 0 < divergence(z_s, top_k(z_t, 3), "reverse_kl") < divergence(z_s, z_t, "reverse_kl")


@pytest.mark.parametrize("loss", ["sampled_kl", "sampled_cross_entropy"])
def test_a_drawn_class_that_the_student_rules_out_is_met_in_words(loss):
    z = torch.tensor([[1.0, 0.0, OUT]], requires_grad=True)
    weights = torch.tensor([[0.5, 0.5]])
    ids = torch.tensor([[0, 2]])

    def scored(z, weights):
        if loss == "sampled_kl":
            return losses.sampled_kl(z, ids, torch.full((1, 2), -0.7), weights=weights)
        return losses.sampled_cross_entropy(z, ids, weights)

    with pytest.raises(ValueError, match="is infinite, and its gradient NaN"):
        scored(z, weights)
    assert scored(z.detach(), weights) == math.inf
    empty = scored(z, torch.tensor([[1.0, 0.0]]))  # a place left empty costs nothing
    empty.backward()
    assert empty.isfinite() and z.grad.isfinite().all()
