"""Answers of a model in this process, at a vocabulary of 50,257: ours beside transformers'.

    python benchmarks/local_answers.py [--rounds 5] [--quick] [--json FILE]

A random Llama of 6.8 million weights answers the same prompts, a batch of 16, on one thread. Theirs
is `model.generate` on the batch, padded on the left; ours is `LocalGenerator`, which draws each
answer by a seed of its own, whatever batch it comes in, and holds itself to the ends of the model.
Nothing ends an answer, so both write the same number of tokens. Rounds alternate.
"""

import argparse
import time
from typing import Any

import torch
from table import Row, finish, machine, show, versions
from token_step import VOCABULARY, llama
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from distill_lab.teachers.text import LocalGenerator
from distill_lab.teachers.text.protocol import Prompt, Request, Sampling

PROMPTS, LENGTH, TOKENS = 16, 12, 32
TARGET = 1.25
DRAWN = {
    "the likeliest token": {"temperature": 0.0},
    "the whole softmax": {"temperature": 1.0},
    "a nucleus of 0.95": {"temperature": 1.0, "top_p": 0.95},
}


def reader(vocabulary: int) -> PreTrainedTokenizerFast:
    """A tokenizer of made-up words."""
    words = {f"w{i}": i for i in range(vocabulary - 3)}
    words |= {name: len(words) + i for i, name in enumerate(("<pad>", "<eos>", "<unk>"))}
    fast = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    fast.pre_tokenizer = pre_tokenizers.Whitespace()
    special = {"pad_token": "<pad>", "eos_token": "<eos>", "unk_token": "<unk>"}
    return PreTrainedTokenizerFast(tokenizer_object=fast, **special)


def prompts(vocabulary: int) -> list[str]:
    """Random words, a few more or fewer."""
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(vocabulary - 3, (PROMPTS, LENGTH), generator=generator).tolist()
    return [" ".join(f"w{i}" for i in row[: LENGTH - n % 4]) for n, row in enumerate(ids)]


def ours(local: LocalGenerator, texts: list[str], drawn: dict[str, float]) -> int:
    """Our answers: how many tokens they have."""
    sampling = Sampling(1, drawn["temperature"], drawn.get("top_p", 1.0), TOKENS)
    requests = [
        Request(f"{i:08x}", Prompt(({"role": "user", "content": text},)), 0, sampling)
        for i, text in enumerate(texts)
    ]
    counts: list[int] = []

    def take(request: Request, reply: Any) -> None:
        counts.append(reply.tokens[1])

    local.answer(requests, take)
    return sum(counts)


def theirs(model: Any, tokenizer: Any, texts: list[str], drawn: dict[str, float]) -> int:
    """transformers' answers: how many tokens they have."""
    inputs = tokenizer(texts, padding=True, padding_side="left", return_tensors="pt")
    sampled = drawn["temperature"] > 0
    options = {"top_k": 0, "top_p": drawn.get("top_p", 1.0), "temperature": 1.0} if sampled else {}
    ids = model.generate(
        input_ids=inputs["input_ids"],
        attention_mask=inputs["attention_mask"],
        max_new_tokens=TOKENS,
        do_sample=sampled,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=None,
        **options,
    )
    return int(ids[:, inputs["input_ids"].shape[1] :].numel())


def main() -> None:
    """Measure, print the table, leave the rows."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--quick", action="store_true", help="a small vocabulary, held to nothing")
    options.add_argument("--json")
    args = options.parse_args()
    torch.set_num_threads(1)
    vocabulary = 1_003 if args.quick else VOCABULARY
    model, tokenizer, texts = llama(128, 2, vocabulary), reader(vocabulary), prompts(vocabulary)
    model.eval()
    model.generation_config.eos_token_id = None
    tokenizer.eos_token = None
    local = LocalGenerator(model, tokenizer, batch_size=PROMPTS, plain=True)
    rows = []
    for name, drawn in DRAWN.items():
        seconds: dict[str, list[float]] = {"ours": [], "theirs": []}
        for turn in range(args.rounds + 1):
            for who in seconds:
                began = time.perf_counter()
                if who == "ours":
                    count = ours(local, texts, drawn)
                else:
                    count = theirs(model, tokenizer, texts, drawn)
                assert count == PROMPTS * TOKENS, f"{who} wrote {count} tokens"
                if turn:
                    seconds[who].append(1e3 * (time.perf_counter() - began) / count)
        rows.append(
            Row.of_times(
                f"answers drawn from {name}, V = {vocabulary:,}, {PROMPTS} at once: ms a token",
                "generate of transformers",
                seconds["ours"],
                seconds["theirs"],
                unit="ms",
                target=None if args.quick else TARGET,
            )
        )
    show(rows, f"{machine()}; {versions()}")
    finish(rows, args.json)


if __name__ == "__main__":
    main()
