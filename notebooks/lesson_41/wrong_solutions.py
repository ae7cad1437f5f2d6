"""Wrong solutions that learners write, each under the name that `check` has to give it."""

import torch
from torch.nn import functional as F


def _kl(student, teacher):
    log_q, log_p = student.log_softmax(-1), teacher.log_softmax(-1)
    return (log_p.exp() * (log_p - log_q)).sum(-1)


def _token_kl(student, teacher, labels, each=_kl):
    return each(student[:, :-1], teacher[:, :-1])[labels[:, 1:] != -100].mean()


def _not_shifted(student, teacher, labels):
    return _kl(student, teacher)[labels != -100].mean()


def _shifted_twice(student, teacher, labels):
    return _kl(student[:, :-2], teacher[:, :-2])[labels[:, 2:] != -100].mean()


def _shifted_back(student, teacher, labels):
    return _kl(student[:, 1:], teacher[:, 1:])[labels[:, :-1] != -100].mean()


def _labels_not_shifted(student, teacher, labels):
    return _kl(student[:, :-1], teacher[:, :-1])[labels[:, :-1] != -100].mean()


def _teacher_not_shifted(student, teacher, labels):
    return _kl(student[:, :-1], teacher[:, 1:])[labels[:, 1:] != -100].mean()


def _all_positions(student, teacher, labels):
    return _kl(student[:, :-1], teacher[:, :-1]).mean()


def _zeros_in_the_mean(student, teacher, labels):
    return (_kl(student[:, :-1], teacher[:, :-1]) * (labels[:, 1:] != -100)).mean()


def _inverted(student, teacher, labels):
    return _kl(student[:, :-1], teacher[:, :-1])[labels[:, 1:] == -100].mean()


def _greater_than_zero(student, teacher, labels):
    return _kl(student[:, :-1], teacher[:, :-1])[labels[:, 1:] > 0].mean()


def _mean_of_means(student, teacher, labels):
    keep = labels[:, 1:] != -100
    values = _kl(student[:, :-1], teacher[:, :-1]) * keep
    return (values.sum(1) / keep.sum(1)).mean()


def _label_ce(student, teacher, labels):
    return F.cross_entropy(student[:, :-1].flatten(0, 1), labels[:, 1:].flatten())


def _sum(student, teacher, labels):
    return _kl(student[:, :-1], teacher[:, :-1])[labels[:, 1:] != -100].sum()


def _unreduced(student, teacher, labels):
    return _kl(student[:, :-1], teacher[:, :-1])[labels[:, 1:] != -100]


def _batchmean(student, teacher, labels):
    return F.kl_div(
        student[:, :-1].log_softmax(-1), teacher[:, :-1].softmax(-1), reduction="batchmean"
    )


def _long_mask(student, teacher, labels):
    return _kl(student[:, :-1], teacher[:, :-1])[labels != -100].mean()


def _jsd(student, teacher, labels, beta=0.5, *, mix=None, weights=None, m=None):
    q, p = student[:, :-1].softmax(-1), teacher[:, :-1].softmax(-1)
    a, b = (beta, 1 - beta) if weights is None else weights(beta)
    x, y = (beta, 1 - beta) if mix is None else mix(beta)
    m = x * p + y * q
    values = a * p * (p / m).log() + b * q * (q / m).log()
    return values.sum(-1)[labels[:, 1:] != -100].mean()


def _jsd_mixed_logs(student, teacher, labels, beta=0.5):
    log_q, log_p = student[:, :-1].log_softmax(-1), teacher[:, :-1].log_softmax(-1)
    log_m = beta * log_p + (1 - beta) * log_q
    values = beta * log_p.exp() * (log_p - log_m) + (1 - beta) * log_q.exp() * (log_q - log_m)
    return values.sum(-1)[labels[:, 1:] != -100].mean()


def _jsd_mixed_logits(student, teacher, labels, beta=0.5):
    s, t = student[:, :-1], teacher[:, :-1]
    m = beta * t + (1 - beta) * s
    values = beta * _kl(m, t) + (1 - beta) * _kl(m, s)
    return values[labels[:, 1:] != -100].mean()


def _jsd_to_m(student, teacher, labels, beta=0.5):
    q, p = student[:, :-1].softmax(-1), teacher[:, :-1].softmax(-1)
    m = beta * p + (1 - beta) * q
    values = beta * m * (m / p).log() + (1 - beta) * m * (m / q).log()
    return values.sum(-1)[labels[:, 1:] != -100].mean()


def _jsd_not_shifted(student, teacher, labels, beta=0.5):
    q, p = student.softmax(-1), teacher.softmax(-1)
    m = beta * p + (1 - beta) * q
    values = beta * p * (p / m).log() + (1 - beta) * q * (q / m).log()
    return values.sum(-1)[labels != -100].mean()


def _jsd_shifted_twice(student, teacher, labels, beta=0.5):
    return _jsd(student[:, :-1], teacher[:, :-1], labels[:, 1:], beta)


def _jsd_no_mask(student, teacher, labels, beta=0.5):
    return _jsd(student, teacher, torch.zeros_like(labels), beta)


def _jsd_mean_over_classes(student, teacher, labels, beta=0.5):
    return _jsd(student, teacher, labels, beta) / student.shape[-1]


def _symmetric_kl(student, teacher, labels, beta=0.5):
    s, t = student[:, :-1], teacher[:, :-1]
    return (beta * _kl(s, t) + (1 - beta) * _kl(t, s))[labels[:, 1:] != -100].mean()


def _top(student, teacher, k):
    log_p, ids = teacher.log_softmax(-1).topk(k)
    return log_p.exp(), student.log_softmax(-1).gather(-1, ids).exp(), ids


def _divergence(p, q):
    return (p * (p.log() - q.log())).sum(-1).mean()


def _no_tail(student, teacher, k):
    p, q, _ = _top(student, teacher, k)
    return _divergence(p, q)


def _renormalised(student, teacher, k):
    p, q, _ = _top(student, teacher, k)
    return _divergence(p / p.sum(-1, keepdim=True), q / q.sum(-1, keepdim=True))


def _students_top(student, teacher, k):
    log_q, ids = student.log_softmax(-1).topk(k)
    p, q = teacher.log_softmax(-1).gather(-1, ids).exp(), log_q.exp()
    rest = lambda x: torch.cat((x, 1 - x.sum(-1, keepdim=True)), -1)  # noqa: E731
    return _divergence(rest(p), rest(q))


def _own_top_each(student, teacher, k):
    p, q = teacher.softmax(-1).topk(k).values, student.softmax(-1).topk(k).values
    rest = lambda x: torch.cat((x, 1 - x.sum(-1, keepdim=True)), -1)  # noqa: E731
    return _divergence(rest(p), rest(q))


def _with_tail(student, teacher, k, *, turned=False, mean=False, total=False):
    p, q, _ = _top(student, teacher, k)
    p = torch.cat((p, 1 - p.sum(-1, keepdim=True)), -1)
    q = torch.cat((q, 1 - q.sum(-1, keepdim=True)), -1)
    if turned:
        p, q = q, p
    terms = p * (p.log() - q.log())
    return terms.mean() if mean else terms.sum() if total else terms.sum(-1).mean()


def _tail_of_the_teacher_only(student, teacher, k):
    p, q, _ = _top(student, teacher, k)
    tail = 1 - p.sum(-1, keepdim=True)
    return _divergence(torch.cat((p, tail), -1), torch.cat((q, tail), -1))


def _softmax_of_the_kept(student, teacher, k):
    values, ids = teacher.topk(k)
    return _divergence(values.softmax(-1), student.gather(-1, ids).softmax(-1))


def _tail_of_logits(student, teacher, k):
    values, ids = teacher.topk(k)
    kept = student.gather(-1, ids)
    p, q = values.softmax(-1), kept.softmax(-1)
    p = torch.cat((p, 1 - p.sum(-1, keepdim=True)), -1)
    q = torch.cat((q, 1 - q.sum(-1, keepdim=True)), -1)
    return _divergence(p, q)


def _smallest(student, teacher, k):
    log_p, ids = teacher.log_softmax(-1).topk(k, largest=False)
    p, q = log_p.exp(), student.log_softmax(-1).gather(-1, ids).exp()
    rest = lambda x: torch.cat((x, 1 - x.sum(-1, keepdim=True)), -1)  # noqa: E731
    return _divergence(rest(p), rest(q))


def _indexed(student, teacher, k):
    log_p, ids = teacher.log_softmax(-1).topk(k)
    log_q = student.log_softmax(-1)[:, ids]
    return (log_p.exp() * (log_p - log_q)).sum(-1).mean()


def _tail_spread(student, teacher, k):
    p, q, _ = _top(student, teacher, k)
    rest_p, rest_q = 1 - p.sum(-1), 1 - q.sum(-1)
    return _divergence(p, q) + (rest_p - rest_q).abs().mean()


def _over_all_labels(student, teacher, labels):
    keep = labels[:, 1:] != -100
    return (_kl(student[:, :-1], teacher[:, :-1]) * keep).sum() / (labels != -100).sum()


def _by_roll(student, teacher, labels):
    targets = torch.roll(labels, -1, dims=1)
    return _kl(student, teacher)[targets != -100].mean()


def _joined(student, teacher, labels):
    s, t = (z.reshape(-1, z.shape[-1])[:-1] for z in (student, teacher))
    return _kl(s, t)[labels.reshape(-1)[1:] != -100].mean()


def _answer_is_one_piece(student, teacher, labels):
    pieces = []
    for s, t, row in zip(student, teacher, labels, strict=True):
        places = (row[1:] != -100).nonzero()[:, 0]
        if len(places):
            pieces.append(_kl(s, t)[places.min() : places.max() + 1])
    return torch.cat(pieces).mean()


def _jsd_over_all_labels(student, teacher, labels, beta=0.5):
    q, p = student[:, :-1].softmax(-1), teacher[:, :-1].softmax(-1)
    m = beta * p + (1 - beta) * q
    values = (beta * p * (p / m).log() + (1 - beta) * q * (q / m).log()).sum(-1)
    return (values * (labels[:, 1:] != -100)).sum() / (labels != -100).sum()


def _jsd_by_roll(student, teacher, labels, beta=0.5):
    q, p = student.softmax(-1), teacher.softmax(-1)
    m = beta * p + (1 - beta) * q
    values = (beta * p * (p / m).log() + (1 - beta) * q * (q / m).log()).sum(-1)
    return values[labels.roll(-1, 1) != -100].mean()


WRONG = {
    "token_kl": {
        "The unshifted labels are counted": [_over_all_labels],
        "`roll` brings the first label to the end": [_by_roll],
        "The texts are joined before the shift": [_joined],
        "Everything between the first and the last label counts": [_answer_is_one_piece],
        "Nothing is shifted": [_not_shifted],
        "The shift is done twice": [_shifted_twice],
        "The shift goes the wrong way": [_shifted_back],
        "The mask is not shifted": [_labels_not_shifted],
        "Student and teacher are shifted against each other": [_teacher_not_shifted],
        "The mask is missing": [_all_positions],
        "The padding counts in the mean as zeros": [_zeros_in_the_mean],
        "The mask is inverted": [_inverted],
        "Token 0 is left out": [_greater_than_zero],
        "Each text is averaged first": [_mean_of_means],
        "Student and teacher are exchanged": [lambda s, t, y: _token_kl(t, s, y)],
        "This is the cross-entropy -sum p log q": [
            lambda s, t, y: _token_kl(
                s, t, y, lambda a, b: -(b.softmax(-1) * a.log_softmax(-1)).sum(-1)
            )
        ],
        "This is the labels' cross-entropy": [_label_ce],
        "There is a mean over the classes": [
            lambda s, t, y: _token_kl(
                s,
                t,
                y,
                lambda a, b: (b.softmax(-1) * (b.log_softmax(-1) - a.log_softmax(-1))).mean(-1),
            )
        ],
        "The tokens are summed": [_sum],
        "The mean over axis 0 is missing": [_unreduced],
        "Neither mask nor mean over tokens is there": [_batchmean],
        "The mask has another shape than the values": [_long_mask],
        "The logarithm of a softmax underflows": [
            lambda s, t, y: _token_kl(
                s,
                t,
                y,
                lambda a, b: (b.softmax(-1) * (b.softmax(-1) / a.softmax(-1)).log()).sum(-1),
            )
        ],
    },
    "token_jsd": {
        "The unshifted labels are counted": [_jsd_over_all_labels],
        "`roll` brings the first label to the end": [_jsd_by_roll],
        "`beta` has no effect": [lambda s, t, y, beta=0.5: _jsd(s, t, y)],
        "The parameter `beta` is missing": [lambda s, t, y: _jsd(s, t, y)],
        "The logarithms are mixed": [_jsd_mixed_logs],
        "The logits are mixed": [_jsd_mixed_logits],
        "The mixture is always half and half": [
            lambda s, t, y, beta=0.5: _jsd(s, t, y, beta, mix=lambda b: (0.5, 0.5))
        ],
        "Both divergences have the weight one half": [
            lambda s, t, y, beta=0.5: _jsd(s, t, y, beta, weights=lambda b: (0.5, 0.5))
        ],
        "beta weighs the student instead of the teacher": [
            lambda s, t, y, beta=0.5: _jsd(s, t, y, 1 - beta)
        ],
        "The mixture's weights are swapped": [
            lambda s, t, y, beta=0.5: _jsd(s, t, y, beta, mix=lambda b: (1 - b, b))
        ],
        "The divergences run from the mixture": [_jsd_to_m],
        "Nothing is shifted": [_jsd_not_shifted],
        "The shift is done twice": [_jsd_shifted_twice],
        "The mask is missing": [_jsd_no_mask],
        "There is a mean over the classes": [_jsd_mean_over_classes],
        "The mixture is missing": [_symmetric_kl],
        "The divergences are added without weights": [
            lambda s, t, y, beta=0.5: _jsd(s, t, y, beta, weights=lambda b: (1, 1))
        ],
        "The default of `beta` is wrong": [lambda s, t, y, beta=0.1: _jsd(s, t, y, beta)],
    },
    "top_k_kl": {
        "The tail is missing": [_no_tail, _tail_of_the_teacher_only],
        "Both sides are scaled to sum to 1 over the k": [_renormalised, _softmax_of_the_kept],
        "These are the student's k most probable classes": [_students_top],
        "Each side has its own k classes": [_own_top_each],
        "The direction is reversed": [lambda s, t, k: _with_tail(s, t, k, turned=True)],
        "There is a mean over the classes": [lambda s, t, k: _with_tail(s, t, k, mean=True)],
        "The rows are summed": [lambda s, t, k: _with_tail(s, t, k, total=True)],
        "The softmax runs over the k classes alone": [_tail_of_logits],
        "These are the teacher's least probable classes": [_smallest],
        "`[:, ids]` takes the classes of every row for each row": [_indexed],
        "This is the whole divergence": [lambda s, t, k: _kl(s, t).mean()],
        "One class too many is kept": [lambda s, t, k: _with_tail(s, t, k + 1)],
        "The rest is compared by its difference": [_tail_spread],
        "The mean over axis 0 is missing": [lambda s, t, k: _with_tail(s, t, k).repeat(len(s))],
        "`k` has no effect": [lambda s, t, k: _with_tail(s, t, 3)],
    },
}
