"""One step of our loop against the same step elsewhere, side by side in one run.

    python benchmarks/training_step.py [--rounds 9] [--steps 1600] [--json FILE]

A 64-64-10 MLP learns from a recorded teacher, batch 64, on one thread. All gather the batch,
compute alpha T^2 KL + (1 - alpha) CE, differentiate and take an AdamW step; rounds alternate, and
the ratio is taken round by round. By hand twice: with the fused AdamW that our loop uses, and with
AdamW as it comes (what most people write). Beside them accelerate with a DataLoader, and Hugging
Face's Trainer with its logging, saving and progress line switched off.

Then a table, texts and pictures with a live teacher, in CPU-seconds of the process and the system:
what the hand-written loop takes, and what ours does.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from table import Row, finish, show
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from distill_lab import methods
from distill_lab.models import MLP
from distill_lab.teachers import Recorded, freeze
from distill_lab.training import distill

T, ALPHA, BATCH = 4.0, 0.9, 64
WORK = "one step of the loop, 64-64-10 MLP, batch 64"


def loss_of(logits: Tensor, target: Tensor, y: Tensor) -> Tensor:
    """The loss as a careful person writes it."""
    log_q, log_p = F.log_softmax(logits / T, -1), F.log_softmax(target / T, -1)
    soft = F.kl_div(log_q, log_p, reduction="batchmean", log_target=True)
    return ALPHA * T**2 * soft + (1 - ALPHA) * F.cross_entropy(logits, y)


def by_hand(
    student: nn.Module, x: Tensor, y: Tensor, teacher_logits: Tensor, steps: int, fused: bool
) -> None:
    """The loop a careful person writes, with nothing around it."""
    optimizer = torch.optim.AdamW(student.parameters(), lr=1e-3, weight_decay=0.0, fused=fused)
    losses, done = [], 0
    while done < steps:
        for index in torch.randperm(len(x)).split(BATCH):
            loss = loss_of(student(x[index]), teacher_logits[index], y[index])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
            done += 1
            if done == steps:
                return


def ours(student: nn.Module, x: Tensor, y: Tensor, teacher_logits: Tensor, steps: int) -> None:
    """The same through the engine."""
    distill(
        student,
        (x, y),
        teacher=Recorded(teacher_logits),
        method=methods.kd(T, ALPHA),
        epochs=steps * BATCH // len(x),
        batch_size=BATCH,
        progress=False,
    )


def with_accelerate(
    student: nn.Module, x: Tensor, y: Tensor, teacher_logits: Tensor, steps: int
) -> None:
    """The loop of Accelerate's own quick tour."""
    from accelerate import Accelerator

    accelerator = Accelerator(cpu=True)
    optimizer = torch.optim.AdamW(student.parameters(), lr=1e-3, weight_decay=0.0)
    loader = DataLoader(TensorDataset(x, y, teacher_logits), batch_size=BATCH, shuffle=True)
    student, optimizer, loader = accelerator.prepare(student, optimizer, loader)
    losses: list[float] = []
    while len(losses) < steps:
        for inputs, labels, target in loader:
            loss = loss_of(student(inputs), target, labels)
            optimizer.zero_grad()
            accelerator.backward(loss)
            optimizer.step()
            losses.append(loss.item())


def with_trainer(
    student: nn.Module, x: Tensor, y: Tensor, teacher_logits: Tensor, steps: int
) -> None:
    """Hugging Face's Trainer with our loss, everything optional switched off."""
    from transformers import Trainer, TrainingArguments

    class Distiller(Trainer):
        def compute_loss(self, model, inputs, return_outputs=False, **kwargs):  # type: ignore[no-untyped-def]
            return loss_of(model(inputs["x"]), inputs["teacher_logits"], inputs["y"])

    rows = [
        {"x": a, "y": b, "teacher_logits": c} for a, b, c in zip(x, y, teacher_logits, strict=True)
    ]
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            folder,
            max_steps=steps,
            per_device_train_batch_size=BATCH,
            learning_rate=1e-3,
            lr_scheduler_type="constant",
            weight_decay=0.0,
            use_cpu=True,
            report_to=[],
            logging_strategy="no",
            save_strategy="no",
            disable_tqdm=True,
            max_grad_norm=0.0,
            remove_unused_columns=False,
        )
        Distiller(student, arguments, train_dataset=rows).train()


class Words(nn.Module):
    """Embeddings, one layer of attention, a mean over the words, a head."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.table = nn.Embedding(5000, width)
        self.layer = nn.TransformerEncoderLayer(width, 4, 4 * width, 0.0, batch_first=True)
        self.head = nn.Linear(width, 10)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Score the classes."""
        hidden = self.layer(self.table(input_ids), src_key_padding_mask=attention_mask == 0)
        kept = attention_mask.unsqueeze(-1)
        return self.head((hidden * kept).sum(1) / kept.sum(1))


def pictures(width: int, layers: int) -> nn.Module:
    """Convolutions with batch norm at 32 pixels."""
    stages: list[nn.Module] = []
    for i in range(layers):
        fan_in = width if i else 3
        stages += [nn.Conv2d(fan_in, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU()]
    return nn.Sequential(*stages, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 10))


@dataclass
class Kind:
    """What people learn from: inputs, who learns and who teaches.

    Args:
        inputs: one tensor, or a dict of them.
        student: makes a new student.
        teacher: the network that teaches.
        size: of a batch.
    """

    inputs: Tensor | dict[str, Tensor]
    student: Callable[[], nn.Module]
    teacher: nn.Module
    size: int

    def __post_init__(self) -> None:
        self.teacher.eval().requires_grad_(False)
        parts = self.inputs if isinstance(self.inputs, dict) else {"x": self.inputs}
        self.labels = torch.arange(len(next(iter(parts.values())))) % 10

    def logits(self, net: nn.Module, index: Tensor) -> Tensor:
        """Ask a network about a batch."""
        if isinstance(self.inputs, dict):
            return net(**{name: part[index] for name, part in self.inputs.items()})
        return net(self.inputs[index])

    def by_hand(self, steps: int) -> None:
        """The loop a careful person writes."""
        net = self.student()
        optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3, weight_decay=0.0, fused=True)
        losses: list[float] = []
        while True:
            for index in torch.randperm(len(self.labels)).split(self.size):
                with torch.no_grad():
                    target = self.logits(self.teacher, index)
                loss = loss_of(self.logits(net, index), target, self.labels[index])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                losses.append(loss.item())
                if len(losses) == steps:
                    return

    def ours(self, steps: int) -> None:
        """The same through the engine."""
        distill(
            self.student(),
            (self.inputs, self.labels),
            teacher=freeze(self.teacher),
            method=methods.kd(T, ALPHA),
            steps=steps,
            batch_size=self.size,
            progress=False,
        )


def kinds() -> dict[str, Kind]:
    """A table, texts of 4 to 32 words, pictures of 32 pixels."""
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(5000, (512, 32), generator=generator)
    lengths = torch.randint(4, 33, (512, 1), generator=generator)
    texts = {"input_ids": ids, "attention_mask": (torch.arange(32) < lengths).long()}
    table = torch.randn(8192, 256, generator=generator)
    images = torch.randn(512, 3, 32, 32, generator=generator)
    return {
        "a table": Kind(table, lambda: MLP(256, 256, 10), MLP(256, 512, 512, 10, seed=1), 128),
        "texts": Kind(texts, lambda: Words(64), Words(128), 32),
        "pictures": Kind(images, lambda: pictures(16, 4), pictures(24, 6), 64),
    }


def each_kind(rounds: int, steps: int) -> list[Row]:
    """A row for each kind of data, in CPU-seconds: the system's part is in them."""
    rows = []
    for name, kind in kinds().items():
        seconds: dict[str, list[float]] = {"by hand": [], "ours": []}
        for turn in range(rounds + 1):
            for loop, run in (("by hand", kind.by_hand), ("ours", kind.ours)):
                began = time.process_time()
                run(steps)
                if turn:  # the first round warms up
                    seconds[loop].append(1e6 * (time.process_time() - began) / steps)
        work, peer = f"a step on {name}, live teacher, CPU time", "by hand, fused AdamW"
        mine, theirs = seconds["ours"], seconds["by hand"]
        rows.append(Row.of_times(work, peer, mine, theirs, unit="µs", target=1.05))
    return rows


def main() -> None:
    """Run the rounds and print the table."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--rounds", type=int, default=9)
    options.add_argument("--steps", type=int, default=1600)
    options.add_argument("--quick", action="store_true", help="three short rounds")
    options.add_argument("--json", help="write the rows here as well")
    asked = options.parse_args()
    rounds, steps = (3, 320) if asked.quick else (asked.rounds, asked.steps)
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(1024, 64, generator=generator)
    y = torch.randint(10, (1024,), generator=generator)
    teacher_logits = torch.randn(1024, 10, generator=generator) * 3

    def net() -> nn.Module:
        return MLP(64, 64, 10)

    loops: dict[str, Callable[[], None]] = {
        "by hand, fused AdamW": lambda: by_hand(net(), x, y, teacher_logits, steps, True),
        "by hand, AdamW as it comes": lambda: by_hand(net(), x, y, teacher_logits, steps, False),
        "accelerate + DataLoader": lambda: with_accelerate(net(), x, y, teacher_logits, steps),
        "Hugging Face Trainer": lambda: with_trainer(net(), x, y, teacher_logits, steps),
        "ours": lambda: ours(net(), x, y, teacher_logits, steps),
    }
    seconds: dict[str, list[float]] = {name: [] for name in loops}
    for turn in range(rounds + 1):
        for name, loop in loops.items():
            began = time.perf_counter()
            loop()
            if turn:  # the first round warms up
                seconds[name].append(1e6 * (time.perf_counter() - began) / steps)

    mine = seconds.pop("ours")
    targets = {"by hand, fused AdamW": 1.10}
    rows = [
        Row.of_times(WORK, peer, mine, theirs, unit="µs", target=targets.get(peer))
        for peer, theirs in seconds.items()
    ]
    rows += each_kind(rounds, 20 if asked.quick else 100)
    # the peers against the hand-written step, as the field's figures are given
    hand = seconds["by hand, fused AdamW"]
    for peer in ("accelerate + DataLoader", "Hugging Face Trainer"):
        factor = statistics.median(a / b for a, b in zip(seconds[peer], hand, strict=True))
        print(f"{peer}: {factor:.2f} x the step by hand")
    show(rows, f"1 thread, {rounds} rounds of {steps} steps")
    finish(rows, asked.json)


if __name__ == "__main__":
    main()
