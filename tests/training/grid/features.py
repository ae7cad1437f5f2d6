"""Terms on hidden layers beside the answers: features, relations, attention, a memory."""

import math
from typing import Any

import torch
from torch import Tensor

from tests.training.grid.axes import BARE, EXAMPLES, TEXTS
from tests.training.grid.covering import Case

Sums = dict[str, tuple[Tensor, float]]
# what the terms beside the answers weigh
BESIDE = {"hint": 0.5, "cosine": 2.0, "relation": 2.0, "attention": 30.0, "crd": 0.5}
CRD: dict[str, Any] = {"dim": 5, "negatives": 6, "momentum": 0.25, "T": 0.5, "seed": 0}


def beside_of(
    case: Case, piece: dict[str, Any], s: Tensor, t: Tensor, mapped: Tensor | None
) -> Sums:
    """The terms on hidden features (B, ...); `mapped` are the student's in the teacher's width."""
    names = ("hint", "relation") if case["beside"] == "both" else (case["beside"],)
    attended = piece["attended"] if case["answer"] in TEXTS else None
    y = piece["labels"]
    has_label = None
    texts = case["answer"] in (*TEXTS, *BARE)
    if texts and y is not None and not y.is_floating_point() and y.dim() == 2:
        has_label = y != -100
        attended = torch.ones_like(has_label) if attended is None else attended
    w = piece["weights"]
    kept = None
    if attended is not None and case["feature_mask"] is None:
        kept = torch.ones_like(attended)  # padding as well
        w = w[:, None] * kept
    elif attended is not None:  # what is padding, or has no label of its own, is left out
        kept = attended if has_label is None else attended & has_label
        w = w[:, None] * kept
    sums: Sums = {}
    for name in names:
        if name == "hint":
            assert mapped is not None
            each = (mapped - t).square().flatten(w.dim()).mean(-1)
            sums[name] = (w * each).sum(), w.sum().item()
        elif name == "cosine":
            assert mapped is not None
            each = 1 - (mapped * t).sum(-1) / (mapped.norm(dim=-1) * t.norm(dim=-1))
            each = each.unsqueeze(-1).flatten(w.dim()).mean(-1)
            sums[name] = (w * each).sum(), w.sum().item()
        elif name == "attention":
            q_s, q_t = (f.square().sum(1).flatten(1) for f in (s, t))
            q_s, q_t = (q / q.norm(dim=-1, keepdim=True) for q in (q_s, q_t))
            sums[name] = (w * (q_s - q_t).square().mean(-1)).sum(), w.sum().item()
        elif name == "relation":
            blank = (f if kept is None else f * kept.unsqueeze(-1) for f in (s, t))
            grams = [f.flatten(1) @ f.flatten(1).T for f in blank]
            rows = [g / g.norm(dim=-1, keepdim=True).clamp_min(1e-300) for g in grams]
            value = (rows[0] - rows[1]).square().mean()
            many = float(len(s)) if kept is None or kept.any() else 0.0
            sums[name] = many * value, many
    return sums


def unit(f: Tensor) -> Tensor:
    return f / f.norm(dim=-1, keepdim=True)


class Bank:
    """CRD: each row's partner against remembered rows of other examples, which then move to it."""

    def __init__(self) -> None:
        generator = torch.Generator().manual_seed(CRD["seed"])
        start = (EXAMPLES, CRD["dim"])
        self.rows = [unit(torch.randn(start, generator=generator)) for _ in ("student", "teacher")]
        self.step, self.log_z = 0, [0.0, 0.0]

    def __call__(self, s: Tensor, t: Tensor, ids: Tensor) -> Tensor:
        generator = torch.Generator().manual_seed(1_000_003 * CRD["seed"] + self.step)
        shape = (len(ids), CRD["negatives"])
        others = torch.randint(EXAMPLES - 1, shape, generator=generator)
        others = others + (others >= ids[:, None])  # any but the example itself
        scores = []  # of the student beside the teacher's rows, of the teacher beside the student's
        for f, rows in zip((s, t), reversed(self.rows), strict=True):
            scores.append(torch.einsum("bd,bnd->bn", unit(f), rows[others].double()) / CRD["T"])
        if self.step == 0:  # Z is the mean over the first noise, and stays
            self.log_z = [float(c.detach().exp().mean().log()) for c in scores]
        positive = (unit(s) * unit(t)).sum(-1) / CRD["T"]
        value = torch.zeros((), dtype=torch.float64)
        for noise, log_z in zip(scores, self.log_z, strict=True):
            level = math.log(CRD["negatives"]) + log_z
            right, wrong = (positive - level).sigmoid(), (noise - level).sigmoid()
            value = value - (right.log() + (1 - wrong).log().sum(-1)).mean()
        for rows, f in zip(self.rows, (s, t), strict=True):
            kept = CRD["momentum"]
            rows[ids] = unit(kept * rows[ids] + (1 - kept) * unit(f.detach().float()))
        self.step += 1
        return value
