"""One step of our loop against the same step elsewhere, side by side in one run.

    python benchmarks/training_step.py [--rounds 15] [--steps 800] [--quick] [--json FILE]

A 64-64-10 MLP learns from a recorded teacher, batch 64. All gather the batch, compute
alpha T^2 KL + (1 - alpha) CE, differentiate and take an AdamW step. By hand twice: with the fused
AdamW that our loop uses, and with AdamW as it comes (what most people write); once more with the
loss of torchdistill. Beside them accelerate with a DataLoader, and Hugging Face's Trainer with its
logging, saving and progress line switched off.

Then a table, texts, pictures, embeddings and 28 independent labels with a live teacher, beside the
loop by hand and the Trainer; and embeddings and margins of a ranker that were recorded, beside
sentence-transformers.

All in CPU-seconds of the process and the system, on one thread: a busy machine disturbs them less
than the clock. Loops take turns, the order turns round, and ratios are taken round by round.
"""

import argparse
import resource
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from table import Row, finish, show
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from distill_lab import methods
from distill_lab.data import as_data
from distill_lab.models import MLP, Ranker
from distill_lab.teachers import Recorded, freeze
from distill_lab.training import distill

T, ALPHA, BATCH, VOCABULARY = 4.0, 0.9, 64, 5000
WORK = "a step of a 64-64-10 MLP, batch 64"
BY_HAND, TRAINER = "by hand, fused AdamW", "Hugging Face Trainer"
TORCHDISTILL = (
    "torchdistill takes part with its KDLoss in the loop by hand: its own loop, DistillationBox, "
    "imports torchvision, which cannot be imported beside this torch (no operator "
    "torchvision::nms)."
)
Loss = Callable[[Tensor, Tensor, Tensor], Tensor]


def loss_of(logits: Tensor, target: Tensor, y: Tensor) -> Tensor:
    """The loss as a careful person writes it."""
    log_q, log_p = F.log_softmax(logits / T, -1), F.log_softmax(target / T, -1)
    soft = F.kl_div(log_q, log_p, reduction="batchmean", log_target=True)
    return ALPHA * T**2 * soft + (1 - ALPHA) * F.cross_entropy(logits, y)


def binary_loss_of(logits: Tensor, target: Tensor, y: Tensor) -> Tensor:
    """The same of independent labels: a sigmoid each, sums over labels."""
    soft = F.binary_cross_entropy_with_logits(logits / T, (target / T).sigmoid(), reduction="sum")
    hard = F.binary_cross_entropy_with_logits(logits, y, reduction="sum")
    return (ALPHA * T**2 * soft + (1 - ALPHA) * hard) / len(y)


def mse_of(embeddings: Tensor, target: Tensor, y: Tensor) -> Tensor:
    """The loss of embeddings, as sentence-transformers has it."""
    return F.mse_loss(embeddings, target)


def by_hand(
    student: nn.Module,
    x: Tensor,
    y: Tensor,
    teacher_logits: Tensor,
    steps: int,
    fused: bool = True,
    loss_of: Loss = loss_of,
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


def with_torchdistill(
    student: nn.Module, x: Tensor, y: Tensor, teacher_logits: Tensor, steps: int
) -> None:
    """The loop by hand around torchdistill's loss, which reads outputs by the names of modules."""
    from torchdistill.losses.mid_level import KDLoss

    kd = KDLoss("s", "output", "t", "output", temperature=T, alpha=1 - ALPHA)

    def loss_by_name(logits: Tensor, target: Tensor, labels: Tensor) -> Tensor:
        value: Tensor = kd({"s": {"output": logits}}, {"t": {"output": target}}, labels)
        return value

    by_hand(student, x, y, teacher_logits, steps, loss_of=loss_by_name)


def quiet(steps: int, batch: int) -> dict[str, Any]:
    """The Trainer's arguments with everything optional switched off."""
    return {
        "max_steps": steps,
        "per_device_train_batch_size": batch,
        "learning_rate": 1e-3,
        "lr_scheduler_type": "constant",
        "weight_decay": 0.0,
        "use_cpu": True,
        "report_to": [],
        "logging_strategy": "no",
        "save_strategy": "no",
        "disable_tqdm": True,
        "max_grad_norm": 0.0,
    }


def with_trainer(
    student: nn.Module,
    columns: dict[str, Tensor],
    loss_by_name: Callable[[nn.Module, dict[str, Tensor]], Tensor],
    steps: int,
    batch: int = BATCH,
) -> None:
    """Hugging Face's Trainer with our loss."""
    from transformers import Trainer, TrainingArguments

    class Distiller(Trainer):
        def compute_loss(self, model, inputs, return_outputs=False, **kwargs):  # type: ignore[no-untyped-def]
            return loss_by_name(model, inputs)

    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(folder, remove_unused_columns=False, **quiet(steps, batch))
        Distiller(student, arguments, train_dataset=rows).train()


class Words(nn.Module):
    """Embeddings, one layer of attention, a mean over the words, a head."""

    def __init__(self, width: int, outputs: int = 10) -> None:
        super().__init__()
        self.table = nn.Embedding(VOCABULARY, width)
        self.layer = nn.TransformerEncoderLayer(width, 4, 4 * width, 0.0, batch_first=True)
        self.head = nn.Linear(width, outputs)

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
    """What people learn from: inputs, who learns and who teaches, and by what.

    Args:
        inputs: one tensor, or a dict of them.
        labels: of the inputs; None for none.
        student: makes a new student.
        teacher: the network that teaches.
        size: of a batch.
        loss: of the student's answers, the teacher's and the labels, by hand.
        method: ours.
    """

    inputs: Tensor | dict[str, Tensor]
    labels: Tensor | None
    student: Callable[[], nn.Module]
    teacher: nn.Module
    size: int
    loss: Loss
    method: methods.Method

    def __post_init__(self) -> None:
        self.teacher.eval().requires_grad_(False)
        self.columns = self.inputs if isinstance(self.inputs, dict) else {"x": self.inputs}
        self.examples = len(next(iter(self.columns.values())))

    def answer(self, net: nn.Module, parts: dict[str, Tensor]) -> Tensor:
        """Ask a network about a batch."""
        answer: Tensor = net(**parts) if isinstance(self.inputs, dict) else net(parts["x"])
        return answer

    def loss_of(self, net: nn.Module, parts: dict[str, Tensor], y: Tensor) -> Tensor:
        """The loss on a batch, after the teacher was asked."""
        with torch.no_grad():
            target = self.answer(self.teacher, parts)
        return self.loss(self.answer(net, parts), target, y)

    def by_hand(self, steps: int) -> None:
        """The loop a careful person writes."""
        net = self.student()
        optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3, weight_decay=0.0, fused=True)
        losses: list[float] = []
        while True:
            for index in torch.randperm(self.examples).split(self.size):
                parts = {name: part[index] for name, part in self.columns.items()}
                y = index if self.labels is None else self.labels[index]
                loss = self.loss_of(net, parts, y)
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
            method=self.method,
            steps=steps,
            batch_size=self.size,
            progress=False,
        )

    def with_trainer(self, steps: int) -> None:
        """The same through Hugging Face's Trainer."""
        y = torch.zeros(self.examples) if self.labels is None else self.labels

        def loss_by_name(model: nn.Module, inputs: dict[str, Tensor]) -> Tensor:
            parts = {name: inputs[name] for name in self.columns}
            return self.loss_of(model, parts, inputs["y"])

        with_trainer(self.student(), self.columns | {"y": y}, loss_by_name, steps, self.size)


def kinds() -> dict[str, Kind]:
    """A table, texts of 4 to 32 words, pictures of 32 pixels; texts with other answers."""
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(VOCABULARY, (512, 32), generator=generator)
    lengths = torch.randint(4, 33, (512, 1), generator=generator)
    texts = {"input_ids": ids, "attention_mask": (torch.arange(32) < lengths).long()}
    table = torch.randn(8192, 256, generator=generator)
    images = torch.randn(512, 3, 32, 32, generator=generator)
    labels = torch.arange(8192) % 10
    several = (torch.rand(512, 28, generator=generator) < 0.1).float()
    kd, few = methods.kd(T, ALPHA), labels[:512]
    wide = MLP(256, 512, 512, 10, seed=1)
    return {
        "a table": Kind(table, labels, lambda: MLP(256, 256, 10), wide, 128, loss_of, kd),
        "texts": Kind(texts, few, lambda: Words(64), Words(128), 32, loss_of, kd),
        "pictures": Kind(images, few, lambda: pictures(8, 4), pictures(16, 4), 32, loss_of, kd),
        "embeddings": Kind(
            texts,
            None,
            lambda: Words(64, 64),
            Words(128, 64),
            32,
            mse_of,
            methods.embeddings("mse"),
        ),
        "28 labels": Kind(
            texts,
            several,
            lambda: Words(64, 28),
            Words(128, 28),
            32,
            binary_loss_of,
            methods.binary_kd(T, ALPHA),
        ),
    }


def encoder(net: nn.Module) -> nn.Module:
    """A network as the first module of a SentenceTransformer; its words are numbers."""
    from sentence_transformers.base.modules import InputModule

    class Encoder(InputModule):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.net = net

        def preprocess(self, inputs, prompt=None, **more):  # type: ignore[no-untyped-def]
            rows = [torch.tensor([int(word) for word in text.split()]) for text in inputs]
            ids = nn.utils.rnn.pad_sequence(rows, batch_first=True)
            ones = [torch.ones_like(row) for row in rows]
            mask = nn.utils.rnn.pad_sequence(ones, batch_first=True)
            return {"input_ids": ids, "attention_mask": mask}

        def forward(self, features):  # type: ignore[no-untyped-def]
            answer = self.net(features["input_ids"], features["attention_mask"])
            return features | {"sentence_embedding": answer}

        def save(self, *given, **more) -> None:  # type: ignore[no-untyped-def]
            raise NotImplementedError

    return Encoder()


class Recordings:
    """Embeddings that a teacher gave once, learned by us and by sentence-transformers.

    Both train the same encoder on the same texts; theirs are cut into tokens at every step, as that
    trainer does it, ours once before.

    Args:
        kind: the texts and who reads them.
        margins: whether each text is a query, with the next two as the right and a wrong candidate,
            and the teacher's margin between them is learned, of products of embeddings.
    """

    def __init__(self, kind: Kind, *, margins: bool = False) -> None:
        assert isinstance(kind.inputs, dict)
        self.kind, self.margins = kind, margins
        lengths = kind.inputs["attention_mask"].sum(1).tolist()
        pairs = zip(kind.inputs["input_ids"].tolist(), lengths, strict=True)
        self.texts = [" ".join(map(str, row[:length])) for row, length in pairs]
        with torch.no_grad():
            self.answers = kind.answer(kind.teacher, kind.columns)
        self.data: tuple[Any, None] = (kind.inputs, None)
        if margins:
            sides = {
                side: {name: part.roll(-i, 0) for name, part in kind.inputs.items()}
                for i, side in enumerate(("query", "positive", "negative"))
            }
            right, wrong = (self.answers.roll(-i, 0) for i in (1, 2))
            self.answers = ((self.answers * (right - wrong)).sum(-1, keepdim=True)).clone()
            self.data = (sides, None)

    def rows(self) -> dict[str, list[Any]]:
        """The columns that sentence-transformers reads: texts, and what the teacher answered."""
        if not self.margins:
            return {"text": self.texts, "label": self.answers.tolist()}
        turned = [self.texts[i:] + self.texts[:i] for i in range(3)]
        columns = dict(zip(("query", "positive", "negative"), turned, strict=True))
        return columns | {"label": self.answers.flatten().tolist()}

    def agree(self) -> None:
        """See that both give the first texts the same loss."""
        from sentence_transformers import SentenceTransformer, losses

        net = self.kind.student().eval()
        model = SentenceTransformer(modules=[encoder(net)], device="cpu")
        few = {name: part[:8] for name, part in self.rows().items()}
        labels = torch.tensor(few.pop("label"))
        features = [model[0].preprocess(texts) for texts in few.values()]
        loss = losses.MarginMSELoss(model) if self.margins else losses.MSELoss(model)
        batch = as_data(self.data).batch(torch.arange(8))
        teacher = Recorded(self.answers)
        with torch.no_grad():
            (mine,) = self.method().terms(batch, self.student(net), teacher).values()
            theirs = loss(features, labels)
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-6)

    def student(self, net: nn.Module) -> nn.Module:
        """The network as our method asks it."""
        return Ranker(net) if self.margins else net

    def method(self) -> methods.Method:
        """Ours."""
        return methods.margin_mse() if self.margins else methods.embeddings("mse")

    def ours(self, steps: int) -> None:
        """Through the engine."""
        distill(
            self.student(self.kind.student()),
            self.data,
            teacher=Recorded(self.answers),
            method=self.method(),
            steps=steps,
            batch_size=self.kind.size,
            progress=False,
        )

    def sentence_transformers(self, steps: int) -> None:
        """Through their trainer and their loss."""
        from datasets import Dataset
        from sentence_transformers import (
            SentenceTransformer,
            SentenceTransformerTrainer,
            SentenceTransformerTrainingArguments,
            losses,
        )

        model = SentenceTransformer(modules=[encoder(self.kind.student())], device="cpu")
        rows = Dataset.from_dict(self.rows())
        loss = (losses.MarginMSELoss if self.margins else losses.MSELoss)(model)
        with tempfile.TemporaryDirectory() as folder:
            arguments = SentenceTransformerTrainingArguments(folder, **quiet(steps, self.kind.size))
            SentenceTransformerTrainer(model, arguments, train_dataset=rows, loss=loss).train()


def turns(
    loops: dict[str, Callable[[], object]], rounds: int, steps: int
) -> dict[str, list[float]]:
    """CPU-microseconds a step of each loop, round by round; the first round warms up."""
    microseconds: dict[str, list[float]] = {name: [] for name in loops}
    for turn in range(rounds + 1):
        for name, loop in list(loops.items())[:: -1 if turn % 2 else 1]:
            began = time.process_time()
            loop()
            if turn:
                microseconds[name].append(1e6 * (time.process_time() - began) / steps)
    return microseconds


def rows_of(
    work: str, loops: dict[str, Callable[[], object]], rounds: int, steps: int, **targets: float
) -> list[Row]:
    """A row for each peer; `targets` is what ours may cost beside the loop by hand."""
    times = turns(loops, rounds, steps)
    mine = times.pop("ours")
    notes = {"torchdistill's KDLoss": TORCHDISTILL}
    return [
        Row.of_times(
            f"{work}, CPU time",
            peer,
            mine,
            theirs,
            unit="µs",
            target=targets.get("by_hand") if peer == BY_HAND else None,
            note=notes.get(peer, ""),
        )
        for peer, theirs in times.items()
    ]


def page_faults(steps: int) -> Row:
    """How many pages a step on pictures has filled with zeros again, after a run that warms up.

    By hand first: our loop tells the C library to keep memory, and some of that stays.
    """
    images, labels = torch.randn(256, 3, 32, 32), torch.arange(256) % 10
    kd = methods.kd(T, ALPHA)
    kind = Kind(images, labels, lambda: pictures(16, 4), pictures(24, 6), 64, loss_of, kd)
    faults = []
    for run in (kind.by_hand, kind.ours):
        run(2)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        run(steps)
        after = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        faults.append((after - before) / steps)
    theirs, mine = faults
    work = "page faults of a step on pictures, 16 channels, batch 64"
    target = "<= the loop by hand"
    return Row(work, BY_HAND, mine, theirs, "faults", target=target, met=mine <= theirs)


def main() -> None:
    """Run the rounds and print the table."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--rounds", type=int, default=15)
    options.add_argument("--steps", type=int, default=800)
    options.add_argument("--only", default="", help="kinds whose names hold this")
    options.add_argument("--quick", action="store_true", help="two short rounds")
    options.add_argument("--json", help="write the rows here as well")
    settings = options.parse_args()
    rounds, steps, few = (2, 160, 20) if settings.quick else (settings.rounds, settings.steps, 200)
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(1024, 64, generator=generator)
    y = torch.randint(10, (1024,), generator=generator)
    given = x, y, torch.randn(1024, 10, generator=generator) * 3, steps

    def net() -> nn.Module:
        return MLP(64, 64, 10)

    def loss_by_name(model: nn.Module, inputs: dict[str, Tensor]) -> Tensor:
        return loss_of(model(inputs["x"]), inputs["target"], inputs["y"])

    columns = {"x": x, "y": y, "target": given[2]}
    rows = [page_faults(5 if settings.quick else 20)] if settings.only in "page faults" else []
    if settings.only in WORK:
        loops: dict[str, Callable[[], object]] = {
            BY_HAND: lambda: by_hand(net(), *given),
            "by hand, AdamW as it comes": lambda: by_hand(net(), *given, fused=False),
            "torchdistill's KDLoss": lambda: with_torchdistill(net(), *given),
            "accelerate + DataLoader": lambda: with_accelerate(net(), *given),
            TRAINER: lambda: with_trainer(net(), columns, loss_by_name, steps),
            "ours": lambda: ours(net(), *given),
        }
        rows += rows_of(WORK, loops, rounds, steps, by_hand=1.10)
    every = kinds()
    for name, kind in every.items():
        if settings.only in name:
            loops = {
                BY_HAND: partial(kind.by_hand, few),
                TRAINER: partial(kind.with_trainer, few),
                "ours": partial(kind.ours, few),
            }
            rows += rows_of(f"a step on {name}, live teacher", loops, rounds, few, by_hand=1.05)
    for what, peer in (("embeddings", "MSELoss"), ("margins", "MarginMSELoss")):
        if settings.only in f"recorded {what}":
            recorded = Recordings(every["embeddings"], margins=what == "margins")
            recorded.agree()
            loops = {
                f"sentence-transformers, {peer}": partial(recorded.sentence_transformers, few),
                "ours": partial(recorded.ours, few),
            }
            rows += rows_of(f"a step on recorded {what}", loops, rounds, few)
    show(rows, f"1 thread, {rounds} rounds of {steps} and {few} steps")
    finish(rows, settings.json)


if __name__ == "__main__":
    main()
