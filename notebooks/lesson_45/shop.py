"""The shop of lesson 45: requests, all 2,800 answers to each, what they are worth, and a model.

A customer asks for one to three of six facts. An answer has one to four words, so all of them can
be listed, and what a model's answers are worth on average is a sum, not an estimate.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from distill_lab.models import MLP
from distill_lab.seeds import Stacked

__all__ = [
    "ANSWERS",
    "COUNTS",
    "FACTS",
    "GOLD",
    "LENGTHS",
    "PROMPTS",
    "TEST",
    "TRAIN",
    "WANTED",
    "WORDS",
    "TinyLM",
    "Words",
    "all_log_probs",
    "demonstrations",
    "features",
    "gold_rewards",
    "number_of",
    "pair_log_probs",
    "text_of",
    "tokens_of",
]

FACTS = ("price", "size", "colour", "weight", "date", "stock")
WORDS = (*FACTS, "well")
PAD, END, GO = 0, 1, 2  # GO stands between the request and the answer
FIRST_FACT, FIRST_WORD = 3, 9
VOCABULARY = ("<pad>", "<end>", "|", *(f"{fact}?" for fact in FACTS), *WORDS)
MOST_FACTS, MOST_WORDS = 3, 4
PROMPT = MOST_FACTS + 1  # tokens
NEVER = 1e4  # taken from the logit of a word that cannot come
BATCH = 2048  # texts a model is asked about at once

_FACTS_OF = [
    facts for n in range(1, MOST_FACTS + 1) for facts in itertools.combinations(range(6), n)
]
_WORDINGS = [
    words for n in range(1, MOST_WORDS + 1) for words in itertools.product(range(7), repeat=n)
]
WANTED = torch.tensor([[float(i in facts) for i in range(6)] for facts in _FACTS_OF])  # (41, 6)
PROMPTS = torch.tensor(  # (41, 4): padding first, so that the answer always begins at one place
    [
        [PAD] * (MOST_FACTS - len(facts)) + [FIRST_FACT + i for i in facts] + [GO]
        for facts in _FACTS_OF
    ]
)
ANSWERS = torch.tensor(  # (2800, 5): words, end, padding
    [
        [FIRST_WORD + i for i in words] + [END] + [PAD] * (MOST_WORDS - len(words))
        for words in _WORDINGS
    ]
)
COUNTS = torch.tensor([[float(words.count(i)) for i in range(7)] for words in _WORDINGS])
LENGTHS = COUNTS.sum(1)  # words of each answer (2800,)
TEST = torch.tensor([i for i in range(len(WANTED)) if i % 7 in (2, 5)])  # 2 short, 4, 6 long ones
TRAIN = torch.tensor([i for i in range(len(WANTED)) if i % 7 not in (2, 5)])


def gold_rewards(requests: Tensor) -> Tensor:
    """Return what each answer to these requests (R,) is worth to people: (R, 2800).

    Two points for each fact that was asked for, minus two for one that was not, minus one for each
    "well" and for each repetition.
    """
    facts, wanted = COUNTS[:, :6], WANTED[requests]
    given = (facts > 0).float()
    waste = (facts - given).sum(1) + COUNTS[:, 6]
    return 2 * wanted @ given.T - 2 * (1 - wanted) @ given.T - waste


GOLD = gold_rewards(torch.arange(len(WANTED)))  # (41, 2800)


def text_of(request: int, answer: int | None = None) -> str:
    """Write a request, or an answer to it, in words."""
    if answer is None:
        return " ".join(f"{FACTS[i]}?" for i in _FACTS_OF[request])
    return " ".join(WORDS[i] for i in _WORDINGS[answer])


def number_of(words: str) -> int:
    """Find the number of an answer that is given in words.

    >>> number_of("price"), number_of("price size")
    (0, 8)
    """
    return _WORDINGS.index(tuple(WORDS.index(word) for word in words.split()))


def tokens_of(requests: Tensor, answers: Tensor) -> Tensor:
    """Put prompts and answers of these numbers (...) side by side: (..., 9)."""
    return torch.cat([PROMPTS[requests], ANSWERS[answers]], -1)


def features(requests: Tensor, answers: Tensor) -> Tensor:
    """Give what a reward model reads: the facts asked for, and each word's count: (..., 13)."""
    return torch.cat([WANTED[requests], COUNTS[answers]], -1)


class TinyLM(nn.Module):
    """A causal language model that counts: the words so far, and the last one, say what follows.

    It gives an answer of one to four words for certain, so its 2,800 probabilities sum to 1.
    Shapes: tokens (B, L) -> logits (B, L, 16).

    Args:
        hidden: units of its one hidden layer.
        seed: of the first weights.
    """

    def __init__(self, hidden: int = 64, seed: int = 0) -> None:
        super().__init__()
        size = len(VOCABULARY)
        self.layers = MLP(2 * size, hidden, size, seed=seed)
        one_hot, never = torch.eye(size), torch.full((size,), NEVER)
        one_hot[PAD] = 0  # padding is not seen
        never[[END, *range(FIRST_WORD, size)]] = 0
        numbers = torch.arange(size)
        self.register_buffer("one_hot", one_hot)
        self.register_buffer("never", never)
        self.register_buffer("is_word", (numbers >= FIRST_WORD).float())
        self.register_buffer("is_end", (numbers == END).float())

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor | None = None, *, skip: int = 0
    ) -> Tensor:
        """Compute the logits of the next token at each position but the first `skip`."""
        last = F.embedding(input_ids, self.one_hot)  # (B, L, 16)
        so_far, last = last.cumsum(1)[:, skip:], last[:, skip:]
        logits = self.layers(torch.cat([so_far, last], -1).flatten(0, 1)).view(so_far.shape)
        words = (so_far * self.is_word).sum(-1, keepdim=True)
        too_long = (words >= MOST_WORDS) * self.is_word
        too_short = (words < 1) * self.is_end
        return logits - self.never - NEVER * (too_long + too_short)


class Words:
    """The tokenizer of the shop: one token a word."""

    pad_token_id, eos_token_id, chat_template = PAD, END, None

    def __call__(self, text: str, add_special_tokens: bool = False) -> dict[str, list[int]]:
        """Turn words into token numbers; words that the shop does not have are left out."""
        return {"input_ids": [VOCABULARY.index(w) for w in text.split() if w in VOCABULARY]}


def pair_log_probs(model: Any, tokens: Tensor) -> Tensor:
    """Return how probable a model finds each answer, in nats: (B, K, 9) -> (B, K)."""
    flat = tokens.flatten(0, 1)
    log_p = model(flat[:, :-1], skip=PROMPT - 1).log_softmax(-1)  # what follows |, word 1, ...
    target = flat[:, PROMPT:]
    chosen = log_p.gather(-1, target.unsqueeze(-1)).squeeze(-1) * (target != PAD)
    return chosen.sum(-1).view(tokens.shape[:2])


@torch.no_grad()
def all_log_probs(students: Stacked, requests: Tensor) -> Tensor:
    """Return how probable S models find each of the 2,800 answers to R requests: (S, R, 2800)."""
    count, words = len(requests), range(FIRST_WORD, FIRST_WORD + 7)
    contexts = torch.tensor(list(itertools.product(words, repeat=3)))  # (343, 3)
    prompts = PROMPTS[requests].repeat_interleave(len(contexts), 0)
    texts = torch.cat([prompts, contexts.repeat(count, 1)], 1)  # (R * 343, 7)
    students.eval()
    parts = [
        students(part, shared=True)[:, :, PROMPT - 1 :].log_softmax(-1)
        for part in texts.split(BATCH)
    ]
    log_p = torch.cat(parts, 1).view(students.seeds, count, 7, 7, 7, 4, len(VOCABULARY))
    word, end = log_p[..., FIRST_WORD:], log_p[..., END]
    one = word[:, :, 0, 0, 0, 0]  # (S, R, 7), after |
    two = one.unsqueeze(-1) + word[:, :, :, 0, 0, 1]
    three = two.unsqueeze(-1) + word[:, :, :, :, 0, 2]
    four = three.unsqueeze(-1) + word[:, :, :, :, :, 3]
    ended = (one + end[:, :, :, 0, 0, 1], two + end[:, :, :, :, 0, 2], three + end[..., 3], four)
    return torch.cat([part.flatten(2) for part in ended], -1)


def demonstrations(n: int, seed: int) -> Tensor:
    """Draw texts of sloppy writers, on all requests: (n, 9).

    A fact that was asked for is missing in a quarter of the answers, another one slips in, and
    every third answer has a "well".
    """
    draw = torch.Generator().manual_seed(seed)

    def chance(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=draw)

    requests = torch.randint(len(WANTED), (n,), generator=draw)
    wanted = WANTED[requests] > 0
    given = torch.where(wanted, chance(n, 6) < 0.75, chance(n, 6) < 0.12)
    extra = chance(n, 2) < torch.tensor([0.35, 0.06])  # "well", a repetition
    order = chance(n, 8)
    rows = []
    for i in range(n):
        facts = given[i].nonzero()[:, 0].tolist() or wanted[i].nonzero()[:1, 0].tolist()
        words = facts + [6] * bool(extra[i, 0]) + facts[:1] * bool(extra[i, 1])
        shuffled = [words[j] for j in order[i, : len(words)].argsort().tolist()][:MOST_WORDS]
        rows.append(_number(shuffled))
    return tokens_of(requests, torch.tensor(rows))


def _number(words: Sequence[int]) -> int:
    """The number of an answer: answers of n words begin after the 7 + 49 + ... shorter ones."""
    before = sum(7**n for n in range(1, len(words)))
    return before + sum(word * 7**i for i, word in enumerate(reversed(words)))
