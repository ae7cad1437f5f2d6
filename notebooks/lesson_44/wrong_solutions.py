"""Wrong solutions that learners write, each under the name that `check` has to give it."""

from itertools import accumulate
from math import comb, prod


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


def _assigned(digits, steps):
    wrong = int(steps[0] != digits[0])
    for i in range(1, len(steps)):
        wrong = int(steps[i] != (steps[i - 1] + digits[i]) % 10)
    return wrong


def _returns_in_the_loop(digits, steps):
    wrong = int(steps[0] != digits[0])
    for i in range(1, len(steps)):
        wrong += steps[i] != (steps[i - 1] + digits[i]) % 10
        return wrong
    return wrong


def _pops(digits, steps):
    wrong = 0
    while len(steps) > 1:
        wrong += steps[-1] != (steps[-2] + digits[-1]) % 10
        steps.pop(), digits.pop()
    return wrong + (steps[0] != digits[0])


def _corrects(digits, steps):
    wrong = 0
    for i in range(len(steps)):
        right = ((steps[i - 1] if i else 0) + digits[i]) % 10
        wrong += steps[i] != right
        steps[i] = right
    return wrong


def _advantages(rewards, scale=True, *, mean=None, std=None):
    difference = rewards - (rewards.mean(1, keepdim=True) if mean is None else mean)
    if scale:
        difference = difference / (rewards.std(1, keepdim=True) + 1e-4 if std is None else std)
    return difference


def _ways(n, c, k, right):
    return sum(comb(c, j) * comb(n - c, k - j) for j in right) / comb(n, k)


def _loo(rewards, scale=True):
    g = rewards.shape[1]
    others = (rewards.sum(1, keepdim=True) - rewards) / (g - 1)
    return _advantages(rewards, scale, mean=others)


WRONG = {
    "wrong_steps": {
        "An error that is carried on is counted again": [_gold_sums],
        "The modulo is missing, or acts on the digit alone": [
            _no_modulo,
            lambda d, s: sum(s[i] != (s[i - 1] if i else 0) + d[i] % 10 for i in range(len(s))),
        ],
        "The first step is compared with the last one, `steps[-1]`": [
            lambda d, s: sum(s[i] != (s[i - 1] + d[i]) % 10 for i in range(len(s)))
        ],
        "The first step is compared with 0": [
            lambda d, s: sum(s[i] != ((s[i - 1] + d[i]) % 10 if i else 0) for i in range(len(s)))
        ],
        "The digit is subtracted": [
            lambda d, s: sum(s[i] != ((s[i - 1] if i else 0) - d[i]) % 10 for i in range(len(s)))
        ],
        "Steps are compared with digits": [
            lambda d, s: sum(a != b for a, b in zip(d, s, strict=True))
        ],
        "The sizes of the errors are added": [
            lambda d, s: sum(
                abs(s[i] - ((s[i - 1] if i else 0) + d[i]) % 10) for i in range(len(s))
            )
        ],
        "Only the last step decides": [_assigned],
        "The loop ends after its first round": [_returns_in_the_loop],
        "An error that is carried on is counted again, and the modulo is missing": [
            lambda d, s: sum(a != b for a, b in zip(s, accumulate(d), strict=True))
        ],
        "An argument is changed in place": [_pops, _corrects],
        "The first step is not checked": [_from_second],
        "The last step is not checked": [_stops_early],
        "The result says only whether there is an error": [lambda d, s: int(_count(d, s) > 0)],
        "The result is turned round": [lambda d, s: int(_count(d, s) == 0)],
        "These are the right steps": [lambda d, s: len(s) - _count(d, s)],
        "This is a share of the steps": [lambda d, s: _count(d, s) / len(s)],
        "This is the place of the first wrong step": [
            _first_place,
            lambda d, s: _first_place(d, s) + 1,
        ],
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
        "The divisor has no 1e-4, or another small number": [
            lambda r, scale=True: _advantages(r, scale, std=r.std(1, keepdim=True) + 1e-8),
            lambda r, scale=True: _advantages(r, scale, std=r.std(1, keepdim=True) + 1e-6),
            lambda r, scale=True: _advantages(r, scale, std=r.std(1, keepdim=True).clamp(min=1e-4)),
            lambda r, scale=True: _advantages(r, scale, std=r.std(1, keepdim=True)).nan_to_num(),
        ],
        "1e-4 is added to the variance": [
            lambda r, scale=True: _advantages(r, scale, std=(r.var(1, keepdim=True) + 1e-4) ** 0.5)
        ],
        "1e-4 is added to the quotient": [
            lambda r, scale=True: (
                _advantages(r, scale, std=r.std(1, keepdim=True)) + (1e-4 if scale else 0.0)
            )
        ],
        "The mean alone is divided": [
            lambda r, scale=True: r - r.mean(1, keepdim=True) / (r.std(1, keepdim=True) + 1e-4),
            lambda r, scale=True: (
                r - r.mean(1, keepdim=True) / (r.std(1, keepdim=True) + 1e-4)
                if scale
                else r - r.mean(1, keepdim=True)
            ),
        ],
        "Without `scale` nothing is subtracted": [
            lambda r, scale=True: _advantages(r, True) if scale else r
        ],
        "`scale` is used as a factor": [lambda r, scale=True: _advantages(r, True) * scale],
        "The sum of the group is subtracted": [
            lambda r, scale=True: _advantages(r, scale, mean=r.sum(1, keepdim=True))
        ],
        "The best reward of the group is subtracted": [
            lambda r, scale=True: _advantages(r, scale, mean=r.max(1, keepdim=True).values)
        ],
        "It is multiplied by the standard deviation": [
            lambda r, scale=True: _advantages(r, scale, std=1 / (r.std(1, keepdim=True) + 1e-4))
        ],
        "The division is by the mean distance from the mean": [
            lambda r, scale=True: _advantages(
                r, scale, std=_advantages(r, False).abs().mean(1, keepdim=True) + 1e-4
            )
        ],
        "The division is by the length (norm) of the group": [
            lambda r, scale=True: _advantages(
                r, scale, std=_advantages(r, False).norm(dim=1, keepdim=True) + 1e-4
            )
        ],
        "Negative advantages are cut to 0": [
            lambda r, scale=True: _advantages(r, scale).clamp(min=0)
        ],
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
        "One right answer among the n is enough here": [
            lambda n, c, k: int(c > 0),
            lambda n, c, k: 1 - comb(n - c, k) // comb(n, k),
        ],
        "The total does not shrink": [lambda n, c, k: 1 - prod((n - c - i) / n for i in range(k))],
        "The wrong answers do not shrink in number": [
            lambda n, c, k: 1 - prod((n - c) / (n - i) for i in range(k))
        ],
        "This is the chance that all drawn answers are right, each put back": [
            lambda n, c, k: (c / n) ** k
        ],
        "1 minus is missing, and answers are put back": [lambda n, c, k: (1 - c / n) ** k],
        "The case with k right answers is missing": [lambda n, c, k: _ways(n, c, k, range(1, k))],
        "This asks for two right answers or more": [
            lambda n, c, k: _ways(n, c, k, range(2, k + 1))
        ],
        "This is a vote of the drawn answers": [
            lambda n, c, k: _ways(n, c, k, range(k // 2 + 1, k + 1))
        ],
        "With fewer than k wrong answers this gives 0": [
            lambda n, c, k: 0.0 if n - c < k else 1 - comb(n - c, k) / comb(n, k)
        ],
        "The product has one factor too many": [
            lambda n, c, k: 1 - prod(1 - k / i for i in range(n - c, n + 1) if i)
        ],
        "The product has one factor too few": [
            lambda n, c, k: 1 - prod(1 - k / i for i in range(n - c + 1, n))
        ],
        "This is a vote": [lambda n, c, k: int(c > n / 2)],
        "This is in percent": [lambda n, c, k: 100 * (1 - comb(n - c, k) / comb(n, k))],
        "This is the chance of exactly one right answer": [
            lambda n, c, k: comb(c, 1) * comb(n - c, k - 1) / comb(n, k)
        ],
    },
}
