"""Rows of prompts and answers made into tokens on disk, beside Hugging Face's own `map`.

Both read the same JSON lines and write Arrow: ours as a language model's job does, each answer
behind its chat template's own prompt; the peer as people write it, in batches of a thousand.

    python benchmarks/texts.py
    python benchmarks/texts.py --quick
"""

import argparse
import json
import random
import tempfile
import time
from pathlib import Path
from typing import Any

from datasets import disable_progress_bars, load_dataset
from table import Row, finish, show
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from distill_lab.data import Texts
from distill_lab.data.datasets import load_table

CHAT = (
    "{% for m in messages %}{{ '<' + m['role'] + '>' + m['content'] + '<end>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<assistant>' }}{% endif %}"
)


def made(folder: Path, rows: int) -> tuple[Path, Any]:
    """A file of rows of about 60 tokens, and a tokenizer of byte pairs that was trained on them."""
    dice = random.Random(0)
    words = ["".join(dice.choices("abcdefghijklmnopqrstuvwxyz", k=2 + i % 7)) for i in range(3000)]
    weights = [1 / (place + 1) for place in range(len(words))]

    def text(count: int) -> str:
        return " ".join(dice.choices(words, weights, k=count))

    pairs = Tokenizer(models.BPE())
    pairs.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    pairs.decoder = decoders.ByteLevel()
    special = ["<pad>", "<end>", "<user>", "<assistant>"]
    trainer = trainers.BpeTrainer(vocab_size=4000, special_tokens=special, show_progress=False)
    pairs.train_from_iterator((text(50) for _ in range(2000)), trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=pairs, pad_token="<pad>", eos_token="<end>", chat_template=CHAT
    )
    path = folder / "rows.jsonl"
    with open(path, "w", encoding="utf-8") as file:
        for _ in range(rows):
            file.write(json.dumps({"prompt": text(26), "answer": text(21)}) + "\n")
    return path, tokenizer


def ours(path: Path, tokenizer: Any, folder: Path) -> int:
    """Tokens of all texts, kept on disk."""
    texts = Texts(load_table(path), tokenizer, folder=folder)
    return int(texts.lengths.sum())


def theirs(path: Path, tokenizer: Any, folder: Path) -> int:
    """The same by `datasets`: prompt and whole are written by the template and cut."""

    def cut(rows: dict[str, list[str]]) -> dict[str, Any]:
        prompts, wholes = [], []
        for prompt, answer in zip(rows["prompt"], rows["answer"], strict=True):
            turns = [{"role": "user", "content": prompt}, {"role": "assistant", "content": answer}]
            settings = {"tokenize": False}
            prompts.append(
                tokenizer.apply_chat_template(turns[:1], add_generation_prompt=True, **settings)
            )
            wholes.append(tokenizer.apply_chat_template(turns, **settings))
        ids = tokenizer(wholes, add_special_tokens=False)["input_ids"]
        begins = map(len, tokenizer(prompts, add_special_tokens=False)["input_ids"])
        return {"input_ids": ids, "prompt_length": list(begins), "length": list(map(len, ids))}

    data = load_dataset("json", data_files=str(path), split="train", cache_dir=str(folder))
    data = data.map(cut, batched=True, remove_columns=["prompt", "answer"])
    return sum(data["length"])


def measure(quick: bool) -> list[Row]:
    """Ours and theirs in turn, each from the file to tokens on disk; then ours opened again."""
    disable_progress_bars()
    rows, rounds = (2000, 2) if quick else (50_000, 3)
    times: dict[Any, list[float]] = {ours: [], theirs: []}
    again = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path, tokenizer = made(folder, rows)
        for number in range(rounds):
            counts = set()
            for way, taken in times.items():
                began = time.perf_counter()
                counts.add(way(path, tokenizer, folder / f"{way.__name__}-{number}"))
                taken.append(time.perf_counter() - began)
            assert len(counts) == 1, f"they count other tokens: {counts}"
            began = time.perf_counter()
            ours(path, tokenizer, folder / f"ours-{number}")
            again.append(time.perf_counter() - began)
    work = f"{rows:,} rows of a chat to tokens on disk"
    first = Row.of_times(work, "datasets.map", times[ours], times[theirs], unit="s")
    opened = Row.of_times(
        f"the same, opened again: {rows:,} rows",
        "ours, the first time",
        again,
        times[ours],
        unit="s",
        note="The file is hashed, no row is parsed, and the tokens are mapped from the disk.",
    )
    return [first, opened]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", help="write the rows there")
    options = parser.parse_args()
    rows = measure(options.quick)
    show(rows)
    finish(rows, options.json)


if __name__ == "__main__":
    main()
