"""What a student could gain from a teacher, measured before the first step."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from scipy.special import stdtrit
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from distill_lab._util.checks import positive_int
from distill_lab._util.tensors import IGNORE, next_tokens
from distill_lab._util.wrappers import OutputReader
from distill_lab.data.batches import as_data, batch_of
from distill_lab.data.tokenized import Texts
from distill_lab.evaluation import metrics
from distill_lab.evaluation.contenders import Contender, measured, repeats_inputs, with_labels
from distill_lab.evaluation.differences import between_fixed
from distill_lab.evaluation.layout import (
    check_classes,
    guessed_task,
    laid_out,
    refuse_nonfinite,
    refuse_other_than_logits,
    task_labels,
)
from distill_lab.evaluation.predictions import as_module, evaluating
from distill_lab.evaluation.statistics import LEVEL, Interval, paired_interval
from distill_lab.evaluation.tasks import TASKS
from distill_lab.models.scores_at import Places, in_pieces, scores_at

__all__ = ["Headroom", "costs", "headroom", "headroom_of"]

UNITS = {
    "classification": "examples",
    "tagging": "tokens",
    "segmentation": "pixels",
    "multilabel": "answers",
}
"""The tasks that have right answers, and what is counted of them."""
Verdict = Literal["gain", "probabilities", "none", "harm"]


@dataclass(frozen=True)
class Headroom:
    """How far a teacher is ahead of a student, and what follows; `str()` says both in words.

    Args:
        teacher_score: percent right, of the examples or of the tokens.
        student_score: the student's.
        teacher_nll: negative log-likelihood of the labels, in nats.
        student_nll: the student's.
        agreement: percent on which both name the same class, right or wrong.
        only_teacher: percent on which the teacher is right and the student is not.
        only_student: percent on which the student is right and the teacher is not.
        score_gap: teacher - student in points, with its 95 % interval.
        nll_gap: student - teacher in nats, so that a better teacher is above 0 here too.
        units: how many examples or tokens were counted, in each seed.
        unit: what they are, "examples" or "tokens".
        seeds: how many pairs of networks were measured.
    """

    teacher_score: float
    student_score: float
    teacher_nll: float
    student_nll: float
    agreement: float
    only_teacher: float
    only_student: float
    score_gap: Interval
    nll_gap: Interval
    units: int
    unit: str
    seeds: int = 1

    @property
    def verdict(self) -> Verdict:
        """What the two intervals say: where a gain can come from, if from anywhere."""
        if self.score_gap.low > 0:
            return "gain"
        if self.score_gap.high < 0:
            return "harm"
        return "probabilities" if self.nll_gap.low > 0 else "none"

    @property
    def advice(self) -> str:
        """The verdict as a sentence."""
        each = f"of the {self.unit}"
        return {
            "gain": f"There is something to gain: the teacher alone is right on "
            f"{self.only_teacher:.1f} % {each}, the student alone on {self.only_student:.1f} %.",
            "probabilities": f"No gain in the score is to be expected: these {self._sample} "
            "do not show that the teacher is right more often. Its probabilities fit "
            "the labels better, so the student's may become better.",
            "none": f"There is nothing to gain that these {self._sample} could show: "
            "the teacher is not right more often, and its probabilities do not fit better.",
            "harm": "There is nothing to gain: the teacher is right less often than the student, "
            "which would learn its faults.",
        }[self.verdict]

    @property
    def _sample(self) -> str:
        return f"{self.seeds} seeds" if self.seeds > 1 else f"{self.units:,} {self.unit}"

    def __str__(self) -> str:
        gap = self.score_gap
        of = f"{self.units:,} {self.unit}"
        if self.seeds > 1:
            of += f" in each of {self.seeds} seeds"
        return (
            f"Headroom: the teacher is right on {self.teacher_score:.1f} % of {of}, the student "
            f"on {self.student_score:.1f} %, {gap.mean:+z.1f} points [{gap.low:z.1f}, "
            f"{gap.high:z.1f}]; NLL {self.teacher_nll:.3f} and {self.student_nll:.3f} nats; they "
            f"agree on {self.agreement:.1f} %. {self.advice}"
        )


def headroom(
    teacher: Any,
    student: Any,
    data: Any,
    *,
    task: str | None = None,
    collate: Any = None,
    read: Any = None,
    batch_size: int = 32,
    ignore: int = IGNORE,
) -> Headroom:
    """Measure teacher and student on held-out data before the first step.

    The student to pass is the one you would have without this teacher: a pre-trained model as it
    is, or a small network trained on the labels. An untrained one makes every teacher look useful.

    Formula: with right in {0, 1} an example or token, the gap is mean(right_t - right_s). Of two
    single classifiers its interval is that of Bonett and Price; of several seeds Student's t over
    the seeds; a token sum_i d_i / sum_i n_i, where text i has n_i tokens and the summed difference
    d_i, and the interval takes the texts as independent and their tokens as not.

    Args:
        teacher: a module, a frozen teacher, a list of modules (one a seed), what `distill_seeds`
            returned, or for classifiers logits (N, C) or (S, N, C); any form that `compare` takes.
        student: the same. Language models read with one tokenizer; classes that only the wider of
            two vocabularies has are left out.
        data: held-out examples in any form that `compare` takes, tokenised `Texts` among them.
            Where the labels are the tokens that are read, each position is scored on the next.
        task: as in `compare`: "classification"; "language" and "tagging", counted by token;
            "segmentation", by pixel; "multilabel", by yes-or-no answer.
        collate: as in `compare`.
        read: as in `compare`.
        batch_size: texts a call.
        ignore: the label of what is left out, beside -100; for example 255 of void pixels.

    Returns:
        Scores in percent, NLL in nats, agreement in percent, the two gaps with 95 % intervals.

    Raises:
        ValueError: for classes or seeds that do not fit, fewer than two examples or texts, or texts
            without an answer.
        TypeError: for what is no model or no data.

    Source: the formula of a ratio's variance: Cochran 1977, Sampling Techniques, section 6.3.

    >>> labels = torch.tensor([0, 1, 2, 0, 1, 2, 0, 1])
    >>> teacher = 4.0 * torch.nn.functional.one_hot(labels, 3)
    >>> found = headroom(teacher, torch.zeros(8, 3), (torch.zeros(8, 1), labels))
    >>> found.verdict, found.teacher_score, found.student_score, round(found.only_teacher, 1)
    ('gain', 100.0, 37.5, 62.5)
    """
    batch_size = positive_int("batch_size", batch_size)
    if task not in (None, *TASKS):
        raise ValueError(f"task must be one of {list(TASKS)}; got {task!r}.")
    if task in (None, "language"):
        texts = _language(data, task, collate, ignore)
        if texts is not None:
            return _of_texts(_read(teacher, student, read), texts, batch_size, ignore)
    pair = {"teacher": teacher, "student": student}
    options = {"collate": collate, "read": read, "language": False}
    answers, by_row = measured(pair, data, task, **options)
    those, labels = answers.contenders, answers.labels
    if task is None:
        one = those["teacher"].logits[0]
        task = "classification" if by_row else guessed_task(one, labels, ignore)[0]
    labels = task_labels(task, labels, ignore, by_row)
    if labels is None or task not in UNITS:
        raise ValueError(
            f"headroom counts right answers, and {task} has none. compare(..., task={task!r}, "
            'teacher="teacher", baseline="student") gives the gap in its main measure.'
        )
    those, labels, _ = with_labels(task, those, labels)
    assert labels is not None
    if task == "classification":
        for name, contender in those.items():
            refuse_other_than_logits(task, name, contender.logits, contender.says_logits)
        return headroom_of(those["teacher"], those["student"], labels)
    if task == "segmentation":  # with every class's score, for the probabilities of the labels
        for name, contender in those.items():
            if contender.logits.ndim != 5:
                raise ValueError(
                    f"the headroom of segmentation needs the scores of every class (N, C, H, W), "
                    f"of which its NLL is made; {name!r} gives "
                    f"{tuple(contender.logits.shape[1:])}."
                )
            refuse_nonfinite(name, contender.logits)
        both = {n: c.logits.movedim(2, -1).double() for n, c in those.items()}
    else:
        both = {n: laid_out(task, n, c.logits, labels, c.says_logits) for n, c in those.items()}
    return headroom_of_positions(task, both["teacher"], both["student"], labels)


def headroom_of(teacher: Contender, student: Contender, labels: Tensor) -> Headroom:
    """The headroom between classifiers whose logits are at hand.

    Args:
        teacher: logits (S, N, C).
        student: logits (S, N, C); where one of the two has a single seed, it stands beside all.
        labels: (N,) or (S, N).

    Returns:
        The headroom.
    """
    seeds = max(teacher.seeds, student.seeds)
    both = [_stretched(model, seeds) for model in (teacher, student)]
    if both[0].shape != both[1].shape:
        raise ValueError(
            "teacher and student must score the same examples and classes, and have as many seeds "
            f"as each other or one; got {tuple(teacher.logits.shape)} and "
            f"{tuple(student.logits.shape)}."
        )
    if labels.shape[-1] < 2:
        raise ValueError("the headroom needs two examples or more; got 1.")
    right_t, right_s = (metrics.check(x, labels)[0].argmax(-1) == labels.cpu() for x in both)
    scores, nlls = ([_row(of(x, labels)) for x in both] for of in (metrics.accuracy, metrics.nll))
    if seeds == 1:
        names = ("teacher", "student")
        score_gap = between_fixed(right_t[0], right_s[0], names=names).interval
        nll_of = [costs(x[0], labels.reshape(-1)) for x in both]
        nll_gap = paired_interval(nll_of[1], nll_of[0])
    else:
        score_gap, nll_gap = paired_interval(*scores), paired_interval(nlls[1], nlls[0])
    return Headroom(
        teacher_score=_mean(scores[0]),
        student_score=_mean(scores[1]),
        teacher_nll=_mean(nlls[0]),
        student_nll=_mean(nlls[1]),
        agreement=_mean(_row(metrics.agreement(both[1], both[0]))),
        only_teacher=_percent(right_t & ~right_s),
        only_student=_percent(right_s & ~right_t),
        score_gap=score_gap,
        nll_gap=nll_gap,
        units=labels.shape[-1],
        unit="examples",
        seeds=seeds,
    )


def _language(data: Any, task: str | None, collate: Any, ignore: int) -> Any:
    """Texts, or the source of data whose labels are the tokens that are read; None of others."""
    if isinstance(data, Texts):
        return data
    source = as_data(data, collate=collate)
    first = torch.arange(min(len(source), 8))  # of one text there may be nothing to learn
    repeats = task == "language" or repeats_inputs(batch_of(source, first), ignore)
    return source if repeats else None


def _read(teacher: Any, student: Any, read: Any) -> list[nn.Module]:
    each = read if isinstance(read, Mapping) else {"teacher": read, "student": read}
    pair = {"teacher": as_module(teacher), "student": as_module(student)}
    return [OutputReader(m, each[name]) if each.get(name) else m for name, m in pair.items()]


def _of_texts(models: list[nn.Module], texts: Any, batch_size: int, ignore: int) -> Headroom:
    chunks = torch.arange(len(texts)).split(batch_size)
    with evaluating(models[0]), evaluating(models[1]):
        # (texts, 8): tokens, right and NLL of both, same choice, right alone
        table = torch.cat([_sums(models, batch_of(texts, index), ignore) for index in chunks])
    return _of_table(table, "tokens")


def headroom_of_positions(task: str, teacher: Tensor, student: Tensor, labels: Tensor) -> Headroom:
    """The headroom where an example has several answers: tokens, pixels, or labels.

    Args:
        task: "tagging", "segmentation" or "multilabel".
        teacher: logits (1, N, ..., C), the class axis last.
        student: the same.
        labels: (N, ...), laid out too.

    Returns:
        The headroom, its intervals over the examples.
    """
    if len(teacher) > 1 or len(student) > 1:
        raise ValueError(
            f"the headroom of {task} takes one network each; got {len(teacher)} and {len(student)}."
        )
    both, mask = (teacher[0], student[0]), labels != IGNORE
    if task == "multilabel":
        right_t, right_s = ((x > 0) == (labels > 0) for x in both)
        same = (both[0] > 0) == (both[1] > 0)
        costs = [binary_cross_entropy_with_logits(x, labels, reduction="none") for x in both]
    else:
        check_classes(labels, both[0].shape[-1])
        chosen_t, chosen_s = (x.argmax(-1) for x in both)
        right_t, right_s, same = chosen_t == labels, chosen_s == labels, chosen_t == chosen_s
        kept = labels.clamp_min(0)[..., None]
        costs = [-x.log_softmax(-1).gather(-1, kept)[..., 0] for x in both]
    alone = right_t & ~right_s, right_s & ~right_t
    columns = (mask, right_t, right_s, *costs, same, *alone)
    table = [(x * mask).flatten(1).sum(1).double() for x in columns]
    return _of_table(torch.stack(table, 1), UNITS[task])


def _of_table(table: Tensor, unit: str) -> Headroom:
    """From what each example adds up to, (N, 8)."""
    table = table[table[:, 0] > 0]
    if len(table) < 2:
        what = "texts" if unit == "tokens" else "examples"
        raise ValueError(
            f"the headroom needs two {what} or more with an answer to score; got {len(table)}."
        )
    tokens = table[:, 0]
    total = int(tokens.sum())
    right_t, right_s, nll_t, nll_s, same, only_t, only_s = (table[:, 1:].sum(0) / total).tolist()
    return Headroom(
        teacher_score=100 * right_t,
        student_score=100 * right_s,
        teacher_nll=nll_t,
        student_nll=nll_s,
        agreement=100 * same,
        only_teacher=100 * only_t,
        only_student=100 * only_s,
        score_gap=_ratio(100 * (table[:, 1] - table[:, 2]), tokens),
        nll_gap=_ratio(table[:, 4] - table[:, 3], tokens),
        units=total,
        unit=unit,
    )


def _sums(models: Sequence[Any], batch: Any, ignore: int) -> Tensor:
    """What each text of a batch adds up to, (B, 8)."""
    held = next(models[0].parameters(), None)
    batch = batch if held is None else batch.to(held.device)
    labels = batch.labels.masked_fill(batch.labels == ignore, IGNORE)
    targets, mask = next_tokens(labels, batch.inputs)
    at = Places.of(mask)
    table = torch.zeros(len(mask), 8, dtype=torch.double, device=mask.device)
    for rows, logits in in_pieces(*(scores_at(model, batch.inputs, at) for model in models)):
        width = min(x.shape[-1] for x in logits)  # padding of a vocabulary means nothing
        wanted = at.take(targets)[rows].long()
        if int(wanted.max()) >= width:
            raise ValueError(
                f"the answers hold token {int(wanted.max())}, but only {width} are scored by both "
                "models: they do not read with one tokenizer."
            )
        logits = [x[:, :width] for x in logits]  # (n, classes)
        t, s = (x.argmax(1) for x in logits)
        right_t, right_s = t == wanted, s == wanted
        costs = [cross_entropy(x, wanted, reduction="none") for x in logits]
        alone = right_t & ~right_s, right_s & ~right_t
        columns = (torch.ones_like(t), right_t, right_s, *costs, t == s, *alone)
        table.index_add_(0, at.rows[rows], torch.stack([x.double() for x in columns], 1))
    return table.cpu()


def _ratio(sums: Tensor, sizes: Tensor) -> Interval:
    """sum(sums) / sum(sizes) with its interval over texts, whose own tokens are alike."""
    n, total = len(sums), sizes.sum()
    mean = (sums.sum() / total).item()
    residuals = sums - mean * sizes
    error = ((residuals**2).sum() * n / (n - 1)).sqrt().item() / total.item()
    half = float(stdtrit(n - 1, 0.5 + LEVEL / 2)) * error
    wins = int((sums < 0 if mean < 0 else sums > 0).sum())
    kind = f"paired Student-t over texts, {100 * LEVEL:g} %"
    return Interval(mean, mean - half, mean + half, n, error * math.sqrt(n), wins, kind, LEVEL)


def _stretched(model: Contender, seeds: int) -> Tensor:
    single = model.seeds == 1 and seeds > 1
    return model.logits.expand(seeds, -1, -1) if single else model.logits


def costs(logits: Tensor, labels: Tensor) -> Tensor:
    """The negative log-likelihood of each label, (..., N), of logits (..., N, C)."""
    log_p = logits.double().log_softmax(-1)
    return -log_p.gather(-1, labels.cpu().expand(log_p.shape[:-1])[..., None])[..., 0]


def _row(values: float | Tensor) -> Tensor:
    return torch.as_tensor(values, dtype=torch.float64).reshape(-1)


def _mean(values: Tensor) -> float:
    return values.mean().item()


def _percent(truth: Tensor) -> float:
    return 100 * truth.double().mean().item()
