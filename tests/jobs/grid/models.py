"""Tiny models in folders, and tokenizers that a line of Python can follow: a token a letter."""

import re

import torch
from tokenizers import Regex, Tokenizer, decoders, pre_tokenizers
from tokenizers import models as token_models
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

MARKS = ["<pad>", "<end>", "<unk>", "<sys>", "<user>", "<bot>"]
LETTERS = [*"abcdefghijn<> "]
BIGRAMS = [a + b for a in "abcd" for b in "abcd"]
POSITIONS = 48
CHAT = (
    "{% for m in messages %}"
    "{{ {'user': '<user>', 'assistant': '<bot>', 'system': '<sys>'}[m['role']] + m['content'] }}"
    "{% if m['role'] == 'assistant' %}{{ '<end>' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<bot>' }}{% endif %}"
)


class Spelling:
    """What the tokenizer does, in Python: each piece that the pattern finds is a token.

    Args:
        words: all that there are, in their order.
        pattern: finds the pieces of a text.
    """

    def __init__(self, words, pattern):
        self.words, self.pattern = words, pattern
        self.numbers = {word: i for i, word in enumerate(words)}

    def ids(self, text):
        pieces = re.findall(self.pattern, text)
        return [self.numbers.get(piece, self.numbers["<unk>"]) for piece in pieces]

    def mark(self, name):
        return self.numbers[f"<{name}>"]

    def tokenizer(self, *, chat=True):
        fast = Tokenizer(token_models.WordLevel(self.numbers, unk_token="<unk>"))
        fast.pre_tokenizer = pre_tokenizers.Split(Regex(self.pattern), "isolated")
        fast.decoder = decoders.Fuse()
        special = {"pad_token": "<pad>", "eos_token": "<end>", "unk_token": "<unk>"}
        made = PreTrainedTokenizerFast(
            tokenizer_object=fast, additional_special_tokens=["<sys>", "<user>", "<bot>"], **special
        )
        made.chat_template = CHAT if chat else None
        return made


SINGLE = Spelling([*MARKS, *LETTERS], r"[\s\S]")
DOUBLE = Spelling([*MARKS, *LETTERS, *BIGRAMS], r"[a-d]{2}|[\s\S]")


def llama(spelling, layers, seed, *, width=16, padded=0, **config):
    """A tiny Llama whose distributions differ from token to token."""
    torch.manual_seed(seed)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(spelling.words) + padded,
            hidden_size=width,
            intermediate_size=2 * width,
            num_hidden_layers=layers,
            num_attention_heads=2,
            num_key_value_heads=2,
            max_position_embeddings=POSITIONS,
            initializer_range=0.5,  # of 0.02 all tokens are alike
            eos_token_id=spelling.mark("end"),
            pad_token_id=spelling.mark("pad"),
            bos_token_id=None,
            **config,
        )
    )


def save(model, tokenizer, folder):
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
