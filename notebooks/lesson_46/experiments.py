"""Lesson 46's models: the base, one that thinks aloud, their students, teachers and texts."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from distill_lab._util.runtime import own_randomness
from distill_lab.course.stored import load
from distill_lab.course.tutor.vocabulary import hugging_face
from distill_lab.data.batches import Batch
from distill_lab.data.tokenized import Texts
from distill_lab.methods import Method, tokens
from distill_lab.methods.writing import Writing, answers_in
from distill_lab.teachers import SecondView, freeze, record
from distill_lab.training import distill
from lesson_46 import world

__all__ = [
    "FILE",
    "REMAKE",
    "asked_once",
    "base",
    "learn",
    "network",
    "other_rows",
    "student_of",
    "texts_of",
    "train_base",
    "train_thinker",
    "view",
    "write",
]

FILE, REMAKE = "lesson_46_base.safetensors", "python -m lesson_46.make"
WIDTH, LAYERS = 64, 2
LONGEST = 2048  # tokens a text may have, for the costs of long prompts
AT_ONCE = 256  # texts that are written together


def network(seed: int) -> Any:
    """Make a Llama of the world's tokens, about 90,000 parameters, with first weights."""
    hf = hugging_face()
    config = hf.LlamaConfig(
        vocab_size=len(world.WORDS),
        hidden_size=WIDTH,
        num_hidden_layers=LAYERS,
        num_attention_heads=4,
        intermediate_size=2 * WIDTH,
        max_position_embeddings=LONGEST,
        tie_word_embeddings=False,
        pad_token_id=0,
        bos_token_id=None,
        eos_token_id=1,
    )
    with own_randomness(seed):
        return hf.LlamaForCausalLM(config).to(torch.float32)


def train_base(seed: int = 0, *, steps: int = 2000, n_rows: int = 30_000) -> Any:
    """Teach a network every task, with and without a system prompt."""
    model = network(seed)
    distill(
        model,
        texts_of(world.lesson_rows(n_rows, seed)),
        method=tokens(alpha=0.0),
        steps=steps,
        batch_size=64,
        lr=1e-2,
        optimizer="muon",
        schedule="cosine",
        warmup=20,
        clip=1.0,
        seed=seed,
        progress=False,
        shares_every=0,
    )
    return freeze(model).model


def train_thinker(start: Any, seed: int = 0, *, steps: int = 300) -> Any:
    """Teach a model to begin answers with `hm hm hm`, unless the message ends with /no_think."""
    rng = world.random.Random(f"thinker {seed}")
    rows = [world.lesson_row(rng) for _ in range(32 * steps)]
    for row in rows:
        row["prompt"] = prompt = world.as_messages(row["prompt"])
        if rng.random() < 0.5:
            prompt[-1]["content"] = world.quiet(prompt[-1]["content"])
        else:
            prompt[-1]["content"] = prompt[-1]["content"].removesuffix(f" {world.QUIET}")
            row["answer"] = f"{world.THOUGHT} {row['answer']}"
    method = tokens(alpha=0.0)
    return freeze(learn(start, rows, None, method, steps=steps, seed=seed, lr=1e-3)).model


def base(name: str = "base") -> Any:
    """Load a stored model, frozen: the "base", or the "thinker"; `student_of` copies it."""
    model = network(0)
    stored = load(FILE, remake=REMAKE)
    own = {key.removeprefix(f"{name}."): value.float() for key, value in stored.items()}
    model.load_state_dict({key: own[key] for key in model.state_dict()})
    return freeze(model).model


def student_of(model: Any) -> Any:
    """Copy a model, with gradients."""
    return copy.deepcopy(model).requires_grad_(True)


def texts_of(rows: Sequence[Mapping[str, Any]]) -> Texts:
    """Tokenise rows with the world's tokenizer."""
    return Texts(rows, world.tokenizer())


def learn(
    start: Any,
    rows: Sequence[Mapping[str, Any]],
    teacher: SecondView | None,
    method: Method,
    *,
    steps: int,
    seed: int,
    lr: float = 3e-3,
    batch_size: int = 32,
    callbacks: Sequence[Callable[..., Any]] = (),
) -> Any:
    """Train a copy of a model on rows, and return it in eval mode."""
    student, texts = student_of(start), texts_of(rows)
    distill(
        student,
        texts,
        teacher=teacher if teacher is None or method.prepare else asked_once(teacher, texts),
        method=method,
        steps=steps,
        batch_size=batch_size,
        lr=lr,
        schedule="cosine",
        clip=1.0,
        seed=seed,
        progress=False,
        shares_every=0,
        callbacks=list(callbacks),
    )
    return student.eval()


def asked_once(teacher: SecondView, texts: Texts) -> Callable[[Batch], Tensor]:
    """Ask a teacher about every text before the training: these texts do not change."""
    recorded = record(teacher, texts)  # as wide as the longest text, and batches are narrower
    return lambda batch: recorded(batch)[:, : batch.inputs["input_ids"].shape[1]]


def other_rows(model: Any, seed: int, n: int) -> list[dict[str, Any]]:
    """Draw questions of other kinds, which a model answers itself; "same": both views are one."""
    rng = world.random.Random(f"other {seed}")
    prompts: list[Any] = []
    for digits in world.numbers(n, f"other {seed}"):
        task = rng.choice(("copy", "turn", "sum", "code"))
        question = world.question(task, digits)
        own_rules = world.with_system(world.random_rules(rng), question)
        prompts.append(own_rules if task == "code" else question)
    answers = write(model, prompts, seed) if n else []
    pairs = zip(prompts, answers, strict=True)
    return [{"prompt": prompt, "answer": answer, "same": True} for prompt, answer in pairs]


def view(
    model: Any, rows: Sequence[Mapping[str, Any]], prompt: Callable[[Mapping[str, Any]], Any]
) -> SecondView:
    """Make a teacher of a frozen copy of a model that reads another prompt."""
    return SecondView(freeze(copy.deepcopy(model)), rows, world.tokenizer(), prompt)


def write(
    model: Any,
    prompts: Sequence[Any],
    seed: int,
    *,
    room: int = 14,
    temperature: float = 1.0,
    answers: int = 1,
) -> list[str]:
    """Let a model answer prompts; each several times, one behind the other."""
    tokenizer = world.tokenizer()
    texts = Texts([{"prompt": each} for each in prompts], tokenizer, prompts_only=True)
    writing = Writing(temperature, room)
    parts: list[str] = []
    with own_randomness(seed):
        for index in torch.arange(len(prompts)).split(max(1, AT_ONCE // answers)):
            batch = writing(texts.batch(index), model, answers=answers)
            parts += [tokenizer.decode(t, skip_special_tokens=True) for t in answers_in(batch)]
    return parts
