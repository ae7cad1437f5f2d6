"""Sequence, preference and sparse losses in float64 NumPy, probability by probability."""

import math

import numpy as np

from tests.losses.oracles.relation import pearson
from tests.losses.oracles.response import average, jsd, kl, log_softmax

Array = np.ndarray


def skew_kl(
    z_s: Array, z_t: Array, alpha: float, direction: str, T: float, mask: Array | None
) -> float:
    a, b = (np.exp(log_softmax(z, T)) for z in (z_t, z_s))
    if direction == "reverse":
        a, b = b, a
    return average((a * np.log(a / (alpha * a + (1 - alpha) * b))).sum(-1), mask)


def total_variation(z_s: Array, z_t: Array, T: float, mask: Array | None) -> float:
    p, q = (np.exp(log_softmax(z, T)) for z in (z_t, z_s))
    return average(1 - np.minimum(p, q).sum(-1), mask)  # what the two do not share


def generalised_jsd(z_s: Array, z_t: Array, beta: float, T: float, mask: Array | None) -> float:
    p, q = log_softmax(z_t, T), log_softmax(z_s, T)
    if beta == 0:
        return average(kl(p, q), mask)
    if beta == 1:
        return average(kl(q, p), mask)
    return jsd(z_s, z_t, T, beta, mask)


def uld(z_s: Array, z_t: Array, T: float, mask: Array | None) -> float:
    values = np.zeros(z_s.shape[:-1])
    for i in np.ndindex(values.shape):
        q, p = (sorted(np.exp(log_softmax(z[i], T)), reverse=True) for z in (z_s, z_t))
        longest = max(len(p), len(q))
        p, q = (x + [0.0] * (longest - len(x)) for x in (p, q))
        values[i] = sum(abs(a - b) for a, b in zip(p, q, strict=True))
    return average(values, mask)


def dist(z_s: Array, z_t: Array, T: float, beta: float, gamma: float, mask: Array | None) -> float:
    q, p = (np.exp(log_softmax(z, T)) for z in (z_s, z_t))
    q, p = (x[np.ones(x.shape[:-1], bool) if mask is None else mask] for x in (q, p))
    inter = np.mean([1 - pearson(a, b) for a, b in zip(q, p, strict=True)])
    intra = np.mean([1 - pearson(a, b) for a, b in zip(q.T, p.T, strict=True)])
    return float(T**2 * (beta * inter + gamma * intra))


def topk_kl(z_s: Array, ids: Array, log_p: Array, tail: str, T: float, mask: Array | None) -> float:
    values = np.zeros(z_s.shape[:-1])
    for i in np.ndindex(values.shape):
        q = np.exp(log_softmax(z_s[i], T))[ids[i]]
        p = np.exp(np.float64(log_p[i]))
        if tail == "bucket":
            q, p = np.append(q, 1 - q.sum()), np.append(p, 1 - p.sum())
        else:
            p = p / p.sum()
            q = q / q.sum() if tail == "renormalise both" else q
        values[i] = (p * np.log(p / q)).sum()
    return average(values, mask)


def dpo(chosen, rejected, ref_chosen, ref_rejected, beta: float, smoothing: float) -> float:
    total = 0.0
    for c, r, rc, rr in zip(chosen, rejected, ref_chosen, ref_rejected, strict=True):
        win = 1 / (1 + math.exp(-beta * ((c - rc) - (r - rr))))
        total -= (1 - smoothing) * math.log(win) + smoothing * math.log(1 - win)
    return total / len(chosen)


def distilled_dpo(first, second, ref_first, ref_second, t_first, t_second, beta, T) -> float:
    total = 0.0
    for s1, s2, r1, r2, t1, t2 in zip(
        first, second, ref_first, ref_second, t_first, t_second, strict=True
    ):
        v = 1 / (1 + math.exp(-beta * ((s1 - r1) - (s2 - r2))))
        w = 1 / (1 + math.exp(-(t1 - t2) / T))
        total += w * math.log(w / v) + (1 - w) * math.log((1 - w) / (1 - v))
    return total / len(first)


def with_tail(z: Array, ids: Array, T: float) -> Array:
    """Log-probabilities of the listed classes and of all others as one: (..., k + 1)."""
    log_p = log_softmax(z, T)
    listed = np.take_along_axis(log_p, ids, -1)
    others = np.exp(log_p).sum(-1, keepdims=True) - np.exp(listed).sum(-1, keepdims=True)
    return np.concatenate((listed, np.log(others)), -1)
