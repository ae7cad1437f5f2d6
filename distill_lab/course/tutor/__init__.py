"""A small language model that knows the five text worlds, and what makes it.

model, tokenizer = tutor.load()
tutor.answers(model, tokenizer, worlds.load("arithmetic").test(5))

python -m distill_lab.course.tutor build         # makes it again from a seed
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from distill_lab.course.tutor.answering import answers, share_right
from distill_lab.course.tutor.lessons import as_lessons
from distill_lab.course.tutor.recipe import Size, network
from distill_lab.course.tutor.vocabulary import hugging_face, learn_tokenizer

__all__ = [
    "FOLDER",
    "Size",
    "answers",
    "as_lessons",
    "learn_tokenizer",
    "load",
    "network",
    "share_right",
]

FOLDER = Path(__file__).resolve().parents[3] / "data" / "tutor"


def load(folder: Path | str | None = None) -> tuple[Any, Any]:
    """Load the tutor and its tokenizer, in eval mode and float32.

    Raises FileNotFoundError where there is none, ImportError where transformers is not installed;
    both say how to mend it.
    """
    folder = FOLDER if folder is None else Path(folder)
    if not (folder / "config.json").is_file():
        raise FileNotFoundError(
            f"there is no tutor in {folder}. It comes with the repository: run from a clone of it, "
            "or make it again with `python -m distill_lab.course.tutor build` (an hour or so)."
        )
    hf = hugging_face()
    say = hf.utils.logging
    bars = say.is_progress_bar_enabled()
    say.disable_progress_bar()  # it would be written on stderr, for a file of 2 MB
    try:
        model = hf.AutoModelForCausalLM.from_pretrained(folder, dtype="float32")
    finally:
        if bars:
            say.enable_progress_bar()
    return model.eval(), hf.AutoTokenizer.from_pretrained(folder)
