"""What peers outside the package index compute, once more in float64 NumPy.

Written from the formulas they document, apart from their code, our losses and our oracles.
"""

import numpy as np

from tests.losses.golden.case import Tensors

Array = np.ndarray


def softmax(z: Array, T: float = 1.0) -> Array:
    e = np.exp((z - z.max(-1, keepdims=True)) / T)
    return e / e.sum(-1, keepdims=True)


def both(x: Tensors, T: float = 1.0) -> tuple[Array, Array]:
    """Teacher's p and student's q, positions that the mask keeps only."""
    kept = x.get("mask", ...)
    return softmax(x["teacher"][kept], T), softmax(x["student"][kept], T)


def forward(x: Tensors, T: float) -> Array:
    p, q = both(x, T)
    return (p * np.log(p / q)).sum(-1)


def ce(q: Array, labels: Array) -> float:
    return float(-np.log(q[np.arange(len(labels)), labels]).mean())


def entropy(x: Tensors, T: float = 1.0) -> float:
    p, _ = both(x, T)
    return float(-(p * np.log(p)).sum(-1).mean())


def skewed(x: Tensors, reverse: bool = False) -> float:
    p, q = both(x)
    if reverse:
        return float((q * np.log(q / (0.9 * p + 0.1 * q))).sum(-1).mean())
    return float(-(p * np.log(0.1 * p + 0.9 * q)).sum(-1).mean())


def mirrored_js(x: Tensors, lam: float) -> float:
    p, q = both(x)
    m = (1 - lam) * p + lam * q
    mixed = lam * (q * np.log(q / m)).sum(-1) + (1 - lam) * (p * np.log(p / m)).sum(-1)
    return float(mixed.mean())


def decoupled(x: Tensors, T: float, alpha: float, beta: float) -> float:
    """The target's mass and the rest's; then both without the target's column."""
    p, q = both(x, T)
    own = np.eye(p.shape[-1])[x["labels"]]
    with np.errstate(divide="ignore"):
        pair_p, pair_q = (
            np.stack(((y * own).sum(-1), (y * (1 - own)).sum(-1)), -1) for y in (p, q)
        )
        target = (pair_p * (np.log(pair_p) - np.log(pair_q))).sum(-1)
    rest_p, rest_q = (softmax(x[side] / T - 1000.0 * own) for side in ("teacher", "student"))
    safe_p, safe_q = (np.where(own, 1.0, y) for y in (rest_p, rest_q))
    others = (rest_p * np.log(safe_p / safe_q)).sum(-1)
    return float(T**2 * (alpha * target + beta * others).mean())


def hard_deit(x: Tensors, alpha: float) -> float:
    decision = x["teacher"].argmax(-1)
    hard = ce(softmax(x["student"]), x["labels"])
    return (1 - alpha) * hard + alpha * ce(softmax(x["head"]), decision)


def top(x: Tensors, k: int, T: float) -> float:
    """DistillKit's default for what is missing: none of it, and the listed sum to 1."""
    p, q = both(x, T)
    ids = np.argsort(-p, -1)[..., :k]
    p, q = (np.take_along_axis(y, ids, -1) for y in (p, q))
    p = p / p.sum(-1, keepdims=True)
    return float((p * np.log(p / q)).sum(-1).mean())


def sampled(x: Tensors) -> tuple[float, float]:
    """Divergence from the counted frequencies, and what it lacks of ours."""
    p, q = softmax(x["teacher"]), softmax(x["student"])
    theirs, missing = [], []
    for drawn, p_row, q_row in zip(x["ids"], p, q, strict=True):
        frequency = np.bincount(drawn, minlength=len(p_row)) / len(drawn)
        seen = frequency > 0
        f = frequency[seen]
        theirs.append((f * np.log(f / q_row[seen])).sum())
        missing.append((f * np.log(p_row[seen] / f)).sum())
    return float(np.mean(theirs)), float(np.mean(missing))


def hidden_mse(x: Tensors) -> float:
    """Squares times the mask, over the number of valid tokens times the width."""
    weight = x["mask"][..., None].astype(float)
    squares = ((x["student"] - x["teacher"]) ** 2 * weight).sum()
    return float(squares / weight.sum() / x["student"].shape[-1])


def selectivity(x: Tensors) -> float:
    """Every channel beside every other over space, as one tensor of products."""
    s, t = (f.reshape(*f.shape[:2], -1) for f in (x["student"], x["teacher"]))
    s, t = (f / np.sqrt((f**2).sum(-1, keepdims=True)) for f in (s, t))

    def kernel(a: Array, b: Array) -> float:
        return float(((a[:, None] * b[:, :, None]).sum(-1) ** 2).mean())

    return kernel(t, t) + kernel(s, s) - 2 * kernel(s, t)


def similarity(x: Tensors) -> float:
    maps = []
    for f in (x["student"], x["teacher"]):
        g = f @ f.T
        maps.append(g / np.linalg.norm(g, axis=1, keepdims=True))
    return float(np.linalg.norm(maps[1] - maps[0]) ** 2 / len(maps[0]) ** 2)


def neighbours_in_a_row(x: Tensors) -> float:
    """Products of neighbouring differences, summed: no kernel, no pairs."""
    delta = np.abs(x["student"] - x["teacher"])
    return float((delta[:-1] * delta[1:]).sum(1).mean())


def relations(x: Tensors, version: int, heads: int) -> float:
    """Over every head and query at once, padded keys at minus infinity."""
    mask, total = x["mask"], 0.0
    pairs = {1: [(0, 1), (2, 2)], 2: [(0, 0), (1, 1), (2, 2)]}[version]
    for i, j in pairs:
        logs = []
        for side in (x["teacher"], x["student"]):
            a, b = (side[n].reshape(*side[n].shape[:2], heads, -1) for n in (i, j))
            z = np.einsum("bqhd,bkhd->bhqk", a, b) / np.sqrt(a.shape[-1])
            z = np.where(mask[:, None, None], z, -1e4)
            logs.append(z - np.log(np.exp(z).sum(-1, keepdims=True)))
        gap = (np.exp(logs[0]) * (logs[0] - logs[1])).sum(-1).mean(1)
        total += float(gap[mask].mean())
    return total


def smoothed_preference(x: Tensors, beta: float, e: float) -> float:
    gain = (x["student"] - x["reference"]) * beta
    margin = gain[:, 0] - gain[:, 1]
    return float(np.mean((1 - e) * np.log1p(np.exp(-margin)) + e * np.log1p(np.exp(margin))))


def mean_square(x: Tensors) -> float:
    return float(((x["student"] - x["teacher"]) ** 2).mean())
