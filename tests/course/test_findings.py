"""What another tool or a learner's file does to a lesson is named, and ends nothing."""

from pathlib import Path
from typing import Any

import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

from distill_lab.course.executed import WIDGET_STATE_MIME as STATE
from distill_lab.course.executed import WIDGET_VIEW_MIME as VIEW
from distill_lab.course.executed import records, widget_models
from distill_lab.course.pages import lesson_body
from distill_lab.course.runner.findings import Ending, examine, explained


@pytest.mark.parametrize(
    "entry",
    [
        {STATE: {"ab12": {"model_name": "LayoutModel", "state": {}}}},
        {STATE: None},
        {STATE: {"state": None}},
        {STATE: {"state": {"ab12": None, "cd34": {"model_name": "OutputModel", "state": None}}}},
        [],
        None,
    ],
    ids=["Colab's", "null", "a state of null", "models of null", "a list", "nothing"],
)
def test_what_another_tool_wrote_about_widgets_is_no_widget_and_no_end(entry: Any) -> None:
    cell = new_code_cell("x", outputs=[new_output("display_data", {VIEW: {"model_id": "ab12"}})])
    nb = new_notebook(cells=[cell], metadata={"widgets": entry})
    assert not records(nb) and not {"ab12"} & widget_models(nb).keys()
    assert {
        f.kind for f in examine(nb, Ending("completed"), registered=[], profile="quick", seed=0)
    }
    assert lesson_body(nb, Path()).get_text()


@pytest.mark.parametrize(
    ("names", "module", "how"),
    [
        (["numpy.py"], "numpy.py", "raised"),
        (["torch/__init__.py", "sklearn.py"], "sklearn.py, torch", "raised"),
        (["random.pyc"], "random.pyc", "kernel died"),
        (["statistics.py", "profile.py", "notes.py"], "profile.py, statistics.py", "kernel died"),
        (["numpy/notes.txt", "numpy.md", "lesson.py", "data/__init__.py"], "", "kernel died"),
    ],
    ids=["a package", "two", "compiled", "of Python itself", "none"],
)
def test_a_file_that_hides_a_module_is_named_before_memory_is_blamed(
    names: list[str], module: str, how: str, tmp_path: Path
) -> None:
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    error = new_output("error", ename="AttributeError", evalue="module has no", traceback=[])
    cell = new_code_cell("import numpy", outputs=[error] if how == "raised" else [])
    nb = new_notebook(cells=[cell])
    findings = examine(nb, Ending(how, 0), registered=[], profile="quick", seed=0)
    sentences = explained(findings, tmp_path)
    if module:
        assert sentences[0].kind == "file in the way"
        assert sentences[0].sentence.startswith(f"{module} beside")
        assert "rename it" in sentences[0].sentence
        assert not any("memory" in each.sentence for each in sentences)
        assert explained([], tmp_path) == []  # a lesson that passes is left in peace
    else:
        assert sentences == findings
