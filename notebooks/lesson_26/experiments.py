"""Lesson 26: published shapes on the meta device, the small teacher, how students are scored."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from distill_lab import methods
from distill_lab.course.stored import load
from distill_lab.data.datasets import Examples
from distill_lab.losses import hint_loss, tinybert_attention_loss
from distill_lab.seeds import SeedRuns
from distill_lab.training import distill
from lesson_26.encoder import CLASSES, TASK_OF, TASKS, Encoder, examples

FILE = "lesson_26_teacher.safetensors"
COMMAND = "python -m lesson_26.make teacher"
TOKENS = 128  # of the text whose arithmetic is counted, as in the papers

# millions of parameters and billions of operations, as the papers print them
PUBLISHED = {
    "BERT-base": (109.0, 22.5),
    "DistilBERT": (66.0, None),
    "TinyBERT-4": (14.5, 1.2),
    "TinyBERT-6": (67.0, None),
    "MobileBERT": (25.3, 5.7),
    "MiniLM-12": (33.0, None),
}


def shapes() -> dict[str, nn.Module]:
    """Build the published encoders on the meta device, where a tensor has a shape alone."""
    from transformers import (
        BertConfig,
        BertModel,
        DistilBertConfig,
        DistilBertModel,
        MobileBertConfig,
        MobileBertModel,
    )

    def bert(layers: int, width: int, inner: int) -> nn.Module:
        sizes = {"hidden_size": width, "intermediate_size": inner}
        return BertModel(BertConfig(num_hidden_layers=layers, **sizes))

    with torch.device("meta"):
        return {
            "BERT-base": bert(12, 768, 3072),
            "DistilBERT": DistilBertModel(DistilBertConfig()),
            "TinyBERT-4": bert(4, 312, 1200),
            "TinyBERT-6": bert(6, 768, 3072),
            "MobileBERT": MobileBertModel(MobileBertConfig()),
            "MiniLM-12": bert(12, 384, 1536),
        }


def count_operations(model: nn.Module, tokens: int = TOKENS) -> int:
    """Count additions and multiplications of all matrix products for one text of so many tokens."""
    ids = torch.zeros(1, tokens, dtype=torch.long, device=next(model.parameters()).device)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(input_ids=ids)
    return counter.get_total_flops()


def train_teacher() -> Encoder:
    """Train the teacher: four layers of width 32, on 6,000 texts of each task."""
    teacher = Encoder(4, 32, seed=5)
    distill(
        teacher,
        examples(6000, seed=1),
        epochs=TEACHER_EPOCHS,
        batch_size=64,
        lr=3e-3,
        schedule="cosine",
        warmup=100,
        clip=1.0,
        seed=0,
        progress=False,
    )
    return teacher.eval()


TEACHER_EPOCHS = 14


def load_teacher() -> Encoder:
    """Read the stored teacher of `make.py`."""
    teacher = Encoder(4, 32, seed=5)
    weights = load(FILE, remake=COMMAND)
    teacher.load_state_dict({name: tensor.float() for name, tensor in weights.items()})
    return teacher.eval()


def shuffled_layers(student: Encoder, seed: int) -> Encoder:
    """Copy a student with the numbers inside each tensor of its layers in another order."""
    control = copy.deepcopy(student)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in control.layers.parameters():
            order = torch.randperm(parameter.numel(), generator=generator)
            parameter.copy_(parameter.flatten()[order].view_as(parameter))
    return control


def matched(base: methods.Method | None, pairs: list[tuple[int, int]]) -> methods.Method:
    """Match hidden states and attention scores of pairs of layers, beside another method."""
    hidden = [(f"layers.{s}", f"layers.{t}") for s, t in pairs]
    scores = [(f"layers.{s}.scores", f"layers.{t}.scores") for s, t in pairs]
    method = methods.match_features("hidden", hint_loss, hidden, weight=1.0, base_method=base)
    return methods.match_features(
        "attention", tinybert_attention_loss, scores, weight=1.0, base_method=method
    )


def right(model: SeedRuns | nn.Module, data: Examples) -> Tensor:
    """Say for each text whether its class has the largest score: (N,), or (S, N) of many seeds."""
    with torch.no_grad():
        logits = model.logits(data.inputs) if isinstance(model, SeedRuns) else model(data.inputs)
    return (logits.argmax(-1) == data.labels).float()


def by_task(model: SeedRuns | nn.Module, data: Examples) -> Tensor:
    """Give the accuracy on each task in percent: (4,), or (S, 4) of many seeds."""
    hits, task = right(model, data), TASK_OF[data.labels]
    return torch.stack([100 * hits[..., task == t].mean(-1) for t in range(len(TASKS))], -1)


def by_class(model: SeedRuns | nn.Module, data: Examples) -> dict[str, float]:
    """Give the accuracy on each class in percent, the mean over seeds."""
    hits = right(model, data)
    return {
        f"{task}: {label}": 100 * hits[..., data.labels == number].mean().item()
        for number, (task, label) in enumerate(CLASSES)
    }


def layer_parameters(model: Any) -> int:
    """Count the parameters inside a small encoder's layers."""
    return sum(parameter.numel() for parameter in model.layers.parameters())
