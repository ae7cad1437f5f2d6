"""Recall among the k nearest: by a loop from the definition, ties, seeds, and what it refuses."""

from itertools import combinations

import pytest
import torch

from distill_lab.evaluation import recall_at_k, retrieval


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def classes(n, count=4):
    return torch.arange(n) % count


def oracle(points, labels, k, distance):
    """Sort the others for each query, in plain Python; for features without ties."""
    points = points.double()
    if distance == "cosine":
        points = points / points.norm(dim=-1, keepdim=True)
    hits = 0
    for i, query in enumerate(points):
        others = [j for j in range(len(points)) if j != i]
        others.sort(key=lambda j: (query - points[j]).square().sum().item())
        hits += any(labels[j] == labels[i] for j in others[:k])
    return 100 * hits / len(points)


@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
@pytest.mark.parametrize("k", [1, 3, 39])
def test_it_is_what_the_definition_says(distance, k, monkeypatch):
    points, labels = draw(40, 5) + 0.5, classes(40)
    expected = oracle(points, labels, k, distance)
    assert recall_at_k(points, labels, k=k, distance=distance) == pytest.approx(expected)
    monkeypatch.setattr(retrieval, "CHUNK", 7)
    assert recall_at_k(points, labels, k=k, distance=distance) == pytest.approx(expected)


def test_an_example_never_finds_itself():
    labels = torch.tensor([0, 1, 0, 1])
    line = torch.tensor([[0.0], [0.1], [5.0], [5.1]])
    assert recall_at_k(line, labels, distance="euclidean") == 0


def test_the_order_of_the_examples_does_not_matter_where_some_are_equal():
    points, labels = draw(30, 3).round(), classes(30, 3)
    order = torch.randperm(30, generator=torch.Generator().manual_seed(4))
    for k in (1, 2, 5):
        for distance in retrieval.DISTANCES:
            both = [
                recall_at_k(x, y, k=k, distance=distance)
                for x, y in ((points, labels), (points[order], labels[order]))
            ]
            assert both[0] == pytest.approx(both[1])


@pytest.mark.parametrize("k", [1, 2, 4])
def test_a_collapsed_layer_gets_what_chance_gets(k):
    labels = torch.tensor([0, 0, 0, 1, 1, 1, 1])
    chance = 0.0
    for i in range(7):
        draws = list(combinations([j for j in range(7) if j != i], k))
        chance += sum(any(labels[j] == labels[i] for j in drawn) for drawn in draws) / len(draws)
    for distance in retrieval.DISTANCES:
        value = recall_at_k(torch.full((7, 3), 2.0), labels, k=k, distance=distance)
        assert value == pytest.approx(100 * chance / 7)


def test_cosine_ignores_lengths_and_euclidean_ignores_the_origin():
    points, labels = draw(50, 4) + 1, classes(50)
    lengths = 1 + draw(50, 1, seed=2).abs()
    assert recall_at_k(points * lengths, labels) == recall_at_k(points, labels)
    plain, moved = (recall_at_k(x, labels, distance="euclidean") for x in (points, points + 64))
    assert plain == moved


def test_more_neighbours_never_find_less_and_all_of_them_find_everything():
    points, labels = draw(24, 2), classes(24)
    values = [recall_at_k(points, labels, k=k) for k in range(1, 24)]
    assert values == sorted(values) and values[-1] == 100


def test_seeds_are_a_leading_axis():
    points, labels = draw(3, 20, 4), torch.stack([classes(20), classes(20, 2), classes(20, 5)])
    each = [recall_at_k(x, y) for x, y in zip(points, labels, strict=True)]
    assert recall_at_k(points, labels).tolist() == pytest.approx(each)
    assert recall_at_k(points, labels[0])[2].item() == pytest.approx(
        recall_at_k(points[2], labels[0])
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"embeddings": draw(8)}, r"must be \(N, D\)"),
        ({"labels": classes(7)}, r"got labels \(7,\)"),
        ({"labels": torch.tensor([0, 0, 1, 1, 2, 2, 2, 9])}, "class 9 has one example"),
        ({"k": 0}, "from 1 to 7"),
        ({"k": 8}, "from 1 to 7"),
        ({"distance": "dot"}, "one of"),
        ({"embeddings": draw(8, 2) * float("nan")}, "diverged"),
    ],
)
def test_bad_input_is_answered_in_words(change, words):
    given = {"embeddings": draw(8, 2), "labels": classes(8)} | change
    with pytest.raises(ValueError, match=words):
        recall_at_k(**given)
