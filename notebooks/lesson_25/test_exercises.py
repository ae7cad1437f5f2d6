"""Each exercise of lesson 25 is solved by hand, in plain torch: no reference is taken on trust."""

import pytest
import torch

from distill_lab.course.check.examine import examine
from lesson_25.exercises import EXERCISES


def patches(pictures, patch):
    rows = []
    for top in range(0, pictures.shape[2], patch):
        for left in range(0, pictures.shape[3], patch):
            pixels = [
                pictures[:, c, top + i, left + j]
                for c in range(pictures.shape[1])
                for i in range(patch)
                for j in range(patch)
            ]
            rows.append(torch.stack(pixels, -1))
    return torch.stack(rows, 1)


def two_heads(cls_logits, distillation_logits, teacher_logits, labels, alpha):
    total = 0.0
    for c, d, t, y in zip(cls_logits, distillation_logits, teacher_logits, labels, strict=True):
        hard = c.exp().sum().log() - c[y]
        taught = d.exp().sum().log() - d[t.argmax()]
        total = total + (1 - alpha) * hard + alpha * taught
    return total / len(labels)


def token_map(weights, token, side):
    return torch.stack(
        [
            torch.stack([weights[:, token, 2 + side * i + j].mean() for j in range(side)])
            for i in range(side)
        ]
    )


BY_HAND = {f.__name__: f for f in (patches, two_heads, token_map)}


@pytest.mark.parametrize("name", EXERCISES)
def test_a_right_solution_is_right(name):
    report = examine(EXERCISES[name], BY_HAND[name])
    assert report.state == "right", report.findings
    assert "100 %" in report.findings[0]
