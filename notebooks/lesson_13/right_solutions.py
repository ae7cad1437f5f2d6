"""Right solutions in many styles: `check` has to accept each."""

import numpy as np
import torch


def _by_lstsq(inputs, logits):
    return torch.linalg.lstsq(inputs, logits, driver="gelsd").solution


def _by_svd(inputs, logits):
    u, s, vt = torch.linalg.svd(inputs, full_matrices=False)
    return vt.T @ ((u.T @ logits) / s)


def _by_numpy(inputs, logits):
    return torch.from_numpy(np.linalg.lstsq(inputs.numpy(), logits.numpy(), rcond=None)[0])


def _loop(teacher_logits, student_logits, labels):
    hits = [
        bool(t.argmax() == y) and bool(s.argmax() != y)
        for t, s, y in zip(teacher_logits, student_logits, labels, strict=True)
    ]
    return 100 * sum(hits) / len(hits)


def _parts(student, teacher, examples, teacher_examples, students):
    train = 3 * student * examples
    cache = teacher * examples
    return train + (cache + 3 * teacher * teacher_examples) / students


RIGHT = {
    "recover_weights": [_by_lstsq, _by_svd, _by_numpy],
    "only_teacher": [
        _loop,
        lambda t, s, y: ((t.argmax(1) == y) * (s.argmax(1) != y)).float().mean() * 100,
    ],
    "two_stage_bill": [_parts, lambda f, F, n, n_t, m: 3 * f * n + F * (n + 3 * n_t) / m],
}
