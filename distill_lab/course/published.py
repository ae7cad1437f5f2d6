"""Published tables that more than one lesson reads, copied figure by figure from their source."""

from __future__ import annotations

__all__ = ["CRD_ALONE", "CRD_CELLS", "CRD_PAIRS", "CRD_SAME_FAMILY", "crd_counts"]

# CIFAR-100, test accuracy in percent: the CRD authors' README (github.com/HobbitLong/RepDistiller,
# commit 0eb3a95), "Benchmark Results on CIFAR-100". Every loss stands beside the labels, without
# the KD term. The first seven pairs are of one family of networks, the other six are not.
CRD_PAIRS = (
    ("wrn-40-2", "wrn-16-2"),
    ("wrn-40-2", "wrn-40-1"),
    ("resnet56", "resnet20"),
    ("resnet110", "resnet20"),
    ("resnet110", "resnet32"),
    ("resnet32x4", "resnet8x4"),
    ("vgg13", "vgg8"),
    ("vgg13", "MobileNetV2"),
    ("ResNet50", "MobileNetV2"),
    ("ResNet50", "vgg8"),
    ("resnet32x4", "ShuffleNetV1"),
    ("resnet32x4", "ShuffleNetV2"),
    ("wrn-40-2", "ShuffleNetV1"),
)
CRD_SAME_FAMILY = 7

# "teacher" and "student" learned from the labels alone; "-": the README prints 0.00, or no row.
_TABLE = """
teacher 75.61 75.61 72.34 74.31 74.31 79.42 74.64 74.64 79.34 79.34 79.42 79.42 75.61
student 73.26 71.98 69.06 69.06 71.14 72.50 70.36 64.60 64.60 70.36 70.50 71.82 70.50
KD      74.92 73.54 70.66 70.67 73.08 73.33 72.98 67.37 67.35 73.81 74.07 74.45 74.83
FitNet  73.58 72.24 69.21 68.99 71.06 73.50 71.02 64.14 63.16 70.69 73.59 73.54 73.73
AT      74.08 72.77 70.55 70.22 72.31 73.44 71.43 59.40 58.58 71.84 71.73 72.73 73.32
SP      73.83 72.43 69.67 70.04 72.69 72.94 72.68 66.30 68.08 73.34 73.48 74.56 74.52
CC      73.56 72.21 69.63 69.48 71.48 72.97 70.71 64.86 65.43 70.25 71.14 71.29 71.38
VID     74.11 73.30 70.38 70.16 72.61 73.09 71.23 65.56 67.57 70.30 73.38 73.40 73.61
RKD     73.35 72.22 69.61 69.25 71.82 71.90 71.48 64.52 64.43 71.50 72.28 73.21 72.21
PKT     74.54 73.45 70.34 70.25 72.61 73.64 72.88 67.13 66.52 73.01 74.10 74.69 73.89
AB      72.50 72.38 69.47 69.53 70.98 73.17 70.94 66.06 67.20 70.65 73.55 74.31 73.34
FT      73.25 71.59 69.84 70.22 72.37 72.86 70.58 61.78 60.99 70.29 71.75 72.50 72.03
FSP     72.91   -   69.95 70.11 71.89 72.62 70.23   -     -     -     -     -     -
NST     73.68 72.24 69.60 69.53 71.96 73.30 71.53 58.16 64.96 71.28 74.12 74.68 74.89
CRD     75.48 74.14 71.16 71.46 73.48 75.51 73.94 69.73 69.11 74.30 75.11 75.65 76.05
"""


def _rows() -> dict[str, tuple[float | None, ...]]:
    lines = (line.split() for line in _TABLE.strip().splitlines())
    return {name: tuple(None if x == "-" else float(x) for x in cells) for name, *cells in lines}


CRD_CELLS = _rows()
CRD_ALONE = {role: CRD_CELLS.pop(role) for role in ("teacher", "student")}


def crd_counts() -> dict[str, tuple[int, int, int]]:
    """Count, over the pairs of networks, how a loss compares with plain KD and with no teacher.

    Returns:
        Of each loss but KD: (pairs where it beats KD, pairs where it is below the student that has
        no teacher, pairs measured).

    >>> crd_counts()["PKT"], crd_counts()["CRD"]
    ((3, 0, 13), (13, 0, 13))
    """
    counts = {}
    for name, cells in CRD_CELLS.items():
        rows = zip(cells, CRD_CELLS["KD"], CRD_ALONE["student"], strict=True)
        measured = [(cell, kd, alone) for cell, kd, alone in rows if cell and kd and alone]
        wins = sum(cell > kd for cell, kd, _ in measured)
        counts[name] = (wins, sum(cell < alone for cell, _, alone in measured), len(measured))
    return {name: count for name, count in counts.items() if name != "KD"}
