"""Generated jobs of encoders: every two values of their axes meet in one that is held."""

import sys

import pytest

from tests.jobs.grid import encoders
from tests.jobs.grid.cover import Grid
from tests.jobs.grid.laws import again, compared, first_step, killed, same_students, takes_its_steps

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there is no fork on Windows")
QUICK, MOST = 18, 130  # cases of a quick run, and all of them, at most
GRID = Grid(encoders.AXES, encoders.allowed)


def test_a_few_cases_hold_most_of_the_pairs():
    assert GRID.share(QUICK) > 0.7 and len(GRID.cases) <= MOST


@pytest.mark.parametrize("number", range(QUICK))
def test_values_that_meet(tmp_path, number):
    holds(tmp_path, GRID.cases[number], number)


@pytest.mark.exhaustive
@pytest.mark.parametrize("number", range(QUICK, MOST))
def test_every_two_values_meet(tmp_path, number):
    for case in GRID.cases[number : number + 1]:
        holds(tmp_path, case, number)


@pytest.mark.exhaustive
@pytest.mark.parametrize("number", range(100))
def test_at_random(tmp_path, number):
    holds(tmp_path, GRID.at_random(1000 + number), number)


def holds(place, case, seed):
    """All laws of one case; a failure prints the job to paste."""
    made = encoders.encoding(place, case, seed)
    print(made.file().read_text(), f"\nin {place}; the case: {case!r}, {seed}")
    checked, ran = made.check(), made.run()
    assert checked.refusal == "" and ran.refusal == "", (checked.refusal, ran.refusal)
    learned, apart = encoders.split(made)
    says_what_is_there(made, checked, ran, learned, apart)
    takes_its_steps(made, ran, len(learned))
    begins_as_by_hand(made, learned)
    figures_are_those_of_the_folder(made, apart)
    ENDS[case["end"]](made, ran)


def says_what_is_there(made, checked, ran, learned, apart):
    case, lines = made.case, "\n".join(checked.lines)
    known = [row for row in apart if not row["missing"]]
    units = {"ranking": "queries"}.get(case["task"], "texts")
    assert f"{len(learned)} {units}" in lines
    assert f"measured on {len(known)}" in lines, lines
    bare = sum(row["missing"] for row in learned)
    if case["task"] in ("classes", "number"):
        assert (f"{bare} texts without a label" in lines) == (bare > 0), lines
    if case["task"] == "ranking":
        assert f"{sum(1 + len(row['negative']) for row in learned)} candidates" in lines
        return
    limit = encoders.limit_of(case)
    for what, some in (("train", learned), ("held out", known)):
        if what == "held out" and case["measured"] == "training":
            continue
        cut = sum(len(encoders.pieces(whole(case, row))) + 2 > limit for row in some)
        words = f"{what}: {cut} of {len(some)} texts have more than {limit} tokens: cut"
        assert (words in lines) == (cut > 0), (words, lines)
        if case["task"] == "tags" and cut:
            lost = sum(len(row["words"]) - kept(case, row) for row in some)
            tags = sum(len(row["words"]) for row in some)
            stand = f"{lost} of {tags} words with a tag stand behind the cut"
            assert (stand in lines) == (lost > 0), (stand, lines)


def whole(case, row):
    return " ".join(row["words"]) if case["task"] == "tags" else encoders.text_of(case, row)


def kept(case, row):
    """The words of a row whose first piece is read."""
    place, seen = 1, 0
    for word in row["words"]:
        seen += place < encoders.limit_of(case) - 1 and bool(encoders.pieces(word))
        place += len(encoders.pieces(word))
    return seen


def begins_as_by_hand(made, learned):
    case = made.case
    student = encoders.student_before(case)
    if student is None or case["dropout"] or case["teacher"] == "first":
        return
    teacher = encoders.reader(case, encoders.shelf() / encoders.names(case)[0], student=False)
    some = encoders.in_order(case, learned)
    weights = encoders.weights_of(case, learned)
    loose = 0.05 if case["precision"] == "bf16" else 4e-3  # answers are kept in two bytes
    for seed in [3, 4] if case["seeds"] else [3]:
        batch = encoders.order_of_first(case, some, student.words, seed)
        expected = encoders.first_terms(case, batch, student, teacher, weights)
        values = first_step(made.place / (f"out/seed_{seed}" if case["seeds"] else "out"))
        for name, value in (expected or {}).items():
            assert values[name] == pytest.approx(value, rel=loose, abs=loose), (name, seed)


def figures_are_those_of_the_folder(made, apart, out="out"):
    case = made.case
    some = [row for row in apart if not row["missing"]]
    for folder in [f"{out}/seed_3", f"{out}/seed_4"] if case["seeds"] else [out]:
        report = made.report(folder)["figures"]
        students = {"student": (made.place / folder / "student", True)}
        if case["teacher"] == "ready":
            students["teacher"] = (encoders.shelf() / encoders.names(case)[0], False)
        for who, (place, student) in students.items():
            model = encoders.reader(case, place, student=student)
            for name, value in encoders.figures(case, model, some).items():
                if value is not None and name in report[who]:
                    near = pytest.approx(value, rel=1e-3, abs=1e-3)
                    assert report[who][name] == near, (who, name, folder)


# How it ends


def nothing_more(made, ran):
    pass


def other_word(made, ran):
    """With one letter of a learned row changed, the old result is never given."""
    made.rows = altered(made.rows)
    encoders.write(made, "train", made.rows, made.case["form"])
    compared(made, {})


def other_held_out_word(made, ran):
    made.held_out = altered(made.held_out)
    encoders.write(made, "held", made.held_out, "jsonl")
    before = made.students()
    checked, second = made.check(), made.run()
    assert bool(checked.refusal) <= bool(second.refusal)
    if not second.refusal and not made.case["seeds"]:
        assert same_students(before, made.students()) or made.case["while"]
        figures_are_those_of_the_folder(made, made.held_out)


def other_setting(made, ran):
    compared(made, {"lr": 1e-3})


def altered(some):
    """The rows, one of whose words is another of the same class."""
    first, *others = some
    word, tag = first["words"][0], first["tags"][0]
    alike = next(w for w in "abcdefghixyz" if w != word and encoders.tag_of(w) == tag)
    return [first | {"words": [alike, *first["words"][1:]]}, *others]


ENDS = {
    "through": nothing_more,
    "killed": killed,
    "again": again,
    "other word": other_word,
    "other setting": other_setting,
    "other held-out word": other_held_out_word,
}
