"""Run every benchmark and keep the tables: benchmarks/RESULTS.md, with date, machine and versions.

    python benchmarks/run.py [--quick] [--only training_step,latency] [--out benchmarks/RESULTS.md]

`make bench` calls this in an environment that holds the peers as well. A benchmark that fails is
named in the result; the others still run. What is not measured this time stays in the file as it
was, with the date and the machine of its own: the table of a GPU, too, where there is none.
"""

import argparse
import datetime
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import torch
from table import HEAD, Row, cells, machine, versions

from distill_lab._util.io import write_whole

HERE = Path(__file__).resolve().parent


class Bench(NamedTuple):
    """A script, how it is called, and what its section is called."""

    title: str
    script: str
    arguments: tuple[str, ...] = ()
    on_a_gpu: bool = False


BENCHES = {
    "training_step": Bench("One step of the loop", "training_step.py"),
    "seeds": Bench("Many seeds as one", "seeds.py"),
    "arms": Bench("Arms side by side", "arms.py"),
    "vocabulary": Bench("Large vocabularies", "vocabulary.py", ("--device", "cpu")),
    "vocabulary_gpu": Bench(
        "Large vocabularies, on a GPU", "vocabulary.py", ("--device", "cuda"), on_a_gpu=True
    ),
    "token_step": Bench("A step of a language model's job", "token_step.py"),
    "cache": Bench("Teachers asked once", "cache.py"),
    "texts": Bench("Rows made into tokens on disk", "texts.py"),
    "workers": Bench("Data read ahead", "workers.py"),
    "tagging": Bench("Padding left out of a tagger's terms", "tagging.py"),
    "latency": Bench("Latency of small and large models in one report", "latency.py"),
    "local_answers": Bench("Answers of a model in this process", "local_answers.py"),
    "serving": Bench("A served teacher", "serving.py"),
    "slider": Bench("From key press to picture", "slider.py"),
    "attention_walk": Bench("The attention walk, from key press to picture", "attention_walk.py"),
}
ABOUT = """# Measured side by side

Written by `make bench`. Ours and the peers take turns in one run; ratios are ours / theirs, round
by round: median [lowest, highest]. Under 1 means ours is faster or smaller.

"""


def measure(bench: Bench, quick: bool) -> tuple[list[Row], str]:
    """Run one benchmark; its rows, or why there are none."""
    if bench.on_a_gpu and not torch.cuda.is_available():
        return [], "not measured: no GPU was at hand"
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "rows.json"
        command = [sys.executable, str(HERE / bench.script), *bench.arguments, "--json", str(file)]
        began = time.monotonic()
        done = subprocess.run(command + ["--quick"] * quick, cwd=HERE.parent, env=os.environ)
        took = f"{time.monotonic() - began:.0f} s"
        if done.returncode or not file.exists():
            return [], f"not measured: it ended with {done.returncode} after {took}"
        rows = json.loads(file.read_text(encoding="utf-8"))
    known = Row.__dataclass_fields__.keys()
    return [Row(**{k: v for k, v in row.items() if k in known}) for row in rows], f"took {took}"


def section(bench: Bench, rows: list[Row], note: str) -> str:
    """One benchmark as Markdown, without its title."""
    call = " ".join((f"benchmarks/{bench.script}", *bench.arguments))
    lines = [f"`{call}`, {note}.", ""]
    if rows:
        lines += [f"{machine()}; {versions()}.", ""]
        lines += ["| " + " | ".join(HEAD) + " |", "| " + " | ".join("---" for _ in HEAD) + " |"]
        lines += ["| " + " | ".join(cells(row)) + " |" for row in rows]
        notes = dict.fromkeys(row.note for row in rows if row.note)
        lines += ["", *(f"- {note}" for note in notes)] if notes else []
    return "\n".join(lines).strip() + "\n"


def kept(out: Path) -> dict[str, str]:
    """The sections of an earlier file: title to text."""
    parts = out.read_text(encoding="utf-8").split("\n## ")[1:] if out.exists() else []
    pairs = (part.split("\n", 1) for part in parts)
    return {title: text.strip() + "\n" for title, text in pairs}


def write(sections: dict[str, str], out: Path) -> None:
    """All sections in one file, whole or not at all."""
    titles = [bench.title for bench in BENCHES.values() if bench.title in sections]
    body = "\n".join(f"## {title}\n\n{sections[title]}" for title in titles)
    write_whole(out, (ABOUT + body).encode())


def chosen(names: str) -> list[str]:
    """The benchmarks that were named, in the order of the table."""
    given = names.split(",")
    if unknown := sorted(set(given) - set(BENCHES)):
        raise argparse.ArgumentTypeError(
            f"no benchmark {', '.join(unknown)}: expected {', '.join(BENCHES)}"
        )
    return [name for name in BENCHES if name in given]


def main() -> None:
    """Measure, write the file, say where it is."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few rounds: to see that it works")
    names = ", ".join(BENCHES)
    parser.add_argument("--only", type=chosen, metavar="NAME,NAME", help=f"just these: {names}")
    parser.add_argument("--out", type=Path, default=HERE / "RESULTS.md")
    options = parser.parse_args()
    sections = kept(options.out)
    for name in options.only or BENCHES:
        bench = BENCHES[name]
        print(f"== {bench.title}", flush=True)
        rows, note = measure(bench, options.quick)
        if not rows and bench.title in sections:
            print(f"{note}; what was measured before stays")
            continue
        today = datetime.date.today().isoformat()
        note = f"{today}, {note}{', --quick' if options.quick else ''}"
        sections[bench.title] = section(bench, rows, note)
        write(sections, options.out)
    print(f"\nThe tables are in {os.path.relpath(options.out)}.")


if __name__ == "__main__":
    main()
