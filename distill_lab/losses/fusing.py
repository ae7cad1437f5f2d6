"""The steps of a divergence of few rows: one after another, or all in one kernel.

On a processor each step writes an array that lies in its cache when the next one wants it. A GPU's
memory is far away, so there ``torch.compile`` makes one kernel of the same steps: it reads the
scores three or four times, writes the gradient once, and none of the arrays between ever exists.
"""

import warnings
from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor

from distill_lab.losses.chunks import SCRATCH, Divergence, Scratch

# an array between is worked out again where it is wanted again: to write and read it takes longer
RECOMPUTE: dict[str, str | int | bool | Callable[..., object]] = {
    "realize_reads_threshold": 64,
    "realize_opcount_threshold": 256,
}


def in_one(
    divergence: Divergence,
    z_s: Tensor,
    z_t: Tensor,
    gradient: Tensor,
    scratch: Scratch,
    T: float,
    scale: float,
) -> Tensor:
    """The divergence from scores of any precision to a gradient of any.

    It is worked out in that of ``scratch``, which is not written to.
    """
    found: Tensor = compiled()(divergence, z_s, z_t, gradient, scratch[0].dtype, T, scale)
    return found


def works_on(device: torch.device) -> bool:
    """Whether ``in_one`` does there."""
    return device.type == "cuda" and compiles_on(device)


@cache
def compiles_on(device: torch.device) -> bool:
    """Found out once, by compiling something small."""
    try:
        torch.compile(lambda x: x.exp().sum())(torch.zeros(2, device=device))
    except Exception as error:  # no Triton, no compiler: each fails in its own way
        reason = str(error).strip().partition("\n")[0]
        warnings.warn(
            "torch.compile does not work on this GPU's machine, so the chunked losses take their "
            f"steps one by one, which is slower by half: {type(error).__name__}: {reason}",
            stacklevel=2,
        )
        return False
    return True


@cache
def compiled() -> Callable[..., Tensor]:
    """``whole`` as a kernel, made at the first call for each kind of input."""
    return torch.compile(whole, options=RECOMPUTE)


def whole(
    divergence: Divergence,
    z_s: Tensor,
    z_t: Tensor,
    gradient: Tensor,
    dtype: torch.dtype,
    T: float,
    scale: float,
) -> Tensor:
    """Everything between the scores and their gradient, which may take their place."""
    z_s, z_t = z_s.to(dtype), z_t.to(dtype)
    exact, *scratch = (torch.empty_like(z_s) for _ in range(1 + SCRATCH))
    values = divergence(z_s, z_t, exact, scratch, T, scale)
    gradient.copy_(exact)
    return values
