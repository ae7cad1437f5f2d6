"""Contrastive distillation: tell the teacher's view of the same example from that of others."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from distill_lab._util.checks import plain_number, whole_number
from distill_lab._util.tensors import check_temperature
from distill_lab.losses._checks import check_features, rows, unit


def crd_loss(
    student: Tensor,
    teacher: Tensor,
    negatives: tuple[Tensor, Tensor] | None = None,
    *,
    T: float = 0.07,
    log_normaliser: tuple[float, float] | Tensor = (0.0, 0.0),
    mask: Tensor | None = None,
) -> Tensor:
    """Contrastive representation distillation: each row's partner against N rows that are not.

    Formula: mean over rows of -log h(s, t) - sum_n log(1 - h(s, t_n)), plus the same with student
    and teacher exchanged; h = e^c / (e^c + N Z), c = cosine / T. It is noise-contrastive
    estimation: with N noise draws for each true pair and Z the mean of e^c over noise, h is the
    probability that a pair is true. Z = 1 unless `log_normaliser` (log Z of the teacher's noise,
    of the student's) says otherwise. All in log space: finite at any cosine.

    Args:
        student: embeddings (B, D).
        teacher: embeddings (B, D) of the same width; project first.
        negatives: of the student and of the teacher, each (B, N, D), from a `MemoryBank`; None for
            the other rows of the batch.
        T: divides the cosines.
        log_normaliser: log Z of the teacher's noise and of the student's.
        mask: True (B,) at the examples that count; None for all.

    Returns:
        A scalar in nats, the mean over rows.

    Raises:
        ValueError: for shapes that differ, T <= 0, or fewer than two rows without negatives.

    Source: Tian, Krishnan & Isola 2020 (CRD), arXiv:1910.10699.

    >>> x = torch.eye(4)
    >>> bool(crd_loss(x, x) < crd_loss(x, x.roll(1, 0)))  # partners that agree cost less
    True
    """
    T = check_temperature(T)
    check_features(
        student,
        teacher,
        "B D",
        mend="Give both sides one width with a projections.Regressor each, as methods.crd does.",
    )
    s, t = (unit(f) for f in rows(student, teacher, mask, at_least=1 if negatives else 2))
    positive = (s * t).sum(-1) / T
    if negatives is None:
        cosines = s @ t.T / T
        # row i of each: the negatives of the i-th student, of the i-th teacher
        against_t, against_s = _off_diagonal(cosines), _off_diagonal(cosines.T)
    else:
        banks = [_noise(n, student) for n in negatives]
        of_student, of_teacher = (n if mask is None else n[mask.bool()] for n in banks)
        against_t = torch.einsum("bd,bnd->bn", s, unit(of_teacher)) / T
        against_s = torch.einsum("bd,bnd->bn", t, unit(of_student)) / T
    z_t, z_s = log_normaliser
    return _nce(positive, against_t, z_t) + _nce(positive, against_s, z_s)


def _off_diagonal(square: Tensor) -> Tensor:
    """Each row without its own column: (N, N) -> (N, N - 1)."""
    n = len(square)
    # after the first entry, every (n + 1)-th is on the diagonal
    return square.flatten()[1:].view(n - 1, n + 1)[:, :-1].reshape(n, n - 1)


def _nce(positive: Tensor, noise: Tensor, log_z: float | Tensor) -> Tensor:
    """-log h of the true pair minus sum log(1 - h) of the noise, mean over rows."""
    # a number, but in a trace it may not be known before it runs
    tracing = torch.compiler.is_compiling()
    log_n = torch.zeros_like(noise[:1]).logsumexp(-1) if tracing else math.log(noise.shape[-1])
    level = log_n + log_z
    return (F.softplus(level - positive) + F.softplus(noise - level).sum(-1)).mean()


def _noise(negatives: Tensor, student: Tensor) -> Tensor:
    expected = (student.shape[0], student.shape[1])
    shape = negatives.shape
    if len(shape) != 3 or (shape[0], shape[2]) != expected or shape[1] == 0:
        raise ValueError(
            f"negatives have shape {tuple(shape)}: expected (B, N, D) with B = {expected[0]} and "
            f"D = {expected[1]}, one set a row. MemoryBank.negatives draws them so."
        )
    return negatives.to(student.device, torch.promote_types(student.dtype, torch.float32))


class MemoryBank(nn.Module):
    """A running average of every example's two embeddings, and negatives drawn from it.

    `bank(student, teacher, indices)` is `crd_loss` against N remembered rows, none of them the
    example itself; then the batch's rows are remembered: m <- unit(momentum m + (1 - momentum) f).
    Z is the mean of e^(cosine / T) over the first batch's negatives, then fixed. Everything is a
    buffer, and draws depend on the seed and the step alone, so a resumed run draws the same rows.
    One process only: several would each remember their own part of the examples.
    `methods.crd` trains with it.

    Args:
        examples: how many the data set has.
        dim: the width D of the embeddings.
        negatives: how many are drawn for each example, N.
        momentum: what stays of a remembered row, in [0, 1).
        T: divides the cosines.
        seed: decides the first rows and what is drawn.
        labels: a class (examples,) of each: then negatives are of other classes alone.

    Raises:
        ValueError: for sizes that are not positive, a momentum outside [0, 1), indices out of
            range, or other shapes.
        RuntimeError: where several processes train together.

    Source: Tian, Krishnan & Isola 2020, arXiv:1910.10699, and their program.

    >>> bank = MemoryBank(100, 8, negatives=16, seed=0)
    >>> f = torch.randn(4, 8, generator=torch.Generator().manual_seed(1))
    >>> bank(f, f, torch.tensor([3, 1, 4, 5])).shape
    torch.Size([])
    """

    def __init__(
        self,
        examples: int,
        dim: int,
        *,
        negatives: int = 4096,
        momentum: float = 0.5,
        T: float = 0.07,
        seed: int = 0,
        labels: Tensor | None = None,
    ) -> None:
        super().__init__()
        examples, dim, negatives, momentum = map(plain_number, (examples, dim, negatives, momentum))
        T, seed = check_temperature(T), whole_number("seed", seed)
        if not (isinstance(examples, int) and examples >= 2 and dim >= 1 and negatives >= 1):
            raise ValueError(
                f"a memory bank needs at least 2 examples, 1 dimension and 1 negative, got "
                f"examples = {examples!r}, dim = {dim!r}, negatives = {negatives!r}."
            )
        if not 0 <= momentum < 1:
            raise ValueError(f"momentum must lie in [0, 1), got {momentum!r}: 0 forgets at once.")
        self.count, self.momentum, self.T, self.seed = negatives, momentum, T, seed
        generator = torch.Generator().manual_seed(seed)
        for side in ("student", "teacher"):
            start = unit(torch.randn(examples, dim, generator=generator))
            self.register_buffer(side, start)
        self.register_buffer("step", torch.zeros((), dtype=torch.int64))
        self.register_buffer("log_normaliser", torch.full((2,), math.nan))  # not yet known
        self._others = None if labels is None else _OtherClasses(labels, examples)
        # the host's copy of what the buffers say, so that no step waits for a GPU
        self._step, self._known = 0, False
        self.register_load_state_dict_post_hook(  # type: ignore[no-untyped-call]
            lambda bank, keys: bank._look_at_buffers()
        )

    student: Tensor
    teacher: Tensor
    step: Tensor
    log_normaliser: Tensor

    def forward(self, student: Tensor, teacher: Tensor, indices: Tensor) -> Tensor:
        """CRD against the memory, which then takes in this batch."""
        _refuse_several_processes()
        noise = self.negatives(indices)
        if not self._known:
            self._set_normaliser(student, teacher, noise)
        # a copy: the buffer is part of the bank and not of the graph
        log_z = self.log_normaliser.clone()
        loss = crd_loss(student, teacher, noise, T=self.T, log_normaliser=log_z)
        self.remember(student, teacher, indices)
        return loss

    def negatives(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        """Rows drawn uniformly from all examples but each one itself: (B,) -> (B, N, D) twice."""
        self._check(indices)
        generator = torch.Generator().manual_seed(1_000_003 * self.seed + self._step)
        shape = (len(indices), self.count)
        if self._others is None:
            drawn = torch.randint(len(self.student) - 1, shape, generator=generator)
            drawn = drawn.to(indices.device)
            drawn = drawn + (drawn >= indices.unsqueeze(-1))  # step over the example itself
        else:
            drawn = self._others(torch.randint(2**62, shape, generator=generator), indices.cpu())
        drawn = drawn.to(self.student.device)
        return self.student[drawn], self.teacher[drawn]

    @torch.no_grad()
    def remember(self, student: Tensor, teacher: Tensor, indices: Tensor) -> None:
        """Move the rows of these examples towards the batch's embeddings.

        Args:
            student: the student's embeddings (B, D).
            teacher: the teacher's (B, D).
            indices: which examples (B,) they are of.
        """
        self._check(indices)
        indices = indices.to(self.student.device)
        for memory, features in ((self.student, student), (self.teacher, teacher)):
            fresh = unit(features.detach().float())
            mixed = self.momentum * memory[indices] + (1 - self.momentum) * fresh
            memory[indices] = unit(mixed)
        self.step += 1
        self._step += 1

    @torch.no_grad()
    def _set_normaliser(
        self, student: Tensor, teacher: Tensor, noise: tuple[Tensor, Tensor]
    ) -> None:
        of_student, of_teacher = noise
        for i, (features, others) in enumerate(((student, of_teacher), (teacher, of_student))):
            cosines = torch.einsum("bd,bnd->bn", unit(features.float()), others)
            logs = cosines.flatten() / self.T
            self.log_normaliser[i] = logs.logsumexp(0) - math.log(logs.numel())
        self._known = True

    def _look_at_buffers(self) -> None:
        self._step = int(self.step)
        self._known = not bool(self.log_normaliser.isnan().any())

    def _check(self, indices: Tensor) -> None:
        last = len(self.student) - 1
        if not isinstance(indices, Tensor) or indices.dim() != 1 or indices.is_floating_point():
            raise ValueError("indices must be whole numbers of shape (B,): which example each is.")
        if indices.numel() == 0 or indices.min() < 0 or indices.max() > last:
            raise ValueError(
                f"indices must lie between 0 and {last}, the examples this bank was made for; got "
                f"{indices.tolist()[:8]}."
            )


class _OtherClasses:
    """Uniform draws from the examples of all classes but an example's own."""

    def __init__(self, labels: Tensor, examples: int) -> None:
        wrong = not isinstance(labels, Tensor) or labels.is_floating_point()
        if wrong or labels.shape != (examples,) or labels.min() < 0 or labels.unique().numel() < 2:
            shape = type(labels).__name__ if not isinstance(labels, Tensor) else labels.shape
            raise ValueError(
                f"labels must name a class of each of the {examples} examples, whole numbers of at "
                f"least 0 and two of them at least, got {shape}: leave labels out where some have "
                "none."
            )
        self.order = labels.cpu().argsort(stable=True)
        _, own, sizes = labels.cpu().unique(return_inverse=True, return_counts=True)
        self.size = sizes[own]  # of each example's own class, which lies in one piece of the order
        self.first = (sizes.cumsum(0) - sizes)[own]

    def __call__(self, numbers: Tensor, indices: Tensor) -> Tensor:
        """Which examples (B, N) some whole numbers (B, N) stand for."""
        size, first = (part[indices].unsqueeze(-1) for part in (self.size, self.first))
        place = numbers % (len(self.order) - size)
        return self.order[place + size * (place >= first)]  # step over the class itself


def _refuse_several_processes() -> None:
    """Each would remember its own part, and averaged buffers mix fresh rows with stale ones."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        processes = torch.distributed.get_world_size()
        if processes > 1:
            raise RuntimeError(
                f"a memory bank remembers the examples that its own process sees, and {processes} "
                "train together here, each with a part: its negatives would be stale or mixed. Run "
                "one process, or use crd_loss, whose negatives are those of the batch."
            )
