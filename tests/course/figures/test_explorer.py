"""The explorer's formulas against independent ones, and what its pictures say."""

import re
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from distill_lab.course.figures import explorer, formulas

IMAGE = np.random.default_rng(0).random((8, 8))
TEACHER = np.array([1.0, 2.0, 3.0, 12.0, -2.0, 7.0, 0.0, 4.0, 6.5, 5.0])
STUDENT = np.array([0.0, 1.0, 2.0, 4.0, 0.0, 3.0, -1.0, 1.0, 5.0, 2.0])


@pytest.mark.parametrize("label", [3, None])
@pytest.mark.parametrize(("T", "alpha"), [(1.0, 0.5), (4.0, 0.9), (20.0, 1.0), (2.0, 0.0)])
def test_loss_and_gradient_are_what_autograd_finds(T: float, alpha: float, label) -> None:
    z = torch.tensor(STUDENT, requires_grad=True)
    log_q = F.log_softmax(z / T, -1)
    p = F.softmax(torch.tensor(TEACHER) / T, -1)
    kd = T**2 * F.kl_div(log_q, p, reduction="sum")
    loss = alpha * kd
    if label is not None:
        ce = F.cross_entropy(z, torch.tensor(label))
        loss = loss + (1 - alpha) * ce
    loss.backward()
    ours = formulas.student_gradient(STUDENT, TEACHER, label, T=T, alpha=alpha)
    np.testing.assert_allclose(ours, z.grad.numpy(), atol=1e-12)
    terms = formulas.loss_terms(STUDENT, TEACHER, label, T=T)
    assert terms[0] == pytest.approx(kd.item())
    assert terms[1] is None if label is None else terms[1] == pytest.approx(ce.item())


def test_entropy_in_nats() -> None:
    assert formulas.entropy(np.full(8, 1 / 8)) == pytest.approx(np.log(8))
    assert formulas.entropy(np.array([0.0, 1.0])) == 0.0
    rising = [formulas.entropy(formulas.soften(TEACHER, T)) for T in (1, 2, 4, 8, 16)]
    assert rising == sorted(rising)


def test_extreme_logits_stay_finite() -> None:
    far = np.array([1e4, -1e4, 0.0])
    drawing = explorer.render_temperature(IMAGE, far, -far, 1, T=0.05, alpha=0.5)
    assert "nan" not in drawing
    assert "inf" not in drawing


def texts(picture: str) -> list[str]:
    return [e.text or "" for e in ElementTree.fromstring(picture).iter() if e.tag.endswith("text")]


def test_the_picture_says_every_number() -> None:
    drawn = explorer.render_temperature(IMAGE, TEACHER, STUDENT, 3, T=4.0, alpha=0.9)
    shown = texts(drawn)
    p, q = formulas.soften(TEACHER, 4.0), formulas.soften(STUDENT, 4.0)
    target = 0.9 * p + 0.1 * np.eye(10)[3]
    gradient = formulas.student_gradient(STUDENT, TEACHER, 3, T=4.0, alpha=0.9)
    wanted = [f"{v:.2f}" for v in (*p, *q, *target)]
    wanted += [f"{v:+.2f}".replace("-", "−") for v in gradient]
    wanted += [f"{formulas.entropy(p):.2f}", f"{formulas.entropy(q):.2f}"]
    for word in set(wanted):
        assert shown.count(word) >= wanted.count(word), word
    assert "T = 4" in shown
    assert "0.9 teacher + 0.1 label" in shown


def bar_lengths(drawn: str, fill: str, *, path: int = 0) -> list[float]:
    path_data = re.findall(rf'<path fill="{fill}"[^>]* d="([^"]+)"', drawn)[path]
    return [float(length) for length in re.findall(r"h([0-9.]+)v", path_data)]


def test_bars_are_as_long_as_their_numbers() -> None:
    drawn = explorer.render_softened(IMAGE, TEACHER, T=4.0)
    lengths = np.array(bar_lengths(drawn, "#D55E00"))
    np.testing.assert_allclose(lengths / 160, formulas.soften(TEACHER, 4.0), atol=1e-3)


def test_one_size_whatever_the_values() -> None:
    sizes = {
        re.search(r'viewBox="([^"]+)"', explorer.render_temperature(*given, T=T, alpha=alpha))[1]
        for given in ((IMAGE, TEACHER, STUDENT, 3), (IMAGE, TEACHER), (IMAGE, TEACHER[:2]))
        for T, alpha in ((1, 0.0), (20, 1.0))
    }
    assert len(sizes) == 1


def test_no_student_no_gradient_and_no_label_no_mix() -> None:
    shown = texts(explorer.render_temperature(IMAGE, TEACHER, T=4.0, alpha=0.3))
    assert "gradient on student" not in shown
    assert "no label: teacher alone" in shown
    assert "student" not in shown


def test_the_gradients_axis_stays_still_while_T_moves() -> None:
    def scale(T: float) -> float:
        drawn = explorer.render_temperature(IMAGE, TEACHER, STUDENT, 3, T=T, alpha=0.9)
        gradient = formulas.student_gradient(STUDENT, TEACHER, 3, T=T, alpha=0.9)
        return max(bar_lengths(drawn, "#CFE5F2", path=1)) / np.abs(gradient).max()

    assert scale(2.0) == pytest.approx(scale(12.0), rel=0.02)


def test_tensors_and_28_by_28_are_welcome() -> None:
    drawn = explorer.render_temperature(torch.rand(1, 28, 28), torch.tensor(TEACHER), T=2.0)
    ElementTree.fromstring(drawn)


def test_pure() -> None:
    given = IMAGE.copy(), TEACHER.copy(), STUDENT.copy()
    first = explorer.render_temperature(*given, 3, T=4.0, alpha=0.9)
    assert first == explorer.render_temperature(*given, 3, T=4.0, alpha=0.9)
    np.testing.assert_array_equal(given[1], TEACHER)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"T": 0.0}, "T must be a finite number above 0"),
        ({"T": float("nan")}, "T must be"),
        ({"alpha": 1.2}, "alpha must lie between 0"),
        ({"label": 10}, "label must be a class from 0 to 9"),
        ({"teacher_logits": np.zeros((2, 10))}, r"pick one row, logits\[i\]"),
        ({"teacher_logits": np.zeros(21)}, "C from 2 to 20"),
        ({"teacher_logits": None}, "got None"),
        ({"student_logits": np.zeros(9)}, "same classes, got 10 and 9"),
        ({"student_logits": np.full(10, np.nan)}, "student_logits: expected finite"),
        ({"classes": ["a", "b"]}, "expected 10 names in classes, got 2"),
        ({"image": np.zeros(8)}, "one grey image"),
    ],
)
def test_bad_input_is_refused_in_words(change, words) -> None:
    given = {"image": IMAGE, "teacher_logits": TEACHER, "student_logits": STUDENT, "label": 3}
    with pytest.raises(ValueError, match=words):
        explorer.render_temperature(**{**given, **change})


@pytest.mark.parametrize("alpha", [0.0, 1.0])
@pytest.mark.parametrize("gap", [5.0, 2000.0])
def test_nothing_is_written_as_0_and_not_with_an_exponent(alpha: float, gap: float) -> None:
    """At alpha = 0 nine targets are nothing; far apart, a probability underflows to it."""
    teacher, student = [gap, 0.0, 0.0], [0.0, gap, 0.0]
    drawn = explorer.render_temperature(np.eye(8), teacher, student, 0, T=1.0, alpha=alpha)
    assert "e+" not in drawn
    zeros = drawn.count(">0</text>") - 1  # less the name of the class 0
    assert (zeros > 0) == (alpha == 0 or gap == 2000)
