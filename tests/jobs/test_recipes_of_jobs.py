"""What a job may add to its method by one line: layers, pictures made anew, rare classes."""

import json

import pytest
import torch

from distill_lab import cli
from distill_lab.data.batches import reading
from distill_lab.data.datasets.pictures import PictureFolder
from distill_lab.jobs import setups
from distill_lab.jobs.job_file import read_job
from distill_lab.jobs.running import run_job
from distill_lab.jobs.setups.image_classification import Pictures
from distill_lab.jobs.setups.networks import View
from distill_lab.jobs.setups.setup import Context
from distill_lab.training.distributed import DistributedContext
from tests.jobs import runs, tiny
from tests.jobs.runs import job_file, stop_at
from tests.jobs.test_image_classification import pictures

LAYERS = {"bert.encoder.layer.0": "bert.encoder.layer.1"}
LEARNING = {"validation": "held_out.csv", "epochs": 2, "batch_size": 16, "lr": 3e-3}
TEXTS = runs.TEXTS | LEARNING
PICTURES = runs.PICTURES | {"epochs": 3, "batch_size": 8}


@pytest.fixture
def place(tmp_path):
    tiny.encoder(tmp_path / "bare")
    tiny.write_csv(tmp_path / "train.csv", tiny.sentences(60))
    tiny.write_csv(tmp_path / "held_out.csv", tiny.sentences(20, seed=1))
    return tmp_path


def made_ready(place, usual, **more):
    dist = DistributedContext(torch.device("cpu"), "fp32")
    context = Context(lambda line: None, False, dist)
    return setups.setup(read_job(job_file(place, usual, **more)), context)


NARROW = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}


@pytest.mark.parametrize(
    ("kind", "student"), [("hint", NARROW), ("cosine", {"layers": [0]}), ("relations", NARROW)]
)
def test_layers_are_matched_by_name(place, kind, student):
    match = {"layers": LAYERS, "kind": kind} | ({"weight": 5} if kind == "hint" else {})
    job = read_job(job_file(place, TEXTS, match=match, student=student, out=kind))
    history = run_job(job, progress=False).history
    assert set(history.terms) == {"kd", "ce", kind, "total"}
    if kind != "relations":  # those of one batch are not those of another
        assert history[kind][-1] < history[kind][0]
    assert not (place / kind / "teacher_answers").exists()  # the teacher is asked at every step


def test_labels_are_learned_beside_layers_where_a_job_matches_some(place):
    """A student of labels alone asks its teacher nothing, and shows it its layers all the same."""
    given = {"method": "supervised", "match": {"layers": LAYERS}}
    history = run_job(read_job(job_file(place, TEXTS, **given)), progress=False).history
    assert set(history.terms) == {"ce", "hint", "total"} and history["hint"][-1] > 0
    card = json.loads((place / "out/student/card.json").read_text())
    assert "bare" in json.dumps(card["teachers"])


@pytest.mark.parametrize("what", ["words", "pictures", "augment"])
def test_models_that_read_otherwise_are_not_matched_and_check_says_so(place, capsys, what):
    tiny.encoder(place / "reversed", layers=1, words=[*tiny.WORDS[:4], *tiny.WORDS[:3:-1]])
    pictures(place / "pictures", 6, 0)
    run_job(read_job(job_file(place, PICTURES, out="first", epochs=1)), progress=False)
    given = TEXTS | {"student": "reversed", "match": {"layers": LAYERS}}
    given["match"] = {"layers": {"bert.encoder.layer.0": "bert.encoder.layer.1"}}
    if what != "words":
        given = PICTURES | {"teacher": "first/student", "method": "kd", "size": 6}
        modules = made_ready(place, PICTURES).student.named_modules()
        conv = next(name for name, module in modules if isinstance(module, torch.nn.Conv2d))
        match = {"match": {"layers": {conv: conv}, "kind": "attention"}}
        given |= {"augment": {"flip": True}} if what == "augment" else match
    words = f"{'augment: pictures' if what == 'augment' else 'match: layers'} are those of one"
    for more in (["--check"], []):
        assert cli.main(["distill", str(job_file(place, given)), *more]) == 2
        assert words in capsys.readouterr().err
    same = {"size": 8} if what != "words" else {"student": {"layers": [0]}}
    assert cli.main(["distill", str(job_file(place, given | same)), "--check"]) == 0


def test_an_embedders_layers_have_the_names_of_its_own_model(place):
    match = {"layers": {"encoder.layer.0": "encoder.layer.1"}}
    more = {"kind": "embedding", "method": "cosine", "teacher": "bare", "match": match}
    setup = made_ready(place, TEXTS, **more)
    assert set(setup.method.weights) == {"embeddings", "hint"}
    assert "model.encoder.layer.1" in setup.method.taps


def test_a_network_of_maps_is_matched_by_attention(place):
    pictures(place / "pictures", 6, 0)
    run_job(read_job(job_file(place, PICTURES, out="first")), progress=False)
    modules = made_ready(place, PICTURES).student.named_modules()
    conv = next(name for name, module in modules if isinstance(module, torch.nn.Conv2d))
    match = {"layers": {conv: conv}, "kind": "attention"}
    more = {"teacher": "first/student", "method": "kd", "match": match}
    job = read_job(job_file(place, PICTURES, **more))
    assert "attention" in run_job(job, progress=False).history.terms


def test_what_cannot_be_matched_is_said_in_words(place, capsys):
    for match, words in (
        ({"layers": {"bert.encoder.layer.7": "bert.encoder.layer.1"}}, "the student has no layer"),
        ({"layers": {"bert.encoder.layer.0": "layer.9"}}, "the teacher has no layer 'layer.9'"),
        ({"layers": LAYERS, "kind": "hints"}, "hint"),
        ({"kind": "hint"}, "match needs layers"),
    ):
        assert cli.main(["distill", str(job_file(place, TEXTS, match=match))]) == 2
        assert words in capsys.readouterr().err
    for more, words in (
        ({"match": {"layers": LAYERS}, "cache": True}, "with match the teacher is asked"),
        ({"match": {"layers": LAYERS}, "teacher": None, "method": "supervised"}, "name a teacher"),
    ):
        assert cli.main(["distill", str(job_file(place, TEXTS, **more)), "--check"]) == 2
        assert words in capsys.readouterr().err


def test_pictures_are_made_anew_by_seed_and_never_those_that_are_measured(place):
    pictures(place / "pictures", 6, 0)
    augment = {"flip": True, "crop": 2}
    plain = Pictures(PictureFolder(place / "pictures", size=8), torch.arange(18), View(8))
    anew = Pictures(plain.folder, plain.labels, plain.view, augment)
    assert not plain.draws and plain.fingerprint != anew.fingerprint
    index = torch.arange(18)
    with reading(anew) as start:
        read = start([(0, index), (1, index)])
        one, two = (read(index).inputs["pixel_values"] for _ in range(2))
    with reading(anew) as start:  # as a run does that was stopped after the first
        assert torch.equal(start([(1, index)])(index).inputs["pixel_values"], two)
    assert not torch.equal(one, two) and one.shape == (18, 3, 8, 8)
    original = plain.batch(index).inputs["pixel_values"]
    black = torch.nn.functional.pad(original, [2] * 4, value=-1.0)
    for picture, frame in zip(one, black, strict=True):
        windows = [frame[:, y : y + 8, x : x + 8] for y in range(5) for x in range(5)]
        assert any(torch.equal(picture, w) or torch.equal(picture, w.flip(-1)) for w in windows)
    setup = made_ready(place, PICTURES, augment=augment)
    assert setup.data.draws and not setup.held_out["student"][1].draws


def test_a_run_on_pictures_made_anew_goes_on_to_the_same_student(place):
    """And the teacher is asked about what the student sees."""
    pictures(place / "pictures", 6, 0)
    run_job(read_job(job_file(place, PICTURES, out="first")), progress=False)
    more = {"teacher": "first/student", "method": "kd", "augment": {"crop": 1, "flip": True}}
    whole = run_job(read_job(job_file(place, PICTURES, out="whole", **more)), progress=False)

    job = read_job(job_file(place, PICTURES, out="torn", checkpoint_every=2, **more))
    assert run_job(job, progress=stop_at(4)).history.interrupted
    torn = run_job(job, progress=False)
    files = [each.student / "model.safetensors" for each in (whole, torn)]
    assert files[0].read_bytes() == files[1].read_bytes()
    assert not (place / "torn/teacher_answers").exists()


@pytest.fixture
def rare(place):
    """Texts of which one class is rare: 2 of 42."""
    rows = [row for row in tiny.sentences(120) if row["label"] != "rate"][:40]
    rows += [row for row in tiny.sentences(120) if row["label"] == "rate"][:2]
    tiny.write_csv(place / "train.csv", rows)
    return rows


def test_rare_classes_are_drawn_as_often_or_weigh_more(place, rare):
    setup = made_ready(place, TEXTS, balance="sampler", teacher=None, method="supervised",
                       student="bare")  # fmt: skip
    order = setup.settings["sampler"].order(42, 0, 0)
    drawn = setup.data.batch(order).labels.bincount()
    assert drawn.max() - drawn.min() <= 1
    setup = made_ready(place, TEXTS, balance="weights", teacher=None, method="supervised",
                       student="bare")  # fmt: skip
    counts = torch.tensor([sum(row["label"] == name for row in rare) for name in tiny.CLASSES])
    weights = json.loads(setup.method.name.split("class_weights=")[1].rstrip(")"))
    assert weights == pytest.approx((42 / (3 * counts)).tolist())
    history = run_job(read_job(job_file(place, TEXTS, balance="weights")), progress=False).history
    assert history.steps == 6


def test_what_cannot_be_balanced_is_said_at_once(place, rare, capsys):
    tiny.write_jsonl(place / "some.jsonl", [*rare, {"text": "a b"}])
    for more, words in (
        ({"balance": "classes"}, "balance"),
        ({"balance": "weights", "alpha": 1}, "learns from none of them at alpha = 1"),
        ({"balance": "weights", "method": "logit-matching"}, "learns from none of them"),
        ({"balance": "sampler", "separator": "|", "method": "binary-kd"}, "several labels"),
        ({"balance": "sampler", "train": "some.jsonl"}, "1 texts have no label"),
    ):
        assert cli.main(["distill", str(job_file(place, TEXTS, **more)), "--check"]) == 2
        assert words in capsys.readouterr().err


BERT = "bert.encoder.layer"


@pytest.mark.parametrize(
    ("kind", "own", "other", "words"),
    [
        ("text-classification", f"{BERT}.1", f"{BERT}.1", f"the student has no layer '{BERT}.1'"),
        ("text-classification", "encoder.layer.0", f"{BERT}.1", "the student has no layer 'enc"),
        ("token-classification", f"{BERT}.0", "bert.layer.0", "the teacher has no layer"),
        ("embedding", "encoder.layer.0", "encoder.layer.2", "the teacher has no layer"),
        ("ranking", f"{BERT}.0", f"{BERT}.2", "the teacher has no layer"),
        ("ranking", "bert.encoder.layers.0", f"{BERT}.1", "the student has no layer"),
        ("image-classification", "body.99", "body.0", "the student has no layer 'body.99'"),
        ("image-classification", "body", "body.conv9", "the teacher has no layer 'body.conv9'"),
    ],
)
@pytest.mark.parametrize("way", ["check", "run"])
def test_layers_that_are_not_there_are_named_before_anybody_learns(
    place, monkeypatch, kind, own, other, words, way
):
    refuses_before_anybody_learns(place, monkeypatch, kind, own, other, words, way, "hint")


def refuses_before_anybody_learns(place, monkeypatch, kind, own, other, words, way, how):
    def learns(*_, **__):
        raise AssertionError("the teacher learned before the layers were looked at")

    match = {"layers": {own: other}, "kind": how}
    more = {"kind": kind, "match": match}
    if kind == "embedding":
        more |= {"method": "cosine", "teacher": "bare"}
    elif kind == "ranking":
        write_queries(place)
        more |= {"method": "margin-mse", "train": "queries.jsonl", "validation": "queries.jsonl"}
    elif kind == "image-classification":
        pictures(place / "pictures", 6, 0)
        run_job(read_job(job_file(place, PICTURES, out="first", epochs=1)), progress=False)
        more = PICTURES | {"teacher": "first/student", "method": "kd", "match": match}
    elif kind == "token-classification":
        rows = [{"tokens": ["good", "film"], "tags": ["O", "B-x"]}] * 8
        (place / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        more |= {"train": "train.jsonl", "validation": "train.jsonl"}
    monkeypatch.setattr("distill_lab.jobs.setups.teaching.finetuned", learns)
    job = read_job(job_file(place, TEXTS if kind != "image-classification" else {}, **more))
    with pytest.raises(ValueError, match=words):
        if way == "check":
            setups.check(job, lambda line: None)
        else:
            run_job(job, progress=False)


@pytest.mark.parametrize(
    ("kind", "own", "other", "how", "words"),
    [
        ("text-classification", f"{BERT}.0", "bert.pooler", "hint", "expected both"),
        ("token-classification", f"{BERT}.0", f"{BERT}.1", "attention", "for maps"),
        ("embedding", "pooler", "encoder.layer.1", "cosine", "expected both"),
        ("ranking", "bert.pooler", f"{BERT}.0", "hint", "expected both"),
        ("image-classification", "stages.0", "head", "hint", "expected both"),
        ("image-classification", "stages.0", "stages.2", "attention", "with the same B, H"),
    ],
)
@pytest.mark.parametrize("way", ["check", "run"])
def test_layers_of_other_layouts_are_refused_before_anybody_learns(
    place, monkeypatch, kind, own, other, how, words, way
):
    """Maps beside tokens, say: their shapes show without a weight."""
    refuses_before_anybody_learns(place, monkeypatch, kind, own, other, words, way, how)


def test_layers_that_relate_examples_are_not_matched_one_by_one(place, capsys):
    match = {"layers": LAYERS, "kind": "relations"}
    texts = {"match": match, "validation": None, "student": NARROW}
    for more, refused in (
        ({"batch_size": 1}, True),
        ({"batch_size": 59}, True),  # of 60
        ({"batch_size": 4, "accumulate": 4}, True),
        ({"batch_size": 58}, False),
        ({"batch_size": 1, "match": {"layers": LAYERS}}, False),
    ):
        file = job_file(place, TEXTS, **texts | more)
        assert cli.main(["distill", str(file), "--check"]) == (2 if refused else 0), more
        err = capsys.readouterr().err
        assert ("match: relations compares examples with each other" in err) == refused


def write_queries(place):
    texts = sorted({row["text"] for row in tiny.sentences(30)})[:16]
    rows = [
        {"query": texts[i], "positive": texts[i - 1], "negative": texts[i - 3 : i - 1]}
        for i in range(4, 16)
    ]
    (place / "queries.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.mark.parametrize("kind", ["hint", "relations"])
def test_layers_of_a_ranker_are_matched(place, kind):
    write_queries(place)
    queries = {"train": "queries.jsonl", "validation": "queries.jsonl"}
    match = {"layers": LAYERS, "kind": kind}
    more = {"kind": "ranking", "method": "margin-mse", "student": NARROW, "match": match, **queries}
    history = run_job(read_job(job_file(place, TEXTS, **more)), progress=False).history
    assert set(history.terms) == {"margin", kind, "total"}
    with pytest.raises(ValueError, match="never sees query and candidate together"):
        read_job(job_file(place, TEXTS, reads="apart", **more))
