"""A SentencePiece vocabulary as a Hugging Face tokenizer: pieces with scores, else bytes."""

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
    """Make a Hugging Face tokenizer that cuts text as SentencePiece's BPE does with these pieces.

    SentencePiece joins, again and again, the two neighbours whose joint piece has the highest
    score; as a list of merges that is every way to cut a piece in two, by falling score. Letters
    that no piece has are written as bytes.

    Args:
        pieces: V of them; 0 to 258 are unknown, begin, end and the 256 bytes.
        scores: one a piece.
        start: the token in front of a text, which is its end as well.

    Returns:
        A `PreTrainedTokenizerFast`.

    Raises:
        ValueError: for fewer than 259 pieces, other than one score each, or a piece twice.

    Source: Kudo & Richardson 2018, arXiv:1808.06226; Sennrich et al. 2016 for BPE.
    """
    strings = [piece.decode("utf-8").replace(" ", SPACE) for piece in pieces]
    if len(strings) != len(scores) or len(strings) < 259:
        raise ValueError(
            f"expected one score a piece, and at least 259 of them; got {len(strings)} pieces and "
            f"{len(scores)} scores."
        )
    strings[:3] = [UNKNOWN, BEGIN, END]
    strings[3:259] = [f"<0x{byte:02X}>" for byte in range(256)]
    vocabulary = {string: token for token, string in enumerate(strings)}
    if len(vocabulary) != len(strings):
        raise ValueError("two pieces are the same, so a token would stand for both.")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "tokenizer.json"
        settings = _settings(
            vocabulary, _merges(strings, scores, vocabulary), strings[start], start
        )
        file.write_text(json.dumps(settings), encoding="utf-8")
        return hugging_face().PreTrainedTokenizerFast(
            tokenizer_file=str(file),
            unk_token=UNKNOWN,
            bos_token=strings[start],
            eos_token=strings[start],
            pad_token=UNKNOWN,
            padding_side="left",
            clean_up_tokenization_spaces=False,
        )


def _merges(
    strings: Sequence[str], scores: Sequence[float], vocabulary: dict[str, int]
) -> list[list[str]]:
    """Every pair of pieces that makes a piece, the best first."""
    ranked = sorted(range(259, len(strings)), key=lambda token: -scores[token])  # stable
    return [
        [string[:cut], string[cut:]]
        for string in (strings[token] for token in ranked)
        for cut in range(1, len(string))
        if string[:cut] in vocabulary and string[cut:] in vocabulary
    ]


def _settings(
    vocabulary: dict[str, int], merges: list[list[str]], first: str, start: int
) -> dict[str, Any]:
    special = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    begin = {"SpecialToken": {"id": first, "type_id": 0}}
    text = {"Sequence": {"id": "A", "type_id": 0}}
    return {
        "version": "1.0",
        "added_tokens": [
            {"id": i, "content": string, "special": True, **special}
            for i, string in enumerate((UNKNOWN, BEGIN, END))
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
