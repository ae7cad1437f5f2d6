"""The walk as text of a real network: a small Llama student, and the teacher's rule as a module."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from distill_lab._util.runtime import own_randomness
from distill_lab.course.tutor.vocabulary import hugging_face
from distill_lab.data.batches import Batch
from distill_lab.losses import IGNORE
from distill_lab.methods import Method
from distill_lab.training import History, distill
from lesson_42.grid import CELLS, END, FIRST, LONGEST, VOCABULARY, write

__all__ = ["Answers", "GridTeacher", "Prompts", "arrives", "network", "score", "teach"]


def network(seed: int, width: int = 32) -> Any:
    """Make a Llama of one block with the tokens of the grid, first weights from the seed."""
    hf = hugging_face()
    config = hf.LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=width,
        num_hidden_layers=1,
        num_attention_heads=4,
        intermediate_size=2 * width,
        max_position_embeddings=LONGEST + 2,
        tie_word_embeddings=False,
        attn_implementation="eager",  # the only one that torch.vmap can run for all seeds at once
        pad_token_id=END,
        bos_token_id=None,
        eos_token_id=END,
    )
    with own_randomness(seed):
        return hf.LlamaForCausalLM(config).to(torch.float32)


class _Scores(NamedTuple):
    logits: Tensor


class GridTeacher(nn.Module):
    """The teacher's table as a model: the goal is token 0, the last cell the token just read."""

    def __init__(self, table: Tensor) -> None:
        super().__init__()
        self.register_buffer("log_p", torch.cat((table, table[:, -1:]), 1).log())

    def forward(self, input_ids: Tensor, **_: Any) -> _Scores:
        """Give logits (B, L, VOCABULARY); what follows an end token is never scored."""
        goals = input_ids[:, :1].clamp_max(CELLS - 1).expand_as(input_ids)
        return _Scores(self.log_p[goals, input_ids])


class Prompts:
    """Prompts alone, (N, 2): the goal and the first cell."""

    def __init__(self, goals: Sequence[int] | Tensor) -> None:
        goals = torch.as_tensor(goals)
        self.ids = torch.stack((goals, torch.full_like(goals, FIRST)), 1)

    def __len__(self) -> int:
        return len(self.ids)

    def batch(self, index: Tensor) -> Batch:
        """Give some of the prompts, without labels."""
        ids = self.ids[index]
        return Batch({"input_ids": ids, "attention_mask": torch.ones_like(ids)}, None, index)


class Answers(Prompts):
    """The teacher's walks: prompts with answers, labels on the answers."""

    def __init__(self, table: Tensor, n: int, seed: int) -> None:
        draw = torch.Generator().manual_seed(seed)
        goals = torch.randint(CELLS, (1, n), generator=draw)
        walks = write(table[None], goals, torch.rand(LONGEST, 1, n, generator=draw))
        super().__init__(goals[0])
        answer, mask = walks.tokens[0], walks.mask[0]
        blank = torch.full_like(self.ids, IGNORE)
        self.full = torch.cat((self.ids, torch.where(mask, answer, END)), 1)
        self.labels = torch.cat((blank, torch.where(mask, answer, IGNORE)), 1)
        self.attention = torch.cat((torch.ones_like(self.ids), mask.long()), 1)

    def batch(self, index: Tensor) -> Batch:
        """Give some of the walks."""
        inputs = {"input_ids": self.full[index], "attention_mask": self.attention[index]}
        return Batch(inputs, self.labels[index], index)


def arrives(goal: int, tokens: Sequence[int]) -> bool:
    """Tell whether a walk ends at its goal.

    >>> arrives(2, [1, 2, END]), arrives(2, [1, END])
    (True, False)
    """
    way = [FIRST, *tokens]
    return way[-1] == END and way[-2] == goal


def score(prompts: Prompts) -> Any:
    """Make the score of a `WritingMonitor`: 1 for an answer that arrives."""
    goals = prompts.ids[:, 0].tolist()
    return lambda example, tokens: float(arrives(goals[example], tokens))


def teach(
    student: Any,
    data: Any,
    teacher: Any,
    method: Method,
    *,
    seed: int,
    lr: float,
    batch_size: int = 16,
    callbacks: Sequence[Any] = (),
) -> History:
    """Train a Llama in place, one pass over the data."""
    return distill(
        student,
        data,
        teacher=teacher,
        method=method,
        epochs=1,
        batch_size=batch_size,
        lr=lr,
        schedule="cosine",
        clip=1.0,
        seed=seed,
        progress=False,
        shares_every=0,
        callbacks=list(callbacks),
    )
