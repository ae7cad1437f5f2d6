"""The tutor's tokenizer: byte-level BPE learnt from the worlds, every digit a token of its own.

Digits stay apart so that sums are learnt digit by digit (Nogueira et al. 2021, 2102.13019, on
what other ways of writing numbers cost). Every text begins with a space, which the tokenizer takes
away again when it writes: so a word is the same token wherever it stands, and can be copied. Any
text can be written, for every byte is a token.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

PAD, END, USER, ASSISTANT, SYSTEM = "<|pad|>", "<|end|>", "<|user|>", "<|assistant|>", "<|system|>"
SPECIAL = (PAD, END, USER, ASSISTANT, SYSTEM)

CHAT = (
    "{% for message in messages %}"
    "{{ '<|' + message['role'] + '|> ' + message['content'] }}"
    "{% if message['role'] == 'assistant' %}{{ '<|end|>' }}{% endif %}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)


def hugging_face() -> Any:
    """The transformers package, imported only when needed: a second or two.

    Raises ImportError, with the way out, where it is not installed.
    """
    try:
        import transformers
    except ImportError as error:
        raise ImportError(
            "the tutor is a Hugging Face model, and transformers is not installed: "
            'pip install "distill-lab[lab]".'
        ) from error
    return transformers


def learn_tokenizer(texts: Iterable[str], size: int = 1600) -> Any:
    """A tokenizer of at most `size` tokens that says frequent words in one.

    It is a plain Hugging Face tokenizer with a chat template, and the same for the same texts.
    Raises ValueError for a size that has no room for 256 bytes and the special tokens.
    """
    least = 256 + len(SPECIAL)
    if size < least:
        raise ValueError(
            f"a byte-level vocabulary needs at least {least} tokens (256 bytes, {len(SPECIAL)} "
            f"special ones); got {size}."
        )
    fast = hugging_face().PreTrainedTokenizerFast
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "tokenizer.json"
        file.write_text(json.dumps(_no_merges()), encoding="utf-8")
        bytes_only = fast(
            tokenizer_file=str(file),
            pad_token=PAD,
            eos_token=END,
            additional_special_tokens=[USER, ASSISTANT, SYSTEM],
        )
    learnt = bytes_only.train_new_from_iterator(texts, size)
    learnt.chat_template = CHAT
    learnt.padding_side = "left"  # what generation needs
    learnt.model_max_length = 512
    return learnt


def _no_merges() -> dict[str, Any]:
    """A tokenizer file whose tokens are the 256 bytes: what the merges are learnt on."""
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}
    digits = {"type": "Digits", "individual_digits": True}
    split = [digits, byte_level | {"use_regex": True}]
    return {
        "version": "1.0",
        "added_tokens": [
            {
                "id": i,
                "content": token,
                "special": True,
                "single_word": False,
                "lstrip": False,
                "rstrip": False,
                "normalized": False,
            }
            for i, token in enumerate(SPECIAL)
        ],
        "normalizer": None,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": split},
        "post_processor": None,
        "decoder": {
            "type": "Sequence",
            "decoders": [
                byte_level | {"use_regex": True},
                {"type": "Strip", "content": " ", "start": 1, "stop": 0},
            ],
        },
        "model": {
            "type": "BPE",
            "unk_token": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "vocab": {token: i for i, token in enumerate((*SPECIAL, *_byte_letters()))},
            "merges": [],
        },
    }


def _byte_letters() -> list[str]:
    """One printable letter a byte: itself where it prints, else the next letter from 256 up."""
    prints = {*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = iter(range(0x100, 0x200))
    return [chr(byte if byte in prints else next(others)) for byte in range(256)]
