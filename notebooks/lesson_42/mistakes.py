"""What people get wrong on errors and sampled tokens, and the right functions beside it."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from distill_lab.course.check.exercise import Mistake

__all__ = ["ERRORS", "SAMPLED", "chain", "sampled"]

Step = Callable[[float, float, float], float]


def chain(length: int, eps: float, r: float, step: Step | None = None, first: float = 0.0) -> float:
    wrong, total = first, 0.0
    for _ in range(length):
        wrong = wrong * (1 - r) + (1 - wrong) * eps if step is None else step(wrong, eps, r)
        total += wrong
    return total


def _last(length: int, eps: float, r: float) -> float:
    wrong = 0.0
    for _ in range(length):
        wrong = wrong * (1 - r) + (1 - wrong) * eps
    return wrong


def _sum_as_probability(length: int, eps: float, r: float) -> float:
    total = 0.0
    for _ in range(length):
        total += total * (1 - r) + (1 - total) * eps
    return total


def sampled(log_q: Tensor, log_p: Tensor, mask: Tensor) -> Tensor:
    return ((log_q - log_p).detach() * log_q)[mask].mean()


ERRORS = (
    Mistake(
        "The way back is missing. An error goes on with probability 1 - r.",
        lambda n, e, r: chain(n, e, r, lambda w, e, r: w + (1 - w) * e),
    ),
    Mistake(
        "The error goes on with probability r. It is right again with r, so it goes on with 1 - r.",
        lambda n, e, r: chain(n, e, r, lambda w, e, r: w * r + (1 - w) * e),
    ),
    Mistake(
        "A new error begins even after an error. Multiply eps by 1 - wrong.",
        lambda n, e, r: chain(n, e, r, lambda w, e, r: w * (1 - r) + e),
    ),
    Mistake("Only the last token is counted. Return the sum over all tokens.", _last),
    Mistake(
        "The sum begins before the first token's step. First change the probability, then add it.",
        lambda n, e, r: chain(n - 1, e, r),
    ),
    Mistake(
        "The sum was divided by the length. Return the number of errors, not their share.",
        lambda n, e, r: chain(n, e, r) / n,
    ),
    Mistake(
        "Tokens are taken as independent. This is eps times the length: change `wrong` in each "
        "step, so that an error changes the next token.",
        lambda n, e, r: n * e,
    ),
    Mistake(
        "The old probability is counted twice. Both parts already contain it: write `wrong = ...`, "
        "not `wrong += ...`.",
        lambda n, e, r: chain(n, e, r, lambda w, e, r: w + w * (1 - r) + (1 - w) * e),
    ),
    Mistake(
        "Every error ends after one token. It goes on with probability 1 - r: add wrong * (1 - r).",
        lambda n, e, r: chain(n, e, r, lambda w, e, r: (1 - w) * e),
    ),
    Mistake(
        "A new error is multiplied by 1 - r, too. The way back belongs to an error that is there.",
        lambda n, e, r: chain(n, e, r, lambda w, e, r: w * (1 - r) + (1 - w) * e * (1 - r)),
    ),
    Mistake(
        "A new error is more probable after an error. Multiply eps by 1 - wrong, not by 1 + wrong.",
        lambda n, e, r: chain(n, e, r, lambda w, e, r: w * (1 - r) + (1 + w) * e),
    ),
    Mistake(
        "The first token already stands after an error. Begin with a probability of 0.",
        lambda n, e, r: chain(n, e, r, first=1.0),
    ),
    Mistake(
        "The probability begins at eps. Before the first token it is 0; the first step makes it "
        "eps.",
        lambda n, e, r: chain(n, e, r, first=e),
    ),
    Mistake(
        "The second part uses the changed probability. Both parts need the old one: change it in "
        "one line.",
        lambda n, e, r: chain(n, e, r, lambda w, e, r: w * (1 - r) + (1 - w * (1 - r)) * e),
    ),
    Mistake(
        "The result is always 0. A new error begins where the last token was right, with "
        "(1 - wrong) * eps, and each step is added to the sum.",
        lambda n, e, r: chain(n, e, r, lambda w, e, r: w * (1 - r) + w * e),
    ),
    Mistake(
        "r is subtracted. The way back is a factor: an error goes on with wrong * (1 - r).",
        lambda n, e, r: chain(n, e, r, lambda w, e, r: w - r + (1 - w) * e),
    ),
    Mistake(
        "This is the probability of one error or more. Return how many errors are expected.",
        lambda n, e, r: 1 - (1 - e) ** n,
    ),
    Mistake(
        "This is the share of errors in a very long text. The first tokens have fewer: sum the "
        "steps.",
        lambda n, e, r: n * e / (e + r),
    ),
    Mistake(
        "Right tokens are counted. Sum the probability of a wrong one.",
        lambda n, e, r: n - chain(n, e, r),
    ),
    Mistake(
        "The sum is used as the probability. Keep two numbers: `wrong` and `total`.",
        _sum_as_probability,
    ),
)


def _as_lengths(mask: Tensor) -> Tensor:
    """As many tokens as the mask has in a row, from the first on."""
    return mask.sort(1, descending=True).values


SAMPLED = (
    Mistake(
        "The mask is read as a length. It may have gaps, such as the result of a tool: keep where "
        "it is True.",
        lambda q, p, m: ((q - p).detach() * q)[_as_lengths(m)].mean(),
    ),
    Mistake(
        "Everything before the last token that counts is kept. The mask may have gaps: keep where "
        "it is True.",
        lambda q, p, m: ((q - p).detach() * q)[m.flip(1).cummax(1).values.flip(1)].mean(),
    ),
    Mistake(
        "The text ends at the first gap of the mask. Tokens behind it count, too: keep where it is "
        "True.",
        lambda q, p, m: ((q - p).detach() * q)[m.cumprod(1).bool()].mean(),
    ),
    Mistake(
        "This is the mean of the log-ratio. Hold the difference fixed, then multiply it by log q: "
        "without that factor, the mean gradient does not depend on the teacher.",
        lambda q, p, m: (q - p)[m].mean(),
    ),
    Mistake(
        "The sign is reversed. A token that the teacher likes more gets more probable: the "
        "bracket is log q - log p.",
        lambda q, p, m: ((p - q).detach() * q)[m].mean(),
    ),
    Mistake(
        "The mask is missing. Only tokens of the answer count.",
        lambda q, p, m: ((q - p).detach() * q).mean(),
    ),
    Mistake(
        "Masked tokens count in the mean as zeros. Divide by the number of tokens that count.",
        lambda q, p, m: ((q - p).detach() * q * m).mean(),
    ),
    Mistake(
        "Each text is averaged first. Take one mean over all tokens.",
        lambda q, p, m: (((q - p).detach() * q * m).sum(1) / m.sum(1)).mean(),
    ),
    Mistake(
        "Each place is averaged first. Take one mean over all tokens.",
        lambda q, p, m: (((q - p).detach() * q * m).sum(0) / m.sum(0).clamp_min(1)).mean(),
    ),
    Mistake(
        "The division is by the length L. Divide by the number of tokens that count.",
        lambda q, p, m: ((q - p).detach() * q)[m].sum() / m.shape[1],
    ),
    Mistake(
        "The first token is left out. Both log-probabilities belong to the written token: nothing "
        "is shifted.",
        lambda q, p, m: ((q - p).detach() * q)[:, 1:][m[:, 1:]].mean(),
    ),
    Mistake(
        "The tokens are summed. Divide by their number.",
        lambda q, p, m: ((q - p).detach() * q)[m].sum(),
    ),
    Mistake(
        "The bracket is multiplied by q in place of log q. The gradient of log q is needed: "
        "the draw has already weighed the token by q.",
        lambda q, p, m: ((q - p).detach() * q.exp())[m].mean(),
    ),
    Mistake(
        "The bracket has probabilities. It is a difference of logarithms.",
        lambda q, p, m: ((q.exp() - p.exp()).detach() * q)[m].mean(),
    ),
    Mistake(
        "The bracket is multiplied by the teacher's log p. The gradient has to reach the "
        "student: multiply by log q.",
        lambda q, p, m: ((q - p).detach() * p)[m].mean(),
    ),
    Mistake(
        "The division is by the number of texts. Divide by the number of tokens that count.",
        lambda q, p, m: ((q - p).detach() * q)[m].sum() / len(m),
    ),
    Mistake(
        "The logarithms are added. The bracket is a difference: log q - log p.",
        lambda q, p, m: ((q + p).detach() * q)[m].mean(),
    ),
    Mistake(
        "The logarithms are divided. The logarithm of q / p is the difference log q - log p.",
        lambda q, p, m: ((q / p).detach() * q)[m].mean(),
    ),
    Mistake(
        "The bracket is the ratio q / p. Take its logarithm: log q - log p.",
        lambda q, p, m: ((q - p).exp().detach() * q)[m].mean(),
    ),
    Mistake(
        "The bracket has no sign. Without `abs`, it says which token gets more probable.",
        lambda q, p, m: ((q - p).abs().detach() * q)[m].mean(),
    ),
    Mistake(
        "The mean is taken before the product. Multiply each token's bracket by its own log q.",
        lambda q, p, m: (q - p)[m].mean().detach() * q[m].mean(),
    ),
    Mistake(
        "Each token gets the bracket of its whole text. Here it gets its own alone.",
        lambda q, p, m: (((q - p) * m).sum(1, keepdim=True).detach() * q)[m].mean(),
    ),
    Mistake(
        "Each token gets the brackets of all later ones, too. Here it gets its own alone.",
        lambda q, p, m: (((q - p) * m).flip(1).cumsum(1).flip(1).detach() * q)[m].mean(),
    ),
    Mistake(
        "The bracket is centred: its mean is subtracted. Keep log q - log p as it is.",
        lambda q, p, m: ((q - p - (q - p)[m].mean()).detach() * q)[m].mean(),
    ),
    Mistake(
        "The tokens are weighed by q / p. They were drawn from q: the draw is the weight.",
        lambda q, p, m: ((q - p).exp().detach() * (q - p).detach() * q)[m].mean(),
    ),
    Mistake(
        "The tokens are weighed by p. They were drawn from q: the draw is the weight.",
        lambda q, p, m: (p.exp() * (q - p).detach() * q)[m].mean(),
    ),
    Mistake(
        "This estimates the value of the divergence (k3). For the gradient, multiply the fixed "
        "log q - log p by log q.",
        lambda q, p, m: ((p - q).exp() - 1 - (p - q))[m].mean(),
    ),
    Mistake(
        "The tokens are weighed by q once more. They were drawn from q: the draw is the weight.",
        lambda q, p, m: (q.exp().detach() * (q - p).detach() * q)[m].mean(),
    ),
    Mistake(
        "The weights are the teacher's. This is forward KL, but the tokens are drawn from q.",
        lambda q, p, m: (p.exp() * (p - q))[m].mean(),
    ),
    Mistake(
        "The log-ratio is squared. The bracket is fixed, and it is multiplied by log q.",
        lambda q, p, m: ((q - p) ** 2)[m].mean(),
    ),
    Mistake(
        "The log-ratio is squared. The bracket is fixed, and it is multiplied by log q.",
        lambda q, p, m: ((q - p) ** 2)[m].mean() / 2,
    ),
)
