"""Students of many seeds, trained: asked, measured and taken out one by one."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from distill_lab.data.batches import Data
from distill_lab.evaluation import accuracy
from distill_lab.seeds.stacked import Stacked


@dataclass
class SeedRuns:
    """S trained students, and each term at each step.

    Args:
        students: the networks.
        example_dims: axes of one example, to tell (N, ...) from (S, N, ...).
        terms: name -> (steps, S).
        seconds: how long the training took.
        projections: the method's own modules, each seed's as it trained them.
    """

    students: Stacked
    example_dims: int
    terms: dict[str, Tensor] = field(default_factory=dict)
    seconds: float = 0.0
    projections: Stacked | None = None

    def logits(self, inputs: Tensor, *, chunk: int = 2048) -> Tensor:
        """Every student's logits in eval mode, without a graph.

        Args:
            inputs: (S, N, ...) gives each seed its own examples, (N, ...) all the same.
            chunk: how many examples are run at once.

        Returns:
            (S, N, C).

        Raises:
            ValueError: for a seed axis of another size.
        """
        return self.tapped(inputs, (), chunk=chunk)[0]

    def tapped(
        self, inputs: Tensor, paths: Sequence[str], *, chunk: int = 2048
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """As `logits`, and beside them what modules return.

        Args:
            inputs: as in `logits`.
            paths: names of modules, as `Tap` takes them.
            chunk: how many examples are run at once.

        Returns:
            Logits (S, N, C), and path -> (S, N, ...).

        Raises:
            ValueError: as `logits`.
            KeyError: for an unknown path.
            TypeError: for a module that returns more than one tensor.
        """
        own = inputs.dim() == self.example_dims + 2
        if not own and inputs.dim() != self.example_dims + 1:
            raise ValueError(
                f"inputs have shape {tuple(inputs.shape)}: expected examples of "
                f"{self.example_dims} axes behind (N,) or (seeds, N)."
            )
        if own and inputs.shape[0] != self.students.seeds:
            raise ValueError(
                f"inputs hold {inputs.shape[0]} seeds but there are {self.students.seeds} "
                "students: give each its own examples, or one set for all without a seed axis."
            )
        self.students.eval()
        with torch.no_grad():
            parts = [
                self.students.tapped(part, paths, shared=not own)
                for part in inputs.split(chunk, dim=1 if own else 0)
            ]
        logits = torch.cat([answer for answer, _ in parts], dim=1)
        return logits, {
            path: torch.cat([features[path] for _, features in parts], dim=1) for path in paths
        }

    def accuracy(self, data: Data) -> Tensor:
        """Percent of examples each student gets right, shape (S,)."""
        inputs, labels = data
        return torch.as_tensor(accuracy(self.logits(inputs), labels))

    def model(self, i: int) -> nn.Module:
        """Seed number i as an ordinary network."""
        return self.students.model(i)
