"""Divergences of a few rows at a time, each with its gradient worked out by hand.

Notation: x = (z - max z) / T, e = exp(x), S = sum e; so log q = x_s - log S_s and q = e_s / S_s for
the student, p from the teacher alike. The gradients are those of T D for the student's logits:

    KL(p || q)    q - p
    KL(q || p)    q (d - <q, d>),            d = log q - log p
    jsd           (1 - beta) q (d - <q, d>),  d = log q - log m

What is the same in a whole row drops out of d - <q, d>, so d is taken without the log S. Every
step writes into memory that is already there, few rows at a time, so that the numbers are still in
the processor's cache when the next step wants them: the arithmetic is cheap, the journeys are not.

A GPU's memory is far away, so there `torch.compile` makes one kernel of the same steps: it reads
the scores three or four times, writes the gradient once, and none of the arrays between ever
exists.
"""

import warnings
from collections.abc import Callable, Sequence
from functools import cache

import torch
from torch import Tensor

# z_s, z_t, where the gradient goes (z_s itself if it may be spoilt), scratch, T,
# scale of the gradient, one or one a row (rows, 1) -> (rows,)
Scratch = Sequence[Tensor] | Tensor
Divergence = Callable[[Tensor, Tensor, Tensor, Scratch, float, float | Tensor], Tensor]

SCRATCH = 3  # arrays of the size of z_s that a divergence writes to on the way
FLOOR = -1e38  # stands for log 0: 0 times it is 0, which 0 times -inf is not


def forward_kl(
    z_s: Tensor, z_t: Tensor, gradient: Tensor, scratch: Scratch, T: float, scale: float | Tensor
) -> Tensor:
    """KL(p || q) of each row; `gradient` becomes scale (q - p)."""
    x_s, x_t, e_t = scratch  # each (rows, C)
    e_s = gradient
    sum_s, sum_t = exponentials(z_s, T, x_s, e_s), exponentials(z_t, T, x_t, e_t)  # (rows, 1)
    x_t.sub_(x_s).mul_(e_t)
    value = x_t.sum(-1, keepdim=True).div_(sum_t).add_(sum_s.log().sub_(sum_t.log()))
    e_s.mul_(scale / sum_s).sub_(e_t.mul_(scale / sum_t))
    return value.squeeze(-1)


def reverse_kl(
    z_s: Tensor, z_t: Tensor, gradient: Tensor, scratch: Scratch, T: float, scale: float | Tensor
) -> Tensor:
    """KL(q || p) of each row; `gradient` becomes scale q (d - <q, d>)."""
    x_s, x_t, e_t = scratch  # each (rows, C)
    e_s = gradient
    sum_s, sum_t = exponentials(z_s, T, x_s, e_s), exponentials(z_t, T, x_t, e_t)  # (rows, 1)
    d = x_s.sub_(x_t)
    mean = torch.mul(e_s, d, out=x_t).sum(-1, keepdim=True).div_(sum_s)
    e_s.mul_(d.sub_(mean)).mul_(scale / sum_s)
    return mean.sub_(sum_s.log().sub_(sum_t.log())).squeeze(-1)


def jsd(
    z_s: Tensor,
    z_t: Tensor,
    gradient: Tensor,
    scratch: Scratch,
    T: float,
    scale: float | Tensor,
    *,
    beta: float,
) -> Tensor:
    """Generalised JSD of each row; `gradient` becomes scale (1 - beta) q (d - <q, d>)."""
    x, p, log_m = scratch  # each (rows, C)
    q = gradient
    sum_t = exponentials(z_t, T, x, p)  # (rows, 1)
    p.mul_(sum_t.reciprocal())
    from_p = x.mul_(p).sum(-1, keepdim=True).sub_(sum_t.log())  # <p, log p>
    sum_s = exponentials(z_s, T, x, q)
    q.mul_(sum_s.reciprocal())
    torch.lerp(q, p, beta, out=log_m)
    # where m underflows so do p and q, and nothing is multiplied by its logarithm
    log_m.clamp_min_(torch.finfo(log_m.dtype).tiny).log_()
    from_p.sub_(p.mul_(log_m).sum(-1, keepdim=True))
    d = x.sub_(log_m)
    mean = torch.mul(q, d, out=p).sum(-1, keepdim=True)
    q.mul_(d.sub_(mean)).mul_((1 - beta) * scale)
    return mean.sub_(sum_s.log()).mul_(1 - beta).add_(from_p.mul_(beta)).squeeze(-1)


def exponentials(z: Tensor, T: float, x: Tensor, e: Tensor) -> Tensor:
    """Fill in x = (z - max z) / T and e = exp(x), and return the sum of e: (rows, 1)."""
    torch.sub(z, z.amax(-1, keepdim=True), out=x)
    if T != 1:
        x.mul_(1 / T)
    torch.exp(x.clamp_min_(FLOOR), out=e)
    return e.sum(-1, keepdim=True)


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
    scale: float | Tensor,
) -> Tensor:
    """The divergence from scores of any precision to a gradient of any.

    It is worked out in that of `scratch`, which is not written to.
    """
    values: Tensor = compiled()(divergence, z_s, z_t, gradient, scratch[0].dtype, T, scale)
    return values


def works_on(device: torch.device) -> bool:
    """Whether `in_one` does there."""
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
    """`all_steps` as a kernel, made at the first call for each kind of input."""
    return torch.compile(all_steps, options=RECOMPUTE)


def all_steps(
    divergence: Divergence,
    z_s: Tensor,
    z_t: Tensor,
    gradient: Tensor,
    dtype: torch.dtype,
    T: float,
    scale: float | Tensor,
) -> Tensor:
    """Everything between the scores and their gradient, which may take their place."""
    z_s, z_t = z_s.to(dtype), z_t.to(dtype)
    exact, *scratch = (torch.empty_like(z_s) for _ in range(1 + SCRATCH))
    values = divergence(z_s, z_t, exact, scratch, T, scale)  # (rows,)
    gradient.copy_(exact)
    return values
