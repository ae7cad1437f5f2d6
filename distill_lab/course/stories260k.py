"""stories260K: a real trained language model of one megabyte, as a Hugging Face Llama.

model, tokenizer = stories260k.load()            # from $DISTILL_LAB_MODELS/stories260K
stories260k.save("converted")                    # safetensors, for from_pretrained("converted")

It was trained on TinyStories by A. Karpathy (MIT licence) and comes in the format of llama2.c: two
files of plain numbers. Nothing here downloads them.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from distill_lab.course.sentencepiece import tokenizer_of
from distill_lab.course.tutor.vocabulary import hugging_face
from distill_lab.data.datasets.files import PinnedFile

__all__ = ["FILES", "HOME", "find", "load", "read_pieces", "read_weights", "save"]

NAME = "stories260K"
HOME = "https://huggingface.co/karpathy/tinyllamas/tree/main/stories260K"
FILES = (
    PinnedFile(
        "stories260K.bin",
        1056540,
        "b0a507e7ad0f626624f17112325e66691f9076d622e1d3274d103d00299f2696",
    ),
    PinnedFile(
        "tok512.bin", 6227, "037cb335abb25d1fa9e8ecae30ed2a3a8ace9302862ebcdc05d51a6bbb10c312"
    ),
)

START = 1  # begins every story; the next story's start is how a story ends
HEADER = struct.Struct("<7i")  # width, inner width, layers, heads, key heads, vocabulary, length


def find(folder: Path | str | None = None) -> Path | None:
    """Find the folder with both files: the one given, or stories260K in $DISTILL_LAB_MODELS."""
    own = os.environ.get("DISTILL_LAB_MODELS")
    given = folder if folder is not None else own
    if not given:
        return None
    tried = (Path(given).expanduser(), Path(given).expanduser() / NAME)
    return next((p for p in tried if all((p / f.name).is_file() for f in FILES)), None)


def load(folder: Path | str | None = None) -> tuple[Any, Any]:
    """Load the model and its tokenizer, in eval mode and float32.

    260,032 parameters: 5 blocks of width 64, 8 heads that share 4 keys, 512 tokens. A story begins
    with token 1 and ends where the next would begin, so token 1 is start and end in one.

    Raises:
        FileNotFoundError: where the files are missing, in words that say how to mend it.
        ValueError: where they are not the published ones.
        ImportError: without transformers.
    """
    weights, pieces = _contents(folder)
    config, tensors = read_weights(weights)
    hf = hugging_face()
    with torch.random.fork_rng(devices=[]):  # first weights are drawn, and then replaced
        model = hf.LlamaForCausalLM(hf.LlamaConfig(**config)).to(torch.float32)
    model.load_state_dict(tensors)
    return model.eval(), tokenizer_of(*read_pieces(pieces, config["vocab_size"]), start=START)


def save(out: Path | str, folder: Path | str | None = None) -> Path:
    """Write model and tokenizer in Hugging Face form (safetensors, JSON) into the folder `out`.

    `AutoModelForCausalLM.from_pretrained(out)` and `AutoTokenizer` then need nothing of ours.

    Args:
        out: the folder to write to.
        folder: where the two files are, as for `find`.

    Returns:
        The folder written to.

    Raises:
        FileNotFoundError: and the rest, as `load`.
    """
    model, tokenizer = load(folder)
    model.save_pretrained(out)
    tokenizer.save_pretrained(out)
    return Path(out)


def read_weights(data: bytes) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Read the settings and tensors of a Llama out of a llama2.c file of the first version.

    The file: seven whole numbers, then every tensor as float32, one kind after the other, the
    kinds that belong to blocks stacked over the blocks. llama2.c turns *neighbouring* numbers of a
    head by one angle, Hugging Face the n-th of the first half with the n-th of the second, so the
    rows of queries and keys change places.

    Returns:
        The arguments of a `LlamaConfig`, and its state dict.

    Raises:
        ValueError: for a length that does not fit the header.

    Source: Su et al. 2021 (RoFormer), section 3.2.2, for the turn.
    """
    width, inner, layers, heads, key_heads, vocabulary, length = HEADER.unpack_from(data)
    head, shared = width // heads, vocabulary > 0
    vocabulary, keys = abs(vocabulary), key_heads * head
    shapes = {
        "embed_tokens": (vocabulary, width),
        "input_layernorm": (layers, width),
        "self_attn.q_proj": (layers, width, width),
        "self_attn.k_proj": (layers, keys, width),
        "self_attn.v_proj": (layers, keys, width),
        "self_attn.o_proj": (layers, width, width),
        "post_attention_layernorm": (layers, width),
        "mlp.gate_proj": (layers, inner, width),
        "mlp.down_proj": (layers, width, inner),
        "mlp.up_proj": (layers, inner, width),
        "norm": (width,),
        "angles": (2, length, head // 2),  # cosines and sines, which Hugging Face makes itself
    }
    if not shared:
        shapes["lm_head"] = (vocabulary, width)
    numbers = np.frombuffer(data, dtype="<f4", offset=HEADER.size)
    needed = sum(int(np.prod(shape)) for shape in shapes.values())
    if len(numbers) != needed:
        raise ValueError(
            f"the header promises {needed:,} numbers and the file holds {len(numbers):,}: expected "
            "a float32 checkpoint of llama2.c's first version."
        )
    tensors: dict[str, Tensor] = {}
    start = 0
    for name, shape in shapes.items():
        size = int(np.prod(shape))
        tensor = torch.tensor(numbers[start : start + size]).view(shape)
        start += size
        if name == "lm_head":
            tensors["lm_head.weight"] = tensor
        elif len(shape) == 1 or name == "embed_tokens":
            tensors[f"model.{name}.weight"] = tensor
        elif name != "angles":
            for i, part in enumerate(tensor):
                rope = name in ("self_attn.q_proj", "self_attn.k_proj")
                tensors[f"model.layers.{i}.{name}.weight"] = _halves(part, head) if rope else part
    tensors.setdefault("lm_head.weight", tensors["model.embed_tokens.weight"])
    return {
        "vocab_size": vocabulary,
        "hidden_size": width,
        "intermediate_size": inner,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": key_heads,
        "max_position_embeddings": length,
        "rms_norm_eps": 1e-5,
        "tie_word_embeddings": shared,
        "bos_token_id": START,
        "eos_token_id": START,
        "pad_token_id": 0,
    }, tensors


def read_pieces(data: bytes, count: int) -> tuple[list[bytes], list[float]]:
    """Read the pieces of a llama2.c tokenizer and their scores.

    The file: a number, then (score, length, bytes) a piece.

    Args:
        data: the file's content.
        count: tokens of the model, and so the pieces expected.

    Returns:
        The pieces and their scores.

    Raises:
        ValueError: where there are more or fewer than `count`.
    """
    pieces, scores, at = [], [], 4  # the first number is the longest piece's length
    while at < len(data):
        score, size = struct.unpack_from("<fi", data, at)
        pieces.append(data[at + 8 : at + 8 + size])
        scores.append(score)
        at += 8 + size
    if len(pieces) != count:
        raise ValueError(f"expected {count} pieces, one a token of the model; got {len(pieces)}.")
    return pieces, scores


def _halves(rows: Tensor, head: int) -> Tensor:
    """Of every head the even rows, then the odd ones: (heads * head, width), the same shape."""
    return rows.view(-1, head // 2, 2, rows.shape[-1]).transpose(1, 2).reshape(rows.shape)


def _contents(folder: Path | str | None) -> list[bytes]:
    place = find(folder)
    if place is None:
        own = os.environ.get("DISTILL_LAB_MODELS")
        where = folder if folder is not None else own or "DISTILL_LAB_MODELS, which is not set"
        raise FileNotFoundError(
            f"{NAME} was not found: looked in {where}. Either of two ways mends it:\n"
            f"  1. set DISTILL_LAB_MODELS to a folder with {NAME}/stories260K.bin and tok512.bin;\n"
            f"  2. fetch these two files (1 MB) from {HOME} and pass their folder to load()."
        )
    contents = [(place / file.name).read_bytes() for file in FILES]
    for file, data in zip(FILES, contents, strict=True):
        if complaint := file.complaint(data):
            raise ValueError(f"{place / file.name} {complaint}. Fetch it again from {HOME}.")
    return contents
