"""What hints made for one question can teach, exactly: averages, what is left, and attempts."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = [
    "average",
    "find_hints",
    "fixed_share",
    "geometric",
    "left_over",
    "next_direct",
    "pass_at",
    "request_flops",
]


def find_hints(first: float, slip: float, places: int = 5) -> tuple[Tensor, Tensor]:
    """Give how often each place is right, and what a teacher that reads it predicts.

    Args:
        first: how often the first place is right; the others share the rest.
        slip: how much the teacher gives to the places that the hint does not name.
        places: how many.

    Returns:
        p(z) (places,), and p(y | z) (places, places), a row a hint.
    """
    share = torch.full((places,), (1 - first) / (places - 1), dtype=torch.float64)
    share[0] = first
    teachers = torch.full((places, places), slip / (places - 1), dtype=torch.float64)
    return share, teachers.fill_diagonal_(1 - slip)


def average(share: Tensor, teachers: Tensor) -> Tensor:
    """Return the student with the least forward KL to all teachers: their mean.

    Formula: q(y) = sum_z p(z) p(y | z).

    >>> average(torch.tensor([0.5, 0.5]), torch.tensor([[1.0, 0.0], [0.0, 1.0]]))
    tensor([0.5000, 0.5000])
    """
    return share @ teachers


def geometric(share: Tensor, teachers: Tensor) -> Tensor:
    """Return the student with the least reverse KL: the normalised geometric mean.

    Formula: q(y) proportional to exp(sum_z p(z) log p(y | z)).
    """
    return (share @ teachers.log()).softmax(-1)


def left_over(share: Tensor, teachers: Tensor) -> float:
    """Return the forward KL that no student removes: the information of hint and answer, in nats.

    Formula: I(Y; Z) = sum_z p(z) KL(p(. | z) || average).
    """
    ratio = torch.special.xlogy(teachers, teachers) - torch.special.xlogy(
        teachers, average(share, teachers)
    )
    return float((share[:, None] * ratio).sum())


def pass_at(k: int, share: Tensor, student: Tensor) -> float:
    """Return how often at least one of k attempts is right, in percent.

    Formula: sum_z p(z) (1 - (1 - q(z))^k), the place z being right.

    Args:
        k: attempts, drawn independently.
        share: how often each place is right (places,).
        student: its probabilities (..., places); the mean is taken over what comes before.
    """
    each = 1 - (1 - student.double()) ** k
    return 100 * float((each * share.double()).sum(-1).mean())


def next_direct(direct: float, accuracy: float, group: int) -> float:
    """Return the share of direct answers after a round in which the shortest right one is the hint.

    Formula: 1 - (1 - r p)^G: in a group of G at least one is direct and right by chance.

    Args:
        direct: p, the share of direct answers before.
        accuracy: r, how often a direct answer is right.
        group: G, attempts at a question.
    """
    return 1 - (1 - accuracy * direct) ** group


def fixed_share(accuracy: float, group: int, *, start: float = 0.3, rounds: int = 5000) -> float:
    """Return the share of direct answers after very many rounds."""
    share = start
    for _ in range(rounds):
        share = next_direct(share, accuracy, group)
    return share


def request_flops(
    prompt: int, rest: int, *, parameters: float, layers: int, width: int, kept: bool = False
) -> float:
    """Return the FLOPs of reading and answering a request, about.

    Formula: 2 N a token, and 4 layers width for each earlier token that a token attends to.

    Args:
        prompt: tokens of the system prompt.
        rest: tokens of question and answer.
        parameters: N, without the embedding.
        layers: of the model.
        width: of its hidden states.
        kept: whether the prompt's keys and values are kept from an earlier request.
    """
    first = prompt if kept else 0
    total = prompt + rest
    pairs = (total * (total + 1) - first * (first + 1)) / 2
    return 2 * parameters * (total - first) + 4 * layers * width * pairs
