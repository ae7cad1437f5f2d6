"""Right solutions in many styles: `check` has to accept each."""

import re
from collections import Counter, defaultdict

import torch


def _by_split(text, gold):
    parts = re.split("answer:", text, flags=re.IGNORECASE)
    if len(parts) != 2:
        return 0
    number = re.match(r"\s*(-?\d+)\b", parts[1])
    return int(number is not None and int(number[1]) == gold)


def _by_lower(text, gold):
    matches = re.findall(r"answer:\s*(-?[0-9]+)(?!\d)", text.lower())
    return [int(x) for x in matches] == [gold]


def _by_zip(a, b, n=3):
    def grams(text):
        words = text.lower().split()
        return set(zip(*(words[i:] for i in range(n)), strict=False))

    shared = grams(a).intersection(grams(b))
    return len(shared) / len(grams(a).union(grams(b)))


def _by_joined_words(a, b, n=3):
    def grams(text):
        words = text.lower().split()
        return {" ".join(words[i : i + n]) for i in range(len(words) - n + 1)}

    x, y = grams(a), grams(b)
    return len(x & y) / (len(x) + len(y) - len(x & y))


def _balance_by_dict(labels):
    seen, rarest = defaultdict(int), min(Counter(labels.tolist()).values())
    keep = torch.zeros(len(labels))
    for i, label in enumerate(labels.tolist()):
        seen[label] += 1
        keep[i] = seen[label] <= rarest
    return keep


def _balance_by_matrix(labels):
    same = labels[:, None] == labels[None, :]
    place = same.tril().sum(1)
    return (place <= same.sum(1).min()).double()


def _vote_by_loop(answers, least=0.5):
    counts = {a: answers.count(a) for a in answers}
    best = max(counts.values())
    winners = [a for a, c in counts.items() if c == best]
    ok = len(winners) == 1 and best / len(answers) >= least
    return torch.tensor([1.0 if ok and a == winners[0] else 0.0 for a in answers])


def _vote_sorted(answers, least=0.5):
    ranked = sorted(set(answers), key=answers.count, reverse=True)
    best = ranked[0]
    alone = all(answers.count(a) < answers.count(best) for a in ranked[1:])
    share = answers.count(best) >= least * len(answers)
    return torch.tensor([a == best and alone and share for a in answers]).float()


RIGHT = {
    "answer_verdict": [_by_split, _by_lower],
    "jaccard": [_by_zip, _by_joined_words, lambda a, b, n=3: torch.tensor(_by_zip(a, b, n))],
    "balance": [_balance_by_dict, _balance_by_matrix, lambda y: _balance_by_dict(y).half()],
    "vote": [_vote_by_loop, _vote_sorted],
}
