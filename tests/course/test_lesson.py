"""The lesson object: what it shows, what it records, and every bad argument in words."""

import re
import subprocess
import sys

import nbformat
import pytest
import torch
from nbclient import NotebookClient

from distill_lab.course import Lesson
from distill_lab.course.profile import pick
from distill_lab.course.records import MIME, collect, publish
from distill_lab.evaluation.statistics import paired_interval

CLAIMS = "".join(
    f'["99.{name}"]\nsays = "Soft targets help"\nif_not = "Soft targets hurt"\n'
    'paper = "Hinton 2015"\nwhere = "section 3"\n'
    f'published = "13.2 %"\nexpected = "{expected}"\n'
    for name, expected in (("a", "above"), ("b", "exact"), ("c", "below"))
)
FIVE = paired_interval([5.0, 6.0, 7.0, 6.0, 6.5], [1.0, 1.5, 2.0, 1.0, 1.2])


@pytest.fixture
def lesson(tmp_path, monkeypatch):
    (tmp_path / "lesson_99").mkdir()
    (tmp_path / "lesson_99" / "claims.toml").write_text(CLAIMS)
    monkeypatch.chdir(tmp_path)
    with collect():
        yield Lesson("99_small", profile="quick", seed=0)


def test_the_header_records_profile_seed_and_versions():
    with collect() as records:
        Lesson("11_soft_targets", profile="full", seed=3)
    (record,) = records
    assert (record["kind"], record["lesson"]) == ("lesson", "11_soft_targets")
    assert (record["profile"], record["seed"]) == ("full", 3)
    assert record["versions"]["torch"] == torch.__version__
    assert set(record["versions"]) == {"python", "torch", "numpy", "distill_lab"}


def test_it_sets_one_thread_and_says_why(capsys):
    torch.set_num_threads(2)
    Lesson("11_soft_targets")
    assert torch.get_num_threads() == 1
    assert "one torch thread, because" in capsys.readouterr().out


def test_pick(lesson):
    assert lesson.pick(quick=5, full=20) == 5
    assert [pick(p, quick=1, full=2) for p in ("quick", "full", "hub")] == [1, 2, 2]
    assert pick("hub", quick=1, full=2, hub=None) is None
    with pytest.raises(TypeError):
        lesson.pick(quick=1, full=2, hubb=3)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"name": "soft_targets"}, "two digits and words"),
        ({"name": "11"}, "two digits and words"),
        ({"name": "11_soft_targets", "profile": "fast"}, "no profile 'fast'; there are quick"),
        ({"name": "11_soft_targets", "profile": None}, "no profile None"),
        ({"name": "11_soft_targets", "seed": "0"}, "seed must be an integer"),
        ({"name": "11_soft_targets", "seed": True}, "seed must be an integer"),
    ],
)
def test_bad_openings_are_refused_in_words(arguments, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        Lesson(**arguments)


def test_expect_records_and_never_raises(lesson):
    with collect() as records:
        lesson.expect("both agree.", torch.tensor(True), seen="1e-7")
        lesson.expect("both agree", False)
    assert records == [
        {"kind": "expect", "text": "both agree", "ok": True, "seen": "1e-7"},
        {"kind": "expect", "text": "both agree", "ok": False, "seen": ""},
    ]
    with pytest.raises(ValueError, match=r"one truth value.*\.all\(\)"):
        lesson.expect("all of them", torch.tensor([True, False]))


def test_a_claim_costs_the_time_since_the_last(lesson, monkeypatch):
    times = iter((10.0, 12.5))
    lesson._last = 0.0
    monkeypatch.setattr("distill_lab.course.lesson.busy_seconds", lambda: next(times))
    with collect() as records:
        lesson.claim("99.a", FIVE, ours="11.9 %")
        lesson.claim("99.b", ours="11.9 %", holds=True)
        lesson.close()
    assert [r.get("seconds") for r in records] == [10.0, 2.5, None]
    assert records[-1] == {"kind": "close", "lesson": "99_small", "claims": ["99.a", "99.b"]}
    assert records[0]["profile"] == "quick" and records[0]["lesson"] == "99_small"


def test_headless_the_same_id_twice_is_refused(lesson):
    lesson.claim("99.a", FIVE, ours="y")
    with pytest.raises(ValueError, match="made twice"):
        lesson.claim("99.a", FIVE, ours="y")


def test_in_lab_a_cell_may_be_run_again(lesson, monkeypatch):
    monkeypatch.setattr("distill_lab.course.lesson.headless", lambda: False)
    lesson.claim("99.c", FIVE, ours="11 %")
    lesson.claim("99.c", FIVE, ours="12 %")
    assert [(c.ours, c.verdict) for c in lesson.claims.values()] == [("12 %", "does not hold here")]


def test_a_record_that_json_cannot_hold_is_refused():
    for value in (float("nan"), torch.tensor(1.0)):
        with pytest.raises(ValueError, match=r"\.item\(\)"):
            publish({"kind": "expect", "value": value}, text="", html="")


def test_the_package_opens_without_torch_or_widgets():
    code = (
        "import sys, distill_lab.course; "
        "print([m for m in ('torch', 'ipywidgets', 'IPython') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


CELLS = (
    "from distill_lab.course import Lesson, check\n"
    "lesson = Lesson('11_soft_targets', profile='quick', seed=0)",
    "lesson.predict('11.p', 'What happens to p?', ['falls', 'stays', 'rises'])",
    "lesson.reveal('11.p', 'stays', because='so it was')",
    "lesson.expect('one is one', 1 == 1)",
    "lesson.claim('11.gradient-limit', 1.0, ours='y', holds=True)",
    "check.kd_loss(...)",
    "lesson.close()",
)


def run(cells, **env):
    nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells])
    client = NotebookClient(nb, timeout=120, kernel_name="python3")
    client.execute(env={**__import__("os").environ, **env})
    return nb


@pytest.mark.slow
def test_in_a_real_kernel_each_result_is_one_display_with_words_card_and_record():
    nb = run(CELLS, DISTILL_LAB_HEADLESS="1")
    for cell in nb.cells:
        (output,) = cell.outputs
        assert output.output_type == "display_data"
        assert {"text/plain", "text/html", MIME} == set(output.data)
    kinds = [cell.outputs[0].data[MIME]["kind"] for cell in nb.cells]
    assert kinds == ["lesson", "predict", "predict", "expect", "claim", "check", "close"]
    revealed = nb.cells[2].outputs[0].data[MIME]
    assert (revealed["predicted"], revealed["answer"]) == ("falls", "stays")
    assert "nobody was at the keyboard" in nb.cells[2].outputs[0].data["text/plain"]


@pytest.mark.slow
def test_with_somebody_there_nothing_is_chosen_and_the_outcome_is_folded():
    nb = run(
        [*CELLS[:3], "lesson.predictions['11.p'].buttons.value = 'falls'"], DISTILL_LAB_HEADLESS="0"
    )
    question, buttons = (output.data for output in nb.cells[1].outputs)
    (outcome,) = (output.data for output in nb.cells[2].outputs)
    assert MIME not in buttons and "application/vnd.jupyter.widget-view+json" in buttons
    # what was pressed has changed the plain HTML where it stands, without a widget
    assert question[MIME]["predicted"] == "falls" == outcome[MIME]["predicted"]
    assert "you predicted: <b>falls</b>" in question["text/html"]
    assert "<details>" not in outcome["text/html"] and "a surprise" in outcome["text/html"]
