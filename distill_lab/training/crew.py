"""Who trains: one process, or several that ``accelerate launch`` started; and how precisely."""

import os
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn

PRECISIONS = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}


class Crew:
    """The processes that train one student together; one process is a crew of one.

    Under ``accelerate launch`` (or ``torchrun``) Accelerate says which process this is, on which
    device, and carries sums between them. The student is not wrapped: gradients are added up after
    the backward pass, so that taps, projections and several forward passes work as they do alone,
    and dividing by the count of the whole batch is plain arithmetic. The price is that sending
    does not overlap with computing; models too large for one device are out of reach.

    ``precision`` is "fp32", "bf16" or "fp16" (None: what the launcher asked for, else fp32). The
    weights stay float32; only the forward pass runs at the lower precision.
    Raises ValueError for another precision.
    """

    def __init__(self, device: torch.device, precision: str | None = None) -> None:
        self.rank, self.size, self.device = 0, 1, device
        started = int(os.environ.get("WORLD_SIZE", "1"))
        self.launched = started > 1 or "ACCELERATE_MIXED_PRECISION" in os.environ
        if self.launched:
            from accelerate import PartialState  # a second to import, so only where it is needed

            # unless told, Accelerate would leave processes without a GPU each to itself
            on_cpu = os.environ.get("ACCELERATE_USE_CPU", "").lower() in ("1", "true", "yes")
            state = PartialState(cpu=on_cpu or not torch.accelerator.is_available())
            self.rank, self.size = state.process_index, state.num_processes
            self.device = state.device
            if self.size != started:
                raise RuntimeError(
                    f"the launcher started {started} processes and Accelerate counts {self.size}: "
                    "they would all train the same student apart from each other. Was "
                    "PartialState or Accelerator made before distill() with other settings?"
                )
        asked = precision or os.environ.get("ACCELERATE_MIXED_PRECISION", "fp32")
        self.precision = "fp32" if asked == "no" else asked
        if self.precision not in PRECISIONS:
            raise ValueError(f"precision must be one of {list(PRECISIONS)}, got {asked!r}.")
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=self.precision == "fp16")

    @property
    def main(self) -> bool:
        """Whether this process is the one that writes, shows and calls back."""
        return self.rank == 0

    def pieces(self, index: Tensor, accumulate: int) -> tuple[Tensor, ...]:
        """This process's part of a batch, in ``accumulate`` pieces, none of them empty."""
        if self.size == accumulate == 1:
            return (index,)
        parts = index.tensor_split(self.size * accumulate)
        mine = parts[self.rank * accumulate : (self.rank + 1) * accumulate]
        return tuple(part for part in mine if len(part))

    def autocast(self) -> AbstractContextManager[object]:
        """The forward pass at the chosen precision."""
        lower = PRECISIONS[self.precision]
        return nullcontext() if lower is None else torch.autocast(self.device.type, lower)

    def sum(self, numbers: Sequence[float]) -> list[float]:
        """Add up numbers over all processes, in float64 where the device has it."""
        if self.size == 1:
            return list(numbers)
        from accelerate.utils import reduce

        wide = torch.float32 if self.device.type == "mps" else torch.float64
        return reduce(torch.tensor(numbers, dtype=wide, device=self.device), "sum").tolist()

    def any(self, wish: bool) -> bool:
        """Whether any process wishes it, so that all stop after the same step."""
        return wish if self.size == 1 else self.sum([float(wish)])[0] > 0

    def sum_gradients(self, parameters: Sequence[nn.Parameter]) -> None:
        """Give every process the sum of all gradients; one that no process has stays None."""
        if self.size == 1:
            return
        from accelerate.utils import reduce

        has = torch.tensor([float(p.grad is not None) for p in parameters], device=self.device)
        flat = [has, *(_gradient(p).flatten().to(torch.float32) for p in parameters)]
        summed = reduce(torch.cat(flat), "sum")
        held, *gradients = summed.split([len(flat[0]), *(p.numel() for p in parameters)])
        for parameter, gradient, anywhere in zip(parameters, gradients, held, strict=True):
            if anywhere > 0:
                parameter.grad = gradient.view_as(parameter).to(parameter.dtype)

    def welcome(self, *members: object) -> None:
        """Bring modules to this process's device, and give them all the main one's weights."""
        modules = [getattr(member, "model", member) for member in members]
        for module in modules:
            if isinstance(module, nn.Module) and self.launched:
                module.to(self.device)
                for tensor in [*module.parameters(), *module.buffers()]:
                    self._broadcast(tensor)

    def average_buffers(self, *modules: nn.Module | None) -> None:
        """Running statistics that each process gathered on its part become those of the whole."""
        if self.size == 1:
            return
        from accelerate.utils import reduce

        for module in filter(None, modules):
            for buffer in module.buffers():
                if buffer.is_floating_point():
                    buffer.copy_(reduce(buffer, "mean"))

    def _broadcast(self, tensor: Tensor) -> None:
        from accelerate.utils import broadcast

        if self.size > 1:
            tensor.data.copy_(broadcast(tensor.detach().clone()))

    def gather(self, tensor: Tensor) -> list[Tensor]:
        """The same small tensor of every process, on the CPU, in their order."""
        if self.size == 1:
            return [tensor]
        from accelerate.utils import gather

        return list(gather(tensor.to(self.device).unsqueeze(0)).cpu())

    def from_main(self, value: float) -> float:
        """The main process's number, for a decision that all must take alike."""
        return self.sum([value if self.main else 0.0])[0]

    def wait(self) -> None:
        """Until every process is here."""
        self.sum([0.0])

    def __repr__(self) -> str:
        return f"Crew({self.rank + 1} of {self.size}, {self.device}, {self.precision})"


def _gradient(parameter: nn.Parameter) -> Tensor:
    return torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
