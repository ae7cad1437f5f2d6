"""Wrong solutions that learners write, each under the name that `check` has to give it."""

from itertools import accumulate
from math import comb


def _gold_sums(digits, steps):
    gold = [total % 10 for total in accumulate(digits)]
    return sum(a != b for a, b in zip(steps, gold, strict=True))


def _no_modulo(digits, steps):
    wrong = int(steps[0] != digits[0])
    for i in range(1, len(steps)):
        wrong += steps[i] != steps[i - 1] + digits[i]
    return wrong


def _from_second(digits, steps):
    return sum(steps[i] != (steps[i - 1] + digits[i]) % 10 for i in range(1, len(steps)))


def _stops_early(digits, steps):
    wrong = int(steps[0] != digits[0])
    for i in range(1, len(steps) - 1):
        wrong += steps[i] != (steps[i - 1] + digits[i]) % 10
    return wrong


def _count(digits, steps):
    return sum(steps[i] != ((steps[i - 1] if i else 0) + digits[i]) % 10 for i in range(len(steps)))


def _first_place(digits, steps):
    for i in range(len(steps)):
        before = steps[i - 1] if i else 0
        if steps[i] != (before + digits[i]) % 10:
            return i
    return -1


def _digit_before(digits, steps):
    wrong = int(steps[0] != digits[0])
    for i in range(1, len(steps)):
        wrong += steps[i] != (steps[i - 1] + digits[i - 1]) % 10
    return wrong


def _advantages(rewards, scale=True, *, mean=None, std=None):
    difference = rewards - (rewards.mean(1, keepdim=True) if mean is None else mean)
    if scale:
        difference = difference / (rewards.std(1, keepdim=True) + 1e-4 if std is None else std)
    return difference


def _loo(rewards, scale=True):
    g = rewards.shape[1]
    others = (rewards.sum(1, keepdim=True) - rewards) / (g - 1)
    return _advantages(rewards, scale, mean=others)


WRONG = {
    "wrong_steps": {
        "An error that is carried on is counted again": [_gold_sums],
        "The modulo is missing": [_no_modulo],
        "The first step is not checked": [_from_second],
        "The last step is not checked": [_stops_early],
        "The result says only whether there is an error": [lambda d, s: int(_count(d, s) > 0)],
        "The result is turned round": [lambda d, s: int(_count(d, s) == 0)],
        "These are the right steps": [lambda d, s: len(s) - _count(d, s)],
        "This is a share of the steps": [lambda d, s: _count(d, s) / len(s)],
        "This is the place of the first wrong step": [_first_place],
        "Only the last step is checked": [lambda d, s: int(s[-1] != sum(d) % 10)],
        "The digit is the one before": [_digit_before],
    },
    "advantages": {
        "Equal rewards give NaN": [
            lambda r, scale=True: _advantages(r, scale, std=r.std(1, keepdim=True))
        ],
        "The mean is over all prompts": [
            lambda r, scale=True: _advantages(r, scale, mean=r.mean())
        ],
        "Mean and standard deviation are over all prompts": [
            lambda r, scale=True: _advantages(r, scale, mean=r.mean(), std=r.std() + 1e-4)
        ],
        "The standard deviation is over all prompts": [
            lambda r, scale=True: _advantages(r, scale, std=r.std() + 1e-4)
        ],
        "The groups are taken as columns (dim 0)": [
            lambda r, scale=True: _advantages(r, scale, mean=r.mean(0), std=r.std(0) + 1e-4)
        ],
        "The standard deviation divides by G": [
            lambda r, scale=True: _advantages(
                r, scale, std=r.std(1, keepdim=True, unbiased=False) + 1e-4
            )
        ],
        "The division is by the variance": [
            lambda r, scale=True: _advantages(r, scale, std=r.var(1, keepdim=True) + 1e-4)
        ],
        "The group's mean is not subtracted": [
            lambda r, scale=True: _advantages(r, scale, mean=0.0)
        ],
        "`scale` has no effect": [lambda r, scale=True: _advantages(r, False)],
        "`scale` is turned round": [lambda r, scale=True: _advantages(r, not scale)],
        "The sign is turned round": [lambda r, scale=True: -_advantages(r, scale)],
        "The mean leaves out the answer itself": [_loo],
        "These are absolute values": [lambda r, scale=True: _advantages(r, scale).abs()],
    },
    "pass_at_k": {
        "Answers are put back after each draw": [
            lambda n, c, k: 1 - (1 - c / n) ** k,
            lambda n, c, k: 1 - ((n - c) / n) ** k,
        ],
        "The chances of k draws are added up": [lambda n, c, k: k * c / n],
        "The chances of k draws are added up and cut at 1": [lambda n, c, k: min(1, k * c / n)],
        "This is pass@1": [lambda n, c, k: c / n],
        "1 minus is missing": [lambda n, c, k: comb(n - c, k) / comb(n, k)],
        "This is the chance that all drawn answers are right": [
            lambda n, c, k: comb(c, k) / comb(n, k)
        ],
        "Right and wrong are exchanged": [lambda n, c, k: 1 - comb(c, k) / comb(n, k)],
        "This asks only whether any answer of the n is right": [lambda n, c, k: int(c > 0)],
        "This is a vote": [lambda n, c, k: int(c > n / 2)],
        "This is in percent": [lambda n, c, k: 100 * (1 - comb(n - c, k) / comb(n, k))],
        "This is the chance of exactly one right answer": [
            lambda n, c, k: comb(c, 1) * comb(n - c, k - 1) / comb(n, k)
        ],
    },
}
