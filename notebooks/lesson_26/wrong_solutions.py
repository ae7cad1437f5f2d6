"""Wrong solutions that learners write, each under the name that `check` has to give it."""

import torch


def _layer(d, f):
    return 4 * (d * d + d) + 2 * d * f + f + d + 4 * d


def _spread(n, m):
    return torch.tensor([float((k + 1) * n // m - 1) for k in range(m)])


WRONG = {
    "layer_count": {
        "The biases are missing": [lambda d, f: 4 * d**2 + 2 * d * f + 2 * (d + d)],
        "4 d numbers are missing": [
            lambda d, f: 4 * (d * d + d) + d * f + f + f * d + d,
            lambda d, f: 4 * d * d + 2 * d * f + f + d + 4 * d,
        ],
        "2 d numbers are missing": [
            lambda d, f: _layer(d, f) - 2 * d,
            lambda d, f: 4 * (d * d + d) + 2 * d * f + f + d + 2 * d,
        ],
        "The biases of the two inner matrices are missing": [
            lambda d, f: 4 * (d * d + d) + 2 * d * f + 4 * d
        ],
        "The output matrix of attention is missing": [
            lambda d, f: 3 * (d * d + d) + 2 * d * f + f + d + 4 * d
        ],
        "Only one of the two inner matrices is counted": [
            lambda d, f: 4 * (d * d + d) + d * f + f + d + 4 * d
        ],
        "The inner width is not used": [lambda d, f: 12 * d * d + 13 * d],
        "Biases and layer norms are missing": [lambda d, f: 4 * d * d + 2 * d * f],
        "The arguments have changed places": [lambda d, f: _layer(f, d)],
        "The result is in millions": [lambda d, f: _layer(d, f) / 1_000_000],
    },
    "layer_map": {
        "Layers are counted from 1": [
            lambda n, m: torch.tensor([float((k + 1) * n // m) for k in range(m)])
        ],
        "Each group gives its first layer": [
            lambda n, m: (torch.arange(m) * n // m).float(),
            lambda n, m: torch.tensor([float(int(k * n / m)) for k in range(m)]),
        ],
        "These are the first layers": [lambda n, m: torch.arange(m).float()],
        "These are the last layers": [lambda n, m: torch.arange(n - m, n).float()],
        "The step is rounded too early": [
            lambda n, m: torch.tensor([float(n // m * (k + 1) - 1) for k in range(m)])
        ],
        "The layers are not whole numbers": [lambda n, m: torch.arange(1, m + 1) * (n / m) - 1],
        "The layers come in reverse": [lambda n, m: _spread(n, m).flip(0)],
    },
    "kept_by_task": {
        "The tasks are averaged away": [
            lambda s, t: 100 * s.mean() / t.mean(),
            lambda s, t: (100 * s.mean(0) / t).mean(),
        ],
        "The mean runs over tasks": [lambda s, t: 100 * s.mean(-1) / t.mean()],
        "This is a difference": [lambda s, t: s.mean(0) - t],
        "The ratio is turned round": [lambda s, t: 100 * t / s.mean(0)],
        "The result is a fraction": [lambda s, t: s.mean(0) / t],
        "The best seed is taken": [lambda s, t: 100 * s.max(0).values / t],
        "Every task is divided by the teacher's mean": [lambda s, t: 100 * s.mean(0) / t.mean()],
    },
}
