"""The table with six guests: the right path, the shares, the answer, and what is refused."""

from pathlib import Path

import nbformat
import pytest
import torch

from distill_lab.course.figures import svg
from distill_lab.course.widgets.states import BYTES, packed
from lesson_22 import experiments
from lesson_22.table_figure import HEIGHT, WIDTH, render_table

TABLES = experiments.orders(60, seed=4)
FIRST, SECOND = experiments.two_hops(TABLES.inputs)
TABLE = int((FIRST != SECOND).nonzero()[0, 0])
WORDS = experiments.as_words(TABLES.inputs[TABLE])
PATH = int(FIRST[TABLE]), int(SECOND[TABLE])
RIGHT = int(TABLES.labels[TABLE])


def attention(seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (3 * torch.randn(2, 4, 7, 7, generator=generator)).softmax(-1)


def drawn(layer=1, head=2, *, maps=None, answer=None, network="taught", words=WORDS) -> svg.Svg:
    probabilities = torch.full((6,), 0.02)
    probabilities[RIGHT if answer is None else answer] = 0.9
    return render_table(
        words,
        PATH,
        attention() if maps is None else maps,
        probabilities,
        RIGHT,
        table=3,
        network=network,
        layer=layer,
        head=head,
    )


def test_the_right_path_is_read_off_the_words():
    for table in experiments.orders(200, seed=9).inputs:
        first, second = (int(place[0]) for place in experiments.two_hops(table[None]))
        *guests, question = experiments.as_words(table)
        name, order = guests[first].split(": ")
        assert f"{name}?" == question
        assert guests[second].startswith(order.removeprefix("as ") if "as " in order else name)


def test_each_layer_marks_its_own_guest_and_writes_every_share():
    for layer in (1, 2):
        picture, shares = drawn(layer), attention()[layer - 1, 1, -1]
        target = PATH[layer - 1]
        assert (
            f"The right one here is “{WORDS[target]}”, {100 * shares[target]:.0f} %" in picture.alt
        )
        assert f"mostly “{WORDS[int(shares.argmax())]}”" in picture.alt
        for share in shares[:-1].tolist():
            assert f">{100 * share:.0f} %<" in picture
        assert f"itself: {100 * shares[-1]:.0f} %" in picture
    assert ">hop 1<" in drawn() and ">hop 2<" in drawn()
    width = svg.number(9.8 + 7 * float(attention()[0, 1, -1, PATH[0]]))
    assert f'stroke="{svg.GREEN}" stroke-width="{width}"' in drawn()


def test_the_answer_is_right_or_wrong_in_words():
    assert drawn().alt.endswith(f"answer: {experiments.DRINKS[RIGHT]}, 90 %, ✓ right.")
    wrong = (RIGHT + 1) % 6
    picture = drawn(answer=wrong)
    end = (
        f"answer: {experiments.DRINKS[wrong]}, 90 %, ✗ wrong, right is {experiments.DRINKS[RIGHT]}."
    )
    assert picture.alt.endswith(end) and "✓" not in picture


def test_the_small_table_holds_the_right_guests_share_in_every_head():
    for row, place in enumerate(PATH):
        for share in attention()[row, :, -1, place].tolist():
            assert f">{100 * share:.0f} %<" in drawn()


def test_teacher_and_student_keep_their_colours_and_the_size_is_one():
    teacher, student = drawn(network="teacher"), drawn()
    assert svg.TEACHER in teacher and svg.STUDENT not in teacher
    assert svg.STUDENT in student and svg.TEACHER not in student
    box = f'viewBox="0 0 {WIDTH} {HEIGHT}"'
    assert WIDTH <= 470 and all(box in drawn(layer, h) for layer in (1, 2) for h in (1, 4))


def test_all_states_fit_into_a_page():
    states = [
        drawn(layer, head, maps=attention(seed))
        for seed in range(24)
        for layer in (1, 2)
        for head in (1, 2, 3, 4)
    ]
    assert len(states) == 192 and len(packed(states)) < BYTES


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"layer": 3}, "layer must be from 1 to 2, got 3"),
        ({"head": 0}, "head must be from 1 to 4, got 0"),
        ({"maps": attention()[0]}, r"must be \(2, heads, 7, 7\) for these 7 tokens"),
        ({"words": WORDS[:5]}, r"must be \(2, heads, 5, 5\) for these 5 tokens"),
    ],
)
def test_what_cannot_be_drawn_is_refused_in_words(change, words):
    with pytest.raises(ValueError, match=words):
        drawn(**change)


def test_the_lesson_shows_the_head_that_is_best_at_both_hops():
    (path,) = Path(__file__).parents[1].glob("22_*.ipynb")
    cells = {cell.id: cell.source for cell in nbformat.read(path, 4).cells}
    assert "best_head = int(teacher_hops.min(0).values.argmax()) + 1" in cells["teacher-hops"]
    assert "head=best_head" in cells["teacher-walk"]
    assert 'widgets.slider("head", 1, 4, value=best_head)' in cells["walk-live"]
