"""What every kind of job leaves in other forms: answers and figures are the student's."""

import json
import types

import pytest
import torch
import yaml
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    ViTConfig,
    ViTForImageClassification,
)

from distill_lab.jobs import exportable, exporting
from distill_lab.jobs.job_file import read_job
from distill_lab.jobs.running import run_job
from distill_lab.jobs.setups.networks import Network
from tests.jobs import tiny
from tests.jobs.test_embedding_and_ranking import queries
from tests.jobs.test_image_classification import pictures
from tests.jobs.test_token_classification import rows

pytestmark = pytest.mark.slow  # torch.export traces a model for seconds


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    place = tmp_path_factory.mktemp("forms")
    tiny.encoder(place / "bare")
    tiny.encoder(place / "cross", kind=AutoModelForSequenceClassification, num_labels=1)
    file = place / "cross/tokenizer_config.json"
    names = {"model_input_names": list(exportable.TOKENS)}  # as tokenizers of BERT have it
    file.write_text(json.dumps(json.loads(file.read_text()) | names))
    config = ViTConfig(
        image_size=8,
        patch_size=4,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        id2label={0: "blue", 1: "green", 2: "red"},
        initializer_range=0.2,
    )
    torch.manual_seed(0)
    ViTForImageClassification(config).save_pretrained(place / "vit")
    pictures(place / "pictures", 12, 0)
    tiny.write_csv(place / "texts.csv", tiny.sentences(40))
    tiny.write_jsonl(place / "tags.jsonl", rows(30, 0))
    tiny.write_jsonl(place / "queries.jsonl", queries(30, 0))
    return place


JOBS = {
    "network": {
        "kind": "image-classification",
        "train": "pictures",
        "method": "supervised",
        "student": {"network": "small-cnn", "width": 8},
        "size": 8,
        "export": "int8",
    },
    "vit": {
        "kind": "image-classification",
        "train": "pictures",
        "method": "supervised",
        "student": "vit",
        "export": "torch-export",
    },
    "tagger": {
        "kind": "token-classification",
        "train": "tags.jsonl",
        "method": "supervised",
        "student": "bare",
        "export": "int8",
    },
    "embedder": {
        "kind": "embedding",
        "train": "texts.csv",
        "columns": {"label": "label"},
        "method": "cosine",
        "teacher": "bare",
        "student": {"layers": [1]},
        "export": "onnx",
    },
    "cross-encoder": {
        "kind": "ranking",
        "train": "queries.jsonl",
        "method": "supervised",
        "student": "cross",
        "export": "int8",
    },
}
MAIN = {
    "image-classification": "accuracy",
    "token-classification": "token_accuracy",
    "embedding": "recall_at_1",
    "ranking": "first is right",
}


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.exhaustive) if n == "tagger" else n for n in JOBS]
)
def test_a_form_is_measured_on_the_real_data_beside_its_student(place, name):
    job = {"epochs": 2, "batch_size": 16, "lr": 3e-3, "out": name} | JOBS[name]
    (place / "job.yaml").write_text(yaml.safe_dump(job))
    lines = []
    outcome = run_job(read_job(place / "job.yaml"), progress=False, log=lines.append)
    forms = job["export"] if isinstance(job["export"], list) else [job["export"]]
    report = json.loads((place / name / "report.json").read_text())
    figures, main = report["forms"], MAIN[job["kind"]]
    assert set(figures) == {"student", *forms}
    assert figures["student"][main] == pytest.approx(outcome.figures["student"][main])
    assert not {"parameters", "size"} & set(figures["student"])  # a form has none to be seen
    for form in forms:
        allowed = 25 if form == "int8" else 1e-3  # a few of so few examples may change sides
        assert figures[form][main] == pytest.approx(figures["student"][main], abs=allowed)
        assert f"{form}: {exporting.FORMS[form]}" in (place / name / "report.md").read_text()
    assert sum("real examples" in line for line in lines) == len(forms)
    left = [path.name for path in outcome.student.iterdir() if "partial" in path.name]
    assert not left
    if name == "cross-encoder":  # which token is of which text is an input, or pairs are misread
        assert exportable.student_of(outcome.student).names[-1] == "token_type_ids"


def test_a_form_that_is_right_on_made_up_texts_alone_is_not_kept(place, monkeypatch):
    """Real inputs decide: here pairs whose second half the form takes for the first."""
    tokenizer = AutoTokenizer.from_pretrained(place / "cross")
    student, pair = place / "cross", dict(tokenizer(["a b"], ["c d"], return_tensors="pt"))

    def wrong(bare, probes, path, learned):
        path.write_bytes(b"a file")
        texts = {tuple(probe[0].flatten().tolist()) for probe in probes}
        return lambda p: bare(*p) + (tuple(p[0].flatten().tolist()) not in texts)

    monkeypatch.setitem(exporting._WRITERS, "torch-export", wrong)
    with pytest.raises(ValueError, match="on real inputs they differ by"):
        exporting.export(student, "torch-export", inputs=[pair])
    assert not (student / "model.pt2").exists()


def test_inputs_are_those_of_every_text_that_a_batch_holds():
    bare = exportable.Bare(torch.nn.Identity(), exportable.TOKENS[:2])
    texts = {name: torch.ones(4, 5) for name in exportable.TOKENS}
    inputs = {"query": texts, "candidates": {n: torch.ones(4, 3, 6) for n in texts}}
    shapes = [tuple(part.shape for part in p) for p in exportable.real(bare, [inputs, texts])]
    assert shapes == [((4, 5),) * 2, ((12, 6),) * 2, ((4, 5),) * 2]
    single = {name: texts[name] for name in exportable.TOKENS[:2]}  # a tokenizer may leave it out
    pairs = exportable.Bare(torch.nn.Identity(), exportable.TOKENS)
    (probe,) = exportable.real(pairs, [single])
    assert probe[2].tolist() == [[0.0] * 5] * 4
    form = exporting.Form(exportable.TOKENS, lambda probe: probe[2])
    assert not form(**single).any() and form(**texts).all()


def test_convolutions_in_8_bits_need_pictures(place):
    student = place / "network"
    student.mkdir(exist_ok=True)
    Network({"name": "small-cnn", "width": 4}, ("no", "yes"), 8).save_pretrained(student)
    with pytest.raises(ValueError, match=r"export: \[int8\] in its file"):
        exporting.export(student, "int8")


def test_an_unknown_architecture_is_said_in_words(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"architectures": ["NoSuchModel"]}))
    with pytest.raises(ValueError, match="holds a NoSuchModel, which transformers"):
        exporting.export(tmp_path, "onnx")


def test_states_at_padding_are_no_answers():
    bare = types.SimpleNamespace(names=("input_ids", "attention_mask"))
    probe = torch.ones(2, 3), torch.tensor([[1, 1, 0], [1, 1, 1]])
    kept = exportable.Bare.answers(bare, probe, torch.arange(12.0).reshape(2, 3, 2))
    assert kept[:, 0].tolist() == [0, 2, 6, 8, 10]
