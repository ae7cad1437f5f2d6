"""Loading and saving what a job works on: safetensors only, no code from a hub."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from distill_lab._util.checks import needs
from distill_lab.data.batches import Batch
from distill_lab.jobs.kinds.language_model import LORA
from distill_lab.models.networks import logits_of
from distill_lab.teachers import Live, freeze


class SharedVocabulary(Live):
    """A teacher whose logits are cut to the classes that the student has as well.

    Models of one family pad their vocabularies to different widths; beyond the tokenizer's own
    tokens there is nothing to compare.

    Args:
        model: The teacher's network, frozen.
        width: How many classes the student has.
    """

    def __init__(self, model: nn.Module, width: int) -> None:
        super().__init__(model)
        self.width = width

    def __call__(self, batch: Batch) -> Tensor:
        """Answer a batch with logits."""
        with torch.no_grad():
            logits: Tensor = logits_of(self.model, batch.inputs)
        return logits[..., : self.width]


def load(name: str) -> tuple[Any, Any]:
    """Load a model and its tokenizer from a folder or the hub, in float32.

    Raises:
        OSError: Where there is none, or only one that is pickled, in words.
    """
    with needs("transformers"):
        from transformers import AutoModelForCausalLM, AutoTokenizer
    try:
        model = AutoModelForCausalLM.from_pretrained(
            name, dtype=torch.float32, use_safetensors=True, trust_remote_code=False
        )
        tokenizer = AutoTokenizer.from_pretrained(name, trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise OSError(
            f"no causal language model could be loaded from {name!r}: {error}. Expected a folder "
            "with config.json, model.safetensors and a tokenizer, or a name on the hub."
        ) from error
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return model, tokenizer


def new_student(shape: dict[str, int], tokenizer: Any, seed: int) -> Any:
    """Make a Llama with fresh weights and the teacher's tokens.

    Args:
        shape: The sizes that `kinds.language_model.SHAPE` names.
        tokenizer: The teacher's.
        seed: Of the weights.

    Returns:
        The model, in float32.
    """
    with needs("transformers"):
        from transformers import LlamaConfig, LlamaForCausalLM
    options: dict[str, Any] = {"num_key_value_heads": shape["num_attention_heads"]} | shape
    options |= {
        "vocab_size": len(tokenizer),
        "pad_token_id": tokenizer.pad_token_id,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
    }
    config = LlamaConfig(**options, tie_word_embeddings=True)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return LlamaForCausalLM(config)


def with_lora(student: Any, options: dict[str, Any], seed: int) -> Any:
    """Give the student low-rank adapters that alone learn.

    Args:
        student: The model.
        options: Some of `kinds.language_model.LORA`.
        seed: Of the adapters' first weights.

    Returns:
        The model with its adapters, which alone want gradients.

    Source: Hu et al. 2021, arXiv:2106.09685, section 4.1.
    """
    with needs("peft"):
        from peft import LoraConfig, get_peft_model
    chosen = {each.name: each.default for each in LORA} | options
    config = LoraConfig(
        r=chosen["r"],
        lora_alpha=chosen["alpha"],
        lora_dropout=chosen["dropout"],
        target_modules=chosen["target_modules"] or "all-linear",
        task_type="CAUSAL_LM",
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return get_peft_model(student, config)


def merged(student: Any) -> Any:
    """Make the student a plain model again, its adapters added to the weights."""
    return student.merge_and_unload() if hasattr(student, "merge_and_unload") else student


def frozen_beside(
    teacher: Any, teacher_tokenizer: Any, student: Any, tokenizer: Any, *, token_wise: bool
) -> Live:
    """Freeze a teacher, its logits cut to the student's width where they are compared.

    Args:
        teacher: The teacher's model.
        teacher_tokenizer: And its tokenizer.
        student: The student's model.
        tokenizer: And its tokenizer.
        token_wise: Whether distributions are compared token by token.

    Returns:
        The teacher.

    Raises:
        ValueError: For tokens that mean different things, or a student that scores more of them.
    """
    if token_wise and teacher_tokenizer.get_vocab() != tokenizer.get_vocab():
        raise ValueError(
            "teacher and student cut text into different tokens, so their distributions cannot be "
            "compared token by token: use method seq-kd, or a student with the teacher's tokenizer."
        )
    wide, narrow = (model.get_input_embeddings().weight.shape[0] for model in (teacher, student))
    if not token_wise or wide == narrow:
        return freeze(teacher)
    if wide < narrow:
        raise ValueError(
            f"the student scores {narrow} tokens and the teacher only {wide}: shrink the student's "
            "output with resize_token_embeddings(len(tokenizer)) and save it again."
        )
    return SharedVocabulary(freeze(teacher).model, narrow)


def save(student: Any, tokenizer: Any, folder: Path) -> None:
    """Save the student as `from_pretrained` and `transformers serve` take it.

    Args:
        student: The model, a plain one.
        tokenizer: Its tokenizer.
        folder: Where both go.
    """
    student.save_pretrained(folder, safe_serialization=True)
    tokenizer.save_pretrained(folder)
