"""The published tables add up to what is said of them."""

from distill_lab.course.published import (
    CRD_ALONE,
    CRD_CELLS,
    CRD_PAIRS,
    CRD_SAME_FAMILY,
    crd_counts,
)


def test_every_row_has_one_cell_a_pair():
    assert {len(row) for row in (*CRD_CELLS.values(), *CRD_ALONE.values())} == {len(CRD_PAIRS)}
    known = {}
    for i, pair in enumerate(CRD_PAIRS):  # one network alone has one accuracy, wherever it stands
        for role, name in zip(("teacher", "student"), pair, strict=True):
            assert known.setdefault((role, name), CRD_ALONE[role][i]) == CRD_ALONE[role][i]


def test_the_cells_give_the_means_that_were_computed_from_the_source():
    means = {
        "KD": (72.74, 71.98),
        "SP": (72.04, 71.71),
        "RKD": (71.38, 69.69),
        "NST": (71.69, 69.68),
    }
    means |= {"FitNet": (71.37, 69.81), "AT": (72.11, 67.93), "CC": (71.43, 69.06)}
    means |= {"VID": (72.13, 70.64), "PKT": (72.53, 71.56), "AB": (71.28, 70.85)}
    means |= {"FT": (71.53, 68.22), "CRD": (73.60, 73.33)}
    for name, both in means.items():
        parts = CRD_CELLS[name][:CRD_SAME_FAMILY], CRD_CELLS[name][CRD_SAME_FAMILY:]
        for part, mean in zip(parts, both, strict=True):
            assert abs(sum(part) / len(part) - mean) < 0.0051, name
    fsp = [cell for cell in CRD_CELLS["FSP"] if cell]
    assert abs(sum(fsp) / len(fsp) - 71.29) < 0.0051


def test_eleven_of_136_cells_beat_kd_and_22_are_below_no_teacher():
    counts = [row for name, row in crd_counts().items() if name != "CRD"]
    assert [sum(column) for column in zip(*counts, strict=True)] == [11, 22, 136]
    assert crd_counts()["CRD"] == (13, 0, 13)
    assert crd_counts()["FSP"] == (0, 2, 6)
