"""The report, in every form it is shown in: what is read there, and that it can be read."""

import math
import re
import sys
from dataclasses import replace
from html.parser import HTMLParser

import pytest
import torch

from distill_lab.course.figures import svg
from distill_lab.evaluation import (
    DEFAULT_COLUMNS,
    Latency,
    ModelResult,
    PeakMemory,
    Report,
    SpeedUp,
    TrainingFlops,
    compare,
)
from distill_lab.evaluation.rendering import RULES

ODD = 'T^2 & 50 %_<b>|"x"'  # everything HTML takes for its own


def row(name, by_seed=(), **figures):
    plain = {
        "seeds": max(1, len(by_seed)),
        "accuracy": 91.5,
        "nll": 0.25,
        "ece": 2.0,
        "worst_class": 7,
        "worst_class_name": "7",
        "worst_class_accuracy": 80.0,
    }
    return ModelResult(name, **{**plain, "by_seed": {"accuracy": tuple(by_seed)}, **figures})


@pytest.fixture
def report():
    teacher = row(
        "teacher",
        accuracy=98.0,
        agreement=100.0,
        kl_to_teacher=0.0,
        retained=100.0,
        points=0.0,
        parameters=85_002,
        size_bytes=340_480,
        latency=Latency(0.1, 0.2, 10_000.0, 1, 9),
        speed_up=SpeedUp(1.0, 1.0, 1.0, 5),
    )
    student = row(
        ODD,
        by_seed=(91.0, 91.5, 92.0),
        worst_class_name="<i>",
        retained=93.4,
        points=-6.5,
        parameters=1_210,
        size_bytes=5_136,
        flops=2_368,
        peak_memory=PeakMemory(4_840, 160, 1),
        training_flops=TrainingFlops(3e6, 1e6),
        latency=Latency(0.05, 0.07, 20_000.0, 1, 9),
        speed_up=SpeedUp(1.9, 2.0, 2.25, 5),
        extra={"judge": 0.5},
    )
    logits = {"teacher": torch.eye(3), "a": torch.eye(3)[[0, 0, 0]]}
    differences = compare(logits, (torch.zeros(3, 1), torch.arange(3)), "teacher", columns=["nll"])
    return Report(
        (teacher, student),
        caption="Measured on 3 examples.",
        notes=("A note & more.",),
        columns=(*DEFAULT_COLUMNS, "judge"),
        differences=differences.differences,
        teacher="teacher",
    )


def line(text, start):
    return next(li for li in text.splitlines() if li.startswith(start))


def test_the_text_says_figures_with_units_and_intervals(report):
    text = report.to_text()
    assert text.startswith("Measured on 3 examples.\n") and "A note & more." in text
    # sd 0.5 of 3 seeds: 91.5 +- 4.303 * 0.5 / sqrt 3
    assert line(text, "accuracy, %").split()[2:] == ["98.00", "91.50", "[90.26,", "92.74]"]
    assert line(text, "retained").split()[-4:] == ["100.0", "(+0.00)", "93.4", "(-6.50)"]
    assert line(text, "size on disk, kB").split()[-2:] == ["340.48", "5.14"]
    assert line(text, "parameters").split()[-2:] == ["85,002", "1,210"]
    assert line(text, "worst class").split()[-2:] == ["<i>:", "80.0"]
    assert line(text, "speed-up").split()[-3:] == ["1.00", "2.00", "(1.90-2.25)"]
    assert line(text, "agreement").endswith("not measured")
    assert line(text, "judge").split()[1:3] == ["not", "measured"]
    assert "a minus teacher  -66.67  [" in text and "McNemar" in text and "3 examples" in text
    assert str(report) == repr(report) == text


def test_figures_stand_under_each_other(report):
    text = report.select("nll", "accuracy", "ece").to_text()
    head, *lines = text.splitlines()[2:6]
    assert head.startswith("measure")
    places = [[m.start() for m in re.finditer(r"\.\d+", li)][:2] for li in lines]
    assert places[1][0] == places[2][0] == places[0][0] + 2  # two digits more behind the point
    assert places[1][1] == places[2][1]  # whether an interval follows or not


def test_a_measure_that_nobody_took_is_shown_only_where_it_was_asked_for(report):
    bare = replace(report, rows=(row("a"), row("b")), columns=DEFAULT_COLUMNS)
    assert "latency" not in bare.to_text()
    asked = bare.select("accuracy", "latency_p50")
    assert line(asked.to_text(), "latency p50, ms").count("not measured") == 2
    with pytest.raises(ValueError, match="name some of"):
        bare.select("latency")


def test_the_smallest_figure_sets_the_unit(report):
    spent = ("training_flops", "student_flops", "teacher_flops")
    text = report.select("peak_memory", "flops", *spent, "throughput").to_text()
    assert line(text, "peak memory, kB").endswith("5.00")
    assert line(text, "arithmetic of one answer, kFLOPs").endswith("2.37")
    assert line(text, "arithmetic of its training, MFLOPs").endswith("4.00")
    assert line(text, "of it the student's own, MFLOPs").endswith("3.00")
    assert line(text, "of it asking the teacher, MFLOPs").endswith("1.00")
    assert line(text, "throughput, examples/s").endswith("20,000")
    small = replace(report, rows=(row("a", size_bytes=999), row("b", size_bytes=5_000_000)))
    assert line(small.select("size").to_text(), "size on disk, B").split()[-2:] == [
        "999",
        "5,000,000",
    ]


class Reader(HTMLParser):
    """Reads tables and refuses tags that do not close."""

    def __init__(self, html):
        super().__init__()
        self.open, self.tables = [], []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        if tag == "br":
            return
        self.open.append(tag)
        if tag == "table":
            self.tables.append({"caption": "", "rows": []})
        elif tag == "tr":
            self.tables[-1]["rows"].append([])
        elif tag in ("td", "th"):
            self.tables[-1]["rows"][-1].append({"tag": tag, "words": "", **dict(attrs)})

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "caption" in self.open:
            self.tables[-1]["caption"] += data
        elif "td" in self.open or "th" in self.open:
            self.tables[-1]["rows"][-1][-1]["words"] += data + " "


def test_the_html_is_whole_and_every_heading_has_its_scope(report):
    html = report.to_html()
    tables = Reader(html).tables
    assert [t["caption"] for t in tables] == ["Measured on 3 examples.", "Differences in accuracy"]
    for table in tables:
        head, *body = table["rows"]
        assert all(cell["tag"] == "th" and cell["scope"] == "col" for cell in head)
        assert all(cell["words"].strip() for cell in head)  # no empty heading
        assert len({len(cells) for cells in table["rows"]}) == 1
        for first, *cells in body:
            assert first["tag"] == "th" and first["scope"] == "row"
            assert all(cell["tag"] == "td" and cell["words"].strip() for cell in cells)
            # A narrow page may break words, never an interval.
            assert all("nowrap" in c["style"] for c in cells if "[" in c["words"])
    assert "T^2 &amp; 50 %_&lt;b&gt;|&quot;x&quot;" in html and "<b>" not in html
    assert "&lt;i&gt;: 80.0" in html
    assert report._repr_html_() == report.to_html()


def test_what_a_colour_says_is_said_in_words_too(report):
    named = replace(report, rows=(*report.rows, row("plain")), baseline="plain")
    heads = Reader(named.to_html()).tables[0]["rows"][0]
    for head, role in zip(heads[1:], ("teacher", "student", "baseline"), strict=True):
        assert role in head["words"] and RULES[role] in head["style"]
    without = replace(report, teacher=None).to_html()
    assert not any(rule in without for rule in RULES.values())


def test_roles_look_as_they_do_in_the_course():
    assert RULES["teacher"] == f"solid {svg.TEACHER}" and svg.DASHES[svg.TEACHER] == ""
    assert RULES["student"] == f"dashed {svg.STUDENT}"
    assert RULES["baseline"] == f"dotted {svg.HARD}"


def test_the_frame_has_every_figure_unrounded(report):
    frame = report.to_frame()
    assert list(frame.index) == ["teacher", ODD] and frame.index.name == "model"
    assert [name for name in frame if name != "worst_class_name"] == list(report.columns)
    student = frame.loc[ODD]
    assert student["accuracy"] == 91.5 and student["size"] == 5136 and student["judge"] == 0.5
    assert student["worst_class_name"] == "<i>" and student["worst_class"] == 80.0
    assert student["speed_up"] == 2.0 and student["latency_p95"] == 0.07
    assert math.isnan(student["agreement"])  # not measured
    assert all(frame[name].dtype == float for name in frame if name != "worst_class_name")
    assert frame.attrs["caption"] == report.caption and frame.attrs["notes"] == report.notes
    assert frame.attrs["units"]["size"] == "B" and frame.attrs["units"]["nll"] == "nats"
    kept = report.select("parameters", "accuracy").to_frame()
    assert list(kept) == ["parameters", "accuracy"] and kept.loc["teacher", "parameters"] == 85_002
    assert "91.5" in frame.T.to_markdown() and "91.5" in frame[["accuracy"]].to_latex()


def test_a_frame_without_pandas_is_refused_in_words(report, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match="pip install pandas"):
        report.to_frame()


def test_figures_that_are_not_finite_have_words():
    odd = row("a", nll=math.inf, ece=math.nan, retained=-math.inf, by_seed=(1.0, math.inf))
    text = Report((odd,), "c", columns=("nll", "ece", "retained")).to_text()
    assert line(text, "NLL").endswith("  infinite") and line(text, "ECE").endswith("not a number")
    assert line(text, "retained").endswith("-infinite")


def test_a_sure_and_wrong_model_has_an_infinite_nll():
    sure = torch.tensor([[0.0, -torch.inf]] * 2)
    report = compare({"sure": sure}, (torch.zeros(2, 1), torch.tensor([0, 1])))
    assert report["sure"].nll == report.to_frame().loc["sure", "nll"] == math.inf


def test_an_unknown_model_is_refused_in_words(report):
    with pytest.raises(KeyError, match="was not compared; these were: "):
        report["b"]
