"""`compare`: every figure is the metric's own, for one network and for many seeds."""

import math

import pytest
import torch
from sklearn.linear_model import LinearRegression
from torch import nn

from distill_lab.data.datasets import Examples
from distill_lab.evaluation import (
    COLUMNS,
    DEFAULT_COLUMNS,
    accuracy,
    agreement,
    compare,
    count_flops,
    count_parameters,
    ece,
    kl_to_teacher,
    latency,
    measure_peak_memory,
    nll,
    per_class_accuracy,
    predict_logits,
    size_on_disk,
    training_flops,
    worst_class,
)
from distill_lab.evaluation.statistics import mean_interval, paired_interval
from distill_lab.models import MLP
from distill_lab.seeds import SeedRuns, Stacked
from distill_lab.teachers import freeze

FAST = {"runs": 3, "warmup": 0}
QUALITY = ["accuracy", "nll", "ece", "worst_class"]


@pytest.fixture
def data():
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(60, 4, generator=generator)
    return Examples(inputs, inputs[:, :3].argmax(-1))


@pytest.fixture
def stacked(data):
    return Examples(torch.stack([data.inputs, -data.inputs]), torch.stack([data.labels] * 2))


@pytest.fixture
def models():
    torch.manual_seed(0)
    return {"big": nn.Sequential(nn.Linear(4, 9), nn.Linear(9, 3)), "small": nn.Linear(4, 3)}


def networks(*seeds):
    return [MLP(4, 3, seed=seed) for seed in seeds]


def test_every_figure_is_the_metrics_own(data, models):
    report = compare(models, data, teacher="big", columns="all", batch=8, **FAST)
    assert [row.name for row in report.rows] == list(models)
    teacher = predict_logits(models["big"], data.inputs)
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
        assert row.flops == count_flops(model, data.inputs)
        assert row.peak_memory == measure_peak_memory(model, data.inputs[:8])
        assert row.retained == 100 * row.accuracy / report["big"].accuracy
        assert row.points == row.accuracy - report["big"].accuracy
        assert row.latency.batch == 8 and row.latency.runs == 3
        assert row.speed_up.low <= row.speed_up.median <= row.speed_up.high
        assert (row.seeds, row.worst_class_name) == (1, str(row.worst_class))
    assert (report["big"].retained, report["big"].points) == (100, 0)
    assert report["big"].speed_up.median == 1
    assert report["small"].kl_to_teacher > 0 == report["big"].kl_to_teacher


def test_two_networks_are_told_apart_by_mcnemar(data, models):
    (result,) = compare(models, data, teacher="big", columns=["accuracy"]).differences
    right = [predict_logits(m, data.inputs).argmax(-1) == data.labels for m in models.values()]
    assert (result.model, result.against, result.of) == ("small", "big", "examples")
    assert result.above == int((right[1] & ~right[0]).sum())
    assert result.below == int((right[0] & ~right[1]).sum())
    assert result.test == "McNemar's exact test" and result.interval.n == 60


def test_seeds_are_means_with_their_values_kept(data):
    teacher, three = networks(9)[0], networks(0, 1, 2)
    report = compare({"student": three}, data, teacher=teacher, columns=[*QUALITY, "retained"])
    logits = torch.stack([predict_logits(m, data.inputs) for m in three])
    row, best = report["student"], report["teacher"].accuracy
    assert row.seeds == 3 and report["teacher"].seeds == 1
    assert row.by_seed["accuracy"] == tuple(accuracy(logits, data.labels).tolist())
    assert row.accuracy == pytest.approx(accuracy(logits, data.labels).mean().item())
    assert row.nll == pytest.approx(nll(logits, data.labels).mean().item())
    per_class = per_class_accuracy(logits, data.labels)
    assert row.worst_class == int(per_class.mean(0).argmin())
    assert row.worst_class_accuracy == pytest.approx(per_class.mean(0).min().item())
    assert row.by_seed["retained"] == tuple(100 * a / best for a in row.by_seed["accuracy"])
    (result,) = report.differences
    assert result.interval == paired_interval(row.by_seed["accuracy"], best)
    interval = mean_interval(list(row.by_seed["accuracy"]))
    assert f"[{interval.low:.2f}, {interval.high:.2f}]" in report.to_text()


def test_the_forms_of_a_model_give_the_same_figures(data):
    three = networks(0, 1, 2)
    runs = SeedRuns(Stacked(three), example_dims=1)
    logits = torch.stack([predict_logits(m, data.inputs) for m in three])
    forms = {"list": three, "tuple": tuple(three), "runs": runs, "logits": logits}
    report = compare(forms, data, columns=["accuracy", "parameters", "flops"])
    wanted = report["list"].by_seed["accuracy"]
    for name in forms:
        assert report[name].by_seed["accuracy"] == pytest.approx(wanted)
    assert report["runs"].parameters == report["list"].parameters == count_parameters(three[0])
    assert report["logits"].parameters is None and "not measured" in report.to_text()
    assert report["runs"].flops == count_flops(three[0], data.inputs)


def test_stacked_data_gives_each_seed_its_own_row(stacked):
    two, one = networks(0, 1), networks(5)[0]
    report = compare({"two": two}, stacked, teacher=one, columns=["accuracy", "agreement"])
    wanted = [
        accuracy(predict_logits(m, stacked.at(i).inputs), stacked.at(i).labels)
        for i, m in enumerate(two)
    ]
    assert report["two"].by_seed["accuracy"] == tuple(wanted)
    alone = [
        accuracy(predict_logits(one, stacked.at(i).inputs), stacked.at(i).labels) for i in range(2)
    ]
    assert report["teacher"].by_seed["accuracy"] == tuple(alone)
    assert report.differences[0].interval == paired_interval(wanted, alone)
    assert "new ones for each of 2 seeds" in report.caption


def test_differences_stand_against_baseline_and_teacher_each_pair_once(data):
    given = {"kd": networks(0, 1), "ce": networks(2, 3), "teacher": networks(4, 5)}
    report = compare(given, data, teacher="teacher", baseline="ce", columns=["accuracy"])
    pairs = [(d.model, d.against) for d in report.differences]
    assert pairs == [("kd", "ce"), ("teacher", "ce"), ("kd", "teacher")]
    assert report.difference("kd", "ce") is report.differences[0]
    turned = report.difference("ce", "teacher")  # known the other way round only
    assert turned.interval.mean == pytest.approx(-report.differences[1].interval.mean)
    kl = report.difference("kd", "ce", "kl_to_teacher")
    assert kl.interval.mean == pytest.approx(
        report["kd"].kl_to_teacher - report["ce"].kl_to_teacher
    )
    wide = compare(given, data, baseline="ce", splits=(100, 60), columns=["accuracy"])
    assert "Nadeau-Bengio" in wide.differences[0].interval.kind
    assert "Nadeau-Bengio" in wide.difference("kd", "teacher").interval.kind
    assert "splits overlap" in wide.to_text()


def test_a_teacher_may_be_a_model_of_its_own_or_one_of_the_models(data, models):
    teacher = freeze(nn.Linear(4, 3))
    apart = compare({"small": models["small"]}, data, teacher=teacher, **FAST)
    assert [row.name for row in apart.rows] == ["teacher", "small"]
    among = compare({"wise": teacher.model, **models}, data, teacher=teacher, **FAST)
    assert [row.name for row in among.rows] == ["wise", *models]
    assert among["wise"].retained == 100 and "Teacher: wise." in among.caption


def test_without_a_teacher_nothing_is_held_against_one(data, models):
    report = compare(models, data, **FAST)
    for row in report.rows:
        assert row.agreement is row.retained is row.points is row.speed_up is None
    assert report.differences == () and "teacher" not in report.to_text().lower()


def test_a_baseline_is_what_speed_is_held_against_where_there_is_no_teacher(data, models):
    report = compare(models, data, baseline="small", **FAST)
    assert report["small"].speed_up.median == 1 and report["big"].speed_up is not None
    assert "Speed-up over small" in report.to_text()
    assert report["big"].retained is None


def test_what_is_not_named_is_not_measured(data, models, monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("nobody asked for this")

    for name in (
        "time_in_turn",
        "time_in_blocks",
        "count_flops",
        "measure_peak_memory",
        "size_on_disk",
    ):
        monkeypatch.setattr(f"distill_lab.evaluation.contender_costs.{name}", refuse)
    row = compare(models, data, columns=["accuracy", "ece"])["small"]
    assert row.latency is row.flops is row.peak_memory is row.size_bytes is row.parameters is None


def test_by_default_only_what_is_cheap_is_shown(data, models):
    assert {"flops", "peak_memory", "throughput"} <= COLUMNS.keys() - set(DEFAULT_COLUMNS)
    row = compare(models, data, **FAST)["small"]
    assert row.flops is row.peak_memory is None and row.latency is not None


def test_columns_come_in_the_order_named(data, models):
    report = compare(models, data, columns=["nll", "accuracy"], measures={"most": len_of})
    assert report.columns == ("nll", "accuracy")
    lines = [line.split(",")[0] for line in report.to_text().splitlines()[3:5]]
    assert lines == ["NLL", "accuracy"]


def len_of(logits, labels):
    return float(len(labels)) + logits.shape[-1] / 10


def test_a_measure_of_ones_own_stands_beside_the_others(data, models):
    scores = {"big": 0.25}
    report = compare(models, data, measures={"most": len_of, "judge": scores}, **FAST)
    assert report["big"].extra == {"most": 60.3, "judge": 0.25}
    assert report["small"].extra == {"most": 60.3, "judge": None}
    assert report.columns == (*DEFAULT_COLUMNS, "most", "judge")
    judged = next(line for line in report.to_text().splitlines() if line.startswith("judge"))
    assert judged.endswith("not measured") and "0.25" in judged
    seeds = compare(
        {"a": networks(0, 1)}, data, columns=["win"], measures={"win": {"a": [1.0, 3.0]}}
    )
    assert seeds["a"].extra["win"] == 2 and seeds["a"].by_seed["win"] == (1, 3)


def test_weights_of_examples_are_left_out_and_the_report_says_so(data, models):
    plain = compare(models, data, columns=["accuracy"])
    data = (data.inputs, data.labels, torch.rand(60))
    weighed = compare(models, data, columns=["accuracy"])
    assert [row.accuracy for row in weighed.rows] == [row.accuracy for row in plain.rows]
    assert any("weights of the examples are not used" in note for note in weighed.notes)
    assert not any("weights of the examples" in note for note in plain.notes)


def test_what_training_spent_is_shown_where_it_is_told(data, models):
    asked = {"examples": 60, "epochs": 10, "teacher": models["big"], "cached": True}
    spent = training_flops(models["small"], data.inputs, **asked)
    report = compare(models, data, spent={"small": spent}, **FAST)
    assert report["small"].training_flops == spent and report["big"].training_flops is None
    apart = {
        "arithmetic of its training": spent.total,
        "of it the student's own": spent.student,
        "of it asking the teacher": spent.teacher,
    }
    assert spent.student == 43_200 and 0 < spent.teacher != spent.student
    for title, flops in apart.items():
        line = next(li for li in report.to_text().splitlines() if li.startswith(title))
        assert "kFLOPs" in line and f"{flops / 1000:.2f}" in line and "not measured" in line
    untold = compare(models, data, columns="all", runs=3, warmup=1).to_text()
    assert "of its training" not in untold and "of it" not in untold


def test_classes_are_called_by_their_names(data, models):
    row = compare(models, data, class_names=["cat", "dog", "owl"], columns=["worst_class"])["small"]
    assert row.worst_class_name == ["cat", "dog", "owl"][row.worst_class]


def test_a_class_nobody_drew_is_not_the_worst():
    labels = torch.tensor([0, 0, 1, 1])
    logits = torch.eye(3)[[0, 0, 1, 0]]
    report = compare({"a": logits}, (torch.zeros(4, 1), labels), columns=["worst_class"])
    assert (report["a"].worst_class, report["a"].worst_class_accuracy) == (1, 50.0)


def test_a_teacher_that_is_never_right_leaves_retained_open(data):
    wrong = torch.eye(3)[(data.labels + 1) % 3]
    report = compare({"a": networks(0)[0]}, data, teacher=wrong, columns=["retained"])
    assert math.isnan(report["a"].retained) and "not a number" in report.to_text()


def test_models_are_timed_in_turn(monkeypatch):
    order = []

    class Named(nn.Module):
        def __init__(self, name):
            super().__init__()
            self.name = name

        def forward(self, x):
            order.append(self.name)
            return x

    models = {name: Named(name) for name in "abc"}
    latency.time_in_turn(models, torch.rand(1, 2), runs=3, warmup=1)
    assert "".join(order) == "abcbcacababc"  # each once a round, each first in its turn
    # A machine that gets slower with every call leaves the ratio of equals at 1.
    spans, now = [], 0.0
    for i in range(400):
        spans += [now, now + 1 + 0.01 * (i // 2)]
        now = spans[-1]
    monkeypatch.setattr(latency.time, "perf_counter", iter(spans).__next__)
    pair = {name: nn.Identity() for name in "ab"}
    times = latency.time_in_turn(pair, torch.rand(1, 2), runs=200, warmup=0)
    result = latency.speed_up(times["a"], times["b"])
    assert (result.low, result.median, result.high) == pytest.approx((1, 1, 1))


class Clock:
    """Time of our own: a call takes longer where the caches were left to another model."""

    def __init__(self, refill=1e-9):
        self.now, self.last, self.calls, self.began, self.refill = 0.0, None, [], 0.0, refill

    def __call__(self):
        return self.now

    def model(self, name, seconds):
        def run(inputs):
            if self.last != name:
                self.last, self.began = name, self.now
            cold = self.now - self.began < self.refill
            self.calls.append(name)
            self.now += seconds * (3 if cold else 1)

        return run


def test_a_block_of_calls_has_the_caches_to_itself(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(latency.time, "perf_counter", clock)
    models = {"large": clock.model("large", 9.9e-3), "small": clock.model("small", 1.1e-4)}
    times = latency.time_in_blocks(models, torch.rand(1, 2), runs=40, warmup=4)
    # Blocks of 15, 15 and 10 counted calls, each after 5 that are not, or after 3 ms of them.
    before = {"large": 5, "small": 26}
    sizes = [(name, size + n) for size in (15, 15, 10) for name, n in before.items()]
    wanted = [name for name, size in sizes for _ in range(size)]
    assert clock.calls[8:] == wanted and clock.calls[:8] == ["large"] * 4 + ["small"] * 4
    assert times["large"] == pytest.approx(torch.full((40,), 9.9, dtype=torch.float64))
    assert times["small"] == pytest.approx(torch.full((40,), 0.11, dtype=torch.float64))
    alone = latency.speed_up(times["large"], times["small"])
    assert (alone.low, alone.median, alone.high) == pytest.approx((90, 90, 90))
    in_turn = latency.time_in_turn(models, torch.rand(1, 2), runs=4, warmup=1)
    assert in_turn["small"].median() == pytest.approx(0.33)  # and so it does not stay unseen


@pytest.mark.parametrize("milliseconds", [0.06, 0.2, 9])
def test_caches_that_fill_slowly_are_waited_for(monkeypatch, milliseconds):
    clock = Clock(refill=2e-3)  # 2 MB of weights took as long
    monkeypatch.setattr(latency.time, "perf_counter", clock)
    models = {
        "large": clock.model("large", 20e-3),
        "small": clock.model("small", milliseconds / 1e3),
    }
    times = latency.time_in_blocks(models, torch.rand(1, 2), runs=30, warmup=4)
    assert times["small"] == pytest.approx(torch.full((30,), milliseconds, dtype=torch.float64))


def test_a_model_without_company_is_timed_call_by_call(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(latency.time, "perf_counter", clock)
    latency.time_in_blocks({"a": clock.model("a", 1e-3)}, torch.rand(1, 2), runs=40, warmup=3)
    assert len(clock.calls) == 43


def test_the_report_shows_both_times(data, models):
    report = compare(models, data, runs=4, warmup=1)
    for row in report.rows:
        assert (row.latency.runs, row.latency_in_turn.runs) == (4, 4)
    assert "latency in turn, ms" in report.to_text()
    alone = compare({"small": models["small"]}, data, runs=4, warmup=1)
    assert alone["small"].latency_in_turn is None and "in turn, ms" not in alone.to_text()


def test_models_are_left_in_the_mode_they_came_in(data):
    mixed = nn.Sequential(nn.Linear(4, 5), nn.Dropout(0.5), nn.Linear(5, 3))
    mixed[1].eval()
    runs = SeedRuns(Stacked(networks(0, 1)), example_dims=1)
    runs.students.train()
    several = networks(2, 3)
    several[0].eval()
    teacher = freeze(networks(4)[0])
    given = {"mixed": mixed, "runs": runs, "list": several}
    before = {k: v.clone() for k, v in mixed.state_dict().items()}
    compare(given, data, teacher=teacher, columns="all", **FAST)
    assert [m.training for m in mixed.modules()] == [True, True, False, True]
    assert [m.training for m in runs.students.modules()] == [True] * len([*runs.students.modules()])
    assert [m.training for m in several] == [False, True] and not teacher.model.training
    assert all(torch.equal(before[k], v) for k, v in mixed.state_dict().items())
    assert all(p.requires_grad for p in mixed.parameters())


def test_the_random_state_is_not_touched(data, models):
    before = torch.random.get_rng_state()
    compare(models, data, teacher="big", columns="all", **FAST)
    assert torch.equal(before, torch.random.get_rng_state())


NET = nn.Linear(4, 3)
X, Y = torch.zeros(5, 4), torch.zeros(5, dtype=torch.long)
PLAIN = Examples(X, Y)
TWICE = Examples(torch.zeros(2, 5, 4), torch.zeros(2, 5, dtype=torch.long))

BAD = [
    (lambda: compare({}, PLAIN), ValueError, "nothing to compare"),
    (lambda: compare({"a": NET}, PLAIN, teacher="b"), ValueError, r"one of the models, \['a'\]"),
    (lambda: compare({"a": "net"}, PLAIN), TypeError, "'a': expected a torch module.*list of"),
    (lambda: compare({"a": LinearRegression()}, PLAIN), TypeError, r"teachers\.sklearn\(estimator"),
    (lambda: compare({"a": []}, PLAIN), ValueError, "'a' is an empty list"),
    (lambda: compare({"a": [NET, 3]}, PLAIN), TypeError, "expected a torch module"),
    (lambda: compare({"a": [NET] * 3}, TWICE), ValueError, "each of 2 seeds, but 'a' has 3"),
    (lambda: compare({"a": torch.zeros(4, 3)}, PLAIN), ValueError, r"\(5, classes\)"),
    (lambda: compare({"a": torch.zeros(3, 5, 2)}, TWICE), ValueError, "each of 2 seeds"),
    (
        lambda: compare({"a": [NET] * 2, "b": [NET] * 3}, PLAIN),
        ValueError,
        "different numbers of seeds, {'a': 2, 'b': 3}",
    ),
    (lambda: compare({"a": NET}, PLAIN, splits=(9, 5)), ValueError, "each model is one network"),
    (
        lambda: compare({"teacher": NET}, PLAIN, teacher=nn.Linear(4, 3)),
        ValueError,
        'two models would be called "teacher"',
    ),
    (lambda: compare({"a": NET}, PLAIN, baseline="b"), ValueError, "baseline must name one"),
    (lambda: compare({"a": NET}, PLAIN, columns=["acc"]), ValueError, r"got \['acc'\]"),
    (lambda: compare({"a": NET}, PLAIN, columns="nll"), ValueError, "got 'nll'"),
    (lambda: compare({"a": NET}, PLAIN, columns=[]), ValueError, "name some of"),
    (lambda: compare({"a": NET}, PLAIN, batch=6), ValueError, "between 1 and 5"),
    (lambda: compare({"a": NET}, PLAIN, runs=1), ValueError, "runs >= 2"),
    (lambda: compare({"a": NET}, PLAIN, class_names=["a", "b"]), ValueError, "name the 3 classes"),
    (lambda: compare({"a": NET}, PLAIN, class_names="abc"), ValueError, "list of names.*'abc'"),
    (
        lambda: compare({"a": NET}, PLAIN, class_names={1: "a", 2: "b", 3: "c"}),
        ValueError,
        r"from 0 on; got \[1, 2, 3\]",
    ),
    (lambda: compare({"a": NET}, PLAIN, measures={"ece": len}), ValueError, r"called \['ece'\]"),
    (
        lambda: compare({"a": NET}, PLAIN, measures={"x": {"b": 1}}),
        ValueError,
        r"speaks of \['b'\]",
    ),
    (lambda: compare({"a": NET}, PLAIN, spent={"b": 1}), ValueError, r"spent speaks of \['b'\]"),
    (
        lambda: compare({"a": NET}, PLAIN, measures={"x": lambda logits, labels: "good"}),
        TypeError,
        "must return one number",
    ),
    (lambda: compare({"a": NET}, 3), TypeError, "data must be"),
    (lambda: compare({"a": NET}, (X, ["no"] * 5)), (TypeError, ValueError), "labels"),
    (lambda: compare({"a": NET}, (X, Y[:3])), ValueError, "5 inputs but 3 labels"),
    (lambda: compare({"a": NET}, PLAIN, task="answers"), ValueError, "task must be one of"),
    (lambda: compare({"a": NET}, PLAIN, columns=["nll"])["b"], KeyError, "'b' was not compared"),
    (
        lambda: compare({"a": NET, "b": NET}, PLAIN, columns=["nll"]).difference("a", "b"),
        ValueError,
        "name another baseline=",
    ),
]


@pytest.mark.parametrize(("call", "error", "sentence"), BAD, ids=[str(i) for i in range(len(BAD))])
def test_bad_input_gets_a_sentence(call, error, sentence):
    with pytest.raises(error, match=sentence):
        call()
