"""The figures of each task against oracles: scikit-learn where it has them, else by hand."""

import math

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn import metrics

from distill_lab.evaluation import counts, ranks
from distill_lab.evaluation.differences import between_examples
from distill_lab.evaluation.tasks import BY_QUERY, TASKS, Figure, areas, spans


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def whole(high, *shape, seed=0):
    return torch.randint(high, shape, generator=torch.Generator().manual_seed(seed))


def figure(task, name, answers, labels):
    return TASKS[task].figures[name].of(answers, labels)


@pytest.mark.parametrize("seed", range(3))
def test_f1_of_independent_labels_is_scikit_learns(seed):
    logits, labels = drawn(40, 6, seed=seed), (drawn(40, 6, seed=seed + 9) > 0.8).double()
    logits[:, 5], labels[:, 5] = -1.0, 0.0  # a label that nobody gives and nobody has
    chosen, y = (logits > 0).numpy(), labels.numpy() > 0
    micro = metrics.f1_score(y, chosen, average="micro")
    macro = metrics.f1_score(y, chosen, average="macro", zero_division=np.nan)
    assert figure("multilabel", "micro_f1", logits, labels) == pytest.approx(100 * micro)
    assert figure("multilabel", "macro_f1", logits, labels) == pytest.approx(100 * macro)
    assert micro != pytest.approx(macro, abs=1e-3)


@pytest.mark.parametrize("digits", [0, 1, 6])
def test_average_precision_is_scikit_learns_with_ties_too(digits):
    scores = drawn(60, 4).round(decimals=digits)  # of 0 digits most are tied
    labels = (drawn(60, 4, seed=1) + 0.5 * drawn(60, 4) > 0.7).double()
    labels[:, 3] = 0.0  # nobody has it: scikit-learn would count a 0
    wanted = metrics.average_precision_score(labels[:, :3].numpy(), scores[:, :3].numpy())
    ours = figure("multilabel", "mean_average_precision", scores, labels)
    assert ours == pytest.approx(100 * wanted)


def test_counts_of_classes_give_scikit_learns_f1_and_overlap():
    labels, chosen = whole(5, 80), whole(6, 80, seed=1)
    table = counts.class_counts(chosen, labels, 8)  # 6 and 7 never occur
    y, z = labels.numpy(), chosen.numpy()
    assert counts.macro(counts.f1(table)).item() == pytest.approx(
        100 * metrics.f1_score(y, z, average="macro", zero_division=0)
    )
    assert counts.macro(counts.overlap(table)).item() == pytest.approx(
        100 * metrics.jaccard_score(y, z, average="macro", zero_division=0)
    )


def test_areas_leave_out_what_has_no_label_and_add_up_over_pictures():
    labels, logits = whole(3, 4, 5, 5), drawn(4, 3, 5, 5)
    labels[0, 0, :3] = -100
    chosen, kept = logits.argmax(1), labels != -100
    wanted = metrics.jaccard_score(labels[kept].numpy(), chosen[kept].numpy(), average="macro")
    assert areas(3).of(chosen, labels) == pytest.approx(100 * wanted)
    each = areas(3).sums(chosen, labels)
    assert each.shape == (4, 9) and areas(3).of_sums(each.sum(0)).item() == pytest.approx(
        100 * wanted
    )


def by_the_book(tags):
    """Spans of one text by the CoNLL rules, tag by tag; `None` is left out before."""
    ours, start, kind = set(), None, None
    for i, tag in enumerate([*tags, "O"]):
        mark, _, own = tag.partition("-")
        begins = mark == "B" or (mark == "I" and own != kind)
        if start is not None and (mark == "O" or begins):
            ours.add((start, i - 1, kind))
            start, kind = None, None
        if begins:
            start, kind = i, own
    return ours


NAMES = ["O", "B-x", "I-x", "B-y", "I-y"]


@pytest.mark.parametrize("seed", range(4))
def test_spans_are_those_of_the_conll_rules(seed):
    labels, chosen = whole(5, 12, 9, seed=seed), whole(5, 12, 9, seed=seed + 50)
    hidden = whole(4, 12, 9, seed=seed + 99) == 0
    labels[hidden] = -100
    table = spans(NAMES).sums(chosen, labels)
    for n in range(12):
        keep = ~hidden[n]
        truth, ours = (by_the_book([NAMES[t] for t in row[n][keep]]) for row in (labels, chosen))
        right = len(truth & ours)
        assert table[n].tolist() == [right, len(ours) - right, len(truth) - right]
    right, wrong, missed = table.sum(0).tolist()
    assert spans(NAMES).of(chosen, labels) == pytest.approx(
        200 * right / (2 * right + wrong + missed)
    )


@pytest.mark.parametrize("seed", range(4))
def test_spans_behind_a_cut_are_missed_as_by_the_book(seed):
    """Recall is over all gold spans: of one that the cut goes through, no part is the whole."""
    cut, labels = 6, whole(5, 12, 9, seed=seed)
    labels[0, 4:] = -100  # a short text has nothing behind the cut
    chosen = labels[:, :cut].clamp_min(0)  # all that is read is right
    unread = labels[:, cut:]
    table = spans(NAMES, unread).sums(chosen, labels[:, :cut])
    for row, counted in zip(labels, table, strict=True):
        truth = by_the_book([NAMES[t] for t in row if t >= 0])
        ours = by_the_book([NAMES[t] for t in row[:cut] if t >= 0])
        right = len(truth & ours)
        assert counted.tolist() == [right, len(ours) - right, len(truth) - right]
    assert (table[:, 2] > 0).any() and spans(NAMES).of(chosen, labels[:, :cut]) == 100
    assert spans(NAMES, unread).of(chosen, labels[:, :cut]) < 85


def test_spans_of_other_schemes():
    names = ["O", "B-x", "I-x", "E-x", "S-x"]
    rows = torch.tensor([[1, 2, 3, 4, 0], [1, 3, 1, 3, 0]])
    assert counts.span_counts(rows, rows, names).tolist() == [[2, 0, 0], [2, 0, 0]]
    plain = torch.tensor([[1, 1, 2, 0, 1]])  # names without marks: a run of one tag is a span
    assert counts.span_counts(plain, plain, ["O", "x", "y"]).tolist() == [[3, 0, 0]]
    dashed = counts.span_counts(plain, plain, ["O", "X-ray", "Y-axis"])  # no scheme's marks
    assert dashed.tolist() == [[3, 0, 0]]
    # A span does not go on into the next text.
    two = torch.tensor([[0, 1], [2, 0]])
    assert counts.span_counts(two, two, ["O", "B-x", "I-x"]).tolist() == [[1, 0, 0], [1, 0, 0]]


def test_padding_is_in_no_figure_of_tags():
    logits, labels = drawn(5, 7, 4), whole(4, 5, 7)
    short = {k: f.of(logits, labels) for k, f in TASKS["tagging"].figures.items()}
    wide = torch.cat([logits, 5 * drawn(5, 9, 4, seed=3)], 1)
    padded = torch.cat([labels, torch.full((5, 9), -100)], 1)
    for key, one in TASKS["tagging"].figures.items():
        assert one.of(wide, padded) == pytest.approx(short[key])
    other = logits + drawn(5, 7, 4, seed=8)  # agrees at some positions, and nowhere on padding
    wider = torch.cat([other, -wide[:, 7:]], 1)
    for of in TASKS["tagging"].fidelity.values():
        assert of(wide, wider, padded) == pytest.approx(of(logits, other, labels))
    assert 20 < TASKS["tagging"].fidelity["agreement"](logits, other, labels) < 90
    right = (logits.argmax(-1) == labels).double().mean().item()
    assert short["token_accuracy"] == pytest.approx(100 * right)
    assert short["nll"] == pytest.approx(
        metrics.log_loss(labels.flatten(), logits.softmax(-1).flatten(0, 1), labels=range(4))
    )


@pytest.mark.parametrize("width", [1, 3])
def test_regression_is_scikit_learns(width):
    labels = drawn(30, width)
    answers = labels + 0.5 * drawn(30, width, seed=1)
    y, z = labels.numpy(), answers.numpy()
    assert figure("regression", "rmse", answers, labels) == pytest.approx(
        metrics.root_mean_squared_error(y, z)
    )
    assert figure("regression", "mae", answers, labels) == pytest.approx(
        metrics.mean_absolute_error(y, z)
    )
    assert figure("regression", "r2", answers, labels) == pytest.approx(metrics.r2_score(y, z))
    assert math.isnan(figure("regression", "r2", answers, torch.ones(30, width).double()))
    of = TASKS["regression"].fidelity
    assert of["rmse_to_teacher"](answers, labels, None) == pytest.approx(
        metrics.root_mean_squared_error(y, z)
    )
    each = [stats.pearsonr(y[:, d], z[:, d]).statistic for d in range(width)]
    assert of["correlation_to_teacher"](answers, labels, None) == pytest.approx(np.mean(each))


@pytest.mark.parametrize("digits", [0, 5])
def test_lists_are_scikit_learns_with_equal_scores_too(digits):
    scores = drawn(20, 8).round(decimals=digits)
    relevance = whole(3, 20, 8, seed=4).double()
    wanted = metrics.ndcg_score(relevance.numpy(), scores.numpy())
    assert BY_QUERY["ndcg"].of(scores, relevance) == pytest.approx(100 * wanted)
    each = [stats.spearmanr(a, b).statistic for a, b in zip(scores, relevance, strict=True)]
    assert BY_QUERY["rank_correlation"].of(scores, relevance) == pytest.approx(np.mean(each))
    cut = torch.cat([scores, torch.full((20, 3), 9.0).double()], 1)
    padded = torch.cat([relevance, torch.full((20, 3), -100.0).double()], 1)
    for one in BY_QUERY.values():
        assert one.of(cut, padded) == pytest.approx(one.of(scores, relevance))
    empty = torch.cat([relevance, torch.zeros(1, 8).double()])  # a query without an answer
    more = torch.cat([scores, drawn(1, 8)])
    assert BY_QUERY["ndcg"].of(more, empty) == pytest.approx(100 * wanted)


def test_the_reciprocal_rank_of_equals_is_the_mean_over_their_orders():
    generator = torch.Generator().manual_seed(0)
    scores = torch.tensor([5.0, 3, 3, 3, 3, 1])
    relevance = torch.tensor([0.0, 1, 0, 1, 0, 1])
    drawn_ranks = []
    for _ in range(4000):
        order = (scores + 0.5 * torch.rand(6, generator=generator)).argsort(descending=True)
        drawn_ranks.append(1 / (1 + int(relevance[order].nonzero()[0])))
    assert ranks.reciprocal_rank(scores, relevance) == pytest.approx(np.mean(drawn_ranks), abs=0.01)
    assert ranks.reciprocal_rank(torch.zeros(4), torch.tensor([1.0, 0, 0, 0])) == pytest.approx(
        (1 + 1 / 2 + 1 / 3 + 1 / 4) / 4
    )


def test_rank_correlation_is_scipys():
    a, b = drawn(50).round(decimals=1), drawn(50, seed=1).round(decimals=1)
    assert ranks.rank_correlation(a, b) == pytest.approx(stats.spearmanr(a, b).statistic)
    assert ranks.rank_correlation(a, torch.ones(50).double()) == 0.0
    assert torch.equal(ranks.ranks_of(a), torch.from_numpy(stats.rankdata(a) - 1))


def test_embeddings_of_another_width_are_compared_by_their_similarities():
    of = TASKS["embedding"].fidelity
    x = drawn(30, 8)
    turned = x @ torch.linalg.qr(drawn(8, 8, seed=2))[0]
    wider = torch.cat([turned, torch.zeros(30, 4).double()], 1)
    assert math.isnan(of["cosine_to_teacher"](wider, x, None))
    assert of["similarity_correlation"](wider, x, None) == pytest.approx(1)
    assert of["neighbours_kept"](wider, x, None) == pytest.approx(100)
    assert of["cosine_to_teacher"](3 * x, x, None) == pytest.approx(1)
    other = drawn(30, 8, seed=5)
    a, b = (torch.nn.functional.normalize(z, dim=1) for z in (other, x))
    above = torch.ones(30, 30).triu(1).bool()
    wanted = stats.spearmanr((a @ a.T)[above], (b @ b.T)[above]).statistic
    assert of["similarity_correlation"](other, x, None) == pytest.approx(wanted)
    for few in (1, 2):  # no two similarities to be put in order
        assert math.isnan(of["similarity_correlation"](x[:few], x[:few], None))
    assert of["similarity_correlation"](x[:3], x[:3], None) == pytest.approx(1)


def test_the_only_one_of_its_class_is_not_searched_for():
    x = torch.tensor([[1.0, 0], [0.9, 0.1], [0, 1], [0.1, 0.9], [-1, -1]]).double()
    labels = torch.tensor([0, 0, 1, 1, 2])
    assert figure("embedding", "recall_at_1", x, labels) == 100
    sums = TASKS["embedding"].figures["recall_at_1"].sums(x, labels)
    assert sums[:, 1].tolist() == [1, 1, 1, 1, 0]


NAMED = {"names": ("a", "b"), "measure": "m", "unit": ""}


def test_a_mean_over_the_examples_is_compared_pair_by_pair():
    labels = drawn(200, 1)
    noise = 3 * drawn(200, 1, seed=1)  # the same for both: unpaired, it would hide the gain
    a, b = labels + noise, labels + noise + 0.2 * noise.sign()
    mae = TASKS["regression"].figures["mae"]
    result = between_examples(mae, a, b, labels, **NAMED)
    assert (result.of, result.interval.n) == ("examples", 200)
    assert result.interval.mean == pytest.approx(-0.2) and result.below == 200
    assert result.interval.high - result.interval.low < 1e-6


def test_any_other_figure_is_drawn_again_in_pairs_and_from_a_seed():
    labels = drawn(80, 1)
    a, b = labels + drawn(80, 1, seed=1), labels + 1.3 * drawn(80, 1, seed=1)
    rmse = TASKS["regression"].figures["rmse"]
    result = between_examples(rmse, a, b, labels, **NAMED)
    assert (result.of, result.interval.n, result.test) == ("resamples", 1000, "the bootstrap's")
    assert result.interval.mean == pytest.approx(rmse.of(a, labels) - rmse.of(b, labels))
    assert result.interval.low < result.interval.mean < result.interval.high < 0
    # Paired: the error of one is that of the other times 1.3, in every sample.
    assert result.below == 1000 and result.p < 0.01
    assert result.interval.high - result.interval.low < 0.15
    assert between_examples(rmse, a, b, labels, **NAMED) == result
    wanted = stats.bootstrap(
        (a[:, 0].numpy(), b[:, 0].numpy(), labels[:, 0].numpy()),
        lambda x, z, y: (
            metrics.root_mean_squared_error(y, x) - metrics.root_mean_squared_error(y, z)
        ),
        paired=True,
        vectorized=False,
        n_resamples=1000,
        method="percentile",
        rng=0,
    ).confidence_interval
    assert result.interval.low == pytest.approx(wanted.low, abs=0.02)
    assert result.interval.high == pytest.approx(wanted.high, abs=0.02)


def test_what_is_no_sum_is_drawn_example_by_example():
    labels = drawn(60)
    a, b = labels + 0.2 * drawn(60, seed=1), drawn(60, seed=2)
    order = TASKS["ranking"].figures["rank_correlation"]
    assert order.sums is None
    result = between_examples(order, a, b, labels, **NAMED)
    assert result.interval.low > 0 and result.above == 1000
    same = between_examples(order, a, a, labels, **NAMED)
    assert (same.interval.mean, same.p, same.above, same.below) == (0, 1, 0, 0)
    unknown = between_examples(Figure(lambda a, y: math.nan), a, b, labels, **NAMED)
    assert math.isnan(unknown.interval.low)
