"""A teacher read from disk beside the same teacher asked live, and what its signals weigh there.

    python benchmarks/cache.py [--rounds 5] [--quick] [--json FILE]

Time: ten epochs of ``distill`` from a teacher of ten times the student's parameters, both MLPs, on
MNIST where it is found and else on scikit-learn's digits enlarged to 28 x 28. The cached side
includes making the cache. Rounds alternate, each with a seed of its own that both sides share, and
ratios are taken round by round; the time of the processor stands beside that of the clock, since
the clock also counts what other programs do. Both students are then held against the teacher on
test images.

Size: texts of 96 to 160 tokens over 128,256 classes, cached for real; every byte of the folder
counts, divided by the tokens. Beside it, where that signal leads a student: 64 Zipf distributions
over 2,000 classes, free logits, 600 steps of Adam, each step hearing what one token more in the
corpus would have stored (ids still take the 17 bits of the large vocabulary). Replayed lines hear
one stored record again and again instead, as a cache gives it in every epoch: what an unbiased draw
is *not* good for, however small its bias.
"""

import argparse
import json
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from distill_lab import losses, methods
from distill_lab._util.io import write_whole
from distill_lab.data import datasets
from distill_lab.data.batches import Batch
from distill_lab.evaluation.statistics import equivalent, paired_interval
from distill_lab.methods.scoring import divergence
from distill_lab.models import MLP
from distill_lab.teachers import Live, cache, freeze, keep
from distill_lab.teachers.cached.keep import Records
from distill_lab.training import distill

TEACHER, STUDENT = (784, 1250, 1250, 1250, 10), (784, 512, 10)
EPOCHS, BATCH, METHOD = 10, 512, methods.kd(T=4.0, alpha=0.9)
CLASSES, TOY_CLASSES, TOY_ROWS, TOY_STEPS = 128_256, 2000, 64, 600
DISTILLKIT = 121.0  # bytes a token at this vocabulary, by its own formula for its smallest setting
REPLAYED = "one sampled draw, replayed"
ASKED = {None: "nothing was asked", True: "{}: met", False: "{}: not met"}

Row = dict[str, object]


def images(quick: bool) -> tuple[tuple[Tensor, Tensor], Tensor, str]:
    """Training images with labels, test images, and what they are."""
    number = 2000 if quick else 12_000
    try:
        train, test = datasets.load("mnist", download=False).split(train=number, seed=0)
        return (train.inputs, train.labels), test.inputs[:2000], f"MNIST, {number:,} images"
    except FileNotFoundError:
        train, test = datasets.load("digits").split(train=1500, seed=0)
        large = [F.interpolate(part.inputs, size=28, mode="bilinear") for part in (train, test)]
        return (large[0], train.labels), large[1], "digits enlarged to 28 x 28, 1,500 images"


def ten_epochs(rounds: int, quick: bool) -> list[Row]:
    """Live beside cached: the clock, the processor, and where both students end."""
    data, test, name = images(quick)
    model = MLP(*TEACHER, seed=100)
    distill(model, data, method=methods.supervised(), epochs=2, batch_size=128, progress=False)
    teacher = freeze(model)
    weights = [sum(p.numel() for p in MLP(*sizes).parameters()) for sizes in (TEACHER, STUDENT)]
    print(
        f"\nten epochs, {name}, batches of {BATCH}; teacher {weights[0]:,} parameters, student "
        f"{weights[1]:,} ({weights[0] / weights[1]:.1f} x); forward pass "
        f"{forward(model, data[0]) / forward(MLP(*STUDENT), data[0]):.1f} x"
    )
    print(
        f"{'round':8}{'live s':>9}{'cached s':>10}{'of it making':>14}{'ratio':>8}"
        f"{'by processor':>14}{'KL live':>10}{'KL cached':>11}"
    )
    clock: dict[str, list[float]] = {"live": [], "cached": []}
    processor: dict[str, list[float]] = {"live": [], "cached": []}
    kl: dict[str, list[float]] = {"live": [], "cached": []}
    for seed in range(-1, rounds):  # round -1 warms up
        made = 0.0
        order = ("live", "cached") if seed % 2 else ("cached", "live")
        for side in order:
            with tempfile.TemporaryDirectory() as folder:
                began, worked = time.perf_counter(), time.process_time()
                source = teacher if side == "live" else remembered(teacher, data, folder)
                made = time.perf_counter() - began if side == "cached" else made
                student = MLP(*STUDENT, seed=seed)
                distill(
                    student,
                    data,
                    teacher=source,
                    method=METHOD,
                    epochs=EPOCHS,
                    batch_size=BATCH,
                    seed=seed,
                    progress=False,
                )
                took = time.perf_counter() - began, time.process_time() - worked
            if seed >= 0:
                clock[side].append(took[0])
                processor[side].append(took[1])
                with torch.no_grad():
                    kl[side].append(losses.forward_kl(student(test), model(test)).item())
        if seed >= 0:
            last = {side: clock[side][-1] for side in clock}
            print(
                f"{seed:<8}{last['live']:>9.2f}{last['cached']:>10.2f}{made:>14.2f}"
                f"{last['live'] / last['cached']:>8.2f}"
                f"{processor['live'][-1] / processor['cached'][-1]:>14.2f}"
                f"{kl['live'][-1]:>10.5f}{kl['cached'][-1]:>11.5f}"
            )
    rows = [
        row(
            f"ten epochs, {by} (live / cached)",
            "the same teacher asked live",
            times["cached"],
            times["live"],
            "s",
            "at least 3 x faster",
            lambda ratio: ratio >= 3,
            faster=True,
        )
        for by, times in (("by the clock", clock), ("by the processor", processor))
    ]
    noise = statistics.stdev(kl["live"])
    apart = paired_interval(kl["cached"], kl["live"])
    print(f"KL cached - live: {apart:.6f} nats; from seed to seed it varies by sd {noise:.6f}")
    kl_row = row(
        "final KL to the teacher",
        "the same teacher asked live",
        kl["cached"],
        kl["live"],
        "nats",
        "difference within the sd of the seeds",
        lambda ratio: True,
    )
    return [*rows, kl_row | {"met": equivalent(apart, noise)}]


def remembered(teacher: Live, data: tuple[Tensor, Tensor], folder: str) -> object:
    return cache(teacher, data, folder, batch_size=512, progress=False)


def forward(model: torch.nn.Module, inputs: Tensor) -> float:
    """Least time of a forward pass."""
    taken = []
    with torch.no_grad():
        for _ in range(8):
            began = time.perf_counter()
            model(inputs[:BATCH])
            taken.append(time.perf_counter() - began)
    return min(taken)


class Zipf:
    """A teacher over a large vocabulary: at each token, the classes in an order of its own."""

    identity = "Zipf-1"

    def __call__(self, batch: Batch) -> Tensor:
        first = batch.inputs["input_ids"]
        generator = torch.Generator().manual_seed(int(first[0, 0]))
        ranks = torch.stack(
            [torch.randperm(CLASSES, generator=generator) for _ in range(first.numel())]
        )
        return -(ranks + 1.0).log().view(*first.shape, CLASSES)


class Texts:
    """Texts of 96 to 160 random tokens, padded batch by batch."""

    def __init__(self, number: int) -> None:
        generator = torch.Generator().manual_seed(0)
        lengths = torch.randint(96, 161, (number,), generator=generator).tolist()
        self.words = [torch.randint(CLASSES, (n,), generator=generator) for n in lengths]
        self.tokens = sum(lengths)

    def __len__(self) -> int:
        return len(self.words)

    def batch(self, index: Tensor) -> Batch:
        rows = [self.words[i] for i in index.tolist()]
        ids, mask = (torch.zeros(len(rows), max(map(len, rows)), dtype=torch.long) for _ in "12")
        for i, words in enumerate(rows):
            ids[i, : len(words)], mask[i, : len(words)] = words, 1
        return Batch({"input_ids": ids, "attention_mask": mask}, None, index)


def bytes_a_token(signal: Records, texts: int) -> float:
    """Everything a real cache takes on disk, by the token."""
    data = Texts(texts)
    with tempfile.TemporaryDirectory() as folder:
        cached = cache(Zipf(), data, folder, signal=signal, batch_size=1, progress=False)
        return cached.bytes_on_disk / data.tokens


def zipf(rows: int, classes: int) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    ranks = torch.stack([torch.randperm(classes, generator=generator) for _ in range(rows)])
    return (-(ranks + 1.0).log()).log_softmax(-1)


def toy(loss: Callable[[Tensor, int], Tensor], teacher: Tensor) -> float:
    """Where a loss leads logits that are free to become anything: the full KL at the end."""
    z = torch.zeros_like(teacher).requires_grad_()
    optimiser = torch.optim.Adam([z], lr=0.05)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, TOY_STEPS)
    for step in range(TOY_STEPS):
        optimiser.zero_grad()
        loss(z, step).backward()
        optimiser.step()
        schedule.step()
    return losses.forward_kl(z.detach(), teacher).item()


def kl_after(signal: Records, teacher: Tensor, *, seed: int, again: bool = False) -> float:
    """The toy through real records: at each step the token after, or always the first."""
    rows = torch.arange(len(teacher))

    def loss(z: Tensor, step: int) -> Tensor:
        example = rows + len(teacher) * (0 if again else step + seed * TOY_STEPS)
        written = signal.encode(teacher, CLASSES, example, torch.zeros_like(rows))
        return divergence(z, signal.decode(written, CLASSES))

    if isinstance(signal, keep.dense):
        return toy(lambda z, step: divergence(z, teacher), teacher)
    return toy(loss, teacher)


def independent(teacher: Tensor, n: int, seed: int) -> float:
    """The toy with n independent draws a step, as the survey has it."""
    generator = torch.Generator().manual_seed(seed)

    def loss(z: Tensor, step: int) -> Tensor:
        ids = torch.multinomial(teacher.exp(), n, replacement=True, generator=generator)
        return losses.sampled_kl(z, ids, teacher.gather(-1, ids))

    return toy(loss, teacher)


def sizes(rounds: int, quick: bool) -> list[Row]:
    """Bytes a token on disk, and where each signal leads."""
    teacher, texts, repeats = zipf(TOY_ROWS, TOY_CLASSES), 3 if quick else 16, min(rounds, 3)
    print(f"\nsignals of {CLASSES:,} classes on disk ({Texts(texts).tokens} tokens), and the toy")
    print(f"{'signal':34}{'bytes a token':>14}{'final KL':>10}")
    kls_of: dict[str, tuple[float, list[float]]] = {}
    kinds = {
        "sampled, 60-byte records": (keep.sampled(60), False),
        "top 14 and a tail, 60-byte records": (keep.top_k(14), False),
        "every class, float16": (keep.dense(), False),
        REPLAYED: (keep.sampled(60), True),
        "the same, a record of 480 bytes": (keep.sampled(480), True),
        "top 14 and a tail, replayed": (keep.top_k(14), True),
    }
    for name, (signal, again) in kinds.items():
        # float16 of every class is 256 kB a token: two texts are enough to weigh them
        weight = bytes_a_token(signal, 2 if isinstance(signal, keep.dense) else texts)
        seeds = range(1 if again or isinstance(signal, (keep.dense, keep.top_k)) else repeats)
        kls_of[name] = weight, [kl_after(signal, teacher, seed=s, again=again) for s in seeds]
        print(f"{name:34}{weight:>14.2f}{statistics.median(kls_of[name][1]):>10.4f}")
    plain = [independent(teacher, 12, seed) for seed in range(repeats)]
    print(f"{'12 independent draws (survey)':34}{'-':>14}{statistics.median(plain):>10.4f}")
    weight, kls = kls_of["sampled, 60-byte records"]
    bucket = kls_of["top 14 and a tail, 60-byte records"][1] * len(kls)
    again = kls_of[REPLAYED][1]
    note = (
        "the toy KL of the sampled signal is that of draws renewed at every step, as in one pass "
        "over a corpus; one stored draw read again at every step, as in many epochs over few "
        "examples, is the line below it: there keep the top k with its tail, or more draws"
    )
    return [
        row(
            "cached signal at V=128,256",
            "DistillKit (by its formula)",
            [weight],
            [DISTILLKIT],
            "bytes a token",
            "at most 64 bytes",
            lambda ratio: weight <= 64,
        ),
        row(
            "toy KL of that signal",
            "tail bucket of as many bytes",
            kls,
            bucket,
            "nats",
            "KL at most 0.25",
            lambda ratio: max(kls) <= 0.25,
        )
        | {"note": note},
        row(
            "toy KL of one stored draw, replayed",
            "tail bucket of as many bytes",
            again,
            bucket[: len(again)],
            "nats",
            None,
            None,
        ),
    ]


def row(
    work: str,
    peer: str,
    ours: list[float],
    theirs: list[float],
    unit: str,
    target: str | None,
    met: Callable[[float], bool] | None,
    *,
    faster: bool = False,
) -> Row:
    """One row of the table; ``faster`` takes the ratio theirs / ours. Nothing need be asked."""
    ratios = [b / a if faster else a / b for a, b in zip(ours, theirs, strict=True)]
    median = statistics.median(ratios)
    return {
        "work": work,
        "peer": peer,
        "ratio_median": median,
        "ratio_min": min(ratios),
        "ratio_max": max(ratios),
        "ours": statistics.median(ours),
        "theirs": statistics.median(theirs),
        "unit": unit,
        "target": target,
        "met": None if met is None else met(median),
    }


def main() -> None:
    """Measure, print both tables and their summary, write the rows."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--quick", action="store_true", help="less data, three rounds")
    options.add_argument("--json", type=Path, help="write the rows there")
    arguments = options.parse_args()
    torch.set_num_threads(1)
    rounds = 3 if arguments.quick else arguments.rounds
    print(f"{platform.machine()}, torch {torch.__version__}, 1 thread, {rounds} rounds")
    rows = [*ten_epochs(rounds, arguments.quick), *sizes(rounds, arguments.quick)]
    print(
        f"\n{'work':30}{'beside':30}{'ours':>10}{'theirs':>10} {'unit':14}"
        f"{'ratio [min, max]':>22}  target"
    )
    for r in rows:
        spread = f"{r['ratio_median']:.3f} [{r['ratio_min']:.3f}, {r['ratio_max']:.3f}]"
        print(
            f"{r['work']:30}{r['peer']:30}{r['ours']:>10.4g}{r['theirs']:>10.4g} {r['unit']:14}"
            f"{spread:>22}  {ASKED[r['met']].format(r['target'])}"
        )
    if arguments.json:
        write_whole(arguments.json, (json.dumps(rows, indent=1) + "\n").encode())


if __name__ == "__main__":
    main()
