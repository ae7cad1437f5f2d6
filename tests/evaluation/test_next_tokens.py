"""Reports of language models: scored on the next token, beside the teacher, seed by seed."""

from collections import UserDict
from types import MappingProxyType

import pytest
import torch
from torch import nn
from transformers import BatchEncoding

from distill_lab.data import Batch
from distill_lab.evaluation import compare, headroom, tokens_per_pass
from distill_lab.losses import total_variation

WORDS, LONG = 11, 6


class Bigrams(nn.Module):
    """Scores of the next token from the one that is read."""

    def __init__(self, seed: int, classes: int = WORDS) -> None:
        super().__init__()
        table = torch.randn(WORDS, classes, generator=torch.Generator().manual_seed(seed))
        self.table = nn.Parameter(2 * table)

    def forward(self, input_ids, attention_mask=None):
        return self.table[input_ids]


class Rows:
    """Texts of two lengths, so that batches have to be padded; the prompt is not scored."""

    def __len__(self) -> int:
        return 80

    def batch(self, index) -> Batch:
        ids = (index[:, None] * 7 + torch.arange(LONG) * 3 + index[:, None] % 5) % WORDS
        short = (index[:, None] >= 64) & (torch.arange(LONG) >= LONG - 2)
        labels = ids.masked_fill(short, -100)
        labels[:, 0] = -100
        cut = LONG - 2 if bool((index >= 64).all()) else LONG
        inputs = {"input_ids": ids[:, :cut], "attention_mask": (~short)[:, :cut].long()}
        return Batch(inputs, labels[:, :cut], index)

    def fingerprint(self) -> str:
        return "rows of two lengths"


def scored(model: Bigrams) -> tuple[torch.Tensor, torch.Tensor]:
    """Scores and the tokens that they are for, worked out by hand."""
    rows = [Rows().batch(torch.tensor([i])) for i in range(80)]
    pairs = [
        (int(r.inputs["input_ids"][0, i]), int(r.labels[0, i + 1]))
        for r in rows
        for i in range(r.labels.shape[1] - 1)
        if r.labels[0, i + 1] != -100
    ]
    read, target = (torch.tensor(x) for x in zip(*pairs, strict=True))
    return model.table.detach()[read], target


@pytest.mark.parametrize("form", [UserDict, MappingProxyType, BatchEncoding])
def test_a_language_in_a_mapping_that_is_no_dict_is_no_tagging(form):
    """Taken for tags, each position would be scored on the token that it reads."""

    class Formed(Rows):
        def batch(self, index) -> Batch:
            batch = super().batch(index)
            return batch._replace(inputs=form(batch.inputs))

    models, settings = {"big": Bigrams(1), "small": Bigrams(2)}, {"teacher": "big", "runs": 2}
    formed, usual = (
        compare(models, data, columns=["token_accuracy", "nll", "agreement"], **settings)
        for data in (Formed(), Rows())
    )
    assert formed["small"].nll == usual["small"].nll
    assert formed["small"]["token_accuracy"] == usual["small"]["token_accuracy"]
    result, wanted = (str(headroom(*models.values(), data)) for data in (Formed(), Rows()))
    assert result == wanted and "tokens" in result


def test_each_position_is_scored_on_the_next_token_and_beside_the_teacher():
    teacher, student = Bigrams(1), Bigrams(2)
    columns = [
        "token_accuracy",
        "nll",
        "agreement",
        "kl_to_teacher",
        "acceptance",
        "tokens_per_pass",
    ]
    report = compare({"big": teacher, "small": student}, Rows(), teacher="big", columns=columns)
    z_s, target = scored(student)
    z_t, _ = scored(teacher)
    row = report["small"]
    assert report.task == "language"
    assert row["token_accuracy"] == pytest.approx(100 * (z_s.argmax(-1) == target).float().mean())
    assert row["nll"] == pytest.approx(nn.functional.cross_entropy(z_s, target).item(), rel=1e-5)
    accepted = 1 - total_variation(z_s, z_t).item()
    assert row["acceptance"] == pytest.approx(100 * accepted, rel=1e-5)
    assert row["tokens_per_pass"] == pytest.approx((1 - accepted**5) / (1 - accepted), rel=1e-5)
    assert report["big"]["acceptance"] == pytest.approx(100, rel=1e-6)
    assert report["big"]["tokens_per_pass"] == pytest.approx(5, rel=1e-5)


def test_seeds_stand_beside_the_teacher_one_by_one():
    teacher, students = Bigrams(1), [Bigrams(2), Bigrams(3)]
    report = compare({"small": students}, Rows(), teacher=teacher, columns=["acceptance", "nll"])
    alone = [
        compare({"small": s}, Rows(), teacher=teacher, columns=["acceptance"])["small"][
            "acceptance"
        ]
        for s in students
    ]
    assert report["small"].by_seed["acceptance"] == pytest.approx(alone)


def test_recorded_scores_are_those_of_the_model():
    teacher, student = Bigrams(1), Bigrams(2)
    read = Rows().batch(torch.arange(64)).inputs
    data = (read, Rows().batch(torch.arange(64)).labels)
    columns = ["token_accuracy", "acceptance"]
    live = compare({"small": student}, data, teacher=teacher, columns=columns)
    kept = {"small": student(read["input_ids"]), "big": teacher(read["input_ids"])}
    recorded = compare(kept, data, teacher="big", task="language", columns=columns)
    assert [live["small"][c] for c in columns] == [recorded["small"][c] for c in columns]


def test_a_draft_that_is_never_right_yields_the_targets_own_token():
    assert tokens_per_pass(0.0) == 1
    assert [tokens_per_pass(0.7, n) for n in (1, 2)] == pytest.approx([1.7, 2.19])


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: compare({"a": Bigrams(1, 5)}, Rows()), "another tokenizer"),
        (lambda: compare({"a": Bigrams(1, 14)}, Rows(), teacher=Bigrams(1)), "the same vocabulary"),
        (
            lambda: compare({"a": Bigrams(1)}, (torch.ones(4, 3), torch.ones(4)), task="language"),
            "the tokens read",
        ),
    ],
)
def test_what_is_no_language_of_one_vocabulary_is_refused(call, words):
    with pytest.raises((ValueError, IndexError), match=words):
        call()
