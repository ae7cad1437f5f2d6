"""Rows that are kept apart: by seed, by what they are, never the twin of one that is learned."""

import random

import pytest

from distill_lab.jobs.held_out import Subset, kept_apart


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5, 0.9])
def test_twins_stay_together_whatever_their_letter_case_and_spaces(share):
    draw = random.Random(0)
    rows = [f"row {draw.randrange(300)}" for _ in range(1000)]
    rows = [row.upper() if i % 3 == 0 else f" {row}\n" if i % 3 == 1 else row
            for i, row in enumerate(rows)]  # fmt: skip
    learned, apart = kept_apart(rows, share, seed=0)
    assert sorted([*learned, *apart]) == list(range(1000))
    names = [{" ".join(rows[i].split()).lower() for i in part} for part in (learned, apart)]
    assert not names[0] & names[1]
    assert abs(len(apart) - 1000 * share) <= 15  # the largest group of twins


def test_the_seed_decides_and_nothing_else():
    rows = [str(number) for number in range(500)]
    first = kept_apart(rows, 0.2, seed=0)[1]
    assert first == kept_apart(rows, 0.2, seed=0)[1] != kept_apart(rows, 0.2, seed=1)[1]
    chosen = {rows[i] for i in first}
    rows.reverse()  # where a row stands is not what it is
    assert chosen == {rows[i] for i in kept_apart(rows, 0.2, seed=0)[1]}


@pytest.mark.parametrize("rows", [[], ["a"], ["a", "A"]])
def test_something_is_left_to_learn(rows):
    with pytest.raises(ValueError, match="leaves nothing to learn"):
        kept_apart(rows, 0.5, seed=0)


def test_a_part_of_a_table_names_the_places_of_the_whole():
    class Table:
        files = ("a.csv",)

        def __getitem__(self, number):
            return {"n": number}

        def place(self, number):
            return f"a.csv, line {number + 2}"

    part = Subset(Table(), [1, 4])
    assert [*part] == [{"n": 1}, {"n": 4}] and part[1] == {"n": 4} and len(part) == 2
    assert part.place(1) == "a.csv, line 6" and part.files == ("a.csv",)
