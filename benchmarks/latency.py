"""Is the latency that `compare` reports that of a clock of one's own, for small and large models?

    python benchmarks/latency.py [--rounds 9] [--runs 60] [--quick]

Six models from a small MLP to a ResNet-110 on pictures of 32 pixels, one example a call, one
thread. Each round a plain loop times every model alone, `compare` times all of them in one call,
and the plain loop times them once more; a ratio is compare's median over the mean of the two plain
medians. Rounds are short and many: where another process wakes up between two clocks, one round is
wrong and not the median of all. The last rows hold compare's speed-up of the small model over the
ResNet-56 to the ratio of the plain medians, and show what calls strictly in turn would have said.
"""

import argparse
import statistics
import time

import torch
from table import Row, finish, show
from torch import Tensor, nn

from distill_lab.evaluation import compare

LARGE, SMALL = "ResNet-56", "MLP, 128 units"


class Residual(nn.Module):
    """Two convolutions and a way round them."""

    def __init__(self, fan_in: int, fan_out: int, stride: int = 1) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *convolution(fan_in, fan_out, stride), nn.ReLU(), *convolution(fan_out, fan_out)
        )
        same = fan_in == fan_out
        self.around = nn.Identity() if same else nn.Conv2d(fan_in, fan_out, 1, stride)

    def forward(self, inputs: Tensor) -> Tensor:
        """Compute the features."""
        return torch.relu(self.body(inputs) + self.around(inputs))


def convolution(fan_in: int, fan_out: int, stride: int = 1) -> list[nn.Module]:
    """A 3x3 convolution and its batch norm."""
    return [nn.Conv2d(fan_in, fan_out, 3, stride, 1, bias=False), nn.BatchNorm2d(fan_out)]


def resnet(blocks: int) -> nn.Module:
    """He et al.'s network for small pictures: 6 blocks + 2 layers, 16 to 64 channels."""
    layers: list[nn.Module] = [*convolution(1, 16), nn.ReLU()]
    for fan_in, width in ((16, 16), (16, 32), (32, 64)):
        layers += [Residual(fan_in, width, 1 if fan_in == width else 2)]
        layers += [Residual(width, width) for _ in range(blocks - 1)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))


def mlp(width: int) -> nn.Module:
    """One hidden layer."""
    layers = nn.Linear(1024, width), nn.ReLU(), nn.Linear(width, 10)
    return nn.Sequential(nn.Flatten(), *layers)


def plain_clock(model: nn.Module, inputs: Tensor, runs: int) -> float:
    """The median of a loop as anybody writes it, in milliseconds."""
    model.eval()
    times = []
    with torch.inference_mode():
        for number in range(runs + 20):
            start = time.perf_counter()
            model(inputs)
            if number >= 20:
                times.append(1000 * (time.perf_counter() - start))
    return statistics.median(times)


def main() -> None:
    """Measure round by round, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--runs", type=int, default=60, help="timed calls of each model")
    parser.add_argument("--quick", action="store_true", help="only see that it works")
    parser.add_argument("--json", default=None)
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    rounds, runs = (2, 20) if options.quick else (options.rounds, options.runs)
    models = {
        SMALL: mlp(128),
        "MLP, 512 units": mlp(512),
        "ResNet-8": resnet(1),
        "ResNet-20": resnet(3),
        LARGE: resnet(9),
        "ResNet-110": resnet(18),
    }
    x, labels = torch.randn(32, 1, 32, 32), torch.arange(32) % 10
    columns = ["latency_p50", "latency_in_turn", "speed_up"]
    ours: dict[str, list[float]] = {name: [] for name in models}
    theirs: dict[str, list[float]] = {name: [] for name in models}
    speeds, ratios, turned = [], [], []
    for _ in range(rounds):
        before = {n: plain_clock(model, x[:1], runs) for n, model in models.items()}
        report = compare(models, (x, labels), teacher=LARGE, columns=columns, runs=runs)
        after = {n: plain_clock(model, x[:1], runs) for n, model in reversed(models.items())}
        for name in models:
            ours[name].append(report[name]["latency_p50"])
            theirs[name].append((before[name] + after[name]) / 2)
        speeds.append(report[SMALL]["speed_up"])
        ratios.append(theirs[LARGE][-1] / theirs[SMALL][-1])
        turned.append(report[LARGE]["latency_in_turn"] / report[SMALL]["latency_in_turn"])
    rows = [
        Row.of_times(name, "a plain loop", ours[name], theirs[name], unit="ms", target=1.1)
        for name in models
    ]
    work = f"speed-up of {SMALL} over {LARGE}"
    rows += [
        Row.of_times(work, "a plain loop", speeds, ratios, unit="times", target=1.1),
        Row.of_times(f"{work}, calls in turn", "a plain loop", turned, ratios, unit="times"),
    ]
    show(rows)
    finish(rows, options.json)


if __name__ == "__main__":
    main()
