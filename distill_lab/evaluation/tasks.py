"""What is measured of an answer, by the kind of task: which figures, and which one decides.

A figure that is made of sums over the examples is written as those sums and what is made of them:
a bootstrap can then draw examples again without asking the model again.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, cosine_similarity, normalize

from distill_lab._util.tensors import IGNORE
from distill_lab.evaluation import counts, ranks
from distill_lab.evaluation.next_tokens import TokenFigures, tokens_per_pass
from distill_lab.evaluation.retrieval import hits_at_k

__all__ = ["BY_QUERY", "TASKS", "Figure", "Task", "areas", "chosen_classes", "spans"]

NEAREST = 10  # neighbours that are looked at
MOST_PAIRED = 2000  # examples whose similarities are all compared
DIGITS = 12  # of a similarity, behind the point; the others are rounding


@dataclass(frozen=True)
class Figure:
    """One measure of answers against labels, or against the teacher's answers.

    Args:
        of: (answers (N, ...), labels) -> number. NaN where it cannot be said.
        sums: (answers, labels) -> (N, K), what each example adds; None where it is no sum.
        of_sums: (..., K) -> (...), the figure of what the examples add up to.
        mean: whether it is a mean, of what each example adds over how much of it counts.
    """

    of: Callable[[Tensor, Tensor], float]
    sums: Callable[[Tensor, Tensor], Tensor] | None = None
    of_sums: Callable[[Tensor], Tensor] | None = None
    mean: bool = False


def _summed(
    sums: Callable[[Tensor, Tensor], Tensor], of_sums: Callable[[Tensor], Tensor]
) -> Figure:
    return Figure(lambda a, y: float(of_sums(sums(a, y).sum(0))), sums, of_sums)


def _mean_of(parts: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]) -> Figure:
    """A mean over whatever counts: (what each example adds, how much of it counts), each (N,)."""
    both = _summed(lambda a, y: torch.stack(parts(a, y), 1), lambda s: s[..., 0] / s[..., 1])
    return replace(both, mean=True)


@dataclass(frozen=True)
class Task:
    """A kind of task: what its answers and labels look like, and what is measured.

    Args:
        name: as in `compare(task=...)`.
        rank: axes of the answers behind the examples: (C,) is 1, (L, C) is 2. None: the labels'.
        main: the figure in which differences are tested.
        figures: against the labels.
        fidelity: against the teacher's answers; the labels say what counts.
    """

    name: str
    rank: int | None
    main: str
    figures: Mapping[str, Figure]
    fidelity: Mapping[str, Callable[[Tensor, Tensor, Tensor | None], float]]


def chosen_classes(answers: Tensor, axis: int = -1) -> Tensor:
    """The class that each position names: answers without a class axis name it already."""
    return answers.argmax(axis) if answers.is_floating_point() else answers


# Several independent labels: a label is given where its logit is above 0, that is p > 1/2.


def _label_counts(logits: Tensor, labels: Tensor) -> Tensor:
    return counts.label_counts((logits > 0) & (labels != IGNORE), labels > 0.5).flatten(1)


def _unflat(sums: Tensor) -> Tensor:
    return sums.reshape(*sums.shape[:-1], 3, -1)


def _mean_average_precision(logits: Tensor, labels: Tensor) -> float:
    each = [
        ranks.average_precision(scores[right != IGNORE], right[right != IGNORE] > 0.5)
        for scores, right in zip(logits.T, labels.T, strict=True)
    ]
    known = [value for value in each if not math.isnan(value)]
    return math.fsum(known) / len(known) if known else math.nan


def _binary_nll(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    kept = labels != IGNORE
    costs = binary_cross_entropy_with_logits(logits, labels.to(logits), reduction="none")
    return (costs * kept).mean(1), kept.double().mean(1)


def _same_decisions(answers: Tensor, teacher: Tensor, labels: Tensor | None) -> float:
    same = (answers > 0) == (teacher > 0)
    return 100 * same[... if labels is None else labels != IGNORE].double().mean().item()


# A class at each position: tokens (N, L, C), or pixels (N, H, W), of which the class is kept.


def _right(answers: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    kept = labels != IGNORE
    right = (chosen_classes(answers) == labels) & kept
    return 100 * right.flatten(1).sum(1).double(), kept.flatten(1).sum(1).double()


def _token_nll(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    kept = labels != IGNORE
    log_p = logits.log_softmax(-1).gather(-1, labels.clamp_min(0)[..., None])[..., 0]
    return -log_p.masked_fill(~kept, 0.0).sum(1), kept.sum(1).double()


def _same_class(answers: Tensor, teacher: Tensor, labels: Tensor | None) -> float:
    same = chosen_classes(answers) == chosen_classes(teacher)
    kept = torch.ones_like(same) if labels is None else labels != IGNORE
    return 100 * same[kept].double().mean().item()


def _token_kl(answers: Tensor, teacher: Tensor, labels: Tensor | None) -> float:
    kept = torch.ones(answers.shape[:-1]).bool() if labels is None else labels != IGNORE
    log_s, log_t = (x[kept].log_softmax(-1) for x in (answers, teacher))
    p = log_t.exp()
    return torch.where(p > 0, p * (log_t - log_s), 0.0).sum(-1).mean().clamp_min(0).item()


def areas(classes: int) -> Figure:
    """Mean intersection over union, each class over all pixels of all examples."""

    def sums(answers: Tensor, labels: Tensor) -> Tensor:
        kept, chosen = labels != IGNORE, chosen_classes(answers)
        rows = zip(chosen, labels, kept, strict=True)
        return torch.stack([counts.class_counts(c[k], y[k], classes).flatten() for c, y, k in rows])

    return _summed(sums, lambda s: counts.macro(counts.overlap(_unflat(s))))


def spans(names: Sequence[str], unread: Tensor | None = None) -> Figure:
    """F1 of whole spans, over all texts together; `unread` labels (N, M) stand behind a cut."""

    def sums(answers: Tensor, labels: Tensor) -> Tensor:
        chosen = chosen_classes(answers)
        if unread is not None:  # no tag is named there, so a span that ends there is missed
            labels = torch.cat([labels, unread], 1)
            chosen = torch.cat([chosen, torch.full_like(unread, -1)], 1)
        return counts.span_counts(chosen, labels, names)

    return _summed(sums, lambda s: counts.f1(s[..., None])[..., 0])


# A language: what was kept of each token (N, L, 5), the columns of `TokenFigures`.


def _column(name: str, scale: float = 1.0) -> Figure:
    at = TokenFigures._fields.index(name)

    def parts(answers: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        kept = labels != IGNORE  # elsewhere it is 0
        return scale * answers[..., at].sum(1).double(), kept.sum(1).double()

    return _mean_of(parts)


def _kept(name: str, scale: float = 1.0) -> Callable[[Tensor, Tensor, Tensor | None], float]:
    figure = _column(name, scale)

    def beside(answers: Tensor, teacher: Tensor, labels: Tensor | None) -> float:
        assert labels is not None
        return figure.of(answers, labels)  # the teacher's scores were at hand when it was kept

    return beside


# Numbers: (N, D), a label that is NaN unknown.


def _squares(answers: Tensor, labels: Tensor) -> Tensor:
    return torch.cat([(answers - labels).square().nan_to_num(0.0), _known(labels)], 1)


def _known(labels: Tensor) -> Tensor:
    return (~labels.isnan()).double()


def _root_mean(sums: Tensor) -> Tensor:
    squares, count = sums.chunk(2, -1)
    return (squares / count).sqrt().nanmean(-1)  # an output without any label has none


def _distances(answers: Tensor, labels: Tensor) -> Tensor:
    return torch.cat([(answers - labels).abs().nan_to_num(0.0), _known(labels)], 1)


def _mean_distance(sums: Tensor) -> Tensor:
    distances, count = sums.chunk(2, -1)
    return (distances / count).nanmean(-1)


def _r2_sums(answers: Tensor, labels: Tensor) -> Tensor:
    centred = (labels - labels.nanmean(0)).nan_to_num(0.0)
    return torch.cat([_squares(answers, labels), centred.square(), centred], 1)


def _r2(sums: Tensor) -> Tensor:
    error, count, squares, mean = sums.chunk(4, -1)
    error, squares, mean = error / count, squares / count, mean / count
    varies = squares - mean.square()
    return (1 - error / torch.where(varies > 0, varies, math.nan)).nanmean(-1)


def _beside(
    of: Callable[[Tensor, Tensor], Tensor],
) -> Callable[[Tensor, Tensor, Tensor | None], float]:
    """A figure of each output (N,) beside the teacher's where its label is known; their mean."""

    def figure(answers: Tensor, teacher: Tensor, labels: Tensor | None) -> float:
        known = torch.ones_like(answers).bool() if labels is None else ~labels.isnan()
        columns = zip(answers.T, teacher.T, known.T, strict=True)
        return float(torch.stack([of(a[k], t[k]) for a, t, k in columns]).nanmean())

    return figure


def _correlation(answers: Tensor, teacher: Tensor) -> Tensor:
    a, b = (x - x.mean() for x in (answers, teacher))
    return (a * b).sum() / (a.square().sum() * b.square().sum()).sqrt()


# Orders: one row of scores (N,), or a list of candidates for each query (N, L).


def _by_query(figure: Callable[[Tensor, Tensor], float]) -> Figure:
    def parts(answers: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        kept = labels != IGNORE
        each = [figure(a[k], y[k]) for a, y, k in zip(answers, labels, kept, strict=True)]
        values = torch.tensor(each, dtype=torch.float64)
        return values.nan_to_num(0.0), (~values.isnan()).double()

    return _mean_of(parts)


def _order(answers: Tensor, labels: Tensor) -> float:
    return ranks.rank_correlation(answers, labels) if len(answers) > 1 else math.nan


def _order_of(answers: Tensor, teacher: Tensor, labels: Tensor | None) -> float:
    if answers.ndim == 1:
        return _order(answers, teacher)
    teacher = teacher if labels is None else teacher.masked_fill(labels == IGNORE, IGNORE)
    return _by_query(_order).of(answers, teacher)


# Directions: (N, D), of any width.


def _recall(k: int) -> Figure:
    def parts(answers: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        known = labels != IGNORE
        hits = torch.zeros(len(labels), dtype=torch.float64)
        if int(known.sum()) <= k:
            return hits, torch.zeros_like(hits)
        hits[known] = 100 * hits_at_k(answers[known], labels[known], k)
        # the only one of its class finds nobody, and may be found for another
        sought = known & (torch.bincount(labels[known])[labels.clamp_min(0)] > 1)
        return hits * sought, sought.double()

    return _mean_of(parts)


def _cosine(answers: Tensor, teacher: Tensor, labels: Tensor | None) -> float:
    if answers.shape != teacher.shape:
        return math.nan  # of another width: only similarities can be compared
    return cosine_similarity(answers, teacher, dim=-1).mean().item()


def _similarities(answers: Tensor, teacher: Tensor, labels: Tensor | None) -> float:
    a, b = (_pairwise(x) for x in (answers, teacher))
    if len(a) < 3:
        return math.nan  # one pair has no order
    above = torch.ones_like(a).triu(1).bool()
    return ranks.rank_correlation(a[above], b[above])


def _neighbours(answers: Tensor, teacher: Tensor, labels: Tensor | None) -> float:
    k = min(NEAREST, len(answers) - 1)
    apart = [(-_pairwise(x)).fill_diagonal_(math.inf) for x in (answers, teacher)]
    near = [x.argsort(dim=1, stable=True)[:, :k] for x in apart]  # equals in one order, for both
    both = (near[0][:, :, None] == near[1][:, None, :]).any(2)
    return 100 * both.double().mean().item()


def _pairwise(embeddings: Tensor) -> Tensor:
    step = math.ceil(len(embeddings) / MOST_PAIRED)  # evenly through the data
    unit = normalize(embeddings[::step], dim=-1)
    return (unit @ unit.T).round(decimals=DIGITS)  # rounding puts nothing in order that is alike


TASKS: Mapping[str, Task] = {
    task.name: task
    for task in (
        Task("classification", 1, "accuracy", {}, {}),
        Task(
            "multilabel",
            1,
            "micro_f1",
            {
                "micro_f1": _summed(
                    _label_counts, lambda s: counts.f1(_unflat(s).sum(-1, keepdim=True))[..., 0]
                ),
                "macro_f1": _summed(_label_counts, lambda s: counts.macro(counts.f1(_unflat(s)))),
                "mean_average_precision": Figure(_mean_average_precision),
                "nll": _mean_of(_binary_nll),
            },
            {"agreement": _same_decisions},
        ),
        Task(
            "tagging",
            2,
            "token_accuracy",
            {"token_accuracy": _mean_of(_right), "nll": _mean_of(_token_nll)},
            {"agreement": _same_class, "kl_to_teacher": _token_kl},
        ),
        Task(
            "language",
            2,
            "token_accuracy",
            {"token_accuracy": _column("right", 100), "nll": _column("nll")},
            {
                "agreement": _kept("same", 100),
                "kl_to_teacher": _kept("kl"),
                "acceptance": _kept("accepted", 100),
                "tokens_per_pass": lambda a, t, y: tokens_per_pass(_kept("accepted")(a, t, y)),
            },
        ),
        Task(
            "segmentation",
            3,
            "mean_iou",
            {"pixel_accuracy": _mean_of(_right)},
            {"agreement": _same_class},
        ),
        Task(
            "embedding",
            1,
            "recall_at_1",
            {"recall_at_1": _recall(1), "recall_at_10": _recall(NEAREST)},
            {
                "cosine_to_teacher": _cosine,
                "similarity_correlation": _similarities,
                "neighbours_kept": _neighbours,
            },
        ),
        Task(
            "ranking",
            None,
            "rank_correlation",
            {"rank_correlation": Figure(_order)},
            {"rank_correlation_to_teacher": _order_of},
        ),
        Task(
            "regression",
            None,
            "rmse",
            {
                "rmse": _summed(_squares, _root_mean),
                "mae": replace(_summed(_distances, _mean_distance), mean=True),
                "r2": _summed(_r2_sums, _r2),
            },
            {
                "rmse_to_teacher": _beside(lambda a, t: (a - t).square().mean().sqrt()),
                "correlation_to_teacher": _beside(_correlation),
            },
        ),
    )
}
"""Every kind of task that `compare` knows, by name."""

BY_QUERY: Mapping[str, Figure] = {
    "ndcg": _by_query(ranks.ndcg),
    "reciprocal_rank": _by_query(ranks.reciprocal_rank),
    "rank_correlation": _by_query(_order),
}
"""What is measured of a ranking where every query has candidates of its own, (N, L)."""
