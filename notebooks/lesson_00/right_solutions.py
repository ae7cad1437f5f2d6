"""Right solutions in many styles: `check` has to accept each."""

import torch


def _loops(logits, T=1.0):
    rows = []
    for row in logits:
        e = [((z - row.max()) / T).exp() for z in row]
        rows.append(torch.stack([x / sum(e) for x in e]))
    return torch.stack(rows)


def _interval_numpy(taught, alone, t):
    gain = (taught - alone).double().numpy()
    half = t * gain.std(ddof=1) / gain.size**0.5
    return torch.tensor([gain.mean() - half, gain.mean() + half])


RIGHT = {
    "paired_interval_by_hand": [
        _interval_numpy,
        lambda a, b, t: (a - b).mean() + torch.tensor([-t, t]) * ((a - b).var() / len(a)).sqrt(),
    ],
    "gain_from_pairs": [
        lambda a, b: float(((a.var() + b.var()) / (a - b).var()) ** 0.5),
        lambda a, b: torch.hypot(a.std(), b.std()) / (a - b).std(),
    ],
    "softmax_with_temperature": [
        lambda logits, T=1.0: torch.nn.Softmax(dim=1)(logits / T),
        lambda logits, T=1.0: (logits / T).log_softmax(-1).exp(),
        lambda logits, T=1.0: (logits.half() / T).softmax(-1),
        lambda logits, T=1.0: (logits.to(torch.bfloat16) / T).softmax(-1),
        lambda logits, T: torch.softmax(logits.double() / T, -1),
        _loops,
    ],
}
