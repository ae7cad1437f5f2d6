"""Right solutions in other styles: `check` has to accept each."""

import torch
from torch.nn import functional as F


def _residual_by_rows(p, q):
    rows = []
    for a, b in zip(p, q, strict=True):
        missing = torch.relu(a - b)
        rows.append(missing / missing.sum())
    return torch.stack(rows)


def _acceptance_by_total_variation(draft_logits, target_logits):
    p, q = target_logits.softmax(-1), draft_logits.softmax(-1)
    return 1 - (p - q).abs().sum(-1).mean() / 2


def _acceptance_by_rule(draft_logits, target_logits):
    log_q, log_p = draft_logits.log_softmax(-1), target_logits.log_softmax(-1)
    return (log_q.exp() * (log_p - log_q).clamp(max=0).exp()).sum(-1).mean()


def _speed_in_a_loop(acceptance, cost, drafts):
    tokens, alive = 1.0, 1.0
    for _ in range(drafts):
        alive = alive * acceptance
        tokens = tokens + alive
    return tokens / (1 + drafts * cost)


def _speed_with_a_case(acceptance, cost, drafts):
    if acceptance == 1:
        tokens = drafts + 1
    else:
        tokens = (1 - acceptance ** (drafts + 1)) / (1 - acceptance)
    return tokens / (1 + drafts * cost)


def _speed_by_chances(acceptance, cost, drafts):
    """The expected length, from the chance of each place of the first rejection."""
    first = sum((i + 1) * acceptance**i * (1 - acceptance) for i in range(drafts))
    return (first + (drafts + 1) * acceptance**drafts) / (1 + drafts * cost)


RIGHT = {
    "residual": [
        lambda p, q: (p - q).relu() * 2 / (p - q).abs().sum(-1, keepdim=True),
        _residual_by_rows,
        lambda p, q: (p - q).clamp(min=0).log().softmax(-1),
        lambda p, q: torch.where(p > q, p - q, 0.0).double() / (p - q).relu().sum(1)[:, None],
        lambda p, q: F.normalize(F.relu(p - q), p=1, dim=-1),
        lambda p, q: (p - torch.minimum(p, q)) / (1 - torch.minimum(p, q).sum(-1, keepdim=True)),
    ],
    "acceptance": [
        _acceptance_by_total_variation,
        _acceptance_by_rule,
        lambda s, t: torch.minimum(s.log_softmax(-1), t.log_softmax(-1)).exp().sum() / len(s),
        lambda s, t: torch.stack((s.softmax(-1), t.softmax(-1))).amin(0).sum(-1).mean(),
    ],
    "speed_up": [
        _speed_in_a_loop,
        _speed_with_a_case,
        _speed_by_chances,
        lambda a, c, n: torch.tensor([a**i for i in range(n + 1)]).sum() / (n * c + 1),
    ],
}
