"""Base, teacher and students of lesson 44: the network, how it learns, and what is stored."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from distill_lab import methods
from distill_lab._util.runtime import own_randomness
from distill_lab.course.stored import load
from distill_lab.course.tutor.vocabulary import hugging_face
from distill_lab.training import distill
from lesson_44 import problems as p
from lesson_44.answers import judge
from lesson_44.chains import Chains, base_texts, write_chains

__all__ = [
    "count_parameters",
    "fine_tune",
    "forms",
    "learn_form",
    "load_bases",
    "load_teacher",
    "network",
    "right_by_length",
    "run_forms",
    "train_base",
    "train_teacher",
]

WIDTH = 48  # of base and students
TEACHER_WIDTH = 64
NARROW = 24
LR = 1e-2  # of Muon: AdamW learns no additions in so few updates


def network(seed: int, *, width: int = WIDTH, layers: int = 1) -> Any:
    """Make a small Llama with first weights from the seed.

    Args:
        seed: of the weights.
        width: of the hidden states.
        layers: number of blocks.

    Returns:
        A `LlamaForCausalLM` in float32.
    """
    hf = hugging_face()
    config = hf.LlamaConfig(
        vocab_size=len(p.WORDS),
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=4,
        intermediate_size=4 * width,
        max_position_embeddings=64,
        bos_token_id=p.END,
        eos_token_id=p.END,
        pad_token_id=None,  # with one, the model looks into its input, which torch.vmap cannot
        tie_word_embeddings=False,
        attn_implementation="eager",
    )
    with own_randomness(seed):
        return hf.LlamaForCausalLM(config).to(torch.float32)


def count_parameters(model: Any) -> int:
    """Count each weight once."""
    return sum(w.numel() for w in model.parameters())


def fine_tune(
    starts: Sequence[Any],
    data: Sequence[Chains] | Chains,
    *,
    updates: int,
    seeds: Sequence[int],
    batch_size: int = 64,
    lr: float = LR,
    room: int = p.ROOM["short"],
) -> list[Any]:
    """Fine-tune one copy a seed on chains: cross-entropy on the answer, with Muon.

    Args:
        starts: S models of one shape; they stay as they were.
        data: the chains of all seeds, or those of each; then of one length.
        updates: how many.
        seeds: S seeds; each student reads in the order of its own.
        batch_size: chains an update.
        lr: the first rate; it falls to zero by a cosine.
        room: tokens that an answer has room for.

    Returns:
        S trained models.
    """
    students = []
    for i, (seed, start) in enumerate(zip(seeds, starts, strict=True)):
        student = copy.deepcopy(start)
        distill(
            student,
            (data if isinstance(data, Chains) else data[i]).encoded(room),
            method=methods.tokens(alpha=0.0),
            steps=updates,
            batch_size=batch_size,
            lr=lr,
            optimizer="muon",
            schedule="cosine",
            clip=1.0,
            seed=seed,
            progress=False,
            shares_every=0,
        )
        students.append(student.eval())
    return students


# --- what is stored: `make.py` writes it --------------------------------------------------------

FILE = "lesson_44_models.safetensors"
FORMS_FILE = "lesson_44_forms.json"
REMAKE = "python -m lesson_44.make"
BASES = 10
NOISE = 0.25  # share of the base's steps that are wrong by chance
READ = 6000  # texts that base and teacher learn from
BASE_UPDATES, TEACHER_UPDATES = 800, 300


def train_base(seed: int, *, updates: int = BASE_UPDATES) -> Any:
    """Train a base on texts of mixed quality, from nothing."""
    texts = base_texts(p.draw(READ, seed=1000 + seed), noise=NOISE, seed=seed)
    return fine_tune([network(seed)], texts, updates=updates, seeds=[seed])[0]


def train_teacher(*, updates: int = TEACHER_UPDATES) -> Any:
    """Train the teacher on chains with steps, of which a few are wrong."""
    texts = write_chains(p.draw(READ, seed=2000), noise=0.05)
    start = network(2000, width=TEACHER_WIDTH)
    return fine_tune([start], texts, updates=updates, seeds=[0])[0]


def load_bases(n: int) -> list[Any]:
    """Read the first n stored bases, in eval mode."""
    if not 1 <= n <= BASES:
        raise ValueError(f"expected 1 to {BASES} bases, got {n}.")
    stored = load(FILE, remake=REMAKE)
    return [_filled(network(i), stored, "base.", i) for i in range(n)]


def load_teacher() -> Any:
    """Read the stored teacher, in eval mode."""
    return _filled(network(0, width=TEACHER_WIDTH), load(FILE, remake=REMAKE), "teacher.", 0)


def _filled(model: Any, stored: Mapping[str, Tensor], prefix: str, row: int) -> Any:
    weights = {
        name.removeprefix(prefix): tensor[row].float()
        for name, tensor in stored.items()
        if name.startswith(prefix)
    }
    model.load_state_dict(weights)
    return model.eval()


LENGTHS = range(2, p.PLACES + 1)  # digits of a problem
FORM_TOKENS = 320  # thousands: what a student of one form reads, prompts included
FORM_STUDENTS = (
    ("direct", WIDTH),
    ("dots", WIDTH),
    ("short", WIDTH),
    ("long", WIDTH),
    ("short", NARROW),
    ("long", NARROW),
)


def learn_form(form: str, width: int, seed: int, *, updates: int) -> Any:
    """Train a student from nothing on right chains of one form."""
    chains = min(4000, 64 * updates)  # no more are read
    texts = write_chains(p.draw(chains, seed=3000 + seed), form)
    [student] = fine_tune(
        [network(seed, width=width)], texts, updates=updates, seeds=[seed], room=p.ROOM[form]
    )
    return student


def right_by_length(student: Any, form: str, *, n: int) -> list[float]:
    """Percent right of one sampled answer, for problems of 2 to 6 digits."""
    right = []
    for digits in LENGTHS:
        problems = min(n, 15 if digits == 2 else 100)  # few test problems are that short
        test = p.draw(problems, test=True, lengths=[digits])
        right.append(judge(student, test, answers=n // problems, room=p.ROOM[form]).one)
    return right


def run_forms(
    show: Callable[[str], None], *, seeds: int = 5, tokens: int = FORM_TOKENS, n: int = 60
) -> dict[str, Any]:
    """Train students of all `FORM_STUDENTS`; all read equally many tokens, prompts included.

    Args:
        show: is given what is trained now.
        seeds: students of each kind.
        tokens: that each student reads, in thousands.
        n: test problems of each length.

    Returns:
        "right", by form and width: percent, (seeds, lengths); and "updates" by form.
    """
    updates = {form: round(1000 * tokens / (64 * _mean_tokens(form))) for form in p.FORMS}
    right: dict[str, list[list[float]]] = {}
    for form, width in FORM_STUDENTS:
        show(f"{form}, width {width}")
        students = [learn_form(form, width, s, updates=updates[form]) for s in range(seeds)]
        right[f"{form}, {width}"] = [right_by_length(m, form, n=n) for m in students]
    return {"right": right, "updates": updates, "thousand_tokens": tokens, "problems": n}


def forms(profile: str) -> dict[str, Any]:
    """Read the stored results of `run_forms`; in the profile "full", train now."""
    if profile != "full":
        return load(FORMS_FILE, remake=REMAKE)
    return run_forms(lambda line: None, seeds=10, n=200)


def _mean_tokens(form: str) -> float:
    return write_chains(p.draw(500), form).tokens
