"""Wrong solutions that learners write, each under the name that `check` has to give it."""

import re
from collections import Counter

import torch

_PATTERN = r"answer:\s*(-?\d+)\b"


def _numbers(text, pattern=_PATTERN, flags=re.IGNORECASE):
    return re.findall(pattern, text, flags=flags)


def _contains(text, gold):
    return float(str(gold) in text)


def _first_number(text, gold):
    numbers = re.findall(r"-?\d+", text)
    return float(bool(numbers) and int(numbers[0]) == gold)


def _last_number(text, gold):
    numbers = re.findall(r"-?\d+", text)
    return float(bool(numbers) and int(numbers[-1]) == gold)


def _any_answer(text, gold):
    return float(str(gold) in _numbers(text))


def _first_answer(text, gold):
    numbers = _numbers(text)
    return float(bool(numbers) and int(numbers[0]) == gold)


def _last_answer(text, gold):
    numbers = _numbers(text)
    return float(bool(numbers) and int(numbers[-1]) == gold)


def _case_sensitive(text, gold):
    numbers = _numbers(text, r"Answer:\s*(-?\d+)\b", flags=0)
    return float(len(numbers) == 1 and int(numbers[0]) == gold)


def _no_minus(text, gold):
    numbers = _numbers(text, r"answer:\s*(\d+)\b")
    return float(len(numbers) == 1 and int(numbers[0]) == gold)


def _minus_lost(text, gold):
    numbers = _numbers(text, r"answer:\s*-?(\d+)\b")
    return float(len(numbers) == 1 and int(numbers[0]) == gold)


def _prefix(text, gold):
    return float(f"answer: {gold}" in text.lower())


def _one_digit(text, gold):
    numbers = _numbers(text, r"answer:\s*(-?\d)")
    return float(len(numbers) == 1 and int(numbers[0]) == gold)


def _one_space(text, gold):
    numbers = _numbers(text, r"answer: (-?\d+)\b")
    return float(len(numbers) == 1 and int(numbers[0]) == gold)


def _as_text(text, gold):
    numbers = _numbers(text)
    return float(len(numbers) == 1 and numbers[0] == gold)


def _stops_on_none(text, gold):
    return float(int(_numbers(text)[0]) == gold)


def _match_none(text, gold):
    return float(int(re.search(_PATTERN, text).group(1)) == gold)


def _at_the_start(text, gold):
    answer_line = re.match(_PATTERN, text, flags=re.IGNORECASE)
    return float(answer_line is not None and int(answer_line[1]) == gold)


def _printed(text, gold):
    print(len(_numbers(text)) == 1)


def _digits_split(text, gold):
    return float(text.split()[-1] == str(gold))


def _grams(text, n, *, lower=True, end=1, of=tuple):
    words = (text.lower() if lower else text).split()
    return {of(words[i : i + n]) for i in range(len(words) - n + end)}


def _ratio(a, b):
    return len(a & b) / len(a | b)


def _characters(a, b, n=3):
    x, y = a.lower(), b.lower()
    return _ratio(
        {x[i : i + n] for i in range(len(x) - n + 1)}, {y[i : i + n] for i in range(len(y) - n + 1)}
    )


def _as_lists(a, b, n=3):
    x = [tuple(a.lower().split()[i : i + n]) for i in range(len(a.split()) - n + 1)]
    y = [tuple(b.lower().split()[i : i + n]) for i in range(len(b.split()) - n + 1)]
    return sum(g in y for g in x) / (len(x) + len(y))


def _multisets(a, b, n=3):
    x = Counter(tuple(a.lower().split()[i : i + n]) for i in range(len(a.split()) - n + 1))
    y = Counter(tuple(b.lower().split()[i : i + n]) for i in range(len(b.split()) - n + 1))
    return sum((x & y).values()) / sum((x | y).values())


def _chunks(a, b, n=3):
    def grams(text):
        words = text.lower().split()
        return {tuple(words[i : i + n]) for i in range(0, len(words), n)}

    return _ratio(grams(a), grams(b))


def _set_of_lists(a, b, n=3):
    words = a.lower().split()
    return _ratio({words[i : i + n] for i in range(len(words))}, {1})


def _each(labels, m):
    place = sum((labels == k) * (labels == k).cumsum(0) for k in labels.unique())
    return (place <= m).float()


def _counts(labels):
    return labels.unique(return_counts=True)[1]


def _bincount_minimum(labels):
    return _each(labels, labels.bincount().min())


def _last_of_each(labels):
    return _each(labels.flip(0), _counts(labels).min()).flip(0)


def _first_rows(labels):
    m = _counts(labels).min()
    keep = torch.zeros(len(labels))
    keep[: m * len(labels.unique())] = 1
    return keep


def _as_bool(labels):
    return _each(labels, _counts(labels).min()).bool()


def _indices(labels):
    return _each(labels, _counts(labels).min()).nonzero()[:, 0].float()


def _only_the_rarest(labels):
    names, counts = labels.unique(return_counts=True)
    return (labels == names[counts.argmin()]).float()


def _off_by_one(labels):
    place = sum((labels == k) * (labels == k).cumsum(0) for k in labels.unique())
    return (place < _counts(labels).min()).float()


def _random_rows(labels):
    m = _counts(labels).min()
    keep = torch.zeros(len(labels))
    for k in labels.unique():
        rows = (labels == k).nonzero()[:, 0]
        keep[rows[torch.randperm(len(rows))[:m]]] = 1
    return keep


def _kept_labels(labels):
    return labels[_each(labels, _counts(labels).min()).bool()].float()


def _weights(labels):
    counts = _counts(labels)
    return counts.min() / labels.bincount()[labels].float()


def _vote(answers, least=0.5, *, tie=True, share=True, strict=False):
    (first, most), *others = Counter(answers).most_common()
    tied = tie and bool(others) and others[0][1] == most
    limit = least * len(answers)
    won = (most > limit if strict else most >= limit) if share else True
    return torch.tensor([float(won and not tied and answer == first) for answer in answers])


def _vote_fixed(answers, least=0.5):
    return _vote(answers, 0.5)


def _vote_inverted(answers, least=0.5):
    return 1 - _vote(answers, least)


def _vote_winner(answers, least=0.5):
    return Counter(answers).most_common(1)[0][0]


def _vote_count(answers, least=0.5):
    return torch.tensor([float(answers.count(a)) for a in answers])


def _vote_share(answers, least=0.5):
    return torch.tensor([answers.count(a) / len(answers) for a in answers])


def _vote_each_above(answers, least=0.5):
    return torch.tensor([float(answers.count(a) >= least * len(answers)) for a in answers])


def _vote_absolute(answers, least=0.5):
    (first, most), *others = Counter(answers).most_common()
    won = most >= least and not (others and others[0][1] == most)
    return torch.tensor([float(won and a == first) for a in answers])


def _vote_one_only(answers, least=0.5):
    keep = _vote(answers, least)
    return keep * (keep.cumsum(0) == 1)


def _vote_stops(answers, least=0.5):
    (first, most), (_, second), *_ = Counter(answers).most_common()
    return torch.tensor([float(a == first and most > second) for a in answers])


def _vote_list(answers, least=0.5):
    return [int(x) for x in _vote(answers, least)]


def _runs_without_spaces(a, b, n=3):
    x, y = (text.lower().split() for text in (a, b))
    first, second = ({"".join(w[i : i + n]) for i in range(len(w) - n + 1)} for w in (x, y))
    return len(first & second) / len(first | second)


def _split_at_each_space(a, b, n=3):
    x, y = (text.lower().split(" ") for text in (a, b))
    first, second = ({tuple(w[i : i + n]) for i in range(len(w) - n + 1)} for w in (x, y))
    return len(first & second) / len(first | second)


def _same_answers(text, gold):
    numbers = [int(n) for n in re.findall(r"answer:\s*(-?\d+)\b", text, flags=re.I)]
    return float(bool(numbers) and all(number == gold for number in numbers))


def _zero_by_default(text, gold):
    numbers = re.findall(r"answer:\s*(-?\d+)\b", text, flags=re.I)
    return float((int(numbers[0]) if len(numbers) == 1 else 0) == gold)


def _zero_is_false(text, gold):
    numbers = re.findall(r"answer:\s*(-?\d+)\b", text, flags=re.I)
    number = int(numbers[0]) if len(numbers) == 1 else 0
    return 1.0 if number and number == gold else 0.0


def _two_highest_halves(answers, least=0.5):
    counts = Counter(answers)
    most = max(counts.values())
    tie = list(counts.values()).count(most) == 2 and 2 * most == len(answers)
    first = next(a for a in counts if counts[a] == most)
    won = most >= least * len(answers) and not tie
    return torch.tensor([float(won and a == first) for a in answers])


WRONG = {
    "answer_verdict": {
        "The same answer given twice passes": [_same_answers],
        "The answer 0 is taken for no answer": [_zero_is_false],
        "The gold number may stand anywhere in the text": [_contains],
        "The first number counts, whether or not 'Answer:' stands before it": [_first_number],
        "The last number counts, whether or not 'Answer:' stands before it": [_last_number],
        "A list is shorter than your code expects": [_digits_split, _stops_on_none],
        "One right 'Answer:' among several is enough": [_any_answer],
        "Only the first 'Answer:' is read": [_first_answer],
        "Only the last 'Answer:' is read": [_last_answer],
        "Capitals count": [_case_sensitive],
        "A minus sign is not read": [_no_minus],
        "The minus sign is lost": [_minus_lost],
        "121 begins with 12": [_prefix],
        "Only the first digit is read": [_one_digit],
        "Exactly one space is expected after 'Answer:'": [_one_space],
        "The number is compared as text": [_as_text],
        "Something is None": [_match_none],
        "The answer is looked for at the start of the text": [_at_the_start],
        "The result is printed, not returned": [_printed],
    },
    "jaccard": {
        "The words of a run are joined without a space": [_runs_without_spaces],
        "Broken promise, more spaces and new lines make no difference": [_split_at_each_space],
        "Single words are compared": [lambda a, b, n=3: _ratio(_grams(a, 1), _grams(b, 1))],
        "Capitals count": [
            lambda a, b, n=3: _ratio(_grams(a, n, lower=False), _grams(b, n, lower=False))
        ],
        "The last run is missing": [
            lambda a, b, n=3: _ratio(_grams(a, n, end=0), _grams(b, n, end=0))
        ],
        "Short runs at the end are counted": [
            lambda a, b, n=3: _ratio(_grams(a, n, end=n), _grams(b, n, end=n))
        ],
        "These are runs of letters": [_characters],
        "The division is by both sizes added up": [
            lambda a, b, n=3: (
                len(_grams(a, n) & _grams(b, n)) / (len(_grams(a, n)) + len(_grams(b, n)))
            ),
            _as_lists,
        ],
        "This is Dice's measure": [
            lambda a, b, n=3: (
                2 * len(_grams(a, n) & _grams(b, n)) / (len(_grams(a, n)) + len(_grams(b, n)))
            )
        ],
        "The division is by the smaller set": [
            lambda a, b, n=3: (
                len(_grams(a, n) & _grams(b, n)) / min(len(_grams(a, n)), len(_grams(b, n)))
            )
        ],
        "The division is by the first text's runs": [
            lambda a, b, n=3: len(_grams(a, n) & _grams(b, n)) / len(_grams(a, n))
        ],
        "`n` has no effect": [lambda a, b, n=3: _ratio(_grams(a, 3), _grams(b, 3))],
        "The order of the words is lost": [
            lambda a, b, n=3: _ratio(_grams(a, n, of=frozenset), _grams(b, n, of=frozenset))
        ],
        "Repeated runs are counted": [_multisets],
        "The runs do not overlap": [_chunks],
        "This is 1 minus the result": [lambda a, b, n=3: 1 - _ratio(_grams(a, n), _grams(b, n))],
        "A set holds no lists": [_set_of_lists],
        "The fraction is turned round": [
            lambda a, b, n=3: len(_grams(a, n) | _grams(b, n)) / len(_grams(a, n) & _grams(b, n))
        ],
        "The result is rounded": [
            lambda a, b, n=3: len(_grams(a, n) & _grams(b, n)) // len(_grams(a, n) | _grams(b, n))
        ],
        "The default of `n` is wrong": [lambda a, b, n=2: _ratio(_grams(a, n), _grams(b, n))],
    },
    "balance": {
        "The most frequent label decides": [
            lambda y: _each(y, _counts(y).max()),
            lambda y: torch.ones(len(y)),
        ],
        "Labels that never occur are counted": [_bincount_minimum],
        "The last rows of each label stay": [_last_of_each],
        "The first rows stay, whatever their label": [_first_rows],
        "The result is not a float tensor": [_as_bool],
        "The rows' numbers are returned": [_indices],
        "Only the rarest label stays": [_only_the_rarest],
        "One row too few stays of each label": [_off_by_one],
        "The result is random": [_random_rows],
        "The labels that stay are returned": [_kept_labels],
        "These are weights": [_weights],
        "Only one row of each label stays": [lambda y: _each(y, 1)],
        "Every label keeps the mean number of rows": [
            lambda y: _each(y, _counts(y).float().mean())
        ],
        "The rows that go are marked": [lambda y: 1 - _each(y, _counts(y).min())],
    },
    "vote": {
        "Only a tie of two halves is seen": [_two_highest_halves],
        "In a tie, the first answer wins here": [
            lambda answers, least=0.5: _vote(answers, least, tie=False)
        ],
        "The share is not checked": [
            lambda answers, least=0.5: _vote(answers, least, share=False),
            _vote_absolute,
        ],
        "Exactly the share is enough": [
            lambda answers, least=0.5: _vote(answers, least, strict=True)
        ],
        "Neither share nor tie is checked": [
            lambda answers, least=0.5: _vote(answers, least, tie=False, share=False)
        ],
        "The share is always one half": [_vote_fixed],
        "The parameter `least` is missing": [lambda answers: _vote(answers, 0.5)],
        "This is 1 minus the result": [_vote_inverted],
        "The winner is returned, not a 1 or 0 for each sample": [_vote_winner],
        "These are numbers of votes": [_vote_count],
        "These are shares of the votes": [_vote_share],
        "Every answer with the share stays": [_vote_each_above],
        "Only the first sample with the winning answer stays": [_vote_one_only],
        "A list is shorter than your code expects": [_vote_stops],
        "A list is returned": [_vote_list],
    },
}
