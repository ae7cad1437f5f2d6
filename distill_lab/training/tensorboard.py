"""Watch a run in TensorBoard: a callback that writes event files."""

import os
from types import TracebackType
from typing import Any

from distill_lab.training.loop import Step


class TensorBoard:
    """Writes terms, their shares of the gradient, learning rate and measurements to ``folder``.

        with TensorBoard("runs/first") as board:
            distill(student, data, teacher=teacher, callbacks=[board])

    Then ``tensorboard --logdir runs``. Every ``every``-th step is written, and every measurement.
    Raises ImportError, naming the way out, where the tensorboard package is missing; ValueError
    for ``every`` below 1.
    """

    def __init__(self, folder: str | os.PathLike[str], *, every: int = 10) -> None:
        if not isinstance(every, int) or every < 1:
            raise ValueError(f"every must be a positive number of steps, got {every!r}.")
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise ImportError(
                "TensorBoard needs the tensorboard package: pip install 'distill-lab[tensorboard]'."
            ) from error
        self.every = every
        self._writer: Any = SummaryWriter(os.fspath(folder))

    def __call__(self, step: Step) -> None:
        """Write one step, if it is one of those wanted."""
        if step.step % self.every == 0 or step.step in (1, step.steps):
            self._write("term", step.terms, step.step)
            self._write("training", {"lr": step.lr}, step.step)
        self._write("share of the gradient", step.shares, step.step)
        if step.measured is not None:
            self._write("training", {"measured": step.measured}, step.step)
        if step.step == step.steps:
            self._writer.flush()

    def close(self) -> None:
        """Write out what is left."""
        self._writer.close()

    def __enter__(self) -> "TensorBoard":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _write(self, group: str, values: dict[str, float], step: int) -> None:
        for name, value in values.items():
            self._writer.add_scalar(f"{group}/{name}", value, step)
