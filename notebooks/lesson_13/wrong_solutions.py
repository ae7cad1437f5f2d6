"""Wrong solutions that learners write, each under the name that `check` has to give it."""

import torch


def _ridge(inputs, logits):
    d = inputs.shape[1]
    return torch.linalg.inv(inputs.T @ inputs + torch.eye(d).to(inputs)) @ inputs.T @ logits


def _count_loop(teacher_logits, student_logits, labels):
    total = 0
    for t, s, y in zip(teacher_logits, student_logits, labels, strict=True):
        total += int(t.argmax() == y and s.argmax() != y)
    return total


def _difference(teacher_logits, student_logits, labels):
    accuracy = [
        (z.argmax(-1) == labels).float().mean() * 100 for z in (teacher_logits, student_logits)
    ]
    return accuracy[0] - accuracy[1]


def _of_errors(teacher_logits, student_logits, labels):
    right = teacher_logits.argmax(-1) == labels
    wrong = student_logits.argmax(-1) != labels
    return 100 * right[wrong].float().mean()


WRONG = {
    "recover_weights": {
        "Only the signs of the logits are used": [
            lambda x, z: torch.linalg.pinv(x) @ torch.sign(z),
            lambda x, z: torch.linalg.pinv(x) @ (z > 0).to(x.dtype),
        ],
        "The inverse of X^T X is missing": [
            lambda x, z: x.T @ z,
            lambda x, z: (x * z[:, None]).sum(0),
            lambda x, z: (x * z[:, None]).mean(0),
        ],
        "The weights are pulled towards 0": [_ridge],
        "The logits went through a sigmoid": [lambda x, z: torch.linalg.pinv(x) @ z.sigmoid()],
        "The inputs are centred": [lambda x, z: torch.linalg.pinv(x - x.mean(0)) @ (z - z.mean())],
        "The weights have length 1": [lambda x, z: (v := torch.linalg.pinv(x) @ z) / v.norm()],
    },
    "only_teacher": {
        "This is a fraction": [
            lambda t, s, y: ((t.argmax(-1) == y) & (s.argmax(-1) != y)).float().mean()
        ],
        "This counts where only the student is right": [
            lambda t, s, y: 100 * ((s.argmax(-1) == y) & (t.argmax(-1) != y)).float().mean()
        ],
        "This is the headroom": [_difference],
        "Both directions are counted": [
            lambda t, s, y: 100 * ((t.argmax(-1) == y) != (s.argmax(-1) == y)).float().mean()
        ],
        "The student is not asked": [lambda t, s, y: 100 * (t.argmax(-1) == y).float().mean()],
        "The labels are not used": [
            lambda t, s, y: 100 * (t.argmax(-1) != s.argmax(-1)).float().mean()
        ],
        "Both are right here": [
            lambda t, s, y: 100 * ((t.argmax(-1) == y) & (s.argmax(-1) == y)).float().mean()
        ],
        "Examples are counted": [_count_loop],
        "The division is by the student's errors": [_of_errors],
    },
    "two_stage_bill": {
        "The teacher's training is missing": [
            lambda f, F, n, n_t, m: n * (3 * f + F / m),
            lambda f, F, n, n_t, m: n * (3 * f + F),
        ],
        "Asking the teacher is missing": [lambda f, F, n, n_t, m: 3 * (f * n + F * n_t / m)],
        "The backward pass is missing": [lambda f, F, n, n_t, m: f * n + F * (n + n_t) / m],
        "The frozen teacher has no backward pass": [
            lambda f, F, n, n_t, m: 3 * (f * n + F * (n + n_t) / m)
        ],
        "Everything is divided by the number of students": [
            lambda f, F, n, n_t, m: (3 * f * n + F * n + 3 * F * n_t) / m
        ],
        "Asking is not shared": [lambda f, F, n, n_t, m: n * (3 * f + F) + 3 * F * n_t / m],
        "The teacher is not shared": [lambda f, F, n, n_t, m: 3 * f * n + F * (n + 3 * n_t)],
        "The teacher's training uses the student's examples": [
            lambda f, F, n, n_t, m: 3 * f * n + 4 * F * n / m
        ],
        "This is the bill of all students together": [
            lambda f, F, n, n_t, m: 3 * m * n * f + F * (n + 3 * n_t)
        ],
    },
}
