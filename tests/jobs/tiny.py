"""Tiny encoders in folders, and made-up sentences that they can learn."""

import csv
import json
import random
from pathlib import Path

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import AutoModel, BertConfig, PreTrainedTokenizerFast

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *"abcdefghijklmnopqrstuvwxyz"]
CLASSES = {"card": "abc", "loan": "def", "rate": "ghi"}


def tokenizer(words=WORDS):
    """A tokenizer of letters, with BERT's ends of a text."""
    fast = Tokenizer(models.WordLevel({w: i for i, w in enumerate(words)}, unk_token="[UNK]"))
    fast.pre_tokenizer = pre_tokenizers.Whitespace()
    fast.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", words.index("[CLS]")), ("[SEP]", words.index("[SEP]"))],
    )
    special = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]"}
    return PreTrainedTokenizerFast(tokenizer_object=fast, sep_token="[SEP]", **special)


def encoder(
    folder, layers=2, *, seed=0, width=16, kind=AutoModel, words=WORDS, spread=0.3, **config
):
    """Save a tiny BERT with its tokenizer, and return the folder."""
    torch.manual_seed(seed)
    model = kind.from_config(
        BertConfig(
            vocab_size=len(words),
            hidden_size=width,
            num_hidden_layers=layers,
            num_attention_heads=2,
            intermediate_size=2 * width,
            max_position_embeddings=32,
            initializer_range=spread,  # of 0.02 so small a one learns nothing at first
            **config,
        )
    )
    model.save_pretrained(folder)
    tokenizer(words).save_pretrained(folder)
    return Path(folder)


def sentences(n, seed=0):
    """Texts of letters, the class of each by the letters that are in most of its places."""
    draw = random.Random(seed)
    rows = []
    for _ in range(n):
        name = draw.choice(list(CLASSES))
        words = [draw.choice(CLASSES[name]) for _ in range(draw.randint(2, 6))]
        words += [draw.choice("xyz") for _ in range(draw.randint(0, 3))]
        draw.shuffle(words)
        rows.append({"text": " ".join(words), "label": name})
    return rows


def write_csv(path, rows):
    """A CSV file of rows with the same keys."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return path


def write_jsonl(path, rows):
    """A JSONL file."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path
