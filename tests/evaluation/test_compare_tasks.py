"""`compare` and `headroom` on every kind of data and answer: what goes in, and what is said."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sklearn import metrics
from torch import nn
from torch.utils.data import Dataset

from distill_lab.data.datasets import Examples
from distill_lab.evaluation import compare, headroom, recall_at_k

FAST = {"runs": 2, "warmup": 0}


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


class Reader(nn.Module):
    """Token numbers in, `.logits` out, as models of Hugging Face; padding is not looked at."""

    def __init__(self, classes, *, each=False, seed=0):
        super().__init__()
        torch.manual_seed(seed)
        self.table, self.head, self.each = nn.Embedding(20, 8), nn.Linear(8, classes), each
        self.lengths = []

    def forward(self, input_ids, attention_mask):
        self.lengths.append(tuple(input_ids.shape))
        states = self.table(input_ids)
        if not self.each:
            weights = attention_mask[..., None].float()
            states = (states * weights).sum(1) / weights.sum(1)
        return SimpleNamespace(logits=self.head(states))


def texts(count=30, longest=9, seed=0):
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.randint(2, longest + 1, (count,), generator=generator)
    return [torch.randint(1, 20, (n,), generator=generator) for n in lengths.tolist()]


def padded(rows, filling=0):
    return nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=filling)


class Rows(Dataset):
    """Dict rows of different lengths, as a tokenised data set yields them."""

    def __init__(self, rows, labels):
        self.rows, self.labels = rows, labels

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, i):
        return {"input_ids": self.rows[i], "label": self.labels[i]}


def collate(rows):
    ids = padded([row["input_ids"] for row in rows])
    labels = [row["label"] for row in rows]
    labels = padded(labels, -100) if labels[0].ndim else torch.stack(labels)
    return {"input_ids": ids, "attention_mask": (ids > 0).long(), "labels": labels}


def test_texts_as_dict_dataset_and_arrays_give_one_report():
    rows = texts()
    labels = torch.arange(30) % 3
    ids = padded(rows)
    inputs = {"input_ids": ids, "attention_mask": (ids > 0).long()}
    models = {"big": Reader(3), "small": Reader(3, seed=1)}
    forms = [
        ((inputs, labels), {}),
        ({**inputs, "labels": labels}, {}),
        (({k: v.numpy() for k, v in inputs.items()}, labels.tolist()), {}),
        (Rows(rows, labels), {"collate": collate}),
    ]
    reports = [compare(models, data, teacher="big", **FAST, **more) for data, more in forms]
    for report in reports:
        assert report.task == "classification"
        for name in models:
            for key in ("accuracy", "macro_f1", "nll", "agreement", "kl_to_teacher"):
                assert report[name][key] == pytest.approx(reports[0][name][key], abs=1e-5)
    logits = models["small"](**inputs).logits
    assert reports[0]["small"]["macro_f1"] == pytest.approx(
        100 * metrics.f1_score(labels, logits.argmax(1), average="macro", zero_division=0)
    )


def test_texts_are_timed_at_their_median_length_without_padding():
    rows = [torch.ones(n).long() for n in (2, 9, 4, 3, 8)]
    ids = padded(rows)
    data = {"input_ids": ids, "attention_mask": (ids > 0).long()}, torch.arange(5) % 2
    model = Reader(2)
    report = compare({"a": model}, data, runs=3, warmup=1)
    assert model.lengths[0] == (5, 9) and set(model.lengths[1:]) == {(1, 4)}
    assert "of 4 tokens (the median)" in report.to_text()
    given = {"input_ids": torch.ones(2, 6).long(), "attention_mask": torch.ones(2, 6).long()}
    model.lengths.clear()
    report = compare({"a": model}, data, runs=3, warmup=1, latency_inputs=given)
    assert set(model.lengths[1:]) == {(2, 6)} and report["a"].latency.batch == 2
    assert "2 given examples a call" in report.to_text()


def test_tags_of_unequal_lengths_are_scored_without_their_padding():
    rows = texts(count=150)  # more than one batch, each padded to its own longest
    names = ["O", "B-x", "I-x"]
    labels = [
        torch.randint(3, (len(row),), generator=torch.Generator().manual_seed(len(row)))
        for row in rows
    ]
    labels[0][1] = -100
    models = {"big": Reader(3, each=True), "small": Reader(3, each=True, seed=1)}
    options = {"collate": collate, "class_names": names, "teacher": "big", **FAST}
    report = compare(models, Rows(rows, labels), **options)
    assert report.task == "tagging" and report.main == "span_f1"
    right = agree = total = 0
    for row, label in zip(rows, labels, strict=True):
        kept = label != -100
        one = {"input_ids": row[None], "attention_mask": torch.ones(1, len(row))}
        big, small = (m(**one).logits[0].argmax(-1)[kept] for m in models.values())
        right += int((small == label[kept]).sum())
        agree += int((small == big).sum())
        total += int(kept.sum())
    assert report["small"]["token_accuracy"] == pytest.approx(100 * right / total)
    assert report["small"].agreement == pytest.approx(100 * agree / total)
    assert report.differences[0].of == "resamples"
    assert report.difference("small", "big").measure == "span F1"
    bare = compare(models, Rows(rows, labels), collate=collate, **FAST)
    assert "name the tags by class_names" in bare.to_text() and bare.main == "token_accuracy"


def test_several_labels():
    logits, labels = drawn(60, 5), (drawn(60, 5, seed=1) > 0.4).float()
    better = logits + 2 * (2 * labels - 1)
    data = drawn(60, 4), labels
    report = compare({"t": better, "s": logits}, data, teacher="t", **FAST)
    assert report.task == "multilabel" and "0 or 1 for each" in report.notes[0]
    truth, chosen = labels.numpy() > 0, (logits > 0).numpy()
    assert report["s"]["micro_f1"] == pytest.approx(
        100 * metrics.f1_score(truth, chosen, average="micro")
    )
    assert report["s"].agreement == pytest.approx(
        100 * ((logits > 0) == (better > 0)).float().mean().item()
    )
    assert report["t"].agreement == 100
    (result,) = report.differences
    assert (result.unit, result.measure) == ("points", "micro F1") and result.interval.high < 0
    assert report["s"]["accuracy"] is None and "worst class" not in report.to_text()
    one = compare({"s": logits[:, 0]}, (data[0], labels[:, 0]), task="multilabel", **FAST)
    assert one["s"]["micro_f1"] == pytest.approx(100 * metrics.f1_score(truth[:, 0], chosen[:, 0]))


def test_pixels():
    logits, labels = drawn(6, 3, 8, 8), torch.randint(3, (6, 8, 8))
    labels[0, :2] = 255
    models = {"t": logits.movedim(1, 0).roll(1, 0).movedim(0, 1), "s": nn.Identity()}
    report = compare(models, (logits, labels), teacher="t", baseline="s", ignore=255, **FAST)
    kept = labels != 255
    wanted = metrics.jaccard_score(labels[kept], logits.argmax(1)[kept], average="macro")
    assert report.task == "segmentation"
    assert report["s"]["mean_iou"] == pytest.approx(100 * wanted)
    right = (logits.argmax(1) == labels)[kept].float().mean().item()
    assert report["s"]["pixel_accuracy"] == pytest.approx(100 * right)
    with pytest.raises(ValueError, match="say ignore=255"):
        compare(models, (logits, labels), **FAST)
    # A measure of one's own sees every class's score.
    shapes = []
    own = {"shape": lambda z, y: shapes.append((z.shape, y.shape)) or 1.0}
    compare({"s": nn.Identity()}, (logits, labels.clamp_max(2)), measures=own, **FAST)
    assert shapes == [((6, 3, 8, 8), (6, 8, 8))]


@pytest.mark.parametrize("shape", [(40,), (40, 1)])
def test_numbers_of_one_output_are_not_set_against_each_other(shape):
    labels = drawn(40)
    answers = labels + 0.1 * drawn(40, seed=1)
    report = compare({"a": answers.reshape(shape)}, (drawn(40, 3), labels), **FAST)
    assert report.task == "regression"
    assert report["a"]["rmse"] == pytest.approx((answers - labels).square().mean().sqrt().item())
    assert 0.9 < report["a"]["r2"] < 1


def test_numbers_beside_a_teacher_and_a_baseline():
    labels = drawn(50, 2)
    models = {
        "t": labels + 0.1 * drawn(50, 2, seed=1),
        "plain": labels + drawn(50, 2, seed=2),
        "s": labels + 0.3 * drawn(50, 2, seed=3),
    }
    report = compare(models, (drawn(50, 3), labels), teacher="t", baseline="plain", **FAST)
    assert report["t"]["rmse_to_teacher"] == 0 and report["t"]["correlation_to_teacher"] == 1
    gain = report.difference("s", "plain")
    assert gain.interval.high < 0 and gain.of == "resamples" and "RMSE" in str(gain)
    assert "difference" in report.to_text() and "samples" in report.to_html()
    assert report.to_frame().loc["s", "rmse"] == report["s"]["rmse"]


def test_embeddings_of_another_width():
    x, labels = drawn(40, 6), torch.arange(40) % 4
    models = {"t": nn.Identity(), "s": nn.Linear(6, 3)}
    report = compare(models, (x, labels), teacher="t", task="embedding", **FAST)
    assert report["t"]["recall_at_1"] == pytest.approx(recall_at_k(x, labels))
    assert report["s"]["recall_at_10"] == pytest.approx(
        recall_at_k(models["s"](x), labels, k=10), abs=1e-4
    )
    assert report["s"]["cosine_to_teacher"] is None and "none (another width)" in str(report)
    assert report["t"]["similarity_correlation"] == pytest.approx(1)
    assert report.differences[0].of == "examples"
    bare = compare(models, (x, None), teacher="t", task="embedding", **FAST)
    assert bare.differences == () and "none (no labels)" in bare.to_text()
    assert bare["s"]["neighbours_kept"] == report["s"]["neighbours_kept"]


def test_rankings_by_query_and_in_one_row():
    scores, relevance = drawn(20, 6), torch.randint(0, 3, (20, 6)).float()
    models = {"t": scores + 2 * relevance, "s": scores}
    report = compare(models, (drawn(20, 3), relevance), teacher="t", task="ranking", **FAST)
    assert report.main == "ndcg" and report["s"]["ndcg"] == pytest.approx(
        100 * metrics.ndcg_score(relevance, scores), abs=1e-3
    )
    assert report.differences[0].interval.high < 0
    assert report["t"]["rank_correlation_to_teacher"] == pytest.approx(1)
    flat = {name: one.flatten() for name, one in models.items()}
    data = drawn(120, 3), relevance.flatten()
    row = compare(flat, data, teacher="t", task="ranking", **FAST)
    assert row.main == "rank_correlation" and row.differences[0].of == "resamples"
    assert row["t"]["rank_correlation"] > row["s"]["rank_correlation"]
    signed = compare(models, (drawn(20, 3), relevance - 1), task="ranking", **FAST)
    assert "none (relevance below 0)" in signed.to_text()


def test_seeds_are_paired_in_any_task():
    labels = (drawn(50, 4, seed=1) > 0).float()
    seeds = torch.stack([drawn(50, 4, seed=s) + labels for s in (2, 3, 4)])
    models = {"t": seeds[0] + labels, "s": seeds}
    report = compare(models, (drawn(50, 2), labels), teacher="t", **FAST)
    row = report["s"]
    assert row.seeds == 3 and len(row.by_seed["micro_f1"]) == len(row.by_seed["agreement"]) == 3
    assert row["micro_f1"] == pytest.approx(np.mean(row.by_seed["micro_f1"]))
    assert report.differences[0].of == "seeds"
    assert report.difference("s", "t", "macro_f1").of == "seeds"


def test_labels_of_texts_are_positions_and_those_of_seeds_rows():
    ids = torch.randint(1, 20, (6, 4), generator=torch.Generator().manual_seed(0))
    tags = ids % 3
    net = nn.Embedding(20, 3)
    assert compare({"a": net}, (ids, tags), **FAST).task == "tagging"
    x = drawn(2, 30, 5)
    stacked = Examples(x, x[..., :3].argmax(-1))
    single = compare({"a": nn.Linear(5, 3)}, stacked, **FAST)
    assert single.task == "classification" and single["a"].seeds == 2
    pair = compare({"a": [nn.Linear(5, 3)] * 2}, (x, x[..., :3].argmax(-1)), **FAST)
    assert pair["a"].seeds == 2
    positions = compare({"a": nn.Linear(5, 3)}, (x, x[..., :3].argmax(-1)), **FAST)
    assert (positions.task, positions["a"].seeds) == ("tagging", 1)


def test_a_measure_of_ones_own_sees_raw_answers_and_labels():
    labels = drawn(30)
    measures = {"bias": lambda z, y: (z - y).mean(), "judge": {"a": 0.5}}
    models = {"a": labels + 1, "b": torch.stack([labels, labels + 3])}
    report = compare(models, (drawn(30, 2), labels), measures=measures, **FAST)
    assert report["a"]["bias"] == pytest.approx(1, abs=1e-6)
    assert report["b"].by_seed["bias"] == pytest.approx((0, 3), abs=1e-6)
    assert (report["a"]["judge"], report["b"]["judge"]) == (0.5, None)


def test_headroom_counts_tokens_pixels_and_labels():
    labels = torch.randint(3, (40, 5), generator=torch.Generator().manual_seed(0))
    labels[:, 4] = -100
    good = 6 * nn.functional.one_hot(labels.clamp_min(0), 3).float() + drawn(40, 5, 3)
    weak = drawn(40, 5, 3, seed=1)
    room = headroom(good, weak, (torch.ones(40, 5), labels))
    assert (room.unit, room.units, room.verdict) == ("tokens", 160, "gain")
    kept = labels != -100
    right = [(z.argmax(-1) == labels)[kept].float().mean().item() for z in (good, weak)]
    assert room.teacher_score == pytest.approx(100 * right[0])
    assert room.student_score == pytest.approx(100 * right[1])
    wanted = metrics.log_loss(labels[kept], weak.double().softmax(-1)[kept], labels=range(3))
    assert room.student_nll == pytest.approx(wanted, abs=1e-5)
    several = (drawn(40, 6) > 0).float()
    room = headroom(
        several * 4 - 2 + drawn(40, 6, seed=2), drawn(40, 6, seed=3), (drawn(40, 2), several)
    )
    assert (room.unit, room.units, room.verdict) == ("answers", 240, "gain")
    pixels = headroom(
        good.movedim(2, 1)[..., None],
        weak.movedim(2, 1)[..., None],
        (torch.ones(40, 1), labels[..., None]),
    )
    assert pixels.unit == "pixels" and pixels.teacher_score == pytest.approx(100 * right[0])
    report = compare({"t": good, "s": weak}, (drawn(40, 5), labels), teacher="t", baseline="s")
    assert any("Headroom: the teacher is right on" in note for note in report.notes)
    with pytest.raises(ValueError, match="counts right answers, and regression has none"):
        headroom(drawn(9), drawn(9), (drawn(9, 2), drawn(9)))


NET, X = nn.Linear(4, 3), drawn(12, 4)
ONE_HOT = nn.functional.one_hot(torch.arange(12) % 3, 3).float()

REFUSED = [
    (lambda: compare({"a": nn.Linear(4, 1)}, (X, torch.zeros(12).long())), "gives one logit"),
    (
        lambda: headroom(NET, lambda x: NET(x).softmax(1), (X, torch.arange(12) % 3)),
        "probabilities",
    ),
    (lambda: compare({"a": NET}, (X, None)), "without labels cannot be guessed"),
    (lambda: compare({"a": NET}, (X, None), task="regression"), "the data have no labels"),
    (lambda: compare({"a": NET}, (X, ONE_HOT)), r"labels.argmax\(1\) for classes"),
    (lambda: compare({"a": NET}, (X, drawn(12, 3).softmax(1))), "labels are probabilities"),
    (lambda: compare({"a": nn.Linear(4, 1)}, (X, ONE_HOT[:, 0])), "one yes or no, or numbers"),
    (lambda: compare({"a": NET}, (X, drawn(12))), "fit no task by their shapes"),
    (
        lambda: compare({"a": NET}, (X, drawn(12)), task="regression"),
        r"where regression has \(1,\)",
    ),
    (lambda: compare({"a": NET}, (X, drawn(12, 3)), task="multilabel"), "of 0 and 1"),
    (lambda: compare({"a": NET}, (X, drawn(12)), task="classification"), "as whole numbers"),
    (lambda: compare({"a": NET}, (X, drawn(12, 3) / 0)), "hold infinite values"),
    (lambda: compare({"a": NET}, (X, torch.full((12, 3), torch.nan))), "all labels are NaN"),
    (lambda: compare({"a": NET}, (X, torch.full((12,), -100))), "all labels are -100"),
    (lambda: compare({"a": X[:, 0] / 0}, (X, drawn(12))), "answers -?inf to example 0: that"),
    (
        lambda: compare(
            {"a": drawn(12, 4).index_fill(1, torch.tensor([2]), torch.nan)},
            (X, torch.eye(4)[torch.arange(12) % 4]),
            task="ranking",
        ),
        r"'a' answers nan to example 0, at \[2\]: .* no candidate, give the label -100",
    ),
    (
        lambda: compare({"a": drawn(12, 3).sigmoid()}, (X, ONE_HOT), task="multilabel"),
        "probabilities, where logits",
    ),
    (
        lambda: compare(
            {"a": nn.Embedding(9, 2)}, (torch.ones(5, 4).long(), torch.full((5, 4), 7))
        ),
        "reach from 7 to 7, and the models tell 2 classes apart",
    ),
    (
        lambda: compare(
            {"a": nn.Embedding(9, 2)}, (torch.ones(5, 4).long(), torch.full((5, 4), -100))
        ),
        "all labels are -100",
    ),
]


def _classes():
    labels = torch.arange(30) % 3
    return labels, torch.where(torch.arange(30) % 4 == 1, -100, labels), drawn(2, 30, 3)


def _several():
    labels = (drawn(30, 5, seed=1) > 0).float()
    return labels, labels.masked_fill(torch.arange(30)[:, None] % 4 == 1, torch.nan), drawn(30, 5)


def _numbers():
    labels = drawn(30, seed=2)
    return labels, labels.masked_fill(torch.arange(30) % 4 == 1, torch.nan), drawn(30)


@pytest.mark.parametrize(
    ("made", "task"),
    [(_classes, None), (_several, None), (_numbers, "regression"), (_numbers, "ranking")],
)
def test_examples_without_a_label_are_left_out(made, task):
    """As if they were not there: of every figure, every difference and the headroom."""
    labels, with_gaps, answers = made()
    kept = torch.arange(30) % 4 != 1
    models = {"t": answers, "s": answers.flip(-2 if answers.dim() > 1 else 0)}
    fewer = {name: z[:, kept] if z.dim() == 3 else z[kept] for name, z in models.items()}
    options = {"task": task, "teacher": "t", "baseline": "s", **FAST}
    gaps = compare(models, (torch.ones(30, 2), with_gaps), **options)
    own = compare(fewer, (torch.ones(int(kept.sum()), 2), labels[kept]), **options)
    for name in models:
        assert str(gaps[name].by_seed) == str(own[name].by_seed)
    assert gaps.differences == own.differences and gaps.caption == own.caption
    assert "Without a label, and left out: 8 examples." in gaps.notes
    if made is not _numbers:
        assert headroom(*models.values(), (torch.ones(30, 2), with_gaps)) == headroom(
            *fewer.values(), (torch.ones(int(kept.sum()), 2), labels[kept])
        )


def test_seeds_with_rows_of_their_own_may_lack_the_same_labels():
    rows = drawn(2, 30, 5), (torch.arange(60) % 3).reshape(2, 30)
    gaps = torch.arange(30) % 4 == 1
    models = {"a": drawn(2, 30, 3)}
    data = Examples(rows[0], rows[1].masked_fill(gaps, -100))
    own = compare({"a": models["a"][:, ~gaps]}, Examples(rows[0][:, ~gaps], rows[1][:, ~gaps]))
    assert compare(models, data, **FAST)["a"].by_seed == own["a"].by_seed
    other = rows[1].clone()
    other[0, 0] = -100
    with pytest.raises(ValueError, match="other examples without a label"):
        compare(models, Examples(rows[0], other), **FAST)


def test_single_labels_that_are_unknown_are_left_out():
    """Of independent labels and of several numbers each one by itself; NaN and -100 alike."""
    labels = (drawn(40, 4, seed=1) > 0).float()
    gaps = drawn(40, 4, seed=3) > 0.5
    answers, teacher = drawn(40, 4), drawn(40, 4, seed=5)
    for unknown in (torch.nan, -100.0):
        data = torch.ones(40, 2), labels.masked_fill(gaps, unknown)
        report = compare({"a": answers, "t": teacher}, data, teacher="t", **FAST)
        assert report.task == "multilabel"
        wanted = metrics.f1_score(labels[~gaps], answers[~gaps] > 0, average="binary")
        assert report["a"]["micro_f1"] == pytest.approx(100 * wanted)
        each = [
            metrics.average_precision_score(labels[~g, i], answers[~g, i])
            for i, g in enumerate(gaps.T)
        ]
        assert report["a"]["mean_average_precision"] == pytest.approx(100 * np.mean(each))
        same = ((answers > 0) == (teacher > 0))[~gaps].float().mean().item()
        assert report["a"]["agreement"] == pytest.approx(100 * same)
    numbers = drawn(40, 4, seed=4)
    data = torch.ones(40, 2), numbers.masked_fill(gaps, torch.nan)
    report = compare({"a": answers, "t": teacher}, data, teacher="t", **FAST)
    kept = [(numbers[~g, i], answers[~g, i], teacher[~g, i]) for i, g in enumerate(gaps.T)]
    wanted = np.mean([metrics.root_mean_squared_error(y, a) for y, a, _ in kept])
    assert report["a"]["rmse"] == pytest.approx(wanted)
    assert report["a"]["r2"] == pytest.approx(np.mean([metrics.r2_score(y, a) for y, a, _ in kept]))
    wanted = np.mean([np.corrcoef(a, t)[0, 1] for _, a, t in kept])
    assert report["a"]["correlation_to_teacher"] == pytest.approx(wanted)


def test_what_is_answered_where_there_is_nothing_counts_nothing():
    """-inf or NaN for a candidate that is not there, or behind a text's end."""
    relevance = torch.eye(4)[torch.arange(12) % 3]
    relevance[:, 3] = -100
    scores = drawn(12, 4)
    other = scores.index_fill(1, torch.tensor([3]), -torch.inf)
    data = torch.ones(12, 2), relevance
    options = {"task": "ranking", "teacher": "a", **FAST}
    report = compare({"a": scores, "b": other}, data, **options)
    assert report["a"]["ndcg"] == report["b"]["ndcg"]
    assert report["b"]["rank_correlation_to_teacher"] == 1
    tags = torch.arange(60).reshape(12, 5) % 3
    tags[:, 4] = -100
    logits = drawn(12, 5, 3)
    gone = logits.clone()
    gone[:, 4] = torch.nan
    report = compare({"a": logits, "b": gone}, (torch.ones(12, 2), tags), teacher="a", **FAST)
    assert report["b"]["agreement"] == 100 and report["b"]["kl_to_teacher"] == 0


def test_embeddings_without_a_class_are_no_ones_neighbours():
    labels = torch.arange(30) % 3
    gaps = torch.where(torch.arange(30) % 4 == 1, -100, labels)
    embeddings = drawn(30, 6)
    report = compare({"a": embeddings}, (torch.ones(30, 2), gaps), task="embedding", **FAST)
    kept = gaps != -100
    assert report["a"]["recall_at_1"] == pytest.approx(
        recall_at_k(embeddings[kept], labels[kept], k=1)
    )


REFUSED += [
    (
        lambda: compare({"a": NET}, (X, torch.zeros(12).long()), read={"b": lambda out: out}),
        r"read speaks of \['b'\], but the models are \['a'\]",
    ),
    (
        lambda: headroom(NET, NET, (X, torch.zeros(12).long()), read={"a": lambda out: out}),
        r"read speaks of \['a'\], but the models are \['teacher', 'student'\]",
    ),
    (
        lambda: compare({"a": [NET, NET]}, (X, torch.zeros(12).long()), splits=20),
        r"\(n_train, n_test\), two numbers; got 20",
    ),
    (
        lambda: compare({"a": NET}, (X, torch.zeros(12, 1).long()), task="classification"),
        r"one class an example, \(N,\); got \(12, 1\): give labels.squeeze\(1\)",
    ),
    (
        lambda: headroom(NET, NET, (X, torch.arange(24).reshape(12, 2) % 3), task="classification"),
        r"one class an example, \(N,\); got \(12, 2\)",
    ),
    (
        lambda: headroom(
            drawn(3, 3, 4, 4), drawn(3, 3, 4, 4), (X[:3], torch.arange(48).reshape(3, 4, 4) % 4 - 1)
        ),
        "reach from -1 to 2.*say ignore=-1",
    ),
    (
        lambda: compare(
            {"a": drawn(3, 4, 5)},
            ({"input_ids": torch.ones(3, 4).long()}, torch.arange(12).reshape(3, 4) % 3 - 1),
            task="language",
        ),
        "labels hold -1, which is no token: .*ignore=-1",
    ),
]


def test_what_is_ignored_is_no_sign_of_another_task():
    """0, 1 and 255 are labels of which some are unknown, where ignore=255 says so."""
    several = (drawn(12, 3) > 0).float()
    gaps = drawn(12, 3, seed=1) > 0.5
    answers = drawn(12, 3, seed=2)
    for unknown in (255, 7, -1):
        data = X, several.masked_fill(gaps, unknown)
        report = compare({"a": answers}, data, ignore=unknown, **FAST)
        wanted = metrics.f1_score(several[~gaps], answers[~gaps] > 0)
        assert report.task == "multilabel"
        assert report["a"]["micro_f1"] == pytest.approx(100 * wanted)
        room = headroom(answers, drawn(12, 3, seed=3), data, ignore=unknown)
        assert (room.unit, room.units) == ("answers", int((~gaps).sum()))


@pytest.mark.parametrize(("call", "sentence"), REFUSED, ids=range(len(REFUSED)))
def test_what_fits_no_task_or_two_is_refused_in_words(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()


@pytest.mark.parametrize("size", [(5, 6), (4, 4)])
def test_maps_are_known_by_their_shapes(size):
    """Also where there are as many classes as rows and columns; without a task= to say so."""
    torch.manual_seed(0)
    data = torch.randn(9, 3, *size), torch.randint(0, 4, (9, *size))
    net = nn.Conv2d(3, 4, 1)
    guessed, named = compare({"a": net}, data), compare({"a": net}, data, task="segmentation")
    assert guessed.task == "segmentation"
    assert guessed["a"]["mean_iou"] == named["a"]["mean_iou"]


@pytest.mark.parametrize("kind", ["numbers", "yes or no", "torch's own"])
def test_padding_is_measured_nowhere_whatever_its_labels_are(kind):
    kept = torch.arange(6) < torch.tensor([[6], [2], [4]])
    labels = torch.randint(3, (3, 6), generator=torch.Generator().manual_seed(1))
    mask = {
        "numbers": {"attention_mask": kept.long()},
        "yes or no": {"attention_mask": kept},
        "torch's own": {"key_padding_mask": ~kept},
    }[kind]
    inputs = {"x": drawn(3, 6, 4), **mask}
    network = nn.Linear(4, 3)
    models = {"a": lambda inputs: network(inputs["x"]), "kept": network(inputs["x"]).detach()}
    columns = ["token_accuracy", "nll"]
    filled, known = (
        compare(models, (inputs, y), columns=columns) for y in (labels, labels.where(kept, -100))
    )
    for name in models:
        for column in columns:
            assert filled[name][column] == known[name][column]
    assert "Padding and positions" in filled.to_text()
    one = {"a": network(inputs["x"][:, 0]).detach()}  # one answer a text: a mask is none of it
    assert compare(one, (inputs, labels[:, 0]), columns=["accuracy"])["a"].accuracy is not None


@pytest.mark.parametrize("answer", [lambda z: torch.complex(z, z), lambda z: z.to_sparse()])
def test_answers_that_are_no_real_numbers_are_refused(answer):
    data = drawn(8, 3), torch.arange(8) % 3
    with pytest.raises(TypeError, match="real numbers in a dense tensor"):
        compare({"a": answer}, data, columns=["accuracy"])
    with pytest.raises(TypeError, match="models must be a dict"):
        compare([nn.Linear(3, 3)], data)


def test_void_pixels_are_no_part_of_the_headroom():
    labels = torch.randint(4, (6, 5, 5), generator=torch.Generator().manual_seed(2))
    void = labels.clone()
    void[:, 0] = 255
    gaps = void.masked_fill(void == 255, -100)
    models = nn.Conv2d(3, 4, 1), nn.Conv2d(3, 4, 1)
    pictures = drawn(6, 3, 5, 5)
    with pytest.raises(ValueError, match=r"labels reach from 0 to 255.*ignore=255"):
        headroom(*models, (pictures, void))
    expected = headroom(*models, (pictures, gaps))
    assert headroom(*models, (pictures, void), ignore=255) == expected


class Named(nn.Module):
    """Answers as a model of Hugging Face with a head does: under a name, beside its config."""

    def __init__(self, answers):
        super().__init__()
        self.answers = nn.Parameter(answers)
        self.config = SimpleNamespace(id2label={0: "a"})

    def forward(self, x):
        return SimpleNamespace(logits=self.answers[x.long().flatten()])


@pytest.mark.parametrize(
    ("task", "answers", "labels"),
    [
        ("multilabel", torch.tensor([[0.2, 0.9], [0.7, 0.1]]), torch.tensor([[0, 1], [1, 0]])),
        ("classification", torch.tensor([[0.25, 0.75], [0.5, 0.5]]), torch.tensor([1, 0])),
    ],
)
def test_logits_that_look_like_probabilities_are_measured_where_they_are_named_so(
    task, answers, labels
):
    """A student of few examples may give such logits, and its job is at its end by then."""
    x = torch.arange(2.0)[:, None]
    with pytest.raises(ValueError, match="probabilities, where logits"):
        compare({"a": lambda x: answers[x.long().flatten()]}, (x, labels), task=task)
    report = compare({"a": Named(answers)}, (x, labels), task=task, columns=["nll"])
    if task == "classification":
        expected = nn.functional.cross_entropy(answers, labels)
        assert report["a"].nll == pytest.approx(expected.item())
    with pytest.raises(ValueError, match="probabilities, where logits"):
        read = {"read": lambda out: out.logits}
        compare({"a": Named(answers)}, (x, labels), task=task, columns=["nll"], **read)


@pytest.mark.parametrize(
    ("task", "labels", "column"),
    [
        ("regression", drawn(12, 3), "rmse_to_teacher"),
        ("multilabel", (drawn(12, 3) > 0).float(), "agreement"),
        ("embedding", torch.arange(12) % 3, "cosine_to_teacher"),
    ],
)
@pytest.mark.parametrize("kind", [torch.int64, torch.uint8])
def test_recorded_whole_numbers_are_numbers_like_others(task, labels, column, kind):
    numbers = torch.arange(36).reshape(12, 3).to(kind)
    models = {"a": numbers, "b": numbers.double(), "t": drawn(12, 3)}
    report = compare(models, (X, labels), "t", task=task, **FAST)
    assert str(report["a"].by_seed) == str(report["b"].by_seed) and report["a"][column] is not None


@pytest.mark.parametrize("shape", [(3, 2), (3, 2, 1), (1, 3, 2)])
def test_numbers_are_held_against_those_at_their_places_alone(shape):
    """As many numbers in another order of axes would be paired with others'."""
    labels, answers = drawn(12, 2, 3), drawn(12, *shape, seed=1)
    data = torch.ones(12, 1), labels
    with pytest.raises(ValueError, match=r"'a' gives \(.*labels are \(2, 3\): .* one order"):
        compare({"a": answers}, data, task="regression", **FAST)
    turned = answers.reshape(12, 3, 2).mT
    for fitting in (turned, turned.flatten(1), turned[:, :, None]):
        report = compare({"a": fitting}, data, task="regression", **FAST)
        assert report["a"]["mae"] == pytest.approx((turned - labels).abs().mean().item())


@pytest.mark.parametrize(("seeds", "shape"), [(2, (2, 2)), (3, (3, 3)), (1, (1, 1))])
def test_a_measure_of_ones_own_sees_every_label_whatever_the_shapes(seeds, shape):
    """As many seeds as examples, and as many examples as outputs: no row of labels is a seed's."""
    torch.manual_seed(0)
    networks, seen = [nn.Linear(4, shape[1]) for _ in range(seeds)], []

    def own(answers, labels):
        seen.append((answers.shape, labels.shape))
        return 0.0

    data = drawn(shape[0], 4), drawn(*shape)
    compare({"a": networks}, data, task="regression", measures={"own": own}, **FAST)
    assert seen == [(shape, shape)] * seeds


def test_a_class_ruled_out_that_was_right_costs_a_note_and_no_report():
    labels = torch.arange(12) % 3
    ruled_out = drawn(12, 3).masked_fill(ONE_HOT > 0, -torch.inf)
    for seeds in (ruled_out, torch.stack([ruled_out, drawn(12, 3)])):
        models = {"t": drawn(12, 3, seed=1), "s": seeds}
        report = compare(models, (X, labels), "t", baseline="s", **FAST)
        assert report["s"].nll == float("inf") and "infinite" in str(report)
        assert not any("Headroom" in note for note in report.notes) and report.differences


MAPS = torch.arange(2 * 3 * 4).reshape(2, 3, 4) % 3


def test_maps_of_classes_may_leave_out_one_where_the_classes_are_named():
    maps = MAPS.masked_fill(MAPS == 2, 0)
    data = (drawn(2, 1, 3, 4), MAPS)
    options = {"task": "segmentation", **FAST}
    report = compare({"a": maps}, data, class_names=["road", "car", "tree"], **options)
    wanted = metrics.jaccard_score(MAPS.flatten(), maps.flatten(), average="macro")
    assert report["a"]["mean_iou"] == pytest.approx(100 * wanted)
    for call, sentence in [
        (lambda: compare({"a": maps}, data, **options), r"tell 2 classes .*class_names"),
        (lambda: compare({"a": MAPS - 1}, data, **options), "'a' names class -1"),
        (
            lambda: compare({"a": maps}, data, class_names=["road"], **options),
            "class_names must name",
        ),
        (
            lambda: headroom(MAPS, maps, data, task="segmentation"),
            r"scores of every class \(N, C, H, W\).*'teacher' gives \(2, 3, 4\)",
        ),
        (lambda: headroom(drawn(2, 3, 3, 4) / 0, drawn(2, 3, 3, 4), data), "'teacher' answers"),
    ]:
        with pytest.raises(ValueError, match=sentence):
            call()


@pytest.mark.parametrize(
    ("labels", "sentence"),
    [
        (torch.full((12,), -100), "all labels are -100"),
        (torch.arange(12) % 3 - 1, "say ignore=-1"),
        (torch.arange(12) % 3 - 5, "say ignore=-5"),
    ],
)
def test_classes_of_embeddings_are_numbers_from_0(labels, sentence):
    with pytest.raises(ValueError, match=sentence):
        compare({"a": drawn(12, 4)}, (X, labels), task="embedding", **FAST)


def test_a_model_that_diverged_is_named():
    spoilt = drawn(12, 3).index_fill(0, torch.tensor([4]), torch.nan)
    with pytest.raises(ValueError, match=r"'b': logits hold NaN \(first at \[0, 4, 0\]\)"):
        compare({"a": drawn(12, 3), "b": spoilt}, (X, torch.arange(12) % 3), **FAST)
