"""A text that a table has no row for is met before the first step, whatever batch it is in."""

import pytest
import torch
from torch import nn
from transformers import AutoConfig, AutoModel, AutoModelForSequenceClassification

from distill_lab import methods
from distill_lab.data import Labelled
from distill_lab.models import Ranker
from distill_lab.seeds import distill_seeds
from distill_lab.teachers import freeze
from distill_lab.training import distill
from tests.jobs import tiny

QUIET = {"epochs": 1, "batch_size": 4, "progress": False}


def bert(places=32, words=30):
    config = AutoConfig.for_model(
        "bert",
        vocab_size=words,
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=8,
        max_position_embeddings=places,
        num_labels=3,
    )
    return AutoModelForSequenceClassification.from_config(config)


class Counted(nn.Module):
    """A network that counts how often it is asked."""

    def __init__(self, network):
        super().__init__()
        self.network, self.calls = network, 0

    def forward(self, **inputs):
        self.calls += 1
        return self.network(**inputs)


def refused(student, data, words, **more):
    before = [p.detach().clone() for p in student.parameters()]
    with pytest.raises(IndexError, match=words):
        distill(student, data, **(QUIET | more))
    assert all(map(torch.equal, before, student.parameters()))


@pytest.fixture
def texts():
    """Short texts, and one long one."""
    rows = ["a b c"] * 30 + ["a b c d e f g h i j"] + ["c b a"] * 30
    return Labelled(rows, [number % 3 for number in range(61)], tiny.tokenizer())


def test_a_long_text_in_a_late_batch(texts):
    refused(bert(8), texts, "12 tokens a text and the model's .* knows 8 positions")
    teacher = freeze(bert(8))
    refused(bert(), texts, "12 tokens a text", teacher=teacher, method=methods.kd())
    assert distill(bert(12), texts, **QUIET).steps == 16


def test_a_large_number_in_a_late_batch(texts):
    refused(bert(words=12), texts, "the number 13 and the model's .* only 12 rows")
    ids = torch.randint(4, 10, (40, 5))
    ids[37, 3] = 29
    refused(bert(words=29), ({"input_ids": ids}, torch.arange(40) % 3), "the number 29")
    words = nn.Sequential(nn.Embedding(29, 4), nn.Flatten(), nn.Linear(20, 3))
    refused(words, (ids, torch.arange(40) % 3), "the number 29 and the model's 0 only 29 rows")


def test_many_seeds_meet_it_as_well():
    ids = torch.randint(4, 10, (40, 5))
    ids[37, 3] = 29

    def network(seed):
        torch.manual_seed(seed)
        return nn.Sequential(nn.Embedding(29, 4), nn.Flatten(), nn.Linear(20, 3))

    with pytest.raises(IndexError, match="the number 29"):
        distill_seeds(network, (ids, torch.arange(40) % 3), seeds=(0, 1), **QUIET)


def test_what_fits_is_not_asked_once_more():
    ids = torch.randint(4, 10, (8, 5))
    student, teacher = Counted(bert()), Counted(bert())
    distill(
        student,
        ({"input_ids": ids}, None),
        teacher=freeze(teacher),
        **QUIET,
        method=methods.kd(alpha=1.0),
    )
    assert student.calls == teacher.calls == 2


def test_the_candidates_of_a_ranker():
    """Lists (B, K, L): the tokens are counted, and not the candidates."""
    model = AutoModel.from_config(bert(8).config)
    candidates = torch.randint(4, 10, (12, 3, 9))
    sides = {"query": {"input_ids": torch.randint(4, 10, (12, 5))}}
    scores = torch.rand(12, 3)
    for width, words in ((9, "9 tokens a text"), (8, None)):
        sides["candidates"] = {"input_ids": candidates[..., :width]}
        settings = {"teacher": lambda batch: scores[batch.ids], "method": methods.margin_mse()}
        ranker = Ranker(model, read="mean")
        if words:
            refused(ranker, (sides, None), words, **settings)
        else:
            assert distill(ranker, (sides, None), **settings, **QUIET).steps == 3
    candidates[11, 2, 0] = 30
    refused(Ranker(model, read="mean"), (sides, None), "the number 30", **settings)


def test_columns_of_numbers_with_a_table_each():
    class Columns(nn.Module):
        def __init__(self):
            super().__init__()
            self.small, self.large = nn.Embedding(3, 4), nn.Embedding(50, 4)
            self.head = nn.Linear(4, 3)

        def forward(self, x):
            return self.head(self.small(x[:, 0]) + self.large(x[:, 1]))

    x = torch.stack((torch.arange(20) % 3, torch.arange(20)), 1)
    assert distill(Columns(), (x, torch.arange(20) % 3), **QUIET).steps == 5
    labels = torch.arange(20) % 3
    refused(Columns(), (x + torch.tensor([0, 40]), labels), "number 59 and the model's large only")
    refused(Columns(), (x + torch.tensor([1, 0]), labels), "tables some have less rows: small 3,")
