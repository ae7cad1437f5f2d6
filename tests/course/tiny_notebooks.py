"""Build small notebooks for the runner's tests. They show records by their MIME type alone, so a
fault in the teaching kit cannot hide a fault in the runner."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from distill_lab.course.lessons import read_lesson

MIME = "application/vnd.distill-lab.record+json"
PARAMETERS = 'PROFILE = "quick"\nSEED = 0'
OPEN = f"""from IPython.display import display
def show(kind, **record):
    data = {{"text/plain": kind, "text/html": f"<p>{{kind}}</p>"}}
    display({{**data, "{MIME}": dict(record, kind=kind)}}, raw=True)
show("lesson", lesson="x", profile=PROFILE, seed=SEED, versions={{}})"""
CLAIM = '["{}"]\nsays = "S"\nif_not = "N"\n'
CLAIM += 'paper = "p"\nwhere = "w"\npublished = "x"\nexpected = "above"\n'
CLOSE = 'show("close", lesson="x", claims=[])'


def claim(name: str = "1.a", **changes: Any) -> str:
    """Source of a cell that shows a claim record."""
    record = {
        "id": name,
        "lesson": "x",
        "says": "soft targets help where labels are few",
        "paper": "Hinton, Vinyals & Dean 2015",
        "where": "section 3",
        "published": "13.2 %",
        "ours": "11.9 %",
        "unit": "points",
        "mean": 2.5,
        "low": 1.0,
        "high": 4.0,
        "level": 0.95,
        "interval_kind": "paired Student-t, 95 %",
        "n": 5,
        "wins": 5,
        "sd": 1.2,
        "expected": "above",
        "threshold": 0.0,
        "margin": None,
        "verdict": "holds",
        "negative": False,
        "seconds": 0.1,
        "profile": "quick",
        "seed": 0,
        **changes,
    }
    return f'show("claim", **{record!r})'


def notebook(
    path: Path,
    *cells: str,
    parameters: str | None = PARAMETERS,
    opened: str = OPEN,
    closed: str = CLOSE,
    tags: dict[int, list[str]] | None = None,
    claims: Sequence[str] = (),
    **about: Any,
) -> Path:
    """Write a notebook: heading, parameters, Lesson, the given cells (`md:` makes prose), close.

    `claims` are registered in the lesson's own folder beside it.
    """
    made = [new_markdown_cell("# A small lesson")]
    if parameters is not None:
        made.append(new_code_cell(parameters, metadata={"tags": ["parameters"]}))
    made += [new_code_cell(opened)] if opened else []
    for index, cell in enumerate(cells):
        if cell.startswith("md:"):
            made.append(new_markdown_cell(cell.removeprefix("md:")))
        else:
            meta = {"tags": tags[index]} if tags and index in tags else {}
            made.append(new_code_cell(cell, metadata=meta))
    made += [new_code_cell(closed)] if closed else []
    nb = new_notebook(
        cells=made,
        metadata={
            "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"},
            "distill_lab": {"title": path.stem, "minutes": 5, **about},
        },
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(nb, path)
    if claims:
        folder = read_lesson(path).folder
        folder.mkdir(exist_ok=True)
        (folder / "claims.toml").write_text("".join(map(CLAIM.format, claims)))
    return path
