"""Drawing a few classes from a teacher so that nothing is lost on average."""

import math

import torch
from torch import Tensor

_BLOCK = 1 << 22  # probabilities held at once, so that a large vocabulary needs no more memory
_STEP, _FIRST, _SECOND = -7046029254386353131, -4658895280553007687, -7723592293110705685


def draw(
    logits: Tensor, u: Tensor, slots: int | list[int], *, T: float = 1.0
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Draw n classes from p = softmax(logits / T) with unbiased weights that sum to 1.

    Method: the h most probable classes are kept for certain, with their probability as weight. The
    other n - h places weigh tau = (1 - sum of those h) / (n - h) each and are filled by systematic
    sampling: with one u from [0, 1), place i goes to the class in which the running sum of p / tau
    over the other classes passes u + i. h is the smallest number for which no other class is more
    probable than tau.
    Unbiased: the numbers u + i are a comb of step 1 with a uniform start, and class j owns a
    stretch of length p_j / tau, so p_j / tau teeth fall into it on average, and E[w_j] =
    tau p_j / tau = p_j. The h classes weigh p_j as they are. Whatever is linear in the weights is
    then unbiased as well: the divergence sum_j w_j (log p_j - log q_j), and its gradient.
    Quieter than n independent draws, where w_j has the variance p_j (1 - p_j) / n: here it is 0 for
    the h and p_j (tau - p_j) for the others, and tau <= 1 / n (each class that is made certain
    takes more than its share, so tau falls with it).

    ``slots`` is n, or a list whose entry h is n where h classes are certain: a record of fixed size
    holds fewer where the certain ones, whose weights must be written down, are many.
    Shapes: logits (..., C), u (...) -> ids (..., n), the certain ones first by falling probability;
    weights (..., n), 0 where a place is empty; own (...), sum_j w_j log p_j; and certain (...),
    which is h. n is the largest of ``slots``.
    Raises ValueError for slots that leave no place, or another number of u than of positions.
    Madow 1949 (systematic sampling); Duffield, Lund & Thorup 2007 (threshold sampling); Anshumann
    et al. 2025, arXiv:2503.16870 (sampling a teacher).
    """
    shape, classes = logits.shape[:-1], logits.shape[-1]
    sizes = slots if isinstance(slots, list) else [slots] * slots
    if not all(size > h for h, size in enumerate(sizes)) or not sizes:
        raise ValueError(f"slots must leave a place beside the certain classes, got {slots!r}.")
    if u.shape != shape:
        raise ValueError(f"u has shape {tuple(u.shape)}: expected one a position, {tuple(shape)}.")
    # float64: over 100,000 classes a running sum in float32 forgets the rare ones; MPS has none
    device = torch.device("cpu") if logits.device.type == "mps" else logits.device
    rows = max(1, _BLOCK // classes)
    z = logits.detach().reshape(-1, classes).to(device).split(rows)
    parts = [
        _draw((some.double() / T).log_softmax(-1), start, sizes)
        for some, start in zip(z, u.to(device).flatten().split(rows), strict=True)
    ]
    ids, weights, own, certain = (
        torch.cat(part).to(logits.device) for part in zip(*parts, strict=True)
    )
    return ids.view(*shape, -1), weights.view(*shape, -1), own.view(shape), certain.view(shape)


def uniform(seed: int, *keys: Tensor) -> Tensor:
    """One number from [0, 1) for each combination of whole numbers, in float64.

    It follows from the seed and its own keys alone: what is drawn for an example and a position is
    the same in whatever batch they come. Shapes: keys that broadcast together -> their shape.

    >>> u = uniform(0, torch.arange(3)[:, None], torch.arange(2))
    >>> u.shape, torch.equal(u[1:], uniform(0, torch.arange(1, 3)[:, None], torch.arange(2)))
    (torch.Size([3, 2]), True)
    """
    key = mix(torch.tensor(seed) + _STEP)  # `mix` leaves 0 where it is: nobody starts there
    for more in keys:
        key = mix(key + more.cpu().long())
    return ((key >> 11) & ((1 << 53) - 1)).double() / (1 << 53)


def by_example(seed: int, shape: tuple[int, ...], ids: Tensor | None = None) -> Tensor:
    """A uniform number for each position (B, ...), from the example's id and the place in it.

    Without ids (B,) the rows are numbered from 0. Raises ValueError for no rows to number, or ids
    that are not one an example.
    """
    if not shape:
        raise ValueError("logits have shape (C,): expected (B, ..., C), one row an example.")
    examples = torch.arange(shape[0]) if ids is None else ids
    if examples.shape != shape[:1]:
        raise ValueError(
            f"ids have shape {tuple(examples.shape)} for {shape[0]} examples: expected one number "
            "an example."
        )
    return uniform(seed, examples[:, None], torch.arange(math.prod(shape[1:]))).view(shape)


def mix(x: Tensor) -> Tensor:
    """Whole numbers to whole numbers that look drawn by chance: int64 -> int64, one to one.

    The output step of SplitMix64: Steele, Lea & Flood 2014, figure 16.
    """
    x = x * _STEP  # neighbours far apart first
    x = (x ^ ((x >> 30) & ((1 << 34) - 1))) * _FIRST
    x = (x ^ ((x >> 27) & ((1 << 37) - 1))) * _SECOND
    return x ^ ((x >> 31) & ((1 << 33) - 1))


def _draw(log_p: Tensor, u: Tensor, sizes: list[int]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """One block: log p (R, C) and u (R,) -> ids and weights (R, n), own and certain (R,)."""
    p, classes = log_p.exp(), log_p.shape[-1]
    top_p, top = p.topk(min(len(sizes), classes))
    certain, places = _split(top_p, torch.tensor(sizes, device=p.device))
    is_certain = torch.arange(top.shape[-1], device=p.device) < certain[:, None]

    # the certain classes are taken out; a spare column is hit where there is nothing to take
    others = torch.cat((p, p.new_zeros(len(p), 1)), -1)
    others = others.scatter(-1, torch.where(is_certain, top, classes), 0.0)[:, :classes]
    running = others.cumsum(-1)
    left = running[:, -1:]
    tau = left / places.clamp_min(1)[:, None]

    place = torch.arange(max(sizes), device=p.device)
    tooth = (place - certain[:, None]).clamp_min(0)
    # rounding must not push the last tooth past the last class that has a share
    comb = ((u[:, None] + tooth) * tau).minimum(left * (1 - 1e-15))
    ids = torch.searchsorted(running, comb.contiguous(), right=True).clamp_max(classes - 1)
    weights = torch.where(place < (certain + places)[:, None], tau, 0.0)
    width = min(top.shape[-1], len(place))
    first = is_certain[:, :width]
    ids[:, :width] = torch.where(first, top[:, :width], ids[:, :width])
    weights[:, :width] = torch.where(first, top_p[:, :width], weights[:, :width])
    ids = torch.where(weights > 0, ids, 0)
    own = torch.where(weights > 0, weights * log_p.gather(-1, ids), 0.0).sum(-1)
    return ids, weights.float(), own.float(), certain


def _split(top_p: Tensor, sizes: Tensor) -> tuple[Tensor, Tensor]:
    """How many classes are certain, and how many places that leaves: (R, k), (H,) -> (R,), (R,)."""
    most = len(sizes)
    p = torch.nn.functional.pad(top_p, (0, max(0, most - top_p.shape[-1])))[:, :most]
    taken = p.cumsum(-1) - p  # before class h + 1
    places = sizes - torch.arange(most, device=sizes.device)
    enough = p <= (1 - taken).clamp_min(0) / places.clamp_min(1)
    certain = torch.where(enough.any(-1), enough.int().argmax(-1), most - 1)
    return certain, places[certain]
