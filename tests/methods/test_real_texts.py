"""An embedder and a ranker on real questions: BANKING77, where `DISTILL_LAB_DATA` has it."""

import os

import pytest
import torch
import torch.nn.functional as F
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import HashingVectorizer, TfidfVectorizer
from torch import nn

from distill_lab import methods
from distill_lab.data import datasets
from distill_lab.models import Ranker
from distill_lab.teachers import Recorded
from distill_lab.training import distill

DATA = os.environ.get("DISTILL_LAB_DATA")  # read before any fixture takes it away
WORDS, LENGTH = 2000, 16
SETTINGS = {"batch_size": 64, "lr": 1e-2, "progress": False, "seed": 0}


class Encoder(nn.Module):
    """Vectors of words and of their neighbours: a sentence encoder, as small as one can be."""

    def __init__(self, width, seed=0):
        super().__init__()
        torch.manual_seed(seed)
        self.words = nn.Embedding(WORDS + 1, width)
        self.mix = nn.Conv1d(width, width, 3, padding=1)

    def forward(self, input_ids, attention_mask):
        h = self.words(input_ids) * attention_mask[..., None]
        return (h, h + self.mix(h.movedim(-1, 1)).movedim(1, -1))[1]


@pytest.fixture(scope="module")
def questions():
    if not DATA:
        pytest.skip("BANKING77 is not here: set DISTILL_LAB_DATA to a folder with banking77/ in it")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DISTILL_LAB_DATA", DATA)
        try:
            train = datasets.load("banking77").train
        except OSError as error:
            pytest.skip(f"BANKING77 is not here: {error}")
    order = torch.randperm(len(train), generator=torch.Generator().manual_seed(0))[:1200].tolist()
    texts, labels = [train.texts[i] for i in order], train.labels[order]
    vectors = TfidfVectorizer(min_df=2).fit_transform(texts)
    teacher = TruncatedSVD(24, random_state=0).fit_transform(vectors)
    return tokens(texts), labels, torch.tensor(teacher, dtype=torch.float32)


def tokens(texts):
    """Numbers of words, by their hash; 0 is padding."""
    split = HashingVectorizer().build_analyzer()
    ids = torch.zeros(len(texts), LENGTH, dtype=torch.long)
    for row, text in zip(ids, texts, strict=True):
        words = [1 + sum(map(ord, word)) * 31 % WORDS for word in split(text)[:LENGTH]] or [1]
        row[: len(words)] = torch.tensor(words)
    return {"input_ids": ids, "attention_mask": (ids > 0).long()}


def rows(inputs, index):
    return {name: part[index] for name, part in inputs.items()}


@pytest.mark.parametrize("kind", ["cosine", "mse", "similarities"])
def test_a_small_encoder_learns_the_embeddings_of_a_large_one(questions, kind):
    inputs, _, vectors = questions
    student, teacher = Encoder(16 if kind == "similarities" else 24), Recorded(vectors[:1000])
    method = methods.embeddings(kind, read="mean")
    seen, held_out = rows(inputs, slice(1000)), rows(inputs, slice(1000, None))

    def agreement():
        """How well its cosines follow the teacher's, over pairs of questions never trained on."""
        with torch.no_grad():
            tokens = student(**held_out) * held_out["attention_mask"][..., None]
        off = ~torch.eye(200, dtype=torch.bool)
        ours, its = (F.normalize(v) @ F.normalize(v).T for v in (tokens.sum(1), vectors[1000:]))
        return torch.corrcoef(torch.stack((ours[off], its[off])))[0, 1].item()

    before = agreement()
    distill(student, (seen, None), teacher=teacher, method=method, epochs=6, **SETTINGS)
    assert agreement() > before + 0.07


def test_a_ranker_learns_whose_answer_belongs_to_a_question(questions):
    inputs, labels, vectors = questions
    same = (labels[:, None] == labels[None, :]).float().fill_diagonal_(0)
    asked = same.any(1).nonzero().flatten()
    draw = torch.Generator().manual_seed(1)
    positive = torch.multinomial(same[asked], 1, generator=draw).flatten()
    negative = torch.multinomial(1 - same[asked], 1, generator=draw).flatten()
    parts = {"query": asked, "positive": positive, "negative": negative}
    q, p, n = (F.normalize(vectors[index]) for index in parts.values())
    scores = torch.stack(((q * p).sum(-1), (q * n).sum(-1)), 1)
    triples = {name: rows(inputs, index) for name, index in parts.items()}
    cut = len(asked) - 200
    seen, held_out = (
        {k: rows(v, s) for k, v in triples.items()} for s in (slice(cut), slice(cut, None))
    )
    ranker = Ranker(Encoder(16), score="cosine", read="mean")
    with torch.no_grad():
        before = ranker(**held_out)
    teacher = Recorded(scores[:cut])
    method = methods.margin_mse()
    history = distill(ranker, (seen, None), teacher=teacher, method=method, epochs=3, **SETTINGS)
    with torch.no_grad():
        after = ranker(**held_out)
    right = [(s[:, 0] > s[:, 1]).float().mean().item() for s in (before, after)]
    assert history["margin"][-1] < 0.5 * history["margin"][0]
    assert right[1] > right[0] + 0.02, right
