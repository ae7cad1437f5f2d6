"""Lesson 26's pieces: exact counts, the four tasks, the small encoder, scores, stored results."""

import dataclasses
import math

import pytest
import torch

from distill_lab.course.stored import load
from distill_lab.data.datasets import Examples, Questions, TextSet
from distill_lab.evaluation.cost import count_parameters
from distill_lab.losses import hint_loss, tinybert_attention_loss
from distill_lab.models import from_teacher
from distill_lab.models.hooks import Tap
from distill_lab.teachers import freeze
from distill_lab.training import distill
from lesson_26 import encoder, experiments, figures, minilm
from lesson_26.encoder import CLASSES, PAD, TASKS, Encoder, examples

transformers = pytest.importorskip("transformers", reason="transformers is not installed")


@pytest.fixture(scope="module")
def shapes():
    return experiments.shapes()


def test_the_published_ratios_follow_from_the_shapes(shapes):
    counted = {name: count_parameters(model) for name, model in shapes.items()}
    base = counted["BERT-base"]
    assert base == 109_482_240 and counted["DistilBERT"] == 66_362_880
    assert 1 - counted["DistilBERT"] / base == pytest.approx(0.40, rel=0.05)
    assert base / counted["TinyBERT-4"] == pytest.approx(7.5, rel=0.05)
    assert base / counted["MobileBERT"] == pytest.approx(4.3, rel=0.05)
    for name in ("BERT-base", "TinyBERT-6"):
        published, _ = experiments.PUBLISHED[name]
        assert counted[name] / 1e6 == pytest.approx(published, rel=0.005)
    assert all(parameter.is_meta for parameter in shapes["MobileBERT"].parameters())


def test_the_live_figure_counts_as_the_program_does(shapes):
    for name, shape in {"BERT-base": (12, 768, 3072), "TinyBERT-4": (4, 312, 1200)}.items():
        total = sum(figures.parts_of(*shape).values()) * 1e6
        assert round(total) == count_parameters(shapes[name])
        work = experiments.count_operations(shapes[name]) / 1e9
        assert figures.operations(*shape) == pytest.approx(work, rel=0.001)


def test_every_label_is_what_the_words_say():
    for task in TASKS:
        for text, label in encoder.texts(task, 60, seed=3):
            assert label in TASKS[task] and text
    for text, label in encoder.texts("follows", 60, seed=3):
        premise, claim = text.split(" | ")
        if premise == claim:
            assert label == "yes"
    stories = dict(encoder.texts("change", 60, seed=3))
    assert set(stories.values()) == set(TASKS["change"])


def test_examples_are_the_same_for_a_seed_and_test_contents_are_apart():
    one, same, other = (examples(20, seed=s) for s in (1, 1, 2))
    assert one.inputs.shape == (80, encoder.LENGTH)
    assert torch.equal(one.inputs, same.inputs) and not torch.equal(one.inputs, other.inputs)
    tasks = encoder.TASK_OF[one.labels]
    assert torch.equal(tasks, torch.arange(4).repeat_interleave(20))
    rows = {tuple(row) for row in examples(200, seed=1).inputs.tolist()}
    assert not rows & {tuple(row) for row in examples(50, seed=1, part="test").inputs.tolist()}


def test_padding_changes_nothing_and_leaves_no_state():
    model = Encoder(2, 16, seed=3).eval()
    tokens = examples(3, seed=5).inputs
    short = tokens[(tokens == PAD).sum(1) >= 4]
    assert len(short)
    torch.testing.assert_close(model(short), model(short[:, : encoder.LENGTH - 4]))
    with Tap(model, ["layers.1", "layers.1.scores"]) as tap:
        model(short)
    assert not tap["layers.1"][short == PAD].any()
    assert not tap["layers.1.scores"].transpose(1, 3)[short == PAD].any()
    assert Encoder(1, 46, heads=2)(short).shape == (len(short), len(CLASSES))


def test_the_seed_fixes_the_weights_and_the_norms_start_neutral():
    one, same, other = Encoder(2, 16, seed=0), Encoder(2, 16, seed=0), Encoder(2, 16, seed=1)
    assert torch.equal(one.head.weight, same.head.weight)
    assert not torch.equal(one.head.weight, other.head.weight)
    assert bool((one.norm.weight == 1).all()) and not one.norm.bias.any()
    assert not one.layers[0].query.bias.any()


def test_shuffled_layers_have_the_same_numbers_in_another_order():
    student = from_teacher(Encoder(2, 32, seed=1), experiments.load_teacher(), layers=(0, 1))
    control = experiments.shuffled_layers(student, 3)
    for a, b in zip(student.layers.parameters(), control.layers.parameters(), strict=True):
        assert torch.equal(a.flatten().sort().values, b.flatten().sort().values)
    assert not torch.equal(student.layers[0].up.weight, control.layers[0].up.weight)
    assert torch.equal(student.words.weight, control.words.weight)


def test_matching_is_the_sum_of_both_losses_over_the_pairs():
    student, teacher = Encoder(2, 16, seed=1), Encoder(4, 16, seed=2)
    tokens, pairs = examples(2, seed=5).inputs, [(0, 1), (1, 3)]
    paths = [f"layers.{i}{part}" for i in range(4) for part in ("", ".scores")]
    with Tap(student, paths[:4]) as low, Tap(teacher, paths) as high:
        student(tokens), teacher(tokens)
    hidden = sum(hint_loss(low[f"layers.{s}"], high[f"layers.{t}"]) for s, t in pairs)
    attention = sum(
        tinybert_attention_loss(low[f"layers.{s}.scores"], high[f"layers.{t}.scores"])
        for s, t in pairs
    )
    history = distill(
        student,
        Examples(tokens, torch.zeros(len(tokens), dtype=torch.long)),
        teacher=freeze(teacher),
        method=experiments.matched(None, pairs),
        epochs=1,
        batch_size=len(tokens),
        progress=False,
    )
    assert history["hidden"][0] == pytest.approx(hidden.item(), rel=1e-4)
    assert history["attention"][0] == pytest.approx(attention.item(), rel=1e-4)


def test_accuracies_by_task_and_class_agree_with_a_count_by_hand():
    model, data = experiments.load_teacher(), examples(40, seed=9, part="test")
    hits = (model(data.inputs).argmax(-1) == data.labels).tolist()
    by_hand = [100 * sum(hits[40 * t : 40 * t + 40]) / 40 for t in range(4)]
    assert experiments.by_task(model, data).tolist() == pytest.approx(by_hand)
    of_classes = experiments.by_class(model, data)
    wanted = CLASSES.index(("change", "more"))
    of_more = [
        hit for hit, label in zip(hits, data.labels.tolist(), strict=True) if label == wanted
    ]
    assert of_classes["change: more"] == pytest.approx(100 * sum(of_more) / len(of_more))


def test_what_the_text_says_of_the_stored_teacher():
    tasks = experiments.by_task(experiments.load_teacher(), examples(150, seed=500, part="test"))
    assert tasks.min() > 85 and tasks[1] > 99


def test_layers_are_spread_as_the_formula_says():
    assert [minilm.spread(6, m) for m in (4, 3, 2, 1)] == [(0, 2, 3, 5), (1, 3, 5), (2, 5), (5,)]
    for n in range(1, 13):
        for m in range(1, n + 1):
            by_hand = tuple(math.floor((k + 1) * n / m + 1e-9) - 1 for k in range(m))
            assert minilm.spread(n, m) == by_hand


def test_the_share_that_is_kept():
    teacher = torch.ones(200)
    student = torch.tensor([1.0, 1.0, 1.0, 0.0]).repeat(50)
    kept = minilm.kept(student, teacher)
    assert kept.mean == pytest.approx(75) and 66 < kept.low < 75 < kept.high < 84
    exact = minilm.kept(teacher, teacher)
    assert (exact.low, exact.mean, exact.high) == (100, 100, 100)


def test_the_real_experiment_runs_on_a_tiny_encoder(tmp_path):
    config = transformers.BertConfig(
        vocab_size=40,
        hidden_size=16,
        num_hidden_layers=6,
        num_attention_heads=2,
        intermediate_size=32,
    )
    body = transformers.BertModel(config)

    class Letters:
        pad_token_id = 0

        def __call__(self, texts, truncation, max_length):
            return {"input_ids": [[2, *(ord(c) - 92 for c in t), 3] for t in texts]}

    texts = tuple(a + b for a in "abcdef" for b in "ghijkl")
    questions = Questions(texts, torch.arange(36) % 3)
    data = TextSet("tiny", questions, questions, ("x", "y", "z"), "made here")
    settings = dataclasses.replace(minilm.Settings(), teacher_epochs=1, student_epochs=1, calls=3)
    lines: list[str] = []
    results = minilm.run(body, Letters(), data, settings, lines.append)
    assert [model["layers"] for model in results["models"].values()] == [6, 4, 3, 2, 1, 1]
    assert all(len(model["right"]) == 36 for model in results["models"].values())
    sizes = [model["parameters"] for model in results["models"].values()]
    assert sizes == sorted(sizes, reverse=True) and len(lines) == 6


def test_a_missing_encoder_shows_the_stored_results(monkeypatch, tmp_path):
    monkeypatch.setenv("DISTILL_LAB_MODELS", str(tmp_path))
    lines: list[str] = []
    results = minilm.results("full", lines.append)
    assert "Stored results are shown instead" in lines[0]
    assert results == load(minilm.FILE)


def test_what_the_text_says_of_the_stored_minilm():
    results = load(minilm.FILE)
    models = results["models"]
    assert [model["layers"] for model in models.values()] == [6, 4, 3, 2, 1, 1]
    for name, model in models.items():
        right = minilm.right(results, name)
        assert len(right) == len(results["classes"]) == 3080
        assert 100 * right.mean().item() == pytest.approx(model["accuracy"], abs=0.01)
