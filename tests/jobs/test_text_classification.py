"""A classifier of texts from one job file: its data, its teacher, its student, its end."""

import json
import os
import shutil
import signal
import sys
import time

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModel, AutoModelForSequenceClassification, AutoTokenizer

from distill_lab import cli
from distill_lab.jobs.job_file import read_job
from distill_lab.jobs.running import run_job
from distill_lab.jobs.setups.encoded import alike, encode
from distill_lab.jobs.setups.labels import Labels, find_names, labels_of
from distill_lab.jobs.setups.tables import read_table
from distill_lab.jobs.setups.text_classification import read_examples
from distill_lab.training.distributed import DistributedContext
from tests.jobs import runs, tiny
from tests.jobs.runs import stop_at

LABELS = {"id2label": {0: "rate", 1: "card", 2: "loan"}}  # not in the order of the alphabet


@pytest.fixture
def place(tmp_path):
    tiny.encoder(tmp_path / "bare")
    tiny.write_csv(tmp_path / "train.csv", tiny.sentences(120))
    tiny.write_csv(tmp_path / "held_out.csv", tiny.sentences(60, seed=1))
    return tmp_path


def job_file(place, name="job.yaml", **more):
    given = {
        "kind": "text-classification",
        "teacher": {"model": "bare", "finetune": {"epochs": 12, "lr": 3e-3}},
        "student": {"layers": [0]},
        "train": "train.csv",
        "validation": "held_out.csv",
        "method": "kd",
        "epochs": 6,
        "batch_size": 16,
        "lr": 3e-3,
        "out": "out",
    }
    return runs.job_file(place, given, name, **more)


def run(place, **more):
    lines = []
    outcome = run_job(read_job(job_file(place, **more)), progress=False, log=lines.append)
    return outcome, lines


@pytest.mark.parametrize("family", ["llama", "gpt2"])
@pytest.mark.parametrize("student", [{"layers": [0]}, "bare"])
def test_a_decoder_classifies_though_its_configuration_names_no_padding(place, family, student):
    """It reads the last word of a text, which is where its tokenizer's padding begins."""
    sizes = {
        "llama": {"hidden_size": 16, "intermediate_size": 32, "num_attention_heads": 2},
        "gpt2": {"n_embd": 16, "n_head": 2, "n_positions": 32},
    }[family]
    layers = {"gpt2": "n_layer"}.get(family, "num_hidden_layers")
    ends = {"pad_token_id": None, "bos_token_id": None, "eos_token_id": None}
    words = {"vocab_size": len(tiny.WORDS), "initializer_range": 0.3, layers: 2}
    config = AutoConfig.for_model(family, **words, **sizes, **ends)
    AutoModel.from_config(config).save_pretrained(place / "bare")
    outcome, _ = run(place, student=student)
    assert outcome.figures["teacher"]["accuracy"] > 60
    loaded = AutoModelForSequenceClassification.from_pretrained(outcome.student)
    assert loaded.config.pad_token_id == 0


def test_from_a_csv_and_a_bare_encoder_to_a_student_that_transformers_loads(place, capsys):
    file = job_file(place)
    assert cli.main(["distill", str(file), "--check"]) == 0
    assert "120 texts, 3 classes; measured on 60" in capsys.readouterr().out
    assert not (place / "out").exists()
    assert cli.main(["distill", str(file)]) == 0
    out = capsys.readouterr().out
    assert "the teacher learns the task first: 120 examples, 12 epochs" in out
    assert "macro F1" in out
    folder = place / "out/student"
    student = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    assert student.config.num_hidden_layers == 1
    assert student.config.id2label == {0: "card", 1: "loan", 2: "rate"}
    tokens = AutoTokenizer.from_pretrained(folder)("d e f d", return_tensors="pt")
    assert student.config.id2label[int(student(**tokens).logits.argmax())] == "loan"
    report = json.loads((place / "out/report.json").read_text())
    assert report["figures"]["teacher"]["accuracy"] > 90
    assert report["figures"]["student"]["accuracy"] > 90
    assert (folder / "card.md").exists() and "macro F1" in (place / "out/report.md").read_text()
    left = {path.name for path in (place / "out").iterdir()}
    assert not [name for name in left if "partial" in name]


@pytest.mark.slow
@pytest.mark.parametrize("method", ["supervised", "kd", "dkd", "dist", "logit-matching"])
def test_every_method_learns_from_a_classifier_in_its_own_order(place, method):
    """The teacher numbers its classes as it likes; data name them, so nothing is permuted."""
    tiny.encoder(place / "sorted", kind=AutoModelForSequenceClassification, num_labels=3, **LABELS)
    first = {"method": "supervised", "teacher": None, "student": "sorted", "epochs": 14}
    teacher, _ = run(place, out="first", **first)
    assert teacher.figures["student"]["accuracy"] > 90
    trained = str(place / "first/student")
    outcome, _ = run(place, teacher=trained, method=method, epochs=10, out=method)
    assert outcome.figures["teacher"]["accuracy"] > 90
    assert outcome.figures["student"]["accuracy"] > 85


@pytest.mark.parametrize(
    ("names", "number"),
    [
        (["card", "loan", "rate"], "'card' as number 0, and the teacher has it as 2"),
        (["loan", "card", "sum"], "'card' as number 1, and the teacher has it as 2"),
        (["loan", "loans", "rates"], None),  # other words for two of them, in their places
        (["a", "b", "c"], None),
    ],
)
def test_a_teachers_classes_are_not_listed_in_another_order(place, capsys, names, number):
    """Each of its answers would be of another class, and the student would learn that."""
    own = {"loan": 0, "rate": 1, "card": 2}
    id2label = {i: name for name, i in own.items()}
    more = {"kind": AutoModelForSequenceClassification, "id2label": id2label, "label2id": own}
    tiny.encoder(place / "theirs", **more)
    rows = [{"text": "a b", "category": name} for name in names] * 3
    tiny.write_csv(place / "renamed.csv", rows)
    data = {"train": "renamed.csv", "validation": "renamed.csv", "columns": {"label": "category"}}
    file = job_file(place, teacher="theirs", labels=names, **data)
    assert cli.main(["distill", str(file), "--check"]) == (0 if number is None else 2)
    error = capsys.readouterr().err
    assert number is None or f"labels has {number}: list the names in the" in error, error


def test_a_teachers_order_of_classes_is_kept(place):
    tiny.encoder(
        place / "theirs",
        kind=AutoModelForSequenceClassification,
        id2label=LABELS["id2label"],
        label2id={name: i for i, name in LABELS["id2label"].items()},
    )
    outcome, _ = run(place, teacher="theirs", epochs=1)
    student = AutoModelForSequenceClassification.from_pretrained(outcome.student)
    assert student.config.id2label == LABELS["id2label"]


def test_texts_without_labels_learn_from_the_teacher_alone(place):
    first, _ = run(place, out="first", method="supervised", student="bare", teacher=None, epochs=9)
    rows = [{"text": row["text"]} for row in tiny.sentences(120)]
    tiny.write_jsonl(place / "bare.jsonl", rows)
    more = {"teacher": str(first.student), "train": "bare.jsonl", "alpha": 1.0}
    outcome, _ = run(place, **more)
    assert outcome.figures["student"]["accuracy"] > 85


@pytest.mark.parametrize(
    ("method", "mend"),
    [("kd", "say alpha: 1, which"), ("dist", "choose kd with"), ("binary-kd", "say alpha: 1")],
)
def test_where_no_text_has_a_label_what_learns_from_them_is_refused_at_once(
    place, capsys, method, mend
):
    """Not after the teacher has answered every text."""
    tiny.encoder(place / "sorted", kind=AutoModelForSequenceClassification, num_labels=3, **LABELS)
    tiny.write_jsonl(place / "bare.jsonl", [{"text": row["text"]} for row in tiny.sentences(9)])
    more = {"separator": "|"} if method == "binary-kd" else {}
    file = str(job_file(place, method=method, teacher="sorted", train="bare.jsonl", **more))
    for way in (["--check"], []):
        assert cli.main(["distill", file, *way]) == 2
        error = capsys.readouterr().err
        assert "none of the 9 texts has a label" in error and mend in error, error
    assert not (place / "out/teacher_answers").exists()
    if method != "dist":
        assert cli.main(["distill", file, "alpha=1", "--check"]) == 0


def test_a_label_that_is_unknown_is_named_by_file_and_line(place, capsys):
    rows = tiny.sentences(4)
    rows[2]["label"] = "lone"
    tiny.write_csv(place / "held_out.csv", rows)
    assert cli.main(["distill", str(job_file(place)), "--check"]) == 2
    assert "held_out.csv, line 4: 'lone' is none of the 3 classes: did you mean 'loan'?" in (
        capsys.readouterr().err
    )


def test_a_bare_encoder_a_wrong_column_and_a_missing_layer_name_the_way_out(place, capsys):
    for more, words in (
        ({"teacher": "bare"}, "finetune: {epochs: 3}"),
        ({"columns": {"text": "texts"}}, "there is no column 'texts'; the columns are"),
        ({"student": {"layers": [0, 2]}}, "the teacher has the layers 0 to 1, and layers names"),
        ({"student": {"layers": [0], "hidden_size": 8}}, "other sizes cannot be given"),
        ({"student": "./nowhere"}, "the student: there is no folder"),
        ({"columns": {"texts": "text"}}, "it may name text, label"),
        ({"teacher": None}, "method kd needs a teacher"),
        ({"teacher": {"model": "bare", "finetune": {"epoch": 1}}}, "did you mean 'epochs'"),
    ):
        assert cli.main(["distill", str(job_file(place, **more)), "--check"]) == 2
        assert words in capsys.readouterr().err
    assert not (place / "out").exists()


def test_names_of_classes():
    assert find_names(["3", 1, 2.0, None, ""]) == ("1", "2", "3")
    ratings = Labels(("1", "2", "3"))
    assert ratings.numbers([3, "1", None], ["a"] * 3).tolist() == [2, 0, -100]
    with pytest.raises(ValueError, match="0 is none of the 3 classes"):
        ratings.numbers([0], ["rows.csv, line 2"])
    assert Labels(("no", "yes")).numbers([1, "no", "0"], ["x"] * 3).tolist() == [1, 0, 0]
    with pytest.raises(ValueError, match=r"no names.*labels: \[first, second"):
        find_names(["a", "b"], of_teacher=("LABEL_0", "LABEL_1"))
    assert find_names(["a"], of_teacher=("LABEL_0", "LABEL_1"), given=("a", "b")) == ("a", "b")
    with pytest.raises(ValueError, match="and 2 more of the kind"):
        ratings.numbers(["x"] * 7, ["rows.csv, line 2"] * 7)


def test_a_student_of_other_tokens_learns_from_the_teachers_own(place):
    """Each reads the same text with its own tokenizer; the answers belong to the same examples."""
    words = [*tiny.WORDS[:4], *reversed(tiny.WORDS[4:])]
    tiny.encoder(place / "other", 1, words=words)
    outcome, _ = run(place, student="other", alpha=1.0, epochs=10)
    assert outcome.figures["student"]["accuracy"] > 85


def test_what_is_measured_on_is_not_learned(place):
    """The training data hold the training rows and no other, however they are ordered."""
    from distill_lab.jobs import setups
    from distill_lab.jobs.setups.setup import Context

    given = {"teacher": None, "student": "bare", "method": "supervised"}
    job = read_job(job_file(place, **given))
    setup = setups.setup(
        job, Context(lambda line: None, False, DistributedContext(torch.device("cpu")))
    )
    assert len(setup.data) == 120
    rows = [setup.data.tokens.row("input_ids", number) for number in range(120)]
    tokens = tiny.tokenizer()([row["text"] for row in tiny.sentences(120)])["input_ids"]
    assert sorted(rows) == sorted(tokens)


def test_two_tokenizers_number_the_same_examples_alike():
    texts = [row["text"] for row in tiny.sentences(40)]
    words = [*tiny.WORDS[:4], *reversed(tiny.WORDS[4:])]
    one, two = (
        encode(tokenizer, list(texts), None, max_length=32, log=print)
        for tokenizer in (tiny.tokenizer(), tiny.tokenizer(words))
    )
    for number in range(40):
        mine, other = (data.tokens.row("input_ids", number) for data in (one, two))
        assert [tiny.WORDS[i] for i in mine] == [words[i] for i in other]
    assert not alike(one, two)
    again = encode(tiny.tokenizer(), texts, None, max_length=33, log=print)
    assert alike(one, again) and one.fingerprint != again.fingerprint  # no text is so long


def test_a_number_a_text_is_learned_from_labels_and_teacher(place, capsys):
    rows = [
        {"text": row["text"], "score": {"card": -1, "loan": 0.5, "rate": 2}[row["label"]]}
        for row in tiny.sentences(120)
    ]
    tiny.write_csv(place / "train.csv", rows)
    tiny.write_csv(place / "held_out.csv", rows[:40])
    columns = {"label": "score"}
    outcome, _ = run(place, method="regression", columns=columns, epochs=10)
    assert outcome.figures["teacher"]["rmse"] < 0.8 and outcome.figures["student"]["rmse"] < 0.8
    student = AutoModelForSequenceClassification.from_pretrained(outcome.student)
    assert student.config.problem_type == "regression" and student.config.num_labels == 1
    rows[1]["score"] = "much"
    tiny.write_csv(place / "train.csv", rows)
    more = {"method": "regression", "columns": columns}
    assert cli.main(["distill", str(job_file(place, **more)), "--check"]) == 2
    assert "train.csv, line 3: expected a number, got 'much'" in capsys.readouterr().err


@pytest.mark.slow
def test_a_stopped_job_goes_on_to_the_same_student(place):
    full, _ = run(place, out="whole")

    job = read_job(job_file(place, out="torn", checkpoint_every=4))
    for step in (30, 17):  # while the teacher learns, then while the student does
        assert run_job(job, progress=stop_at(step)).history.interrupted
        assert not (place / "torn/student").exists()
    torn = run_job(job, progress=False)
    names = ("model.safetensors", "config.json", "tokenizer.json")
    for name in names:
        assert (full.student / name).read_bytes() == (torn.student / name).read_bytes()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork on Windows")
def test_kill_9_and_again_gives_the_same_bytes(place):
    full, _ = run(place, out="whole", epochs=30, checkpoint_every=5)
    file = job_file(place, out="killed", epochs=30, checkpoint_every=5)

    def command():
        return cli.main(["distill", str(file)])

    for wait_for in ("teacher.safetensors", "run.safetensors"):
        pid = runs.forked(command)
        while not (place / "killed" / wait_for).exists():
            assert os.waitpid(pid, os.WNOHANG) == (0, 0)
            time.sleep(0.01)
        os.kill(pid, signal.SIGKILL)
        assert os.WTERMSIG(os.waitpid(pid, 0)[1]) == signal.SIGKILL
    assert os.waitpid(runs.forked(command), 0)[1] == 0
    again = (place / "killed/student/model.safetensors").read_bytes()
    assert again == (full.student / "model.safetensors").read_bytes()


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet", "saved"])
def test_a_class_may_be_called_nan_and_what_is_nothing_is_no_class(tmp_path, form):
    """Texts stay texts, as pandas would not leave them; null and JSON's NaN are no label."""
    names = ["nan", "NA", "null", "None", "NaN", "N/A", "ok", "ok"]
    rows = [{"text": f"t {name}", "label": name} for name in names]
    nothing = [] if form == "csv" else [{"text": "t", "label": None}]
    path = tmp_path / f"a.{form}"
    if form == "csv":
        tiny.write_csv(path, rows)
    elif form == "jsonl":
        nothing += [{"text": "t", "label": float("nan")}]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows + nothing))
    else:
        data = pytest.importorskip("datasets").Dataset.from_list(rows + nothing)
        data.to_parquet(path) if form == "parquet" else data.save_to_disk(path)
    table = read_table(str(path))
    values = labels_of(table, "label")
    classes = find_names(values)
    assert classes == tuple(sorted(set(names)))
    numbers = Labels(classes).numbers(values, table.places).tolist()
    assert [classes[number] for number in numbers if number >= 0] == names
    assert numbers[len(names) :] == [-100] * len(nothing)


@pytest.mark.parametrize(
    "cells",
    [
        [["ab"], ["a", "b"], "ab", ("b",), None, float("nan"), []],
        [["ab"], ["b", "a"], ["ab"], "b", "", [None], []],
    ],
)
def test_a_name_alone_among_lists_is_one_label_and_not_its_letters(cells):
    """Lists here and texts there, as train and validation of one data set may hold them."""
    labels = Labels(("a", "ab", "b"), several=True)
    numbers = labels.numbers(cells, ["row"] * len(cells)).int().tolist()
    assert numbers == [[0, 1, 0], [1, 0, 1], [0, 1, 0], [0, 0, 1], *[[0, 0, 0]] * 3]
    with pytest.raises(ValueError, match=r"a\.csv, line 2: '\[\"a\"\]' is none of the 3 classes"):
        labels.numbers(['["a"]'], ["a.csv, line 2"])


def test_a_job_reads_lists_to_train_and_texts_to_validate_alike(place):
    rows = [{**row, "label": [row["label"]]} for row in tiny.sentences(60)]
    path = place / "lists.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    given = {"teacher": None, "student": "bare", "method": "supervised", "train": "lists.jsonl"}
    examples = read_examples(read_job(job_file(place, **given)))
    assert examples.names.several and len(examples.names) == 3
    assert (examples.held_out.labels.sum(1) == 1).all()


@pytest.mark.parametrize("write", [str, json.dumps, lambda v: "{" + str(v)[1:-1] + "}"])
@pytest.mark.parametrize("more", [{"method": "kd"}, {"method": "binary-kd"}, {"separator": ";"}])
def test_a_list_in_a_csv_is_several_labels(place, write, more):
    lists = [["joy", "anger"], ["joy"], ["it's"]]
    rows = [{"text": "a b", "label": write(each)} for each in lists]
    tiny.write_csv(place / "train.csv", rows)
    examples = read_examples(read_job(job_file(place, **more, validation="train.csv")))
    assert examples.names.names == ("anger", "it's", "joy")
    assert examples.train.labels.tolist() == [[1, 0, 1], [0, 0, 1], [0, 1, 0]]


def test_a_class_whose_name_begins_with_a_bracket_is_one_class(place):
    names = ["[other]", "(a) b", "{}", "()"]
    tiny.write_csv(place / "train.csv", [{"text": "a b", "label": name} for name in names])
    examples = read_examples(read_job(job_file(place, validation="train.csv")))
    assert sorted(examples.names.names) == sorted(names) and not examples.several


def test_check_refuses_the_run_of_another_job_as_the_run_does(place, capsys):
    """Settings that are changed on an `out` with a checkpoint, and rows, and the teacher."""
    shutil.copytree(place / "bare", place / "moved")
    tiny.write_csv(place / "more.csv", tiny.sentences(130))
    shutil.copy(place / "train.csv", place / "same.csv")
    small = {"teacher": {"model": "bare", "finetune": {"epochs": 1}}, "epochs": 1}
    assert cli.main(["distill", str(job_file(place, **small))]) == 0

    def both(**change):
        file = str(job_file(place, **small | change))
        codes = []
        for flag in (["--check"], []):
            codes.append(cli.main(["distill", file, *flag]))
            words = capsys.readouterr().err
            assert codes[-1] == 0 or "belongs to another run" in words, words
        assert codes[0] == codes[1], change
        return codes[0]

    assert both() == both(train="same.csv") == 0
    assert both(teacher={"model": "moved", "finetune": {"epochs": 1}}) == 0
    for change in (
        {"alpha": 0.2},
        {"T": 3.0},
        {"lr": 1e-3},
        {"precision": "bf16"},
        {"train": "more.csv"},
        {"teacher": {"model": "bare", "finetune": {"epochs": 2}}},
    ):
        assert both(**change) == 2, change


@pytest.mark.parametrize(
    "more",
    [
        {"balance": "weights"},
        {"balance": "sampler"},
        {"method": "logit-matching"},
        {"method": "supervised", "patience": 2, "validate_every": 1},
        {"method": "dkd", "cache": False},
    ],
    ids=str,
)
def test_the_folder_of_a_run_fits_its_own_job(place, more):
    small = {"teacher": {"model": "bare", "finetune": {"epochs": 1}}, "epochs": 1}
    file = str(job_file(place, **small | more))
    assert cli.main(["distill", file]) == 0
    assert cli.main(["distill", file, "--check"]) == 0


@pytest.mark.parametrize("method", ["supervised", "binary-kd"])
@pytest.mark.parametrize("tokens", [2, 3, 4])
def test_labels_are_of_a_text_whatever_number_of_tokens_it_has(place, method, tokens):
    """Three labels, and texts of three tokens with their ends: a sum over labels all the same."""
    config = {**LABELS, "problem_type": "multi_label_classification"}
    rates = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    for name, seed in (("knows", 1), ("learns", 2)):
        kind = AutoModelForSequenceClassification
        tiny.encoder(place / name, 1, seed=seed, kind=kind, **config, **rates)
    texts = [" ".join(x * (tokens - 2)) or "." for x in "abcdefgh"]
    names = [*LABELS["id2label"].values()]
    rows = [{"text": text, "label": names[i % 3]} for i, text in enumerate(texts)]
    tiny.write_jsonl(place / "rows.jsonl", rows)
    more = {"teacher": "knows", "student": "learns", "method": method, "separator": "|"}
    more |= {"train": "rows.jsonl", "validation": "rows.jsonl", "epochs": 1}
    logits, tokenizer = {}, tiny.tokenizer()
    with torch.no_grad():
        for name in ("knows", "learns"):
            model = AutoModelForSequenceClassification.from_pretrained(place / name).eval()
            each = [model(**tokenizer(text, return_tensors="pt")).logits for text in texts]
            logits[name] = torch.cat(each)
    truth = torch.nn.functional.one_hot(torch.arange(8) % 3, 3).float()
    bce = torch.nn.functional.binary_cross_entropy_with_logits
    expected = {"bce": bce(logits["learns"], truth, reduction="none").sum(-1).mean()}
    if method == "binary-kd":
        p, q = ((logits[name] / 2).sigmoid() for name in ("knows", "learns"))
        kl = p * (p / q).log() + (1 - p) * ((1 - p) / (1 - q)).log()
        expected["kd"] = 4 * kl.sum(-1).mean()
    for accumulate in (1, 3):
        given = more | {"batch_size": 8, "accumulate": accumulate, "out": f"out{accumulate}"}
        outcome, _ = run(place, **given)
        for name, value in expected.items():
            assert outcome.history[name][0] == pytest.approx(value.item(), rel=2e-3), accumulate
    # a teacher that learns the task first counts alike, its classes in the alphabet's order
    first = {"model": "knows", "finetune": {"epochs": 1, "batch_size": 8}}
    run(place, **more | {"teacher": first, "out": "first"})
    known = torch.tensor([sorted(names).index(row["label"]) for row in rows])
    each = bce(logits["knows"], torch.nn.functional.one_hot(known, 3).float(), reduction="none")
    history = load_file(place / "first/teacher.safetensors")["history/bce"]
    assert history[0].item() == pytest.approx(each.sum(-1).mean().item(), rel=2e-3)


def of_a_wrapper(weights):
    return {f"_orig_mod.{name}": value for name, value in weights.items()}


def without_a_layer(weights):
    return {name: value for name, value in weights.items() if ".layer.1." not in name}


def without_the_head(weights):
    return {name: value for name, value in weights.items() if "classifier" not in name}


def narrower(weights):
    return {n: v[:8] if "layer.0.intermediate" in n else v for n, v in weights.items()}


def with_a_layer_more(weights):
    last = {name: value for name, value in weights.items() if "layer.1." in name}
    return weights | {name.replace("layer.1", "layer.2"): v.clone() for name, v in last.items()}


SPOILT = (of_a_wrapper, without_a_layer, narrower, with_a_layer_more)


def spoil(folder, change):
    file = folder / "model.safetensors"
    save_file(change(load_file(file)), file, metadata={"format": "pt"})


@pytest.mark.parametrize("change", [*SPOILT, without_the_head])
def test_a_teacher_of_whose_files_a_part_is_lost_teaches_nobody(place, capsys, change):
    """transformers makes up what is missing, and answers: nobody hears of it."""
    tiny.encoder(place / "teacher", kind=AutoModelForSequenceClassification, **LABELS)
    spoil(place / "teacher", change)
    assert cli.main(["distill", str(job_file(place, teacher="teacher"))]) == 2
    words = "does not have (first: bert" if change is with_a_layer_more else "would be random"
    assert words in capsys.readouterr().err


@pytest.mark.parametrize("change", SPOILT)
@pytest.mark.parametrize("who", ["teacher", "student"])
def test_nor_does_one_whose_head_alone_may_be_new(place, capsys, who, change):
    shutil.copytree(place / "bare", place / "spoilt")
    spoil(place / "spoilt", change)
    given = {"teacher": {"model": "spoilt", "finetune": {"epochs": 1}}}
    file = job_file(place, **(given if who == "teacher" else {"student": "spoilt"}), epochs=1)
    assert cli.main(["distill", str(file)]) == 2
    assert "weights" in (err := capsys.readouterr().err) and "spoilt" in err


def test_a_head_and_a_pooler_may_be_new_where_they_learn(place):
    def without_pooler(weights):
        return {name: value for name, value in weights.items() if "pooler" not in name}

    spoil(place / "bare", without_pooler)
    outcome, _ = run(place, teacher={"model": "bare", "finetune": {"epochs": 1}}, epochs=1)
    assert outcome.student.exists()


def test_a_student_that_lost_a_part_is_not_exported(place, capsys):
    tiny.encoder(place / "student", kind=AutoModelForSequenceClassification, **LABELS)
    spoil(place / "student", without_the_head)
    assert cli.main(["export", str(place / "student"), "--to", "torch-export"]) == 2
    assert "classifier.bias, which are not in its files" in capsys.readouterr().err


MULTI, SINGLE = "multi_label_classification", "single_label_classification"


@pytest.mark.parametrize(
    ("says", "method", "label", "words"),
    [
        (MULTI, "kd", "card", "a sigmoid for each class, of which several may hold at once"),
        (MULTI, "logit-matching", "card", "a sigmoid for each class"),
        ("regression", "dkd", "card", "answers with quantities"),
        (SINGLE, "binary-kd", ["card", "rate"], "answers with one softmax over the classes"),
    ],
    ids=["sigmoids", "logits of sigmoids", "quantities", "a softmax"],
)
def test_a_teacher_whose_numbers_mean_something_else_is_refused(
    place, capsys, says, method, label, words
):
    """Its scores would be taken for others, and nothing would look wrong."""
    names = LABELS | {"problem_type": says}
    tiny.encoder(place / "teacher", kind=AutoModelForSequenceClassification, **names)
    rows = [{"text": text, "label": label} for text in "abcd"]
    tiny.write_jsonl(place / "rows.jsonl", rows)
    more = {"teacher": "teacher", "method": method, "train": "rows.jsonl", "validation": None}
    assert cli.main(["distill", str(job_file(place, **more)), "--check"]) == 2
    assert words in capsys.readouterr().err


def test_a_teacher_that_learns_the_task_first_leaves_no_other_behind(place):
    """What its configuration said of the old task is not said of the student's."""
    names = LABELS | {"problem_type": MULTI}
    tiny.encoder(place / "teacher", kind=AutoModelForSequenceClassification, **names)
    teacher = {"model": "teacher", "finetune": {"epochs": 1}}
    outcome, _ = run(place, teacher=teacher, epochs=1)
    assert AutoConfig.from_pretrained(outcome.student).problem_type is None
