"""Right solutions in many styles: `check` has to accept each."""

import torch


def _loops(logits, T=1.0):
    rows = []
    for row in logits:
        e = [((z - row.max()) / T).exp() for z in row]
        rows.append(torch.stack([x / sum(e) for x in e]))
    return torch.stack(rows)


RIGHT = {
    "softmax_with_temperature": [
        lambda logits, T=1.0: torch.nn.Softmax(dim=1)(logits / T),
        lambda logits, T=1.0: (logits / T).log_softmax(-1).exp(),
        lambda logits, T=1.0: (logits.half() / T).softmax(-1),
        lambda logits, T=1.0: (logits.to(torch.bfloat16) / T).softmax(-1),
        lambda logits, T: torch.softmax(logits.double() / T, -1),
        _loops,
    ]
}
