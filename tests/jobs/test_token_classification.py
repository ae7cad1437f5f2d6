"""A tagger from one job file: words and tags laid on tokens, padding that teaches nothing."""

import json

import pytest
import torch
from torch import nn
from transformers import AutoModelForTokenClassification

from distill_lab import cli
from distill_lab.jobs import setups
from distill_lab.jobs.job_file import read_job
from distill_lab.jobs.running import run_job
from distill_lab.jobs.setups.encoded import encode
from distill_lab.jobs.setups.setup import Context
from distill_lab.jobs.setups.tables import list_of
from distill_lab.jobs.setups.token_classification import read_examples
from distill_lab.training.distributed import DistributedContext
from tests.jobs import runs, tiny

TAG = {letter: name for name, letters in tiny.CLASSES.items() for letter in letters}


def rows(n, seed):
    return [
        {"tokens": (words := row["text"].split()), "tags": [TAG.get(w, "O") for w in words]}
        for row in tiny.sentences(n, seed)
    ]


@pytest.fixture
def place(tmp_path):
    tiny.encoder(tmp_path / "bare")
    tiny.write_jsonl(tmp_path / "train.jsonl", rows(100, 0))
    tiny.write_jsonl(tmp_path / "held_out.jsonl", rows(40, 1))
    return tmp_path


def job_file(place, **more):
    given = {
        "kind": "token-classification",
        "teacher": {"model": "bare", "finetune": {"epochs": 14}},
        "student": {"layers": [1]},
        "train": "train.jsonl",
        "validation": "held_out.jsonl",
        "method": "kd",
        "epochs": 20,
        "batch_size": 16,
        "lr": 3e-3,
        "out": "out",
    }
    return runs.job_file(place, given, **more)


@pytest.mark.parametrize("method", ["supervised", "kd", "logit-matching"])
def test_a_tagger_from_file_to_student(place, method):
    outcome = run_job(read_job(job_file(place, method=method)), progress=False)
    assert outcome.figures["student"]["span_f1"] > 60
    student = AutoModelForTokenClassification.from_pretrained(outcome.student)
    assert sorted(student.config.id2label.values()) == ["O", "card", "loan", "rate"]


def test_tags_in_a_csv_stand_between_blanks_and_mistakes_have_their_line(place, capsys):
    flat = [{k: " ".join(v) for k, v in row.items()} for row in rows(9, 2)]
    tiny.write_csv(place / "train.csv", flat)
    columns = {"train": "train.csv", "validation": "train.csv"}
    assert cli.main(["distill", str(job_file(place, **columns)), "--check"]) == 0
    assert "9 texts, 4 tags" in capsys.readouterr().out
    flat[3]["tags"] += " O"
    flat[5]["tags"] = flat[5]["tags"].replace("card", "cart")
    tiny.write_csv(place / "train.csv", flat)
    assert cli.main(["distill", str(job_file(place, **columns)), "--check"]) == 2
    assert "train.csv, line 5: " in capsys.readouterr().err


@pytest.mark.parametrize("write", [str, json.dumps, lambda v: str(tuple(v))])
def test_lists_in_a_csv_are_read_as_pandas_and_json_write_them(place, write):
    known = rows(9, 2)
    known[4]["tokens"][0] = 'it\'s "a"'
    tiny.write_csv(place / "train.csv", [{k: write(v) for k, v in row.items()} for row in known])
    more = {"train": "train.csv", "validation": "train.csv"}
    examples = read_examples(read_job(job_file(place, **more)))
    assert examples.train.texts == [row["tokens"] for row in known]
    assert examples.names.names == ("O", "card", "loan", "rate")


@pytest.mark.parametrize(
    "cell",
    ["['a' 'b']", "['a'\n 'b']", "[0 1]", "[np.str_('a')]"],
    ids=["words", "lines", "numbers", "values"],
)
def test_an_array_in_a_cell_is_refused_with_its_line(place, cell):
    tiny.write_csv(
        place / "train.csv", [{"tokens": "a b", "tags": "O O"}, {"tokens": "a b", "tags": cell}]
    )
    more = {"train": "train.csv", "validation": "train.csv"}
    with pytest.raises(ValueError, match=r"train\.csv, line 3: expected a list as JSON or Python"):
        read_examples(read_job(job_file(place, **more)))


@pytest.mark.parametrize("cell", ["[UNK] a", "[UNK]", "[ a ]", "('a)", "[1] says so", "['tis so]"])
def test_a_text_that_begins_with_a_bracket_stays_a_text(cell):
    assert list_of(cell, "line 2") == cell


@pytest.mark.parametrize("where", ["all", "some", "none"])
def test_words_behind_the_cut_are_counted_where_figures_stand(place, capsys, where):
    """5 tokens are 3 words: a gold span behind them is missed, and in no other figure."""
    words = {"all": "x x x a", "some": "x a x a a", "none": "x a b"}[where].split()
    tags = [TAG.get(word, "O") for word in words]
    held = [{"tokens": words, "tags": tags}] * 16
    tiny.write_jsonl(place / "held_out.jsonl", held)
    file = job_file(
        place, method="supervised", teacher=None, student="bare", max_length=5, epochs=1
    )
    line = f"16 of 16 texts have more than 5 tokens: cut, and {16 * (len(words) - 3)} of "
    line += f"{16 * len(words)} words with a tag stand behind the cut"
    assert cli.main(["distill", str(file), "--check"]) == 0
    assert (f"held out: {line}" in capsys.readouterr().out) == (where != "none")
    run_job(read_job(file), progress=False)
    assert (line in (place / "out/report.md").read_text()) == (where != "none")
    cut = json.loads((place / "out/report.json").read_text()).get("cut", {"words": 0})
    assert cut["words"] == 16 * (len(words) - 3)
    report = (place / "out/report.md").read_text()
    assert ("their spans count as missed" in report) == (where != "none")


@pytest.mark.parametrize(
    ("text", "right", "missed"),
    [
        ("a d a", 3, 0),  # all is read
        ("a d a d", 3, 1),
        ("x x x a", 0, 1),  # nothing is found, where before there was nothing to be found
        ("x x a a", 0, 1),  # one span, of which the first word alone is read
    ],
)
def test_recall_of_a_tagger_is_over_all_spans_of_its_texts(place, text, right, missed):
    """A model that is right about every word that it reads, measured as a job measures it."""
    words = text.split()
    tags = [TAG.get(word, "O") for word in words]
    tiny.write_jsonl(place / "held_out.jsonl", [{"tokens": words, "tags": tags}] * 6)
    tiny.write_jsonl(place / "train.jsonl", [{"tokens": [*"adx"], "tags": ["card", "loan", "O"]}])
    file = job_file(place, method="supervised", teacher=None, student="bare", max_length=5)
    given = read_job(file)
    dist = DistributedContext(torch.device("cpu"), "fp32")
    setup = setups.setup(given, Context(lambda line: None, False, dist))
    names = list(setup.kind.names)

    class Right(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(1))

        def forward(self, input_ids, **rest):
            tags = [TAG.get(word, "O") for word in tiny.WORDS]
            wanted = [names.index(tag) if tag in names else 0 for tag in tags]
            return nn.functional.one_hot(torch.tensor(wanted)[input_ids], len(names)).float()

    wrong = 1 if text == "x x a a" else 0
    f1 = 100 * 2 * right / (2 * right + wrong + missed)
    figures = setup.compare({"student": Right()}).figures["student"]
    assert figures["span_f1"] == pytest.approx(f1)
    assert figures["token_accuracy"] == 100
    assert setup.validation().measure(Right()) == pytest.approx(f1)


def test_a_words_class_stands_at_its_first_token_alone():
    tags = [torch.tensor([1, 2, 3])]
    data = encode(tiny.tokenizer(), [["a", "b c", "d"]], tags, max_length=32, log=print)
    assert data.batch(torch.tensor([0])).labels.tolist() == [[-100, 1, 2, -100, 3, -100]]


def test_padding_teaches_nothing(place):
    """A text alone and the same one beside a long one give the same terms."""
    from distill_lab import methods
    from distill_lab.teachers import freeze

    model = AutoModelForTokenClassification.from_pretrained(place / "bare", num_labels=4)
    teacher = AutoModelForTokenClassification.from_pretrained(place / "bare", num_labels=4)
    with torch.no_grad():
        teacher.classifier.weight.normal_()
    words = [["a", "b"], list("abcdefghi")]
    tags = [torch.zeros(len(row), dtype=torch.long) for row in words]
    data = encode(tiny.tokenizer(), words, tags, max_length=32, log=print)
    both = data.batch(torch.tensor([0, 1]))
    assert (both.labels[0, 4:] == -100).all()  # where the short text has ended
    pieces = [both, data.batch(torch.tensor([0])), data.batch(torch.tensor([1]))]
    kd, frozen = methods.kd(T=1.0), freeze(teacher)
    full, *alone = (kd.terms(piece, model.eval(), frozen) for piece in pieces)
    weights = [len(row) for row in words]
    for term in ("kd", "ce"):
        values = [each[term] for each in alone]
        mean = sum(w * v for w, v in zip(weights, values, strict=True)) / sum(weights)
        torch.testing.assert_close(full[term], mean)
