# ruff: noqa: E501 - a test's full name does not break
"""Mistakes in the kit of the course: claims, predictions, what reruns, the pages."""

from tests.mutants.mutant import Mutant

MUTANTS = [
    Mutant(
        "page-of-one-language",
        "Every page says that it is English, whatever language its lesson is written in.",
        "this project before its thirteenth issue (always en-GB)",
        "course/pages/shell.py",
        'kind="lesson", lang=lesson.lang, name',
        'kind="lesson", name',
        "course/test_pages.py::test_a_lessons_page_says_the_language_of_its_prose",
    ),
    Mutant(
        "fingerprint-of-all-lessons",
        "A lesson's fingerprint reads the folders of all lessons: a comment in one reruns every one.",
        "this project before its thirteenth issue",
        "course/runner/fingerprint.py",
        "_add(digest, lesson.folder, own)",
        '_add(digest, lesson.path.parent, lesson.path.parent.rglob("*.py"))',
        "course/test_runner.py::test_a_change_reruns_the_lessons_it_concerns_and_no_other",
    ),
    Mutant(
        "fingerprint-without-data",
        "A lesson whose stored data has changed counts as unchanged.",
        "",
        "course/runner/fingerprint.py",
        "for name in lesson.data:",
        "for name in lesson.data[:0]:",
        "course/test_runner.py::test_a_change_reruns_the_lessons_it_concerns_and_no_other",
    ),
    Mutant(
        "prediction-bins-both-closed",
        "A measured value on the border of two bins falls into the lower one.",
        "",
        "course/options.py",
        "if low <= x < high or x == high == last:",
        "if low <= x <= high:",
        "course/test_predict.py::test_a_number_falls_into_the_bin_that_holds_it",
    ),
    Mutant(
        "prediction-told-by-the-mean",
        "An interval that reaches over a border is told as if its mean were the truth.",
        "",
        "course/options.py",
        "len({self._bin(low), answer, self._bin(high)}) > 1",
        "len({answer}) > 1",
        "course/test_predict.py::test_with_an_option_that_cannot_be_told_the_whole_interval_counts",
    ),
    Mutant(
        "claim-judged-by-the-wrong-profile",
        "In profile full a claim is judged by the threshold that was fixed for quick.",
        "",
        "course/registered.py",
        'usual if profile == "quick" else replaced',
        "usual",
        "course/test_registered.py::test_other_constants_in_full",
    ),
    Mutant(
        "drawing-line-through-a-text",
        "A drawing does not notice that an arrow runs through a word.",
        "",
        "course/figures/drawing.py",
        "if any(crosses(line, place) for line in self.lines):",
        "if any(crosses(line, place) for line in self.lines[:0]):",
        "course/figures/test_drawing.py::test_what_a_reader_could_not_read_is_refused",
    ),
    Mutant(
        "figure-wider-than-the-page",
        "A figure of many bars grows with them, and the page shrinks its text to 6 px.",
        "lesson 43 before the fourteenth issue",
        "course/figures/plots.py",
        "wide = min(WIDEST, max(",
        "wide = max(WIDEST, max(",
        "course/figures/test_plots.py::test_the_names_of_groups_never_run_into_each_other",
    ),
]
