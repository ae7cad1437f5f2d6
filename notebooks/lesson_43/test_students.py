"""Lesson 43's students: whose answers they learn, what is kept of them, and how they are found."""

from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file

pytest.importorskip("transformers", reason="the students are Hugging Face models")

from distill_lab.course import tutor, worlds
from distill_lab.course.stored import keep
from distill_lab.course.tutor import Size
from distill_lab.course.worlds import arithmetic
from lesson_43 import arms, chains, experiments, students
from lesson_43.arms import ARMS, KINDS, Kind, Settings

TINY = Kind("sums", examples=30, steps=6, lr=1e-2, batch_size=10)
SETTINGS = Settings(kinds={name: replace(kind, examples=30) for name, kind in KINDS.items()})


@pytest.fixture(scope="module")
def tokenizer():
    tasks = [task for name in worlds.NAMES for task in worlds.load(name).train(20)]
    return tutor.learn_tokenizer((f"{t.prompt}\n{t.target}" for t in tasks), 300)


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(students, "SIZE", Size(8, 1, 1, 16))


def test_every_arm_is_of_a_kind_there_is():
    assert {arm.kind for arm in ARMS.values()} == set(KINDS) - {"base"}


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "base"])
def test_a_seed_has_prompts_of_its_own(kind):
    first, again, other = (arms.prompts(SETTINGS, kind, seed) for seed in (0, 0, 1))
    assert [t.prompt for t in first] == [t.prompt for t in again]
    assert {t.prompt for t in first} != {t.prompt for t in other}


def test_the_base_learns_from_conversations_of_the_first_level(tokenizer, monkeypatch):
    conversations = []
    monkeypatch.setattr(students, "as_talks", lambda talks, tok: conversations.extend(talks))
    monkeypatch.setattr(students, "_fine_tune", lambda student, examples, kind, *_: kind.steps)
    assert students.train_base(None, tokenizer, SETTINGS.kinds["base"]) == KINDS["base"].steps
    assert {task.world for talk in conversations for task in talk} == {"drills", *worlds.NAMES}
    assert {task.level for talk in conversations for task in talk} == {1}


def test_all_five_worlds_are_asked_equally_often():
    asked = [task.world for task in arms.prompts(SETTINGS, "all", 0)]
    assert {asked.count(name) for name in worlds.NAMES} == {30}


def test_a_bare_sum_has_the_numbers_of_its_task_alone():
    task = worlds.load("arithmetic").train(1)[0]
    bare = arms.bare(task)
    assert bare.prompt == f"{task.key}=" and bare.check.verdict(bare.target)
    for task in experiments.bare_affected(5):
        assert arithmetic.is_affected(task) and task.prompt == f"{task.key}="


@pytest.mark.parametrize("kind", ["chains", "bare"])
def test_erring_teachers_err_and_filters_keep_what_is_right(kind):
    tasks = arms.prompts(
        replace(SETTINGS, kinds={kind: replace(KINDS[kind], examples=400)}), kind, 0
    )
    world = chains if kind == "chains" else arithmetic
    right = {
        of: [
            bool(tasks[i].check.verdict(text)) for i, text in arms.by_rule(of, tasks, 0.15).items()
        ]
        for of in ("gold", "systematic", "systematic-filtered", "random", "random-filtered")
    }
    assert all(right["gold"]) and len(right["gold"]) == len(tasks)
    assert right["systematic"] == [not world.is_affected(task) for task in tasks]
    assert 0.2 < sum(right["random"]) / len(tasks) < 0.9
    for teacher in ("systematic", "random"):
        assert right[f"{teacher}-filtered"] == [True] * sum(right[teacher])


def test_learning_lowers_the_loss_and_repeats_itself(tokenizer):
    tasks = arms.prompts(SETTINGS, "chains", 0)
    runs = []
    for _ in range(2):
        student = students.fresh(tokenizer, 3)
        history = students.train(
            student, tasks, [t.target for t in tasks], tokenizer, TINY, seed=3, longer=2
        )
        runs.append((history, [p.detach().clone() for p in student.parameters()]))
    assert runs[0][0].steps == 12 and runs[0][0]["ce"][-1] < runs[0][0]["ce"][0]
    for a, b in zip(runs[0][1], runs[1][1], strict=True):
        assert torch.equal(a, b)


def test_kept_students_come_back_one_a_seed(tokenizer, tmp_path):
    kept = [students.fresh(tokenizer, seed) for seed in (4, 5)]
    named = [dict(student.named_parameters()) for student in kept]
    stacked = {k: torch.stack([one[k].detach() for one in named]).half() for k in named[0]}
    save_file(stacked, tmp_path / "gold.safetensors")
    keep(tmp_path / "gold.safetensors")
    loaded = students.stored_students("gold", tokenizer, folder=tmp_path)
    assert len(loaded) == 2 and not loaded[0].training
    ids = torch.tensor([[5, 6, 7]])
    for old, new in zip(kept, loaded, strict=True):
        torch.testing.assert_close(new(ids).logits, old(ids).logits, atol=2e-2, rtol=1e-2)
    assert not torch.allclose(loaded[0](ids).logits, loaded[1](ids).logits, atol=2e-2)


def test_what_is_not_a_student_is_refused(tokenizer, tmp_path):
    with pytest.raises(ValueError, match="no arm 'golden'"):
        students.stored_students("golden", tokenizer)
    with pytest.raises(FileNotFoundError):
        students.stored_students("gold", tokenizer, folder=tmp_path)
    save_file({"other": torch.zeros(1, 2)}, tmp_path / "gold.safetensors")
    keep(tmp_path / "gold.safetensors")
    with pytest.raises(ValueError, match="not a student's weights"):
        students.stored_students("gold", tokenizer, folder=tmp_path)
