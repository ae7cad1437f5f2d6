"""What lesson 44 keeps is made by its command, and is what its text says it is."""

import json

import pytest

pytest.importorskip("transformers", reason="the students are Hugging Face models")

import torch

from distill_lab.course.stored import DATA, load
from lesson_44 import answers, experiments, make, problems


def silent(line):
    pass


def test_models_are_kept_as_they_were_trained(tmp_path, monkeypatch):
    monkeypatch.setattr(experiments, "BASES", 2)
    monkeypatch.setattr(experiments, "READ", 64)
    make.make_models(tmp_path, silent, updates=2)
    stored = load(experiments.FILE, folder=tmp_path)
    base = experiments.train_base(1, updates=2).state_dict()
    for name, weights in base.items():
        torch.testing.assert_close(stored[f"base.{name}"][1], weights.half(), rtol=0, atol=0)
    assert {len(rows) for key, rows in stored.items() if key.startswith("base.")} == {2}
    assert {len(rows) for key, rows in stored.items() if key.startswith("teacher.")} == {1}


def test_forms_read_equally_many_tokens(tmp_path):
    make.make_forms(tmp_path, silent, seeds=1, tokens=3, n=2)
    results = json.loads((tmp_path / experiments.FORMS_FILE).read_text())
    assert set(results["right"]) == {f"{form}, {w}" for form, w in experiments.FORM_STUDENTS}
    assert results["updates"]["direct"] > results["updates"]["short"] > results["updates"]["long"]


def test_the_stored_files_are_small_and_of_this_recipe():
    files = [DATA / experiments.FILE, DATA / experiments.FORMS_FILE]
    assert sum(file.stat().st_size for file in files) < 1_000_000
    forms = experiments.forms("quick")
    assert forms["thousand_tokens"] == experiments.FORM_TOKENS
    assert all(len(seeds) >= 5 for seeds in forms["right"].values())


def test_what_the_text_says_of_the_stored_models():
    bases, teacher = experiments.load_bases(2), experiments.load_teacher()
    test = problems.draw(60, test=True, eights=True)
    assert answers.judge(teacher, test).one > 70
    for base in bases:
        marks = answers.judge(base, test)
        assert 35 < marks.form < 70, "half of its texts have no steps"
        assert marks.one < 25, "every added 8 counts as a 7"


def test_too_many_bases_are_refused():
    with pytest.raises(ValueError, match="1 to 10 bases"):
        experiments.load_bases(11)
