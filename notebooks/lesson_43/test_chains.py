"""Running sums: right answers, two kinds of wrong ones, and tests apart from training."""

import pytest

from lesson_43 import chains


def test_the_answer_is_the_running_sum_and_its_last_digit_decides():
    for task in chains.chains(200):
        digits = [int(c) for c in task.key]
        assert task.prompt == f"{task.key}="
        assert [int(c) for c in task.answer] == [sum(digits[: i + 1]) % 10 for i in range(8)]
        assert task.check.verdict(task.answer)
        other = str((int(task.answer[-1]) + 1) % 10)
        assert not task.check.verdict(task.answer[:-1] + other)


@pytest.mark.parametrize("text", ["", "1", "123456789", "1234567x"])
def test_what_is_no_chain_is_not_right(text):
    verdict = chains.LastDigit(8).verdict(text)
    assert not verdict and "expected 8 digits" in verdict.reason


def test_training_and_test_share_none_and_the_affected_can_be_asked_for():
    train, test = chains.chains(3000), chains.chains(500, seed=0, test=True)
    assert not {t.key for t in train} & {t.key for t in test}
    assert all(map(chains.is_affected, chains.chains(50, slips=True)))
    assert not any(map(chains.is_affected, chains.chains(50, slips=False)))
    assert 0.1 < sum(map(chains.is_affected, train)) / 3000 < 0.2


def test_the_systematic_error_hits_the_affected_alone():
    for task in chains.chains(500):
        wrong = chains.with_slip(task).answer != task.answer
        assert wrong == chains.is_affected(task)


def test_a_teacher_with_random_errors_is_right_where_no_step_went_wrong():
    tasks = chains.chains(3000)
    noisy = [chains.with_noise(task, 0.15) for task in tasks]
    right = sum(bool(t.check.verdict(n.answer)) for t, n in zip(tasks, noisy, strict=True))
    assert 0.30 < right / 3000 < 0.42  # 0.85 ** 7 = 0.32, and errors that cancel
    assert [n.answer for n in noisy] == [chains.with_noise(t, 0.15).answer for t in tasks]
