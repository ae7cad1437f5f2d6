"""A run that has begun, or is finished, is never shown as the result of other settings."""

import json
import re
import shutil

import pytest

from distill_lab import cli
from distill_lab.jobs.checking import check
from distill_lab.jobs.job_file import read_job
from distill_lab.jobs.kinds import KINDS
from distill_lab.jobs.running import run_job
from tests.data.test_tokenized import llama
from tests.jobs import test_token_classification, tiny
from tests.jobs.runs import PICTURES, TEXTS, equal, job, job_file, weights
from tests.jobs.test_embedding_and_ranking import queries
from tests.jobs.test_image_classification import pictures

LAYERS = {"bert.encoder.layer.0": "bert.encoder.layer.1"}
SMALL = {"epochs": 1, "batch_size": 8}
USUAL = {
    "text-classification": TEXTS | {"validation": "held_out.csv"} | SMALL,
    "token-classification": TEXTS
    | {"train": "tags.jsonl", "validation": "tags.jsonl", "kind": "token-classification"}
    | SMALL,
    "ranking": TEXTS
    | {"kind": "ranking", "train": "queries.jsonl", "validation": "queries.jsonl"}
    | {"method": "listwise"}
    | SMALL,
    "embedding": TEXTS | {"kind": "embedding", "teacher": "bare", "method": "cosine"} | SMALL,
    "image-classification": PICTURES | {"validation": "pictures"} | SMALL,
}
MATCH = {"layers": LAYERS}
# What is changed in a finished job of each kind, and what is said of it.
CHANGES = [
    ("text-classification", {"balance": "sampler"}, "balance: None there, 'sampler' now"),
    ("text-classification", {"balance": "weights"}, "balance: None there, 'weights' now"),
    ("text-classification", {"match": MATCH}, "match: None there, {'layers'"),
    ("text-classification", {"labels": ["rate", "loan", "card"]}, "labels: None there, ['rate'"),
    ("text-classification", {"max_length": 4}, "max_length: 128 there, 4 now"),
    ("text-classification", {"student": {"layers": [1]}}, "student: {'layers': [0]} there"),
    ("text-classification", {"student": "bare"}, "bare' now"),
    ("text-classification", {"cache": False}, "cache: True there, False now"),
    ("text-classification", {"held_out": 0.2, "validation": None}, "held_out: None there, 0.2 now"),
    (
        "text-classification",
        {"teacher": {"model": "other", "finetune": {"epochs": 1}}},
        "other' now",
    ),
    ("token-classification", {"balance": "weights"}, "balance: None there, 'weights' now"),
    ("token-classification", {"max_length": 4}, "max_length: 128 there, 4 now"),
    ("ranking", {"reads": "apart"}, "reads: 'together' there, 'apart' now"),
    ("ranking", {"max_length": 5}, "max_length: 128 there, 5 now"),
    ("ranking", {"T": 3}, "method: 'listwise(T=1.0)' there"),
    ("embedding", {"method": "mse"}, "there, \"embeddings('mse')\" now"),
    ("embedding", {"max_length": 4}, "max_length: 128 there, 4 now"),
    ("image-classification", {"balance": "sampler"}, "balance: None there, 'sampler' now"),
    ("image-classification", {"augment": {"flip": True}}, "augment: None there, {'flip': True}"),
    ("image-classification", {"size": 7}, "size: 8 there, 7 now"),
    ("image-classification", {"labels": ["red", "green", "blue"]}, "labels: None there"),
    ("image-classification", {"train": "others"}, "data: "),
    (
        "image-classification",
        {"student": {"network": "small-cnn", "width": 8}},
        "student: {'name': 'small-cnn', 'width': 4} there",
    ),
]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished job of each kind, in a folder of its name."""
    place = tmp_path_factory.mktemp("finished")
    for name, seed in (("bare", 0), ("other", 5)):
        tiny.encoder(place / name, layers=3, seed=seed)
    for name, seed in (("train", 0), ("held_out", 1)):
        tiny.write_csv(place / f"{name}.csv", tiny.sentences(40, seed))
    tiny.write_jsonl(place / "tags.jsonl", test_token_classification.rows(30, 0))
    tiny.write_jsonl(place / "queries.jsonl", queries(20, 0))
    for folder, seed in (("pictures", 0), ("others", 1)):
        pictures(place / folder, 5, seed)
    for kind, usual in USUAL.items():
        run_job(read_job(job_file(place, usual, out=kind)), progress=False)
    return place


@pytest.mark.parametrize(("kind", "change", "words"), CHANGES, ids=str)
def test_a_finished_job_with_another_word_is_refused_by_check_and_run(
    finished, tmp_path, capsys, kind, change, words
):
    shutil.copytree(finished / kind, tmp_path / "out")
    for more in ({}, change):
        given = USUAL[kind] | {"out": str(tmp_path / "out")} | more
        file = job_file(finished, given, name=f"{tmp_path.name}.yaml")
        assert cli.main(["distill", str(file), "--check"]) == (2 if more else 0)
    error = capsys.readouterr().err
    assert words in error and "choose another out, or delete it to start afresh" in error, error
    with pytest.raises(ValueError, match=r"belongs to another run|is the cache of something else"):
        run_job(read_job(file), progress=False)


@pytest.mark.parametrize(
    "same",
    [
        {"validation": "train.csv"},  # measured anew, and nothing of it is learned
        {"train": "moved.csv"},
        {"labels": ["card", "loan", "rate"]},  # as they were found
        {"T": 4.0, "alpha": 0.9, "batch_size": 8},  # as it is by default
        {"export": [], "checkpoint_every": 3, "encoding": "utf-8", "max_length": 64},
    ],
    ids=str,
)
def test_what_changes_nothing_that_is_learned_goes_on(finished, tmp_path, same):
    shutil.copy(finished / "train.csv", finished / "moved.csv")
    shutil.copytree(finished / "text-classification", tmp_path / "out")
    usual = USUAL["text-classification"] | {"out": str(tmp_path / "out")}
    given = read_job(job_file(finished, usual, name=f"{tmp_path.name}.yaml", **same))
    KINDS[given.kind].check(given, lambda line: None)
    before = weights(tmp_path / "out")
    assert run_job(given, progress=False).history.steps == 5
    assert equal(before, weights(tmp_path / "out"))


@pytest.mark.parametrize("kind", ["text-classification", "image-classification"])
def test_weights_that_were_chosen_on_other_rows_are_not_shown_as_chosen_on_these(
    finished, tmp_path, kind
):
    """A finished run has its curve and its best step from the rows that it was measured on."""
    place = finished if kind == "text-classification" else tmp_path
    if kind == "image-classification":  # whose files are known by their names alone
        shutil.copytree(finished / "pictures", place / "pictures")
    usual = USUAL[kind] | {"validate_every": 2, "out": str(tmp_path / "out")}
    first = read_job(job_file(place, usual))
    run_job(first, progress=False)
    again = read_job(job_file(place, usual | {"validation": "train.csv"}))
    if kind == "image-classification":
        shutil.copytree(finished / "others", place / "others")
        again = read_job(job_file(place, usual | {"validation": "others"}))
    words = r"validation: '.*' there, '.*' now"
    with pytest.raises(ValueError, match=words):
        KINDS[kind].check(again, lambda line: None)
    with pytest.raises(ValueError, match=words):
        run_job(again, progress=False)


def test_the_same_of_a_language_model(folder, tmp_path):
    """What its checkpoint does not say: which rows it was measured on, and who began it."""
    other = tmp_path / "other"
    llama(seed=2, layers=2).save_pretrained(other)
    for file in (folder / "teacher").glob("*token*"):
        shutil.copy(file, other / file.name)
    usual = {"student": str(folder / "teacher"), "validate_every": 2, "epochs": 2}
    usual |= {"lora": {"r": 2}}
    run_job(job(folder, tmp_path / "out", "token-kl", **usual), progress=False)
    check(job(folder, tmp_path / "out", "token-kl", **usual), lambda line: None)
    for change, words in (
        ({"validation": str(folder / "train.jsonl")}, "validation: "),
        ({"student": str(other)}, "student: "),
        ({"lora": {"r": 2, "alpha": 3}}, "lora: {'r': 2, 'alpha': 16"),
        ({"max_length": 7, "held_out": 0.2, "validation": None}, "held_out: None there, 0.2 now"),
    ):
        again = job(folder, tmp_path / "out", "token-kl", **usual | change)
        with pytest.raises(ValueError, match=re.escape(words)):
            check(again, lambda line: None)
        with pytest.raises(ValueError, match="belongs to another run"):
            run_job(again, progress=False)
    for same in ({"alpha": 16.0}, {"alpha": 16, "dropout": 0}, {"merge": True}):
        again = job(folder, tmp_path / "out", "token-kl", **usual | {"lora": {"r": 2} | same})
        check(again, lambda line: None)
        run_job(again, progress=False)


def test_a_run_of_before_has_its_words_in_a_file_of_its_own(finished, tmp_path):
    shutil.copytree(finished / "text-classification", tmp_path / "out")
    start = tmp_path / "out/run.start.json"
    facts = json.loads(start.read_text())
    words = facts.pop("job")
    start.write_text(json.dumps(facts))
    kept = {name: words[name] for name in ("train", "teacher.finetune")}
    (tmp_path / "out/run.job.json").write_text(json.dumps(kept))
    usual = USUAL["text-classification"] | {"out": str(tmp_path / "out")}
    name = f"{tmp_path.name}.yaml"
    run_job(read_job(job_file(finished, usual, name=name)), progress=False)
    moved = read_job(job_file(finished, usual, name=name, student="bare"))
    KINDS["text-classification"].check(moved, lambda line: None)  # nobody noted the student
    again = read_job(job_file(finished, usual, name=name, train="held_out.csv"))
    with pytest.raises(ValueError, match=r"train: '.*train.csv' there, '.*held_out.csv' now"):
        KINDS["text-classification"].check(again, lambda line: None)


@pytest.mark.parametrize("kind", ["text-classification", "image-classification"])
def test_seeds_are_checked_as_they_are_run(finished, tmp_path, kind):
    """All done before, a change of the data shows nowhere but in what would be learned."""
    for name in ("bare", "pictures"):
        shutil.copytree(finished / name, tmp_path / name)
    for name in ("train", "held_out"):
        shutil.copy(finished / f"{name}.csv", tmp_path / f"{name}.csv")
    usual = USUAL[kind] | {"seeds": 2, "seed": 3}
    run_job(read_job(job_file(tmp_path, usual)), progress=False)

    def refused(words, **change):
        given = read_job(job_file(tmp_path, usual | change))
        with pytest.raises(ValueError, match=words):
            KINDS[kind].check(given, lambda line: None)
        with pytest.raises(ValueError, match=words):
            run_job(given, progress=False)

    KINDS[kind].check(read_job(job_file(tmp_path, usual | {"seeds": 3})), lambda line: None)
    words = r"seed 3 in .* is of another job \(balance: None there, 'sampler' now"
    refused(words, balance="sampler")
    if kind == "text-classification":
        tiny.write_csv(tmp_path / "train.csv", tiny.sentences(40, 7))
    else:
        shutil.rmtree(tmp_path / "pictures/red")
        shutil.copytree(tmp_path / "pictures/blue", tmp_path / "pictures/red")
    refused(r"of another job \(the content of train")
    # a seed that was stopped is no entry yet, and has a checkpoint
    done = json.loads((tmp_path / "out/seeds.json").read_text())
    (tmp_path / "out/seeds.json").write_text(json.dumps({"3": done["3"]}))
    given = read_job(job_file(tmp_path, usual | {"lr": 0.5}))
    (tmp_path / "out/seeds.json").unlink()
    with pytest.raises(ValueError, match=r"(seed_3/run|teacher).safetensors belongs to another"):
        KINDS[kind].check(given, lambda line: None)
