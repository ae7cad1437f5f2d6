"""Wrong solutions that learners write, each under the name that `check` has to give it."""

import torch
from torch.nn import functional as F


def _patches_in_columns(pictures, patch):
    squares = []
    for left in range(0, pictures.shape[3], patch):
        for top in range(0, pictures.shape[2], patch):
            square = pictures[:, :, top : top + patch, left : left + patch]
            squares.append(square.flatten(1))
    return torch.stack(squares, 1)


def _patches_channel_last(pictures, patch):
    squares = []
    for top in range(0, pictures.shape[2], patch):
        for left in range(0, pictures.shape[3], patch):
            square = pictures[:, :, top : top + patch, left : left + patch]
            squares.append(square.permute(0, 2, 3, 1).flatten(1))
    return torch.stack(squares, 1)


def _patches_turned(pictures, patch):
    squares = []
    for top in range(0, pictures.shape[2], patch):
        for left in range(0, pictures.shape[3], patch):
            square = pictures[:, :, top : top + patch, left : left + patch]
            squares.append(square.transpose(2, 3).flatten(1))
    return torch.stack(squares, 1)


def _patches_distant(pictures, patch):
    parts = [
        pictures[:, :, top :: pictures.shape[2] // patch, left :: pictures.shape[3] // patch]
        for top in range(pictures.shape[2] // patch)
        for left in range(pictures.shape[3] // patch)
    ]
    return torch.stack([part.flatten(1) for part in parts], 1)


def _patches_runs(pictures, patch):
    b, c, h, w = pictures.shape
    return pictures.reshape(b, h * w // patch**2, c * patch**2)


def _heads(cls_logits, distillation_logits, teacher_logits, labels, alpha):
    decision = teacher_logits.argmax(-1)
    return (1 - alpha) * F.cross_entropy(distillation_logits, labels) + alpha * F.cross_entropy(
        cls_logits, decision
    )


def _heads_class_only(cls_logits, distillation_logits, teacher_logits, labels, alpha):
    hard = F.cross_entropy(cls_logits, labels)
    return (1 - alpha) * hard + alpha * F.cross_entropy(cls_logits, teacher_logits.argmax(-1))


def _heads_mean(cls_logits, distillation_logits, teacher_logits, labels, alpha):
    z = (cls_logits + distillation_logits) / 2
    return (1 - alpha) * F.cross_entropy(z, labels) + alpha * F.cross_entropy(
        z, teacher_logits.argmax(-1)
    )


def _heads_alpha(cls_logits, distillation_logits, teacher_logits, labels, alpha):
    hard = F.cross_entropy(cls_logits, labels)
    taught = F.cross_entropy(distillation_logits, teacher_logits.argmax(-1))
    return alpha * hard + (1 - alpha) * taught


def _heads_soft(cls_logits, distillation_logits, teacher_logits, labels, alpha):
    taught = F.cross_entropy(distillation_logits, teacher_logits.softmax(-1))
    return (1 - alpha) * F.cross_entropy(cls_logits, labels) + alpha * taught


def _heads_unweighted(cls_logits, distillation_logits, teacher_logits, labels, alpha):
    taught = F.cross_entropy(distillation_logits, teacher_logits.argmax(-1))
    return F.cross_entropy(cls_logits, labels) + taught


def _heads_labels(cls_logits, distillation_logits, teacher_logits, labels, alpha):
    return (1 - alpha) * F.cross_entropy(cls_logits, labels) + alpha * F.cross_entropy(
        distillation_logits, labels
    )


def _heads_sum(cls_logits, distillation_logits, teacher_logits, labels, alpha):
    ce = lambda z, y: F.cross_entropy(z, y, reduction="sum")  # noqa: E731
    taught = ce(distillation_logits, teacher_logits.argmax(-1))
    return (1 - alpha) * ce(cls_logits, labels) + alpha * taught


WRONG = {
    "patches": {
        "These are runs of pixels, not squares": [
            _patches_runs,
            lambda pictures, patch: pictures.view(len(pictures), -1, pictures.shape[1] * patch**2),
        ],
        "The patches are in columns": [_patches_in_columns],
        "Inside a patch rows and columns are exchanged": [_patches_turned],
        "Inside a patch the channel comes last": [_patches_channel_last],
        "These pixels are far apart": [_patches_distant],
        "The axes of patches and pixels are exchanged": [
            lambda pictures, patch: F.unfold(pictures, patch, stride=patch)
        ],
        "The squares overlap": [lambda pictures, patch: F.unfold(pictures, patch).mT],
    },
    "two_heads": {
        "`detach` stops the gradient": [
            lambda c, d, t, y, a: (
                (1 - a) * F.cross_entropy(c, y) + a * F.cross_entropy(d.detach(), t.argmax(-1))
            )
        ],
        "The heads are exchanged": [_heads],
        "Both terms are on the class head": [_heads_class_only],
        "The loss is on the mean of both heads": [_heads_mean],
        "alpha is on the label's term": [_heads_alpha],
        "The weights are missing": [_heads_unweighted],
        "These are soft targets": [_heads_soft],
        "Both heads learn the label": [_heads_labels],
        "Examples are summed": [_heads_sum],
    },
    "token_map": {
        "This is a column": [
            lambda weights, token, side: weights.mean(0)[2:, token].view(side, side),
            lambda weights, token, side: weights.mean(0).T[token, 2:].view(side, side),
        ],
        "The two tokens are at the end here": [
            lambda weights, token, side: weights.mean(0)[token, : side**2].view(side, side)
        ],
        "This is one head": [lambda weights, token, side: weights[0][token, 2:].view(side, side)],
        "The heads are summed": [
            lambda weights, token, side: weights.sum(0)[token, 2:].view(side, side)
        ],
        "The map is divided by its sum": [
            lambda weights, token, side: F.normalize(weights.mean(0)[token, 2:], p=1, dim=0).view(
                side, side
            )
        ],
        "Rows and columns of the map are exchanged": [
            lambda weights, token, side: weights.mean(0)[token, 2:].view(side, side).T
        ],
        "A second softmax is applied": [
            lambda weights, token, side: weights.mean(0)[token, 2:].softmax(0).view(side, side)
        ],
    },
}
