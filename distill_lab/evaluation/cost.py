"""What a model costs to keep and to ask: parameters, bytes, arithmetic."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from distill_lab._util.tensors import dense_parts
from distill_lab._util.wrappers import eager, plain_state
from distill_lab.evaluation.predictions import as_module
from distill_lab.evaluation.runnable import (
    Runnable,
    example_count,
    first_rows,
    is_session,
    session_bytes,
)

__all__ = ["TrainingFlops", "count_flops", "count_parameters", "size_on_disk", "training_flops"]


def count_parameters(model: Any) -> int:
    """How many numbers training can set; a tensor that two layers share counts once.

    Of a quantised layer, whose weights are packed away, its weights and biases count.

    >>> count_parameters(torch.nn.Linear(64, 10))
    650
    """
    module = as_module(model)
    packed = packed_tensors(module)
    scales = ("scale", "zero_point", "scales", "zero_points")
    weights = (x for name, x in packed.items() if not name.endswith(scales))
    return sum(x.numel() for x in (*module.parameters(), *weights))


def size_on_disk(model: Any) -> int:
    """Bytes of the model's weights as a file, shared ones once.

    Of a module a safetensors file: parameters, buffers and header; quantised weights as the whole
    numbers and scales that they are. Of an ONNX session its own file, with the data beside it.

    Raises:
        TypeError: for what is neither.
        ValueError: for an ONNX session that was not read from a file.

    >>> 4 * 650 < size_on_disk(torch.nn.Linear(64, 10)) < 4 * 650 + 200
    True
    """
    if is_session(model):
        size = session_bytes(model)
        if size is None:
            raise ValueError("this ONNX session was not read from a file: give it the file's path.")
        return size
    module = as_module(model)
    seen, stored, tensors = set(), set(), {}
    plain = {k: v for k, v in plain_state(module).items() if isinstance(v, Tensor)}
    named = {**plain, **packed_tensors(module)}
    for name, value in (part for pair in named.items() for part in dense_parts(*pair).items()):
        if value.is_quantized:  # stands in the packed ones by its whole numbers
            continue
        place = (value.data_ptr(), value.dtype, value.shape, value.stride())
        if value.numel() == 0 or place not in seen:
            seen.add(place)
            value = value.contiguous().cpu()
            storage = value.untyped_storage().data_ptr()  # of which another may be a part
            tensors[name] = value.clone() if storage in stored else value
            stored.add(storage)
    return len(safetensors.torch.save(tensors))


def packed_tensors(module: nn.Module) -> dict[str, Tensor]:
    """What quantised layers hold, which are no parameters of torch: whole numbers, scales, biases.

    Args:
        module: any network.

    Returns:
        Name -> plain tensor; nothing for a network that is not quantised.
    """
    known = {name for name, _ in module.named_parameters(remove_duplicate=False)}
    known |= {name for name, _ in module.named_buffers(remove_duplicate=False)}
    packed: dict[str, Tensor] = {}
    for name, value in module.state_dict().items():
        parts = value if isinstance(value, tuple) else (value,)
        for number, part in enumerate(parts):
            if name not in known and isinstance(part, Tensor):
                packed |= _plain_parts(f"{name}.{number}" if len(parts) > 1 else name, part)
    return packed


def _plain_parts(name: str, tensor: Tensor) -> dict[str, Tensor]:
    if not tensor.is_quantized:
        return {name: tensor}
    if tensor.qscheme() in (torch.per_tensor_affine, torch.per_tensor_symmetric):
        scale, zero = torch.tensor(tensor.q_scale()), torch.tensor(tensor.q_zero_point())
    else:
        scale, zero = tensor.q_per_channel_scales(), tensor.q_per_channel_zero_points()
    return {name: tensor.int_repr(), f"{name}.scales": scale, f"{name}.zero_points": zero}


@dataclass(frozen=True)
class TrainingFlops:
    """The arithmetic that one training took.

    Args:
        student: the student's own floating-point operations.
        teacher: those that asking the teacher took.

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


def count_flops(model: Any, inputs: Any) -> int:
    """Floating-point operations of one forward call, for one example, in eval mode.

    A multiplication with its addition counts two. Counted are matrix products, convolutions,
    attention and recurrent layers, as `torch.utils.flop_counter` knows them: element by element
    operations, norms and look-ups in a table are not.

    Args:
        model: the network.
        inputs: examples (N, ...), or a dict of them, the first of which is used.

    Returns:
        Operations an example.

    Raises:
        ValueError: for no inputs.
        TypeError: for what is no network, or a quantised one.

    >>> count_flops(torch.nn.Linear(64, 10), torch.rand(5, 64)) == 2 * 64 * 10
    True
    """
    if example_count(inputs) == 0:
        raise ValueError("there are no inputs: expected at least one example.")
    module = as_module(model)
    if packed_tensors(module):
        raise TypeError("the counter does not know quantised layers: count the network before.")
    runnable = Runnable(module)
    with runnable.evaluating(), eager(module), _in_single_steps():
        call = runnable.prepared(first_rows(inputs, 1))
        with FlopCounterMode(display=False) as counter:
            call()
    return int(counter.get_total_flops())


def training_flops(
    student: Any,
    inputs: Any,
    *,
    examples: int,
    epochs: float,
    teacher: Any = None,
    cached: bool = False,
) -> TrainingFlops:
    """The arithmetic of training a student on `examples` examples for so many epochs.

    Formula: examples x epochs x 3 F_student + examples x asked x F_teacher, where F is
    `count_flops` on one of `inputs`, and asked is 1 with a `cached` teacher, else the epochs.

    A backward pass counts two forwards, one for the weights' gradients and one for the inputs'.
    That is a little too much, for the first layer needs no gradient of its input; losses, optimiser
    and evaluation are left out, and so is training the teacher.

    Args:
        student: the network that is trained.
        inputs: examples (N, ...), the first of which is used.
        examples: how many there are to train on.
        epochs: how often each is seen.
        teacher: the network that is asked; None costs nothing.
        cached: whether it is asked once an example, not once an epoch.

    Returns:
        Floating-point operations of the student, and of the teacher.

    Raises:
        ValueError: for sizes that are not positive, or a cache without a teacher.

    Source: Kaplan et al. 2020, arXiv:2001.08361, section 2.1.

    >>> net, big = torch.nn.Linear(4, 2), torch.nn.Linear(4, 20)  # 16 and 160 a forward
    >>> training_flops(net, torch.rand(1, 4), examples=100, epochs=5, teacher=big, cached=True)
    TrainingFlops(student=24000.0, teacher=16000.0)
    """
    for name, size in (("examples", examples), ("epochs", epochs)):
        if not size > 0:
            raise ValueError(f"{name} must be a positive number; got {size}.")
    if cached and teacher is None:
        raise ValueError("cached=True says how a teacher was asked: pass the teacher too.")
    steps = float(examples * epochs)
    teacher_passes = 0.0 if teacher is None else float(examples) if cached else steps
    return TrainingFlops(
        student=3 * steps * count_flops(student, inputs),
        teacher=teacher_passes * count_flops(teacher, inputs) if teacher_passes else 0.0,
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
