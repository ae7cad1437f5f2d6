"""What every world keeps: right gold answers, tasks apart by content, seeds that decide."""

import random
import re
from itertools import pairwise

import pytest

from distill_lab.course import worlds
from distill_lab.course.worlds import NAMES, Task
from distill_lab.course.worlds.world import is_for_test

PARTS = ("train", "test", "ood")


def some(name: str, part: str, n: int = 300, **given: int) -> list[Task]:
    return getattr(worlds.load(name), part)(n, **given)


@pytest.mark.parametrize("level", [1, 2, 3])
@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("name", NAMES)
def test_every_gold_answer_is_right_and_every_accepted_wording(name, part, level):
    world = worlds.load(name)
    for task in some(name, part, level=level):
        for text in (task.answer, task.target, *task.accepted):
            verdict = world.verify(task, text)
            assert verdict, f"{task.prompt}\n{text}\n{verdict.reason}"
        assert task.world == name and task.level == level


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_training_shares_no_content_with_testing_whatever_the_seeds_and_levels(name):
    learnt = {
        t.key
        for seed in (0, 1)
        for level in (1, 2, 3)
        for t in some(name, "train", 700, seed=seed, level=level)
    }
    asked = {
        t.key
        for seed in (0, 1)
        for level in (1, 2, 3)
        for part in ("test", "ood")
        for t in some(name, part, 300, seed=seed, level=level)
    }
    assert learnt and asked and not learnt & asked
    assert not any(map(is_for_test, learnt)) and all(map(is_for_test, asked))


@pytest.mark.parametrize("level", [1, 2, 3])
@pytest.mark.parametrize("name", NAMES)
def test_conversations_are_of_training_alone_right_and_about_one_text(name, level):
    world = worlds.load(name)
    talks = world.talks(300, level=level)
    assert talks[:50] == world.talks(50, level=level) != world.talks(50, level=level, seed=1)
    assert len({talk[0].prompt for talk in talks}) == 300
    for talk in talks:
        assert 1 <= len(talk) <= 5 and not talk[0].follow
        assert len({task.key for task in talk}) == len(talk)
        text = talk[0].prompt[: talk[0].prompt.rindex(". ") + 1]
        for task in talk:
            assert task.check.verdict(task.target) and not is_for_test(task.key)
            assert task.prompt.startswith(text[:40]) and task.level == level
        for task in talk[1:]:
            assert task.follow and task.prompt.endswith(task.follow)
    several = name in ("nli", "support", "questions")
    assert (sum(map(len, talks)) > 600) == several


@pytest.mark.parametrize("name", NAMES)
def test_the_key_is_the_content_and_not_the_wording(name):
    """Else two wordings of one question could stand on both sides."""
    draw = worlds.load(name).draw
    wordings: dict[str, set[str]] = {}
    for seed in range(6000):
        task = draw(random.Random(seed), 1, False)
        wordings.setdefault(task.key, set()).add(task.prompt)
    assert max(map(len, wordings.values())) > 1


@pytest.mark.parametrize("name", NAMES)
def test_the_seed_alone_decides_and_fewer_are_the_first_of_more(name):
    random.seed(1)
    before = random.getstate()
    tasks = some(name, "train", 50, seed=3)
    assert tasks == some(name, "train", 80, seed=3)[:50]
    assert tasks != some(name, "train", 50, seed=4)
    assert random.getstate() == before


def test_the_tasks_are_those_that_were_published():
    """Figures were measured on them: a change here makes them history."""
    first = {name: some(name, "test", 1)[0] for name in NAMES}
    assert {name: (task.prompt, task.answer) for name, task in first.items()} == FIRST


@pytest.mark.parametrize("name", NAMES)
def test_there_are_thousands_of_surface_forms(name):
    """The frames, not only the fillers: names, figures and listed words are struck out first."""
    tasks = some(name, "train", 4000)
    assert len({task.prompt for task in tasks}) == 4000
    shapes = {re.sub(r"\d+|\b[A-Z][a-z]+\b", "_", task.prompt) for task in tasks}
    assert len(shapes) > 2000


@pytest.mark.parametrize("name", NAMES)
def test_out_of_distribution_is_another_distribution(name):
    """Words that training never has, or what the world says in `unseen`."""
    seen = {word for task in some(name, "train", 3000) for word in words(task)}
    strange = [bool(set(words(task)) - seen) for task in some(name, "ood", 200)]
    known = [bool(set(words(task)) - seen) for task in some(name, "test", 200)]
    if name == "nli":  # no new words there, but new pairs of who and what
        assert not any(strange) and not any(known)
    else:
        assert all(strange) and not any(known)
    assert worlds.load(name).unseen


def words(task: Task) -> list[str]:
    return re.findall(r"[A-Za-z]+", task.prompt)


@pytest.mark.parametrize("name", NAMES)
def test_a_higher_level_is_longer(name):
    lengths = [sum(len(t.prompt) for t in some(name, "train", level=level)) for level in (1, 2, 3)]
    if name == "nli":  # there it is denied more often, which is a little longer
        assert lengths[2] > lengths[0]
    else:
        assert lengths == sorted(lengths) and len(set(lengths)) == 3


@pytest.mark.parametrize("name", NAMES)
def test_the_answers_are_spread_out(name):
    """No single answer pays: guessing the commonest one is mostly wrong."""
    answers = [task.answer for task in some(name, "train", 3000)]
    commonest = max(answers.count(answer) for answer in set(answers))
    assert commonest / 3000 < (0.37 if name == "nli" else 0.15)


@pytest.mark.parametrize("name", NAMES)
def test_an_answer_to_another_task_is_almost_always_wrong(name):
    world, tasks = worlds.load(name), some(name, "test")
    right = [
        world.verify(task, other.target).right
        for task, other in pairwise(tasks)
        if task.answer != other.answer
    ]
    assert sum(right) / len(right) < 0.02


@pytest.mark.parametrize("text", ["", "   ", "\n", "I do not know.", "?", "yes yes yes"])
@pytest.mark.parametrize("name", NAMES)
def test_what_is_no_answer_is_wrong_with_a_reason(name, text):
    world = worlds.load(name)
    for task in some(name, "test", 20):
        verdict = world.verify(task, text)
        assert not verdict and len(verdict.reason) > 5


@pytest.mark.parametrize("name", NAMES)
def test_an_answer_that_goes_on_is_wrong(name):
    world = worlds.load(name)
    for task in some(name, "test", 20):
        assert not world.verify(task, task.target + " and that is what I think of it" * 4)
        assert not world.verify(task, task.prompt + " " + task.target * 2)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: worlds.load("algebra"), ValueError, "one of the worlds nli"),
        (lambda: some("nli", "train", 0), ValueError, "positive integer"),
        (lambda: some("nli", "train", 2.5), ValueError, "positive integer"),
        (lambda: some("nli", "train", True), ValueError, "positive integer"),
        (lambda: some("nli", "test", 3, level=4), ValueError, "level must be 1"),
        (
            lambda: worlds.load("nli").verify(some("support", "test", 1)[0], "x"),
            ValueError,
            r"worlds.load\(task.world\)",
        ),
        (lambda: worlds.load("nli").verify(some("nli", "test", 1)[0], 7), TypeError, "be text"),
    ],
)
def test_bad_input_is_answered_with_a_sentence(call, error, words):
    with pytest.raises(error, match=words) as caught:
        call()
    assert len(str(caught.value).split()) >= 5


def test_a_world_that_runs_out_says_how_many_it_has():
    world = worlds.World("small", "two tasks", "none", lambda rng, level, ood: rng.choice(FEW))
    with pytest.raises(ValueError, match=r"has not 9 different tasks.*Ask for fewer"):
        world.train(9)


FEW = [some("nli", "train", 2)[i] for i in (0, 1)]
FIRST: dict[str, tuple[str, str]] = {
    "nli": ("Text: A short dog is chasing a ball. Claim: A dog is chasing a ball.", "entailment"),
    "support": (
        "Case of Ada, sofa: order 5460, 45 euro, on its way, due Thursday, out of stock. "
        "Customer: Hi there. can I give the sofa back?",
        "You can send the sofa back once it has arrived on Thursday.",
    ),
    "questions": (
        "The home of Iris is in Ghent. Cake for dinner, says Tina. The clarinet is the "
        "hobby of Iris. The animal of Felix is a horse. Tina plays the organ. Question: "
        "Where does Iris live?",
        "Ghent",
    ),
    "arithmetic": (
        "Sam has 23 plates. Sam gets 4 as a present. A friend brings 6 more. A friend "
        "brings 6 more. Then 7 more arrive. What is the number of plates in the end?",
        "46",
    ),
    "summaries": (
        "Sum up: In Kyoto people buy cakes from Emil. Nobody had expected it, said Felix."
        " On Monday it was 77 cakes. 46 went on Tuesday. Tickets had cost 54 euro.",
        "Sales of cakes in Kyoto fell from 77 to 46.",
    ),
}
