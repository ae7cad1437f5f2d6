"""Prepare many rows as a language model's job does: `many_rows.py FOLDER ROWS`, figures as JSON."""

import itertools
import json
import random
import resource
import sys
import time
from pathlib import Path

from distill_lab.jobs.job import Job
from distill_lab.jobs.rows import read_exchanges, texts_of
from tests.data.test_tokenized import words_tokenizer


def write(path: Path, rows: int) -> None:
    """Rows of 60 tokens, a letter each, with what stands around them."""
    dice = random.Random(0)
    with open(path, "w", encoding="utf-8") as file:
        for _ in range(rows):
            letters = "".join(dice.choices("abcdefghij", k=57))
            file.write(json.dumps({"prompt": letters[:30], "answer": letters[30:]}) + "\n")


def peak() -> float:
    """Bytes of memory at their height."""
    scale = 1 if sys.platform == "darwin" else 1024
    return scale * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def main(folder: Path, rows: int) -> None:
    """Tokenise once, then open again."""
    path, tokenizer = folder / "rows.jsonl", words_tokenizer()
    write(path, rows)
    job = Job.of(student="s", train=str(path), out=str(folder / "out"), method="sft")
    figures = {"before": peak(), "size": path.stat().st_size}
    calls = itertools.count()
    for what in ("first", "again"):
        began, cpu = time.perf_counter(), time.process_time()
        texts = texts_of(read_exchanges(job, job.train), tokenizer, 64, lambda line: None, "train")
        figures[what] = {
            "seconds": time.perf_counter() - began,
            "cpu": time.process_time() - cpu,
            "peak": peak(),
            "texts": len(texts),
            "tokens": int(texts.lengths.sum()),
            "name": texts.fingerprint,
        }
        type(tokenizer).__call__ = lambda *_, **__: next(calls)  # whoever asks again is counted
    figures["calls"] = next(calls)
    print(json.dumps(figures))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
