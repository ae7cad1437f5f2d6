"""Each exercise of lesson 22 is solved by hand, in plain torch: no reference is taken on trust."""

import pytest
import torch
from torch.nn import functional as F

from distill_lab.course.check.examine import examine
from lesson_22.exercises import EXERCISES


def attention_map(features):
    return F.normalize(features.pow(2).sum(1).flatten(1), dim=-1)


def attention_scores(query, key, heads):
    width = query.shape[-1] // heads
    pairs = [
        query[..., i * width : (i + 1) * width]
        @ key[..., i * width : (i + 1) * width].transpose(1, 2)
        for i in range(heads)
    ]
    return torch.stack(pairs, 1) / width**0.5


def attention_kl(student_scores, teacher_scores, mask):
    rows = []
    for s, t, real in zip(student_scores, teacher_scores, mask, strict=True):
        s, t = s[:, real][:, :, real], t[:, real][:, :, real]
        each = F.kl_div(s.log_softmax(-1), t.softmax(-1), reduction="none").sum(-1)
        rows.append(each.mean(0))
    return torch.cat(rows).mean()


def relation(x, relation_heads):
    return attention_scores(x, x, relation_heads).softmax(-1)


BY_HAND = {f.__name__: f for f in (attention_map, attention_scores, attention_kl, relation)}


@pytest.mark.parametrize("name", EXERCISES)
def test_a_right_solution_is_right(name):
    report = examine(EXERCISES[name], BY_HAND[name])
    assert report.state == "right", report.findings
    assert "100 %" in report.findings[0]
