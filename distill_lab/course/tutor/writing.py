"""What a built tutor leaves on disk: the model, its report, a page to read, checksums."""

from __future__ import annotations

import hashlib
import json
import os
import platform
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from distill_lab._util.io import write_whole
from distill_lab.course.machine import processor

__all__ = ["COMMAND", "made_on", "publish"]

COMMAND = "python -m distill_lab.course.tutor build"
MOST = 10 * 2**20  # bytes of the model on disk


def publish(report: dict[str, Any], work: Path, out: Path) -> None:
    """Put the tutor in `work` into `out` with its report, a README and checksums.

    Raises ValueError where the model is larger than 10 MB.
    """
    files = {file.name: file.read_bytes() for file in sorted((work / "tutor" / "model").iterdir())}
    if (size := sum(map(len, files.values()))) > MOST:
        raise ValueError(
            f"the tutor must fit in {MOST / 2**20:.0f} MB to travel with the course; it has "
            f"{size / 2**20:.1f} MB. Make it narrower, or its vocabulary smaller."
        )
    full_report = report | {"bytes": size}
    files["report.json"] = (json.dumps(full_report, indent=1) + "\n").encode()
    sums = "".join(f"{hashlib.sha256(files[name]).hexdigest()}  {name}\n" for name in sorted(files))
    files |= {"README.md": page(full_report).encode(), "SHA256SUMS": sums.encode()}
    for name, content in files.items():
        write_whole(out / name, content)


def made_on(device: torch.device) -> dict[str, str]:
    """When and on what, in general words: no names and no paths."""
    gpu = f"{torch.cuda.get_device_name(device)}, " if device.type == "cuda" else ""
    return {
        "command": COMMAND if device.type == "cpu" else f"{COMMAND} --device {device.type}",
        "date": datetime.now(UTC).date().isoformat(),
        "machine": f"{gpu}{processor()}, {os.cpu_count()} cores, {platform.system()} "
        f"{platform.machine()}, torch {torch.__version__}",
    }


def page(report: dict[str, Any]) -> str:
    """The README beside the model, from the report alone."""
    tutor, control, recipe = report["tutor"], report.get("control"), report["recipe"]
    made = tutor["made"]
    size, seen = recipe["size"], sum(part["talks_seen"] for part in tutor["training"].values())
    head = "| world | tutor | out of distribution |"
    rule = "| --- | --- | --- |"
    if control:
        head, rule = head + " a smaller network | out of distribution |", rule + " --- | --- |"
    rows = []
    for world, right in tutor["right"].items():
        others = [control["right"][world]] if control else []
        cells = [f"{x:.1f} %" for one in (right, *others) for x in (one["test"], one["ood"])]
        rows.append(f"| {world} | {' | '.join(cells)} |")
    parts = [
        f"- **{part['name']}**: {part['steps']:,} steps, lr {part['lr']} {part['schedule']}, "
        f"{part['prompts']} x the loss of the prompts beside that of the answers, "
        f"{tutor['training'][part['name']]['minutes']} minutes."
        for part in recipe["parts"]
    ]
    compare = (
        f"The smaller network has {control['parameters']:,} parameters "
        f"({100 * control['parameters'] / tutor['parameters']:.0f} % of the tutor's) and saw the\n"
        f"same conversations in the same order, in {control['minutes']} minutes."
        if control
        else "The smaller network that the recipe trains beside it was not trained yet."
    )
    return f"""# The tutor

A small causal language model that this project trained on text it made itself: a
`LlamaForCausalLM` of {tutor["parameters"]:,} parameters ({size["layers"]} blocks of width
{size["width"]}, vocabulary {recipe["vocabulary"]:,}), in half precision, with its tokenizer and
chat template. It answers the five text worlds of `distill_lab.course.worlds` and nothing else.

    {made["command"]}

makes it again from seed {recipe["seed"]}. It saw {seen:,} conversations with gold answers (a text,
and up to five questions about it), in batches of {recipe["batch_size"]}, in our own loop, with
`optimizer="{recipe["optimizer"]}"`:

{chr(10).join(parts)}

Made on {made["date"]}: {made["machine"]}.
The minutes are those of the training itself, on a machine shared with other work. Another
processor may round differently, and so end with other weights.

## Verified answers

Greedy, {recipe["tested"]} tasks a cell that training does not hold, judged by the verifiers.

{chr(10).join([head, rule, *rows])}

Out of distribution the names, goods and figures are ones that training never has, and the texts are
longer: only what does not hang on them is right.

{compare}
`report.json` has every figure, and the loss of each hundred steps. `SHA256SUMS` has the checksums:
`sha256sum -c SHA256SUMS` in this folder.
"""
