"""The headroom: against figures by hand, for classifiers, seeds and language models."""

import math

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

from distill_lab.data.tokenized import Texts
from distill_lab.evaluation import accuracy, agreement, compare, headroom, nll
from distill_lab.evaluation.differences import between_fixed
from distill_lab.evaluation.statistics import paired_interval
from distill_lab.models import MLP
from distill_lab.teachers import freeze
from tests.data.test_tokenized import WORDS, llama, words_tokenizer


@pytest.fixture
def case():
    generator = torch.Generator().manual_seed(3)
    labels = torch.randint(0, 4, (200,), generator=generator)
    teacher = 3 * nn.functional.one_hot(labels, 4) + 1.5 * torch.randn(200, 4, generator=generator)
    student = nn.functional.one_hot(labels, 4) + 1.5 * torch.randn(200, 4, generator=generator)
    return teacher, student, (torch.zeros(200, 1), labels)


def test_each_figure_is_the_metrics_own(case):
    teacher, student, (_, labels) = case
    result = headroom(*case)
    assert result.teacher_score == pytest.approx(accuracy(teacher, labels))
    assert result.student_score == pytest.approx(accuracy(student, labels))
    assert result.teacher_nll == pytest.approx(nll(teacher, labels))
    assert result.student_nll == pytest.approx(nll(student, labels))
    assert result.agreement == pytest.approx(agreement(student, teacher))
    assert (result.units, result.unit) == (200, "examples")
    right = [x.argmax(-1) == labels for x in (teacher, student)]
    assert result.score_gap == between_fixed(*right, names=("a", "b")).interval
    costs = [nn.functional.cross_entropy(x.double(), labels, reduction="none") for x in case[:2]]
    assert result.nll_gap.mean == pytest.approx((costs[1] - costs[0]).mean().item())
    assert result.nll_gap.low == pytest.approx(paired_interval(costs[1], costs[0]).low)


def test_the_score_gap_is_what_only_one_of_them_gets_right(case):
    result = headroom(*case)
    assert result.score_gap.mean == pytest.approx(result.only_teacher - result.only_student)
    turned = headroom(case[1], case[0], case[2])
    assert turned.score_gap.mean == pytest.approx(-result.score_gap.mean)
    assert turned.nll_gap.mean == pytest.approx(-result.nll_gap.mean)
    assert (turned.only_teacher, turned.only_student) == (result.only_student, result.only_teacher)


def test_the_four_verdicts(case):
    teacher, student, data = case
    assert headroom(*case).verdict == "gain"
    assert "the teacher alone is right on" in str(headroom(*case))
    assert headroom(student, teacher, data).verdict == "harm"
    assert "learn its faults" in str(headroom(student, teacher, data))
    same = headroom(student, student, data)
    assert same.verdict == "none" and same.agreement == 100
    assert "nothing to gain that these 200 examples could show" in str(same)
    flat = headroom(teacher, 20 * teacher, data)  # the same choices, far too sure
    assert flat.verdict == "probabilities" and flat.score_gap.mean == 0
    assert "may become better" in str(flat)


def test_a_better_score_counts_before_worse_probabilities(case):
    teacher, student, data = case
    result = headroom(50 * teacher, student, data)
    assert result.nll_gap.high < 0 and result.verdict == "gain"


def test_seeds_are_paired_with_each_other(case):
    teacher, student, (inputs, labels) = case
    generator = torch.Generator().manual_seed(5)
    rows = [x + torch.randn(6, 200, 4, generator=generator) for x in (teacher, student)]
    result = headroom(*rows, (inputs, labels))
    scores = [accuracy(x, labels) for x in rows]
    assert result.score_gap == paired_interval(*scores)
    assert result.nll_gap == paired_interval(nll(rows[1], labels), nll(rows[0], labels))
    assert (result.units, result.seeds) == (200, 6)
    assert "of 200 examples in each of 6 seeds" in str(result)
    one = headroom(teacher, rows[1], (inputs, labels))  # one teacher beside all students
    assert one.score_gap == paired_interval([accuracy(teacher, labels)] * 6, scores[1])


def test_networks_are_asked_in_eval_mode_and_left_as_they_were():
    inputs, labels = torch.randn(40, 4), torch.arange(40) % 3
    teacher, student = MLP(4, 8, 3, dropout=0.5, seed=1), MLP(4, 3, seed=2)
    teacher.train(), student.train()
    assert headroom(teacher, student, (inputs, labels)) == headroom(
        teacher, student, (inputs, labels)
    )
    assert teacher.training and student.training
    assert headroom(freeze(MLP(4, 3, seed=2)), student, (inputs, labels)).agreement == 100


ROWS = [
    {"prompt": "ab", "answer": "cde"},
    {"prompt": "a", "answer": "f"},
    {"prompt": "abc", "answer": "bd"},
    {"prompt": "b", "answer": "cfdea"},
]


@pytest.fixture(scope="module")
def texts():
    return Texts(ROWS, words_tokenizer())


def by_hand(models, texts):
    """Tokens, right and cost of each text, a text at a time and without padding."""
    rows = []
    for number in range(len(texts)):
        batch = texts.batch(torch.tensor([number]))
        labels = batch.labels[0]
        places = [i for i in range(1, len(labels)) if labels[i] >= 0]
        row = [len(places)]
        for model in models:
            with torch.no_grad():
                logits = model(**batch.inputs).logits[0].double().log_softmax(-1)
            row.append(sum(int(logits[i - 1].argmax() == labels[i]) for i in places))
            row.append(-sum(logits[i - 1, labels[i]].item() for i in places))
        rows.append(row)
    return np.array(rows, dtype=float)


@pytest.mark.parametrize("batch_size", [1, 3, 32])
def test_language_models_are_measured_token_by_token(texts, batch_size):
    teacher, student = llama(2, 1), llama(1, 2)
    result = headroom(freeze(teacher), student, texts, batch_size=batch_size)
    n, right_t, cost_t, _, cost_s = by_hand([teacher, student], texts).T
    assert (result.units, result.unit) == (int(n.sum()), "tokens")
    assert result.teacher_score == pytest.approx(100 * right_t.sum() / n.sum())
    assert result.student_nll == pytest.approx(cost_s.sum() / n.sum(), rel=1e-5)
    gap = (cost_s - cost_t).sum() / n.sum()
    assert result.nll_gap.mean == pytest.approx(gap, rel=1e-4)
    assert result.score_gap.mean == pytest.approx(result.only_teacher - result.only_student)
    # texts are independent, the tokens of one text are not
    residuals = (cost_s - cost_t) - gap * n
    error = math.sqrt(len(n) / (len(n) - 1) * (residuals**2).sum()) / n.sum()
    half = stats.t.ppf(0.975, len(n) - 1) * error
    assert result.nll_gap.high - result.nll_gap.mean == pytest.approx(half, rel=1e-4)
    assert result.nll_gap.n == len(ROWS)


def test_texts_as_a_pair_of_tensors_are_texts_too(texts):
    """Tokens beside themselves: each is scored on the next, and not on itself as a tag would be."""
    teacher, student = llama(2, 1), llama(1, 2)
    all_texts = texts.batch(torch.arange(len(texts)))
    kept = all_texts.inputs["attention_mask"] == 1
    labels = all_texts.inputs["input_ids"].masked_fill(~kept, -100)
    pair = headroom(teacher, student, (all_texts.inputs, labels))
    costs = []
    for model in (teacher, student):
        with torch.no_grad():
            logits = model(**all_texts.inputs).logits.double()
        costs.append(
            nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten())
        )
    assert (pair.units, pair.unit) == (int((kept.sum(1) - 1).sum()), "tokens")
    assert pair.teacher_nll == pytest.approx(costs[0].item(), rel=1e-5)
    assert pair.student_nll == pytest.approx(costs[1].item(), rel=1e-5)
    assert headroom(teacher, student, (all_texts.inputs, all_texts.labels)) == headroom(
        teacher, student, texts
    )
    ids = all_texts.inputs["input_ids"][:, :3]  # a plain tensor, and no padding
    bare = headroom(teacher, student, (ids, ids))
    assert bare.units == 2 * len(ids)
    assert bare == headroom(teacher, student, (ids, ids), task="language")
    tagged = headroom(teacher, student, (ids, ids), task="tagging")
    assert tagged.units == 3 * len(ids) and tagged.teacher_nll != bare.teacher_nll
    table = compare({"a": teacher, "b": student}, (ids, ids), columns=["nll"])
    assert [row.nll for row in table.rows] == pytest.approx([bare.teacher_nll, bare.student_nll])


def test_texts_of_one_length_give_the_paired_interval_of_their_means():
    rows = [{"prompt": a, "answer": b} for a, b in ("ab", "bc", "cd", "de", "ef", "fg")]
    texts, models = Texts(rows, words_tokenizer()), [llama(2, 1), llama(1, 2)]
    n, _, cost_t, _, cost_s = by_hand(models, texts).T
    expected = paired_interval(cost_s / n, cost_t / n)
    result = headroom(*models, texts).nll_gap
    for name in ("mean", "low", "high"):
        assert getattr(result, name) == pytest.approx(getattr(expected, name), rel=1e-4)


def test_the_wider_vocabulary_is_cut(texts):
    class Padded(nn.Module):
        def __init__(self, model):
            super().__init__()
            self.inner = model

        def forward(self, **inputs):
            logits = self.inner(**inputs).logits
            return nn.functional.pad(logits, (0, 5), value=50.0)

    teacher, student = llama(2, 1), llama(1, 2)
    assert headroom(Padded(teacher), student, texts) == headroom(teacher, student, texts)


def test_texts_that_cannot_be_scored_are_refused(texts):
    model, tokenizer = llama(1, 2), words_tokenizer()
    asked = Texts([{"prompt": "a"}, {"prompt": "b"}], tokenizer, prompts_only=True)
    with pytest.raises(ValueError, match="two texts or more with an answer to score; got 0"):
        headroom(model, model, asked)
    with pytest.raises(ValueError, match="two texts or more with an answer to score; got 1"):
        headroom(model, model, Texts(ROWS[:1], tokenizer))

    class Narrow(nn.Module):
        def forward(self, **inputs):
            return model(**inputs).logits[..., : len(WORDS) - 6]

    with pytest.raises(ValueError, match="do not read with one tokenizer"):
        headroom(Narrow(), model, texts)


def test_a_report_with_teacher_and_baseline_says_the_headroom(case):
    teacher, student, data = case
    models = {"teacher": teacher, "labels": student, "distilled": teacher}
    report = compare(models, data, teacher="teacher", baseline="labels", columns=["accuracy"])
    assert str(headroom(*case)) in report.notes[0]
    alone = compare(models, data, teacher="teacher", columns=["accuracy"])
    assert not any("Headroom" in note for note in alone.notes)
