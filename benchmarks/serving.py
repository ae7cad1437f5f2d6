"""Throughput of `generate` through a real server, against the server's best concurrency.

    python benchmarks/serving.py [--rounds 5] [--prompts 192] [--tokens 32] [--quick] [--json FILE]

A tiny Llama, never trained, stands behind `transformers serve` on loopback, once answering one
request at a time (as it does by default) and once with continuous batching. A bare client, the
openai package and a semaphore with nothing written down, is swept over 1, 2, 4, 8 and 16 requests
at once; its fastest, by the median of the rounds, is the server's best. Beside them `generate`
runs as it comes, 16 at once, with its files, checks and retries. Rounds alternate between all
contenders; ratios are taken round by round. Server and client share the machine's cores.

Beside these, short answers of 0.1 s, 64 and 256 at once: see `short_answers.py`; `--short-only`
measures nothing else.

Served tokens a second are counted by the server. Every answer has exactly --tokens tokens, so
contenders do the same work; the slow server gets an eighth of the prompts.
"""

import argparse
import asyncio
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import openai
import transformers

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import short_answers
from table import Row, finish, show

from distill_lab.synthesis import OpenAIGenerator, generate
from tests.synthesis.tiny import WORDS, Server, save

SWEEP = (1, 2, 4, 8, 16)
TARGET = 0.9
NOTE = "Throughput through a server in tokens a second: over 1 means that ours is faster."
Contender = Callable[[], int]


def bare(url: str, model: str, prompts: list[str], tokens: int, concurrency: int) -> int:
    """The least that asks the same: tokens that the server says it made."""

    async def run() -> int:
        gate = asyncio.Semaphore(concurrency)
        async with openai.AsyncOpenAI(base_url=url, api_key="none", max_retries=0) as client:

            async def ask(prompt: str) -> int:
                async with gate:
                    answer = await client.chat.completions.create(
                        model=model,
                        messages=[{"role": "user", "content": prompt}],
                        temperature=1.0,
                        max_tokens=tokens,
                        seed=0,
                    )
                return answer.usage.completion_tokens

            return sum(await asyncio.gather(*map(ask, prompts)))

    return asyncio.run(run())


def ours(url: str, model: str, prompts: list[str], tokens: int, stream: bool = False) -> int:
    """The same through `generate`: every answer is cut at --tokens, and so rejected, written."""
    with tempfile.TemporaryDirectory() as folder:
        teacher = OpenAIGenerator(url, model, stream=stream)
        path = Path(folder) / "a.jsonl"
        answers = generate(prompts, teacher, path, max_new_tokens=tokens, seed=0)
        return sum(row["tokens"][1] for row in (*answers.rows, *answers.rejected))


def line_up(url: str, model: str, prompts: list[str], tokens: int) -> dict[str, Contender]:
    """Who is measured: the bare client at each concurrency, and `generate` as it comes."""
    swept = {f"bare, {n} at once": partial(bare, url, model, prompts, tokens, n) for n in SWEEP}
    mine = partial(ours, url, model, prompts, tokens)
    return {**swept, "generate": mine, "generate, streamed": partial(mine, stream=True)}


def measure(contenders: dict[str, Contender], rounds: int, expected: int) -> dict[str, list[float]]:
    """Tokens a second of each, round by round; the first round warms up."""
    speeds_by_name: dict[str, list[float]] = {name: [] for name in contenders}
    for turn in range(rounds + 1):
        for name, run in contenders.items():
            began = time.perf_counter()
            tokens = run()
            taken = time.perf_counter() - began
            if tokens != expected:
                raise SystemExit(f"{name}: {tokens} tokens where {expected} were asked for")
            if turn:
                speeds_by_name[name].append(tokens / taken)
    return speeds_by_name


def rows(work: str, speeds_by_name: dict[str, list[float]]) -> list[Row]:
    """`generate` against the server's best and against one at a time, ratios round by round."""
    best = max(
        (f"bare, {n} at once" for n in SWEEP), key=lambda n: statistics.median(speeds_by_name[n])
    )
    mine, lines = speeds_by_name["generate"], []
    for peer, name in (("the server's best", best), ("sequential", "bare, 1 at once")):
        ratios = [a / b for a, b in zip(mine, speeds_by_name[name], strict=True)]
        median, target = statistics.median(ratios), TARGET if name == best else None
        lines.append(
            Row(
                work,
                f"{peer} ({name})",
                statistics.median(mine),
                statistics.median(speeds_by_name[name]),
                "tokens/s",
                min(ratios),
                median,
                max(ratios),
                target,
                at_least=True,
                met=None if target is None else median >= target,
                note=NOTE,
            )
        )
    return lines


def main() -> None:
    """Start the servers, run the rounds, print the tables."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--prompts", type=int, default=192)
    options.add_argument("--tokens", type=int, default=32)
    options.add_argument("--quick", action="store_true", help="only to see that it works")
    options.add_argument("--short-only", action="store_true", help="the short answers alone")
    options.add_argument("--json", help="write the rows to this file")
    arguments = options.parse_args()
    if arguments.quick:
        arguments.rounds, arguments.prompts, arguments.tokens = 1, 32, 8
    prompts = [f"{a} {b} {c}" for a in WORDS for b in WORDS for c in WORDS][: arguments.prompts]
    print(
        f"{platform.machine()}, transformers {transformers.__version__}, openai "
        f"{openai.__version__}, {arguments.prompts} prompts of {arguments.tokens} tokens"
    )
    lines = short_answers.rows(arguments.rounds, 4 if arguments.quick else short_answers.TURNS)
    if arguments.short_only:
        show(lines)
        finish(lines, arguments.json)
        return
    with tempfile.TemporaryDirectory() as folder:
        model = save(Path(folder) / "tiny", hidden=64, layers=4, endless=True)
        for work, some, flags in (
            ("one at a time", prompts[: max(16, len(prompts) // 8)], []),
            ("continuous batching", prompts, ["--continuous-batching", "--cb-num-blocks", "512"]),
        ):
            with Server(model, None, *flags) as server:
                contenders = line_up(server.url, str(model), some, arguments.tokens)
                speeds_by_name = measure(contenders, arguments.rounds, len(some) * arguments.tokens)
            print(f"\nserver: {work}\n{'':24}{'tokens/s: min':>14}{'median':>9}{'max':>9}")
            for name, speeds in speeds_by_name.items():
                low, mid, high = min(speeds), statistics.median(speeds), max(speeds)
                print(f"{name:24}{low:>14,.0f}{mid:>9,.0f}{high:>9,.0f}")
            lines += rows(f"generate, server with {work}", speeds_by_name)
    show(lines)
    finish(lines, arguments.json)


if __name__ == "__main__":
    main()
