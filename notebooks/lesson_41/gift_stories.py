"""A little language with rules one can check: stories of a gift, drawn by chance, and a verifier.

    One day Ann finds a red ball . Ann gives the red ball to Tom . Tom thanks Ann .

Names, colours and things are drawn with falling frequency, as words are in real text. Who gives,
what is given and who thanks whom have to agree: that is what a student must not forget.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import torch

from distill_lab.course.tutor.vocabulary import hugging_face

__all__ = ["END", "PAD", "START", "WORDS", "draw", "is_right", "tokenizer"]

NAMES = ("Ann", "Tom", "Mia", "Ben", "Zoe", "Max", "Ida", "Leo")
COLOURS = ("red", "blue", "green", "black", "white", "pink")
THINGS = ("ball", "hat", "cake", "boat", "drum", "kite", "book", "lamp")
FINDS = ("finds", "buys", "makes")
GIVES = ("gives", "brings", "sends")
PAD, START, END = "<pad>", "<start>", "<end>"
REST = ("One", "day", "a", "the", "to", "thanks", ".")
WORDS = (PAD, START, END, *NAMES, *COLOURS, *THINGS, *FINDS, *GIVES, *REST)


def draw(n: int, seed: int) -> list[str]:
    """Draw `n` stories, the same for the same seed.

    >>> all(is_right(story) for story in draw(50, seed=1))
    True
    """
    generator = torch.Generator().manual_seed(seed)

    def pick(words: tuple[str, ...], but: list[int] | None = None) -> list[int]:
        weights = (1 / torch.arange(1.0, len(words) + 1)).repeat(n, 1)
        if but is not None:
            weights[range(n), but] = 0
        return torch.multinomial(weights, 1, generator=generator)[:, 0].tolist()

    givers = pick(NAMES)
    rows = zip(
        torch.rand(n, generator=generator) < 0.5,
        givers,
        pick(FINDS),
        pick(COLOURS),
        pick(THINGS),
        pick(GIVES),
        pick(NAMES, but=givers),
        strict=True,
    )
    stories = []
    for opening, a, finds, colour, thing, gives, b in rows:
        giver, friend, what = NAMES[a], NAMES[b], f"{COLOURS[colour]} {THINGS[thing]}"
        stories.append(
            f"{'One day ' if opening else ''}{giver} {FINDS[finds]} a {what} . "
            f"{giver} {GIVES[gives]} the {what} to {friend} . {friend} thanks {giver} ."
        )
    return stories


def is_right(story: str) -> bool:
    """Tell whether a story keeps the rules: its form, one gift all through, the right thanks.

    >>> is_right("Ann buys a red hat . Ann gives the red hat to Tom . Tom thanks Ann .")
    True
    >>> is_right("Ann buys a red hat . Ann gives the red hat to Tom . Tom thanks Tom .")
    False
    """
    words = story.split()
    if words[:2] == ["One", "day"]:
        words = words[2:]
    if len(words) != 18:
        return False
    giver, finds, colour, thing, gives, friend = (words[i] for i in (0, 1, 3, 4, 7, 12))
    return (
        giver in NAMES
        and friend in NAMES
        and giver != friend
        and colour in COLOURS
        and thing in THINGS
        and finds in FINDS
        and gives in GIVES
        and words
        == f"{giver} {finds} a {colour} {thing} . {giver} {gives} the {colour} {thing} "
        f"to {friend} . {friend} thanks {giver} .".split()
    )


def gift_of(story: str) -> tuple[str, ...]:
    """Return the giver, the colour, the thing and the friend of a story that `is_right`."""
    words = story.split()
    return words[-2], *words[-9:-7], words[-4]


def tokenizer() -> Any:
    """Make a Hugging Face tokenizer of one token a word; a text gets its start in front."""
    special = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    settings = {
        "version": "1.0",
        "normalizer": None,
        "decoder": None,
        "added_tokens": [
            {"id": i, "content": word, "special": True, **special}
            for i, word in enumerate((PAD, START, END))
        ],
        "pre_tokenizer": {"type": "WhitespaceSplit"},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [
                {"SpecialToken": {"id": START, "type_id": 0}},
                {"Sequence": {"id": "A", "type_id": 0}},
            ],
            "pair": [
                {"Sequence": {"id": "A", "type_id": 0}},
                {"Sequence": {"id": "B", "type_id": 0}},
            ],
            "special_tokens": {START: {"id": START, "ids": [1], "tokens": [START]}},
        },
        "model": {
            "type": "WordLevel",
            "vocab": {word: i for i, word in enumerate(WORDS)},
            "unk_token": PAD,
        },
    }
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "tokenizer.json"
        file.write_text(json.dumps(settings), encoding="utf-8")
        return hugging_face().PreTrainedTokenizerFast(
            tokenizer_file=str(file),
            pad_token=PAD,
            bos_token=START,
            eos_token=END,
            clean_up_tokenization_spaces=False,
        )
