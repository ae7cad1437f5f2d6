"""A job file is read with care: every mistake with its line and the way to mend it."""

import os
import textwrap
import warnings
from pathlib import Path

import pytest

from distill_lab.jobs.job import DEFAULTS, Job
from distill_lab.jobs.job_file import read_job
from distill_lab.jobs.kinds import KINDS
from distill_lab.jobs.settings import NEEDED, settings_table
from distill_lab.training import TrainingConfig

GOOD = """
teacher: big
student: {hidden_size: 16, intermediate_size: 32, num_hidden_layers: 1, num_attention_heads: 2}
train: train.jsonl
method: jsd
lr: 1
out: runs/first
"""


def write(folder, text):
    path = folder / "job.yaml"
    path.write_text(textwrap.dedent(text).lstrip(), encoding="utf-8")
    return path


def test_a_good_file_with_paths_beside_it(tmp_path):
    (tmp_path / "train.jsonl").touch()
    job = read_job(write(tmp_path, GOOD))
    assert job.train == str(tmp_path / "train.jsonl") and job.out == str(tmp_path / "runs/first")
    assert job.teacher == "big"  # nothing lies there: a name on the hub
    assert (job.training.lr, job.training.epochs, job.beta) == (1.0, 3, 0.5)
    assert isinstance(job.training.lr, float)


def test_every_mistake_is_named_at_once_each_with_its_line(tmp_path):
    text = """
        student: {hidden_size: 16}
        train: 7
        method: token-lk
        epoch: 3
        epochs: three
        T: 0
        precision: int8
        lora: {rank: 4}
        task: 3
    """
    with pytest.raises(ValueError) as error:
        read_job(write(tmp_path, text))
    lines = str(error.value).splitlines()
    assert [line.split("job.yaml, ")[1].split(":")[0] for line in lines] == [
        "line 1",
        "line 1",
        "line 1",
        "line 2",
        "line 3",
        "line 4",
        "line 5",
        "line 6",
        "line 7",
        "line 8",
        "line 9",
    ]
    text = str(error.value)
    for words in (
        "out is missing",
        "student needs hidden_size, num_hidden_layers",
        "takes the teacher's tokenizer",
        "train must be a text, got 7",
        "one of ['sft', 'seq-kd', 'token-kl'",
        "got 'token-lk'. Did you mean 'token-kl'?",
        "did you mean 'epochs'?",
        "epochs must be a positive integer, got 'three'",
        "T must be a positive finite number, got 0",
        "one of ['fp32', 'bf16', 'fp16'], got 'int8'",
        "no setting 'rank' in lora; known: r, alpha",
        "task must be a text, got 3",
    ):
        assert words in text, words


@pytest.mark.parametrize(
    ("name", "ours"),
    [
        ("packing", "bundle"),
        ("learning_rate", "lr"),
        ("output_dir", "out"),
        ("per_device_train_batch_size", "batch_size"),
        ("lr_scheduler_type", "schedule"),
    ],
)
def test_settings_by_the_names_of_other_tools_are_told_ours(tmp_path, name, ours):
    for kind in ("language-model", "text-classification"):
        if ours == "bundle" and kind != "language-model":
            continue
        with pytest.raises(ValueError, match=f"line 2: .*'{name}'; did you mean '{ours}'"):
            read_job(write(tmp_path, f"kind: {kind}\n{name}: 3\n"))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("teacher: big\n", ""), "line 3: method jsd needs a teacher"),
        (("lr: 1", "beta: 1"), "line 5: beta 0 and 1 are token-kl and reverse-kl"),
        (("lr: 1", "accumulate: 17"), "line 5: accumulate cuts a batch into pieces, and 16"),
        (("lr: 1", "clip: 0"), "line 5: clip must be a positive finite number, got 0"),
        (("lr: 1", "lr: [1"), r"line \d: this is not YAML"),
        ((GOOD, "- a"), "expected lines of the form"),
        ((GOOD, ""), "student is missing"),
    ],
)
def test_what_does_not_fit_together(tmp_path, change, words):
    with pytest.raises(ValueError, match=words):
        read_job(write(tmp_path, GOOD.replace(*change)))


def test_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="check the path"):
        read_job(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("written", "number"),
    [("2e-4", 2e-4), ("1E-3", 1e-3), ("1e0", 1.0), (".5", 0.5), ("+2.5e+1", 25.0), ("3", 3.0)],
)
def test_a_number_is_one_however_it_is_written(tmp_path, written, number):
    job = read_job(write(tmp_path, GOOD.replace("lr: 1", f"lr: {written}\nT: {written}")))
    assert job.training.lr == job.T == number and isinstance(job.training.lr, float)


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("warmup: 1e2", ("training.warmup", 100)),
        ("epochs: 3.0", ("training.epochs", 3)),
        ("lora: {dropout: 1e-1, r: 1e1}", ("lora", {"dropout": 0.1, "r": 10})),
        ("out: 2026-11-28", ("out", "2026-11-28")),  # YAML 1.1 makes a date of it
        ("schedule: constant", ("training.schedule", "constant")),
        ("clip: null", ("training.clip", None)),
        ("seed: 017", ("training.seed", 17)),  # and an octal number of this
    ],
)
def test_values_are_what_they_look_like(tmp_path, written, value):
    name, expected = value
    text = GOOD.replace("out: runs/first\n", "") if written.startswith("out") else GOOD
    job = read_job(write(tmp_path, f"{text}{written}\n"))
    got = job
    for part in name.split("."):
        got = getattr(got, part)
    assert (Path(got).name if name == "out" else got) == expected


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("lora: {dropout: ten}", r"line 7: dropout must lie between 0 and 1, got 'ten'"),
        ("lora:\n  r: 4\n  dropout: 2", r"line 9: dropout must lie between 0 and 1"),
        ("lora: {r: 1.5}", r"line 7: r must be a positive integer, got 1.5"),
        ("lora: {r: x}", r"line 7: r must be a positive integer, got 'x'"),
        ("lora: {target_modules: [q_proj, 3]}", r"line 7: target_modules must be a text or a list"),
        ("lora: 4", r"line 7: lora must be a mapping"),
        ("lr: 1", r"line 7: lr stands here and on line 5: keep one"),
        ("lora: {r: 4, r: 8}", r"line 7: lora.r stands here and on line 7"),
        ("T: no", r"line 7: T must be a positive finite number, got 'no'"),
        ("columns: {prompt: 3}", r"line 7: prompt in columns must be a text"),
        (
            "exam: {data: t.jsonl, verify: numbers}",
            r"line 7: verify must be one of \['exact', 'num",
        ),
        ("exam: {verify: exact}", r"line 7: exam needs data: add data"),
        ("exam:\n  data: t\n  labels: [a, b]", r"line 9: labels is read by verify: label alone"),
        ("exam: a.jsonl\ntask: a.jsonl", r"line 8: task is an exam's data: name exam alone"),
        ("kind: language_model", r"line 7: .*did you mean 'language-model'"),
        ("epochs: 1e999", r"line 7: epochs must be a positive integer"),
    ],
)
def test_every_nested_value_is_checked_at_its_line(tmp_path, written, words):
    with pytest.raises(ValueError, match=words):
        read_job(write(tmp_path, f"{GOOD}{written}\n"))


def test_home_and_variables_in_every_path(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("RUNS", str(tmp_path / "scratch"))
    (tmp_path / "home").mkdir()
    (tmp_path / "home/t.jsonl").touch()
    text = GOOD.replace("train.jsonl", "~/t.jsonl").replace("runs/first", "${RUNS}/a")
    job = read_job(write(tmp_path, text.replace("teacher: big", "teacher: $HOME/big")))
    assert job.train == str(tmp_path / "home/t.jsonl") and job.out == str(tmp_path / "scratch/a")
    assert job.teacher == str(tmp_path / "home/big")
    with pytest.raises(ValueError, match=r"line 6: out .* NOWHERE_AT_ALL, which is not set"):
        read_job(write(tmp_path, GOOD.replace("runs/first", "$NOWHERE_AT_ALL/a")))


@pytest.mark.parametrize(
    "path",
    [
        r"C:\models\t",
        r"C:\new\t",
        r"C:\temp\run",
        r"C:\_old",
        r"D:\Users\ann",
        r"D:\0run",
        r"..\beta",
    ],
)
@pytest.mark.parametrize("name", ["teacher", "train", "out"])
def test_a_windows_path_in_double_quotes_is_told_the_way_out(tmp_path, name, path):
    line = next(line for line in GOOD.splitlines() if line.startswith(name))
    text = GOOD.replace(line, f'{name}: "{path}"')
    with pytest.raises(ValueError, match=r"line \d.*single quotes, as in .*forward slashes"):
        read_job(write(tmp_path, text))
    for good in (f"'{path}'", '"' + path.replace("\\", "\\\\") + '"', path.replace("\\", "/")):
        read_job(write(tmp_path, GOOD.replace(line, f"{name}: {good}")))
    assert sorted(os.listdir(tmp_path)) == ["job.yaml"]  # reading makes nothing


def test_settings_on_the_command_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "jobs").mkdir()
    file = write(tmp_path / "jobs", GOOD + "lora: {r: 2, alpha: 4}\n")
    job = read_job(file, ["lr=1e-3", "out=runs/b", "lora.r=4", "student=big", "clip=null"])
    assert (job.training.lr, job.out, job.lora) == (1e-3, "runs/b", {"r": 4, "alpha": 4.0})
    assert job.student == "big" and job.training.clip is None
    assert read_job(file, [r"out=C:\temp\run"]).out == r"C:\temp\run"
    for words, message in (
        ("lr=two", r"lr= on the command line: lr must be a positive finite number, got 'two'"),
        (
            "epoch=1",
            r"epoch= on the command line: there is no setting 'epoch'; did you mean 'epochs'",
        ),
        ("lora.rank=1", r"lora.rank= on the command line: there is no setting 'rank' in lora"),
        ("lr", "expected name=value"),
    ):
        with pytest.raises(ValueError, match=message):
            read_job(file, [words])


def test_a_setting_that_the_method_does_not_read_is_named_with_its_line(tmp_path):
    text = GOOD.replace("method: jsd", "method: sft") + "T: 4\nalpha: 0.5\nmax_new_tokens: 8\n"
    with pytest.warns(UserWarning, match="does not read") as unread:
        read_job(write(tmp_path, text))
    assert [str(each.message).split("job.yaml, ")[1] for each in unread] == [
        "line 7: method sft does not read T; token-kl, reverse-kl, jsd, on-policy, uld do.",
        "line 8: method sft does not read alpha; token-kl, reverse-kl, jsd, uld do.",
        "line 9: method sft does not read max_new_tokens; seq-kd, on-policy do.",
    ]
    (tmp_path / "exam.jsonl").write_text('{"prompt": "a", "answer": "b"}\n')
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read_job(write(tmp_path, GOOD + "T: 4\nalpha: 0.5\nbeta: 0.2\n"))
        text = text.replace("T: 4\nalpha: 0.5\n", "task: exam.jsonl\n")
        read_job(write(tmp_path, text))  # an exam is answered, whatever the method


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le"])
def test_a_job_file_of_a_windows_editor(tmp_path, encoding):
    file = tmp_path / "job.yaml"
    file.write_bytes(GOOD.replace("\n", "\r\n").encode(encoding))
    assert read_job(file).method == "jsd"
    file.write_bytes(b"\n" + GOOD.replace("big", "gro\xdf").encode("latin-1"))
    with pytest.raises(ValueError, match=r"line 3: the byte 0xdf is no text in utf-8"):
        read_job(file)


def test_the_schema_and_the_jobs_have_the_same_defaults():
    """A default stands in the schema, and for jobs made in Python in the dataclass again."""
    kind = KINDS["language-model"]
    given = {each.name: each.default for each in kind.settings if each.default is not NEEDED}
    made = kind.make({**given, "student": "s", "train": "t", "out": "o", "method": "sft"})
    assert made == Job(student="s", train="t", out="o", method="sft")
    assert made.training == DEFAULTS and isinstance(DEFAULTS, TrainingConfig)
    table = settings_table([kind], markdown=True)
    names = {line.split("`")[1] for line in table.splitlines()[2:]}
    assert {each.name for each in kind.settings} <= names and "lora.dropout" in names


def test_an_exam_is_a_file_or_a_mapping_and_a_task_is_the_same(tmp_path):
    (tmp_path / "t.jsonl").touch()
    there = str(tmp_path / "t.jsonl")
    for written, exam in (
        ("exam: t.jsonl", {"data": there}),
        ("task: t.jsonl", {"data": there}),
        ("exam: {data: t.jsonl, verify: numeric}", {"data": there, "verify": "numeric"}),
        ("exam: {data: [t.jsonl, t.jsonl]}", {"data": [there, there]}),
    ):
        assert read_job(write(tmp_path, f"{GOOD}{written}\n")).exam == exam, written


@pytest.mark.parametrize("method", ["seq-kd", "on-policy"])
def test_answers_may_be_the_likeliest_tokens(tmp_path, method):
    text = GOOD.replace("method: jsd", f"method: {method}") + "temperature: 0\n"
    assert read_job(write(tmp_path, text)).temperature == 0
    with pytest.raises(ValueError, match="temperature must be"):
        read_job(write(tmp_path, text.replace("temperature: 0", "temperature: -1")))
