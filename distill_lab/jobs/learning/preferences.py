"""Pairs of answers: the chosen one is raised over the rejected one, from where the student was."""

import copy
import dataclasses
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from distill_lab import methods
from distill_lab._util.runtime import modes_kept
from distill_lab.data.preferences import Preferences
from distill_lab.jobs.learning.learning import Learning, Material
from distill_lab.jobs.rows import Exchanges
from distill_lab.jobs.setups.setup import Context
from distill_lab.jobs.vocabularies import Models
from distill_lab.methods import Method
from distill_lab.methods.preferences import pair_log_probabilities
from distill_lab.teachers import Cached, cache, freeze, keep


class PreferencePairs(Learning):
    """Learn which of two answers is preferred."""

    unit = "pairs"

    def method(self, tokenizer: Any) -> Method:
        """Direct preference optimisation."""
        return methods.dpo(beta=self.job.beta)

    def material(self, rows: Exchanges, models: Models, context: Context) -> Material:
        """Pairs, and how probable the student found their answers before its first step.

        That is looked at once and kept on disk, so that no second model is in memory, and a run
        that was stopped goes on from the same figures.
        """
        material = super().material(rows, models, context)
        folder = Path(self.job.out) / "start_answers"
        context.log(f"how probable the student finds both answers at the start: kept in {folder}")
        # who looks on by a function counts the steps of a training, and these are none
        progress = context.progress if not callable(context.progress) else False

        def ask() -> Cached:
            return cache(
                methods.Reference(freeze(copy.deepcopy(models.student))),
                material.data,
                folder,
                signal=keep.dense("float32"),
                tokenizer=models.tokenizer,
                batch_size=self.job.training.batch_size,
                progress=progress,
            )

        return dataclasses.replace(material, teacher=context.dist.main_first(ask))


class HeldOutPairs:
    """Pairs that models are measured on, against the student as it was before it learned.

    Args:
        pairs: N of them.
        batch_size: how many are looked at together.
        student: before its first step.
    """

    def __init__(self, pairs: Preferences, batch_size: int, student: Any) -> None:
        self.pairs, self.batch_size = pairs, batch_size
        self.start = self._log_probabilities(student)  # nats (N, 2)

    def figures(self, name: str, model: Any) -> dict[str, Any]:
        """What is reported of a model.

        Args:
            name: the model's; the "student after" is held to what it was.
            model: the network, which comes back in the mode it was in.

        Returns:
            Figures by their names in `Figures`.
        """
        seen = self._log_probabilities(model)
        figures = {"ranked": _percent(seen[:, 0] > seen[:, 1])}
        if name == "student after":
            margins = self._margins(seen)
            figures |= {"gained": _percent(margins > 0), "margin": margins.mean().item()}
        return figures

    def margin(self, student: Any) -> float:
        """By how much the chosen answers gained on the rejected ones since the start, in nats."""
        return self._margins(self._log_probabilities(student)).mean().item()

    def _margins(self, seen: Tensor) -> Tensor:
        gain = seen - self.start  # (N, 2)
        return gain[:, 0] - gain[:, 1]

    def _log_probabilities(self, model: Any) -> Tensor:
        device = next(model.parameters()).device
        parts = torch.arange(len(self.pairs)).split(self.batch_size)
        with modes_kept(model), torch.no_grad():
            model.eval()
            batches = (self.pairs.batch(part).to(device) for part in parts)
            return torch.cat([pair_log_probabilities(model, batch) for batch in batches])


def _percent(flags: Tensor) -> float:
    return 100 * int(flags.sum()) / len(flags)
