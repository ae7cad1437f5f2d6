"""What stays as it is while code runs: settings, and no counts, logs or answers that are kept."""

from collections.abc import Callable
from typing import Any

from distill_lab._util.describe import describe
from distill_lab._util.reached import codes_of, held_by, unchanged


class Teacher:
    """It reads two attributes, and writes or fills three."""

    def __init__(self, scale: int = 2) -> None:
        self.table, self.scale = {2: "two"}, scale
        self.calls, self.log, self.answers = 0, [], {}

    def __call__(self, batch: list[int]) -> list[Any]:
        self.note(batch)
        rows: list[Any] = [None] * len(batch)
        for place, number in enumerate(batch):
            rows[place] = self.table.get(self.scale * number)
            self.answers[int(number), len(rows)] = rows[place]
        return rows

    def note(self, batch: list[int]) -> None:
        self.calls += 1
        self.log.append(len(batch))

    def set_scale(self, scale: int) -> None:
        self.scale = scale


def test_what_a_call_writes_or_fills_is_left_out():
    teacher = Teacher()
    held = unchanged(vars(teacher).items(), codes_of(Teacher, "__call__"))
    assert dict(held) == {"table": {2: "two"}, "scale": 2}


def test_a_name_stays_as_an_object_is_called_and_not_as_it_is_set():
    teacher = Teacher()
    before = describe(teacher), describe(teacher.__call__), held_by(teacher)
    teacher([1, 2])
    assert (describe(teacher), describe(teacher.__call__), held_by(teacher)) == before
    teacher.set_scale(3)
    assert describe(teacher) != before[0] and held_by(teacher) != before[2]


def _kept_around(kind: str) -> Callable[[int], int]:
    log: list[int] = []
    kept: dict[int, int] = {}
    seen: set[int] = set()
    calls = 0
    if kind == "list":
        return lambda number: log.append(number) or number  # type: ignore[func-returns-value]
    if kind == "set":
        return lambda number: seen.add(number) or number  # type: ignore[func-returns-value]

    def count(number: int) -> int:
        nonlocal calls
        calls += 1
        return number

    def keep(number: int) -> int:
        kept[number % 7] = number
        return number

    return count if kind == "count" else keep


def test_a_function_that_keeps_something_around_it_keeps_its_name():
    for kind in ("list", "set", "dict", "count"):
        function = _kept_around(kind)
        before = describe(function)
        function(5)
        assert describe(function) == before, kind
