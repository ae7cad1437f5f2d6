"""On-policy distillation: the student writes, the teacher scores what it wrote."""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from distill_lab._util.runtime import modes_kept
from distill_lab._util.tensors import IGNORE
from distill_lab.data.batches import Batch
from distill_lab.methods.method import Method
from distill_lab.methods.tokens import tokens


def on_policy(
    kind: str = "reverse_kl",
    *,
    T: float = 1.0,
    beta: float = 0.5,
    temperature: float = 1.0,
    max_new_tokens: int = 64,
    end: int | None = None,
) -> Method:
    """Let the student answer, and match the teacher on the student's own tokens.

    Formula: T^2 D(p_i, q_i), mean over the tokens i that the student sampled, its end included;
    no gradient through the sampling. The student is in eval mode while it writes. ``kind`` and
    ``beta`` as in ``tokens``; ``temperature`` is that of the sampling, 0 takes the likeliest
    token; ``end`` is the token an answer ends with (None: the model's own).
    Batches hold prompts padded on the left, as ``Texts(..., prompts_only=True)`` gives them.
    Raises ValueError as ``tokens``, for a temperature below 0 or no room to write; when it runs,
    for a student that cannot generate. Agarwal et al. 2023 (GKD), algorithm 1 with lambda = 1.

    >>> on_policy(max_new_tokens=16).needs_teacher
    True
    """
    if not isinstance(temperature, (int, float)) or not 0 <= temperature < float("inf"):
        raise ValueError(f"temperature must be a number of at least 0, got {temperature!r}.")
    if not isinstance(max_new_tokens, int) or max_new_tokens < 1:
        raise ValueError(f"max_new_tokens must be a positive integer, got {max_new_tokens!r}.")
    how: dict[str, Any] = {"do_sample": temperature > 0, "max_new_tokens": max_new_tokens}
    if temperature > 0:
        how |= {"temperature": float(temperature), "top_k": 0, "top_p": 1.0}

    def write(batch: Batch, student: Any) -> Batch:
        if not isinstance(student, nn.Module) or not hasattr(student, "generate"):
            raise ValueError(
                f"on-policy distillation lets the student write, and {type(student).__name__} has "
                "no generate(): use a Hugging Face causal language model."
            )
        writer: Any = student
        prompt, mask = batch.inputs["input_ids"], batch.inputs["attention_mask"]
        stop = writer.generation_config.eos_token_id if end is None else end
        with modes_kept(student), torch.no_grad():
            wrote = writer.eval().generate(
                input_ids=prompt, attention_mask=mask, eos_token_id=stop, pad_token_id=0, **how
            )
        return _scored(batch, wrote, mask, stop)

    inner = tokens(kind, T=T, beta=beta)
    writing = f"temperature={temperature}, max_new_tokens={max_new_tokens}, end={end}"
    return replace(inner, name=f"on_policy({inner.name}, {writing})", prepare=write)


def _scored(batch: Batch, wrote: Tensor, mask: Tensor, stop: int | list[int] | None) -> Batch:
    """The student's answers as a batch: labels on what it wrote, up to its end."""
    answer = wrote[:, mask.shape[1] :]
    ends = torch.tensor([] if stop is None else stop, device=wrote.device).reshape(-1)
    is_end = torch.isin(answer, ends)
    real = (is_end.cumsum(1) - is_end.int()) == 0  # up to the first end, and it
    whole = torch.cat([mask, real.to(mask.dtype)], 1)
    labels = torch.cat([torch.full_like(mask, IGNORE), torch.where(real, answer, IGNORE)], 1)
    places = (whole.cumsum(1) - 1).clamp_min(0)  # padding on the left moves no token
    inputs = {"input_ids": wrote, "attention_mask": whole, "position_ids": places}
    return Batch(inputs, labels, batch.ids)
