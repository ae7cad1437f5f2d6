"""A dataset that decodes JPEGs, read by the process that trains and read ahead by two workers.

The same run of `distill` over the same images: `distill(student, images)` beside
`distill(student, images, workers=2)`, in turn. Start and end of the workers are in the time, which
a run of 1,600 small pictures feels; one of 6,400 stands beside it.

A last row counts CPU-seconds of all processes: what reading ahead costs beyond the reading. On two
cores no more than two CPU-seconds pass in a second, so twice the ratio's inverse is the limit.

    python benchmarks/workers.py
    python benchmarks/workers.py --quick
"""

import argparse
import io
import resource
import time

import numpy as np
import torch
from PIL import Image
from table import Row, finish, show
from torch import Tensor, nn
from torch.utils.data import Dataset

from distill_lab.methods import supervised
from distill_lab.training import distill

WORKERS = 2


class Slow(Dataset):
    """Examples that take 5 ms each to arrive, as from a disk or a network."""

    def __len__(self) -> int:
        return 400

    def __getitem__(self, i: int) -> tuple[Tensor, int]:
        time.sleep(0.005)
        return torch.full((3, 32, 32), i / 400), i % 10


class Photographs(Dataset):
    """JPEGs of 1024 x 1024 noise kept in memory, decoded and made small at every look."""

    def __init__(self, n: int) -> None:
        noise = np.random.default_rng(0)
        self.files = []
        for _ in range(n):
            coarse = Image.fromarray(noise.integers(0, 256, (128, 128, 3), dtype=np.uint8))
            buffer = io.BytesIO()
            coarse.resize((1024, 1024)).save(buffer, "JPEG", quality=90)
            self.files.append(buffer.getvalue())

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, i: int) -> tuple[Tensor, int]:
        small = Image.open(io.BytesIO(self.files[i])).resize((32, 32), Image.Resampling.BICUBIC)
        return torch.from_numpy(np.array(small)).permute(2, 0, 1).float() / 255, i % 10


class Augmented(Dataset):
    """JPEGs of 320 x 320 kept in memory, decoded and cropped by chance to 224 x 224."""

    def __init__(self, n: int) -> None:
        noise = np.random.default_rng(0)
        self.files = []
        for _ in range(n):
            coarse = Image.fromarray(noise.integers(0, 256, (40, 40, 3), dtype=np.uint8))
            buffer = io.BytesIO()
            coarse.resize((320, 320)).save(buffer, "JPEG", quality=90)
            self.files.append(buffer.getvalue())

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, i: int) -> tuple[Tensor, int]:
        left, top = torch.randint(0, 97, (2,)).tolist()
        picture = Image.open(io.BytesIO(self.files[i])).crop((left, top, left + 224, top + 224))
        return torch.from_numpy(np.array(picture)).permute(2, 0, 1).float() / 255, i % 10


def cpu_seconds() -> float:
    """CPU-seconds of this process and of the workers that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def seconds(images: Dataset, num_workers: int, epochs: int) -> tuple[float, float]:
    """How long a run takes by the clock and by processors; the student is small."""
    torch.manual_seed(0)
    student = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2), nn.ReLU(), nn.AdaptiveAvgPool2d(4))
    student.extend([nn.Flatten(), nn.Linear(8 * 4 * 4, 10)])
    settings = {"epochs": epochs, "batch_size": 32, "progress": False, "workers": num_workers}
    began, used = time.perf_counter(), cpu_seconds()
    distill(student, images, method=supervised(), **settings)
    return time.perf_counter() - began, cpu_seconds() - used


def measure(quick: bool) -> list[Row]:
    torch.set_num_threads(1)
    images = Photographs(100 if quick else 400)
    kinds = {
        "5 ms each to arrive": Slow(),
        f"{len(images)} JPEGs of 1024 x 1024": images,
        f"{len(images)} JPEGs, crops of 224 x 224": Augmented(len(images)),
    }
    few, many, rounds = (2, 4, 2) if quick else (4, 16, 5)
    runs = [(kind, dataset, few) for kind, dataset in kinds.items()]
    runs.append((*list(kinds.items())[-1], many))
    rows = []
    for kind, dataset, epochs in runs:
        seconds(dataset, 0, 1)
        times: dict[int, list[tuple[float, float]]] = {0: [], WORKERS: []}
        for _ in range(rounds):
            for workers, taken in times.items():
                taken.append(seconds(dataset, workers, epochs))
        for i, unit in enumerate(("s", "CPU-s")):
            mine, theirs = ([pair[i] for pair in times[workers]] for workers in (WORKERS, 0))
            asked = 1 / 1.8 if "224" not in kind else 1 / 1.6 if epochs == many else None
            row = Row.of_times(
                f"{kind}, {epochs} epochs",
                "read by the process that trains",
                mine,
                theirs,
                unit=unit,
                target=asked if unit == "s" else None,
                note="Ours reads ahead with two workers: same order, same bits, same dropout. "
                "JPEGs want the cores to themselves: two workers and the student share two here.",
            )
            rows.append(row)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", help="write the rows there")
    options = parser.parse_args()
    rows = measure(options.quick)
    show(rows)
    finish(rows, options.json)


if __name__ == "__main__":
    main()
