"""Right solutions in many styles: `check` has to accept each."""

import numpy as np
import torch
from torch.nn import functional as F


def _disagreement_by_kl(logits):
    p = logits.softmax(-1)
    mean = p.mean(0, keepdim=True)
    return (p * (p.clamp_min(1e-30).log() - mean.clamp_min(1e-30).log())).sum(-1).mean(0)


def _route_loop(logits, choice):
    return torch.stack([logits[int(number), i] for i, number in enumerate(choice)])


def _route_gather(logits, choice):
    index = choice[None, :, None].expand(1, -1, logits.shape[-1])
    return logits.gather(0, index)[0]


RIGHT = {
    "mean_of_probabilities": [
        lambda logits, T=1.0: F.softmax(logits / T, dim=-1).mean(dim=0),
        lambda logits, T=1.0: sum((z / T).softmax(-1) for z in logits) / len(logits),
        lambda logits, T=1.0: (
            (logits / T).log_softmax(-1).logsumexp(0) - np.log(len(logits))
        ).exp(),
    ],
    "disagreement": [
        _disagreement_by_kl,
        lambda logits: (
            torch.distributions.Categorical(probs=logits.softmax(-1).mean(0)).entropy()
            - torch.distributions.Categorical(logits=logits).entropy().mean(0)
        ),
    ],
    "routed_logits": [
        _route_loop,
        _route_gather,
        lambda logits, choice: (
            logits * F.one_hot(choice, len(logits)).T[..., None].to(logits.dtype)
        ).sum(0),
        lambda logits, choice: (
            torch.where((choice == 0)[:, None], logits[0], logits[1])
            if len(logits) == 2
            else _route_loop(logits, choice)
        ),
    ],
}
