"""Every figure of a report worked out in NumPy, scikit-learn and SciPy, from the definitions.

Labels are as in `Problem.truth`: -100 where a class is unknown, NaN where a number is.
"""

import math
import warnings
from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Any

import numpy as np
from scipy import special, stats
from sklearn import metrics

Array = np.ndarray[Any, Any]
NONE = math.nan
BINS, NEAREST = 15, 10


def figures(answer: str, z: Array, y: Array, names: Sequence[str] | None) -> dict[str, float]:
    """What answers (N, ...) are worth against labels, by column."""
    with warnings.catch_warnings(action="ignore"):
        return {name: float(value) for name, value in OF[answer](z, y, names).items()}


def beside(answer: str, z: Array, t: Array, y: Array | None) -> dict[str, float]:
    """What answers are worth against a teacher's, by column."""
    with warnings.catch_warnings(action="ignore"):
        return {name: float(value) for name, value in BESIDE[answer](z, t, y).items()}


def labelled(answer: str, y: Array) -> Array:
    """Which examples count at all."""
    if answer in ("tags", "language", "maps", "embeddings"):
        return np.ones(len(y), bool)
    known = y != -100 if answer in ("classes", "topics") else ~np.isnan(y)
    return known.reshape(len(y), -1).any(1)


# One class of several.


def _chances(z: Array) -> Array:
    return special.softmax(z, -1)


def _cost(z: Array, y: Array) -> Array:
    return -np.take_along_axis(special.log_softmax(z, -1), y[..., None], -1)[..., 0]


def _f1_of_classes(chosen: Array, y: Array) -> float:
    occur = sorted({*chosen.tolist(), *y.tolist()})
    return 100 * metrics.f1_score(y, chosen, average="macro", labels=occur, zero_division=0)


def _calibration(z: Array, y: Array) -> float:
    p = _chances(z)
    sure, right = p.max(-1), p.argmax(-1) == y
    within = np.searchsorted(np.linspace(0, 1, BINS + 1)[1:-1], sure)  # (low, high]
    gaps = [
        abs(right[within == b].mean() - sure[within == b].mean()) * (within == b).mean()
        for b in np.unique(within)
    ]
    return 100 * sum(gaps)


def _classes(z: Array, y: Array, names: Any) -> dict[str, float]:
    chosen = z.argmax(-1)
    right = chosen == y
    each = {c: 100 * right[y == c].mean() for c in sorted(set(y.tolist()))}
    return {
        "accuracy": 100 * right.mean(),
        "nll": _cost(z, y).mean(),
        "ece": _calibration(z, y),
        "macro_f1": _f1_of_classes(chosen, y),
        "worst_class": min(each.values()),
    }


def _beside_classes(z: Array, t: Array, y: Array | None) -> dict[str, float]:
    p = _chances(t)
    kl = (p * (special.log_softmax(t, -1) - special.log_softmax(z, -1))).sum(-1)
    result = {"agreement": 100 * (z.argmax(-1) == t.argmax(-1)).mean(), "kl_to_teacher": kl.mean()}
    if y is not None:
        own, best = ((x.argmax(-1) == y).mean() for x in (z, t))
        result["retained"] = 100 * own / best if best else NONE
    return result


# Several that may hold at once.


def _labels(z: Array, y: Array, names: Any) -> dict[str, float]:
    z, y = z.reshape(len(z), -1), y.reshape(len(y), -1)
    known = ~np.isnan(y)
    columns = [(z[k, i], y[k, i] == 1) for i, k in enumerate(known.T)]
    each = [_f1(a > 0, right) for a, right in columns]
    precision = [metrics.average_precision_score(right, a) for a, right in columns if right.any()]
    costs = np.logaddexp(0, np.where(y == 1, -z, z))
    return {
        "micro_f1": 100 * _f1(z[known] > 0, y[known] == 1),
        "macro_f1": 100 * np.nanmean(each),
        "mean_average_precision": 100 * np.mean(precision) if precision else NONE,
        "nll": costs[known].mean(),
    }


def _f1(chosen: Array, right: Array) -> float:
    if not (chosen | right).any():
        return NONE
    return float(metrics.f1_score(right, chosen, zero_division=0))


def _beside_labels(z: Array, t: Array, y: Array | None) -> dict[str, float]:
    assert y is not None
    known = ~np.isnan(y.reshape(-1))
    return {"agreement": 100 * ((z.reshape(-1) > 0) == (t.reshape(-1) > 0))[known].mean()}


# A class at each position.


def _tags(z: Array, y: Array, names: Sequence[str] | None) -> dict[str, float]:
    known = y != -100
    result = {
        "token_accuracy": 100 * (z.argmax(-1) == y)[known].mean(),
        "nll": _cost(z[known], y[known]).mean(),
    }
    if names is not None:
        chosen, true = (
            {
                (i, *span)
                for i, (tags, kept) in enumerate(zip(rows, known, strict=True))
                for span in spans([names[k] for k in tags[kept]])
            }
            for rows in (z.argmax(-1), y)
        )
        both = len(chosen) + len(true)
        result["span_f1"] = 200 * len(chosen & true) / both if both else NONE
    return result


def spans(tags: Sequence[str]) -> list[tuple[str, int, int]]:
    """(type, first, last) of each span of BIO tags."""
    result: list[tuple[str, int, int]] = []
    for i, tag in enumerate(tags):
        if tag == "O":
            continue
        mark, kind = tag.split("-")
        if mark == "I" and result and result[-1][0] == kind and result[-1][2] == i - 1:
            result[-1] = (kind, result[-1][1], i)
        else:
            result.append((kind, i, i))
    return result


def _beside_tags(z: Array, t: Array, y: Array | None) -> dict[str, float]:
    assert y is not None
    known = y != -100
    both = _beside_classes(z[known], t[known], None)
    return {name: both[name] for name in ("agreement", "kl_to_teacher")}


def _language(z: Array, y: Array, names: Any) -> dict[str, float]:
    result = _tags(z[:, :-1], y[:, 1:], None)
    return {name: result[name] for name in ("token_accuracy", "nll")}


def _beside_language(z: Array, t: Array, y: Array | None) -> dict[str, float]:
    assert y is not None
    known = y[:, 1:] != -100
    z, t = z[:, :-1][known], t[:, :-1][known]
    both = _beside_classes(z, t, None)
    accepted = np.minimum(_chances(z), _chances(t)).sum(-1).mean()
    return {
        "agreement": both["agreement"],
        "kl_to_teacher": both["kl_to_teacher"],
        "acceptance": 100 * accepted,
        "tokens_per_pass": sum(accepted**i for i in range(5)),
    }


def _maps(z: Array, y: Array, names: Any) -> dict[str, float]:
    chosen, known = z.argmax(1), y != -100
    occur = sorted({*chosen[known].tolist(), *y[known].tolist()})
    overlap = metrics.jaccard_score(
        y[known], chosen[known], labels=occur, average="macro", zero_division=0
    )
    return {"pixel_accuracy": 100 * (chosen == y)[known].mean(), "mean_iou": 100 * overlap}


def _beside_maps(z: Array, t: Array, y: Array | None) -> dict[str, float]:
    return {"agreement": 100 * (z.argmax(1) == t.argmax(1))[y != -100].mean()}


# Numbers.


def _columns(y: Array, *others: Array) -> list[tuple[Array, ...]]:
    """Each output where its label is known, in each of some arrays."""
    y, *rest = (x.reshape(len(x), -1) for x in (y, *others))
    known = ~np.isnan(y)
    return [tuple(x[k, i] for x in (y, *rest)) for i, k in enumerate(known.T) if k.any()]


def _numbers(z: Array, y: Array, names: Any) -> dict[str, float]:
    each = _columns(y, z)
    apart = [metrics.r2_score(true, a) for true, a in each if np.ptp(true) > 0]
    return {
        "rmse": np.mean([np.sqrt(np.mean((a - true) ** 2)) for true, a in each]),
        "mae": np.mean([np.mean(np.abs(a - true)) for true, a in each]),
        "r2": np.mean(apart) if apart else NONE,
    }


def _beside_numbers(z: Array, t: Array, y: Array | None) -> dict[str, float]:
    assert y is not None
    each = [(a, b) for _, a, b in _columns(y, z, t)]
    alike = [np.corrcoef(a, b)[0, 1] for a, b in each if np.ptp(a) > 0 and np.ptp(b) > 0]
    return {
        "rmse_to_teacher": np.mean([np.sqrt(np.mean((a - b) ** 2)) for a, b in each]),
        "correlation_to_teacher": np.mean(alike) if alike else NONE,
    }


# Orders.


def _spearman(a: Array, b: Array) -> float:
    if len(a) < 2:
        return NONE
    value = stats.spearmanr(a, b).statistic
    return 0.0 if math.isnan(value) else float(value)  # where either has no order


def _order(z: Array, y: Array, names: Any) -> dict[str, float]:
    return {"rank_correlation": _spearman(z.reshape(-1), y.reshape(-1))}


def _lists(z: Array, y: Array, names: Any) -> dict[str, float]:
    each = [(a[k], r[k]) for a, r, k in zip(z, y, ~np.isnan(y), strict=True) if k.any()]
    relevant = [(a, r) for a, r in each if (r > 0).any()]
    gains = [metrics.ndcg_score([r], [a]) if len(r) > 1 else 1.0 for a, r in relevant]
    first = [_reciprocal(a, r > 0) for a, r in relevant]
    orders = [_spearman(a, r) for a, r in each if len(a) > 1]
    return {
        "ndcg": 100 * np.mean(gains) if relevant else NONE,
        "reciprocal_rank": np.mean(first) if relevant else NONE,
        "rank_correlation": np.mean(orders) if orders else NONE,
    }


def _reciprocal(scores: Array, relevant: Array) -> float:
    """The mean over all orders of equals: of each place the chance to be the first relevant one."""
    rank = 0
    for _, group in groupby(np.argsort(-scores, kind="stable"), key=lambda i: scores[i]):
        tied = list(group)
        good = int(relevant[tied].sum())
        if good:
            value, missed = 0.0, 1.0
            for place in range(len(tied)):
                hit = good / (len(tied) - place)
                value += missed * min(hit, 1) / (rank + place + 1)
                missed *= 1 - min(hit, 1)
            return value
        rank += len(tied)
    return NONE


def _beside_order(z: Array, t: Array, y: Array | None) -> dict[str, float]:
    return {"rank_correlation_to_teacher": _spearman(z.reshape(-1), t.reshape(-1))}


def _beside_lists(z: Array, t: Array, y: Array | None) -> dict[str, float]:
    assert y is not None
    known = ~np.isnan(y)
    each = [_spearman(a[k], b[k]) for a, b, k in zip(z, t, known, strict=True) if k.sum() > 1]
    return {"rank_correlation_to_teacher": np.mean(each) if each else NONE}


# Directions.


def _alike(z: Array) -> Array:
    length = np.linalg.norm(z, axis=1, keepdims=True)
    unit = z / np.where(length > 0, length, 1)
    return unit @ unit.T


def _embeddings(z: Array, y: Array, names: Any) -> dict[str, float]:
    known = np.flatnonzero(y != -100)
    alike = _alike(z[known])
    np.fill_diagonal(alike, -np.inf)
    y, result = y[known], {}
    for k in (1, NEAREST):
        able = np.array([(y == own).sum() > 1 for own in y], bool)
        if not len(y) > k or not able.any():
            result[f"recall_at_{k}"] = NONE
            continue
        rows = zip(alike[able], y[able], strict=True)
        result[f"recall_at_{k}"] = 100 * np.mean([_hit(row, y == own, k) for row, own in rows])
    return result


def _hit(row: Array, same: Array, k: int) -> float:
    """The chance that one of the nearest k is of the class; equals are drawn from."""
    same = same & np.isfinite(row)
    last = np.sort(row)[::-1][k - 1]
    near, tied = row > last + 1e-9, np.abs(row - last) <= 1e-9
    if (near & same).any():
        return 1.0
    places, wrong = k - int(near.sum()), int((tied & ~same).sum())
    return 1 - math.comb(wrong, places) / math.comb(int(tied.sum()), places)


def _beside_embeddings(z: Array, t: Array, y: Array | None) -> dict[str, float]:
    a, b = _alike(z).round(12), _alike(t).round(12)
    above = np.triu_indices(len(z), 1)
    k = min(NEAREST, len(z) - 1)
    near = [
        [
            set(np.argsort(-np.delete(row, i), kind="stable")[:k])  # equals in their order
            for i, row in enumerate(x)
        ]
        for x in (a, b)
    ]
    shared = [len(one & other) / k for one, other in zip(*near, strict=True)] if k else [NONE]
    length = np.linalg.norm(z, axis=1) * np.linalg.norm(t, axis=1) if z.shape == t.shape else 1
    cosine = (z * t).sum(1) / length if z.shape == t.shape else np.array([NONE])
    return {
        "cosine_to_teacher": cosine.mean(),
        "similarity_correlation": _spearman(a[above], b[above]) if len(z) > 2 else NONE,
        "neighbours_kept": 100 * np.mean(shared),
    }


OF: dict[str, Callable[..., dict[str, float]]] = {
    **dict.fromkeys(("classes", "topics"), _classes),
    **dict.fromkeys(("labels", "yes"), _labels),
    "tags": _tags,
    "language": _language,
    "maps": _maps,
    **dict.fromkeys(("numbers", "number", "number tokens"), _numbers),
    "lists": _lists,
    "order": _order,
    "embeddings": _embeddings,
}
BESIDE: dict[str, Callable[..., dict[str, float]]] = {
    **dict.fromkeys(("classes", "topics"), _beside_classes),
    **dict.fromkeys(("labels", "yes"), _beside_labels),
    "tags": _beside_tags,
    "language": _beside_language,
    "maps": _beside_maps,
    **dict.fromkeys(("numbers", "number", "number tokens"), _beside_numbers),
    "lists": _beside_lists,
    "order": _beside_order,
    "embeddings": _beside_embeddings,
}
MAIN = {
    "classes": "accuracy",
    "topics": "accuracy",
    "labels": "micro_f1",
    "yes": "micro_f1",
    "tags": "token_accuracy",
    "language": "token_accuracy",
    "maps": "mean_iou",
    "numbers": "rmse",
    "number": "rmse",
    "number tokens": "rmse",
    "lists": "ndcg",
    "order": "rank_correlation",
    "embeddings": "recall_at_1",
}
SHARES = {"accuracy", "micro_f1", "token_accuracy", "span_f1", "mean_iou", "ndcg", "recall_at_1"}


# Intervals and tests.


def of_seeds(
    a: Sequence[float], b: Sequence[float], shares: bool, splits: tuple[int, int] | None = None
) -> dict[str, float]:
    """The mean of the differences of pairs, its interval, and the sign test."""
    many = max(len(a), len(b))
    d = np.array(list(a) * (many // len(a))) - np.array(list(b) * (many // len(b)))
    spread = d.std(ddof=1) * math.sqrt(1 / many + (splits[1] / splits[0] if splits else 0))
    low, high = stats.t.interval(0.95, many - 1, d.mean(), spread) if spread else [d.mean()] * 2
    if shares and (low < -100 or high > 100) and abs(d.mean()) < 100:
        share = (d.mean() + 100) / 200
        half = (high - low) / 400 / (share * (1 - share))
        low, high = (200 * special.expit(special.logit(share) + s * half) - 100 for s in (-1, 1))
    return {"mean": d.mean(), "low": low, "high": high, "n": many, "p": _sign(d)}


def _sign(d: Array) -> float:
    above, below = int((d > 0).sum()), int((d < 0).sum())
    return float(stats.binomtest(above, above + below).pvalue) if above + below else 1.0


def of_two(right_a: Array, right_b: Array) -> dict[str, float]:
    """Two single classifiers: Bonett and Price 2012, and McNemar's exact test."""
    n = len(right_a)
    d = right_a.astype(float) - right_b
    u, v = (((d > 0).sum() + 1) / (n + 2), ((d < 0).sum() + 1) / (n + 2))
    half = stats.norm.ppf(0.975) * math.sqrt((u + v - (u - v) ** 2) / (n + 2))
    low, high = max(-1.0, u - v - half), min(1.0, u - v + half)
    return {"mean": 100 * d.mean(), "low": 100 * low, "high": 100 * high, "n": n, "p": _sign(d)}


def of_resamples(of: Callable[[Array], float], drawn: Sequence[Array]) -> dict[str, float]:
    """The bootstrap: the difference, of numbers of examples, in samples of them."""
    values = np.array([of(rows) for rows in drawn])
    values = values[np.isfinite(values)]
    low, high = np.quantile(values, [0.025, 0.975]) if len(values) else (NONE, NONE)
    above, below = (values > 0).sum(), (values < 0).sum()
    p = min(1.0, 2 * (1 + len(values) - max(above, below)) / (1 + len(values)))
    return {"low": low, "high": high, "n": len(values), "p": p}


def of_ratio(sums: Array, sizes: Array) -> dict[str, float]:
    """A ratio of sums over examples that are drawn as a whole: Cochran 1977, section 6.3."""
    n, mean = len(sums), sums.sum() / sizes.sum()
    error = math.sqrt(n / (n - 1) * ((sums - mean * sizes) ** 2).sum()) / sizes.sum()
    half = stats.t.ppf(0.975, n - 1) * error
    return {"mean": mean, "low": mean - half, "high": mean + half, "n": n}


def room(answer: str, t: Array, z: Array, y: Array) -> dict[str, Any]:
    """The headroom of a teacher (N, ...) over a student."""
    if answer == "language":
        t, z, y = t[:, :-1], z[:, :-1], y[:, 1:]
    if answer in ("labels", "yes"):
        t, z, y = (x.reshape(len(x), -1) for x in (t, z, y))
        known = ~np.isnan(y)
        right = [(x > 0) == (y == 1) for x in (t, z)]
        costs = [np.logaddexp(0, np.where(y == 1, -x, x)) for x in (t, z)]
        same = (t > 0) == (z > 0)
    else:
        if answer == "maps":
            t, z = (np.moveaxis(x, 1, -1) for x in (t, z))
        known = y != -100
        right = [x.argmax(-1) == y for x in (t, z)]
        costs = [_cost(x, np.where(known, y, 0)) for x in (t, z)]
        same = t.argmax(-1) == z.argmax(-1)
    table = {"t": right[0], "s": right[1], "n_t": costs[0], "n_s": costs[1], "same": same}
    table |= {"only_t": right[0] & ~right[1], "only_s": right[1] & ~right[0]}
    means = {name: x[known].mean() for name, x in table.items()}
    sizes = known.reshape(len(known), -1).sum(1)
    d, c = (
        (np.where(known, a, 0.0) - np.where(known, b, 0.0)).reshape(len(known), -1).sum(1)
        for a, b in (right, costs[::-1])
    )
    some = sizes > 0
    if answer in ("classes", "topics"):
        score, cost = of_two(right[0][some], right[1][some]), of_seeds(costs[1], costs[0], False)
    else:
        score, cost = of_ratio(100 * d[some], sizes[some]), of_ratio(c[some], sizes[some])
    return {
        "teacher_score": 100 * means["t"],
        "student_score": 100 * means["s"],
        "teacher_nll": means["n_t"],
        "student_nll": means["n_s"],
        "agreement": 100 * means["same"],
        "only_teacher": 100 * means["only_t"],
        "only_student": 100 * means["only_s"],
        "units": int(known.sum()),
        "score_gap": score,
        "nll_gap": cost,
    }


def of_rooms(rooms: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The headroom of several seeds, which are paired."""
    means = {
        name: np.mean([room[name] for room in rooms])
        for name in rooms[0]
        if name not in ("score_gap", "nll_gap")
    }
    rows = {name: [room[name] for room in rooms] for name in means}
    return means | {
        "score_gap": of_seeds(rows["teacher_score"], rows["student_score"], False),
        "nll_gap": of_seeds(rows["student_nll"], rows["teacher_nll"], False),
    }
