"""Feature and attention losses in float64 NumPy: one example, one channel, one pair at a time."""

import numpy as np

from tests.losses.oracles.response import kl, log_softmax

Array = np.ndarray


def unit(v: Array) -> Array:
    v = np.asarray(v, np.float64)
    length = np.sqrt((v**2).sum())
    return v / length if length > 0 else v * 0


def kept(shape: tuple[int, ...], mask: Array | None) -> list[tuple[int, ...]]:
    """The index of every position that counts."""
    mask = np.ones(shape, bool) if mask is None else mask
    return [tuple(i) for i in np.argwhere(mask)]


def hint(s: Array, t: Array, mask: Array | None = None) -> float:
    where = kept(s.shape[:1] if mask is None else mask.shape, mask)
    return float(np.mean([np.mean((np.float64(s[i]) - np.float64(t[i])) ** 2) for i in where]))


def cosine(s: Array, t: Array, mask: Array | None = None) -> float:
    return float(np.mean([1 - unit(s[i]) @ unit(t[i]) for i in kept(s.shape[:-1], mask)]))


def nst(s: Array, t: Array, mask: Array | None = None) -> float:
    def kernel(a: list[Array], b: list[Array]) -> float:
        return float(np.mean([[(x @ y) ** 2 for y in b] for x in a]))

    values = []
    for i in kept(s.shape[:1], mask):
        a = [unit(channel.ravel()) for channel in s[i]]
        b = [unit(channel.ravel()) for channel in t[i]]
        values.append(kernel(a, a) + kernel(b, b) - 2 * kernel(a, b))
    return float(np.mean(values))


def vid(
    s: Array, t: Array, weight: Array, bias: Array, scale: Array, eps: float, mask: Array | None
) -> float:
    variance = np.log1p(np.exp(np.float64(scale))) + eps
    values = []
    for i in kept(s.shape[:1] if mask is None else mask.shape, mask):
        mean = np.float64(s[i]) @ np.float64(weight).T + bias
        values.append(np.mean(0.5 * ((t[i] - mean) ** 2 / variance + np.log(variance))))
    return float(np.mean(values))


def attention_transfer(s: Array, t: Array, form: str, mask: Array | None = None) -> float:
    values = []
    for i in kept(s.shape[:1], mask):
        q_s = unit((np.float64(s[i]) ** 2).mean(0).ravel())
        q_t = unit((np.float64(t[i]) ** 2).mean(0).ravel())
        gap = ((q_s - q_t) ** 2).sum()
        values.append(gap / q_s.size if form == "code" else np.sqrt(gap))
    return float(np.mean(values))


def tinybert(s: Array, t: Array, mask: Array | None = None) -> float:
    batch, heads, length, _ = s.shape
    mask = np.ones((batch, length), bool) if mask is None else mask
    rows = []
    for b in range(batch):
        tokens = np.flatnonzero(mask[b])
        for q in tokens:
            gaps = [
                (float(s[b, h, q, k]) - float(t[b, h, q, k])) ** 2
                for h in range(heads)
                for k in tokens
            ]
            rows.append(np.mean(gaps))
    return float(np.mean(rows))


def minilm(s, t, heads: int, version: int, mask: Array | None = None) -> float:
    """s and t are (queries, keys, values); padding is cut off, not masked."""
    pairs = {1: [(0, 1), (2, 2)], 2: [(0, 0), (1, 1), (2, 2)]}[version]
    batch, length, _ = s[0].shape
    mask = np.ones((batch, length), bool) if mask is None else mask

    def log_relation(a: Array, b: Array, head: int) -> Array:
        size = a.shape[-1] // heads
        part = slice(head * size, (head + 1) * size)
        return log_softmax(np.float64(a[:, part]) @ np.float64(b[:, part]).T / np.sqrt(size))

    total = 0.0
    for i, j in pairs:
        per_token = []
        for b in range(batch):
            m = mask[b]
            by_head = [
                kl(log_relation(t[i][b][m], t[j][b][m], h), log_relation(s[i][b][m], s[j][b][m], h))
                for h in range(heads)
            ]
            per_token.extend(np.mean(by_head, 0))
        total += float(np.mean(per_token))
    return total
