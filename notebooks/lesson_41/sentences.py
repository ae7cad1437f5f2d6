"""Two sentences, a student without memory, and every way to match them, worked out exactly.

The teacher says "a x b" with probability `share` and "c x d" with the rest. The student is a
bigram: after x it no longer knows whether an a or a c came before. It has two numbers: s, how often
it begins with a, and r, how often b follows x.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["METHODS", "Fit", "fit"]

TINY = 1e-9  # what the teacher gives to a token it never says: a divergence has to be finite
STEPS = 1001  # of the grid over s and r


@dataclass(frozen=True)
class Fit:
    """The best student for one objective: its two numbers, and the sentences it then says."""

    s: float
    r: float
    value: float

    @property
    def says(self) -> dict[str, float]:
        """The probability of each sentence it can say."""
        s, r = self.s, self.r
        return {
            "a x b": s * r,
            "c x d": (1 - s) * (1 - r),
            "a x d": s * (1 - r),
            "c x b": (1 - s) * r,
        }

    @property
    def invalid(self) -> float:
        """How much of what it says the teacher never would, in percent."""
        return 100 * (self.says["a x d"] + self.says["c x b"])


METHODS = (
    "forward KL, whole sentences",
    "reverse KL, whole sentences",
    "reverse KL a token, teacher's text",
    "reverse KL a token, student's text",
)


def fit(method: str, share: float = 0.5) -> Fit:
    """The student that minimises one of `METHODS`, by a grid over its two numbers.

    Whole sentences: sum over sentences y of p(y) log p(y)/q(y), or of q(y) log q(y)/p(y), gradient
    through everything. A token at a time, at each position KL(q(.|prefix) || p(.|prefix)), with
    prefixes from the teacher's text or from the student's own; as in GKD, no gradient tells the
    student to make other prefixes. Where two fits are equally good, the first in the order of r is
    taken. Raises ValueError for another method or a share outside (0, 1).

    >>> best = fit("reverse KL, whole sentences")
    >>> round(best.invalid), round(best.value, 3)  # ln 2
    (0, 0.693)
    """
    if method not in METHODS:
        raise ValueError(f"expected one of {', '.join(METHODS)}; got {method!r}.")
    if not 0 < share < 1:
        raise ValueError(f"share must lie strictly between 0 and 1, got {share!r}.")
    grid = torch.linspace(0, 1, STEPS, dtype=torch.float64)
    s, r = torch.meshgrid(grid, grid, indexing="ij")
    said = torch.stack((s * r, (1 - s) * (1 - r), s * (1 - r), (1 - s) * r))
    meant = torch.tensor([share, 1 - share, TINY, TINY], dtype=torch.float64)[:, None, None]
    if method == METHODS[0]:
        loss = _kl(meant, said).sum(0)
    elif method == METHODS[1]:
        loss = _kl(said, meant).sum(0)
    else:
        first = _pair(s, share)
        own = method == METHODS[3]
        # the first token is settled by itself: nothing rewards it for what comes later
        begins = grid[int(first[:, 0].argmin())] if own else torch.tensor(share)
        after_x = begins * _pair(r, 1 - TINY) + (1 - begins) * _pair(r, TINY)
        loss = first + after_x
    at = int(loss.flatten().argmin())
    return Fit(s.flatten()[at].item(), r.flatten()[at].item(), loss.flatten()[at].item())


def _kl(a: Tensor, b: Tensor) -> Tensor:
    """a log a/b, with 0 log 0 = 0."""
    return torch.special.xlogy(a, a) - torch.special.xlogy(a, b)


def _pair(q: Tensor, p: float) -> Tensor:
    """KL((q, 1 - q) || (p, 1 - p))."""
    at = torch.tensor(p, dtype=torch.float64)
    return _kl(q, at) + _kl(1 - q, 1 - at)
