"""The lint of lessons: every lesson passes it, and every rule can fail."""

import copy
import re
from pathlib import Path

import nbformat
import pytest

from distill_lab.course.lessons import read_lesson
from distill_lab.course.lint.anatomy import exercises, words
from distill_lab.course.lint.shape import ceremony, faults, main
from tests.notebooks.small_lesson import CLAIM, STUB, code, markdown, small_lesson

LESSONS = sorted((Path(__file__).resolve().parents[2] / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_lesson(path):
    nb = nbformat.read(path, as_version=nbformat.NO_CONVERT)
    nbformat.validate(nb)
    lesson = read_lesson(path)
    assert faults(nb, path.stem, lesson.claims) == []
    missing = [name for name in lesson.data if not (path.parents[1] / name).exists()]
    assert missing == [], "the metadata names data that is not there"


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_what_a_lesson_calls_the_next_one_is_the_next_one(path):
    text = "\n".join(cell.source for cell in nbformat.read(path, as_version=4).cells)
    following = [later.stem[:2] for later in LESSONS if later.stem > path.stem][:1]
    for named in re.findall(r"\*\*Next:\*\*\s+(.*)", text):
        assert re.findall(r"lesson (\d\d)", named) == following, named


def test_the_small_lesson_keeps_every_rule():
    assert faults(small_lesson(), "11_soft_targets", ["11.a"]) == []


def position(nb, part):
    return next(i for i, cell in enumerate(nb.cells) if part in cell.source)


def put(part, new, old=None):
    """An edit: in the first cell that holds `part`, put `new` for `old` (None: for all of it)."""

    def edit(nb):
        cell = nb.cells[position(nb, part)]
        cell.source = new if old is None else cell.source.replace(old, new)

    return edit


def drop(part):
    return lambda nb: nb.cells.pop(position(nb, part))


def about(**change):
    return lambda nb: nb.metadata["distill_lab"].update(change)


def at(i, **change):
    return lambda nb: nb.cells[i].update(change)


def append(*cells):
    return lambda nb: nb.cells.__setitem__(slice(20, 20), [*cells])


def in_metadata(**change):
    return lambda nb: nb.metadata.update(change)


BROKEN = [
    (at(3, source="x = = 1"), "is not Python"),
    (in_metadata(kernelspec={"name": "torch-env"}), "kernelspec must be python3"),
    (in_metadata(papermill={}), "holds papermill"),
    (in_metadata(widgets={}), "holds widgets"),
    (in_metadata(language_info={"name": "python", "version": "3.11"}), "language_info.version"),
    (at(3, outputs=[nbformat.v4.new_output("stream", text="x")]), "has outputs"),
    (at(3, execution_count=4), "execution count"),
    (at(3, metadata={"papermill": {}}), "metadata beyond its tags (papermill)"),
    (at(3, id=""), "every cell needs an id"),
    (lambda nb: nb.update(nbformat_minor=4), "every cell needs an id"),
    (lambda nb: nb.cells[3].update(id=nb.cells[4].id), "must be unique"),
    (lambda nb: [c.update(id=str(i)) for i, c in enumerate(nb.cells)], "mere numbers"),
    (lambda nb: [c.update(id=f"cell-{i}") for i, c in enumerate(nb.cells)], "mere numbers"),
    (put("PROFILE =", "x = 1"), "parameters cell is PROFILE"),
    (put("PROFILE =", 'PROFILE = "full"\nSEED = 0'), "parameters cell is PROFILE"),
    (put("PROFILE =", 'PROFILE = "quick"\nSEED = 0\nN = 3'), "parameters cell is PROFILE"),
    (put("PROFILE =", 'PROFILE: str = "quick"\nSEED = 0'), "parameters cell is PROFILE"),
    (at(1, metadata={}), "exactly one cell is tagged `parameters`; here 0"),
    (append(code("PROFILE = 1", "parameters")), "tagged `parameters`; here 2"),
    (at(2, metadata={}), "exactly one cell is tagged `imports`"),
    (lambda nb: nb.cells.__delitem__(slice(22, 40)), "40 to 100 cells"),
    (append(*[markdown("x") for _ in range(70)]), "40 to 100 cells"),
    (lambda nb: [c.update(source="x") for c in nb.cells[22:40]], "1500 to 2500 words"),
    (append(markdown("word " * 2000)), "1500 to 2500 words"),
    (append(code("x = 1\n" * 36)), "has 36 lines; 30 at most"),
    (append(*[code("x = 1\n" * 7) for _ in range(30)]), "the median code cell has 7"),
    (append(*[code("x = 1\n" * 13) for _ in range(5)]), "of ten code cells one has more than 12"),
    (append(*[code('lesson.claim(\n"11.a",\n1,\n)') for _ in range(4)]), "predict, reveal or cl"),
    (append(code("x = 1" + " " * 90 + "# wide")), "longer than 88 characters"),
    (drop("What people get wrong"), "“what people get wrong” is missing"),
    (drop("## Recap"), "“recap” is missing"),
    (put("## Recap", "```\n## Recap\n```"), "“recap” is missing"),
    (drop("## References"), "“references” is missing"),
    (drop("## Recall"), "“recall” is missing"),
    (put("## Recall", "## Recall\n\nWhat is a logit?"), "two questions or more"),
    (at(4, metadata={}), "a cell tagged `figure`"),
    (lambda nb: nb.cells.insert(12, nb.cells.pop(4)), "a cell tagged `figure`"),
    (append(markdown("![](a.png)")), "an image without alt text"),
    (put("# Soft targets", "Soft targets, able to, 45 minutes"), "opens with the title"),
    (put("# Soft targets", "an hour", "45 minutes"), "says how long"),
    (put("# Soft targets", "# Soft targets. 45 minutes"), "able to do"),
    (put("Lesson(", 'lesson = Lesson("12_temperature")'), 'Lesson("11_soft_targets", ...)'),
    (put("Lesson(", "pass"), 'Lesson("11_soft_targets", ...)'),
    (lambda nb: [drop(".predict(")(nb), drop(".reveal(")(nb)], "two predictions or more"),
    (put("this lesson rise?", "this lesson rise", "this lesson rise?"), "in a whole sentence"),
    (
        put("Does the loss", "Does it rise?", "Does the loss of this lesson rise?"),
        "'Does it rise?'",
    ),
    (
        put(
            "Does the loss", "the loss of this lesson rises:", "Does the loss of this lesson rise?"
        ),
        "asks in a whole",
    ),
    (drop(".reveal("), "every prediction is revealed; here 2 and 1"),
    (put('predict("11.down', "11.up", "11.down"), "11.up is asked twice"),
    (put('predict("11.up', "12.up", "11.up"), "written out, such as 11.gain; here 12.up"),
    (put('predict("11.up', "name", '"11.up"'), "written out, such as 11.gain; here None"),
    (put('reveal("11.up', "11.down", "11.up"), "the outcome of 11.down is shown before its"),
    (lambda nb: nb.cells.insert(5, nb.cells.pop(10)), "first claim comes before the first pred"),
    (append(*[code("widgets.explore(f)")] * 2, code("workbench.b()")), "at most 3 live widgets"),
    (put("lesson.close()", "pass"), "the last code cell is lesson.close()"),
    (append(code("plt.show()")), "loses the alt text"),
    (put("plots.show(", "plots.show(fig)"), "without alt="),
    (lambda nb: [drop("Exercise 3")(nb), nb.cells.pop(17)], "3 to 6 exercises; this one has 2"),
    (drop("check.soften"), "come in pairs"),
    (put("Exercise 1", "", "### Exercise 1: soften"), "does not say its title"),
    (put("Exercise 1", "hard", "*difficulty*"), "does not say its difficulty"),
    (put("Exercise 1", "vital", "*importance*"), "does not say its importance"),
    (put("Exercise 1", "*minutes* some", "*minutes* 10"), "does not say its minutes"),
    (put("Exercise 1", "Answer", "Solution"), "in this order: Hint, Help, Solution"),
    (put("Exercise 1", "</summary>\n", "</summary>\n\n"), "a blank line after each"),
    (put("Exercise 1", "```", "```python"), "in a ```python block"),
    (put("check.soften", STUB + "\nx = 1"), "last line of its code cell"),
    (put("check.soften", "check.soften(my_soften)"), "defines the function, left blank"),
    (put("check.soften", "return logits", "..."), "stub of my_soften is not blank"),
    (put("Exercise 1", "*minutes* 40", "*minutes* 10"), "take 60 minutes, the lesson states 45"),
    (about(title=None), "distill_lab.title is missing"),
    (about(minutes="45"), "distill_lab.minutes is missing"),
    (about(can_do=[]), "distill_lab.can_do is missing"),
    (about(needs=None), "numbers of the lessons to do before"),
    (about(needs=["12"]), "numbers of the lessons to do before"),
    (about(needs=["11"]), "numbers of the lessons to do before"),
    (about(claims=["11.a"]), "knows no claims"),
    (put("lesson.claim(", "lesson.claim(name)"), "written out, not computed"),
    (append(code("a = 1"), code("b = a"), code("a = 2")), "sets it to something else"),
    (append(code("a = 1"), code("b = a"), code("for a in (1, 2): pass")), "sets it to some"),
    (append(code("a = 1"), code("b = [a for i in 'x']"), code("a = 2")), "sets it to some"),
    (append(code("a = 1"), code("def f(): return a"), code("a = 2")), "sets it to some"),
    (append(code("a, c = 1, 2"), code("b = c"), code("a, c = 1, 3")), "reads `c`, and cell"),
    (append(code("def f(): return 1"), code("f()"), code("def f(): return 2")), "reads `f`"),
]


@pytest.mark.parametrize("registered", [[], ["11.a", "11.b"], ["11.b"]])
def test_the_claims_of_the_cells_are_those_of_the_file(registered):
    (fault,) = faults(small_lesson(), "11_soft_targets", registered)
    assert f"claims.toml registers the claims {registered}; the cells make ['11.a']" in fault


@pytest.mark.parametrize(("edit", "sentence"), BROKEN, ids=[str(s) for _, s in BROKEN])
def test_a_broken_lesson_is_told_what_is_broken(edit, sentence):
    nb = copy.deepcopy(small_lesson())
    edit(nb)
    broken = faults(nb, "11_soft_targets", ["11.a"])
    assert any(sentence in fault for fault in broken), broken


@pytest.mark.parametrize(
    ("cells", "sentence"),
    [
        ([markdown(f"## {i} · more") for i in range(7)], "has 6 numbered sections at most; this"),
        ([markdown("word " * 21)], "Markdown is wrapped at 100"),
    ],
)
def test_sections_are_few_and_markdown_is_wrapped(cells, sentence):
    nb = small_lesson()
    assert faults(nb, "11_soft_targets", ["11.a"]) == []
    append(*cells)(nb)
    assert sentence in " ".join(faults(nb, "11_soft_targets", ["11.a"]))


@pytest.mark.parametrize(
    "cells",
    [
        ["a = 1", "b = a", "a = 1"],  # the same again
        ["a, c = 1, 2", "b = a", "a, c = 1, 3"],
        ["a = 1", "a = 2\nb = a", "a = 3\nb = [a for i in 'x']"],  # each sets its own
        ["a = 1", "def f(a): return a", "lambda a: a", "[a for a in 'x']", "a = 2"],
        ["a = {}", "a['x'] = 1", "a |= {'y': 2}"],  # the same one, fuller
        ["import torch", "torch.ones(1)", "import torch"],
    ],
)
def test_a_name_may_be_set_again_where_nothing_changes(cells):
    nb = small_lesson()
    append(*map(code, cells))(nb)
    assert faults(nb, "11_soft_targets", ["11.a"]) == []


def test_a_statement_that_claims_counts_with_all_its_lines():
    nb = nbformat.v4.new_notebook(
        cells=[
            code("lesson.claim(\n    'a',\n)\n\nx = 1\nfor i in x:\n    lesson.reveal(i)\ny = 2")
        ]
    )
    assert ceremony(nb) == 5 / 7


def test_the_opening_lesson_may_be_shorter_and_recalls_nothing():
    nb = small_lesson("00_start_here")
    del nb.cells[22:30]
    drop("## Recall")(nb)
    assert faults(nb, "00_start_here", ["00.a"]) == []
    nb.cells = [*nb.cells[:14], *nb.cells[-3:]]
    assert any("25 to 100 cells" in fault for fault in faults(nb, "00_start_here", ["00.a"]))


def test_words_are_those_a_reader_reads():
    text = "One *two* three-four [five](https://x.y/z) <b>six</b> $a + b$\n```python\nx = 1\n```\n"
    assert words(text) == 5
    assert words("$$ a \\cdot b $$ <!-- not me --> it's 5 %") == 2


def test_an_exercise_is_taken_apart():
    (first, *_) = exercises(small_lesson())
    assert (first.title, first.minutes) == ("Exercise 1: soften", 10)
    assert (first.difficulty, first.importance) == ("2/5", "5/5")
    assert first.solution == "def my_soften(logits, T):\n    return (logits / T).softmax(-1)\n"
    assert first.check_line == "check.soften(my_soften)"


def test_from_the_command_line(tmp_path, capsys):
    path = tmp_path / "11_soft_targets.ipynb"
    nbformat.write(small_lesson(), path)
    (tmp_path / "lesson_11").mkdir()
    (tmp_path / "lesson_11" / "claims.toml").write_text(CLAIM)
    assert main([str(path)]) == 0
    nb = small_lesson()
    drop("## Recap")(nb)
    nbformat.write(nb, path)
    assert main([str(path)]) == 1
    assert "11_soft_targets.ipynb: a heading with “recap” is missing." in capsys.readouterr().out
