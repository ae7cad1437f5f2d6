"""Who trains: one process, or several that `accelerate launch` started; and how precisely."""

import json
import os
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import timedelta
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from distill_lab._util.checks import one_of
from distill_lab._util.devices import find_device

Made = TypeVar("Made")
PATIENCE = timedelta(days=365)  # of a process for work that the main one does alone
AS_IT_IS = nullcontext()
PRECISIONS = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}


class DistributedContext:
    """The processes that train one student together, often a single one.

    Under `accelerate launch` (or `torchrun`) Accelerate says which process this is, on which
    device, and carries sums between them. The student is not wrapped: gradients are added up after
    the backward pass, so that taps, projections and several forward passes work as they do alone,
    and dividing by the count of the whole batch is plain arithmetic. The price is that sending
    does not overlap with computing; models too large for one device are out of reach.

    Args:
        device: where the student is; a launcher may say another one.
        wanted: where it shall be; None: where it is.
        precision: "fp32", "bf16" or "fp16" (None: what the launcher asked for, else fp32). The
            weights stay float32; only the forward pass runs at the lower precision.

    Raises:
        ValueError: for another precision, or one device for all processes but the CPU.
        RuntimeError: where Accelerate does not see the processes that were started.
    """

    def __init__(
        self,
        device: torch.device,
        precision: str | None = None,
        wanted: str | torch.device | None = None,
    ) -> None:
        there = None if wanted is None else find_device(wanted)
        self.rank, self.size, self.device = 0, 1, there or device
        self.moves = there is not None
        self._patient: Any = None
        started = int(os.environ.get("WORLD_SIZE", "1"))
        self.launched = started > 1 or "ACCELERATE_MIXED_PRECISION" in os.environ
        if self.launched:
            from accelerate import PartialState  # a second to import, so only where it is needed

            # unless told, Accelerate would leave processes without a GPU each to itself
            on_cpu = os.environ.get("ACCELERATE_USE_CPU", "").lower() in ("1", "true", "yes")
            on_cpu = on_cpu or (there is not None and there.type == "cpu")
            if there is not None and there.index is not None and not on_cpu and started > 1:
                raise ValueError(
                    f"device {there} for {started} processes: each has one of its own. Name the "
                    f"kind alone, {there.type}, or start one process."
                )
            state = PartialState(cpu=on_cpu or not torch.accelerator.is_available())
            self.rank, self.size = state.process_index, state.num_processes
            self.device = state.device
            if self.size != started:
                raise RuntimeError(
                    f"the launcher started {started} processes and Accelerate counts {self.size}: "
                    "they would all train the same student apart from each other. Was "
                    "PartialState or Accelerator made before distill() with other settings?"
                )
        kind = precision or os.environ.get("ACCELERATE_MIXED_PRECISION", "fp32")
        self.precision = one_of("precision", "fp32" if kind == "no" else kind, PRECISIONS)
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=self.precision == "fp16")
        self.wide = torch.float32 if self.device.type == "mps" else torch.float64

    @property
    def main(self) -> bool:
        """Whether this process is the one that writes, shows and calls back."""
        return self.rank == 0

    def shard(self, index: Tensor, accumulate: int) -> tuple[Tensor, ...]:
        """This process's part of a batch, in `accumulate` pieces, none of them empty."""
        if self.size == accumulate == 1:
            return (index,)
        parts = index.tensor_split(self.size * accumulate)
        own = parts[self.rank * accumulate : (self.rank + 1) * accumulate]
        return tuple(part for part in own if len(part))

    def autocast(self) -> AbstractContextManager[object]:
        """The forward pass at the chosen precision."""
        lower = PRECISIONS[self.precision]
        return AS_IT_IS if lower is None else torch.autocast(self.device.type, lower)

    def sum(self, values: list[Tensor]) -> list[Tensor]:
        """The sum of each scalar over all processes, on the device; nothing is read from it."""
        if self.size == 1:
            return values
        from accelerate.utils import reduce

        scalars = [value.to(self.device, self.wide).reshape(()) for value in values]
        return list(reduce(torch.stack(scalars), "sum").unbind())

    def sums_of(self, numbers: Sequence[float]) -> list[float]:
        """The sum of each number over all processes."""
        if self.size == 1:
            return list(numbers)
        wide = [torch.tensor(number, dtype=self.wide) for number in numbers]
        return [total.item() for total in self.sum(wide)]

    def sum_of(self, number: float) -> float:
        """The sum of one number over all processes."""
        return self.sums_of([number])[0]

    def any(self, flag: bool) -> bool:
        """Whether it is so in any process, so that all stop after the same step."""
        return flag if self.size == 1 else self.sum_of(flag) > 0

    def sum_gradients(self, parameters: Sequence[nn.Parameter]) -> None:
        """Give every process the sum of all gradients; one that no process has stays None."""
        if self.size == 1:
            return
        has = torch.tensor([float(p.grad is not None) for p in parameters], device=self.device)
        gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
        flat = [has, *(gradient.flatten().to(torch.float32) for gradient in gradients)]
        from accelerate.utils import reduce

        total = reduce(torch.cat(flat), "sum")
        anywhere, *sums = total.split([len(parameters), *(p.numel() for p in parameters)])
        for parameter, gradient, has_one in zip(parameters, sums, anywhere, strict=True):
            if has_one > 0:
                parameter.grad = gradient.view_as(parameter).to(parameter.dtype)

    def prepare(self, *members: object) -> None:
        """Bring modules to this process's device, and give them all the main one's weights."""
        modules = [getattr(member, "model", member) for member in members]
        for module in modules:
            if isinstance(module, nn.Module) and (self.launched or self.moves):
                module.to(self.device)
                for tensor in [*module.parameters(), *module.buffers()]:
                    self._broadcast(tensor)

    def average_buffers(self, *modules: nn.Module | None) -> None:
        """Make running statistics, gathered by each process on its part, those of the batch."""
        if self.size == 1:
            return
        from accelerate.utils import reduce

        for module in filter(None, modules):
            for buffer in module.buffers():
                if buffer.is_floating_point():
                    buffer.copy_(reduce(buffer, "mean"))

    def gather(self, tensor: Tensor) -> list[Tensor]:
        """The same small tensor of every process, on the CPU, in their order."""
        if self.size == 1:
            return [tensor]
        from accelerate.utils import gather

        return list(gather(tensor.to(self.device).unsqueeze(0)).cpu())

    def once(self, work: Callable[[], Any]) -> Any:
        """What the main process makes of some work; the others wait for it, however long it takes.

        Args:
            work: called in the main process alone.

        Returns:
            What it returned, as JSON brings it to the others.

        Raises:
            ChildProcessError: in the others, where it failed in the main one, in its words.
            KeyboardInterrupt: in the others, where it was stopped there.
        """
        if self.size == 1:
            return work()
        if self._patient is None:  # the usual group gives up after minutes
            self._patient = torch.distributed.new_group(backend="gloo", timeout=PATIENCE)
        failure: BaseException | None = None
        message: dict[str, Any] = {}
        if self.main:
            try:
                message["value"] = result = work()
            except BaseException as error:  # of any kind: the others wait for its result
                failure = error
                stopped = isinstance(error, KeyboardInterrupt)
                message = {"stopped": True} if stopped else {"error": str(error)}
        text = torch.tensor(list(json.dumps(message).encode()), dtype=torch.uint8)
        size = self._patiently(torch.tensor(len(text)))
        text = self._patiently(text if self.main else torch.empty(int(size), dtype=torch.uint8))
        if failure is not None:
            raise failure
        if self.main:
            return result
        message = json.loads(bytes(text.tolist()))
        if "stopped" in message:
            raise KeyboardInterrupt
        if "error" in message:
            raise ChildProcessError(f"the main process could not go on: {message['error']}")
        return message["value"]

    def main_first(self, work: Callable[[], Made]) -> Made:
        """Do some work in the main process, and then, of what it left on disk, in the others.

        Args:
            work: called everywhere.

        Returns:
            What it returned here.
        """
        made: list[Made] = []
        self.once(lambda: made.append(work()))
        return made[0] if made else work()

    def _patiently(self, tensor: Tensor) -> Tensor:
        """The main process's tensor; who waits for it can still be interrupted."""
        import torch.distributed as processes

        handle = processes.broadcast(tensor, 0, group=self._patient, async_op=True)
        while not handle.is_completed():
            time.sleep(0.05)
        handle.wait()
        return tensor

    def barrier(self) -> None:
        """Wait until every process is here."""
        self.sum_of(0.0)

    def _broadcast(self, tensor: Tensor) -> None:
        from accelerate.utils import broadcast

        if self.size > 1:
            tensor.data.copy_(broadcast(tensor.detach().clone()))

    def __repr__(self) -> str:
        return (
            f"DistributedContext({self.rank + 1} of {self.size}, {self.device}, {self.precision})"
        )
