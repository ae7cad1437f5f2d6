"""What the tutor is trained on: its answers, and less so the prompts before them."""

from __future__ import annotations

import torch
from torch import Tensor

from distill_lab.data.batches import Batch
from distill_lab.losses import IGNORE, cross_entropy
from distill_lab.methods.method import Method, Student, TeacherFn, Terms
from distill_lab.methods.tokens import next_tokens, tokens, tokens_in
from distill_lab.models.networks import logits_of


def answers_and_prompts(weight: float) -> Method:
    """Cross-entropy of the answers' tokens, and `weight` times that of the prompts'.

    Formula: CE(answers) + weight CE(prompts), each a mean over its tokens; for `Packed` batches.
    With weight 0 it is plain fine-tuning, `tokens(alpha=0.0)`. A
    prompt names the same person twice or thrice, so guessing its next word teaches early what most
    answers need: to find what was said and copy it. Shi et al. 2024 (2405.14394) on the loss over
    instructions, which they find useful where answers are short beside them.
    """
    if weight == 0:
        return tokens(alpha=0.0)

    def terms(batch: Batch, student: Student, teacher: TeacherFn) -> Terms:
        assert batch.labels is not None
        targets, answers = next_tokens(batch.labels)
        ahead, prompts = prompt_tokens(batch)
        logits = logits_of(student, batch.inputs)
        return {
            "ce": cross_entropy(logits[answers], targets[answers]),
            "prompts": cross_entropy(logits[prompts], ahead[prompts]),
        }

    name = f"answers_and_prompts({weight})"
    return Method(name, terms, {"ce": 1.0, "prompts": weight}, False, count=tokens_in)


def prompt_tokens(batch: Batch) -> tuple[Tensor, Tensor]:
    """For each position of a packed batch the next token, and whether it is one of a prompt.

    The first token of an example follows from nothing, and padding says nothing: position 0 both.
    """
    assert batch.labels is not None
    ids, positions = batch.inputs["input_ids"], batch.inputs["position_ids"]
    ahead, counts = torch.full_like(ids, IGNORE), torch.zeros_like(ids, dtype=torch.bool)
    ahead[:, :-1] = ids[:, 1:]
    counts[:, :-1] = (batch.labels[:, 1:] == IGNORE) & (positions[:, 1:] > 0)
    return ahead, counts
