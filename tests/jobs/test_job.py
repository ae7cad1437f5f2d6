"""A job file is read with care: every mistake with its line and the way to mend it."""

import textwrap

import pytest

from distill_lab.jobs.job import read_job

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
        "as a shape needs hidden_size",
        "takes the teacher's tokenizer",
        "train must be a text, got 7",
        "one of ['sft', 'seq-kd', 'token-kl'",
        "did you mean 'epochs'?",
        "epochs must be a positive integer, got 'three'",
        "T must be a positive finite number, got 0",
        "one of ['fp32', 'bf16', 'fp16'], got 'int8'",
        "some of r, alpha",
        "task must be a text, got 3",
    ):
        assert words in text, words


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
