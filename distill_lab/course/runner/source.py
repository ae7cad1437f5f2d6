"""Is a notebook fit to run: papermill would pass a misspelt parameter with a mere log line."""

from __future__ import annotations

import ast
import difflib
from pathlib import Path

import nbformat

from distill_lab.course.runner.findings import Finding

PARAMETERS = ("PROFILE", "SEED")


def read_notebook(path: Path) -> nbformat.NotebookNode:
    """Read and validate a notebook of format 4; raises ValueError in words."""
    try:
        nb = nbformat.read(path, as_version=4)
        nbformat.validate(nb)
    except Exception as error:  # nbformat raises its own, json's and jsonschema's errors
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ValueError(
            f"expected a notebook of format 4 in {path.name}, but it cannot be read ({reason}): "
            "restore the file from git, or save it once from JupyterLab."
        ) from error
    return nb


def check_parameters(nb: nbformat.NotebookNode) -> list[Finding]:
    """The cell tagged `parameters` must set exactly PROFILE and SEED to plain scalars."""
    tagged = [cell for cell in nb.cells if "parameters" in cell.metadata.get("tags", [])]
    if len(tagged) != 1:
        return [
            Finding(
                "parameters cell",
                f"expected one cell tagged `parameters`, but found {len(tagged)}: give the "
                'first code cell, with PROFILE = "quick" and SEED = 0, that tag and no other cell.',
            )
        ]
    try:
        bound = _scalars(tagged[0].source)
    except SyntaxError as error:
        return [Finding("parameters cell", f"the parameters cell is not Python ({error.msg}).")]
    missing = [name for name in PARAMETERS if name not in bound]
    findings = []
    for name in missing:
        near = difflib.get_close_matches(name, [f for f in bound if f not in PARAMETERS], 1, 0.5)
        hint = (
            f"did you mean {name} where it says {near[0]}?" if near else f"add the line {name} = …"
        )
        findings.append(
            Finding(
                "misspelt parameter",
                f"expected the parameters cell to set {name}, but it sets "
                f"{', '.join(bound) or 'none'}; the run would silently use another value: {hint}",
            )
        )
    extra = [name for name in bound if name not in PARAMETERS]
    if extra and not missing:
        findings.append(
            Finding(
                "misspelt parameter",
                f"expected the parameters cell to set PROFILE and SEED alone, but it also sets "
                f"{', '.join(extra)}: move it to a cell of its own.",
            )
        )
    return findings


def _scalars(source: str) -> list[str]:
    """Names that the cell binds to a plain constant."""
    names = []
    for statement in ast.parse(source).body:
        if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Constant):
            names += [target.id for target in statement.targets if isinstance(target, ast.Name)]
    return names
