"""Wrong answers, near misses and right ones in other words, world by world."""

import random
from itertools import pairwise

import pytest

from distill_lab.course import worlds
from distill_lab.course.worlds import Task, arithmetic, nli, questions, shop, summaries, support
from distill_lab.course.worlds.checks import Exact, Facts, Label, Number
from distill_lab.course.worlds.words import DAYS


def tasks_of(name: str, n: int = 200, part: str = "test") -> list[Task]:
    return getattr(worlds.load(name), part)(n)


def no(check, text: str) -> str:
    verdict = check.verdict(text)
    assert not verdict.right, f"{text!r} was taken for right"
    return verdict.reason


class TestNumber:
    CHECK = Number(19, "shells")

    @pytest.mark.parametrize(
        "text",
        [
            "19",
            " 19. ",
            "19 shells",
            "Answer: 19",
            "answer 19",
            "The answer is 19.",
            "14+5=19; Answer: 19",
            "14 + 5 = 19; Answer: 19 shells.",
            "Answer: 19\n",
        ],
    )
    def test_right(self, text):
        assert self.CHECK.verdict(text)

    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            ("", "is empty"),
            ("18", "the answer is 19, not 18"),
            ("-19", "the answer is 19, not -19"),
            ("119", "the answer is 19, not 119"),
            ("19 stones", "expected one number alone"),
            ("19.5", "expected one number alone"),
            ("1 9", "expected one number alone"),
            ("19 or 18", "expected one number alone"),
            ("14+5=19", "expected one number alone"),  # steps without an answer
            ("Answer: 14+5", "after 'Answer:'"),
            ("Answer: 18; Answer: 19", "more than one answer"),
            ("Answer: 19 and then some", "expected one number alone"),
            ("nineteen", "expected one number alone"),
            ("14+6=20; 20-1=18; Answer: 18", "the first wrong step is 20-1=18"),
            ("14+5=19; 19-0=19; Answer:", "expected one number alone"),
        ],
    )
    def test_wrong(self, text, reason):
        assert reason in no(self.CHECK, text)

    def test_a_right_answer_after_a_wrong_step_is_right_and_the_reason_says_so(self):
        """The filter of the literature looks at the answer alone; the reason lets one look on."""
        verdict = self.CHECK.verdict("14+6=21; 21-1=19; Answer: 19")
        assert verdict.right and "14+6=21 is wrong" in verdict.reason


class TestLabel:
    CHECK = Label("neutral", nli.LABELS)

    def test_right(self):
        assert all(self.CHECK.verdict(t) for t in ("neutral", "Neutral", " neutral. ", "NEUTRAL"))

    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            ("entailment", "the label is neutral, not entailment"),
            ("neutral entailment", "one label"),
            ("It is neutral", "one label"),
            ("neutra", "one label"),
            ("not neutral", "one label"),
            ("", "is empty"),
        ],
    )
    def test_wrong(self, text, reason):
        assert reason in no(self.CHECK, text)


class TestExact:
    CHECK = Exact(("Oslo", "in Oslo", "Ann lives in Oslo."))

    def test_right(self):
        assert all(self.CHECK.verdict(t) for t in ("Oslo", "oslo.", "In Oslo", "Ann lives in Oslo"))

    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            ("Rome", "the answer is 'Oslo', not 'Rome'"),
            ("Oslo or Rome", "says more than the answer"),
            ("not Oslo", "says more than the answer"),
            ("Osl", "the answer is 'Oslo'"),
            ("Oslow", "the answer is 'Oslo', not"),
            ("", "is empty"),
        ],
    )
    def test_wrong(self, text, reason):
        assert reason in no(self.CHECK, text)


class TestFacts:
    CHECK = Facts(
        (
            ("the winner", ("bears beat (the )?lions", "lions lost to (the )?bears")),
            ("the score", ("3-1",)),
            ("the day", ("monday",)),
        ),
        (("calls it a draw", ("drew",)),),
        numbers=("3", "1"),
        names=("Tuesday",),
        max_words=12,
    )

    def test_right_in_other_words(self):
        assert self.CHECK.verdict("The Bears beat the Lions 3-1 on Monday.")
        assert self.CHECK.verdict("On Monday the Lions lost to the Bears, 3-1")

    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            ("The Lions beat the Bears 3-1 on Monday.", "does not say the winner"),
            ("The Bears beat the Lions on Monday.", "does not say the score"),
            ("The Bears beat the Lions 3-1.", "does not say the day"),
            ("The Bears beat the Lions 3-2 on Monday.", "mentions 2"),
            ("The Bears beat the Lions 13-1 on Monday.", "mentions 13"),
            ("The Bears beat the Lions 3-1 on Monday or Tuesday.", "mentions 'Tuesday'"),
            ("The Bears beat the Lions 3-1 on Monday, or they drew.", "calls it a draw: 'drew'"),
            ("The Bears beat the Lions 3-1 on Monday" + " and on" * 6, "is too long: 20 words"),
            ("", "is empty"),
        ],
    )
    def test_wrong(self, text, reason):
        assert reason in no(self.CHECK, text)


# --- a gold answer with one fact changed is wrong, in every task of every world ------------------


def test_arithmetic_refuses_every_neighbour_of_the_answer():
    for task in tasks_of("arithmetic"):
        for off in (-10, -1, 1, 10):
            assert not task.check.verdict(str(int(task.answer) + off))
            wrong = task.worked.rsplit(" ", 1)[0] + f" {int(task.answer) + off}"
            assert "the answer is" in no(task.check, wrong)


def test_arithmetic_says_which_step_went_wrong_first():
    for task in tasks_of("arithmetic", 50):
        steps = arithmetic.steps_of(task)
        slip = arithmetic.Step(steps[0].before, steps[0].sign, steps[0].by, steps[0].after + 1)
        text = arithmetic.write([slip, *steps[1:-1]]) if len(steps) > 1 else str(slip)
        reason = task.check.verdict(text).reason
        assert str(slip) in reason


def test_the_steps_are_told_in_the_story_and_lead_to_the_answer():
    for task in tasks_of("arithmetic"):
        steps = arithmetic.steps_of(task)
        assert task.worked == arithmetic.write(steps) and task.answer == str(steps[-1].after)
        assert all(a.after == b.before for a, b in pairwise(steps))
        for step in steps:
            assert step.sign == "*" or f" {step.by} " in f" {task.prompt.replace('.', ' ')}"
        assert f" {steps[0].before} " in task.prompt


def test_the_systematic_error_hits_exactly_the_affected_tasks_and_is_carried_on():
    tasks = tasks_of("arithmetic", 4000, "train")
    affected = [task for task in tasks if arithmetic.is_affected(task)]
    assert 40 < len(affected) < 800
    for task in tasks:
        slipped = arithmetic.with_slip(task)
        if not arithmetic.is_affected(task):
            assert (slipped.worked, slipped.answer) == (task.worked, task.answer)
        elif "*" not in task.key:  # doubling turns one too few into two too few
            assert int(slipped.answer) < int(task.answer)
            assert not task.check.verdict(slipped.worked)
        assert slipped.key == task.key and slipped.prompt == task.prompt


def test_inference_refuses_the_other_two_labels():
    for task in tasks_of("nli"):
        for label in nli.LABELS:
            assert task.check.verdict(label).right == (label == task.answer)


@pytest.mark.parametrize(
    ("premise", "hypothesis", "label"),
    [
        ({"who": "man", "does": "eating soup"}, {"who": "adult", "does": "eating"}, "entailment"),
        (
            {"who": "man", "does": "eating soup", "where": "in a park"},
            {"who": "man", "does": "eating soup"},
            "entailment",
        ),
        (
            {"who": "man", "does": "eating soup"},
            {"who": "man", "does": "eating a pear"},
            "contradiction",
        ),
        ({"who": "man", "does": "eating"}, {"who": "man", "does": "eating a pear"}, "neutral"),
        ({"who": "man", "does": "eating"}, {"who": "boy", "does": "eating"}, "contradiction"),
        ({"who": "man", "does": "eating"}, {"who": "child", "does": "eating"}, "contradiction"),
        ({"who": "adult", "does": "eating"}, {"who": "man", "does": "eating"}, "neutral"),
        (
            {"who": "man", "does": "eating", "like": "tall"},
            {"who": "man", "does": "eating", "like": "short"},
            "contradiction",
        ),
        (
            {"who": "man", "does": "eating", "like": "tall"},
            {"who": "man", "does": "eating", "like": "sad"},
            "neutral",
        ),
        (
            {"who": "man", "does": "eating", "where": "in a park"},
            {"who": "man", "does": "eating", "where": "outdoors"},
            "entailment",
        ),
        (
            {"who": "man", "does": "eating", "where": "outdoors"},
            {"who": "man", "does": "eating", "where": "in a hall"},
            "contradiction",
        ),
        (
            {"who": "man", "does": "eating", "when": "at noon"},
            {"who": "man", "does": "eating", "when": "at night"},
            "contradiction",
        ),
        (
            {"who": "man", "does": "eating"},
            {"who": "man", "does": "eating", "when": "at night"},
            "neutral",
        ),
        # one that clashes decides, whatever is open
        (
            {"who": "man", "does": "eating"},
            {"who": "boy", "does": "eating", "when": "at night"},
            "contradiction",
        ),
    ],
)
def test_the_relation_of_two_scenes_by_hand(premise, hypothesis, label):
    assert nli.relation(premise, hypothesis) == label


def test_a_denial_turns_entailment_and_contradiction_round():
    denied = [t for t in tasks_of("nli", 2000) if any(w in t.prompt for w in ("not true", "false"))]
    for task in denied[:50]:
        premise, hypothesis = (dict(eval(part)) for part in _scenes(task.key))
        plain = nli.relation(premise, hypothesis)
        turned = {"entailment": "contradiction", "contradiction": "entailment"}
        assert task.answer == turned.get(plain, plain)
    assert len(denied) > 100


def _scenes(key: str) -> tuple[str, str]:
    first, second = key.rsplit(" ", 1)[0].split("] [")
    return first + "]", "[" + second


def test_nothing_of_an_unseen_pair_is_in_a_training_premise():
    for part, held in (("train", False), ("test", False), ("ood", True)):
        rng = random.Random(part)
        pairs = []
        for _ in range(300):
            scene = nli._premise(rng, held)
            if scene["who"] in nli.WHO and scene["does"] in {**nli.DOES, **nli.ANIMAL_DOES}:
                pairs.append(nli._held_out(scene["who"], scene["does"]))
        assert pairs and set(pairs) == {held}


def test_questions_refuse_every_other_value_of_the_text():
    for task in tasks_of("questions"):
        others = {
            value
            for relation in questions.RELATIONS.values()
            for value in relation.values
            if value in task.prompt and value not in task.accepted
        }
        for value in others:
            assert not task.check.verdict(value), (task.prompt, value)


def test_the_answer_stands_in_the_text_or_is_that_it_does_not():
    kinds = {"silent": 0, "told": 0}
    for task in tasks_of("questions", 500):
        silent = task.answer == questions.UNKNOWN
        kinds["silent" if silent else "told"] += 1
        assert silent or task.answer in task.prompt
    assert min(kinds.values()) > 20


def test_a_silent_text_has_really_no_answer():
    """Asked again with the fact told, the question would have one."""
    for task in tasks_of("questions", 500):
        if task.answer == questions.UNKNOWN:
            name, relation, _ = task.key.removeprefix("none ").split(" ", 2)
            statements = [
                says.split("{v}")[0].format(name=name).strip(" .")
                for says in questions.RELATIONS[relation].says
            ]
            assert not any(
                start and start in task.prompt.split("?")[0]
                for start in statements
                if start not in (name, f"{name} is", f"{name} has")
            )


OPPOSITES = [
    ("cancelled and", "cannot be cancelled, though"),
    ("will arrive on", "arrived on"),
    ("will go to", "cannot be changed to"),
    ("send you a new", "have no other"),
    ("will send another", "have no other"),
    ("there is no", "we send you a new"),
]


def test_support_refuses_the_opposite_decision():
    hits = 0
    for task in tasks_of("support", 500):
        for one, other in OPPOSITES:
            if one in task.answer:
                hits += 1
                assert not task.check.verdict(task.answer.replace(one, other)), task.answer
    assert hits > 50


@pytest.mark.parametrize("name", ["support", "summaries"])
def test_another_figure_is_refused(name):
    hits = 0
    for task in tasks_of(name):
        figures = [w.strip(".,:") for w in task.answer.replace("-", " ").split()]
        for figure in filter(str.isdigit, figures):
            hits += 1
            assert not task.check.verdict(task.answer.replace(figure, str(int(figure) + 1))), (
                task.answer
            )
    assert hits > 50


@pytest.mark.parametrize("name", ["support", "summaries"])
def test_another_day_is_refused(name):
    hits = 0
    for task in tasks_of(name):
        for day in DAYS:
            if day in task.answer:
                hits += 1
                other = "Friday" if day != "Friday" else "Sunday"
                assert not task.check.verdict(task.answer.replace(day, other))
    assert hits > 30


def test_support_refuses_the_other_order_on_the_screen():
    hits = 0
    for task in tasks_of("support", 400):
        for item in support.ITEMS:
            shown = f" {item}: order" in task.prompt
            if shown and item not in task.answer and item not in task.key:
                hits += 1
                text = task.answer + f" Or is it the {item}?"
                assert f"mentions '{item}'" in task.check.verdict(text).reason
    assert hits > 50


def test_support_accepts_a_reply_in_words_of_its_own():
    order = shop.Order(1234, "lamp", 34, shop.SHIPPED, "Friday", True)
    good = shop._where(order, "Elm Road 7")
    check = shop.check(good, order, "Elm Road 7", ["chair"])
    assert check.verdict("Good news: your lamp is on its way and comes on Friday!")
    assert not check.verdict("Your lamp is being packed and comes on Friday.")
    assert not check.verdict("Your lamp was delivered on Friday.")
    good = shop._cancel(order, "Elm Road 7")
    check = shop.check(good, order, "Elm Road 7", ["chair"])
    assert check.verdict("Sorry, order 1234 can not be cancelled: it is on its way.")
    assert "decides otherwise (cancelled)" in no(check, "Order 1234 is cancelled.")


def test_summaries_refuse_the_report_itself_and_the_wrong_way_round():
    turned = {
        "approved": "rejected",
        "rejected": "approved",
        "rose": "fell",
        "fell": "rose",
        "beat": "lost to",
        "drew": "beat",
        "nobody was": "3 were",
    }
    hits = 0
    for task in tasks_of("summaries", 400):
        report = task.prompt.split(": ", 1)[-1]
        assert not task.check.verdict(report)
        for one, other in turned.items():
            if f" {one} " in task.answer:
                hits += 1
                assert not task.check.verdict(task.answer.replace(one, other)), task.answer
    assert hits > 300
    assert set(summaries.KINDS) == {task.key.split()[0] for task in tasks_of("summaries", 400)}


def test_a_careless_teacher_errs_in_its_share_of_the_steps_and_without_a_rule():
    tasks = tasks_of("arithmetic", 2000, "train")
    noisy = [arithmetic.with_noise(task, 0.2) for task in tasks]
    steps = [len(arithmetic.steps_of(task)) for task in tasks]
    right = sum(bool(t.check.verdict(n.worked)) for t, n in zip(tasks, noisy, strict=True))
    expected = sum(0.8**n for n in steps)
    assert abs(right - expected) < 4 * expected**0.5 + 0.05 * len(tasks)  # two errors may cancel
    assert [n.worked for n in noisy] == [arithmetic.with_noise(t, 0.2).worked for t in tasks]
    assert arithmetic.with_noise(tasks[0], 0.0).worked == tasks[0].worked
    others = [arithmetic.with_noise(task, 0.2, seed=1).worked for task in tasks]
    assert others != [n.worked for n in noisy]
