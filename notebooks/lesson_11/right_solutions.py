"""Right solutions in many styles: `check` has to accept each."""

import numpy as np
import torch
from torch.nn import functional as F


def _numpy(logits, T):
    z = logits.numpy() / T
    e = np.exp(z - z.max(-1, keepdims=True))
    return torch.from_numpy(e / e.sum(-1, keepdims=True))


def _numpy_half(logits, T):
    return torch.from_numpy(_numpy(logits, T).numpy().astype(np.float16))


def _by_row(student_logits, teacher_logits, T):
    total = 0
    for s, t in zip(student_logits, teacher_logits, strict=True):
        total = total - torch.dot((t / T).softmax(-1), (s / T).log_softmax(-1))
    return total / len(student_logits)


def _gradient_by_autograd(student_logits, teacher_logits, T):
    s = student_logits.clone().requires_grad_()
    p = (teacher_logits / T).softmax(-1)
    loss = T**2 * F.kl_div((s / T).log_softmax(-1), p, reduction="sum")
    return torch.autograd.grad(loss, s)[0]


def _shift_by_loop(logits, classes, shift):
    columns = [
        column + shift if k in classes else column for k, column in enumerate(logits.unbind(1))
    ]
    return torch.stack(columns, 1)


def _shift_by_index(logits, classes, shift):
    return logits.index_add(
        1, torch.tensor(classes), torch.full((len(logits), len(classes)), shift)
    )


def _shift_by_mask(logits, classes, shift):
    chosen = torch.zeros(logits.shape[1])
    chosen[classes] = 1
    return logits + shift * chosen


def _kd_by_cross_entropies(student_logits, teacher_logits, labels, T, alpha):
    p = (teacher_logits / T).softmax(-1)
    soft = F.cross_entropy(student_logits / T, p) - F.cross_entropy(teacher_logits / T, p)
    return alpha * T**2 * soft + (1 - alpha) * F.cross_entropy(student_logits, labels)


def _kd_log_target(student_logits, teacher_logits, labels, T, alpha):
    log_q = F.log_softmax(student_logits / T, dim=1)
    log_p = F.log_softmax(teacher_logits / T, dim=1)
    soft = F.kl_div(log_q, log_p, reduction="batchmean", log_target=True) * T * T
    return (1.0 - alpha) * F.nll_loss(student_logits.log_softmax(1), labels) + alpha * soft


def _kd_einsum(student_logits, teacher_logits, labels, T, alpha):
    log_q, log_p = ((z / T).log_softmax(-1) for z in (student_logits, teacher_logits))
    soft = torch.einsum("nc,nc->", log_p.exp(), log_p - log_q) / len(labels)
    rows = torch.arange(len(labels))
    hard = -student_logits.log_softmax(-1)[rows, labels].mean()
    return alpha * T**2 * soft + (1 - alpha) * hard


def _kd_half(student_logits, teacher_logits, labels, T, alpha):
    return _kd_log_target(student_logits.half(), teacher_logits.half(), labels, T, alpha)


RIGHT = {
    "soften": [
        lambda logits, T: F.softmax(logits / T, dim=1),
        lambda logits, T: (logits.bfloat16() / T).softmax(-1),
        lambda logits, T: (logits.to(dtype=torch.float16) / T).softmax(-1),
        lambda logits, T: (logits / T - torch.logsumexp(logits / T, -1, keepdim=True)).exp(),
        _numpy,
        _numpy_half,
    ],
    "soft_cross_entropy": [
        lambda s, t, T: F.cross_entropy(s / T, (t / T).softmax(-1)),
        lambda s, t, T: (
            -torch.einsum("nc,nc->n", (t / T).softmax(1), (s / T).log_softmax(1)).mean()
        ),
        lambda s, t, T: F.cross_entropy(s.half() / T, (t.half() / T).softmax(-1)),
        _by_row,
    ],
    "kd_gradient": [
        _gradient_by_autograd,
        lambda s, t, T: T * F.softmax(s.double() / T, 1) - T * F.softmax(t.double() / T, 1),
        lambda s, t, T: ((s / T).softmax(-1).bfloat16() - (t / T).softmax(-1).bfloat16()) * T,
    ],
    "bias_shift": [
        _shift_by_loop,
        _shift_by_index,
        _shift_by_mask,
        lambda logits, classes, shift: _shift_by_mask(logits.double(), classes, shift),
    ],
    "kd_loss": [_kd_by_cross_entropies, _kd_log_target, _kd_einsum, _kd_half],
}
