"""What a notebook tells the runner: records under a private MIME type, in cells or in widgets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from nbformat import NotebookNode

from distill_lab.course.records import MIME

WIDGET_VIEW_MIME = "application/vnd.jupyter.widget-view+json"
WIDGET_STATE_MIME = "application/vnd.jupyter.widget-state+json"
INJECTED = "injected-parameters"


def own_cells(nb: NotebookNode) -> list[NotebookNode]:
    """The author's cells, without the one papermill put in: so numbers agree with the source."""
    return [cell for cell in nb.cells if INJECTED not in cell.metadata.get("tags", [])]


def widget_models(nb: NotebookNode) -> dict[str, dict[str, Any]]:
    """Model id to model (`model_name`, `state`) for every widget the kernel left behind.

    Other tools write other things there, Colab the models without `state` around them: what is no
    state is no widget.
    """
    saved: Any = nb.metadata.get("widgets")
    for name in (WIDGET_STATE_MIME, "state"):
        saved = saved.get(name) if isinstance(saved, dict) else None
    models = saved.items() if isinstance(saved, dict) else ()
    return {name: model for name, model in models if isinstance(model, dict)}


def inside(model_id: str, models: dict[str, dict[str, Any]]) -> set[str]:
    """The ids of a widget and of everything it contains."""
    seen: set[str] = set()
    waiting = [model_id]
    while waiting:
        current = waiting.pop()
        if current in seen or current not in models:
            continue
        seen.add(current)
        waiting += _references(models[current].get("state", {}))
    return seen


def _references(value: Any) -> list[str]:
    if isinstance(value, str) and value.startswith("IPY_MODEL_"):
        return [value.removeprefix("IPY_MODEL_")]
    if isinstance(value, dict):
        return [name for item in value.values() for name in _references(item)]
    if isinstance(value, list):
        return [name for item in value for name in _references(item)]
    return []


def widget_outputs(nb: NotebookNode) -> Iterator[tuple[NotebookNode | None, dict[str, Any]]]:
    """Each output caught by an Output widget, with the cell that shows it (None: no cell does)."""
    models = widget_models(nb)
    shown: dict[str, NotebookNode] = {}
    for cell in nb.cells:
        for output in cell.get("outputs", []):
            view = output.get("data", {}).get(WIDGET_VIEW_MIME) or {}
            for model_id in inside(view.get("model_id", ""), models):
                shown.setdefault(model_id, cell)
    for model_id, model in models.items():
        if model.get("model_name") == "OutputModel":
            for output in (model.get("state") or {}).get("outputs") or []:
                yield shown.get(model_id), output


def records(nb: NotebookNode) -> list[tuple[NotebookNode | None, dict[str, Any]]]:
    """Every record in the order shown, with its cell."""
    pairs = []
    outputs = [(cell, output) for cell in nb.cells for output in cell.get("outputs", [])]
    for cell, output in [*outputs, *widget_outputs(nb)]:
        record = output.get("data", {}).get(MIME)
        if isinstance(record, dict):
            pairs.append((cell, dict(record)))
    return pairs


def claims(nb: NotebookNode) -> list[dict[str, Any]]:
    """The claim records alone."""
    return [record for _, record in records(nb) if record.get("kind") == "claim"]
