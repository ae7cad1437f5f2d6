"""The report: every figure is the metric's own, in every form it is shown in."""

import json

import pytest
import torch
from torch import nn

from distill_lab.datasets import Examples
from distill_lab.evaluation import (
    accuracy,
    agreement,
    compare,
    count_parameters,
    ece,
    kl_to_teacher,
    nll,
    predict_logits,
    size_on_disk,
    worst_class,
)
from distill_lab.teachers import freeze

FAST = {"runs": 3, "warmup": 0}


@pytest.fixture
def data():
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(60, 4, generator=generator)
    return Examples(inputs, inputs[:, :3].argmax(-1))


@pytest.fixture
def models():
    torch.manual_seed(0)
    return {"big <net>": nn.Sequential(nn.Linear(4, 9), nn.Linear(9, 3)), "small": nn.Linear(4, 3)}


def test_every_figure_is_the_metrics_own(data, models):
    report = compare(models, data, teacher="big <net>", **FAST)
    assert [row.name for row in report.rows] == list(models)
    teacher = predict_logits(models["big <net>"], data.inputs)
    for name, model in models.items():
        row, logits = report[name], predict_logits(model, data.inputs)
        assert row.accuracy == accuracy(logits, data.labels)
        assert row.nll == nll(logits, data.labels)
        assert row.ece == ece(logits, data.labels)
        assert (row.worst_class, row.worst_class_accuracy) == worst_class(logits, data.labels)
        assert row.agreement == agreement(logits, teacher)
        assert row.kl_to_teacher == kl_to_teacher(logits, teacher)
        assert row.parameters == count_parameters(model)
        assert row.size_bytes == size_on_disk(model)
        assert row.retained == 100 * row.accuracy / report["big <net>"].accuracy
        assert row.speed_up == report["big <net>"].latency.p50_ms / row.latency.p50_ms
        assert row.latency.batch == 1 and row.latency.runs == 3
    assert (report["big <net>"].retained, report["big <net>"].speed_up) == (100, 1)
    assert report["small"].kl_to_teacher > 0 == report["big <net>"].kl_to_teacher


def test_a_teacher_may_be_a_model_of_its_own_or_one_of_the_models(data, models):
    teacher = freeze(nn.Linear(4, 3))
    apart = compare({"small": models["small"]}, data, teacher=teacher, **FAST)
    assert [row.name for row in apart.rows] == ["teacher", "small"]
    among = compare({"wise": teacher, **models}, data, teacher=teacher, **FAST)
    assert [row.name for row in among.rows] == ["wise", *models]
    assert among["wise"].retained == 100 and "Teacher: wise." in among.caption


def test_without_a_teacher_nothing_is_held_against_one(data, models):
    report = compare(models, data, **FAST)
    assert all(row.agreement is row.retained is row.speed_up is None for row in report.rows)
    assert "teacher" not in report.to_text().lower()


def test_the_table_reads_the_same_in_text_html_and_json(data, models):
    report = compare(models, data, teacher="big <net>", **FAST)
    text, html, parsed = report.to_text(), report._repr_html_(), json.loads(report.to_json())
    assert "Measured on 60 examples" in text and report.caption in text
    lines = text.splitlines()[:-1]
    assert len({len(line) for line in lines}) == 1  # columns stand under each other
    shown = f"{report['small'].accuracy:.2f}"
    assert lines[1].split()[-1] == shown and f"<td>{shown}</td>" in html
    assert '<th scope="col">big &lt;net&gt;</th>' in html and "big <net>" not in html
    assert '<th scope="row"' in html and "<caption>Measured on 60 examples" in html
    assert parsed["rows"][1]["accuracy"] == report["small"].accuracy
    assert parsed["rows"][0]["latency"]["batch"] == 1
    assert str(report) == repr(report) == text


def test_json_has_null_for_what_it_cannot_hold(data, models):
    sure = nn.Linear(4, 3)
    nn.init.zeros_(sure.weight)
    sure.bias.data = torch.tensor([0.0, -torch.inf, -torch.inf])
    report = compare({"sure": sure}, data, **FAST)
    assert report["sure"].nll == torch.inf
    assert json.loads(report.to_json())["rows"][0]["nll"] is None


STACKED = Examples(torch.zeros(2, 5, 4), torch.zeros(2, 5, dtype=torch.long))
PLAIN = STACKED.at(0)
NET = nn.Linear(4, 3)

BAD = [
    (lambda: compare({"a": NET}, STACKED), ValueError, r"Choose a seed with data.at\(i\)"),
    (lambda: compare({}, PLAIN), ValueError, "nothing to compare"),
    (lambda: compare({"a": NET}, PLAIN, teacher="b"), ValueError, r"one of the models, \['a'\]"),
    (lambda: compare({"a": "net"}, PLAIN), TypeError, "expected a torch module"),
    (
        lambda: compare({"teacher": NET}, PLAIN, teacher=nn.Linear(4, 3)),
        ValueError,
        'two models would be called "teacher"',
    ),
    (lambda: compare({"a": NET}, PLAIN, **FAST)["b"], KeyError, "'b' was not compared"),
]


@pytest.mark.parametrize(("call", "error", "sentence"), BAD)
def test_bad_input_gets_a_sentence(call, error, sentence):
    with pytest.raises(error, match=sentence):
        call()
