"""Right solutions in many styles: `check` has to accept each."""

import torch
from torch.nn import functional as F


def _patches_loop(pictures, patch):
    squares = []
    for top in range(0, pictures.shape[2], patch):
        for left in range(0, pictures.shape[3], patch):
            square = pictures[:, :, top : top + patch, left : left + patch]
            squares.append(square.flatten(1))
    return torch.stack(squares, 1)


def _patches_view(pictures, patch):
    b, c, h, w = pictures.shape
    cut = pictures.view(b, c, h // patch, patch, w // patch, patch)
    return cut.permute(0, 2, 4, 1, 3, 5).reshape(b, -1, c * patch * patch)


def _heads_log(cls_logits, distillation_logits, teacher_logits, labels, alpha):
    rows = torch.arange(len(labels))
    hard = -cls_logits.log_softmax(-1)[rows, labels].mean()
    taught = -distillation_logits.log_softmax(-1)[rows, teacher_logits.max(-1).indices].mean()
    return hard + alpha * (taught - hard)


def _heads_one_hot(cls_logits, distillation_logits, teacher_logits, labels, alpha):
    decision = F.one_hot(teacher_logits.argmax(1), teacher_logits.shape[1]).to(cls_logits.dtype)
    taught = F.cross_entropy(distillation_logits, decision)
    return alpha * taught + (1 - alpha) * F.cross_entropy(cls_logits, labels)


def _map_loop(weights, token, side):
    mean = sum(weights) / len(weights)
    rows = [mean[token][2 + side * i : 2 + side * (i + 1)] for i in range(side)]
    return torch.stack(rows)


RIGHT = {
    "patches": [
        _patches_loop,
        _patches_view,
        lambda pictures, patch: F.unfold(pictures, patch, stride=patch).transpose(1, 2),
    ],
    "two_heads": [_heads_log, _heads_one_hot],
    "token_map": [
        _map_loop,
        lambda weights, token, side: weights[:, token, 2:].mean(0).unflatten(0, (side, side)),
    ],
}
