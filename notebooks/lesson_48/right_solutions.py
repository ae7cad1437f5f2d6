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


RIGHT = {
    "residual": [
        _residual_by_rows,
        lambda p, q: F.normalize(F.relu(p - q), p=1, dim=-1),
        lambda p, q: (p - torch.minimum(p, q)) / (1 - torch.minimum(p, q).sum(-1, keepdim=True)),
    ],
    "acceptance": [
        _acceptance_by_total_variation,
        _acceptance_by_rule,
        lambda s, t: torch.stack((s.softmax(-1), t.softmax(-1))).amin(0).sum(-1).mean(),
    ],
    "speed_up": [
        _speed_in_a_loop,
        _speed_with_a_case,
        lambda a, c, n: torch.tensor([a**i for i in range(n + 1)]).sum() / (n * c + 1),
    ],
}
