"""Exercise checks: right, blank, every known mistake, and whatever a learner may hand in."""

import math

import pytest
import torch
from torch.nn import functional as F

from distill_lab.course import check
from distill_lab.course.check import _exercises
from distill_lab.course.check.examine import examine
from distill_lab.course.records import collect

EXERCISES = _exercises()


# Solutions by hand, in plain torch: what the reference says is not taken on trust.
def softmax_with_temperature(logits, T):
    z = logits / T
    e = (z - z.max(-1, keepdim=True).values).exp()
    return e / e.sum(-1, keepdim=True)


def entropy(probabilities):
    return -(probabilities * probabilities.clamp_min(1e-30).log()).sum(-1)


def forward_kl(student, teacher, T=1.0):
    log_q = F.log_softmax(student / T, -1)
    return F.kl_div(log_q, F.softmax(teacher / T, -1), reduction="batchmean")


def reverse_kl(student, teacher, T=1.0):
    return forward_kl(teacher, student, T)


def soft_cross_entropy(student, teacher, T=1.0):
    return F.cross_entropy(student / T, (teacher / T).softmax(-1))


def jsd(student, teacher, T=1.0, beta=0.5):
    q, p = (student / T).softmax(-1), (teacher / T).softmax(-1)
    log_m = (beta * p + (1 - beta) * q).clamp_min(1e-38).log()
    left = F.kl_div(log_m, p, reduction="batchmean")
    return beta * left + (1 - beta) * F.kl_div(log_m, q, reduction="batchmean")


def kd_loss(student, teacher, labels, T, alpha):
    soft = forward_kl(student, teacher, T)
    return alpha * T**2 * soft + (1 - alpha) * F.cross_entropy(student, labels)


def kd_gradient(student, teacher, T):
    return T * ((student / T).softmax(-1) - (teacher / T).softmax(-1))


def bias_shift(logits, classes, shift):
    moved = torch.zeros(logits.shape[-1])
    moved[classes] = shift
    return logits + moved


def expected_calibration_error(probabilities, labels, bins):
    confidence, guess = probabilities.max(-1)
    total = 0.0
    for b in range(bins):
        inside = (confidence > b / bins) & (confidence <= (b + 1) / bins)
        if inside.any():
            right = (guess == labels)[inside].float().mean()
            total += 100 * inside.float().mean() * (right - confidence[inside].mean()).abs()
    return total


def standardize_logits(logits):
    return F.layer_norm(logits, logits.shape[-1:], eps=0.0)


def label_smoothing(labels, classes, epsilon):
    rows = torch.full((len(labels), classes), epsilon / classes)
    rows[torch.arange(len(labels)), labels] += 1 - epsilon
    return rows


def linear_cka(features, other):
    n = len(features)
    h = torch.eye(n) - 1 / n
    k, m = (h @ f @ f.T @ h for f in (features, other))
    return (k * m).sum() / (k.square().sum() * m.square().sum()).sqrt()


def hint(student, teacher, weight, bias):
    return F.mse_loss(student @ weight.T + bias, teacher)


def similarity_preserving(student, teacher):
    grams = [f @ f.T for f in (student, teacher)]
    s, t = (g / g.norm(dim=1, keepdim=True) for g in grams)
    return (s - t).norm() ** 2 / len(student) ** 2


def token_kl(student, teacher, labels):
    total, count = 0.0, 0
    for b, row in enumerate(labels):
        for i in range(len(row) - 1):
            if row[i + 1] >= 0:
                total = total + forward_kl(student[b, i : i + 1], teacher[b, i : i + 1])
                count += 1
    return total / count


def token_jsd(student, teacher, labels, beta=0.5):
    kept = labels[:, 1:] != -100
    return jsd(student[:, :-1][kept], teacher[:, :-1][kept], 1.0, beta)


def top_k_kl(student, teacher, k):
    p, q = teacher.softmax(-1), student.softmax(-1)
    ids = p.argsort(-1, descending=True)[:, :k]
    p, q = (torch.cat((x.gather(1, ids), 1 - x.gather(1, ids).sum(1, True)), 1) for x in (p, q))
    return F.kl_div(q.log(), p, reduction="batchmean")


def attention_map(features):
    return F.normalize(features.pow(2).sum(1).flatten(1), dim=-1)


def attention_scores(query, key, heads):
    width = query.shape[-1] // heads
    pairs = [
        query[..., i * width : (i + 1) * width]
        @ key[..., i * width : (i + 1) * width].transpose(1, 2)
        for i in range(heads)
    ]
    return torch.stack(pairs, 1) / width**0.5


def attention_kl(student_scores, teacher_scores, mask):
    found = []
    for s, t, real in zip(student_scores, teacher_scores, mask, strict=True):
        s, t = s[:, real][:, :, real], t[:, real][:, :, real]
        each = F.kl_div(s.log_softmax(-1), t.softmax(-1), reduction="none").sum(-1)
        found.append(each.mean(0))
    return torch.cat(found).mean()


def relation(x, relation_heads):
    return attention_scores(x, x, relation_heads).softmax(-1)


def jaccard(a, b, n=3):
    def grams(text):
        words = text.lower().split()
        return {" ".join(words[i : i + n]) for i in range(len(words) - n + 1)}

    return len(grams(a) & grams(b)) / len(grams(a) | grams(b))


def answer_verdict(text, gold):
    _, *after = text.lower().split("answer:")
    return len(after) == 1 and after[0].split()[:1] == [str(gold)]


def vote(answers, least=0.5):
    votes = [answers.count(a) for a in answers]
    tie = len({a for a, v in zip(answers, votes, strict=True) if v == max(votes)}) > 1
    won = max(votes) >= least * len(answers) and not tie
    return torch.tensor([float(won and v == max(votes)) for v in votes])


def balance(labels):
    room = min((labels == k).sum() for k in set(labels.tolist()))
    earlier = torch.stack([(labels[:i] == k).sum() for i, k in enumerate(labels)])
    return (earlier < room).float()


BY_HAND = {
    f.__name__: f
    for f in (
        softmax_with_temperature,
        entropy,
        forward_kl,
        reverse_kl,
        soft_cross_entropy,
        jsd,
        kd_loss,
        kd_gradient,
        bias_shift,
        expected_calibration_error,
        standardize_logits,
        label_smoothing,
        linear_cka,
        hint,
        similarity_preserving,
        token_kl,
        token_jsd,
        top_k_kl,
        attention_map,
        attention_scores,
        attention_kl,
        relation,
        jaccard,
        answer_verdict,
        vote,
        balance,
    )
}
BY_HAND["soften"] = softmax_with_temperature


def test_every_exercise_has_a_solution_here():
    assert set(BY_HAND) == set(EXERCISES)


@pytest.mark.parametrize("name", EXERCISES)
def test_a_right_solution_is_right(name):
    report = examine(EXERCISES[name], BY_HAND[name])
    assert report.state == "right", report.findings
    assert "100 %" in report.findings[0]


@pytest.mark.parametrize("name", EXERCISES)
def test_a_blank_is_not_attempted(name):
    def raising(*args):
        raise NotImplementedError

    def dots(*args): ...

    def documented(*args):
        """Say what it does."""

    def half_done(*args):
        return ... + 1

    for blank in (dots, documented, raising, half_done, lambda *args: ..., None, ...):
        assert examine(EXERCISES[name], blank).state == "not attempted"


@pytest.mark.parametrize(
    ("name", "i"), [(name, i) for name, e in EXERCISES.items() for i in range(len(e.mistakes))]
)
def test_a_known_mistake_is_named(name, i):
    mistake = EXERCISES[name].mistakes[i]
    report = examine(EXERCISES[name], lambda *args: mistake.variant(*args))
    assert report.state == "wrong"
    assert report.findings[-1] == "Likely: " + mistake.sentence


@pytest.mark.parametrize(
    ("name", "i"), [(name, i) for name, e in EXERCISES.items() for i in range(len(e.invariances))]
)
def test_every_invariance_can_break(name, i):
    """A function that gives back noise of the right shape keeps no promise that compares values."""
    exercise = EXERCISES[name]
    generator = torch.Generator().manual_seed(0)

    def noise(*args):
        like = torch.as_tensor(exercise.reference(*args)).float()
        return (
            like * torch.nan if "finite" in words else torch.rand(like.shape, generator=generator)
        )

    words = exercise.invariances[i].words
    assert not exercise.invariances[i].kept(noise)


def findings(name, fn):
    report = examine(EXERCISES[name], fn)
    assert report.state == "wrong"
    return " ".join(report.findings)


def test_log_of_a_softmax_is_caught_by_its_range_although_its_values_are_right():
    def naive(s, t, T=1.0):
        p, q = (t / T).softmax(-1), (s / T).softmax(-1)
        return (p * (p.log() - q.log())).sum(-1).mean()

    said = findings("forward_kl", naive)
    assert "100 %" in said and "finite for logits of ±10,000" in said and "underflows" in said


def test_a_detached_student_is_caught():
    said = findings("kd_loss", lambda s, t, y, T, a: kd_loss(s.detach(), t, y, T, a))
    assert "a gradient reaches the student's logits" in said


def test_changing_the_input_in_place_is_caught_and_undone():
    def in_place(logits, classes, shift):
        logits[:, classes] += shift
        return logits

    before = [case["logits"].clone() for case in EXERCISES["bias_shift"].cases]
    said = findings("bias_shift", in_place)
    assert "in place" in said and "100 %" in said  # its values are right, and told so
    for then, case in zip(before, EXERCISES["bias_shift"].cases, strict=True):
        assert case["logits"].equal(then)


def test_an_exception_is_shown_with_its_message_and_its_line():
    def broken(logits, T):
        weights = torch.ones(7)
        return logits @ weights  # the line to show

    said = findings("soften", broken)
    assert "RuntimeError" in said and "size mismatch" in said
    assert "return logits @ weights" in said


def test_a_forgotten_return_is_told_from_a_blank():
    def forgot(logits, T):
        result = (logits / T).softmax(-1)  # noqa: F841

    assert "missing a `return`" in findings("soften", forgot)


@pytest.mark.parametrize(
    ("fn", "said"),
    [
        (lambda s, t, T: forward_kl(s, t, T).item(), "got float. A plain number carries no"),
        (lambda s, t, T: (s - t).sum(-1), "Expected shape () (one number), got (4,)"),
        (lambda s, t, T: torch.tensor(3), "Expected floating-point numbers, got torch.int64"),
        (lambda s, t, T: [1.0], "got list"),
        (lambda s: s, "Expected a function of (student_logits, teacher_logits, T)"),
        (lambda s, t, T, u: s, "yours takes (s, t, T, u)"),
        (torch.zeros(3), "Expected a function, got Tensor"),
        (lambda s, t, T: torch.tensor(math.pi), "None of the usual mistakes fits"),
        (lambda s, t, T: torch.tensor(math.nan), "NaN or infinite"),
    ],
)
def test_what_a_learner_may_hand_in(fn, said):
    assert said in findings("forward_kl", fn)


def test_how_arguments_may_be_taken():
    kl = EXERCISES["forward_kl"]
    assert examine(kl, lambda s, t: forward_kl(s, t)).state == "right"  # T has a default
    assert examine(kl, lambda a, b, *, T: forward_kl(a, b, T)).state == "right"
    assert examine(kl, lambda *args: forward_kl(*args)).state == "right"
    said = findings("soften", lambda logits: logits.softmax(-1))  # T is the point of it
    assert "Expected a function of (logits, T)" in said


def test_both_forms_publish_one_record_and_return_nothing():
    with collect() as records:
        assert check.kd_loss(kd_loss) is None
        assert check("kd_loss", None) is None
    assert [r["state"] for r in records] == ["right", "not attempted"]
    assert records[0]["kind"] == "check" and records[0]["exercise"] == "kd_loss"
    assert len(records[0]["findings"]) == 2


def test_the_card_says_the_state_in_words(capsys):
    check.soften(lambda z, T: (z * T).softmax(-1))
    said = capsys.readouterr().out
    assert said.startswith("✗ softmax_with_temperature: not right yet\n  1. Values: 2 of 8")
    assert "Likely: The logits are multiplied by T. Divide" in said


def test_an_unknown_exercise_is_refused_with_a_near_name():
    with pytest.raises(ValueError, match=r"no exercise 'kd_los'\. Did you mean 'kd_loss'"):
        check("kd_los", None)
    with pytest.raises(AttributeError, match="There are: answer_verdict, attention_kl, "):
        check.nothing_like_it  # noqa: B018
    assert not hasattr(check, "_repr_html_") and "kd_loss" in dir(check)


def test_a_check_leaves_the_learners_random_numbers_alone():
    torch.manual_seed(5)
    with collect():
        check.kd_loss(kd_loss)
    after = torch.rand(3)
    torch.manual_seed(5)
    assert after.equal(torch.rand(3))
