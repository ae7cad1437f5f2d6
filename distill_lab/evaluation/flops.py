"""What a model costs in arithmetic: one answer, and a whole training."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from distill_lab.evaluation.cost import on_its_device
from distill_lab.evaluation.predictions import as_module, evaluating

__all__ = ["TrainingFlops", "count_flops", "training_flops"]


@dataclass(frozen=True)
class TrainingFlops:
    """The arithmetic that one training took: the student's own, and what asking the teacher took.

    >>> spent = TrainingFlops(student=3e9, teacher=1e9)
    >>> spent.total, str(spent)
    (4000000000.0, '4.00e+09 FLOPs, 25 % of them the teacher')
    """

    student: float
    teacher: float

    @property
    def total(self) -> float:
        """Student and teacher together."""
        return self.student + self.teacher

    def __str__(self) -> str:
        share = 100 * self.teacher / self.total if self.total else 0.0
        return f"{self.total:.2e} FLOPs, {share:.0f} % of them the teacher"


def count_flops(model: Any, inputs: Tensor) -> int:
    """Floating-point operations of one forward call, for one example, in eval mode.

    A multiplication with its addition counts two. Counted are matrix products, convolutions,
    attention and recurrent layers, as `torch.utils.flop_counter` knows them: element by element
    operations, norms and look-ups in a table are not. `inputs`: examples (N, ...); the first is
    used. Raises ValueError for none, TypeError for anything but a model.

    >>> count_flops(torch.nn.Linear(64, 10), torch.rand(5, 64)) == 2 * 64 * 10
    True
    """
    if len(inputs) == 0:
        raise ValueError("there are no inputs: expected at least one example.")
    module = as_module(model)
    one = on_its_device(module, inputs[:1])
    with evaluating(module), _in_single_steps(), FlopCounterMode(display=False) as counter:
        module(one)
    return int(counter.get_total_flops())


def training_flops(
    student: Any,
    inputs: Tensor,
    *,
    examples: int,
    epochs: float,
    teacher: Any = None,
    cached: bool = False,
) -> TrainingFlops:
    """The arithmetic of training a student on `examples` examples for so many epochs.

    Formula: examples x epochs x 3 F_student + examples x asked x F_teacher, where F is
    `count_flops` on one of `inputs`, and asked is 1 with a `cached` teacher, else the epochs.

    A backward pass counts two forwards, one for the weights' gradients and one for the inputs'
    (Kaplan et al. 2020, section 2.1). That is a little too much, for the first layer needs no
    gradient of its input; losses, optimiser and evaluation are left out. A teacher that needs no
    question (None) costs nothing; training the teacher is not in here either.

    Raises ValueError for sizes that are not positive, or a cache without a teacher.

    >>> net, big = torch.nn.Linear(4, 2), torch.nn.Linear(4, 20)  # 16 and 160 a forward
    >>> training_flops(net, torch.rand(1, 4), examples=100, epochs=5, teacher=big, cached=True)
    TrainingFlops(student=24000.0, teacher=16000.0)
    """
    for name, size in (("examples", examples), ("epochs", epochs)):
        if not size > 0:
            raise ValueError(f"{name} must be a positive number; got {size}.")
    if cached and teacher is None:
        raise ValueError("cached=True says how a teacher was asked: pass the teacher too.")
    shown = float(examples * epochs)
    heard = 0.0 if teacher is None else float(examples) if cached else shown
    return TrainingFlops(
        student=3 * shown * count_flops(student, inputs),
        teacher=heard * count_flops(teacher, inputs) if heard else 0.0,
    )


@contextmanager
def _in_single_steps() -> Iterator[None]:
    """Fused layers off: the counter does not know them, and would count 0 for all they do."""
    fused: list[Any] = [torch.backends.cudnn, torch.backends.mkldnn]  # recurrent layers
    were = [backend.enabled for backend in fused]
    fast = torch.backends.mha.get_fastpath_enabled()  # attention and encoder layers
    try:
        for backend in fused:
            backend.enabled = False
        torch.backends.mha.set_fastpath_enabled(False)
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
        for backend, was in zip(fused, were, strict=True):
            backend.enabled = was
