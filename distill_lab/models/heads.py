"""Students that give several answers: a network with early exits, and peers that learn together."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from distill_lab._util.checks import fraction
from distill_lab.models.networks import logits_of


class EarlyExits(nn.Module):
    """A chain of stages with a head after each, so that an easy example can leave early.

    To the rest of the package it is an ordinary network: called, it gives the deepest exit's
    logits. `methods.early_exits` teaches all exits.

    Formula: h_k = stage_k(h_{k-1}), logits_k = head_k(h_k), k = 0 .. K - 1.

    Args:
        stages: K modules, each takes what the one before returned.
        heads: K modules, each takes what its stage returned and gives (B, C) logits.

    Raises:
        ValueError: for fewer than two stages, or another number of heads.

    Source: Zhang et al. 2019 (Be Your Own Teacher), section 3; Teerapittayanon et al. 2016
    (BranchyNet) for leaving early.

    >>> net = EarlyExits([nn.Linear(4, 8), nn.ReLU()], [nn.Linear(8, 3), nn.Linear(8, 3)])
    >>> net(torch.zeros(5, 4)).shape, len(net.all_logits(torch.zeros(5, 4)))
    (torch.Size([5, 3]), 2)
    """

    def __init__(self, stages: Iterable[nn.Module], heads: Iterable[nn.Module]) -> None:
        super().__init__()
        self.stages, self.heads = nn.ModuleList(stages), nn.ModuleList(heads)
        if len(self.stages) < 2 or len(self.stages) != len(self.heads):
            raise ValueError(
                f"early exits need two or more stages and one head for each, got "
                f"{len(self.stages)} stages and {len(self.heads)} heads."
            )

    def __len__(self) -> int:
        return len(self.stages)

    def all_logits(self, inputs: Tensor) -> tuple[Tensor, ...]:
        """Run once and give every exit's logits, the shallowest first.

        Args:
            inputs: (B, ...).

        Returns:
            K tensors (B, C).
        """
        hidden, answers = inputs, []
        for stage, head in zip(self.stages, self.heads, strict=True):
            hidden = stage(hidden)
            answers.append(head(hidden))
        return tuple(answers)

    def forward(self, inputs: Tensor) -> Tensor:
        """Compute the deepest exit's logits."""
        for stage in self.stages:
            inputs = stage(inputs)
        logits: Tensor = self.heads[-1](inputs)
        return logits

    def exit(self, k: int) -> nn.Sequential:
        """The network up to one exit: it shares the weights, and costs what that exit costs.

        Args:
            k: number of the exit, 0 for the shallowest.

        Returns:
            The first k + 1 stages and head k, to be measured, saved or served alone.

        Raises:
            IndexError: for an exit that there is not.
        """
        if not 0 <= k < len(self):
            raise IndexError(f"there are exits 0 to {len(self) - 1}, got {k!r}.")
        return nn.Sequential(*list(self.stages)[: k + 1], self.heads[k])

    def leave_early(self, inputs: Tensor, confidence: float) -> tuple[Tensor, Tensor]:
        """Let each example leave at the first exit that is confident; later stages skip it.

        An example leaves where its highest probability is at least `confidence`, and at the
        deepest exit in any case.

        Args:
            inputs: (B, ...).
            confidence: the threshold, in [0, 1].

        Returns:
            The logits (B, C) each example left with, and the number of its exit, (B,).

        Raises:
            ValueError: for a threshold outside [0, 1].

        >>> net = EarlyExits([nn.Linear(4, 8), nn.ReLU()], [nn.Linear(8, 3), nn.Linear(8, 3)])
        >>> net.leave_early(torch.zeros(2, 4), confidence=0.0)[1]
        tensor([0, 0])
        """
        confidence = fraction("confidence", confidence, why=": it is a probability.")
        waiting = torch.arange(len(inputs), device=inputs.device)  # rows that have not left
        left_at = torch.zeros_like(waiting)
        hidden, answers = inputs, []
        for k, (stage, head) in enumerate(zip(self.stages, self.heads, strict=True)):
            hidden = stage(hidden)
            logits = head(hidden)
            leaves = logits.softmax(-1).amax(-1) >= confidence
            if k == len(self) - 1:
                leaves = torch.ones_like(leaves)
            answers.append((waiting[leaves], logits[leaves]))
            left_at[waiting[leaves]] = k
            hidden, waiting = hidden[~leaves], waiting[~leaves]
            if not len(waiting):
                break
        rows = torch.cat([part for part, _ in answers])
        return torch.cat([part for _, part in answers])[rows.argsort()], left_at


class Peers(nn.Module):
    """Two or more networks trained as one student, so that they can teach each other.

    `distill(Peers(a, b), data, method=methods.mutual())` trains a and b in place, in one loop, with
    its checkpoints. Called, peers answer as an ensemble.

    Formula: logits = log mean_k softmax(logits_k).

    Args:
        networks: two or more, of any architectures with the same classes.

    Raises:
        ValueError: for fewer than two networks, or two that share parameters.

    Source: Zhang et al. 2018 (Deep Mutual Learning), section 3.

    >>> peers = Peers(nn.Linear(4, 3), nn.Linear(4, 3))
    >>> peers(torch.zeros(5, 4)).exp().sum(-1).allclose(torch.ones(5)), len(peers)
    (True, 2)
    """

    def __init__(self, *networks: nn.Module) -> None:
        super().__init__()
        if len(networks) < 2:
            raise ValueError(f"peers are two or more networks, got {len(networks)}.")
        owned = [{id(p) for p in network.parameters()} for network in networks]
        if len(set().union(*owned)) < sum(map(len, owned)):
            raise ValueError(
                "two peers share parameters, so they are one network and cannot teach each other: "
                "make each from a seed of its own."
            )
        self.networks = nn.ModuleList(networks)

    def __len__(self) -> int:
        return len(self.networks)

    def __getitem__(self, k: int) -> nn.Module:
        return self.networks[k]

    def all_logits(self, inputs: Any) -> tuple[Tensor, ...]:
        """Every peer's logits.

        Args:
            inputs: (B, ...), or a dict of them.

        Returns:
            One tensor (B, ..., C) a peer.
        """
        return tuple(logits_of(network, inputs) for network in self.networks)

    def forward(self, inputs: Any) -> Tensor:
        """Compute the logarithm of the peers' mean probabilities."""
        each = torch.stack([z.float().log_softmax(-1) for z in self.all_logits(inputs)])
        return each.logsumexp(0) - torch.tensor(float(len(self))).log()
