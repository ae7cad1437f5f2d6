"""Language models from a folder or the hub: no code, no pickle, and every weight accounted for."""

import math
import os
import re
from collections.abc import Mapping
from typing import Any

import torch

from distill_lab._util.checks import needs
from distill_lab._util.model_files import check_hub, in_cache, model_folder

# Parts of a file that a text model has no place for, by right: buffers of older versions, the
# eyes and ears of a model that reads more than text, and heads for drafting several tokens.
LEFT_OVER = re.compile(
    r"rotary_emb\.inv_freq|\battn\.(?:masked_)?bias$|position_ids|\b(?:vision|visual|image|audio)"
    r"|multi_modal|\bmtp\b|mtp_"
)

POOLER = re.compile(r"(?:^|\.)pooler\.")  # of pretraining, which a checkpoint may lack
LAYER = re.compile(r"\.\d+\.")


def load_language_model(
    name: str | os.PathLike[str], tokenizer: Any = None, *, dtype: Any = "auto"
) -> tuple[Any, Any]:
    """Load a causal language model and its tokenizer.

    Args:
        name: A folder, or a name on the hub.
        tokenizer: Its tokenizer, where it is another than lies beside it.
        dtype: Of its weights; "auto" for the one that they are kept in.

    Returns:
        Both.

    Raises:
        OSError: Where there is none, or only one that is pickled, in words.
        ValueError: For incomplete files, for weights that are missing, of another shape
            or without a place, and for a tokenizer that the model cannot read or end with.
    """
    source = model_folder(name) or name
    if source is name and not in_cache(name):
        check_hub(name)
    with needs("transformers"):
        from transformers import AutoModelForCausalLM, AutoTokenizer
    try:
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            source,
            dtype=dtype,
            use_safetensors=True,
            trust_remote_code=False,
            ignore_mismatched_sizes=True,  # told below, by name
            output_loading_info=True,
        )
        model, report = loaded
        if tokenizer is None:
            tokenizer = AutoTokenizer.from_pretrained(source, trust_remote_code=False)
    except Exception as error:  # of any kind: a config, a tokenizer or weights that do not fit
        raise OSError(
            f"no causal language model could be loaded from {str(name)!r}: "
            f"{loading_error(error)} Expected a folder with config.json, model.safetensors and a "
            "tokenizer, or a name on the hub."
        ) from error
    check_weights(report, name)
    check_finite(model, name)
    ends = getattr(model.generation_config, "eos_token_id", None)
    rows = model.get_input_embeddings().weight.shape[0]
    check_tokenizer(tokenizer, rows, name, ends=ends is not None)
    return model, tokenizer


def loading_error(error: Exception) -> str:
    """Say in one sentence why transformers could not load something.

    Args:
        error: What it raised.

    Returns:
        Its own words; of code that a model brings along, what can be done, since none is run.
    """
    words = " ".join(str(error).split()).removesuffix(".")
    if "trust_remote_code" in words:
        return (
            "it wants code of its own to be run (auto_map in its config.json), and none is run "
            "here: take a model that transformers has itself."
        )
    return f"{words}."


def check_weights(report: Mapping[str, Any], name: str | os.PathLike[str]) -> None:
    """Refuse a model whose files and config do not name the same weights.

    Args:
        report: What transformers says of the loading.
        name: The model, for the words of an error.

    Raises:
        ValueError: For weights that would be random, or that would be left out.
    """
    if missing := sorted(report["missing_keys"]):
        raise ValueError(
            f"{name} lacks {len(missing)} weights that its config asks for (first: {missing[0]}): "
            "they would be random. It is no causal language model, or its files are not all there."
        )
    if mismatched := sorted(report["mismatched_keys"]):
        first, held, wanted = mismatched[0]
        raise ValueError(
            f"{name} holds {len(mismatched)} weights of another shape than its config asks for "
            f"(first: {first}, {[*held]} in place of {[*wanted]}): they would be random. Take the "
            "config that it was saved with."
        )
    left = sorted(key for key in report["unexpected_keys"] if not LEFT_OVER.search(key))
    if left:
        raise ValueError(
            f"{name} holds {len(left)} weights that its config has no place for (first: {left[0]}):"
            " it would be another model than was saved. Take the config that it was saved with."
        )


def check_body(
    model: Any, report: Mapping[str, Any], name: str | os.PathLike[str], *, has_head: bool
) -> None:
    """Refuse an encoder, or what else has a head, of whose files a part of the body would be lost.

    A head may be new where a task is learned, and so may the pooler in front of it.

    Args:
        model: The model as it was loaded.
        report: What transformers says of the loading.
        name: The model, for the words of an error.
        has_head: Whether it answers as it was saved, so that nothing of it may be new.

    Raises:
        ValueError: For weights that would be random, or that would be left out.
    """
    body = _body_of(model)
    lost = {
        **dict.fromkeys(report["missing_keys"], "which are not in its files"),
        **{key: "of another shape in its files" for key, *_ in report["mismatched_keys"]},
    }
    random = [
        key
        for key in sorted(lost)
        if (has_head and body) or (key.startswith(body) and not POOLER.search(key))
    ]
    if random:
        raise ValueError(
            f"{name} lacks {len(random)} weights that its config asks for (first: {random[0]}, "
            f"{lost[random[0]]}): they would be random. Get the files again, save the model that a "
            "wrapper holds, or let a teacher without its head learn the task: finetune."
        )
    more = [key for key in sorted(report["unexpected_keys"]) if LAYER.search(key)]
    held = {_of_any_layer(model, key) for key in model.state_dict()} if more else set()
    extra = [key for key in more if _of_any_layer(model, key) in held and not LEFT_OVER.search(key)]
    if extra:
        raise ValueError(
            f"{name} holds {len(extra)} weights of layers that its config does not have (first: "
            f"{extra[0]}): it would be another model than was saved. Take the config that it was "
            "saved with, or say by layers: [...] which of them a student starts from."
        )


def _of_any_layer(model: Any, key: str) -> str:
    """The name of a weight whatever its layer's number, with a head or without."""
    return LAYER.sub(".N.", key.removeprefix(f"{model.base_model_prefix}."))


def _body_of(model: Any) -> str:
    """How the names of the weights of a model's body begin; "" where it has no head."""
    if "For" not in type(model).__name__:
        return ""
    parts = dict(model.named_children())
    if model.base_model_prefix in parts:
        return f"{model.base_model_prefix}."
    largest: str = max(parts, key=lambda part: sum(p.numel() for p in parts[part].parameters()))
    return f"{largest}."


def check_finite(model: Any, name: str | os.PathLike[str]) -> None:
    """Refuse weights that are not finite: whatever such a model says is made of nothing.

    Args:
        model: The model.
        name: Of it, for the words of an error.

    Raises:
        ValueError: Naming the first of them.
    """
    for parameter, value in model.named_parameters():
        readable = value.is_floating_point() and value.element_size() > 1 and not value.is_meta
        if readable and not math.isfinite(value.detach().sum(dtype=torch.float32)):
            raise ValueError(
                f"{name}: the weights {parameter} hold NaN or inf: the file is broken, or was "
                "written after a run had diverged. Get it again, or take an earlier checkpoint."
            )


def check_tokenizer(
    tokenizer: Any, rows: int, name: str | os.PathLike[str], *, ends: bool = False
) -> None:
    """Refuse a tokenizer that a model cannot read or end with.

    Args:
        tokenizer: The model's.
        rows: Of its embedding.
        name: The model, for the words of an error.
        ends: Whether the model's own settings name a token that ends a text.

    Raises:
        ValueError: For more tokens than rows, and for no token that ends a text.
    """
    tokens = max(tokenizer.get_vocab().values(), default=-1) + 1
    if tokens > rows:
        raise ValueError(
            f"the tokenizer of {name} has {tokens} tokens and the model's embedding {rows} rows: "
            f"call model.resize_token_embeddings({tokens}) and save it."
        )
    if tokenizer.eos_token_id is None and not ends:
        raise ValueError(
            f"the tokenizer of {name} has no token that ends a text (eos_token): no answer could "
            "end. Set tokenizer.eos_token and save it."
        )
