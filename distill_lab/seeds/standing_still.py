"""Steps in which some seeds have nothing to learn from, and stay as they are, bit for bit."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from distill_lab.data.batches import Batch
from distill_lab.methods import Method
from distill_lab.seeds.stacked import is_shared


def may_stand_still(method: Method, inputs: Tensor, labels: Tensor | None) -> bool:
    """Whether some batch may hold nothing that a term counts: then each has to be counted.

    Args:
        method: what is minimised.
        inputs: (S, N, ...).
        labels: (S, N) or (S, N, L).

    Returns:
        False where some term counts every label of every seed, or where the labels lie on a
        device that the host would have to wait for.
    """
    if labels is None or not labels.is_cpu:
        return False
    examples = torch.arange(labels.shape[1])
    for seed in range(1 if is_shared(labels) else len(labels)):
        counts = method.counts(Batch(inputs[seed], labels[seed], examples)).values()
        # a number that is not whole is a sum of weights, and may be as large by chance
        if not any(isinstance(n, int) and n == labels[seed].numel() for n in counts):
            return True
    return False


class Steps:
    """An optimizer's steps of stacked parameters, each of the seeds that learn in it.

    AdamW corrects its means by how many steps it took, one number for all seeds. Seeds that took
    as many step together; where they differ there is a step for each number, of which the rows of
    these seeds are kept.

    Args:
        optimizer: of parameters (S, ...).
        parameters: all of them.
        seeds: S.
    """

    def __init__(
        self, optimizer: torch.optim.Optimizer, parameters: Sequence[nn.Parameter], seeds: int
    ) -> None:
        self.optimizer, self.parameters = optimizer, list(parameters)
        self.taken = [0] * seeds  # steps of each
        self.counted = 0  # what the optimizer's own counters say

    def __call__(self, learns: Sequence[bool]) -> None:
        """Take a step.

        Args:
            learns: for each seed whether it moves.
        """
        counts = {n for n, moves in zip(self.taken, learns, strict=True) if moves}
        if all(learns) and len(counts) == 1:
            self._step(counts.pop())
        elif counts:
            self._apart(learns, sorted(counts))
        self.taken = [n + moves for n, moves in zip(self.taken, learns, strict=True)]

    def _step(self, count: int) -> None:
        if count != self.counted:
            for state in self.optimizer.state.values():
                state["step"].fill_(count)
        self.optimizer.step()
        self.counted = count + 1

    @torch.no_grad()
    def _apart(self, learns: Sequence[bool], counts: Sequence[int]) -> None:
        if not self.optimizer.state:  # which its first step makes
            before = [p.clone() for p in self.parameters]
            self._step(0)
            for parameter, value in zip(self.parameters, before, strict=True):
                parameter.copy_(value)
            for state in self.optimizer.state.values():
                for value in state.values():
                    value.zero_()
            self.counted = 0
        tensors: list[Tensor] = [*self.parameters]
        for state in self.optimizer.state.values():
            tensors += [value for name, value in state.items() if name != "step"]
        before, after = ([tensor.clone() for tensor in tensors] for _ in range(2))
        for count in counts:
            moves = [i for i, n in enumerate(self.taken) if learns[i] and n == count]
            self._step(count)
            for tensor, old, new in zip(tensors, before, after, strict=True):
                new[moves] = tensor[moves]
                tensor.copy_(old)
        for tensor, new in zip(tensors, after, strict=True):
            tensor.copy_(new)
