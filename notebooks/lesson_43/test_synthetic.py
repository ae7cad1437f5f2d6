"""Lesson 43's examination: shares by world and by student, likeness, votes."""

import pytest
import torch

pytest.importorskip("transformers", reason="the students are Hugging Face models")

from distill_lab.course import tutor, worlds
from distill_lab.course.tutor import Size
from distill_lab.course.worlds import arithmetic
from lesson_43 import synthetic
from lesson_43.arms import KINDS
from lesson_43.synthetic import Answered, bleu, polled, rouge_l

EXAM = synthetic.exam(4)
GOLD = {name: [task.target for task in tasks] for name, tasks in EXAM.items()}


def test_the_exam_asks_every_world_for_what_nobody_learnt():
    assert list(EXAM) == list(worlds.NAMES)
    assert [len(tasks) for tasks in EXAM.values()] == [4] * 5
    assert [t.world for t in synthetic.flat(EXAM)][::4] == list(worlds.NAMES)
    learnt = {t.key for name in worlds.NAMES for t in worlds.load(name).train(200)}
    assert not learnt & {task.key for task in synthetic.flat(EXAM)}


def test_shares_are_counted_by_world_and_by_student():
    silent = {name: [""] * 4 for name in EXAM}
    half = GOLD | {"nli": [GOLD["nli"][0], *silent["nli"][1:3], GOLD["nli"][3]]}
    found = Answered(EXAM, [GOLD, half, silent])
    torch.testing.assert_close(found.right("nli"), torch.tensor([100.0, 50.0, 0.0]))
    torch.testing.assert_close(found.mean, torch.tensor([100.0, 90.0, 0.0]))
    assert [len(bad) for bad in found.wrong(("nli", "support"))] == [0, 2, 8]
    task, text = found.wrong(("nli",))[1][0]
    assert (task, text) == (EXAM["nli"][1], "")


def test_every_accepted_wording_is_as_like_as_can_be():
    tasks = EXAM["support"]
    assert bleu([t.answer for t in tasks], tasks) == pytest.approx(100)
    assert bleu([t.accepted[-1] for t in tasks], tasks) == pytest.approx(100)
    assert rouge_l([t.accepted[-1] for t in tasks], tasks) == pytest.approx(100)
    off = [task.answer + " And so on it goes." for task in tasks]
    assert bleu(off, tasks) < 95 and rouge_l(off, tasks) < 95
    assert rouge_l([""] * 4, tasks) == 0


def test_rouge_is_the_longest_common_subsequence():
    task = EXAM["nli"][0]
    words = f"{task.answer} x y z"  # one of four words is common, of one: F = 2/5
    assert rouge_l([words], [task]) == pytest.approx(40)


def test_scores_take_the_worlds_asked_for_and_one_value_a_student():
    found = Answered(EXAM, [GOLD, {name: [""] * 4 for name in EXAM}])
    torch.testing.assert_close(found.scores(rouge_l), torch.tensor([100.0, 0.0]))
    mixed = [GOLD | {"nli": [""] * 4}]
    assert Answered(EXAM, mixed).scores(rouge_l, ("support",)).item() == pytest.approx(100)
    assert Answered(EXAM, mixed).scores(rouge_l, ("nli",)).item() == 0


def test_examining_asks_each_model_every_task():
    tokenizer = tutor.learn_tokenizer((t.prompt for t in synthetic.flat(EXAM)), 300)
    models = [tutor.network(Size(8, 1, 1, 16), tokenizer, seed) for seed in (0, 1)]
    some = {name: tasks[:2] for name, tasks in EXAM.items()}
    found = synthetic.examine(models, tokenizer, some)
    assert len(found.said) == 2 and list(found.said[0]) == list(some)
    assert found.said[1]["nli"] == tutor.answers(
        models[1], tokenizer, some["nli"], most=synthetic.MOST
    )


def test_stages_count_down_from_what_was_asked():
    filters = [
        {"filter": "verified", "came": 10, "removed": 3},
        {"filter": "balance", "came": 7, "removed": 2},
    ]
    assert synthetic.stages({"asked": 10, "filters": filters}) == [
        ("asked and answered", 10, ""),
        ("verified", 7, "3 removed"),
        ("balance", 5, "2 removed"),
    ]


def test_a_vote_mends_carelessness_and_sees_no_rule():
    tasks = [t for t in worlds.load("arithmetic").test(2000) if arithmetic.is_affected(t)][:30]
    (before, after), gone = polled(tasks, lambda t, s: arithmetic.with_slip(t).worked)
    assert (before, after, gone) == (0, 0, 0)
    careless = lambda t, s: arithmetic.with_noise(t, 0.15, seed=s).worked  # noqa: E731
    (before, after), gone = polled(tasks, careless)
    assert after > before + 5 and gone > 10


def test_every_right_answer_has_room():
    tasks = synthetic.flat(synthetic.exam(50))
    tokenizer = tutor.learn_tokenizer((f"{t.prompt} {t.target}" for t in tasks), 1000)
    longest = max(len(ids) for ids in tokenizer([t.target for t in tasks])["input_ids"])
    assert longest < synthetic.MOST


def test_a_shorter_way_of_learning_differs_in_its_steps_alone():
    kind = KINDS["all"]
    short = synthetic.shorter(kind, steps=7)
    assert short.steps == 7 and (short.lr, short.from_base) == (kind.lr, kind.from_base)
