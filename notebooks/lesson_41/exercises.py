"""Exercises on language models: divergences token by token, and a teacher of whom k are known."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from distill_lab import losses, methods, signals
from distill_lab.course.check.exercise import Exercise, Invariance, Mistake
from distill_lab.course.check.invariances import right_far_out, same, teaches
from distill_lab.losses import IGNORE

__all__ = ["EXERCISES"]


def _draw(shape: tuple[int, ...], seed: int) -> Tensor:
    return 2 * torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def _labels(*prompts_and_lengths: tuple[int, int], longest: int, words: int) -> Tensor:
    """One row an example: -100 on its prompt and behind its last token."""
    rows = torch.randint(
        words, (len(prompts_and_lengths), longest), generator=torch.Generator().manual_seed(9)
    )
    for row, (prompt, length) in zip(rows, prompts_and_lengths, strict=True):
        row[:prompt], row[length:] = IGNORE, IGNORE
    return rows


_S, _T = _draw((3, 6, 5), 1), _draw((3, 6, 5), 2)
_Y = _labels((1, 6), (3, 5), (2, 4), longest=6, words=5)
_S2, _T2 = _draw((2, 4, 7), 3), _draw((2, 4, 7), 4)
_Y2 = _labels((1, 4), (2, 3), longest=4, words=7)
# The first label of a row counts in no loss, and one text may have two answers: with labels at
# place 0, and with tokens between its answers that do not count.
_S3, _T3 = _draw((3, 6, 5), 10), _draw((3, 6, 5), 11)
_Y3 = torch.tensor([[IGNORE, IGNORE, 0, 1, 3, 2], [2, 4, 0, 1, 3, 2], [1, 3, IGNORE, IGNORE, 0, 4]])
_TRIPLES: tuple[dict[str, Any], ...] = (
    {"student_logits": _S, "teacher_logits": _T, "labels": _Y},
    {"student_logits": _S2, "teacher_logits": _T2, "labels": _Y2},
    {"student_logits": _S3, "teacher_logits": _T3, "labels": _Y3},
)

Each = Callable[[Tensor, Tensor], Tensor]  # logits (..., C) twice -> one value a position


def _kl(s: Tensor, t: Tensor) -> Tensor:
    log_q, log_p = s.log_softmax(-1), t.log_softmax(-1)
    return (log_p.exp() * (log_p - log_q)).sum(-1)


def _jsd(s: Tensor, t: Tensor, beta: float, mixed: float | None = None) -> Tensor:
    q, p = s.softmax(-1), t.softmax(-1)
    w = beta if mixed is None else mixed
    m = w * p + (1 - w) * q
    return (beta * p * (p / m).log() + (1 - beta) * q * (q / m).log()).sum(-1)


def _cross_entropy(s: Tensor, t: Tensor) -> Tensor:
    return -(t.softmax(-1) * s.log_softmax(-1)).sum(-1)


def _mixed_logs(s: Tensor, t: Tensor, beta: float) -> Tensor:
    """The mixture of the logarithms in the place of the logarithm of the mixture."""
    log_q, log_p = s.log_softmax(-1), t.log_softmax(-1)
    log_m = beta * log_p + (1 - beta) * log_q
    left, right = log_p.exp() * (log_p - log_m), log_q.exp() * (log_q - log_m)
    return (beta * left + (1 - beta) * right).sum(-1)


def _mixed_logits(s: Tensor, t: Tensor, beta: float) -> Tensor:
    m = beta * t + (1 - beta) * s
    return beta * _kl(m, t) + (1 - beta) * _kl(m, s)


def _from_m(s: Tensor, t: Tensor, beta: float) -> Tensor:
    q, p = s.softmax(-1), t.softmax(-1)
    m = beta * p + (1 - beta) * q
    return (m * (beta * (m / p).log() + (1 - beta) * (m / q).log())).sum(-1)


def _over_tokens(each: Each, s: Tensor, t: Tensor, labels: Tensor) -> Tensor:
    """The right way: position i predicts token i + 1, mean over the tokens that count."""
    mask = labels[:, 1:] != IGNORE
    return each(s[:, :-1], t[:, :-1])[mask].mean()


def _mistakes(each: Callable[..., Tensor]) -> tuple[Mistake, ...]:
    """What goes wrong with the shift and the mask, for any divergence a position."""

    def unshifted(s: Tensor, t: Tensor, y: Tensor, *rest: Any) -> Tensor:
        return each(s, t, *rest)[y != IGNORE].mean()

    def mask_unshifted(s: Tensor, t: Tensor, y: Tensor, *rest: Any) -> Tensor:
        return each(s[:, :-1], t[:, :-1], *rest)[y[:, :-1] != IGNORE].mean()

    def everywhere(s: Tensor, t: Tensor, y: Tensor, *rest: Any) -> Tensor:
        return each(s[:, :-1], t[:, :-1], *rest).mean()

    def with_padding(s: Tensor, t: Tensor, y: Tensor, *rest: Any) -> Tensor:
        values, mask = each(s[:, :-1], t[:, :-1], *rest), y[:, 1:] != IGNORE
        return (values * mask).sum() / mask.numel()

    def of_texts(s: Tensor, t: Tensor, y: Tensor, *rest: Any) -> Tensor:
        values, mask = each(s[:, :-1], t[:, :-1], *rest), y[:, 1:] != IGNORE
        return ((values * mask).sum(1) / mask.sum(1)).mean()

    def batch_mean(s: Tensor, t: Tensor, y: Tensor, *rest: Any) -> Tensor:
        values, mask = each(s[:, :-1], t[:, :-1], *rest), y[:, 1:] != IGNORE
        return (values * mask).sum() / len(values)

    def summed(s: Tensor, t: Tensor, y: Tensor, *rest: Any) -> Tensor:
        return each(s[:, :-1], t[:, :-1], *rest)[y[:, 1:] != IGNORE].sum()

    def twice(s: Tensor, t: Tensor, y: Tensor, *rest: Any) -> Tensor:
        return each(s[:, :-2], t[:, :-2], *rest)[y[:, 2:] != IGNORE].mean()

    def backwards(s: Tensor, t: Tensor, y: Tensor, *rest: Any) -> Tensor:
        return each(s[:, 1:], t[:, 1:], *rest)[y[:, :-1] != IGNORE].mean()

    def teacher_late(s: Tensor, t: Tensor, y: Tensor, *rest: Any) -> Tensor:
        return each(s[:, :-1], t[:, 1:], *rest)[y[:, 1:] != IGNORE].mean()

    def student_late(s: Tensor, t: Tensor, y: Tensor, *rest: Any) -> Tensor:
        return each(s[:, 1:], t[:, :-1], *rest)[y[:, 1:] != IGNORE].mean()

    def inverted(s: Tensor, t: Tensor, y: Tensor, *rest: Any) -> Tensor:
        return each(s[:, :-1], t[:, :-1], *rest)[y[:, 1:] == IGNORE].mean()

    def positive(s: Tensor, t: Tensor, y: Tensor, *rest: Any) -> Tensor:
        return each(s[:, :-1], t[:, :-1], *rest)[y[:, 1:] > 0].mean()

    def classes(s: Tensor, t: Tensor, y: Tensor, *rest: Any) -> Tensor:
        return each(s[:, :-1], t[:, :-1], *rest)[y[:, 1:] != IGNORE].mean() / s.shape[-1]

    def everywhere_unshifted(s: Tensor, t: Tensor, y: Tensor, *rest: Any) -> Tensor:
        return each(s, t, *rest).mean()

    def counted_unshifted(s: Tensor, t: Tensor, y: Tensor, *rest: Any) -> Tensor:
        values = each(s[:, :-1], t[:, :-1], *rest) * (y[:, 1:] != IGNORE)
        return values.sum() / (y != IGNORE).sum()

    def rolled(s: Tensor, t: Tensor, y: Tensor, *rest: Any) -> Tensor:
        return each(s, t, *rest)[y.roll(-1, 1) != IGNORE].mean()

    def flattened(s: Tensor, t: Tensor, y: Tensor, *rest: Any) -> Tensor:
        s, t, y = s.flatten(0, 1), t.flatten(0, 1), y.flatten()
        return each(s[:-1], t[:-1], *rest)[y[1:] != IGNORE].mean()

    def one_run(s: Tensor, t: Tensor, y: Tensor, *rest: Any) -> Tensor:
        after, before = (y != IGNORE).cumsum(1) > 0, (y != IGNORE).flip(1).cumsum(1).flip(1) > 0
        return each(s[:, :-1], t[:, :-1], *rest)[(after & before)[:, 1:]].mean()

    def one_prompt(s: Tensor, t: Tensor, y: Tensor, *rest: Any) -> Tensor:
        start = max(int((y[0] != IGNORE).int().argmax()), 1)
        mask = (y[:, 1:] != IGNORE) & (torch.arange(1, y.shape[1]) >= start)
        return each(s[:, :-1], t[:, :-1], *rest)[mask].mean()

    def turned(s: Tensor, t: Tensor, y: Tensor, *rest: Any) -> Tensor:
        return each(t[:, :-1], s[:, :-1], *rest)[y[:, 1:] != IGNORE].mean()

    return (
        Mistake(
            "Nothing is shifted. A position counts where the next token does: "
            "logits[:, :-1] beside labels[:, 1:].",
            unshifted,
        ),
        Mistake(
            "The shift is done twice. Cut one position from each, once: logits[:, :-1] beside "
            "labels[:, 1:].",
            twice,
        ),
        Mistake(
            "The shift goes the wrong way. It is logits[:, :-1] beside labels[:, 1:].", backwards
        ),
        Mistake(
            "Student and teacher are shifted against each other. Cut both in the same way.",
            teacher_late,
        ),
        Mistake(
            "Student and teacher are shifted against each other. Cut both in the same way.",
            student_late,
        ),
        Mistake(
            "The mask is inverted. Keep the tokens whose label is not -100: `!= -100`.", inverted
        ),
        Mistake(
            "Token 0 is left out. It is a token like the others: `!= -100`, not `> 0`.", positive
        ),
        Mistake("There is a mean over the classes. A divergence sums over them.", classes),
        Mistake(
            "Neither shift nor mask is there. Cut to logits[:, :-1], and keep where labels[:, 1:] "
            "is not -100.",
            everywhere_unshifted,
        ),
        Mistake("The mask is not shifted. Take it from labels[:, 1:].", mask_unshifted),
        Mistake(
            "The mask is missing. Prompt and padding do not count: leave out where the label is "
            "-100.",
            everywhere,
        ),
        Mistake(
            "The padding counts in the mean as zeros. Divide by the number of tokens that count.",
            with_padding,
        ),
        Mistake(
            "Each text is averaged first. Then a token of a short text has more weight: take one "
            "mean over all the tokens.",
            of_texts,
        ),
        Mistake(
            "The division is by the number of texts, not of tokens. `reduction='batchmean'` does "
            "that; long answers then give large losses.",
            batch_mean,
        ),
        Mistake("The tokens are summed. Divide by their number.", summed),
        Mistake(
            "The unshifted labels are counted. The first token of a text is never predicted: "
            "divide by the number of labels[:, 1:] that are not -100.",
            counted_unshifted,
        ),
        Mistake(
            "`roll` brings the first label to the end. Nothing follows the last token: cut with "
            "labels[:, 1:].",
            rolled,
        ),
        Mistake(
            "The texts are joined before the shift. Then the last token of one text predicts the "
            "first of the next: cut each row by itself, logits[:, :-1].",
            flattened,
        ),
        Mistake(
            "Everything between the first and the last label counts. A text may have two answers: "
            "keep where the label is not -100.",
            one_run,
        ),
        Mistake(
            "The first text's prompt is cut from every text. Each row has its own -100.", one_prompt
        ),
        Mistake("Student and teacher are exchanged.", turned),
    )


def _with_junk(labels: Tensor, logits: Tensor) -> Tensor:
    """Other logits wherever nothing is to be predicted."""
    targets = torch.cat((labels[:, 1:], torch.full_like(labels[:, :1], IGNORE)), 1)
    return torch.where((targets == IGNORE).unsqueeze(-1), logits.flip(-1) + 3 * logits, logits)


def _promises(*extra: Any) -> tuple[Invariance, ...]:
    longer = torch.nn.functional.pad
    none = torch.full_like(_Y[:1], IGNORE)
    return (
        Invariance(
            "a gradient reaches the student's logits",
            lambda f: teaches(lambda s: f(s, _T, _Y, *extra), _S),
            "Do not detach the student.",
        ),
        Invariance(
            "a text without any label changes nothing",
            lambda f: same(
                f(*(torch.cat((z, z[:1])) for z in (_S, _T)), torch.cat((_Y, none)), *extra),
                f(_S, _T, _Y, *extra),
            ),
            "A mean over no token is NaN: take one mean over all tokens that count.",
        ),
        Invariance("equal models give 0", lambda f: same(f(_S, _S, _Y, *extra), 0.0, 1e-5)),
        Invariance(
            "the logits at prompt and padding change nothing",
            lambda f: same(
                f(_with_junk(_Y, _S), _with_junk(_Y, _T), _Y, *extra), f(_S, _T, _Y, *extra)
            ),
        ),
        Invariance(
            "three more positions of padding change nothing",
            lambda f: same(
                f(
                    *(longer(z, (0, 0, 0, 3)) for z in (_S, _T)),
                    longer(_Y, (0, 3), value=IGNORE),
                    *extra,
                ),
                f(_S, _T, _Y, *extra),
            ),
            "Divide by the number of tokens that count.",
        ),
    )


token_kl = Exercise(
    name="token_kl",
    formula="KL(p ‖ q) of position i wherever token i + 1 has a label, mean over these tokens, "
    "with p the teacher's and q the student's softmax",
    reference=lambda s, t, y: losses.forward_kl(s[:, :-1], t[:, :-1], mask=y[:, 1:] != IGNORE),
    cases=_TRIPLES,
    trained=("student_logits",),
    invariances=(
        *_promises(),
        right_far_out(
            lambda s, t, y: _over_tokens(_kl, s, t, y), (_S, _T, _Y), (5e3 * _S, 5e3 * _T, _Y)
        ),
    ),
    mistakes=(
        *_mistakes(_kl),
        Mistake(
            "This is the cross-entropy -sum p log q. The teacher's entropy is still in it: use "
            "log p - log q.",
            lambda s, t, y: _over_tokens(_cross_entropy, s, t, y),
        ),
        Mistake(
            "This is the labels' cross-entropy. The teacher's distribution is to be matched.",
            lambda s, t, y: torch.nn.functional.cross_entropy(
                s[:, :-1].flatten(0, 1), y[:, 1:].flatten()
            ),
        ),
        Mistake(
            "Neither mask nor mean over tokens is there. `reduction='batchmean'` divides by the "
            "number of texts: keep the tokens with a label, and take their mean.",
            lambda s, t, y: _kl(s[:, :-1], t[:, :-1]).sum() / len(s),
        ),
        Mistake(
            "The sign is reversed. It is log p - log q, teacher minus student.",
            lambda s, t, y: -_over_tokens(_kl, s, t, y),
        ),
    ),
)

_BETAS = tuple({**triple, "beta": beta} for beta in (0.5, 0.2) for triple in _TRIPLES)

token_jsd = Exercise(
    name="token_jsd",
    formula="beta KL(p ‖ m) + (1 - beta) KL(q ‖ m) with m = beta p + (1 - beta) q, wherever the "
    "next token has a label, mean over these tokens",
    reference=lambda s, t, y, beta: losses.jsd(
        s[:, :-1], t[:, :-1], beta=beta, mask=y[:, 1:] != IGNORE
    ),
    cases=_BETAS,
    defaults={"beta": 0.5},
    trained=("student_logits",),
    invariances=_promises(0.5),
    mistakes=(
        *(m for m in _mistakes(_jsd) if "exchanged" not in m.sentence),
        Mistake(
            "The logarithms are mixed. Mix the probabilities, then take the logarithm: m = beta p "
            "+ (1 - beta) q.",
            lambda s, t, y, beta: _over_tokens(lambda a, b: _mixed_logs(a, b, beta), s, t, y),
        ),
        Mistake(
            "The logits are mixed. Take the softmax first, then mix the probabilities.",
            lambda s, t, y, beta: _over_tokens(lambda a, b: _mixed_logits(a, b, beta), s, t, y),
        ),
        Mistake(
            "The mixture is always half and half. It is m = beta p + (1 - beta) q.",
            lambda s, t, y, beta: _over_tokens(lambda a, b: _jsd(a, b, beta, 0.5), s, t, y),
        ),
        Mistake(
            "Both divergences have the weight one half. The weights are beta and 1 - beta.",
            lambda s, t, y, beta: _over_tokens(lambda a, b: _jsd(a, b, 0.5, beta), s, t, y),
        ),
        Mistake(
            "The divergences are added without weights. The weights are beta and 1 - beta.",
            lambda s, t, y, beta: _over_tokens(lambda a, b: 2 * _jsd(a, b, 0.5, beta), s, t, y),
        ),
        Mistake(
            "The divergences start from the mixture. It is KL(p ‖ m) and KL(q ‖ m), with the "
            "weights p and q.",
            lambda s, t, y, beta: _over_tokens(lambda a, b: _from_m(a, b, beta), s, t, y),
        ),
        Mistake(
            "The mixture is missing. p and q are each compared with m, not with each other.",
            lambda s, t, y, beta: _over_tokens(
                lambda a, b: beta * _kl(a, b) + (1 - beta) * _kl(b, a), s, t, y
            ),
        ),
        Mistake(
            "The second divergence is missing. Add (1 - beta) KL(q ‖ m).",
            lambda s, t, y, beta: _over_tokens(
                lambda a, b: (
                    beta * _kl((beta * b.softmax(-1) + (1 - beta) * a.softmax(-1)).log(), b)
                ),
                s,
                t,
                y,
            ),
        ),
        Mistake(
            "The mixture's weights are swapped. It is m = beta p + (1 - beta) q, p the teacher's.",
            lambda s, t, y, beta: _over_tokens(lambda a, b: _jsd(a, b, beta, 1 - beta), s, t, y),
        ),
        Mistake(
            "beta weighs the student instead of the teacher. It is beta KL(p ‖ m), p the "
            "teacher's, and m = beta p + (1 - beta) q.",
            lambda s, t, y, beta: _over_tokens(lambda a, b: _jsd(a, b, 1 - beta), s, t, y),
        ),
    ),
)


def _listed(s: Tensor, t: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The teacher's k log-probabilities, and the student's of the same classes."""
    log_p, ids = t.log_softmax(-1).topk(k)
    return log_p, s.log_softmax(-1).gather(-1, ids)


def _sum(log_p: Tensor, log_q: Tensor) -> Tensor:
    return (log_p.exp() * (log_p - log_q)).sum(-1).mean()


def _renormalised(s: Tensor, t: Tensor, k: int, *, both: bool) -> Tensor:
    log_p, log_q = _listed(s, t, k)
    return _sum(log_p.log_softmax(-1), log_q.log_softmax(-1) if both else log_q)


def _rest(log_p: Tensor) -> Tensor:
    return 1 - log_p.exp().sum(-1, keepdim=True)


def _and_rest(log_p: Tensor) -> Tensor:
    return torch.cat((log_p, _rest(log_p).log()), -1)


def _with_rest(s: Tensor, t: Tensor, k: int, *, largest: bool = True) -> tuple[Tensor, Tensor]:
    log_p, ids = t.log_softmax(-1).topk(k, largest=largest)
    return _and_rest(log_p), _and_rest(s.log_softmax(-1).gather(-1, ids))


def _entropy_of_rest(t: Tensor, k: int) -> Tensor:
    rest = _rest(t.log_softmax(-1).topk(k).values)
    return (rest * rest.log()).mean()


def _indexed(s: Tensor, t: Tensor, k: int) -> Tensor:
    log_p, ids = t.log_softmax(-1).topk(k)
    return (log_p.exp() * (log_p - s.log_softmax(-1)[:, ids])).sum(-1).mean()


def _spread(s: Tensor, t: Tensor, k: int) -> Tensor:
    """The rest shared out evenly among the other classes."""
    log_p, ids = t.log_softmax(-1).topk(k)
    rest = (1 - log_p.exp().sum(-1, keepdim=True)) / (t.shape[-1] - k)
    p = rest.expand_as(t).scatter(-1, ids, log_p.exp())
    return (p * (p.log() - s.log_softmax(-1))).sum(-1).mean()


def _own_top(s: Tensor, t: Tensor, k: int) -> Tensor:
    log_q, ids = s.log_softmax(-1).topk(k)
    log_p = t.log_softmax(-1).gather(-1, ids)
    rest_p, rest_q = (1 - x.exp().sum(-1, keepdim=True) for x in (log_p, log_q))
    return _sum(torch.cat((log_p, rest_p.log()), -1), torch.cat((log_q, rest_q.log()), -1))


_A, _B, _A2, _B2 = _draw((4, 8), 5), _draw((4, 8), 6), _draw((3, 5), 7), _draw((3, 5), 8)

top_k_kl = Exercise(
    name="top_k_kl",
    formula="sum over the teacher's k most probable classes of p (log p - log q), plus "
    "p_rest (log p_rest - log q_rest) for all others as one, mean over the batch",
    reference=lambda s, t, k: methods.divergence(s, signals.top_k(t, k)),
    cases=tuple(
        {"student_logits": s, "teacher_logits": t, "k": k}
        for k in (2, 3)
        for s, t in ((_A, _B), (_A2, _B2))
    ),
    trained=("student_logits",),
    invariances=(
        Invariance(
            "a gradient reaches the student's logits",
            lambda f: teaches(lambda s: f(s, _B, 2), _A),
            "Do not detach the student.",
        ),
        Invariance("equal models give 0", lambda f: same(f(_A, _A, 2), 0.0, 1e-4)),
        Invariance(
            "with only one class left over it is the whole divergence",
            lambda f: same(f(_A, _B, 7), losses.forward_kl(_A, _B)),
            "The rest is one class more: p_rest (log p_rest - log q_rest).",
        ),
        Invariance(
            "classes in another order give the same",
            lambda f: same(f(_A.flip(-1), _B.flip(-1), 2), f(_A, _B, 2)),
        ),
    ),
    mistakes=(
        Mistake(
            "The tail is missing. What is left on each side is compared too, as one class more: "
            "1 - sum of the teacher's k beside 1 - sum of the student's k.",
            lambda s, t, k: _sum(*_listed(s, t, k)),
        ),
        Mistake(
            "The direction is reversed. The weight is the teacher's p: p (log p - log q).",
            lambda s, t, k: _sum(*reversed(_with_rest(s, t, k))),
        ),
        Mistake(
            "There is a mean over the classes. Sum over the k + 1 outcomes, mean over the rows.",
            lambda s, t, k: _sum(*_with_rest(s, t, k)) / (k + 1),
        ),
        Mistake(
            "The rows are summed. Take their mean.",
            lambda s, t, k: len(s) * _sum(*_with_rest(s, t, k)),
        ),
        Mistake(
            "Each side has its own k classes. Take the student's probabilities of the teacher's "
            "classes: `gather(-1, ids)`.",
            lambda s, t, k: _sum(
                _and_rest(t.log_softmax(-1).topk(k).values),
                _and_rest(s.log_softmax(-1).topk(k).values),
            ),
        ),
        Mistake(
            "These are the teacher's least probable classes. Take the most probable ones.",
            lambda s, t, k: _sum(*_with_rest(s, t, k, largest=False)),
        ),
        Mistake(
            "One class too many is kept. Keep k.", lambda s, t, k: _sum(*_with_rest(s, t, k + 1))
        ),
        Mistake(
            "The rest is compared by its difference. It is a class like the others: "
            "p_rest (log p_rest - log q_rest).",
            lambda s, t, k: (
                _sum(*_listed(s, t, k))
                + (_rest(_listed(s, t, k)[0]) - _rest(_listed(s, t, k)[1])).abs().mean()
            ),
        ),
        Mistake(
            "`[:, ids]` takes the classes of every row for each row. Use `gather(-1, ids)`.",
            lambda s, t, k: _indexed(s, t, k),
        ),
        Mistake(
            "This is the whole divergence. Keep k classes, and all others as one.",
            lambda s, t, k: _kl(s, t).mean(),
        ),
        Mistake(
            "This is a cross-entropy. The teacher's entropy is still in it: use log p - log q.",
            lambda s, t, k: -(_with_rest(s, t, k)[0].exp() * _with_rest(s, t, k)[1]).sum(-1).mean(),
        ),
        Mistake(
            "The student's rest is missing. Its last class is 1 - sum of its k probabilities.",
            lambda s, t, k: _sum(*_listed(s, t, k)) + _entropy_of_rest(t, k),
        ),
        Mistake(
            "The teacher's k are scaled to sum to 1. Its other classes would be impossible. Keep "
            "log_softmax over *all* classes, then take k.",
            lambda s, t, k: _renormalised(s, t, k, both=False),
        ),
        Mistake(
            "Both sides are scaled to sum to 1 over the k. Then the probability that the student "
            "gives to other classes has no effect: take `log_softmax` over all classes first.",
            lambda s, t, k: _renormalised(s, t, k, both=True),
        ),
        Mistake(
            "The rest is spread evenly over the other classes. Compare it as one class, rest "
            "with rest.",
            _spread,
        ),
        Mistake("These are the student's k most probable classes. Take the teacher's.", _own_top),
    ),
)

EXERCISES = {e.name: e for e in (token_kl, token_jsd, top_k_kl)}
