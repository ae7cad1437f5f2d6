"""Wrong solutions that learners write, each under the name that `check` has to give it."""

import torch
from torch.nn.functional import cross_entropy, one_hot


def _labels(z, threshold, unsure=-100):
    confidence, answer = z.softmax(-1).max(-1)
    answer[confidence <= threshold] = unsure
    return answer


def _logit_loop(s, z, threshold=0.9):
    rows = [i for i, row in enumerate(z) if row.max() > threshold]
    return cross_entropy(s[rows], z[rows].argmax(-1))


def _masked_mean(s, z, threshold=0.9):
    confidence, answer = z.softmax(-1).max(-1)
    loss = cross_entropy(s, answer, reduction="none")
    return (loss * (confidence > threshold)).mean()


def _multiplied(s, z, threshold=0.9):
    confidence, answer = z.softmax(-1).max(-1)
    return cross_entropy(s, answer * (confidence > threshold))


def _loop_by_fold(answers, fold):
    parts = [answers[k, fold == k] for k in range(len(answers))]
    return torch.cat(parts)


def _mean_of_others(answers, fold):
    result = torch.zeros_like(answers[0])
    for i, k in enumerate(fold.tolist()):
        result[i] = torch.stack([a[i] for j, a in enumerate(answers) if j != k]).mean(0)
    return result


def _counts(votes, classes):
    return torch.stack([(votes == c).sum(0) for c in range(classes)], -1).float()


def _nan_entropy(votes, classes):
    p = _counts(votes, classes) / len(votes)
    return -(p * torch.log(p)).sum(-1)


WRONG = {
    "sure_loss": {
        "A logit is compared with the threshold": [_logit_loop],
        "The sum is divided by the number of all pictures": [
            _masked_mean,
            lambda s, z, threshold=0.9: (
                cross_entropy(s, _labels(z, threshold), reduction="none").sum() / len(s)
            ),
        ],
        "Unsure pictures get label 0": [
            _multiplied,
            lambda s, z, threshold=0.9: cross_entropy(s, _labels(z, threshold, 0)),
        ],
        "The unsure pictures are used, the sure ones left out": [
            lambda s, z, threshold=0.9: cross_entropy(
                s, torch.where(z.softmax(-1).amax(-1) < threshold, z.argmax(-1), -100)
            )
        ],
        "There is a sum over the sure pictures": [
            lambda s, z, threshold=0.9: cross_entropy(s, _labels(z, threshold), reduction="sum")
        ],
        "The student's confidence decides": [
            lambda s, z, threshold=0.9: cross_entropy(
                s, torch.where(s.softmax(-1).amax(-1) > threshold, z.argmax(-1), -100)
            )
        ],
        "Teacher and student have changed places": [
            lambda s, z, threshold=0.9: cross_entropy(z, _labels(s, threshold))
        ],
        "`threshold` has no effect": [
            lambda s, z, threshold=0.9: cross_entropy(s, _labels(z, 0.9))
        ],
        "Every picture is used": [
            lambda s, z, threshold=0.9: cross_entropy(s, z.softmax(-1).argmax(-1))
        ],
        "The softmax is taken twice": [
            lambda s, z, threshold=0.9: cross_entropy(s.softmax(-1), _labels(z, threshold))
        ],
    },
    "out_of_fold_answers": {
        "The answers are sorted by fold": [_loop_by_fold],
        "The teachers that saw the picture answer": [_mean_of_others],
        "The mean of all teachers is taken": [lambda a, fold: a.sum(0) / len(a)],
        "A whole table is chosen for each picture": [
            lambda a, fold: a[fold],
            lambda a, fold: a.index_select(0, fold),
        ],
        "The next teacher answers": [
            lambda a, fold: torch.stack([a[(k + 1) % len(a), i] for i, k in enumerate(fold)])
        ],
        "The teacher before answers": [lambda a, fold: a[fold - 1, range(len(fold))]],
        "The first teacher answers about every picture": [lambda a, fold: a[0].clone()],
        "The softmax is taken": [lambda a, fold: a.softmax(-1)[fold, torch.arange(len(fold))]],
        "The class is returned": [lambda a, fold: a.argmax(-1)[fold, torch.arange(len(fold))]],
    },
    "vote_entropy": {
        "0 · log 0 has become NaN": [_nan_entropy],
        "The minus sign is missing": [
            lambda v, classes: torch.xlogy(
                _counts(v, classes) / len(v), _counts(v, classes) / len(v)
            ).sum(-1)
        ],
        "This is in bits": [
            lambda v, classes: (
                -(
                    (_counts(v, classes) / len(v))
                    * (_counts(v, classes) / len(v)).clamp_min(1e-12).log2()
                ).sum(-1)
            )
        ],
        "The counts are used, not the shares": [
            lambda v, classes: torch.special.entr(_counts(v, classes)).sum(-1)
        ],
        "The shares are taken over the texts": [
            lambda v, classes: torch.special.entr(one_hot(v, classes).float().mean(1)).sum(-1)
        ],
        "There is a mean over the classes": [
            lambda v, classes: torch.special.entr(_counts(v, classes) / len(v)).mean(-1)
        ],
        "This is one minus the share of the most frequent answer": [
            lambda v, classes: 1 - _counts(v, classes).amax(-1) / len(v)
        ],
        "There is a mean over the texts": [
            lambda v, classes: torch.special.entr(_counts(v, classes) / len(v)).sum(-1).mean()
        ],
        "This is the variance of the class numbers": [
            lambda v, classes: torch.var(v.float(), 0, correction=0)
        ],
        "This is the number of different answers": [
            lambda v, classes: torch.tensor([float(len(set(t.tolist()))) for t in v.T])
        ],
    },
}
