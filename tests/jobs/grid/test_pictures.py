"""Generated jobs of pictures: every two values of their axes meet in one that is held."""

import json
import math
import random
import sys

import pytest
from PIL import Image

from distill_lab.jobs.rehearsal import rehearse
from tests.jobs.grid import pictures
from tests.jobs.grid.cover import Grid, drawn
from tests.jobs.grid.laws import again, compared, first_step, killed, same_students, takes_its_steps

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there is no fork on Windows")
QUICK, MOST = 16, 150  # cases of a quick run, and all of them, at most
GRID = Grid(pictures.AXES, pictures.allowed)


def test_a_few_cases_hold_most_of_the_pairs():
    assert GRID.share(QUICK) > 0.6 and len(GRID.cases) <= MOST


@pytest.mark.parametrize("number", range(QUICK))
def test_values_that_meet(tmp_path, number):
    # a form is written in seconds, and other tests write them
    holds(tmp_path, GRID.cases[number] | {"export": None}, number)


@pytest.mark.exhaustive
@pytest.mark.parametrize("number", range(MOST))
def test_every_two_values_meet(tmp_path, number):
    for case in GRID.cases[number : number + 1]:
        holds(tmp_path, case, number)


@pytest.mark.exhaustive
@pytest.mark.parametrize("number", range(100))
def test_at_random(tmp_path, number):
    holds(tmp_path, GRID.at_random(1000 + number), number)


@pytest.mark.parametrize("number", range(4))
def test_what_is_refused_beforehand_is_refused(tmp_path, number):
    refused_alike(tmp_path, number)


@pytest.mark.exhaustive
@pytest.mark.parametrize("number", range(4, 150))
def test_more_that_is_refused(tmp_path, number):
    refused_alike(tmp_path, number)


def refused_alike(place, number):
    """Any case at all: the run refuses what --check refuses, and nothing else."""
    case = drawn(pictures.AXES, lambda case: not pictures.allowed(case), random.Random(number))
    case = case | {"export": None, "end": "through", "seeds": None}
    made = pictures.picturing(place, case, number)
    print(made.file().read_text(), f"\nin {place}; the case: {case!r}, {number}")
    checked, ran = made.check(), made.run()
    assert bool(checked.refusal) == bool(ran.refusal), (checked.refusal, ran.refusal)


def holds(place, case, seed):
    """All laws of one case; a failure prints the job to paste."""
    made = pictures.picturing(place, case, seed)
    print(made.file().read_text(), f"\nin {place}; the case: {case!r}, {seed}")
    checked, ran = made.check(), made.run()
    assert checked.refusal == "" and ran.refusal == "", (checked.refusal, ran.refusal)
    learned, apart = pictures.split(made)
    says_what_is_there(made, checked, learned, apart)
    takes_its_steps(made, ran, len(learned))
    begins_as_by_hand(made, learned)
    figures_are_those_of_the_folder(made, apart)
    is_written_as_it_is(made)
    ENDS[case["end"]](made, ran)


def says_what_is_there(made, checked, learned, apart):
    case, lines = made.case, "\n".join(checked.lines)
    classes = len(pictures.classes_of(case))
    assert f"{len(learned)} pictures, {classes} classes; measured on {len(apart)}" in lines, lines
    each = math.ceil(len(learned) / case["batch_size"])
    assert f"steps: {each} an epoch, {2 * each} in all" in lines
    first = case["teacher"].endswith("first")
    assert (f"the teacher's steps: {each} an epoch, {each} in all" in lines) == first
    written = (made.place / "out/report.md").read_text()
    if not case["seeds"]:
        assert ("Measured on the training rows" in written) == (case["measured"] == "training")


def runs_of(made, out="out"):
    """The folder of each seed."""
    return [f"{out}/seed_3", f"{out}/seed_4"] if made.case["seeds"] else [out]


def begins_as_by_hand(made, learned):
    case = made.case
    if case["dropout"]:
        return
    loose = 0.05 if case["precision"] == "bf16" else 4e-3  # answers are kept in two bytes
    teacher = pictures.eye_of(pictures.folder_of(case, "teacher"))
    weights = pictures.weights_of(case, learned)
    for seed, folder in enumerate(runs_of(made), 3):
        student = pictures.student_before(case, seed)
        if student is None:
            return
        batch = pictures.order_of_first(case, learned, seed)
        expected = pictures.first_terms(case, batch, student, teacher, weights)
        values = first_step(made.place / folder)
        for name, (least, most) in expected.items():
            if name != "ce" and case["teacher"].endswith("first"):
                continue
            near = loose * (1 + abs(most))
            assert least - near <= values[name] <= most + near, (name, seed, least, most)


def figures_are_those_of_the_folder(made, apart, out="out"):
    case = made.case
    for folder in runs_of(made, out):
        report = made.report(folder)
        models = {"student": made.place / folder / "student"}
        if not case["teacher"].endswith("first"):
            models["teacher"] = pictures.folder_of(case, "teacher")
        for who, place in models.items():
            for name, value in pictures.figures(case, pictures.eye_of(place), apart).items():
                near = pytest.approx(value, rel=1e-3, abs=1e-3)
                assert report["figures"][who][name] == near, (who, name, folder)
        if case["export"]:
            forms = report["forms"]
            assert set(forms) == {"student", case["export"]}
            if case["export"] != "int8":
                assert forms[case["export"]]["accuracy"] == forms["student"]["accuracy"]


def is_written_as_it_is(made):
    """The student's folder names the classes in their order, and how it sees."""
    case = made.case
    for folder in runs_of(made):
        student = made.place / folder / "student"
        config = json.loads((student / "config.json").read_text())
        names = [config["id2label"][str(i)] for i in range(len(config["id2label"]))]
        assert names == list(pictures.classes_of(case))
        facts = json.loads((student / "preprocessor_config.json").read_text())
        assert facts["size"] == {"height": pictures.side_of(case), "width": pictures.side_of(case)}


# How it ends


def rehearsed(made, ran):
    """A rehearsal goes through, and leaves nothing."""
    lines = []
    rehearse(made.job("dry"), lines.append)
    assert not (made.place / "dry").exists()
    steps = ran.result.history.steps_per_epoch
    if steps > 1:
        assert any(f"the student: {steps} steps an epoch, {2 * steps} in all" in x for x in lines)


def other_pixel(made, ran):
    """With one pixel of a learned picture changed, the old result is never given."""
    altered(made.pictures("train")[-1])
    compared(made, {})


def other_held_out_pixel(made, ran):
    altered(made.pictures("held")[-1])
    before = made.students()
    checked, second = made.check(), made.run()
    assert bool(checked.refusal) <= bool(second.refusal)
    if not second.refusal and not made.case["seeds"]:
        assert same_students(before, made.students()) or made.case["while"]
        figures_are_those_of_the_folder(made, made.pictures("held"))


def other_setting(made, ran):
    compared(made, {"lr": 1e-3})


def altered(file):
    """Save a picture with another first pixel."""
    with Image.open(file) as opened:
        picture = opened.convert("RGB")
    red, *others = picture.getpixel((0, 0))
    picture.putpixel((0, 0), ((red + 128) % 256, *others))
    picture.save(file)


ENDS = {
    "through": rehearsed,
    "killed": killed,
    "again": again,
    "other word": other_pixel,
    "other setting": other_setting,
    "other held-out word": other_held_out_pixel,
}
