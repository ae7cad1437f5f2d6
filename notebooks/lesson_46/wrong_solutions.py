"""Wrong solutions that learners write, each under the name that `check` has to give it."""

from math import comb

import torch
from torch.nn import functional as F


def _kl(student, teacher):
    log_q, log_p = student.log_softmax(-1), teacher.log_softmax(-1)
    return (log_p.exp() * (log_p - log_q)).sum(-1)


def _late(a, b, s, t, n):
    return F.kl_div(a[s : s + n].log_softmax(-1), b[t : t + n].softmax(-1), reduction="batchmean")


def _both_at_s(a, b, s, t, n):
    return _kl(a[s - 1 : s - 1 + n], b[s - 1 : s - 1 + n]).mean()


def _student_late(a, b, s, t, n):
    return _kl(a[s : s + n], b[t - 1 : t - 1 + n]).mean()


def _teacher_late(a, b, s, t, n):
    return _kl(a[s - 1 : s - 1 + n], b[t : t + n]).mean()


def _reversed(a, b, s, t, n):
    return _kl(b[t - 1 : t - 1 + n], a[s - 1 : s - 1 + n]).mean()


def _summed(a, b, s, t, n):
    return _kl(a[s - 1 : s - 1 + n], b[t - 1 : t - 1 + n]).sum()


def _mean_over_classes(a, b, s, t, n):
    q, p = a[s - 1 : s - 1 + n].log_softmax(-1), b[t - 1 : t - 1 + n].softmax(-1)
    return F.kl_div(q, p)


def _whole_text(a, b, s, t, n):
    return _kl(a[s - 1 : s - 1 + n], b[t - 1 : t - 1 + n]).sum() / len(a)


def _cross_entropy(a, b, s, t, n):
    return F.cross_entropy(a[s - 1 : s - 1 + n], b[t - 1 : t - 1 + n].softmax(-1))


def _rows(p, q):
    return (p * (p / q).log()).sum(-1)


def _average_in_logs(w, p):
    q = torch.exp(w @ p.log())
    return (w * _rows(p, q / q.sum())).sum()


def _counts(one):
    def solve(right, n, k):
        each = [one(int(c), n, k) for c in right]
        return sum(each) / len(each)

    return solve


WRONG = {
    "view_kl": {
        "The rows begin one too late": [_late],
        "Both are cut at the student's positions": [_both_at_s],
        "Only one side is shifted": [_student_late, _teacher_late],
        "The direction is reversed": [_reversed],
        "The tokens are summed": [_summed],
        "There is a mean over the classes": [_mean_over_classes],
        "The division is by the length of the whole text": [_whole_text],
        "This is the cross-entropy -sum p log q": [_cross_entropy],
    },
    "left_over": {
        "All hints weigh the same": [lambda w, p: _rows(p, w @ p).mean()],
        "The average has no weights": [lambda w, p: (w * _rows(p, p.mean(0))).sum()],
        "Neither average nor mean has weights": [lambda w, p: _rows(p, p.mean(0)).mean()],
        "The direction is reversed": [lambda w, p: (w * _rows((w @ p).expand_as(p), p)).sum()],
        "This is the entropy of the average": [lambda w, p: -((w @ p) * (w @ p).log()).sum()],
        "This is the teachers' mean entropy": [lambda w, p: -(w @ (p * p.log()).sum(-1))],
        "The entropies are exchanged": [
            lambda w, p: -(w @ (p * p.log()).sum(-1)) + ((w @ p) * (w @ p).log()).sum()
        ],
        "The logarithms are averaged": [_average_in_logs],
        "The hints are summed without weights": [lambda w, p: _rows(p, w @ p).sum()],
        "There is a mean over the classes": [
            lambda w, p: (w * (p * (p / (w @ p)).log()).mean(-1)).sum()
        ],
        "The result is in bits": [lambda w, p: (w * (p * (p / (w @ p)).log2()).sum(-1)).sum()],
    },
    "pass_at_k": {
        "The attempts are put back": [
            _counts(lambda c, n, k: 1 - (1 - c / n) ** k),
            lambda right, n, k: (1 - (1 - right / n) ** k).mean(),
        ],
        "This is pass@1": [lambda right, n, k: right.float().mean() / n],
        "This is the probability that all fail": [
            _counts(lambda c, n, k: comb(n - c, k) / comb(n, k))
        ],
        "All k attempts have to be right here": [_counts(lambda c, n, k: comb(c, k) / comb(n, k))],
        "This is 1 minus the probability that all are right": [
            _counts(lambda c, n, k: 1 - comb(c, k) / comb(n, k))
        ],
        "The questions are averaged first": [
            lambda right, n, k: 1 - (1 - right.double().mean() / n) ** k
        ],
        "The probability is multiplied by k": [_counts(lambda c, n, k: min(1.0, k * c / n))],
        "This counts the questions with any right attempt": [
            lambda right, n, k: (right > 0).double().mean()
        ],
        "The questions are summed": [
            lambda right, n, k: sum(1 - comb(n - int(c), k) / comb(n, k) for c in right)
        ],
        "Exactly one right attempt is counted": [
            _counts(lambda c, n, k: c * comb(n - c, k - 1) / comb(n, k))
        ],
    },
}
