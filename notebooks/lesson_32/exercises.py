"""The exercises of lesson 32: sure answers, out-of-fold answers, the votes' entropy."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, one_hot

from distill_lab.course.check.exercise import Exercise, Invariance, Mistake
from distill_lab.course.check.invariances import logits, same, teaches

__all__ = ["EXERCISES"]

_S, _Z = logits(12, 4, 30), torch.cat([logits(6, 4, 31), logits(6, 4, 32, scale=4.0)])
_Z[0] = torch.tensor([2.5, 0.0, 0.1, 0.2])  # a logit above 0.9, its probability below
_Z[3] = torch.tensor([1.2, -1.0, -1.5, -2.0])  # as a sigmoid it is below 0.85
_Z[[1, 7, 9]] -= 9.0  # logits below 0.9, their probabilities as they were


def _mean(student: Tensor, answer: Tensor, kept: Tensor) -> Tensor:
    return cross_entropy(student[kept], answer[kept])


def _sure(teacher: Tensor, threshold: float) -> Tensor:
    return teacher.softmax(-1).amax(-1) > threshold


def _sure_loss(student: Tensor, teacher: Tensor, threshold: float = 0.9) -> Tensor:
    return _mean(student, teacher.argmax(-1), _sure(teacher, threshold))


_TIED = _Z.clone()
_TIED[2] = torch.tensor([0.0, 0.0, -1e4, -1e4])  # a confidence of exactly one half


_EACH = {"student_logits": _S, "teacher_logits": _Z}

sure_loss = Exercise(
    name="sure_loss",
    formula="mean of -log q of the teacher's answer, over pictures with a confidence above tau",
    reference=_sure_loss,
    cases=(
        {**_EACH, "threshold": 0.6},
        {**_EACH, "threshold": 0.85},
        {**_EACH, "teacher_logits": _TIED, "threshold": 0.5},
    ),
    defaults={"threshold": 0.9},
    trained=("student_logits",),
    invariances=(
        Invariance(
            "what the student gives for unsure pictures changes nothing",
            lambda f: same(
                f(_S + 9.0 * (~_sure(_Z, 0.6))[:, None] * torch.arange(4.0), _Z, 0.6),
                _sure_loss(_S, _Z, 0.6),
            ),
        ),
        Invariance(
            "a gradient reaches the student's logits",
            lambda f: teaches(lambda s: f(s, _Z, 0.6), _S),
            "Do not detach the student.",
        ),
        Invariance(
            "a number added to all logits of a picture changes nothing",
            lambda f: same(f(_S, _Z + 5.0, 0.6), _sure_loss(_S, _Z, 0.6)),
            "Compare probabilities with the threshold: take the softmax first.",
        ),
    ),
    mistakes=(
        Mistake(
            "A logit is compared with the threshold. Take the softmax first.",
            lambda s, z, t: _mean(s, z.argmax(-1), z.amax(-1) > t),
        ),
        Mistake(
            "The unsure pictures are used, the sure ones left out. Turn the comparison round.",
            lambda s, z, t: _mean(s, z.argmax(-1), ~_sure(z, t)),
        ),
        Mistake(
            "The sum is divided by the number of all pictures. Divide by that of the sure ones.",
            lambda s, z, t: _sure_loss(s, z, t) * _sure(z, t).float().mean(),
        ),
        Mistake(
            "There is a sum over the sure pictures. Take their mean.",
            lambda s, z, t: _sure_loss(s, z, t) * _sure(z, t).sum(),
        ),
        Mistake(
            "The student's confidence decides. The teacher's confidence has to.",
            lambda s, z, t: _mean(s, z.argmax(-1), _sure(s, t)),
        ),
        Mistake(
            "Teacher and student have changed places. The teacher answers, the student learns.",
            lambda s, z, t: _sure_loss(z, s, t),
        ),
        Mistake(
            "Unsure pictures get label 0. Class 0 is a class: leave them out.",
            lambda s, z, t: cross_entropy(s, torch.where(_sure(z, t), z.argmax(-1), 0)),
        ),
        Mistake(
            "Equal is enough in your comparison. The confidence is above the threshold: `>`.",
            lambda s, z, t: _mean(s, z.argmax(-1), z.softmax(-1).amax(-1) >= t),
        ),
        Mistake("`threshold` has no effect. Use the argument.", lambda s, z, t: _sure_loss(s, z)),
        Mistake(
            "Every picture is used. Compare the confidence with `threshold`.",
            lambda s, z, t: cross_entropy(s, z.argmax(-1)),
        ),
        Mistake(
            "The target is soft. Use the teacher's answer as a label.",
            lambda s, z, t: cross_entropy(s[_sure(z, t)], z.softmax(-1)[_sure(z, t)]),
        ),
        Mistake(
            "The softmax runs over the pictures (axis 0). The classes are the last axis.",
            lambda s, z, t: _mean(s, z.argmax(-1), z.softmax(0).amax(-1) > t),
        ),
        Mistake(
            "The sigmoid is taken. The classes exclude each other: use the softmax.",
            lambda s, z, t: _mean(s, z.argmax(-1), z.sigmoid().amax(-1) > t),
        ),
        Mistake(
            "The softmax is taken twice. `cross_entropy` wants logits.",
            lambda s, z, t: _sure_loss(s.softmax(-1), z, t),
        ),
        Mistake("The minus sign is missing.", lambda s, z, t: -_sure_loss(s, z, t)),
        Mistake(
            "There is one number a picture. Return their mean.",
            lambda s, z, t: cross_entropy(
                s[_sure(z, t)], z.argmax(-1)[_sure(z, t)], reduction="none"
            ),
        ),
    ),
)

_A = torch.stack([logits(7, 3, 40 + k) for k in range(4)])  # (teachers, pictures, classes)
_F = torch.tensor([2, 0, 3, 1, 1, 0, 2])
_A2, _F2 = torch.stack([logits(4, 5, 50 + k) for k in range(2)]), torch.tensor([1, 0, 0, 1])


def _chosen(answers: Tensor, fold: Tensor) -> Tensor:
    return answers[fold, torch.arange(len(fold))]


def _others(answers: Tensor, fold: Tensor) -> Tensor:
    sees = one_hot(fold, len(answers)).T[..., None] == 0
    return (answers * sees).sum(0) / (len(answers) - 1)


out_of_fold_answers = Exercise(
    name="out_of_fold_answers",
    formula="row i is the answer about picture i by the teacher that did not learn from its fold",
    reference=_chosen,
    cases=({"answers": _A, "fold": _F}, {"answers": _A2, "fold": _F2}),
    invariances=(
        Invariance(
            "a change in what the other teachers answer changes nothing",
            lambda f: same(f(_A + 9.0 * (one_hot(_F, 4).T[..., None] == 0), _F), _chosen(_A, _F)),
            "Only teacher k may answer about fold k: the others have seen these labels.",
        ),
    ),
    mistakes=(
        Mistake(
            "The mean of all teachers is taken. All but one of them have seen the label.",
            lambda a, fold: a.mean(0),
        ),
        Mistake(
            "The teachers that saw the picture answer. Choose the one teacher that did not.",
            _others,
        ),
        Mistake(
            "The first teacher answers about every picture. Choose the teacher by the fold.",
            lambda a, fold: a[0],
        ),
        Mistake(
            "The next teacher answers. Teacher k belongs to fold k, so use `fold` as it is.",
            lambda a, fold: a[(fold + 1) % len(a), torch.arange(len(fold))],
        ),
        Mistake(
            "The teacher before answers. Teacher k belongs to fold k, so use `fold` as it is.",
            lambda a, fold: a[fold - 1, torch.arange(len(fold))],
        ),
        Mistake(
            "A whole table is chosen for each picture. Add the picture's number: `a[fold, i]`.",
            lambda a, fold: a[fold],
        ),
        Mistake(
            "The result has one row a teacher. Return one row a picture.", lambda a, fold: a.mean(1)
        ),
        Mistake(
            "The answers are sorted by fold. Keep the order of the pictures.",
            lambda a, fold: _chosen(a, fold)[fold.argsort(stable=True)],
        ),
        Mistake(
            "The picture is chosen by the fold. The fold chooses the teacher, the first axis.",
            lambda a, fold: a[torch.arange(len(fold)) % len(a), fold],
        ),
        Mistake(
            "The softmax is taken. Return the logits as they are.",
            lambda a, fold: _chosen(a, fold).softmax(-1),
        ),
        Mistake(
            "The class is returned. Return the logits of all classes.",
            lambda a, fold: _chosen(a, fold).argmax(-1),
        ),
    ),
)

_V = torch.tensor([[0, 1, 2, 2], [0, 1, 1, 2], [0, 2, 0, 2], [0, 1, 2, 1], [0, 1, 2, 0]])
_V2 = torch.tensor([[3, 1, 0], [3, 2, 0]])


def _shares(votes: Tensor, classes: int) -> Tensor:
    return one_hot(votes, classes).float().mean(0)


def _entropy(votes: Tensor, classes: int) -> Tensor:
    return torch.special.entr(_shares(votes, classes)).sum(-1)


vote_entropy = Exercise(
    name="vote_entropy",
    formula="-sum over classes of v log v, v the share of the asks that name the class, in nats",
    reference=_entropy,
    cases=({"votes": _V, "classes": 3}, {"votes": _V2, "classes": 4}),
    invariances=(
        Invariance(
            "five equal answers have entropy 0",
            lambda f: same(f(_V[:1].expand(5, -1), 3), torch.zeros(4)),
            "0 · log 0 counts as 0, but in floating point it is NaN: use `torch.special.entr`.",
        ),
        Invariance(
            "the order of the asks does not matter",
            lambda f: same(f(_V.flip(0), 3), _entropy(_V, 3)),
        ),
        Invariance(
            "a class without a vote adds nothing", lambda f: same(f(_V, 6), _entropy(_V, 3))
        ),
    ),
    mistakes=(
        Mistake(
            "0 · log 0 has become NaN. Use `torch.special.entr`.",
            lambda v, c: -(_shares(v, c) * _shares(v, c).log()).sum(-1),
        ),
        Mistake("The minus sign is missing.", lambda v, c: -_entropy(v, c)),
        Mistake(
            "This is in bits. We count in nats, with the natural logarithm.",
            lambda v, c: _entropy(v, c) / 0.6931472,
        ),
        Mistake(
            "The counts are used, not the shares. Divide by the number of asks.",
            lambda v, c: torch.special.entr(one_hot(v, c).float().sum(0)).sum(-1),
        ),
        Mistake(
            "The shares are taken over the texts. Take the mean over the asks, axis 0.",
            lambda v, c: torch.special.entr(one_hot(v, c).float().mean(1)).sum(-1),
        ),
        Mistake(
            "There is a mean over the classes. Sum over them.", lambda v, c: _entropy(v, c) / c
        ),
        Mistake(
            "This is the share of the most frequent answer. The entropy uses all shares.",
            lambda v, c: _shares(v, c).amax(-1),
        ),
        Mistake(
            "This is one minus the share of the most frequent answer. Use all shares.",
            lambda v, c: 1 - _shares(v, c).amax(-1),
        ),
        Mistake(
            "This is the variance of the class numbers. Their numbers mean nothing.",
            lambda v, c: v.float().var(0, correction=0),
        ),
        Mistake(
            "There is a mean over the texts. Keep one number a text.",
            lambda v, c: _entropy(v, c).mean(),
        ),
        Mistake(
            "The sum over the classes is missing.", lambda v, c: torch.special.entr(_shares(v, c))
        ),
        Mistake(
            "The softmax is applied to shares. They sum to one already.",
            lambda v, c: torch.special.entr(_shares(v, c).softmax(-1)).sum(-1),
        ),
        Mistake(
            "The entropy is divided by its greatest value, log C. Return it in nats.",
            lambda v, c: _entropy(v, c) / torch.tensor(float(c)).log(),
        ),
        Mistake(
            "This is the number of different answers. It does not see how often each was given.",
            lambda v, c: (_shares(v, c) > 0).float().sum(-1),
        ),
    ),
)

EXERCISES = {exercise.name: exercise for exercise in (sure_loss, out_of_fold_answers, vote_entropy)}
