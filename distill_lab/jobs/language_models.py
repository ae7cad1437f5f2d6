"""Loading and saving what a job works on: safetensors only, no code from a hub."""

import re
from pathlib import Path
from typing import Any

import torch

from distill_lab._util.checks import needs
from distill_lab._util.model_files import model_folder, tensors
from distill_lab._util.wrappers import base_state
from distill_lab.data.templates import Template
from distill_lab.jobs.kinds.language_model import LORA
from distill_lab.models.pretrained import check_tokenizer, load_language_model

# families in which peft gives no adapter to the last layer of a block, which computes around it
MAMBA = ("falcon_h1", "falcon_mamba", "mamba", "mamba2", "nemotron_h")
HALF = {"BF16": torch.bfloat16, "F16": torch.float16}  # as safetensors names them


def load(name: str, *, learns: bool) -> tuple[Any, Any]:
    """Load a model and its tokenizer from a folder or the hub.

    Args:
        name: A folder, or a name on the hub.
        learns: Whether it is a student, which learns in float32; a teacher keeps the type that its
            weights are kept in.

    Returns:
        Both.

    Raises:
        OSError: Where there is none, or only one that is pickled, in words.
        ValueError: For files that are incomplete, weights that are missing or have no place, and a
            tokenizer that does not fit.
    """
    model, tokenizer = load_language_model(name, dtype=torch.float32 if learns else "auto")
    check_tokenizer(tokenizer, model.get_input_embeddings().weight.shape[0], name)
    return model, tokenizer


def own_dtype(name: str, config: Any = None) -> torch.dtype:
    """What a model's weights are kept in: its student is saved so too, though it learns in float32.

    Args:
        name: A folder, or a name on the hub.
        config: Its config, where that is read already.

    Returns:
        A floating type; that of the weights where the config says nothing, else float32.
    """
    with needs("transformers"):
        from transformers import AutoConfig
    folder = model_folder(name)
    config = config or AutoConfig.from_pretrained(folder or name, trust_remote_code=False)
    kept = getattr(config, "dtype", None)
    if isinstance(kept, torch.dtype) and kept.is_floating_point:
        return kept
    names = {each["dtype"] for each in tensors(folder).values()} if folder else set()
    types = {HALF[each] for each in names if each in HALF}
    return types.pop() if len(types) == len(names) == 1 else torch.float32


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
    try:
        config = LlamaConfig(**options, tie_word_embeddings=True)
    except Exception as error:  # of a kind of its own: the sizes do not fit together
        words = " ".join(str(error).split())
        raise ValueError(f"student: {shape} is no shape of a Llama: {words}") from error
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
    refuse_tied(student, options)
    chosen = {each.name: each.default for each in LORA} | options
    alpha = chosen["alpha"]
    config = LoraConfig(  # numbers in one form: a run is known again by them
        r=chosen["r"],
        lora_alpha=int(alpha) if alpha == int(alpha) else alpha,
        lora_dropout=float(chosen["dropout"]),
        target_modules=chosen["target_modules"] or "all-linear",
        exclude_modules=["out_proj"] if _left_out(student, chosen) else None,
        task_type="CAUSAL_LM",
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        # a loaded model is in eval mode, and a training one around it would leave it there
        return get_peft_model(student, config).train()


def _left_out(student: Any, chosen: dict[str, Any]) -> bool:
    """Whether "all linear layers" are all but one, since peft refuses it."""
    return not chosen["target_modules"] and student.config.model_type in MAMBA


def check_recomputing(student: Any) -> None:
    """Refuse gradient checkpointing of a model that cannot compute its layers again.

    Args:
        student: The model, with weights or without.

    Raises:
        ValueError: Naming it, and what saves memory as well.
    """
    if not getattr(student, "supports_gradient_checkpointing", True):
        raise ValueError(
            f"gradient_checkpointing: a {type(student).__name__} cannot compute its layers again: "
            "leave it out; accumulate: 4 saves memory as well."
        )


def refuse_tied(student: Any, options: dict[str, Any]) -> None:
    """Refuse adapters on an output layer that is the embedding too: merged, they change both.

    Args:
        student: The model.
        options: Some of `kinds.language_model.LORA`.

    Raises:
        ValueError: Naming the layer.
    """
    ends = (student.get_output_embeddings(), student.get_input_embeddings())
    first, last = (getattr(end, "weight", None) for end in ends)
    shared = first is not None and first is last  # whatever the settings say
    if not shared and not getattr(student.config.get_text_config(), "tie_word_embeddings", False):
        return
    targets = options.get("target_modules") or ()
    tied = {name for name, module in student.named_modules() if any(module is end for end in ends)}
    for target in (targets,) if isinstance(targets, str) else targets:
        for name in tied:
            if name == target or name.endswith(f".{target}") or _fits(target, name, targets):
                raise ValueError(
                    f"lora: {target} is tied in this student (tie_word_embeddings): input and "
                    "output share one matrix, so an adapter of one would change both when it is "
                    "merged. Leave it out of target_modules."
                )


def _fits(target: str, name: str, targets: object) -> bool:
    """Whether a target that is no list, which peft reads as a pattern, fits a module's name."""
    return isinstance(targets, str) and re.fullmatch(target, name) is not None


def merged(student: Any) -> Any:
    """Make the student a plain model again, its adapters added to the weights."""
    return student.merge_and_unload() if hasattr(student, "merge_and_unload") else student


def kept_in(student: Any, dtype: torch.dtype) -> Any:
    """Hold a model's weights in another type, as a loaded one does: adapters stay as they learned.

    Args:
        student: the model, changed in place.
        dtype: of the weights, and of the buffers that are saved with them.

    Returns:
        The model.
    """
    names = (base_state(student) or student.state_dict()).keys()
    for name, tensor in (*student.named_parameters(), *student.named_buffers()):
        if name in names and tensor.is_floating_point():
            tensor.data = tensor.data.to(dtype)
    return student


def save(student: Any, tokenizer: Any, folder: Path) -> None:
    """Save the student as `from_pretrained` and `transformers serve` take it.

    Args:
        student: The model; of one with adapters these alone, as `PeftModel.from_pretrained` takes
            them.
        tokenizer: Its tokenizer.
        folder: Where both go.
    """
    tokenizer.save_pretrained(folder)
    if hasattr(student, "peft_config"):  # embeddings stand still, so the base model has them
        student.save_pretrained(folder, save_embedding_layers=False)
        (folder / "README.md").unlink(missing_ok=True)  # peft's form to fill in: the card is ours
        return
    settings, ends = student.generation_config, Template(tokenizer).ends(student)
    if len(ends) > 1:  # a server stops where a turn ends, not at the end of texts alone
        settings.eos_token_id = ends
    student.save_pretrained(folder, safe_serialization=True)
