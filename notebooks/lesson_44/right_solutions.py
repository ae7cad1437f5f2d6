"""Right solutions in many styles: `check` has to accept each."""

from math import comb, perm, prod

import torch


def _steps_by_loop(digits, steps):
    wrong = int(steps[0] != digits[0])
    for i in range(1, len(steps)):
        if steps[i] != (steps[i - 1] + digits[i]) % 10:
            wrong += 1
    return wrong


def _steps_by_tensor(digits, steps):
    d, s = torch.tensor(digits), torch.tensor(steps)
    before = torch.cat((torch.zeros(1, dtype=s.dtype), s[:-1]))
    return ((before + d) % 10 != s).float().sum()


def _steps_by_difference(digits, steps):
    before = 0
    wrong = []
    for digit, step in zip(digits, steps, strict=True):
        wrong.append((step - before - digit) % 10 != 0)
        before = step
    return float(sum(wrong))


def _advantages_by_row(rewards, scale=True):
    rows = []
    for row in rewards:
        d = row - row.mean()
        rows.append(d / (row.std() + 1e-4) if scale else d)
    return torch.stack(rows)


def _advantages_by_formula(rewards, scale=True):
    g = rewards.shape[1]
    d = rewards - rewards.sum(dim=1, keepdim=True) / g
    s = (d.square().sum(dim=1, keepdim=True) / (g - 1)).sqrt()
    return torch.where(torch.tensor(scale), d / (s + 1e-4), d)


def _pass_by_product(n, c, k):
    if n - c < k:
        return 1.0
    return 1.0 - prod(1.0 - k / i for i in range(n - c + 1, n + 1))


def _pass_by_draws(n, c, k):
    all_wrong = 1.0
    for i in range(k):
        all_wrong *= max(0, n - c - i) / (n - i)
    return torch.tensor(1 - all_wrong)


RIGHT = {
    "wrong_steps": [_steps_by_loop, _steps_by_tensor, _steps_by_difference],
    "advantages": [_advantages_by_row, _advantages_by_formula],
    "pass_at_k": [
        _pass_by_product,
        _pass_by_draws,
        lambda n, c, k: 1 - perm(n - c, k) / perm(n, k),
        lambda n, c, k: (comb(n, k) - comb(n - c, k)) / comb(n, k),
    ],
}
