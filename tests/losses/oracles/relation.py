"""Relational losses in float64 NumPy: pairs and triples in plain loops, masked rows deleted."""

import math

import numpy as np

from tests.losses.oracles.feature import unit

Array = np.ndarray


def both(s: Array, t: Array, mask: Array | None) -> tuple[Array, Array]:
    result = []
    for f in (s, t):
        kept = np.float64(f if mask is None else f[mask])
        result.append(kept.reshape(len(kept), -1))
    return result[0], result[1]


def huber(x: float) -> float:
    return x * x / 2 if abs(x) < 1 else abs(x) - 0.5


def similarity(s: Array, t: Array, mask: Array | None = None) -> float:
    s, t = both(s, t, mask)
    g_s, g_t = (np.array([unit(row) for row in f @ f.T]) for f in (s, t))
    return float(((g_s - g_t) ** 2).sum() / len(s) ** 2)


def cosines(s: Array, t: Array, mask: Array | None = None) -> float:
    """Every pair once each way, none of an example with itself."""
    s, t = both(s, t, mask)
    u, v = ([unit(row) for row in f] for f in (s, t))
    pairs = [(i, j) for i in range(len(s)) for j in range(len(s)) if i != j]
    return float(np.mean([(u[i] @ u[j] - v[i] @ v[j]) ** 2 for i, j in pairs]))


def rkd_distance(s: Array, t: Array, mask: Array | None = None) -> float:
    def relative(f: Array) -> Array:
        d = np.array([[math.dist(a, b) for b in f] for a in f])
        return d / d[d > 0].mean()

    s, t = both(s, t, mask)
    gaps = (relative(s) - relative(t)).ravel()
    return float(np.mean([huber(g) for g in gaps]))


def rkd_angle(s: Array, t: Array, mask: Array | None = None) -> float:
    s, t = both(s, t, mask)
    n, total = len(s), 0.0
    for i in range(n):
        for j in range(n):
            for k in range(n):
                angles = [unit(f[j] - f[i]) @ unit(f[k] - f[i]) for f in (s, t)]
                total += huber(angles[0] - angles[1])
    return total / n**3


def correlation_congruence(
    s: Array, t: Array, gamma: float, order: int, mask: Array | None = None
) -> float:
    def kernel(a: Array, b: Array) -> float:
        c = unit(a) @ unit(b)
        return math.exp(-2 * gamma) * sum(
            (2 * gamma * c) ** p / math.factorial(p) for p in range(order + 1)
        )

    s, t = both(s, t, mask)
    n = len(s)
    gaps = [(kernel(s[i], s[j]) - kernel(t[i], t[j])) ** 2 for i in range(n) for j in range(n)]
    return sum(gaps) / n**2


def pkt(s: Array, t: Array, eps: float = 1e-7, mask: Array | None = None) -> float:
    def neighbours(f: Array) -> Array:
        k = np.array([[(1 + unit(a) @ unit(b)) / 2 for b in f] for a in f]) + eps
        return k / k.sum(1, keepdims=True)

    s, t = both(s, t, mask)
    p, q = neighbours(t), neighbours(s)
    return float((p * np.log(p / q)).sum() / len(s))


def crd(s: Array, t: Array, T: float, mask: Array | None = None) -> float:
    """In-batch: one logistic regression a row and side, true pair against the other rows."""
    s, t = both(s, t, mask)
    n = len(s)

    def side(anchors: Array, others: Array) -> float:
        total = 0.0
        for i in range(n):
            for j in range(n):
                e = math.exp(unit(anchors[i]) @ unit(others[j]) / T)
                h = e / (e + n - 1)
                total -= math.log(h) if i == j else math.log(1 - h)
        return total / n

    return side(s, t) + side(t, s)


def pearson(a: Array, b: Array) -> float:
    return float(unit(a - a.mean()) @ unit(b - b.mean()))
