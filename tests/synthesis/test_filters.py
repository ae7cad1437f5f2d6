"""Each filter takes out what it says and nothing else, and the report adds up."""

import random
import re
import tracemalloc

import pytest
from datasketch import MinHash, MinHashLSH

from distill_lab.synthesis import filters, verifiers
from distill_lab.synthesis.duplicates import (
    grams,
    jaccard,
    near_duplicates,
    repeated_share,
    words_of,
)
from distill_lab.synthesis.pipeline import FilterPipeline
from distill_lab.synthesis.verifiers import Verdict

LONG = (
    "the quick brown fox jumps over the lazy dog while the cat sleeps on the warm red mat at home"
)


def row(reply, number=0, prompt="q", /, **about):
    return {
        "id": f"{number:016x}",
        "prompt": [{"role": "user", "content": prompt}],
        "answer": reply,
        "about": about,
    }


def answers(kept):
    return [r["answer"] for r in kept]


@pytest.mark.parametrize(
    ("verifier", "answer", "about", "ok"),
    [
        (verifiers.exact(), "Reasoning.\nAnswer: Paris", {"answer": "paris"}, True),
        (verifiers.exact(), "It is London.\nParis", {"answer": "London"}, False),
        (verifiers.exact(), "Berlin", {"answer": ["Bonn", "Berlin"]}, True),
        (verifiers.exact(), r"so \boxed{x + 1}.", {"answer": "x + 1"}, True),
        (verifiers.exact(), "Ｐａｒｉｓ", {"answer": "Paris"}, True),  # full-width letters
        (verifiers.exact("gold"), "42", {"gold": 42}, True),
        (verifiers.exact(), "", {"answer": "x"}, False),
        (verifiers.numeric(), "3 + 4 = 7\n#### 7", {"answer": 7}, True),
        (verifiers.numeric(), "The answer is 1,234.50 euros", {"answer": "1234.5"}, True),
        (verifiers.numeric(), "about −3", {"answer": -3}, True),
        (verifiers.numeric(), "3/4", {"answer": 0.75}, True),
        (verifiers.numeric(), "6e3", {"answer": 6000}, True),
        (verifiers.numeric(), "seven", {"answer": 7}, False),
        (verifiers.numeric(), "7 or 8", {"answer": 7}, False),
        (verifiers.numeric(), "1/0", {"answer": 0}, False),
        (verifiers.numeric(tolerance=0.01), "3.14", {"answer": 3.14159}, True),
        (verifiers.numeric(), "3.14", {"answer": 3.14159}, False),
        (verifiers.label(["yes", "no"]), "Answer: No.", {"label": "no"}, True),
        (verifiers.label(["yes", "no"]), "yes and no", {"label": "no"}, False),
        (verifiers.label(["yes", "no"]), "nobody knows", {"label": "no"}, False),
        (
            verifiers.label(["entailment", "not entailment"]),
            "not entailment",
            {"label": "not entailment"},
            True,
        ),
        (verifiers.label(["a", "b"], key=None), "b", {}, True),
    ],
    ids=lambda value: str(value)[:30] if isinstance(value, str) else "",
)
def test_verifiers(verifier, answer, about, ok):
    verdict = verifier(row(answer, **about))
    assert verdict.ok is ok
    assert bool(verdict.reason) is not ok  # a reason exactly where it is wrong


def test_a_verifier_of_your_own_and_its_verdicts():
    for mine in (lambda r: "x" in r["answer"], lambda r: Verdict("x" in r["answer"], "no x")):
        kept, step = filters.verified(mine)([row("ax"), row("b")])
        assert answers(kept) == ["ax"] and step.n_removed == 1
    assert filters.verified(lambda r: (False, "why"))([row("b")])[1].examples[0][2] == "why"
    with pytest.raises(TypeError, match="returns Verdict"):
        filters.verified(lambda r: None)([row("b")])
    with pytest.raises(ValueError, match="keeps no 'answer' beside its prompt"):
        filters.verified(verifiers.exact())([row("b")])


def test_schema():
    wanted = {"type": "object", "required": ["a"]}
    kept, step = filters.schema(wanted)([row('{"a": 1}'), row("{}"), row("a")])
    assert answers(kept) == ['{"a": 1}'] and step.n_removed == 2


def test_a_vote_needs_a_majority_and_two_voices():
    rows = [
        row(f"so\n{a}", i, p)
        for i, (p, a) in enumerate(
            [
                ("1", "7"),
                ("1", "7"),
                ("1", "8"),  # two of three
                ("2", "1"),
                ("2", "2"),  # a tie
                ("3", "5"),  # one voice
                ("4", "a"),
                ("4", "a"),
                ("4", "b"),
                ("4", "c"),
                ("4", "d"),
            ]
        )
    ]  # too few agree
    kept, step = filters.self_consistent()(rows)
    assert answers(kept) == ["so\n7", "so\n7"]
    assert step.n_removed == 9 and sum(step.reasons.values()) == 9
    kept, _ = filters.self_consistent(least=0.4)(rows)
    assert len(kept) == 4
    kept, _ = filters.self_consistent(votes=1)(rows)
    assert "so\n5" in answers(kept)


def test_votes_are_counted_as_answers_are_read():
    """One number however it is written; thoughts are no answer, and what is empty has no vote."""
    rows = [row(text, i) for i, text in enumerate(["1,000", "Answer: 1000.0", "1e3 ", "7", "8"])]
    kept, step = filters.self_consistent()(rows)
    assert answers(kept) == ["1,000", "Answer: 1000.0", "1e3 "] and step.n_removed == 2
    rows = [
        row(text, i) for i, text in enumerate(["", "<think>7</think>", "7", "<think>8</think>7"])
    ]
    kept, step = filters.self_consistent()(rows)
    assert answers(kept) == ["7", "<think>8</think>7"]
    assert step.reasons == {"no answer": 2}
    units = [row(text, i) for i, text in enumerate(["5 m", "5 cm", "5 m", "5 cm"])]
    assert filters.self_consistent()(units)[1].n_removed == 4


def test_filters_look_behind_the_thoughts_or_at_all_that_is_learned():
    turns = " ".join(["so it goes on"] * 12)
    plain, inside = row("7") | {"thinking": turns}, row(f"<think>{turns}</think>7")
    for one in (plain, inside):
        assert filters.length(1, 3)([one])[0] == [one]
        assert filters.not_repetitive()([one])[0] == []
        assert filters.not_leaked(["it goes on so"], n=4)([one])[0] == []
        assert filters.schema({"type": "integer"})([one])[0] == [one]
    assert filters.distinct(0.8)([plain, inside])[1].n_removed == 1
    assert filters.asked_and_answered({"prompt": "q", "answer": "a"}) == "q a"
    call = {"prompt": [{"role": "assistant", "content": None}], "answer": "a"}
    assert filters.asked_and_answered(call).strip() == "a"


def test_lengths_and_circles():
    rows = [row("one two three"), row("one"), row("la la la la la la la la la la"), row(LONG)]
    kept, _ = filters.length(2, 12)(rows)
    assert answers(kept) == [rows[0]["answer"], rows[2]["answer"]]
    kept, step = filters.not_repetitive()(rows)
    assert rows[2] not in kept and len(kept) == 3 and "repetitions" in step.examples[0][2]
    assert repeated_share(LONG, 4) == 0 == repeated_share("too short", 4)


def test_near_duplicates_by_what_they_share():
    """Against every pair compared exactly: nothing is taken that differs, copies never stay."""
    words = LONG.split()
    texts = [
        LONG,
        LONG.upper() + "!",
        " ".join(words[:-1]),
        " ".join(reversed(words)),
        "new",
        "new",
    ]
    texts += [" ".join([*words[i:], f"x{i}"]) for i in range(1, 9)]
    rows = [row(text, i) for i, text in enumerate(texts)]
    kept, step = filters.distinct(0.8)(rows)
    assert {0, 3, 4} <= {int(r["id"], 16) for r in kept}
    assert not {1, 2, 5} & {int(r["id"], 16) for r in kept}

    def shingles(text):
        return set(grams(words_of(text), min(3, len(words_of(text)))))

    for gone in (r for r in rows if r not in kept):
        mine = shingles(gone["answer"])
        shares = [
            len(mine & shingles(k["answer"])) / len(mine | shingles(k["answer"]))
            for k in kept
            if int(k["id"], 16) < int(gone["id"], 16)
        ]
        assert max(shares) >= 0.8
    assert rows[0]["id"] in step.examples[0][2]


def families(dice, count, size):
    """Texts in families: copies, small changes, and changes of changes, in a mixed order."""
    words, texts = [f"w{i}" for i in range(300)], []
    for _ in range(count):
        family = [dice.choices(words, k=size)]
        for _ in range(dice.randrange(6)):
            changed = list(family[-1])
            for place in dice.sample(range(size), dice.randrange(3)):
                changed[place] = dice.choice(words)
            family.append(changed)
        texts += [" ".join(each) for each in family]
    dice.shuffle(texts)
    return [*texts, "", "?", "w1", texts[0].upper()]


@pytest.mark.parametrize(("threshold", "n"), [(0.6, 2), (0.3, 2), (1.0, 1), (0.1, 5)])
def test_near_duplicates_are_those_of_an_index_that_holds_every_n_gram(threshold, n):
    """Row by row against the library's own index; no row is said to be like one that is gone."""
    texts = families(random.Random(n), 40, 12)
    grams_of = [frozenset(grams(words_of(t), max(1, min(n, len(words_of(t)))))) for t in texts]
    index = MinHashLSH(threshold=max(threshold - 0.1, 0.05), num_perm=128, weights=(0.1, 0.9))
    wanted, copies = [], {}
    for i, mine in enumerate(grams_of):
        if mine in copies:
            wanted.append((copies[mine], 1.0))
            continue
        sketch = MinHash(num_perm=128, seed=1)
        sketch.update_batch([" ".join(gram).encode() for gram in mine])
        likes = [(k, jaccard(mine, grams_of[k])) for k in sorted(map(int, index.query(sketch)))]
        wanted.append(next(((k, share) for k, share in likes if share >= threshold), None))
        if wanted[-1] is None:
            copies[mine] = i
            index.insert(str(i), sketch)
    twins = near_duplicates(texts, threshold, n)
    assert twins == wanted and 10 < sum(twin is not None for twin in twins) < len(texts) - 10
    assert all(twins[twin[0]] is None for twin in twins if twin is not None)


def test_near_duplicates_are_found_without_holding_the_n_grams():
    """100 texts of 200 words: their n-grams would take 4 MB and more."""
    dice = random.Random(0)
    rows = [row(" ".join(f"w{dice.randrange(10**6)}" for _ in range(200)), i) for i in range(100)]
    rows[-1] = rows[7] | {"id": "last"}
    filters.distinct()(rows[:2])  # what is imported once is not counted
    tracemalloc.start()
    kept, _ = filters.distinct()(rows)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept == rows[:-1] and peak < 1e6


@pytest.mark.slow
def test_hardly_a_near_duplicate_is_missed():
    """Texts of 80 words with one to three of them changed, against the exact comparison."""
    chance, words = random.Random(0), [f"w{i}" for i in range(2000)]
    above = removed = 0
    for _ in range(200):
        first = chance.choices(words, k=80)
        second = list(first)
        for i in chance.sample(range(80), chance.choice([1, 2, 3])):
            second[i] = chance.choice(words)
        a, b = set(grams(first, 3)), set(grams(second, 3))
        twin = len(a & b) / len(a | b) >= 0.8
        rows = [row(" ".join(first)), row(" ".join(second), 1)]
        _, step = filters.distinct(0.8, of=filters.answer_of)(rows)
        assert twin or not step.n_removed
        above, removed = above + twin, removed + step.n_removed
    assert above > 100 and removed >= 0.98 * above


def test_leakage_from_test_sets():
    tests = [LONG, "short one here"]
    inside = f"As we know, {' '.join(LONG.split()[2:16]).upper()}, or so they say."
    rows = [
        row(inside),
        row("xx short, one: here yy"),
        row("short one"),
        row("nothing of it"),
        row("fine", 0, LONG),
    ]
    kept, step = filters.not_leaked(tests, n=13)(rows)
    assert answers(kept) == ["short one", "nothing of it"]  # the prompt counts as well
    assert "test example 0" in step.examples[0][2]
    kept, _ = filters.not_leaked(tests, n=13, of=filters.answer_of)(rows)
    assert "fine" in answers(kept)


def test_a_language_as_a_detector_tells_it():
    detect = {"Guten Tag": "de", "Good day": "en", "Bonjour": "fr"}.__getitem__
    kept, step = filters.language("de", detect)([row(text, 0) for text in ("Guten Tag", "Bonjour")])
    assert answers(kept) == ["Guten Tag"]
    assert step.examples[0][2] == "its language is fr, not de"
    kept, _ = filters.language("en", detect, of=lambda r: r["prompt"][0]["content"])(
        [row("Bonjour", 0, "Good day")]
    )
    assert len(kept) == 1


def test_balance_keeps_the_same_whatever_the_order():
    rows = [row(f"a{i}", i, label="yes" if i % 4 else "no") for i in range(40)]
    kept, step = filters.balanced()(rows)
    assert len(kept) == 20 and step.n_removed == 20
    again, _ = filters.balanced()(rows[::-1])
    assert sorted(answers(again)) == sorted(answers(kept))
    other, _ = filters.balanced(seed=1)(rows)
    assert sorted(answers(other)) != sorted(answers(kept))
    kept, _ = filters.balanced(lambda r: r["answer"][1], at_most=3)(rows)
    assert all(sum(a[1] == digit for a in answers(kept)) <= 3 for digit in "0123456789")


def test_balance_keeps_the_same_whatever_the_time_an_answer_took():
    rows = [row(f"{label} {i}", i, label=label) for i in range(8) for label in "ab"] + [
        row("c", 9, label="c")
    ]
    first, again = (
        filters.balanced("label")({**r, "seconds": 0.01 * i * pace, "tries": pace} for r in rows)[0]
        for pace, i in ((1, 2), (3, 7))
    )
    assert answers(first) == answers(again) == answers(filters.balanced("label")(rows)[0])


def test_a_pipeline_and_its_table():
    rows = [row("yes it is", i, label="yes") for i in range(3)]
    rows += [
        row("", 3, label="yes"),
        row("no", 4, label="no"),
        row("maybe & <never>", 5, label="no"),
    ]
    pipeline = FilterPipeline(
        [filters.length(1), filters.verified(verifiers.label(["yes", "no"])), filters.distinct()]
    )
    result = pipeline(rows)
    assert answers(result.rows) == ["yes it is", "no"]
    assert [(s.n_in, s.n_removed, s.n_kept) for s in result.steps] == [
        (6, 1, 5),
        (5, 1, 4),
        (4, 2, 2),
    ]
    text, html = str(result), result._repr_html_()
    assert "2 of 6 rows kept" in text and "near-duplicates" in text and "for example" in text
    assert "'maybe & <never>': names 0 of the labels" in text
    assert "&lt;" in str(html) and "<never>" not in html and "<caption" in html
    assert [step["n_removed"] for step in result.facts()] == [1, 1, 2]
    assert pipeline(iter(rows)).rows == result.rows and pipeline([]).rows == []


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: filters.schema({"type": "nonsense"}), ValueError, "not a JSON schema"),
        (lambda: filters.verified("exact"), TypeError, "a function from a row to a verdict"),
        (lambda: filters.self_consistent(least=0), ValueError, "least must be a share"),
        (lambda: filters.self_consistent(votes=0), ValueError, "votes must be 1"),
        (lambda: filters.length(5, 2), ValueError, "no text has 5 words or more and 2 or less"),
        (lambda: filters.not_repetitive(2), ValueError, "share must lie between"),
        (lambda: filters.distinct(0), ValueError, "threshold must lie above 0"),
        (lambda: filters.not_leaked([]), ValueError, "nothing to leak from"),
        (lambda: filters.not_leaked(["a"], n=0), ValueError, "n must be a positive integer"),
        (lambda: filters.balanced(at_most=0), ValueError, "at_most must be a positive integer"),
        (lambda: filters.language("en", "en"), TypeError, "detect must be a function"),
        (lambda: filters.length()([{"text": "x"}]), ValueError, 'a dict with an "answer"'),
        (lambda: FilterPipeline([]), ValueError, "at least one filter"),
        (lambda: FilterPipeline([3]), TypeError, "is no filter"),
        (lambda: verifiers.label(["yes"]), ValueError, "at least two labels"),
        (lambda: verifiers.numeric(tolerance=-1), ValueError, "tolerance must be 0"),
    ],
)
def test_filters_that_cannot_work_say_so(make, error, words):
    with pytest.raises(error, match=words):
        make()


def test_the_table_names_reasons_in_words():
    """A reason is a phrase: no letter stands for a figure, and like ones are counted together."""
    words = "a long text of the exam that nobody may learn from, word by word, at all"
    rows = [row(f"{words} {tail}", i, label="a") for i, tail in enumerate(("", "x", "y", "z"))]
    for one in (
        filters.not_leaked([words]),
        filters.distinct(0.5),
        filters.balanced("label", at_most=1),
        filters.length(most=3),
    ):
        _, step = one(rows)
        assert len(step.reasons) == 1 and step.n_removed >= 3
        (kind,) = step.reasons
        assert not re.search(r"\d|\bn\b", kind), kind
        assert all(kind.split("…")[0] in why for _, _, why in step.examples)


def test_short_answers_to_many_questions_are_no_copies_of_each_other():
    """A set of labels: ten questions to each, one of them asked twice."""
    questions = [
        "where is my card",
        "when does the shop open",
        "how far is the moon",
        "who are you",
    ]
    rows = [
        {"id": str(i), "prompt": [{"role": "user", "content": text}], "answer": "greeting"}
        for i, text in enumerate([*questions, questions[0]])
    ]
    kept, _ = filters.distinct(0.8)(rows)
    assert [row["id"] for row in kept] == ["0", "1", "2", "3"]
    assert len(filters.distinct(0.8, of=filters.answer_of)(rows)[0]) == 1
