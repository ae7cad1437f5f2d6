"""On-policy distillation: the student writes, the teacher scores what it wrote."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from distill_lab._util.checks import fraction, non_negative_finite, positive_int
from distill_lab._util.runtime import modes_kept
from distill_lab._util.tensors import IGNORE, Batch
from distill_lab.methods.method import Method
from distill_lab.methods.tokens import tokens


def on_policy(
    kind: str = "reverse_kl",
    *,
    T: float = 1.0,
    beta: float = 0.5,
    temperature: float = 1.0,
    max_new_tokens: int = 64,
    student_share: float = 1.0,
    end: int | Sequence[int] | None = None,
    pad: int | None = None,
) -> Method:
    """Let the student answer, and match the teacher on the student's own tokens.

    There is no gradient through the sampling, and the student is in eval mode while it writes.

    Formula: T^2 D(p_i, q_i), mean over the tokens i that the student sampled, its end included.

    Args:
        kind: D, as in `tokens`.
        T: the temperature of both softmaxes.
        beta: the teacher's share in "jsd".
        temperature: that of the sampling; 0 takes the likeliest token.
        max_new_tokens: how long an answer may be.
        student_share: lambda of GKD: the share of batches on the student's own text; the others
            are scored on the answers of the data. Which it is follows from the run's randomness,
            batch by batch (piece by piece, where a batch is cut).
        end: the token an answer ends with, or several; None: the model's own.
        pad: the token that fills the room after it; None: the model's own, else its end, else 0.

    Returns:
        A method. Its batches hold prompts padded on the left, as `Texts(..., prompts_only=True)`
        gives them, or prompts with answers: then the answers are put aside where the student
        writes.

    Raises:
        ValueError: as `tokens`, for a temperature below 0, no room to write, or a share outside
            [0, 1]; when it runs, for a student that cannot generate, and for data without answers
            where some are needed.

    Source: Agarwal et al. 2023 (GKD), algorithm 1.

    >>> on_policy(max_new_tokens=16).needs_teacher
    True
    """
    non_negative_finite("temperature", temperature)
    positive_int("max_new_tokens", max_new_tokens)
    fraction("student_share", student_share)
    sampling: dict[str, Any] = {"do_sample": temperature > 0, "max_new_tokens": max_new_tokens}
    if temperature > 0:
        sampling |= {"temperature": float(temperature), "top_k": 0, "top_p": 1.0}

    def prepare(batch: Batch, student: Any) -> Batch:
        # algorithm 1 draws u ~ U(0, 1) for each batch; at the ends there is nothing to draw
        u = torch.rand(()).item() if 0 < student_share < 1 else 0.5
        if u >= student_share:
            return _with_answers(batch)
        if not isinstance(student, nn.Module) or not hasattr(student, "generate"):
            raise ValueError(
                f"on-policy distillation lets the student write, and {type(student).__name__} has "
                "no generate(): use a Hugging Face causal language model."
            )
        writer: Any = student
        ids, mask = _prompts(batch)
        config = writer.generation_config
        stop = config.eos_token_id if end is None else end
        with modes_kept(student), torch.no_grad():
            sequences = writer.eval().generate(
                input_ids=ids,
                attention_mask=mask,
                eos_token_id=stop,
                pad_token_id=_pad_token(config) if pad is None else pad,
                **sampling,
            )
        return _labelled(batch, sequences, mask, stop)

    base = tokens(kind, T=T, beta=beta)
    settings = (
        f"temperature={temperature}, max_new_tokens={max_new_tokens}, "
        f"student_share={student_share}, end={end}, pad={pad}"
    )
    return replace(base, name=f"on_policy({base.name}, {settings})", prepare=prepare)


def _pad_token(config: Any) -> int:
    """What a model pads with; nobody reads it, but it has to be a token that the model has."""
    if config.pad_token_id is not None:
        return int(config.pad_token_id)
    end = config.eos_token_id
    end = end[0] if isinstance(end, (list, tuple)) else end
    return 0 if end is None else int(end)


def _with_answers(batch: Batch) -> Batch:
    if batch.labels is None or bool((batch.labels == IGNORE).all()):
        raise ValueError(
            "with student_share < 1 some batches are scored on the answers of the data, and these "
            "have none: give texts with answers (Texts without prompts_only), or leave "
            "student_share at 1."
        )
    return batch


def _prompts(batch: Batch) -> tuple[Tensor, Tensor]:
    """The tokens before each answer, padded on the left, and their mask: (B, P), (B, P)."""
    ids, mask = batch.inputs["input_ids"], batch.inputs["attention_mask"]
    answered = None if batch.labels is None else batch.labels != IGNORE
    if answered is None or not answered.any():
        return ids, mask  # prompts are all there is
    prompt = (mask > 0) & (answered.cumsum(1) == 0)
    width = int(prompt.sum(1).max())
    order = prompt.int().argsort(dim=1, stable=True)[:, -width:]  # the prompt goes last
    return ids.gather(1, order), prompt.to(mask.dtype).gather(1, order)


def _labelled(
    batch: Batch, sequences: Tensor, mask: Tensor, stop: int | Sequence[int] | None
) -> Batch:
    """The student's answers as a batch: labels on what it wrote, up to its end."""
    answer = sequences[:, mask.shape[1] :]
    ends = torch.tensor([] if stop is None else stop, device=sequences.device).reshape(-1)
    is_end = torch.isin(answer, ends)
    real = (is_end.cumsum(1) - is_end.int()) == 0  # up to the first end, and it
    attended = torch.cat([mask, real.to(mask.dtype)], 1)
    labels = torch.cat([torch.full_like(mask, IGNORE), torch.where(real, answer, IGNORE)], 1)
    positions = (attended.cumsum(1) - 1).clamp_min(0)  # padding on the left moves no token
    inputs = {"input_ids": sequences, "attention_mask": attended, "position_ids": positions}
    return Batch(inputs, labels, batch.ids, batch.weights)
