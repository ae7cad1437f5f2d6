"""What each term is, as papers and docstrings print it: by term a sum over positions, and a count.

A term of a batch is the sum over its pieces divided by their count. What compares the examples of
a piece with each other is a value, times what its piece counts.
"""

from typing import Any

import torch
from torch import Tensor

from tests.training.grid.axes import (
    EMBEDDINGS,
    LANGUAGE,
    MAPS,
    NUMBERS,
    ONE_EACH,
    SIGMOIDS,
    SOFTMAX,
    TEXTS,
)
from tests.training.grid.covering import Case
from tests.training.grid.features import BESIDE, Sums
from tests.training.grid.teachers import T

ALPHA, SMOOTHING = 0.75, 0.25
BETA = 0.25  # the teacher's share of a mixture
DKD, DIST = (1.0, 4.0), (2.0, 1.5)  # alpha and beta; beta and gamma
CLASS_WEIGHTS = {"floats": (0.5, 2.0, 1.0, 0.25, 4.0), "one 0": (1.0, 0.0, 2.0, 0.5, 1.0)}
POS_WEIGHT = (2.0, 0.5, 1.5)


class RefusedError(Exception):
    """Nothing to compare: the engine has to say so as well."""


def weights_of(case: Case) -> dict[str, float]:
    """What each term weighs."""
    own = _own_weights(case)
    names = ("hint", "relation") if case["beside"] == "both" else (case["beside"],)
    if case["several"] == "exits":
        deep = _own_weights(case | {"method": "supervised"})
        own = deep | {f"shallow_{name}": weight for name, weight in own.items()}
    return own | {name: BESIDE[name] for name in names if name}


def _own_weights(case: Case) -> dict[str, float]:
    method, answer = case["method"], case["answer"]
    hard = "bce" if answer in SIGMOIDS else "mse" if answer in NUMBERS else "ce"
    hard = "nll" if answer == "gaussian" else hard
    if method == "supervised":
        return {hard: 1.0}
    if method == "smoothed":
        return {"ce": 1 - SMOOTHING, "uniform": SMOOTHING}
    if method == "only soft":
        return {"kd": 1.0}
    if method in ("dkd", "dist"):
        return {method: 1.0, "ce": 1.0}
    if answer in EMBEDDINGS:
        return {"embeddings": 1.0}
    if method == "next token":
        return {"ce": 1.0}
    if answer in LANGUAGE:
        kinds = {"forward": "forward_kl", "reverse": "reverse_kl", "variation": "total_variation"}
        return {kinds.get(method, "jsd"): ALPHA, "ce": 1 - ALPHA}
    if answer == "lists":
        return {method: 1.0}
    soft = {"matching": "logits", "decision": "hard"}.get(method, "kd")
    return {soft: ALPHA, hard: 1 - ALPHA}


def sums_of(case: Case, piece: dict[str, Any], z: Tensor, t: Any) -> Sums:
    """The terms on the answers of a piece.

    Args:
        case: says the method.
        piece: inputs, labels and weights (B,) of the examples.
        z: the student's answer.
        t: the teacher's; a pair (classes, log-probabilities) of a cached top k.
    """
    answer = case["answer"]
    if answer in SOFTMAX:
        sums = _softmax(case, piece, z, t)
    elif answer in SIGMOIDS:
        sums = _sigmoids(case, piece, z, t)
    elif answer in NUMBERS:
        sums = _numbers(case, piece, z, t)
    elif answer == "gaussian":
        sums = _gaussians(piece, z, t)
    elif answer in LANGUAGE:
        sums = _next_tokens(case, piece, z, t)
    elif answer in EMBEDDINGS:
        sums = {"embeddings": _embeddings(case, piece, z, t)}
    else:
        sums = {case["method"]: _lists(case, piece, z, t)}
    return {name: sums[name] for name in _own_weights(case)}


def sums_of_several(case: Case, piece: dict[str, Any], first: Tensor, last: Tensor) -> Sums:
    """The terms of two answers that teach each other, or of the first that the last teaches."""
    one = sums_of(case, piece, first, last.detach())
    if case["several"] == "exits":
        deep = sums_of(case | {"method": "supervised"}, piece, last, None)
        return deep | {f"shallow_{name}": each for name, each in one.items()}
    other = sums_of(case, piece, last, first.detach())
    return {name: (total + other[name][0], count) for name, (total, count) in one.items()}


SHOWN = ("kd", "logits", "hard", "forward_kl", "reverse_kl", "jsd", "total_variation")


def by_teacher(case: Case, piece: dict[str, Any], ids: Tensor, z: Tensor, t: Tensor) -> Sums:
    """Of a routed teacher's parts the terms as they are shown, each over its own examples."""
    shown: Sums = {}
    if not set(_own_weights(case)) & set(SHOWN):
        return shown
    for name, odd in (("a", 0), ("b", 1)):
        rows = ids % 2 == odd
        own = {key: _rows_of(part, rows) for key, part in piece.items()}
        sums = sums_of(case, own, z[rows], t[rows])
        shown |= {f"{term}/{name}": sums[term] for term in sums if term in SHOWN}
    return shown


def _rows_of(part: Any, rows: Tensor) -> Any:
    if isinstance(part, dict):
        return {name: column[rows] for name, column in part.items()}
    return None if part is None else part[rows]


def _next_tokens(case: Case, piece: dict[str, Any], z: Tensor, t: Any) -> Sums:
    """Position i predicts token i + 1, where it is text itself and that one is to be learned."""
    y = torch.full_like(piece["labels"], -100)
    y[:, :-1] = piece["labels"][:, 1:]
    kept = (y != -100) if piece["attended"] is None else piece["attended"] & (y != -100)
    w = piece["weights"][:, None] * kept
    total = w.sum().item()
    ce = -z.log_softmax(-1).gather(-1, torch.where(kept, y, 0).unsqueeze(-1)).squeeze(-1)
    sums: Sums = {"ce": ((w * ce).sum(), total)}
    if t is None:
        return sums
    q = (z / T).softmax(-1)
    if isinstance(t, tuple):  # the kept classes, and all the others together
        ids, log_p = t
        q, p = (
            torch.cat((x, 1 - x.sum(-1, keepdim=True)), -1)
            for x in (q.gather(-1, ids), log_p.exp())
        )
    else:
        p = (t / T).softmax(-1)
    m = BETA * p + (1 - BETA) * q
    each = {
        "forward_kl": (p * (p / q).log()).sum(-1),
        "reverse_kl": (q * (q / p).log()).sum(-1),
        "jsd": (BETA * p * (p / m).log() + (1 - BETA) * q * (q / m).log()).sum(-1),
        "total_variation": (p - q).abs().sum(-1) / 2,
    }
    return sums | {name: (T**2 * (w * value).sum(), total) for name, value in each.items()}


def counted(case: Case, many: bool, has_label: Tensor | None, attended: Tensor | None) -> Any:
    """Which positions count, as methods.positions says: in (B,) "auto" leaves nothing out."""
    mask = case["mask"]
    if mask == "labels" and has_label is None:  # sigmoids without labels: as "auto"
        mask = "auto"
    kept: Any = torch.tensor(True)
    if has_label is not None and (mask == "labels" or (mask == "auto" and many)):
        kept = kept & has_label
    if attended is not None and (mask == "attention_mask" or (mask == "auto" and many)):
        kept = kept & attended
    return kept


def answered(case: Case, piece: dict[str, Any], w: Tensor) -> Tensor:
    """What positions weigh in the teacher's term: a cache keeps no answer to padding."""
    of_texts = piece["attended"] is not None and case["answer"] not in ONE_EACH
    if case["teacher"] not in ("cached", "top_k") or not of_texts:
        return w
    if case["accumulate"] > 1 and (w[~piece["attended"]] > 0).any():
        raise RefusedError("the teacher has no answer at")
    return w * piece["attended"]


def _softmax(case: Case, piece: dict[str, Any], z: Tensor, t: Any) -> Sums:
    answer, y = case["answer"], piece["labels"]
    attended = piece["attended"] if answer in TEXTS else None
    soft_labels = case["labels"] == "soft"
    if answer in MAPS:
        z = z.movedim(1, -1)
        t = None if t is None else t.movedim(1, -1)
        y = y.movedim(1, -1) if soft_labels else y
    shape = z.shape[:-1]
    has_label = None if y is None or soft_labels else y != -100
    kept = counted(case, len(shape) > 1, has_label, attended)
    w = piece["weights"].reshape(-1, *[1] * (len(shape) - 1)) * kept * torch.ones(shape)
    labelled = torch.ones(shape, dtype=torch.bool) if has_label is None else has_label
    log_q = z.log_softmax(-1)
    sums: Sums = {}

    if y is not None:
        own = w * labelled  # of each labelled position
        if soft_labels:
            ce = -(y * log_q).sum(-1)
            sums["ce"] = (own * ce).sum(), own.sum().item()
        else:
            target = torch.where(labelled, y, 0)
            ce = -log_q.gather(-1, target.unsqueeze(-1)).squeeze(-1)
            of_class = own
            if case["class_weights"] is not None:
                of_class = own * torch.tensor(CLASS_WEIGHTS[case["class_weights"]])[target]
            sums["ce"] = (of_class * ce).sum(), of_class.sum().item()
            if case["method"] == "dkd":
                each = T**2 * _decoupled(z / T, t / T, target)
                sums["dkd"] = torch.where(own > 0, own * each, 0.0).sum(), own.sum().item()
        sums["uniform"] = (own * -log_q.mean(-1)).sum(), own.sum().item()
    if t is None:
        return sums
    w = answered(case, piece, w)
    total = w.sum().item()
    if isinstance(t, tuple):
        sums["kd"] = (w * T**2 * _of_top_k(z / T, *t)).sum(), total
        best = t[0][..., :1]
        sums["hard"] = (w * -log_q.gather(-1, best).squeeze(-1)).sum(), total
        return sums
    q_side, p_side = (z, t) if case["method"] != "standardized" else (_scored(z), _scored(t))
    log_p = (p_side / T).log_softmax(-1)
    kl = (log_p.exp() * (log_p - (q_side / T).log_softmax(-1))).sum(-1)
    sums["kd"] = (w * T**2 * kl).sum(), total
    sums["logits"] = (w * (z - t).square().mean(-1) / 2).sum(), total
    decision = -log_q.gather(-1, t.argmax(-1, keepdim=True)).squeeze(-1)
    sums["hard"] = (w * decision).sum(), total
    if case["method"] == "dist" and total:
        q, p = ((side / T).softmax(-1)[w > 0] for side in (z, t))
        if len(q) < 2:
            raise RefusedError("compares examples")
        inter = (w[w > 0] * (1 - _pearson(q, p))).sum() / total
        intra = (1 - _pearson(q.T, p.T)).mean()
        sums["dist"] = total * T**2 * (DIST[0] * inter + DIST[1] * intra), total
    elif case["method"] == "dist":
        sums["dist"] = torch.zeros(()), 0.0
    return sums


def _scored(z: Tensor) -> Tensor:
    return (z - z.mean(-1, keepdim=True)) / (z.std(-1, keepdim=True, correction=0) + 1e-7)


def _pearson(a: Tensor, b: Tensor) -> Tensor:
    a, b = (x - x.mean(-1, keepdim=True) for x in (a, b))
    return (a * b).sum(-1) / (a.norm(dim=-1) * b.norm(dim=-1))


def _of_top_k(z: Tensor, ids: Tensor, log_p: Tensor) -> Tensor:
    """KL over the kept classes and one more outcome, all the others together."""
    q = z.softmax(-1).gather(-1, ids)
    p = log_p.exp()
    rest_p, rest_q = 1 - p.sum(-1), 1 - q.sum(-1)
    return (p * (log_p - q.log())).sum(-1) + rest_p * (rest_p.log() - rest_q.log())


def _decoupled(z: Tensor, t: Tensor, y: Tensor) -> Tensor:
    """Alpha TCKD + beta NCKD, of the pair (target, others) and of the others alone."""
    one = torch.nn.functional.one_hot(y, z.shape[-1]).bool()
    q, p = z.softmax(-1), t.softmax(-1)
    q_y, p_y = (side[one].reshape(y.shape) for side in (q, p))
    others = (*y.shape, z.shape[-1] - 1)
    q_o, p_o = (
        side[~one].reshape(others) / (1 - of).unsqueeze(-1) for side, of in ((q, q_y), (p, p_y))
    )
    tckd = p_y * (p_y / q_y).log() + (1 - p_y) * ((1 - p_y) / (1 - q_y)).log()
    return DKD[0] * tckd + DKD[1] * (p_o * (p_o / q_o).log()).sum(-1)


def _sigmoids(case: Case, piece: dict[str, Any], z: Tensor, t: Tensor | None) -> Sums:
    answer, y = case["answer"], piece["labels"]
    if answer in ONE_EACH:
        z, t = z.unsqueeze(-1), None if t is None else t.unsqueeze(-1)
        y = None if y is None else y.unsqueeze(-1)
    if answer in MAPS:
        z, t, y = (None if part is None else part.movedim(1, -1) for part in (z, t, y))
    shape, many = z.shape[:-1], z.shape[-1]
    known = None if y is None else ~(y.isnan() | (y == -100))
    kept = counted(
        case,
        len(shape) > 1,
        None if known is None else known.any(-1),
        piece["attended"] if answer in TEXTS else None,
    )
    w = piece["weights"].reshape(-1, *[1] * (len(shape) - 1)) * kept * torch.ones(shape)
    sums: Sums = {"bce": (torch.zeros(()), 0.0)}
    if t is not None:
        p, q = (t / T).sigmoid(), (z / T).sigmoid()
        kl = p * (p / q).log() + (1 - p) * ((1 - p) / (1 - q)).log()
        own = answered(case, piece, w)
        sums["kd"] = (own * T**2 * kl.sum(-1)).sum(), own.sum().item()
    if y is not None and known is not None:
        yes = torch.where(known, y, 0).double()
        pos = torch.tensor(POS_WEIGHT[:many] if case["class_weights"] == "floats" else [1.0] * many)
        each = -(pos * yes * z.sigmoid().log() + (1 - yes) * (1 - z.sigmoid()).log())
        if case["class_weights"] is not None:
            each = each * torch.tensor(_of_labels(case, many))
        own = w.unsqueeze(-1) * known
        sums["bce"] = many * (own * each).sum(), own.sum().item()  # C times the mean of the known
    return sums


def _of_labels(case: Case, many: int) -> tuple[float, ...]:
    return (2.0,) if many == 1 else CLASS_WEIGHTS[case["class_weights"]][:many]


def _numbers(case: Case, piece: dict[str, Any], z: Tensor, t: Tensor | None) -> Sums:
    answer, y = case["answer"], piece["labels"]
    if answer in ONE_EACH:
        z, t, y = (None if part is None else part.unsqueeze(-1) for part in (z, t, y))
    shape = z.shape[:-1]
    kept = counted(case, len(shape) > 1, None, piece["attended"] if answer in TEXTS else None)
    w = piece["weights"].reshape(-1, *[1] * (len(shape) - 1)) * kept * torch.ones(shape)
    own = answered(case, piece, w)

    def square(a: Tensor, b: Tensor) -> Tensor:
        return (a - b).square()

    return _of_numbers(w, own, z, y, t, square, square)


def _gaussians(piece: dict[str, Any], z: Tensor, t: Tensor | None) -> Sums:
    m, log_v = z.chunk(2, -1)

    def nll(m: Tensor, y: Tensor) -> Tensor:
        return (log_v + (y - m).square() / log_v.exp()) / 2

    def kl(m: Tensor, m_t: Tensor) -> Tensor:
        log_vt = t.chunk(2, -1)[1]  # type: ignore[union-attr]
        gap = log_v - log_vt + (log_vt.exp() + (m_t - m).square()) / log_v.exp()
        return (gap - 1) / 2

    means = None if t is None else t.chunk(2, -1)[0]
    w = piece["weights"]
    sums = _of_numbers(w, w, m, piece["labels"], means, nll, kl)
    return {"nll" if name == "mse" else name: each for name, each in sums.items()}


def _of_numbers(
    w: Tensor, w_t: Tensor, z: Tensor, y: Tensor | None, t: Tensor | None, hard: Any, soft: Any
) -> Sums:
    """Means over all numbers that are known."""
    sums: Sums = {"mse": (torch.zeros(()), 0.0)}
    w, w_t = (side.unsqueeze(-1) * torch.ones_like(z.detach()) for side in (w, w_t))
    if t is not None:
        sums["kd"] = (w_t * soft(z, t)).sum(), w_t.sum().item()
    if y is not None:
        own = w * ~y.isnan()
        sums["mse"] = (own * hard(z, torch.where(y.isnan(), 0.0, y))).sum(), own.sum().item()
    return sums


def _embeddings(case: Case, piece: dict[str, Any], z: Tensor, t: Tensor) -> tuple[Tensor, float]:
    w = piece["weights"]
    if case["answer"] == "text embeddings":
        there = piece["attended"].to(z.dtype).unsqueeze(-1)
        z, t = ((side * there).sum(1) / there.sum(1) for side in (z, t))
    if case["method"] == "similarities":
        if len(z) < 2:
            raise RefusedError("compares examples")
        return len(z) * _similarities(z, t), float(len(z))
    each = (z - t).square().mean(-1)
    if case["method"] == "cosine":
        each = 1 - (z * t).sum(-1) / (z.norm(dim=-1) * t.norm(dim=-1))
    return (w * each).sum(), w.sum().item()


def _similarities(s: Tensor, t: Tensor) -> Tensor:
    s, t = (f / f.norm(dim=-1, keepdim=True) for f in (s, t))
    off = ~torch.eye(len(s), dtype=torch.bool)
    return (s @ s.T - t @ t.T)[off].square().mean()


def _lists(case: Case, piece: dict[str, Any], z: Tensor, t: Tensor) -> tuple[Tensor, float]:
    w, there = piece["weights"], piece["inputs"]["mask"]
    if case["method"] == "margin":
        pairs = w[:, None] * (there[:, :1] & there[:, 1:])
        gaps = (z[:, :1] - z[:, 1:]) - (t[:, :1] - t[:, 1:])
        return (pairs * gaps.square()).sum(), pairs.sum().item()
    total, count = torch.zeros((), dtype=torch.float64), 0.0
    for row in range(len(z)):
        own = there[row]
        if own.sum() > 1 and w[row] > 0:
            log_p, log_q = ((side[row][own] / T).log_softmax(-1) for side in (t, z))
            total = total + w[row] * T**2 * (log_p.exp() * (log_p - log_q)).sum()
            count += w[row].item()
    return total, count
