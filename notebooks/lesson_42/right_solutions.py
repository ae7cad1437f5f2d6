"""Right solutions in many styles: `check` has to accept each."""

import torch


def _errors_by_limit(length, eps, r):
    """The closed form: w_i = s (1 - (1 - r - eps)^i), s the share of errors in the long run."""
    if eps + r == 0:
        return 0.0
    share, keep = eps / (eps + r), 1 - r - eps
    return share * sum(1 - keep**i for i in range(1, length + 1))


def _errors_by_matrix(length, eps, r):
    move = torch.tensor([[1 - eps, eps], [r, 1 - r]], dtype=torch.float64)
    at, total = torch.tensor([1.0, 0.0], dtype=torch.float64), 0.0
    for _ in range(length):
        at = at @ move
        total += at[1].item()
    return total


def _sampled_by_weights(log_q, log_p, mask):
    with torch.no_grad():
        gap = torch.where(mask, log_q - log_p, 0.0)
    return (gap * torch.where(mask, log_q, 0.0)).sum() / mask.sum()


def _sampled_by_parts(log_q, log_p, mask):
    kept_q, kept_p = log_q[mask], log_p[mask]
    return (kept_q * kept_q.detach()).mean() - (kept_q * kept_p.detach()).mean()


def _nucleus_by_rows(logits, T, top_p):
    rows = []
    for z in logits:
        p = torch.softmax(z / T, 0)
        order = p.argsort(descending=True)
        kept = torch.zeros_like(p)
        total = 0.0
        for i in order.tolist():
            if total >= top_p:
                break
            kept[i] = p[i]
            total += p[i].item()
        rows.append(kept / kept.sum())
    return torch.stack(rows)


def _nucleus_by_mask(logits, T, top_p):
    p, order = (logits / T).softmax(-1).sort(-1, descending=True)
    drop = p.cumsum(-1) - p >= top_p
    drop = torch.zeros_like(drop).scatter(-1, order, drop)
    return (logits / T).masked_fill(drop, float("-inf")).softmax(-1)


def _sampled_by_numpy(log_q, log_p, mask):
    gap = torch.from_numpy(log_q.detach().numpy() - log_p.numpy())
    return torch.einsum("bl,bl,bl->", gap, log_q, mask.float()) / mask.sum()


def _sampled_by_loop(log_q, log_p, mask):
    total, count = 0.0, 0
    for i, j in mask.nonzero().tolist():
        total = total + (log_q[i, j] - log_p[i, j]).item() * log_q[i, j]
        count += 1
    return total / count


def _nucleus_by_pairs(logits, T, top_p):
    p = (logits / T).double().softmax(-1)
    larger = p[:, None, :] > p[:, :, None]
    before = (larger * p[:, None, :]).sum(-1)
    kept = torch.where(before < top_p, p, 0.0)
    return torch.nn.functional.normalize(kept, p=1, dim=-1)


def _nucleus_from_the_end(logits, T, top_p):
    p, order = (logits / T).softmax(-1).sort(-1)
    keep = p.cumsum(-1) > 1 - top_p
    keep[:, -1] = True
    return torch.zeros_like(p).scatter(-1, order, p * keep / (p * keep).sum(-1, keepdim=True))


def _errors_by_recursion(length, eps, r):
    def wrong(i):
        return 0.0 if i == 0 else wrong(i - 1) * (1 - r) + (1 - wrong(i - 1)) * eps

    return torch.tensor([wrong(i + 1) for i in range(length)]).sum()


RIGHT = {
    "expected_errors": [_errors_by_limit, _errors_by_matrix, _errors_by_recursion],
    "sampled_loss": [_sampled_by_weights, _sampled_by_parts, _sampled_by_numpy, _sampled_by_loop],
    "nucleus": [_nucleus_by_rows, _nucleus_by_mask, _nucleus_by_pairs, _nucleus_from_the_end],
}
