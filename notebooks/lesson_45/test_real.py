"""The real pairs of lesson 45: how they are read, and what length alone says."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from lesson_45 import real

ROWS = [
    {
        "instruction": "Spell.",
        "input": "freind",
        "chosen": "friend",
        "rejected": "no",
        "output": "",
    },
    {"instruction": "Go.", "input": "", "chosen": "same", "rejected": "same", "output": ""},
    {"instruction": "Go.", "input": "", "chosen": "yes", "rejected": "never", "output": ""},
    {"instruction": "Go.", "input": "", "chosen": "on", "rejected": "up", "output": ""},
]


class Letters:
    """A tokenizer of one token a letter."""

    pad_token_id, eos_token_id, chat_template = 0, 1, None

    def __call__(self, text: str, add_special_tokens: bool = False) -> dict[str, list[int]]:
        return {"input_ids": [ord(letter) for letter in text]}


class Bigrams(torch.nn.Module):
    """The next letter's logits by the last letter: (B, L) -> (B, L, 128)."""

    def __init__(self) -> None:
        super().__init__()
        self.table = torch.nn.Embedding.from_pretrained(torch.zeros(128, 128), freeze=False)

    def forward(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> Tensor:
        return self.table(input_ids)


def test_rows_become_prompts_with_two_answers() -> None:
    rows = real.pairs_of(ROWS)
    assert [row["prompt"] for row in rows] == ["Spell.\n\nfreind\n\n", "Go.\n\n", "Go.\n\n"]
    assert set(rows[0]) == {"prompt", "chosen", "rejected"}


def test_a_tie_in_length_counts_a_half() -> None:
    assert real.longer_share(real.pairs_of(ROWS)) == pytest.approx(50)


def test_the_file_is_looked_for_in_the_data_folder_and_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DISTILL_LAB_DATA", raising=False)
    assert real.find() is None
    monkeypatch.setenv("DISTILL_LAB_DATA", str(tmp_path))
    assert real.find() is None
    path = tmp_path / real.FOLDER / real.FILE.name
    path.parent.mkdir()
    path.write_text("[]", encoding="utf-8")
    assert real.find() == path
    with pytest.raises(ValueError, match="cut short"):
        real.read(path)


@pytest.mark.timeout(60)
def test_a_small_model_learns_made_up_pairs() -> None:
    rows = [
        {"prompt": f"{i} ", "chosen": "a" * (i % 3 + 1), "rejected": "b" * (i % 3 + 1)}
        for i in range(280)
    ]
    model = Bigrams()
    start = [parameter.clone() for parameter in model.parameters()]
    shares = real.compare(model, Letters(), rows, seed=1)
    assert shares["shorter"] == 50 and shares["fine-tuned"] == shares["DPO"] == 100
    assert all(map(torch.equal, start, model.parameters()))
