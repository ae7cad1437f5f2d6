"""Wrong solutions that learners write, each under the name that `check` has to give it."""

import torch
from torch.nn import functional as F


def _kl(student_logits, teacher_logits, T):
    log_q = F.log_softmax(student_logits / T, -1)
    return F.kl_div(log_q, F.softmax(teacher_logits / T, -1), reduction="batchmean")


def _soften_in_place(logits, T):
    logits -= logits.amax(-1, keepdim=True)
    e = (logits / T).exp()
    return e / e.sum(-1, keepdim=True)


def _soften_global_max(logits, T):
    e = (logits / T - logits.max()).exp()
    return e / e.sum(-1, keepdim=True)


def _soften_batch_max(logits, T):
    z = logits / T
    e = (z - z.max()).exp()
    return e / e.sum(-1, keepdim=True)


def _soften_sum_over_batch(logits, T):
    e = (logits / T).exp()
    return e / e.sum(0, keepdim=True)


def _soften_printed(logits, T):
    print((logits / T).softmax(-1))


def _shift_in_place(logits, classes, shift):
    logits[:, classes] += shift
    return logits


def _shift_alias(logits, classes, shift):
    shifted = logits
    shifted[:, classes] = shifted[:, classes] + shift
    return shifted


def _shift_rows(logits, classes, shift):
    shifted = logits.clone()
    shifted[classes] += shift
    return shifted


def _shift_minus(logits, classes, shift):
    shifted = logits.clone()
    shifted[:, classes] -= shift
    return shifted


def _shift_set(logits, classes, shift):
    shifted = logits.clone()
    shifted[:, classes] = shift
    return shifted


def _shift_first(logits, classes, shift):
    shifted = logits.clone()
    shifted[:, classes[0]] += shift
    return shifted


def _shift_others(logits, classes, shift):
    shifted = logits + shift
    shifted[:, classes] = logits[:, classes]
    return shifted


def _shift_copy(logits, classes, shift):
    shifted = logits.clone()
    shifted[:, classes] + shift
    return shifted


def _shift_times(logits, classes, shift):
    shifted = logits.clone()
    shifted[:, classes] *= shift
    return shifted


def _shift_only_columns(logits, classes, shift):
    return logits[:, classes] + shift


def _shift_none(logits, classes, shift):
    shifted = logits.clone()
    shifted[:, classes] += shift


def _shift_off_by_one(logits, classes, shift):
    shifted = logits.clone()
    for k in classes:
        shifted[:, k - 1] += shift
    return shifted


def _shift_softmax(logits, classes, shift):
    shifted = logits.softmax(-1)
    shifted[:, classes] += shift
    return shifted


def _kd(student_logits, teacher_logits, labels, T, alpha, power=2, kl=_kl):
    soft = kl(student_logits, teacher_logits, T)
    hard = F.cross_entropy(student_logits, labels)
    return alpha * T**power * soft + (1 - alpha) * hard


def _kd_other_order(student_logits, teacher_logits, labels, alpha, T):
    return _kd(student_logits, teacher_logits, labels, T, alpha)


def _kd_teacher_first(teacher_logits, student_logits, labels, T, alpha):
    return _kd(student_logits, teacher_logits, labels, T, alpha)


def _kd_mean(student_logits, teacher_logits, labels, T, alpha):
    log_q = F.log_softmax(student_logits / T, -1)
    soft = F.kl_div(log_q, F.softmax(teacher_logits / T, -1))
    return alpha * T**2 * soft + (1 - alpha) * F.cross_entropy(student_logits, labels)


def _kd_kl_div_probabilities(student_logits, teacher_logits, labels, T, alpha):
    q = F.softmax(student_logits / T, -1)
    soft = F.kl_div(q, F.softmax(teacher_logits / T, -1), reduction="batchmean")
    return alpha * T**2 * soft + (1 - alpha) * F.cross_entropy(student_logits, labels)


def _kd_kl_div_turned(student_logits, teacher_logits, labels, T, alpha):
    log_p = F.log_softmax(teacher_logits / T, -1)
    soft = F.kl_div(log_p, F.softmax(student_logits / T, -1), reduction="batchmean")
    return alpha * T**2 * soft + (1 - alpha) * F.cross_entropy(student_logits, labels)


def _kd_no_reduction(student_logits, teacher_logits, labels, T, alpha):
    log_q = F.log_softmax(student_logits / T, -1)
    soft = F.kl_div(log_q, F.softmax(teacher_logits / T, -1), reduction="none").sum(-1)
    hard = F.cross_entropy(student_logits, labels, reduction="none")
    return alpha * T**2 * soft + (1 - alpha) * hard


def _kd_no_grad(student_logits, teacher_logits, labels, T, alpha):
    with torch.no_grad():
        return _kd(student_logits, teacher_logits, labels, T, alpha)


def _kd_one_sided(student_logits, teacher_logits, labels, T, alpha):
    log_q = F.log_softmax(student_logits, -1)
    soft = F.kl_div(log_q, F.softmax(teacher_logits / T, -1), reduction="batchmean")
    return alpha * T**2 * soft + (1 - alpha) * F.cross_entropy(student_logits, labels)


def _kd_soft_ce(student_logits, teacher_logits, labels, T, alpha):
    soft = F.cross_entropy(student_logits / T, F.softmax(teacher_logits / T, -1))
    return alpha * T**2 * soft + (1 - alpha) * F.cross_entropy(student_logits, labels)


def _kd_dim(student_logits, teacher_logits, labels, T, alpha):
    log_q = F.log_softmax(student_logits / T, 0)
    soft = F.kl_div(log_q, F.softmax(teacher_logits / T, 0), reduction="batchmean")
    return alpha * T**2 * soft + (1 - alpha) * F.cross_entropy(student_logits, labels)


def _kd_mse(student_logits, teacher_logits, labels, T, alpha):
    soft = F.mse_loss(student_logits / T, teacher_logits / T)
    return alpha * T**2 * soft + (1 - alpha) * F.cross_entropy(student_logits, labels)


def _kd_one_hot(student_logits, teacher_logits, labels, T, alpha):
    hard = F.cross_entropy(student_logits, F.one_hot(labels))
    return alpha * T**2 * _kl(student_logits, teacher_logits, T) + (1 - alpha) * hard


def _gradient_by_autograd_of_mean(student_logits, teacher_logits, T):
    s = student_logits.clone().requires_grad_()
    loss = T**2 * _kl(s, teacher_logits, T)
    return torch.autograd.grad(loss, s)[0]


def _gradient_backward(student_logits, teacher_logits, T):
    loss = T**2 * _kl(student_logits, teacher_logits, T)
    loss.backward()
    return student_logits.grad


def _axis_lost(logits, T):
    return (logits / T).exp() / (logits / T).exp().sum(-1)


WRONG = {
    "soften": {
        "The logits are multiplied by T": [lambda logits, T: (logits * T).softmax(-1)],
        "The softmax runs down the batch (axis 0)": [
            lambda logits, T: (logits / T).softmax(0),
            _soften_sum_over_batch,
        ],
        "T is not used": [lambda logits, T: logits.softmax(-1)],
        "The exponential overflows or underflows": [
            lambda logits, T: (logits / T).exp() / (logits / T).exp().sum(-1, True),
            _soften_global_max,
            _soften_batch_max,
        ],
        "An argument is changed in place": [_soften_in_place],
        "The rows are not normalised": [
            lambda logits, T: ((logits - logits.amax(-1, True)) / T).exp()
        ],
        "The probabilities are raised to the power T": [
            lambda logits, T: logits.softmax(-1).pow(T)
        ],
        "The rows are not normalised again": [lambda logits, T: logits.softmax(-1) ** (1 / T)],
        "These are log-probabilities": [lambda logits, T: F.log_softmax(logits / T, -1)],
        "The result is printed, not returned": [_soften_printed],
        "`keepdim=True` is missing": [_axis_lost],
        "`max(dim)` gives two things": [
            lambda logits, T: (logits / T - logits.max(-1, keepdim=True)).exp()
        ],
    },
    "soft_cross_entropy": {
        "There is a mean over the classes": [
            lambda s, t, T: -((t / T).softmax(-1) * (s / T).log_softmax(-1)).mean()
        ],
        "The minus sign is missing": [
            lambda s, t, T: ((t / T).softmax(-1) * (s / T).log_softmax(-1)).sum(-1).mean()
        ],
        "This is the divergence KL(p ‖ q), not the cross-entropy": [lambda s, t, T: _kl(s, t, T)],
        "The rows are added up": [
            lambda s, t, T: -((t / T).softmax(-1) * (s / T).log_softmax(-1)).sum()
        ],
        "Student and teacher have changed places": [
            lambda s, t, T: -((s / T).softmax(-1) * (t / T).log_softmax(-1)).sum(-1).mean()
        ],
        "Only the teacher's most probable class is used": [
            lambda s, t, T: F.cross_entropy(s / T, t.argmax(-1))
        ],
        "T is on the teacher only": [lambda s, t, T: F.cross_entropy(s, (t / T).softmax(-1))],
        "T is on the student only": [lambda s, t, T: F.cross_entropy(s / T, t.softmax(-1))],
        "`T` has no effect": [lambda s, t, T: F.cross_entropy(s, t.softmax(-1))],
        "There is a T² in it": [lambda s, t, T: T**2 * F.cross_entropy(s / T, (t / T).softmax(-1))],
        "The logarithm is missing": [
            lambda s, t, T: -((t / T).softmax(-1) * (s / T).softmax(-1)).sum(-1).mean()
        ],
        "The softmax is applied twice to the student": [
            lambda s, t, T: F.cross_entropy((s / T).softmax(-1), (t / T).softmax(-1))
        ],
        "The teacher's logits stand where its probabilities should": [
            lambda s, t, T: F.cross_entropy(s / T, t / T)
        ],
        "The mean over axis 0 is missing": [
            lambda s, t, T: -((t / T).softmax(-1) * (s / T).log_softmax(-1)).sum(-1)
        ],
        "The softmax runs down the batch (axis 0)": [
            lambda s, t, T: -((t / T).softmax(0) * (s / T).log_softmax(0)).sum(-1).mean()
        ],
        "The logarithm of a softmax underflows": [
            lambda s, t, T: -((t / T).softmax(-1) * (s / T).softmax(-1).log()).sum(-1).mean()
        ],
        "`detach` stops the gradient": [
            lambda s, t, T: F.cross_entropy(s.detach() / T, (t / T).softmax(-1))
        ],
        "A plain number is returned": [
            lambda s, t, T: F.cross_entropy(s / T, (t / T).softmax(-1)).item()
        ],
    },
    "kd_gradient": {
        "The sign is turned round": [
            lambda s, t, T: T * ((t / T).softmax(-1) - (s / T).softmax(-1))
        ],
        "This is the gradient of KL alone, (q - p) / T": [
            lambda s, t, T: ((s / T).softmax(-1) - (t / T).softmax(-1)) / T
        ],
        "A factor T is missing": [lambda s, t, T: (s / T).softmax(-1) - (t / T).softmax(-1)],
        "The factor is T, not T²": [
            lambda s, t, T: T**2 * ((s / T).softmax(-1) - (t / T).softmax(-1))
        ],
        "Each row is divided by the number of rows, as in the gradient of a mean": [
            lambda s, t, T: T * ((s / T).softmax(-1) - (t / T).softmax(-1)) / len(s),
            _gradient_by_autograd_of_mean,
        ],
        "`T` has no effect": [lambda s, t, T: s.softmax(-1) - t.softmax(-1)],
        "The probabilities are not softened": [lambda s, t, T: T * (s.softmax(-1) - t.softmax(-1))],
        "These are differences of logits": [lambda s, t, T: T * (s - t)],
        "These are differences of log-probabilities": [
            lambda s, t, T: T * ((s / T).log_softmax(-1) - (t / T).log_softmax(-1))
        ],
        "Axis 0 is gone": [
            lambda s, t, T: (T * ((s / T).softmax(-1) - (t / T).softmax(-1))).mean(0)
        ],
        "All values are made into one": [
            lambda s, t, T: (T * ((s / T).softmax(-1) - (t / T).softmax(-1))).mean()
        ],
        "The softmax runs down the batch (axis 0)": [
            lambda s, t, T: T * ((s / T).softmax(0) - (t / T).softmax(0))
        ],
        "This is the loss, not its gradient": [lambda s, t, T: T**2 * _kl(s, t, T)],
        "Autograd is asked for, but not needed": [_gradient_backward],
    },
    "bias_shift": {
        "An argument is changed in place": [_shift_in_place, _shift_alias],
        "Rows are shifted, not classes": [_shift_rows],
        "The shift is subtracted": [_shift_minus],
        "The chosen logits are replaced by the shift": [_shift_set],
        "Only the first of the classes is shifted": [_shift_first],
        "The shift is added to the classes that were not chosen": [_shift_others],
        "The shift is added to every class": [lambda logits, classes, shift: logits + shift],
        "The logits come back unchanged": [
            _shift_copy,
            lambda logits, classes, shift: logits.clone(),
        ],
        "The chosen logits are multiplied by the shift": [_shift_times],
        "The columns stand alone": [_shift_only_columns],
        "Nothing is returned": [_shift_none],
        "The column beside the right one is shifted": [_shift_off_by_one],
        "The softmax is applied first": [_shift_softmax],
    },
    "kd_loss": {
        "T² is missing": [lambda s, t, y, T, a: _kd(s, t, y, T, a, power=0)],
        "The soft part is multiplied by T, not by T²": [
            lambda s, t, y, T, a: _kd(s, t, y, T, a, power=1)
        ],
        "T² stands before the whole loss": [
            lambda s, t, y, T, a: T**2 * (a * _kl(s, t, T) + (1 - a) * F.cross_entropy(s, y))
        ],
        "alpha and 1 - alpha have changed places": [lambda s, t, y, T, a: _kd(s, t, y, T, 1 - a)],
        "In the soft part the direction is turned round": [
            lambda s, t, y, T, a: _kd(s, t, y, T, a, kl=lambda u, v, T: _kl(v, u, T)),
            _kd_kl_div_turned,
        ],
        "In the soft part there is a mean over the classes": [_kd_mean],
        "The labels' part lacks its weight 1 - alpha": [
            lambda s, t, y, T, a: a * T**2 * _kl(s, t, T) + F.cross_entropy(s, y)
        ],
        "The labels' part gets probabilities": [
            lambda s, t, y, T, a: (
                a * T**2 * _kl(s, t, T) + (1 - a) * F.cross_entropy(s.softmax(-1), y)
            )
        ],
        "The labels' part is softened as well": [
            lambda s, t, y, T, a: a * T**2 * _kl(s, t, T) + (1 - a) * F.cross_entropy(s / T, y)
        ],
        "The labels' part is the teacher's": [
            lambda s, t, y, T, a: a * T**2 * _kl(s, t, T) + (1 - a) * F.cross_entropy(t, y)
        ],
        "The parameters stand in another order": [_kd_other_order, _kd_teacher_first],
        "In the soft part probabilities where logs are due": [_kd_kl_div_probabilities],
        "The mean over axis 0 is missing": [_kd_no_reduction],
        "`no_grad` stops the gradient": [_kd_no_grad],
        "`detach` stops the gradient": [lambda s, t, y, T, a: _kd(s.detach(), t, y, T, a)],
        "In the soft part T is on the teacher only": [_kd_one_sided],
        "In the soft part this is the cross-entropy -sum p log q": [_kd_soft_ce],
        "In the soft part the softmax runs down the batch (axis 0)": [_kd_dim],
        "The soft part is a squared difference of logits": [_kd_mse],
        "The soft part lacks its weight alpha": [
            lambda s, t, y, T, a: T**2 * _kl(s, t, T) + (1 - a) * F.cross_entropy(s, y)
        ],
        "The two parts are added without alpha and 1 - alpha": [
            lambda s, t, y, T, a: T**2 * _kl(s, t, T) + F.cross_entropy(s, y)
        ],
        "The labels' part is missing": [lambda s, t, y, T, a: a * T**2 * _kl(s, t, T)],
        "Both parts are added up over the rows": [
            lambda s, t, y, T, a: (
                a * T**2 * _kl(s, t, T) * len(s) + (1 - a) * F.cross_entropy(s, y, reduction="sum")
            )
        ],
        "`T` has no effect": [lambda s, t, y, T, a: _kd(s, t, y, 1.0, a)],
        "A tensor has the wrong dtype": [_kd_one_hot],
    },
}
