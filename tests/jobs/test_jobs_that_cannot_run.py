"""Jobs of language models that cannot run: `--check` names each, with its line, and leaves nothing.

The first seven passed as "fits" when an operator tried them; the others are of the same kinds.
"""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoTokenizer

from distill_lab import cli
from tests.data.test_tokenized import llama, words_tokenizer
from tests.jobs import tiny

ROWS = [{"prompt": a + b, "answer": b + a} for a in "abcde" for b in "abcd"]
GOOD = {
    "teacher": "teacher",
    "student": "student",
    "train": "train.jsonl",
    "method": "token-kl",
    "out": "out",
    "batch_size": "8",
}


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    place = tmp_path_factory.mktemp("models")
    for name in ("teacher", "student"):
        llama(1, len(name)).save_pretrained(place / name)
        words_tokenizer().save_pretrained(place / name)
    return place


@pytest.fixture
def place(models, tmp_path, monkeypatch):
    shutil.copytree(models, tmp_path, dirs_exist_ok=True)
    tiny.write_jsonl(tmp_path / "train.jsonl", ROWS)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("SCRATCH_OF_NOBODY", raising=False)
    return tmp_path


def checked(place, capsys, *lines, **settings):
    """The exit code and the words of `--check`, and that nothing was left."""
    given = {k: v for k, v in (GOOD | settings).items() if v is not None}
    text = "".join(f"{name}: {value}\n" for name, value in given.items())
    (place / "job.yaml").write_bytes((text + "".join(f"{line}\n" for line in lines)).encode())
    before = sorted(place.rglob("*"))
    code = cli.main(["distill", str(place / "job.yaml"), "--check"])
    assert sorted(place.rglob("*")) == before
    shown = capsys.readouterr()
    assert ("fits." in shown.out) == (code == 0), shown
    return code, shown.err


SHAPE = "intermediate_size: 32, num_hidden_layers: 1"
SHARED = "num_key_value_heads: 3"


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        # the seven of the trial
        ({"train": "gone.jsonl"}, "there is no file"),
        ({"teacher": "http://localhost:8000/v1"}, "is an address"),
        ({"student": f"{{hidden_size: 50, num_attention_heads: 4, {SHAPE}}}"}, "(50)"),
        ({"warmup": "1000"}, "warmup = 1000 steps, and the run has 9"),
        ({"out": "train.jsonl"}, "is a file, and a folder is needed"),
        ({"out": "${SCRATCH_OF_NOBODY}/a"}, "line 5: out '${SCRATCH_OF_NOBODY}/a'"),
        ({"teacher": "~/gone"}, "home/gone"),
        # files
        ({"train": "[train.jsonl, gone.jsonl]"}, "there is no file"),
        ({"train": "part-*.jsonl"}, "no file fits the pattern"),
        ({"train": "student"}, "student"),
        ({"validation": "gone.csv"}, "there is no file"),
        ({"exam": "gone.jsonl"}, "the exam: there is no file"),
        ({"exam": "{data: train.jsonl, verify: numeric}"}, "and 8 more."),
        ({"teacher": "./techer"}, "there is no folder"),
        # lengths and sizes
        ({"max_length": "2"}, "no text is left"),
        ({"method": "on-policy", "max_new_tokens": "4096"}, "leaves no room for a prompt"),
        ({"student": f"{{hidden_size: 16, num_attention_heads: 4, {SHARED}, {SHAPE}}}"},
         "line 2: 4 heads cannot share 3 heads of keys"),
        ({"student": f"{{hidden_size: 6, num_attention_heads: 2, {SHAPE}}}"},
         "line 2: a head would be 3 wide"),
        ({"lora": "{target_modules: [nowhere]}"}, "nowhere"),
        ({"accumulate": "9"}, "line 7: accumulate cuts a batch into pieces"),
        # what the method needs
        ({"patience": "3"}, "line 7: patience wants rows to measure on"),
        ({"teacher": None}, "method token-kl needs a teacher"),
        ({"exam": "{data: train.jsonl, verify: exact, tolerance: 0.1}"},
         "line 7: tolerance is read"),
        # values as they are written
        ({"lr": '"2e-4"'}, "line 7: lr must be a positive finite number, got '2e-4'"),
        ({"epochs": "'3'"}, "line 7: epochs must be a positive integer, got '3'"),
        ({"batch_size": '"8"'}, "line 6: batch_size must be a positive integer, got '8'"),
        ({"clip": '"1.0"'}, "line 7: clip must be a positive finite number, got '1.0'"),
        ({"lora": '{r: "8"}'}, "line 7: r must be a positive integer, got '8'"),
        ({"lr": ".nan"}, "line 7: lr must be a positive finite number"),
        ({"lr": "-1e-3"}, "line 7: lr must be a positive finite number"),
        ({"warmup": "-1"}, "line 7: warmup must be"),
        ({"seed": "true"}, "line 7: seed must be"),
        ({"seed": str(2**70)}, "line 7: seed must be below 2^63"),
        ({"warmup": "1e30"}, "line 7: warmup must be below 2^63"),
        ({"epochs": "yes"}, "line 7: epochs must be a positive integer, got 'yes'"),
        ({"train": "3"}, "line 3: train must be a text, got 3"),
        ({"template": "'false'"}, "line 7: template must be a mapping"),
        ({"out": "[a, b]"}, "line 5: out must be a text"),
        # paths
        ({"out": r'"C:\new\run"'}, "line 5: out 'C:\\new\\run'"),
        ({"train": r'"data\train.jsonl\0"'}, "line 3"),
        ({"out": r'"runs/a\x07b"'}, "line 5"),
        ({"teacher": r'"mo\ndels"'}, "line 1"),
        ({"out": "s3://bucket/run"}, "line 5: out 's3://bucket/run' is an address"),
        ({"train": "https://host/train.jsonl"}, "line 3: train 'https://host/train.jsonl' is an"),
        ({"out": "'%HOME%/run'"}, "line 5: out '%HOME%/run' names %HOME%, as Windows does"),
    ],
    ids=str,
)  # fmt: skip
def test_each_is_named(place, capsys, settings, words):
    code, error = checked(place, capsys, **settings)
    shown = error.replace("\\\\", "\\").replace("\n", " ")
    assert code == 2 and words in shown, error
    assert "Traceback" not in error and len(error.splitlines()) <= 13, error


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (("lr: 1e-3", "lr: 1e-4"), "line 8: lr stands here and on line 7"),
        (("lora:", "  r: 4", "  r: 8"), "line 9: lora.r stands here and on line 8"),
        (("lora:", "\tr: 4"), "line 8: this is not YAML"),
        (("lora: {r: 4",), "this is not YAML"),
        (("epoch: 3",), "line 7: there is no setting 'epoch'; did you mean 'epochs'?"),
        (("kind: languagemodel",), "line 7: there is no kind 'languagemodel'; did you mean"),
        (("just words",), "this is not YAML"),
    ],
    ids=str,
)
def test_files_that_are_no_settings(place, capsys, lines, words):
    code, error = checked(place, capsys, *lines)
    assert code == 2 and words in error and "Traceback" not in error, error


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def other_tokens(place):
    tokenizer = words_tokenizer()
    tokenizer.add_tokens(["k"])
    student = llama(1, 1)
    student.resize_token_embeddings(len(tokenizer))
    student.save_pretrained(place / "student")
    tokenizer.save_pretrained(place / "student")


def without_end(place):
    tokenizer = AutoTokenizer.from_pretrained(place / "student")
    tokenizer.eos_token = None
    tokenizer.save_pretrained(place / "student")


def other_shape(place):
    path = place / "student/model.safetensors"
    weights = load_file(path)
    weights["model.norm.weight"] = torch.ones(3)
    save_file(weights, path, metadata={"format": "pt"})


def pickled(place):
    weights = load_file(place / "teacher/model.safetensors")
    torch.save(weights, place / "teacher/pytorch_model.bin")
    (place / "teacher/model.safetensors").unlink()


def under_other_names(place):
    path = place / "student/model.safetensors"
    weights = {f"module.{name}": value for name, value in load_file(path).items()}
    save_file(weights, path, metadata={"format": "pt"})


def a_layer_more(place):
    path = place / "teacher/config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps(config | {"num_hidden_layers": config["num_hidden_layers"] + 1}))


ODD_FILES = {
    "weights under other names": (under_other_names, "none is there"),
    "a layer that is not there": (a_layer_more, "config.json asks for the layer layers.1"),
    "weights under another file's name": (
        lambda p: (p / "student/model.safetensors").rename(p / "student/consolidated.safetensors"),
        "consolidated.safetensors, which is not looked for",
    ),
    "a name twice in a row": (
        lambda p: (p / "train.jsonl").write_text('{"prompt": "a", "answer": "b", "answer": "c"}'),
        "train.jsonl, line 1: 'answer' stands twice",
    ),
    "an empty file": (lambda p: (p / "train.jsonl").write_text(""), "is empty"),
    "a torn line": (
        lambda p: (p / "train.jsonl").write_text(json.dumps(ROWS[0]) + '\n{"prompt": "a'),
        "train.jsonl, line 2: this is not JSON",
    ),
    "a row without an answer": (
        lambda p: tiny.write_jsonl(p / "train.jsonl", [*ROWS, {"prompt": "a"}]),
        "train.jsonl, line 21: the columns are 'prompt'",
    ),
    "a number as an answer": (
        lambda p: tiny.write_jsonl(p / "train.jsonl", [{"prompt": "a", "answer": 3}]),
        "train.jsonl, line 1: answer must be a text, got 3",
    ),
    "another encoding": (
        lambda p: (p / "train.jsonl").write_bytes(
            '{"prompt": "é", "answer": "a"}'.encode("cp1252")
        ),
        "encoding",
    ),
    "no config": (lambda p: (p / "student/config.json").unlink(), "student"),
    "a config that was cut": (lambda p: cut(p / "student/config.json"), "student"),
    "a tokenizer that was cut": (lambda p: cut(p / "student/tokenizer.json"), "student"),
    "weights that were cut": (lambda p: cut(p / "teacher/model.safetensors"), "model.safetensors"),
    "weights that are pickled": (pickled, "pytorch_model.bin"),
    "weights of another shape": (other_shape, "model.norm.weight has the shape [3]"),
    "a student with other tokens": (other_tokens, "cut text into different tokens"),
    "a tokenizer without an end": (without_end, "no token that ends a text"),
    "a checkpoint that was cut": (
        lambda p: ((p / "out").mkdir(), (p / "out/run.safetensors").write_bytes(b"cut")),
        "is not a whole checkpoint",
    ),
}


@pytest.mark.parametrize("name", ODD_FILES)
def test_files_that_cannot_be_used(place, capsys, name):
    spoil, words = ODD_FILES[name]
    spoil(place)
    code, error = checked(place, capsys)
    assert code == 2 and words in error and "Traceback" not in error, error


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"lr": "2e-4", "clip": "null", "epochs": "3e0"},
        {"teacher": "$HOME/../teacher", "train": "~/../train.jsonl"},
        {
            "validation": "train.jsonl",
            "validate_every": "2",
            "max_new_tokens": "9",
            "exam": "train.jsonl",
        },
        {"held_out": "0.2", "seeds": "2", "trackers": "[]"},
        {
            "student": f"{{hidden_size: 16, num_attention_heads: 2, {SHAPE}}}",
            "method": "seq-kd",
            "max_new_tokens": "9",
        },
    ],
    ids=str,
)
def test_what_can_run_fits(place, capsys, settings):
    (place / "home").mkdir()
    code, error = checked(place, capsys, **settings)
    assert code == 0 and not error, error
