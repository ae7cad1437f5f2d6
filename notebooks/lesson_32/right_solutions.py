"""Right solutions in other styles: `check` has to accept each."""

from collections import Counter
from math import log

import torch


def _loop(student, teacher, threshold=0.9):
    total, sure = 0.0, 0
    for s, z in zip(student, teacher, strict=True):
        p = torch.softmax(z, 0)
        if p.max() > threshold:
            total, sure = total - s.log_softmax(0)[p.argmax()], sure + 1
    return total / sure


def _ignored(student, teacher, threshold=0.9):
    confidence, answer = torch.softmax(teacher, dim=1).max(dim=1)
    answer[confidence <= threshold] = -100
    return torch.nn.functional.cross_entropy(student, answer)


def _weighed(student, teacher, threshold=0.9):
    confidence, answer = teacher.softmax(-1).max(-1)
    loss = torch.nn.functional.cross_entropy(student, answer, reduction="none")
    kept = (confidence > threshold).float()
    return (loss * kept).sum() / kept.sum()


def _by_fold(answers, fold):
    result = torch.empty_like(answers[0])
    for k in range(len(answers)):
        result[fold == k] = answers[k][fold == k]
    return result


def _counted(votes, classes):
    total = []
    for column in votes.T.tolist():
        shares = [n / len(column) for n in Counter(column).values()]
        total.append(-sum(v * log(v) for v in shares))
    return torch.tensor(total)


def _clamped(votes, classes):
    counts = torch.stack([(votes == c).sum(0) for c in range(classes)], -1)
    v = counts / len(votes)
    return -(v * v.clamp_min(1e-12).log()).sum(-1)


RIGHT = {
    "sure_loss": [_loop, _ignored, _weighed],
    "out_of_fold_answers": [
        _by_fold,
        lambda a, fold: torch.stack([a[k, i] for i, k in enumerate(fold.tolist())]),
        lambda a, fold: a.gather(0, fold[None, :, None].expand(1, -1, a.shape[2]))[0],
    ],
    "vote_entropy": [_counted, _clamped],
}
