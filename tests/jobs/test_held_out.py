"""Rows that are kept apart: by seed, by what they are, never the twin of one that is learned."""

import random

import pytest
from PIL import Image

from distill_lab import cli
from distill_lab.jobs.checking import check
from distill_lab.jobs.held_out import Subset, far_off, kept_apart
from distill_lab.jobs.job_file import read_job
from distill_lab.jobs.running import run_job
from distill_lab.jobs.setups import image_classification, text_classification, token_classification
from distill_lab.jobs.setups.embedding import read_examples as read_embedder
from tests.jobs import runs, tiny
from tests.jobs.conftest import ROWS


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5, 0.9])
def test_twins_stay_together_whatever_their_letter_case_and_spaces(share):
    draw = random.Random(0)
    rows = [f"row {draw.randrange(300)}" for _ in range(1000)]
    rows = [row.upper() if i % 3 == 0 else f" {row}\n" if i % 3 == 1 else row
            for i, row in enumerate(rows)]  # fmt: skip
    learned, apart = kept_apart(rows, share, seed=0)
    assert sorted([*learned, *apart]) == list(range(1000))
    names = [{" ".join(rows[i].split()).lower() for i in part} for part in (learned, apart)]
    assert not names[0] & names[1]
    assert abs(len(apart) - 1000 * share) <= 15  # the largest group of twins


def test_the_seed_decides_and_nothing_else():
    rows = [str(number) for number in range(500)]
    first = kept_apart(rows, 0.2, seed=0)[1]
    assert first == kept_apart(rows, 0.2, seed=0)[1] != kept_apart(rows, 0.2, seed=1)[1]
    chosen = {rows[i] for i in first}
    rows.reverse()  # where a row stands is not what it is
    assert chosen == {rows[i] for i in kept_apart(rows, 0.2, seed=0)[1]}


@pytest.mark.parametrize("rows", [[], ["a"], ["a", "A"]])
def test_something_is_left_to_learn(rows):
    with pytest.raises(ValueError, match="leaves nothing to learn"):
        kept_apart(rows, 0.5, seed=0)


def test_a_part_of_a_table_names_the_places_of_the_whole():
    class Table:
        files = ("a.csv",)

        def __getitem__(self, number):
            return {"n": number}

        def place(self, number):
            return f"a.csv, line {number + 2}"

    part = Subset(Table(), [1, 4])
    assert [*part] == [{"n": 1}, {"n": 4}] and part[1] == {"n": 4} and len(part) == 2
    assert part.place(1) == "a.csv, line 6" and part.files == ("a.csv",)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("kind", ["one", "lists", "tags", "pictures"])
def test_a_class_whose_only_row_is_held_out_is_a_class_of_its_file(tmp_path, kind, seed):
    """In some of these seeds the rare row is held out, and in others learned."""
    names, module = ["no"] * 9 + ["yes"] * 9 + ["rare"], text_classification
    given = runs.TEXTS | {"teacher": None, "student": {}, "method": "supervised", "held_out": 0.5}
    if kind == "pictures":
        module, given = image_classification, runs.PICTURES | {"held_out": 0.5}
        for number, name in enumerate(names):
            (folder := tmp_path / "pictures" / name).mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (8, 8), (number, 0, 0)).save(folder / f"{number}.png")
    elif kind == "tags":
        module, given = token_classification, given | {"kind": "token-classification"}
    rows = [{"text": f"a {i}", "label": name} for i, name in enumerate(names)]
    if kind == "lists":
        rows = [row | {"label": [row["label"]]} for row in rows]
    if kind == "tags":
        rows = [{"tokens": f"a {i}", "tags": f"no {name}"} for i, name in enumerate(names)]
    tiny.write_jsonl(tmp_path / "train.jsonl", rows)
    tiny.encoder(tmp_path / "bare")
    if kind != "pictures":
        given |= {"train": "train.jsonl", "student": "bare"}
    examples = module.read_examples(read_job(runs.job_file(tmp_path, given, seed=seed)))
    assert examples.names.names == ("no", "rare", "yes")


def test_an_unknown_class_in_a_file_of_its_own_is_still_a_mistake(tmp_path):
    tiny.encoder(tmp_path / "bare")
    tiny.write_csv(tmp_path / "train.csv", tiny.sentences(9))
    tiny.write_csv(tmp_path / "other.csv", [{"text": "a", "label": "rare"}])
    given = runs.TEXTS | {"validation": "other.csv"}
    with pytest.raises(ValueError, match="'rare' is none of the"):
        text_classification.read_examples(read_job(runs.job_file(tmp_path, given)))


@pytest.mark.parametrize(
    ("share", "learned", "apart", "odd"),
    [(0.1, 35, 65, True), (0.1, 84, 16, False), (0.1, 83, 17, True), (None, 0, 9, False),
     (0.01, 8, 2, False), (0.9, 5, 95, False)],
)  # fmt: skip
def test_a_share_that_became_another_is_named(share, learned, apart, odd):
    assert bool(far_off(share, learned, apart)) == odd


def test_equal_texts_that_make_a_share_another_are_in_check_and_log(tmp_path, capsys):
    tiny.encoder(tmp_path / "bare")
    rows = [{"text": "a b" if i < 60 else f"a {i}", "label": ["no", "yes"][i % 2]}
            for i in range(100)]  # fmt: skip
    tiny.write_csv(tmp_path / "train.csv", rows)
    words = []
    for seed in range(9):
        given = {"held_out": 0.1, "seed": seed}
        assert (
            cli.main(["distill", str(runs.job_file(tmp_path, runs.TEXTS, **given)), "--check"]) == 0
        )
        words.append("asks for 10 of 100 rows and gets" in capsys.readouterr().out)
    assert 0 < sum(words) < 9
    given = {"held_out": 0.1, "seed": words.index(True), "kind": "embedding", "method": "cosine"}
    given |= {"teacher": "bare"}
    assert "(6" in str(read_embedder(read_job(runs.job_file(tmp_path, runs.TEXTS, **given))))


def test_equal_questions_to_a_language_model_that_make_a_share_another_are_named(folder, tmp_path):
    rows = [ROWS[0]] * 60 + ROWS[1:]
    path = tiny.write_jsonl(tmp_path / "train.jsonl", rows)
    given = {"train": str(path), "held_out": 0.1, "validation": None}
    named = []
    for seed in range(20):
        lines = []
        check(runs.job(folder, tmp_path / "out", "token-kl", **given, seed=seed), lines.append)
        named.append("validation: held_out = 0.1 asks for 8 of 84 rows and gets 6" in str(lines))
    assert 0 < sum(named) < 20
    job = runs.job(
        folder, tmp_path / "out", "token-kl", **given | {"seed": named.index(True), "epochs": 1}
    )
    lines = []
    run_job(job, progress=False, log=lines.append)
    assert "asks for 8 of 84 rows and gets 6" in str(lines)
