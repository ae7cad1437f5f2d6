"""Paths and files of people: what they wrote is what is meant, and what is broken has its name."""

import json
import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from distill_lab import methods
from distill_lab._util.checks import error_in_words
from distill_lab._util.io import encoding_of, read_text, user_path
from distill_lab._util.model_files import header, model_folder, tensors
from distill_lab.data import Labelled
from distill_lab.models import MLP
from distill_lab.synthesis import generate
from distill_lab.teachers import Cached, cache, freeze
from distill_lab.teachers.text.protocol import Reply
from distill_lab.training import EarlyStopping, distill
from distill_lab.training.checkpoint import load_checkpoint
from tests.data.test_tokenized import words_tokenizer

LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d\nsize 132\n"
DATA = (torch.zeros(4, 4), torch.tensor([0, 1, 2, 0]))
RULE = EarlyStopping(lambda student: 0.0)


class Echo:
    name, prices, identity = "echo", None, {"kind": "echo"}

    def answer(self, requests, take):
        for request in requests:
            take(request, Reply("4", "stop", (1, 1), 0.0))


@pytest.fixture
def home(tmp_path, monkeypatch):
    (tmp_path / "home").mkdir()
    (tmp_path / "work").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("RUNS", str(tmp_path / "home/runs"))
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "home"


@pytest.mark.parametrize("given", ["~/runs/a", "$RUNS/a", "${RUNS}/a", "$HOME/runs/a"])
def test_home_and_variables_stand_for_what_they_stand_for(home, given):
    assert user_path(given) == home / "runs/a"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("$NOT_SET_HERE/a", "NOT_SET_HERE, which is not set"),
        ("runs/${NOT_SET_HERE}", "NOT_SET_HERE, which is not set"),
        ("~nobody-of-that-name/a", "there is no such home folder"),
        ("s3://bucket/runs", "is an address"),
        ("file:///tmp/a.jsonl", "is an address"),
        (Path("gs://bucket/a.jsonl"), "is an address"),  # of whose slashes one is left
        ("hf://datasets/a/b.jsonl", "Fetch it first"),
        ("%HOME%/a", r"names %HOME%, as Windows does: write \$\{HOME\}"),
        (r"runs\%USER_NAME%", "names %USER_NAME%, as Windows"),
        ("C:\temp\run", r"control character '\\t'.*single quotes.*forward slashes"),
        ("C:\new", r"control character '\\n'"),
        ("a\0b", r"control character '\\x00'"),
        ("a\x85b", r"control character '\\x85'"),
        ("a\u2028b", "control character"),
    ],
)
def test_what_stands_for_nothing_is_refused(home, given, words):
    with pytest.raises(ValueError, match=words):
        user_path(given)


FILES = {
    "checkpoint": lambda path: distill(MLP(4, 3), DATA, checkpoint=path, progress=False),
    "best": lambda path: distill(MLP(4, 3), DATA, best=path, early_stopping=RULE, progress=False),
    "checkpoint that is read": load_checkpoint,
    "answers": lambda path: generate(["a"], Echo(), path),
}
FOLDERS = {
    "cache": lambda path: cache(freeze(MLP(4, 3)), DATA, path, progress=False),
    "cache that is read": Cached,
    "texts": lambda path: Labelled(["a"], [0], words_tokenizer(), folder=path),
}


@pytest.mark.parametrize("name", [*FILES, *FOLDERS])
def test_a_folder_in_the_place_of_a_file_is_named_and_never_advised_to_be_deleted(tmp_path, name):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("mine")
    if name in FILES:
        with pytest.raises(IsADirectoryError, match=r"is a folder: name a file in it, as .*run"):
            FILES[name](tmp_path / "folder")
    else:
        with pytest.raises(NotADirectoryError, match="is a file, and a folder is needed"):
            FOLDERS[name](tmp_path / "file")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "folder"]
    assert (tmp_path / "file").read_text() == "mine"


def test_another_file_in_the_place_of_a_checkpoint_is_not_advised_to_be_deleted(tmp_path):
    for raw in (b"mine", b"", b'{"a": 1}' * 99):
        (tmp_path / "file").write_bytes(raw)
        with pytest.raises(ValueError, match="Choose another path; or delete it, if nobody needs"):
            load_checkpoint(tmp_path / "file")


def test_names_that_only_look_like_it_are_left_as_they_are(home):
    os.makedirs("cost$s/a~b")
    os.makedirs("~my-copy")
    os.makedirs("%a%")
    for given in (
        "cost$s/a~b",
        "cost$s/new",
        "a~b/c",
        "~my-copy/x",
        "100%/é",
        "5% or 6%",
        "%a%",
        "a b/c",
    ):
        assert str(user_path(given)) == given


def test_every_call_that_writes_expands_its_path(home):
    """None of them makes a folder called ~ beside the process."""
    net = MLP(4, 3)
    settings = {"method": methods.kd(), "teacher": freeze(MLP(4, 3, seed=1)), "progress": False}
    distill(net, DATA, epochs=1, checkpoint="~/c.safetensors", **settings)
    cache(settings["teacher"], DATA, "~/answers", progress=False)

    answers = generate(["2 + 2?"], Echo(), "$HOME/a.jsonl")
    assert answers.path == home / "a.jsonl" and len(answers.rows) == 1
    assert {"c.safetensors", "answers", "a.jsonl"} <= {*os.listdir(home)}
    assert os.listdir(".") == []
    for call in (
        lambda: distill(net, DATA, epochs=1, checkpoint="C:\temp.safetensors", **settings),
        lambda: cache(settings["teacher"], DATA, "C:\temp", progress=False),
        lambda: generate(["2 + 2?"], Echo(), "C:\temp.jsonl"),
    ):
        with pytest.raises(ValueError, match="control character"):
            call()
    assert os.listdir(".") == []


@pytest.mark.parametrize(
    ("raw", "encoding"),
    [
        ("hi there\n".encode("utf-16"), "utf-16"),
        ("hi there\n".encode("utf-16-le"), "utf-16-le"),
        ("hi there\n".encode("utf-16-be"), "utf-16-be"),
        ("hi there\n".encode("utf-32"), "utf-32"),
        (b"\xef\xbb\xbfhi", "utf-8-sig"),
        (b"hi there\n", None),
        (b"a\0b\n", None),  # a stray NUL makes no UTF-16
        ("é" * 9, None),
    ],
)
def test_the_encoding_by_the_first_bytes(raw, encoding):
    assert encoding_of(raw.encode() if isinstance(raw, str) else raw) == encoding


def test_a_text_that_is_none_names_file_line_and_byte(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"fine\nna\xefve\n")
    with pytest.raises(ValueError, match=r"a\.txt, line 2: the byte 0xef is no text in utf-8"):
        read_text(path)
    assert read_text(path, "latin-1") == "fine\nnaïve\n"
    path.write_bytes(LFS)
    with pytest.raises(ValueError, match="git lfs pull"):
        read_text(path)


def saved(folder, **parts):
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"vocab_size": 3}))
    for name, shape in (parts or {"model": (3, 4)}).items():
        save_file({f"{name}.weight": torch.zeros(shape)}, folder / f"{name}.safetensors")
    index = {"weight_map": {f"{name}.weight": f"{name}.safetensors" for name in parts}}
    if parts:
        (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    return folder


def test_headers_tell_names_and_shapes(tmp_path):
    folder = saved(tmp_path / "m", a=(3, 4), b=(2,))
    assert {n: t["shape"] for n, t in tensors(folder).items()} == {
        "a.weight": [3, 4],
        "b.weight": [2],
    }
    assert model_folder(folder) == folder and model_folder("gpt2-nowhere-cached") is None


@pytest.mark.parametrize(
    ("file", "raw", "words"),
    [
        ("model.safetensors", LFS, r"model\.safetensors is a Git LFS pointer.*git lfs pull"),
        ("model.safetensors", b"", "is cut short or no safetensors file"),
        ("model.safetensors", b"x" * 99, "is cut short or no safetensors file"),
        ("model.safetensors", LFS.replace(b"git-lfs", b"hawser"), "is a Git LFS pointer"),
        ("model.safetensors", b"/annex/objects/SHA256E-s1--4d.safetensors\n", "git annex get"),
        ("config.json", LFS, r"config\.json is a Git LFS pointer"),
        ("tokenizer.json", LFS, r"tokenizer\.json is a Git LFS pointer"),
        ("tokenizer.json", b'{"a": ', r"tokenizer\.json is not whole"),
        ("model.safetensors", -5, "bytes in place of"),
        ("model.safetensors", 30, "is cut short"),
        ("config.json", None, r"holds no config\.json"),
        ("config.json", b"[]", r"config\.json holds no object, but '\[\]'"),
        ("config.json", b"\xef\xbb\xbf{}", r"config\.json is not whole: Unexpected UTF-8 BOM"),
        ("config.json", '{"a": 1}'.encode("utf-16"), r"config\.json is not whole"),
        ("config.json", b'{"dtype": "bf16"}', r"config\.json: dtype must be .*bfloat16.*'bf16'"),
        ("config.json", b'{"torch_dtype": "torch.float16"}', "torch_dtype must be one of"),
        ("config.json", b'{"dtype": 16}', "dtype must be one of bfloat16"),
        ("tokenizer_config.json", b"null", r"tokenizer_config\.json holds no object"),
        ("generation_config.json", b'{"eos_token_id": "<end>"}', "eos_token_id must be a number"),
        ("generation_config.json", b'{"eos_token_id": [1, "x"]}', "eos_token_id must be a number"),
        ("adapter_config.json", b"{}", "a model and an adapter"),
        ("model.safetensors", None, r"holds no model\.safetensors and no shards"),
    ],
)
def test_a_models_files_are_looked_at_before_they_are_loaded(tmp_path, file, raw, words):
    path = saved(tmp_path / "m") / file
    if raw is None:
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:raw] if isinstance(raw, int) else raw)
    with pytest.raises(ValueError, match=words):
        model_folder(tmp_path / "m")


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"{}", r"index\.json holds no weight_map"),
        (b"null", r"index\.json holds no object"),
        (b'{"weight_map": ["a"]}', "holds no weight_map"),
        (b'{"weight_map": {"a": 3}}', "holds no weight_map"),
        (b'{"weight_map": {}}', r"no shards that model\.safetensors\.index\.json names but part"),
        (None, r"but part\.safetensors, which is not looked for"),
    ],
)
def test_an_index_that_is_none_is_named(tmp_path, raw, words):
    folder = saved(tmp_path / "m", part=(3, 4))
    index = folder / "model.safetensors.index.json"
    index.unlink() if raw is None else index.write_bytes(raw)
    with pytest.raises(ValueError, match=words):
        model_folder(folder)
    save_file({"whole.weight": torch.zeros(2)}, folder / "model.safetensors")
    if raw != b"null":  # beside the one file that is loaded, an index is nothing
        assert set(tensors(folder)) == {"whole.weight"}


def test_a_header_that_counts_other_bytes_is_named(tmp_path):
    file = saved(tmp_path / "m") / "model.safetensors"
    raw = file.read_bytes()
    for other in (raw.replace(b"[3,4]", b"[3,5]"), raw.replace(b'"F32"', b'"F16"')):
        assert other != raw
        file.write_bytes(other)
        with pytest.raises(ValueError, match="no safetensors file"):
            header(file)


def test_pickles_missing_shards_adapters_and_files_are_named(tmp_path):
    folder = saved(tmp_path / "m")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(ValueError, match=r"pytorch_model\.bin, which is pickled"):
        model_folder(folder)
    index = {"weight_map": {"a": "one.safetensors", "b": "two.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(ValueError, match=r"lacks the shard one\.safetensors"):
        model_folder(folder)
    (folder / "config.json").rename(folder / "adapter_config.json")
    with pytest.raises(ValueError, match="It holds an adapter: merge it"):
        model_folder(folder)
    with pytest.raises(ValueError, match="is a file: expected the folder"):
        model_folder(folder / "adapter_config.json")


def test_a_folder_that_is_not_there_is_said_before_a_hub_is_asked(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models").mkdir()
    for name in ("./teacher", "models/teacher", "/nowhere/at/all", "a/b/c", "~/none"):
        with pytest.raises(FileNotFoundError, match=r"there is no folder .* \(looked in /"):
            model_folder(name)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(FileNotFoundError, match="HF_HUB_OFFLINE forbids"):
        model_folder("nobody/nothing")
    with pytest.raises(ValueError, match="is an address"):
        model_folder("http://localhost:8000/v1")


def test_a_checkpoint_is_no_whole_file_with_bytes_behind_it(tmp_path):
    folder = saved(tmp_path / "m")
    with open(folder / "model.safetensors", "ab") as file:
        file.write(b"more")
    with pytest.raises(ValueError, match="bytes in place of"):
        header(folder / "model.safetensors")


def test_what_a_library_raises_becomes_a_sentence_and_a_fault_of_ours_does_not():
    import jinja2

    def of(call):
        with pytest.raises(Exception) as caught:
            call()
        return error_in_words(caught.value)

    words = of(lambda: jinja2.Template("{{ x.y }}").render())
    assert words == "UndefinedError: 'x' is undefined (from jinja2)"
    assert of(lambda: header(Path(__file__))) is not None
    assert error_in_words(ValueError("a sentence")) == "a sentence"
    assert error_in_words(FloatingPointError("became nan")) == "became nan"

    def ours():
        raise KeyError("no such key")

    ours.__globals__["__name__"], name = "distill_lab.x", ours.__globals__["__name__"]
    try:
        assert of(ours) is None
    finally:
        ours.__globals__["__name__"] = name
