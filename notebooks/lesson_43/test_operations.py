"""The closing table: every figure that it shows is of the model it names."""

import statistics

import pytest
import torch

pytest.importorskip("transformers", reason="the students are Hugging Face models")

from distill_lab.course import tutor
from distill_lab.course.tutor import Size
from distill_lab.evaluation import count_parameters
from lesson_43 import experiments, operations
from lesson_43.experiments import Answers

TASKS = experiments.held_out_tasks(2)
GOLD = {name: [task.target for task in tasks] for name, tasks in TASKS.items()}
SILENT = {name: [""] * 2 for name in TASKS}


@pytest.fixture(scope="module")
def tokenizer():
    return tutor.learn_tokenizer((t.prompt for t in experiments.flat(TASKS)), 300)


@pytest.fixture(scope="module")
def models(tokenizer):
    return {
        "teacher": tutor.network(Size(16, 1, 1, 32), tokenizer, 0).eval(),
        "student": tutor.network(Size(8, 1, 1, 16), tokenizer, 0).eval(),
    }


def test_every_model_is_timed_on_every_task(models, tokenizer):
    measured = operations.timed(models, tokenizer, TASKS["nli"])
    assert set(measured) == set(models)
    assert all(wait.runs == 2 and 0 < wait.p50_ms <= wait.p95_ms for wait in measured.values())


def test_an_answering_model_says_what_the_tutor_would(models, tokenizer):
    task = TASKS["nli"][0]
    prompt = operations._ids(task, tokenizer)
    ids = operations.Answering(models["student"])(prompt)[0, prompt.shape[1] :]
    text = tokenizer.decode(ids, skip_special_tokens=True)
    assert (
        text == tutor.answers(models["student"], tokenizer, [task], most=experiments.MAX_TOKENS)[0]
    )


def test_tokens_are_those_of_the_answer_alone(models, tokenizer):
    tasks = TASKS["support"]
    counts = operations.tokens_per_answer(models, tokenizer, tasks)
    for name, model in models.items():
        prompts = [operations._ids(task, tokenizer) for task in tasks]
        written = [operations.Answering(model)(ids)[0, ids.shape[1] :] for ids in prompts]
        assert counts[name] == statistics.median(map(len, written)) > 0


def test_memory_is_at_least_the_weights(models, tokenizer):
    measured = operations.memory(models["teacher"], tokenizer, TASKS["nli"])
    assert measured.weights >= 4 * count_parameters(models["teacher"]) and measured.working > 0


@pytest.mark.slow
def test_the_table_names_teacher_and_baseline_and_keeps_what(models, tokenizer):
    waits = operations.timed(models, tokenizer, TASKS["nli"])
    half = GOLD | {"nli": SILENT["nli"]}
    contenders = {
        "teacher": ([models["teacher"]], Answers(TASKS, [GOLD])),
        "student": ([models["student"]] * 3, Answers(TASKS, [GOLD, half, half])),
    }
    table = operations.table(contenders, waits, tokenizer, teacher="teacher", baseline="student")
    student = table["student"]
    assert student.accuracy == pytest.approx((100 + 80 + 80) / 3)
    assert student.retained == pytest.approx(student.accuracy)
    assert student.points == pytest.approx(student.accuracy - 100)
    assert student.worst_class_name == "nli" and student.seeds == 3
    assert student.extra["nli, % right"] == pytest.approx(100 / 3)
    assert student.parameters == count_parameters(models["student"])
    text = str(table)
    assert "10 test questions" in text and "ROUGE-L" in text and "latency p95" in text
    assert "not measured" not in text and "nan" not in text.lower()
    assert torch.tensor(student.by_seed["accuracy"]).tolist() == [100.0, 80.0, 80.0]
