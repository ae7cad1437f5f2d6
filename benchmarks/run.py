"""Run every benchmark and keep the tables: benchmarks/RESULTS.md, with date, machine and versions.

    python benchmarks/run.py [--quick] [--only training_step] [--out benchmarks/RESULTS.md]

`make bench` calls this in an environment that holds the peers as well. A benchmark that fails is
named in the result; the others still run. With --only, what was measured before stays in the file.
"""

import argparse
import datetime
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import torch
from table import HEAD, Row, cells, machine, versions

HERE = Path(__file__).resolve().parent
TITLES = {
    "training_step": "One step of the loop",
    "vocabulary": "Large vocabularies",
    "cache": "Teachers asked once",
    "serving": "A served teacher",
    "slider": "From key press to picture",
    "attention_walk": "The attention walk, from key press to picture",
}


def measure(name: str, quick: bool, folder: Path) -> tuple[list[Row], str]:
    """Run one benchmark; its rows, or why there are none."""
    found = folder / f"{name}.json"
    found.unlink(missing_ok=True)
    command = [sys.executable, str(HERE / f"{name}.py"), "--json", str(found)]
    began = time.monotonic()
    done = subprocess.run(command + ["--quick"] * quick, cwd=HERE.parent, env=os.environ)
    took = f"{time.monotonic() - began:.0f} s"
    if done.returncode or not found.exists():
        return [], f"not measured: {name}.py ended with {done.returncode} after {took}"
    rows = json.loads(found.read_text(encoding="utf-8"))
    known = Row.__dataclass_fields__.keys()
    return [Row(**{k: v for k, v in row.items() if k in known}) for row in rows], f"took {took}"


def section(name: str, rows: list[Row], note: str) -> str:
    """One benchmark as Markdown."""
    lines = [f"## {TITLES.get(name, name)}", "", f"`benchmarks/{name}.py`, {note}.", ""]
    if rows:
        lines += ["| " + " | ".join(HEAD) + " |", "| " + " | ".join("---" for _ in HEAD) + " |"]
        lines += ["| " + " | ".join(cells(row)) + " |" for row in rows]
        notes = dict.fromkeys(row.note for row in rows if row.note)
        lines += ["", *(f"- {note}" for note in notes)] if notes else []
    return "\n".join(lines).rstrip() + "\n"


def assemble(folder: Path, out: Path) -> None:
    """Put the sections there are into one file, whole or not at all."""
    parts = [folder / f"{name}.md" for name in TITLES]
    head = (
        "# Measured side by side\n\nWritten by `make bench`. Ours and the peers take turns in one "
        "run; ratios are ours / theirs, round by\nround: median [lowest, highest]. Under 1 means "
        "ours is faster or smaller.\n\n"
        f"- Machine: {machine()}.\n- Versions: {versions()}.\n"
        f"{'' if torch.cuda.is_available() else '- On a GPU: not measured, none was at hand.'}\n\n"
    )
    body = "\n".join(part.read_text(encoding="utf-8") for part in parts if part.exists())
    beside = out.with_name(f".{out.name}.partial")
    beside.write_text(head + body, encoding="utf-8")
    os.replace(beside, out)


def main() -> None:
    """Measure, write the file, say where it is."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--quick", action="store_true", help="few rounds: to see that it works")
    options.add_argument("--only", choices=sorted(TITLES), action="append", help="just this one")
    options.add_argument("--out", type=Path, default=HERE / "RESULTS.md")
    asked = options.parse_args()
    folder = HERE.parent / "build" / "bench"
    folder.mkdir(parents=True, exist_ok=True)
    wanted = asked.only or [name for name in TITLES if (HERE / f"{name}.py").exists()]
    for name in wanted:
        print(f"== {TITLES[name]}", flush=True)
        rows, note = measure(name, asked.quick, folder)
        today = datetime.date.today().isoformat()
        text = section(name, rows, f"{today}, {note}{', --quick' if asked.quick else ''}")
        (folder / f"{name}.md").write_text(text, encoding="utf-8")
    assemble(folder, asked.out)
    print(f"\nThe tables are in {os.path.relpath(asked.out)}.")


if __name__ == "__main__":
    main()
