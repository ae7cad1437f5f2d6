"""The real preference set of lesson 45 (profile full): polite against rude answers, by Llama 3.1.

1,100 rows of S. Raschka's book *Build a Large Language Model (From Scratch)*, Apache-2.0. Nothing
here downloads them: $DISTILL_LAB_DATA/rasbt_instruct holds the file, else the lesson says so.
"""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from distill_lab import methods
from distill_lab.course import stories260k as stories
from distill_lab.course.side_by_side import side_by_side
from distill_lab.data import Preferences, Texts
from distill_lab.data.datasets.files import PinnedFile
from distill_lab.evaluation.statistics import mean_interval
from distill_lab.methods.preferences import pair_log_probabilities
from distill_lab.teachers import freeze
from distill_lab.training import distill

__all__ = ["FILE", "compare", "find", "in_words", "longer_share", "pairs_of", "read"]

FOLDER = "rasbt_instruct"
FILE = PinnedFile(
    "instruction-data-with-preference.json",
    386968,
    "305315abf14f65fa42c01a0877572f832606571c2a7d49f152ac1d758b16756e",
)
HELD_OUT = 200  # pairs
LONGEST = 192  # tokens of a text, prompt and answer
Row = Mapping[str, Any]


def find() -> Path | None:
    """Find the file in $DISTILL_LAB_DATA."""
    folder = os.environ.get("DISTILL_LAB_DATA")
    path = Path(folder or ".").expanduser() / FOLDER / FILE.name
    return path if folder and path.is_file() else None


def read(path: Path) -> list[dict[str, str]]:
    """Read the pairs of two different answers: prompt, chosen, rejected.

    Raises:
        ValueError: where the file is not the published one.
    """
    data = path.read_bytes()
    if complaint := FILE.complaint(data):
        raise ValueError(f"{path} {complaint}. Copy it from the book's repository again.")
    return pairs_of(json.loads(data))


def pairs_of(rows: Sequence[Row]) -> list[dict[str, str]]:
    """Put instruction and input into one prompt, and leave out pairs of two equal answers."""
    pairs = [
        {
            "prompt": "\n\n".join(filter(None, (row["instruction"], row["input"]))) + "\n\n",
            "chosen": row["chosen"],
            "rejected": row["rejected"],
        }
        for row in rows
    ]
    return [row for row in pairs if row["chosen"] != row["rejected"]]


def longer_share(rows: Sequence[Row]) -> float:
    """Return the percent of the pairs whose chosen answer has more letters; ties count a half."""
    gaps = [len(row["chosen"]) - len(row["rejected"]) for row in rows]
    return 100 * sum(0.5 if gap == 0 else float(gap > 0) for gap in gaps) / len(gaps)


def compare(model: Any, tokenizer: Any, rows: Sequence[Row], *, seed: int) -> dict[str, float]:
    """Fine-tune a model on the chosen answers, then learn the pairs by DPO, and test both.

    Args:
        model: a causal language model; it stays as it is.
        tokenizer: its own.
        rows: the pairs.
        seed: of the split and of the order.

    Returns:
        Percent of held-out pairs in the right order: by which answer the fine-tuned model finds
        more probable, by the implicit reward after DPO, and by length alone ("shorter").
    """
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed)).tolist()
    held_out, others = ([rows[i] for i in part] for part in (order[:HELD_OUT], order[HELD_OUT:]))
    pairs, unseen = (
        Preferences(part, tokenizer, max_length=LONGEST) for part in (others, held_out)
    )
    student = copy.deepcopy(model)
    texts = Texts(
        [{"prompt": row["prompt"], "answer": row["chosen"]} for row in others],
        tokenizer,
        max_length=LONGEST,
    )
    settings: dict[str, Any] = {"epochs": 1, "batch_size": 16, "clip": 1.0, "seed": seed}
    settings |= {"progress": False, "shares_every": 0}
    distill(student, texts, method=methods.tokens(alpha=0.0), lr=1e-3, **settings)
    reference = freeze(copy.deepcopy(student))
    before = _log_probs(reference.model, unseen)
    distill(
        student,
        pairs,
        teacher=methods.Reference(reference),
        method=methods.dpo(beta=0.1),
        lr=3e-4,
        **settings,
    )
    implicit = _log_probs(student, unseen) - before
    kept = unseen.chosen.numbers.tolist()  # of the held-out rows, those that are short enough
    return {
        "fine-tuned": _in_order(before),
        "DPO": _in_order(implicit),
        "shorter": 100 - longer_share([held_out[i] for i in kept]),
    }


def in_words(rows: Sequence[Row], *, seeds: Sequence[int]) -> str:
    """Compare fine-tuning, DPO and length on the real pairs, in one sentence."""
    if stories.find() is None:
        return "The model stories260K is not at hand: only length was measured."
    model, tokenizer = stories.load()
    values = side_by_side({s: partial(compare, model, tokenizer, rows, seed=s) for s in seeds})
    spans = {
        name: mean_interval([one[name] for one in values.values()])
        for name in ("fine-tuned", "DPO", "shorter")
    }
    return (
        f"Held-out pairs in the right order, percent: by the fine-tuned model's probabilities "
        f"{spans['fine-tuned']:.1f}, by DPO's implicit reward {spans['DPO']:.1f}, by the rule "
        f"“the shorter one” {spans['shorter']:.1f}."
    )


def _in_order(values: Tensor) -> float:
    """Percent of pairs (N, 2) whose first value is the larger."""
    return 100 * (values[:, 0] > values[:, 1]).double().mean().item()


@torch.no_grad()
def _log_probs(model: Any, pairs: Preferences) -> Tensor:
    model.eval()
    parts = torch.arange(len(pairs)).split(32)
    return torch.cat([pair_log_probabilities(model, pairs.batch(part)) for part in parts])
