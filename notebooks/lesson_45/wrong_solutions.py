"""Wrong solutions that learners write, each under the name that `check` has to give it."""

import torch
from torch.nn import functional as F


def _margin(student, reference):
    chosen, rejected = (student - reference).unbind(-1)
    return chosen - rejected


def _no_reference(student, reference, beta=0.1):
    return -F.logsigmoid(beta * (student[:, 0] - student[:, 1])).mean()


def _rejected_first(student, reference, beta=0.1):
    chosen, rejected = (student - reference).unbind(-1)
    return -F.logsigmoid(beta * (rejected - chosen)).mean()


def _reference_minus_student(student, reference, beta=0.1):
    return -F.logsigmoid(beta * _margin(reference, student)).mean()


def _sigmoid_then_log(student, reference, beta=0.1):
    return -torch.log(torch.sigmoid(beta * _margin(student, reference))).mean()


def _log_of_one_minus(student, reference, beta=0.1):
    return -torch.log(1 - torch.sigmoid(beta * _margin(student, reference))).mean()


def _beta_outside(student, reference, beta=0.1):
    return -beta * F.logsigmoid(_margin(student, reference)).mean()


def _beta_on_student_only(student, reference, beta=0.1):
    return -F.logsigmoid(_margin(beta * student, reference)).mean()


def _chosen_only(student, reference, beta=0.1):
    return -F.logsigmoid(beta * (student - reference)[:, 0]).mean()


def _all_entries(student, reference, beta=0.1):
    return -F.logsigmoid(beta * (student - reference)).mean()


def _over_pairs(student, reference, beta=0.1):
    gap = student - reference
    return -F.logsigmoid(beta * (gap[0] - gap[1])).mean()


def _positive(student, reference, beta=0.1):
    return F.logsigmoid(beta * _margin(student, reference)).mean()


def _with_epsilon(student, reference, beta=0.1):
    return -torch.log(torch.sigmoid(beta * _margin(student, reference)) + 1e-8).mean()


def _detached(student, reference, beta=0.1):
    return -F.logsigmoid(beta * _margin(student.detach(), reference)).mean()


def _another_default(student, reference, beta=1.0):
    return -F.logsigmoid(beta * _margin(student, reference)).mean()


def _in_place(student, reference, beta=0.1):
    student -= reference
    return -F.logsigmoid(beta * (student[:, 0] - student[:, 1])).mean()


def _item(student, reference, beta=0.1):
    return (-F.logsigmoid(beta * _margin(student, reference)).mean()).item()


def _best(p, rewards, n, order=None):
    order = rewards.argsort() if order is None else order
    up_to = p[order].cumsum(0)
    result = torch.zeros_like(p)
    result[order] = up_to**n - (up_to - p[order]) ** n
    return result


def _left_sorted(p, rewards, n):
    up_to = p[rewards.argsort()].cumsum(0)
    return up_to**n - (up_to - p[rewards.argsort()]) ** n


def _density(p, rewards, n):
    up_to = (rewards[None] <= rewards[:, None]).float() @ p
    return n * p * up_to ** (n - 1)


def _no_difference(p, rewards, n):
    return ((rewards[None] <= rewards[:, None]).float() @ p) ** n


def _worse(p, rewards):
    return (rewards[None] < rewards[:, None]).float() @ p


def _tilt(p, rewards, n):
    return (p.log() + n * rewards).softmax(-1)


WRONG = {
    "dpo": {
        "The reference is missing": [_no_reference],
        "The margin has the wrong sign": [
            _rejected_first,
            _reference_minus_student,
            _log_of_one_minus,
        ],
        "The logarithm of a sigmoid underflows": [_sigmoid_then_log, _with_epsilon],
        "Beta is missing": [
            lambda student, reference, beta=0.1: -F.logsigmoid(_margin(student, reference)).mean()
        ],
        "Beta is outside the sigmoid": [_beta_outside],
        "Beta multiplies the student alone": [_beta_on_student_only],
        "Each answer has a loss of its own": [_all_entries],
        "The rows are compared": [_over_pairs],
        "A plain number is returned": [_item],
        "The margin is divided by beta": [
            lambda student, reference, beta=0.1: (
                -F.logsigmoid(_margin(student, reference) / beta).mean()
            )
        ],
        "The logarithm is missing": [
            lambda student, reference, beta=0.1: (
                -torch.sigmoid(beta * _margin(student, reference)).mean()
            )
        ],
        "The minus sign is missing": [_positive],
        "The rejected answer is missing": [_chosen_only],
        "The reference is added": [
            lambda student, reference, beta=0.1: (
                -F.logsigmoid(beta * _margin(student, -reference)).mean()
            )
        ],
        "Probabilities are subtracted": [
            lambda student, reference, beta=0.1: (
                -F.logsigmoid(beta * _margin(student.exp(), reference.exp())).mean()
            )
        ],
        "The log-probabilities are divided": [
            lambda student, reference, beta=0.1: (
                -F.logsigmoid(beta * torch.sub(*(student / reference).unbind(1))).mean()
            )
        ],
        "The mean comes before the sigmoid": [
            lambda student, reference, beta=0.1: (
                -F.logsigmoid(beta * _margin(student, reference).mean())
            )
        ],
        "`detach` stops the gradient": [
            _detached,
            lambda s, r, beta=0.1: (
                -F.logsigmoid(beta * (s[:, 0] - s[:, 1].detach() - r[:, 0] + r[:, 1])).mean()
            ),
        ],
        "An argument is changed in place": [_in_place],
        "The default of `beta` is wrong": [_another_default],
        "The chosen answer is missing": [
            lambda student, reference, beta=0.1: (
                -F.logsigmoid(-beta * (student - reference)[:, 1]).mean()
            )
        ],
        "The sigmoid is missing": [
            lambda student, reference, beta=0.1: -(beta * _margin(student, reference)).mean()
        ],
        "Beta multiplies the reference alone": [
            lambda student, reference, beta=0.1: (
                -F.logsigmoid(_margin(student, beta * reference)).mean()
            )
        ],
        "The softmax runs down the batch": [
            lambda student, reference, beta=0.1: (
                -F.log_softmax(beta * (student - reference), 0)[:, 0].mean()
            )
        ],
        "The pairs are summed": [
            lambda student, reference, beta=0.1: (
                -F.logsigmoid(beta * _margin(student, reference)).sum()
            )
        ],
        "There is no mean": [
            lambda student, reference, beta=0.1: -F.logsigmoid(beta * _margin(student, reference))
        ],
    },
    "best_of_n": {
        "The result is sorted by reward": [_left_sorted],
        "This is the worst of n": [
            lambda p, rewards, n: _best(p, rewards, n, rewards.argsort(descending=True)),
            lambda p, rewards, n: _best(p, -rewards, n),
        ],
        "This is p(r <= r_a)^n alone": [_no_difference],
        "This is the formula for densities": [_density],
        "This is the chance that an answer is drawn at least once": [
            lambda p, rewards, n: 1 - (1 - p) ** n
        ],
        "The probabilities are raised to the power n": [
            lambda p, rewards, n: (n * p.log()).softmax(-1)
        ],
        "p is tilted by the rewards": [_tilt],
        "Only the best answer of all is kept": [
            lambda p, rewards, n: F.one_hot(rewards.argmax(), len(p)).float()
        ],
        "The result is indexed with `order` once more": [
            lambda p, rewards, n: _left_sorted(p, rewards, n)[rewards.argsort()]
        ],
        "This is the chance that all samples are worse": [lambda p, v, n: _worse(p, v) ** n],
        "p(a)^n is subtracted": [lambda p, v, n: (_worse(p, v) + p) ** n - p**n],
        "Only the first sample may be the answer here": [
            lambda p, v, n: p * (_worse(p, v) + p) ** (n - 1)
        ],
        "Exactly one sample is the answer here": [lambda p, v, n: n * p * _worse(p, v) ** (n - 1)],
        "p(r <= r_a)^n is divided by its sum": [
            lambda p, v, n: F.normalize((_worse(p, v) + p) ** n, p=1, dim=0)
        ],
    },
    "swapped_verdict": {
        "The second verdict is not turned": [
            lambda first, second: (first + second) / 2,
            lambda first, second: torch.stack([first, second]).mean(0),
        ],
        "Only the first order is used": [lambda first, second: first.clone()],
        "Only the second order is used": [lambda first, second: 1 - second],
        "This is the probability that answer 2 is better": [
            lambda first, second: (1 - first + second) / 2
        ],
        "The division by 2 is missing": [lambda first, second: first + (1 - second)],
        "The two probabilities are multiplied": [lambda first, second: first * (1 - second)],
        "The verdicts are rounded": [
            lambda first, second: ((first + 1 - second) / 2).round(),
            lambda first, second: (first > second).float(),
        ],
        "Brackets are missing around the sum": [
            lambda first, second: first + (1 - second) / 2,
            lambda first, second: first + 1 - second / 2,
        ],
        "The 1 is missing": [lambda first, second: (first - second) / 2],
        "Both verdicts are turned": [lambda first, second: ((1 - first) + (1 - second)) / 2],
        "The smaller of the two is taken": [lambda first, second: torch.minimum(first, 1 - second)],
        "This is the share of the first verdict": [lambda first, second: first / (first + second)],
        "The pairs are turned round": [lambda first, second: (first + second.flip(0)) / 2],
        "The larger of the two is taken": [lambda first, second: torch.maximum(first, 1 - second)],
        "This is the difference of the two": [lambda first, second: first - second],
        "One mean is taken over the pairs": [
            lambda first, second: ((first + 1 - second) / 2).mean()
        ],
    },
}
