"""What learners get wrong in the exercises of lesson 31, each with its cure."""

from __future__ import annotations

import torch
from torch import Tensor

from distill_lab.course.check.exercise import Mistake

__all__ = ["DISAGREEMENT", "MEAN", "ROUTE"]


def _entropy(p: Tensor) -> Tensor:
    return torch.special.entr(p).sum(-1)


def _kl(a: Tensor, b: Tensor) -> Tensor:
    return (a * (a / b).log()).sum(-1)


def _jsd(z: Tensor) -> Tensor:
    p = z.softmax(-1)
    return _entropy(p.mean(0)) - _entropy(p).mean(0)


def _by_teacher(z: Tensor, choice: Tensor) -> Tensor:
    return torch.cat([z[m, choice == m] for m in range(len(z))])


MEAN = (
    Mistake(
        "This is the mean of the logits. Take the softmax of each teacher first.",
        lambda z, T=1.0: (z.mean(0) / T).softmax(-1),
    ),
    Mistake(
        "The temperature is missing. Divide the logits by T.",
        lambda z, T=1.0: z.softmax(-1).mean(0),
    ),
    Mistake(
        "The probabilities are divided by T, not the logits.",
        lambda z, T=1.0: (z.softmax(-1) / T).mean(0),
    ),
    Mistake(
        "The logits are multiplied by T. Divide by it.",
        lambda z, T=1.0: (z * T).softmax(-1).mean(0),
    ),
    Mistake(
        "The softmax runs over the teachers (axis 0). It belongs over the classes (axis -1).",
        lambda z, T=1.0: (z / T).softmax(0).mean(0),
    ),
    Mistake(
        "The softmax runs over the pictures (axis 1). It belongs over the classes (axis -1).",
        lambda z, T=1.0: (z / T).softmax(1).mean(0),
    ),
    Mistake(
        "The mean runs over the pictures (axis 1). It belongs over the teachers (axis 0).",
        lambda z, T=1.0: (z / T).softmax(-1).mean(1),
    ),
    Mistake(
        "The probabilities are summed, not averaged. Divide by the number of teachers.",
        lambda z, T=1.0: (z / T).softmax(-1).sum(0),
    ),
    Mistake("The mean over the teachers is missing.", lambda z, T=1.0: (z / T).softmax(-1)),
    Mistake(
        "These are logarithms. Return probabilities.",
        lambda z, T=1.0: (z / T).softmax(-1).mean(0).log(),
    ),
    Mistake(
        "This is the mean of log-probabilities, a geometric mean. Average the probabilities.",
        lambda z, T=1.0: (z / T).log_softmax(-1).mean(0).exp(),
    ),
    Mistake(
        "The mean goes through a second softmax. It is a distribution already.",
        lambda z, T=1.0: (z / T).softmax(-1).mean(0).softmax(-1),
    ),
    Mistake("Only the first teacher is used.", lambda z, T=1.0: (z[0] / T).softmax(-1)),
)

DISAGREEMENT = (
    Mistake(
        "This is the entropy of the mean alone. Subtract the mean of the entropies.",
        lambda z: _entropy(z.softmax(-1).mean(0)),
    ),
    Mistake(
        "This is the mean of the entropies alone. Subtract it from the entropy of the mean.",
        lambda z: _entropy(z.softmax(-1)).mean(0),
    ),
    Mistake(
        "The sign is changed: it is the entropy of the mean minus the mean.", lambda z: -_jsd(z)
    ),
    Mistake(
        "The two entropies are added. Subtract the second.",
        lambda z: _entropy(z.softmax(-1).mean(0)) + _entropy(z.softmax(-1)).mean(0),
    ),
    Mistake(
        "The mean is of the logits. Average the probabilities.",
        lambda z: _entropy(z.mean(0).softmax(-1)) - _entropy(z.softmax(-1)).mean(0),
    ),
    Mistake(
        "The entropies are summed over the teachers. Take their mean.",
        lambda z: _entropy(z.softmax(-1).mean(0)) - _entropy(z.softmax(-1)).sum(0),
    ),
    Mistake(
        "There is a mean over the pictures. Keep one number a picture.", lambda z: _jsd(z).mean()
    ),
    Mistake(
        "The sum over the classes is missing. Keep one number a picture.",
        lambda z: (
            torch.special.entr(z.softmax(-1).mean(0)) - torch.special.entr(z.softmax(-1)).mean(0)
        ),
    ),
    Mistake("There is a mean over the classes. Sum over them.", lambda z: _jsd(z) / z.shape[-1]),
    Mistake("This is in bits. We count in nats.", lambda z: _jsd(z) / 0.6931472),
    Mistake(
        "The KL divergence runs from the mean to the teachers. It has to run to the mean.",
        lambda z: _kl(z.softmax(-1).mean(0), z.softmax(-1)).mean(0),
    ),
    Mistake(
        "This is the variance of the probabilities. Use entropies.",
        lambda z: z.softmax(-1).var(0).sum(-1),
    ),
    Mistake(
        "This is the variance of the probabilities. Use entropies.",
        lambda z: z.softmax(-1).var(0, correction=0).sum(-1),
    ),
    Mistake("Teachers and pictures have changed places.", lambda z: _jsd(z.transpose(0, 1))),
)

ROUTE = (
    Mistake(
        "This picks whole teachers, one for each picture. Pick one row of each: index both axes.",
        lambda z, choice: z[choice],
    ),
    Mistake(
        "The rows stand in the order of the teachers. Row i belongs to picture i.", _by_teacher
    ),
    Mistake("The first picture's teacher answers all pictures.", lambda z, choice: z[choice[0]]),
    Mistake("This is the mean of the teachers. Pick one.", lambda z, choice: z.mean(0)),
    Mistake(
        "This is the largest logit of any teacher. Pick the chosen teacher's row.",
        lambda z, choice: z.amax(0),
    ),
    Mistake("The choice is ignored: the first teacher answers.", lambda z, choice: z[0]),
    Mistake("The choice is ignored: the last teacher answers.", lambda z, choice: z[-1]),
    Mistake(
        "The softmax is applied to the result. Return logits.",
        lambda z, choice: z[choice, torch.arange(z.shape[1])].softmax(-1),
    ),
    Mistake(
        "The choice is read from its end. Entry i belongs to picture i.",
        lambda z, choice: z[choice.flip(0), torch.arange(z.shape[1])],
    ),
    Mistake(
        "The two index axes have changed places: the teacher comes first.",
        lambda z, choice: z[torch.arange(z.shape[1]) % len(z), choice],
    ),
    Mistake(
        "Each teacher's rows are multiplied by the number of the teacher. Use a mask of 0 and 1.",
        lambda z, choice: (z * choice[None, :, None]).sum(0),
    ),
)
