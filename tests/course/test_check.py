"""Exercise checks: which exercises there are, and whatever a learner may hand in."""

import math
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from distill_lab.course import Lesson, check
from distill_lab.course.check import lesson_exercises, shared
from distill_lab.course.check.examine import examine
from distill_lab.course.check.exercise import Exercise
from distill_lab.course.check.invariances import logits
from distill_lab.course.records import collect

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
EXERCISES = shared.EXERCISES | lesson_exercises(NOTEBOOKS / "lesson_11")


@pytest.fixture(autouse=True)
def in_lesson_11():
    with collect():
        Lesson("11_soft_targets")
    yield
    check.folder = None


def softmax_with_temperature(logits, T):
    z = logits / T
    e = (z - z.max(-1, keepdim=True).values).exp()
    return e / e.sum(-1, keepdim=True)


def forward_kl(student, teacher, T=1.0):
    log_q = F.log_softmax(student / T, -1)
    return F.kl_div(log_q, F.softmax(teacher / T, -1), reduction="batchmean")


def reverse_kl(student, teacher, T=1.0):
    return forward_kl(teacher, student, T)


def kd_loss(student, teacher, labels, T, alpha):
    soft = forward_kl(student, teacher, T)
    return alpha * T**2 * soft + (1 - alpha) * F.cross_entropy(student, labels)


@pytest.mark.parametrize(
    "solution", [softmax_with_temperature, forward_kl, reverse_kl], ids=lambda f: f.__name__
)
def test_a_right_solution_is_right(solution):
    report = examine(shared.EXERCISES[solution.__name__], solution)
    assert report.state == "right", report.findings
    assert "100 %" in report.findings[0]


def findings(name, fn):
    report = examine(EXERCISES[name], fn)
    assert report.state == "wrong"
    return " ".join(report.findings)


def test_log_of_a_softmax_is_caught_by_its_range_although_its_values_are_right():
    def naive(s, t, T=1.0):
        p, q = (t / T).softmax(-1), (s / T).softmax(-1)
        return (p * (p.log() - q.log())).sum(-1).mean()

    result = findings("forward_kl", naive)
    assert "100 %" in result and "logits of ±10,000" in result and "underflows" in result
    assert result.startswith("The logarithm of a softmax underflows.")


@pytest.mark.parametrize(
    "safe",
    [lambda q: (q + 1e-8).log(), lambda q: q.clamp_min(1e-12).log(), lambda q: q.add(1e-30).log()],
)
def test_a_small_number_inside_the_logarithm_is_caught_far_out(safe):
    """It is finite there, and wrong: the loss stops growing, and its gradient is 0."""

    def floored(s, t, T=1.0):
        p, q = (t / T).softmax(-1), (s / T).softmax(-1)
        return (p * (safe(p) - safe(q))).sum(-1).mean()

    result = findings("forward_kl", floored)
    assert "100 %" in result and result.startswith("The logarithm of a softmax underflows.")


def _sum_held_fixed(s, t, T=1.0):
    p, log_q = (t / T).softmax(-1), s / T - (s / T).logsumexp(-1, keepdim=True).detach()
    return (p * ((t / T).log_softmax(-1) - log_q)).sum(-1).mean()


def _all_but_one_row_held_fixed(s, t, T=1.0):
    return forward_kl(torch.cat((s[:1], s[1:].detach())), t, T)


@pytest.mark.parametrize("part", [_sum_held_fixed, _all_but_one_row_held_fixed])
def test_a_part_that_is_held_fixed_is_caught_although_a_gradient_is_there(part):
    report = examine(EXERCISES["forward_kl"], part)
    assert report.mistake == "The gradient of `student_logits` is incomplete", report.findings


def _in_place(points):
    shares = points.softmax(-1)
    return shares.clamp_(min=1e-12).square().sum(-1)


@pytest.mark.parametrize(
    "cut",
    [
        _in_place,
        lambda points: points.detach().softmax(-1).square().sum(-1),
        lambda points: torch.from_numpy(points.numpy()).softmax(-1).square().sum(-1),
    ],
)
def test_a_result_that_teaches_nothing_is_named_and_nothing_stops(cut):
    exercise = Exercise(
        "purity",
        "sum of the squared shares",
        lambda points: points.softmax(-1).square().sum(-1),
        ({"points": logits(4, 3, 1)}, {"points": logits(5, 2, 2)}),
        trained=("points",),
    )
    assert examine(exercise, cut).mistake == "No gradient reaches `points`"
    assert examine(exercise, lambda x: (x.softmax(-1) ** 2).sum(1)).state == "right"


def test_a_label_part_that_is_held_fixed_is_caught():
    def ce_held_fixed(s, t, y, T, alpha):
        return alpha * kd_loss(s, t, y, T, 1.0) + (1 - alpha) * F.cross_entropy(s.detach(), y)

    result = findings("kd_loss", ce_held_fixed)
    assert (
        result.startswith("The gradient of `student_logits` is incomplete.") and "100 %" in result
    )


def test_a_soft_part_held_fixed_is_not_said_to_stop():
    def soft_held_fixed(s, t, y, T, alpha):
        return alpha * kd_loss(s.detach(), t, y, T, 1.0) + (1 - alpha) * F.cross_entropy(s, y)

    result = findings("kd_loss", soft_held_fixed)
    assert "stops with" not in result and "the soft part's gradient keeps its size" in result


@pytest.mark.parametrize("lesson", sorted(NOTEBOOKS.glob("lesson_*")), ids=lambda p: p.name)
def test_what_learns_is_an_argument_of_a_loss(lesson):
    for exercise in (*shared.EXERCISES.values(), *lesson_exercises(lesson).values()):
        assert set(exercise.trained) <= set(exercise.cases[0])
        assert not (exercise.trained and exercise.number_is_fine)


def test_a_mean_of_rows_that_is_none_is_not_blamed_on_an_axis():
    def over_its_spread(s, t, T=1.0):
        return forward_kl(s, t, T) / (1 + s.var())

    result = findings("forward_kl", over_its_spread)
    assert "is not the mean of one number a row" in result and "dim=-1" not in result


@pytest.mark.parametrize(
    ("seeds", "share"),
    [
        ((30, 38), lambda z: (z.argmin(-1) == 0).double().mean()),
        ((30, 38), lambda z: (z[:, 0] > 0).double().mean()),
        ((7, 13), lambda z: (z.argmax(0) == 0).double().mean()),
    ],
)
def test_a_share_that_stays_by_chance_has_not_ignored_its_argument(seeds, share):
    """A share has few values: one other argument may leave it as it was."""
    first = Exercise(
        "first",
        "share of rows with the largest logit in front",
        lambda z: (z.argmax(-1) == 0).double().mean(),
        tuple({"logits": logits(6, 3, seed)} for seed in seeds),
        number_is_fine=True,
    )
    report = examine(first, share)
    assert report.state == "wrong" and "has no effect" not in report.findings[0]
    ignored = examine(first, lambda z: torch.arange(len(z)).double().mean())
    assert "has no effect" in ignored.findings[0] or "same result" in ignored.findings[0]


def test_a_whole_number_in_a_tensor_is_a_number_where_one_is_fine():
    double = Exercise("double", "2 n", lambda n: 2 * n, ({"n": 3}, {"n": 5}), number_is_fine=True)
    assert examine(double, lambda n: torch.tensor(2 * n)).state == "right"
    assert examine(double, lambda n: torch.tensor(3 * n)).state == "wrong"


def test_a_detached_student_is_caught():
    result = findings("kd_loss", lambda s, t, y, T, a: kd_loss(s.detach(), t, y, T, a))
    assert "a gradient reaches the student's logits" in result and "`detach` stops" in result


def test_changing_the_input_in_place_is_caught_and_undone():
    def in_place(logits, classes, shift):
        logits[:, classes] += shift
        return logits

    before = [case["logits"].clone() for case in EXERCISES["bias_shift"].cases]
    result = findings("bias_shift", in_place)
    assert "in place" in result and "100 %" in result  # its values are right, and told so
    for then, case in zip(before, EXERCISES["bias_shift"].cases, strict=True):
        assert case["logits"].equal(then)


def test_an_exception_is_shown_with_its_message_and_its_line():
    def broken(logits, T):
        weights = torch.ones(7)
        return logits @ weights  # the line to show

    result = findings("soften", broken)
    assert "RuntimeError" in result and "size mismatch" in result
    assert "return logits @ weights" in result


def test_a_forgotten_return_is_told_from_a_blank():
    def forgot(logits, T):
        result = (logits / T).softmax(-1)  # noqa: F841

    assert "missing a `return`" in findings("soften", forgot)


@pytest.mark.parametrize(
    ("fn", "finding"),
    [
        (lambda s, t, T: forward_kl(s, t, T).item(), "got float. A plain number carries no"),
        (lambda s, t, T: (s - t).sum(-1), "Expected shape () (one number), got (4,)"),
        (lambda s, t, T: torch.tensor(3), "Expected floating-point numbers, got torch.int64"),
        (lambda s, t, T: [1.0], "got list"),
        (lambda s: s, "Expected a function of (student_logits, teacher_logits, T)"),
        (lambda s, t, T, u: s, "yours takes (s, t, T, u)"),
        (torch.zeros(3), "Expected a function, got Tensor"),
        (lambda s, t, T: torch.tensor(math.pi), "Every input gives the same result, 3.14159"),
        (lambda s, t, T: (s.sin() * t).sum(-1).mean() + T, "No mistake known to this exercise"),
        (lambda s, t, T: torch.tensor(math.nan), "NaN or infinite"),
    ],
)
def test_what_a_learner_may_hand_in(fn, finding):
    assert finding in findings("forward_kl", fn)


def test_one_of_several_values_is_to_be_returned_alone():
    def pair(s, t, T):
        return forward_kl(s, t, T), (s - t).sum()

    result = findings("forward_kl", pair)
    assert "A tuple is returned" in result and "only the one that is asked for" in result
    assert "torch.tensor" not in result
    assert "Wrap it: `torch.tensor(...)`" in findings("forward_kl", lambda s, t, T: (1.0,))


def test_what_is_random_is_no_sum_over_the_batch():
    generator = torch.Generator().manual_seed(0)
    report = examine(EXERCISES["forward_kl"], lambda s, t, T: torch.rand((), generator=generator))
    assert report.mistake == "The result is random"
    assert len(report.findings) == 2 and "batch" not in " ".join(report.findings)


def test_a_batch_is_summed_only_where_twice_the_batch_gives_twice_the_loss():
    other = findings("forward_kl", lambda s, t, T: (s / T - t / T).std())
    assert "the same batch twice over" in other and "The batch is summed" not in other
    assert "The batch is summed" in findings(
        "forward_kl", lambda s, t, T: 3 * len(s) * forward_kl(s, t, T)
    )


def test_the_rows_of_a_lesson_are_summed_only_where_they_are():
    def gap(s, t, w, b):
        return s @ w.T + b - t

    def shares(s, t):
        return torch.minimum(s.softmax(-1), t.softmax(-1)).sum(-1)

    for lesson, name, other, summed, finding in (
        (21, "hint", lambda *a: gap(*a).var(), lambda *a: 3 * gap(*a).square().sum(), "batch"),
        (48, "acceptance", lambda *a: shares(*a).var(), lambda *a: 3 * shares(*a).sum(), "rows"),
    ):
        exercise = lesson_exercises(NOTEBOOKS / f"lesson_{lesson}")[name]
        assert f"The {finding} " not in " ".join(examine(exercise, other).findings[1:])
        assert f"The {finding} " in " ".join(examine(exercise, summed).findings[1:])


def test_a_number_of_numpy_is_a_plain_number():
    import numpy as np

    kl = EXERCISES["forward_kl"]
    measure = replace(kl, number_is_fine=True, invariances=())
    for kind in (np.float32, np.float64, float):
        right = examine(measure, lambda s, t, T, kind=kind: kind(float(forward_kl(s, t, T))))
        assert right.state == "right", right.findings
    loss = findings("forward_kl", lambda s, t, T: np.float32(forward_kl(s, t, T)))
    assert "A plain number is returned" in loss and "got float32" in loss


def test_how_arguments_may_be_taken():
    kl = EXERCISES["forward_kl"]
    result = findings("forward_kl", lambda s, t: forward_kl(s, t))
    assert "Add `T`: the result depends on it." in result  # a default must not hide that it is lost
    assert examine(kl, lambda a, b, *, T: forward_kl(a, b, T)).state == "right"
    assert examine(kl, lambda *args: forward_kl(*args)).state == "right"
    result = findings("soften", lambda logits: logits.softmax(-1))  # T is the point of it
    assert "Expected a function of (logits, T)" in result


def test_both_forms_publish_one_record_and_return_nothing():
    with collect() as records:
        assert check.kd_loss(kd_loss) is None
        assert check("kd_loss", None) is None
    assert [r["state"] for r in records] == ["right", "not attempted"]
    assert records[0]["kind"] == "check" and records[0]["exercise"] == "kd_loss"
    assert len(records[0]["findings"]) == 2


def test_the_card_says_the_state_in_words(capsys):
    check.soften(lambda z, T: (z * T).softmax(-1))
    shown = capsys.readouterr().out
    assert shown.startswith(
        "✗ soften: not right yet\n  1. Likely: The logits are multiplied by T. Divide"
    )
    assert "Values: 2 of 8 cases right (25 %), but 6 wrong" in shown
    case = shown[shown.index("The smallest case that fails:") :].splitlines()[1:5]
    assert [line.split()[0] for line in case] == ["logits", "T", "your", "expected"]


def test_the_solution_is_mentioned_only_after_the_second_wrong_try(capsys):
    def wrong(z, T):
        return (z * T).softmax(-1)

    check._tries.clear()
    shown = []
    for fn in (None, wrong, wrong, wrong, lambda z, T: (z / T).softmax(-1)):
        check.soften(fn)
        shown.append(capsys.readouterr().out)
    assert ["olution" in text for text in shown] == [False, False, True, True, False]
    assert "Try 1." in shown[1] and "Try 3." in shown[3] and "Try" not in shown[0] + shown[4]


def test_a_record_says_what_a_journal_keeps():
    with collect() as records:
        check.soften(lambda z, T: (z * T).softmax(-1))
        check.soften(lambda z, T: (z / T).softmax(-1))
    wrong, right = records
    assert wrong["kind"] == "check" and wrong["exercise"] == "soften"
    assert (wrong["right"], wrong["mistake"]) == (False, "The logits are multiplied by T")
    assert [name for name, _ in wrong["case"]] == ["logits", "T", "your result", "expected"]
    assert (right["right"], right["mistake"], right["case"]) == (True, "", [])
    assert right["attempt"] == wrong["attempt"] + 1


CASTS = {
    "half": lambda z: z.half(),
    "bfloat16": lambda z: z.bfloat16(),
    "to": lambda z: z.to(torch.float16),
    "dtype": lambda z: torch.as_tensor(z, dtype=torch.bfloat16),
}


@pytest.mark.parametrize("cast", CASTS.values(), ids=CASTS)
def test_a_softmax_in_half_precision_is_right(cast):
    right = examine(EXERCISES["soften"], lambda z, T: (cast(z) / T).softmax(-1))
    assert right.state == "right" and "half precision" in right.findings[-1]


@pytest.mark.parametrize("cast", CASTS.values(), ids=CASTS)
def test_half_precision_is_judged_by_its_formula(cast):
    right = examine(EXERCISES["kd_loss"], lambda s, t, *rest: kd_loss(cast(s), cast(t), *rest))
    assert right.state == "right" and "half precision" in right.findings[-1]
    wrong = examine(EXERCISES["soften"], lambda z, T: (cast(z) * T).softmax(-1))
    assert wrong.mistake == "The logits are multiplied by T"
    slightly = examine(EXERCISES["soften"], lambda z, T: (cast(z) / T).softmax(-1) + 1e-3)
    assert slightly.state == "wrong"


def test_a_result_that_is_itself_in_half_precision_has_a_tolerance_that_fits():
    import numpy as np

    def by_numpy(z, T, kind=np.float16):
        return torch.from_numpy((z / T).softmax(-1).numpy().astype(kind))

    assert examine(EXERCISES["soften"], by_numpy).state == "right"
    off = examine(EXERCISES["soften"], lambda z, T: by_numpy(z, T) + 0.02)
    assert off.state == "wrong"


def test_a_parameter_with_a_default_is_tried_at_other_values_in_every_exercise():
    for folder in sorted(NOTEBOOKS.glob("lesson_*")):
        for name, exercise in (lesson_exercises(folder) | shared.EXERCISES).items():
            for parameter, default in exercise.defaults.items():
                assert any(case[parameter] != default for case in exercise.cases), name
                i = list(exercise.cases[0]).index(parameter)

                def ignores(*args, i=i, default=default, exercise=exercise):
                    return exercise.reference(*args[:i], default, *args[i + 1 :])

                assert examine(exercise, ignores).state == "wrong", (name, parameter)


def test_another_default_than_the_exercises_is_named():
    def hot(student, teacher, T=2.0):
        return forward_kl(student, teacher, T)

    report = examine(EXERCISES["forward_kl"], hot)
    assert report.mistake == "The default of `T` is wrong"
    assert report.findings[0] == "The default of `T` is wrong. It is 1.0; yours is 2.0."


def test_parameters_in_another_order_are_read_by_their_names():
    def other_order(student_logits, teacher_logits, labels, alpha, T):
        return kd_loss(student_logits, teacher_logits, labels, T, alpha)

    report = examine(EXERCISES["kd_loss"], other_order)
    assert report.mistake == "The parameters stand in another order"
    assert "yours takes (student_logits, teacher_logits, labels, alpha, T)" in report.findings[0]


def test_a_list_that_is_changed_in_place_is_put_back():
    exercises = lesson_exercises(NOTEBOOKS / "lesson_43")
    before = [list(case["answers"]) for case in exercises["vote"].cases]

    def sorts(answers, least=0.5):
        right = exercises["vote"].reference(answers, least)
        answers.sort()
        return right

    report = examine(exercises["vote"], sorts)
    assert report.mistake == "An argument is changed in place"
    assert [case["answers"] for case in exercises["vote"].cases] == before


def test_a_change_in_place_is_named_before_the_promise_that_breaks_by_it():
    def in_place(student, reference, beta=0.1):  # stops on a tensor that records a gradient
        student -= reference
        return -torch.nn.functional.logsigmoid(beta * (student[:, 0] - student[:, 1])).mean()

    report = examine(lesson_exercises(NOTEBOOKS / "lesson_45")["dpo"], in_place)
    assert report.mistake == "An argument is changed in place"
    assert report.findings[1].startswith("No gradient reaches the student")


def test_a_change_in_place_is_named_before_the_value_that_it_spoils():
    def divides_twice(student, teacher, T=1.0):  # the values are those of T squared
        student /= T
        teacher /= T
        log_p, log_q = (teacher / T).log_softmax(-1), (student / T).log_softmax(-1)
        return (log_p.exp() * (log_p - log_q)).sum(-1).mean()

    report = examine(EXERCISES["forward_kl"], divides_twice)
    assert report.mistake == "An argument is changed in place" and report.case is not None
    assert not any(finding.startswith("Likely") for finding in report.findings)


def test_a_change_in_place_is_no_mistake_of_another_kind():
    def same_memory(log_q, log_p, mask):  # with its values alone, this is a squared log-ratio
        gap = log_q.detach()
        gap -= log_p
        return (gap * log_q)[mask].mean()

    def corrects_what_it_reads(digits, steps):  # and this looks like a sum of all digits
        wrong = 0
        for i, digit in enumerate(digits):
            right = ((steps[i - 1] if i else 0) + digit) % 10
            wrong, steps[i] = wrong + (steps[i] != right), right
        return wrong

    for lesson, name, fn in (
        ("lesson_42", "sampled_loss", same_memory),
        ("lesson_44", "wrong_steps", corrects_what_it_reads),
    ):
        report = examine(lesson_exercises(NOTEBOOKS / lesson)[name], fn)
        assert report.mistake == "An argument is changed in place" and report.case is not None
        assert not any(finding.startswith("Likely") for finding in report.findings)
        assert not any("gradient" in finding for finding in report.findings)


def test_a_text_that_fails_is_shown():
    exercise = lesson_exercises(NOTEBOOKS / "lesson_43")["answer_verdict"]

    def stops(text, gold):
        return float(int(text.split()[-1]) == gold)

    report = examine(exercise, stops)
    assert report.mistake == "`int` gets a text that is no number" and report.case is not None
    assert report.case.rows()[0][0] == "text"


def axis_lost(z, T):
    return z / z.sum(-1)


def summed_at_the_end(z, T):
    return (z - z[:, 1:]).sum(-1)


def summed_inside(z, T):
    return (z / z.sum(-1)).sum(-1)


def summed_down(z, T):
    """A weight a row beside a value a class: `sum(-1)` was meant, and `keepdim` would not help."""
    return (z[:, 0] * (z * z.exp()).sum(0)).sum()


def math_before_a_sum_down(z, T):
    return (z[:, 0] * z).sum(0)


@pytest.mark.parametrize(
    ("fn", "mistake"),
    [
        (axis_lost, "`keepdim=True` is missing"),
        (summed_inside, "`keepdim=True` is missing"),
        (summed_at_the_end, "Two shapes do not fit each other"),
        (summed_down, "`sum(0)` or `mean(0)` runs down the rows"),
        (math_before_a_sum_down, "Two shapes do not fit each other"),
        (lambda z, T: math.comb(-1, 2), "A count is below 0"),
        (lambda z, T: z @ z, "A matrix has to be transposed"),
        (lambda z, T: z - z.max(-1), "`max(dim)` gives two things"),
        (lambda z, T: z.view(3, 3), "The numbers do not fill that shape"),
        (lambda z, T: z.softmax(5), "That axis does not exist"),
        (lambda z, T: z if z > 0 else T, "`if` gets a tensor with many values"),
        (lambda z, T: float(z), "A tensor with many values is turned into one number"),
        (lambda z, T: z.soften(T), "There is no such method"),
        (lambda z, T: np.exp(z), "A name is not known here"),  # noqa: F821
        (lambda z, T: torch.softmax(z), "A function is called with other arguments than it takes"),
        (lambda z, T: z.argmax(-1).mean(), "A tensor has the wrong dtype"),
        (lambda z, T: z.sum().backward(), "Autograd is asked for, but not needed"),
        (lambda z, T: [][0], "A list is shorter than your code expects"),
        (lambda z, T: {[1]}, "A set holds no lists"),
        (lambda z, T: 1 / 0, "There is a division by zero"),
        (lambda z, T: z[:, 99], "An index is too large"),
        (lambda z, T: None + T, "Something is None"),
    ],
)
def test_an_exception_gets_advice_beside_its_own_text(fn, mistake):
    report = examine(EXERCISES["soften"], fn)
    assert report.mistake == mistake
    assert report.findings[0].startswith("Likely: ")
    assert "Your function stopped with " in report.findings[0]


def test_an_unknown_exercise_is_refused_with_a_near_name():
    with pytest.raises(
        ValueError, match=r"no exercise 'kd_los' in lesson_11\. Did you mean 'kd_loss'"
    ):
        check("kd_los", None)
    with pytest.raises(AttributeError, match="There are: bias_shift, forward_kl, "):
        check.nothing_like_it  # noqa: B018
    assert not hasattr(check, "_repr_html_") and "kd_loss" in dir(check)


EXERCISES_OF_99 = """
from lesson_99.helper import twice

from distill_lab.course.check.exercise import Exercise
from distill_lab.course.check.invariances import logits

double = Exercise("double", "2 x", twice, ({"x": 1.5},), number_is_fine=True)
EXERCISES = {"double": double}
"""


def test_the_exercises_of_the_open_lesson_come_first_wherever_its_folder_lies(
    tmp_path, monkeypatch
):
    assert "double" not in dir(check)
    folder = tmp_path / "lesson_99"
    folder.mkdir()
    (folder / "helper.py").write_text("def twice(x):\n    return 2 * x\n")
    (folder / "exercises.py").write_text(EXERCISES_OF_99)
    monkeypatch.chdir(tmp_path)
    with collect() as records:
        Lesson("99_small")
        check.double(lambda x: x + x)
    assert records[-1]["state"] == "right"
    assert str(tmp_path) not in sys.path
    assert "double" in dir(check) and "forward_kl" in dir(check) and "kd_loss" not in dir(check)
    with pytest.raises(ValueError, match="no exercise 'kd_loss' in lesson_99"):
        check("kd_loss", kd_loss)


@pytest.mark.slow
def test_from_a_copy_of_the_notebooks_folder_elsewhere(tmp_path):
    shutil.copytree(NOTEBOOKS / "lesson_11", tmp_path / "lesson_11")
    code = (
        "from distill_lab.course import Lesson, check\n"
        "Lesson('11_soft_targets')\nprint(check.folder)\ncheck.kd_loss(...)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert str(tmp_path / "lesson_11") in done.stdout and "not attempted" in done.stdout


def test_before_a_lesson_is_open_it_says_so():
    check.folder = None
    with pytest.raises(AttributeError, match=r"No lesson is open yet: .* Lesson"):
        check.kd_loss  # noqa: B018


def test_a_check_leaves_the_learners_random_numbers_alone():
    torch.manual_seed(5)
    with collect():
        check.kd_loss(kd_loss)
    after = torch.rand(3)
    torch.manual_seed(5)
    assert after.equal(torch.rand(3))
