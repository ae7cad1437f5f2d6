"""A SentencePiece vocabulary (pieces with scores, bytes to fall back on) as a plain tokenizer."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from distill_lab.course.tutor.vocabulary import hugging_face

__all__ = ["tokenizer_of"]

SPACE = "\u2581"  # how SentencePiece writes a space within a piece
UNKNOWN, BEGIN, END = "<unk>", "<s>", "</s>"


def tokenizer_of(pieces: Sequence[bytes], scores: Sequence[float], *, start: int = 1) -> Any:
    """A Hugging Face tokenizer that cuts text as SentencePiece's BPE does with these pieces.

    SentencePiece joins, again and again, the two neighbours whose joint piece has the highest
    score; as a list of merges that is every way to cut a piece in two, by falling score. Letters
    that no piece has are written as bytes. A text is encoded with `start` in front, which is its
    end as well. Kudo & Richardson 2018, arXiv:1808.06226; Sennrich et al. 2016 for BPE.
    Raises ValueError unless tokens 0 to 258 are unknown, begin, end and the 256 bytes.
    """
    words = [piece.decode("utf-8").replace(" ", SPACE) for piece in pieces]
    if len(words) != len(scores) or len(words) < 259:
        raise ValueError(
            f"expected one score a piece, and at least 259 of them; got {len(words)} pieces and "
            f"{len(scores)} scores."
        )
    words[:3] = [UNKNOWN, BEGIN, END]
    words[3:259] = [f"<0x{byte:02X}>" for byte in range(256)]
    vocabulary = {word: token for token, word in enumerate(words)}
    if len(vocabulary) != len(words):
        raise ValueError("two pieces are the same, so a token would stand for both.")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "tokenizer.json"
        made = _file(vocabulary, _merges(words, scores, vocabulary), words[start], start)
        file.write_text(json.dumps(made), encoding="utf-8")
        return hugging_face().PreTrainedTokenizerFast(
            tokenizer_file=str(file),
            unk_token=UNKNOWN,
            bos_token=words[start],
            eos_token=words[start],
            pad_token=UNKNOWN,
            padding_side="left",
            clean_up_tokenization_spaces=False,
        )


def _merges(
    words: Sequence[str], scores: Sequence[float], vocabulary: dict[str, int]
) -> list[list[str]]:
    """Every pair of pieces that makes a piece, the best first."""
    ranked = sorted(range(259, len(words)), key=lambda token: -scores[token])  # stable
    return [
        [word[:cut], word[cut:]]
        for word in (words[token] for token in ranked)
        for cut in range(1, len(word))
        if word[:cut] in vocabulary and word[cut:] in vocabulary
    ]


def _file(
    vocabulary: dict[str, int], merges: list[list[str]], first: str, start: int
) -> dict[str, Any]:
    special = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    begin = {"SpecialToken": {"id": first, "type_id": 0}}
    text = {"Sequence": {"id": "A", "type_id": 0}}
    return {
        "version": "1.0",
        "added_tokens": [
            {"id": i, "content": word, "special": True, **special}
            for i, word in enumerate((UNKNOWN, BEGIN, END))
        ],
        "normalizer": {
            "type": "Sequence",
            "normalizers": [
                {"type": "Prepend", "prepend": SPACE},
                {"type": "Replace", "pattern": {"String": " "}, "content": SPACE},
            ],
        },
        "pre_tokenizer": None,
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [begin, text],
            "pair": [begin, text, {"Sequence": {"id": "B", "type_id": 0}}],
            "special_tokens": {first: {"id": first, "ids": [start], "tokens": [first]}},
        },
        "decoder": {
            "type": "Sequence",
            "decoders": [
                {"type": "Replace", "pattern": {"String": SPACE}, "content": " "},
                {"type": "ByteFallback"},
                {"type": "Fuse"},
                {"type": "Strip", "content": " ", "start": 1, "stop": 0},
            ],
        },
        "model": {
            "type": "BPE",
            "unk_token": UNKNOWN,
            "fuse_unk": True,
            "byte_fallback": True,
            "vocab": vocabulary,
            "merges": merges,
        },
    }
