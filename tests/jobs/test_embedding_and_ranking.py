"""Embedders and rankers from one job file."""

import json
import random

import pytest
import torch
import yaml
from torch import nn
from transformers import AutoModel, AutoModelForSequenceClassification

from distill_lab import cli
from distill_lab.jobs.job_file import read_job
from distill_lab.jobs.running import run_job
from distill_lab.jobs.setups.ranking import Queries, Ranked, first_is_right
from distill_lab.jobs.setups.ranking import read_examples as read_queries
from tests.jobs import tiny


@pytest.fixture
def place(tmp_path):
    tiny.encoder(tmp_path / "teacher")
    tiny.write_csv(tmp_path / "train.csv", tiny.sentences(80))
    tiny.write_csv(tmp_path / "held_out.csv", tiny.sentences(40, seed=1))
    return tmp_path


def run(place, **given):
    file = place / "job.yaml"
    usual = {"teacher": "teacher", "epochs": 8, "batch_size": 16, "lr": 3e-3, "out": "out"}
    file.write_text(yaml.safe_dump(usual | given))
    return run_job(read_job(file), progress=False)


EMBEDDING = {
    "kind": "embedding",
    "train": "train.csv",
    "validation": "held_out.csv",
    "columns": {"label": "label"},
}


@pytest.mark.parametrize(
    ("method", "student"),
    [
        ("cosine", {"layers": [0]}),
        ("mse", {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}),
        ("similarities", {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}),
    ],
)
def test_an_embedder_from_csv_to_student(place, method, student):
    before = run(
        place, method=method, student=student, out="before", epochs=1, lr=1e-9, **EMBEDDING
    )
    after = run(place, method=method, student=student, **EMBEDDING)
    figure = "cosine_to_teacher" if method == "cosine" else "similarity_correlation"
    kept = [outcome.figures["student"][figure] for outcome in (before, after)]
    assert kept[1] > kept[0] + 0.02
    assert AutoModel.from_pretrained(after.student).config.num_hidden_layers == 1
    assert (after.student / "1_Pooling/config.json").exists()


def test_the_folder_of_an_embedder_is_one_for_sentence_transformers(place):
    sentence_transformers = pytest.importorskip("sentence_transformers")
    outcome = run(place, method="cosine", student={"layers": [1]}, **EMBEDDING | {"columns": {}})
    encoder = sentence_transformers.SentenceTransformer(str(outcome.student), device="cpu")
    from distill_lab.models import Embedder

    tokens = tiny.tokenizer()(["a b c"], return_tensors="pt")
    model = Embedder(AutoModel.from_pretrained(outcome.student).eval(), "mean")
    with torch.no_grad():
        own = model(**tokens)
    torch.testing.assert_close(torch.tensor(encoder.encode(["a b c"])), own, atol=1e-5, rtol=1e-5)


def queries(n, seed, negatives=1):
    """A query's right candidate has a letter of its class; the wrong ones have none."""
    draw = random.Random(seed)
    rows = []
    for _ in range(n):
        name = draw.choice(list(tiny.CLASSES))
        others = [c for c in tiny.CLASSES if c != name]
        some = [" ".join(draw.sample(tiny.CLASSES[draw.choice(others)], 2)) for _ in range(9)]
        rows.append(
            {
                "query": " ".join(draw.choices(tiny.CLASSES[name], k=3)),
                "positive": " ".join(draw.sample(tiny.CLASSES[name], 2)),
                "negative": some[0] if negatives == 1 else some[: draw.randint(1, negatives)],
            }
        )
    return rows


RANKING = {"kind": "ranking", "train": "queries.jsonl", "validation": "held.jsonl"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "more"),
    [
        ("margin-mse", {"student": {"layers": [0]}}),
        ("listwise", {"student": {"layers": [1]}, "reads": "apart", "T": 2}),
    ],
)
def test_a_ranker_from_jsonl_to_student(place, method, more):
    tiny.write_jsonl(place / "queries.jsonl", queries(120, 0))
    tiny.write_jsonl(place / "held.jsonl", queries(60, 1))
    teacher = {"model": "teacher", "finetune": {"epochs": 25}}
    outcome = run(place, method=method, teacher=teacher, **RANKING | more, epochs=20)
    assert outcome.figures["teacher"]["first is right"] > 80
    assert outcome.figures["student"]["first is right"] > 70
    kind = AutoModel if "reads" in more else AutoModelForSequenceClassification
    assert kind.from_pretrained(outcome.student).config.num_hidden_layers == 1


@pytest.mark.parametrize("negatives", [1, 4])
@pytest.mark.parametrize("reads", ["together", "apart"])
def test_answers_that_are_kept_teach_as_those_that_are_asked_for(place, reads, negatives):
    """Texts and lists of several lengths: padding, which a batch decides, is no part of a query."""
    tiny.encoder(place / "cross", kind=AutoModelForSequenceClassification, num_labels=1)
    rows, draw = queries(30, 0, negatives), random.Random(3)
    for row in rows:
        row["query"] += " x" * draw.randint(0, 5)
        row["positive"] += " y" * draw.randint(0, 5)
    tiny.write_jsonl(place / "queries.jsonl", rows)
    given = {"student": {"layers": [0]}, "method": "listwise", "reads": reads, "batch_size": 4}
    given |= RANKING | {"validation": "queries.jsonl", "teacher": "cross", "epochs": 2}
    kept, live = (run(place, cache=cache, out=str(cache), **given) for cache in (True, False))
    assert kept.history.steps == 16
    for name in ("listwise", "total"):
        torch.testing.assert_close(
            torch.tensor(kept.history[name]), torch.tensor(live.history[name]), atol=1e-2, rtol=0
        )


@pytest.mark.parametrize("reads", ["together", "apart"])
@pytest.mark.parametrize("method", ["margin-mse", "listwise"])
def test_kept_scores_are_found_whatever_a_batch_is_filled_up_to(place, method, reads):
    """Texts and lists of any length: their batches are as wide as their longest, and so differ."""
    tiny.encoder(place / "cross", kind=AutoModelForSequenceClassification, num_labels=1)
    draw = random.Random(0)
    texts = [" ".join(draw.choices("abcdefgh", k=k)) for k in range(1, 13) for _ in range(9)]
    rows = []
    for number in range(40):
        query, *some = draw.sample(sorted({*texts}), 3 + number % 3)
        rows.append({"query": query, "positive": some[0], "negative": some[1:]})
    tiny.write_jsonl(place / "queries.jsonl", rows)
    tiny.write_jsonl(place / "held.jsonl", rows[:9])
    student = {"layers": [0]} if reads == "together" else str(place / "teacher")
    more = {"student": student, "epochs": 1, "batch_size": 4, "reads": reads}
    kept, live = (
        run(place, teacher="cross", method=method, cache=cache, out=f"{cache}", **RANKING | more)
        for cache in (True, False)
    )
    assert kept.history["total"] == pytest.approx(live.history["total"], rel=0.02, abs=1e-3)


@pytest.mark.parametrize("reads", ["together", "apart"])
def test_many_lists_of_other_lengths_are_asked_and_measured_in_parts(place, reads):
    """Of 128 queries at once the short lists come first: their batch has fewer candidates."""
    tiny.encoder(place / "cross", kind=AutoModelForSequenceClassification, num_labels=1)
    rows = queries(140, 0)
    rows += [{**row, "negative": ["x y z x y z x", "z y x z y x z"]} for row in rows[:40]]
    tiny.write_jsonl(place / "queries.jsonl", rows)
    tiny.write_jsonl(place / "held.jsonl", rows)
    student = {"layers": [0]} if reads == "together" else str(place / "teacher")
    more = {"student": student, "epochs": 1, "reads": reads, "method": "listwise"}
    outcome = run(place, teacher="cross", **RANKING | more)
    assert outcome.figures["teacher"]["first is right"] >= 0
    assert outcome.history.steps == 12


def test_lists_of_several_lengths_are_masked_and_cached(place):
    tiny.encoder(place / "cross", kind=AutoModelForSequenceClassification, num_labels=1)
    tiny.write_jsonl(place / "queries.jsonl", queries(30, 0, negatives=3))
    tiny.write_jsonl(place / "held.jsonl", queries(20, 1, negatives=3))
    more = {"student": {"layers": [0]}, "epochs": 2}
    for cache in (True, False):
        out = f"out{cache}"
        outcome = run(
            place, teacher="cross", method="listwise", cache=cache, out=out, **RANKING | more
        )
        assert outcome.history.steps == 4
    batch = Ranked(
        Queries(["a", "b"], [["c", "d"], ["e", "f", "g"]]),
        tiny.tokenizer(),
        16,
        pairs=True,
        relevance=True,
    ).batch(torch.tensor([0, 1]))
    assert batch.inputs["mask"].tolist() == [[True, True, False], [True, True, True]]
    assert batch.labels.tolist() == [[1, 0, -100], [1, 0, 0]]
    assert batch.inputs["candidates"]["input_ids"].shape == (2, 3, 5)


@pytest.mark.parametrize("write", [str, json.dumps])
def test_wrong_candidates_in_a_csv_are_a_list(place, write):
    tiny.encoder(place / "cross", kind=AutoModelForSequenceClassification, num_labels=1)
    row = {"query": "a", "positive": "b", "negative": write(["c", "it's [d]"])}
    tiny.write_csv(place / "queries.csv", [row, row | {"negative": "[c] d"}])
    given = {"method": "listwise", "student": {"layers": [0]}, "out": str(place / "x")} | RANKING
    given |= {"teacher": "cross", "train": "queries.csv", "validation": "queries.csv"}
    (place / "job.yaml").write_text(yaml.safe_dump(given))
    read = read_queries(read_job(place / "job.yaml")).train.candidates
    assert sorted(read) == [["b", "[c] d"], ["b", "c", "it's [d]"]]


def test_what_a_ranker_cannot_learn_is_said_in_words(place, capsys):
    tiny.write_jsonl(place / "queries.jsonl", queries(9, 0, negatives=3))
    tiny.write_jsonl(place / "held.jsonl", queries(9, 1))
    tiny.encoder(place / "three", kind=AutoModelForSequenceClassification, num_labels=3)
    for given, words in (
        ({"teacher": "three"}, "gives a pair 3 numbers"),
        ({"teacher": "teacher"}, "is a bare encoder"),
        (
            {"teacher": {"model": "teacher", "finetune": {"epochs": 1}}},
            "give each as many negatives",
        ),
    ):
        file = place / "job.yaml"
        given = {"method": "margin-mse", "student": {"layers": [0]}, "out": "x"} | RANKING | given
        file.write_text(yaml.safe_dump(given))
        assert cli.main(["distill", str(file), "--check"]) == 2
        assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    ("reads", "query", "line"),
    [
        ("together", "a b c", "15 of 24 pairs have more than 7 tokens: cut"),
        ("apart", "a b c", "6 of 33 texts have more than 7 tokens: cut"),
        ("apart", "a b c a b c", "15 of 33 texts have more than 7 tokens: cut"),
        ("together", "a", None),
    ],
)
def test_texts_of_a_ranker_that_are_cut_are_counted_and_said(place, capsys, reads, query, line):
    """7 tokens are two ends and 5 words, of a pair three ends and 4."""
    tiny.encoder(place / "cross", kind=AutoModelForSequenceClassification, num_labels=1)
    long = "d e f d e f" if line else "d e"
    rows = [
        {"query": query, "positive": "a", "negative": ["d e", long][: 1 + i]} for i in (0, 1, 1)
    ]
    tiny.write_jsonl(place / "queries.jsonl", 3 * rows)
    (place / "held.jsonl").write_bytes((place / "queries.jsonl").read_bytes())
    given = {"teacher": "cross", "method": "listwise", "student": {"layers": [0]}, "reads": reads}
    given |= RANKING | {"max_length": 7, "epochs": 1, "out": "out", "batch_size": 4}
    (place / "job.yaml").write_text(yaml.safe_dump(given))
    assert cli.main(["distill", str(place / "job.yaml"), "--check"]) == 0
    shown = capsys.readouterr().out
    assert cli.main(["distill", str(place / "job.yaml")]) == 0
    ran, report = capsys.readouterr().out, (place / "out/report.md").read_text()
    facts = json.loads((place / "out/report.json").read_text())
    if line is None:
        assert "cut" not in shown + report and "cut" not in facts
        return
    assert f"train: {line}" in shown and f"held out: {line}" in shown
    assert line in ran and f"Held out: {line}." in report
    assert facts["cut"] == {line.split()[3]: int(line.split()[0])}


def test_of_candidates_with_one_score_the_right_one_is_first_as_often_as_the_others():
    """It stands first in every row, so that an argmax would find it in scores that say nothing."""
    labels = torch.tensor([[1, 0, 0], [1, 0, -100]])
    for scores, right in (
        ([[2.0, 2.0, 2.0], [0.0, 0.0, 9.0]], 100 * (1 / 3 + 1 / 2) / 2),
        ([[2.0, 2.0, 1.0], [1.0, 0.0, 9.0]], 75),
        ([[1.0, 2.0, 2.0], [0.0, 1.0, 0.0]], 0),
    ):
        assert first_is_right(torch.tensor(scores), labels) == pytest.approx(right)


def sentence_model(folder, bare, *more, pooling):
    """A folder as SentenceTransformer leaves it."""
    sentence_transformers = pytest.importorskip("sentence_transformers")
    modules = sentence_transformers.sentence_transformer.modules
    parts = [modules.Transformer(str(bare)), modules.Pooling(16, pooling)]
    parts += [getattr(modules, name)(*sizes) for name, *sizes in more]
    model = sentence_transformers.SentenceTransformer(modules=parts, device="cpu")
    model.save(str(folder))
    return model


@pytest.mark.parametrize("pooling", ["cls", "lasttoken", "mean"])
def test_a_teacher_of_sentence_transformers_is_read_as_it_reads_itself(place, pooling):
    """As often the first token as the mean; of the wrong one it was never trained to speak."""
    own = sentence_model(place / "own", place / "teacher", ("Normalize",), pooling=pooling)
    given = EMBEDDING | {"teacher": "own", "student": "teacher", "lr": 1e-9}
    outcome = run(place, **given, method="cosine", epochs=1)
    texts = [row["text"] for row in tiny.sentences(80)]
    saved = torch.tensor(sentence_transformer(outcome.student).encode(texts))
    one = torch.tensor(own.encode(texts))  # of length 1
    torch.testing.assert_close(nn.functional.normalize(saved), one, atol=1e-4, rtol=1e-4)
    assert outcome.history["embeddings"][0] < 1e-5


def sentence_transformer(folder):
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(str(folder), device="cpu")


def test_a_student_of_its_own_pooling_keeps_it_beside_a_teacher_of_another(place):
    teacher = sentence_model(place / "own", place / "teacher", pooling="cls")
    student = sentence_model(place / "start", place / "teacher", pooling="mean")
    given = EMBEDDING | {"teacher": "own", "student": "start", "lr": 1e-9, "batch_size": 80}
    outcome = run(place, **given, method="cosine", epochs=1)
    texts = [row["text"] for row in tiny.sentences(80)]
    one, two = (torch.tensor(model.encode(texts)) for model in (teacher, student))
    apart = 1 - torch.cosine_similarity(one, two).mean().item()
    assert apart > 0.01 and outcome.history["embeddings"][0] == pytest.approx(apart, rel=1e-3)
    saved = sentence_transformer(outcome.student)
    torch.testing.assert_close(torch.tensor(saved.encode(texts)), two, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("more", "pooling", "method", "words"),
    [
        ([("Dense", 16, 8)], "mean", "cosine", "with Dense"),
        ([], "max", "cosine", "with pooling by max"),
        ([("Normalize",)], "mean", "mse", "with Normalize"),
    ],
)
def test_a_vector_that_is_made_otherwise_is_refused_at_once(
    place, capsys, more, pooling, method, words
):
    sentence_model(place / "own", place / "teacher", *more, pooling=pooling)
    given = EMBEDDING | {"teacher": "own", "student": {"layers": [0]}, "method": method}
    (place / "job.yaml").write_text(yaml.safe_dump(given | {"out": str(place / "out")}))
    assert cli.main(["distill", str(place / "job.yaml"), "--check"]) == 2
    assert f"own makes its vectors {words}" in capsys.readouterr().err
