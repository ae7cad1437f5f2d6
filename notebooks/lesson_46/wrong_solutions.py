"""Wrong solutions that learners write, each under the name that `check` has to give it."""

from math import comb, factorial, perm, prod

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


def _detached(a, b, s, t, n):
    return _kl(a[s - 1 : s - 1 + n].detach(), b[t - 1 : t - 1 + n]).mean()


def _in_place(a, b, s, t, n):
    a -= a.logsumexp(-1, keepdim=True)
    return _kl(a[s - 1 : s - 1 + n], b[t - 1 : t - 1 + n]).mean()


def _down_the_tokens(a, b, s, t, n):
    q, p = a[s - 1 : s - 1 + n].log_softmax(0), b[t - 1 : t - 1 + n].log_softmax(0)
    return (p.exp() * (p - q)).sum(-1).mean()


def _raw_logits(a, b, s, t, n):
    a, b = a[s - 1 : s - 1 + n], b[t - 1 : t - 1 + n]
    return (b.softmax(-1) * (b - a)).sum(-1).mean()


def _no_weights(a, b, s, t, n):
    q, p = a[s - 1 : s - 1 + n].log_softmax(-1), b[t - 1 : t - 1 + n].log_softmax(-1)
    return (p - q).sum(-1).mean()


def _probabilities_in(a, b, s, t, n):
    q, p = a[s - 1 : s - 1 + n].softmax(-1), b[t - 1 : t - 1 + n].softmax(-1)
    return F.kl_div(q, p, reduction="batchmean")


def _no_log_target(a, b, s, t, n):
    q, p = a[s - 1 : s - 1 + n].log_softmax(-1), b[t - 1 : t - 1 + n].log_softmax(-1)
    return F.kl_div(q, p, reduction="batchmean")


def _factorials(c, n, k):
    fail = factorial(n - c) * factorial(n - k) / factorial(n - c - k) / factorial(n)
    return 1 - fail


def _share_beside_rows(w, p):
    q = (w * p).sum(0)
    return (w * _rows(p, q)).sum()


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
        "`detach` stops the gradient": [_detached],
        "An argument is changed in place": [_in_place],
        "Two shapes do not fit each other": [
            lambda a, b, s, t, n: _kl(a, b).mean(),
            lambda a, b, s, t, n: _kl(a[t - 1 : t - 1 + n], b[s - 1 : s - 1 + n]).mean(),
        ],
        "There is a row too many": [
            lambda a, b, s, t, n: _kl(a[s - 1 :], b[t - 1 :]).mean(),
            lambda a, b, s, t, n: _kl(a[-n - 1 :], b[-n - 1 :]).mean(),
        ],
        "The rows begin one too early": [
            lambda a, b, s, t, n: _kl(a[s - 2 : s - 2 + n], b[t - 2 : t - 2 + n]).mean()
        ],
        "The first rows are compared": [lambda a, b, s, t, n: _kl(a[:n], b[:n]).mean()],
        "The softmax runs down the tokens": [_down_the_tokens],
        "Logits are subtracted": [_raw_logits],
        "The weights are missing": [_no_weights],
        "`kl_div` gets probabilities of the student": [_probabilities_in],
        "`kl_div` gets logarithms of the teacher": [_no_log_target],
    },
    "left_over": {
        "All hints weigh the same": [lambda w, p: _rows(p, w @ p).mean()],
        "The average has no weights": [lambda w, p: (w * _rows(p, p.mean(0))).sum()],
        "Neither average nor mean has weights": [lambda w, p: _rows(p, p.mean(0)).mean()],
        "The direction is reversed": [lambda w, p: (w * _rows((w @ p).expand_as(p), p)).sum()],
        "This is the entropy of the average": [lambda w, p: -((w @ p) * (w @ p).log()).sum()],
        "This is the teachers' mean entropy": [lambda w, p: -(w @ (p * p.log()).sum(-1))],
        "The sign is reversed": [
            lambda w, p: (w * (p * ((w @ p) / p).log()).sum(-1)).sum(),
            lambda w, p: -(w @ (p * p.log()).sum(-1)) + ((w @ p) * (w @ p).log()).sum(),
        ],
        "The KL of each hint is returned": [lambda w, p: _rows(p, w @ p)],
        "A softmax is taken of the average": [
            lambda w, p: (w * _rows(p, (w @ p).softmax(-1))).sum()
        ],
        "Two shapes do not fit each other": [_share_beside_rows],
        "The worst hint alone counts": [lambda w, p: _rows(p, w @ p).max()],
        "The student is the most frequent teacher": [
            lambda w, p: (w * _rows(p, p[w.argmax()])).sum()
        ],
        "The teacher's weights are missing": [lambda w, p: (w * (p / (w @ p)).log().sum(-1)).sum()],
        "Teachers are compared with each other, or with their geometric mean": [
            lambda w, p: (w * _rows(p, torch.exp(w @ p.log()))).sum()
        ],
        "This is the total variation": [lambda w, p: (w * (p - w @ p).abs().sum(-1)).sum() / 2],
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
        "This subtracts the probability that all are right": [
            _counts(lambda c, n, k: 1 - comb(c, k) / comb(n, k))
        ],
        "The questions are averaged first": [
            lambda right, n, k: 1 - (1 - right.double().mean() / n) ** k
        ],
        "The probability is multiplied by k": [
            lambda right, n, k: right.float().mean() * k / n,
            _counts(lambda c, n, k: min(1.0, k * c / n)),
        ],
        "This counts the questions with any right attempt": [
            lambda right, n, k: (right > 0).double().mean(),
            _counts(lambda c, n, k: 1 - comb(n - c, k) // comb(n, k)),
        ],
        "A count is below 0": [_counts(_factorials)],
        "The division is by n": [
            lambda right, n, k: sum(1 - comb(n - int(c), k) / comb(n, k) for c in right) / n
        ],
        "Orders are counted above and not below": [
            _counts(lambda c, n, k: 1 - perm(n - c, k) / comb(n, k))
        ],
        "Only the first question counts": [
            lambda right, n, k: 1 - comb(n - int(right[0]), k) / comb(n, k)
        ],
        "This is the probability that any question is solved": [
            lambda right, n, k: 1 - prod(comb(n - int(c), k) / comb(n, k) for c in right)
        ],
        "The questions are multiplied": [
            lambda right, n, k: prod(1 - comb(n - int(c), k) / comb(n, k) for c in right)
        ],
        "The questions are summed": [
            lambda right, n, k: sum(1 - comb(n - int(c), k) / comb(n, k) for c in right)
        ],
        "Exactly one right attempt is counted": [
            _counts(lambda c, n, k: c * comb(n - c, k - 1) / comb(n, k))
        ],
    },
}
