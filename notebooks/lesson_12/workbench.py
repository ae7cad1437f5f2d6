"""A small workbench: choose, press *Train*, and the run joins a scoreboard with its interval.

A press trains every seed at once. Nothing trains while a slider moves. The scoreboard outlives
the cell: run again, the cell shows what was run before. The training itself is passed in, as any
function `train(settings, progress) -> Run`; `progress(terms, step, steps)` is what the engine's
`distill_seeds(progress=…)` calls, so it can be handed on as it is.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any

import ipywidgets

from distill_lab.course.widgets.controls import choice, slider, steps
from distill_lab.course.widgets.live import complaint, in_words
from lesson_12 import figures
from lesson_12.figures import Run, Settings

__all__ = ["Run", "Settings", "Workbench", "workbench"]

Progress = Callable[[Mapping[str, float], int, int], None]
Train = Callable[[Settings, Progress], Run]

SECONDS_BETWEEN = 0.1  # progress messages: more would only queue up in the browser
_ROWS_HEIGHT, _STATUS_HEIGHT = "216px", "80px"
_BOARDS: dict[Any, list[tuple[Settings, Run]]] = {}  # as long as the kernel lives


class Workbench(ipywidgets.VBox):
    """The workbench's widgets; made by `workbench`.

    `settings` is what is chosen now, `rows` what has been run. `train()` does what the button
    does, in a cell: it returns the run, and an error stops the cell.
    """

    def __init__(
        self, train: Train, controls: dict[str, ipywidgets.Widget], rows: list[tuple[Settings, Run]]
    ) -> None:
        self._train, self.controls, self.rows = train, controls, rows
        self.name = getattr(train, "__name__", "train")
        self.train_button = ipywidgets.Button(
            description="Train",
            button_style="primary",
            tooltip="train all seeds with these settings",
        )
        self.clear_button = ipywidgets.Button(
            description="Clear", tooltip="empty the scoreboard", disabled=True
        )
        self.status = ipywidgets.HTML(layout={"height": _STATUS_HEIGHT, "width": "100%"})
        self.picture = ipywidgets.HTML(layout={"height": f"{figures.HEIGHT + 8}px"})
        self.table = ipywidgets.HTML(layout={"height": _ROWS_HEIGHT, "overflow": "hidden auto"})
        choices = ipywidgets.Box(list(controls.values()), layout={"flex_flow": "row wrap"})
        buttons = ipywidgets.HBox([self.train_button, self.clear_button])
        super().__init__([choices, buttons, self.status, self.picture, self.table])
        for control in controls.values():
            control.observe(lambda _: self._ready(), "value")
        self.train_button.on_click(lambda _: self.train())
        self.clear_button.on_click(lambda _: self.clear())
        self._show_rows()
        self._ready()

    @property
    def settings(self) -> Settings:
        """What is chosen now."""
        chosen = {name: control.value for name, control in self.controls.items()}
        for name in ("T", "alpha"):
            chosen[name] = round(chosen[name], 6)
        return Settings(**chosen)

    @property
    def call(self) -> str:
        """The code that does the next run without the workbench."""
        return f"{self.name}({self.settings!r}, progress=print)"

    def train(self) -> Run:
        """Train with the present settings and add the run to the scoreboard.

        Settings that stand on it are not trained again: the same seeds give the same result.
        Whatever goes wrong is shown as a sentence and raised.
        """
        chosen, began = self.settings, time.perf_counter()
        for number, (settings, run) in enumerate(self.rows, start=1):
            if settings == chosen:
                self._ready(f"On the scoreboard already, as run {number}: change a setting.")
                return run
        self._busy(True)
        try:
            self.status.value = _bar("starting", 0, 1)
            run = self._train(chosen, self._progress())
            if not isinstance(run, Run):
                raise TypeError(f"{self.name} must return a Run, got {type(run).__name__}")
        except BaseException as error:  # an interrupt from the keyboard too
            self.status.value = complaint(
                "This run did not join the scoreboard.", error, "Change the settings, or try again."
            )
            raise
        finally:
            self._busy(False)
        seconds = time.perf_counter() - began
        if run.seconds is None:
            run = Run(**{**vars(run), "seconds": seconds})
        self.rows.append((chosen, run))
        self._show_rows()
        of = run.difference
        summary = (
            f"Run {len(self.rows)}, {of.n} seeds: distilled {run.mean:.1f} %, labels alone "
            f"{run.baseline_mean:.1f} %, difference {of.mean:+.1f} points "
            f"[{of.low:.1f}, {of.high:.1f}], {seconds:.1f} seconds."
        )
        self._ready(summary.replace("-", "−"))
        return run

    def clear(self) -> None:
        """Empty the scoreboard."""
        self.rows.clear()
        self._show_rows()
        self._ready()

    def _ready(self, text: str = "Ready.") -> None:
        self.status.value = (
            f'<div style="line-height:1.5"><div role="status" aria-live="polite">{escape(text)}'
            f'</div>the next run as code: <code class="dl-call">{escape(self.call)}</code></div>'
        )

    def _progress(self) -> Progress:
        last = -SECONDS_BETWEEN

        def show(terms: Mapping[str, float], step: int, steps: int) -> None:
            nonlocal last
            now = time.perf_counter()
            if now - last < SECONDS_BETWEEN and step < steps:
                return
            last = now
            values = ", ".join(f"{name} {value:.3f}" for name, value in terms.items())
            self.status.value = _bar(f"step {step} of {steps}: {values}", step, steps)

        return show

    def _busy(self, busy: bool) -> None:
        self.train_button.disabled = busy
        self.train_button.description = "Training …" if busy else "Train"
        self.clear_button.disabled = busy or not self.rows

    def _show_rows(self) -> None:
        self.table.value = figures.render_table(self.rows)
        self.picture.value = figures.render_runs(self.rows)
        self.clear_button.disabled = not self.rows

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> Any:
        bundle = super()._repr_mimebundle_(include=include, exclude=exclude)
        return in_words(bundle, f"{self.call}  # a workbench: run the notebook to use it")


def workbench(
    train: Train,
    *,
    teachers: Sequence[str],
    widths: Sequence[int],
    labels: Sequence[int],
    T: float = 4.0,
    alpha: float = 0.9,
) -> Workbench:
    """Make a workbench for `train(settings, progress) -> Run`; see the module's docstring.

    Keep one run to a few seconds: Lab waits for it. A workbench of the same choices and the same
    `train.seeds` takes over the scoreboard of the one before.

    Args:
        train: The function that trains the seeds once.
        teachers: Names of the teachers a learner may choose from.
        widths: Units in the student's hidden layers to choose from.
        labels: Numbers of labelled examples to choose from.
        T: Where the slider of the temperature starts.
        alpha: Where the slider of the teacher's share starts.

    Returns:
        The workbench, to be shown as a cell's last value.

    Raises:
        ValueError: Where there is nothing to choose from.

    >>> def fake(settings, progress):
    ...     progress({"kd": 0.5}, 1, 1)
    ...     return Run(accuracy=[91.0, 92.0], baseline=[90.0, 90.5])
    >>> bench = workbench(fake, teachers=["large"], widths=[8, 32], labels=[50, 200])
    >>> round(bench.train().difference.mean, 2), bench.call
    (1.25, "fake(Settings(teacher='large', width=8, T=4.0, alpha=0.9, labels=50), progress=print)")
    """
    controls = {
        "teacher": choice("teacher", teachers),
        "width": steps("student width", widths),
        "T": slider("temperature T", 1.0, 20.0, value=float(T), step=0.5),
        "alpha": slider("alpha, share of the teacher", 0.0, 1.0, value=float(alpha), step=0.05),
        "labels": steps("labelled examples", labels),
    }
    board = (getattr(train, "seeds", None), tuple(teachers), tuple(widths), tuple(labels))
    return Workbench(train, controls, _BOARDS.setdefault(board, []))


def _bar(text: str, step: int, steps: int) -> str:
    return (
        f'<div style="line-height:1.5">{escape(text)}<br>'
        f'<progress aria-label="training" max="{max(steps, 1)}" value="{step}" '
        'style="width:24em;max-width:100%"></progress></div>'
    )
