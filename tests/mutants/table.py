"""The table of mistakes, for people (TABLE.md) and for a lesson (table.json)."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from distill_lab._util.io import write_whole

HERE = Path(__file__).parent


def write(
    results: Sequence[Any], clean: dict[str, Any], order: Sequence[str], folder: Path = HERE
) -> None:
    """Write both files from what was measured: figures without the mistake and with it.

    Of the mutants in ``order`` that were not tried this time, the rows stay as they are.
    """
    file = folder / "table.json"
    kept = json.loads(file.read_text(encoding="utf-8")) if file.exists() else []
    by_id = {row["id"]: row for row in [*kept, *(_row(result, clean) for result in results)]}
    rows = [by_id[name] for name in order if name in by_id]
    write_whole(file, (json.dumps(rows, indent=1, ensure_ascii=False) + "\n").encode())
    write_whole(folder / "TABLE.md", _markdown(rows).encode())


def _row(result: Any, clean: dict[str, Any]) -> dict[str, Any]:
    mutant = result.mutant
    row = {
        "id": mutant.id,
        "mistake": mutant.mistake,
        "seen": mutant.seen,
        "file": f"distill_lab/{mutant.file}",
        "right": mutant.before,
        "wrong": mutant.after,
        "test": f"tests/{mutant.test}",
        "outcome": result.outcome,
    }
    if mutant.measure:
        from tests.mutants import numbers  # only here: it stands on nothing but its functions

        says = " ".join((getattr(numbers, mutant.measure).__doc__ or "").split()).rstrip(".")
        row["figure"] = {
            "says": says,
            "right": _short(clean.get(mutant.measure)),
            "wrong": _short(result.numbers.get(mutant.measure)),
        }
    return row


def _short(value: Any) -> Any:
    return float(f"{value:.4g}") if isinstance(value, float) else value


def _shown(value: Any) -> str:
    return f"{value:,g}" if isinstance(value, float) else str(value)


def _markdown(rows: Sequence[dict[str, Any]]) -> str:
    killed = sum(row["outcome"] == "killed" for row in rows)
    lines = [
        "# Known mistakes, put back and caught",
        "",
        f"{killed} of {len(rows)} mutants killed. Written by `make mutants ARGS=--table`; the",
        "figures are those of the package as it was then, without the mistake and with it.",
        "",
        "| mistake | seen in | what it does | caught by |",
        "| --- | --- | --- | --- |",
    ]
    for row in rows:
        figure = row.get("figure")
        effect = "–"
        if figure:
            effect = f"{figure['says']}: {_shown(figure['right'])} → {_shown(figure['wrong'])}"
        test = row["test"].split("::")[-1]
        cells = [row["mistake"], row["seen"] or "–", effect, f"`{test}`"]
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"
