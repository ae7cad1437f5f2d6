"""Lesson 43's examination: shares by world and by student, likeness, votes."""

import pytest
import torch

pytest.importorskip("transformers", reason="the students are Hugging Face models")

from distill_lab.course import tutor, worlds
from distill_lab.course.tutor import Size
from distill_lab.course.worlds import arithmetic
from lesson_43 import arms, chains, experiments
from lesson_43.arms import Settings
from lesson_43.experiments import Answers, bleu, rouge_l, vote

TASKS = experiments.held_out_tasks(4)
GOLD = {name: [task.target for task in tasks] for name, tasks in TASKS.items()}


def test_the_exam_asks_every_world_for_what_nobody_learnt():
    assert list(TASKS) == list(worlds.NAMES)
    assert [len(tasks) for tasks in TASKS.values()] == [4] * 5
    assert [t.world for t in experiments.flat(TASKS)][::4] == list(worlds.NAMES)
    learnt = {t.key for name in worlds.NAMES for t in worlds.load(name).train(200)}
    assert not learnt & {task.key for task in experiments.flat(TASKS)}


def test_shares_are_counted_by_world_and_by_student():
    silent = {name: [""] * 4 for name in TASKS}
    half = GOLD | {"nli": [GOLD["nli"][0], *silent["nli"][1:3], GOLD["nli"][3]]}
    answers = Answers(TASKS, [GOLD, half, silent])
    torch.testing.assert_close(answers.right("nli"), torch.tensor([100.0, 50.0, 0.0]))
    torch.testing.assert_close(answers.mean, torch.tensor([100.0, 90.0, 0.0]))
    assert [len(bad) for bad in answers.wrong(("nli", "support"))] == [0, 2, 8]
    task, text = answers.wrong(("nli",))[1][0]
    assert (task, text) == (TASKS["nli"][1], "")


def test_every_accepted_wording_is_as_like_as_can_be():
    tasks = TASKS["support"]
    assert bleu([t.answer for t in tasks], tasks) == pytest.approx(100)
    assert bleu([t.accepted[-1] for t in tasks], tasks) == pytest.approx(100)
    assert rouge_l([t.accepted[-1] for t in tasks], tasks) == pytest.approx(100)
    off = [task.answer + " And so on it goes." for task in tasks]
    assert bleu(off, tasks) < 95 and rouge_l(off, tasks) < 95
    assert rouge_l([""] * 4, tasks) == 0


def test_rouge_is_the_longest_common_subsequence():
    task = TASKS["nli"][0]
    words = f"{task.answer} x y z"  # one of four words is common, of one: F = 2/5
    assert rouge_l([words], [task]) == pytest.approx(40)


def test_scores_take_the_worlds_asked_for_and_one_value_a_student():
    answers = Answers(TASKS, [GOLD, {name: [""] * 4 for name in TASKS}])
    torch.testing.assert_close(answers.scores(rouge_l), torch.tensor([100.0, 0.0]))
    mixed = [GOLD | {"nli": [""] * 4}]
    assert Answers(TASKS, mixed).scores(rouge_l, ("support",)).item() == pytest.approx(100)
    assert Answers(TASKS, mixed).scores(rouge_l, ("nli",)).item() == 0


def test_examining_asks_each_model_every_task():
    tokenizer = tutor.learn_tokenizer((t.prompt for t in experiments.flat(TASKS)), 300)
    models = [tutor.network(Size(8, 1, 1, 16), tokenizer, seed) for seed in (0, 1)]
    some = {name: tasks[:2] for name, tasks in TASKS.items()}
    answers = experiments.examine(models, tokenizer, some)
    assert len(answers.texts) == 2 and list(answers.texts[0]) == list(some)
    assert answers.texts[1]["nli"] == tutor.answers(
        models[1], tokenizer, some["nli"], most=experiments.MAX_TOKENS
    )


def test_stages_count_down_from_what_was_asked():
    filters = [
        {"filter": "verified", "n_in": 10, "n_removed": 3},
        {"filter": "balance", "n_in": 7, "n_removed": 2},
    ]
    assert experiments.stages({"asked": 10, "filters": filters}) == [
        ("answers", 10, ""),
        ("verified", 7, "3 removed"),
        ("balance", 5, "2 removed"),
    ]


def test_the_example_shown_is_the_first_on_which_the_verdicts_differ():
    tasks, gold = TASKS["nli"], GOLD["nli"]
    late = [*gold[:2], "", gold[3]]
    number, rule = experiments.first_difference(tasks, {"a": gold, "b": gold, "c": late})
    assert number == 2 and rule.startswith("test task 3 of 4: the first on which")
    for alike in ({"a": gold, "b": gold}, {"a": [""] * 4, "b": ["?"] * 4}):
        number, rule = experiments.first_difference(tasks, alike)
        assert number == 0 and "all verdicts agree" in rule


def test_rows_are_right_by_their_own_tasks():
    tasks = experiments.flat(TASKS)
    rows = [{"about": {"task": i}, "answer": task.target} for i, task in enumerate(tasks)]
    assert experiments.right_rows(rows, tasks) == 100
    assert experiments.right_rows([*rows, *({**row, "answer": ""} for row in rows)], tasks) == 50
    assert experiments.right_rows([], tasks) == 0


def test_variety_counts_different_answers_of_a_prompt():
    texts = {0: ["a", "a", "a"], 1: ["a", "b", "a"], 2: ["a", "b", "c"]}
    rows = [{"about": {"task": i}, "answer": t} for i, given in texts.items() for t in given]
    assert experiments.variety(rows) == 2


def test_a_vote_mends_random_errors_and_sees_no_rule():
    tasks = [t for t in worlds.load("arithmetic").test(2000) if arithmetic.is_affected(t)][:30]
    (before, after), gone = vote(tasks, lambda t, s: arithmetic.with_slip(t).worked)
    assert (before, after, gone) == (0, 0, 0)
    random_errors = lambda t, s: arithmetic.with_noise(t, 0.15, seed=s).worked  # noqa: E731
    (before, after), gone = vote(tasks, random_errors)
    assert after > before + 5 and gone > 10


def test_every_right_answer_has_room():
    tasks = experiments.flat(experiments.held_out_tasks(50))
    tokenizer = tutor.learn_tokenizer((f"{t.prompt} {t.target}" for t in tasks), 1000)
    longest = max(len(ids) for ids in tokenizer([t.target for t in tasks])["input_ids"])
    assert longest < experiments.MAX_TOKENS


def test_affected_chains_are_affected_and_none_is_for_training():
    affected, unaffected = experiments.affected(20), experiments.unaffected(20)
    assert all(map(chains.is_affected, affected)) and not any(map(chains.is_affected, unaffected))
    trained_on = {task.key for task in arms.prompts(Settings(), "chains", 0)}
    assert not trained_on & {task.key for task in [*affected, *unaffected]}


def test_shares_are_those_of_the_greedy_answers():
    tokenizer = tutor.learn_tokenizer((t.prompt for t in experiments.flat(TASKS)), 300)
    tasks = chains.chains(6)
    models = [tutor.network(Size(8, 1, 1, 16), tokenizer, seed) for seed in (0, 1)]
    expected = [tutor.share_right(model, tokenizer, tasks) for model in models]
    assert experiments.share_right(models, tokenizer, tasks).tolist() == pytest.approx(expected)
