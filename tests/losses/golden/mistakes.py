"""The wrong values of the packages once more, from the mistake that explains them.

A frozen wrong value that nobody can explain would prove nothing: here each is re-derived.
"""

from collections.abc import Callable

import numpy as np
import torch

from tests.losses.golden.case import Tensors
from tests.losses.golden.formulas import softmax
from tests.losses.oracles import relation, response, sequence


def without_T_squared(x: Tensors) -> float:
    return response.forward_kl(x["student"], x["teacher"], 4.0)


def sums_of_one(x: Tensors) -> float:
    g_s, g_t = (f @ f.T for f in (x["student"], x["teacher"]))
    g_s, g_t = (g / np.abs(g).sum(1, keepdims=True) for g in (g_s, g_t))
    return float(((g_s - g_t) ** 2).sum() / len(g_s) ** 2)


def distances_from_squares(x: Tensors) -> float:
    """Largest part of the distances lost in float32, as a value near the peer's."""
    found = []
    for f in (np.float32(x["student"]), np.float32(x["teacher"])):
        squares = (f**2).sum(1)
        d = np.sqrt(np.maximum(squares[:, None] + squares[None] - 2 * f @ f.T, np.float32(1e-12)))
        d = d * (1 - np.eye(len(f)))
        found.append(d / d[d > 0].mean())
    return float(np.mean([relation.huber(gap) for gap in (found[0] - found[1]).ravel()]))


def gradient_of_a_floor(x: Tensors) -> float:
    """About 1 / 1e-12, times what the mean over B^3 triples leaves of it."""
    return 1e12 / len(x["student"]) ** 2


def over_the_batch_alone(x: Tensors) -> float:
    length = x["student"].shape[1]
    return length * response.jsd(x["student"], x["teacher"], 2.0, 0.5)


def one_token_late(x: Tensors) -> float:
    return sequence.uld(x["student"][:, 2:6], x["teacher"][:, 2:6], 1.5, None)


def zero_logits(x: Tensors) -> float:
    p = softmax(x["teacher"][:, :6])
    q = softmax(np.concatenate((x["student"][:, :6], np.zeros((6, 2))), 1))[:, :6]
    return float((p * np.log(p / q)).sum(-1).mean())


def in_bfloat16(x: Tensors) -> float:
    log_q, log_p = (
        torch.tensor(x[side]).bfloat16().log_softmax(-1) for side in ("student", "teacher")
    )
    log_m = torch.stack((log_q + np.log(0.5), log_p + np.log(0.5))).logsumexp(0)
    each = ((log_p.exp() * (log_p - log_m)) + log_q.exp() * (log_q - log_m)) / 2
    return each.sum(-1).float().mean().item()


# by the case's id: how it comes about, and how closely that has to agree
MISTAKES: dict[str, tuple[Callable[[Tensors], float], float]] = {
    "kd alpha = 0 loses T^2": (without_T_squared, 1e-9),
    "similarity normalised with p = 1": (sums_of_one, 1e-9),
    "RKD distance far from the origin": (distances_from_squares, 0.1),  # rounding, so roughly
    "RKD's gradient with a duplicated row": (gradient_of_a_floor, 10),  # its order of magnitude
    "jsd in three axes without labels": (over_the_batch_alone, 1e-9),
    "ULD one position late": (one_token_late, 1e-9),
    "a smaller vocabulary filled with zeros": (zero_logits, 1e-5),
    "jsd in bfloat16": (in_bfloat16, 0.1),  # rounding, so roughly
}
