"""The response losses once more, in float64 NumPy, written from the formulas and nothing else."""

import numpy as np

Array = np.ndarray


def log_softmax(z: Array, T: float = 1.0) -> Array:
    z = np.asarray(z, np.float64) / T
    z = z - z.max(-1, keepdims=True)
    return z - np.log(np.exp(z).sum(-1, keepdims=True))


def kl(log_a: Array, log_b: Array) -> Array:
    a = np.exp(log_a)
    with np.errstate(invalid="ignore"):
        return np.where(a > 0, a * (log_a - log_b), 0.0).sum(-1)


def average(values: Array, mask: Array | None) -> float:
    return float(values.mean() if mask is None else values[mask].mean())


def forward_kl(z_s: Array, z_t: Array, T: float = 1.0, mask: Array | None = None) -> float:
    return average(kl(log_softmax(z_t, T), log_softmax(z_s, T)), mask)


def reverse_kl(z_s: Array, z_t: Array, T: float = 1.0, mask: Array | None = None) -> float:
    return average(kl(log_softmax(z_s, T), log_softmax(z_t, T)), mask)


def jsd(
    z_s: Array, z_t: Array, T: float = 1.0, beta: float = 0.5, mask: Array | None = None
) -> float:
    p, q = np.exp(log_softmax(z_t, T)), np.exp(log_softmax(z_s, T))
    with np.errstate(divide="ignore"):
        log_p, log_q, log_m = np.log(p), np.log(q), np.log(beta * p + (1 - beta) * q)
    return average(beta * kl(log_p, log_m) + (1 - beta) * kl(log_q, log_m), mask)


def soft_cross_entropy(z_s: Array, z_t: Array, T: float = 1.0, mask: Array | None = None) -> float:
    return average(-(np.exp(log_softmax(z_t, T)) * log_softmax(z_s, T)).sum(-1), mask)


def logit_mse(z_s: Array, z_t: Array, mask: Array | None = None) -> float:
    return average(((np.float64(z_s) - np.float64(z_t)) ** 2).sum(-1), mask)


def cross_entropy(z: Array, y: Array, mask: Array | None = None) -> float:
    picked = np.take_along_axis(log_softmax(z), y[..., None], -1)[..., 0]
    return average(-picked, mask)


def kd_loss(
    z_s: Array, z_t: Array, y: Array, T: float, alpha: float, mask: Array | None = None
) -> float:
    soft = T**2 * forward_kl(z_s, z_t, T, mask)
    return alpha * soft + (1 - alpha) * cross_entropy(z_s, y, mask)


def dkd_loss(
    z_s: Array, z_t: Array, y: Array, T: float, alpha: float, beta: float, mask: Array | None = None
) -> float:
    p, q = np.exp(log_softmax(z_t, T)), np.exp(log_softmax(z_s, T))
    one_hot = np.arange(p.shape[-1]) == y[..., None]
    p_y, q_y = p[one_hot].reshape(y.shape), q[one_hot].reshape(y.shape)
    target = p_y * np.log(p_y / q_y) + (1 - p_y) * np.log((1 - p_y) / (1 - q_y))
    others_p = np.where(one_hot, 0.0, p) / (1 - p_y)[..., None]
    others_q = np.where(one_hot, 1.0, q / (1 - q_y)[..., None])
    safe = np.where(one_hot, 1.0, others_p)
    rest = (np.where(one_hot, 0.0, others_p) * np.log(safe / others_q)).sum(-1)
    return average(T**2 * (alpha * target + beta * rest), mask)
