"""The report, in every form it is shown in: what is read there, and that it can be read."""

import json
import math
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
import torch
from torch import nn

from distill_lab.course.figures import svg
from distill_lab.evaluation import (
    DEFAULT_COLUMNS,
    Latency,
    PeakMemory,
    Report,
    Row,
    SpeedUp,
    TrainingFlops,
    compare,
)
from distill_lab.evaluation.rendering import RULES

ODD = 'T^2 & 50 %_<b>|"x"'  # everything HTML, LaTeX and Markdown take for their own


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
    return Row(name, **{**plain, "by_seed": {"accuracy": tuple(by_seed)}, **figures})


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
    text = report.select("accuracy", "nll", "speed_up", "size").to_text(models_in_rows=True)
    head, *lines = text.splitlines()[2:5]
    assert head.startswith("model")
    points = [[m.start() for m in re.finditer(r"\.\d+ ?", li)][:1] for li in lines]
    assert points[0] == points[1]  # the accuracy's, whether an interval follows or not
    sizes = [li.rindex(".") for li in lines]
    assert sizes[0] == sizes[1] and {len(li) for li in lines} == {len(head)}


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


@pytest.mark.parametrize("turned", [False, True])
def test_the_html_is_whole_and_every_heading_has_its_scope(report, turned):
    html = report.to_html(models_in_rows=turned)
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


@pytest.mark.parametrize("turned", [False, True])
def test_what_a_colour_says_is_said_in_words_too(report, turned):
    named = replace(report, rows=(*report.rows, row("plain")), baseline="plain")
    table = Reader(named.to_html(models_in_rows=turned)).tables[0]
    heads = [cells[0] for cells in table["rows"]] if turned else table["rows"][0]
    for head, role in zip(heads[1:], ("teacher", "student", "baseline"), strict=True):
        assert role in head["words"] and RULES[role] in head["style"]
    without = replace(report, teacher=None).to_html()
    assert not any(rule in without for rule in RULES.values())


def test_roles_look_as_they_do_in_the_course():
    assert RULES["teacher"] == f"solid {svg.TEACHER}" and svg.DASHES[svg.TEACHER] == ""
    assert RULES["student"] == f"dashed {svg.STUDENT}"
    assert RULES["baseline"] == f"dotted {svg.HARD}"


@pytest.mark.parametrize("turned", [False, True])
def test_the_latex_is_balanced_and_escaped(report, turned):
    odd = replace(report, caption="100 % & {more}~^\\ of #1 $ [x]", teacher="teacher")
    tex = odd.to_latex(models_in_rows=turned, label="tab:kd")
    bare = re.sub(r"\\\\|\\[{}&%$#_]", "", tex)  # what is left is LaTeX's own
    depth = 0
    for character in bare:
        depth += {"{": 1, "}": -1}.get(character, 0)
        assert depth >= 0
    assert depth == 0
    for name in ("table", "tabular"):
        assert tex.count(f"\\begin{{{name}}}") == tex.count(f"\\end{{{name}}}") == 2
    for rule in ("toprule", "midrule", "bottomrule"):
        assert tex.count(f"\\{rule}\n") == 2
    assert r"\caption{100 \% \& \{more\}\textasciitilde{}\textasciicircum{}" in tex
    assert r"\textbackslash{} of \#1 \$ {[}x{]}}" in tex
    assert r"T\textasciicircum{}2 \& 50 \%\_\textless{}b\textgreater{}\textbar{}" in tex
    assert re.findall(r"\\label\{(.*?)\}", tex) == ["tab:kd", "tab:kd-2"]
    for block in re.findall(r"\\begin\{tabular\}\{(l?r*)\}\n(.*?)\\end\{tabular\}", tex, re.S):
        columns, rows = block
        lines = [li for li in rows.splitlines() if li.endswith(r"\\")]
        # Unescaped ampersands part the cells; a bracket must not open a row.
        assert {len(re.findall(r"(?<!\\)&", li)) for li in lines} == {len(columns) - 1}
        assert not any(li.startswith("[") for li in lines)
    assert not re.search(r"(?<!\\)%", tex.split("\n", 1)[1])


def test_the_markdown_has_one_cell_a_column(report):
    lines = [li for li in report.to_markdown().splitlines() if li.startswith("|")]
    cells = [len(re.findall(r"(?<!\\)\|", li)) for li in lines]
    first = len([li for li in lines if not li.startswith("| a minus")]) - 2
    assert set(cells[:first]) == {4} and set(cells[first:]) == {8}
    assert "**Differences in accuracy**" in report.to_markdown()


def strict(text):
    def refuse(name):
        raise AssertionError(f"{name} is not JSON")

    return json.loads(text, parse_constant=refuse)


def test_json_brings_the_whole_report_back(report):
    back = Report.from_json(report.to_json())
    assert back == report and back.to_text() == report.to_text()
    parsed = strict(report.to_json())
    assert parsed["rows"][1]["accuracy"] == 91.5 and parsed["rows"][1]["latency"]["batch"] == 1
    assert parsed["rows"][0]["flops"] is None  # not measured
    assert parsed["differences"][0]["interval"]["n"] == 3


def test_json_of_a_measured_report_brings_it_back():
    torch.manual_seed(0)
    data = torch.rand(20, 4), torch.arange(20) % 3
    models = {"a": [nn.Linear(4, 3), nn.Linear(4, 3)], "b": [nn.Linear(4, 3), nn.Linear(4, 3)]}
    found = compare(models, data, "a", columns="all", splits=(40, 20), runs=3, warmup=0)
    assert Report.from_json(found.to_json()) == found


def test_figures_that_are_not_finite_survive_strict_json():
    odd = row(
        "NaN",
        nll=math.inf,
        ece=math.nan,
        worst_class_name="Infinity",
        retained=-math.inf,
        extra={"x": math.nan, "y": None},
        by_seed={"nll": (math.inf, 1.0)},
    )
    report = Report((odd,), "c", columns=("nll", "ece", "retained", "x"))
    strict(report.to_json())
    back = Report.from_json(report.to_json()).rows[0]
    assert (back.name, back.worst_class_name) == ("NaN", "Infinity")
    assert (back.nll, back.retained, back.extra["y"]) == (math.inf, -math.inf, None)
    assert math.isnan(back.ece) and math.isnan(back.extra["x"])
    text = report.to_text()
    assert line(text, "NLL").endswith("  infinite") and line(text, "ECE").endswith("not a number")
    assert line(text, "retained").endswith("-infinite")


def test_a_sure_and_wrong_model_has_an_infinite_nll():
    sure = torch.tensor([[0.0, -torch.inf]] * 2)
    report = compare({"sure": sure}, (torch.zeros(2, 1), torch.tensor([0, 1])))
    assert strict(report.to_json())["rows"][0]["nll"] == "Infinity"


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "[1]",
        "nonsense",
        '{"format": "distill-lab report 9"}',
        '{"format": "distill-lab report 1"}',
    ],
)
def test_other_json_is_refused_in_words(text):
    with pytest.raises(ValueError, match=r"this is not a report: .+ Report.to_json wrote"):
        Report.from_json(text)


def test_an_unknown_model_is_refused_in_words(report):
    with pytest.raises(KeyError, match="was not compared; these were: "):
        report["b"]
