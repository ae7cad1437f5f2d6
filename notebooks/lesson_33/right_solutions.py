"""Right solutions in many styles: `check` has to accept each."""

import torch


def _balance_categorical(logits):
    mean = logits.softmax(-1).mean(0)
    return -torch.distributions.Categorical(probs=mean).entropy()


def _balance_by_log_sum(logits):
    log_mean = logits.log_softmax(-1).logsumexp(0) - torch.tensor(float(len(logits))).log()
    return (log_mean.exp() * log_mean).sum()


def _gap_by_hand(features, mean, variance):
    centre = features.sum(0) / len(features)
    spread = (features - centre).pow(2).sum(0) / (len(features) - 1)
    return (centre - mean).pow(2).sum().sqrt() + (spread - variance).pow(2).sum().sqrt()


def _gap_by_moments(features, mean, variance):
    spread, centre = torch.var_mean(features, dim=0)
    return torch.linalg.vector_norm(centre - mean) + torch.dist(spread, variance)


def _share_by_loop(made, private, unseen):
    count = 0
    for picture in made:
        near = min(float((picture - other).square().sum()) for other in private)
        far = min(float((picture - other).square().sum()) for other in unseen)
        count += near < far
    return 100 * count / len(made)


def _share_by_label(made, private, unseen):
    nearest = torch.cdist(made, torch.cat([private, unseen])).argmin(1)
    return 100 * (nearest < len(private)).double().mean()


RIGHT = {
    "class_balance": [_balance_categorical, _balance_by_log_sum],
    "batch_norm_gap": [_gap_by_hand, _gap_by_moments],
    "share_nearer": [_share_by_loop, _share_by_label],
}
