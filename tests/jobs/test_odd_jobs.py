"""What people give a job that cannot work: said by `--check`, in one sentence that ends it."""

import shutil
import warnings
from importlib import import_module

import pytest
from PIL import Image
from transformers import AutoModelForSequenceClassification

from distill_lab import cli
from distill_lab.jobs.job_file import read_job
from distill_lab.jobs.setups.labels import Labels, find_names
from tests.jobs import tiny
from tests.jobs.runs import PICTURES, TEXTS, job_file


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    place = tmp_path_factory.mktemp("odd")
    tiny.encoder(place / "bare")
    tiny.write_csv(place / "train.csv", tiny.sentences(30))
    for name, colour in (("blue", (0, 0, 200)), ("red", (200, 0, 0))):
        for number in range(3):
            file = place / "pictures" / name / f"{number}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (8, 8), colour).save(file)
    return place


@pytest.fixture
def place(made, tmp_path):
    """The same files, to be spoiled."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    return tmp_path


def refused(place, capsys, usual, **more):
    """The sentences that `--check` ends with; nothing is left."""
    file = job_file(place, usual, **more)
    assert cli.main(["distill", str(file), "--check"]) == 2
    assert not (place / "out").exists()
    captured = capsys.readouterr()
    assert "fits" not in captured.out and "Traceback" not in captured.err
    return captured.err


def test_a_file_that_is_no_picture_is_named_before_the_first_step(place, capsys):
    whole = (place / "pictures/red/0.png").read_bytes()
    for content in (b"", b"no picture", b"<html>404</html>" * 9, whole[:45]):
        (place / "pictures/red/1.png").write_bytes(content)
        assert "red/1.png cannot be read as a picture" in refused(place, capsys, PICTURES)
    shutil.copytree(place / "pictures", place / "held_out")
    (place / "pictures/red/1.png").write_bytes(whole)
    err = refused(place, capsys, PICTURES, validation="held_out")
    assert "held_out/red/1.png cannot be read" in err  # and not after the last step
    for number in range(7):
        (place / f"held_out/blue/{number}.png").write_bytes(b"")
    assert "3 more of the kind" in refused(place, capsys, PICTURES, validation="held_out")


def test_of_very_many_pictures_every_beginning_is_read(place, monkeypatch):
    from distill_lab.data.datasets import pictures

    monkeypatch.setattr(pictures, "_DECODED", 2)
    (place / "pictures/red/1.png").write_bytes(b"")
    (sentence,) = pictures.PictureFolder(place / "pictures").broken()
    assert "red/1.png" in sentence


def test_a_single_class_is_blamed_on_the_data_that_hold_it(place, capsys):
    tiny.write_csv(place / "held_out.csv", tiny.sentences(9))
    held_out = {"validation": "held_out.csv"}
    one = [{"text": "a b", "label": "card"}] * 5
    tiny.write_csv(place / "train.csv", one)
    words = "the training data hold a single class, 'card'"
    assert f"{words}, 5 times" in refused(place, capsys, TEXTS, **held_out)
    tiny.write_csv(place / "train.csv", one[:1])
    assert f"{words}, and a classifier" in refused(place, capsys, TEXTS, **held_out)
    tags = [{"tokens": "a b", "tags": "O O"}]
    tiny.write_csv(place / "tags.csv", tags)
    tagger = {"kind": "token-classification", "train": "tags.csv"}
    assert "a single class, 'O', 2 times" in refused(place, capsys, TEXTS, **tagger)
    shutil.rmtree(place / "pictures/blue")
    assert "a single class, 'red'" in refused(place, capsys, PICTURES)
    embedder = {"kind": "embedding", "method": "cosine", "columns": {"label": "label"}}
    err = refused(place, capsys, TEXTS, teacher="bare", **embedder)
    assert "the data that are measured on hold a single class" in err


def test_a_class_that_is_listed_need_not_occur(place, capsys):
    tiny.write_csv(place / "train.csv", [{"text": "a b", "label": "card"}])
    file = job_file(place, TEXTS, labels=["card", "loan"])
    assert cli.main(["distill", str(file), "--check"]) == 0
    tiny.write_csv(place / "train.csv", [{"text": "a b", "label": "spam"}])
    file = job_file(place, TEXTS, separator="|", method="binary-kd")
    assert cli.main(["distill", str(file), "--check"]) == 0  # a single yes or no


@pytest.mark.parametrize("method", ["kd", "dkd", "dist", "logit-matching"])
def test_one_softmax_over_several_labels_is_refused_at_once(place, capsys, method):
    """However the data say that a text has several: a separator, lists, a column for each."""
    rows = [{"text": "a b", "label": "card|loan"}, {"text": "c", "label": "loan"}]
    tiny.write_csv(place / "train.csv", rows)
    words = "have several labels each: use binary-kd"
    assert words in refused(place, capsys, TEXTS, method=method, separator="|")
    listed = [row | {"label": row["label"].split("|")} for row in rows]
    tiny.write_jsonl(place / "train.jsonl", listed)
    assert words in refused(place, capsys, TEXTS, method=method, train="train.jsonl")
    tiny.write_csv(place / "train.csv", [{"text": "a", "card": 1, "loan": 0}])
    columns = {"label": ["card", "loan"]}
    assert words in refused(place, capsys, TEXTS, method=method, columns=columns)


def test_a_student_that_cannot_be_made_is_refused_at_once(place, capsys):
    shape = {"hidden_size": 10, "num_attention_heads": 4}
    assert "no student of the shape" in refused(place, capsys, TEXTS, student=shape)
    network = {"network": "small-cnn", "patch": 2}
    assert "does not take {'patch': 2}" in refused(place, capsys, PICTURES, student=network)
    for wrong in ({"patch": 2}, {"heads": 2}, {"hidden_size": 4}):
        network = {"network": "mlp", "width": 4, **wrong}
        words = f"the network mlp does not take {wrong}: its sizes are width, depth."
        assert words in refused(place, capsys, PICTURES, student=network)
    network = {"network": "vit", "patch": 3}
    assert "3" in refused(place, capsys, PICTURES, student=network)
    assert "alpha" in refused(place, capsys, TEXTS, alpha=1.5)


def test_a_teacher_of_other_classes_is_refused_at_once(place, capsys):
    names = {"id2label": {0: "card", 1: "loan"}, "label2id": {"card": 0, "loan": 1}}
    tiny.encoder(place / "two", kind=AutoModelForSequenceClassification, **names)
    err = refused(place, capsys, TEXTS, teacher="two")
    assert "'rate' is none of the 2 classes" in err and "train.csv, line" in err


def allowed(place, usual, **more):
    """The examples of a job that `--check` lets pass."""
    file = job_file(place, usual, **more)
    assert cli.main(["distill", str(file), "--check"]) == 0
    job = read_job(file)
    return import_module(f"distill_lab.jobs.setups.{job.kind.replace('-', '_')}").read_examples(job)


def test_a_number_that_is_missing_is_no_class(place, capsys):
    rows = [{"text": "a", "label": float("nan")}, {"text": "b", "label": 1}]
    tiny.write_jsonl(place / "rows.jsonl", [*rows, {"text": "c", "label": 2.0}])
    examples = allowed(place, TEXTS, train="rows.jsonl", **BARE)
    assert examples.names.names == ("1", "2")
    assert examples.train.labels.tolist() == [-100, 0, 1]
    assert "1 texts without a label" in capsys.readouterr().out


BARE = {"teacher": None, "method": "supervised", "student": "bare"}


def test_a_name_alone_is_one_label_and_not_its_letters(place):
    rows = [{"text": "a", "label": ["card", "loan"]}, {"text": "b", "label": "card"}]
    tiny.write_jsonl(place / "rows.jsonl", [*rows, {"text": "c", "label": None}])
    examples = allowed(place, TEXTS, train="rows.jsonl", method="binary-kd")
    assert examples.names.names == ("card", "loan")
    assert examples.train.labels.tolist() == [[1, 1], [1, 0], [0, 0]]
    examples = allowed(place, TEXTS, method="binary-kd")  # of a CSV, without a separator
    assert examples.names.names == tuple(tiny.CLASSES)


def test_rows_that_cannot_be_meant_are_named_by_line(place, capsys):
    """A class that is a mapping, a token that is none, a wrong candidate that is the right one."""
    rows = [{"text": "a", "label": {"name": "card"}}, {"text": "b", "label": "loan"}]
    tiny.write_jsonl(place / "rows.jsonl", rows)
    rows_of = {"train": "rows.jsonl"}
    assert "line 1: a class is a name or a number, got {'name'" in refused(
        place, capsys, TEXTS, **rows_of
    )
    tagger = {"kind": "token-classification", **rows_of}
    for token in (5, "", " "):
        rows = [{"tokens": ["a", "b"], "tags": ["O", "B"]}, {"tokens": [token], "tags": ["O"]}]
        tiny.write_jsonl(place / "rows.jsonl", rows)
        words = f"rows.jsonl, line 2: each token must be a text, got {token!r}"
        assert words in refused(place, capsys, TEXTS, **tagger)
    tiny.write_jsonl(
        place / "rows.jsonl", [{"query": "a", "positive": "b", "negative": ["c", "b"]}]
    )
    ranker = {"kind": "ranking", "method": "supervised", "teacher": None, "student": "bare"}
    words = "line 1: 'b' is the right candidate and among the wrong ones"
    assert words in refused(place, capsys, TEXTS, **ranker, **rows_of)
    for wrong in ("b ", [" b", "c"]):  # a blank more makes no other text
        tiny.write_jsonl(place / "rows.jsonl", [{"query": "a", "positive": "b", "negative": wrong}])
        assert words in refused(place, capsys, TEXTS, **ranker, **rows_of)


def test_settings_that_leave_nothing_to_learn_are_refused_at_once(place, capsys):
    alone = "leave one example alone"
    assert alone in refused(place, capsys, TEXTS, method="dist", batch_size=1)
    assert alone in refused(place, capsys, TEXTS, method="dist", batch_size=29)
    embedder = {"kind": "embedding", "method": "similarities"}
    more = {"teacher": "bare", "batch_size": 4, "accumulate": 4}
    assert alone in refused(place, capsys, TEXTS, **embedder, **more)
    first = {"model": "bare", "finetune": {"epochs": 1}}
    assert "learns nothing first" in refused(place, capsys, TEXTS, **embedder, teacher=first)
    assert "crop = 8 moves" in refused(place, capsys, PICTURES, augment={"crop": 8})
    assert "one folder" in refused(place, capsys, PICTURES, train=["pictures", "pictures"])
    assert "a bert, a model of texts" in refused(place, capsys, PICTURES, student="bare")
    file = job_file(place, TEXTS | BARE, max_length=2)
    assert cli.main(["distill", str(file)]) == 2
    assert "max_length = 2 leaves no token of a text" in capsys.readouterr().err


def test_a_warmup_as_long_as_the_run_is_refused_at_once(place, capsys):
    """Of the student, and of a teacher that learns the task first."""
    words = "warmup = 3 steps, and the run has 3: lr would never reach its height"
    more = {"batch_size": 10, "epochs": 1, "warmup": 3}
    assert words in refused(place, capsys, TEXTS | BARE, **more)
    first = {"model": "bare", "finetune": {"epochs": 1, "warmup": 3}}
    assert f"the teacher's {words}" in refused(place, capsys, TEXTS, batch_size=10, teacher=first)
    file = job_file(place, TEXTS, batch_size=10, epochs=2, warmup=2)
    assert cli.main(["distill", str(file), "--check"]) == 0
    shown = capsys.readouterr().out
    assert "the teacher's steps: 3 an epoch, 3 in all" in shown
    assert "\nsteps: 3 an epoch, 6 in all" in shown
    for warmup in (3, 2):  # as the run has it
        more = {"batch_size": 10, "epochs": 1, "warmup": warmup}
        code = cli.main(["distill", str(job_file(place, TEXTS | BARE, **more))])
        assert code == (2 if warmup == 3 else 0)


QUERIES = [{"query": q, "positive": f"{q} c", "negative": ["d e f", "g"]} for q in "abcdeab"]
TAGGED = [{"tokens": [q, "b", "c"], "tags": ["X", "O", "O"]} for q in "abcdeab"]
OTHERS = {
    "a word": (TEXTS | BARE, tiny.sentences(9), {"text": "a a z"}),
    "a label": (TEXTS | BARE, tiny.sentences(9), {"label": "loan"}),
    "a label of several": (
        TEXTS | BARE | {"separator": "|"},
        tiny.sentences(9),
        {"label": "card|loan"},
    ),
    "a number": (
        TEXTS | BARE | {"method": "regression"},
        [{"text": f"a {q}", "label": i} for i, q in enumerate("bcdef")],
        {"label": 2.5},
    ),
    "a tag": (TEXTS | BARE | {"kind": "token-classification"}, TAGGED, {"tags": ["O", "O", "X"]}),
    "a text": (
        TEXTS | {"kind": "embedding", "method": "cosine", "teacher": "bare"},
        tiny.sentences(9),
        {"text": "a a z"},
    ),
    "a candidate": (TEXTS | BARE | {"kind": "ranking"}, QUERIES, {"negative": ["d e f", "h"]}),
    "a query": (
        TEXTS | {"kind": "ranking", "method": "listwise", "reads": "apart", "student": "bare"},
        QUERIES,
        {"query": "z"},
    ),
}


@pytest.mark.parametrize("what", OTHERS)
def test_other_rows_in_the_same_file_are_seen_before_the_run(place, capsys, what):
    usual, rows, other = OTHERS[what]
    tiny.write_jsonl(place / "rows.jsonl", rows)
    file = str(job_file(place, usual, train="rows.jsonl", epochs=1, batch_size=4))
    assert cli.main(["distill", file]) == 0
    assert cli.main(["distill", file, "--check"]) == 0  # it is its own
    assert rows[3].items() != (rows[3] | other).items()
    tiny.write_jsonl(place / "rows.jsonl", [*rows[:3], rows[3] | other, *rows[4:]])
    capsys.readouterr()
    for flag in (["--check"], []):
        assert cli.main(["distill", file, *flag]) == 2
        error = capsys.readouterr().err
        assert "belongs to another run (data: " in error or "is the cache of something" in error


@pytest.mark.parametrize(
    "kind", ["text-classification", "embedding", "token-classification", "ranking"]
)
def test_half_a_character_is_named_by_its_line(place, capsys, kind):
    """A lone surrogate, as of an escape in JSON that was cut; a tokenizer would not say where."""
    half = "b \ud800"
    whole = {"text": "a b", "tokens": ["a", "b"], "tags": ["x", "y"], "label": "loan"}
    row = {"text": half, "tokens": ["a", half], "tags": ["x", "y"], "label": "card"}
    own = {"kind": kind, "train": "half.jsonl"}
    own |= {"method": "cosine", "teacher": "bare"} if kind == "embedding" else {}
    if kind == "ranking":
        rows = [{"query": "a", "positive": "b", "negative": ["c", each]} for each in ("d", half)]
        whole, row, own = *rows, own | {"method": "margin-mse"}
    tiny.write_jsonl(place / "half.jsonl", [whole, row])
    words = refused(place, capsys, TEXTS | own)
    assert "half.jsonl, line 2" in words and "half a character" in words


def test_the_column_that_is_likely_meant_is_named(place, capsys):
    (place / "train.csv").write_text("Text,Label\na b,card\n")
    words = refused(place, capsys, TEXTS | {"columns": {"text": "Text"}})
    assert "columns: {label: Label}" in words
    (place / "train.csv").write_text('text,label\na b,card\n"c d,loan\n')
    assert "line 3: a quotation mark is opened and never closed" in refused(place, capsys, TEXTS)


def test_an_accent_has_two_forms_and_is_one_name():
    """As one machine writes e with an accent, and another an e and the accent behind it."""
    whole, parts = "caf\u00e9", "cafe\u0301"
    assert find_names([whole, parts, "tea"]) == (whole, "tea")
    for names in ((whole, "tea"), (parts, "tea")):  # as in the folder of an earlier student
        labels = Labels(names)
        assert labels.numbers([whole, parts, "tea"], ["x"] * 3).tolist() == [0, 0, 1]
        assert list(labels.config["label2id"]) == list(names)


@pytest.mark.parametrize("twin", ["Card", "card\u200b", "ca  rd", "\uff43ard"])
def test_classes_that_look_alike_are_warned_of(twin):
    other = "ca rd" if " " in twin else "card"
    with pytest.warns(UserWarning, match="look alike") as told:
        assert len(find_names([other, twin, "loan"])) == 3
    assert len(told) == 1 and ascii(twin) in str(told[0].message)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        find_names(["card", "cards", "loan"])
