"""The laws of the numerics, over every loss of the package."""

import math
import zlib

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from distill_lab import losses
from tests.losses.laws import LAWS, NOT_LOSSES, Law

SIZES = {"b": (4, 5), "l": (1, 4), "t": (2, 4), "c": (3, 6), "h": (1, 3), "w": (1, 3), "d": (1, 3)}
EXTREME = 1e4
PADS = [(1, 0.0), (1, math.nan), (3, 1e4), (3, math.inf)]


def each_with(claims) -> pytest.MarkDecorator:
    """Run a test over the rows of the table that claim its law."""
    rows = [law for law in LAWS if claims(law)]
    return pytest.mark.parametrize("law", rows, ids=lambda law: law.name)


each = each_with(lambda law: True)


@st.composite
def sizes(draw):
    """A size for every axis; a capital letter is the teacher's own."""
    result = {axis: draw(st.integers(*ends)) for axis, ends in SIZES.items()}
    result |= {axis.upper(): draw(st.integers(*ends)) for axis, ends in SIZES.items()}
    result |= {"v": draw(st.sampled_from([6, 12])), "V": draw(st.sampled_from([6, 12]))}
    return result


TYPICAL = {"b": 4, "l": 3, "t": 3, "c": 5, "C": 3, "h": 2, "w": 2, "d": 2, "D": 1, "v": 6, "V": 12}


def shape_of(axes: str, size: dict[str, int]) -> tuple[int, ...]:
    return tuple(int(axis) if axis.isdigit() else size[axis] for axis in axes)


def inputs(law: Law, size=None, seed=None, dtype=torch.float32, scale=1.0, same=False):
    """A student's and a teacher's tensor; with ``same``, equal ones."""
    rng = np.random.default_rng(zlib.crc32(law.name.encode()) if seed is None else seed)
    size = size or TYPICAL
    student = torch.tensor(rng.normal(0, scale, shape_of(law.student, size)), dtype=dtype)
    if same:
        return student, student.clone()
    teacher = rng.normal(0, scale, shape_of(law.teacher, size))
    return student, torch.tensor(teacher, dtype=dtype)


def on_drawn_shapes(test):
    """The typical shape, and a few that nobody thought of: axes of 1, batches of 5, other widths.

    Few, since every law runs on every loss; each run draws others.
    """
    drawn = given(size=sizes(), seed=st.integers(0, 999))(test)
    return settings(max_examples=3, deadline=None)(example(size=TYPICAL, seed=None)(drawn))


def near(value: float, law: Law, seed: int | None, rel: float = 1e-5, absolute: float = 1e-12):
    """Equal but for rounding; on a drawn shape a value may be near 0, where that weighs more."""
    if seed is None:
        return pytest.approx(value, rel=rel, abs=absolute)
    return pytest.approx(value, rel=10 * rel, abs=law.zero)


def pad(x: torch.Tensor, axes: str, along: str, extra: int, junk: float) -> torch.Tensor:
    """Grow every axis of this letter by so much junk."""
    for i, axis in enumerate(axes):
        if axis == along:
            more = list(x.shape)
            more[i] = extra
            x = torch.cat((x, torch.full(more, junk, dtype=x.dtype)), i)
    return x


def test_every_public_loss_is_in_the_table():
    rows = {law.name.split()[0] for law in LAWS}
    assert rows | NOT_LOSSES.keys() == set(losses.__all__)
    assert not rows & NOT_LOSSES.keys()


@each_with(lambda law: law.divergence)
@settings(max_examples=8, deadline=None)
@given(size=sizes(), seed=st.integers(0, 999), scale=st.sampled_from([0.1, 1.0, 5.0]))
def test_a_divergence_is_zero_on_equal_inputs_and_never_negative(law, size, seed, scale):
    student, equal = inputs(law, size, seed, scale=scale, same=True)
    assert abs(law.call(student, equal, None).item()) <= law.zero
    student, teacher = inputs(law, size, seed, scale=scale)
    assert law.call(student, teacher, None).item() >= -law.zero


@pytest.mark.slow
@pytest.mark.parametrize("masked", [False, True], ids=["all", "masked"])
@each
def test_it_is_one_graph_with_the_value_of_eager_mode(law, masked):
    """No branch on a value, nothing that a compiler has to leave to Python."""
    if masked and not law.mask:
        pytest.skip("takes no mask")
    student, teacher = inputs(law)
    mask = None
    if masked:
        mask = torch.ones(shape_of(law.mask, TYPICAL), dtype=torch.bool)
        mask.view(-1)[-1] = False
    torch.compiler.reset()
    values, gradients = [], []
    for call in (law.call, torch.compile(law.call, fullgraph=True, backend="eager")):
        leaf = student.clone().requires_grad_()
        value = call(leaf, teacher, mask)
        value.backward()
        values.append(value.item())
        gradients.append(leaf.grad)
    assert values[1] == pytest.approx(values[0], rel=1e-6, abs=law.zero)
    assert torch.allclose(*gradients, rtol=1e-5, atol=1e-5 * gradients[0].abs().max().item())


@each
def test_the_student_is_in_the_loss(law):
    student, teacher = inputs(law)
    student.requires_grad_()
    value = law.call(student, teacher, None)
    value.backward()
    assert value.shape == () and value.dtype == torch.float32
    assert student.grad.abs().max() > 1e-6
    if law.divergence:
        assert value > 1e-5


@each_with(lambda law: not law.surrogate)
def test_gradients_agree_with_finite_differences(law):
    student, teacher = inputs(law, dtype=torch.float64)
    student.requires_grad_()
    assert torch.autograd.gradcheck(lambda s: law.call(s, teacher, None), (student,))


@each
@on_drawn_shapes
def test_finite_at_extreme_values(law, size, seed):
    student, teacher = (EXTREME * x for x in inputs(law, size, seed))
    cases = {"random": (student, teacher), "constant": (student * 0, teacher)}
    if student.shape == teacher.shape:
        cases |= {"equal": (student, student), "opposite": (student.sign(), -student.sign())}
    for case, (s, t) in cases.items():
        s = (EXTREME * s if case == "opposite" else s).detach().requires_grad_()
        try:
            value = law.call(s, EXTREME * t if case == "opposite" else t, None)
        except ValueError as error:
            pytest.fail(f"{case}: finite inputs are refused: {error}")
        value.backward()
        assert value.isfinite() and s.grad.isfinite().all(), case


# What stands in the teacher's place here are labels, whose NaN says that there is none, or choices.
LABELLED = ("cross_entropy", "binary_cross", "squared_error", "gaussian_nll", "sequence_log")


@each
@pytest.mark.parametrize("side", ["student", "teacher"])
def test_nan_is_seen_in_the_value_or_refused(law, side):
    if side == "teacher" and law.name.startswith(LABELLED):
        return
    pair = dict(zip(("student", "teacher"), inputs(law), strict=True))
    pair[side].view(-1)[pair[side].numel() // 2] = math.nan
    student = pair["student"].requires_grad_()
    try:
        value = law.call(student, pair["teacher"], None)
    except (ValueError, FloatingPointError):
        return
    if value.isfinite():
        value.backward()
        assert not student.grad.isfinite().all(), "a loss learns from NaN without a word"


@each_with(lambda law: law.mask)
@on_drawn_shapes
def test_blind_to_the_content_and_amount_of_padding(law, size, seed):
    student, teacher = inputs(law, size, seed)
    alone = law.call(student, teacher, None).item()
    along = law.mask[-1]
    kept = torch.ones(shape_of(law.mask, size), dtype=torch.bool)
    for extra, junk in PADS:
        mask = pad(kept, law.mask, along, extra, False)
        padded = pad(student, law.student, along, extra, junk).requires_grad_()
        value = law.call(padded, pad(teacher, law.teacher, along, extra, junk), mask)
        assert value.item() == near(alone, law, seed, rel=2e-6, absolute=1e-7), (extra, junk)
        value.backward()
        real = pad(torch.ones_like(student), law.student, along, extra, 0.0).bool()
        assert padded.grad.isfinite().all() and not padded.grad[~real].any(), (extra, junk)
        # of one pixel only the sign is left once it is normalised, and that has no slope
        assert padded.grad[real].any() or seed is not None


@each_with(lambda law: not law.together)
@on_drawn_shapes
def test_one_batch_of_four_equals_two_of_two_and_doubling_changes_nothing(law, size, seed):
    """Or one of five a two and a three."""
    student, teacher = inputs(law, size, seed)
    undivided = law.call(student, teacher, None).item()
    cut = [2, len(student) - 2]
    parts = zip(student.split(cut), teacher.split(cut), strict=True)
    mean = sum(len(s) * law.call(s, t, None).item() for s, t in parts) / len(student)
    assert mean == near(undivided, law, seed)
    twice = law.call(torch.cat((student, student)), torch.cat((teacher, teacher)), None)
    assert twice.item() == near(undivided, law, seed)


@each
@on_drawn_shapes
def test_the_order_of_the_examples_does_not_matter(law, size, seed):
    student, teacher = inputs(law, size, seed)
    order = torch.tensor(np.random.default_rng(seed or 0).permutation(len(student)))
    value = law.call(student[order], teacher[order], None)
    assert value.item() == near(law.call(student, teacher, None).item(), law, seed)


@each_with(lambda law: law.hopeless)
@on_drawn_shapes
def test_a_class_nobody_believes_in_changes_nothing(law, size, seed):
    student, teacher = inputs(law, size, seed)
    alone = law.call(student, teacher, None).item()
    for logit in law.hopeless:
        wider = torch.full((*student.shape[:-1], 1), logit)
        padded = torch.cat((student, wider), -1).requires_grad_()
        value = law.call(padded, torch.cat((teacher, wider), -1), None)
        assert value.item() == near(alone, law, seed)
        value.backward()
        assert padded.grad.isfinite().all()


@each
def test_half_precision_is_computed_in_float32(law):
    student, teacher = inputs(law, dtype=torch.bfloat16)
    value = law.call(student, teacher, None)
    assert value.item() == law.call(student.float(), teacher.float(), None).item()


@each
def test_runs_seed_by_seed_under_vmap(law):
    pairs = [inputs(law, seed=i) for i in range(3)]
    students, teachers = (torch.stack(side) for side in zip(*pairs, strict=True))
    batched = torch.vmap(lambda s, t: law.call(s, t, None))(students, teachers)
    one_by_one = torch.stack([law.call(s, t, None) for s, t in pairs])
    torch.testing.assert_close(batched, one_by_one)
