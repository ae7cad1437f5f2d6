"""The student writes: answers to a batch of prompts, and which of their tokens are to be scored."""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from distill_lab._util.checks import non_negative_finite, positive_int, set_checked
from distill_lab._util.runtime import modes_kept
from distill_lab._util.tensors import IGNORE, Batch
from distill_lab.models.decoding import NEUTRAL, decoding_settings
from distill_lab.models.positions import name_small_table


@dataclass(frozen=True)
class Writing:
    """How a student writes answers, from its whole softmax.

    Args:
        temperature: what its logits are divided by; 0 takes the likeliest token.
        max_new_tokens: how long an answer may be.
        end: the token an answer ends with, or several; None: the model's own.
        pad: the token that fills the room after it; None: the model's own, else its end, else 0.

    Raises:
        ValueError: for a temperature below 0, or no room to write.
    """

    temperature: float
    max_new_tokens: int
    end: int | Sequence[int] | None = None
    pad: int | None = None

    def __post_init__(self) -> None:
        set_checked(self, non_negative_finite, "temperature")
        set_checked(self, positive_int, "max_new_tokens")

    def ends(self, student: Any) -> list[int]:
        """The tokens that an answer of a student ends with."""
        end = self._end(student)
        return [] if end is None else [end] if isinstance(end, int) else list(end)

    def _end(self, student: Any) -> Any:
        return student.generation_config.eos_token_id if self.end is None else self.end

    def __call__(self, batch: Batch, student: Any, *, answers: int = 1) -> Batch:
        """Answer each prompt of a batch, each several times, one behind the other.

        There is no gradient, and the student is in eval mode. What its generation_config does to
        the distribution, such as a penalty on repetition, is left out, and a warning says so.

        Args:
            batch: prompts padded on the left, or prompts with answers, which are left out.
            student: a Hugging Face causal language model, in any wrapper that generates.
            answers: how many to each prompt.

        Returns:
            B * answers texts, labels on what was written, up to its end.

        Raises:
            ValueError: for a student that cannot generate.
            IndexError: for prompts that leave no place for the answer, in words.
        """
        if not isinstance(student, nn.Module) or not hasattr(student, "generate"):
            raise ValueError(
                f"on-policy distillation lets the student write, and {type(student).__name__} has "
                "no generate(): use a Hugging Face causal language model."
            )
        sampling: dict[str, Any] = {"do_sample": self.temperature > 0}
        if self.temperature > 0:
            sampling |= {"temperature": float(self.temperature), "top_k": 0, "top_p": 1.0}
        writer: Any = student
        if answers > 1:
            batch = _repeated(batch, answers)
        ids, mask = _prompts(batch)
        own = decoding_settings(writer)
        if own:
            warnings.warn(
                f"the student's generation_config says {_listed(own)}; it is left out, since the "
                "student writes from its whole softmax, which is what it learns.",
                stacklevel=2,
            )
        stop = self._end(student)
        with modes_kept(student), torch.no_grad(), _in_words(student, ids, self.max_new_tokens):
            sequences = writer.eval().generate(
                input_ids=ids,
                attention_mask=mask,
                eos_token_id=stop,
                pad_token_id=_pad_token(writer.generation_config) if self.pad is None else self.pad,
                max_new_tokens=self.max_new_tokens,
                **{name: NEUTRAL[name] for name in own} | sampling,
            )
        return _labelled(batch, sequences, mask, stop)


def _listed(settings: dict[str, Any]) -> str:
    return ", ".join(f"{name} = {value}" for name, value in settings.items())


def answers_in(batch: Batch) -> list[list[int]]:
    """The tokens of each answer that was written, its end included."""
    assert batch.labels is not None
    return [[token for token in row if token != IGNORE] for row in batch.labels.tolist()]


def _repeated(batch: Batch, times: int) -> Batch:
    """Each example several times, one behind the other."""
    inputs = {name: x.repeat_interleave(times, 0) for name, x in batch.inputs.items()}
    labels, ids, weights = (
        None if x is None else x.repeat_interleave(times, 0)
        for x in (batch.labels, batch.ids, batch.weights)
    )
    return Batch(inputs, labels, ids, weights)  # type: ignore[arg-type]


@contextmanager
def _in_words(student: nn.Module, ids: Tensor, more: int) -> Iterator[None]:
    """Within, an embedding that is too small for the texts to come is named."""
    try:
        yield
    except (IndexError, RuntimeError) as error:
        name_small_table(student, {"input_ids": ids}, error, more=more)
        raise


def _pad_token(config: Any) -> int:
    """What a model pads with; nobody reads it, but it has to be a token that the model has."""
    if config.pad_token_id is not None:
        return int(config.pad_token_id)
    end = config.eos_token_id
    end = end[0] if isinstance(end, (list, tuple)) else end
    return 0 if end is None else int(end)


def _prompts(batch: Batch) -> tuple[Tensor, Tensor]:
    """The tokens before each answer, padded on the left, and their mask: (B, P), (B, P)."""
    ids, mask = batch.inputs["input_ids"], batch.inputs["attention_mask"]
    answered = None if batch.labels is None else (batch.labels != IGNORE) & (mask > 0)
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
