"""The forms that a job writes its student in, measured on the held-out data beside the student."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from distill_lab._util.io import write_whole
from distill_lab._util.jsonl import in_words
from distill_lab.jobs.exporting import export, load_form
from distill_lab.jobs.setups.setup import Log, Setup

TITLE = "## Other forms of the student"


def write_forms(
    setup: Setup, student: Any, forms: Sequence[str], folder: Path, log: Log = lambda line: None
) -> Mapping[str, Any]:
    """Write a student in other forms, check and measure each, and add them to the job's report.

    Args:
        setup: the job's; says what they are tried and measured on.
        student: the trained one.
        forms: as in `exporting.FORMS`.
        folder: where the student is; the report lies beside it.
        log: called with what is done.

    Returns:
        The figures of the student and of each form.

    Raises:
        ValueError: for a form that answers otherwise than the student.
        OSError: for what cannot be written, in words.
    """
    if not forms:
        return {}
    held_out, learned = setup.examples()
    lines = []
    for form in forms:
        exported = export(folder, form, log, inputs=held_out, learned=learned)
        log(str(exported))
        lines.append(f"- {exported}")
    log("measuring the forms of the student")
    result = setup.compare({"student": student} | {f: load_form(folder, f) for f in forms})
    text = "\n".join(lines) + (f"\n\n{result.text}" if result else "")
    figures = result.facts if result else {}
    with in_words(path := folder.parent / "report.json"):
        facts = json.loads(path.read_text(encoding="utf-8")) | {"forms": figures}
        write_whole(path, json.dumps(facts, indent=1).encode())
    with in_words(path := folder.parent / "report.md"):
        before = path.read_text(encoding="utf-8").partition(TITLE)[0].rstrip()
        write_whole(path, f"{before}\n\n{TITLE}\n\n{text}\n".encode())
    return figures
