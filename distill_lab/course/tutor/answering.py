"""Asking a language model: greedy answers in batches, and how many of them are right."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from distill_lab.course.tutor.lessons import chat
from distill_lab.course.worlds import Task


def answers(
    model: Any, tokenizer: Any, tasks: Sequence[Task], *, batch_size: int = 100, most: int = 90
) -> list[str]:
    """The model's greedy answer to each task, at most `most` tokens long.

    Prompts go sorted by length, so that a batch holds little padding; the order given is the order
    returned. The model is in eval mode meanwhile.
    """
    order = sorted(range(len(tasks)), key=lambda i: len(tasks[i].prompt))
    replies = [""] * len(tasks)
    training = model.training
    model.eval()
    try:
        for start in range(0, len(order), batch_size):
            some = order[start : start + batch_size]
            texts = [chat(tasks[i]) for i in some]
            batch = tokenizer(texts, return_tensors="pt", padding=True, padding_side="left")
            with torch.inference_mode():
                ids = model.generate(
                    input_ids=batch["input_ids"].to(model.device),
                    attention_mask=batch["attention_mask"].to(model.device),
                    max_new_tokens=most,
                    do_sample=False,
                )
            new = ids[:, batch["input_ids"].shape[1] :]
            texts = tokenizer.batch_decode(new, skip_special_tokens=True)
            for i, text in zip(some, texts, strict=True):
                replies[i] = text
    finally:
        model.train(training)
    return replies


def share_right(model: Any, tokenizer: Any, tasks: Sequence[Task]) -> float:
    """Percent of the tasks whose greedy answer the world's verifier accepts."""
    replies = answers(model, tokenizer, tasks)
    right = sum(t.check.verdict(text).right for t, text in zip(tasks, replies, strict=True))
    return 100 * right / len(tasks)
